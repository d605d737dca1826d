//! A cart as it is shown: what is stored, and what it comes to now.

use std::collections::{BTreeMap, BTreeSet};

use plugin_sdk::{Context, Money, Result};
use serde::Serialize;

use crate::{
    carts::offered,
    model::{Adjustment, Cart, CartItem, CartLine, CartStatus, Problem, StoredCart, Totals},
};

/// What is computed of a cart: in answers it goes over the stored document.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Priced {
    pub(crate) items: Vec<CartItem>,
    pub(crate) adjustments: Vec<Adjustment>,
    pub(crate) totals: Totals,
    pub(crate) problems: Vec<Problem>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cart_token: Option<String>,
}

impl Priced {
    /// # Errors
    /// Those of the store; 422 `amount_out_of_range`.
    pub(crate) fn of(ctx: &Context<'_>, cart: &StoredCart, groups: &[String]) -> Result<Self> {
        let offer = offered(ctx, cart, groups)?;
        let mut problems = offer.problems;
        let mut items = BTreeMap::new();
        for line in offer.lines {
            let seen = cart.lines.get(&line.variant_id).map(|stored| stored.seen_price);
            if seen.is_some_and(|seen| seen != line.unit_price.amount) {
                problems.push(price_changed(&line.id, &line.name));
            }
            let item = CartItem {
                id: line.id.clone(),
                product_id: line.product_id,
                variant_id: line.variant_id,
                sku: line.sku,
                name: line.name,
                quantity: line.quantity,
                unit_price: Some(line.unit_price),
                adjustments: line.adjustments,
                total: line.total,
            };
            items.insert(line.id, item);
        }
        let mut names: BTreeMap<String, Option<String>> =
            offer.unsold.into_iter().map(|line| (line.id, line.name)).collect();
        for (variant, line) in &cart.lines {
            if let Some(name) = names.remove(&line.id) {
                items.insert(line.id.clone(), unsold(variant, line, name, &cart.currency));
            }
        }
        if !matches!(cart.status, CartStatus::Active | CartStatus::Completing) {
            // Nobody orders it any more.
            problems.clear();
        }
        // Ids sort by the time at which the lines were put in.
        let items = items.into_values().collect();
        Ok(Self { items, adjustments: offer.adjustments, totals: offer.totals, problems, cart_token: None })
    }

    /// Takes down that the client sees the prices of these variants with this answer.
    pub(crate) fn saw(&mut self, cart: &mut StoredCart, variants: &[String]) {
        let variants: BTreeSet<&str> = variants.iter().map(String::as_str).collect();
        let mut seen = BTreeSet::new();
        for item in self.items.iter().filter(|item| variants.contains(item.variant_id.as_str())) {
            if let (Some(price), Some(line)) = (&item.unit_price, cart.lines.get_mut(&item.variant_id)) {
                line.seen_price = price.amount;
                seen.insert(&item.id);
            }
        }
        self.problems.retain(|problem| {
            problem.code != "price_changed" || problem.item_id.as_ref().is_none_or(|id| !seen.contains(id))
        });
    }

    /// The whole cart.
    pub(crate) fn cart(self, stored: &StoredCart) -> Cart {
        Cart {
            id: stored.id.clone(),
            version: stored.version,
            created_at: stored.created_at.clone(),
            updated_at: stored.updated_at.clone(),
            customer_id: stored.customer_id.clone(),
            currency: stored.currency.clone(),
            items: self.items,
            coupons: stored.coupons.clone(),
            shipping_address: stored.shipping_address.clone(),
            billing_address: stored.billing_address.clone(),
            shipping_method: stored.shipping_method.clone(),
            adjustments: self.adjustments,
            totals: self.totals,
            problems: self.problems,
            status: stored.status,
            order_id: stored.order_id.clone(),
            expires_at: stored.expires_at.clone(),
            cart_token: self.cart_token,
        }
    }
}

fn unsold(variant: &str, line: &CartLine, name: Option<String>, currency: &str) -> CartItem {
    CartItem {
        id: line.id.clone(),
        product_id: line.product_id.clone(),
        variant_id: variant.to_owned(),
        sku: line.sku.clone(),
        name: name.unwrap_or_else(|| line.sku.clone()),
        quantity: line.quantity,
        unit_price: None,
        adjustments: Vec::new(),
        total: Money::new(0, currency),
    }
}

fn price_changed(item: &str, name: &str) -> Problem {
    Problem {
        code: "price_changed".to_owned(),
        item_id: Some(item.to_owned()),
        message: format!("The price of `{name}` has changed since it was last shown."),
        available: None,
    }
}
