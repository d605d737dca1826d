//! What is sent of an order, and what comes back.

use plugin_sdk::schema::all_required;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum FulfillmentStatus {
    None,
    /// Some pieces are sent.
    Partial,
    Shipped,
    PartiallyDelivered,
    Delivered,
}

/// A parcel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = all_required)]
pub struct Fulfillment {
    pub id: String,
    pub order_id: String,
    pub status: FulfillmentState,
    pub lines: Vec<FulfillmentLine>,
    pub carrier: Option<String>,
    pub tracking_number: Option<String>,
    #[schemars(extend("format" = "date-time"))]
    pub created_at: String,
    #[schemars(extend("format" = "date-time"))]
    pub shipped_at: Option<String>,
    #[schemars(extend("format" = "date-time"))]
    pub delivered_at: Option<String>,
}

/// A fulfilment as an answer of its own.
pub type FulfillmentView = Fulfillment;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FulfillmentState {
    Pending,
    Shipped,
    Delivered,
    Cancelled,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FulfillmentLine {
    #[schemars(length(min = 1, max = 64))]
    pub item_id: String,
    #[schemars(range(min = 1, max = 100_000))]
    pub quantity: u32,
}

/// Something that comes back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = all_required)]
pub struct Return {
    pub id: String,
    pub order_id: String,
    pub status: ReturnStatus,
    pub lines: Vec<ReturnLine>,
    /// The refund that was made for it: a transaction.
    pub refund_id: Option<String>,
    #[schemars(extend("format" = "date-time"))]
    pub created_at: String,
    #[schemars(extend("format" = "date-time"))]
    pub received_at: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReturnStatus {
    Requested,
    Approved,
    Rejected,
    Received,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReturnLine {
    #[schemars(length(min = 1, max = 64))]
    pub item_id: String,
    #[schemars(range(min = 1, max = 100_000))]
    pub quantity: u32,
    #[serde(default)]
    #[schemars(length(max = 500))]
    pub reason: String,
}

/// A parcel to pack; everything that is not in one yet otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FulfillmentInput {
    #[serde(default)]
    #[schemars(length(max = 500))]
    pub lines: Vec<FulfillmentLine>,
    #[serde(default)]
    #[schemars(length(min = 1, max = 100))]
    pub carrier: Option<String>,
    #[serde(default)]
    #[schemars(length(min = 1, max = 200))]
    pub tracking_number: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ShipInput {
    #[serde(default)]
    #[schemars(length(min = 1, max = 100))]
    pub carrier: Option<String>,
    #[serde(default)]
    #[schemars(length(min = 1, max = 200))]
    pub tracking_number: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReturnInput {
    #[schemars(length(min = 1, max = 500))]
    pub lines: Vec<ReturnLine>,
}
