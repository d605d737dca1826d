//! What is chosen about a cart besides its lines: coupons, addresses, how it is sent.

use plugin_sdk::{Context, FieldError, Problem, Reply, Request, Result};

use crate::{
    carts::{active, save},
    coupons,
    model::{AddressesInput, CouponEntry, ShippingChoice},
    offer,
};

pub(crate) fn add_coupon(ctx: &Context<'_>, request: Request) -> Result<Reply> {
    let entry: CouponEntry = request.json()?;
    let code = coupons::settled(&entry.code);
    let mut cart = active(ctx, &request)?;
    if !cart.coupons.contains(&code) {
        if cart.coupons.len() >= coupons::COUPONS_MAX {
            let message = format!("There can be {} coupons in a cart.", coupons::COUPONS_MAX);
            return Err(Problem::validation(vec![FieldError::invalid("/code", message)]));
        }
        let buyers = coupons::uses::buyers(cart.customer_id.as_deref(), request.caller.email.as_deref());
        let found = coupons::look_up(ctx, std::slice::from_ref(&code), &buyers)?;
        if let Some(Err(unfit)) = found.into_iter().next() {
            return Err(Problem::new(409, unfit.code).detail(unfit.message));
        }
        cart.coupons.push(code);
    }
    save(ctx, &request, cart, &[])
}

pub(crate) fn remove_coupon(ctx: &Context<'_>, request: Request) -> Result<Reply> {
    let code = coupons::settled(request.param("code"));
    let mut cart = active(ctx, &request)?;
    if !cart.coupons.contains(&code) {
        return Err(Problem::not_found());
    }
    cart.coupons.retain(|entered| *entered != code);
    save(ctx, &request, cart, &[])
}

pub(crate) fn addresses(ctx: &Context<'_>, request: Request) -> Result<Reply> {
    let input: AddressesInput = request.json()?;
    let shipping = input.shipping_address.iter().flat_map(|it| it.check("/shippingAddress"));
    let billing = input.billing_address.iter().flat_map(|it| it.check("/billingAddress"));
    let errors: Vec<FieldError> = shipping.chain(billing).collect();
    if !errors.is_empty() {
        return Err(Problem::validation(errors));
    }
    let mut cart = active(ctx, &request)?;
    cart.shipping_address = input.shipping_address;
    cart.billing_address = input.billing_address;
    save(ctx, &request, cart, &[])
}

pub(crate) fn shipping(ctx: &Context<'_>, request: Request) -> Result<Reply> {
    let choice: ShippingChoice = request.json()?;
    let mut cart = active(ctx, &request)?;
    let basket = offer::basket_of(&cart, &request.caller.groups);
    let answer = offer::shipping_options(ctx, &basket)?;
    if !answer.options.into_iter().map(offer::chosen).any(|option| option.id == choice.shipping_method) {
        let detail = format!(
            "The cart cannot be sent by `{}`; `/carts/{}/shipping-options` lists the ways.",
            choice.shipping_method, cart.id
        );
        return Err(Problem::new(409, "shipping_unavailable").detail(detail));
    }
    cart.shipping_method = Some(choice.shipping_method);
    save(ctx, &request, cart, &[])
}
