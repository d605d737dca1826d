//! The products of the shop: what is sold, in which variants, at which list prices.
//!
//! The plugin owns the collection `products`. A product refers to categories, which belong to the plugin `categories`;
//! `categories.rs` tells how the two keep each other's references whole. Stock belongs to the plugin `inventory`;
//! `availability.rs` tells what products show of it. Orders and promotions are not here.

mod availability;
mod categories;
mod handlers;
pub mod model;
pub mod rules;
mod view;

#[cfg(test)]
mod tests;

use model::{Product, ProductInput};
use plugin_sdk::{
    Access, Capability, Collection, FieldError, FieldKind, Permission, Plugin, Router, Value, export_plugin,
    json, money::is_currency, router::Route,
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
}

impl Default for Config {
    fn default() -> Self {
        Self { default_currency: "USD".to_owned(), low_stock: 5 }
    }
}

/// Fields that lists may be filtered by.
const FILTERS: &[&str] = &[
    "id",
    "slug",
    "name",
    "status",
    "tags",
    "categoryIds",
    "variants.id",
    "variants.sku",
    "variants.barcode",
    "taxClass",
    "version",
    "createdAt",
    "updatedAt",
    "publishedAt",
];

/// Fields that lists may be sorted by.
const SORTS: &[&str] = &["id", "name", "slug", "status", "createdAt", "updatedAt", "publishedAt"];

impl Plugin for Products {
    const ID: &'static str = "products";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const TITLE: &'static str = "Products";

    fn routes(router: &mut Router) {
        in_currency(router.get("/products", "listProducts", handlers::list))
            .summary("List products")
            .description(
                "Callers without `products:read` see active products only. `q` searches names, SKUs, barcodes, tags and \
                 descriptions. Each variant has the list price that applies now, and whether it can be bought.",
            )
            .public()
            .query_param::<String>(
                "category",
                "Id or slug of a category: only products in it or in a category below it. An unknown one has none.",
            )
            .list("products", FILTERS, SORTS, true)
            .returns::<Vec<Product>>(200, "A page of products.")
            .example(|| json!([product_example()]))
            .errors(&["cursor_mismatch", "invalid_parameter", "unavailable"])
            .cacheable();
        in_currency(router.get("/products/{id}", "getProduct", handlers::read))
            .summary("Read a product")
            .description("Callers without `products:read` see active products only.")
            .public()
            .path_param("id", "The product's id.")
            .returns::<Product>(200, "The product.")
            .example(product_example)
            .errors(&["not_found", "invalid_parameter", "unavailable"])
            .cacheable();
        in_currency(router.get("/products/by-slug/{slug}", "getProductBySlug", handlers::read_by_slug))
            .summary("Read a product by its slug")
            .description("Callers without `products:read` see active products only.")
            .public()
            .path_param("slug", "The product's slug.")
            .returns::<Product>(200, "The product.")
            .example(product_example)
            .errors(&["not_found", "invalid_parameter", "unavailable"])
            .cacheable();
        router
            .post("/products", "createProduct", handlers::create)
            .summary("Create a product")
            .description(
                "The slug is derived from the name when absent, with a number behind it where it is taken. SKUs are \
                 unique in the whole shop. Variants get their ids here.",
            )
            .permission("products:write")
            .body::<ProductInput>()
            .example(input_example)
            .returns::<Product>(201, "The product, created.")
            .example(product_example)
            .errors(&["already_exists", "conflict", "validation_failed", "unknown_field", "unavailable"]);
        router
            .put("/products/{id}", "replaceProduct", handlers::replace)
            .summary("Replace a product")
            .description(
                "Replaces all writable members. Variants are recognised by `id`, otherwise by SKU, and keep their id; \
                 those that are left out are removed. Without `slug` the product keeps its own.",
            )
            .permission("products:write")
            .path_param("id", "The product's id.")
            .body::<ProductInput>()
            .example(input_example)
            .returns::<Product>(200, "The product, replaced.")
            .example(product_example)
            .errors(CHANGE_ERRORS)
            .serialized_by("id");
        router
            .patch("/products/{id}", "updateProduct", handlers::patch)
            .summary("Change a product")
            .description(
                "A JSON Merge Patch. Arrays are replaced whole, also `variants`, which are recognised by `id`, otherwise \
                 by SKU. `\"slug\": null` derives the slug from the name again.",
            )
            .permission("products:write")
            .path_param("id", "The product's id.")
            .merge_patch::<ProductInput>()
            .example(|| json!({"status": "active", "seo": {"title": "The blue shirt"}}))
            .returns::<Product>(200, "The product, changed.")
            .example(product_example)
            .errors(CHANGE_ERRORS)
            .serialized_by("id");
        router
            .delete("/products/{id}", "deleteProduct", handlers::delete)
            .summary("Delete a product")
            .description(
                "Removes the product with its variants. Refused with `reference_in_use` where one of their SKUs has stock \
                 movements; archive it instead.",
            )
            .permission("products:write")
            .path_param("id", "The product's id.")
            .returns_empty(204, "The product is gone.")
            .errors(&["not_found", "version_conflict", "reference_in_use", "unavailable"])
            .serialized_by("id");
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
        let categories = Capability::store_write("categories");
        // Writing, to prove in a commit that a level is absent. Without stock everything is there.
        vec![categories, Capability::store_write("inventory").optional()]
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

/// Codes that replacing and changing have in common.
const CHANGE_ERRORS: &[&str] = &[
    "not_found",
    "version_conflict",
    "already_exists",
    "reference_in_use",
    "conflict",
    "validation_failed",
    "unknown_field",
    "unavailable",
];

fn in_currency(route: Route<'_>) -> Route<'_> {
    route.query_param::<String>(
        "currency",
        "ISO 4217 code: the currency of each variant's `price`. The shop's default when absent.",
    )
}

fn input_example() -> Value {
    json!({
        "name": "Blue shirt",
        "description": "Woven from organic cotton.",
        "status": "active",
        "categoryIds": ["cat_01KAQ3V8Q1W2E3R4T5Y6V7A8S9"],
        "tags": ["summer"],
        "options": [{"name": "Size", "values": ["S", "M"]}],
        "variants": [{
            "sku": "SHIRT-BLUE-S",
            "optionValues": {"Size": "S"},
            "barcode": "4006381333931",
            "prices": [{"amount": 2499, "currency": "USD", "compareAt": 2999}],
            "weightGrams": 180,
        }],
        "media": [{"url": "/media/blue-shirt.jpg", "alt": "A blue shirt"}],
        "attributes": {"material": "cotton"},
        "taxClass": "standard",
    })
}

fn product_example() -> Value {
    json!({
        "id": "prod_01KAQ3V8Q1W2E3R4T5Y6V7A8S9",
        "version": 1,
        "createdAt": "2026-11-23T09:00:00.000Z",
        "updatedAt": "2026-11-23T09:00:00.000Z",
        "slug": "blue-shirt",
        "name": "Blue shirt",
        "description": "Woven from organic cotton.",
        "status": "active",
        "categoryIds": ["cat_01KAQ3V8Q1W2E3R4T5Y6V7A8S9"],
        "tags": ["summer"],
        "options": [{"name": "Size", "values": ["S", "M"]}],
        "variants": [{
            "id": "var_01KAQ3V8Q1W2E3R4T5Y6V7A8S9",
            "sku": "SHIRT-BLUE-S",
            "optionValues": {"Size": "S"},
            "barcode": "4006381333931",
            "prices": [{"amount": 2499, "currency": "USD", "compareAt": 2999}],
            "price": {"amount": 2499, "currency": "USD", "compareAt": 2999},
            "availability": "in_stock",
            "weightGrams": 180,
            "trackInventory": true,
            "backorder": "deny",
            "metadata": {},
        }],
        "media": [{"url": "/media/blue-shirt.jpg", "alt": "A blue shirt"}],
        "attributes": {"material": "cotton"},
        "taxClass": "standard",
        "seo": {"title": null, "description": null},
        "metadata": {},
        "publishedAt": "2026-11-23T09:00:00.000Z",
    })
}
