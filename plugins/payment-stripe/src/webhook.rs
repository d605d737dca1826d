//! What Stripe tells.

use plugin_sdk::{
    Context, Value,
    payment::{Kind, Notice, Outcome, State, Webhook, WebhookError},
    secrets::SecretError,
};
use serde::{Deserialize, de::DeserializeOwned};

use crate::{
    WEBHOOK_SECRET,
    amount::from_stripe,
    api::is_id,
    rules::{Intent, Refund, refund_state},
};

/// How far a signature's time may be from the host's, both ways.
const TOLERANCE_S: u64 = 5 * 60;

/// Most signatures that are looked at: while a secret is replaced there are two.
const SIGNATURES_MAX: usize = 4;

#[derive(Deserialize)]
struct Event {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    data: EventData,
}

#[derive(Deserialize)]
struct EventData {
    object: Value,
}

pub(crate) fn parse(ctx: &Context<'_>, webhook: &Webhook) -> Result<Vec<Notice>, WebhookError> {
    authenticate(ctx, webhook)?;
    let event: Event =
        serde_json::from_slice(&webhook.body).map_err(|error| WebhookError::Malformed(error.to_string()))?;
    if !is_id(&event.id, "evt_") {
        return Err(WebhookError::Malformed("the event has no id".to_owned()));
    }
    Ok(notice(event)?.into_iter().collect())
}

/// Checks `Stripe-Signature: t=SECONDS,v1=HEX`, which signs the time and the body.
fn authenticate(ctx: &Context<'_>, webhook: &Webhook) -> Result<(), WebhookError> {
    let refused = |why: &str| Err(WebhookError::Unauthenticated(why.to_owned()));
    let Some((_, header)) = webhook.headers.iter().find(|(name, _)| name == "stripe-signature") else {
        return refused("there is no signature");
    };
    let parts = || header.split(',').filter_map(|part| part.trim().split_once('='));
    let Some(time) = parts().find(|(name, _)| *name == "t").map(|(_, time)| time) else {
        return refused("the signature has no time");
    };
    let Ok(seconds) = time.parse::<i64>() else { return refused("the signature's time is no number") };
    if (ctx.now_ms() / 1000).abs_diff(seconds) > TOLERANCE_S {
        return refused("the signature is too old, or the clocks differ");
    }
    let signed = [time.as_bytes(), b".", &webhook.body].concat();
    let signatures = parts().filter(|(name, _)| *name == "v1").filter_map(|(_, hex)| bytes(hex));
    for signature in signatures.take(SIGNATURES_MAX) {
        match ctx.verify_hmac(WEBHOOK_SECRET, &signed, &signature) {
            Ok(true) => return Ok(()),
            Ok(false) => {}
            Err(SecretError::Denied(_) | SecretError::Unavailable(_)) => {
                return refused("signatures cannot be checked without the secret");
            }
        }
    }
    refused("the signature is wrong")
}

/// The 32 bytes of a signature.
fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        hex.chars().map(|digit| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    let digits = digits.filter(|digits| digits.len() == 64)?;
    Some(digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

/// What an event says of a payment; nothing where it is about something else.
fn notice(event: Event) -> Result<Option<Notice>, WebhookError> {
    let object = event.data.object;
    let notice = match event.kind.as_str() {
        "payment_intent.amount_capturable_updated" => {
            let intent: Intent = read(object)?;
            let amount = from_stripe(intent.amount_capturable, &intent.currency);
            about(&intent, Kind::Authorization, State::Succeeded, amount)
        }
        "payment_intent.succeeded" => {
            let intent: Intent = read(object)?;
            let amount = from_stripe(intent.amount_received, &intent.currency);
            if intent.capture_method.as_deref() == Some("manual") {
                about(&intent, Kind::Capture, State::Succeeded, amount)
            } else {
                let mut notice = about(&intent, Kind::Authorization, State::Succeeded, amount);
                notice.outcome.captured = true;
                notice
            }
        }
        "payment_intent.payment_failed" => {
            let intent: Intent = read(object)?;
            let amount = from_stripe(intent.amount, &intent.currency);
            let mut notice = about(&intent, Kind::Authorization, State::Failed, amount);
            let error = intent.last_payment_error.unwrap_or_default();
            notice.outcome.code = error.decline_code.or(error.code);
            notice
        }
        "payment_intent.canceled" => {
            let intent: Intent = read(object)?;
            let amount = from_stripe(intent.amount, &intent.currency);
            about(&intent, Kind::Void, State::Succeeded, amount)
        }
        // Several events tell the same of one refund, so it is known by the refund and not by the event.
        "refund.created" | "refund.updated" | "refund.failed" | "charge.refund.updated" => {
            let refund: Refund = read(object)?;
            let (Some((state, code)), Some(reference)) = (refund_state(&refund), refund.payment_intent)
            else {
                return Ok(None);
            };
            Notice {
                id: format!("{} {}", refund.id, state.as_str()),
                kind: Kind::Refund,
                payment_id: payment_id(&refund.metadata),
                outcome: Outcome { code, ..Outcome::new(state, reference) },
                amount: from_stripe(refund.amount, &refund.currency),
            }
        }
        _ => return Ok(None),
    };
    if !is_id(&notice.outcome.reference, "pi_") {
        return Err(WebhookError::Malformed("the event names no payment".to_owned()));
    }
    let id = if notice.id.is_empty() { event.id } else { notice.id };
    Ok(Some(Notice { id, ..notice }))
}

fn about(intent: &Intent, kind: Kind, state: State, amount: Option<plugin_sdk::Money>) -> Notice {
    Notice {
        id: String::new(),
        kind,
        payment_id: payment_id(&intent.metadata),
        outcome: Outcome::new(state, intent.id.as_str()),
        amount,
    }
}

/// The payment in an object's metadata; none in what somebody else made on the shop's account.
fn payment_id(metadata: &Value) -> Option<String> {
    metadata["payment_id"].as_str().map(str::to_owned)
}

fn read<T: DeserializeOwned>(object: Value) -> Result<T, WebhookError> {
    serde_json::from_value(object).map_err(|error| WebhookError::Malformed(error.to_string()))
}
