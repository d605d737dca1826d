//! Payment that comes by another way: by bank transfer, or in cash when the parcel is handed over.
//!
//! An authorization is good at once and has moved nothing. When the money has come, staff say so with a capture, and
//! with a refund that they have sent it back. The plugin keeps nothing, so the same operation has the same outcome
//! however often it comes.

#[cfg(test)]
mod tests;

use plugin_sdk::{
    Context, Problem, Value, export_payment_provider, json, natural_id,
    payment::{Kind, Operation, Outcome, PaymentError, PaymentProvider, State},
};
use schemars::JsonSchema;
use serde::Deserialize;

/// The plugin.
pub struct PaymentManual;

/// What customers are told.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// A heading for the instructions, such as `Bank transfer`.
    #[serde(default)]
    #[schemars(length(min = 1, max = 200))]
    pub title: Option<String>,
    /// How to pay, such as the shop's account. `{reference}` stands for what the customer has to write on the transfer.
    #[serde(default)]
    #[schemars(length(min = 1, max = 5000))]
    pub instructions: Option<String>,
}

impl PaymentProvider for PaymentManual {
    const ID: &'static str = "payment-manual";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const TITLE: &'static str = "Bank transfer or cash on delivery";

    fn config_schema() -> Option<Value> {
        Some(schemars::schema_for!(Config).to_value())
    }

    fn authorize(ctx: &Context<'_>, operation: &Operation) -> Result<Outcome, PaymentError> {
        check_amount(operation)?;
        Ok(offline(&ctx.config(), operation))
    }

    fn capture(_: &Context<'_>, operation: &Operation) -> Result<Outcome, PaymentError> {
        check_amount(operation)?;
        Ok(succeeded(operation))
    }

    fn refund(_: &Context<'_>, operation: &Operation) -> Result<Outcome, PaymentError> {
        check_amount(operation)?;
        Ok(succeeded(operation))
    }

    fn void(_: &Context<'_>, operation: &Operation) -> Result<Outcome, PaymentError> {
        Ok(succeeded(operation))
    }

    /// What staff have said holds whether or not the answer arrived.
    fn status(ctx: &Context<'_>, kind: Kind, operation: &Operation) -> Result<Outcome, PaymentError> {
        Ok(match kind {
            Kind::Authorization => offline(&ctx.config(), operation),
            Kind::Capture | Kind::Refund | Kind::Void => succeeded(operation),
        })
    }
}

export_payment_provider!(PaymentManual);

fn offline(config: &Config, operation: &Operation) -> Outcome {
    let reference = reference(operation);
    let next_action = config.instructions.as_ref().map(|instructions| {
        let text = instructions.replace("{reference}", &reference);
        let mut action = json!({"type": "instructions", "text": text, "reference": reference});
        if let Some(title) = &config.title {
            action["title"] = json!(title);
        }
        action
    });
    Outcome { next_action, ..Outcome::new(State::Offline, reference) }
}

fn succeeded(operation: &Operation) -> Outcome {
    Outcome::new(State::Succeeded, reference(operation))
}

/// What the customer writes on the transfer: the payment's, and short enough to be typed. 60 bits keep the payments of
/// any shop apart.
fn reference(operation: &Operation) -> String {
    operation.reference.clone().unwrap_or_else(|| {
        let id = natural_id("mp", &operation.payment_id);
        format!("MP-{}-{}-{}", &id[3..7], &id[7..11], &id[11..15])
    })
}

fn check_amount(operation: &Operation) -> Result<(), PaymentError> {
    if operation.amount.amount > 0 {
        return Ok(());
    }
    let problem = Problem::new(422, "amount_out_of_range").detail("The amount of a payment is above zero.");
    Err(PaymentError::Invalid(problem))
}
