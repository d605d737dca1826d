//! The host's own operations below the API base.
//!
//! They are described where they are answered. What follows from the kind of an operation (refusals, headers, the
//! parameters of lists) is added here, so that it is said once: operations name their own codes in `x-codes`, the
//! permission they need in `x-permissions`, a list's fields in `x-list`, and `x-versioned` that they know `ETag` and
//! `If-Match`.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use store_model::FieldKind;

use super::{
    parameters,
    problems::{self, ALWAYS, OF_BODIES, OF_TOKENS},
};
use crate::{http, plugin::descriptor::ListDeclaration};

const OF_LISTS: &[&str] = &["unknown_filter", "unknown_sort", "cursor_mismatch", "invalid_parameter"];

pub(super) fn add(
    paths: &mut BTreeMap<String, Map<String, Value>>,
    schemas: &mut BTreeMap<String, Value>,
    tags: &mut BTreeMap<String, String>,
) {
    let document = http::host_operations();
    for tag in document["tags"].as_array().into_iter().flatten() {
        let text = |name: &str| tag[name].as_str().unwrap_or_default().to_owned();
        tags.insert(text("name"), text("description"));
    }
    for (name, schema) in document["components"]["schemas"].as_object().into_iter().flatten() {
        schemas.insert(name.clone(), schema.clone());
    }
    for (path, item) in document["paths"].as_object().into_iter().flatten() {
        for (method, operation) in item.as_object().into_iter().flatten() {
            let completed = complete(path, method, operation.clone());
            paths.entry(path.clone()).or_default().insert(method.clone(), completed);
        }
    }
}

fn complete(path: &str, method: &str, mut operation: Value) -> Value {
    let take = |operation: &mut Value, name: &str| {
        operation.as_object_mut().and_then(|members| members.shift_remove(name)).unwrap_or_default()
    };
    let own = take(&mut operation, "x-codes");
    let list = take(&mut operation, "x-list");
    let versioned = take(&mut operation, "x-versioned") == true;
    if take(&mut operation, "x-body-optional") == true {
        operation["requestBody"]["required"] = json!(false);
    }
    if operation["description"].is_null() {
        operation["description"] = operation["summary"].clone();
    }
    let permissions: Vec<String> = operation["x-permissions"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|name| Some(format!("`{}`", name.as_str()?)))
        .collect();
    if !permissions.is_empty() {
        let about = operation["description"].as_str().unwrap_or_default();
        operation["description"] =
            json!(format!("{about}\n\nNeeds the permission {}.", permissions.join(" or ")));
    }
    let repeatable =
        own.as_array().is_some_and(|codes| codes.iter().any(|code| code == "idempotency_key_reused"));
    add_parameters(method, versioned, repeatable, &list, &mut operation);

    let mut codes: Vec<&str> = own.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    codes.extend(ALWAYS);
    if !operation["requestBody"].is_null() {
        codes.extend(OF_BODIES);
    }
    let ways = || operation["security"].as_array().into_iter().flatten();
    if ways().any(|way| *way != json!({})) {
        codes.extend(OF_TOKENS);
        codes.extend(ways().all(|way| *way != json!({})).then_some("unauthenticated"));
    }
    if !permissions.is_empty() {
        codes.push("forbidden");
    }
    if path.contains('{') {
        codes.extend(["not_found", "invalid_parameter"]);
    }
    if !list.is_null() {
        codes.extend(OF_LISTS);
    }
    if versioned && ["put", "patch", "delete"].contains(&method) {
        codes.push("precondition_required");
    }
    codes.sort_unstable();
    codes.dedup();
    add_headers(method, versioned, &list, &mut operation);
    if let Some(responses) = operation["responses"].as_object_mut() {
        if method == "get" && (versioned || !list.is_null()) {
            let unchanged = json!({ "description": "The client has this representation already." });
            responses.insert("304".to_owned(), unchanged);
        }
        responses.extend(problems::of_codes(codes));
        responses.sort_keys();
    }
    operation
}

fn add_parameters(method: &str, versioned: bool, repeatable: bool, list: &Value, operation: &mut Value) {
    let mut parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
    if !list.is_null() {
        let names = |value: &Value| -> Vec<String> {
            value.as_array().into_iter().flatten().filter_map(|it| Some(it.as_str()?.to_owned())).collect()
        };
        let filters = list["filters"].as_object().cloned().unwrap_or_default();
        let declaration = ListDeclaration {
            collection: String::new(),
            filters: filters.keys().cloned().collect(),
            sorts: names(&list["sorts"]),
            text: false,
            unpaged: false,
        };
        let kind = |path: &String| serde_json::from_value::<FieldKind>(filters.get(path)?.clone()).ok();
        parameters::list_parameters(&declaration, &kind, &mut parameters);
    }
    if method == "get" && (versioned || !list.is_null()) {
        parameters.push(parameters::header(
            "If-None-Match",
            "An `ETag`: 304 when the representation is still the same.",
        ));
    } else if versioned && method != "post" {
        parameters.push(parameters::if_match());
    }
    if repeatable {
        let mut key = parameters::header(
            "Idempotency-Key",
            "Repeats of the request with this key get its answer, for 24 hours.",
        );
        key["schema"] = json!({ "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$" });
        parameters.push(key);
    }
    if !parameters.is_empty() {
        operation["parameters"] = Value::Array(parameters);
    }
}

fn add_headers(method: &str, versioned: bool, list: &Value, operation: &mut Value) {
    let text = |description: &str| json!({ "description": description, "schema": { "type": "string" } });
    for (status, response) in operation["responses"].as_object_mut().into_iter().flatten() {
        let mut headers = Map::new();
        if versioned && method != "delete" || !list.is_null() {
            let about = "The version of what is shown, and a hash of the representation.";
            headers.insert("ETag".to_owned(), text(about));
        }
        if status == "201" {
            headers.insert("Location".to_owned(), text("Where the new resource is."));
        }
        if !list.is_null() {
            let total =
                json!({ "description": "How many there are in all.", "schema": { "type": "integer" } });
            headers.insert("X-Total-Count".to_owned(), total);
            headers.insert("Content-Range".to_owned(), text("The positions that are shown and the total."));
            headers.insert("X-Next-Cursor".to_owned(), text("The cursor of the next page, if there is one."));
            headers.insert("Link".to_owned(), text("The next page, as `rel=\"next\"`."));
        }
        if !headers.is_empty() {
            response["headers"] = Value::Object(headers);
        }
    }
}
