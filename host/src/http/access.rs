//! Who calls, and whether they may.

use axum::http::{HeaderMap, header};

use super::error::ApiError;
use crate::{
    app::App,
    identity::{self, AccountKind, Audience, Principal},
    plugin::{Caller, CallerKind, descriptor::AccessRule},
    store::Actor,
};

/// Who calls. A token that is given must be good, also where none is needed.
pub(super) async fn authenticate(app: &App, headers: &HeaderMap) -> Result<Caller, ApiError> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(Caller::anonymous()) };
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
    // The storefront's flow comes with customers' accounts; until then every token is for staff.
    let principal = app.identity().authenticate(token, Audience::Admin).await?;
    Ok(caller_of(principal))
}

/// Who is named in the audit log for a change: staff and service accounts are.
pub(super) fn actor(caller: &Caller) -> Option<Actor> {
    let audited = matches!(caller.kind, CallerKind::Admin | CallerKind::Service);
    audited.then(|| Actor { kind: caller.kind.as_str().to_owned(), id: caller.subject.clone() })
}

fn caller_of(principal: Principal) -> Caller {
    let kind = match principal.kind {
        AccountKind::Admin => CallerKind::Admin,
        AccountKind::Customer => CallerKind::Customer,
    };
    Caller { kind, subject: Some(principal.id), permissions: principal.permissions }
}

pub(super) fn check_access(rule: &AccessRule, caller: &Caller) -> Result<(), ApiError> {
    let held = |permission: &String| identity::allows(&caller.permissions, permission);
    let allowed = rule.public
        || (rule.customer && caller.kind == CallerKind::Customer)
        || (caller.kind != CallerKind::Anonymous && rule.permissions.iter().any(held));
    if allowed {
        return Ok(());
    }
    if caller.kind == CallerKind::Anonymous {
        return Err(ApiError::new("unauthenticated", "This needs a token: send `Authorization: Bearer …`.")
            .header(header::WWW_AUTHENTICATE, "Bearer"));
    }
    Err(ApiError::new("forbidden", "The caller does not have the permission this needs."))
}
