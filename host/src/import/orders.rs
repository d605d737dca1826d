//! Orders of another shop: found by their number, and written one by one, since there is no bulk request for them.
//!
//! A line may name its customer by the address of an account here, in place of an id that the other shop cannot know.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::{
    Draft, ImportError, Mistake, Place,
    answers::{Refusal, escaped},
    send::{Sending, one_by_one},
    users,
};
use crate::seed::SystemApi;

/// Orders that are written side by side.
const PARALLEL: usize = 4;
/// The member that has the address of a customer's account.
const CUSTOMER: &str = "customerEmail";
/// Longest number that the API takes.
const NUMBER_BYTES: usize = 64;

/// The number that a line is about.
pub(super) fn number(body: &mut Map<String, Value>, place: Place) -> Result<String, Box<Mistake>> {
    let wrong = |pointer: &str, message: &str| {
        Err(Box::new(Mistake::new(place, None, "validation_failed", message).at(pointer, None)))
    };
    let number = match body.get("number") {
        Some(Value::String(number)) if !number.is_empty() => number.clone(),
        _ => return wrong("/number", "An order has a number, which is a text."),
    };
    match body.get(CUSTOMER) {
        None => {}
        Some(Value::Null) => {
            body.shift_remove(CUSTOMER);
        }
        Some(Value::String(_)) if body.get("customerId").is_some_and(|id| !id.is_null()) => {
            return wrong("/customerEmail", "The line names its customer by `customerId` already.");
        }
        // As the shop keeps it.
        Some(Value::String(email)) if !email.trim().is_empty() => {
            let email = email.trim().to_lowercase();
            body.insert(CUSTOMER.to_owned(), Value::String(email));
        }
        Some(_) => return wrong("/customerEmail", "A customer is named by an e-mail address."),
    }
    Ok(number)
}

/// Which of these are there, by number.
pub(super) async fn look_up(
    api: &impl SystemApi,
    numbers: &[&str],
) -> Result<Result<HashMap<String, Value>, Refusal>, ImportError> {
    // What the API refuses is in no shop, and could not be asked for in a list.
    let numbers: Vec<String> =
        numbers.iter().filter(|it| is_number(it)).map(|number| escaped(number)).collect();
    if numbers.is_empty() {
        return Ok(Ok(HashMap::new()));
    }
    let query =
        format!("/orders?limit=100&count=none&fields=id,number&filter[number][in]={}", numbers.join(","));
    match api.request("GET", &query, None).await? {
        (200, Value::Array(items)) => {
            let by_number = |item: Value| Some((item["number"].as_str()?.to_owned(), item));
            Ok(Ok(items.into_iter().filter_map(by_number).collect()))
        }
        (404, problem) => Err(Refusal::of(404, &problem).ends("GET /orders")),
        (status, problem) => Ok(Err(Refusal::of(status, &problem))),
    }
}

fn is_number(text: &str) -> bool {
    text.len() <= NUMBER_BYTES && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',')
}

/// The accounts that these name by address.
pub(super) async fn customers(
    api: &impl SystemApi,
    drafts: &[Draft],
) -> Result<Result<HashMap<String, Value>, Refusal>, ImportError> {
    let mut emails: Vec<&str> = drafts.iter().filter_map(customer).collect();
    emails.sort_unstable();
    emails.dedup();
    if emails.is_empty() { Ok(Ok(HashMap::new())) } else { users::look_up(api, &emails).await }
}

fn customer(draft: &Draft) -> Option<&str> {
    draft.body.get(CUSTOMER).and_then(Value::as_str)
}

/// What is asked of the API.
pub(super) fn operation(draft: &Draft, customers: &HashMap<String, Value>) -> Result<Value, Box<Mistake>> {
    let mut data = draft.body.clone();
    if let Some(email) = customer(draft) {
        let wrong =
            |message: &str| Err(Box::new(draft.mistake("/customerEmail", "validation_failed", message)));
        let Some(account) = customers.get(email) else {
            return wrong("Nobody has an account with this address. A guest's order has it as `email`.");
        };
        if account["kind"] != "customer" {
            return wrong("The account with this address is not a customer's.");
        }
        // Whoever registered here with the address of another may not see what that person bought.
        if account["emailVerified"] != true {
            let message = "Somebody registered here with this address and did not prove that it is theirs.";
            return wrong(message);
        }
        data.shift_remove(CUSTOMER);
        data.insert("customerId".to_owned(), account["id"].clone());
    }
    Ok(json!({"op": "create", "data": data}))
}

/// Asks for each, and answers as a bulk request would.
pub(super) async fn write(api: &impl SystemApi, sending: &[Sending]) -> Result<Value, ImportError> {
    one_by_one(api, sending, PARALLEL, |_| ("POST", "/orders/import".to_owned())).await
}
