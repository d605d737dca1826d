//! Orders: what was bought, by whom, and where it stands.

use std::collections::BTreeMap;

use plugin_sdk::{
    Money,
    address::Address,
    schema::{add_read_only, all_required, kept_members},
};
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Adjustment, CartItemInput, Fulfillment, FulfillmentStatus, Metadata, Payment, PaymentChoice,
    PaymentStatus, PendingOperation, PluginUse, Return, Totals,
};

/// What somebody bought. Names, prices, taxes and the plugins that took part are as they were.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = all_required)]
pub struct Order {
    #[serde(default, skip_serializing)]
    #[schemars(extend("readOnly" = true))]
    pub id: String,
    /// For people; unique in the shop.
    #[schemars(extend("readOnly" = true))]
    pub number: String,
    #[serde(default, skip_serializing)]
    #[schemars(extend("readOnly" = true))]
    pub version: u64,
    #[serde(default, skip_serializing)]
    #[schemars(extend("readOnly" = true, "format" = "date-time"))]
    pub created_at: String,
    #[serde(default, skip_serializing)]
    #[schemars(extend("readOnly" = true, "format" = "date-time"))]
    pub updated_at: String,
    /// When it was placed: at the other shop, of an order that was imported.
    #[serde(default)]
    #[schemars(extend("readOnly" = true, "format" = "date-time"))]
    pub placed_at: String,
    pub status: OrderStatus,
    /// Follows from the transactions of the payments.
    #[schemars(extend("readOnly" = true))]
    pub payment_status: PaymentStatus,
    /// Follows from the quantities of the fulfilments.
    #[schemars(extend("readOnly" = true))]
    pub fulfillment_status: FulfillmentStatus,
    #[schemars(extend("readOnly" = true))]
    pub currency: String,
    #[schemars(extend("readOnly" = true))]
    pub customer_id: Option<String>,
    #[schemars(extend("readOnly" = true))]
    pub email: Option<String>,
    #[schemars(extend("readOnly" = true))]
    pub cart_id: Option<String>,
    #[schemars(extend("readOnly" = true))]
    pub quote_id: Option<String>,
    #[schemars(extend("readOnly" = true))]
    pub items: Vec<OrderItem>,
    /// What belongs to no line: shipping and the taxes on it.
    #[schemars(extend("readOnly" = true))]
    pub adjustments: Vec<Adjustment>,
    /// The codes that were used.
    #[schemars(extend("readOnly" = true))]
    pub coupons: Vec<String>,
    pub shipping_address: Option<Address>,
    pub billing_address: Option<Address>,
    #[schemars(extend("readOnly" = true))]
    pub shipping_method: Option<ChosenShipping>,
    #[schemars(extend("readOnly" = true))]
    pub totals: Totals,
    /// The pricing rules that were asked.
    #[schemars(extend("readOnly" = true))]
    pub plugins: Vec<PluginUse>,
    #[schemars(extend("readOnly" = true))]
    pub payments: Vec<Payment>,
    #[schemars(extend("readOnly" = true))]
    pub fulfillments: Vec<Fulfillment>,
    #[schemars(extend("readOnly" = true))]
    pub returns: Vec<Return>,
    /// Of the staff, for the staff; empty for everybody else.
    pub notes: String,
    /// Free for integrations.
    pub metadata: Metadata,
}

/// An order as it is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoredOrder {
    #[serde(flatten)]
    pub order: Order,
    /// Who may see it besides staff: the customer; of a guest who has the cart's token, and who knows its number and
    /// e-mail address.
    #[serde(rename = "_owners")]
    pub owners: Vec<String>,
    /// What it was before it was put on hold.
    #[serde(rename = "_heldFrom")]
    pub held_from: Option<OrderStatus>,
    /// Deleted by the staff: kept and not listed.
    #[serde(rename = "_hidden")]
    pub hidden: bool,
    /// Until when an order that is not confirmed holds its stock.
    #[serde(rename = "_expiresAt")]
    pub expires_at: Option<String>,
    /// When somebody has to look after it: an outcome that is not known, a reservation that expires. Null when nothing
    /// is open.
    #[serde(rename = "_dueAt")]
    pub due_at: Option<String>,
    /// What is needed to ask or to try again, by transaction id: of those that are `pending` or `unknown`.
    #[serde(rename = "_operations", default)]
    pub operations: BTreeMap<String, PendingOperation>,
    /// The reservation of its stock.
    #[serde(rename = "_reservationId")]
    pub reservation_id: String,
    /// The request that made it ([`plugin_sdk::Caller::request_key`]).
    #[serde(rename = "_requestKey")]
    pub request_key: Option<String>,
    /// What providers call its payments: each with the provider's name and a space before it.
    #[serde(rename = "_references", default)]
    pub references: Vec<String>,
    /// The coupons that it counts among the uses of, and what counts those of who made it.
    #[serde(rename = "_coupons", default)]
    pub counted: CountedCoupons,
    /// The ids of provider events that were taken in.
    #[serde(rename = "_notices", default)]
    pub notices: Vec<String>,
    /// What is needed to price it again.
    #[serde(rename = "_replay")]
    pub replay: Value,
    /// Of an order that was placed in another shop.
    #[serde(rename = "_imported", default)]
    pub imported: Option<ImportMark>,
}

/// How an imported order came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportMark {
    /// Tells its request from others.
    pub digest: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum OrderStatus {
    /// Not paid for yet.
    Pending,
    Confirmed,
    Processing,
    OnHold,
    Completed,
    Cancelled,
    /// The payment did not come in time.
    Expired,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = all_required)]
pub struct OrderItem {
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

/// How the order is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = all_required)]
pub struct ChosenShipping {
    /// The plugin's id, a colon and the code.
    pub id: String,
    pub name: String,
    /// Before the pricing rules.
    pub price: Money,
    pub plugin_id: String,
    pub plugin_version: String,
    /// BLAKE3 of the plugin's component.
    pub digest: String,
    /// BLAKE3 of its configuration.
    #[serde(default)]
    pub config_digest: String,
}

/// An order to make: of a cart, or by the staff of what they name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OrderInput {
    #[serde(default)]
    #[schemars(length(min = 1, max = 64))]
    pub cart_id: Option<String>,
    /// The price that was quoted. Without it the cart is priced now.
    #[serde(default)]
    #[schemars(length(min = 1, max = 64))]
    pub quote_id: Option<String>,
    /// Needed of guests; a customer's own otherwise.
    #[serde(default)]
    #[schemars(length(min = 3, max = 254), regex(pattern = r"^[^\s@]+@[^\s@]+$"))]
    pub email: Option<String>,
    /// For the staff, in the place of a cart.
    #[serde(default)]
    #[schemars(length(max = 500))]
    pub items: Vec<DirectItem>,
    /// For the staff: whose order it is. Prices are those of the customer's groups.
    #[serde(default)]
    #[schemars(length(min = 1, max = 64))]
    pub customer_id: Option<String>,
    /// For the staff. ISO 4217 code.
    #[serde(default)]
    #[schemars(regex(pattern = "^[A-Z]{3}$"))]
    pub currency: Option<String>,
    /// For the staff.
    #[serde(default)]
    pub shipping_address: Option<Address>,
    /// For the staff.
    #[serde(default)]
    pub billing_address: Option<Address>,
    /// For the staff: the id of a shipping option.
    #[serde(default)]
    #[schemars(length(min = 1, max = 200))]
    pub shipping_method: Option<String>,
    /// Not needed where nothing is to be paid.
    #[serde(default)]
    pub payment: Option<PaymentChoice>,
}

/// Something that the staff orders for somebody.
pub type DirectItem = CartItemInput;

/// What the staff may set of an order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "OrderUpdateInput", transform = order_members)]
pub struct OrderUpdate {
    #[serde(default)]
    #[schemars(length(max = 10_000))]
    pub notes: String,
    #[serde(default)]
    #[schemars(extend("maxProperties" = 200))]
    pub metadata: Metadata,
    /// Only before anything is sent.
    #[serde(default)]
    pub shipping_address: Option<Address>,
    #[serde(default)]
    pub billing_address: Option<Address>,
    /// As by the operation that leads there.
    #[serde(default)]
    pub status: Option<OrderStatus>,
}

/// What counts the order among the uses of coupons, whatever they are named by now.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CountedCoupons {
    /// Ids of coupons.
    pub coupons: Vec<String>,
    /// Ids of what counts how often somebody has used one.
    pub uses: Vec<String>,
}

/// The same as a JSON Merge Patch.
pub type OrderPatch = OrderUpdate;

fn order_members(schema: &mut Schema) {
    kept_members(schema);
    for text in [
        "number",
        "placedAt",
        "paymentStatus",
        "fulfillmentStatus",
        "currency",
        "customerId",
        "email",
        "cartId",
        "quoteId",
    ] {
        add_read_only(schema, text, json!({}));
    }
    for other in [
        "items",
        "adjustments",
        "coupons",
        "shippingMethod",
        "totals",
        "plugins",
        "payments",
        "fulfillments",
        "returns",
    ] {
        add_read_only(schema, other, json!({}));
    }
}
