//! From a request below the API base to a plugin's handler and back.
//!
//! Everything a plugin must not be trusted with happens here, before a guest runs: authentication, the access rule,
//! parameters, the body's schema, idempotency. After it: `ETag`, paging headers, 304.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    response::Response,
};
use bytes::Bytes;
use percent_encoding::percent_decode_str;

use super::{
    error::{ApiError, FieldProblem},
    idempotency::{self, InFlight},
    json, list_query,
    precondition::{self, Etag},
};
use crate::{
    app::App,
    identity::{self, AccountKind, Audience, Principal},
    plugin::{
        Caller, CallerKind, Generation, Handled, HandlerRequest, HandlerResponse, ListRequest, Lookup,
        RouteEntry, descriptor::AccessRule,
    },
    store::{Actor, Answer, Transaction},
};

/// A request below the API base.
pub(crate) struct ApiCall {
    pub(crate) method: Method,
    /// Such as `/products/prod_1`, still percent-encoded.
    pub(crate) path: String,
    pub(crate) query: Option<String>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Payload,
    pub(crate) request_id: Arc<str>,
    /// Set for the host's own calls; otherwise the `Authorization` header tells.
    pub(crate) caller: Option<Caller>,
}

/// A body that is read only when the route wants one.
pub(crate) enum Payload {
    Ready(Bytes),
    Streaming(Body),
}

/// Answers a request with the plugins of the current generation.
///
/// # Errors
/// The problem to answer.
pub(crate) async fn dispatch(app: &App, call: ApiCall) -> Result<Response, ApiError> {
    let generation = app.plugins().current();
    let (entry, params) = find_route(&generation, &call)?;
    let caller = match &call.caller {
        Some(caller) => caller.clone(),
        None => authenticate(app, &call.headers).await?,
    };
    check_access(&entry.route.access, &caller)?;
    let params = decode_params(params)?;
    let (list, query) = parse_query(&entry, call.query.as_deref())?;
    let headers = declared_headers(&entry, &call.headers)?;
    let if_match = precondition::if_match(&call.headers)?;
    let body = checked_body(app, &entry, &call.headers, call.body).await?;
    let request = HandlerRequest { params, query, headers, body: body.checked, list, caller, if_match };
    let full_path = match &call.query {
        Some(query) => format!("{}?{query}", call.path),
        None => call.path.clone(),
    };
    let answered =
        answer(app, &entry, &call.headers, &full_path, &body.original, request, &call.request_id).await?;
    respond(app, &entry, &call.headers, &full_path, answered)
}

fn find_route(
    generation: &Generation,
    call: &ApiCall,
) -> Result<(Arc<RouteEntry>, Vec<(String, String)>), ApiError> {
    // A HEAD is the GET without its body, which the server leaves out.
    let method = if call.method == Method::HEAD { "GET" } else { call.method.as_str() };
    match generation.lookup(method, &call.path) {
        Lookup::Found { entry, params } => Ok((entry, params)),
        Lookup::NotFound => Err(ApiError::not_found()),
        Lookup::MethodNotAllowed(methods) => {
            Err(ApiError::new("method_not_allowed", "The path does not answer this method.")
                .header(header::ALLOW, &methods.join(", ")))
        }
    }
}

/// Who calls. A token that is given must be good, also where none is needed.
async fn authenticate(app: &App, headers: &HeaderMap) -> Result<Caller, ApiError> {
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

fn caller_of(principal: Principal) -> Caller {
    let kind = match principal.kind {
        AccountKind::Admin => CallerKind::Admin,
        AccountKind::Customer => CallerKind::Customer,
    };
    Caller { kind, subject: Some(principal.id), permissions: principal.permissions }
}

fn check_access(rule: &AccessRule, caller: &Caller) -> Result<(), ApiError> {
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

fn decode_params(params: Vec<(String, String)>) -> Result<Vec<(String, String)>, ApiError> {
    params
        .into_iter()
        .map(|(name, value)| {
            let decoded = percent_decode_str(&value)
                .decode_utf8()
                .map_err(|_| ApiError::parameter("invalid_parameter", &name, "The path is not UTF-8."))?;
            // Nothing that exists has such a name.
            if decoded.is_empty() || decoded.len() > 255 || decoded.chars().any(char::is_control) {
                return Err(ApiError::not_found());
            }
            Ok((name, decoded.into_owned()))
        })
        .collect()
}

type Query = (Option<ListRequest>, Vec<(String, String)>);

fn parse_query(entry: &RouteEntry, query: Option<&str>) -> Result<Query, ApiError> {
    let parameters = query.map(decode_query).transpose()?.unwrap_or_default();
    let (list, rest) = match &entry.route.list {
        Some(declaration) => {
            let fields = list_query::ListFields { declaration, kinds: &entry.list_fields };
            let (list, rest) = list_query::parse(parameters, &fields)?;
            (Some(list), rest)
        }
        None => (None, parameters),
    };
    for (position, (name, value)) in rest.iter().enumerate() {
        let Some(check) = entry.query.iter().find(|check| check.name == *name) else {
            return Err(ApiError::parameter("unknown_parameter", name, "There is no such parameter."));
        };
        if rest[..position].iter().any(|(earlier, _)| earlier == name) {
            return Err(ApiError::parameter("invalid_parameter", name, "The parameter is given twice."));
        }
        if let Some(message) = check.violation(value) {
            return Err(ApiError::parameter("invalid_parameter", name, message));
        }
    }
    if let Some(missing) =
        entry.query.iter().find(|check| check.required && !rest.iter().any(|(name, _)| *name == check.name))
    {
        return Err(ApiError::parameter("invalid_parameter", &missing.name, "The parameter is required."));
    }
    Ok((list, rest))
}

/// Most parameters of a query string.
const PARAMETERS: usize = 200;

fn decode_query(query: &str) -> Result<Vec<(String, String)>, ApiError> {
    let pairs: Vec<&str> = query.split('&').filter(|pair| !pair.is_empty()).collect();
    if pairs.len() > PARAMETERS {
        return Err(ApiError::new("invalid_parameter", format!("At most {PARAMETERS} parameters.")));
    }
    pairs
        .into_iter()
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let decode = |text: &str| {
                let spaced = text.replace('+', " ");
                let decoded = percent_decode_str(&spaced).decode_utf8().map(|text| text.into_owned());
                decoded.map_err(|_| ApiError::new("invalid_parameter", "The query string is not UTF-8."))
            };
            Ok((decode(name)?, decode(value)?))
        })
        .collect()
}

fn declared_headers(entry: &RouteEntry, headers: &HeaderMap) -> Result<Vec<(String, String)>, ApiError> {
    let mut declared = Vec::new();
    for check in &entry.headers {
        let name = check.name.to_ascii_lowercase();
        let Some(value) = headers.get(&name) else {
            if check.required {
                return Err(ApiError::parameter("invalid_parameter", &check.name, "The header is required."));
            }
            continue;
        };
        let invalid = |message: String| ApiError::parameter("invalid_parameter", &check.name, message);
        let value = value.to_str().map_err(|_| invalid("The header is not text.".to_owned()))?;
        if let Some(message) = check.violation(value) {
            return Err(invalid(message));
        }
        declared.push((name, value.to_owned()));
    }
    Ok(declared)
}

/// A body as it came and as the guest gets it.
struct CheckedBody {
    original: Bytes,
    checked: Vec<u8>,
}

async fn checked_body(
    app: &App,
    entry: &RouteEntry,
    headers: &HeaderMap,
    payload: Payload,
) -> Result<CheckedBody, ApiError> {
    let Some(check) = &entry.body else {
        // Nobody looks at it, so it may be of any type; it is read so that an idempotency key covers it.
        let original = match (&entry.route.method[..], payload) {
            ("GET", _) => Bytes::new(),
            (_, payload) => read(app, payload).await?,
        };
        return Ok(CheckedBody { original, checked: Vec::new() });
    };
    check_content_type(headers, &check.media_type)?;
    let original = read(app, payload).await?;
    let mut value = json::parse(&original)?;
    let stripped = check.strip_read_only(&mut value);
    let violations = check.violations(&value);
    if !violations.is_empty() {
        let unknown = violations.iter().any(|violation| violation.code == "unknown_field");
        let code = if unknown { "unknown_field" } else { "validation_failed" };
        let fields = violations
            .into_iter()
            .map(|violation| FieldProblem {
                pointer: violation.pointer,
                code: violation.code.to_owned(),
                message: violation.message,
            })
            .collect();
        return Err(ApiError::new(code, "The request does not fit the schema.").fields(fields));
    }
    let checked = if stripped { value.to_string().into_bytes() } else { original.to_vec() };
    Ok(CheckedBody { original, checked })
}

fn check_content_type(headers: &HeaderMap, wanted: &str) -> Result<(), ApiError> {
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if essence == "application/json" || essence == wanted {
        return Ok(());
    }
    Err(ApiError::new("unsupported_media_type", format!("Send the body as `{wanted}`.")))
}

/// Reads a body within the configured size and time.
pub(super) async fn read(app: &App, payload: Payload) -> Result<Bytes, ApiError> {
    let config = &app.config().server;
    let body = match payload {
        Payload::Ready(bytes) => return Ok(bytes),
        Payload::Streaming(body) => body,
    };
    let limited = http_body_util::Limited::new(body, config.max_body_bytes);
    let collected = http_body_util::BodyExt::collect(limited);
    match tokio::time::timeout(Duration::from_millis(config.body_timeout_ms), collected).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => Err(ApiError::new(
            "payload_too_large",
            format!("The body has more than {} bytes.", config.max_body_bytes),
        )),
        Ok(Err(_)) => Err(ApiError::new("malformed_json", "The body did not arrive whole.")),
        Err(_elapsed) => Err(ApiError::new("request_timeout", "The body took too long to arrive.")),
    }
}

/// An answer with what the response needs to know about it.
struct Answered {
    response: HandlerResponse,
    list: Option<ListRequest>,
    anonymous: bool,
    replayed: bool,
}

async fn answer(
    app: &App,
    entry: &RouteEntry,
    headers: &HeaderMap,
    full_path: &str,
    original_body: &[u8],
    request: HandlerRequest,
    request_id: &Arc<str>,
) -> Result<Answered, ApiError> {
    let list = request.list.clone();
    let anonymous = request.caller.kind == CallerKind::Anonymous;
    let shape = |response: HandlerResponse, replayed: bool| Answered {
        response,
        list: list.clone(),
        anonymous,
        replayed,
    };
    let key = idempotency::key(app, entry, headers, full_path, original_body, &request.caller)?;
    let _in_flight: Option<InFlight> = match &key {
        Some(key) => Some(app.in_flight().enter(key)?),
        None => None,
    };
    let key = match key {
        Some(key) => match idempotency::look_up(app, key).await? {
            idempotency::Known::New(key) => Some(key),
            idempotency::Known::Answered(answer) => return Ok(shape(answer.into(), true)),
        },
        None => None,
    };
    let transaction = Transaction::new(
        key.clone(),
        audited(entry, &request.caller),
        &entry.route.operation_id,
        &**request_id,
    );
    let handled =
        app.runtime().handle(&entry.plugin, &entry.route, request, &transaction, request_id).await?;
    match handled {
        Handled::Response(response) => {
            if key.is_some() {
                let answer = Answer {
                    status: response.status,
                    headers: response.headers.clone(),
                    body: (!response.body.is_empty())
                        .then(|| String::from_utf8_lossy(&response.body).into_owned()),
                    version: response.version,
                };
                transaction.record_answer(app.store(), &answer).await?;
            }
            Ok(shape(response, false))
        }
        Handled::Problem(problem) => Err(problem.into()),
        Handled::Superseded => match key {
            Some(key) => match idempotency::look_up(app, key).await? {
                idempotency::Known::Answered(answer) => Ok(shape(answer.into(), true)),
                idempotency::Known::New(_) => Err(ApiError::new("conflict", "The request met another one.")),
            },
            None => Err(ApiError::new("conflict", "The request met another one.")),
        },
        Handled::Committed => Err(ApiError::new("internal", "The request could not be answered.")),
    }
}

/// Staff and service accounts' changes are audited.
fn audited(entry: &RouteEntry, caller: &Caller) -> Option<Actor> {
    let audits =
        matches!(caller.kind, CallerKind::Admin | CallerKind::Service) && entry.route.method != "GET";
    audits.then(|| Actor { kind: caller.kind.as_str().to_owned(), id: caller.subject.clone() })
}

fn respond(
    app: &App,
    entry: &RouteEntry,
    request_headers: &HeaderMap,
    full_path: &str,
    answered: Answered,
) -> Result<Response, ApiError> {
    let Answered { response, list, anonymous, replayed } = answered;
    let mut headers = HeaderMap::new();
    for (name, value) in &response.headers {
        // A location of a plugin's is below the API base.
        let value = if name == "location" && value.starts_with('/') {
            format!("{}{value}", app.api_base())
        } else {
            value.clone()
        };
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(&value))
        {
            headers.insert(name, value);
        }
    }
    let etag = Etag::of(response.version, &response.body);
    let reads = entry.route.method == "GET";
    if !response.body.is_empty() {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        set(&mut headers, header::ETAG, etag.as_str());
    }
    if let (Some(list), Some(page)) = (&list, &response.page) {
        paging_headers(&mut headers, entry, app, full_path, list, page, &response.body);
    }
    if reads {
        let cache =
            if anonymous && entry.route.access.public { "public, no-cache" } else { "private, no-cache" };
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
        headers.insert(header::VARY, HeaderValue::from_static("authorization"));
    }
    if replayed {
        headers.insert("idempotent-replayed", HeaderValue::from_static("true"));
    }
    let unchanged = reads && precondition::none_match(request_headers, &etag);
    let status = StatusCode::from_u16(response.status).unwrap_or(StatusCode::OK);
    let mut answer = Response::new(if unchanged { Body::empty() } else { Body::from(response.body) });
    *answer.status_mut() = if unchanged { StatusCode::NOT_MODIFIED } else { status };
    if unchanged {
        headers.remove(header::CONTENT_TYPE);
    }
    *answer.headers_mut() = headers;
    Ok(answer)
}

fn paging_headers(
    headers: &mut HeaderMap,
    entry: &RouteEntry,
    app: &App,
    full_path: &str,
    list: &ListRequest,
    page: &crate::plugin::PagePosition,
    body: &[u8],
) {
    let resource = entry.route.path.trim_start_matches('/').split('/').next().unwrap_or_default();
    if let Some(total) = page.total {
        set(headers, HeaderName::from_static("x-total-count"), &total.to_string());
    }
    if list.cursor.is_none() {
        let count = serde_json::from_slice::<Vec<serde::de::IgnoredAny>>(body).map_or(0, |items| items.len());
        let total = page.total.map_or_else(|| "*".to_owned(), |total| total.to_string());
        let range = match count {
            0 => format!("{resource} */{total}"),
            count => format!("{resource} {}-{}/{total}", list.offset, list.offset as usize + count - 1),
        };
        set(headers, header::CONTENT_RANGE, &range);
    }
    if let Some(next) = &page.next {
        set(headers, HeaderName::from_static("x-next-cursor"), next);
        let (path, query) = full_path.split_once('?').unwrap_or((full_path, ""));
        let kept: Vec<&str> = query
            .split('&')
            .filter(|pair| {
                let name = pair.split('=').next().unwrap_or_default();
                !pair.is_empty() && name != "cursor" && name != "offset"
            })
            .collect();
        let kept = kept.iter().map(|pair| format!("{pair}&")).collect::<String>();
        set(headers, header::LINK, &format!("<{}{path}?{kept}cursor={next}>; rel=\"next\"", app.api_base()));
    }
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}
