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
            vec![increment("reserved", wanted.quantity), increment("available", -wanted.quantity)],
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
            vec![increment("reserved", -quantity), increment("available", quantity)],
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
            vec![increment("onHand", -quantity), increment("reserved", -quantity)],
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
            vec![increment("onHand", quantity), increment("reserved", quantity)],
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
            vec![increment("onHand", quantity), increment("available", quantity)],
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
    let ids: Vec<String> = demand.keys().map(|sku| level_id(sku)).collect();
    let levels = ctx.get_many::<Counted>(INVENTORY, &ids)?;
    let mut short = Vec::new();
    for ((sku, wanted), level) in demand.iter().zip(levels) {
        let available = level.map_or(0, |level| level.data.available);
        if available < wanted.quantity && !wanted.backorder {
            let available = available.max(0);
            short.push(json!({"sku": sku, "requested": wanted.quantity, "available": available}));
        }
    }
    if short.is_empty() {
        return Ok(None);
    }
    let detail = "There is not enough of everything in stock.";
    Ok(Some(Problem::new(409, "insufficient_stock").detail(detail).extra("items", short)))
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

/// The reservations of these SKUs whose time is over and which still hold stock, the oldest first.
///
/// # Errors
/// Those of the store.
pub fn expired_of<'s>(
    ctx: &Context<'_>,
    skus: impl Iterator<Item = &'s str>,
) -> Result<Vec<Stored<StoredReservation>>, StoreError> {
    let skus = skus.map(|sku| sku.to_owned().into()).collect();
    let query = Query {
        filter: Filter::And(vec![
            Filter::eq("state", "held"),
            Filter::Lte("expiresAt".to_owned(), ctx.now().into()),
            Filter::In("items.sku".to_owned(), skus),
        ]),
        sort: vec![SortKey::ascending("expiresAt")],
        limit: 50,
        ..Query::default()
    };
    Ok(ctx.find(RESERVATIONS, &query)?.items)
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
    let reservations = expired_of(ctx, skus.into_iter())?;
    let items: Vec<ReservedItem> = reservations.into_iter().flat_map(|it| it.data.items).collect();
    Ok(summed(&items))
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

fn increment(path: &str, by: i64) -> FieldOperation {
    FieldOperation::Increment { path: path.to_owned(), by }
}
