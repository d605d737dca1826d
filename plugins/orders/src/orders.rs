//! Orders as they are listed, read, changed by the staff, and put away.

#[cfg(test)]
mod tests;

use plugin_sdk::{
    Caller, Context, FieldError, Filter, Problem, Reply, Request, Result, SortKey, Value, json, keys,
    patch::merged,
};

use crate::{
    ORDERS,
    document::{actor, check_access, overlay, record, record_for_staff, save, told, visible},
    ledger, model,
    model::{FulfillmentState, OrderStatus, OrderUpdate, StoredOrder},
    transitions,
};

pub(crate) fn list(ctx: &Context<'_>, request: Request) -> Result<Reply> {
    check_access(&request.caller, "orders:read")?;
    if request.caller.owner().is_none() && !request.caller.is_staff() {
        let detail = "Log in, or send the token of the cart that was ordered.";
        return Err(Problem::new(401, "unauthenticated").detail(detail));
    }
    page(ctx, request, Filter::eq("_hidden", false))
}

pub(crate) fn list_own(ctx: &Context<'_>, request: Request) -> Result<Reply> {
    // Not those of a guest, whose token the customer may still have.
    let own = Filter::eq("customerId", request.caller.subject.as_deref().unwrap_or_default());
    page(ctx, request, Filter::And(vec![Filter::eq("_hidden", false), own]))
}

pub(crate) fn read(ctx: &Context<'_>, request: Request) -> Result<Reply> {
    check_access(&request.caller, "orders:read")?;
    show(ctx, &request, Filter::eq("id", request.param("id")))
}

pub(crate) fn read_by_number(ctx: &Context<'_>, request: Request) -> Result<Reply> {
    check_access(&request.caller, "orders:read")?;
    if request.caller.owner().is_none() && !request.caller.is_staff() && request.query("email").is_none() {
        let message = "Give the e-mail address that the order was made with.";
        return Err(Problem::invalid_parameter("email", message));
    }
    show(ctx, &request, Filter::eq("number", request.param("number")))
}

pub(crate) fn replace(ctx: &Context<'_>, request: Request) -> Result<Reply> {
    change(ctx, &request, |_| request.json())
}

pub(crate) fn patch(ctx: &Context<'_>, request: Request) -> Result<Reply> {
    change(ctx, &request, |order| {
        let current = OrderUpdate {
            notes: order.order.notes.clone(),
            metadata: order.order.metadata.clone(),
            shipping_address: order.order.shipping_address.clone(),
            billing_address: order.order.billing_address.clone(),
            status: Some(order.order.status),
        };
        merged(&current, request.value()?)
    })
}

/// Hides the order. What is owed to it is still looked after: a refund that is under way comes to its end.
pub(crate) fn delete(ctx: &Context<'_>, request: Request) -> Result<Reply> {
    let mut order = visible(ctx, request.param("id"))?;
    request.check_version(order.order.version)?;
    if !matches!(order.order.status, OrderStatus::Cancelled | OrderStatus::Expired) {
        let status = ledger::name(order.order.status);
        return Err(Problem::new(409, "invalid_transition")
            .detail("Only orders that are cancelled or expired are deleted.")
            .extra("from", status)
            .extra("to", "deleted")
            .extra("allowed", json!(ledger::allowed(&order.order, order.held_from))));
    }
    order.hidden = true;
    let mut commit = ctx.commit();
    let write = save(&mut commit, &mut order);
    record(&mut commit, &order, "order.deleted", &actor(&request.caller), &json!({}));
    commit.event_with("order.deleted", write, &told(&order));
    Ok(commit.answer_empty()?)
}

fn page(ctx: &Context<'_>, mut request: Request, condition: Filter) -> Result<Reply> {
    let mut query = request.list().and(condition);
    // What is searched for comes by how well it fits.
    if query.sort.is_empty() && query.text.is_none() {
        query.sort.push(SortKey::descending("placedAt"));
    }
    let found = ctx.find::<Value>(ORDERS, &query)?;
    Ok(Reply::page(found, |order| view(&order.data, &request.caller)))
}

fn show(ctx: &Context<'_>, request: &Request, which: Filter) -> Result<Reply> {
    let condition = Filter::And(vec![which, Filter::eq("_hidden", false)]);
    let found = ctx.find_one::<Value>(ORDERS, condition)?.ok_or_else(Problem::not_found)?;
    Ok(Reply::resource(&view(&found.data, &request.caller), found.version))
}

/// What of a stored order this caller is shown.
pub(crate) fn view(document: &Value, caller: &Caller) -> Value {
    let mut shown = model::shown(document);
    if let Some(Value::Object(members)) = overlay(caller) {
        for (name, member) in members {
            shown[name] = member;
        }
    }
    shown
}

fn change(
    ctx: &Context<'_>,
    request: &Request,
    input: impl FnOnce(&StoredOrder) -> Result<OrderUpdate>,
) -> Result<Reply> {
    let mut order = visible(ctx, request.param("id"))?;
    request.check_version(order.order.version)?;
    let input = input(&order)?;
    check(&input)?;
    let (from, to) = (order.order.status, input.status.unwrap_or(order.order.status));
    let changed = apply(&mut order, input)?;
    let mut commit = ctx.commit();
    if to != from {
        transitions::advance(ctx, &mut commit, &mut order, to, &request.caller)?;
    }
    let write = save(&mut commit, &mut order);
    let actor = actor(&request.caller);
    if to != from {
        transitions::announce(&mut commit, &order, from, write, &actor);
    }
    if changed == ["notes"] {
        record_for_staff(&mut commit, &order, "order.updated", &actor, &json!({"changed": changed}));
    } else if !changed.is_empty() {
        let seen: Vec<&str> = changed.iter().copied().filter(|&name| name != "notes").collect();
        record(&mut commit, &order, "order.updated", &actor, &json!({"changed": seen}));
    }
    if !changed.is_empty() {
        commit.event_with("order.updated", write, &told(&order));
    }
    Ok(commit.answer(200, write, overlay(&request.caller).as_ref(), Vec::new())?)
}

/// Sets what is given, and answers which members are others than before.
fn apply(order: &mut StoredOrder, input: OrderUpdate) -> Result<Vec<&'static str>> {
    let mut changed = Vec::new();
    let sent = |it: FulfillmentState| matches!(it, FulfillmentState::Shipped | FulfillmentState::Delivered);
    let is_sent = order.order.fulfillments.iter().any(|parcel| sent(parcel.status));
    let order = &mut order.order;
    for (name, current, given) in [
        ("shippingAddress", &mut order.shipping_address, input.shipping_address),
        ("billingAddress", &mut order.billing_address, input.billing_address),
    ] {
        if *current == given {
            continue;
        }
        if is_sent {
            return Err(Problem::conflict("Addresses stay as they are once something is sent."));
        }
        *current = given;
        changed.push(name);
    }
    if order.metadata != input.metadata {
        order.metadata = input.metadata;
        changed.push("metadata");
    }
    if order.notes != input.notes {
        order.notes = input.notes;
        changed.push("notes");
    }
    Ok(changed)
}

/// What the schema cannot say.
fn check(input: &OrderUpdate) -> Result<()> {
    let mut errors: Vec<FieldError> = Vec::new();
    for (at, address) in
        [("/shippingAddress", &input.shipping_address), ("/billingAddress", &input.billing_address)]
    {
        errors.extend(address.iter().flat_map(|address| address.check(at)));
    }
    keys::check("/metadata", &input.metadata, &mut errors);
    if errors.is_empty() { Ok(()) } else { Err(Problem::validation(errors)) }
}
