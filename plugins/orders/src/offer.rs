//! What a basket comes to now: the one way from something to buy to its price.
//!
//! An offer reads the catalogue, the stock and the coupons, and asks the shipping plugins and the pricing rules. What is
//! wrong with a single line, coupon or shipping method does not fail it: that is left out of the price and told in the
//! problems. Who wants to sell asks for the [`refusal`](Offer::refusal).

use std::collections::BTreeMap;

use plugin_sdk::{
    Context, Money, Problem, Result, Value,
    address::Address,
    json, natural_id,
    pricing::{self, PricedCart, Settings, Source, Sums},
    shipping::{Parcel, ShippingOptions},
};
use serde::Deserialize;

use crate::{
    INVENTORY,
    catalogue::{Catalogue, Variant, VariantKey},
    coupons,
    model::{
        Adjustment, ChosenShipping, Coupon, PluginUse, Problem as Told, QuotedLine, StoredCart, StoredQuote,
        Totals,
    },
    stock::{self, Demand},
};

/// Something to buy.
#[derive(Debug, Clone, Default)]
pub(crate) struct Basket {
    /// ISO 4217 code.
    pub currency: String,
    pub customer: Option<String>,
    /// The groups that the customer is in.
    pub groups: Vec<String>,
    /// Codes in capitals.
    pub coupons: Vec<String>,
    /// A guest's, if it is known: coupons are counted by it.
    pub email: Option<String>,
    pub shipping_address: Option<Address>,
    /// The id of a shipping option.
    pub shipping_method: Option<String>,
    pub lines: Vec<BasketLine>,
}

#[derive(Debug, Clone)]
pub(crate) struct BasketLine {
    /// Unique in the basket.
    pub id: String,
    pub variant: VariantKey,
    /// From 1.
    pub quantity: u32,
}

/// A priced cart: what a quote stores and an order takes.
#[derive(Debug, Clone)]
pub(crate) struct Offer {
    pub currency: String,
    /// What is sold of the basket.
    pub lines: Vec<QuotedLine>,
    /// What is not.
    pub unsold: Vec<Unsold>,
    /// What belongs to no line.
    pub adjustments: Vec<Adjustment>,
    pub totals: Totals,
    pub plugins: Vec<PluginUse>,
    pub problems: Vec<Told>,
    pub shipping_method: Option<ChosenShipping>,
    /// The coupons that apply; of a quote those that did.
    pub coupons: Vec<Coupon>,
    /// Of the variants whose stock is counted.
    pub demand: Demand,
    /// Hash of everything of the basket that a price depends on.
    pub content: String,
    /// What is needed to price it again.
    pub replay: Value,
}

/// A line that is not sold: the variant is gone, its product is not active, or it has no price in the currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unsold {
    pub id: String,
    /// What it was named by, where it is not in the catalogue at all.
    pub sku: String,
    pub name: Option<String>,
    pub quantity: u32,
}

/// What becomes of an offer whose shipping plugins or pricing rules fail.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Failure {
    Refused,
    /// In the problems; the price is without what failed.
    Told,
}

/// What a basket comes to, for who wants to sell it.
///
/// # Errors
/// Those of the store, of shipping and of pricing; 422 `amount_out_of_range`.
pub(crate) fn of(ctx: &Context<'_>, basket: &Basket) -> Result<Offer> {
    make(ctx, basket, Failure::Refused)
}

/// What a basket comes to, for who looks at it: where the pricing rules fail, by its list prices.
///
/// # Errors
/// Those of the store; 422 `amount_out_of_range`.
pub(crate) fn to_show(ctx: &Context<'_>, basket: &Basket) -> Result<Offer> {
    make(ctx, basket, Failure::Told)
}

/// A quote as an offer: its prices as they are, and what has to be in stock by the catalogue of now.
///
/// # Errors
/// Those of the store.
pub(crate) fn of_quote(ctx: &Context<'_>, quote: &StoredQuote) -> Result<Offer> {
    let keys: Vec<VariantKey> =
        quote.lines.iter().map(|line| VariantKey::Id(line.variant_id.clone())).collect();
    let catalogue = Catalogue::read(ctx, keys.iter())?;
    let (mut demand, mut unsold) = (Demand::new(), Vec::new());
    // What was found out about stock is of then.
    let of_then = |problem: &&Told| problem.code != "insufficient_stock";
    let mut problems: Vec<Told> = quote.problems.iter().filter(of_then).cloned().collect();
    for (line, key) in quote.lines.iter().zip(&keys) {
        match catalogue.get(key).filter(|variant| variant.is_active) {
            Some(variant) => want(&mut demand, variant, line.quantity),
            None => {
                problems.push(not_sold(&line.id, &line.name));
                unsold.push(Unsold {
                    id: line.id.clone(),
                    sku: line.sku.clone(),
                    name: Some(line.name.clone()),
                    quantity: line.quantity,
                });
            }
        }
    }
    Ok(Offer {
        currency: quote.currency.clone(),
        lines: quote.lines.clone(),
        unsold,
        adjustments: quote.adjustments.clone(),
        totals: quote.totals.clone(),
        plugins: quote.plugins.clone(),
        problems,
        shipping_method: quote.shipping_method.clone(),
        coupons: coupons::by_code(ctx, &quote.coupons)?.into_values().collect(),
        demand,
        content: quote.content.clone(),
        replay: quote.replay.clone(),
    })
}

/// The basket of a cart, for a customer in these groups.
pub(crate) fn basket_of(cart: &StoredCart, groups: &[String]) -> Basket {
    let mut lines: Vec<BasketLine> = cart
        .lines
        .iter()
        .map(|(variant, line)| BasketLine {
            id: line.id.clone(),
            variant: VariantKey::Id(variant.clone()),
            quantity: line.quantity,
        })
        .collect();
    // In the order in which they were put in.
    lines.sort_by(|a, b| a.id.cmp(&b.id));
    Basket {
        currency: cart.currency.clone(),
        customer: cart.customer_id.clone(),
        groups: groups.to_vec(),
        coupons: cart.coupons.clone(),
        email: None,
        shipping_address: cart.shipping_address.clone(),
        shipping_method: cart.shipping_method.clone(),
        lines,
    }
}

/// Hash of everything of a basket that its price depends on. Two baskets that differ in nothing else have the same.
pub(crate) fn content(basket: &Basket) -> String {
    let mut lines: Vec<(&VariantKey, &str, u32)> =
        basket.lines.iter().map(|line| (&line.variant, line.id.as_str(), line.quantity)).collect();
    lines.sort_unstable();
    let lines: Vec<Value> = lines
        .into_iter()
        .map(|(variant, id, quantity)| match variant {
            VariantKey::Id(text) => json!(["id", text, id, quantity]),
            VariantKey::Sku(text) => json!(["sku", text, id, quantity]),
        })
        .collect();
    let mut codes = basket.coupons.clone();
    codes.sort_unstable();
    let address = basket.shipping_address.as_ref();
    let place = address.map(|address| json!([address.country, address.region, address.postal_code]));
    let all = json!([basket.currency, basket.customer, lines, codes, place, basket.shipping_method]);
    natural_id("cnt", &all.to_string())
}

impl Offer {
    /// Why it cannot be sold as it is, whatever is in stock: 409 `cart_empty`, `insufficient_stock` for what is not sold
    /// any more, `coupon_invalid`, `coupon_exhausted` or `shipping_unavailable`. Whether there is enough in stock only
    /// the commit that takes it can tell.
    pub(crate) fn refusal(&self) -> Option<Problem> {
        if !self.unsold.is_empty() {
            let items: Vec<Value> = self
                .unsold
                .iter()
                .map(|line| json!({"sku": line.sku, "requested": line.quantity, "available": 0}))
                .collect();
            let detail = "Some items are not sold any more.";
            return Some(Problem::new(409, "insufficient_stock").detail(detail).extra("items", items));
        }
        if self.lines.is_empty() {
            return Some(Problem::new(409, "cart_empty").detail("There is nothing to buy."));
        }
        let blocking = ["coupon_invalid", "coupon_exhausted", "shipping_unavailable"];
        let told = self.problems.iter().find(|problem| blocking.contains(&problem.code.as_str()))?;
        Some(Problem::new(409, told.code.clone()).detail(told.message.clone()))
    }
}

/// A line that is sold.
struct Sold<'b> {
    line: &'b BasketLine,
    variant: &'b Variant,
    unit_price: i64,
}

fn make(ctx: &Context<'_>, basket: &Basket, failure: Failure) -> Result<Offer> {
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
                let sku = variant.map_or(line.variant.text(), |variant| &variant.sku).to_owned();
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
    Ok(Offer {
        currency: basket.currency.clone(),
        lines: lines.collect(),
        unsold,
        adjustments: adjusted(&priced.priced.adjustments),
        totals: Totals::unpaid(&priced.priced.totals, &basket.currency),
        plugins: priced.plugins.iter().map(PluginUse::from).collect(),
        problems,
        shipping_method,
        coupons,
        demand,
        content: content(basket),
        replay: priced.replay,
    })
}

/// Adds a line to what has to be in stock.
fn want(demand: &mut Demand, variant: &Variant, quantity: u32) {
    if variant.track_inventory {
        let wanted = demand.entry(variant.sku.clone()).or_default();
        wanted.quantity += i64::from(quantity);
        wanted.backorder = variant.backorder;
    }
}

#[derive(Deserialize)]
struct Counted {
    available: i64,
}

/// The lines of which there is not enough, all lines with the same SKU together.
fn short(ctx: &Context<'_>, sold: &[Sold<'_>], demand: &Demand) -> Result<Vec<Told>> {
    if demand.values().all(|wanted| wanted.backorder) {
        return Ok(Vec::new());
    }
    let counted: Vec<_> = demand.iter().filter(|(_, wanted)| !wanted.backorder).collect();
    let ids: Vec<String> = counted.iter().map(|(sku, _)| stock::level_id(sku)).collect();
    let levels = ctx.get_many::<Counted>(INVENTORY, &ids)?;
    let mut short: BTreeMap<&str, i64> = BTreeMap::new();
    for ((sku, wanted), level) in counted.into_iter().zip(levels) {
        let available = level.map_or(0, |level| level.data.available);
        if available < wanted.quantity {
            short.insert(sku, available);
        }
    }
    if short.is_empty() {
        return Ok(Vec::new());
    }
    // What is held by reservations whose time is over can be had: it is given back to whoever orders.
    for reservation in stock::expired_of(ctx, short.keys().copied())? {
        for item in &reservation.data.items {
            if let Some(available) = short.get_mut(item.sku.as_str()) {
                *available += item.quantity;
            }
        }
    }
    short.retain(|sku, available| *available < demand.get(*sku).map_or(0, |wanted| wanted.quantity));
    let told = sold.iter().filter_map(|sold| {
        let available = (*short.get(sold.variant.sku.as_str())?).max(0);
        let message = format!("There are only {available} of `{}` in stock.", sold.variant.name);
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
    let buyer = coupons::buyer(basket.customer.as_deref(), basket.email.as_deref());
    let mut applying = Vec::new();
    for coupon in coupons::look_up(ctx, &basket.coupons, buyer.as_deref())? {
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

/// The ways in which a basket can be sent.
///
/// # Errors
/// Those of the store and of shipping.
pub(crate) fn shipping_options(ctx: &Context<'_>, basket: &Basket) -> Result<ShippingOptions> {
    let now = ctx.now();
    let catalogue = Catalogue::read(ctx, basket.lines.iter().map(|line| &line.variant))?;
    let sold: Vec<Sold<'_>> = basket
        .lines
        .iter()
        .filter_map(|line| {
            let variant = catalogue.get(&line.variant)?;
            let unit_price = variant.unit_price(&basket.currency, &basket.groups, line.quantity, &now)?;
            Some(Sold { line, variant, unit_price })
        })
        .collect();
    if sold.is_empty() { Ok(ShippingOptions::default()) } else { options(ctx, basket, &sold) }
}

fn options(ctx: &Context<'_>, basket: &Basket, sold: &[Sold<'_>]) -> Result<ShippingOptions> {
    let address = basket.shipping_address.as_ref();
    let mut parcel = Parcel {
        currency: basket.currency.clone(),
        country: address.map(|address| address.country.clone()),
        region: address.and_then(|address| address.region.clone()),
        postal_code: address.map(|address| address.postal_code.clone()),
        groups: basket.groups.clone(),
        ..Parcel::default()
    };
    for sold in sold {
        let quantity = u64::from(sold.line.quantity);
        parcel.quantity += quantity;
        let weight = sold.variant.weight_grams.saturating_mul(quantity);
        parcel.weight_grams = parcel.weight_grams.saturating_add(weight);
        let gross = sold.unit_price.saturating_mul(i64::from(sold.line.quantity));
        parcel.value = parcel.value.saturating_add(gross);
    }
    let mut options = ctx.ship(&parcel)?;
    options.options.retain(|option| option.rate.price.currency == basket.currency);
    Ok(options)
}

/// The chosen one of the ways in which a basket can be sent.
fn ship(
    ctx: &Context<'_>,
    basket: &Basket,
    sold: &[Sold<'_>],
    method: &str,
    failure: Failure,
    problems: &mut Vec<Told>,
) -> Result<Option<ChosenShipping>> {
    let answer = match options(ctx, basket, sold) {
        Ok(answer) => answer,
        Err(problem) if failure == Failure::Refused => return Err(problem),
        Err(_) => ShippingOptions::default(),
    };
    let chosen = answer.options.into_iter().map(chosen).find(|option| option.id == method);
    if chosen.is_none() {
        let message = "The cart cannot be sent in the way that was chosen.".to_owned();
        problems.push(told("shipping_unavailable", message));
    }
    Ok(chosen)
}

/// A shipping option as it can be chosen.
pub(crate) fn chosen(option: plugin_sdk::shipping::ShippingOption) -> ChosenShipping {
    ChosenShipping {
        id: format!("{}:{}", option.source.plugin_id, option.rate.code),
        name: option.rate.name,
        price: option.rate.price,
        plugin_id: option.source.plugin_id,
        plugin_version: option.source.plugin_version,
        digest: option.source.digest,
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
    match ctx.price(cart) {
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

/// What a cart comes to without any rule.
fn by_list(cart: &pricing::Cart, shipping: Option<&ChosenShipping>) -> Result<PricedCart> {
    let source = shipping.map(|chosen| Source {
        plugin_id: chosen.plugin_id.clone(),
        plugin_version: chosen.plugin_version.clone(),
        digest: chosen.digest.clone(),
        config_digest: String::new(),
    });
    let sums = Sums::new(cart, Settings::default(), &source.unwrap_or_default().into());
    // Prices are not negative and quantities not zero, so nothing else can be wrong.
    let sums = sums.map_err(|error| Problem::new(422, "amount_out_of_range").detail(error.to_string()))?;
    Ok(PricedCart { priced: sums.finish(), plugins: Vec::new(), problems: Vec::new(), replay: Value::Null })
}

fn not_sold(item: &str, name: &str) -> Told {
    let message = format!("`{name}` is not sold any more.");
    Told { item_id: Some(item.to_owned()), ..told("not_sold", message) }
}

fn told(code: &str, message: String) -> Told {
    Told { code: code.to_owned(), item_id: None, message, available: None }
}
