//! Payment providers.

use serde_json::Value;

use crate::{Capability, Collection, Context, FieldError, Money, Problem, pricing::Source};

/// A plugin that moves money through a provider.
pub trait PaymentProvider: 'static {
    /// Kebab-case, unique on the host.
    const ID: &'static str;
    /// Semantic version, usually `env!("CARGO_PKG_VERSION")`.
    const VERSION: &'static str;
    /// For people: customers choose by it.
    const TITLE: &'static str;

    /// The collections the plugin owns.
    fn collections() -> Vec<Collection> {
        Vec::new()
    }

    /// What it wants to use and does not own.
    fn capabilities() -> Vec<Capability> {
        Vec::new()
    }

    /// JSON Schema of its configuration; `None` when there is nothing to configure.
    fn config_schema() -> Option<Value> {
        None
    }

    /// Accepts or refuses a configuration that already fits the schema.
    fn validate_config(_config: &[u8]) -> Result<(), Vec<FieldError>> {
        Ok(())
    }

    /// # Errors
    /// As all of these: [`PaymentError`].
    fn authorize(ctx: &Context<'_>, operation: &Operation) -> Result<Outcome, PaymentError>;
    fn capture(ctx: &Context<'_>, operation: &Operation) -> Result<Outcome, PaymentError>;
    fn refund(ctx: &Context<'_>, operation: &Operation) -> Result<Outcome, PaymentError>;
    fn void(ctx: &Context<'_>, operation: &Operation) -> Result<Outcome, PaymentError>;
    /// What became of an operation whose outcome is not known. [`State::Failed`] when the provider never heard of it.
    fn status(ctx: &Context<'_>, kind: Kind, operation: &Operation) -> Result<Outcome, PaymentError>;

    /// Reads a webhook.
    ///
    /// # Errors
    /// [`WebhookError::Unauthenticated`] unless the provider's signature is good.
    fn parse_webhook(_ctx: &Context<'_>, _webhook: &Webhook) -> Result<Vec<Notice>, WebhookError> {
        Err(WebhookError::Malformed("This provider sends no webhooks.".to_owned()))
    }
}

/// What is done with money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    Authorization,
    Capture,
    Refund,
    Void,
}

impl Kind {
    pub const ALL: [Self; 4] = [Self::Authorization, Self::Capture, Self::Refund, Self::Void];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Authorization => "authorization",
            Self::Capture => "capture",
            Self::Refund => "refund",
            Self::Void => "void",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// The provider's function: `authorize` for an authorization.
    pub fn verb(self) -> &'static str {
        match self {
            Self::Authorization => "authorize",
            other => other.as_str(),
        }
    }
}

/// One movement of money.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    pub order_id: String,
    pub payment_id: String,
    /// What the provider calls the payment; none before it has answered an authorization.
    pub reference: Option<String>,
    pub amount: Money,
    /// What the customer's client got from the provider, for authorizations.
    pub token: Option<String>,
    /// The same for every attempt at this movement and different for every other.
    pub idempotency_key: String,
}

/// How far a movement has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Succeeded,
    /// The provider tells later.
    Pending,
    /// The customer must do something first.
    RequiresAction,
    /// The money comes by another way, and the order is good until then.
    Offline,
    Failed,
}

impl State {
    pub const ALL: [Self; 5] =
        [Self::Succeeded, Self::Pending, Self::RequiresAction, Self::Offline, Self::Failed];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Pending => "pending",
            Self::RequiresAction => "requires_action",
            Self::Offline => "offline",
            Self::Failed => "failed",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

/// What a provider answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    pub state: State,
    /// What the provider calls the payment.
    pub reference: String,
    /// With [`State::RequiresAction`]: what the client has to do, such as `{"type": "redirect", "url": "…"}`. With
    /// [`State::Offline`]: how to pay, such as `{"type": "instructions", "text": "…"}`.
    pub next_action: Option<Value>,
    /// An authorization that has already moved the money.
    pub captured: bool,
    /// Why it failed, in a word.
    pub code: Option<String>,
    /// Which component answered. The host says so to who asks; what a provider puts here is nobody's.
    pub source: Option<Source>,
}

impl Outcome {
    pub fn new(state: State, reference: impl Into<String>) -> Self {
        Self {
            state,
            reference: reference.into(),
            next_action: None,
            captured: false,
            code: None,
            source: None,
        }
    }
}

/// Why a movement has no outcome.
#[derive(Debug, Clone, PartialEq)]
pub enum PaymentError {
    /// The provider said no. The text may be shown to the customer.
    Declined(String),
    /// It is not known whether the money moved.
    Unknown(String),
    /// Nothing was moved: the operation makes no sense, or the provider could not be reached at all.
    Invalid(Problem),
}

/// A webhook as it came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Webhook {
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// What a webhook told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// The provider's id of the event: the same on every repeat.
    pub id: String,
    pub kind: Kind,
    /// The payment, when the provider gives it back, or else the outcome's reference counts.
    pub payment_id: Option<String>,
    pub outcome: Outcome,
    pub amount: Option<Money>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WebhookError {
    /// The signature is missing, wrong or too old.
    Unauthenticated(String),
    Malformed(String),
    /// It cannot be looked at now: the sender is told 503, and sends it again.
    Unavailable(String),
}

/// A provider that customers can choose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentMethod {
    /// The plugin's id.
    pub provider: String,
    pub title: String,
}
