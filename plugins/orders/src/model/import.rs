//! Orders that were placed in another shop.

use plugin_sdk::address::Address;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Metadata, OrderStatus};

/// An order that was placed in another shop. Amounts are in the minor unit of `currency`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "OrderImportInput")]
pub struct OrderImport {
    /// What it was called there; unique in the shop.
    #[schemars(regex(pattern = r"^[A-Za-z0-9#_-][A-Za-z0-9#._:-]{0,63}$"))]
    pub number: String,
    pub status: ImportedStatus,
    #[schemars(extend("format" = "date-time"))]
    pub placed_at: String,
    /// ISO 4217 code.
    #[schemars(regex(pattern = "^[A-Z]{3}$"))]
    pub currency: String,
    /// A guest sees the order by its number and this.
    #[serde(default)]
    #[schemars(length(min = 3, max = 254), regex(pattern = r"^[^\s@]+@[^\s@]+$"))]
    pub email: Option<String>,
    /// Whose order it is: the id of an account here.
    #[serde(default)]
    #[schemars(length(min = 1, max = 64))]
    pub customer_id: Option<String>,
    #[schemars(length(min = 1, max = 500))]
    pub items: Vec<ImportedItem>,
    /// All discounts, those of single lines too; not positive. What the lines' totals come to when absent.
    #[serde(default)]
    #[schemars(range(min = -9_007_199_254_740_991_i64, max = 0))]
    pub discount: Option<i64>,
    /// All surcharges, those of single lines too. What the lines' totals come to when absent.
    #[serde(default)]
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_i64))]
    pub surcharge: Option<i64>,
    /// With the discounts of it taken off.
    #[serde(default)]
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_i64))]
    pub shipping: i64,
    /// Added to the prices.
    #[serde(default)]
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_i64))]
    pub tax: i64,
    /// Contained in the prices, and not added.
    #[serde(default)]
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_i64))]
    pub tax_included: i64,
    #[serde(default)]
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_i64))]
    pub paid: i64,
    /// Of what was paid.
    #[serde(default)]
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_i64))]
    pub refunded: i64,
    /// How it was paid, such as `paypal`; `imported` when absent.
    #[serde(default)]
    #[schemars(length(min = 1, max = 64))]
    pub payment_provider: Option<String>,
    /// Whether all of it was sent. A completed order was, and one that is confirmed or cancelled was not.
    #[serde(default)]
    pub shipped: Option<bool>,
    #[serde(default)]
    #[schemars(length(min = 1, max = 200))]
    pub tracking_number: Option<String>,
    #[serde(default)]
    pub shipping_address: Option<Address>,
    #[serde(default)]
    pub billing_address: Option<Address>,
    /// The codes that were used there. They become `metadata.importedCoupons`, and count as no use of coupons here.
    #[serde(default)]
    #[schemars(length(max = 50), inner(length(min = 1, max = 100)))]
    pub coupons: Vec<String>,
    /// Of the staff, for the staff.
    #[serde(default)]
    #[schemars(length(max = 10_000))]
    pub notes: String,
    #[serde(default)]
    #[schemars(extend("maxProperties" = 199))]
    pub metadata: Metadata,
}

/// Something that was bought.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "OrderImportItemInput")]
pub struct ImportedItem {
    /// Need not be known here.
    #[serde(default)]
    #[schemars(length(min = 1, max = 100))]
    pub sku: Option<String>,
    #[schemars(length(min = 1, max = 500))]
    pub name: String,
    #[schemars(range(min = 1, max = 100_000))]
    pub quantity: u32,
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_i64))]
    pub unit_price: i64,
    /// What the line came to, with its discounts and surcharges and without the tax that is added. Lines without one
    /// share what the others leave of the order's discounts and surcharges.
    #[serde(default)]
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_i64))]
    pub total: Option<i64>,
}

/// How far it had come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ImportedStatus {
    Confirmed,
    Processing,
    Completed,
    Cancelled,
}

impl From<ImportedStatus> for OrderStatus {
    fn from(status: ImportedStatus) -> Self {
        match status {
            ImportedStatus::Confirmed => Self::Confirmed,
            ImportedStatus::Processing => Self::Processing,
            ImportedStatus::Completed => Self::Completed,
            ImportedStatus::Cancelled => Self::Cancelled,
        }
    }
}
