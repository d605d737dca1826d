//! The shop's figures.

use plugin_sdk::{Money, schema::all_required};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::OrderStatus;

/// A time in a query.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(inline)]
pub struct Time(#[schemars(extend("format" = "date-time"))] pub String);

/// How the shop did in a period. Revenue is what orders come to that are confirmed, in the works, on hold or completed;
/// what was given back of it is told by the payments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = all_required)]
pub struct Dashboard {
    #[schemars(extend("format" = "date-time"))]
    pub from: String,
    /// Not included.
    #[schemars(extend("format" = "date-time"))]
    pub to: String,
    /// One for each currency of the period's orders.
    pub currencies: Vec<CurrencyFigures>,
    /// How many of the period's orders are in each status; statuses that none is in are left out.
    pub orders: Vec<StatusCount>,
    /// What there is little of now, the scarcest first; at most 100.
    pub low_stock: Vec<LowStock>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = all_required)]
pub struct CurrencyFigures {
    pub currency: String,
    pub revenue: Money,
    pub order_count: i64,
    /// Revenue by order, rounded half up.
    pub average: Money,
    /// How many of this currency's orders are in each status.
    pub orders: Vec<StatusCount>,
    /// In the shop's time zone; days without orders are left out.
    pub days: Vec<DayFigures>,
    /// The ten of which most pieces were sold.
    pub best_sellers: Vec<BestSeller>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = all_required)]
pub struct DayFigures {
    #[schemars(extend("format" = "date"))]
    pub day: String,
    pub revenue: Money,
    pub order_count: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = all_required)]
pub struct BestSeller {
    pub sku: String,
    /// As in one of the orders.
    pub name: String,
    pub quantity: i64,
    /// The sum of the order lines' totals.
    pub revenue: Money,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = all_required)]
pub struct StatusCount {
    pub status: OrderStatus,
    pub count: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = all_required)]
pub struct LowStock {
    pub sku: String,
    /// Without what reservations hold whose time is over.
    pub available: i64,
}
