//! What becomes of an order by what a provider says, and by being given up.
//!
//! Everything that hangs on an order moves in one commit with it: stock, coupons, the cart, and money that is still to be
//! given back. Whoever learns what became of a movement of money (the request that made it, a webhook, the reconciler)
//! takes it in here, so it makes no difference who learns it first, or how often.

use plugin_sdk::{
    Commit, Context, FieldOperation, Filter, Level, Problem, Refusal, Result, StoreError, Value, WriteRef,
    json, keys, natural_id,
    payment::{Outcome, PaymentError, State},
};

use crate::{
    CARTS, Config, RESERVATIONS, document, ledger,
    model::{
        Actor, CartStatus, NextAction, OrderStatus, Payment, ReservationState, StoredOrder, Transaction,
        TransactionState, TransactionType,
    },
    release::release,
    transactions,
};

/// Most times that a change of an order is tried after others were faster.
const TRIES_MAX: usize = 16;

/// A change of an order on its way to the store: the writes beside the order's own, and what its history will say.
pub(crate) struct Work<'c, 'h> {
    pub(crate) ctx: &'c Context<'h>,
    pub(crate) commit: Commit<'h>,
    actor: Actor,
    notes: Vec<(&'static str, Value)>,
    seen: Seen,
    reservation: Option<WriteRef>,
    cart: Option<WriteRef>,
}

/// What refused attempts have shown.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    /// Somebody who needed the stock has let the reservation go: its time was over.
    lapsed: bool,
    /// The cart is not there any more, or not this order's.
    no_cart: bool,
}

impl Work<'_, '_> {
    /// Tells the history, and who listens.
    pub(crate) fn note(&mut self, kind: &'static str, data: Value) {
        self.notes.push((kind, data));
    }
}

/// Changes the order with this id, as often as others are faster. `act` changes it and answers whether there is anything
/// to save; `end` applies the commit, in which the order is the given write. `None`: there was nothing.
///
/// # Errors
/// 404, those of `act`, or those of the store.
pub(crate) fn change<T>(
    ctx: &Context<'_>,
    actor: &Actor,
    id: &str,
    mut first: Option<StoredOrder>,
    mut act: impl FnMut(&mut Work<'_, '_>, &mut StoredOrder) -> Result<bool>,
    mut end: impl FnMut(Commit<'_>, WriteRef, &StoredOrder) -> Result<T, StoreError>,
) -> Result<Option<T>> {
    let mut seen = Seen::default();
    for _ in 0..TRIES_MAX {
        let mut order = match first.take() {
            Some(order) => order,
            None => document::read(ctx, id)?,
        };
        let actor = actor.clone();
        let mut work =
            Work { ctx, commit: ctx.commit(), actor, notes: Vec::new(), seen, reservation: None, cart: None };
        if !act(&mut work, &mut order)? {
            return Ok(None);
        }
        let Work { mut commit, actor, notes, reservation, cart, .. } = work;
        let written = document::save(&mut commit, &mut order);
        for (kind, data) in notes {
            document::record(&mut commit, &order, kind, &actor, &data);
            announce(&mut commit, &order, kind, written, &data);
        }
        let error = match end(commit, written, &order) {
            Ok(done) => return Ok(Some(done)),
            Err(error) => error,
        };
        let refused = |write: Option<WriteRef>| matches!((error.refusal(), write), (Some((at, _)), Some(write)) if at == write.position());
        if refused(reservation) {
            seen.lapsed = true;
        } else if refused(cart) {
            seen.no_cart = true;
        } else if !is_retryable(&error) {
            return Err(error.into());
        }
    }
    Err(Problem::conflict("Others keep changing this order. Try again in a moment."))
}

/// Tells who listens: what everybody who may see the order may know of it, and what this is about.
pub(crate) fn announce(
    commit: &mut Commit<'_>,
    order: &StoredOrder,
    kind: &str,
    written: WriteRef,
    about: &Value,
) {
    let mut data = document::told(order);
    if let (Some(members), Some(about)) = (data.as_object_mut(), about.as_object()) {
        members.extend(about.clone());
    }
    commit.event_with(kind, written, &data);
}

/// Whether a commit was refused because something has changed since it was read.
pub(crate) fn is_retryable(error: &StoreError) -> bool {
    matches!(
        error.refusal(),
        Some((_, Refusal::Version { .. } | Refusal::Guard | Refusal::NotFound | Refusal::AlreadyExists))
    )
}

/// Who says something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// The provider, to the call that was to move the money, or by a webhook.
    Provider,
    /// The provider, asked what became of it. That it cannot be asked says nothing.
    Status,
}

/// Takes in what is known of a transaction, and lets the order follow. Answers whether anything has changed.
///
/// What has succeeded stays so. What has failed may succeed yet: a request can arrive after everybody gave it up.
///
/// # Errors
/// Those of the store.
pub(crate) fn take_in(
    work: &mut Work<'_, '_>,
    order: &mut StoredOrder,
    transaction: &str,
    answer: &Result<Outcome, PaymentError>,
    source: Source,
) -> Result<bool> {
    let now = work.ctx.now();
    let config: Config = work.ctx.config();
    let answer = &believed(answer);
    let Some((payment, position)) = transactions::position(order, transaction) else { return Ok(false) };
    let (kind, before) = {
        let it = &order.order.payments[payment].transactions[position];
        (it.kind, it.state)
    };
    let after = match answer {
        Ok(outcome) => match outcome.state {
            State::Succeeded => TransactionState::Succeeded,
            State::Failed => TransactionState::Failed,
            State::Pending | State::RequiresAction | State::Offline => TransactionState::Pending,
        },
        Err(PaymentError::Declined(_)) => TransactionState::Failed,
        Err(PaymentError::Unknown(_) | PaymentError::Invalid(_)) if source == Source::Status => before,
        Err(PaymentError::Unknown(_)) => TransactionState::Unknown,
        Err(PaymentError::Invalid(_)) => TransactionState::Failed,
    };
    let is_final = match before {
        TransactionState::Succeeded => true,
        TransactionState::Failed => after != TransactionState::Succeeded,
        TransactionState::Pending | TransactionState::Unknown => false,
    };
    if is_final {
        return Ok(false);
    }
    let paid = &mut order.order.payments[payment];
    let it = &mut paid.transactions[position];
    let known = it.clone();
    it.state = after;
    it.reason = match answer {
        Ok(outcome) => outcome.code.clone(),
        Err(PaymentError::Declined(why) | PaymentError::Unknown(why)) => Some(why.clone()),
        Err(PaymentError::Invalid(problem)) => Some(problem.code.clone()),
    };
    if source == Source::Status && before == after && answer.is_err() {
        it.reason.clone_from(&known.reason);
    }
    let mut is_offline = false;
    let mut is_captured = false;
    let action = paid.next_action.clone();
    if let Ok(outcome) = answer {
        if let Some(source) = &outcome.source {
            it.plugin = Some(source.into());
        }
        if !outcome.reference.is_empty() {
            it.provider_reference = Some(outcome.reference.clone());
        }
        if kind == TransactionType::Authorization {
            is_offline = outcome.state == State::Offline;
            is_captured = outcome.captured && after == TransactionState::Succeeded;
            paid.offline = is_offline;
        }
    }
    if kind == TransactionType::Authorization {
        paid.next_action = match answer {
            Ok(outcome) => outcome.next_action.clone().map(NextAction),
            Err(_) if after == TransactionState::Failed => None,
            Err(_) => action.clone(),
        };
    }
    let it = paid.transactions[position].clone();
    let has_changed = it != known || paid.next_action != action;
    if is_captured {
        capture_at_once(order, payment, &it, &now);
    }
    if kind == TransactionType::Void && after == TransactionState::Succeeded {
        give_up(&mut order.order.payments[payment]);
    }
    let is_open = matches!(after, TransactionState::Pending | TransactionState::Unknown);
    if is_offline || !is_open {
        // Nobody is asked about money that comes by another way.
        order.operations.remove(transaction);
    } else if let Some(operation) = order.operations.get_mut(transaction) {
        transactions::postpone(operation, transaction, work.ctx.now_ms(), &config);
        operation.reference.clone_from(&it.provider_reference);
    }
    let gives_back = matches!(kind, TransactionType::Void | TransactionType::Refund);
    if gives_back && after == TransactionState::Failed && is_given_up(order) {
        let fields = [("order.id", order.order.id.as_str()), ("transaction.id", transaction)];
        let message = "The money of an order that was given up could not be given back";
        work.ctx.log(Level::Error, message, &fields);
    }
    if has_changed {
        let payment_id = order.order.payments[payment].id.clone();
        note_transaction(work, &payment_id, &it, answer);
        if is_captured {
            let data = json!({"paymentId": payment_id, "amount": it.amount, "with": it.id});
            work.note("payment.captured", data);
        }
    }
    follow(work, order)?;
    Ok(has_changed)
}

/// Longest text of a provider's that is kept, in bytes.
const TEXT_MAX: usize = 255;
/// Longest JSON of what a customer has to do, in bytes.
const ACTION_MAX: usize = 16_384;

/// What can be made of an answer: providers are not trusted to make sense. Money may have moved behind one that makes
/// none.
fn believed(answer: &Result<Outcome, PaymentError>) -> Result<Outcome, PaymentError> {
    let clipped = |text: &str| -> String {
        let text = text.replace('\0', " ");
        text[..text.floor_char_boundary(TEXT_MAX)].to_owned()
    };
    match answer {
        Ok(outcome) => {
            let action = outcome.next_action.as_ref().filter(|action| is_storable(action));
            let lacks_action = outcome.state == State::RequiresAction && action.is_none();
            let reference = &outcome.reference;
            if lacks_action || reference.len() > TEXT_MAX || reference.contains('\0') {
                return Err(PaymentError::Unknown("the provider's answer makes no sense".to_owned()));
            }
            let code = outcome.code.as_deref().map(clipped);
            Ok(Outcome { next_action: action.cloned(), code, ..outcome.clone() })
        }
        Err(PaymentError::Declined(why)) => Err(PaymentError::Declined(clipped(why))),
        Err(PaymentError::Unknown(why)) => Err(PaymentError::Unknown(clipped(why))),
        Err(PaymentError::Invalid(problem)) => Err(PaymentError::Invalid(problem.clone())),
    }
}

/// Whether the store can keep it.
pub(crate) fn is_storable(action: &Value) -> bool {
    let mut faults = Vec::new();
    match action.as_object() {
        Some(members) => keys::check("", members, &mut faults),
        None => return false,
    }
    faults.is_empty() && action.to_string().len() <= ACTION_MAX
}

fn note_transaction(
    work: &mut Work<'_, '_>,
    payment: &str,
    it: &Transaction,
    answer: &Result<Outcome, PaymentError>,
) {
    let waits_for_customer = matches!(answer, Ok(Outcome { state: State::RequiresAction, .. }));
    let kind = match (it.state, it.kind) {
        (TransactionState::Succeeded, TransactionType::Authorization) => "payment.authorized",
        (TransactionState::Succeeded, TransactionType::Capture) => "payment.captured",
        (TransactionState::Succeeded, TransactionType::Refund) => "payment.refunded",
        (TransactionState::Succeeded, TransactionType::Void) => "payment.voided",
        (TransactionState::Failed, _) => "payment.failed",
        (TransactionState::Unknown, _) => "payment.unknown",
        (TransactionState::Pending, _) if waits_for_customer => "payment.requires_action",
        (TransactionState::Pending, _) => "payment.pending",
    };
    let data = json!({
        "paymentId": payment,
        "transactionId": it.id,
        "transactionType": it.kind,
        "amount": it.amount,
        "reason": it.reason,
    });
    work.note(kind, data);
}

/// An authorization that has already moved the money.
fn capture_at_once(order: &mut StoredOrder, payment: usize, authorization: &Transaction, now: &str) {
    let paid = &mut order.order.payments[payment];
    let id = natural_id("txn", &format!("{} captured", authorization.id));
    if paid.transactions.iter().any(|it| it.id == id) {
        return;
    }
    paid.transactions.push(Transaction {
        id,
        kind: TransactionType::Capture,
        at: now.to_owned(),
        ..authorization.clone()
    });
}

/// After a void, what was waiting to be authorised cannot be any more.
fn give_up(payment: &mut Payment) {
    payment.next_action = None;
    for it in &mut payment.transactions {
        let is_open = matches!(it.state, TransactionState::Pending | TransactionState::Unknown);
        if it.kind == TransactionType::Authorization && is_open {
            it.state = TransactionState::Failed;
            it.reason = Some("voided".to_owned());
        }
    }
}

/// What the order does about its transactions.
fn follow(work: &mut Work<'_, '_>, order: &mut StoredOrder) -> Result<()> {
    match order.order.status {
        OrderStatus::Pending if ledger::is_covered(&order.order) => {
            if work.seen.lapsed {
                give_up_order(work, order, OrderStatus::Expired, "reservation_expired")
            } else {
                confirm(work, order);
                Ok(())
            }
        }
        OrderStatus::Pending if !is_hopeful(order) => {
            give_up_order(work, order, OrderStatus::Cancelled, "payment_failed")
        }
        OrderStatus::Cancelled | OrderStatus::Expired => {
            transactions::unwind(work.ctx, order);
            Ok(())
        }
        _ => Ok(()),
    }
}

fn is_given_up(order: &StoredOrder) -> bool {
    matches!(order.order.status, OrderStatus::Cancelled | OrderStatus::Expired)
}

/// Whether money may come yet, or has come in part.
fn is_hopeful(order: &StoredOrder) -> bool {
    let transactions = order.order.payments.iter().flat_map(|payment| &payment.transactions);
    let mut authorizations = transactions.filter(|it| it.kind == TransactionType::Authorization);
    authorizations.any(|it| it.state != TransactionState::Failed)
}

/// Adds the writes that make a pending order a confirmed one. Its reservation must still hold: otherwise the commit is
/// refused, and the next attempt gives the order up.
fn confirm(work: &mut Work<'_, '_>, order: &mut StoredOrder) {
    let committed = work.commit.update(
        RESERVATIONS,
        &order.reservation_id,
        vec![
            FieldOperation::set("state", json!(ReservationState::Committed)),
            FieldOperation::set("expiresAt", Value::Null),
        ],
    );
    work.commit.guard(committed, Filter::eq("state", "held"));
    work.reservation = Some(committed);
    if let Some(cart) = order.order.cart_id.as_ref().filter(|_| !work.seen.no_cart) {
        let ordered = work.commit.update(
            CARTS,
            cart,
            vec![
                FieldOperation::set("status", json!(CartStatus::Ordered)),
                FieldOperation::set("_activeOf", Value::Null),
            ],
        );
        work.commit.guard(ordered, Filter::eq("status", "completing"));
        work.cart = Some(ordered);
    }
    move_to(work, order, OrderStatus::Confirmed, None);
    order.expires_at = None;
}

fn move_to(work: &mut Work<'_, '_>, order: &mut StoredOrder, to: OrderStatus, reason: Option<&str>) {
    let mut data = json!({"from": ledger::name(order.order.status), "to": ledger::name(to)});
    if let Some(reason) = reason {
        data["reason"] = json!(reason);
    }
    work.note("order.status_changed", data);
    order.order.status = to;
}

/// Gives an order up: [`release`], with its entry in the history.
///
/// # Errors
/// Those of the store.
pub(crate) fn give_up_order(
    work: &mut Work<'_, '_>,
    order: &mut StoredOrder,
    to: OrderStatus,
    reason: &str,
) -> Result<()> {
    move_to(work, order, to, Some(reason));
    release(work.ctx, &mut work.commit, order, to)
}
