//! What providers tell by themselves.
//!
//! A notice is taken in by the order that it is about, in one commit with its id, so a repeat has no effect. One about a
//! payment that is not found is kept and tried again: the provider can be faster than the commit that writes its
//! reference down. So a webhook is answered with 200 only after what it told is stored one way or the other.

use plugin_sdk::{
    Context, Filter, Level, Money, Problem, Query, Refusal, Reply, Request, Result, SortKey, StoreError,
    Value, natural_id,
    payment::{Kind, Notice, Outcome, State, Webhook, WebhookError},
    pricing,
    time::timestamp,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    NOTICES, ORDERS, document,
    ledger::Sums,
    model::{Actor, StoredOrder, Transaction, TransactionState, TransactionType},
    settlement::{self, Source, Work},
    transactions,
};

/// Most notices that an order remembers.
const REMEMBERED: usize = 100;
/// How often the payment of a notice is looked for. The pauses double: the last try is after a quarter of an hour.
const TRIES_MAX: u32 = 10;
/// Most kept notices that are looked at in one run.
const BATCH: u32 = 100;

/// That a webhook was stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Received {
    /// Always true.
    pub(crate) received: bool,
}

pub(crate) fn receive(ctx: &Context<'_>, request: Request) -> Result<Reply> {
    let provider = request.param("provider").to_owned();
    if !ctx.payment_methods()?.iter().any(|method| method.provider == provider) {
        return Err(Problem::not_found());
    }
    let webhook = Webhook { headers: request.headers, body: request.body };
    let notices = ctx.parse_webhook(&provider, &webhook).map_err(|error| refusal(ctx, &provider, error))?;
    for notice in &notices {
        if !take(ctx, &provider, notice, false)? {
            keep(ctx, &provider, notice)?;
        }
    }
    Ok(Reply::ok(&Received { received: true }))
}

fn refusal(ctx: &Context<'_>, provider: &str, error: WebhookError) -> Problem {
    let (problem, why) = match error {
        // Why is for the log: a forger learns nothing.
        WebhookError::Unauthenticated(why) => {
            (Problem::new(401, "unauthenticated").detail("The signature is not good."), why)
        }
        WebhookError::Malformed(why) => {
            (Problem::new(422, "validation_failed").detail("The provider does not understand it."), why)
        }
        WebhookError::Unavailable(why) => {
            (Problem::new(503, "unavailable").detail("It cannot be looked at now. Send it again."), why)
        }
    };
    let fields = [("plugin.id", provider), ("why", why.as_str())];
    ctx.log(Level::Warn, "A webhook was refused", &fields);
    problem
}

/// Takes a notice in, if its payment is found and it is certain what it is about. The last time it need not be.
fn take(ctx: &Context<'_>, provider: &str, notice: &Notice, is_last: bool) -> Result<bool> {
    let Some((order, payment)) = find(ctx, provider, notice)? else { return Ok(false) };
    let actor = Actor { kind: "provider".to_owned(), id: Some(provider.to_owned()) };
    let id = order.order.id.clone();
    let known = notice_id(provider, notice);
    let mut is_taken = true;
    settlement::change(
        ctx,
        &actor,
        &id,
        Some(order),
        |work, order| {
            if order.notices.contains(&known) {
                return Ok(false);
            }
            let Some(index) = order.order.payments.iter().position(|it| it.id == payment) else {
                return Ok(false);
            };
            match meant(work, order, index, notice, &known) {
                Meant::Transaction(transaction) => {
                    let outcome = Ok(notice.outcome.clone());
                    settlement::take_in(work, order, &transaction, &outcome, Source::Provider)?;
                }
                Meant::Either(open) if is_last => {
                    // The provider cannot say what became of the open one, and tells no more than this.
                    let outcome = Ok(notice.outcome.clone());
                    settlement::take_in(work, order, &open, &outcome, Source::Provider)?;
                }
                Meant::Either(open) => {
                    is_taken = false;
                    transactions::hurry(work.ctx, order, &open);
                    return Ok(true);
                }
                Meant::Later => {
                    is_taken = false;
                    return Ok(false);
                }
                Meant::Nothing => {}
            }
            order.notices.push(known.clone());
            let surplus = order.notices.len().saturating_sub(REMEMBERED);
            order.notices.drain(..surplus);
            Ok(true)
        },
        |commit, _, _| commit.apply().map(drop),
    )?;
    Ok(is_taken)
}

/// What a notice is about.
enum Meant {
    Transaction(String),
    /// This open one, or one that has succeeded with the same amount: the provider is asked about it first.
    Either(String),
    /// Nothing that can be yet: what has to come before it is not known.
    Later,
    Nothing,
}

/// The order and the payment that a notice is about.
fn find(ctx: &Context<'_>, provider: &str, notice: &Notice) -> Result<Option<(StoredOrder, String)>> {
    let reference = &notice.outcome.reference;
    let named = notice.payment_id.as_ref().filter(|id| is_text(id));
    let mut conditions: Vec<Filter> = named.iter().map(|id| Filter::eq("payments.id", id.as_str())).collect();
    if is_text(reference) {
        conditions.push(Filter::eq("_references", document::reference(provider, reference).as_str()));
    }
    for condition in conditions {
        let Some(stored) = ctx.find_one::<StoredOrder>(ORDERS, condition)? else { continue };
        let order = stored.data;
        let payment = order.order.payments.iter().find(|payment| {
            let mut references = payment.transactions.iter().map(|it| it.provider_reference.as_ref());
            let is_meant = named == Some(&payment.id) || references.any(|known| known == Some(reference));
            // A provider tells of its own only.
            is_meant && payment.provider == provider
        });
        if let Some(payment) = payment.map(|payment| payment.id.clone()) {
            return Ok(Some((order, payment)));
        }
    }
    Ok(None)
}

/// No text that is looked up holds NUL.
fn is_text(text: &str) -> bool {
    !text.is_empty() && !text.contains('\0')
}

/// The transaction that a notice is about: the open one of its kind and amount, or else the last that has succeeded, or
/// that has failed. Where there is an open one and one that has succeeded it may be a late notice of that. What was done at the provider's own desk, and succeeded, becomes a new transaction. Notices name no
/// transaction, so what is done there twice with one amount is taken for a repeat: nothing is counted that may be known.
fn meant(
    work: &mut Work<'_, '_>,
    order: &mut StoredOrder,
    payment: usize,
    notice: &Notice,
    known: &str,
) -> Meant {
    let paid = &order.order.payments[payment];
    let kind = match notice.kind {
        Kind::Authorization => TransactionType::Authorization,
        Kind::Capture => TransactionType::Capture,
        Kind::Refund => TransactionType::Refund,
        Kind::Void => TransactionType::Void,
    };
    let fits = |it: &&Transaction| {
        // What is voided is what is left, whatever the provider counts.
        let amount = notice.amount.as_ref().is_none_or(|amount| *amount == it.amount);
        it.kind == kind && (amount || kind == TransactionType::Void)
    };
    let is_open =
        |it: &&Transaction| matches!(it.state, TransactionState::Pending | TransactionState::Unknown);
    let matching = || paid.transactions.iter().filter(fits);
    let sums = Sums::of(paid);
    let of_kind = |it: &Transaction| match it.kind {
        TransactionType::Authorization | TransactionType::Void => it.amount.amount,
        TransactionType::Capture => sums.capturable(),
        TransactionType::Refund => sums.refundable(),
    };
    let is_done = |it: &&Transaction| it.state == TransactionState::Succeeded;
    // What has failed may have succeeded after all, unless that would be more than there is.
    let may_be = |it: &&Transaction| it.amount.amount <= of_kind(it);
    let (open, done) = (matching().find(is_open), matching().rfind(is_done));
    let moves = matches!(kind, TransactionType::Capture | TransactionType::Refund);
    if let (Some(open), Some(_), true) = (open, done, moves) {
        return Meant::Either(open.id.clone());
    }
    if let Some(it) = open.or(done).or_else(|| matching().rfind(may_be)) {
        return Meant::Transaction(it.id.clone());
    }
    let amount = notice.amount.as_ref().filter(|amount| amount.currency == order.order.currency);
    let amount = amount.map_or(0, |amount| amount.amount);
    let most = match kind {
        TransactionType::Authorization => 0,
        TransactionType::Capture => sums.capturable(),
        TransactionType::Refund => sums.refundable(),
        TransactionType::Void => amount.max(sums.capturable()),
    };
    let amount = if kind == TransactionType::Void { most } else { amount };
    let is_due = notice.outcome.state == State::Succeeded && amount > 0;
    let before = |it: &Transaction| match kind {
        TransactionType::Capture => it.kind == TransactionType::Authorization,
        TransactionType::Refund => it.kind != TransactionType::Refund,
        TransactionType::Authorization | TransactionType::Void => false,
    };
    // Providers tell in any order.
    if is_due && amount > most && paid.transactions.iter().any(|it| before(it) && is_open(&it)) {
        return Meant::Later;
    }
    if !is_due || amount > most {
        let fields = [("payment.id", paid.id.as_str()), ("kind", notice.kind.as_str())];
        work.ctx.log(Level::Warn, "A provider tells of money that fits no transaction", &fields);
        return Meant::Nothing;
    }
    let id = natural_id("txn", known);
    transactions::append(work.ctx, order, payment, kind, amount, &id);
    Meant::Transaction(id)
}

fn notice_id(provider: &str, notice: &Notice) -> String {
    natural_id("ntc", &format!("{provider} {}", notice.id))
}

/// A notice that waits for its payment.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct StoredNotice {
    provider: String,
    notice_id: String,
    kind: String,
    payment_id: Option<String>,
    state: String,
    reference: String,
    next_action: Option<Value>,
    captured: bool,
    code: Option<String>,
    #[serde(default)]
    source: Option<pricing::Source>,
    amount: Option<Money>,
    tries: u32,
    due_at: String,
}

impl StoredNotice {
    fn read(&self) -> Option<Notice> {
        let outcome = Outcome {
            state: State::parse(&self.state)?,
            reference: self.reference.clone(),
            next_action: self.next_action.clone(),
            captured: self.captured,
            code: self.code.clone(),
            source: self.source.clone(),
        };
        Some(Notice {
            id: self.notice_id.clone(),
            kind: Kind::parse(&self.kind)?,
            payment_id: self.payment_id.clone(),
            outcome,
            amount: self.amount.clone(),
        })
    }
}

/// Writes a notice down for later.
fn keep(ctx: &Context<'_>, provider: &str, notice: &Notice) -> Result<()> {
    let outcome = &notice.outcome;
    let stored = StoredNotice {
        provider: provider.to_owned(),
        notice_id: notice.id.clone(),
        kind: notice.kind.as_str().to_owned(),
        payment_id: notice.payment_id.clone(),
        state: outcome.state.as_str().to_owned(),
        reference: outcome.reference.clone(),
        next_action: outcome.next_action.clone().filter(settlement::is_storable),
        captured: outcome.captured,
        code: outcome.code.clone(),
        source: outcome.source.clone(),
        amount: notice.amount.clone(),
        tries: 0,
        due_at: ctx.now(),
    };
    let mut commit = ctx.commit();
    commit.insert_with_id(NOTICES, &notice_id(provider, notice), &stored);
    match commit.apply() {
        // A repeat.
        Err(error) if matches!(error.refusal(), Some((_, Refusal::AlreadyExists))) => Ok(()),
        other => Ok(other.map(drop)?),
    }
}

/// Tries the notices again that were kept, and answers how many found their payment.
///
/// # Errors
/// Those of the store.
pub(crate) fn take_kept(ctx: &Context<'_>) -> Result<usize> {
    let query = Query {
        filter: Filter::Lte("dueAt".to_owned(), ctx.now().into()),
        sort: vec![SortKey::ascending("dueAt")],
        limit: BATCH,
        ..Query::default()
    };
    let mut taken = 0;
    for kept in ctx.find::<StoredNotice>(NOTICES, &query)?.items {
        let is_last = kept.data.tries >= TRIES_MAX;
        let told =
            kept.data.read().map_or(Ok(true), |notice| take(ctx, &kept.data.provider, &notice, is_last));
        let is_done = match told {
            Ok(is_done) => is_done,
            Err(problem) => {
                // The others must not wait for it.
                let detail = problem.detail.as_deref().unwrap_or_default();
                let fields = [("notice.id", kept.data.notice_id.as_str()), ("detail", detail)];
                ctx.log(Level::Warn, "A provider's notice could not be taken in", &fields);
                false
            }
        };
        taken += usize::from(is_done);
        let mut commit = ctx.commit();
        if is_done {
            commit.delete(NOTICES, &kept.id);
        } else if is_last {
            let fields = [("plugin.id", kept.data.provider.as_str()), ("notice.id", &kept.data.notice_id)];
            ctx.log(Level::Warn, "A provider told of a payment that does not exist", &fields);
            commit.delete(NOTICES, &kept.id);
        } else {
            let later = ctx.now_ms() + (1_000 << kept.data.tries);
            let again =
                StoredNotice { tries: kept.data.tries + 1, due_at: timestamp(later), ..kept.data.clone() };
            commit.replace(NOTICES, &kept.id, &again);
        }
        match commit.apply() {
            Ok(_) | Err(StoreError::Refused { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(taken)
}
