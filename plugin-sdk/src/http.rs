//! Requests, replies and the list query.

use serde::de::DeserializeOwned;
use serde_json::Value;
use store_model::{Document, Filter, SortKey};

use crate::{
    error::{FieldError, Problem, escape},
    host::RawPage,
    store::{Found, Stored},
};

/// Who a call is made for. The host has authenticated the caller and checked the route's access rule.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Caller {
    /// `anonymous`, `customer`, `admin`, `service` or `system`.
    pub kind: String,
    pub subject: Option<String>,
    pub permissions: Vec<String>,
    /// The groups that a customer is in, such as `wholesale`.
    pub groups: Vec<String>,
    /// A customer's address.
    pub email: Option<String>,
    /// Who a guest is by what they know ([`guest_of`](crate::guest_of)): the token in `X-Cart-Token`, or the parameters
    /// of a route that says [`guest_by`](crate::router::Route::guest_by). A customer may have it besides.
    pub guest: Option<String>,
    /// A new token for somebody without an account, in operations that
    /// [make guests](crate::router::Route::makes_guests): what [`guest_of`](crate::guest_of) it owns may be made.
    pub new_guest: Option<String>,
    /// The same for every attempt of the same request, where it came with an `Idempotency-Key`: for naming what it
    /// makes, so that an attempt that takes over from a crashed one finds it.
    pub request_key: Option<String>,
}

impl Caller {
    /// Who owns what this caller makes: the customer, or the guest. `None` for staff and for who is nobody.
    pub fn owner(&self) -> Option<&str> {
        match self.kind.as_str() {
            "customer" => self.subject.as_deref(),
            "anonymous" => self.guest.as_deref(),
            _ => None,
        }
    }

    /// Whether the caller is staff, a service account or the host itself.
    pub fn is_staff(&self) -> bool {
        matches!(self.kind.as_str(), "admin" | "service" | "system")
    }

    /// Whether the caller holds a permission such as `products:read`, by itself or as `products:*` or `*`.
    pub fn may(&self, permission: &str) -> bool {
        self.permissions.iter().any(|held| match held.strip_suffix('*') {
            Some(prefix) => permission.starts_with(prefix) && (prefix.is_empty() || prefix.ends_with(':')),
            None => held == permission,
        })
    }
}

/// A list request, parsed and checked by the host against the route's declaration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListQuery {
    pub filter: Filter,
    pub text: Option<String>,
    pub sort: Vec<SortKey>,
    pub limit: u32,
    pub cursor: Option<String>,
    pub offset: u32,
    pub count: bool,
}

impl Default for ListQuery {
    fn default() -> Self {
        Self {
            filter: Filter::all(),
            text: None,
            sort: Vec::new(),
            limit: 20,
            cursor: None,
            offset: 0,
            count: true,
        }
    }
}

impl ListQuery {
    /// The store query for this list, narrowed by a condition of the plugin.
    pub fn and(self, condition: Filter) -> store_model::Query {
        let filter = match (self.filter, condition) {
            (Filter::And(clauses), condition) if clauses.is_empty() => condition,
            (filter, Filter::And(clauses)) if clauses.is_empty() => filter,
            (filter, condition) => Filter::And(vec![condition, filter]),
        };
        store_model::Query {
            filter,
            text: self.text,
            sort: self.sort,
            limit: self.limit,
            cursor: self.cursor,
            offset: self.offset,
            count: self.count,
            ..Default::default()
        }
    }
}

/// Most steps of a name in `expand`.
const EXPAND_DEPTH: usize = 3;

/// A request to one of the plugin's routes.
#[derive(Debug, Clone, Default)]
pub struct Request {
    pub operation_id: String,
    pub params: Vec<(String, String)>,
    pub query: Vec<(String, String)>,
    pub headers: Vec<(String, String)>,
    /// Fits the declared schema; `readOnly` members are removed.
    pub body: Vec<u8>,
    pub list: Option<ListQuery>,
    pub caller: Caller,
    /// The version from `If-Match`.
    pub if_match: Option<u64>,
}

impl Request {
    /// A path parameter. The host only routes requests that have all of the route's.
    pub fn param(&self, name: &str) -> &str {
        find(&self.params, name).unwrap_or_default()
    }

    /// A query parameter that the route declares.
    pub fn query(&self, name: &str) -> Option<&str> {
        find(&self.query, name)
    }

    /// A header that the route declares, by its lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// The list query of a list route.
    pub fn list(&mut self) -> ListQuery {
        self.list.take().unwrap_or_default()
    }

    /// What the parameter `expand` asks for: names with commas between them, such as `categories,brand.logo`. The route
    /// declares the parameter.
    ///
    /// # Errors
    /// 400 `invalid_parameter` for a name that is not in `allowed`.
    pub fn expand(&self, allowed: &[&'static str]) -> Result<Vec<&'static str>, Problem> {
        debug_assert!(allowed.iter().all(|name| name.split('.').count() <= EXPAND_DEPTH), "{allowed:?}");
        let mut asked = Vec::new();
        for name in self.query("expand").into_iter().flat_map(|names| names.split(',')) {
            let Some(&known) = allowed.iter().find(|&&known| known == name) else {
                return Err(Problem::invalid_parameter("expand", format!("There is no `{name}` to expand.")));
            };
            if !asked.contains(&known) {
                asked.push(known);
            }
        }
        Ok(asked)
    }

    /// The body as `T`, or a 422 with a pointer to what does not fit.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        read_json(&self.body).map_err(path_problem)
    }

    /// The body as JSON, for merge patches.
    pub fn value(&self) -> Result<Value, Problem> {
        self.json()
    }

    /// Refuses with 412 when the client's `If-Match` names another version than `current`.
    pub fn check_version(&self, current: u64) -> Result<(), Problem> {
        match self.if_match {
            Some(expected) if expected != current => Err(Problem::version_conflict(expected, current)),
            _ => Ok(()),
        }
    }
}

fn find<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

/// Reads a value. One that does not fit is read again to tell where: keeping account of the place takes several times as
/// long as reading.
pub(crate) fn read_json<T: DeserializeOwned>(
    json: &[u8],
) -> Result<T, serde_path_to_error::Error<serde_json::Error>> {
    if let Ok(value) = serde_json::from_slice(json) {
        return Ok(value);
    }
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let value = serde_path_to_error::deserialize(&mut deserializer)?;
    // What follows the value is not JSON.
    let nowhere = serde_path_to_error::Track::new().path();
    deserializer.end().map_err(|error| serde_path_to_error::Error::new(nowhere, error))?;
    Ok(value)
}

/// A value that came from the client does not fit its type.
pub(crate) fn path_problem(error: serde_path_to_error::Error<serde_json::Error>) -> Problem {
    let mut pointer = error.path().iter().fold(String::new(), |pointer, segment| match segment {
        serde_path_to_error::Segment::Seq { index } => format!("{pointer}/{index}"),
        serde_path_to_error::Segment::Map { key } => format!("{pointer}/{}", escape(key)),
        _ => pointer,
    });
    let message = error.inner().to_string();
    let message = message.split(" at line ").next().unwrap_or_default().to_owned();
    // Serde blames the object for a member that is not there; the client looks for the member.
    if let Some(missing) = message.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`')) {
        pointer = format!("{pointer}/{}", escape(missing));
    }
    let code = if message.starts_with("unknown field") { "unknown_field" } else { "validation_failed" };
    Problem { code: code.to_owned(), ..Problem::validation(vec![FieldError::new(pointer, code, message)]) }
}

/// What a handler answers.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    Response(Response),
    /// The answer that went with the call's last commit; see [`Commit::answer`](crate::Commit::answer).
    Committed,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// The version of the document shown; becomes the `ETag`, with a hash of the body behind it.
    pub version: Option<u64>,
    /// For lists: the next cursor and the total.
    pub page: Option<(Option<String>, Option<u64>)>,
}

impl Reply {
    /// 200 with a value as JSON.
    pub fn ok(value: &impl serde::Serialize) -> Self {
        Self::bytes(serde_json::to_vec(value).unwrap_or_default())
    }

    /// 200 with ready JSON.
    pub fn bytes(body: Vec<u8>) -> Self {
        Self::Response(Response::new(body))
    }

    /// 200 with one resource.
    pub fn resource(value: &impl serde::Serialize, version: u64) -> Self {
        match Self::ok(value) {
            Self::Response(response) => Self::Response(Response { version: Some(version), ..response }),
            Self::Committed => Self::Committed,
        }
    }

    /// 200 with one resource that is JSON already.
    ///
    /// A stored document is JSON, so a handler that adds a computed member can copy the rest as bytes.
    pub fn raw_resource(json: String, version: u64) -> Self {
        let response = Response { version: Some(version), ..Response::new(json.into_bytes()) };
        Self::Response(response)
    }

    /// 200 with a page as a bare array; the host adds the paging headers.
    pub fn page<T, R: serde::Serialize>(found: Found<T>, shape: impl FnMut(Stored<T>) -> R) -> Self {
        let (next, total) = (found.next, found.total);
        let items: Vec<R> = found.items.into_iter().map(shape).collect();
        match Self::ok(&items) {
            Self::Response(response) => Self::Response(Response { page: Some((next, total)), ..response }),
            Self::Committed => Self::Committed,
        }
    }

    /// 200 with a page of resources that are JSON already; `shape` writes one document to the end of the text.
    pub fn raw_page<E>(
        page: &RawPage,
        mut shape: impl FnMut(&Document, &mut String) -> Result<(), E>,
    ) -> Result<Self, E> {
        let mut body = String::with_capacity(page.documents.iter().map(|it| it.json.len() + 256).sum());
        body.push('[');
        for (position, document) in page.documents.iter().enumerate() {
            if position > 0 {
                body.push(',');
            }
            shape(document, &mut body)?;
        }
        body.push(']');
        let response =
            Response { page: Some((page.next.clone(), page.total)), ..Response::new(body.into_bytes()) };
        Ok(Self::Response(response))
    }

    /// Tells the response cache when this answer goes out of date by itself, such as at the end of a price window.
    /// `None` means never. It travels as the header `valid-until`, which the host keeps to itself.
    pub fn valid_until(mut self, moment: Option<String>) -> Self {
        if let (Self::Response(response), Some(moment)) = (&mut self, moment) {
            response.headers.push(("valid-until".to_owned(), moment));
        }
        self
    }
}

impl Response {
    fn new(body: Vec<u8>) -> Self {
        Self { status: 200, headers: Vec::new(), body, version: None, page: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_expanded_is_listed() {
        let expand = |value: &str| {
            let query = vec![("expand".to_owned(), value.to_owned())];
            Request { query, ..Request::default() }.expand(&["brand", "brand.logo"])
        };
        assert_eq!(Request::default().expand(&["brand"]), Ok(Vec::new()));
        assert_eq!(expand("brand.logo,brand,brand.logo"), Ok(vec!["brand.logo", "brand"]));
        for unknown in ["", "logo", "brand,", "Brand", "brand.logo.maker.address"] {
            let problem = expand(unknown).unwrap_err();
            assert_eq!((problem.status, problem.code.as_str()), (400, "invalid_parameter"), "{unknown}");
            assert_eq!(problem.errors[0].pointer, "expand");
        }
    }

    #[test]
    fn permissions_are_held_singly_by_resource_or_all() {
        let may = |held: &str, wanted: &str| {
            Caller { permissions: vec![held.to_owned()], ..Caller::default() }.may(wanted)
        };
        assert!(may("*", "products:read") && may("products:*", "products:read"));
        assert!(may("products:read", "products:read"));
        assert!(!may("products:read", "products:write") && !may("products:*", "productsets:read"));
        assert!(!may("prod*", "products:read"));
    }
}
