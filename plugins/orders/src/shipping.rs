//! How a cart can be sent, and how it can be paid.

use plugin_sdk::{Context, Reply, Request, Result, shipping::ShippingOption};

use crate::{
    carts::open,
    model::{PaymentMethodView, ShippingMethod},
    offer,
};

pub(crate) fn options(ctx: &Context<'_>, request: Request) -> Result<Reply> {
    let cart = open(ctx, &request, request.param("id"))?;
    let basket = offer::basket_of(&cart, &request.caller.groups);
    let answer = offer::shipping_options(ctx, &basket)?;
    let methods: Vec<ShippingMethod> = answer.options.into_iter().map(method).collect();
    Ok(Reply::ok(&methods))
}

pub(crate) fn payment_methods(ctx: &Context<'_>, request: Request) -> Result<Reply> {
    open(ctx, &request, request.param("id"))?;
    let view = |method: plugin_sdk::payment::PaymentMethod| PaymentMethodView {
        provider: method.provider,
        title: method.title,
    };
    let methods: Vec<PaymentMethodView> = ctx.payment_methods()?.into_iter().map(view).collect();
    Ok(Reply::ok(&methods))
}

fn method(option: ShippingOption) -> ShippingMethod {
    let code = option.rate.code.clone();
    let chosen = offer::chosen(option);
    ShippingMethod {
        id: chosen.id,
        code,
        name: chosen.name,
        price: chosen.price,
        plugin_id: chosen.plugin_id,
    }
}
