//! Transactions: movements of money, written down before the provider is asked, and due until it is known what became of
//! them.

use plugin_sdk::{
    Context, Level, Money, natural_id,
    payment::{Kind, Operation},
    time::timestamp,
};

use crate::{
    Config, imports,
    ledger::{self, Sums},
    model::{
        OrderStatus, Payment, PendingOperation, StoredOrder, Transaction, TransactionState, TransactionType,
    },
};

/// Longest time between two questions about one movement of money.
const PAUSE_MAX_MS: i64 = 3_600_000;
/// After what time without the customer an attempt to pay is given up.
const ABANDONED_MS: i64 = 24 * 3_600_000;

/// Plans to give back the money of an order that is cancelled or expired. What was planned before is not planned again,
/// also if it failed: then somebody has to look. Money that came offline is nobody's here to send.
pub(crate) fn unwind(ctx: &Context<'_>, order: &mut StoredOrder) {
    for index in 0..order.order.payments.len() {
        let payment = &order.order.payments[index];
        // Nobody here has that money.
        if imports::is_imported(&order.order.id, &payment.id) {
            continue;
        }
        let sums = Sums::of(payment);
        let (id, is_offline) = (payment.id.clone(), payment.offline);
        let void = ledger::voidable(payment);
        if void > 0 {
            let key = format!("{id} void {} {}", sums.authorized, sums.captured);
            plan(ctx, order, index, TransactionType::Void, void, &key);
        }
        if sums.refundable() > 0 && sums.capturing == 0 {
            if is_offline {
                // It came by another way and goes back by another: who sends it says so with a refund.
                let fields = [("order.id", order.order.id.as_str()), ("payment.id", id.as_str())];
                ctx.log(
                    Level::Warn,
                    "An order that was paid offline is given up; its money is to be sent back",
                    &fields,
                );
                continue;
            }
            let key = format!("{id} refund {} {}", sums.captured, sums.refunded + sums.refunding);
            plan(ctx, order, index, TransactionType::Refund, sums.refundable(), &key);
        }
    }
}

/// Plans to give up the attempts to pay for a confirmed order that have waited for the customer for a day. Those of a
/// pending order end with its reservation, and what the provider has yet to tell is waited for.
pub(crate) fn abandon(ctx: &Context<'_>, order: &mut StoredOrder) {
    let long_ago = timestamp(ctx.now_ms() - ABANDONED_MS);
    for index in 0..order.order.payments.len() {
        let payment = &order.order.payments[index];
        let begun = payment.created_at.clone();
        let waits = payment.next_action.is_some() && !payment.offline && begun <= long_ago;
        if waits && order.order.status != OrderStatus::Pending {
            let void = ledger::voidable(payment);
            let key = format!("{} void abandoned", payment.id);
            if void > 0 {
                plan(ctx, order, index, TransactionType::Void, void, &key);
            }
        }
    }
}

/// Writes down a movement that the reconciler sends at once.
fn plan(
    ctx: &Context<'_>,
    order: &mut StoredOrder,
    payment: usize,
    kind: TransactionType,
    amount: i64,
    key: &str,
) {
    let id = natural_id("txn", key);
    if position(order, &id).is_none() {
        append(ctx, order, payment, kind, amount, &id);
        if let Some(operation) = order.operations.get_mut(&id) {
            operation.attempts = 0;
            operation.due_at = ctx.now();
        }
    }
}

/// Writes down a movement of a payment that is going to be sent now, and that is asked about if its outcome never comes.
pub(crate) fn append(
    ctx: &Context<'_>,
    order: &mut StoredOrder,
    payment: usize,
    kind: TransactionType,
    amount: i64,
    id: &str,
) {
    let config: Config = ctx.config();
    let currency = order.order.currency.clone();
    let paid = &mut order.order.payments[payment];
    let reference = reference_of(paid);
    paid.transactions.push(Transaction {
        id: id.to_owned(),
        kind,
        state: TransactionState::Pending,
        amount: Money::new(amount, currency),
        provider_reference: reference.clone(),
        reason: None,
        // What an order that is given up gives back is not owed again.
        credit: kind == TransactionType::Refund,
        plugin: None,
        at: ctx.now(),
    });
    let operation = PendingOperation {
        payment_id: paid.id.clone(),
        idempotency_key: id.to_owned(),
        token: None,
        reference,
        attempts: 1,
        due_at: timestamp(ctx.now_ms() + config.outcome_seconds * 1_000),
    };
    order.operations.insert(id.to_owned(), operation);
}

/// What the provider calls the payment.
fn reference_of(payment: &Payment) -> Option<String> {
    let authorizations = payment.transactions.iter().filter(|it| it.kind == TransactionType::Authorization);
    authorizations.rev().find_map(|it| it.provider_reference.clone())
}

/// The operation of an open transaction as the provider is asked for it: always the same.
pub(crate) fn operation(order: &StoredOrder, transaction: &str) -> Option<(String, Kind, Operation)> {
    let (payment, it) = ledger::transaction(&order.order, transaction)?;
    let pending = order.operations.get(transaction)?;
    let kind = match it.kind {
        TransactionType::Authorization => Kind::Authorization,
        TransactionType::Capture => Kind::Capture,
        TransactionType::Refund => Kind::Refund,
        TransactionType::Void => Kind::Void,
    };
    let operation = Operation {
        order_id: order.order.id.clone(),
        payment_id: payment.id.clone(),
        reference: pending.reference.clone(),
        amount: it.amount.clone(),
        token: pending.token.clone(),
        idempotency_key: pending.idempotency_key.clone(),
    };
    Some((payment.provider.clone(), kind, operation))
}

/// Where the transaction is: its payment's position and its own.
pub(crate) fn position(order: &StoredOrder, transaction: &str) -> Option<(usize, usize)> {
    order.order.payments.iter().enumerate().find_map(|(payment, paid)| {
        let at = paid.transactions.iter().position(|it| it.id == transaction)?;
        Some((payment, at))
    })
}

/// Waits twice as long as the last time before the provider is asked again, and a little longer, so that what fell due
/// together does not stay together.
pub(crate) fn postpone(operation: &mut PendingOperation, transaction: &str, now_ms: i64, config: &Config) {
    let doublings = operation.attempts.saturating_sub(1).min(12);
    operation.attempts = operation.attempts.saturating_add(1);
    let pause = (config.outcome_seconds * 1_000).saturating_mul(1 << doublings).min(PAUSE_MAX_MS);
    let spread = natural_id("tx", &format!("{transaction} {}", operation.attempts));
    let spread =
        spread.bytes().rev().take(4).map(|byte| i64::from(byte) & 31).fold(0, |sum, it| sum * 32 + it);
    operation.due_at = timestamp(now_ms + pause + pause / 4 * (spread % 1_024) / 1_024);
}

/// The open transactions.
pub(crate) fn open(order: &StoredOrder) -> Vec<String> {
    order.operations.keys().cloned().collect()
}

/// Has the reconciler look after an open transaction at once.
pub(crate) fn hurry(ctx: &Context<'_>, order: &mut StoredOrder, transaction: &str) {
    if let Some(operation) = order.operations.get_mut(transaction) {
        operation.due_at = ctx.now();
    }
}

/// The open transactions that somebody has to look after by now.
pub(crate) fn due(order: &StoredOrder, now: &str) -> Vec<String> {
    let due = order.operations.iter().filter(|(_, operation)| operation.due_at.as_str() <= now);
    due.map(|(id, _)| id.clone()).collect()
}
