//! Reading and saving the order as one document.

use plugin_sdk::{Caller, Commit, Context, Filter, Problem, Result, Value, WriteRef, json};

use crate::{
    HISTORY, ORDERS, ledger,
    model::{Actor, HistoryEntry, Payment, StoredHistoryEntry, StoredOrder, TransactionState},
};

/// The order with this id, if the caller may see it.
///
/// # Errors
/// 404, or those of the store.
pub(crate) fn read(ctx: &Context<'_>, id: &str) -> Result<StoredOrder> {
    let stored = ctx.get::<StoredOrder>(ORDERS, id)?.ok_or_else(Problem::not_found)?;
    Ok(stored.data)
}

/// The order that has a part with this id: `payments.id`, `fulfillments.id` or `returns.id`.
///
/// # Errors
/// 404, or those of the store.
pub(crate) fn with_part(ctx: &Context<'_>, path: &str, id: &str) -> Result<StoredOrder> {
    let stored = ctx.find_one::<StoredOrder>(ORDERS, Filter::eq(path, id))?.ok_or_else(Problem::not_found)?;
    Ok(stored.data)
}

/// Like [`read`], but not the orders that the staff has deleted.
///
/// # Errors
/// 404, or those of the store.
pub(crate) fn visible(ctx: &Context<'_>, id: &str) -> Result<StoredOrder> {
    present(read(ctx, id)?)
}

/// Like [`with_part`], but not of orders that the staff has deleted.
///
/// # Errors
/// 404, or those of the store.
pub(crate) fn visible_with_part(ctx: &Context<'_>, path: &str, id: &str) -> Result<StoredOrder> {
    present(with_part(ctx, path, id)?)
}

fn present(order: StoredOrder) -> Result<StoredOrder> {
    if order.hidden { Err(Problem::not_found()) } else { Ok(order) }
}

/// Adds the write that saves a changed order, with everything that follows from its parts, and answers it. It applies
/// only to the version that was read.
pub(crate) fn save(commit: &mut Commit<'_>, order: &mut StoredOrder) -> WriteRef {
    settle(order);
    let write = commit.replace(ORDERS, &order.order.id, order);
    commit.expect_version(write, order.order.version);
    write
}

/// Brings up to date what follows from the rest: sums, statuses, and when the order is due.
pub(crate) fn settle(order: &mut StoredOrder) {
    ledger::derive(&mut order.order);
    let open: Vec<String> = order
        .order
        .payments
        .iter()
        .flat_map(|payment| &payment.transactions)
        .filter(|it| matches!(it.state, TransactionState::Pending | TransactionState::Unknown))
        .map(|it| it.id.clone())
        .collect();
    order.operations.retain(|id, _| open.contains(id));
    order.references = references(&order.order.payments);
    let asked = order.operations.values().map(|operation| operation.due_at.clone()).min();
    order.due_at = [asked, order.expires_at.clone()].into_iter().flatten().min();
}

/// What providers call these payments, as [`reference`] writes it.
fn references(payments: &[Payment]) -> Vec<String> {
    let mut references = Vec::new();
    for payment in payments {
        for known in payment.transactions.iter().filter_map(|it| it.provider_reference.as_ref()) {
            let text = reference(&payment.provider, known);
            if !references.contains(&text) {
                references.push(text);
            }
        }
    }
    references
}

/// What a provider calls a payment, and which provider: they do not know of each other.
pub(crate) fn reference(provider: &str, reference: &str) -> String {
    format!("{provider} {reference}")
}

/// Adds an entry to the order's history: what led to its next version.
pub(crate) fn record(
    commit: &mut Commit<'_>,
    order: &StoredOrder,
    kind: &str,
    actor: &Actor,
    data: &Value,
) -> WriteRef {
    record_for(commit, order, kind, actor, data, order.owners.clone())
}

/// Adds an entry that only the staff is shown: it belongs to nobody.
pub(crate) fn record_for_staff(
    commit: &mut Commit<'_>,
    order: &StoredOrder,
    kind: &str,
    actor: &Actor,
    data: &Value,
) -> WriteRef {
    record_for(commit, order, kind, actor, data, Vec::new())
}

fn record_for(
    commit: &mut Commit<'_>,
    order: &StoredOrder,
    kind: &str,
    actor: &Actor,
    data: &Value,
    owners: Vec<String>,
) -> WriteRef {
    let entry = StoredHistoryEntry {
        entry: HistoryEntry {
            id: String::new(),
            version: 0,
            created_at: String::new(),
            updated_at: String::new(),
            order_id: order.order.id.clone(),
            order_version: order.order.version + 1,
            kind: kind.to_owned(),
            actor: actor.clone(),
            data: data.as_object().cloned().unwrap_or_default(),
        },
        owners,
    };
    commit.insert(HISTORY, &entry)
}

/// What events tell of an order: nothing that is for the staff alone, because its customer hears them too.
pub(crate) fn told(order: &StoredOrder) -> Value {
    let order = &order.order;
    json!({
        "id": order.id,
        "number": order.number,
        "customerId": order.customer_id,
        "status": order.status,
        "paymentStatus": order.payment_status,
        "fulfillmentStatus": order.fulfillment_status,
        "currency": order.currency,
        "totals": order.totals,
    })
}

/// What this caller is shown in the place of members that are for the staff alone: the overlay of an answer.
pub(crate) fn overlay(caller: &Caller) -> Option<Value> {
    (!caller.is_staff()).then(|| json!({"notes": ""}))
}

/// Lets customers and guests pass, whom the host restricts to their own, and staff with this permission: for routes
/// that are open to guests, where the host lets everybody in.
///
/// # Errors
/// 403 `forbidden`.
pub(crate) fn check_access(caller: &Caller, permission: &str) -> Result<()> {
    if caller.is_staff() && !caller.may(permission) {
        let detail = "The caller does not have the permission this needs.";
        return Err(Problem::new(403, "forbidden").detail(detail));
    }
    Ok(())
}

/// Who calls, for the history.
pub(crate) fn actor(caller: &Caller) -> Actor {
    Actor { kind: caller.kind.clone(), id: caller.subject.clone() }
}
