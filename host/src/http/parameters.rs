//! Parameters of the path, the query string and the headers.

use axum::http::HeaderMap;
use percent_encoding::percent_decode_str;

use super::{access, error::ApiError, list_query, shape};
use crate::plugin::{ListRequest, RouteEntry};

pub(super) fn path(params: Vec<(String, String)>) -> Result<Vec<(String, String)>, ApiError> {
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

/// Headers by which somebody shows who they are. The host reads them, and no guest gets one, also where its route
/// declares it for the document: what can be kept can be used again by somebody else.
const CREDENTIALS: [&str; 4] = ["authorization", "cookie", "proxy-authorization", access::CART_TOKEN];

/// All headers that are text but credentials, names in lower case.
pub(super) fn all_headers(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &axum::http::HeaderValue| value.to_str().ok().map(str::to_owned);
    let given = headers.iter().filter(|(name, _)| !CREDENTIALS.contains(&name.as_str()));
    given.filter_map(|(name, value)| Some((name.as_str().to_owned(), text(value)?))).collect()
}

/// A query string, taken apart.
pub(super) struct Query {
    pub(super) list: Option<ListRequest>,
    pub(super) fields: Option<shape::Fields>,
    /// What the route declares itself.
    pub(super) own: Vec<(String, String)>,
}

pub(super) fn query(entry: &RouteEntry, query: Option<&str>) -> Result<Query, ApiError> {
    let mut parameters = query.map(decode_query).transpose()?.unwrap_or_default();
    let fields = shape::fields(entry, &mut parameters)?;
    let (list, rest) = match &entry.route.list {
        Some(declaration) => {
            let known = list_query::ListFields { declaration, kinds: &entry.list_fields };
            let (list, rest) = list_query::parse(parameters, &known, &|name| {
                entry.query.iter().any(|check| check.name == name)
            })?;
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
    Ok(Query { list, fields, own: rest })
}

/// Refuses a query string where a route has no parameters.
///
/// # Errors
/// `unknown_parameter`, and `invalid_parameter` for what is not text.
pub(super) fn none(query: Option<&str>) -> Result<(), ApiError> {
    match query.map(decode_query).transpose()?.unwrap_or_default().first() {
        Some((name, _)) => Err(ApiError::parameter("unknown_parameter", name, "There is no such parameter.")),
        None => Ok(()),
    }
}

/// Most parameters of a query string.
const PARAMETERS: usize = 200;

pub(super) fn decode_query(query: &str) -> Result<Vec<(String, String)>, ApiError> {
    let pairs: Vec<&str> = query.split('&').filter(|pair| !pair.is_empty()).collect();
    if pairs.len() > PARAMETERS {
        return Err(ApiError::new("invalid_parameter", format!("At most {PARAMETERS} parameters.")));
    }
    pairs
        .into_iter()
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let decode = |text: &str| -> Result<String, ApiError> {
                let spaced = text.replace('+', " ");
                let decoded = percent_decode_str(&spaced)
                    .decode_utf8()
                    .map_err(|_| ApiError::new("invalid_parameter", "The query string is not UTF-8."))?;
                // No document holds NUL where it could be looked for, so the store does not take it in a query.
                if decoded.contains('\0') {
                    return Err(ApiError::new("invalid_parameter", "The query string holds NUL."));
                }
                Ok(decoded.into_owned())
            };
            Ok((decode(name)?, decode(value)?))
        })
        .collect()
}

pub(super) fn headers(entry: &RouteEntry, headers: &HeaderMap) -> Result<Vec<(String, String)>, ApiError> {
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
        if !CREDENTIALS.contains(&name.as_str()) {
            declared.push((name, value.to_owned()));
        }
    }
    Ok(declared)
}
