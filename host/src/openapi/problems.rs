//! Refusals: which codes an operation can answer, by status.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::{
    codes,
    plugin::descriptor::{Location, Route},
};

/// What every operation may answer.
pub(super) const ALWAYS: &[&str] =
    &["unknown_parameter", "not_acceptable", "uri_too_long", "rate_limited", "internal", "unavailable"];
/// What the host may answer besides for any route, instead of its plugin.
const OF_PLUGINS: &[&str] = &[
    "invalid_parameter",
    "plugin_failed",
    "plugin_output_invalid",
    "overloaded",
    "plugin_unavailable",
    "plugin_timeout",
];
/// What may be wrong with a token, also where none is needed.
pub(super) const OF_TOKENS: &[&str] = &["token_expired", "token_invalid", "token_revoked"];
pub(super) const OF_BODIES: &[&str] = &[
    "malformed_json",
    "unsupported_media_type",
    "payload_too_large",
    "request_timeout",
    "validation_failed",
    "unknown_field",
];

/// The codes of an operation: those of its handler, and those of the host's checks.
fn codes_of(route: &Route) -> BTreeSet<&str> {
    let mut codes = route.problem_codes();
    codes.extend(ALWAYS.iter().chain(OF_PLUGINS).chain(OF_TOKENS));
    if !route.access.public {
        codes.extend(["unauthenticated", "forbidden"]);
    }
    if route.params.iter().any(|param| param.location == Location::Path) {
        codes.insert("not_found");
    }
    if let Some(list) = &route.list {
        codes.insert("unknown_filter");
        if !list.unpaged {
            codes.extend(["unknown_sort", "cursor_mismatch"]);
        }
    }
    if route.request.is_some() {
        codes.extend(OF_BODIES);
    }
    if route.method != "GET" {
        codes.extend(["payload_too_large", "request_timeout", "conflict"]);
        codes.extend((route.method != "POST").then_some("precondition_required"));
        if route.method != "PUT" {
            codes.extend(["idempotency_in_progress", "idempotency_key_reused"]);
            codes.extend(route.idempotency_key_required.then_some("idempotency_key_required"));
        }
    }
    codes
}

/// The responses of an operation that are problems.
pub(super) fn responses(route: &Route) -> Map<String, Value> {
    of_codes(codes_of(route))
}

/// Responses for codes, each status with its own.
pub(super) fn of_codes<'c>(names: impl IntoIterator<Item = &'c str>) -> Map<String, Value> {
    let mut by_status: BTreeMap<u16, Vec<codes::Code>> = BTreeMap::new();
    for code in names.into_iter().filter_map(codes::code) {
        by_status.entry(code.status).or_default().push(code);
    }
    by_status.into_iter().map(|(status, codes)| (status.to_string(), response(status, &codes))).collect()
}

/// Takes the problems out of the operations and leaves references, because many operations answer the same.
pub(super) fn shared(paths: &mut BTreeMap<String, Map<String, Value>>) -> Map<String, Value> {
    let mut shared: Map<String, Value> = Map::new();
    let responses =
        paths.values_mut().flat_map(Map::values_mut).filter_map(|it| it["responses"].as_object_mut());
    for (status, response) in responses.flatten() {
        if response.pointer("/content/application~1problem+json").is_none() {
            continue;
        }
        let known = shared.iter().find(|(_, known)| *known == response).map(|(name, _)| name.clone());
        let name = known.unwrap_or_else(|| {
            let first = format!("Problem{status}");
            let alike = shared.keys().filter(|name| name.starts_with(&first)).count();
            let name = if alike == 0 { first } else { format!("{first}Variant{}", alike + 1) };
            shared.insert(name.clone(), response.clone());
            name
        });
        *response = json!({ "$ref": format!("#/components/responses/{name}") });
    }
    shared.sort_keys();
    shared
}

fn response(status: u16, codes: &[codes::Code]) -> Value {
    let titles: Vec<String> = codes.iter().map(|code| format!("{} (`{}`)", code.title, code.name)).collect();
    let names: Vec<&str> = codes.iter().map(|code| code.name).collect();
    let mut response = json!({
        "description": format!("{}.", titles.join("; ")),
        "content": {
            "application/problem+json": {
                "schema": {
                    "allOf": [
                        { "$ref": "#/components/schemas/Problem" },
                        { "type": "object", "properties": { "code": { "type": "string", "enum": names } } }
                    ]
                },
                "example": example(codes)
            }
        }
    });
    let header = |description: &str| json!({ "description": description, "schema": { "type": "string" } });
    match status {
        401 => response["headers"] = json!({ "WWW-Authenticate": header("What is wrong with the token.") }),
        503 => response["headers"] = json!({ "Retry-After": header("Seconds until a repeat has a chance.") }),
        _ => {}
    }
    response
}

fn example(codes: &[codes::Code]) -> Value {
    let code = codes.first().copied();
    let (name, title, status) =
        code.map_or(("internal", "Internal error", 500), |it| (it.name, it.title, it.status));
    json!({
        "type": format!("urn:wares:problem:{name}"),
        "title": title,
        "status": status,
        "instance": "/api/v1/…",
        "code": name,
        "requestId": "req_01KDVDNA00AYC2V77BZXVV1FK7",
        "retryable": matches!(status, 429 | 503 | 504),
    })
}

/// An RFC 9457 problem document.
pub(super) fn schema() -> Value {
    let text = |description: &str| json!({ "type": "string", "description": description });
    let money = |description: &str| {
        json!({
            "type": "object",
            "description": description,
            "required": ["amount", "currency"],
            "properties": {
                "amount": { "type": "integer", "description": "Minor units." },
                "currency": text("ISO 4217 code."),
            }
        })
    };
    let all: Vec<&str> = codes::CODES.iter().map(|code| code.name).collect();
    let mut code = text("What went wrong, for programs. New codes may be added.");
    code["enum"] = json!(all);
    json!({
        "type": "object",
        "description": "Why a request was refused (RFC 9457). Which of the optional members are there depends on the code.",
        "required": ["type", "title", "status", "instance", "code", "requestId", "retryable"],
        "properties": {
            "type": text("`urn:wares:problem:` and the code."),
            "title": text("What went wrong, for people; the same for every problem with this code."),
            "status": { "type": "integer", "minimum": 400, "maximum": 599, "description": "The HTTP status." },
            "detail": text("What went wrong this time."),
            "instance": text("The path that was asked for."),
            "code": code,
            "requestId": text("The id of the request, as in `X-Request-Id` and in the log."),
            "retryable": { "type": "boolean", "description": "Whether the same request may succeed later." },
            "orderId": text("The order that was made, or is being made, of `cart_locked`, `cart_not_active` and of what a payment came to."),
            "transactionId": text("The movement of money whose outcome is not known, of `payment_unknown` and `conflict`."),
            "reason": text("Why the provider said no, of `payment_declined`."),
            "items": {
                "type": "array",
                "description": "What there is not enough of, of `insufficient_stock`.",
                "items": {
                    "type": "object",
                    "required": ["sku", "requested", "available"],
                    "properties": {
                        "sku": text("The SKU."),
                        "requested": { "type": "integer", "description": "How many were asked for, over all lines." },
                        "available": { "type": "integer", "description": "How many there are." },
                    }
                }
            },
            "diff": {
                "type": "object",
                "description": "The totals that differ, by name, of `price_changed`.",
                "additionalProperties": {
                    "type": "object",
                    "required": ["quoted", "current"],
                    "properties": { "quoted": money("As quoted."), "current": money("As it is now.") }
                }
            },
            "remaining": money("What can be moved yet, of `capture_exceeds_authorization` and `refund_exceeds_capture`."),
            "from": text("The status now, of `invalid_transition`."),
            "to": text("The status that was asked for, of `invalid_transition`."),
            "allowed": {
                "type": "array",
                "description": "What the caller can make of it now, of `invalid_transition`.",
                "items": { "type": "string" }
            },
            "expected": { "type": "integer", "description": "The version in `If-Match`, of `version_conflict`." },
            "current": { "type": "integer", "description": "The version now, of `version_conflict`." },
            "errors": {
                "type": "array",
                "description": "What is wrong with the request, each with its place.",
                "items": {
                    "type": "object",
                    "required": ["pointer", "code", "message"],
                    "properties": {
                        "pointer": text("A JSON pointer into the body, or the name of a parameter."),
                        "code": text("What is wrong there."),
                        "message": text("The same for people."),
                    }
                }
            }
        }
    })
}
