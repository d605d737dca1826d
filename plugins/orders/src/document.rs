//! Reading and saving the order as one document.

use plugin_sdk::{Caller, Commit, Context, Filter, Problem, Result, StoreError, Value, WriteRef, json};

use crate::{
    HISTORY, ORDERS, ledger,
    model::{Actor, HistoryEntry, StoredHistoryEntry, StoredOrder, TransactionState},
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
    let asked = order.operations.values().map(|operation| operation.due_at.clone()).min();
    order.due_at = [asked, order.expires_at.clone()].into_iter().flatten().min();
}

/// Adds an entry to the order's history: what led to its next version.
pub(crate) fn record(
    commit: &mut Commit<'_>,
    order: &StoredOrder,
    kind: &str,
    actor: &Actor,
    data: &Value,
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
        owners: order.owners.clone(),
    };
    commit.insert(HISTORY, &entry)
}

/// Who calls, for the history.
pub(crate) fn actor(caller: &Caller) -> Actor {
    Actor { kind: caller.kind.clone(), id: caller.subject.clone() }
}

/// The order as clients see it, for answers that are not the result of a commit.
pub(crate) fn shown(order: &StoredOrder) -> Value {
    let mut value = crate::model::shown(&order.order);
    for (name, member) in [
        ("id", json!(order.order.id)),
        ("version", json!(order.order.version)),
        ("createdAt", json!(order.order.created_at)),
        ("updatedAt", json!(order.order.updated_at)),
    ] {
        value[name] = member;
    }
    value
}

/// Whether a commit was refused because somebody else changed the order first.
pub(crate) fn is_stale(error: &StoreError) -> bool {
    matches!(error.refusal(), Some((_, plugin_sdk::Refusal::Version { .. })))
}
