//! Coupons: which of the codes in a cart apply, and the staff's operations on them.

pub(crate) mod handlers;
pub(crate) mod uses;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use plugin_sdk::{Context, Filter, Query, Result, Scalar, StoreError};

use crate::{
    COUPON_USES, COUPONS,
    model::{Coupon, StoredCouponUse},
};

/// Why a code does not apply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unfit {
    /// `coupon_invalid` or `coupon_exhausted`.
    pub code: &'static str,
    pub message: String,
}

/// What each of these codes is, in their order. `buyers` is who would use them, as far as that is known: see [`buyers`].
///
/// # Errors
/// Those of the store.
pub(crate) fn look_up(
    ctx: &Context<'_>,
    codes: &[String],
    buyers: &[String],
) -> Result<Vec<Result<Coupon, Unfit>>, StoreError> {
    let known = by_code(ctx, codes)?;
    let limited: Vec<&Coupon> = known.values().filter(|coupon| coupon.per_customer.is_some()).collect();
    let mut own: BTreeMap<String, i64> = BTreeMap::new();
    for buyer in buyers.iter().filter(|_| !limited.is_empty()) {
        let ids: Vec<String> = limited.iter().map(|coupon| uses::use_id(&coupon.id, buyer)).collect();
        let uses = ctx.get_many::<StoredCouponUse>(COUPON_USES, &ids)?;
        for (coupon, uses) in limited.iter().zip(uses) {
            let most = own.entry(coupon.id.clone()).or_default();
            *most = uses.map_or(0, |uses| uses.data.used).max(*most);
        }
    }
    let now = ctx.now();
    let fits = |code: &String| {
        let invalid = |message: String| Err(Unfit { code: "coupon_invalid", message });
        let exhausted = |message: String| Err(Unfit { code: "coupon_exhausted", message });
        let Some(coupon) = known.get(code) else { return invalid(format!("There is no coupon `{code}`.")) };
        let used = own.get(&coupon.id).copied().unwrap_or_default();
        if coupon.starts_at.as_ref().is_some_and(|start| now < *start) {
            invalid(format!("The coupon `{code}` does not count yet."))
        } else if coupon.ends_at.as_ref().is_some_and(|end| *end <= now) {
            invalid(format!("The coupon `{code}` does not count any more."))
        } else if coupon.limit.is_some_and(|limit| coupon.used >= limit) {
            exhausted(format!("The coupon `{code}` is used up."))
        } else if coupon.per_customer.is_some_and(|limit| used >= limit) {
            exhausted(format!("The coupon `{code}` was used as often as one customer can."))
        } else {
            Ok(coupon.clone())
        }
    };
    Ok(codes.iter().map(fits).collect())
}

/// The coupons with these codes, whether they apply or not.
///
/// # Errors
/// Those of the store.
pub(crate) fn by_code(ctx: &Context<'_>, codes: &[String]) -> Result<BTreeMap<String, Coupon>, StoreError> {
    // No text that is looked up holds NUL, so the store takes none in a query.
    let codes = codes.iter().filter(|code| !code.contains('\0'));
    let values: Vec<Scalar> = codes.map(|code| Scalar::Text(code.clone())).collect();
    if values.is_empty() {
        return Ok(BTreeMap::new());
    }
    let query = Query {
        filter: Filter::In("code".to_owned(), values),
        limit: COUPONS_MAX as u32,
        ..Query::default()
    };
    let found = ctx.find::<Coupon>(COUPONS, &query)?.items;
    Ok(found.into_iter().map(|coupon| (coupon.data.code.clone(), coupon.data)).collect())
}

/// The coupons of a quote, by the codes that they had. One that was deleted since counts no more uses.
///
/// # Errors
/// Those of the store.
pub(crate) fn quoted(
    ctx: &Context<'_>,
    coupons: &BTreeMap<String, String>,
) -> Result<Vec<Coupon>, StoreError> {
    let ids: Vec<String> = coupons.values().cloned().collect();
    let found = ctx.get_many::<Coupon>(COUPONS, &ids)?;
    let named = coupons.keys().zip(found);
    Ok(named.filter_map(|(code, found)| Some(Coupon { code: code.clone(), ..found?.data })).collect())
}

/// Most codes in a cart.
pub(crate) const COUPONS_MAX: usize = 20;

/// A code as it is stored: letter case does not matter.
pub(crate) fn settled(code: &str) -> String {
    code.trim().to_ascii_uppercase()
}
