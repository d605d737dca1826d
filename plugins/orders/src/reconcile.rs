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

/// Most orders of one run.
const BATCH: u32 = 100;
/// A run ends after the order during which this time was over: the next one goes on.
const RUN_MS: i64 = 5_000;

pub(crate) fn settle_orders(ctx: &Context<'_>, _: Request) -> Result<Reply> {
    let started = ctx.now_ms();
    let notices = webhooks::take_kept(ctx)?;
    let query = Query {
        filter: Filter::Lte("_dueAt".to_owned(), ctx.now().into()),
        sort: vec![SortKey::ascending("_dueAt")],
        limit: BATCH,
        ..Query::default()
    };
    let mut settled = 0;
    for stored in ctx.find::<StoredOrder>(ORDERS, &query)?.items {
        match look_after(ctx, stored.data) {
            Ok(()) => settled += 1,
            // The others must not wait for it.
            Err(problem) => complain(ctx, &stored.id, &problem),
        }
        if ctx.now_ms() - started > RUN_MS {
            break;
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
fn look_after(ctx: &Context<'_>, order: StoredOrder) -> Result<()> {
    let now = ctx.now();
    let due = transactions::due(&order, &now);
    let told: Vec<_> = due.iter().filter_map(|id| Some((id.as_str(), ask(ctx, &order, id)?))).collect();
    let actor = Actor { kind: "system".to_owned(), id: None };
    let id = order.order.id.clone();
    settlement::change(
        ctx,
        &actor,
        &id,
        Some(order),
        |work, order| {
            for (transaction, (answer, source)) in &told {
                settlement::take_in(work, order, transaction, answer, *source)?;
            }
            let is_over = order.expires_at.as_deref().is_some_and(|end| end <= now.as_str());
            if is_over && order.order.status == OrderStatus::Pending {
                settlement::give_up_order(work, order, OrderStatus::Expired, "not_paid")?;
            }
            transactions::abandon(ctx, order);
            Ok(true)
        },
        |commit, _, _| commit.apply().map(drop),
    )
    .map(drop)
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
