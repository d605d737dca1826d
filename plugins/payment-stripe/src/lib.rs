//! Payment through Stripe, by its PaymentIntents with manual capture.
//!
//! An authorization creates and confirms an intent with the payment method that the customer's client made with Stripe's
//! own scripts, so no card ever passes this server. The API key is put into requests by the host, which also checks the
//! signatures of webhooks; the plugin sees neither secret.
//!
//! What was sent and not answered is unknown, and is never tried again blindly. Every `POST` has the operation's
//! idempotency key, under which Stripe does a thing once and gives the same answer to every repeat, for a day at least.
//! So before an authorization, a capture or a refund is sent, it is written down with its time in `stripe_attempts`.
//! Whoever asks what became of it gets it repeated to the letter while the key is good, learns that it never happened
//! when nothing is written down, and that nobody knows when it is older. How the payment stands would not do for captures:
//! another one may have come to the same amount.

pub mod amount;
mod api;
mod attempts;
pub mod rules;
mod webhook;

#[cfg(test)]
mod tests;

use plugin_sdk::{
    Capability, Collection, Context, FieldError, Problem, Value, export_payment_provider,
    payment::{
        Kind, Notice, Operation, Outcome, PaymentError, PaymentProvider, State, Webhook, WebhookError,
    },
};
use schemars::JsonSchema;
use serde::Deserialize;

use api::Form;
use attempts::Attempt;
use rules::{Failure, Intent, Refund};

pub(crate) const ATTEMPTS: &str = "stripe_attempts";

/// The secret with the API key.
pub(crate) const API_KEY: &str = "PAYMENT_GATEWAY_KEY";

/// The secret that webhooks are signed with.
pub(crate) const WEBHOOK_SECRET: &str = "STRIPE_WEBHOOK_SECRET";

/// The plugin.
pub struct PaymentStripe;

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Config {
    /// Where Stripe is, without a path; `https://api.stripe.com` when absent.
    #[serde(default)]
    #[schemars(regex(pattern = r"^https?://[A-Za-z0-9.-]{1,253}(:[0-9]{1,5})?$"))]
    pub api_base: Option<String>,
    /// Where customers come back to after their bank has asked them something. Without it only payment methods that need
    /// no redirect are accepted.
    #[serde(default)]
    #[schemars(regex(pattern = "^https?://"), length(max = 2000))]
    pub return_url: Option<String>,
    /// What stands behind the shop's name on the statement of a card.
    #[serde(default)]
    #[schemars(regex(pattern = r#"^[^<>\\'"*]*[A-Za-z][^<>\\'"*]*$"#), length(max = 22))]
    pub statement_descriptor: Option<String>,
}

impl PaymentProvider for PaymentStripe {
    const ID: &'static str = "payment-stripe";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const TITLE: &'static str = "Card and other methods (Stripe)";

    fn collections() -> Vec<Collection> {
        vec![Collection::new(ATTEMPTS, "sta")]
    }

    fn capabilities() -> Vec<Capability> {
        vec![
            Capability::http_client("api.stripe.com"),
            Capability::secret(API_KEY),
            // Without it no webhook is believed.
            Capability::secret(WEBHOOK_SECRET).optional(),
        ]
    }

    fn config_schema() -> Option<Value> {
        Some(schemars::schema_for!(Config).to_value())
    }

    fn authorize(ctx: &Context<'_>, operation: &Operation) -> Result<Outcome, PaymentError> {
        let attempt = authorization(&ctx.config(), operation)?;
        let intent = sent::<Intent>(ctx, operation, &attempt)?;
        Ok(rules::authorized(&intent, operation)?)
    }

    fn capture(ctx: &Context<'_>, operation: &Operation) -> Result<Outcome, PaymentError> {
        let mut form = Form::default();
        form.add("amount_to_capture", &amount::to_stripe(&operation.amount)?.to_string());
        let path = api::intent_path(operation, "capture")?;
        let intent = sent::<Intent>(ctx, operation, &Attempt { path, form: form.finish() })?;
        Ok(rules::captured(&intent, operation)?)
    }

    fn refund(ctx: &Context<'_>, operation: &Operation) -> Result<Outcome, PaymentError> {
        let attempt = repayment(operation)?;
        let refund = sent::<Refund>(ctx, operation, &attempt)?;
        Ok(rules::refunded(&refund, operation)?)
    }

    fn void(ctx: &Context<'_>, operation: &Operation) -> Result<Outcome, PaymentError> {
        match api::act_on_intent(ctx, operation, "cancel", Form::default()) {
            Ok(intent) => Ok(rules::voided(&intent)?),
            // Of what was captured in part Stripe has given up the rest by itself.
            Err(refused @ Failure::Refused(_)) => match api::intent(ctx, operation) {
                Ok(intent) if rules::is_released(&intent) => {
                    Ok(Outcome::new(State::Succeeded, intent.id.as_str()))
                }
                _ => Err(refused.into()),
            },
            Err(failure) => Err(failure.into()),
        }
    }

    fn status(ctx: &Context<'_>, kind: Kind, operation: &Operation) -> Result<Outcome, PaymentError> {
        let found = match (kind, &operation.reference) {
            (Kind::Authorization, None) => {
                attempted(ctx, operation, |intent: &Intent| rules::authorized(intent, operation))
            }
            (Kind::Refund, _) => {
                attempted(ctx, operation, |refund: &Refund| rules::refunded(refund, operation))
            }
            (Kind::Capture, _) => {
                attempted(ctx, operation, |intent: &Intent| rules::captured(intent, operation))
            }
            (Kind::Authorization | Kind::Void, _) => {
                api::intent(ctx, operation).and_then(|intent| rules::status(kind, &intent, operation))
            }
        };
        found.or_else(|failure| {
            let reference = operation.reference.clone().unwrap_or_default();
            let failed =
                |code: String| Ok(Outcome { code: Some(code), ..Outcome::new(State::Failed, reference) });
            match failure {
                Failure::Declined { code, .. } => failed(code),
                Failure::Refused(problem) => failed(problem.code),
                // This question was not answered, which says nothing about the operation.
                Failure::NotDone(_) => Err(PaymentError::Unknown("Stripe cannot be asked".to_owned())),
                Failure::Unknown(why) => Err(PaymentError::Unknown(why)),
            }
        })
    }

    fn parse_webhook(ctx: &Context<'_>, webhook: &Webhook) -> Result<Vec<Notice>, WebhookError> {
        webhook::parse(ctx, webhook)
    }
}

export_payment_provider!(PaymentStripe);

/// The request that makes an authorization.
fn authorization(config: &Config, operation: &Operation) -> Result<Attempt, PaymentError> {
    let Some(token) = operation.token.as_deref().filter(|token| (1..=255).contains(&token.len())) else {
        let error = FieldError::invalid("/token", "Stripe needs a payment method, such as `pm_card_visa`.");
        return Err(PaymentError::Invalid(Problem::validation(vec![error])));
    };
    let mut form = Form::default();
    form.add("amount", &amount::to_stripe(&operation.amount)?.to_string());
    form.add("currency", &operation.amount.currency.to_lowercase());
    form.add("capture_method", "manual");
    form.add("confirm", "true");
    form.add("payment_method", token);
    form.add("automatic_payment_methods[enabled]", "true");
    match &config.return_url {
        Some(url) => form.add("return_url", url),
        // Stripe refuses to confirm where a method could send the customer away and knows no way back.
        None => form.add("automatic_payment_methods[allow_redirects]", "never"),
    }
    if let Some(text) = &config.statement_descriptor {
        // Cards take it behind the account's own text only.
        form.add("statement_descriptor_suffix", text);
    }
    form.add_names(operation);
    Ok(Attempt { path: "/v1/payment_intents".to_owned(), form: form.finish() })
}

/// The request that makes a refund.
fn repayment(operation: &Operation) -> Result<Attempt, PaymentError> {
    let mut form = Form::default();
    form.add("payment_intent", api::intent_id(operation)?);
    form.add("amount", &amount::to_stripe(&operation.amount)?.to_string());
    form.add_names(operation);
    Ok(Attempt { path: "/v1/refunds".to_owned(), form: form.finish() })
}

/// Writes down what is going to be sent, and sends it.
fn sent<T: api::Object>(ctx: &Context<'_>, operation: &Operation, attempt: &Attempt) -> Result<T, Failure> {
    let is_first = attempts::begin(ctx, operation, attempt)?;
    if !is_first {
        attempts::repeat(ctx, operation)?;
    }
    match api::repeat::<T>(ctx, operation, attempt) {
        Ok((object, _)) => Ok(object),
        Err(failure) => {
            if is_first && matches!(failure, Failure::NotDone(_)) {
                attempts::forget(ctx, operation);
            }
            Err(failure)
        }
    }
}

/// What became of something that is written down before it is sent.
fn attempted<T: api::Object>(
    ctx: &Context<'_>,
    operation: &Operation,
    outcome: impl Fn(&T) -> Result<Outcome, Failure>,
) -> Result<Outcome, Failure> {
    let Some(attempt) = attempts::find(ctx, operation)? else {
        return Err(Failure::declined("It was never sent.", "never_sent"));
    };
    attempts::repeat(ctx, operation)?;
    let (mut object, is_old) = api::repeat::<T>(ctx, operation, &attempt)?;
    if is_old {
        // The answer of that time, and not how it is.
        object = api::again(ctx, &object)?;
    }
    outcome(&object)
}

impl From<Failure> for PaymentError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Declined { message, .. } => Self::Declined(message),
            Failure::Refused(problem) | Failure::NotDone(problem) => Self::Invalid(problem),
            Failure::Unknown(why) => Self::Unknown(why),
        }
    }
}
