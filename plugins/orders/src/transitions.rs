//! The ways from one status of an order to another: who may go them, when, and what they do to its stock and parcels.
//!
//! [`advance`] is the one place where an order's status is changed by somebody's will; `PUT` and `PATCH` go through it
//! too. Expiring is the reconciler's.

#[cfg(test)]
mod tests;

use plugin_sdk::{
    Caller, Commit, Context, FieldOperation, Problem, Reply, Request, Result, Value, WriteRef, json,
};
use serde::Deserialize;

use crate::{
    CARTS, RESERVATIONS,
    document::{actor, check_access, overlay, record, save, told, visible},
    ledger::{self, invalid_transition},
    model::{
        Actor, CartStatus, FulfillmentState, OrderStatus, ReservationState, StoredOrder, StoredReservation,
    },
    release::release,
};

pub(crate) fn confirm(ctx: &Context<'_>, request: Request) -> Result<Reply> {
    transition(ctx, &request, |_| OrderStatus::Confirmed)
}

pub(crate) fn process(ctx: &Context<'_>, request: Request) -> Result<Reply> {
    transition(ctx, &request, |_| OrderStatus::Processing)
}

pub(crate) fn complete(ctx: &Context<'_>, request: Request) -> Result<Reply> {
    transition(ctx, &request, |_| OrderStatus::Completed)
}

pub(crate) fn hold(ctx: &Context<'_>, request: Request) -> Result<Reply> {
    transition(ctx, &request, |_| OrderStatus::OnHold)
}

/// Back to what it was. An order that is not on hold is refused for the status that it would be given: its own.
pub(crate) fn unhold(ctx: &Context<'_>, request: Request) -> Result<Reply> {
    transition(ctx, &request, |order| order.held_from.unwrap_or(order.order.status))
}

pub(crate) fn cancel(ctx: &Context<'_>, request: Request) -> Result<Reply> {
    check_access(&request.caller, "orders:write")?;
    transition(ctx, &request, |_| OrderStatus::Cancelled)
}

fn transition(
    ctx: &Context<'_>,
    request: &Request,
    to: impl FnOnce(&StoredOrder) -> OrderStatus,
) -> Result<Reply> {
    let mut order = visible(ctx, request.param("id"))?;
    request.check_version(order.order.version)?;
    let to = to(&order);
    let (mut commit, from) = (ctx.commit(), order.order.status);
    advance(ctx, &mut commit, &mut order, to, &request.caller)?;
    let write = save(&mut commit, &mut order);
    announce(&mut commit, &order, from, write, &actor(&request.caller));
    Ok(commit.answer(200, write, overlay(&request.caller).as_ref(), Vec::new())?)
}

/// Leads an order to another status, with everything that belongs to it but saving it.
///
/// # Errors
/// 409 `invalid_transition`, or those of the store.
pub(crate) fn advance(
    ctx: &Context<'_>,
    commit: &mut Commit<'_>,
    order: &mut StoredOrder,
    to: OrderStatus,
    caller: &Caller,
) -> Result<()> {
    check(order, to, caller)?;
    let from = order.order.status;
    match to {
        OrderStatus::Confirmed if from == OrderStatus::Pending => {
            keep_stock(ctx, commit, order)?;
            close_cart(ctx, commit, order)?;
        }
        OrderStatus::Cancelled => {
            cancel_parcels(order);
            return release(ctx, commit, order, to);
        }
        _ => {}
    }
    order.held_from = (to == OrderStatus::OnHold).then_some(from);
    order.order.status = to;
    Ok(())
}

/// Tells the history and whoever listens that an order has another status than before.
pub(crate) fn announce(
    commit: &mut Commit<'_>,
    order: &StoredOrder,
    from: OrderStatus,
    write: WriteRef,
    actor: &Actor,
) {
    let (from, to) = (ledger::name(from), ledger::name(order.order.status));
    record(commit, order, "order.status_changed", actor, &json!({"from": from, "to": to}));
    let mut data = told(order);
    data["from"] = from.into();
    commit.event_with("order.status_changed", write, &data);
}

/// Refuses what the order or the caller keeps from happening, and says what could be done instead.
fn check(order: &StoredOrder, to: OrderStatus, caller: &Caller) -> Result<()> {
    let open: Vec<OrderStatus> = ledger::allowed(&order.order, order.held_from)
        .into_iter()
        .filter(|&to| obstacle(order, to, caller).is_none())
        .collect();
    if open.contains(&to) {
        return Ok(());
    }
    let problem = invalid_transition(order.order.status, to, &open);
    let ways = ledger::allowed(&order.order, order.held_from);
    if to == OrderStatus::Cancelled && !ways.is_empty() && !ways.contains(&to) {
        return Err(problem.detail("Something of it was sent; what comes back is a return."));
    }
    Err(match obstacle(order, to, caller).filter(|_| ways.contains(&to)) {
        Some(obstacle) => problem.detail(obstacle),
        None => problem,
    })
}

/// What keeps an order from a status that there is a way to.
fn obstacle(order: &StoredOrder, to: OrderStatus, caller: &Caller) -> Option<&'static str> {
    let from = order.order.status;
    let early = matches!(from, OrderStatus::Pending | OrderStatus::Confirmed);
    match to {
        OrderStatus::Expired => Some("Orders expire by themselves."),
        _ if to != OrderStatus::Cancelled && !caller.is_staff() => Some("That is the shop's to do."),
        OrderStatus::Confirmed if from == OrderStatus::Pending && !ledger::is_covered(&order.order) => {
            Some("What is authorised or promised does not cover the total.")
        }
        OrderStatus::Completed if !is_sent(order) => Some("Not everything is sent."),
        OrderStatus::Completed if order.order.totals.due.amount > 0 => Some("There is something to pay yet."),
        OrderStatus::Cancelled if !caller.is_staff() && !early => {
            Some("The shop is at work on the order; ask it to cancel.")
        }
        _ => None,
    }
}

fn is_sent(order: &StoredOrder) -> bool {
    let sent = |id: &str| ledger::sent(&order.order.fulfillments, id);
    order.order.items.iter().all(|item| sent(&item.id) >= u64::from(item.quantity))
}

/// What a confirmed order holds has no end.
fn keep_stock(ctx: &Context<'_>, commit: &mut Commit<'_>, order: &mut StoredOrder) -> Result<()> {
    order.expires_at = None;
    if let Some(mut reservation) = ctx.get::<StoredReservation>(RESERVATIONS, &order.reservation_id)? {
        if reservation.data.state != ReservationState::Held {
            return Err(Problem::conflict("The order holds no stock any more."));
        }
        reservation.data.state = ReservationState::Committed;
        reservation.data.expires_at = None;
        let write = commit.replace(RESERVATIONS, &reservation.id, &reservation.data);
        commit.expect_version(write, reservation.version);
    }
    Ok(())
}

/// The cart that waited for the order is done.
fn close_cart(ctx: &Context<'_>, commit: &mut Commit<'_>, order: &StoredOrder) -> Result<()> {
    #[derive(Deserialize)]
    struct Waiting {
        status: CartStatus,
    }
    let Some(id) = &order.order.cart_id else { return Ok(()) };
    let cart = ctx.get::<Waiting>(CARTS, id)?.filter(|cart| cart.data.status == CartStatus::Completing);
    if let Some(cart) = cart {
        let operations = vec![
            FieldOperation::set("status", json!(CartStatus::Ordered)),
            FieldOperation::set("_activeOf", Value::Null),
        ];
        let write = commit.update(CARTS, id, operations);
        commit.expect_version(write, cart.version);
    }
    Ok(())
}

fn cancel_parcels(order: &mut StoredOrder) {
    let parcels = order.order.fulfillments.iter_mut();
    for parcel in parcels.filter(|it| it.status == FulfillmentState::Pending) {
        parcel.status = FulfillmentState::Cancelled;
    }
}
