//! A payment gateway for tests and demonstrations. It needs no network, moves no money, and behaves as the token of an
//! authorization says, well or badly; see [`token`].
//!
//! What a gateway remembers is in two collections. `sandbox_operations` has one document per idempotency key, whose id
//! is derived from the key, so two calls with one key make one charge however they race: the second answers what the
//! first was answered, and is refused when it asks for something else. `sandbox_charges` has one document per
//! authorization that was not declined, and its id is the reference. Each operation commits both together.
//!
//! Webhooks are signed with a secret of the plugin's configuration; see [`webhook`]. A secret there is readable by the
//! plugin and by staff who see the configuration, which is right for a sandbox only.

mod ledger;
pub mod rules;
pub mod token;
pub mod webhook;

#[cfg(test)]
mod tests;

use plugin_sdk::{
    Access, Collection, Context, FieldError, FieldKind, Problem, Value, export_payment_provider, json,
    payment::{
        Kind, Notice, Operation, Outcome, PaymentError, PaymentProvider, State, Webhook, WebhookError,
    },
};
use schemars::JsonSchema;
use serde::Deserialize;

use ledger::{Done, Entry};
use rules::{Charge, Status};
use token::{Behaviour, Token, Trouble};

pub(crate) const CHARGES: &str = "sandbox_charges";
pub(crate) const OPERATIONS: &str = "sandbox_operations";

/// What a decline says.
pub(crate) const DECLINED: &str = "The card was declined.";

/// Length of the texts in an answer that is garbage.
const GARBAGE_BYTES: usize = 1 << 20;

/// The plugin.
pub struct PaymentSandbox;

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Config {
    /// What webhooks are signed with. Without it none is accepted.
    #[serde(default)]
    #[schemars(length(min = 1, max = 200))]
    pub webhook_secret: Option<String>,
    /// Where customers are sent who must do something; `reference` is added to the query.
    #[serde(default)]
    #[schemars(regex(pattern = "^https?://"), length(max = 2000))]
    pub action_url: Option<String>,
}

impl PaymentProvider for PaymentSandbox {
    const ID: &'static str = "payment-sandbox";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const TITLE: &'static str = "Test payment";

    fn collections() -> Vec<Collection> {
        vec![
            Collection::new(CHARGES, "sbc").field("orderId", FieldKind::Text, Access::Index).field(
                "paymentId",
                FieldKind::Text,
                Access::Index,
            ),
            Collection::new(OPERATIONS, "sbo").field("reference", FieldKind::Text, Access::Index),
        ]
    }

    fn config_schema() -> Option<Value> {
        Some(schemars::schema_for!(Config).to_value())
    }

    fn authorize(ctx: &Context<'_>, operation: &Operation) -> Result<Outcome, PaymentError> {
        check_amount(operation)?;
        let Some(text) = &operation.token else {
            let error = FieldError::invalid("/token", "The sandbox needs a token, such as `tok_approve`.");
            return Err(PaymentError::Invalid(Problem::validation(vec![error])));
        };
        let token = Token::parse(text);
        let charge = token.and_then(|token| {
            let status = match token.authorize {
                Behaviour::Decline => return None,
                Behaviour::Action => Status::RequiresAction,
                Behaviour::Pending => Status::Pending,
                Behaviour::Approve | Behaviour::Captured | Behaviour::Timeout | Behaviour::Garbage => {
                    Status::Authorized
                }
            };
            let captured = if token.authorize == Behaviour::Captured { operation.amount.amount } else { 0 };
            Some(Charge { captured, ..Charge::new(operation, text, status) })
        });
        let refusal = match (&charge, token) {
            (Some(_), _) => None,
            (None, Some(_)) => Some(DECLINED),
            (None, None) => Some("The sandbox does not know this token."),
        };
        match ledger::open(ctx, operation, charge, refusal)? {
            // The way it is answered is not of the charge: who asks again hears how it is.
            Done::Now(_, _) if token.is_some_and(|it| it.authorize == Behaviour::Timeout) => Err(never()),
            Done::Now(_, _) if token.is_some_and(|it| it.authorize == Behaviour::Garbage) => Ok(garbage()),
            Done::Now(entry, charge) | Done::Before(entry, charge) => answer(ctx, &entry, charge.as_ref()),
        }
    }

    fn capture(ctx: &Context<'_>, operation: &Operation) -> Result<Outcome, PaymentError> {
        check_amount(operation)?;
        change(ctx, Kind::Capture, operation, |charge| charge.capture(operation.amount.amount))
    }

    fn refund(ctx: &Context<'_>, operation: &Operation) -> Result<Outcome, PaymentError> {
        check_amount(operation)?;
        change(ctx, Kind::Refund, operation, |charge| charge.refund(operation.amount.amount))
    }

    fn void(ctx: &Context<'_>, operation: &Operation) -> Result<Outcome, PaymentError> {
        change(ctx, Kind::Void, operation, Charge::void)
    }

    fn status(ctx: &Context<'_>, kind: Kind, operation: &Operation) -> Result<Outcome, PaymentError> {
        // That the ledger cannot be read says nothing about what is in it.
        let unreadable = |error| match error {
            PaymentError::Invalid(problem) if problem.status >= 500 => {
                PaymentError::Unknown("the sandbox cannot read its ledger".to_owned())
            }
            other => other,
        };
        let failed = |code: &str| {
            let reference = operation.reference.clone().unwrap_or_else(|| ledger::reference(operation));
            Outcome { code: Some(code.to_owned()), ..Outcome::new(State::Failed, reference) }
        };
        let Some((entry, charge)) = ledger::look_up(ctx, kind, operation).map_err(unreadable)? else {
            return Ok(failed("unknown_operation"));
        };
        match answer(ctx, &entry, charge.as_ref()) {
            Err(PaymentError::Declined(_)) => Ok(failed("declined")),
            other => other,
        }
    }

    fn parse_webhook(ctx: &Context<'_>, webhook: &Webhook) -> Result<Vec<Notice>, WebhookError> {
        webhook::parse(ctx, webhook)
    }
}

export_payment_provider!(PaymentSandbox);

/// Does something with a charge that is there.
fn change(
    ctx: &Context<'_>,
    kind: Kind,
    operation: &Operation,
    rule: impl Fn(&mut Charge) -> Result<(), Problem>,
) -> Result<Outcome, PaymentError> {
    match ledger::change(ctx, kind, operation, rule)? {
        Done::Now(_, Some(charge)) if charge.trouble(kind) == Some(Trouble::Timeout) => Err(never()),
        Done::Now(entry, charge) | Done::Before(entry, charge) => answer(ctx, &entry, charge.as_ref()),
    }
}

/// What the ledger says of an operation.
fn answer(ctx: &Context<'_>, entry: &Entry, charge: Option<&Charge>) -> Result<Outcome, PaymentError> {
    if let Some(why) = &entry.declined {
        return Err(PaymentError::Declined(why.clone()));
    }
    let outcome = |state| Outcome::new(state, entry.reference.clone());
    let (Some(charge), Some(Kind::Authorization)) = (charge, Kind::parse(&entry.kind)) else {
        return Ok(outcome(State::Succeeded));
    };
    match charge.status {
        Status::Authorized => {
            let captured = Token::parse(&charge.token).is_some_and(|it| it.authorize == Behaviour::Captured);
            Ok(Outcome { captured, ..outcome(State::Succeeded) })
        }
        Status::RequiresAction => {
            let config: Config = ctx.config();
            let next_action = Some(action(config.action_url.as_deref(), &entry.reference));
            Ok(Outcome { next_action, ..outcome(State::RequiresAction) })
        }
        Status::Pending => Ok(outcome(State::Pending)),
        Status::Failed => Err(PaymentError::Declined(DECLINED.to_owned())),
        Status::Canceled => Err(PaymentError::Declined("The payment was given up.".to_owned())),
    }
}

fn action(url: Option<&str>, reference: &str) -> Value {
    // A name that nobody can own.
    let url = url.unwrap_or("https://sandbox.example/action");
    let separator = if url.contains('?') { '&' } else { '?' };
    json!({"type": "redirect", "url": format!("{url}{separator}reference={reference}")})
}

/// An answer that no caller should believe or keep.
fn garbage() -> Outcome {
    let text = "garbage\0".repeat(GARBAGE_BYTES / 8);
    Outcome { next_action: Some(json!({"type": text})), ..Outcome::new(State::Succeeded, text.as_str()) }
}

/// Does not answer: the host ends the call.
#[cfg(target_family = "wasm")]
#[expect(clippy::disallowed_methods, reason = "to keep the caller waiting is what it is for")]
fn never() -> PaymentError {
    loop {
        std::thread::sleep(std::time::Duration::from_hours(1));
    }
}

/// Nobody ends a native test, so it is told what a caller would know.
#[cfg(not(target_family = "wasm"))]
fn never() -> PaymentError {
    PaymentError::Unknown("the sandbox did not answer".to_owned())
}

fn check_amount(operation: &Operation) -> Result<(), PaymentError> {
    if operation.amount.amount > 0 {
        return Ok(());
    }
    let problem = Problem::new(422, "amount_out_of_range").detail("The amount of a payment is above zero.");
    Err(PaymentError::Invalid(problem))
}
