//! What comes back. A customer asks for it, the shop approves or rejects it, and what has come is on the shelf again.

use plugin_sdk::{Context, Problem, Reply, Request, Result, json};

use crate::{
    document::{actor, check_access, record, save, visible, visible_with_part},
    fulfillments::{check_lines, of_items, returned},
    ledger,
    model::{Return, ReturnInput, ReturnStatus, StoredOrder},
    stock,
};

pub(crate) fn create(ctx: &Context<'_>, request: Request) -> Result<Reply> {
    check_access(&request.caller, "orders:write")?;
    let mut order = visible(ctx, request.param("id"))?;
    request.check_version(order.order.version)?;
    let input: ReturnInput = request.json()?;
    let lines = input.lines.iter().map(|line| (line.item_id.as_str(), line.quantity));
    check_lines(&order, lines, |item, _| {
        let sent = ledger::sent(&order.order.fulfillments, item);
        (sent.saturating_sub(returned(&order, item)), "were sent and are in no return")
    })?;
    let made = Return {
        id: ctx.new_id("ret")?,
        order_id: order.order.id.clone(),
        status: ReturnStatus::Requested,
        lines: input.lines,
        refund_id: None,
        created_at: ctx.now(),
        received_at: None,
    };
    order.order.returns.push(made.clone());
    let mut commit = ctx.commit();
    let write = save(&mut commit, &mut order);
    let data = json!({"returnId": made.id});
    record(&mut commit, &order, "return.requested", &actor(&request.caller), &data);
    commit.event_with("return.requested", write, &made);
    let headers = vec![("location".to_owned(), format!("/orders/{}", order.order.id))];
    Ok(commit.answer_part(201, write, &made, headers)?)
}

pub(crate) fn approve(ctx: &Context<'_>, request: Request) -> Result<Reply> {
    transition(ctx, &request, ReturnStatus::Approved)
}

pub(crate) fn reject(ctx: &Context<'_>, request: Request) -> Result<Reply> {
    transition(ctx, &request, ReturnStatus::Rejected)
}

pub(crate) fn receive(ctx: &Context<'_>, request: Request) -> Result<Reply> {
    transition(ctx, &request, ReturnStatus::Received)
}

fn transition(ctx: &Context<'_>, request: &Request, to: ReturnStatus) -> Result<Reply> {
    let (mut order, at) = find(ctx, request, to)?;
    let mut commit = ctx.commit();
    let it = &mut order.order.returns[at];
    it.status = to;
    if to == ReturnStatus::Received {
        it.received_at = Some(ctx.now());
        let lines = it.lines.clone();
        let pieces = of_items(&order, lines.iter().map(|line| (line.item_id.as_str(), line.quantity)));
        // Of what nobody counts, nothing went away.
        let mut away = stock::away(ctx, &order.order.number)?;
        stock::restock(&mut commit, &stock::part_of(&mut away, &pieces), &order.order.number);
    }
    let it = order.order.returns[at].clone();
    let write = save(&mut commit, &mut order);
    let kind = format!("return.{}", name(to));
    record(&mut commit, &order, &kind, &actor(&request.caller), &json!({"returnId": it.id}));
    commit.event_with(&kind, write, &it);
    Ok(commit.answer_part(200, write, &it, Vec::new())?)
}

/// The order and the place in it of the return that the request is about, if it can become that.
fn find(ctx: &Context<'_>, request: &Request, to: ReturnStatus) -> Result<(StoredOrder, usize)> {
    let id = request.param("id");
    let order = visible_with_part(ctx, "returns.id", id)?;
    request.check_version(order.order.version)?;
    let found = order.order.returns.iter().position(|it| it.id == id);
    let at = found.ok_or_else(Problem::not_found)?;
    let from = order.order.returns[at].status;
    let allowed = allowed(from);
    if allowed.contains(&to) {
        return Ok((order, at));
    }
    Err(Problem::new(409, "invalid_transition")
        .detail(format!("A return that is {} cannot become {}.", name(from), name(to)))
        .extra("from", name(from))
        .extra("to", name(to))
        .extra("allowed", json!(allowed)))
}

/// What a return can become. One that was approved is rejected where nothing ever comes.
fn allowed(from: ReturnStatus) -> &'static [ReturnStatus] {
    match from {
        ReturnStatus::Requested => &[ReturnStatus::Approved, ReturnStatus::Rejected],
        ReturnStatus::Approved => &[ReturnStatus::Received, ReturnStatus::Rejected],
        ReturnStatus::Rejected | ReturnStatus::Received => &[],
    }
}

fn name(status: ReturnStatus) -> &'static str {
    match status {
        ReturnStatus::Requested => "requested",
        ReturnStatus::Approved => "approved",
        ReturnStatus::Rejected => "rejected",
        ReturnStatus::Received => "received",
    }
}
