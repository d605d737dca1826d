//! From a handler's answer to the response: `ETag`, paging headers, caching, 304.

use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::Response,
};

use super::precondition::{self, Etag};
use crate::{
    app::App,
    plugin::{HandlerResponse, ListRequest, PagePosition, RouteEntry, VALID_UNTIL},
};

/// An answer with what the response needs to know about it.
pub(super) struct Answered {
    pub(super) response: HandlerResponse,
    pub(super) list: Option<ListRequest>,
    pub(super) anonymous: bool,
    pub(super) replayed: bool,
}

pub(super) fn respond(
    app: &App,
    entry: &RouteEntry,
    request_headers: &HeaderMap,
    full_path: &str,
    answered: Answered,
) -> Response {
    let Answered { response, list, anonymous, replayed } = answered;
    let mut headers = HeaderMap::new();
    for (name, value) in response.headers.iter().filter(|(name, _)| name != VALID_UNTIL) {
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
        paging_headers(&mut headers, app, full_path, list, page);
    }
    if reads {
        let cache = if anonymous && entry.route.cacheable { "public, no-cache" } else { "private, no-cache" };
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
        let vary = if entry.route.cacheable { "authorization" } else { "authorization, x-cart-token" };
        headers.insert(header::VARY, HeaderValue::from_static(vary));
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
    answer
}

/// Parameters that say which page it is, in every dialect: in the link to the next one the cursor says it.
const POSITION: &[&str] = &["cursor", "offset", "limit", "range", "_start", "_end"];

/// `full_path` is below the API base; the resource is its first segment.
pub(super) fn paging_headers(
    headers: &mut HeaderMap,
    app: &App,
    full_path: &str,
    list: &ListRequest,
    page: &PagePosition,
) {
    let resource = full_path.trim_start_matches('/').split(['/', '?']).next().unwrap_or_default();
    if let Some(total) = page.total {
        set(headers, HeaderName::from_static("x-total-count"), &total.to_string());
    }
    if list.cursor.is_none() {
        let total = page.total.map_or_else(|| "*".to_owned(), |total| total.to_string());
        let range = match page.items {
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
                !pair.is_empty() && !POSITION.contains(&name)
            })
            .collect();
        let mut kept = kept.iter().map(|pair| format!("{pair}&")).collect::<String>();
        kept.push_str(&format!("limit={}&", list.limit));
        set(headers, header::LINK, &format!("<{}{path}?{kept}cursor={next}>; rel=\"next\"", app.api_base()));
    }
}

pub(super) fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}
