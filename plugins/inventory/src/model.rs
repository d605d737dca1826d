//! Levels and movements as clients see them. Doc comments here are the API document.
//!
//! [`Level`] and [`Movement`] are what is stored and read, [`LevelInput`] and [`Adjustment`] what is written.

use plugin_sdk::schema::{add_read_only, all_required, kept_members};
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Most pieces in one number.
pub const QUANTITY_MAX: i64 = 1_000_000_000;

/// How much there is of a SKU.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = all_required)]
pub struct Level {
    #[schemars(extend("readOnly" = true))]
    pub id: String,
    #[schemars(extend("readOnly" = true))]
    pub sku: String,
    /// Pieces in the warehouse.
    #[schemars(extend("readOnly" = true))]
    pub on_hand: i64,
    /// Of these, pieces that orders hold. Where one is not confirmed in time, what it held counts no longer.
    #[schemars(extend("readOnly" = true))]
    pub reserved: i64,
    /// Pieces that are on their way. They are not sold yet.
    pub incoming: i64,
    /// Pieces that are kept back from sale.
    pub safety_stock: i64,
    /// `onHand − reserved − safetyStock`: what can be sold.
    #[schemars(extend("readOnly" = true))]
    pub available: i64,
    /// Grows by one with every change.
    #[schemars(extend("readOnly" = true))]
    pub version: u64,
    #[schemars(extend("readOnly" = true, "format" = "date-time"))]
    pub created_at: String,
    #[schemars(extend("readOnly" = true, "format" = "date-time"))]
    pub updated_at: String,
}

/// What may be set of a level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(transform = read_only_members)]
pub struct LevelInput {
    /// Pieces that are kept back from sale.
    #[serde(default)]
    #[schemars(range(min = 0, max = QUANTITY_MAX))]
    pub safety_stock: i64,
    /// Pieces that are on their way.
    #[serde(default)]
    #[schemars(range(min = 0, max = QUANTITY_MAX))]
    pub incoming: i64,
}

/// A change of what is on hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Adjustment {
    /// Of an existing variant.
    #[schemars(length(min = 1, max = 64))]
    pub sku: String,
    /// Pieces that came, or, negative, that went; 1 000 000 000 at most.
    pub delta: i64,
    /// Why, in a word of the shop's: `received`, `counted`, `damaged`, `lost`, `returned`. `shipped` and `restocked`
    /// are of orders.
    #[schemars(regex(pattern = r"^[a-z][a-z0-9_]{0,39}$"))]
    pub reason: String,
    /// The paper that belongs to it, such as the number of a delivery note.
    #[serde(default)]
    #[schemars(length(min = 1, max = 200))]
    pub reference: Option<String>,
}

/// One change of what is on hand, for ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = all_required)]
pub struct Movement {
    pub id: String,
    pub version: u64,
    #[schemars(extend("format" = "date-time"))]
    pub created_at: String,
    #[schemars(extend("format" = "date-time"))]
    pub updated_at: String,
    pub sku: String,
    /// Pieces that came, or, negative, that went.
    pub delta: i64,
    pub reason: String,
    pub reference: Option<String>,
}

fn read_only_members(schema: &mut Schema) {
    kept_members(schema);
    add_read_only(schema, "sku", json!({"type": "string"}));
    for computed in ["onHand", "reserved", "available"] {
        add_read_only(schema, computed, json!({"type": "integer"}));
    }
}
