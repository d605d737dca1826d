//! `GET /media/{id}`: the bytes of an image.

use std::ops::Range;

use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
};

use super::{id_of, schemas::ImageBytes, set};
use crate::{
    app::App,
    chain::chain,
    http::{
        access,
        error::ApiError,
        front, parameters,
        precondition::{self, Etag},
        visit::Visit,
    },
    media::StorageError,
};

/// An image never changes, so nobody has to ask again.
const FOR_EVER: &str = "public, max-age=31536000, immutable";
/// Should a browser ever take an image for a page, that page may do nothing.
const POLICY: &str = "default-src 'none'; sandbox";

/// Show an image
///
/// The bytes of an image, for everybody. A range that cannot be had is answered with all of them.
#[utoipa::path(
    get, path = "/media/{id}", operation_id = "getMedia", tag = "media",
    params(("id" = String, Path, description = "The id of the image.")),
    responses(ImageBytes),
    security((), ("bearerAuth" = [])),
)]
pub(crate) async fn get(State(app): State<App>, request: Request) -> Result<Response, ApiError> {
    let (parts, _body) = request.into_parts();
    // A token is not needed, but one that is given must be good, as everywhere.
    let asks = access::Asks { method: &parts.method, path: parts.uri.path(), headers: &parts.headers };
    access::authenticate(&app, &asks, &Visit::of(&parts)).await?;
    parameters::none(parts.uri.query())?;
    let record = app.media().find(&id_of(&parts)?).await?.ok_or_else(ApiError::not_found)?;
    let content_type = record.kind.content_type();
    if !front::accepts(&parts.headers, &["*/*", "image/*", content_type]) {
        return Err(ApiError::new("not_acceptable", format!("The image is `{content_type}`.")));
    }
    let etag = Etag::of_hash(record.version, &record.blake3);
    let mut response = Response::new(Body::empty());
    set(&mut response, header::ETAG, etag.as_str());
    set(&mut response, header::CACHE_CONTROL, FOR_EVER);
    if precondition::none_match(&parts.headers, &etag) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return Ok(response);
    }
    let part = part(&parts.headers, &etag, record.size_bytes);
    let range = part.clone().unwrap_or(0..record.size_bytes);
    let stream = app.media().read(&record, range.clone()).await.map_err(|error| {
        tracing::error!(cause = %chain(&error), "The file of the media `{}` cannot be read", record.id);
        match error {
            // Such as after a backup was restored without the folder.
            StorageError::Missing { .. } => ApiError::not_found(),
            StorageError::Folder { .. } | StorageError::Failed { .. } => ApiError::unavailable(),
        }
    })?;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(range.end - range.start));
    set(&mut response, header::ACCEPT_RANGES, "bytes");
    set(&mut response, header::CONTENT_SECURITY_POLICY, POLICY);
    set(&mut response, header::CONTENT_DISPOSITION, "inline");
    if part.is_some() {
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        let shown = format!("bytes {}-{}/{}", range.start, range.end - 1, record.size_bytes);
        set(&mut response, header::CONTENT_RANGE, &shown);
    }
    *response.body_mut() = Body::from_stream(stream);
    Ok(response)
}

/// The part that is asked for. Whatever is not one part of this image is answered with all of it, which is allowed; the
/// list of error codes has none for an impossible range.
fn part(headers: &HeaderMap, etag: &Etag, size: u64) -> Option<Range<u64>> {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    if text(header::IF_RANGE).is_some_and(|given| given != etag.as_str()) {
        return None;
    }
    let (first, last) = text(header::RANGE)?.strip_prefix("bytes=")?.split_once('-')?;
    let number = |text: &str| text.parse::<u64>().ok().filter(|_| !text.starts_with('+'));
    let range = match (first, last) {
        ("", last) => size.saturating_sub(number(last)?)..size,
        (first, "") => number(first)?..size,
        (first, last) => number(first)?..number(last)?.saturating_add(1).min(size),
    };
    (range.start < range.end).then_some(range)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(range: &str) -> Option<Range<u64>> {
        let headers = HeaderMap::from_iter([(header::RANGE, range.parse().unwrap())]);
        part(&headers, &Etag::of_hash(1, "0123456789abcdef"), 100)
    }

    #[test]
    fn one_part_is_given_and_everything_else_is_all() {
        assert_eq!(asked("bytes=0-9"), Some(0..10));
        assert_eq!(asked("bytes=90-"), Some(90..100));
        assert_eq!(asked("bytes=-10"), Some(90..100));
        assert_eq!(asked("bytes=-1000"), Some(0..100));
        assert_eq!(asked("bytes=50-1000"), Some(50..100));
        assert_eq!(asked("bytes=0-18446744073709551615"), Some(0..100));
        for other in [
            "bytes=100-",
            "bytes=9-0",
            "bytes=-0",
            "bytes=0-1,4-5",
            "items=0-9",
            "bytes=-",
            "bytes=+1-2",
            "x",
        ] {
            assert_eq!(asked(other), None, "{other}");
        }
    }

    #[test]
    fn a_part_of_another_image_is_not_given() {
        let etag = Etag::of_hash(1, "0123456789abcdef");
        let with = |tag: &str| {
            let mut headers = HeaderMap::from_iter([(header::RANGE, "bytes=0-9".parse().unwrap())]);
            headers.insert(header::IF_RANGE, tag.parse().unwrap());
            part(&headers, &etag, 100)
        };
        assert_eq!(with(etag.as_str()), Some(0..10));
        assert_eq!(with("\"1-ffff\""), None);
        assert_eq!(with("W/\"1-0123456789abcdef\""), None);
    }
}
