//! The products of the shop: what is sold, in which variants, at which list prices.
//!
//! The plugin owns the collection `products`. A product refers to categories, which belong to the plugin `categories`;
//! `categories.rs` tells how the two keep each other's references whole. Stock belongs to the plugin `inventory`;
//! `availability.rs` tells what products show of it. Orders and promotions are not here.

mod availability;
mod bulk;
mod categories;
mod examples;
mod expand;
mod facets;
mod handlers;
pub mod model;
mod prices;
mod routes;
pub mod rules;
mod save;
mod variants;
mod view;

#[cfg(test)]
mod tests;

use plugin_sdk::{
    Access, Capability, Collection, FieldError, FieldKind, Permission, Plugin, Router, Value, export_plugin,
    json, money::is_currency,
};
use serde::Deserialize;

/// The plugin.
pub struct Products;

/// The plugin's configuration.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Config {
    /// The currency of `price` for callers who do not ask for one.
    pub default_currency: String,
    /// Up to how many pieces `availability` is `low`.
    pub low_stock: i64,
    /// More currencies in which lists can be filtered and sorted by price.
    pub currencies: Vec<String>,
}

impl Config {
    /// The currencies in which lists can be filtered and sorted by price.
    pub(crate) fn listed(&self) -> Vec<String> {
        let more = self.currencies.iter().filter(|currency| **currency != self.default_currency);
        [&self.default_currency].into_iter().chain(more).take(prices::SLOTS.len()).cloned().collect()
    }
}

impl Default for Config {
    fn default() -> Self {
        Self { default_currency: "USD".to_owned(), currencies: Vec::new(), low_stock: 5 }
    }
}

impl Plugin for Products {
    const ID: &'static str = "products";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const TITLE: &'static str = "Products";

    fn routes(router: &mut Router) {
        routes::products(router);
        routes::variants(router);
    }

    fn collections() -> Vec<Collection> {
        let products = Collection::new("products", "prod")
            // In lists they stand for other places; no document has them.
            .field(prices::PRICE, FieldKind::Integer, Access::Scan)
            .multi_field(prices::OPTION, FieldKind::Text, Access::Scan)
            .multi_field(prices::OPTIONS, FieldKind::Text, Access::Index)
            .field(prices::CHANGES_AT, FieldKind::Timestamp, Access::Index)
            .field(prices::CURRENCIES, FieldKind::Text, Access::Index)
            .index(&["status", prices::SLOTS[0]]);
        let place = |products: Collection, slot: &&'static str| {
            products.field(slot, FieldKind::Integer, Access::Index)
        };
        vec![
            prices::SLOTS
                .iter()
                .fold(products, place)
                .field("slug", FieldKind::Text, Access::Unique)
                .field("name", FieldKind::Text, Access::Index)
                .field("status", FieldKind::Text, Access::Index)
                .field("taxClass", FieldKind::Text, Access::Index)
                .field("publishedAt", FieldKind::Timestamp, Access::Index)
                .multi_field("tags", FieldKind::Text, Access::Index)
                .multi_field("categoryIds", FieldKind::Text, Access::Index)
                .multi_field("variants.id", FieldKind::Text, Access::Index)
                .multi_field("variants.sku", FieldKind::Text, Access::Unique)
                .multi_field("variants.barcode", FieldKind::Text, Access::Index)
                // By this the host knows that products refer to media.
                .multi_field("media.url", FieldKind::Text, Access::Index)
                // What storefronts sort by, who see active products only.
                .index(&["status", "name"])
                .index(&["status", "createdAt"])
                .index(&["status", "publishedAt"])
                .text("name", 10)
                .text("variants.sku", 8)
                .text("variants.barcode", 8)
                .text("tags", 5)
                .text("description", 1),
        ]
    }

    fn permissions() -> Vec<Permission> {
        vec![
            Permission { name: "products:read", description: "See drafts and archived products." },
            Permission { name: "products:write", description: "Create, change and delete products." },
        ]
    }

    fn capabilities() -> Vec<Capability> {
        // Writing, to lock the categories that a product comes to refer to and to clear stale marks.
        let categories = Capability::store_write("categories");
        // Writing, to prove in a commit that a level is absent. Without stock everything is there.
        let stock = Capability::store_write("inventory").optional();
        // To see which of it is free again.
        vec![categories, stock, Capability::store_read(availability::RESERVATIONS).optional()]
    }

    fn config_schema() -> Option<Value> {
        Some(json!({
            "type": "object",
            "properties": {
                "defaultCurrency": {
                    "description": "ISO 4217 code: the currency of prices for callers who ask for none.",
                    "type": "string",
                    "pattern": "^[A-Z]{3}$",
                    "default": Config::default().default_currency,
                },
                "lowStock": {
                    "description": "Up to how many pieces the availability of a variant is `low`; 0 for never.",
                    "type": "integer",
                    "minimum": 0,
                    "maximum": 1_000_000_000,
                    "default": Config::default().low_stock,
                },
                "currencies": {
                    "description": "ISO 4217 codes: more currencies in which lists can be filtered and sorted by price.",
                    "type": "array",
                    "maxItems": prices::SLOTS.len() - 1,
                    "items": {"type": "string", "pattern": "^[A-Z]{3}$"},
                },
            },
            "additionalProperties": false,
        }))
    }

    fn validate_config(config: &[u8]) -> Result<(), Vec<FieldError>> {
        let invalid = |pointer: &str, message: String| vec![FieldError::invalid(pointer, message)];
        let config: Config = match config {
            b"" => Config::default(),
            config => serde_json::from_slice(config).map_err(|error| invalid("", error.to_string()))?,
        };
        let unknown = |code: &str| format!("`{code}` is no currency of ISO 4217.");
        if !is_currency(&config.default_currency) {
            return Err(invalid("/defaultCurrency", unknown(&config.default_currency)));
        }
        match config.currencies.iter().enumerate().find(|(_, code)| !is_currency(code)) {
            Some((index, code)) => Err(invalid(&format!("/currencies/{index}"), unknown(code))),
            None => Ok(()),
        }
    }
}

export_plugin!(Products);
