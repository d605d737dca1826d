//! `ETag`, `If-Match`, `If-None-Match`.

use axum::http::{HeaderMap, Method, header};

use super::{error::ApiError, front::without_encoding};
use crate::app::App;

/// A strong entity tag: the document's version and a hash of the representation, or the hash alone where there is no
/// version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Etag(String);

impl Etag {
    pub(super) fn of(version: Option<u64>, body: &[u8]) -> Self {
        let hash = &blake3::hash(body).to_hex()[..16];
        Self(match version {
            Some(version) => format!("\"{version}-{hash}\""),
            None => format!("\"{hash}\""),
        })
    }

    /// The tag of a representation whose hash is known.
    pub(super) fn of_hash(version: u64, hash: &str) -> Self {
        Self(format!("\"{version}-{}\"", hash.get(..16).unwrap_or(hash)))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// The version that `If-Match` asks for; none without the header or with `*`.
///
/// # Errors
/// `invalid_parameter` for what is not one of our tags.
pub(super) fn if_match(headers: &HeaderMap) -> Result<Option<u64>, ApiError> {
    let Some(value) = headers.get(header::IF_MATCH) else { return Ok(None) };
    let invalid = || {
        ApiError::parameter(
            "invalid_parameter",
            "If-Match",
            "Send the ETag of the resource as it was read, such as \"7\".",
        )
    };
    let text = value.to_str().map_err(|_| invalid())?.trim();
    if text == "*" {
        return Ok(None);
    }
    let tag = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).ok_or_else(invalid)?;
    let number = tag.split_once('-').map_or(tag, |(number, _)| number);
    // A number as we write it: one with a sign is none of ours, and a quote would end the tag.
    if tag.contains('"') || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(invalid());
    }
    number.parse().map(Some).map_err(|_| invalid())
}

/// Refuses a change by staff that does not say which version it is about, where that is demanded.
///
/// # Errors
/// `precondition_required`.
pub(super) fn demand(
    app: &App,
    method: &Method,
    headers: &HeaderMap,
    by_staff: bool,
) -> Result<(), ApiError> {
    let changes = [Method::PUT, Method::PATCH, Method::DELETE].contains(method);
    if app.config().server.require_if_match && changes && by_staff && !headers.contains_key(header::IF_MATCH)
    {
        let detail = "Send If-Match with the ETag of the resource as it was read, or `*` for any version.";
        return Err(ApiError::new("precondition_required", detail));
    }
    Ok(())
}

/// Whether the client has this representation already.
pub(super) fn none_match(headers: &HeaderMap, etag: &Etag) -> bool {
    matches(headers, &etag.0)
}

/// Whether `If-None-Match` names this tag.
pub(super) fn matches(headers: &HeaderMap, tag: &str) -> bool {
    headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok()).any(|value| {
        value
            .split(',')
            .map(str::trim)
            .any(|given| given == "*" || without_encoding(given.strip_prefix("W/").unwrap_or(given)) == tag)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::IF_MATCH, value.parse().unwrap());
        headers.insert(header::IF_NONE_MATCH, value.parse().unwrap());
        headers
    }

    #[test]
    fn if_match_compares_the_number() {
        assert_eq!(if_match(&headers("\"7\"")).unwrap(), Some(7));
        assert_eq!(if_match(&headers("\"7-0123456789abcdef\"")).unwrap(), Some(7));
        assert_eq!(if_match(&headers("*")).unwrap(), None);
        assert_eq!(if_match(&HeaderMap::new()).unwrap(), None);
        for bad in ["7", "\"x\"", "W/\"7\"", "\"7\", \"8\"", "\"-1\"", "\"+7\"", "\"\""] {
            assert_eq!(if_match(&headers(bad)).unwrap_err().code(), "invalid_parameter", "{bad}");
        }
    }

    #[test]
    fn if_none_match_compares_the_whole() {
        let etag = Etag::of(Some(7), b"{}");
        assert!(none_match(&headers(etag.as_str()), &etag));
        assert!(none_match(&headers(&format!("\"x\", W/{}", etag.as_str())), &etag));
        assert!(!none_match(&headers("\"7\""), &etag));
        assert!(!none_match(&headers(Etag::of(Some(7), b"[]").as_str()), &etag));
    }
}
