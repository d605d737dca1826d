//! One operation of a plugin.

use serde_json::{Map, Value, json};

use super::{parameters, problems};
use crate::plugin::{
    Generation,
    descriptor::{Body, Response, Route},
};

/// The tag of a path: its first segment.
pub(super) fn tag(path: &str) -> String {
    path.trim_start_matches('/').split('/').next().unwrap_or_default().to_owned()
}

pub(super) fn of(route: &Route, plugin: &str, version: &str, generation: &Generation) -> Value {
    let mut operation = Map::new();
    operation.insert("operationId".to_owned(), json!(route.operation_id));
    if !route.summary.is_empty() {
        operation.insert("summary".to_owned(), json!(route.summary));
    }
    operation.insert("description".to_owned(), json!(description(route)));
    operation.insert("tags".to_owned(), json!([tag(&route.path)]));
    let parameters = parameters::of(route, generation);
    if !parameters.is_empty() {
        operation.insert("parameters".to_owned(), Value::Array(parameters));
    }
    if let Some(body) = &route.request {
        let content = content(body);
        operation.insert("requestBody".to_owned(), json!({ "required": true, "content": content }));
    }
    let mut responses: Map<String, Value> =
        route.responses.iter().map(|it| (it.status.to_string(), response(route, it))).collect();
    if route.method == "GET" {
        responses.insert(
            "304".to_owned(),
            json!({ "description": "The client has this representation already." }),
        );
    }
    if route.method == "DELETE" && responses.contains_key("204") {
        let gone = json!({
            "description": "As 204, for requests with the content type `text/plain`: the id of what is gone.",
            "content": { "application/json": {
                "schema": { "type": "object", "required": ["id"], "properties": { "id": { "type": "string" } } },
                "example": { "id": "prod_01KAQ3V8Q1W2E3R4T5Y6V7A8S9" }
            }}
        });
        responses.insert("200".to_owned(), gone);
    }
    responses.extend(problems::responses(route));
    responses.sort_keys();
    operation.insert("responses".to_owned(), Value::Object(responses));
    operation.insert("security".to_owned(), security(route));
    operation.insert("x-plugin".to_owned(), json!({ "id": plugin, "version": version }));
    if !route.access.permissions.is_empty() {
        operation.insert("x-permissions".to_owned(), json!(route.access.permissions));
    }
    Value::Object(operation)
}

fn description(route: &Route) -> String {
    let mut parts = Vec::new();
    if !route.description.is_empty() {
        parts.push(route.description.clone());
    }
    if !route.access.permissions.is_empty() {
        let names: Vec<String> = route.access.permissions.iter().map(|name| format!("`{name}`")).collect();
        let may = if route.access.public { "More is shown with" } else { "Needs" };
        parts.push(format!("{may} the permission {}.", names.join(" or ")));
    }
    if parts.is_empty() { route.summary.clone() } else { parts.join("\n\n") }
}

fn security(route: &Route) -> Value {
    if route.access.public { json!([{}, { "bearerAuth": [] }]) } else { json!([{ "bearerAuth": [] }]) }
}

fn content(body: &Body) -> Value {
    let mut media = Map::new();
    media.insert("schema".to_owned(), body.schema.clone());
    if let Some(example) = &body.example {
        media.insert("example".to_owned(), example.clone());
    }
    // A merge patch may be sent as plain JSON too, as most clients do.
    let mut content = Map::new();
    if body.media_type == "application/merge-patch+json" {
        content.insert("application/json".to_owned(), Value::Object(media.clone()));
    }
    content.insert(body.media_type.clone(), Value::Object(media));
    Value::Object(content)
}

fn response(route: &Route, declared: &Response) -> Value {
    let mut response = Map::new();
    response.insert("description".to_owned(), json!(declared.description));
    let headers = headers(route, declared);
    if !headers.is_empty() {
        response.insert("headers".to_owned(), Value::Object(headers));
    }
    if let Some(body) = &declared.body {
        response.insert("content".to_owned(), content(body));
    }
    Value::Object(response)
}

fn headers(route: &Route, declared: &Response) -> Map<String, Value> {
    let text = |description: &str| json!({ "description": description, "schema": { "type": "string" } });
    let mut headers = Map::new();
    if declared.body.is_some() {
        headers.insert(
            "ETag".to_owned(),
            text("The version of what is shown, and a hash of the representation."),
        );
    }
    if declared.status == 201 {
        headers.insert("Location".to_owned(), text("Where the new resource is."));
    }
    if route.list.as_ref().is_some_and(|list| !list.unpaged) {
        let total = json!({ "description": "How many there are in all.", "schema": { "type": "integer" } });
        headers.insert("X-Total-Count".to_owned(), total);
        headers.insert("Content-Range".to_owned(), text("The positions that are shown and the total."));
        headers.insert("X-Next-Cursor".to_owned(), text("The cursor of the next page, if there is one."));
        headers.insert("Link".to_owned(), text("The next page, as `rel=\"next\"`."));
    }
    headers
}
