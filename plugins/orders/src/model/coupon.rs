//! Coupons.

use plugin_sdk::schema::{add_read_only, all_required, kept_members};
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// A code that opens a promotion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = all_required)]
pub struct Coupon {
    #[schemars(extend("readOnly" = true))]
    pub id: String,
    #[schemars(extend("readOnly" = true))]
    pub version: u64,
    #[schemars(extend("readOnly" = true, "format" = "date-time"))]
    pub created_at: String,
    #[schemars(extend("readOnly" = true, "format" = "date-time"))]
    pub updated_at: String,
    /// In capitals; unique in the shop.
    pub code: String,
    /// The promotion that it opens: an id in the configuration of a pricing rule.
    pub rule_id: String,
    /// How often it can be used; null for any number.
    pub limit: Option<i64>,
    /// How often one customer can use it; null for any number. Counted by account and by e-mail address.
    pub per_customer: Option<i64>,
    #[schemars(extend("format" = "date-time"))]
    pub starts_at: Option<String>,
    #[schemars(extend("format" = "date-time"))]
    pub ends_at: Option<String>,
    /// How many orders have it.
    #[schemars(extend("readOnly" = true))]
    pub used: i64,
}

/// A coupon to make or to put in the place of another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(transform = read_only_members)]
pub struct CouponInput {
    /// Letter case does not matter.
    #[schemars(regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"))]
    pub code: String,
    /// The promotion that it opens: an id in the configuration of a pricing rule.
    #[schemars(length(min = 1, max = 100))]
    pub rule_id: String,
    #[serde(default)]
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub limit: Option<i64>,
    #[serde(default)]
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub per_customer: Option<i64>,
    #[serde(default)]
    #[schemars(extend("format" = "date-time"))]
    pub starts_at: Option<String>,
    #[serde(default)]
    #[schemars(extend("format" = "date-time"))]
    pub ends_at: Option<String>,
}

fn read_only_members(schema: &mut Schema) {
    kept_members(schema);
    add_read_only(schema, "used", json!({"type": "integer"}));
}

/// A coupon as it is stored: what is shown.
pub type StoredCoupon = Coupon;

/// How often one customer has used one coupon: the document `natural_id("cpu", "<coupon id> <customer>")`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoredCouponUse {
    pub coupon_id: String,
    /// The customer's id, or a guest's e-mail address in lower case.
    pub customer: String,
    pub used: i64,
}
