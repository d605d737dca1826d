//! Quotes.

use std::collections::BTreeMap;

use plugin_sdk::{Money, pricing::Asked, schema::all_required};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Adjustment, Problem, Totals, order::ChosenShipping};

/// What a cart comes to. The price holds until the quote expires, whatever becomes of the rules.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = all_required)]
pub struct Quote {
    /// To be named in the order.
    pub quote_id: String,
    pub cart_id: String,
    /// ISO 4217 code.
    pub currency: String,
    pub lines: Vec<QuotedLine>,
    /// What belongs to no line: shipping and the taxes on it.
    pub adjustments: Vec<Adjustment>,
    pub totals: Totals,
    /// The pricing rules that were asked.
    pub plugins: Vec<PluginUse>,
    /// What was skipped, and what keeps the cart from being ordered as it is.
    pub problems: Vec<Problem>,
    #[schemars(extend("format" = "date-time"))]
    pub expires_at: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = all_required)]
pub struct QuotedLine {
    /// The cart's item.
    pub id: String,
    pub product_id: String,
    pub variant_id: String,
    pub sku: String,
    pub name: String,
    pub quantity: u32,
    pub unit_price: Money,
    pub adjustments: Vec<Adjustment>,
    /// With its discounts and surcharges; never negative.
    pub total: Money,
}

/// A plugin that took part in a price.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = all_required)]
pub struct PluginUse {
    pub id: String,
    pub version: String,
    /// BLAKE3 of the component.
    pub digest: String,
    /// BLAKE3 of its configuration.
    pub config_digest: String,
    /// `applied`; `skipped`: it failed and may; `last_good`: its former version answered.
    pub outcome: String,
}

impl From<&Asked> for PluginUse {
    fn from(asked: &Asked) -> Self {
        Self {
            id: asked.source.plugin_id.clone(),
            version: asked.source.plugin_version.clone(),
            digest: asked.source.digest.clone(),
            config_digest: asked.source.config_digest.clone(),
            outcome: asked.outcome.clone(),
        }
    }
}

/// A line that is not sold: the variant is gone, its product is not active, or it has no price in the currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unsold {
    pub id: String,
    pub sku: String,
    pub name: Option<String>,
    pub quantity: u32,
}

/// A quote as it is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoredQuote {
    pub cart_id: String,
    pub currency: String,
    pub lines: Vec<QuotedLine>,
    pub adjustments: Vec<Adjustment>,
    pub totals: Totals,
    pub plugins: Vec<PluginUse>,
    pub problems: Vec<Problem>,
    pub expires_at: String,
    #[serde(rename = "_owner")]
    pub owner: String,
    pub shipping_method: Option<ChosenShipping>,
    /// The lines that were not sold.
    #[serde(rename = "_unsold", default)]
    pub unsold: Vec<Unsold>,
    /// The coupons that applied: their ids by their codes, which may be others later.
    #[serde(rename = "_coupons", default)]
    pub coupons: BTreeMap<String, String>,
    /// Hash of everything of the cart that a price depends on.
    #[serde(rename = "_content")]
    pub content: String,
    /// What is needed to price the cart again.
    #[serde(rename = "_replay")]
    pub replay: Value,
}
