//! Between the SDK's types and the generated bindings.

use store_model::{
    Aggregate, AggregateRow, Direction, Document, Facet, FacetCount, Facets, FieldOperation, Filter, Query,
    Refusal, Scalar,
};

use crate::{
    FieldError, Plugin, Problem, Reply, Request,
    bindings::{
        endpoint::{
            exports::wares::http::handler,
            wares::{
                log::log,
                store::{query as wit_query, store},
            },
        },
        lifecycle::exports::wares::lifecycle::lifecycle,
    },
    commit::{AnswerRequest, CommitRequest, Content, OperationRequest, WriteRequest},
    error::StoreError,
    export::describe_routes,
    host::{Host, Level, RawPage},
    http::{Caller, ListQuery},
    router::{BodyDescription, RouteDescription},
};

#[cfg(target_family = "wasm")]
mod hooks;
#[cfg(target_family = "wasm")]
mod outside;
mod roles;

#[cfg(target_family = "wasm")]
pub(crate) use hooks::ComponentHooks;
#[cfg(target_family = "wasm")]
pub(crate) use outside::{http_send, verify_hmac};

/// The real host, across the component boundary.
pub(crate) struct ComponentHost;

impl Host for ComponentHost {
    fn get_many(&self, collection: &str, ids: &[String]) -> Result<Vec<Option<Document>>, StoreError> {
        let documents = store::get_many(collection, ids).map_err(error)?;
        Ok(documents.into_iter().map(|found| found.map(document)).collect())
    }

    fn find(&self, collection: &str, query: &Query) -> Result<RawPage, StoreError> {
        let query = store::Query {
            filter: Some(filter(&query.filter)),
            text: query.text.clone(),
            sort: query
                .sort
                .iter()
                .map(|key| store::SortKey {
                    path: key.path.clone(),
                    descending: key.direction == Direction::Descending,
                })
                .collect(),
            limit: query.limit,
            cursor: query.cursor.clone(),
            offset: query.offset,
            fields: query.fields.clone(),
            count: query.count,
        };
        let page = store::find(collection, &query).map_err(error)?;
        Ok(RawPage {
            documents: page.documents.into_iter().map(document).collect(),
            next: page.next,
            total: page.total,
        })
    }

    fn count(&self, collection: &str, condition: &Filter) -> Result<u64, StoreError> {
        store::count(collection, Some(&filter(condition))).map_err(error)
    }

    fn aggregate(&self, collection: &str, wanted: &Aggregate) -> Result<Vec<AggregateRow>, StoreError> {
        let groups = store::aggregate(collection, &aggregation(wanted)).map_err(error)?;
        Ok(groups
            .into_iter()
            .map(|group| AggregateRow {
                key: group.key.into_iter().map(scalar).collect(),
                measures: group.measures.into_iter().map(scalar).collect(),
            })
            .collect())
    }

    fn facets(&self, collection: &str, wanted: &Facets) -> Result<Vec<Vec<FacetCount>>, StoreError> {
        let facets: Vec<store::Facet> = wanted.facets.iter().map(facet).collect();
        let counts =
            store::facets(collection, Some(&filter(&wanted.filter)), wanted.text.as_deref(), &facets);
        let count =
            |count: store::FacetCount| FacetCount { value: scalar(count.value), documents: count.documents };
        let counts = counts.map_err(error)?.into_iter();
        Ok(counts.map(|counts| counts.into_iter().map(count).collect()).collect())
    }

    fn commit(&self, commit: CommitRequest) -> Result<Vec<Option<Document>>, StoreError> {
        let writes: Vec<store::Write> = commit.writes.into_iter().map(write).collect();
        let events: Vec<store::Event> = commit
            .events
            .into_iter()
            .map(|event| store::Event {
                topic: event.topic,
                subject: position(event.subject),
                data: content(event.data),
                attrs: Vec::new(),
            })
            .collect();
        let answer = commit.answer.map(answer);
        let documents = store::commit(&writes, &events, answer.as_ref()).map_err(error)?;
        Ok(documents.into_iter().map(|found| found.map(document)).collect())
    }

    fn new_id(&self, prefix: &str) -> Result<String, StoreError> {
        store::new_id(prefix).map_err(error)
    }

    fn new_ids(&self, prefix: &str, count: usize) -> Result<Vec<String>, StoreError> {
        store::new_ids(prefix, position(count)).map_err(error)
    }

    fn log(&self, level: Level, message: &str, fields: &[(&str, &str)]) {
        let level = match level {
            Level::Trace => log::Level::Trace,
            Level::Debug => log::Level::Debug,
            Level::Info => log::Level::Info,
            Level::Warn => log::Level::Warn,
            Level::Error => log::Level::Error,
        };
        let fields: Vec<(String, String)> =
            fields.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        log::log(level, message, &fields);
    }

    fn now_ms(&self) -> i64 {
        // Std reads the WASI wall clock, which is the host's own.
        let elapsed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX)
    }
}

fn position(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

fn document(document: store::Document) -> Document {
    // The host wrote the body as UTF-8.
    let json = String::from_utf8(document.body).unwrap_or_default();
    Document { id: document.id, version: document.version, json }
}

fn write(write: WriteRequest) -> store::Write {
    let operation = match write.operation {
        OperationRequest::Insert(body) => store::Operation::Insert(body),
        OperationRequest::Replace(body) => store::Operation::Replace(body),
        OperationRequest::Update(operations) => {
            store::Operation::Update(operations.into_iter().map(field_operation).collect())
        }
        OperationRequest::Delete => store::Operation::Delete,
        OperationRequest::Check => store::Operation::Check,
    };
    store::Write {
        collection: write.collection,
        id: write.id,
        operation,
        expected_version: write.expected_version,
        guard: write.guard.as_ref().map(filter),
    }
}

fn field_operation(operation: FieldOperation) -> store::FieldOperation {
    let field =
        |path: String, value: serde_json::Value| store::FieldValue { path, value: value.to_string().into() };
    match operation {
        FieldOperation::Set { path, value } => store::FieldOperation::Set(field(path, value)),
        FieldOperation::Unset { path } => store::FieldOperation::Unset(path),
        FieldOperation::Increment { path, by } => {
            store::FieldOperation::Increment(store::Increment { path, by })
        }
        FieldOperation::Append { path, value } => store::FieldOperation::Append(field(path, value)),
        FieldOperation::Remove { path, value } => store::FieldOperation::Remove(field(path, value)),
    }
}

fn content(content: Content) -> store::Content {
    match content {
        Content::Json(bytes) => store::Content::Bytes(bytes),
        Content::Document { write, overlay } => {
            store::Content::Document(store::Written { write: position(write), overlay })
        }
    }
}

fn answer(answer: AnswerRequest) -> store::Answer {
    store::Answer {
        status: answer.status,
        headers: answer.headers,
        body: answer.body.map(content),
        subject: answer.subject.map(position),
    }
}

fn facet(facet: &Facet) -> store::Facet {
    match facet {
        Facet::Values { path, prefix, limit } => store::Facet::Values(store::ValueFacet {
            path: path.clone(),
            prefix: prefix.clone(),
            limit: *limit,
        }),
        Facet::Ranges { path, bounds } => {
            store::Facet::Ranges(store::RangeFacet { path: path.clone(), bounds: bounds.clone() })
        }
    }
}

fn aggregation(wanted: &Aggregate) -> store::Aggregation {
    store::Aggregation {
        filter: Some(filter(&wanted.filter)),
        unwind: wanted.unwind.clone(),
        group: wanted
            .group
            .iter()
            .map(|key| match key {
                store_model::GroupKey::Field(path) => store::GroupKey::Field(path.clone()),
                store_model::GroupKey::Day { path, offset_minutes } => {
                    store::GroupKey::Day(store::Day { path: path.clone(), offset_minutes: *offset_minutes })
                }
            })
            .collect(),
        measures: wanted
            .measures
            .iter()
            .map(|measure| match measure {
                store_model::Measure::Count => store::Measure::Count,
                store_model::Measure::Sum(path) => store::Measure::Sum(path.clone()),
                store_model::Measure::Min(path) => store::Measure::Min(path.clone()),
                store_model::Measure::Max(path) => store::Measure::Max(path.clone()),
            })
            .collect(),
        limit: wanted.limit,
    }
}

/// A filter tree as a list, children first.
fn filter(filter: &Filter) -> wit_query::Filter {
    let mut nodes = Vec::new();
    push_node(filter, &mut nodes);
    wit_query::Filter { nodes }
}

fn push_node(filter: &Filter, nodes: &mut Vec<wit_query::Node>) -> u32 {
    use wit_query::Node;
    let comparison = |path: &String, value: &Scalar| wit_query::Comparison {
        path: path.clone(),
        value: wit_scalar(value),
    };
    let membership = |path: &String, values: &[Scalar]| wit_query::Membership {
        path: path.clone(),
        values: values.iter().map(wit_scalar).collect(),
    };
    let substring =
        |path: &String, text: &String| wit_query::Substring { path: path.clone(), text: text.clone() };
    let node = match filter {
        Filter::Eq(path, value) => Node::Eq(comparison(path, value)),
        Filter::Ne(path, value) => Node::Ne(comparison(path, value)),
        Filter::In(path, values) => Node::In(membership(path, values)),
        Filter::Nin(path, values) => Node::Nin(membership(path, values)),
        Filter::Gt(path, value) => Node::Gt(comparison(path, value)),
        Filter::Gte(path, value) => Node::Gte(comparison(path, value)),
        Filter::Lt(path, value) => Node::Lt(comparison(path, value)),
        Filter::Lte(path, value) => Node::Lte(comparison(path, value)),
        Filter::Prefix(path, text) => Node::Prefix(substring(path, text)),
        Filter::Contains(path, text) => Node::Contains(substring(path, text)),
        Filter::Exists(path, present) => {
            Node::Exists(wit_query::Existence { path: path.clone(), present: *present })
        }
        Filter::And(all) => Node::AllOf(all.iter().map(|child| push_node(child, nodes)).collect()),
        Filter::Or(any) => Node::AnyOf(any.iter().map(|child| push_node(child, nodes)).collect()),
        Filter::Not(child) => Node::NoneOf(vec![push_node(child, nodes)]),
    };
    nodes.push(node);
    position(nodes.len() - 1)
}

/// A filter from the host: a list whose nodes name earlier ones.
fn from_wit_filter(filter: wit_query::Filter) -> Filter {
    use wit_query::Node;
    let mut built: Vec<Filter> = Vec::with_capacity(filter.nodes.len());
    for node in filter.nodes {
        let children = |ids: Vec<u32>| -> Vec<Filter> {
            ids.into_iter().filter_map(|id| built.get(id as usize).cloned()).collect()
        };
        let next = match node {
            Node::Eq(it) => Filter::Eq(it.path, scalar(it.value)),
            Node::Ne(it) => Filter::Ne(it.path, scalar(it.value)),
            Node::In(it) => Filter::In(it.path, it.values.into_iter().map(scalar).collect()),
            Node::Nin(it) => Filter::Nin(it.path, it.values.into_iter().map(scalar).collect()),
            Node::Gt(it) => Filter::Gt(it.path, scalar(it.value)),
            Node::Gte(it) => Filter::Gte(it.path, scalar(it.value)),
            Node::Lt(it) => Filter::Lt(it.path, scalar(it.value)),
            Node::Lte(it) => Filter::Lte(it.path, scalar(it.value)),
            Node::Prefix(it) => Filter::Prefix(it.path, it.text),
            Node::Contains(it) => Filter::Contains(it.path, it.text),
            Node::Exists(it) => Filter::Exists(it.path, it.present),
            Node::AllOf(ids) => Filter::And(children(ids)),
            Node::AnyOf(ids) => Filter::Or(children(ids)),
            Node::NoneOf(ids) => Filter::Not(Box::new(Filter::Or(children(ids)))),
        };
        built.push(next);
    }
    built.pop().unwrap_or_else(Filter::all)
}

fn wit_scalar(value: &Scalar) -> wit_query::Scalar {
    match value {
        Scalar::Null => wit_query::Scalar::Null,
        Scalar::Boolean(value) => wit_query::Scalar::Boolean(*value),
        Scalar::Integer(value) => wit_query::Scalar::Integer(*value),
        Scalar::Text(value) => wit_query::Scalar::Text(value.clone()),
    }
}

fn scalar(value: wit_query::Scalar) -> Scalar {
    match value {
        wit_query::Scalar::Null => Scalar::Null,
        wit_query::Scalar::Boolean(value) => Scalar::Boolean(value),
        wit_query::Scalar::Integer(value) => Scalar::Integer(value),
        wit_query::Scalar::Text(value) => Scalar::Text(value),
    }
}

fn error(error: store::Error) -> StoreError {
    match error {
        store::Error::Denied(what) => StoreError::Denied(what),
        store::Error::Invalid(invalid) => {
            StoreError::Invalid { path: invalid.path, message: invalid.message }
        }
        store::Error::CursorMismatch => StoreError::CursorMismatch,
        store::Error::Unavailable(why) => StoreError::Unavailable(why),
        store::Error::Refused(refused) => StoreError::Refused {
            write: refused.write as usize,
            reason: match refused.reason {
                store::Refusal::NotFound => Refusal::NotFound,
                store::Refusal::AlreadyExists => Refusal::AlreadyExists,
                store::Refusal::Guard => Refusal::Guard,
                store::Refusal::Version(it) => {
                    Refusal::Version { expected: it.expected, current: it.current }
                }
                store::Refusal::Unique(it) => {
                    Refusal::Unique { path: it.path, value: scalar(it.value), id: it.id }
                }
                store::Refusal::Invalid(it) => Refusal::Invalid { path: it.path, message: it.message },
            },
        },
    }
}

pub(crate) fn request(request: handler::Request) -> (Vec<u8>, Request) {
    let list = request.list.map(|list| ListQuery {
        filter: list.filter.map_or_else(Filter::all, from_wit_filter),
        text: list.text,
        sort: list
            .sort
            .into_iter()
            .map(|key| store_model::SortKey {
                path: key.path,
                direction: if key.descending { Direction::Descending } else { Direction::Ascending },
            })
            .collect(),
        limit: list.limit,
        cursor: list.cursor,
        offset: list.offset,
        count: list.count,
    });
    let attrs = request.caller.attrs;
    let attr = |wanted: &str| attrs.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone());
    let converted = Request {
        operation_id: request.operation_id,
        params: request.params,
        query: request.query,
        headers: request.headers,
        body: request.body,
        list,
        caller: Caller {
            kind: request.caller.kind,
            subject: request.caller.subject,
            permissions: request.caller.permissions,
            groups: attrs.iter().filter(|(name, _)| name == "group").map(|(_, it)| it.clone()).collect(),
            email: attr("email"),
            guest: attr("guest"),
            new_guest: attr("new-guest"),
            request_key: attr("request-key"),
        },
        if_match: request.if_match,
    };
    (request.config, converted)
}

pub(crate) fn reply(reply: Reply) -> handler::Reply {
    match reply {
        Reply::Committed => handler::Reply::Committed,
        Reply::Response(response) => handler::Reply::Response(handler::Response {
            status: response.status,
            headers: response.headers,
            body: response.body,
            version: response.version,
            page: response.page.map(|(next, total)| handler::PagePosition { next, total }),
        }),
    }
}

pub(crate) fn problem(problem: Problem) -> handler::Problem {
    handler::Problem {
        status: problem.status,
        code: problem.code,
        detail: problem.detail,
        errors: field_errors(problem.errors),
        extras: (!problem.extras.is_empty()).then(|| serde_json::to_vec(&problem.extras).unwrap_or_default()),
    }
}

/// Asks the host about accounts.
#[cfg(target_family = "wasm")]
pub(crate) fn accounts(call: crate::identity::AccountCall) -> Result<Vec<u8>, Problem> {
    use crate::{bindings::endpoint::wares::identity::identity, identity::AccountCall};
    let answered = match call {
        AccountCall::Create(members) => identity::prepare_create(&members),
        AccountCall::Change { id, changes } => identity::prepare_change(&id, &changes),
        AccountCall::Delete { id } => identity::prepare_delete(&id).map(|()| Vec::new()),
        AccountCall::Sessions { id } => identity::sessions(&id),
    };
    answered.map_err(|problem| Problem {
        status: problem.status,
        code: problem.code,
        detail: problem.detail,
        errors: problem
            .errors
            .into_iter()
            .map(|error| FieldError { pointer: error.pointer, code: error.code, message: error.message })
            .collect(),
        extras: Box::default(),
    })
}

pub(crate) fn field_errors(errors: Vec<FieldError>) -> Vec<lifecycle::FieldError> {
    errors
        .into_iter()
        .map(|error| lifecycle::FieldError {
            pointer: error.pointer,
            code: error.code,
            message: error.message,
        })
        .collect()
}

/// What every plugin says of itself.
pub(crate) struct About {
    pub(crate) id: &'static str,
    pub(crate) version: &'static str,
    pub(crate) title: &'static str,
    pub(crate) config_schema: Option<serde_json::Value>,
}

impl About {
    /// The descriptor of a plugin without routes.
    pub(crate) fn descriptor(
        self,
        collections: &[crate::Collection],
        capabilities: Vec<crate::Capability>,
    ) -> lifecycle::Descriptor {
        lifecycle::Descriptor {
            id: self.id.to_owned(),
            version: self.version.to_owned(),
            title: self.title.to_owned(),
            routes: Vec::new(),
            subscriptions: Vec::new(),
            collections: collections.iter().map(collection).collect(),
            permissions: Vec::new(),
            capabilities: capabilities
                .into_iter()
                .map(|capability| lifecycle::Capability {
                    kind: capability.kind.to_owned(),
                    target: capability.target.to_owned(),
                    rights: capability.rights.into_iter().map(str::to_owned).collect(),
                })
                .collect(),
            schemas: Vec::new(),
            config_schema: self.config_schema.map(|schema| schema.to_string()),
            attrs: vec![("sdk".to_owned(), env!("CARGO_PKG_VERSION").to_owned())],
        }
    }
}

pub(crate) fn descriptor<P: Plugin>() -> lifecycle::Descriptor {
    let described = describe_routes::<P>();
    let about = About { id: P::ID, version: P::VERSION, title: P::TITLE, config_schema: P::config_schema() };
    lifecycle::Descriptor {
        routes: described.routes.into_iter().map(route).collect(),
        subscriptions: described
            .schedules
            .into_iter()
            .map(|schedule| lifecycle::Subscription {
                kind: "schedule".to_owned(),
                name: schedule.operation_id.to_owned(),
                attrs: vec![("every-ms".to_owned(), schedule.every_ms.to_string())],
            })
            .collect(),
        permissions: P::permissions()
            .into_iter()
            .map(|permission| lifecycle::Permission {
                name: permission.name.to_owned(),
                description: permission.description.to_owned(),
            })
            .collect(),
        schemas: described.schemas,
        ..about.descriptor(&P::collections(), P::capabilities())
    }
}

fn route(route: RouteDescription) -> lifecycle::Route {
    lifecycle::Route {
        method: route.method.to_owned(),
        path: route.path.to_owned(),
        operation_id: route.operation_id.to_owned(),
        summary: route.summary.to_owned(),
        description: route.description.to_owned(),
        access: route.access,
        params: route
            .params
            .into_iter()
            .map(|param| lifecycle::Param {
                name: param.name.to_owned(),
                location: param.location.to_owned(),
                required: param.required,
                schema: param.schema,
                description: param.description.to_owned(),
            })
            .collect(),
        request: route.request.map(body),
        responses: route
            .responses
            .into_iter()
            .map(|(status, description, content)| lifecycle::RouteResponse {
                status,
                description: description.to_owned(),
                body: content.map(body),
            })
            .collect(),
        errors: route.errors.into_iter().map(str::to_owned).collect(),
        list_query: route.list.map(|list| lifecycle::ListDeclaration {
            collection: list.collection.to_owned(),
            filters: list.filters.into_iter().map(str::to_owned).collect(),
            sorts: list.sorts.into_iter().map(str::to_owned).collect(),
            text: list.text,
        }),
        attrs: route.attrs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
    }
}

fn body(body: BodyDescription) -> lifecycle::Body {
    lifecycle::Body { media_type: body.media_type.to_owned(), schema: body.schema, example: body.example }
}

fn collection(collection: &crate::Collection) -> lifecycle::Collection {
    use store_model::{Access, FieldKind};
    let schema = collection.schema();
    lifecycle::Collection {
        name: schema.name,
        id_prefix: schema.id_prefix,
        owner: schema.owner,
        fields: schema
            .fields
            .into_iter()
            .map(|field| lifecycle::Field {
                path: field.path,
                kind: match field.kind {
                    FieldKind::Text => "text",
                    FieldKind::Integer => "integer",
                    FieldKind::Boolean => "boolean",
                    FieldKind::Timestamp => "timestamp",
                }
                .to_owned(),
                multi: field.multi,
                access: match field.access {
                    Access::Index => "index",
                    Access::Unique => "unique",
                    Access::Scan => "scan",
                }
                .to_owned(),
            })
            .collect(),
        indexes: schema.indexes.into_iter().map(|index| index.fields).collect(),
        text: schema
            .text
            .into_iter()
            .map(|field| lifecycle::TextField { path: field.path, weight: field.weight })
            .collect(),
        attrs: Vec::new(),
    }
}
