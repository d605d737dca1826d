//! Moving money for an order that is there: another payment, capture, void, refund, and asking how it stands.
//!
//! Each movement is one commit that writes it down as pending, one call of the provider, and one commit with what it
//! said. The transaction's id follows from the request, so a repeat of a request whose first attempt died finds what it
//! did and asks for its outcome.

use std::collections::BTreeSet;

use plugin_sdk::{
    Context, FieldError, Money, Problem, Reply, Request, Result, json, natural_id,
    payment::{Outcome, PaymentError, State},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    document, imports,
    ledger::{self, Sums},
    model::{
        CaptureInput, OrderStatus, Payment, RefundInput, ReturnStatus, StoredOrder, Transaction,
        TransactionState, TransactionType,
    },
    reconcile,
    settlement::{self, Source},
    transactions,
};

/// Most payments of an order: who tries out stolen cards does it elsewhere.
pub(crate) const PAYMENTS_MAX: usize = 20;

/// Another attempt to pay for an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct PaymentInput {
    /// One of the payment methods.
    #[schemars(length(min = 1, max = 64))]
    pub(crate) provider: String,
    /// What the provider gave the client.
    #[serde(default)]
    #[schemars(length(min = 1, max = 1_000))]
    pub(crate) token: Option<String>,
    /// All that is due otherwise.
    #[serde(default)]
    pub(crate) amount: Option<Money>,
}

/// What a request makes, by its key: the same for every attempt of it.
pub(crate) fn id_of(ctx: &Context<'_>, request: &Request, prefix: &str) -> Result<String> {
    Ok(match &request.caller.request_key {
        Some(key) => natural_id(prefix, key),
        None => ctx.new_id(prefix)?,
    })
}

/// The authorization of a payment.
pub(crate) fn authorization_id(payment: &str) -> String {
    natural_id("txn", payment)
}

/// Whether there is a provider of this name.
///
/// # Errors
/// 422 with a pointer to it, where there is none.
pub(crate) fn check_provider(ctx: &Context<'_>, provider: &str, pointer: &str) -> Result<()> {
    if ctx.payment_methods()?.iter().any(|method| method.provider == provider) {
        return Ok(());
    }
    let message = format!("There is no payment method `{provider}`.");
    Err(Problem::validation(vec![FieldError::invalid(pointer, message)]))
}

/// Adds a payment with its pending authorization, which is going to be asked for now.
pub(crate) fn open(
    ctx: &Context<'_>,
    order: &mut StoredOrder,
    id: &str,
    provider: &str,
    token: Option<&str>,
    amount: i64,
) {
    order.order.payments.push(Payment {
        id: id.to_owned(),
        provider: provider.to_owned(),
        amount: Money::new(amount, order.order.currency.clone()),
        transactions: Vec::new(),
        next_action: None,
        offline: false,
        created_at: ctx.now(),
    });
    let authorization = authorization_id(id);
    let last = order.order.payments.len() - 1;
    transactions::append(ctx, order, last, TransactionType::Authorization, amount, &authorization);
    if let Some(operation) = order.operations.get_mut(&authorization) {
        operation.token = token.map(str::to_owned);
    }
}

pub(crate) fn pay(ctx: &Context<'_>, request: Request) -> Result<Reply> {
    document::check_access(&request.caller, "payments:write")?;
    let input: PaymentInput = request.json()?;
    let order = document::visible(ctx, request.param("id"))?;
    let id = id_of(ctx, &request, "pay")?;
    let transaction = authorization_id(&id);
    let amount = input.amount.as_ref();
    carry_out(ctx, &request, order, &transaction, "", |order| {
        check_provider(ctx, &input.provider, "/provider")?;
        check_alive(order)?;
        if order.order.payments.len() >= PAYMENTS_MAX {
            return Err(Problem::conflict("There were too many attempts to pay for this order."));
        }
        let due = outstanding(order);
        let amount = wanted(amount, due, &order.order.currency, "amount_out_of_range")?;
        open(ctx, order, &id, &input.provider, input.token.as_deref(), amount);
        Ok(())
    })
}

pub(crate) fn capture(ctx: &Context<'_>, request: Request) -> Result<Reply> {
    let input: CaptureInput = body(&request)?;
    let transaction = id_of(ctx, &request, "txn")?;
    moved(ctx, &request, &transaction, "", |order, index| {
        check_alive(order)?;
        let payment = &order.order.payments[index];
        let most = Sums::of(payment).capturable();
        let currency = &order.order.currency;
        let amount = wanted(input.amount.as_ref(), most, currency, "capture_exceeds_authorization")
            .map_err(|problem| undecided(problem, payment, most))?;
        transactions::append(ctx, order, index, TransactionType::Capture, amount, &transaction);
        Ok(())
    })
}

pub(crate) fn void(ctx: &Context<'_>, request: Request) -> Result<Reply> {
    let transaction = id_of(ctx, &request, "txn")?;
    moved(ctx, &request, &transaction, "", |order, index| {
        let payment = &order.order.payments[index];
        let amount = ledger::voidable(payment);
        if amount == 0 {
            let problem = Problem::conflict("Nothing of this payment is authorised and not captured.");
            return Err(undecided(problem, payment, amount));
        }
        transactions::append(ctx, order, index, TransactionType::Void, amount, &transaction);
        Ok(())
    })
}

pub(crate) fn refund(ctx: &Context<'_>, request: Request) -> Result<Reply> {
    let input: RefundInput = body(&request)?;
    let transaction = id_of(ctx, &request, "txn")?;
    moved(ctx, &request, &transaction, &input.reason, |order, index| {
        let payment = &order.order.payments[index];
        let most = Sums::of(payment).refundable();
        let currency = &order.order.currency;
        let amount = wanted(input.amount.as_ref(), most, currency, "refund_exceeds_capture")
            .map_err(|problem| undecided(problem, payment, most))?;
        transactions::append(ctx, order, index, TransactionType::Refund, amount, &transaction);
        if let Some(it) = order.order.payments[index].transactions.last_mut() {
            it.credit = input.credit;
        }
        let Some(wanted) = &input.return_id else { return Ok(()) };
        let transactions = order.order.payments.iter().flat_map(|payment| &payment.transactions);
        let failed: BTreeSet<String> =
            transactions.filter(|it| it.state == TransactionState::Failed).map(|it| it.id.clone()).collect();
        match order.order.returns.iter_mut().find(|it| it.id == *wanted) {
            Some(returned) if returned.refund_id.as_deref().is_some_and(|id| !failed.contains(id)) => {
                Err(Problem::conflict("There is a refund for this return already."))
            }
            Some(returned) => match returned.status {
                ReturnStatus::Approved | ReturnStatus::Received => {
                    returned.refund_id = Some(transaction.clone());
                    Ok(())
                }
                ReturnStatus::Requested => {
                    Err(Problem::conflict("The return is not approved; approve it first."))
                }
                ReturnStatus::Rejected => {
                    Err(Problem::conflict("The return was rejected; refund without `returnId`."))
                }
            },
            None => {
                let message = "The order has no such return.";
                Err(Problem::validation(vec![FieldError::invalid("/returnId", message)]))
            }
        }
    })
}

pub(crate) fn sync(ctx: &Context<'_>, request: Request) -> Result<Reply> {
    document::check_access(&request.caller, "payments:write")?;
    let id = request.param("id");
    let order = document::with_part(ctx, "payments.id", id)?;
    request.check_version(order.order.version)?;
    let open: Vec<String> = order
        .operations
        .iter()
        .filter(|(_, operation)| operation.payment_id == id)
        .map(|(transaction, _)| transaction.clone())
        .collect();
    if open.is_empty() {
        return Ok(Reply::resource(payment_of(&order, id)?, order.order.version));
    }
    let now = ctx.now();
    let told = open.iter().filter_map(|it| Some((it.as_str(), reconcile::ask(ctx, &order, it)?)));
    // A request that is under way may not have reached the provider yet.
    let told: Vec<_> =
        told.filter(|(it, (answer, _))| !(is_under_way(&order, it, &now) && is_unheard(answer))).collect();
    if told.is_empty() {
        return Ok(Reply::resource(payment_of(&order, id)?, order.order.version));
    }
    let actor = document::actor(&request.caller);
    let order_id = order.order.id.clone();
    let answered = settlement::change(
        ctx,
        &actor,
        &order_id,
        Some(order),
        |work, order| {
            for (transaction, (answer, source)) in &told {
                let before = order.operations.get(*transaction).cloned();
                settlement::take_in(work, order, transaction, answer, *source)?;
                // Whoever asks often must not keep the reconciler from asking.
                if let (Some(before), Some(operation)) = (before, order.operations.get_mut(*transaction)) {
                    operation.attempts = before.attempts;
                    operation.due_at = before.due_at;
                }
            }
            Ok(true)
        },
        |commit, written, order| {
            let payment = order.order.payments.iter().find(|payment| payment.id == id);
            commit.answer_part(200, written, &payment, Vec::new())
        },
    )?;
    answered.ok_or_else(Problem::not_found)
}

/// Whether the request that moves the money may be running: its time for an answer is not over, and none has come.
fn is_under_way(order: &StoredOrder, transaction: &str, now: &str) -> bool {
    let operation = order.operations.get(transaction);
    operation.is_some_and(|operation| operation.attempts == 1 && operation.due_at.as_str() > now)
}

fn is_unheard(answer: &Result<Outcome, PaymentError>) -> bool {
    matches!(answer, Ok(Outcome { state: State::Failed, .. }) | Err(PaymentError::Invalid(_)))
}

/// The body, or the default where there is none.
fn body<T: DeserializeOwned + Default>(request: &Request) -> Result<T> {
    if request.body.is_empty() { Ok(T::default()) } else { request.json() }
}

fn payment_of<'o>(order: &'o StoredOrder, id: &str) -> Result<&'o Payment> {
    order.order.payments.iter().find(|payment| payment.id == id).ok_or_else(Problem::not_found)
}

/// A movement of the payment that the request names.
fn moved(
    ctx: &Context<'_>,
    request: &Request,
    transaction: &str,
    why: &str,
    append: impl Fn(&mut StoredOrder, usize) -> Result<()>,
) -> Result<Reply> {
    let id = request.param("id");
    let order = document::with_part(ctx, "payments.id", id)?;
    if imports::is_imported(&order.order.id, id) {
        return Err(Problem::conflict("This was paid at another shop, and no provider here can move it."));
    }
    carry_out(ctx, request, order, transaction, why, |order| {
        let index = order.order.payments.iter().position(|payment| payment.id == id);
        append(order, index.ok_or_else(Problem::not_found)?)
    })
}

/// Writes down what is going to happen, and has it happen.
fn carry_out(
    ctx: &Context<'_>,
    request: &Request,
    order: StoredOrder,
    transaction: &str,
    why: &str,
    append: impl Fn(&mut StoredOrder) -> Result<()>,
) -> Result<Reply> {
    let actor = document::actor(&request.caller);
    let id = order.order.id.clone();
    let begun = settlement::change(
        ctx,
        &actor,
        &id,
        Some(order),
        |work, order| {
            // An attempt of this request has come so far before.
            if ledger::transaction(&order.order, transaction).is_some() {
                return Ok(false);
            }
            request.check_version(order.order.version)?;
            append(order)?;
            if let Some((payment, it)) = ledger::transaction(&order.order, transaction) {
                let data = json!({
                    "paymentId": payment.id,
                    "transactionId": it.id,
                    "transactionType": it.kind,
                    "amount": it.amount,
                    "reason": why,
                });
                work.note("payment.requested", data);
            }
            Ok(true)
        },
        |commit, _, order| {
            commit.apply()?;
            let mut order = order.clone();
            order.order.version += 1;
            Ok(order)
        },
    )?;
    match begun {
        Some(order) => send(ctx, request, order, transaction),
        None => {
            // It died, and whether it has sent it is not known.
            let order = document::read(ctx, &id)?;
            let told = ask_again(ctx, &order, transaction);
            conclude(ctx, request, order, transaction, told)
        }
    }
}

/// Has the provider move the money that was written down, and answers what came of it.
fn send(ctx: &Context<'_>, request: &Request, order: StoredOrder, transaction: &str) -> Result<Reply> {
    let Some((provider, kind, operation)) = transactions::operation(&order, transaction) else {
        return conclude(ctx, request, order, transaction, None);
    };
    let answer = ctx.pay(&provider, kind, &operation);
    conclude(ctx, request, order, transaction, Some((answer, Source::Provider)))
}

/// What became of a movement that this request may have sent before. One that the provider never heard of is sent, with
/// the key that it had: whenever the first one arrives, it is the same.
pub(crate) fn ask_again(
    ctx: &Context<'_>,
    order: &StoredOrder,
    transaction: &str,
) -> Option<(Result<Outcome, PaymentError>, Source)> {
    let (provider, kind, operation) = transactions::operation(order, transaction)?;
    let status = ctx.payment_status(&provider, kind, &operation);
    Some(match status {
        Ok(Outcome { state: State::Failed, .. }) => (ctx.pay(&provider, kind, &operation), Source::Provider),
        other => (other, Source::Status),
    })
}

fn conclude(
    ctx: &Context<'_>,
    request: &Request,
    order: StoredOrder,
    transaction: &str,
    told: Option<(Result<Outcome, PaymentError>, Source)>,
) -> Result<Reply> {
    let actor = document::actor(&request.caller);
    let id = order.order.id.clone();
    let is_new = request.operation_id == "payOrder";
    let location = ("location".to_owned(), format!("/orders/{id}"));
    let concluded = settlement::change(
        ctx,
        &actor,
        &id,
        Some(order),
        |work, order| {
            if let Some((answer, source)) = &told {
                settlement::take_in(work, order, transaction, answer, *source)?;
            }
            Ok(true)
        },
        |commit, written, order| {
            let Some((payment, it)) = ledger::transaction(&order.order, transaction) else {
                return commit.apply().map(|_| Err(Problem::not_found()));
            };
            let status = match it.state {
                TransactionState::Failed => {
                    commit.apply()?;
                    return Ok(Err(refusal(it, told.as_ref().map(|(answer, _)| answer))));
                }
                TransactionState::Unknown if !is_new => {
                    commit.apply()?;
                    return Ok(Err(unknown(it)));
                }
                TransactionState::Succeeded if is_new => 201,
                TransactionState::Succeeded => 200,
                TransactionState::Pending if is_new && payment.offline => 201,
                TransactionState::Pending | TransactionState::Unknown => 202,
            };
            let headers = if status == 201 { vec![location.clone()] } else { Vec::new() };
            commit.answer_part(status, written, payment, headers).map(Ok)
        },
    )?;
    concluded.ok_or_else(Problem::not_found)?
}

/// What is told of a movement that came to nothing.
pub(crate) fn refusal(it: &Transaction, answer: Option<&Result<Outcome, PaymentError>>) -> Problem {
    let failed = match it.kind {
        TransactionType::Authorization => "The payment failed.",
        TransactionType::Capture => "The provider did not capture it.",
        TransactionType::Refund => "The provider did not refund it.",
        TransactionType::Void => "The provider did not void it.",
    };
    let declined = |why: &str| Problem::new(402, "payment_declined").detail(why);
    match answer {
        Some(Err(PaymentError::Declined(why))) => declined(why),
        Some(Err(PaymentError::Invalid(problem))) => refused_by_provider(problem),
        _ => match &it.reason {
            Some(code) => declined(failed).extra("reason", code.as_str()),
            None => declined(failed),
        },
    }
}

/// What a provider, or the host in its place, says of an operation that moved nothing.
fn refused_by_provider(problem: &Problem) -> Problem {
    let mut told = problem.clone();
    match problem.code.as_str() {
        "unavailable" | "overloaded" | "plugin_unavailable" => told,
        "validation_failed" | "amount_out_of_range" | "currency_mismatch" => {
            for error in &mut told.errors {
                error.pointer = format!("/payment{}", error.pointer);
            }
            told
        }
        "conflict" | "capture_exceeds_authorization" | "refund_exceeds_capture" => told,
        _ => {
            let detail = problem.detail.as_deref().unwrap_or("The payment provider failed.");
            Problem::new(502, "payment_failed").detail(detail)
        }
    }
}

fn unknown(it: &Transaction) -> Problem {
    Problem::new(504, "payment_unknown")
        .detail("The provider did not answer. What became of it is found out; nothing has to be sent again.")
        .extra("transactionId", it.id.as_str())
}

/// What is still to be paid and not on its way. What was promised to come by another way does not count: it can be paid
/// like this instead.
fn outstanding(order: &StoredOrder) -> i64 {
    let mut order = order.order.clone();
    ledger::derive(&mut order);
    let coming: i64 = order.payments.iter().filter(|payment| !payment.offline).map(on_its_way).sum();
    order.totals.due.amount - coming
}

/// What a payment may bring yet.
fn on_its_way(payment: &Payment) -> i64 {
    let sums = Sums::of(payment);
    let open = |it: &&Transaction| {
        let is_open = matches!(it.state, TransactionState::Pending | TransactionState::Unknown);
        it.kind == TransactionType::Authorization && is_open
    };
    let open: i64 = payment.transactions.iter().filter(open).map(|it| it.amount.amount).sum();
    (sums.authorized - sums.captured).max(0) + open
}

/// The same problem, where nothing remains because of a movement whose outcome is not known yet: then it says so.
fn undecided(problem: Problem, payment: &Payment, most: i64) -> Problem {
    let is_open =
        |it: &&Transaction| matches!(it.state, TransactionState::Pending | TransactionState::Unknown);
    match payment.transactions.iter().find(is_open).filter(|_| most <= 0) {
        Some(open) => problem
            .detail(format!(
                "The outcome of `{}` is not known yet; `POST /payments/{}/sync` asks for it.",
                open.id, payment.id
            ))
            .extra("transactionId", open.id.as_str()),
        None => problem,
    }
}

/// The amount that is asked for, or all of it.
fn wanted(asked: Option<&Money>, most: i64, currency: &str, exceeds: &str) -> Result<i64> {
    let remaining = || json!({"amount": most.max(0), "currency": currency});
    let too_much = |detail: String| Problem::new(422, exceeds).detail(detail).extra("remaining", remaining());
    let Some(asked) = asked else {
        return if most > 0 { Ok(most) } else { Err(too_much("Nothing remains.".to_owned())) };
    };
    if asked.currency != currency {
        let detail = format!("The order is in {currency}, not in {}.", asked.currency);
        return Err(Problem::new(409, "currency_mismatch").detail(detail));
    }
    if asked.amount <= 0 {
        return Err(Problem::new(422, "amount_out_of_range").detail("An amount is above zero."));
    }
    if asked.amount > most {
        let detail = format!(
            "{} is more than the {} minor units of {currency} that remain.",
            asked.amount,
            most.max(0)
        );
        return Err(too_much(detail));
    }
    Ok(asked.amount)
}

fn check_alive(order: &StoredOrder) -> Result<()> {
    match order.order.status {
        OrderStatus::Cancelled | OrderStatus::Expired => {
            let status = ledger::name(order.order.status);
            Err(Problem::conflict(format!("The order is {status}: nothing is paid for it any more.")))
        }
        _ => Ok(()),
    }
}
