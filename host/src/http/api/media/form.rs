//! The body of `POST /media`: a form with the parts `file` and `alt`, or an image as it is.
//!
//! It goes to the storage as it comes. What is in memory is bounded by what `Upload` keeps, a part's header and an `alt`.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{
    body::{Body, BodyDataStream},
    http::{HeaderMap, header},
};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use multer::{Field, Multipart};

use crate::{
    app::App,
    chain::chain,
    http::error::ApiError,
    media::{StoredFile, Upload, UploadError},
};

/// Longest `alt`, as in the media of a product.
const ALT_CHARS: usize = 500;
/// What a form has besides its file, and most bytes that may come without being a part's content.
const MARGIN_BYTES: usize = 256 * 1024;

/// What was sent, with the file on disk.
pub(super) struct Form {
    pub(super) file: StoredFile,
    pub(super) alt: String,
}

impl Form {
    /// A hash of what was sent. A repeat has another boundary, so it is not one of the bytes.
    pub(super) fn fingerprint(&self) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new();
        hasher.update(self.file.blake3().as_bytes());
        hasher.update(self.alt.as_bytes());
        hasher.finalize()
    }
}

/// Reads a body within the configured size and time. Nothing of what is refused stays.
///
/// # Errors
/// What is wrong with it.
pub(super) async fn receive(app: &App, headers: &HeaderMap, body: Body) -> Result<Form, ApiError> {
    let config = &app.config().media;
    if headers.get(header::CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
        return Err(ApiError::new("unsupported_media_type", "Send the body without a content coding."));
    }
    let content_type =
        headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_form = essence == "multipart/form-data";
    if !is_form && !essence.starts_with("image/") {
        return Err(ApiError::new(
            "unsupported_media_type",
            "Send `multipart/form-data` with the part `file`, or an image as it is.",
        ));
    }
    // Where the file is: a part of the form, or all of the body.
    let pointer = if is_form { "/file" } else { "" };
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if announced.is_some_and(|length: u64| length > config.max_bytes.saturating_add(MARGIN_BYTES as u64)) {
        return Err(refusal(UploadError::TooLarge { limit: config.max_bytes }, pointer));
    }
    let mut upload = app.media().upload().map_err(|error| refusal(error, pointer))?;
    let reading = async {
        if is_form {
            read_form(content_type, body, &mut upload).await
        } else {
            upload.declare(&essence);
            read_raw(body, &mut upload).await.map(|()| String::new())
        }
    };
    let read = tokio::time::timeout(Duration::from_millis(config.upload_timeout_ms), reading).await;
    match read.unwrap_or_else(|_| Err(ApiError::new("request_timeout", "The body took too long to arrive.")))
    {
        Ok(alt) => {
            let file = upload.finish().await.map_err(|error| refusal(error, pointer))?;
            Ok(Form { file, alt })
        }
        Err(error) => {
            upload.abort().await;
            Err(error)
        }
    }
}

async fn read_raw(body: Body, upload: &mut Upload) -> Result<(), ApiError> {
    let mut pieces = body.into_data_stream();
    while let Some(piece) = pieces.next().await {
        upload.write(&piece.map_err(|_| cut())?).await.map_err(|error| refusal(error, ""))?;
    }
    Ok(())
}

/// Answers the `alt`.
async fn read_form(content_type: &str, body: Body, upload: &mut Upload) -> Result<String, ApiError> {
    let boundary = multer::parse_boundary(content_type).map_err(|_| {
        ApiError::new("unsupported_media_type", "The content type of a form names its boundary.")
    })?;
    let progress = Arc::new(AtomicUsize::new(0));
    let paced = Paced { body: body.into_data_stream(), given: progress.clone(), pausing: false };
    let mut form = Multipart::new(paced, boundary);
    let (mut has_file, mut alt) = (false, None);
    while let Some(mut part) = form.next_field().await.map_err(|error| broken(&error))? {
        progress.store(0, Ordering::Relaxed);
        match part.name() {
            Some("file") if has_file => return Err(twice("/file")),
            Some("file") => {
                has_file = true;
                if let Some(declared) = part.content_type() {
                    upload.declare(declared.essence_str());
                }
                while let Some(piece) = part.chunk().await.map_err(|error| broken(&error))? {
                    progress.store(0, Ordering::Relaxed);
                    upload.write(&piece).await.map_err(|error| refusal(error, "/file"))?;
                }
            }
            Some("alt") if alt.is_some() => return Err(twice("/alt")),
            Some("alt") => alt = Some(read_alt(part).await?),
            name => {
                let pointer = name.map_or_else(String::new, pointer);
                return Err(ApiError::new("unknown_field", "The form does not fit the schema.").field(
                    &pointer,
                    "unknown_field",
                    "A form has the parts `file` and `alt`.",
                ));
            }
        }
    }
    if !has_file {
        return Err(invalid("/file", "The part is required."));
    }
    Ok(alt.unwrap_or_default())
}

async fn read_alt(mut part: Field<'_>) -> Result<String, ApiError> {
    let too_long = || invalid("/alt", &format!("The text has at most {ALT_CHARS} characters."));
    let mut bytes = Vec::new();
    while let Some(piece) = part.chunk().await.map_err(|error| broken(&error))? {
        bytes.extend_from_slice(&piece);
        // No character has more bytes in UTF-8.
        if bytes.len() > ALT_CHARS * 4 {
            return Err(too_long());
        }
    }
    let text = String::from_utf8(bytes).map_err(|_| invalid("/alt", "The text is not UTF-8."))?;
    if text.chars().count() > ALT_CHARS { Err(too_long()) } else { Ok(text) }
}

/// A JSON pointer to a member, which a client named as it liked.
fn pointer(name: &str) -> String {
    let shown: String = name.chars().take(100).collect();
    format!("/{}", shown.replace('~', "~0").replace('/', "~1"))
}

fn invalid(pointer: &str, message: &str) -> ApiError {
    ApiError::new("validation_failed", "The form does not fit the schema.").field(
        pointer,
        "validation_failed",
        message,
    )
}

fn twice(pointer: &str) -> ApiError {
    invalid(pointer, "The part is given twice.")
}

/// As for a JSON body that did not arrive whole.
fn cut() -> ApiError {
    ApiError::new("malformed_json", "The body did not arrive whole.")
}

fn broken(error: &multer::Error) -> ApiError {
    match error {
        multer::Error::StreamReadFailed(source) if source.is::<HeaderTooLong>() => {
            ApiError::new("validation_failed", "The header of a part is too long.")
        }
        multer::Error::StreamReadFailed(_) => cut(),
        _ => ApiError::new("validation_failed", "The body is not `multipart/form-data`."),
    }
}

/// `pointer` leads to the file.
fn refusal(error: UploadError, pointer: &str) -> ApiError {
    let code = match &error {
        UploadError::Busy => {
            return ApiError::new("overloaded", "Too many uploads are under way.").retry_after(1);
        }
        UploadError::Storage(_) | UploadError::Store(_) => {
            tracing::warn!(cause = %chain(&error), "An upload was not kept");
            return ApiError::unavailable();
        }
        UploadError::TooLarge { .. } => "payload_too_large",
        UploadError::NotAnImage | UploadError::Mismatch { .. } => "unsupported_media_type",
        UploadError::Empty | UploadError::Damaged { .. } | UploadError::Dimensions { .. } => {
            "validation_failed"
        }
    };
    ApiError::new(code, "The file is not taken.").field(pointer, code, sentence(&error))
}

/// What an error says, as a sentence.
fn sentence(error: &UploadError) -> String {
    let text = error.to_string();
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    format!("{}{}.", first.map(String::from).unwrap_or_default(), letters.as_str())
}

/// More came than a part's header can have.
#[derive(Debug, thiserror::Error)]
#[error("more came than a header can have")]
struct HeaderTooLong;

/// A body that gives one piece at a time. The parser takes whatever is there before it looks at it, and would keep all
/// of a body whose parts have no end to their headers.
struct Paced {
    body: BodyDataStream,
    /// Bytes since the reader of the form last got something.
    given: Arc<AtomicUsize>,
    pausing: bool,
}

impl Stream for Paced {
    type Item = Result<Bytes, Box<dyn std::error::Error + Send + Sync>>;

    fn poll_next(mut self: Pin<&mut Self>, ctx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if std::mem::take(&mut self.pausing) {
            ctx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let Some(piece) = ready!(self.body.poll_next_unpin(ctx)) else { return Poll::Ready(None) };
        let Ok(piece) = piece else { return Poll::Ready(Some(piece.map_err(Into::into))) };
        self.pausing = true;
        let given = self.given.fetch_add(piece.len(), Ordering::Relaxed);
        if given > MARGIN_BYTES {
            return Poll::Ready(Some(Err(HeaderTooLong.into())));
        }
        Poll::Ready(Some(Ok(piece)))
    }
}
