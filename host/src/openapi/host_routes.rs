//! The host's own operations below the API base.

mod media;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::problems;

pub(super) fn add(
    paths: &mut BTreeMap<String, Map<String, Value>>,
    schemas: &mut BTreeMap<String, Value>,
    tags: &mut BTreeMap<String, String>,
) {
    tags.insert("auth".to_owned(), "Logging in".to_owned());
    schemas.insert("Credentials".to_owned(), credentials());
    schemas.insert("Login".to_owned(), login());
    schemas.insert("Account".to_owned(), account());
    paths.entry("/auth/admin/login".to_owned()).or_default().insert("post".to_owned(), login_admin());
    media::add(paths, schemas, tags);
}

fn login_admin() -> Value {
    let mut responses = problems::of_codes([
        "malformed_json",
        "invalid_credentials",
        "account_disabled",
        "request_timeout",
        "payload_too_large",
        "uri_too_long",
        "unsupported_media_type",
        "validation_failed",
        "unknown_field",
        "rate_limited",
        "internal",
        "unavailable",
    ]);
    let example = json!({
        "accessToken": "eyJhbGciOiJIUzI1NiIs…", "tokenType": "Bearer", "expiresIn": 900,
        "user": { "id": "usr_01KDVDNA00AYC2V77BZXVV1FJY", "kind": "admin", "email": "ada@example.com",
                  "name": "Ada", "roles": ["superadmin"], "status": "active" }
    });
    let content = json!({ "application/json": { "schema": reference("Login"), "example": example } });
    responses
        .insert("200".to_owned(), json!({ "description": "The token and whose it is.", "content": content }));
    responses.sort_keys();
    json!({
        "operationId": "loginAdmin",
        "summary": "Log a member of the staff in",
        "description": "Answers alike, and in the same time, for a wrong password and for an address that nobody has.",
        "tags": ["auth"],
        "security": [{}],
        "requestBody": {
            "required": true,
            "content": { "application/json": {
                "schema": reference("Credentials"),
                "example": { "email": "ada@example.com", "password": "correct horse battery" }
            }}
        },
        "responses": responses
    })
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

fn credentials() -> Value {
    json!({
        "type": "object",
        "required": ["email", "password"],
        "additionalProperties": false,
        "properties": {
            "email": { "type": "string" },
            "password": { "type": "string", "format": "password", "writeOnly": true }
        }
    })
}

fn login() -> Value {
    json!({
        "type": "object",
        "required": ["accessToken", "tokenType", "expiresIn", "user"],
        "properties": {
            "accessToken": { "type": "string", "description": "A JWT, sent as `Authorization: Bearer …`." },
            "tokenType": { "type": "string", "enum": ["Bearer"] },
            "expiresIn": { "type": "integer", "description": "Seconds until the token ends." },
            "user": reference("Account")
        }
    })
}

fn account() -> Value {
    json!({
        "type": "object",
        "required": ["id", "kind", "email", "name", "roles", "status"],
        "properties": {
            "id": { "type": "string" },
            "kind": { "type": "string", "enum": ["customer", "admin"] },
            "email": { "type": "string" },
            "name": { "type": "string" },
            "roles": { "type": "array", "items": { "type": "string" } },
            "status": { "type": "string", "enum": ["active", "disabled"] }
        }
    })
}
