//! What a basket comes to now: the one way from something to buy to its price.
//!
//! An offer reads the catalogue, the stock and the coupons, and asks the shipping plugins and the pricing rules. What is
//! wrong with a single line, coupon or shipping method does not fail it: that is left out of the price and told in the
//! problems. Who wants to sell asks for the [`refusal`](Offer::refusal).

mod making;
mod sending;

use std::collections::BTreeSet;

use plugin_sdk::{Context, Problem, Result, Value, address::Address, json, natural_id};

use crate::{
    catalogue::{Catalogue, VariantKey},
    coupons,
    model::{
        Adjustment, ChosenShipping, Coupon, PluginUse, Problem as Told, QuotedLine, StoredCart, StoredQuote,
        Totals, Unsold,
    },
    stock::Demand,
};

use making::{make, want};
pub(crate) use sending::{chosen, shipping_options};

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
    /// If it is known: coupons are counted by it.
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
    /// What it was when the line was put in: it may be in the catalogue no more.
    pub sku: String,
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
    let (mut demand, mut unsold) = (Demand::new(), quote.unsold.clone());
    let mut lines = quote.lines.clone();
    // What was found out about stock is of then.
    let of_then = |problem: &&Told| problem.code != "insufficient_stock";
    let mut problems: Vec<Told> = quote.problems.iter().filter(of_then).cloned().collect();
    for (line, key) in lines.iter_mut().zip(&keys) {
        match catalogue.get(key).filter(|variant| variant.is_active) {
            Some(variant) => {
                // What is taken from stock and sent goes by the name of now.
                line.sku.clone_from(&variant.sku);
                want(&mut demand, variant, line.quantity);
            }
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
        lines,
        unsold,
        adjustments: quote.adjustments.clone(),
        totals: quote.totals.clone(),
        plugins: quote.plugins.clone(),
        problems,
        shipping_method: quote.shipping_method.clone(),
        coupons: coupons::quoted(ctx, &quote.coupons)?,
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
            sku: line.sku.clone(),
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
    /// The codes that the price is due to: one that changes nothing is not used up.
    pub(crate) fn effective_coupons(&self) -> Vec<String> {
        let lines = self.lines.iter().flat_map(|line| &line.adjustments);
        let codes: BTreeSet<&String> =
            lines.chain(&self.adjustments).filter_map(|it| it.coupon_code.as_ref()).collect();
        codes.into_iter().cloned().collect()
    }

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
            let names: Vec<&str> =
                self.unsold.iter().map(|line| line.name.as_ref().unwrap_or(&line.sku).as_str()).collect();
            let detail = format!("Not sold in {}: {}.", self.currency, names.join(", "));
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

fn not_sold(item: &str, name: &str) -> Told {
    let message = format!("`{name}` is not sold any more.");
    Told { item_id: Some(item.to_owned()), ..told("not_sold", message) }
}

fn told(code: &str, message: String) -> Told {
    Told { code: code.to_owned(), item_id: None, message, available: None }
}
