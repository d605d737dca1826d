//! Taking the cart of a guest who has logged in into the customer's own.

use plugin_sdk::{Context, FieldError, Problem, Reply, Request, Result};

use crate::{
    CARTS,
    carts::{
        ACTIVE_OF, TRIES_MAX, check_active, customer, empty, expiry, expiry_from_now, is_over, open, own,
        show, view::Priced,
    },
    coupons::COUPONS_MAX,
    model::{CartStatus, LINES_MAX, MergeInput, QUANTITY_MAX, StoredCart},
};

/// Merges in one commit. A cart that is merged already changes nothing, so that a client may ask again.
pub(crate) fn merge(ctx: &Context<'_>, request: Request) -> Result<Reply> {
    let input: MergeInput = request.json()?;
    let Some(customer) = customer(&request.caller) else { return Err(Problem::not_found()) };
    let guest = open(ctx, &request, &input.cart_id)?;
    for _ in 0..TRIES_MAX {
        let current = own(ctx, customer)?;
        let (outlived, current) = match current {
            Some(cart) if is_over(ctx, &cart) => (Some(cart), None),
            current => (None, current),
        };
        // One that was ordered as a guest's and came back is the customer's, and not yet their one cart.
        let is_own =
            guest.owner == customer && (guest.active_of.is_some() || guest.status != CartStatus::Active);
        let is_done = guest.status == CartStatus::Merged || is_own;
        if let (true, Some(own)) = (is_done, &current) {
            return show(ctx, &request, own);
        }
        if !is_done {
            check_active(ctx, &guest)?;
        }
        let is_new = current.is_none();
        let mut own = match current {
            Some(own) => own,
            None => empty(ctx, &request.caller, None, guest.currency.clone())?,
        };
        check_active(ctx, &own)?;
        if !is_new {
            request.check_version(own.version)?;
        }
        let touched = if is_done { Vec::new() } else { take(&mut own, &guest)? };
        own.expires_at = expiry_from_now(ctx);
        own.groups.clone_from(&request.caller.groups);
        let mut priced = Priced::of(ctx, &own, &request.caller.groups)?;
        priced.saw(&mut own, &touched);

        let mut commit = ctx.commit();
        if let Some(outlived) = &outlived {
            expiry::end(&mut commit, outlived);
        }
        let written = if is_new {
            commit.insert_with_id(CARTS, &own.id, &own)
        } else {
            let written = commit.replace(CARTS, &own.id, &own);
            commit.expect_version(written, own.version);
            written
        };
        if !is_done {
            let merged = StoredCart { status: CartStatus::Merged, active_of: None, ..guest.clone() };
            let written = commit.replace(CARTS, &guest.id, &merged);
            commit.expect_version(written, guest.version);
        }
        match commit.answer(200, written, Some(&priced), Vec::new()) {
            Ok(reply) => return Ok(reply),
            Err(error) if error.is_taken(ACTIVE_OF) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Problem::conflict("Somebody else is making a cart for this customer. Try again in a moment."))
}

/// Adds what a guest has chosen to what the customer has, who keeps own choices, and answers the variants that were
/// added.
fn take(own: &mut StoredCart, guest: &StoredCart) -> Result<Vec<String>> {
    if own.lines.is_empty() {
        own.currency.clone_from(&guest.currency);
    } else if own.currency != guest.currency && !guest.lines.is_empty() {
        let detail = format!("One cart is in {} and the other in {}.", own.currency, guest.currency);
        return Err(Problem::new(409, "currency_mismatch").detail(detail));
    }
    for (variant, line) in &guest.lines {
        match own.lines.get_mut(variant) {
            Some(present) => {
                present.quantity = present.quantity.saturating_add(line.quantity).min(QUANTITY_MAX)
            }
            None => {
                own.lines.insert(variant.clone(), line.clone());
            }
        }
    }
    if own.lines.len() > LINES_MAX {
        let message = format!("The carts have more than {LINES_MAX} different variants together.");
        return Err(Problem::validation(vec![FieldError::invalid("/cartId", message)]));
    }
    for code in &guest.coupons {
        if !own.coupons.contains(code) && own.coupons.len() < COUPONS_MAX {
            own.coupons.push(code.clone());
        }
    }
    own.shipping_address = own.shipping_address.take().or_else(|| guest.shipping_address.clone());
    own.billing_address = own.billing_address.take().or_else(|| guest.billing_address.clone());
    own.shipping_method = own.shipping_method.take().or_else(|| guest.shipping_method.clone());
    Ok(guest.lines.keys().cloned().collect())
}
