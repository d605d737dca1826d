//! From a request below the API base to a plugin's handler and back.
//!
//! Everything a plugin must not be trusted with happens here, before a guest runs: authentication, the access rule,
//! parameters, the body's schema, idempotency. After it: `ETag`, paging headers, 304.

use std::sync::Arc;

use axum::{
    http::{HeaderMap, Method, StatusCode, header},
    response::Response,
};

use super::{
    access,
    body::{self, CheckedBody, Payload, Secret},
    dialect,
    error::ApiError,
    front,
    idempotency::{self, InFlight},
    parameters, precondition,
    respond::{Answered, respond},
    visit::Visit,
};
use crate::{
    app::App,
    plugin::{
        Caller, CallerKind, Generation, Handled, HandlerRequest, HandlerResponse, Lookup, RouteEntry,
        descriptor::RAW,
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
    pub(crate) visit: Visit,
    /// Set for the host's own calls; otherwise the `Authorization` header tells.
    pub(crate) caller: Option<Caller>,
}

/// Answers a request with the plugins of the current generation.
///
/// # Errors
/// The problem to answer.
pub(crate) async fn dispatch(app: &App, call: ApiCall) -> Result<Response, ApiError> {
    let generation = app.plugins().current();
    let (entry, params) = find_route(&generation, &call)?;
    front::check_accept(&call.headers)?;
    let caller = match &call.caller {
        Some(caller) => caller.clone(),
        None => {
            let asks = access::Asks { method: &call.method, path: &call.path, headers: &call.headers };
            access::authenticate(app, &asks, &call.visit).await?
        }
    };
    access::check_access(&entry.route.access, &caller)?;
    idempotency::check_given(&entry, &call.headers, &caller)?;
    let params = parameters::path(params)?;
    let query = parameters::query(&entry, call.query.as_deref())?;
    let headers = match entry.body.as_ref().is_some_and(|body| body.media_type == RAW) {
        true => parameters::all_headers(&call.headers),
        false => parameters::headers(&entry, &call.headers)?,
    };
    let by_staff = matches!(caller.kind, CallerKind::Admin | CallerKind::Service);
    precondition::demand(app, &call.method, &call.headers, by_staff)?;
    let if_match = precondition::if_match(&call.headers)?;
    let by_host = caller.kind == CallerKind::System;
    let mut body = body::checked(app, &entry, &call.headers, call.body, by_host).await?;
    let subject = params.last().map(|(_, value)| value.clone()).unwrap_or_default();
    let mut request = HandlerRequest {
        params,
        query: query.own,
        headers,
        body: std::mem::take(&mut body.checked),
        list: query.list,
        caller,
        if_match,
        password_hash: None,
    };
    request.caller.guest = access::guest(&entry.route, &request, &call.headers);
    request.caller.new_guest = access::new_guest(&entry.route, &request.caller)?;
    let full_path = match &call.query {
        Some(query) => format!("{}?{query}", call.path),
        None => call.path.clone(),
    };
    let is_empty = body.original.is_empty();
    let mut answered =
        answer(app, &generation, &entry, &call.headers, &full_path, body, request, &call.visit).await?;
    if let Some(shaped) = query.fields.and_then(|fields| fields.of(&answered.response.body)) {
        answered.response.body = shaped;
    }
    let status = answered.response.status;
    if is_empty && let Some(body) = dialect::deleted(&call.method, &call.headers, status, &subject) {
        answered.response.status = 200;
        answered.response.body = body;
    }
    Ok(respond(app, &entry, &call.headers, &full_path, answered))
}

/// Names and values, still percent-encoded.
type PathParams = Vec<(String, String)>;

fn find_route(generation: &Generation, call: &ApiCall) -> Result<(Arc<RouteEntry>, PathParams), ApiError> {
    // A HEAD is the GET without its body, which the server leaves out.
    let method = if call.method == Method::HEAD { "GET" } else { call.method.as_str() };
    match generation.lookup(method, &call.path) {
        Lookup::Found { entry, params } => Ok((entry, params)),
        Lookup::NotFound => Err(ApiError::not_found()),
        Lookup::MethodNotAllowed(mut methods) => {
            if methods.iter().any(|method| method == "GET") {
                methods.push("HEAD".to_owned());
            }
            Err(ApiError::new("method_not_allowed", "The path does not answer this method.")
                .header(header::ALLOW, &methods.join(", ")))
        }
    }
}

#[expect(clippy::too_many_arguments, reason = "what a request is made of")]
async fn answer(
    app: &App,
    generation: &Arc<Generation>,
    entry: &RouteEntry,
    headers: &HeaderMap,
    full_path: &str,
    body: CheckedBody,
    mut request: HandlerRequest,
    visit: &Visit,
) -> Result<Answered, ApiError> {
    let request_id = &visit.request_id;
    let list = request.list.clone();
    let anonymous = request.caller.kind == CallerKind::Anonymous;
    let shape = |response: HandlerResponse, replayed: bool| Answered {
        response,
        list: list.clone(),
        anonymous,
        replayed,
    };
    let replay = |answer: Answer| match answer.body {
        Some(document) if answer.status >= 400 => Err(ApiError::replayed(&document)),
        _ => Ok(shape(answer.into(), true)),
    };
    let key = idempotency::key(app, entry, headers, full_path, &body.original, &request.caller)?;
    let _in_flight: Option<InFlight> = match &key {
        Some(key) => Some(app.in_flight().enter(key)?),
        None => None,
    };
    let key = match key {
        Some(key) => match idempotency::look_up(app, key).await? {
            idempotency::Known::New(key) => Some(key),
            idempotency::Known::Answered(answer) => return replay(answer),
        },
        None => None,
    };
    // Before any capacity of plugins is taken, so that hashing keeps nobody else from it.
    request.password_hash = match body.secret {
        Some(Secret::Password(password)) => Some(app.identity().password_hash(password).await?),
        Some(Secret::Hash(hash)) => Some(app.identity().password_hash_imported(hash)?),
        None => None,
    };
    let transaction = Transaction::new(
        key.clone(),
        audited(entry, &request.caller, visit),
        &entry.route.operation_id,
        &**request_id,
    );
    let handled = app
        .runtime()
        .handle(generation, &entry.plugin, &entry.route, request, &transaction, request_id)
        .await?;
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
        Handled::Problem(problem) => {
            let error = ApiError::from(problem);
            if error.status() == StatusCode::SERVICE_UNAVAILABLE {
                // A repeat goes on from what was written, and does not get this answer for a day.
                transaction.abandon(app.store()).await;
                return Err(error);
            }
            // Only if an earlier commit of the request left its record running: what wrote nothing is not stored.
            let (status, document) = error.clone().into_document(full_path, request_id);
            let answer =
                Answer { status, headers: Vec::new(), body: Some(document.to_string()), version: None };
            transaction.record_answer(app.store(), &answer).await?;
            Err(error)
        }
        Handled::Superseded => match key {
            Some(key) => match idempotency::look_up(app, key).await? {
                idempotency::Known::Answered(answer) => replay(answer),
                idempotency::Known::New(_) => Err(ApiError::new("conflict", "The request met another one.")),
            },
            None => Err(ApiError::new("conflict", "The request met another one.")),
        },
        Handled::Committed => Err(ApiError::new("internal", "The request could not be answered.")),
    }
}

/// Staff and service accounts' changes are audited.
fn audited(entry: &RouteEntry, caller: &Caller, visit: &Visit) -> Option<Actor> {
    if entry.route.method == "GET" {
        return None;
    }
    // What a command of the host's own changes of accounts is audited, too.
    let by_host = caller.kind == CallerKind::System && entry.plugin.grants.may_identity();
    let system = || Actor { kind: caller.kind.as_str().to_owned(), id: None, address: None };
    if by_host { Some(system()) } else { access::actor(caller, visit) }
}
