//! Payments of an order, and the movements of money in them.

use plugin_sdk::{Money, pricing::Source, schema::all_required};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

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
