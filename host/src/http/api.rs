//! Endpoints that belong to the host.

pub(super) mod api_keys;
pub(super) mod audit;
pub(super) mod auth;
pub(super) mod documents;
pub(super) mod media;
pub(super) mod passwords;
pub(super) mod plugins;
pub(super) mod roles;
pub(super) mod schemas;
pub(super) mod sessions;

use std::sync::LazyLock;

use axum::{
    Router,
    routing::{delete, get, post, put},
};
use serde_json::{Value, json};
use utoipa::OpenApi;

use crate::app::App;

/// What the host answers below the API base. The order of the paths is that of the document.
#[derive(OpenApi)]
#[openapi(
    paths(
        auth::login_customer,
        auth::login_admin,
        auth::refresh,
        auth::logout,
        auth::me,
        passwords::change,
        passwords::forgot,
        passwords::reset,
        passwords::request_proof,
        passwords::prove,
        sessions::list,
        sessions::delete_all,
        sessions::delete,
        roles::list,
        roles::create,
        roles::get,
        roles::replace,
        roles::delete,
        roles::permissions,
        api_keys::list,
        api_keys::create,
        api_keys::delete,
        audit::list,
        media::create,
        media::content::get,
        media::delete,
        plugins::list,
        plugins::get,
        plugins::configure,
    ),
    tags(
        (name = "auth", description = "Logging in, and the sessions that come of it"),
        (name = "roles", description = "Roles and the permissions they are made of"),
        (name = "api-keys", description = "Keys of service accounts"),
        (name = "audit", description = "Who did what"),
        (name = "media", description = "Images"),
        (name = "plugins", description = "What runs, and how it is configured"),
    )
)]
struct HostApi;

/// The routes that [`HostApi`] documents.
pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/auth/customer/login", post(auth::login_customer))
        .route("/auth/admin/login", post(auth::login_admin))
        .route("/auth/refresh", post(auth::refresh))
        .route("/auth/logout", post(auth::logout))
        .route("/auth/me", get(auth::me))
        .route("/auth/password", post(passwords::change))
        .route("/auth/password/forgot", post(passwords::forgot))
        .route("/auth/password/reset", post(passwords::reset))
        .route("/auth/email/verification", post(passwords::request_proof))
        .route("/auth/email/verify", post(passwords::prove))
        .route("/auth/sessions", get(sessions::list).delete(sessions::delete_all))
        .route("/auth/sessions/{id}", delete(sessions::delete))
        .route("/roles", get(roles::list).post(roles::create))
        .route("/roles/{id}", get(roles::get).put(roles::replace).delete(roles::delete))
        .route("/permissions", get(roles::permissions))
        .route("/api-keys", get(api_keys::list).post(api_keys::create))
        .route("/api-keys/{id}", delete(api_keys::delete))
        .route("/audit", get(audit::list))
        .route("/plugins", get(plugins::list))
        .route("/plugins/{id}", get(plugins::get))
        .route("/plugins/{id}/config", put(plugins::configure))
        .route("/media", post(media::create))
        .route("/media/{id}", get(media::content::get).delete(media::delete))
}

/// The host's operations as OpenAPI: `paths`, `components` and `tags`. Codes of problems are in `x-codes`.
pub(crate) fn document() -> &'static Value {
    static DOCUMENT: LazyLock<Value> =
        LazyLock::new(|| serde_json::to_value(HostApi::openapi()).unwrap_or_else(|_| json!({})));
    &DOCUMENT
}

/// The methods of one of the host's paths below the API base, in capitals.
pub(super) fn methods(path: &str) -> Option<Vec<String>> {
    let segments = || path.trim_start_matches('/').split('/');
    let matches = |template: &str| {
        let mut given = segments();
        let fits = template.trim_start_matches('/').split('/').all(|wanted| {
            given
                .next()
                .is_some_and(|segment| segment == wanted || (wanted.starts_with('{') && !segment.is_empty()))
        });
        fits && given.next().is_none()
    };
    let paths = document()["paths"].as_object()?;
    let (_, item) = paths.iter().find(|(template, _)| matches(template))?;
    Some(item.as_object()?.keys().map(|method| method.to_uppercase()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_methods_of_a_path_are_those_documented() {
        assert_eq!(methods("/auth/admin/login").unwrap(), ["POST"]);
        assert_eq!(methods("/roles/rol_1").unwrap(), ["GET", "PUT", "DELETE"]);
        assert_eq!(methods("/media/med_1").unwrap(), ["GET", "DELETE"]);
        for path in ["/auth", "/roles/", "/roles/a/b", "/products", ""] {
            assert_eq!(methods(path), None, "{path}");
        }
    }
}
