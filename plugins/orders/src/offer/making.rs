//! Putting an offer together: what is sold, what there is of it, and what it comes to.

use plugin_sdk::{
    Context, Money, Problem, Result, Value,
    pricing::{self, PricedCart, Settings, Source, Sums, kind},
};

use crate::{
    catalogue::{Catalogue, Variant},
    coupons,
    model::{Adjustment, ChosenShipping, Coupon, PluginUse, Problem as Told, QuotedLine, Totals, Unsold},
    offer::{Basket, BasketLine, Failure, Offer, content, not_sold, sending::ship, told},
    stock::{self, Demand},
};

/// A line that is sold.
pub(super) struct Sold<'b> {
    pub(super) line: &'b BasketLine,
    pub(super) variant: &'b Variant,
    pub(super) unit_price: i64,
}

pub(super) fn make(ctx: &Context<'_>, basket: &Basket, failure: Failure) -> Result<Offer> {
    let now = ctx.now();
    let catalogue = Catalogue::read(ctx, basket.lines.iter().map(|line| &line.variant))?;
    let mut problems = Vec::new();
    let (mut sold, mut unsold, mut demand) = (Vec::new(), Vec::new(), Demand::new());
    for line in &basket.lines {
        let variant = catalogue.get(&line.variant);
        let unit_price =
            variant.and_then(|it| it.unit_price(&basket.currency, &basket.groups, line.quantity, &now));
        match (variant, unit_price) {
            (Some(variant), Some(unit_price)) => {
                want(&mut demand, variant, line.quantity);
                sold.push(Sold { line, variant, unit_price });
            }
            _ => {
                let sku = variant.map_or(&line.sku, |variant| &variant.sku).clone();
                let name = variant.map(|variant| variant.name.clone());
                problems.push(not_sold(&line.id, name.as_ref().unwrap_or(&sku)));
                unsold.push(Unsold { id: line.id.clone(), sku, name, quantity: line.quantity });
            }
        }
    }
    problems.extend(short(ctx, &sold, &demand)?);
    let coupons = applying(ctx, basket, &mut problems)?;
    let mut cart = pricing_cart(ctx, basket, &sold, &coupons);
    let shipping_method = match &basket.shipping_method {
        Some(method) if !sold.is_empty() => ship(ctx, basket, &sold, method, failure, &mut problems)?,
        _ => None,
    };
    cart.shipping = shipping_method.as_ref().map(|chosen| pricing::Shipping {
        code: chosen.id.split_once(':').map_or(chosen.id.as_str(), |(_, code)| code).to_owned(),
        amount: chosen.price.amount,
        plugin_id: chosen.plugin_id.clone(),
    });
    let priced = price(ctx, &cart, shipping_method.as_ref(), failure, &mut problems)?;
    let money = |amount| Money::new(amount, basket.currency.clone());
    let adjusted =
        |it: &[pricing::Applied]| it.iter().map(|it| Adjustment::new(it, &basket.currency)).collect();
    let lines = sold.iter().zip(&priced.priced.lines).map(|(sold, priced)| QuotedLine {
        id: sold.line.id.clone(),
        product_id: sold.variant.product_id.clone(),
        variant_id: sold.variant.id.clone(),
        sku: sold.variant.sku.clone(),
        name: sold.variant.name.clone(),
        quantity: sold.line.quantity,
        unit_price: money(sold.unit_price),
        adjustments: adjusted(&priced.adjustments),
        total: money(priced.total),
    });
    let mut adjustments: Vec<Adjustment> = adjusted(&priced.priced.adjustments);
    if let Some(chosen) = &shipping_method {
        let shipping = adjustments.iter_mut().filter(|it| it.kind == kind::SHIPPING && it.reason.is_empty());
        shipping.for_each(|it| it.reason.clone_from(&chosen.name));
    }
    let mut offer = Offer {
        currency: basket.currency.clone(),
        lines: lines.collect(),
        unsold,
        adjustments,
        totals: Totals::unpaid(&priced.priced.totals, &basket.currency),
        plugins: priced.plugins.iter().map(PluginUse::from).collect(),
        problems,
        shipping_method,
        coupons,
        demand,
        content: content(basket),
        replay: priced.replay,
    };
    if !offer.lines.is_empty() {
        let effective = offer.effective_coupons();
        let idle = offer.coupons.iter().filter(|coupon| !effective.contains(&coupon.code));
        let message = |coupon: &Coupon| format!("The coupon `{}` takes nothing off this cart.", coupon.code);
        let idle: Vec<Told> = idle.map(|coupon| told("coupon_without_effect", message(coupon))).collect();
        offer.problems.extend(idle);
    }
    Ok(offer)
}

/// Adds a line to what has to be in stock.
pub(super) fn want(demand: &mut Demand, variant: &Variant, quantity: u32) {
    if variant.track_inventory {
        let wanted = demand.entry(variant.sku.clone()).or_default();
        wanted.quantity += i64::from(quantity);
        wanted.backorder = variant.backorder;
    }
}

/// The lines of which there is not enough, all lines with the same SKU together.
fn short(ctx: &Context<'_>, sold: &[Sold<'_>], demand: &Demand) -> Result<Vec<Told>> {
    let mut short = stock::short(ctx, demand)?;
    if short.is_empty() {
        return Ok(Vec::new());
    }
    // What is held by reservations whose time is over can be had: it is given back to whoever orders.
    for (sku, quantity) in stock::expired_pieces(ctx, short.keys().copied())? {
        if let Some(available) = short.get_mut(sku.as_str()) {
            *available += quantity;
        }
    }
    short.retain(|sku, available| *available < demand.get(*sku).map_or(0, |wanted| wanted.quantity));
    let told = sold.iter().filter_map(|sold| {
        let available = (*short.get(sold.variant.sku.as_str())?).max(0);
        let message = format!("In stock of `{}`: {available}.", sold.variant.name);
        Some(Told {
            code: "insufficient_stock".to_owned(),
            item_id: Some(sold.line.id.clone()),
            message,
            available: Some(available),
        })
    });
    Ok(told.collect())
}

/// The coupons that apply.
fn applying(ctx: &Context<'_>, basket: &Basket, problems: &mut Vec<Told>) -> Result<Vec<Coupon>> {
    if basket.coupons.is_empty() {
        return Ok(Vec::new());
    }
    let buyers = coupons::uses::buyers(basket.customer.as_deref(), basket.email.as_deref());
    let mut applying = Vec::new();
    for coupon in coupons::look_up(ctx, &basket.coupons, &buyers)? {
        match coupon {
            Ok(coupon) => applying.push(coupon),
            Err(unfit) => problems.push(told(unfit.code, unfit.message)),
        }
    }
    Ok(applying)
}

fn pricing_cart(ctx: &Context<'_>, basket: &Basket, sold: &[Sold<'_>], coupons: &[Coupon]) -> pricing::Cart {
    let address = basket.shipping_address.as_ref();
    let coupon = |it: &Coupon| pricing::Coupon { code: it.code.clone(), rule_id: it.rule_id.clone() };
    let line = |sold: &Sold<'_>| pricing::Line {
        id: sold.line.id.clone(),
        product_id: sold.variant.product_id.clone(),
        variant_id: sold.variant.id.clone(),
        sku: sold.variant.sku.clone(),
        quantity: sold.line.quantity,
        unit_price: sold.unit_price,
        tax_class: sold.variant.tax_class.clone(),
        weight_grams: sold.variant.weight_grams,
        category_ids: sold.variant.category_ids.clone(),
    };
    pricing::Cart {
        currency: basket.currency.clone(),
        at_ms: ctx.now_ms(),
        customer: basket.customer.clone(),
        groups: basket.groups.clone(),
        coupons: coupons.iter().map(coupon).collect(),
        country: address.map(|address| address.country.clone()),
        region: address.and_then(|address| address.region.clone()),
        postal_code: address.map(|address| address.postal_code.clone()),
        lines: sold.iter().map(line).collect(),
        shipping: None,
        so_far: Vec::new(),
    }
}

fn price(
    ctx: &Context<'_>,
    cart: &pricing::Cart,
    shipping: Option<&ChosenShipping>,
    failure: Failure,
    problems: &mut Vec<Told>,
) -> Result<PricedCart> {
    if cart.lines.is_empty() {
        return by_list(cart, shipping);
    }
    let priced = match shipping {
        Some(chosen) => ctx.price_with_shipping(cart, &source(chosen)),
        None => ctx.price(cart),
    };
    match priced {
        Ok(priced) => {
            problems.extend(priced.problems.iter().map(|message| told("rule_failed", message.clone())));
            Ok(priced)
        }
        Err(problem) if failure == Failure::Refused => Err(problem),
        Err(_) => {
            let priced = by_list(cart, shipping)?;
            let message = "The prices are without discounts and taxes for the moment.".to_owned();
            problems.push(told("rule_failed", message));
            Ok(priced)
        }
    }
}

fn source(chosen: &ChosenShipping) -> Source {
    Source {
        plugin_id: chosen.plugin_id.clone(),
        plugin_version: chosen.plugin_version.clone(),
        digest: chosen.digest.clone(),
        config_digest: chosen.config_digest.clone(),
    }
}

/// What a cart comes to without any rule.
fn by_list(cart: &pricing::Cart, shipping: Option<&ChosenShipping>) -> Result<PricedCart> {
    let source = shipping.map(source).unwrap_or_default();
    let sums = Sums::new(cart, Settings::default(), &source.into());
    // Prices are not negative and quantities not zero, so nothing else can be wrong.
    let sums = sums.map_err(|error| Problem::new(422, "amount_out_of_range").detail(error.to_string()))?;
    Ok(PricedCart { priced: sums.finish(), plugins: Vec::new(), problems: Vec::new(), replay: Value::Null })
}
