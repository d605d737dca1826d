//! Counting who used coupons, and how often.

use plugin_sdk::{Commit, Context, FieldOperation, Filter, Problem, Result, WriteRef, natural_id};
use serde::Deserialize;

use crate::{
    COUPON_USES, COUPONS,
    model::{CountedCoupons, Coupon, Order, StoredCouponUse, StoredOrder},
    offer::Offer,
};

/// Adds the writes that count the order among the uses of its coupons.
///
/// # Errors
/// 409 `coupon_exhausted`, or those of the store.
pub(crate) fn take(
    ctx: &Context<'_>,
    commit: &mut Commit<'_>,
    offer: &Offer,
    order: &StoredOrder,
) -> Result<Vec<WriteRef>> {
    let counted = &order.counted;
    let used = offer.coupons.iter().filter(|coupon| counted.coupons.contains(&coupon.id));
    let exhausted = |coupon: &Coupon, why: &str| {
        let detail = format!("The coupon `{}` {why}.", coupon.code);
        Problem::new(409, "coupon_exhausted").detail(detail)
    };
    let one_more = || vec![FieldOperation::increment("used", 1)];
    let below = |limit: i64| Filter::Lt("used".to_owned(), limit.into());
    let buyers = buyers(order.order.customer_id.as_deref(), order.order.email.as_deref());
    let mut writes = Vec::new();
    for coupon in used {
        let write = commit.update(COUPONS, &coupon.id, one_more());
        if let Some(limit) = coupon.limit {
            if coupon.used >= limit {
                return Err(exhausted(coupon, "is used up"));
            }
            commit.guard(write, Filter::And(vec![below(limit), Filter::eq("limit", limit)]));
        }
        writes.push(write);
        let ids: Vec<String> = buyers.iter().map(|buyer| use_id(&coupon.id, buyer)).collect();
        let uses = ctx.get_many::<StoredCouponUse>(COUPON_USES, &ids)?;
        for ((buyer, id), own) in buyers.iter().zip(ids).zip(uses) {
            let own_used = own.as_ref().map_or(0, |own| own.data.used);
            if coupon.per_customer.is_some_and(|limit| own_used >= limit) {
                return Err(exhausted(coupon, "was used as often as one customer can"));
            }
            let write = match own {
                Some(_) => {
                    let write = commit.update(COUPON_USES, &id, one_more());
                    if let Some(limit) = coupon.per_customer {
                        commit.guard(write, below(limit));
                    }
                    write
                }
                None => {
                    let first =
                        StoredCouponUse { coupon_id: coupon.id.clone(), customer: buyer.clone(), used: 1 };
                    commit.insert_with_id(COUPON_USES, &id, &first)
                }
            };
            writes.push(write);
        }
    }
    Ok(writes)
}

/// What is going to count the order among the uses of its coupons.
pub(crate) fn counted(offer: &Offer, order: &Order) -> CountedCoupons {
    let used = offer.coupons.iter().filter(|coupon| order.coupons.contains(&coupon.code));
    let coupons: Vec<String> = used.map(|coupon| coupon.id.clone()).collect();
    let buyers = buyers(order.customer_id.as_deref(), order.email.as_deref());
    let uses = coupons.iter().flat_map(|coupon| buyers.iter().map(|buyer| use_id(coupon, buyer)));
    CountedCoupons { uses: uses.collect(), coupons }
}

/// Adds the writes that take an order out of the uses of its coupons.
///
/// # Errors
/// Those of the store.
pub(crate) fn give_back(ctx: &Context<'_>, commit: &mut Commit<'_>, counted: &CountedCoupons) -> Result<()> {
    let coupons = ctx.get_many::<Counter>(COUPONS, &counted.coupons)?.into_iter();
    let uses = ctx.get_many::<Counter>(COUPON_USES, &counted.uses)?.into_iter();
    // Gone, or set back by hand: there is nothing to give back.
    let given = coupons.flatten().map(|it| (COUPONS, it.id, it.data.used));
    let given = given.chain(uses.flatten().map(|it| (COUPON_USES, it.id, it.data.used)));
    for (collection, id, _) in given.filter(|(_, _, used)| *used > 0) {
        let write = commit.update(collection, &id, vec![FieldOperation::increment("used", -1)]);
        commit.guard(write, Filter::Gte("used".to_owned(), 1.into()));
    }
    Ok(())
}

#[derive(Deserialize)]
struct Counter {
    used: i64,
}

/// The document that counts how often somebody has used a coupon.
pub(crate) fn use_id(coupon: &str, buyer: &str) -> String {
    natural_id("cpu", &format!("{coupon} {buyer}"))
}

/// Who uses coupons: the customer, and who has this e-mail address, so that an account and a guest are not two.
pub(crate) fn buyers(customer: Option<&str>, email: Option<&str>) -> Vec<String> {
    let email = email.map(|email| email.trim().to_lowercase());
    customer.map(str::to_owned).into_iter().chain(email).collect()
}
