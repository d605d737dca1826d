//! Taking stock for orders, giving it back, and sending it. The levels belong to the plugin `inventory`: a level is the
//! document `natural_id("inv", sku)`, with `available` moved beside what it is made of.
//!
//! What an order holds is in its reservation, one document. While that is `held` it has an end, and from then on it does
//! not count: whoever is refused for want of stock lets the reservations go whose time is over and tries again, so no
//! job's delay keeps anything from being sold. Their orders belong to others and follow when the reconciler looks after
//! them; until then their reservation tells that they cannot be confirmed any more.

use std::collections::BTreeMap;

use plugin_sdk::{
    Aggregate, Commit, Context, FieldOperation, Filter, GroupKey, Measure, Problem, Query, Result, Scalar,
    SortKey, StoreError, Stored, WriteRef, json, natural_id,
};
use serde::Deserialize;

use crate::{
    INVENTORY, MOVEMENTS, RESERVATIONS,
    model::{ReservationState, ReservedItem, StoredReservation},
};

/// Pieces by SKU. In the order of the SKUs stock is taken, so that no two orders wait for each other.
pub type Demand = BTreeMap<String, Wanted>;

/// What is wanted of a SKU.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wanted {
    pub quantity: i64,
    /// It sells also without stock.
    pub backorder: bool,
}

/// Most reservations of one answer of the store.
const RESERVATIONS_MAX: u32 = 1_000;
/// Why pieces leave.
const SHIPPED: &str = "shipped";
/// Why they are back.
const RESTOCKED: &str = "restocked";

/// The level's id.
pub fn level_id(sku: &str) -> String {
    natural_id("inv", sku)
}

/// Adds the writes that take stock, each with the condition that there is enough, and answers which write is of which
/// SKU.
pub fn take(commit: &mut Commit<'_>, demand: &Demand) -> Vec<(WriteRef, String)> {
    let mut writes = Vec::with_capacity(demand.len());
    for (sku, wanted) in demand {
        let write = commit.update(
            INVENTORY,
            &level_id(sku),
            vec![
                FieldOperation::increment("reserved", wanted.quantity),
                FieldOperation::increment("available", -wanted.quantity),
            ],
        );
        if !wanted.backorder {
            commit.guard(write, Filter::Gte("available".to_owned(), wanted.quantity.into()));
        }
        commit.event("inventory.changed", write);
        writes.push((write, sku.clone()));
    }
    writes
}

/// Adds the writes that give back what a reservation holds.
pub fn give_back(commit: &mut Commit<'_>, items: &[ReservedItem]) {
    for (sku, quantity) in summed(items) {
        let write = commit.update(
            INVENTORY,
            &level_id(&sku),
            vec![
                FieldOperation::increment("reserved", -quantity),
                FieldOperation::increment("available", quantity),
            ],
        );
        commit.event("inventory.changed", write);
    }
}

/// Adds the writes that send pieces away: they leave what is on hand and what is reserved, each with a movement. Each
/// has the condition that the pieces are there, which those of a backorder may not be; answers which write is of which
/// SKU.
pub fn ship(
    commit: &mut Commit<'_>,
    items: &[ReservedItem],
    reference: &str,
) -> Vec<(WriteRef, String, i64)> {
    let mut writes = Vec::new();
    for (sku, quantity) in summed(items) {
        let write = commit.update(
            INVENTORY,
            &level_id(&sku),
            vec![
                FieldOperation::increment("onHand", -quantity),
                FieldOperation::increment("reserved", -quantity),
            ],
        );
        commit.guard(write, Filter::Gte("onHand".to_owned(), quantity.into()));
        commit.event("inventory.changed", write);
        movement(commit, &sku, -quantity, SHIPPED, reference);
        writes.push((write, sku, quantity));
    }
    writes
}

/// Adds the writes that take back what was sent and is to be sent again: it is on hand and reserved as it was, each
/// with a movement.
pub fn unship(commit: &mut Commit<'_>, items: &[ReservedItem], reference: &str) {
    for (sku, quantity) in summed(items) {
        let write = commit.update(
            INVENTORY,
            &level_id(&sku),
            vec![
                FieldOperation::increment("onHand", quantity),
                FieldOperation::increment("reserved", quantity),
            ],
        );
        commit.event("inventory.changed", write);
        movement(commit, &sku, quantity, RESTOCKED, reference);
    }
}

/// Adds the writes that put pieces back on the shelf, each with a movement.
pub fn restock(commit: &mut Commit<'_>, items: &[ReservedItem], reference: &str) {
    for (sku, quantity) in summed(items) {
        let write = commit.update(
            INVENTORY,
            &level_id(&sku),
            vec![
                FieldOperation::increment("onHand", quantity),
                FieldOperation::increment("available", quantity),
            ],
        );
        commit.event("inventory.changed", write);
        movement(commit, &sku, quantity, RESTOCKED, reference);
    }
}

fn movement(commit: &mut Commit<'_>, sku: &str, delta: i64, reason: &str, reference: &str) {
    commit.insert(MOVEMENTS, &json!({"sku": sku, "delta": delta, "reason": reason, "reference": reference}));
}

/// Pieces by SKU, ascending.
fn summed(items: &[ReservedItem]) -> BTreeMap<String, i64> {
    let mut sums = BTreeMap::new();
    for item in items {
        *sums.entry(item.sku.clone()).or_default() += item.quantity;
    }
    sums.retain(|_, quantity| *quantity != 0);
    sums
}

#[derive(Deserialize)]
struct Counted {
    available: i64,
}

/// 409 `insufficient_stock` with what there is of each SKU, or nothing where there is enough of all by now.
///
/// # Errors
/// Those of the store.
pub fn shortage(ctx: &Context<'_>, demand: &Demand) -> Result<Option<Problem>> {
    let short = short(ctx, demand)?;
    if short.is_empty() {
        return Ok(None);
    }
    let items = short.into_iter().map(|(sku, available)| {
        let requested = demand.get(sku).map_or(0, |wanted| wanted.quantity);
        json!({"sku": sku, "requested": requested, "available": available.max(0)})
    });
    let short: Vec<_> = items.collect();
    let detail = "There is not enough of everything in stock.";
    Ok(Some(Problem::new(409, "insufficient_stock").detail(detail).extra("items", short)))
}

/// What is available of the SKUs of which there is not enough. What may be sold without stock is not among them.
///
/// # Errors
/// Those of the store.
pub fn short<'d>(ctx: &Context<'_>, demand: &'d Demand) -> Result<BTreeMap<&'d str, i64>, StoreError> {
    let counted: Vec<_> = demand.iter().filter(|(_, wanted)| !wanted.backorder).collect();
    if counted.is_empty() {
        return Ok(BTreeMap::new());
    }
    let ids: Vec<String> = counted.iter().map(|(sku, _)| level_id(sku)).collect();
    let levels = ctx.get_many::<Counted>(INVENTORY, &ids)?;
    let available = levels.into_iter().map(|level| level.map_or(0, |level| level.data.available));
    let short = counted.into_iter().zip(available).filter(|((_, wanted), there)| *there < wanted.quantity);
    Ok(short.map(|((sku, _), there)| (sku.as_str(), there)).collect())
}

/// What of this sells also without stock, and was never counted: there is nothing to take it from.
///
/// # Errors
/// Those of the store.
pub fn uncounted(ctx: &Context<'_>, demand: &Demand) -> Result<Vec<String>, StoreError> {
    let skus: Vec<&String> = demand.iter().filter(|(_, it)| it.backorder).map(|(sku, _)| sku).collect();
    let ids: Vec<String> = skus.iter().map(|sku| level_id(sku)).collect();
    let levels = ctx.get_many::<Counted>(INVENTORY, &ids)?;
    Ok(skus
        .into_iter()
        .zip(levels)
        .filter(|(_, level)| level.is_none())
        .map(|(sku, _)| sku.clone())
        .collect())
}

/// How many pieces of a SKU are in the warehouse.
///
/// # Errors
/// Those of the store.
pub fn on_hand(ctx: &Context<'_>, sku: &str) -> Result<i64, StoreError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct OnHand {
        on_hand: i64,
    }
    let level = ctx.get::<OnHand>(INVENTORY, &level_id(sku))?;
    Ok(level.map_or(0, |level| level.data.on_hand))
}

/// The reservations of these SKUs whose time is over and which still hold stock, the oldest first; so many at the most.
///
/// # Errors
/// Those of the store.
pub fn expired_of<'s>(
    ctx: &Context<'_>,
    skus: impl Iterator<Item = &'s str>,
    limit: u32,
) -> Result<Vec<Stored<StoredReservation>>, StoreError> {
    Ok(ctx.find(RESERVATIONS, &expired(ctx, skus, limit))?.items)
}

fn expired<'s>(ctx: &Context<'_>, skus: impl Iterator<Item = &'s str>, limit: u32) -> Query {
    let skus = skus.map(|sku| sku.to_owned().into()).collect();
    Query {
        filter: Filter::And(vec![
            Filter::eq("state", "held"),
            Filter::Lte("expiresAt".to_owned(), ctx.now().into()),
            Filter::In("items.sku".to_owned(), skus),
        ]),
        sort: vec![SortKey::ascending("expiresAt")],
        limit,
        ..Query::default()
    }
}

/// Pieces by SKU that left what is on hand for this reference and did not come back: of SKUs that nobody counts there
/// are none.
///
/// # Errors
/// Those of the store.
pub fn away(ctx: &Context<'_>, reference: &str) -> Result<BTreeMap<String, i64>, StoreError> {
    let aggregate = Aggregate {
        filter: Filter::And(vec![
            Filter::eq("reference", reference),
            Filter::In("reason".to_owned(), vec![SHIPPED.into(), RESTOCKED.into()]),
        ]),
        unwind: None,
        group: vec![GroupKey::Field("sku".to_owned())],
        measures: vec![Measure::Sum("delta".to_owned())],
        scope: None,
        // An order has at most 500 items.
        limit: 1_000,
    };
    let rows = ctx.aggregate(MOVEMENTS, &aggregate)?;
    let away = rows.into_iter().filter_map(|row| match (row.key.as_slice(), row.measures.as_slice()) {
        ([Scalar::Text(sku)], [Scalar::Integer(delta)]) if *delta < 0 => Some((sku.clone(), -delta)),
        _ => None,
    });
    Ok(away.collect())
}

/// The part of some pieces that there is in `held`, from which it is taken.
pub fn part_of(held: &mut BTreeMap<String, i64>, wanted: &[ReservedItem]) -> Vec<ReservedItem> {
    let mut part = Vec::new();
    for (sku, quantity) in summed(wanted) {
        let Some(left) = held.get_mut(&sku) else { continue };
        let quantity = quantity.min(*left);
        *left -= quantity;
        if quantity > 0 {
            part.push(ReservedItem { sku, quantity });
        }
    }
    part
}

/// What a reservation holds, by SKU.
pub fn held(reservation: &StoredReservation) -> BTreeMap<String, i64> {
    summed(&reservation.items)
}

/// Puts pieces back into a reservation of a confirmed order.
pub fn hold_again(reservation: &mut StoredReservation, items: &[ReservedItem]) {
    reservation.items.extend_from_slice(items);
    if !reservation.items.is_empty() {
        reservation.state = ReservationState::Committed;
    }
}

/// How many pieces of these SKUs reservations hold whose time is over: they count as free.
///
/// # Errors
/// Those of the store.
pub fn expired_pieces<'s>(
    ctx: &Context<'_>,
    skus: impl Iterator<Item = &'s str>,
) -> Result<BTreeMap<String, i64>, StoreError> {
    let skus: Vec<&str> = skus.collect();
    if skus.is_empty() {
        return Ok(BTreeMap::new());
    }
    #[derive(Deserialize)]
    struct Held {
        items: Vec<ReservedItem>,
    }
    let mut query =
        Query { fields: vec!["items".to_owned()], ..expired(ctx, skus.into_iter(), RESERVATIONS_MAX) };
    let mut items = Vec::new();
    loop {
        let page = ctx.find::<Held>(RESERVATIONS, &query)?;
        items.extend(page.items.into_iter().flat_map(|it| it.data.items));
        match page.next {
            Some(next) => query.cursor = Some(next),
            None => return Ok(summed(&items)),
        }
    }
}

/// Takes pieces off what a reservation holds.
pub fn consume(reservation: &mut StoredReservation, sent: &[ReservedItem]) {
    for (sku, quantity) in summed(sent) {
        let mut left = quantity;
        for item in reservation.items.iter_mut().filter(|item| item.sku == sku) {
            let taken = left.min(item.quantity);
            item.quantity -= taken;
            left -= taken;
        }
    }
    reservation.items.retain(|item| item.quantity > 0);
    if reservation.items.is_empty() {
        reservation.state = ReservationState::Consumed;
    }
}

#[cfg(test)]
mod tests {
    use plugin_sdk::{FieldOperation, Value};
    use proptest::prelude::*;

    use super::*;
    use crate::{
        model::OrderStatus,
        shop::{START_MS, Shop},
    };

    fn item(sku: &str, quantity: i64) -> ReservedItem {
        ReservedItem { sku: sku.to_owned(), quantity }
    }

    fn reservation(items: Vec<ReservedItem>) -> StoredReservation {
        StoredReservation {
            order_id: "ord_1".to_owned(),
            state: ReservationState::Committed,
            items,
            expires_at: None,
        }
    }

    fn demand(wanted: &[(&str, i64, bool)]) -> Demand {
        let one = |(sku, quantity, backorder): &(&str, i64, bool)| {
            ((*sku).to_owned(), Wanted { quantity: *quantity, backorder: *backorder })
        };
        wanted.iter().map(one).collect()
    }

    fn taken(shop: &Shop, wanted: &Demand) -> Result<(), StoreError> {
        let ctx = shop.ctx();
        let mut commit = ctx.commit();
        take(&mut commit, wanted);
        let items = wanted.iter().map(|(sku, wanted)| item(sku, wanted.quantity)).collect();
        commit.insert(RESERVATIONS, &reservation(items));
        commit.apply().map(drop)
    }

    #[test]
    fn stock_is_taken_whole_or_not_at_all() {
        let shop = Shop::new();
        taken(&shop, &demand(&[("A", 10, false), ("B", 4, false)])).unwrap();
        assert_eq!([shop.level("A"), shop.level("B")], [[10, 10, 0], [10, 4, 6]]);
        let wanted = demand(&[("A", 1, false), ("B", 6, false), ("C", 1, false)]);
        assert!(taken(&shop, &wanted).is_err());
        assert_eq!([shop.level("A"), shop.level("B")], [[10, 10, 0], [10, 4, 6]]);
        let problem = shortage(&shop.ctx(), &wanted).unwrap().unwrap();
        assert_eq!((problem.status, problem.code.as_str()), (409, "insufficient_stock"));
        let short = json!([
            {"sku": "A", "requested": 1, "available": 0},
            {"sku": "C", "requested": 1, "available": 0},
        ]);
        assert_eq!(problem.extras["items"], short);
        // What may be owed is taken below nothing.
        let wanted = demand(&[("A", 3, true), ("B", 6, false)]);
        taken(&shop, &wanted).unwrap();
        assert_eq!([shop.level("A"), shop.level("B")], [[10, 13, -3], [10, 10, 0]]);
        assert!(shortage(&shop.ctx(), &demand(&[("A", 9, true)])).unwrap().is_none());
        assert_eq!(
            shortage(&shop.ctx(), &demand(&[("A", 1, false)])).unwrap().unwrap().extras["items"][0]["available"],
            0
        );
        shop.check();
    }

    #[test]
    fn stock_is_taken_in_the_order_of_the_skus() {
        let shop = Shop::new();
        let ctx = shop.ctx();
        let writes = take(&mut ctx.commit(), &demand(&[("B", 1, false), ("C", 1, true), ("A", 1, false)]));
        let skus: Vec<&str> = writes.iter().map(|(_, sku)| sku.as_str()).collect();
        assert_eq!(skus, ["A", "B", "C"]);
    }

    #[test]
    fn reservations_expire_at_their_end() {
        let shop = Shop::new();
        let id = shop.order(OrderStatus::Pending, &[("A", 2)]);
        shop.order(OrderStatus::Confirmed, &[("A", 3)]);
        let found = |shop: &Shop, sku: &str| expired_of(&shop.ctx(), [sku].into_iter(), 50).unwrap();
        shop.host.set_now_ms(START_MS + 600_000 - 1);
        assert_eq!(found(&shop, "A"), []);
        shop.host.set_now_ms(START_MS + 600_000);
        assert_eq!(found(&shop, "A")[0].data.order_id, id);
        assert_eq!(found(&shop, "B"), []);
        let free = expired_pieces(&shop.ctx(), ["A", "B"].into_iter()).unwrap();
        assert_eq!(free.into_iter().collect::<Vec<_>>(), [("A".to_owned(), 2)]);
    }

    #[test]
    fn what_is_not_on_hand_cannot_go() {
        let shop = Shop::new();
        taken(&shop, &demand(&[("A", 12, true)])).unwrap();
        let ctx = shop.ctx();
        let mut commit = ctx.commit();
        let writes = ship(&mut commit, &[item("A", 5), item("A", 6), item("B", 0)], "N-1");
        assert_eq!(
            writes.iter().map(|(_, sku, quantity)| (sku.as_str(), *quantity)).collect::<Vec<_>>(),
            [("A", 11)]
        );
        assert!(commit.apply().is_err());
        shop.check();
    }

    #[test]
    fn a_part_is_no_more_than_the_whole() {
        let mut held = BTreeMap::from([("A".to_owned(), 3), ("B".to_owned(), 0)]);
        let wanted = [item("A", 2), item("A", 2), item("B", 1), item("N", 1)];
        assert_eq!(part_of(&mut held, &wanted), [item("A", 3)]);
        assert_eq!(held["A"], 0);
    }

    proptest! {
        /// What is taken off and put back adds up, and what holds nothing is done.
        #[test]
        fn a_reservation_is_consumed_piece_by_piece(
            items in prop::collection::vec(("[AB]", 1..5_i64), 1..5),
            sent in prop::collection::vec(("[ABC]", 1..5_i64), 0..5),
        ) {
            let items: Vec<_> = items.iter().map(|(sku, quantity)| item(sku, *quantity)).collect();
            let mut reservation = reservation(items);
            let before = held(&reservation);
            let wanted: Vec<_> = sent.iter().map(|(sku, quantity)| item(sku, *quantity)).collect();
            let part = part_of(&mut before.clone(), &wanted);
            consume(&mut reservation, &part);
            let after = held(&reservation);
            for (sku, quantity) in &before {
                let gone: i64 = part.iter().filter(|it| it.sku == *sku).map(|it| it.quantity).sum();
                prop_assert_eq!(after.get(sku).copied().unwrap_or_default() + gone, *quantity);
            }
            prop_assert!(reservation.items.iter().all(|it| it.quantity > 0));
            let is_empty = reservation.items.is_empty();
            prop_assert_eq!(reservation.state == ReservationState::Consumed, is_empty);
            hold_again(&mut reservation, &part);
            prop_assert_eq!(held(&reservation), before);
            prop_assert_eq!(reservation.state, ReservationState::Committed);
        }

        /// Sending, taking back and restocking leave what the movements say, and know what is away.
        #[test]
        fn what_is_away_is_what_was_sent_and_did_not_come_back(
            steps in prop::collection::vec((0..3_u8, "[AB]", 1..4_i64), 0..12),
        ) {
            let shop = Shop::new();
            let ctx = shop.ctx();
            let mut expected = BTreeMap::<String, i64>::new();
            for (step, sku, quantity) in steps {
                let gone = expected.get(&sku).copied().unwrap_or_default();
                let mut commit = ctx.commit();
                let pieces = [item(&sku, quantity)];
                match step {
                    0 => {
                        // Held by nobody's reservation, so it is taken and sent at once.
                        let operations: Vec<FieldOperation> =
                            vec![FieldOperation::increment("reserved", quantity), FieldOperation::increment("available", -quantity)];
                        commit.update(INVENTORY, &level_id(&sku), operations);
                        ship(&mut commit, &pieces, "N-1");
                        if commit.apply().is_ok() {
                            *expected.entry(sku).or_default() += quantity;
                        }
                    }
                    1 if gone >= quantity => {
                        restock(&mut commit, &pieces, "N-1");
                        commit.apply().unwrap();
                        *expected.entry(sku).or_default() -= quantity;
                    }
                    2 if gone >= quantity => {
                        unship(&mut commit, &pieces, "N-1");
                        give_back(&mut commit, &pieces);
                        commit.apply().unwrap();
                        *expected.entry(sku).or_default() -= quantity;
                    }
                    _ => {}
                }
                shop.check();
            }
            expected.retain(|_, quantity| *quantity > 0);
            prop_assert_eq!(away(&ctx, "N-1").unwrap(), expected);
            prop_assert!(away(&ctx, "N-2").unwrap().is_empty());
            prop_assert!(shop.ctx().find_one::<Value>(MOVEMENTS, Filter::eq("delta", 0)).unwrap().is_none());
        }
    }
}
