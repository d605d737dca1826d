//! People: found by their address, and written one by one, since there is no bulk request for them.
//!
//! A person without a password, or a hash of one, gets one that nobody knows, and sets another by mail.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::{
    ImportError, Mistake, Place,
    answers::{Refusal, escaped},
    send::{Sending, one_by_one},
};
use crate::seed::SystemApi;

/// People that are written side by side: a password without a hash costs a core's time.
const PARALLEL: usize = 4;
/// Members that a change of somebody who exists leaves alone: a file takes nobody's rights away and gives none.
const ONLY_NEW: [&str; 6] = ["password", "passwordHash", "addresses", "kind", "roles", "status"];

/// The address that a line is about, as the shop keeps it.
pub(super) fn address(body: &mut Map<String, Value>, place: Place) -> Result<String, Box<Mistake>> {
    let email = body.get("email").and_then(Value::as_str).map(|email| email.trim().to_lowercase());
    let Some(email) = email.filter(|email| !email.is_empty()) else {
        let message = "There is no e-mail address.";
        return Err(Box::new(Mistake::new(place, None, "validation_failed", message).at("/email", None)));
    };
    // Of the shop that the line came from.
    for kept in ["id", "version", "createdAt", "updatedAt", "lastLoginAt"] {
        body.shift_remove(kept);
    }
    if let Some(addresses) = body.get_mut("addresses").and_then(Value::as_array_mut) {
        addresses.iter_mut().filter_map(Value::as_object_mut).for_each(|address| {
            address.shift_remove("id");
        });
    }
    body.insert("email".to_owned(), Value::String(email.clone()));
    Ok(email)
}

/// Who of these is there, by address.
pub(super) async fn look_up(
    api: &impl SystemApi,
    emails: &[&str],
) -> Result<Result<HashMap<String, Value>, Refusal>, ImportError> {
    let emails: Vec<String> = emails.iter().map(|email| escaped(email)).collect();
    let query = format!(
        "/users?limit=100&count=none&fields=id,email,kind,emailVerified&filter[email][in]={}",
        emails.join(",")
    );
    match api.request("GET", &query, None).await? {
        (200, Value::Array(items)) => {
            let by_email = |item: Value| Some((item["email"].as_str()?.to_owned(), item));
            Ok(Ok(items.into_iter().filter_map(by_email).collect()))
        }
        (404, problem) => Err(Refusal::of(404, &problem).ends("GET /users")),
        (status, problem) => Ok(Err(Refusal::of(status, &problem))),
    }
}

/// What is asked of the API.
pub(super) fn operation(draft: &super::Draft, existing: Option<&Value>) -> Result<Value, Box<Mistake>> {
    let mut data = draft.body.clone();
    match existing {
        Some(current) => {
            let kind = data.get("kind").and_then(Value::as_str).unwrap_or("customer");
            if current["kind"] != kind {
                let message = "The account with this address is of another kind.";
                return Err(Box::new(draft.mistake("/kind", "validation_failed", message)));
            }
            // Whoever registered here with the address of another may not get what belongs to that person.
            if current["emailVerified"] == false && data.get("emailVerified") == Some(&Value::Bool(true)) {
                let message =
                    "Somebody registered here with this address and did not prove that it is theirs.";
                return Err(Box::new(draft.mistake("/email", "already_exists", message)));
            }
            data.retain(|name, _| !ONLY_NEW.contains(&name.as_str()));
            Ok(json!({"op": "update", "id": current["id"], "data": data}))
        }
        None => {
            if !data.contains_key("password") && !data.contains_key("passwordHash") {
                let mut random = [0_u8; 24];
                getrandom::fill(&mut random)
                    .map_err(|error| Box::new(draft.mistake("", "internal", &error.to_string())))?;
                data.insert("password".to_owned(), json!(blake3::hash(&random).to_hex().as_str()));
            }
            Ok(json!({"op": "create", "data": data}))
        }
    }
}

/// Asks for each, and answers as a bulk request would.
pub(super) async fn write(api: &impl SystemApi, sending: &[Sending]) -> Result<Value, ImportError> {
    let request = |operation: &Value| match operation["id"].as_str() {
        Some(id) => ("PATCH", format!("/users/{id}")),
        None => ("POST", "/users".to_owned()),
    };
    one_by_one(api, sending, PARALLEL, request).await
}
