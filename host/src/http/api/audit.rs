//! `/audit`: who did what to what, when, and from where.

use axum::{extract::State, response::Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    app::App,
    http::{
        error::ApiError,
        host::{Call, ListOf, list as answer_list},
    },
    store::audit,
};

const LIST: ListOf = ListOf {
    collection: audit::COLLECTION,
    filters: &["actorId", "actorKind", "operationId", "outcome", "subjects", "createdAt"],
    sorts: &["createdAt"],
    shown: &[
        "id",
        "createdAt",
        "actorKind",
        "actorId",
        "address",
        "operationId",
        "requestId",
        "outcome",
        "changes",
        "seal",
    ],
};

/// Something that was done, or tried.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[allow(dead_code, reason = "for the document; lists show what is stored")]
pub(crate) struct AuditEntry {
    id: String,
    #[schema(format = DateTime)]
    created_at: String,
    /// `admin`, `service`, `customer`, `system`, or `anonymous` where nobody was recognised. Of a login that was refused, whose account it was about.
    actor_kind: String,
    actor_id: Option<String>,
    /// Where the request came from.
    address: Option<String>,
    operation_id: String,
    request_id: String,
    /// `ok`, or why it was refused.
    outcome: String,
    changes: Vec<AuditChange>,
    /// The number of the seal that covers the entry; null in its first minute.
    seal: Option<u64>,
}

/// A document that was changed.
#[derive(Serialize, ToSchema)]
#[allow(dead_code, reason = "for the document; lists show what is stored")]
pub(crate) struct AuditChange {
    collection: String,
    id: String,
    /// `create`, `change` or `delete`.
    verb: String,
}

/// Read the audit log
///
/// What staff, service accounts and security did. `subjects` is the id of what was changed. Sort by `-createdAt` for
/// the newest first.
#[utoipa::path(
    get, path = "/audit", operation_id = "listAuditEntries", tag = "audit",
    responses((status = 200, description = "The entries.", body = Vec<AuditEntry>, example = json!([{
        "id": "aud_01KDVDNA00AYC2V77BZXVV1FK7", "createdAt": "2026-11-23T09:00:00.000Z", "actorKind": "admin",
        "actorId": "usr_01KDVDNA00AYC2V77BZXVV1FJY", "address": "192.0.2.7", "operationId": "deleteRole",
        "requestId": "req_01KDVDNA00AYC2V77BZXVV1FK8", "outcome": "ok",
        "changes": [{"collection": "_roles", "id": "rol_01KDVDNA00AYC2V77BZXVV1FK9", "verb": "delete"}], "seal": 12
    }]))),
    security(("bearerAuth" = [])),
    extensions(("x-permissions" = json!(["audit:read"])), ("x-list" = json!({
        "filters": {
            "actorId": "text", "actorKind": "text", "operationId": "text", "outcome": "text", "subjects": "text",
            "createdAt": "timestamp"
        },
        "sorts": ["createdAt"]
    }))),
)]
pub(crate) async fn list(State(app): State<App>, call: Call) -> Result<Response, ApiError> {
    call.permitted(&app, "audit:read").await?;
    answer_list(&app, &call, &LIST).await
}
