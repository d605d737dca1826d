//! What the sandbox tells: that customers have done what they were asked, or whatever else a test says.
//!
//! The body is a JSON object:
//!
//! ```json
//! {"id": "evt_1", "kind": "authorization", "reference": "sbc_…", "state": "succeeded",
//!  "amount": {"amount": 1290, "currency": "EUR"}}
//! ```
//!
//! `kind` is `authorization`, `capture`, `refund` or `void`, and `state` one of an outcome. `paymentId` can stand beside
//! `reference` or instead of it; `amount` may be left out. The header `sandbox-signature` holds, in hexadecimal, the
//! keyed BLAKE3 hash of the body, whose key is the BLAKE3 hash of the configured `webhookSecret`.
//!
//! An authorization that succeeded or failed completes the charge that waits for it. Everything else is passed on and
//! changes no charge, because a webhook reports what has happened by an operation.

use plugin_sdk::{
    Context, Filter, Money, StoreError, Stored,
    payment::{Kind, Notice, Outcome, State, Webhook, WebhookError},
};
use serde::Deserialize;

use crate::{
    CHARGES, Config, ledger,
    rules::{Charge, Status},
};

/// The header with the signature.
pub const SIGNATURE: &str = "sandbox-signature";

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Event {
    id: String,
    kind: String,
    #[serde(default)]
    payment_id: Option<String>,
    #[serde(default)]
    reference: Option<String>,
    state: String,
    #[serde(default)]
    amount: Option<Money>,
}

/// The signature of a body.
pub fn sign(secret: &str, body: &[u8]) -> String {
    hash(secret, body).to_hex().to_string()
}

pub(crate) fn parse(ctx: &Context<'_>, webhook: &Webhook) -> Result<Vec<Notice>, WebhookError> {
    authenticate(&ctx.config(), webhook)?;
    let malformed = |what: &str| WebhookError::Malformed(what.to_owned());
    let event: Event =
        serde_json::from_slice(&webhook.body).map_err(|error| WebhookError::Malformed(error.to_string()))?;
    if event.id.is_empty() {
        return Err(malformed("the id is empty"));
    }
    let kind = Kind::parse(&event.kind).ok_or_else(|| malformed("there is no such kind"))?;
    let state = State::parse(&event.state).ok_or_else(|| malformed("there is no such state"))?;
    let charge = charge(ctx, &event)?;
    let reference = match (&charge, event.reference) {
        (Some(charge), _) => charge.id.clone(),
        // As from a gateway that several shops share.
        (None, Some(reference)) => reference,
        (None, None) => return Err(malformed("it names no payment that the sandbox knows")),
    };
    if let (Kind::Authorization, State::Succeeded | State::Failed, Some(charge)) = (kind, state, charge) {
        complete(ctx, charge, state == State::Succeeded)?;
    }
    let outcome = Outcome::new(state, reference);
    Ok(vec![Notice { id: event.id, kind, payment_id: event.payment_id, outcome, amount: event.amount }])
}

fn authenticate(config: &Config, webhook: &Webhook) -> Result<(), WebhookError> {
    let refused = |why: &str| Err(WebhookError::Unauthenticated(why.to_owned()));
    let Some(secret) = config.webhook_secret.as_deref().filter(|secret| !secret.is_empty()) else {
        return refused("the sandbox has no `webhookSecret`");
    };
    let Some((_, given)) = webhook.headers.iter().find(|(name, _)| name == SIGNATURE) else {
        return refused("there is no signature");
    };
    // Hashes compare in constant time.
    match blake3::Hash::from_hex(given.as_bytes()) {
        Ok(given) if given == hash(secret, &webhook.body) => Ok(()),
        _ => refused("the signature is wrong"),
    }
}

fn hash(secret: &str, body: &[u8]) -> blake3::Hash {
    blake3::keyed_hash(blake3::hash(secret.as_bytes()).as_bytes(), body)
}

/// The charge that the event names.
fn charge(ctx: &Context<'_>, event: &Event) -> Result<Option<Stored<Charge>>, WebhookError> {
    if let Some(reference) = &event.reference {
        return ledger::stored_charge(ctx, reference).map_err(|_| unavailable());
    }
    match &event.payment_id {
        // No text that is looked up holds NUL.
        Some(payment) if !payment.contains('\0') => {
            ctx.find_one(CHARGES, Filter::eq("paymentId", payment.as_str())).map_err(|_| unavailable())
        }
        _ => Ok(None),
    }
}

/// Writes down what became of a charge that waits. A repeat finds that it does not wait any more.
fn complete(ctx: &Context<'_>, stored: Stored<Charge>, is_good: bool) -> Result<(), WebhookError> {
    let Stored { id, version, data: mut charge } = stored;
    if !charge.complete(is_good) {
        return Ok(());
    }
    let mut commit = ctx.commit();
    let changed = commit.replace(CHARGES, &id, &charge);
    commit.expect_version(changed, version);
    match commit.apply() {
        Ok(_) => Ok(()),
        // The same event at the same time, or the payment was given up: the sender's next try sees which.
        Err(StoreError::Refused { .. }) => match ledger::stored_charge(ctx, &id) {
            Ok(Some(now)) if matches!(now.data.status, Status::RequiresAction | Status::Pending) => {
                Err(unavailable())
            }
            Ok(_) => Ok(()),
            Err(_) => Err(unavailable()),
        },
        Err(_) => Err(unavailable()),
    }
}

fn unavailable() -> WebhookError {
    WebhookError::Unavailable("the sandbox cannot reach its ledger".to_owned())
}
