//! Parcels: packed, sent, delivered, or not after all.
//!
//! What a parcel takes from stock is what the order's reservation holds of it, so nothing is counted for SKUs that
//! nobody counts. What comes back by a cancelled parcel is reserved again, so that it can be sent again.

#[cfg(test)]
mod tests;

use plugin_sdk::{
    Context, FieldError, Problem, Refusal, Reply, Request, Result, StoreError, Stored, WriteRef, json,
};

use crate::{
    RESERVATIONS,
    document::{actor, record, save, visible, visible_with_part},
    ledger,
    model::{
        Fulfillment, FulfillmentInput, FulfillmentLine, FulfillmentState, OrderStatus, ReservedItem,
        ReturnStatus, ShipInput, StoredOrder, StoredReservation,
    },
    stock, transitions,
};

pub(crate) fn create(ctx: &Context<'_>, request: Request) -> Result<Reply> {
    let mut order = visible(ctx, request.param("id"))?;
    request.check_version(order.order.version)?;
    let input: FulfillmentInput = request.json()?;
    if !is_open(&order) {
        let status = ledger::name(order.order.status);
        return Err(Problem::conflict(format!(
            "The order is {status}: only confirmed ones and those in process are packed."
        )));
    }
    let parcel = Fulfillment {
        id: ctx.new_id("ful")?,
        order_id: order.order.id.clone(),
        status: FulfillmentState::Pending,
        lines: lines(&order, input.lines)?,
        carrier: input.carrier,
        tracking_number: input.tracking_number,
        created_at: ctx.now(),
        shipped_at: None,
        delivered_at: None,
    };
    order.order.fulfillments.push(parcel.clone());
    let mut commit = ctx.commit();
    let write = save(&mut commit, &mut order);
    let data = json!({"fulfillmentId": parcel.id});
    record(&mut commit, &order, "fulfillment.created", &actor(&request.caller), &data);
    commit.event_with("fulfillment.created", write, &parcel);
    let headers = vec![("location".to_owned(), format!("/orders/{}", order.order.id))];
    Ok(commit.answer_part(201, write, &parcel, headers)?)
}

pub(crate) fn ship(ctx: &Context<'_>, request: Request) -> Result<Reply> {
    let input: ShipInput = request.json()?;
    let (mut order, at) = parcel(ctx, &request, FulfillmentState::Shipped)?;
    let pieces = pieces(&order, &order.order.fulfillments[at].lines);
    let mut commit = ctx.commit();
    let mut taken = Vec::new();
    if let Some(mut reservation) = reservation(ctx, &order)? {
        let held = stock::part_of(&mut stock::held(&reservation.data), &pieces);
        taken = stock::ship(&mut commit, &held, &order.order.number);
        if !held.is_empty() {
            stock::consume(&mut reservation.data, &held);
            let write = commit.replace(RESERVATIONS, &reservation.id, &reservation.data);
            commit.expect_version(write, reservation.version);
        }
    }
    let parcel = &mut order.order.fulfillments[at];
    parcel.status = FulfillmentState::Shipped;
    parcel.shipped_at = Some(ctx.now());
    parcel.carrier = input.carrier.or(parcel.carrier.take());
    parcel.tracking_number = input.tracking_number.or(parcel.tracking_number.take());
    let parcel = parcel.clone();
    let from = order.order.status;
    order.order.status = OrderStatus::Processing;
    let write = save(&mut commit, &mut order);
    let actor = actor(&request.caller);
    if from != OrderStatus::Processing {
        transitions::announce(&mut commit, &order, from, write, &actor);
    }
    let data = json!({"fulfillmentId": parcel.id, "trackingNumber": parcel.tracking_number});
    record(&mut commit, &order, "fulfillment.shipped", &actor, &data);
    commit.event_with("fulfillment.shipped", write, &parcel);
    commit.answer_part(200, write, &parcel, Vec::new()).map_err(|error| missing(ctx, &taken, error))
}

pub(crate) fn deliver(ctx: &Context<'_>, request: Request) -> Result<Reply> {
    let (mut order, at) = parcel(ctx, &request, FulfillmentState::Delivered)?;
    let parcel = &mut order.order.fulfillments[at];
    parcel.status = FulfillmentState::Delivered;
    parcel.delivered_at = Some(ctx.now());
    let parcel = parcel.clone();
    let mut commit = ctx.commit();
    let write = save(&mut commit, &mut order);
    let data = json!({"fulfillmentId": parcel.id});
    record(&mut commit, &order, "fulfillment.delivered", &actor(&request.caller), &data);
    commit.event_with("fulfillment.delivered", write, &parcel);
    Ok(commit.answer_part(200, write, &parcel, Vec::new())?)
}

pub(crate) fn cancel(ctx: &Context<'_>, request: Request) -> Result<Reply> {
    let (mut order, at) = parcel(ctx, &request, FulfillmentState::Cancelled)?;
    let was_sent = order.order.fulfillments[at].status == FulfillmentState::Shipped;
    order.order.fulfillments[at].status = FulfillmentState::Cancelled;
    let parcel = order.order.fulfillments[at].clone();
    let mut commit = ctx.commit();
    if was_sent {
        check_returns(&order)?;
        take_back(ctx, &mut commit, &order, &parcel)?;
    }
    let write = save(&mut commit, &mut order);
    let data = json!({"fulfillmentId": parcel.id});
    record(&mut commit, &order, "fulfillment.cancelled", &actor(&request.caller), &data);
    commit.event_with("fulfillment.cancelled", write, &parcel);
    Ok(commit.answer_part(200, write, &parcel, Vec::new())?)
}

/// Whether parcels of it may be packed and sent.
fn is_open(order: &StoredOrder) -> bool {
    matches!(order.order.status, OrderStatus::Confirmed | OrderStatus::Processing)
}

/// The lines of a new parcel: those that were asked for, or all that is not packed.
fn lines(order: &StoredOrder, wanted: Vec<FulfillmentLine>) -> Result<Vec<FulfillmentLine>> {
    let packed = |item: &str| ledger::packed(&order.order.fulfillments, item);
    if wanted.is_empty() {
        let items = order.order.items.iter();
        let rest = items.map(|item| FulfillmentLine {
            item_id: item.id.clone(),
            quantity: item.quantity.saturating_sub(u32::try_from(packed(&item.id)).unwrap_or(u32::MAX)),
        });
        let rest: Vec<FulfillmentLine> = rest.filter(|line| line.quantity > 0).collect();
        return match rest.is_empty() {
            true => Err(Problem::validation(vec![FieldError::invalid("/lines", "Everything is packed.")])),
            false => Ok(rest),
        };
    }
    let asked = wanted.iter().map(|line| (line.item_id.as_str(), line.quantity));
    check_lines(order, asked, |item, ordered| {
        (ordered.saturating_sub(packed(item)), "are left to be packed")
    })?;
    Ok(wanted)
}

/// Checks that lines name items of the order and no more pieces than there are.
///
/// # Errors
/// 422 with a pointer to each line that does not fit; several of one item count together.
pub(crate) fn check_lines<'l>(
    order: &StoredOrder,
    lines: impl Iterator<Item = (&'l str, u32)>,
    most: impl Fn(&str, u64) -> (u64, &'static str),
) -> Result<()> {
    let mut errors = Vec::new();
    let mut asked = std::collections::BTreeMap::<&str, u64>::new();
    for (index, (id, quantity)) in lines.enumerate() {
        let Some(item) = order.order.items.iter().find(|item| item.id == id) else {
            let message = "The order has no such item.";
            errors.push(FieldError::invalid(format!("/lines/{index}/itemId"), message));
            continue;
        };
        let (most, what) = most(id, item.quantity.into());
        let asked = asked.entry(id).or_default();
        *asked += u64::from(quantity);
        if *asked > most {
            let message = format!("{most} pieces {what}.");
            errors.push(FieldError::invalid(format!("/lines/{index}/quantity"), message));
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(Problem::validation(errors)) }
}

/// The order and the place in it of the parcel that the request is about, if it can become that.
fn parcel(ctx: &Context<'_>, request: &Request, to: FulfillmentState) -> Result<(StoredOrder, usize)> {
    let id = request.param("id");
    let order = visible_with_part(ctx, "fulfillments.id", id)?;
    request.check_version(order.order.version)?;
    let found = order.order.fulfillments.iter().position(|parcel| parcel.id == id);
    let at = found.ok_or_else(Problem::not_found)?;
    let from = order.order.fulfillments[at].status;
    let allowed = allowed(&order, from);
    if allowed.contains(&to) {
        return Ok((order, at));
    }
    let detail = match (from, to) {
        (FulfillmentState::Pending, FulfillmentState::Shipped)
        | (FulfillmentState::Shipped, FulfillmentState::Cancelled) => {
            format!("The order is {}.", ledger::name(order.order.status))
        }
        _ => format!("A fulfilment that is {} cannot become {}.", name(from), name(to)),
    };
    Err(Problem::new(409, "invalid_transition")
        .detail(detail)
        .extra("from", name(from))
        .extra("to", name(to))
        .extra("allowed", json!(allowed)))
}

/// What a parcel can become. What is said of one that is on its way is true whatever the order is by now; it comes
/// back only to an order that can send it again, and otherwise by a return.
fn allowed(order: &StoredOrder, from: FulfillmentState) -> Vec<FulfillmentState> {
    use FulfillmentState::{Cancelled, Delivered, Pending, Shipped};
    let is_final =
        matches!(order.order.status, OrderStatus::Completed | OrderStatus::Cancelled | OrderStatus::Expired);
    match from {
        Pending if is_open(order) => vec![Shipped, Cancelled],
        Pending => vec![Cancelled],
        Shipped if is_final => vec![Delivered],
        Shipped => vec![Delivered, Cancelled],
        Delivered | Cancelled => Vec::new(),
    }
}

fn name(state: FulfillmentState) -> &'static str {
    match state {
        FulfillmentState::Pending => "pending",
        FulfillmentState::Shipped => "shipped",
        FulfillmentState::Delivered => "delivered",
        FulfillmentState::Cancelled => "cancelled",
    }
}

/// What is in a parcel's, or a return's, lines.
fn pieces(order: &StoredOrder, lines: &[FulfillmentLine]) -> Vec<ReservedItem> {
    of_items(order, lines.iter().map(|line| (line.item_id.as_str(), line.quantity)))
}

/// Pieces by SKU of lines that name items.
pub(crate) fn of_items<'l>(
    order: &StoredOrder,
    lines: impl Iterator<Item = (&'l str, u32)>,
) -> Vec<ReservedItem> {
    let sku = |id: &str| order.order.items.iter().find(|item| item.id == id).map(|item| item.sku.clone());
    lines
        .filter_map(|(id, quantity)| Some(ReservedItem { sku: sku(id)?, quantity: quantity.into() }))
        .collect()
}

fn reservation(ctx: &Context<'_>, order: &StoredOrder) -> Result<Option<Stored<StoredReservation>>> {
    Ok(ctx.get(RESERVATIONS, &order.reservation_id)?)
}

/// Puts what a parcel took from stock back and reserves it again.
fn take_back(
    ctx: &Context<'_>,
    commit: &mut plugin_sdk::Commit<'_>,
    order: &StoredOrder,
    parcel: &Fulfillment,
) -> Result<()> {
    let mut away = stock::away(ctx, &order.order.number)?;
    let back = stock::part_of(&mut away, &pieces(order, &parcel.lines));
    if let Some(mut reservation) = reservation(ctx, order)?.filter(|_| !back.is_empty()) {
        stock::unship(commit, &back, &order.order.number);
        stock::hold_again(&mut reservation.data, &back);
        let write = commit.replace(RESERVATIONS, &reservation.id, &reservation.data);
        commit.expect_version(write, reservation.version);
    }
    Ok(())
}

/// Refuses to take back what is being returned already.
fn check_returns(order: &StoredOrder) -> Result<()> {
    let fits = order
        .order
        .items
        .iter()
        .all(|item| returned(order, &item.id) <= ledger::sent(&order.order.fulfillments, &item.id));
    if fits { Ok(()) } else { Err(Problem::conflict("Pieces of the parcel are in a return.")) }
}

/// Pieces of an item that are in returns, but for rejected ones.
pub(crate) fn returned(order: &StoredOrder, item: &str) -> u64 {
    let returns = order.order.returns.iter().filter(|it| it.status != ReturnStatus::Rejected);
    let lines = returns.flat_map(|it| &it.lines).filter(|line| line.item_id == item);
    lines.map(|line| u64::from(line.quantity)).sum()
}

/// 409 `insufficient_stock` where pieces were refused for not being there.
fn missing(ctx: &Context<'_>, taken: &[(WriteRef, String, i64)], error: StoreError) -> Problem {
    let refused = match error.refusal() {
        Some((write, Refusal::Guard)) => taken.iter().find(|(taken, ..)| taken.position() == write),
        _ => None,
    };
    let Some((_, sku, quantity)) = refused else { return error.into() };
    let available = stock::on_hand(ctx, sku).unwrap_or_default();
    Problem::new(409, "insufficient_stock")
        .detail(format!("{quantity} of `{sku}` were to be sent and {available} are on hand."))
        .extra("items", json!([{"sku": sku, "requested": quantity, "available": available}]))
}
