//! Orders, and what belongs to them: payments, fulfilments, returns, history.

use std::collections::BTreeMap;

use plugin_sdk::{
    Money,
    address::Address,
    pricing::Source,
    schema::{add_read_only, all_required, kept_members},
};
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Adjustment, CartItemInput, Metadata, PluginUse, Totals};

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

/// What is needed to finish an operation whose outcome is open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PendingOperation {
    pub payment_id: String,
    pub idempotency_key: String,
    pub token: Option<String>,
    /// The provider's reference at the time.
    pub reference: Option<String>,
    /// How often the provider was asked about it.
    pub attempts: u32,
    /// When it is asked about next.
    pub due_at: String,
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

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum PaymentStatus {
    /// There is nothing to pay, or nobody has tried.
    None,
    Pending,
    /// The customer has to do something.
    RequiresAction,
    Authorized,
    PartiallyPaid,
    Paid,
    PartiallyRefunded,
    Refunded,
    Voided,
    Failed,
    /// The provider did not answer.
    Unknown,
}

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

/// An attempt to pay, with everything that came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = all_required)]
pub struct Payment {
    pub id: String,
    /// The payment plugin.
    pub provider: String,
    pub amount: Money,
    /// Append-only, but for the state of those that are open.
    pub transactions: Vec<Transaction>,
    /// What the customer has to do.
    pub next_action: Option<NextAction>,
    /// The money comes by another way than the provider's.
    pub offline: bool,
    #[schemars(extend("format" = "date-time"))]
    pub created_at: String,
}

/// What the customer has to do, as the provider says it, such as `{"type": "redirect", "url": "…"}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct NextAction(#[schemars(extend("type" = "object"))] pub Value);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = all_required)]
pub struct Transaction {
    pub id: String,
    #[serde(rename = "type")]
    pub kind: TransactionType,
    pub state: TransactionState,
    pub amount: Money,
    /// What the provider calls the payment.
    pub provider_reference: Option<String>,
    /// Why it failed, or why it is not known.
    pub reason: Option<String>,
    /// Of a refund: whether the money was given back for good, and is not owed again.
    pub credit: bool,
    /// Which component of the payment plugin answered last.
    #[serde(default)]
    pub plugin: Option<PaymentPlugin>,
    #[schemars(extend("format" = "date-time"))]
    pub at: String,
}

/// A component of a payment plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = all_required)]
pub struct PaymentPlugin {
    pub version: String,
    /// BLAKE3 of the component.
    pub digest: String,
    /// BLAKE3 of its configuration.
    pub config_digest: String,
}

impl From<&Source> for PaymentPlugin {
    fn from(source: &Source) -> Self {
        Self {
            version: source.plugin_version.clone(),
            digest: source.digest.clone(),
            config_digest: source.config_digest.clone(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TransactionType {
    Authorization,
    Capture,
    Refund,
    Void,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TransactionState {
    Pending,
    Succeeded,
    Failed,
    /// The provider did not answer.
    Unknown,
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

/// The stock that an order holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoredReservation {
    pub order_id: String,
    pub state: ReservationState,
    /// What is held still: shipped pieces are taken off.
    pub items: Vec<ReservedItem>,
    /// From when on it no longer counts; null once the order is confirmed.
    pub expires_at: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReservationState {
    /// Until it expires.
    Held,
    /// Of a confirmed order, until it is sent or cancelled.
    Committed,
    /// Given back.
    Released,
    /// All is sent.
    Consumed,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReservedItem {
    pub sku: String,
    pub quantity: i64,
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
    /// For the staff: whose order it is.
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

/// How to pay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PaymentChoice {
    /// One of the payment methods.
    #[schemars(length(min = 1, max = 64))]
    pub provider: String,
    /// What the provider gave the client.
    #[serde(default)]
    #[schemars(length(min = 1, max = 1_000))]
    pub token: Option<String>,
}

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

/// How much to capture; all that remains otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CaptureInput {
    #[serde(default)]
    pub amount: Option<Money>,
}

/// How much to refund; all that remains otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RefundInput {
    #[serde(default)]
    pub amount: Option<Money>,
    #[serde(default)]
    #[schemars(length(max = 500))]
    pub reason: String,
    /// Whether the money is given back for good. Otherwise it is owed again.
    #[serde(default = "yes")]
    #[schemars(extend("default" = true))]
    pub credit: bool,
    /// The return that it is for.
    #[serde(default)]
    #[schemars(length(min = 1, max = 64))]
    pub return_id: Option<String>,
}

fn yes() -> bool {
    true
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
