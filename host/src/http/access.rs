//! Who calls, and whether they may.

use axum::http::{HeaderMap, Method, header};
use store_model::guest_of;

use super::{error::ApiError, visit::Visit};
use crate::{
    app::App,
    identity::{self, Principal, PrincipalKind},
    plugin::{
        Caller, CallerKind, HandlerRequest,
        descriptor::{AccessRule, Route},
    },
    store::Actor,
};

/// A request below the API base.
pub(super) struct Asks<'a> {
    pub(super) method: &'a Method,
    pub(super) path: &'a str,
    pub(super) headers: &'a HeaderMap,
}

/// Who calls. A token that is given must be good, also where none is needed.
pub(super) async fn authenticate(app: &App, asks: &Asks<'_>, visit: &Visit) -> Result<Caller, ApiError> {
    let principal = principal(app, asks, visit).await?;
    Ok(principal.map_or_else(Caller::anonymous, |principal| caller_of(&principal)))
}

/// The account or key behind the request's token, if it has one. The request counts for its quota, or for that of its
/// address.
pub(super) async fn principal(
    app: &App,
    asks: &Asks<'_>,
    visit: &Visit,
) -> Result<Option<Principal>, ApiError> {
    let principal = behind_token(app, asks.headers).await;
    count(app, asks, principal.as_ref().ok().and_then(Option::as_ref), visit)?;
    principal
}

/// Counts a request for the quota of its account or address.
pub(super) fn count(
    app: &App,
    asks: &Asks<'_>,
    caller: Option<&Principal>,
    visit: &Visit,
) -> Result<(), ApiError> {
    app.limits().count(asks.method, asks.path, caller, visit.address, Some(&visit.quota))
}

async fn behind_token(app: &App, headers: &HeaderMap) -> Result<Option<Principal>, ApiError> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let invalid = || ApiError::from(identity::AuthError::Invalid);
    if values.next().is_some() {
        return Err(invalid());
    }
    let token = value
        .to_str()
        .ok()
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim())
        .ok_or_else(invalid)?;
    Ok(Some(app.identity().authenticate(token).await?))
}

/// Who is named in the audit log for a change: staff and service accounts are.
pub(super) fn actor(caller: &Caller, visit: &Visit) -> Option<Actor> {
    let audited = matches!(caller.kind, CallerKind::Admin | CallerKind::Service);
    audited.then(|| Actor {
        kind: caller.kind.as_str().to_owned(),
        id: caller.subject.clone(),
        address: visit.address.map(|address| address.to_string()),
    })
}

pub(super) fn caller_of(principal: &Principal) -> Caller {
    Caller {
        kind: match principal.kind {
            PrincipalKind::Admin => CallerKind::Admin,
            PrincipalKind::Customer => CallerKind::Customer,
            PrincipalKind::Service => CallerKind::Service,
        },
        subject: Some(principal.id.clone()),
        permissions: principal.permissions.clone(),
        groups: principal.user.as_ref().map(|user| user.groups.clone()).unwrap_or_default(),
        email: principal
            .user
            .as_ref()
            .filter(|_| principal.kind == PrincipalKind::Customer)
            .map(|user| user.email.clone()),
        guest: None,
        new_guest: None,
    }
}

/// Who somebody is by what they know: by the route's parameters, or by the token of a cart.
pub(super) fn guest(route: &Route, request: &HandlerRequest, headers: &HeaderMap) -> Option<String> {
    if !matches!(request.caller.kind, CallerKind::Anonymous | CallerKind::Customer) {
        return None;
    }
    let given = |wanted: &String| {
        let all = request.params.iter().chain(&request.query);
        all.into_iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str())
    };
    let known: Option<Vec<&str>> = route.guest_by.iter().map(given).collect();
    if let Some(known) = known.filter(|known| !known.is_empty()) {
        return Some(guest_of(&known));
    }
    let token = headers.get(CART_TOKEN)?.to_str().ok()?;
    // Shorter ones were never given out, and could be tried.
    (CART_TOKEN_CHARS..=255).contains(&token.len()).then(|| guest_of(&[token]))
}

/// A token for what is made for somebody without an account. Small letters and digits, because letter case is no
/// knowledge.
///
/// # Errors
/// `unavailable`, without random numbers.
pub(super) fn new_guest(route: &Route, caller: &Caller) -> Result<Option<String>, ApiError> {
    if !route.makes_guests || caller.kind != CallerKind::Anonymous {
        return Ok(None);
    }
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|_| ApiError::unavailable())?;
    Ok(Some(blake3::Hash::from(bytes).to_hex().to_string()))
}

/// The token of a guest's cart.
pub(super) const CART_TOKEN: &str = "x-cart-token";
const CART_TOKEN_CHARS: usize = 32;

pub(super) fn check_access(rule: &AccessRule, caller: &Caller) -> Result<(), ApiError> {
    let held = |permission: &String| identity::allows(&caller.permissions, permission);
    // A permission is the staff's flow: a storefront's token never opens it, whatever its holder may.
    let by_permission = match caller.kind {
        CallerKind::Anonymous | CallerKind::Customer => false,
        CallerKind::Admin | CallerKind::Service | CallerKind::System => rule.permissions.iter().any(held),
    };
    let allowed = rule.public || (rule.customer && caller.kind == CallerKind::Customer) || by_permission;
    if allowed {
        return Ok(());
    }
    if caller.kind == CallerKind::Anonymous {
        return Err(unauthenticated());
    }
    Err(forbidden())
}

pub(super) fn unauthenticated() -> ApiError {
    ApiError::new("unauthenticated", "This needs a token: send `Authorization: Bearer …`.")
        .header(header::WWW_AUTHENTICATE, "Bearer")
}

pub(super) fn forbidden() -> ApiError {
    ApiError::new("forbidden", "The caller does not have the permission this needs.")
}
