//! People as clients see them. Doc comments here are the API document.
//!
//! [`User`] is what is read, [`Registration`] and [`UserInput`] what is written. A user is the host's account and the
//! [`Profile`] that this plugin keeps beside it.

use plugin_sdk::{
    address::Address,
    identity::Account,
    schema::{add_read_only, all_required, kept_members},
};
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// Most addresses of one person.
pub const ADDRESSES_MAX: usize = 50;

/// Somebody who can log in, as a customer or as staff.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = all_required)]
pub struct User {
    #[schemars(extend("readOnly" = true))]
    pub id: String,
    /// `customer` for the storefront, `admin` for the staff.
    #[schemars(regex(pattern = "^(customer|admin)$"))]
    pub kind: String,
    /// In lower case; unique in the shop.
    pub email: String,
    pub name: String,
    pub phone: Option<String>,
    /// `active` or `disabled`. Disabling ends all sessions.
    #[schemars(regex(pattern = "^(active|disabled)$"))]
    pub status: String,
    /// Whether somebody who reads mail at the address said so.
    pub email_verified: bool,
    /// What the shop sorts its customers into, for prices and rules.
    pub groups: Vec<String>,
    /// Of staff: what they may do. Ids of roles.
    pub roles: Vec<String>,
    /// Whether the person agreed to advertising mail.
    pub accepts_marketing: bool,
    /// Free for integrations.
    pub metadata: Map<String, Value>,
    /// Grows by one with every change through these operations; 0 before the first. Logging in is no change.
    #[schemars(extend("readOnly" = true))]
    pub version: u64,
    #[schemars(extend("readOnly" = true, "format" = "date-time"))]
    pub created_at: String,
    #[schemars(extend("readOnly" = true, "format" = "date-time"))]
    pub updated_at: String,
    #[schemars(extend("readOnly" = true, "format" = "date-time"))]
    pub last_login_at: Option<String>,
}

impl User {
    pub(crate) fn new(account: Account, profile: Option<(&Profile, u64)>) -> Self {
        let (metadata, version, updated_at) = match profile {
            Some((profile, version)) => (profile.metadata.clone(), version, profile.updated_at.clone()),
            None => (Map::new(), 0, account.created_at.clone()),
        };
        Self {
            id: account.id,
            kind: account.kind,
            email: account.email,
            name: account.name,
            phone: account.phone,
            status: account.status,
            email_verified: account.email_verified,
            groups: account.groups,
            roles: account.roles,
            accepts_marketing: account.accepts_marketing,
            metadata,
            version,
            created_at: account.created_at,
            // Not the account's, which every login changes.
            updated_at,
            last_login_at: account.last_login_at,
        }
    }
}

/// A new account. Customers register themselves; `kind`, `status`, `emailVerified`, `roles` and `groups` are for staff
/// with `users:write`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = read_only_members)]
pub struct Registration {
    /// Unique in the shop, in any spelling.
    #[schemars(length(min = 3, max = 254))]
    pub email: String,
    /// At least 12 characters, at most 1024 bytes.
    #[serde(skip_serializing)]
    #[schemars(length(min = 12, max = 1024), extend("writeOnly" = true, "format" = "password"))]
    pub password: String,
    #[schemars(length(min = 1, max = 200))]
    pub name: String,
    #[serde(default)]
    #[schemars(length(max = 40))]
    pub phone: Option<String>,
    /// Whether the person agrees to advertising mail.
    #[serde(default)]
    pub accepts_marketing: bool,
    /// Free for integrations.
    #[serde(default)]
    #[schemars(extend("maxProperties" = 200))]
    pub metadata: Map<String, Value>,
    /// To be saved with the account.
    #[serde(default)]
    #[schemars(length(max = ADDRESSES_MAX))]
    pub addresses: Vec<AddressInput>,
    #[serde(flatten)]
    pub security: Security,
}

/// What can be said of a user.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = read_only_members)]
pub struct UserInput {
    /// Unique in the shop, in any spelling. Another address is not verified until it is proved again.
    #[schemars(length(min = 3, max = 254))]
    pub email: String,
    #[schemars(length(max = 200))]
    pub name: String,
    #[serde(default)]
    #[schemars(length(max = 40))]
    pub phone: Option<String>,
    /// Whether the person agrees to advertising mail.
    #[serde(default)]
    pub accepts_marketing: bool,
    /// Free for integrations.
    #[serde(default)]
    #[schemars(extend("maxProperties" = 200))]
    pub metadata: Map<String, Value>,
    #[serde(flatten)]
    pub security: Security,
}

impl UserInput {
    pub(crate) fn of(user: &User) -> Self {
        Self {
            email: user.email.clone(),
            name: user.name.clone(),
            phone: user.phone.clone(),
            accepts_marketing: user.accepts_marketing,
            metadata: user.metadata.clone(),
            // What a change does not name stays.
            security: Security::default(),
        }
    }
}

/// What only staff may set. What is absent stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Security {
    /// `customer` or `admin`; it stays what it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^(customer|admin)$"))]
    pub kind: Option<String>,
    /// `active` or `disabled`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^(active|disabled)$"))]
    pub status: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email_verified: Option<bool>,
    /// Ids of roles. Nobody gives one that allows what they may not do themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 50), inner(length(min = 1, max = 64)))]
    pub roles: Option<Vec<String>>,
    /// Words such as `wholesale`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 50), inner(regex(pattern = r"^[A-Za-z0-9_-]{1,64}$")))]
    pub groups: Option<Vec<String>>,
}

/// The members of an account, as the host wants them.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AccountMembers<'i> {
    pub(crate) email: &'i str,
    pub(crate) name: &'i str,
    pub(crate) phone: Option<&'i str>,
    pub(crate) accepts_marketing: bool,
    #[serde(flatten)]
    pub(crate) security: &'i Security,
}

/// What this plugin keeps of a person: a document with the account's id.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Profile {
    /// The account: customers reach their own only.
    #[serde(rename = "_owner")]
    pub owner: String,
    pub metadata: Map<String, Value>,
    #[serde(rename = "_addresses")]
    pub addresses: Vec<SavedAddress>,
    /// Kept by the host.
    #[serde(default, skip_serializing)]
    pub updated_at: String,
}

/// An address that somebody saved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SavedAddress {
    #[schemars(extend("readOnly" = true))]
    pub id: String,
    #[serde(flatten)]
    pub address: Address,
}

/// An address to save.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = read_only_id)]
pub struct AddressInput {
    #[serde(flatten)]
    pub address: Address,
}

/// Everything that the shop keeps of a person.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserExport {
    /// When it was put together.
    #[schemars(extend("format" = "date-time"))]
    pub exported_at: String,
    pub user: User,
    pub addresses: Vec<SavedAddress>,
    /// Where the person is logged in.
    pub sessions: Vec<ExportedSession>,
}

/// A session, without what could be used to go on with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExportedSession {
    pub id: String,
    #[schemars(extend("format" = "date-time"))]
    pub created_at: String,
    #[schemars(extend("format" = "date-time"))]
    pub last_seen_at: String,
    #[schemars(extend("format" = "date-time"))]
    pub expires_at: String,
    pub user_agent: Option<String>,
    pub address: Option<String>,
}

fn read_only_members(schema: &mut Schema) {
    kept_members(schema);
    add_read_only(schema, "lastLoginAt", json!({"type": ["string", "null"], "format": "date-time"}));
    close(schema);
}

fn read_only_id(schema: &mut Schema) {
    add_read_only(schema, "id", json!({"type": "string"}));
    close(schema);
}

/// Nothing else is known. Serde cannot refuse it where a struct is flattened into another.
fn close(schema: &mut Schema) {
    schema.insert("additionalProperties".to_owned(), json!(false));
}
