//! Routes: one declaration serves the descriptor and the dispatch.
//!
//! [`Plugin::routes`](crate::Plugin::routes) runs in two modes. For `describe` every route is recorded with its
//! documentation; for a call only the wanted operation's handler is kept and documentation is skipped, so that a call
//! pays nothing for it.

use schemars::JsonSchema;

use crate::{Context, Problem, Reply, Request, schema::Schemas};

/// Answers requests to a route.
pub type Handler = fn(&Context<'_>, Request) -> Result<Reply, Problem>;

/// A route as the descriptor tells it.
#[derive(Debug, Clone, PartialEq)]
pub struct RouteDescription {
    pub method: &'static str,
    pub path: &'static str,
    pub operation_id: &'static str,
    pub summary: &'static str,
    pub description: &'static str,
    pub access: Vec<String>,
    pub params: Vec<ParamDescription>,
    pub request: Option<BodyDescription>,
    pub responses: Vec<(u16, &'static str, Option<BodyDescription>)>,
    pub errors: Vec<&'static str>,
    pub list: Option<ListDescription>,
    pub attrs: Vec<(&'static str, String)>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ParamDescription {
    pub name: &'static str,
    pub location: &'static str,
    pub required: bool,
    pub schema: String,
    pub description: &'static str,
}

#[derive(Debug, Clone, PartialEq)]
pub struct BodyDescription {
    pub media_type: &'static str,
    pub schema: String,
    pub example: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ListDescription {
    pub collection: &'static str,
    pub filters: Vec<&'static str>,
    pub sorts: Vec<&'static str>,
    pub text: bool,
}

/// An operation that the host starts by itself, again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScheduleDescription {
    pub operation_id: &'static str,
    /// From the end of one run to the start of the next, in milliseconds.
    pub every_ms: u64,
}

/// What a plugin's routes are.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RoutesDescription {
    pub routes: Vec<RouteDescription>,
    pub schedules: Vec<ScheduleDescription>,
    /// Named JSON Schemas.
    pub schemas: Vec<(String, String)>,
}

enum Mode {
    Describe { routes: Vec<RouteDescription>, schedules: Vec<ScheduleDescription>, schemas: Box<Schemas> },
    Dispatch { operation_id: String, handler: Option<Handler> },
}

/// Takes the plugin's routes.
pub struct Router {
    mode: Mode,
}

impl Router {
    pub(crate) fn describe() -> Self {
        Self { mode: Mode::Describe { routes: Vec::new(), schedules: Vec::new(), schemas: Box::default() } }
    }

    pub(crate) fn dispatch(operation_id: &str) -> Self {
        Self { mode: Mode::Dispatch { operation_id: operation_id.to_owned(), handler: None } }
    }

    pub(crate) fn into_handler(self) -> Option<Handler> {
        match self.mode {
            Mode::Dispatch { handler, .. } => handler,
            Mode::Describe { .. } => None,
        }
    }

    pub(crate) fn into_description(self) -> RoutesDescription {
        match self.mode {
            Mode::Describe { routes, schedules, schemas } => {
                RoutesDescription { routes, schedules, schemas: schemas.finish() }
            }
            Mode::Dispatch { .. } => RoutesDescription::default(),
        }
    }

    /// An operation without a route that the host starts by itself, as the system caller, on one host at a time: every
    /// so many milliseconds after the last run ended. It must bear to be stopped anywhere and to run again.
    pub fn scheduled(&mut self, operation_id: &'static str, every_ms: u64, handler: Handler) {
        match &mut self.mode {
            Mode::Dispatch { operation_id: wanted, handler: found } => {
                if wanted == operation_id {
                    *found = Some(handler);
                }
            }
            Mode::Describe { schedules, .. } => {
                schedules.push(ScheduleDescription { operation_id, every_ms })
            }
        }
    }

    pub fn get(&mut self, path: &'static str, operation_id: &'static str, handler: Handler) -> Route<'_> {
        self.route("GET", path, operation_id, handler)
    }

    pub fn post(&mut self, path: &'static str, operation_id: &'static str, handler: Handler) -> Route<'_> {
        self.route("POST", path, operation_id, handler)
    }

    pub fn put(&mut self, path: &'static str, operation_id: &'static str, handler: Handler) -> Route<'_> {
        self.route("PUT", path, operation_id, handler)
    }

    pub fn patch(&mut self, path: &'static str, operation_id: &'static str, handler: Handler) -> Route<'_> {
        self.route("PATCH", path, operation_id, handler)
    }

    pub fn delete(&mut self, path: &'static str, operation_id: &'static str, handler: Handler) -> Route<'_> {
        self.route("DELETE", path, operation_id, handler)
    }

    fn route(
        &mut self,
        method: &'static str,
        path: &'static str,
        operation_id: &'static str,
        handler: Handler,
    ) -> Route<'_> {
        match &mut self.mode {
            Mode::Dispatch { operation_id: wanted, handler: found } => {
                if wanted == operation_id {
                    *found = Some(handler);
                }
                Route { described: None }
            }
            Mode::Describe { routes, schemas, .. } => {
                routes.push(RouteDescription {
                    method,
                    path,
                    operation_id,
                    summary: "",
                    description: "",
                    access: Vec::new(),
                    params: path_params(path),
                    request: None,
                    responses: Vec::new(),
                    errors: Vec::new(),
                    list: None,
                    attrs: Vec::new(),
                });
                let last = routes.len() - 1;
                Route { described: Some((&mut routes[last], schemas)) }
            }
        }
    }
}

fn path_params(path: &'static str) -> Vec<ParamDescription> {
    path.split('/')
        .filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| ParamDescription {
            name,
            location: "path",
            required: true,
            schema: r#"{"type":"string","minLength":1,"maxLength":255}"#.to_owned(),
            description: "",
        })
        .collect()
}

/// Documents the route that was just added.
pub struct Route<'r> {
    described: Option<(&'r mut RouteDescription, &'r mut Schemas)>,
}

impl Route<'_> {
    /// One line, for lists of operations.
    pub fn summary(self, summary: &'static str) -> Self {
        self.with(|route, _| route.summary = summary)
    }

    pub fn description(self, description: &'static str) -> Self {
        self.with(|route, _| route.description = description)
    }

    /// Anybody may call.
    pub fn public(self) -> Self {
        self.with(|route, _| route.access.push("public".to_owned()))
    }

    /// Customers may call.
    pub fn customer(self) -> Self {
        self.with(|route, _| route.access.push("customer".to_owned()))
    }

    /// Staff with this permission may call.
    pub fn permission(self, permission: &str) -> Self {
        self.with(|route, _| route.access.push(format!("permission:{permission}")))
    }

    /// Describes a path parameter.
    pub fn path_param(self, name: &'static str, description: &'static str) -> Self {
        self.with(|route, _| {
            if let Some(param) = route.params.iter_mut().find(|param| param.name == name) {
                param.description = description;
            }
        })
    }

    /// Adds an optional query parameter of type `T`.
    pub fn query_param<T: JsonSchema>(self, name: &'static str, description: &'static str) -> Self {
        self.with_query_param::<T>(name, description, false)
    }

    /// Adds a query parameter of type `T` without which the request is refused.
    pub fn required_query_param<T: JsonSchema>(self, name: &'static str, description: &'static str) -> Self {
        self.with_query_param::<T>(name, description, true)
    }

    fn with_query_param<T: JsonSchema>(
        self,
        name: &'static str,
        description: &'static str,
        required: bool,
    ) -> Self {
        self.with(|route, schemas| {
            let schema = schemas.schema::<T>().to_string();
            route.params.push(ParamDescription { name, location: "query", required, schema, description });
        })
    }

    /// The body, checked against the schema of `T` before the handler runs.
    pub fn body<T: JsonSchema>(self) -> Self {
        self.with(|route, schemas| {
            let schema = schemas.schema::<T>().to_string();
            route.request = Some(BodyDescription { media_type: "application/json", schema, example: None });
        })
    }

    /// A JSON Merge Patch of `T` as the body.
    pub fn merge_patch<T: JsonSchema>(self) -> Self {
        self.with(|route, schemas| {
            let schema = schemas.patch::<T>().to_string();
            route.request =
                Some(BodyDescription { media_type: "application/merge-patch+json", schema, example: None });
        })
    }

    /// A bulk request as the body: `data` is a `T` for creations and a merge patch of `T` for changes. Goes with
    /// [`bulk::answer`](crate::bulk::answer) and a response of type [`BulkResults`](crate::bulk::BulkResults).
    pub fn bulk_body<T: JsonSchema>(self) -> Self {
        self.with(|route, schemas| {
            let schema = schemas.bulk::<T>().to_string();
            route.request = Some(BodyDescription { media_type: "application/json", schema, example: None });
        })
    }

    /// An example of the body that was declared last: the request's after [`body`](Self::body) and
    /// [`merge_patch`](Self::merge_patch), the response's after [`returns`](Self::returns).
    ///
    /// A function, because only `describe` needs examples: calls do not pay for building them.
    pub fn example(self, example: impl FnOnce() -> serde_json::Value) -> Self {
        self.with(|route, _| {
            let last = match route.responses.last_mut() {
                Some((_, _, body)) => body.as_mut(),
                None => route.request.as_mut(),
            };
            if let Some(body) = last {
                body.example = Some(example().to_string());
            }
        })
    }

    /// A response with a body of type `T`.
    pub fn returns<T: JsonSchema>(self, status: u16, description: &'static str) -> Self {
        self.with(|route, schemas| {
            let schema = schemas.schema::<T>().to_string();
            let body = BodyDescription { media_type: "application/json", schema, example: None };
            route.responses.push((status, description, Some(body)));
        })
    }

    /// A response without a body.
    pub fn returns_empty(self, status: u16, description: &'static str) -> Self {
        self.with(|route, _| route.responses.push((status, description, None)))
    }

    /// Codes of the closed list that the handler can answer.
    pub fn errors(self, codes: &[&'static str]) -> Self {
        self.with(|route, _| route.errors.extend_from_slice(codes))
    }

    /// The route understands list queries: paging, `filter[…]` and `sort` on these declared fields, and `q` if the
    /// collection has text fields and `text` is set.
    pub fn list(
        self,
        collection: &'static str,
        filters: &[&'static str],
        sorts: &[&'static str],
        text: bool,
    ) -> Self {
        self.with(|route, _| {
            route.list =
                Some(ListDescription { collection, filters: filters.to_vec(), sorts: sorts.to_vec(), text });
        })
    }

    /// The route understands a list's filters and search, and answers about everything that they leave: it takes no
    /// paging and no order.
    pub fn unpaged_list(self, collection: &'static str, filters: &[&'static str], text: bool) -> Self {
        let route = self.list(collection, filters, &[], text);
        route.with(|route, _| route.attrs.push(("list", "unpaged".to_owned())))
    }

    /// Answers may come from the response cache.
    pub fn cacheable(self) -> Self {
        self.with(|route, _| route.attrs.push(("cacheable", "true".to_owned())))
    }

    /// Calls with the same value of this path parameter queue, and a call that meets a version conflict runs again.
    pub fn serialized_by(self, param: &'static str) -> Self {
        self.with(|route, _| route.attrs.push(("serialized-by", param.to_owned())))
    }

    /// An optional header parameter of type `T`; the name is in lower case.
    pub fn header_param<T: JsonSchema>(self, name: &'static str, description: &'static str) -> Self {
        self.with(|route, schemas| {
            let schema = schemas.schema::<T>().to_string();
            let param = ParamDescription { name, location: "header", required: false, schema, description };
            route.params.push(param);
        })
    }

    /// The handler calls payment providers, which may take their time: such calls have permits and a deadline of their
    /// own.
    pub fn calls_providers(self) -> Self {
        self.with(|route, _| route.attrs.push(("calls-providers", "true".to_owned())))
    }

    /// The body is bytes of any kind, as they came, and the request has all headers: for what others sign.
    pub fn raw_body(self) -> Self {
        self.with(|route, _| {
            let schema = r#"{"type":"string","format":"binary"}"#.to_owned();
            route.request =
                Some(BodyDescription { media_type: "application/octet-stream", schema, example: None });
        })
    }

    /// A caller without an account gets a token that nobody has yet, as
    /// [`new_guest`](crate::Caller::new_guest), for something that is to be theirs.
    pub fn makes_guests(self) -> Self {
        self.with(|route, _| route.attrs.push(("makes-guests", "true".to_owned())))
    }

    /// Who knows the values of these parameters, letter case aside, is let at the documents that
    /// [`guest_of`](crate::guest_of) them owns: an order's number and the address it was made with.
    pub fn guest_by(self, params: &[&str]) -> Self {
        let params = params.join(" ");
        self.with(|route, _| route.attrs.push(("guest-by", params)))
    }

    /// The same for calls of one account; and for those in which it is the parameter's value.
    pub fn serialized_by_caller(self) -> Self {
        self.serialized_by("caller")
    }

    /// A request without an `Idempotency-Key` is refused before the handler runs. For `POST`, `PATCH` and `DELETE`.
    pub fn idempotency_key_required(self) -> Self {
        self.with(|route, _| route.attrs.push(("idempotency-key", "required".to_owned())))
    }

    /// The body has a member `password`. The host hashes it before the handler runs, for
    /// [`account_create`](Context::account_create), and puts something else in its place.
    pub fn password(self) -> Self {
        self.with(|route, _| route.attrs.push(("password", "true".to_owned())))
    }

    fn with(mut self, change: impl FnOnce(&mut RouteDescription, &mut Schemas)) -> Self {
        if let Some((route, schemas)) = &mut self.described {
            change(route, schemas);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn handler(_: &Context<'_>, _: Request) -> Result<Reply, Problem> {
        Ok(Reply::ok(&json!(null)))
    }

    #[test]
    fn an_example_belongs_to_the_body_declared_last() {
        let mut router = Router::describe();
        router
            .post("/things/{id}", "makeThing", handler)
            .body::<String>()
            .example(|| json!("asked"))
            .returns::<String>(201, "Made.")
            .example(|| json!("answered"));
        let routes = router.into_description().routes;
        let answered = routes[0].responses[0].2.as_ref().and_then(|body| body.example.clone());
        assert_eq!(answered.as_deref(), Some(r#""answered""#));
        let asked = routes[0].request.as_ref().and_then(|body| body.example.clone());
        assert_eq!(asked.as_deref(), Some(r#""asked""#));
    }

    #[test]
    fn a_call_builds_no_examples() {
        let mut router = Router::dispatch("makeThing");
        router.post("/things", "makeThing", handler).body::<String>().example(|| panic!("built"));
        assert!(router.into_handler().is_some());
    }
}
