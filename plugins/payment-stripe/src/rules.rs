//! What Stripe's answers mean. Pure: values in, values out.

use plugin_sdk::{
    FieldError, Money, Problem, Value, json,
    payment::{Kind, Operation, Outcome, State},
};
use serde::Deserialize;

use crate::amount::from_stripe;

/// Most letters of a text that Stripe wrote for the customer.
const MESSAGE_CHARS: usize = 500;

/// Why there is no outcome.
#[derive(Debug, Clone, PartialEq)]
pub enum Failure {
    /// Stripe or the bank said no.
    Declined { message: String, code: String },
    /// Stripe took the request for wrong: it did nothing, and would do nothing if asked again.
    Refused(Problem),
    /// Nothing was done this time, and it says nothing about earlier times.
    NotDone(Problem),
    /// It may have been done.
    Unknown(String),
}

impl Failure {
    pub fn declined(message: &str, code: &str) -> Self {
        Self::Declined { message: message.chars().take(MESSAGE_CHARS).collect(), code: code.to_owned() }
    }
}

/// A payment of Stripe's.
#[derive(Debug, Clone, Deserialize)]
pub struct Intent {
    pub id: String,
    pub status: String,
    pub amount: i64,
    pub currency: String,
    #[serde(default)]
    pub amount_received: i64,
    #[serde(default)]
    pub amount_capturable: i64,
    #[serde(default)]
    pub capture_method: Option<String>,
    #[serde(default)]
    pub client_secret: Option<String>,
    #[serde(default)]
    pub next_action: Option<Value>,
    #[serde(default)]
    pub last_payment_error: Option<ErrorObject>,
    #[serde(default)]
    pub metadata: Value,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Refund {
    pub id: String,
    /// Some methods leave it out, which is a success.
    #[serde(default)]
    pub status: Option<String>,
    pub amount: i64,
    pub currency: String,
    #[serde(default)]
    pub payment_intent: Option<String>,
    #[serde(default)]
    pub failure_reason: Option<String>,
    #[serde(default)]
    pub metadata: Value,
}

#[derive(Debug, Clone, Deserialize)]
pub struct ErrorBody {
    pub error: ErrorObject,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub struct ErrorObject {
    #[serde(rename = "type", default)]
    pub kind: String,
    #[serde(default)]
    pub code: Option<String>,
    #[serde(default)]
    pub decline_code: Option<String>,
    #[serde(default)]
    pub message: Option<String>,
    #[serde(default)]
    pub param: Option<String>,
}

impl ErrorObject {
    fn declined(&self) -> Failure {
        let code = self.decline_code.as_deref().or(self.code.as_deref()).unwrap_or("declined");
        Failure::declined(self.message.as_deref().unwrap_or("The payment was declined."), code)
    }
}

/// Whether Stripe did what it was asked, by the status of its answer and the error in it.
///
/// Only what Stripe says itself is certain: without its error object the answer may come from somebody in between, and
/// most other statuses leave open what has happened.
pub fn judge(status: u16, error: Option<&ErrorObject>) -> Result<(), Failure> {
    match (status, error) {
        (200..=299, _) => Ok(()),
        (401 | 403, _) => Err(Failure::NotDone(
            Problem::new(502, "payment_failed").detail("Stripe does not accept the shop's key."),
        )),
        (429, _) => Err(Failure::NotDone(
            Problem::new(503, "unavailable").detail("Stripe has too much to do. Try again in a moment."),
        )),
        (402, Some(error)) => Err(error.declined()),
        (400, Some(error)) if error.kind == "card_error" => Err(error.declined()),
        // The key was used for another request, and nobody here knows how that one ended.
        (400, Some(error)) if error.kind == "idempotency_error" => {
            Err(Failure::Unknown("the idempotency key was used for another request".to_owned()))
        }
        (400 | 404, Some(error)) => Err(Failure::Refused(refusal(error))),
        (409, _) => Err(Failure::Unknown("the same request is still running".to_owned())),
        (other, _) => Err(Failure::Unknown(format!("Stripe answered {other}"))),
    }
}

/// What the client is told of a request that Stripe takes for wrong. Stripe's own words speak to the shop's developers
/// and stay out.
fn refusal(error: &ErrorObject) -> Problem {
    match (error.code.as_deref().unwrap_or_default(), error.param.as_deref().unwrap_or_default()) {
        ("amount_too_small" | "amount_too_large", _) => Problem::new(422, "amount_out_of_range")
            .detail("The amount is too small or too large for Stripe, or for this payment."),
        ("resource_missing" | "parameter_invalid_empty", "payment_method") => {
            Problem::validation(vec![FieldError::invalid("/token", "Stripe knows no such payment method.")])
        }
        ("resource_missing", _) => Problem::not_found().detail("Stripe knows no such payment."),
        (
            "payment_intent_unexpected_state"
            | "charge_already_captured"
            | "charge_already_refunded"
            | "charge_expired_for_capture",
            _,
        ) => Problem::conflict("The payment is not in a state in which Stripe can do this."),
        _ => Problem::new(502, "payment_failed").detail("Stripe refused the request."),
    }
}

/// What an authorization has come to.
pub fn authorized(intent: &Intent, operation: &Operation) -> Result<Outcome, Failure> {
    if from_stripe(intent.amount, &intent.currency).as_ref() != Some(&operation.amount) {
        return Err(Failure::Unknown("Stripe answered about another amount".to_owned()));
    }
    let outcome = |state| Outcome::new(state, intent.id.as_str());
    match intent.status.as_str() {
        "requires_capture" => Ok(outcome(State::Succeeded)),
        "succeeded" => Ok(Outcome { captured: true, ..outcome(State::Succeeded) }),
        "processing" => Ok(outcome(State::Pending)),
        "requires_action" => {
            Ok(Outcome { next_action: next_action(intent), ..outcome(State::RequiresAction) })
        }
        "requires_payment_method" => {
            Err(intent.last_payment_error.as_ref().unwrap_or(&ErrorObject::default()).declined())
        }
        "canceled" => Err(Failure::declined("The payment was given up.", "canceled")),
        other => Err(unexpected(other)),
    }
}

/// What the customer's client has to do: go somewhere, or hand the payment to Stripe's scripts.
fn next_action(intent: &Intent) -> Option<Value> {
    let url = intent.next_action.as_ref().and_then(|action| action["redirect_to_url"]["url"].as_str());
    match (url, &intent.client_secret) {
        (Some(url), _) if url.starts_with("https://") || url.starts_with("http://") => {
            Some(json!({"type": "redirect", "url": url}))
        }
        (_, Some(secret)) => Some(json!({"type": "stripe", "clientSecret": secret})),
        (_, None) => None,
    }
}

/// What a capture has come to, by the answer to it.
pub fn captured(intent: &Intent, operation: &Operation) -> Result<Outcome, Failure> {
    match intent.status.as_str() {
        "succeeded" if is_received(intent, operation) => {
            Ok(Outcome::new(State::Succeeded, intent.id.as_str()))
        }
        "succeeded" => Err(Failure::Unknown("Stripe answered about another amount".to_owned())),
        "processing" => Ok(Outcome::new(State::Pending, intent.id.as_str())),
        other => Err(unexpected(other)),
    }
}

/// What giving up a payment has come to, by the answer to it.
pub fn voided(intent: &Intent) -> Result<Outcome, Failure> {
    match intent.status.as_str() {
        "canceled" => Ok(Outcome::new(State::Succeeded, intent.id.as_str())),
        other => Err(unexpected(other)),
    }
}

/// What a refund has come to. It is part of the payment and goes by its reference.
pub fn refunded(refund: &Refund, operation: &Operation) -> Result<Outcome, Failure> {
    if from_stripe(refund.amount, &refund.currency).as_ref() != Some(&operation.amount) {
        return Err(Failure::Unknown("Stripe answered about another amount".to_owned()));
    }
    let reference = operation.reference.clone().unwrap_or_default();
    let (state, code) =
        refund_state(refund).ok_or_else(|| unexpected(refund.status.as_deref().unwrap_or_default()))?;
    Ok(Outcome { code, ..Outcome::new(state, reference) })
}

/// How far a refund has come, and why it failed.
pub fn refund_state(refund: &Refund) -> Option<(State, Option<String>)> {
    match refund.status.as_deref() {
        Some("succeeded") | None => Some((State::Succeeded, None)),
        // What the customer has to do, Stripe asks by mail.
        Some("pending" | "requires_action") => Some((State::Pending, None)),
        Some(status @ ("failed" | "canceled")) => {
            let why = refund.failure_reason.clone().unwrap_or_else(|| status.to_owned());
            Some((State::Failed, Some(why)))
        }
        Some(_) => None,
    }
}

/// What became of an operation, by how its payment is.
pub fn status(kind: Kind, intent: &Intent, operation: &Operation) -> Result<Outcome, Failure> {
    let succeeded = || Ok(Outcome::new(State::Succeeded, intent.id.as_str()));
    let never = || Err(Failure::declined("It did not happen.", "not_done"));
    match (kind, intent.status.as_str()) {
        (Kind::Authorization, _) => authorized(intent, operation),
        (Kind::Capture, "succeeded") if is_received(intent, operation) => succeeded(),
        (Kind::Capture, "processing") => Ok(Outcome::new(State::Pending, intent.id.as_str())),
        (Kind::Void, "canceled") => succeeded(),
        (Kind::Void, _) if is_released(intent) => succeeded(),
        (Kind::Capture | Kind::Void | Kind::Refund, _) => never(),
    }
}

/// Whether a part was captured: then Stripe lets the rest of it go.
pub fn is_released(intent: &Intent) -> bool {
    let is_part = intent.amount_received < intent.amount;
    intent.status == "succeeded" && is_part && intent.amount_capturable == 0
}

fn is_received(intent: &Intent, operation: &Operation) -> bool {
    let received: Option<Money> = from_stripe(intent.amount_received, &intent.currency);
    received.as_ref() == Some(&operation.amount)
}

fn unexpected(status: &str) -> Failure {
    let status: String = status.chars().take(40).collect();
    Failure::Unknown(format!("Stripe answered the unexpected status `{status}`"))
}
