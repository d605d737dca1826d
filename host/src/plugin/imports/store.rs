//! `wares:store`.

mod convert;
mod filter;

use serde_json::{Map, Value};
use store_model::{
    Aggregate, Direction, Document, Facet, FacetCount, Facets, FieldOperation, GroupKey, Measure, Operation,
    Query, Scalar, Scope, SortKey, Write, guest_of, is_hidden,
};

use self::{
    convert::{commit_error, invalid, read_error, scalar_to_guest, to_guest, to_json, to_object},
    filter::from_guest,
};
use crate::{
    identity::collections,
    plugin::{
        bindings::wares::store::{
            query,
            store::{self, Host},
        },
        grants::Grants,
        handler,
        instance::{CallState, CallerKind, Granted, Reach, document_bytes},
        outcome::{Failure, Stop},
    },
    store::{AnswerPlan, Content, EventPlan},
};

pub(in crate::plugin) use filter::to_guest as filter_to_guest;

/// Most ids in one read.
const BATCH: usize = 1_000;
/// Most writes of one commit: a parcel of 500 SKUs has two for each.
const WRITES: usize = 1_100;
/// Most events of one commit.
const EVENTS: usize = 1_000;

type Answered<T> = wasmtime::Result<Result<T, store::Error>>;

impl query::Host for CallState {}

impl Host for CallState {
    async fn get_many(
        &mut self,
        collection: String,
        ids: Vec<String>,
    ) -> Answered<Vec<Option<store::Document>>> {
        self.budget.spend(ids.iter().map(String::len).sum())?;
        let granted = self.granted()?;
        if !granted.grants.may_read(&collection) {
            return Ok(Err(self.deny("read", &collection)));
        }
        if ids.len() > BATCH {
            return Ok(Err(invalid("", format!("at most {BATCH} ids"))));
        }
        let scope = granted.scope(&collection);
        let documents = match granted.store.document_get_many(&collection, &ids, scope.as_ref()).await {
            Ok(documents) => documents,
            Err(error) => return Ok(Err(read_error(error))),
        };
        let of_host = is_host(&collection);
        let documents: Vec<_> =
            documents.into_iter().map(|document| document.map(|it| visible(of_host, it))).collect();
        self.budget.spend_bytes(documents.iter().flatten().map(document_bytes).sum())?;
        Ok(Ok(documents.into_iter().map(|document| document.map(to_guest)).collect()))
    }

    async fn find(&mut self, collection: String, query: store::Query) -> Answered<store::Page> {
        self.budget.spend(query.cursor.as_ref().map_or(0, String::len))?;
        let granted = self.granted()?;
        if !granted.grants.may_read(&collection) {
            return Ok(Err(self.deny("read", &collection)));
        }
        let filter = match from_guest(query.filter) {
            Ok(filter) => filter,
            Err(error) => return Ok(Err(error)),
        };
        let query = Query {
            filter,
            text: query.text,
            sort: query
                .sort
                .into_iter()
                .map(|key| SortKey {
                    path: key.path,
                    direction: if key.descending { Direction::Descending } else { Direction::Ascending },
                })
                .collect(),
            limit: query.limit,
            cursor: query.cursor,
            offset: query.offset,
            fields: query.fields,
            count: query.count,
            scope: granted.scope(&collection),
        };
        let page = match granted.store.document_find(&collection, &query).await {
            Ok(page) => page,
            Err(error) => return Ok(Err(read_error(error))),
        };
        let of_host = is_host(&collection);
        let documents: Vec<_> = page.documents.into_iter().map(|it| visible(of_host, it)).collect();
        self.budget.spend_bytes(documents.iter().map(document_bytes).sum())?;
        Ok(Ok(store::Page {
            documents: documents.into_iter().map(to_guest).collect(),
            next: page.next,
            total: page.total,
        }))
    }

    async fn count(&mut self, collection: String, filter: Option<query::Filter>) -> Answered<u64> {
        self.budget.spend(0)?;
        let granted = self.granted()?;
        if !granted.grants.may_read(&collection) {
            return Ok(Err(self.deny("read", &collection)));
        }
        let filter = match from_guest(filter) {
            Ok(filter) => filter,
            Err(error) => return Ok(Err(error)),
        };
        let scope = granted.scope(&collection);
        Ok(granted.store.document_count(&collection, &filter, scope.as_ref()).await.map_err(read_error))
    }

    async fn aggregate(
        &mut self,
        collection: String,
        wanted: store::Aggregation,
    ) -> Answered<Vec<store::Group>> {
        let paths = wanted.group.iter().map(|key| match key {
            store::GroupKey::Field(path) => path.len(),
            store::GroupKey::Day(day) => day.path.len(),
        });
        self.budget.spend(paths.sum())?;
        let granted = self.granted()?;
        if is_host(&collection) || !granted.grants.may_read(&collection) {
            return Ok(Err(self.deny("read", &collection)));
        }
        let filter = match from_guest(wanted.filter) {
            Ok(filter) => filter,
            Err(error) => return Ok(Err(error)),
        };
        let aggregate = Aggregate {
            filter,
            unwind: wanted.unwind,
            group: wanted
                .group
                .into_iter()
                .map(|key| match key {
                    store::GroupKey::Field(path) => GroupKey::Field(path),
                    store::GroupKey::Day(day) => {
                        GroupKey::Day { path: day.path, offset_minutes: day.offset_minutes }
                    }
                })
                .collect(),
            measures: wanted
                .measures
                .into_iter()
                .map(|measure| match measure {
                    store::Measure::Count => Measure::Count,
                    store::Measure::Sum(path) => Measure::Sum(path),
                    store::Measure::Min(path) => Measure::Min(path),
                    store::Measure::Max(path) => Measure::Max(path),
                })
                .collect(),
            scope: granted.scope(&collection),
            limit: wanted.limit,
        };
        let rows = match granted.store.document_aggregate(&collection, &aggregate).await {
            Ok(rows) => rows,
            Err(error) => return Ok(Err(read_error(error))),
        };
        self.budget.spend_bytes(
            rows.iter().flat_map(|row| row.key.iter().chain(&row.measures)).map(scalar_bytes).sum(),
        )?;
        Ok(Ok(rows
            .into_iter()
            .map(|row| store::Group {
                key: row.key.into_iter().map(scalar_to_guest).collect(),
                measures: row.measures.into_iter().map(scalar_to_guest).collect(),
            })
            .collect()))
    }

    async fn facets(
        &mut self,
        collection: String,
        filter: Option<query::Filter>,
        text: Option<String>,
        facets: Vec<store::Facet>,
    ) -> Answered<Vec<Vec<store::FacetCount>>> {
        self.budget
            .spend(text.as_ref().map_or(0, String::len) + facets.iter().map(facet_bytes).sum::<usize>())?;
        let granted = self.granted()?;
        if is_host(&collection) || !granted.grants.may_read(&collection) {
            return Ok(Err(self.deny("read", &collection)));
        }
        let filter = match from_guest(filter) {
            Ok(filter) => filter,
            Err(error) => return Ok(Err(error)),
        };
        let scope = granted.scope(&collection);
        let facets = Facets { filter, text, facets: facets.into_iter().map(to_facet).collect(), scope };
        let counts = match granted.store.document_facets(&collection, &facets).await {
            Ok(counts) => counts,
            Err(error) => return Ok(Err(read_error(error))),
        };
        self.budget.spend_bytes(counts.iter().flatten().map(|count| scalar_bytes(&count.value)).sum())?;
        let count = |count: FacetCount| store::FacetCount {
            value: scalar_to_guest(count.value),
            documents: count.documents,
        };
        Ok(Ok(counts.into_iter().map(|counts| counts.into_iter().map(count).collect()).collect()))
    }

    async fn commit(
        &mut self,
        writes: Vec<store::Write>,
        events: Vec<store::Event>,
        answer: Option<store::Answer>,
    ) -> Answered<Vec<Option<store::Document>>> {
        let bytes = writes.iter().map(write_bytes).sum::<usize>()
            + events.iter().map(event_bytes).sum::<usize>()
            + answer.as_ref().and_then(|it| it.body.as_ref()).map_or(0, content_bytes);
        self.budget.spend(bytes)?;
        let response_bytes = self.response_bytes;
        let granted = self.granted()?;
        if writes.len() > WRITES || events.len() > EVENTS {
            granted.transaction.unjoin();
            return Ok(Err(invalid("", format!("at most {WRITES} writes and {EVENTS} events"))));
        }
        let prepared = prepare(granted, writes, events, answer, response_bytes);
        let (writes, events, answer) = match prepared {
            Ok(prepared) => prepared,
            Err(Prepare::Guest(error)) => {
                granted.transaction.unjoin();
                self.denied |= matches!(error, store::Error::Denied(_));
                return Ok(Err(error));
            }
            Err(Prepare::Stop(stop)) => return Err(stop.into()),
        };
        let (transaction, store) = (granted.transaction.clone(), granted.store.clone());
        let of_host: Vec<bool> = writes.iter().map(|write| is_host(&write.collection)).collect();
        match transaction.commit(&store, writes, events, answer).await {
            Ok(documents) => {
                let documents: Vec<_> = documents
                    .into_iter()
                    .zip(of_host)
                    .map(|(document, of_host)| document.map(|it| visible(of_host, it)))
                    .collect();
                self.budget.spend_bytes(documents.iter().flatten().map(document_bytes).sum())?;
                Ok(Ok(documents.into_iter().map(|document| document.map(to_guest)).collect()))
            }
            Err(error) => Ok(Err(commit_error(error))),
        }
    }

    async fn new_id(&mut self, prefix: String) -> Answered<String> {
        let ids = self.new_ids(prefix, 1).await?;
        Ok(ids.map(|mut ids| ids.pop().unwrap_or_default()))
    }

    async fn new_ids(&mut self, prefix: String, count: u32) -> Answered<Vec<String>> {
        self.budget.spend(prefix.len())?;
        let granted = self.granted()?;
        if !(2..=4).contains(&prefix.len()) || !prefix.bytes().all(|byte| byte.is_ascii_lowercase()) {
            return Ok(Err(invalid("", "an id prefix has 2 to 4 lower-case letters")));
        }
        if !(1..=BATCH).contains(&(count as usize)) {
            return Ok(Err(invalid("", format!("1 to {BATCH} ids"))));
        }
        let ids: Vec<String> = (0..count).map(|_| granted.store.id_new(&prefix)).collect();
        self.budget.spend_bytes(ids.iter().map(String::len).sum())?;
        Ok(Ok(ids))
    }
}

impl CallState {
    fn deny(&mut self, verb: &str, collection: &str) -> store::Error {
        self.denied = true;
        denied(verb, collection)
    }

    /// What the call was granted; ends a guest that reaches for the store where nothing is granted.
    pub(super) fn granted(&mut self) -> wasmtime::Result<&mut Granted> {
        match &mut self.reach {
            Reach::Granted(granted) => Ok(granted),
            Reach::Nothing => Err(Stop::new(
                Failure::Denied,
                "it used the host while describing itself, where it has no capabilities",
            )
            .into()),
        }
    }
}

impl Granted {
    /// On calls of customers and guests, the restriction to the caller's own documents.
    fn scope(&self, collection: &str) -> Option<Scope> {
        if self.caller.kind != CallerKind::Customer && self.caller.kind != CallerKind::Anonymous {
            return None;
        }
        let path = match collection {
            // An account is its own.
            collections::ACCOUNTS => "id".to_owned(),
            _ if self.by_provider => return None,
            _ => self.store.collection(collection)?.owner.clone()?,
        };
        let own = self.created.as_ref().or(self.caller.subject.as_ref());
        let new_guest = self.caller.new_guest.as_ref().map(|token| guest_of(&[token]));
        let mut owners: Vec<Scalar> = own
            .into_iter()
            .chain(&self.caller.guest)
            .chain(&new_guest)
            .map(|owner| Scalar::Text(owner.clone()))
            .collect();
        if owners.is_empty() {
            // Nobody's documents are owned by null: an anonymous caller owns nothing.
            owners.push(Scalar::Text(String::new()));
        }
        Some(Scope { path, owners })
    }
}

/// Whether a collection is the host's own.
fn is_host(collection: &str) -> bool {
    collection.starts_with('_')
}

/// The document without what the host keeps to itself.
fn visible(of_host: bool, document: Document) -> Document {
    if !of_host {
        return document;
    }
    let members: Map<String, Value> = serde_json::from_str(&document.json).unwrap_or_default();
    let members: Map<String, Value> = members.into_iter().filter(|(name, _)| !is_hidden(name)).collect();
    Document { json: Value::Object(members).to_string(), ..document }
}

enum Prepare {
    Guest(store::Error),
    Stop(Stop),
}

impl From<store::Error> for Prepare {
    fn from(error: store::Error) -> Self {
        Self::Guest(error)
    }
}

type Prepared = (Vec<Write>, Vec<EventPlan>, Option<AnswerPlan>);

fn prepare(
    granted: &Granted,
    writes: Vec<store::Write>,
    events: Vec<store::Event>,
    answer: Option<store::Answer>,
    response_bytes: usize,
) -> Result<Prepared, Prepare> {
    let count = writes.len();
    let writes = writes.into_iter().map(|write| to_write(granted, write)).collect::<Result<Vec<_>, _>>()?;
    let events = events
        .into_iter()
        .map(|event| {
            let subject = in_range(event.subject, count)?;
            Ok(EventPlan { topic: event.topic, subject, data: to_content(event.data, count)? })
        })
        .collect::<Result<Vec<_>, store::Error>>()?;
    let answer = match answer {
        Some(answer) => {
            check_answer(&answer, &granted.statuses, response_bytes).map_err(Prepare::Stop)?;
            Some(AnswerPlan {
                status: answer.status,
                headers: answer.headers,
                body: answer.body.map(|content| to_content(content, count)).transpose()?,
                subject: answer.subject.map(|subject| in_range(subject, count)).transpose()?,
            })
        }
        None => None,
    };
    Ok((writes, events, answer))
}

/// An answer is checked before its commit: what is stored must be fit to be sent.
fn check_answer(answer: &store::Answer, statuses: &[u16], response_bytes: usize) -> Result<(), Stop> {
    let stop = |cause: &str| Stop::new(Failure::Output, cause);
    if !statuses.contains(&answer.status) {
        return Err(stop("the answer's status is not declared"));
    }
    if answer.status == 204 && answer.body.is_some() {
        return Err(stop("a body with the status 204"));
    }
    if answer.body.as_ref().map_or(0, content_bytes) > response_bytes {
        return Err(stop("the answer is larger than the plugin's limit"));
    }
    handler::check_headers(&answer.headers).map_err(|cause| stop(&cause))
}

fn to_write(granted: &Granted, write: store::Write) -> Result<Write, store::Error> {
    let collection = write.collection;
    let checks_only = matches!(write.operation, store::Operation::Check);
    if checks_only {
        may_read(&granted.grants, &collection)?;
    } else {
        may_write(&granted.grants, &collection)?;
    }
    let id = match (write.id, &write.operation) {
        (Some(id), _) => id,
        (None, store::Operation::Insert(_)) => {
            let schema = granted.store.collection(&collection);
            let prefix = schema.map(|schema| schema.id_prefix.clone()).unwrap_or_default();
            granted.store.id_new(&prefix)
        }
        (None, _) => return Err(invalid("", "only an insert may leave the id to the host")),
    };
    if id.is_empty()
        || id.len() > 64
        || !id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
    {
        return Err(invalid("id", "an id has 1 to 64 letters, digits, `_` and `-`"));
    }
    let operation = match write.operation {
        store::Operation::Insert(body) => Operation::Insert(to_object(&body)?),
        store::Operation::Replace(body) => Operation::Replace(to_object(&body)?),
        store::Operation::Update(operations) => {
            Operation::Update(operations.into_iter().map(to_field_operation).collect::<Result<_, _>>()?)
        }
        store::Operation::Delete => Operation::Delete,
        store::Operation::Check => Operation::Check,
    };
    let guard = match write.guard {
        Some(filter) => Some(from_guest(Some(filter))?),
        None => None,
    };
    let scope = granted.scope(&collection);
    Ok(Write {
        collection,
        id,
        operation,
        expected_version: write.expected_version,
        guard,
        scope,
        embeds: Vec::new(),
    })
}

fn to_facet(facet: store::Facet) -> Facet {
    match facet {
        store::Facet::Values(it) => Facet::Values { path: it.path, prefix: it.prefix, limit: it.limit },
        store::Facet::Ranges(it) => Facet::Ranges { path: it.path, bounds: it.bounds },
    }
}

fn facet_bytes(facet: &store::Facet) -> usize {
    match facet {
        store::Facet::Values(it) => it.path.len() + it.prefix.as_ref().map_or(0, String::len),
        store::Facet::Ranges(it) => it.path.len() + it.bounds.len() * size_of::<i64>(),
    }
}

fn to_field_operation(operation: store::FieldOperation) -> Result<FieldOperation, store::Error> {
    Ok(match operation {
        store::FieldOperation::Set(it) => FieldOperation::Set { value: to_json(&it.value)?, path: it.path },
        store::FieldOperation::Unset(path) => FieldOperation::Unset { path },
        store::FieldOperation::Increment(it) => FieldOperation::Increment { path: it.path, by: it.by },
        store::FieldOperation::Append(it) => {
            FieldOperation::Append { value: to_json(&it.value)?, path: it.path }
        }
        store::FieldOperation::Remove(it) => {
            FieldOperation::Remove { value: to_json(&it.value)?, path: it.path }
        }
    })
}

fn to_content(content: store::Content, writes: usize) -> Result<Content, store::Error> {
    Ok(match content {
        store::Content::Bytes(bytes) => Content::Json(to_json(&bytes)?),
        store::Content::Document(written) => Content::Document {
            write: in_range(written.write, writes)?,
            overlay: written.overlay.map(|overlay| to_object(&overlay)).transpose()?.unwrap_or_default(),
        },
    })
}

fn in_range(position: u32, writes: usize) -> Result<usize, store::Error> {
    let position = position as usize;
    if position < writes {
        Ok(position)
    } else {
        Err(invalid("", "names a write that the commit does not have"))
    }
}

fn may_read(grants: &Grants, collection: &str) -> Result<(), store::Error> {
    if grants.may_read(collection) { Ok(()) } else { Err(denied("read", collection)) }
}

fn may_write(grants: &Grants, collection: &str) -> Result<(), store::Error> {
    if grants.may_write(collection) { Ok(()) } else { Err(denied("write", collection)) }
}

fn denied(verb: &str, collection: &str) -> store::Error {
    store::Error::Denied(format!("the plugin may not {verb} collection `{collection}`"))
}

fn content_bytes(content: &store::Content) -> usize {
    match content {
        store::Content::Bytes(bytes) => bytes.len(),
        store::Content::Document(written) => written.overlay.as_ref().map_or(0, Vec::len),
    }
}

fn scalar_bytes(scalar: &Scalar) -> usize {
    match scalar {
        Scalar::Text(text) => text.len(),
        _ => size_of::<i64>(),
    }
}

fn event_bytes(event: &store::Event) -> usize {
    event.topic.len() + content_bytes(&event.data)
}

fn write_bytes(write: &store::Write) -> usize {
    match &write.operation {
        store::Operation::Insert(body) | store::Operation::Replace(body) => body.len(),
        store::Operation::Update(operations) => operations
            .iter()
            .map(|operation| match operation {
                store::FieldOperation::Set(it)
                | store::FieldOperation::Append(it)
                | store::FieldOperation::Remove(it) => it.path.len() + it.value.len(),
                store::FieldOperation::Unset(path) => path.len(),
                store::FieldOperation::Increment(it) => it.path.len(),
            })
            .sum(),
        store::Operation::Delete | store::Operation::Check => 0,
    }
}
