//! What clients see and what is stored. Doc comments of what is shown are the API document.
//!
//! A stored type has the members that are shown and, with names that start with an underscore, those that are not;
//! [`shown`] takes these away.

mod cart;
mod coupon;
mod dashboard;
mod fulfillment;
mod history;
mod import;
mod order;
mod payment;
mod quote;
mod reservation;

pub use cart::{
    AddressesInput, Cart, CartInput, CartItem, CartItemInput, CartItemPatch, CartLine, CartStatus,
    CouponEntry, LINES_MAX, MergeInput, PaymentMethodView, Problem, QUANTITY_MAX, ShippingChoice,
    ShippingMethod, StoredCart,
};
pub use coupon::{Coupon, CouponInput, StoredCoupon, StoredCouponUse};
pub use dashboard::{BestSeller, CurrencyFigures, Dashboard, DayFigures, LowStock, StatusCount, Time};
pub use fulfillment::{
    Fulfillment, FulfillmentInput, FulfillmentLine, FulfillmentState, FulfillmentStatus, FulfillmentView,
    Return, ReturnInput, ReturnLine, ReturnStatus, ShipInput,
};
pub use history::{Actor, HistoryEntry, StoredHistoryEntry};
pub use import::{ImportedItem, ImportedStatus, OrderImport};
pub use order::{
    ChosenShipping, CountedCoupons, DirectItem, ImportMark, Order, OrderInput, OrderItem, OrderPatch,
    OrderStatus, OrderUpdate, StoredOrder,
};
pub use payment::{
    CaptureInput, NextAction, Payment, PaymentChoice, PaymentStatus, PendingOperation, RefundInput,
    Transaction, TransactionState, TransactionType,
};
pub use quote::{PluginUse, Quote, QuotedLine, StoredQuote, Unsold};
pub use reservation::{ReservationState, ReservedItem, StoredReservation};

use plugin_sdk::{Money, pricing, schema::all_required};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A document without what is not shown, as an answer.
pub fn shown(stored: &impl Serialize) -> Value {
    let mut value = serde_json::to_value(stored).unwrap_or_default();
    if let Some(members) = value.as_object_mut() {
        members.retain(|name, _| !name.starts_with('_'));
    }
    value
}

/// What a rule, or a shipping method, changes of a price.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "PriceAdjustment", transform = all_required)]
pub struct Adjustment {
    /// `discount`, `surcharge`, `shipping`, `tax` or `tax_included`.
    pub kind: String,
    /// Names it for programs.
    pub code: String,
    /// Says it to the customer.
    pub reason: String,
    /// Negative for discounts.
    pub amount: Money,
    /// The plugin that made it.
    pub plugin_id: String,
    pub plugin_version: String,
    /// BLAKE3 of the plugin's component.
    pub digest: String,
    /// BLAKE3 of its configuration.
    pub config_digest: String,
    /// The coupon that it is due to.
    pub coupon_code: Option<String>,
}

impl Adjustment {
    pub fn new(applied: &pricing::Applied, currency: &str) -> Self {
        let source = &applied.source.0;
        Self {
            kind: applied.kind.clone(),
            code: applied.code.clone(),
            reason: applied.reason.clone(),
            amount: Money::new(applied.amount, currency),
            plugin_id: source.plugin_id.clone(),
            plugin_version: source.plugin_version.clone(),
            digest: source.digest.clone(),
            config_digest: source.config_digest.clone(),
            coupon_code: applied.coupon.clone(),
        }
    }
}

/// What something comes to: `grand = items + discount + surcharge + shipping + tax`, and
/// `due = grand − credited − (paid − refunded)`, which is 0 for orders that are cancelled or expired.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = all_required)]
pub struct Totals {
    /// The sum of the lines' unit prices times their quantities.
    pub items: Money,
    /// Not positive.
    pub discount: Money,
    pub surcharge: Money,
    pub shipping: Money,
    /// Added to the prices.
    pub tax: Money,
    /// Contained in the prices, and not added.
    pub tax_included: Money,
    pub grand: Money,
    /// Captured so far.
    pub paid: Money,
    pub refunded: Money,
    /// What was given back for good: it is not owed again.
    pub credited: Money,
    /// What is still owed; negative where too much was paid.
    pub due: Money,
}

impl Totals {
    /// The totals of something that nobody has paid for yet.
    pub fn unpaid(totals: &pricing::Totals, currency: &str) -> Self {
        let money = |amount| Money::new(amount, currency);
        Self {
            items: money(totals.items),
            discount: money(totals.discount),
            surcharge: money(totals.surcharge),
            shipping: money(totals.shipping),
            tax: money(totals.tax),
            tax_included: money(totals.tax_included),
            grand: money(totals.grand),
            paid: money(0),
            refunded: money(0),
            credited: money(0),
            due: money(totals.grand),
        }
    }
}

/// Free-form members, for integrations.
pub type Metadata = Map<String, Value>;
