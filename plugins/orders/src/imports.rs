//! Orders that were placed in another shop, taken in as history.
//!
//! They are documents like any other: whatever lists, counts or shows orders needs to know nothing of imports. What makes
//! them different is what is not there: a reservation, uses of coupons, a price that could be made again, and a provider
//! that has the money. Their parts are named by the order, so that a second import of it finds them as they were.

#[cfg(test)]
mod tests;
mod writing;

use plugin_sdk::{
    Context, FieldError, Filter, Problem, Reply, Request, Result, Value, json, keys, money::is_currency,
    natural_id, time,
};

use crate::{
    HISTORY, ORDERS,
    document::{self, actor, record, told},
    model::{ImportedStatus, OrderImport, StoredOrder},
    orders, settlement,
};

/// Most times that an order is written after others were faster.
const TRIES_MAX: usize = 16;
/// What may happen to an order between two imports of it: a second one that says something else undoes it.
const UNDONE: [&str; 2] = ["order.imported", "order.updated"];

pub(crate) fn import(ctx: &Context<'_>, request: Request) -> Result<Reply> {
    if !request.caller.is_staff() {
        return Err(Problem::new(403, "forbidden").detail("Only the staff imports orders."));
    }
    let input = checked(request.json()?, &ctx.now())?;
    let lines = writing::lines(&input)?;
    let digest = natural_id("imp", &json!(input).to_string());
    for _ in 0..TRIES_MAX {
        let known = ctx.find_one::<StoredOrder>(ORDERS, Filter::eq("number", input.number.as_str()))?;
        let known = known.map(|stored| stored.data);
        if let Some(known) = &known
            && is_same(known, &digest)?
        {
            return unchanged(ctx, &request, &known.order.id);
        }
        if let Some(known) = &known {
            check_untouched(ctx, known)?;
        }
        let id = match &known {
            Some(known) => known.order.id.clone(),
            None => ctx.new_id("ord")?,
        };
        let mut order = writing::order(&input, &lines, &id, &digest);
        let mut commit = ctx.commit();
        let (status, written, headers) = match &known {
            Some(known) => {
                order.order.version = known.order.version;
                (200, document::save(&mut commit, &mut order), Vec::new())
            }
            None => {
                document::settle(&mut order);
                let location = ("location".to_owned(), format!("/orders/{id}"));
                (201, commit.insert_with_id(ORDERS, &id, &order), vec![location])
            }
        };
        let data = json!({
            "number": order.order.number,
            "total": order.order.totals.grand,
            "placedAt": order.order.placed_at,
        });
        record(&mut commit, &order, "order.imported", &actor(&request.caller), &data);
        commit.event_with("order.imported", written, &told(&order));
        match commit.answer(status, written, None::<&()>, headers) {
            Ok(reply) => return Ok(reply),
            Err(error) if error.is_taken("number") || settlement::is_retryable(&error) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Problem::conflict("Others keep changing this order. Try again in a moment."))
}

/// Whether a payment is one that was made at another shop: no provider here knows of it.
pub(crate) fn is_imported(order: &str, payment: &str) -> bool {
    writing::payment_id(order) == payment
}

/// Whether this request has made the order what it is.
///
/// # Errors
/// 409 for an order that imports have nothing to do with.
fn is_same(known: &StoredOrder, digest: &str) -> Result<bool> {
    let number = &known.order.number;
    match &known.imported {
        None => Err(Problem::already_exists("/number", format!("Order `{number}` was made here."))),
        Some(_) if known.hidden => Err(Problem::already_exists(
            "/number",
            format!("Order `{number}` was imported and then deleted."),
        )),
        Some(mark) => Ok(mark.digest == digest),
    }
}

fn unchanged(ctx: &Context<'_>, request: &Request, id: &str) -> Result<Reply> {
    let stored = ctx.get::<Value>(ORDERS, id)?.ok_or_else(Problem::not_found)?;
    Ok(Reply::resource(&orders::view(&stored.data, &request.caller), stored.version))
}

/// Refuses where something was done to the order here that an import would forget.
fn check_untouched(ctx: &Context<'_>, known: &StoredOrder) -> Result<()> {
    let harmless = UNDONE.map(Into::into).to_vec();
    let done = Filter::And(vec![
        Filter::eq("orderId", known.order.id.as_str()),
        Filter::Nin("type".to_owned(), harmless),
    ]);
    match ctx.find_one::<Value>(HISTORY, done)? {
        None => Ok(()),
        Some(entry) => {
            let kind = entry.data["type"].as_str().unwrap_or_default().to_owned();
            let detail = "Something was done to the order here since it was imported; its history says what.";
            Err(Problem::conflict(detail).extra("done", kind))
        }
    }
}

/// What the schema cannot say of an order, and times and texts as they are stored.
fn checked(mut input: OrderImport, now: &str) -> Result<OrderImport> {
    let mut errors = Vec::new();
    match time::normalised(&input.placed_at) {
        Some(at) if at.as_str() > now => {
            errors.push(FieldError::invalid("/placedAt", "That is in the future."));
        }
        Some(at) => input.placed_at = at,
        None => errors.push(FieldError::invalid("/placedAt", "It is no RFC 3339 time.")),
    }
    if !is_currency(&input.currency) {
        errors.push(FieldError::invalid("/currency", "It is no currency of ISO 4217."));
    }
    input.email = input.email.map(|email| email.to_lowercase());
    for (pointer, address) in
        [("/shippingAddress", &input.shipping_address), ("/billingAddress", &input.billing_address)]
    {
        errors.extend(address.iter().flat_map(|address| address.check(pointer)));
    }
    keys::check("/metadata", &input.metadata, &mut errors);
    if !input.coupons.is_empty() && input.metadata.contains_key(writing::COUPONS) {
        let message = "The codes in `coupons` get this name.";
        errors.push(FieldError::invalid(format!("/metadata/{}", writing::COUPONS), message));
    }
    if input.refunded > input.paid {
        errors.push(FieldError::invalid("/refunded", "That is more than was paid."));
    }
    match (input.status, input.shipped) {
        (ImportedStatus::Completed, Some(false)) => {
            errors.push(FieldError::invalid("/shipped", "A completed order was sent."));
        }
        (ImportedStatus::Confirmed | ImportedStatus::Cancelled, Some(true)) => {
            let message = "What was sent is `processing` or `completed`.";
            errors.push(FieldError::invalid("/shipped", message));
        }
        _ => {}
    }
    if input.tracking_number.is_some() && !writing::is_sent(&input) {
        errors.push(FieldError::invalid("/trackingNumber", "Nothing was sent."));
    }
    if errors.is_empty() { Ok(input) } else { Err(Problem::validation(errors)) }
}
