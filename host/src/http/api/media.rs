//! `/media`: images that staff upload and everybody may see.
//!
//! The address of an image is that of its resource, and answers its bytes. An image never changes, so everybody may keep
//! it for ever; another image is another resource.

pub(super) mod content;
mod form;
mod schemas;

use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderName, HeaderValue, StatusCode, header, request::Parts},
    response::Response,
};
use serde_json::Map;
use store_model::{Refusal, Write};

use self::{
    form::Form,
    schemas::{GoneMedia, Media, MediaForm},
};
use crate::{
    app::App,
    http::{
        access,
        body::{Payload, read},
        dialect,
        error::ApiError,
        front,
        idempotency::{self, Known},
        parameters,
        precondition::{self, Etag},
        visit::Visit,
    },
    plugin::{self, Caller, descriptor::AccessRule},
    store::{Answer, AnswerPlan, CommitError, Content, Transaction, idempotency::IdempotencyKey},
};

const PERMISSION: &str = "products:write";

/// Upload an image
///
/// PNG, JPEG, GIF, WebP or AVIF, told by the content and not by the name; a type that is declared has to be the right one.
/// SVG is refused, because it can hold scripts. The `url` of the answer goes into the `media` of a product. The bytes of
/// an image alone, with its own content type, are taken as well, and have no `alt`.
#[utoipa::path(
    post, path = "/media", operation_id = "createMedia", tag = "media",
    request_body(
        content = inline(MediaForm), content_type = "multipart/form-data", example = json!(MediaForm::example())
    ),
    responses((
        status = 201, description = "The image, and where it is.", body = Media, example = json!(Media::example())
    )),
    security(("bearerAuth" = [])),
    extensions(("x-permissions" = json!(["products:write"])), ("x-versioned" = json!(true)), ("x-codes" = json!([
        "invalid_parameter", "conflict", "idempotency_in_progress", "idempotency_key_reused", "overloaded"
    ]))),
)]
pub(crate) async fn create(State(app): State<App>, request: Request) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let caller = admit(&app, &parts).await?;
    let key = idempotency::given(&app, &parts.headers, "POST /media", b"", &caller)?;
    let _in_flight = key.as_ref().map(|key| app.in_flight().enter(key)).transpose()?;
    let form = form::receive(&app, &parts.headers, body).await?;
    let key = match key.map(|key| key.with_body(&form.fingerprint())) {
        None => None,
        Some(key) => match idempotency::look_up(&app, key).await {
            Ok(Known::New(key)) => Some(key),
            Ok(Known::Answered(answer)) => {
                form.file.discard().await;
                return Ok(respond(&app, answer, true));
            }
            Err(error) => {
                form.file.discard().await;
                return Err(error);
            }
        },
    };
    let Form { file, alt } = form;
    let path = format!("/media/{}", file.id());
    // Absolute where it is known how clients reach this host, so that a shop on another one can show the image.
    let url = format!("{}{}{path}", app.config().server.public_url().unwrap_or_default(), app.api_base());
    let plan = AnswerPlan {
        status: 201,
        headers: vec![("location".to_owned(), path)],
        body: Some(Content::Document { write: 0, overlay: Map::new() }),
        subject: Some(0),
    };
    let writes = file.writes(&url, &alt);
    match commit(&app, &parts, &caller, key, "createMedia", writes, plan).await {
        Ok((answer, replayed)) => {
            if replayed {
                file.discard().await;
            }
            Ok(respond(&app, answer, replayed))
        }
        Err(Uncommitted::Refused(error)) => {
            file.discard().await;
            Err(error)
        }
        // It is not certain that nothing was written. If so, its job takes the file away.
        Err(Uncommitted::Unknown(error)) => Err(error),
    }
}

/// Delete an image
///
/// Refused with `reference_in_use` while a product shows it: while an address in the `media` of a product has its id.
/// Caches that were told to keep it for ever may go on showing it.
#[utoipa::path(
    delete, path = "/media/{id}", operation_id = "deleteMedia", tag = "media",
    params(("id" = String, Path, description = "The id of the image.")),
    responses(
        (status = 200, description = "As 204, for requests with the content type `text/plain`: the id of what is gone.",
            body = inline(GoneMedia), example = json!(GoneMedia::example())),
        (status = 204, description = "The image is gone."),
    ),
    security(("bearerAuth" = [])),
    extensions(("x-permissions" = json!(["products:write"])), ("x-versioned" = json!(true)), ("x-codes" = json!([
        "malformed_json", "payload_too_large", "request_timeout", "conflict", "reference_in_use", "version_conflict",
        "idempotency_in_progress", "idempotency_key_reused"
    ]))),
)]
pub(crate) async fn delete(State(app): State<App>, request: Request) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let caller = admit(&app, &parts).await?;
    let id = id_of(&parts)?;
    precondition::demand(&app, &parts.method, &parts.headers, true)?;
    let expected = precondition::if_match(&parts.headers)?;
    // Nobody looks at it; it is read so that the key covers it.
    let body = read(&app, Payload::Streaming(body)).await?;
    let key = idempotency::given(&app, &parts.headers, &format!("DELETE /media/{id}"), &body, &caller)?;
    let _in_flight = key.as_ref().map(|key| app.in_flight().enter(key)).transpose()?;
    let key = match key {
        None => None,
        Some(key) => match idempotency::look_up(&app, key).await? {
            Known::New(key) => Some(key),
            Known::Answered(answer) => return Ok(respond(&app, deleted(&parts, &body, &id, answer), true)),
        },
    };
    let record = app.media().find(&id).await?.ok_or_else(ApiError::not_found)?;
    if let Some(expected) = expected.filter(|expected| *expected != record.version) {
        return Err(changed(expected, record.version));
    }
    let collections = plugin::active_collections(app.store()).await?;
    if let Some(reference) = app.media().reference(&collections, &id).await? {
        let detail = format!("The document `{}` of `{}` shows it.", reference.id, reference.collection);
        return Err(ApiError::new("reference_in_use", detail)
            .extra("collection", reference.collection)
            .extra("documentId", reference.id));
    }
    let plan = AnswerPlan { status: 204, headers: Vec::new(), body: None, subject: None };
    let writes = app.media().deletion(&record, expected);
    let (answer, replayed) =
        commit(&app, &parts, &caller, key, "deleteMedia", writes, plan).await.map_err(|uncommitted| {
            match uncommitted {
                Uncommitted::Refused(error) | Uncommitted::Unknown(error) => error,
            }
        })?;
    let response = respond(&app, deleted(&parts, &body, &id, answer), replayed);
    tokio::spawn(async move { app.collect_media().await });
    Ok(response)
}

/// The answer to a deletion as the client's dialect has it.
fn deleted(parts: &Parts, body: &[u8], id: &str, mut answer: Answer) -> Answer {
    let told = dialect::deleted(&parts.method, &parts.headers, answer.status, id);
    if let Some(told) = told.filter(|_| body.is_empty()) {
        answer.status = 200;
        answer.body = Some(String::from_utf8_lossy(&told).into_owned());
    }
    answer
}

/// What a change passes before its body is looked at.
async fn admit(app: &App, parts: &Parts) -> Result<Caller, ApiError> {
    front::check_accept(&parts.headers)?;
    let asks = access::Asks { method: &parts.method, path: parts.uri.path(), headers: &parts.headers };
    let caller = access::authenticate(app, &asks, &Visit::of(parts)).await?;
    let rule = AccessRule { public: false, customer: false, permissions: vec![PERMISSION.to_owned()] };
    access::check_access(&rule, &caller)?;
    parameters::none(parts.uri.query())?;
    Ok(caller)
}

fn id_of(parts: &Parts) -> Result<String, ApiError> {
    let raw = parts.uri.path().rsplit('/').next().unwrap_or_default();
    let decoded = parameters::path(vec![("id".to_owned(), raw.to_owned())])?;
    Ok(decoded.into_iter().next().map(|(_, id)| id).unwrap_or_default())
}

/// Why nothing is answered as done.
enum Uncommitted {
    /// Nothing was written.
    Refused(ApiError),
    /// It is not certain whether something was written.
    Unknown(ApiError),
}

/// Commits a change with its audit entry and its idempotency record. Answers what is to be sent, and whether that is
/// the answer of another request with the same key, which was first.
async fn commit(
    app: &App,
    parts: &Parts,
    caller: &Caller,
    key: Option<IdempotencyKey>,
    operation_id: &str,
    writes: Vec<Write>,
    plan: AnswerPlan,
) -> Result<(Answer, bool), Uncommitted> {
    let visit = Visit::of(parts);
    let actor = access::actor(caller, &visit);
    let transaction = Transaction::new(key.clone(), actor, operation_id, &*visit.request_id);
    let committed = transaction.commit(app.store(), writes, Vec::new(), Some(plan)).await;
    let settled = transaction.settle().await;
    match (committed, key) {
        (Ok(_), _) => settled.answer.map(|answer| (answer, false)).ok_or_else(|| {
            Uncommitted::Unknown(ApiError::new("internal", "The request could not be answered."))
        }),
        (Err(CommitError::Refused(_)), Some(key)) if settled.superseded => {
            match idempotency::look_up(app, key).await {
                Ok(Known::Answered(answer)) => Ok((answer, true)),
                Ok(Known::New(_)) => {
                    Err(Uncommitted::Refused(ApiError::new("conflict", "The request met another one.")))
                }
                Err(error) => Err(Uncommitted::Refused(error)),
            }
        }
        (Err(CommitError::Refused(refused)), _) => Err(Uncommitted::Refused(match refused.reason {
            Refusal::NotFound if refused.write == 0 => ApiError::not_found(),
            Refusal::Version { expected, current } if refused.write == 0 => changed(expected, current),
            _ => CommitError::Refused(refused).into(),
        })),
        (Err(error), _) => Err(Uncommitted::Unknown(error.into())),
    }
}

fn changed(expected: u64, current: u64) -> ApiError {
    ApiError::new("version_conflict", "The resource has changed since it was read.")
        .extra("expected", expected)
        .extra("current", current)
}

fn respond(app: &App, answer: Answer, replayed: bool) -> Response {
    let body = answer.body.unwrap_or_default();
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    if !body.is_empty() {
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let etag = Etag::of(answer.version, body.as_bytes());
        set(&mut response, header::ETAG, etag.as_str());
    }
    for (name, value) in answer.headers {
        // A location is kept without the API base, as those of plugins are.
        let value = if name == "location" { format!("{}{value}", app.api_base()) } else { value };
        if let Ok(name) = HeaderName::from_bytes(name.as_bytes()) {
            set(&mut response, name, &value);
        }
    }
    if replayed {
        set(&mut response, HeaderName::from_static("idempotent-replayed"), "true");
    }
    *response.body_mut() = Body::from(body);
    response
}

fn set(response: &mut Response, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}
