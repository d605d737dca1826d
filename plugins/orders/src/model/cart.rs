//! Carts.

use std::collections::BTreeMap;

use plugin_sdk::{Money, address::Address, schema::all_required};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Adjustment, Totals};

/// Most different variants in a cart.
pub const LINES_MAX: usize = 500;
/// Most pieces of a variant.
pub const QUANTITY_MAX: u32 = 100_000;

/// What a customer means to buy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = all_but_token_required)]
pub struct Cart {
    pub id: String,
    /// Grows by one with every change.
    pub version: u64,
    #[schemars(extend("format" = "date-time"))]
    pub created_at: String,
    #[schemars(extend("format" = "date-time"))]
    pub updated_at: String,
    /// Whose it is; null for a guest's.
    pub customer_id: Option<String>,
    /// ISO 4217 code.
    pub currency: String,
    pub items: Vec<CartItem>,
    /// The codes that were entered.
    pub coupons: Vec<String>,
    pub shipping_address: Option<Address>,
    pub billing_address: Option<Address>,
    /// The id of the chosen one of the shipping options.
    pub shipping_method: Option<String>,
    /// What belongs to no line: shipping and the taxes on it.
    pub adjustments: Vec<Adjustment>,
    pub totals: Totals,
    /// What keeps it from being ordered as it is.
    pub problems: Vec<Problem>,
    pub status: CartStatus,
    /// The order that was made of it, or is being made.
    pub order_id: Option<String>,
    #[schemars(extend("format" = "date-time"))]
    pub expires_at: String,
    /// Sent as `X-Cart-Token` later. Only in the answer to making a guest's cart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub cart_token: Option<String>,
}

fn all_but_token_required(schema: &mut schemars::Schema) {
    all_required(schema);
    if let Some(required) = schema.get_mut("required").and_then(serde_json::Value::as_array_mut) {
        required.retain(|name| name != "cartToken");
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CartStatus {
    Active,
    /// An order is being made of it.
    Completing,
    Ordered,
    /// Into another cart.
    Merged,
    Expired,
}

/// A line of a cart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = all_required)]
pub struct CartItem {
    pub id: String,
    pub product_id: String,
    pub variant_id: String,
    pub sku: String,
    pub name: String,
    pub quantity: u32,
    /// The list price that applies now; null where it is not sold any more.
    pub unit_price: Option<Money>,
    pub adjustments: Vec<Adjustment>,
    /// With its discounts and surcharges; never negative.
    pub total: Money,
}

/// Something that is wrong with a cart, told without failing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "CartProblem", transform = all_required)]
pub struct Problem {
    /// `insufficient_stock`, `price_changed`, `not_sold`, `coupon_invalid`, `coupon_exhausted`,
    /// `coupon_without_effect`, `shipping_unavailable` or `rule_failed`.
    pub code: String,
    /// The line it is about.
    pub item_id: Option<String>,
    pub message: String,
    /// Of `insufficient_stock`: how many pieces there are.
    pub available: Option<i64>,
}

/// A cart as it is stored: lines without what is computed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoredCart {
    #[serde(default, skip_serializing)]
    pub id: String,
    #[serde(default, skip_serializing)]
    pub version: u64,
    #[serde(default, skip_serializing)]
    pub created_at: String,
    #[serde(default, skip_serializing)]
    pub updated_at: String,
    pub customer_id: Option<String>,
    pub currency: String,
    pub coupons: Vec<String>,
    pub shipping_address: Option<Address>,
    pub billing_address: Option<Address>,
    pub shipping_method: Option<String>,
    pub status: CartStatus,
    pub order_id: Option<String>,
    pub expires_at: String,
    /// The customer, or who has the token ([`plugin_sdk::guest_of`]).
    #[serde(rename = "_owner")]
    pub owner: String,
    /// Equal to the owner while active or completing, for it may become active again, and null afterwards; unique, so
    /// that nobody has two active carts. Only of customers: a guest has a token for each.
    #[serde(rename = "_activeOf")]
    pub active_of: Option<String>,
    /// The groups that the customer was in when the cart was last changed: of whose account is gone, or not to be read,
    /// when staff order it.
    #[serde(rename = "_groups", default)]
    pub groups: Vec<String>,
    /// By variant id.
    #[serde(rename = "_lines")]
    pub lines: BTreeMap<String, CartLine>,
}

/// A line as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CartLine {
    /// Sorts by the time at which it was put in.
    pub id: String,
    pub product_id: String,
    pub sku: String,
    pub quantity: u32,
    /// The unit price that was last shown, in minor units.
    pub seen_price: i64,
}

/// A cart to make.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CartInput {
    /// ISO 4217 code; the shop's default otherwise.
    #[serde(default)]
    #[schemars(regex(pattern = "^[A-Z]{3}$"))]
    pub currency: Option<String>,
    /// What is in it from the start.
    #[serde(default)]
    #[schemars(length(max = 100))]
    pub items: Vec<CartItemInput>,
}

/// Something to put into a cart: `variantId` or `sku`, and how many.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CartItemInput {
    #[serde(default)]
    #[schemars(length(min = 1, max = 64))]
    pub variant_id: Option<String>,
    #[serde(default)]
    #[schemars(length(min = 1, max = 64))]
    pub sku: Option<String>,
    /// Added to what is there of it.
    #[schemars(range(min = 1, max = QUANTITY_MAX))]
    pub quantity: u32,
}

/// What can be changed of a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "CartItemQuantity")]
pub struct CartItemPatch {
    /// In the place of what there was; 0 takes the line out.
    #[schemars(range(min = 0, max = QUANTITY_MAX))]
    pub quantity: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CouponEntry {
    #[schemars(length(min = 1, max = 64))]
    pub code: String,
}

/// Where to send to and whom to bill. What is absent is taken away; without a billing address the shipping address
/// counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AddressesInput {
    #[serde(default)]
    pub shipping_address: Option<Address>,
    #[serde(default)]
    pub billing_address: Option<Address>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ShippingChoice {
    /// The id of one of the shipping options.
    #[schemars(length(min = 1, max = 200))]
    pub shipping_method: String,
}

/// A way in which a cart can be sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = all_required)]
pub struct ShippingMethod {
    /// The plugin's id, a colon and the code.
    pub id: String,
    pub code: String,
    pub name: String,
    pub price: Money,
    pub plugin_id: String,
}

/// A way in which a cart can be paid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "PaymentMethod", transform = all_required)]
pub struct PaymentMethodView {
    /// To be named as `payment.provider`.
    pub provider: String,
    pub title: String,
}

/// The cart of a guest that becomes part of the customer's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MergeInput {
    /// The guest's cart, whose token is sent as `X-Cart-Token`.
    #[schemars(length(min = 1, max = 64))]
    pub cart_id: String,
}
