//! The product as clients see it. Doc comments here are the API document.
//!
//! There are two types. [`Product`] is what is read: the stored document, and with the computed members the response.
//! [`ProductInput`] is what is written: the request body, and once the rules have filled in slug, variant ids and
//! `publishedAt`, the stored document.

use std::{borrow::Cow, collections::BTreeMap};

pub use plugin_sdk::list_price::AppliedPrice;
use plugin_sdk::{
    list_price::PriceTerms,
    schema::{add_read_only, all_required, kept_members},
    slug,
};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// Something the shop sells, in one or more variants.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = all_but_expanded_required)]
pub struct Product {
    #[schemars(extend("readOnly" = true))]
    pub id: String,
    /// Name in addresses, unique in the shop.
    pub slug: String,
    pub name: String,
    pub description: String,
    /// Only active products are public.
    pub status: ProductStatus,
    /// The categories it is in.
    pub category_ids: Vec<String>,
    pub tags: Vec<String>,
    /// What its variants differ in, such as size and colour.
    pub options: Vec<ProductOption>,
    pub variants: Vec<Variant>,
    pub media: Vec<ProductMedia>,
    /// Facts for customers, such as material or care.
    pub attributes: Map<String, Value>,
    /// Which tax rules apply.
    pub tax_class: Option<String>,
    pub seo: ProductSeo,
    /// Free for integrations.
    pub metadata: Map<String, Value>,
    /// Grows by one with every change. Variants share their product's version.
    #[schemars(extend("readOnly" = true))]
    pub version: u64,
    #[schemars(extend("readOnly" = true, "format" = "date-time"))]
    pub created_at: String,
    #[schemars(extend("readOnly" = true, "format" = "date-time"))]
    pub updated_at: String,
    /// When the product first became active.
    #[schemars(extend("readOnly" = true, "format" = "date-time"))]
    pub published_at: Option<String>,
    /// The categories of `categoryIds` as objects; only with `expand=categories`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("readOnly" = true), with = "Vec<ProductCategory>")]
    pub categories: Option<Vec<ProductCategory>>,
}

/// A category as a product is shown with it: without what depends on other categories.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProductCategory {
    pub id: String,
    pub version: u64,
    pub created_at: String,
    pub updated_at: String,
    pub slug: String,
    pub name: String,
    pub description: String,
    pub parent_id: Option<String>,
    pub rank: i64,
    pub active: bool,
    pub metadata: Map<String, Value>,
}

/// One thing that can be put into a cart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = all_required)]
pub struct Variant {
    pub id: String,
    /// Stock keeping unit, unique in the shop.
    pub sku: String,
    /// A value for each of the product's options.
    pub option_values: BTreeMap<String, String>,
    /// EAN, UPC or the like.
    pub barcode: Option<String>,
    /// All prices: by currency, quantity, customer group and time.
    pub prices: Vec<VariantPrice>,
    pub weight_grams: Option<i64>,
    /// Whether stock is counted.
    pub track_inventory: bool,
    /// Whether it sells without stock.
    pub backorder: Backorder,
    /// Free for integrations.
    pub metadata: Map<String, Value>,
    /// The list price that applies now for one piece in the asked currency; null when there is none.
    #[serde(default)]
    #[schemars(extend("readOnly" = true))]
    pub price: Option<AppliedPrice>,
    /// Whether it can be bought now.
    #[serde(default)]
    #[schemars(extend("readOnly" = true))]
    pub availability: Availability,
}

/// Whether a variant can be bought. How many pieces there are is not public.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Availability {
    /// Also where stock is not counted.
    #[default]
    InStock,
    /// There are few left.
    Low,
    Out,
    /// There are none, and it sells nevertheless.
    Backorder,
}

/// What a read can show in full.
#[derive(Debug, Clone, Copy, JsonSchema)]
#[schemars(inline, rename_all = "camelCase")]
pub enum Expandable {
    Categories,
}

/// The code of a currency in a query.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(inline)]
pub struct CurrencyCode(#[schemars(regex(pattern = "^[A-Z]{3}$"))] pub String);

/// A product to create or to put in the place of another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(transform = kept_and_expanded)]
pub struct ProductInput {
    /// Name in addresses, unique in the shop. Derived from `name` when absent; a replacement without it keeps the
    /// slug.
    #[serde(default)]
    #[schemars(length(max = 100), regex(pattern = slug::PATTERN))]
    pub slug: Option<String>,
    #[schemars(length(min = 1, max = 200), regex(pattern = r"\S"))]
    pub name: String,
    #[serde(default)]
    #[schemars(length(max = 50_000))]
    pub description: String,
    /// Only active products are public. An active product has at least one variant.
    #[serde(default)]
    pub status: ProductStatus,
    /// Ids of existing categories, each once.
    #[serde(default)]
    #[schemars(length(max = 50), inner(length(min = 1, max = 64)))]
    pub category_ids: Vec<String>,
    /// Each once.
    #[serde(default)]
    #[schemars(length(max = 100), inner(length(min = 1, max = 100)))]
    pub tags: Vec<String>,
    /// What its variants differ in, such as size and colour.
    #[serde(default)]
    #[schemars(length(max = 10))]
    pub options: Vec<ProductOption>,
    /// A draft may have none. Without options there is at most one.
    #[serde(default)]
    #[schemars(length(max = VARIANTS_MAX))]
    pub variants: Vec<VariantInput>,
    #[serde(default)]
    #[schemars(length(max = 100))]
    pub media: Vec<ProductMedia>,
    /// Facts for customers, such as material or care.
    #[serde(default)]
    #[schemars(extend("maxProperties" = 200))]
    pub attributes: Map<String, Value>,
    /// Which tax rules apply.
    #[serde(default)]
    #[schemars(length(min = 1, max = 64))]
    pub tax_class: Option<String>,
    #[serde(default)]
    pub seo: ProductSeo,
    /// Free for integrations.
    #[serde(default)]
    #[schemars(extend("maxProperties" = 200))]
    pub metadata: Map<String, Value>,
    /// When the product first became active.
    #[serde(default)]
    #[schemars(extend("readOnly" = true))]
    pub published_at: Option<String>,
}

/// A variant to create or to change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(transform = computed_members)]
pub struct VariantInput {
    /// Of a variant of this product. Without it a variant with the same SKU is meant, otherwise a new one.
    #[serde(default)]
    #[schemars(length(min = 1, max = 64))]
    pub id: Option<String>,
    /// Stock keeping unit, unique in the shop.
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^\S+( \S+)*$"))]
    pub sku: String,
    /// A value for each of the product's options. No two variants have the same.
    #[serde(default)]
    #[schemars(extend("maxProperties" = 10))]
    pub option_values: BTreeMap<String, String>,
    /// EAN, UPC or the like.
    #[serde(default)]
    #[schemars(length(min = 1, max = 64))]
    pub barcode: Option<String>,
    /// No two have the same currency, quantity, group and times.
    #[serde(default)]
    #[schemars(length(max = 100))]
    pub prices: Vec<VariantPrice>,
    #[serde(default)]
    #[schemars(range(min = 0, max = 1_000_000_000))]
    pub weight_grams: Option<i64>,
    /// Whether stock is counted.
    #[serde(default = "yes")]
    pub track_inventory: bool,
    /// Whether it sells without stock.
    #[serde(default)]
    pub backorder: Backorder,
    /// Free for integrations.
    #[serde(default)]
    #[schemars(extend("maxProperties" = 100))]
    pub metadata: Map<String, Value>,
}

/// A variant as a resource of its own: as [`VariantInput`], but its id is in the address.
pub struct ProductVariantInput;

impl JsonSchema for ProductVariantInput {
    fn schema_name() -> Cow<'static, str> {
        "ProductVariantInput".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = VariantInput::json_schema(generator);
        add_read_only(&mut schema, "id", json!({"type": "string"}));
        schema.insert("description".to_owned(), json!("A variant to add to a product."));
        schema
    }
}

/// A price in one currency, possibly from a quantity, for a group of customers or for a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VariantPrice {
    /// Minor units: 2499 in USD is $24.99.
    #[schemars(range(min = 0, max = AMOUNT_MAX))]
    pub amount: i64,
    /// ISO 4217 code in capitals.
    #[schemars(regex(pattern = "^[A-Z]{3}$"))]
    pub currency: String,
    /// The former or recommended price; above `amount`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = AMOUNT_MAX))]
    pub compare_at: Option<i64>,
    /// Applies from this many pieces on. Absent means 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub min_quantity: Option<i64>,
    /// Applies to customers of this group only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub customer_group: Option<String>,
    /// Applies from this moment on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub starts_at: Option<String>,
    /// Applies until right before this moment; after `startsAt`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub ends_at: Option<String>,
}

impl<'p> From<&'p VariantPrice> for PriceTerms<'p> {
    fn from(price: &'p VariantPrice) -> Self {
        Self {
            amount: price.amount,
            currency: &price.currency,
            compare_at: price.compare_at,
            min_quantity: price.min_quantity,
            group: price.customer_group.as_deref(),
            starts_at: price.starts_at.as_deref(),
            ends_at: price.ends_at.as_deref(),
        }
    }
}

/// Most variants of one product.
pub const VARIANTS_MAX: usize = 250;

/// The largest integer that JavaScript reads exactly.
const AMOUNT_MAX: i64 = 9_007_199_254_740_991;

/// `draft` and `archived` products are seen by staff only.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ProductStatus {
    #[default]
    Draft,
    Active,
    Archived,
}

/// Whether a variant sells without stock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Backorder {
    #[default]
    Deny,
    Allow,
}

/// Something that variants differ in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProductOption {
    /// Unique in its product. It becomes a member of `optionValues`, so it has no `.` and does not start with `$`.
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[^.$\s][^.]*$"))]
    pub name: String,
    /// Each once.
    #[schemars(length(min = 1, max = 250), inner(length(min = 1, max = 100)))]
    pub values: Vec<String>,
}

/// A picture, a film or a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProductMedia {
    /// Absolute, or a path on this host.
    #[schemars(length(min = 1, max = 2000), regex(pattern = r"^(https?://|/)\S+$"))]
    pub url: String,
    /// Text for those who cannot see it.
    #[serde(default)]
    #[schemars(length(max = 500))]
    pub alt: String,
}

/// What search engines are told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProductSeo {
    #[serde(default)]
    #[schemars(length(max = 200))]
    pub title: Option<String>,
    #[serde(default)]
    #[schemars(length(max = 500))]
    pub description: Option<String>,
}

fn yes() -> bool {
    true
}

fn kept_and_expanded(schema: &mut Schema) {
    kept_members(schema);
    let category = json!({"$ref": "#/components/schemas/ProductCategory"});
    add_read_only(
        schema,
        "categories",
        json!({"type": "array", "items": category, "description": "Expanded."}),
    );
}

fn all_but_expanded_required(schema: &mut Schema) {
    all_required(schema);
    if let Some(required) = schema.get_mut("required").and_then(Value::as_array_mut) {
        required.retain(|name| name != "categories");
    }
}

fn computed_members(schema: &mut Schema) {
    let price = json!({"$ref": "#/components/schemas/AppliedPrice"});
    add_read_only(schema, "price", json!({"anyOf": [price, {"type": "null"}], "description": "Computed."}));
    let availability = json!({"$ref": "#/components/schemas/Availability", "description": "Computed."});
    add_read_only(schema, "availability", availability);
}
