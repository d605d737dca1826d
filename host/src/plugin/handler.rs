//! What a handler is asked and what it may answer.
//!
//! The request has passed the host's checks and becomes the guest's here. The reply is untrusted: its status, its size,
//! its JSON, its headers and its problem code are checked before anything is made of them.

use serde::de::IgnoredAny;
use serde_json::{Map, Value};
use store_model::{Direction, Filter, SortKey};

use super::{
    bindings::exports::wares::http::handler as guest,
    call::LoadedPlugin,
    descriptor::Route,
    imports::filter_to_guest,
    instance::Caller,
    outcome::{CallError, Failure},
};
use crate::{codes, store::Answer};

/// A request for a handler, after the host's checks. Not `Debug`: it may hold a hash.
#[derive(Clone)]
pub struct HandlerRequest {
    pub params: Vec<(String, String)>,
    pub query: Vec<(String, String)>,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub list: Option<ListRequest>,
    pub caller: Caller,
    pub if_match: Option<u64>,
    /// The hash of the password that was in the body.
    pub password_hash: Option<String>,
}

/// A list query, parsed and checked.
#[derive(Debug, Clone, PartialEq)]
pub struct ListRequest {
    pub filter: Option<Filter>,
    pub text: Option<String>,
    pub sort: Vec<SortKey>,
    pub limit: u32,
    pub cursor: Option<String>,
    pub offset: u32,
    pub count: bool,
}

/// What a call answered.
#[derive(Debug, Clone, PartialEq)]
pub enum Handled {
    Response(HandlerResponse),
    Problem(HandlerProblem),
    /// Another request with the same idempotency key was first; its answer counts.
    Superseded,
    /// The answer went with the last commit. Only between a run and its caller.
    Committed,
}

#[derive(Debug, Clone, PartialEq)]
pub struct HandlerResponse {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub version: Option<u64>,
    pub page: Option<PagePosition>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PagePosition {
    pub next: Option<String>,
    pub total: Option<u64>,
    /// How many items the page has.
    pub items: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub struct HandlerProblem {
    pub status: u16,
    pub code: String,
    pub detail: Option<String>,
    pub errors: Vec<(String, String, String)>,
    pub extras: Map<String, Value>,
}

impl From<Answer> for HandlerResponse {
    fn from(answer: Answer) -> Self {
        Self {
            status: answer.status,
            headers: answer.headers,
            body: answer.body.unwrap_or_default().into_bytes(),
            version: answer.version,
            page: None,
        }
    }
}

pub(super) fn to_guest(
    plugin: &LoadedPlugin,
    route: &Route,
    request: &HandlerRequest,
    key: Option<&str>,
) -> guest::Request {
    let caller = &request.caller;
    let attr = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let groups = caller.groups.iter().map(|group| attr("group", group));
    let guest_id = caller.guest.iter().map(|guest| attr("guest", guest));
    let email = caller.email.iter().map(|email| attr("email", email));
    let new_guest = caller.new_guest.iter().map(|token| attr("new-guest", token));
    let key = key.map(|key| attr("request-key", key));
    guest::Request {
        operation_id: route.operation_id.clone(),
        params: request.params.clone(),
        query: request.query.clone(),
        headers: request.headers.clone(),
        body: request.body.clone(),
        list: request.list.as_ref().map(|list| guest::ListQuery {
            filter: list.filter.clone().map(filter_to_guest),
            text: list.text.clone(),
            sort: list
                .sort
                .iter()
                .map(|key| guest::SortKey {
                    path: key.path.clone(),
                    descending: key.direction == Direction::Descending,
                })
                .collect(),
            limit: list.limit,
            cursor: list.cursor.clone(),
            offset: list.offset,
            count: list.count,
        }),
        caller: guest::Caller {
            kind: request.caller.kind.as_str().to_owned(),
            subject: request.caller.subject.clone(),
            permissions: request.caller.permissions.clone(),
            attrs: groups.chain(email).chain(guest_id).chain(new_guest).chain(key).collect(),
        },
        if_match: request.if_match,
        config: plugin.config.clone(),
    }
}

/// Checks what the guest answered: it is untrusted.
pub(super) fn check_reply(
    plugin: &LoadedPlugin,
    route: &Route,
    reply: Result<guest::Reply, guest::Problem>,
    denied: bool,
) -> Result<Handled, CallError> {
    let output = |cause: String| CallError::new(Failure::Output, cause);
    match reply {
        Ok(guest::Reply::Committed) => Ok(Handled::Committed),
        Ok(guest::Reply::Response(response)) => {
            if !route.responses.iter().any(|declared| declared.status == response.status) {
                return Err(output(format!("status {} is not declared", response.status)));
            }
            if response.body.len() > plugin.limits.response_bytes {
                return Err(output(format!("a body of {} bytes", response.body.len())));
            }
            if response.status == 204 && !response.body.is_empty() {
                return Err(output("a body with the status 204".to_owned()));
            }
            let mut items = 0;
            if response.page.is_some() {
                let page: Vec<IgnoredAny> = serde_json::from_slice(&response.body)
                    .map_err(|error| output(format!("the page is not a JSON array: {error}")))?;
                items = page.len();
            } else if !response.body.is_empty() {
                serde_json::from_slice::<IgnoredAny>(&response.body)
                    .map_err(|error| output(format!("the body is not JSON: {error}")))?;
            }
            check_headers(&response.headers).map_err(output)?;
            if let Some(next) = response.page.as_ref().and_then(|page| page.next.as_deref()) {
                check_cursor(next).map_err(output)?;
            }
            Ok(Handled::Response(HandlerResponse {
                status: response.status,
                headers: response.headers,
                body: response.body,
                version: response.version,
                page: response.page.map(|page| PagePosition { next: page.next, total: page.total, items }),
            }))
        }
        Err(problem) => {
            if denied && problem.code == "plugin_failed" {
                return Err(CallError::new(Failure::Denied, problem.detail.unwrap_or_default()));
            }
            if problem_bytes(&problem) > plugin.limits.response_bytes {
                return Err(output("a problem larger than the plugin's limit".to_owned()));
            }
            check_problem(route, problem).map(Handled::Problem).map_err(output)
        }
    }
}

const FIELD_ERRORS: usize = 100;

fn check_problem(route: &Route, problem: guest::Problem) -> Result<HandlerProblem, String> {
    let known = codes::code(&problem.code).filter(|code| code.status == problem.status);
    if known.is_none() || !route.problem_codes().contains(problem.code.as_str()) {
        return Err(format!("the problem `{}` with status {} is not declared", problem.code, problem.status));
    }
    let extras = match problem.extras {
        Some(bytes) => serde_json::from_slice(&bytes)
            .map_err(|error| format!("the extras are not an object: {error}"))?,
        None => Map::new(),
    };
    let errors = problem
        .errors
        .into_iter()
        .take(FIELD_ERRORS)
        .map(|error| (error.pointer, error.code, error.message))
        .collect();
    Ok(HandlerProblem { status: problem.status, code: problem.code, detail: problem.detail, errors, extras })
}

fn problem_bytes(problem: &guest::Problem) -> usize {
    let errors = problem.errors.iter().map(|it| it.pointer.len() + it.code.len() + it.message.len());
    problem.detail.as_ref().map_or(0, String::len)
        + problem.extras.as_ref().map_or(0, Vec::len)
        + errors.sum::<usize>()
}

/// A cursor becomes a header and part of a link in another.
fn check_cursor(cursor: &str) -> Result<(), String> {
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~=+/:".contains(&byte);
    if cursor.len() > 2_048 || !cursor.bytes().all(fine) {
        return Err("a cursor that cannot be in a header".to_owned());
    }
    Ok(())
}

/// Until when an answer holds, for the host alone: it is not sent.
pub(crate) const VALID_UNTIL: &str = "valid-until";

/// Headers a plugin may set: `location`, `valid-until` and its own `x-` headers. The rest belongs to the host.
pub(super) fn check_headers(headers: &[(String, String)]) -> Result<(), String> {
    const OWN: &[&str] = &["x-request-id", "x-total-count", "x-next-cursor", "x-cache"];
    if headers.len() > 16 {
        return Err(format!("{} headers", headers.len()));
    }
    for (name, value) in headers {
        let token =
            name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        let allowed = name == "location"
            || name == VALID_UNTIL
            || (name.starts_with("x-") && !OWN.contains(&name.as_str()));
        if !token || !allowed || name.len() > 60 {
            return Err("a header that belongs to the host or has an invalid name".to_owned());
        }
        if value.len() > 2_048 || !value.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
            return Err(format!("the header `{name}` has an invalid value"));
        }
    }
    Ok(())
}
