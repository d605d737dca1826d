//! What the host's own operations show, for the document.

use serde::Serialize;
use utoipa::ToSchema;

use crate::identity::{AccountKind, AccountStatus, ApiKey, User};

/// An account: somebody who can log in. What more is known of a user, and the version that `If-Match` takes, is in
/// `GET /users/me` and `GET /users/{id}`.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Account {
    #[schema(read_only)]
    id: String,
    /// `customer` for the storefront, `admin` for the staff.
    #[schema(value_type = String, pattern = "^(customer|admin)$")]
    kind: AccountKind,
    email: String,
    name: String,
    /// `active` or `disabled`.
    #[schema(value_type = String, pattern = "^(active|disabled)$")]
    status: AccountStatus,
    roles: Vec<String>,
    /// What the shop sorts its customers into.
    groups: Vec<String>,
    /// Whether somebody who reads mail at the address said so.
    email_verified: bool,
    phone: Option<String>,
    accepts_marketing: bool,
    #[schema(read_only, format = DateTime)]
    created_at: String,
    #[schema(read_only, format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none")]
    last_login_at: Option<String>,
}

impl From<User> for Account {
    fn from(user: User) -> Self {
        let User { id, kind, email, name, status, roles, groups, email_verified, phone, .. } = user;
        Self {
            groups,
            phone,
            accepts_marketing: user.accepts_marketing,
            id,
            kind,
            email,
            name,
            status,
            roles,
            email_verified,
            created_at: user.created_at,
            last_login_at: user.last_login_at,
        }
    }
}

/// A key of a service account. The key itself is shown once, when it is made.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ApiKeyView {
    id: String,
    version: u64,
    #[schema(format = DateTime)]
    created_at: String,
    name: String,
    permissions: Vec<String>,
    /// When it ends by itself.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    /// The account or key that made it.
    created_by: String,
}

impl From<ApiKey> for ApiKeyView {
    fn from(key: ApiKey) -> Self {
        let ApiKey { id, version, created_at, name, permissions, expires_at, created_by } = key;
        Self { id, version, created_at, name, permissions, expires_at, created_by }
    }
}
