//! `/api-keys`: keys of service accounts.

use axum::{extract::State, response::Response};
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::{roles::known_permissions, schemas::ApiKeyView};
use crate::{
    app::App,
    http::{
        error::ApiError,
        host::{Begun, Call, ListOf, created, list as answer_list},
    },
    identity::{self, NewApiKey},
    store::AnswerPlan,
};

const NAME_CHARACTERS: usize = 100;
const PERMISSIONS: usize = 200;

const LIST: ListOf = ListOf {
    collection: identity::collections::API_KEYS,
    filters: &["name", "createdBy"],
    sorts: &["name", "createdAt"],
    shown: &["id", "version", "createdAt", "name", "permissions", "expiresAt", "createdBy"],
};

/// A key to be made.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ApiKeyInput {
    /// What it is for.
    #[schema(min_length = 1, max_length = 100)]
    name: String,
    /// Each held by the caller: nobody gives what they do not hold.
    #[schema(min_items = 1, max_items = 200)]
    permissions: Vec<String>,
    /// When it ends by itself; never without.
    #[serde(default)]
    #[schema(format = DateTime)]
    expires_at: Option<String>,
}

/// A new key, with the key itself.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NewKey {
    #[serde(flatten)]
    about: ApiKeyView,
    /// Sent as `Authorization: Bearer key_…`. It is told this once.
    key: String,
}

impl ApiKeyInput {
    fn checked(self) -> Result<NewApiKey, ApiError> {
        let invalid = |pointer: &str, message: String| {
            let error = ApiError::new("validation_failed", "The request does not fit the schema.");
            error.field(pointer, "validation_failed", message)
        };
        let name = self.name.trim().to_owned();
        if name.is_empty() || name.chars().count() > NAME_CHARACTERS || name.contains('\0') {
            return Err(invalid("/name", format!("A name has 1 to {NAME_CHARACTERS} characters.")));
        }
        if !(1..=PERMISSIONS).contains(&self.permissions.len()) {
            return Err(invalid("/permissions", format!("A key has 1 to {PERMISSIONS} permissions.")));
        }
        let expires_at = self
            .expires_at
            .map(|text| {
                crate::clock::timestamp_of(&text).ok_or_else(|| {
                    let message = "The time is RFC 3339, such as 2027-01-31T12:00:00Z.";
                    invalid("/expiresAt", message.to_owned())
                })
            })
            .transpose()?;
        Ok(NewApiKey { name, permissions: self.permissions, expires_at })
    }
}

/// List keys
///
/// What they are for and may do, never the keys themselves.
#[utoipa::path(
    get, path = "/api-keys", operation_id = "listApiKeys", tag = "api-keys",
    responses((status = 200, description = "The keys.", body = Vec<ApiKeyView>, example = json!([key_example()]))),
    security(("bearerAuth" = [])),
    extensions(("x-permissions" = json!(["apikeys:read"])), ("x-list" = json!({
        "filters": {"name": "text", "createdBy": "text"}, "sorts": ["name", "createdAt"]
    }))),
)]
pub(crate) async fn list(State(app): State<App>, call: Call) -> Result<Response, ApiError> {
    call.permitted(&app, "apikeys:read").await?;
    answer_list(&app, &call, &LIST).await
}

/// Make a key
///
/// The answer is the only one that holds the key, so `Idempotency-Key` is ignored here.
#[utoipa::path(
    post, path = "/api-keys", operation_id = "createApiKey", tag = "api-keys",
    request_body(content = ApiKeyInput, example = json!({
        "name": "Warehouse", "permissions": ["inventory:write"], "expiresAt": "2027-12-31T23:59:59Z"
    })),
    responses((status = 201, description = "The new key.", body = NewKey, example = json!(new_key_example()))),
    security(("bearerAuth" = [])),
    extensions(("x-permissions" = json!(["apikeys:write"])), ("x-codes" = json!(["conflict"]))),
)]
pub(crate) async fn create(State(app): State<App>, mut call: Call) -> Result<Response, ApiError> {
    let caller = call.permitted(&app, "apikeys:write").await?;
    call.check()?;
    let new = call.body::<ApiKeyInput>(&app).await?.checked()?;
    let transaction = call.transaction(&caller, "createApiKey", None);
    let (key, text) =
        app.identity().api_key_create(new, &caller, &known_permissions(&app), &transaction).await?;
    let location = format!("/api-keys/{}", key.id);
    let body = NewKey { about: key.into(), key: text.expose_secret().to_owned() };
    created(&app, &location, &body)
}

/// Delete a key
///
/// It stops working at once.
#[utoipa::path(
    delete, path = "/api-keys/{id}", operation_id = "deleteApiKey", tag = "api-keys",
    params(("id" = String, Path, description = "The id of the key.")),
    responses((status = 204, description = "The key is gone.")),
    security(("bearerAuth" = [])),
    extensions(("x-permissions" = json!(["apikeys:write"])), ("x-codes" = json!([
        "conflict", "invalid_parameter", "idempotency_in_progress", "idempotency_key_reused"
    ]))),
)]
pub(crate) async fn delete(State(app): State<App>, call: Call) -> Result<Response, ApiError> {
    let caller = call.permitted(&app, "apikeys:write").await?;
    call.check()?;
    let id = call.id()?;
    let begin = match call.begin(&app, &caller, "deleteApiKey").await? {
        Begun::Answered(response) => return Ok(response),
        Begun::New(begin) => begin,
    };
    let answer = AnswerPlan { status: 204, headers: Vec::new(), body: None, subject: None };
    app.identity().api_key_delete(&id, &begin.transaction, Some(answer)).await?;
    begin.answer(&app).await
}

fn key_example() -> serde_json::Value {
    json!({
        "id": "key_01KDVDNA00AYC2V77BZXVV1FK7", "version": 1, "createdAt": "2026-11-23T09:00:00.000Z",
        "name": "Warehouse", "permissions": ["inventory:write"], "expiresAt": "2027-12-31T23:59:59.000Z",
        "createdBy": "usr_01KDVDNA00AYC2V77BZXVV1FJY"
    })
}

fn new_key_example() -> serde_json::Value {
    let mut example = key_example();
    example["key"] = json!("key_01KDVDNA00AYC2V77BZXVV1FK7_a1b2…");
    example
}
