//! What an order that is given up gives back.

use plugin_sdk::{Commit, Context, FieldOperation, Result, Value, json};
use serde::Deserialize;

use crate::{
    CARTS, RESERVATIONS,
    coupons::uses,
    model::{CartStatus, OrderStatus, ReservationState, StoredOrder, StoredReservation},
    stock, transactions,
};

/// Makes an order cancelled or expired, and adds the writes that give back what it holds: stock, uses of coupons, and a
/// cart that waits for it. Money is given back by transactions that are planned here and sent by the reconciler within
/// seconds: what is authorised is voided, what is captured refunded. Of what is not known yet, the outcome is awaited.
///
/// The caller saves the order in the same commit and tells the history. A commit that is refused with
/// [`is_retryable`](crate::settlement::is_retryable) is to be made again from a fresh read.
///
/// # Errors
/// Those of the store.
pub(crate) fn release(
    ctx: &Context<'_>,
    commit: &mut Commit<'_>,
    order: &mut StoredOrder,
    to: OrderStatus,
) -> Result<()> {
    release_stock(ctx, commit, &order.reservation_id)?;
    uses::give_back(ctx, commit, &order.counted)?;
    release_cart(ctx, commit, order)?;
    order.order.status = to;
    order.held_from = None;
    order.expires_at = None;
    transactions::unwind(ctx, order);
    Ok(())
}

fn release_stock(ctx: &Context<'_>, commit: &mut Commit<'_>, id: &str) -> Result<()> {
    let Some(held) = ctx.get::<StoredReservation>(RESERVATIONS, id)? else { return Ok(()) };
    if matches!(held.data.state, ReservationState::Held | ReservationState::Committed) {
        release_reservation(commit, id, held.version, &held.data);
    }
    Ok(())
}

/// Adds the writes that end a reservation, as it was read, and give back its stock.
pub(crate) fn release_reservation(
    commit: &mut Commit<'_>,
    id: &str,
    version: u64,
    reservation: &StoredReservation,
) {
    let released =
        StoredReservation { state: ReservationState::Released, expires_at: None, ..reservation.clone() };
    let write = commit.replace(RESERVATIONS, id, &released);
    commit.expect_version(write, version);
    stock::give_back(commit, &reservation.items);
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClaimedCart {
    status: CartStatus,
    order_id: Option<String>,
}

fn release_cart(ctx: &Context<'_>, commit: &mut Commit<'_>, order: &StoredOrder) -> Result<()> {
    let Some(id) = &order.order.cart_id else { return Ok(()) };
    let Some(cart) = ctx.get::<ClaimedCart>(CARTS, id)? else { return Ok(()) };
    let waits = cart.data.status == CartStatus::Completing;
    if waits && cart.data.order_id.as_deref() == Some(order.order.id.as_str()) {
        let operations = vec![
            FieldOperation::set("status", json!(CartStatus::Active)),
            FieldOperation::set("orderId", Value::Null),
        ];
        let write = commit.update(CARTS, id, operations);
        commit.expect_version(write, cart.version);
    }
    Ok(())
}
