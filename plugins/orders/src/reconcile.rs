//! Looking after orders that are due: movements of money whose outcome is open, and reservations whose time is over.
//!
//! Runs as the system, again and again. It can be stopped anywhere: what it does goes through the same commits as
//! everything else, under the order's version, and what it sends carries the key that it had before.

use plugin_sdk::{
    Context, Filter, Level, Problem, Query, Reply, Request, Result, SortKey, json,
    payment::{Kind, Outcome, PaymentError, State},
};

use crate::{
    ORDERS,
    model::{Actor, OrderStatus, StoredOrder},
    settlement::{self, Source},
    transactions, webhooks,
};

/// Orders of one answer of the store.
const BATCH: u32 = 100;
/// A run ends after so many bytes of orders. Each is read and written more than once, and the host bounds what a call
/// may move: an order that is too large for what is left must not end the run for those before it.
const RUN_BYTES: usize = 1024 * 1024;
/// And after so many orders: it bounds calls too.
const RUN_ORDERS: usize = 300;
/// A run ends after the order during which this time was over: the next one goes on.
const RUN_MS: i64 = 5_000;

pub(crate) fn settle_orders(ctx: &Context<'_>, _: Request) -> Result<Reply> {
    let started = ctx.now_ms();
    let notices = webhooks::take_kept(ctx)?;
    // Only which they are: one that cannot be read must not hide the others.
    let mut query = Query {
        filter: Filter::Lte("_dueAt".to_owned(), ctx.now().into()),
        sort: vec![SortKey::ascending("_dueAt")],
        fields: vec!["_dueAt".to_owned()],
        limit: BATCH,
        ..Query::default()
    };
    let (mut settled, mut looked_at, mut bytes) = (0, 0, 0);
    'run: loop {
        let due = ctx.find_raw(ORDERS, &query)?;
        for document in &due.documents {
            match look_after(ctx, &document.id, &mut bytes) {
                Ok(()) => settled += 1,
                // The others must not wait for it.
                Err(problem) => complain(ctx, &document.id, &problem),
            }
            looked_at += 1;
            if ctx.now_ms() - started > RUN_MS || bytes > RUN_BYTES || looked_at >= RUN_ORDERS {
                break 'run;
            }
        }
        match due.next {
            // Behind those that stay due.
            Some(next) => query.cursor = Some(next),
            None => break,
        }
    }
    Ok(Reply::ok(&json!({"orders": settled, "notices": notices})))
}

fn complain(ctx: &Context<'_>, id: &str, problem: &Problem) {
    let detail = problem.detail.as_deref().unwrap_or_default();
    let fields = [("order.id", id), ("code", problem.code.as_str()), ("detail", detail)];
    ctx.log(Level::Warn, "An order that is due could not be looked after", &fields);
}

/// Asks about everything of the order that is due, and lets it expire if it is not paid in time.
fn look_after(ctx: &Context<'_>, id: &str, bytes: &mut usize) -> Result<()> {
    let Some(document) = ctx.get_raw(ORDERS, id)? else { return Ok(()) };
    *bytes += document.json.len();
    let order: StoredOrder = serde_json::from_str(&document.json)
        .map_err(|error| Problem::new(500, "internal").detail(format!("it cannot be read: {error}")))?;
    let now = ctx.now();
    // Before it is given up it is asked whether it was paid after all.
    let ends = order.order.status == OrderStatus::Pending && is_over(&order, &now);
    let due = if ends { transactions::open(&order) } else { transactions::due(&order, &now) };
    let told: Vec<_> = due.iter().filter_map(|id| Some((id.as_str(), ask(ctx, &order, id)?))).collect();
    let actor = Actor { kind: "system".to_owned(), id: None };
    settlement::change(
        ctx,
        &actor,
        id,
        Some(order),
        |work, order| {
            for (transaction, (answer, source)) in &told {
                settlement::take_in(work, order, transaction, answer, *source)?;
            }
            if order.order.status == OrderStatus::Pending && is_over(order, &now) {
                settlement::give_up_order(work, order, OrderStatus::Expired, "not_paid")?;
            }
            transactions::abandon(ctx, order);
            Ok(true)
        },
        |commit, _, _| commit.apply().map(drop),
    )
    .map(drop)
}

fn is_over(order: &StoredOrder, now: &str) -> bool {
    order.expires_at.as_deref().is_some_and(|end| end <= now)
}

/// Finds out what became of an open transaction. What was planned is sent; what the provider never heard of is sent
/// again with the same key, except authorizations: nobody waits for them any more.
pub(crate) fn ask(
    ctx: &Context<'_>,
    order: &StoredOrder,
    transaction: &str,
) -> Option<(Result<Outcome, PaymentError>, Source)> {
    let (provider, kind, operation) = transactions::operation(order, transaction)?;
    let is_planned = order.operations.get(transaction).is_some_and(|operation| operation.attempts == 0);
    if !is_planned {
        let status = ctx.payment_status(&provider, kind, &operation);
        let is_unheard = match &status {
            Ok(outcome) => outcome.state == State::Failed,
            // It makes no sense to the provider: sent once more, it says whether it was refused.
            Err(PaymentError::Invalid(problem)) => problem.status < 500,
            Err(_) => false,
        };
        if !is_unheard || kind == Kind::Authorization {
            return Some((status, Source::Status));
        }
    }
    let answer = ctx.pay(&provider, kind, &operation);
    // A provider that cannot be reached gets it later.
    let source = match &answer {
        Err(PaymentError::Invalid(problem)) if problem.status >= 500 => Source::Status,
        _ => Source::Provider,
    };
    Some((answer, source))
}
