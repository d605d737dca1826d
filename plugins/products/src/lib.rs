//! The products of the shop: what is sold, in which variants, at which list prices.
//!
//! The plugin owns the collection `products`. A product refers to categories, which belong to the plugin `categories`;
//! `categories.rs` tells how the two keep each other's references whole. Stock, orders and promotions are not here.

mod bulk;
mod categories;
mod examples;
mod expand;
mod handlers;
pub mod model;
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
}

impl Default for Config {
    fn default() -> Self {
        Self { default_currency: "USD".to_owned() }
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
        vec![
            Collection::new("products", "prod")
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
        vec![Capability::store_write("categories")]
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
        if is_currency(&config.default_currency) {
            return Ok(());
        }
        let message = format!("`{}` is no currency of ISO 4217.", config.default_currency);
        Err(invalid("/defaultCurrency", message))
    }
}

export_plugin!(Products);
