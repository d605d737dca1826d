//! Lists of the host's own documents, with the query that every list takes.

use std::collections::BTreeMap;

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use serde_json::Value;
use store_model::{Filter, Query, QueryError};

use super::Call;
use crate::{
    app::App,
    http::{
        error::ApiError,
        front,
        list_query::{self, ListFields},
        parameters,
        precondition::{Etag, none_match},
        respond::{paging_headers, set},
    },
    plugin::{PagePosition, descriptor::ListDeclaration},
    store::ReadError,
};

/// What a list is made of.
pub(crate) struct ListOf {
    pub(crate) collection: &'static str,
    pub(crate) filters: &'static [&'static str],
    pub(crate) sorts: &'static [&'static str],
    /// Members of the documents that are shown.
    pub(crate) shown: &'static [&'static str],
}

/// Answers one page.
///
/// # Errors
/// What is wrong with the query.
pub(crate) async fn list(app: &App, call: &Call, of: &ListOf) -> Result<Response, ApiError> {
    front::check_accept(&call.headers)?;
    let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    let declaration = ListDeclaration {
        collection: of.collection.to_owned(),
        filters: names(of.filters),
        sorts: names(of.sorts),
        text: false,
        unpaged: false,
    };
    let schema = app.store().collection(of.collection);
    let kind = |path: &&str| Some(((*path).to_owned(), schema.as_ref()?.field(path)?.kind));
    let kinds: BTreeMap<_, _> = of.filters.iter().chain(of.sorts).filter_map(kind).collect();
    let decoded = call.query.as_deref().map(parameters::decode_query).transpose()?.unwrap_or_default();
    let fields = ListFields { declaration: &declaration, kinds: &kinds };
    let (list, rest) = list_query::parse(decoded, &fields, &|_| false)?;
    if let Some((name, _)) = rest.first() {
        return Err(ApiError::parameter("unknown_parameter", name, "There is no such parameter."));
    }
    let query = Query {
        filter: list.filter.clone().unwrap_or_else(Filter::all),
        sort: list.sort.clone(),
        limit: list.limit,
        cursor: list.cursor.clone(),
        offset: list.offset,
        count: list.count,
        ..Query::default()
    };
    let page = app.store().document_find(of.collection, &query).await.map_err(refusal)?;
    let items: Vec<Value> = page.documents.iter().map(|document| shown(&document.json, of.shown)).collect();
    let body = Value::Array(items).to_string();
    let etag = Etag::of(None, body.as_bytes());
    let unchanged = none_match(&call.headers, &etag);
    let mut response = Response::new(if unchanged { Body::empty() } else { Body::from(body) });
    let position = PagePosition { next: page.next, total: page.total, items: page.documents.len() };
    let headers = response.headers_mut();
    let full_path = match &call.query {
        Some(query) => format!("{}?{query}", call.path),
        None => call.path.clone(),
    };
    paging_headers(headers, app, &full_path, &list, &position);
    if !unchanged {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    set(headers, header::ETAG, etag.as_str());
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    headers.insert(header::VARY, HeaderValue::from_static("authorization"));
    if unchanged {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    Ok(response)
}

/// A document with only these members, in this order.
fn shown(json: &str, members: &[&str]) -> Value {
    let mut document: Value = serde_json::from_str(json).unwrap_or_default();
    members.iter().map(|&name| (name.to_owned(), document[name].take())).collect()
}

fn refusal(error: ReadError) -> ApiError {
    match error {
        ReadError::Query(QueryError::CursorMismatch) => {
            ApiError::new("cursor_mismatch", "The cursor belongs to another query.")
        }
        error => error.into(),
    }
}
