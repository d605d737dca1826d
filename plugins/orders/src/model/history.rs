//! What happened to an order.

use plugin_sdk::schema::all_required;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Metadata;

/// One thing that happened to an order, for ever.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = all_required)]
pub struct HistoryEntry {
    #[serde(default, skip_serializing)]
    pub id: String,
    #[serde(default, skip_serializing)]
    pub version: u64,
    #[serde(default, skip_serializing)]
    #[schemars(extend("format" = "date-time"))]
    pub created_at: String,
    #[serde(default, skip_serializing)]
    #[schemars(extend("format" = "date-time"))]
    pub updated_at: String,
    pub order_id: String,
    /// The order's version that it led to.
    pub order_version: u64,
    /// Such as `order.created`, `order.status_changed`, `payment.captured`.
    #[serde(rename = "type")]
    pub kind: String,
    pub actor: Actor,
    /// What there is to know about it.
    pub data: Metadata,
}

/// Who did something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = all_required)]
pub struct Actor {
    /// `anonymous`, `customer`, `admin`, `service`, `system` or `provider`.
    pub kind: String,
    pub id: Option<String>,
}

/// An entry as it is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoredHistoryEntry {
    #[serde(flatten)]
    pub entry: HistoryEntry,
    /// Those of the order.
    #[serde(rename = "_owners")]
    pub owners: Vec<String>,
}
