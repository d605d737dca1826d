//! What the payment sandbox tells the shop, signed as it signs.

use serde_json::{Value, json};

use crate::client::{Answer, Client, Draft};

/// The `webhookSecret` of the shipped plugins file.
const SECRET: &str = "only for the sandbox";
/// The header with the signature.
pub const SIGNATURE: &str = "sandbox-signature";

/// An event about the charge with this reference.
pub fn event(id: &str, kind: &str, reference: &str, state: &str) -> Value {
    json!({"id": id, "kind": kind, "reference": reference, "state": state})
}

/// The signature of a body.
pub fn sign(body: &str) -> String {
    let key = blake3::hash(SECRET.as_bytes());
    blake3::keyed_hash(key.as_bytes(), body.as_bytes()).to_hex().to_string()
}

/// A webhook with this body, and nothing that proves it.
pub fn unsigned(client: &Client, body: &str) -> Draft {
    let draft = client.request(hyper::Method::POST, "/payments/webhooks/payment-sandbox");
    draft.header("content-type", "application/json").text(body)
}

/// Delivers an event as the sandbox does.
pub async fn deliver(client: &Client, event: &Value) -> Answer {
    let body = event.to_string();
    client.send(unsigned(client, &body).header(SIGNATURE, &sign(&body))).await
}

/// What the sandbox calls the first payment of an order.
#[track_caller]
pub fn reference(order: &Value) -> &str {
    let reference = &order["payments"][0]["transactions"][0]["providerReference"];
    reference.as_str().unwrap_or_else(|| panic!("no reference in {order}"))
}
