//! What a plugin says it is, checked on its own; [`generation`](super::generation) checks plugins against each other.

use std::{collections::BTreeSet, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use store_model::{Access, CollectionSchema, Field, FieldKind, Index, TextField};

use super::{bindings::exports::wares::lifecycle::lifecycle as guest, grants::Right};
use crate::{codes, config::SecretName, egress::Origin, identity::collections};

/// The media type of bodies that are bytes of any kind: handlers get them, and all headers, as they came.
pub const RAW: &str = "application/octet-stream";

/// Path prefixes that belong to the host.
const RESERVED: &[&str] = &["api-keys", "audit", "auth", "permissions", "plugins", "roles", "webhooks", "ws"];
const ROUTES: usize = 200;
const SCHEMAS: usize = 500;
const SCHEDULES: usize = 20;
/// No operation is started more often.
const SCHEDULE_MIN: Duration = Duration::from_millis(500);
const SCHEDULE_MAX: Duration = Duration::from_secs(24 * 60 * 60);
const SCHEMA_BYTES: usize = 256 * 1024;
/// All named schemas of a plugin together.
const SCHEMAS_BYTES: usize = 1024 * 1024;

/// A checked descriptor.
#[derive(Debug, Clone, PartialEq)]
pub struct Descriptor {
    pub id: String,
    pub version: semver::Version,
    pub title: String,
    pub routes: Vec<Route>,
    pub collections: Vec<CollectionSchema>,
    pub permissions: Vec<Permission>,
    pub capabilities: Vec<Capability>,
    pub schedules: Vec<Schedule>,
    /// Named JSON Schemas.
    pub schemas: Map<String, Value>,
    pub config_schema: Option<Value>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    pub method: String,
    /// Below the API base, parameters in braces.
    pub path: String,
    pub operation_id: String,
    pub summary: String,
    pub description: String,
    pub access: AccessRule,
    pub params: Vec<Param>,
    pub request: Option<Body>,
    pub responses: Vec<Response>,
    pub errors: Vec<String>,
    pub list: Option<ListDeclaration>,
    pub cacheable: bool,
    /// Calls about the same thing queue.
    pub serialized_by: Option<SerializedBy>,
    /// A request without an `Idempotency-Key` is refused.
    pub idempotency_key_required: bool,
    /// The body has a member `password`, which the host hashes and the guest never sees.
    pub takes_password: bool,
    /// The handler calls payment providers: such calls have permits and a deadline of their own.
    pub calls_providers: bool,
    /// The parameters by which a guest is known.
    pub guest_by: Vec<String>,
    /// Callers without an account get a token of their own.
    pub makes_guests: bool,
}

/// An operation that the host starts by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    pub operation_id: String,
    /// From the end of one run to the start of the next.
    pub every: Duration,
}

/// A hook that other plugins ask through the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Hook {
    Pricing,
    Shipping,
    Payment,
}

impl Hook {
    pub const ALL: [Self; 3] = [Self::Pricing, Self::Shipping, Self::Payment];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pricing => "pricing",
            Self::Shipping => "shipping",
            Self::Payment => "payment",
        }
    }
}

impl Route {
    /// Whether an `Idempotency-Key` means something here: GET changes nothing and PUT is idempotent by itself.
    pub fn takes_idempotency_key(&self) -> bool {
        takes_idempotency_key(&self.method)
    }

    /// The codes of the problems that the handler may answer: those declared, and those that follow from what the
    /// route is, because the SDK answers them for the store.
    pub fn problem_codes(&self) -> BTreeSet<&str> {
        let mut codes: BTreeSet<&str> = self.errors.iter().map(String::as_str).collect();
        codes.extend(["unavailable", "plugin_failed"]);
        // What a plugin of a hook did that it asked.
        codes.extend(["plugin_output_invalid", "overloaded", "plugin_unavailable", "plugin_timeout"]);
        if self.params.iter().any(|param| param.location == Location::Path) {
            codes.insert("not_found");
        }
        if self.list.as_ref().is_some_and(|list| !list.unpaged) {
            codes.insert("cursor_mismatch");
        }
        if self.request.is_some() {
            codes.extend(["validation_failed", "unknown_field"]);
        }
        if self.method != "GET" {
            codes.extend([
                "validation_failed",
                "conflict",
                "version_conflict",
                "already_exists",
                "not_found",
            ]);
        }
        codes
    }
}

/// Whether a key means anything on this method.
pub(crate) fn takes_idempotency_key(method: &str) -> bool {
    matches!(method, "POST" | "PATCH" | "DELETE")
}

/// Who may call a route: any of the given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccessRule {
    pub public: bool,
    pub customer: bool,
    pub permissions: Vec<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Param {
    pub name: String,
    pub location: Location,
    pub required: bool,
    pub schema: Value,
    pub description: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Location {
    Path,
    Query,
    Header,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Body {
    pub media_type: String,
    pub schema: Value,
    pub example: Option<Value>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Response {
    pub status: u16,
    pub description: String,
    pub body: Option<Body>,
}

/// The list query a route understands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListDeclaration {
    pub collection: String,
    pub filters: Vec<String>,
    pub sorts: Vec<String>,
    pub text: bool,
    /// Only the filters and the search: the route answers about everything that they leave.
    pub unpaged: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permission {
    pub name: String,
    pub description: String,
}

/// What tells the calls that queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SerializedBy {
    /// The value of a path parameter.
    Param(String),
    /// The caller's account. The same queue as that of a parameter with the account's id.
    Caller,
}

/// What a plugin asks for beyond its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Capability {
    /// Another plugin's collection. An optional one may be missing in the grants.
    Store { collection: String, rights: Vec<Right>, optional: bool },
    /// Accounts.
    Identity,
    /// Asking the plugins of a hook.
    Hook(Hook),
    /// Requests to a host outside.
    Http { origin: Origin, optional: bool },
    /// Using a secret.
    Secret { name: SecretName, optional: bool },
}

/// Why a descriptor is refused, in a sentence that says what to change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct DescriptorError(pub(super) String);

macro_rules! refuse {
    ($($arg:tt)*) => { return Err(DescriptorError(format!($($arg)*))) };
}

type Checked<T> = Result<T, DescriptorError>;

impl Descriptor {
    /// Checks what the guest described.
    pub(super) fn from_guest(guest: guest::Descriptor) -> Checked<Self> {
        if !is_kebab(&guest.id, 40) {
            refuse!("the plugin's id `{}` is not kebab-case of at most 40 characters", short(&guest.id));
        }
        let Ok(version) = semver::Version::parse(&guest.version) else {
            refuse!(
                "the plugin's version `{}` is not a semantic version such as 1.0.0",
                short(&guest.version)
            );
        };
        if let Some((name, _)) = guest.attrs.iter().find(|(name, _)| name != "sdk") {
            refuse!("the descriptor has the attribute `{}`, which needs a newer host", short(name));
        }
        let schedules = guest.subscriptions.into_iter().map(schedule).collect::<Checked<Vec<_>>>()?;
        if schedules.len() > SCHEDULES {
            refuse!("a plugin has at most {SCHEDULES} scheduled operations");
        }
        if guest.routes.len() > ROUTES || guest.schemas.len() > SCHEMAS {
            refuse!("a plugin has at most {ROUTES} routes and {SCHEMAS} schemas");
        }
        if guest.schemas.iter().map(|(_, schema)| schema.len()).sum::<usize>() > SCHEMAS_BYTES {
            refuse!("a plugin's schemas have at most {SCHEMAS_BYTES} bytes together");
        }
        let schemas = guest
            .schemas
            .into_iter()
            .map(|(name, schema)| Ok((name.clone(), json(&format!("schema `{}`", short(&name)), &schema)?)))
            .collect::<Checked<Map<_, _>>>()?;
        let collections = guest.collections.into_iter().map(collection).collect::<Checked<Vec<_>>>()?;
        let permissions = guest
            .permissions
            .into_iter()
            .map(|permission| {
                if !is_permission(&permission.name) {
                    refuse!(
                        "the permission `{}` is not of the form resource:action",
                        short(&permission.name)
                    );
                }
                Ok(Permission { name: permission.name, description: permission.description })
            })
            .collect::<Checked<Vec<_>>>()?;
        let capabilities = guest.capabilities.into_iter().map(capability).collect::<Checked<Vec<_>>>()?;
        let routes = guest.routes.into_iter().map(route).collect::<Checked<Vec<_>>>()?;
        for route in &routes {
            for permission in &route.access.permissions {
                if !permissions.iter().any(|declared| declared.name == *permission) {
                    refuse!(
                        "operation `{}` asks for the permission `{permission}`, which the plugin does not declare",
                        route.operation_id
                    );
                }
            }
        }
        let config_schema =
            guest.config_schema.map(|schema| json("the configuration schema", &schema)).transpose()?;
        Ok(Self {
            id: guest.id,
            version,
            title: guest.title,
            routes,
            collections,
            permissions,
            capabilities,
            schedules,
            schemas,
            config_schema,
        })
    }
}

fn schedule(guest: guest::Subscription) -> Checked<Schedule> {
    if guest.kind != "schedule" {
        refuse!("it subscribes to `{}`, which this host does not offer yet", short(&guest.kind));
    }
    let every = match guest.attrs.as_slice() {
        [(name, value)] if name == "every-ms" => value.parse().ok().map(Duration::from_millis),
        _ => None,
    };
    match every.filter(|every| (SCHEDULE_MIN..=SCHEDULE_MAX).contains(every)) {
        Some(every) => Ok(Schedule { operation_id: guest.name, every }),
        None => refuse!(
            "the scheduled operation `{}` does not say `every-ms`, from {} to {}",
            short(&guest.name),
            SCHEDULE_MIN.as_millis(),
            SCHEDULE_MAX.as_millis()
        ),
    }
}

fn route(guest: guest::Route) -> Checked<Route> {
    let operation = guest.operation_id;
    if operation.is_empty()
        || operation.len() > 80
        || !operation.starts_with(|first: char| first.is_ascii_lowercase())
        || !operation.bytes().all(|byte| byte.is_ascii_alphanumeric())
    {
        refuse!("the operation id `{}` is not lowerCamel", short(&operation));
    }
    if !["GET", "POST", "PUT", "PATCH", "DELETE"].contains(&guest.method.as_str()) {
        refuse!("operation `{operation}` has the method `{}`", short(&guest.method));
    }
    let path_names = check_path(&operation, &guest.path)?;
    let mut access = AccessRule::default();
    for rule in &guest.access {
        match rule.as_str() {
            "public" => access.public = true,
            "customer" => access.customer = true,
            other => match other.strip_prefix("permission:") {
                Some(permission) if is_permission(permission) => {
                    access.permissions.push(permission.to_owned())
                }
                _ => refuse!(
                    "operation `{operation}` has the access rule `{}`, which does not exist",
                    short(other)
                ),
            },
        }
    }
    if guest.access.is_empty() {
        refuse!("operation `{operation}` declares no access rule: say public, customer or a permission");
    }
    let params = guest.params.into_iter().map(|it| param(&operation, it)).collect::<Checked<Vec<_>>>()?;
    let declared: BTreeSet<&str> = params
        .iter()
        .filter(|param| param.location == Location::Path)
        .map(|param| param.name.as_str())
        .collect();
    if declared != path_names.iter().map(String::as_str).collect() {
        refuse!("operation `{operation}` declares other path parameters than its path `{}` has", guest.path);
    }
    let mut cacheable = false;
    let mut unpaged = false;
    let mut serialized_by = None;
    let mut idempotency_key_required = false;
    let mut takes_password = false;
    let mut calls_providers = false;
    let mut guest_by = Vec::new();
    let mut makes_guests = false;
    for (name, value) in guest.attrs {
        match (name.as_str(), value.as_str()) {
            ("cacheable", "true") => cacheable = true,
            ("list", "unpaged") if guest.list_query.is_some() => unpaged = true,
            ("serialized-by", param) if path_names.iter().any(|name| name == param) => {
                serialized_by = Some(SerializedBy::Param(value));
            }
            ("serialized-by", "caller") => serialized_by = Some(SerializedBy::Caller),
            ("idempotency-key", "required") if takes_idempotency_key(&guest.method) => {
                idempotency_key_required = true;
            }
            ("password", "true") if guest.request.is_some() => takes_password = true,
            ("calls-providers", "true") => calls_providers = true,
            ("makes-guests", "true") => makes_guests = true,
            ("guest-by", names) => {
                guest_by = names.split(' ').map(str::to_owned).collect();
                if let Some(name) = guest_by.iter().find(|&name| !params.iter().any(|it| it.name == *name)) {
                    refuse!(
                        "operation `{operation}` knows guests by `{}`, which is no parameter",
                        short(name)
                    );
                }
            }
            _ => refuse!(
                "operation `{operation}` has the attribute `{}` = `{}`, which this host does not know",
                short(&name),
                short(&value)
            ),
        }
    }
    for code in &guest.errors {
        if codes::code(code).is_none() {
            refuse!(
                "operation `{operation}` names the error code `{}`, which is not in the closed list",
                short(code)
            );
        }
    }
    if guest.responses.is_empty() {
        refuse!("operation `{operation}` declares no response");
    }
    let responses = guest
        .responses
        .into_iter()
        .map(|it| {
            if !(200..300).contains(&it.status) || it.description.trim().is_empty() {
                refuse!("operation `{operation}` has a response without a 2xx status or a description");
            }
            let body = it.body.map(|it| body(&operation, it)).transpose()?;
            Ok(Response { status: it.status, description: it.description, body })
        })
        .collect::<Checked<Vec<_>>>()?;
    Ok(Route {
        request: guest.request.map(|it| body(&operation, it)).transpose()?,
        method: guest.method,
        path: guest.path,
        operation_id: operation,
        summary: guest.summary,
        description: guest.description,
        access,
        params,
        responses,
        errors: guest.errors,
        list: guest.list_query.map(|list| ListDeclaration {
            collection: list.collection,
            filters: list.filters,
            sorts: list.sorts,
            text: list.text,
            unpaged,
        }),
        cacheable,
        serialized_by,
        idempotency_key_required,
        takes_password,
        calls_providers,
        guest_by,
        makes_guests,
    })
}

/// Checks a path template and answers its parameters' names.
fn check_path(operation: &str, path: &str) -> Checked<Vec<String>> {
    let Some(rest) = path.strip_prefix('/') else {
        refuse!("operation `{operation}` has the path `{}`, which does not start with a slash", short(path));
    };
    if path.len() > 200 {
        refuse!("operation `{operation}` has a path of more than 200 characters");
    }
    let mut names: Vec<String> = Vec::new();
    for (position, segment) in rest.split('/').enumerate() {
        if let Some(name) = segment.strip_prefix('{').and_then(|segment| segment.strip_suffix('}')) {
            let fine = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
            if position == 0 || !fine || names.iter().any(|known| known == name) {
                refuse!(
                    "operation `{operation}` has the path parameter `{}` where or as it cannot be",
                    short(segment)
                );
            }
            names.push(name.to_owned());
        } else if !is_kebab(segment, 60) {
            refuse!(
                "operation `{operation}` has the path segment `{}`, which is not kebab-case",
                short(segment)
            );
        }
        if position == 0 && RESERVED.contains(&segment) {
            refuse!("operation `{operation}` claims `/{segment}`, which belongs to the host");
        }
    }
    Ok(names)
}

/// Headers that say who somebody is.
const HOSTS_HEADERS: [&str; 3] = ["authorization", "cookie", "proxy-authorization"];

fn param(operation: &str, guest: guest::Param) -> Checked<Param> {
    let location = match guest.location.as_str() {
        "path" => Location::Path,
        "query" => Location::Query,
        "header" => Location::Header,
        other => refuse!("operation `{operation}` has a parameter in `{}`", short(other)),
    };
    if guest.name.is_empty() || guest.name.len() > 60 {
        refuse!("operation `{operation}` has a parameter without a name of at most 60 characters");
    }
    if location == Location::Header && HOSTS_HEADERS.contains(&guest.name.to_ascii_lowercase().as_str()) {
        refuse!(
            "operation `{operation}` has the header `{}` as a parameter, which only the host reads",
            guest.name
        );
    }
    let schema = json(&format!("parameter `{}` of `{operation}`", guest.name), &guest.schema)?;
    Ok(Param { name: guest.name, location, required: guest.required, schema, description: guest.description })
}

fn body(operation: &str, guest: guest::Body) -> Checked<Body> {
    if !["application/json", "application/merge-patch+json", RAW].contains(&guest.media_type.as_str()) {
        refuse!("operation `{operation}` has a body of type `{}`", short(&guest.media_type));
    }
    let schema = json(&format!("a body of `{operation}`"), &guest.schema)?;
    let example =
        guest.example.map(|example| json(&format!("an example of `{operation}`"), &example)).transpose()?;
    Ok(Body { media_type: guest.media_type, schema, example })
}

fn collection(guest: guest::Collection) -> Checked<CollectionSchema> {
    let name = guest.name;
    if let Some((attr, _)) = guest.attrs.first() {
        refuse!(
            "collection `{}` has the attribute `{}`, which needs a newer host",
            short(&name),
            short(attr)
        );
    }
    if name.starts_with('_') {
        refuse!("collection `{}` has a name that is reserved for the host", short(&name));
    }
    let fields = guest
        .fields
        .into_iter()
        .map(|field| {
            let kind = match field.kind.as_str() {
                "text" => FieldKind::Text,
                "integer" => FieldKind::Integer,
                "boolean" => FieldKind::Boolean,
                "timestamp" => FieldKind::Timestamp,
                other => {
                    refuse!("field `{}` of `{name}` has the kind `{}`", short(&field.path), short(other))
                }
            };
            let access = match field.access.as_str() {
                "index" => Access::Index,
                "unique" => Access::Unique,
                "scan" => Access::Scan,
                other => {
                    refuse!("field `{}` of `{name}` has the access `{}`", short(&field.path), short(other))
                }
            };
            Ok(Field { path: field.path, kind, multi: field.multi, access })
        })
        .collect::<Checked<Vec<_>>>()?;
    let schema = CollectionSchema {
        name,
        id_prefix: guest.id_prefix,
        owner: guest.owner,
        fields,
        indexes: guest.indexes.into_iter().map(|fields| Index { fields }).collect(),
        text: guest
            .text
            .into_iter()
            .map(|field| TextField { path: field.path, weight: field.weight })
            .collect(),
    };
    match schema.validate() {
        Ok(()) => Ok(schema),
        Err(error) => refuse!("{error}"),
    }
}

fn capability(guest: guest::Capability) -> Checked<Capability> {
    match guest.kind.as_str() {
        "store" => {}
        "identity" if guest.target.is_empty() && guest.rights.is_empty() => return Ok(Capability::Identity),
        "identity" => refuse!("it asks for `identity` with a target or rights, which there are none of"),
        "hooks" => match Hook::ALL.into_iter().find(|hook| hook.as_str() == guest.target) {
            Some(hook) => return Ok(Capability::Hook(hook)),
            None => refuse!("it asks for the hook `{}`, which there is none of", short(&guest.target)),
        },
        "http-client" => {
            let optional = is_optional(&guest)?;
            return match Origin::parse(&guest.target) {
                Ok(origin) if origin.can_be_asked_for() => Ok(Capability::Http { origin, optional }),
                _ => refuse!("it asks for requests to `{}`, which is no host's name", short(&guest.target)),
            };
        }
        "secrets" => {
            let optional = is_optional(&guest)?;
            return match SecretName::parse(&guest.target) {
                Ok(name) => Ok(Capability::Secret { name, optional }),
                Err(error) => refuse!("it asks for a secret, and {error}"),
            };
        }
        other => refuse!("it asks for `{}`, which this host does not offer yet", short(other)),
    }
    let writes = guest.rights.iter().any(|right| right == "write");
    if guest.target.starts_with('_') && (writes || guest.target != collections::ACCOUNTS) {
        refuse!("it asks for the collection `{}`, which is the host's own", short(&guest.target));
    }
    let optional = guest.rights.iter().any(|right| right == "optional");
    let rights = guest
        .rights
        .iter()
        .filter(|right| *right != "optional")
        .map(|right| match right.as_str() {
            "read" => Ok(Right::Read),
            "write" => Ok(Right::Write),
            other => refuse!("it asks for the right `{}` to `{}`", short(other), short(&guest.target)),
        })
        .collect::<Checked<Vec<_>>>()?;
    Ok(Capability::Store { collection: guest.target, rights, optional })
}

/// Of a capability that has no other right than to be optional.
fn is_optional(guest: &guest::Capability) -> Checked<bool> {
    match guest.rights.iter().find(|right| *right != "optional") {
        Some(right) => {
            refuse!("it asks for the right `{}` to `{}`", short(right), short(&guest.target))
        }
        None => Ok(!guest.rights.is_empty()),
    }
}

fn json(what: &str, text: &str) -> Checked<Value> {
    if text.len() > SCHEMA_BYTES {
        refuse!("{what} is larger than {SCHEMA_BYTES} bytes");
    }
    match serde_json::from_str(text) {
        Ok(value) => Ok(value),
        Err(error) => refuse!("{what} is not JSON: {error}"),
    }
}

fn is_kebab(text: &str, most: usize) -> bool {
    !text.is_empty()
        && text.len() <= most
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

fn is_permission(text: &str) -> bool {
    text.split_once(':').is_some_and(|(resource, action)| is_kebab(resource, 40) && is_kebab(action, 40))
}

/// What a guest wrote, short enough for a message and without control characters.
fn short(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).take(60).collect()
}
