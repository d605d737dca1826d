//! `/roles` and `/permissions`.

use axum::{extract::State, http::StatusCode, response::Response};
use serde::{Deserialize, Serialize};
use serde_json::{Map, json};
use utoipa::ToSchema;

use crate::{
    app::App,
    http::{
        error::ApiError,
        host::{Begun, Call, ListOf, list as answer_list, private, shown},
    },
    identity::{self, KnownPermission, RoleContent},
    store::{AnswerPlan, Content},
};

const NAME_CHARACTERS: usize = 100;
const DESCRIPTION_CHARACTERS: usize = 500;
const PERMISSIONS: usize = 200;

const LIST: ListOf = ListOf {
    collection: identity::collections::ROLES,
    filters: &["name", "builtIn"],
    sorts: &["name", "createdAt", "updatedAt"],
    shown: &["id", "version", "createdAt", "updatedAt", "name", "description", "permissions", "builtIn"],
};

/// A named set of permissions.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Role {
    id: String,
    version: u64,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    updated_at: String,
    name: String,
    description: String,
    /// `resource:action`, `resource:*` or `*`.
    permissions: Vec<String>,
    /// Whether it came with the platform; such a role is not deleted.
    built_in: bool,
}

impl From<identity::Role> for Role {
    fn from(role: identity::Role) -> Self {
        let identity::Role { id, version, created_at, updated_at, name, description, permissions, built_in } =
            role;
        Self { id, version, created_at, updated_at, name, description, permissions, built_in }
    }
}

/// A role to be made, or what one is replaced with. What is read-only is ignored.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(dead_code, reason = "read-only members are named for the document and for leaving them out")]
pub(crate) struct RoleInput {
    #[schema(min_length = 1, max_length = 100)]
    name: String,
    #[serde(default)]
    #[schema(max_length = 500)]
    description: String,
    /// Each held by the caller: nobody gives what they do not hold.
    #[schema(max_items = 200)]
    permissions: Vec<String>,
    #[serde(default)]
    #[schema(read_only)]
    id: Option<String>,
    #[serde(default)]
    #[schema(read_only)]
    version: Option<u64>,
    #[serde(default)]
    #[schema(read_only, format = DateTime)]
    created_at: Option<String>,
    #[serde(default)]
    #[schema(read_only, format = DateTime)]
    updated_at: Option<String>,
    #[serde(default)]
    #[schema(read_only)]
    built_in: Option<bool>,
}

/// Something that a role can allow.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Permission {
    name: String,
    description: String,
    /// The plugin that asks for it; null for the host's own.
    plugin_id: Option<String>,
}

impl RoleInput {
    fn checked(self) -> Result<RoleContent, ApiError> {
        let name = self.name.trim().to_owned();
        let too_long =
            |text: &str, characters: usize| text.chars().count() > characters || text.contains('\0');
        let invalid = |pointer: &str, message: String| {
            let error = ApiError::new("validation_failed", "The request does not fit the schema.");
            Err(error.field(pointer, "validation_failed", message))
        };
        if name.is_empty() || too_long(&name, NAME_CHARACTERS) {
            return invalid("/name", format!("A name has 1 to {NAME_CHARACTERS} characters."));
        }
        if too_long(&self.description, DESCRIPTION_CHARACTERS) {
            let message = format!("A description has at most {DESCRIPTION_CHARACTERS} characters.");
            return invalid("/description", message);
        }
        if self.permissions.len() > PERMISSIONS {
            return invalid("/permissions", format!("A role has at most {PERMISSIONS} permissions."));
        }
        Ok(RoleContent { name, description: self.description, permissions: self.permissions })
    }
}

/// List roles
#[utoipa::path(
    get, path = "/roles", operation_id = "listRoles", tag = "roles",
    responses((status = 200, description = "The roles.", body = Vec<Role>, example = json!([role_example()]))),
    security(("bearerAuth" = [])),
    extensions(("x-permissions" = json!(["roles:read"])), ("x-list" = json!({
        "filters": {"name": "text", "builtIn": "boolean"}, "sorts": ["name", "createdAt", "updatedAt"]
    }))),
)]
pub(crate) async fn list(State(app): State<App>, call: Call) -> Result<Response, ApiError> {
    call.permitted(&app, "roles:read").await?;
    answer_list(&app, &call, &LIST).await
}

/// Make a role
#[utoipa::path(
    post, path = "/roles", operation_id = "createRole", tag = "roles",
    request_body(content = RoleInput, example = json!({
        "name": "Product editor", "description": "Writes products.", "permissions": ["products:write"]
    })),
    responses((status = 201, description = "The new role.", body = Role, example = json!(role_example()))),
    security(("bearerAuth" = [])),
    extensions(("x-permissions" = json!(["roles:write"])), ("x-codes" = json!([
        "conflict", "invalid_parameter", "idempotency_in_progress", "idempotency_key_reused"
    ]))),
)]
pub(crate) async fn create(State(app): State<App>, mut call: Call) -> Result<Response, ApiError> {
    let caller = call.permitted(&app, "roles:write").await?;
    call.check()?;
    let content = call.body::<RoleInput>(&app).await?.checked()?;
    let begin = match call.begin(&app, &caller, "createRole").await? {
        Begun::Answered(response) => return Ok(response),
        Begun::New(begin) => begin,
    };
    let id = app.store().id_new("rol");
    let answer = AnswerPlan {
        status: 201,
        headers: vec![("location".to_owned(), format!("/roles/{id}"))],
        body: Some(Content::Document { write: 0, overlay: Map::new() }),
        subject: Some(0),
    };
    let known = known_permissions(&app);
    app.identity().role_create(&id, &content, &caller, &known, &begin.transaction, Some(answer)).await?;
    begin.answer(&app).await
}

/// Show a role
#[utoipa::path(
    get, path = "/roles/{id}", operation_id = "getRole", tag = "roles",
    params(("id" = String, Path, description = "The id of the role.")),
    responses((status = 200, description = "The role.", body = Role, example = json!(role_example()))),
    security(("bearerAuth" = [])),
    extensions(("x-permissions" = json!(["roles:read"])), ("x-versioned" = json!(true))),
)]
pub(crate) async fn get(State(app): State<App>, call: Call) -> Result<Response, ApiError> {
    call.permitted(&app, "roles:read").await?;
    call.check()?;
    let role = app.identity().role(&call.id()?).await?.ok_or_else(ApiError::not_found)?;
    shown(&call, Some(role.version), &Role::from(role))
}

/// Replace a role
///
/// Works at once for everybody who has it. `superadmin` and `customer` stay as they are. Permissions that the role has
/// already may stay; each further one must be held by the caller.
#[utoipa::path(
    put, path = "/roles/{id}", operation_id = "replaceRole", tag = "roles",
    params(("id" = String, Path, description = "The id of the role.")),
    request_body(content = RoleInput, example = json!({
        "name": "Product editor", "description": "Writes products.", "permissions": ["products:write"]
    })),
    responses((status = 200, description = "The role as it is now.", body = Role, example = json!(role_example()))),
    security(("bearerAuth" = [])),
    extensions(("x-permissions" = json!(["roles:write"])), ("x-versioned" = json!(true)),
        ("x-codes" = json!(["conflict", "version_conflict"]))),
)]
pub(crate) async fn replace(State(app): State<App>, mut call: Call) -> Result<Response, ApiError> {
    let caller = call.permitted(&app, "roles:write").await?;
    call.check()?;
    let (id, expected) = (call.id()?, call.if_match(&app)?);
    let content = call.body::<RoleInput>(&app).await?.checked()?;
    let transaction = call.transaction(&caller, "replaceRole", None);
    let known = known_permissions(&app);
    let role = app.identity().role_replace(&id, &content, expected, &caller, &known, &transaction).await?;
    shown(&call, Some(role.version), &Role::from(role))
}

/// Delete a role
///
/// Refused while somebody has it, and for built-in roles.
#[utoipa::path(
    delete, path = "/roles/{id}", operation_id = "deleteRole", tag = "roles",
    params(("id" = String, Path, description = "The id of the role.")),
    responses((status = 204, description = "The role is gone.")),
    security(("bearerAuth" = [])),
    extensions(("x-permissions" = json!(["roles:write"])), ("x-versioned" = json!(true)), ("x-codes" = json!([
        "conflict", "reference_in_use", "version_conflict", "idempotency_in_progress", "idempotency_key_reused"
    ]))),
)]
pub(crate) async fn delete(State(app): State<App>, call: Call) -> Result<Response, ApiError> {
    let caller = call.permitted(&app, "roles:write").await?;
    call.check()?;
    let (id, expected) = (call.id()?, call.if_match(&app)?);
    let begin = match call.begin(&app, &caller, "deleteRole").await? {
        Begun::Answered(response) => return Ok(response),
        Begun::New(begin) => begin,
    };
    let answer = AnswerPlan { status: 204, headers: Vec::new(), body: None, subject: None };
    app.identity().role_delete(&id, expected, &begin.transaction, Some(answer)).await?;
    begin.answer(&app).await
}

/// List permissions
///
/// Those of the host and those that the loaded plugins ask for.
#[utoipa::path(
    get, path = "/permissions", operation_id = "listPermissions", tag = "roles",
    responses((status = 200, description = "The permissions, by name.", body = Vec<Permission>, example = json!([
        {"name": "products:write", "description": "Change products", "pluginId": "products"}
    ]))),
    security(("bearerAuth" = [])),
    extensions(("x-permissions" = json!(["roles:read"]))),
)]
pub(crate) async fn permissions(State(app): State<App>, call: Call) -> Result<Response, ApiError> {
    call.permitted(&app, "roles:read").await?;
    call.check()?;
    let permissions: Vec<Permission> = known_permissions(&app)
        .into_iter()
        .map(|KnownPermission { name, description, plugin_id }| Permission { name, description, plugin_id })
        .collect();
    private(StatusCode::OK, &permissions)
}

/// The permissions of the host and of the loaded plugins, by name.
pub(super) fn known_permissions(app: &App) -> Vec<KnownPermission> {
    let generation = app.plugins().current();
    let of_plugins = generation.plugins.values().flat_map(|plugin| {
        plugin.prepared.descriptor.permissions.iter().map(|permission| KnownPermission {
            name: permission.name.clone(),
            description: permission.description.clone(),
            plugin_id: Some(plugin.id().to_owned()),
        })
    });
    let mut known: Vec<KnownPermission> = identity::host_permissions().chain(of_plugins).collect();
    known.sort();
    known
}

fn role_example() -> serde_json::Value {
    json!({
        "id": "rol_01KDVDNA00AYC2V77BZXVV1FK7", "version": 1, "createdAt": "2026-11-23T09:00:00.000Z",
        "updatedAt": "2026-11-23T09:00:00.000Z", "name": "Product editor", "description": "Writes products.",
        "permissions": ["products:write"], "builtIn": false
    })
}
