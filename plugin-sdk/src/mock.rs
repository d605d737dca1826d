//! A host for native tests: the reference model of the store, a clock that stands still, and a record of what the
//! handler did.

mod accounts;
mod descriptor;
mod hooks;
mod outside;

pub use descriptor::{descriptor_faults, request_faults, response_faults, schema_faults};
pub use hooks::RecordedPayment;

use std::cell::{Cell, RefCell};

use serde_json::{Map, Value};
use store_model::{
    Aggregate, AggregateRow, Document, Embed, FacetCount, Facets, Filter, Operation, Query, QueryError,
    Write, memory::MemoryStore,
};

use crate::{
    Capability, Plugin, Problem, Reply, Request,
    commit::{AnswerRequest, CommitRequest, Content, OperationRequest, WriteRequest},
    error::StoreError,
    hooks::Hooks,
    host::{Host, Level, RawPage},
    http_client::{self, SendError},
    identity::AccountCall,
    secrets::SecretError,
    time::timestamp,
};

/// An event that a commit carried.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordedEvent {
    pub topic: String,
    pub subject: String,
    pub data: Value,
}

/// The answer that went with a commit.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordedAnswer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Value,
}

/// A host for native tests. Its store obeys the same laws as the real ones.
pub struct MockHost {
    store: RefCell<MemoryStore>,
    prefixes: RefCell<Vec<(String, String)>>,
    next_id: Cell<u64>,
    now_ms: Cell<i64>,
    events: RefCell<Vec<RecordedEvent>>,
    answer: RefCell<Option<RecordedAnswer>>,
    log: RefCell<Vec<String>>,
    config: RefCell<Vec<u8>>,
    acts: RefCell<Vec<Option<Act>>>,
    /// Accounts that the next commit takes along.
    joining: RefCell<Vec<Write>>,
    hooks: hooks::MockHooks,
    outside: outside::Outside,
}

/// What somebody else does in the middle of a call.
type Act = Box<dyn FnOnce(&MockHost)>;

impl MockHost {
    /// A host without any collection, for a plugin that is no endpoint.
    pub fn empty() -> Self {
        struct Nothing;
        impl Plugin for Nothing {
            const ID: &'static str = "nothing";
            const VERSION: &'static str = "0.0.0";
            const TITLE: &'static str = "";
            fn routes(_: &mut crate::Router) {}
        }
        Self::new::<Nothing>()
    }

    /// A host with the plugin's collections, at 2026-01-01T00:00:00Z.
    pub fn new<P: Plugin>() -> Self {
        let host = Self {
            store: RefCell::new(MemoryStore::default()),
            prefixes: RefCell::default(),
            next_id: Cell::new(0),
            now_ms: Cell::new(1_767_225_600_000),
            events: RefCell::default(),
            answer: RefCell::default(),
            log: RefCell::default(),
            config: RefCell::default(),
            acts: RefCell::default(),
            joining: RefCell::default(),
            hooks: hooks::MockHooks::default(),
            outside: outside::Outside::default(),
        };
        host.declare(P::collections());
        let reads_accounts =
            |it: &Capability| *it == Capability::identity() || it.target == crate::identity::ACCOUNTS;
        if P::capabilities().iter().any(reads_accounts) {
            accounts::declare(&host);
        }
        host
    }

    /// Adds collections of other plugins.
    pub fn declare(&self, collections: Vec<crate::Collection>) {
        let schemas: Vec<_> = collections.iter().map(crate::Collection::schema).collect();
        for schema in &schemas {
            self.prefixes.borrow_mut().push((schema.name.clone(), schema.id_prefix.clone()));
        }
        if let Err(error) = self.store.borrow_mut().declare(schemas) {
            panic!("the plugin declares collections that the store refuses: {error}");
        }
    }

    /// Sets the plugin's configuration for the calls that follow.
    pub fn configure(&self, config: &Value) {
        *self.config.borrow_mut() = config.to_string().into_bytes();
    }

    /// Puts a document into a collection, as another plugin would.
    pub fn put(&self, collection: &str, id: &str, document: &Value) {
        let mut commit = crate::Context::new(self, b"").commit();
        commit.insert_with_id(collection, id, document);
        if let Err(error) = commit.apply() {
            panic!("the store refuses the document: {error:?}");
        }
    }

    /// A stored document, with what the host keeps in it.
    pub fn document(&self, collection: &str, id: &str) -> Option<Value> {
        let document = self.get_many(collection, &[id.to_owned()]).ok()?.into_iter().next().flatten()?;
        serde_json::from_str(&document.json).ok()
    }

    /// Lets somebody else act between the reads and a commit of the next call: `act` runs right before the commit
    /// number `commit`, counted from 0. Commits that `act` makes itself are not counted.
    pub fn before_commit(&self, commit: usize, act: impl FnOnce(&MockHost) + 'static) {
        let mut acts = self.acts.borrow_mut();
        if acts.len() <= commit {
            acts.resize_with(commit + 1, || None);
        }
        acts[commit] = Some(Box::new(act));
    }

    fn interleave(&self) {
        let mut acts = self.acts.take();
        if acts.is_empty() {
            return;
        }
        if let Some(act) = acts.remove(0) {
            act(self);
        }
        *self.acts.borrow_mut() = acts;
    }

    /// Moves the clock.
    pub fn set_now_ms(&self, now_ms: i64) {
        self.now_ms.set(now_ms);
    }

    /// Calls an operation of the plugin.
    pub fn call<P: Plugin>(&self, request: Request) -> Result<Reply, Problem> {
        self.answer.borrow_mut().take();
        let config = self.config.borrow().clone();
        crate::export::call::<P>(self, &config, request)
    }

    /// The answer of the last call: what it returned, or what went with its last commit.
    pub fn answered<P: Plugin>(&self, request: Request) -> Result<RecordedAnswer, Problem> {
        match self.call::<P>(request)? {
            Reply::Committed => {
                let answer = self.answer.borrow_mut().take();
                Ok(answer.unwrap_or_else(|| {
                    panic!("the handler answered `committed` without an answer in a commit")
                }))
            }
            Reply::Response(response) => Ok(RecordedAnswer {
                status: response.status,
                headers: response.headers,
                body: serde_json::from_slice(&response.body).unwrap_or(Value::Null),
            }),
        }
    }

    /// The events of all commits so far.
    pub fn events(&self) -> Vec<RecordedEvent> {
        self.events.borrow().clone()
    }

    /// The lines logged so far.
    pub fn log_lines(&self) -> Vec<String> {
        self.log.borrow().clone()
    }

    fn prefix(&self, collection: &str) -> Result<String, StoreError> {
        let prefixes = self.prefixes.borrow();
        let found = prefixes.iter().find(|(name, _)| name == collection).map(|(_, prefix)| prefix.clone());
        found.ok_or_else(|| StoreError::Denied(format!("collection `{collection}` is not declared")))
    }

    fn write(&self, write: WriteRequest) -> Result<Write, StoreError> {
        let operation = match write.operation {
            OperationRequest::Insert(body) => Operation::Insert(object(&body)?),
            OperationRequest::Replace(body) => Operation::Replace(object(&body)?),
            OperationRequest::Update(operations) => Operation::Update(operations),
            OperationRequest::Delete => Operation::Delete,
            OperationRequest::Check => Operation::Check,
        };
        let id = match write.id {
            Some(id) => id,
            None => self.new_id(&self.prefix(&write.collection)?)?,
        };
        Ok(Write {
            collection: write.collection,
            id,
            operation,
            expected_version: write.expected_version,
            guard: write.guard,
            scope: None,
            embeds: Vec::<Embed>::new(),
        })
    }
}

fn object(body: &[u8]) -> Result<Map<String, Value>, StoreError> {
    serde_json::from_slice(body).map_err(|error| StoreError::Invalid {
        path: String::new(),
        message: format!("the document is not a JSON object: {error}"),
    })
}

fn resolve(content: Content, documents: &[Option<Document>]) -> Value {
    match content {
        Content::Json(bytes) => serde_json::from_slice(&bytes).unwrap_or(Value::Null),
        Content::Document { write, overlay } => {
            let document = documents.get(write).and_then(Option::as_ref);
            let mut value: Value = document
                .map_or(Value::Null, |document| serde_json::from_str(&document.json).unwrap_or(Value::Null));
            let overlay: Map<String, Value> = overlay
                .map(|overlay| serde_json::from_slice(&overlay).unwrap_or_default())
                .unwrap_or_default();
            if let Some(members) = value.as_object_mut() {
                members.retain(|name, _| !store_model::is_hidden(name));
                members.extend(overlay);
            }
            value
        }
    }
}

fn query_error(error: QueryError) -> StoreError {
    match error {
        QueryError::CursorMismatch => StoreError::CursorMismatch,
        other => StoreError::Invalid { path: String::new(), message: other.to_string() },
    }
}

impl Host for MockHost {
    fn get_many(&self, collection: &str, ids: &[String]) -> Result<Vec<Option<Document>>, StoreError> {
        self.store.borrow().get_many(collection, ids, None).map_err(query_error)
    }

    fn find(&self, collection: &str, query: &Query) -> Result<RawPage, StoreError> {
        let page = self.store.borrow().find(collection, query).map_err(query_error)?;
        Ok(RawPage { documents: page.documents, next: page.next, total: page.total })
    }

    fn count(&self, collection: &str, filter: &Filter) -> Result<u64, StoreError> {
        self.store.borrow().count(collection, filter, None).map_err(query_error)
    }

    fn aggregate(&self, collection: &str, aggregate: &Aggregate) -> Result<Vec<AggregateRow>, StoreError> {
        self.store.borrow().aggregate(collection, aggregate).map_err(query_error)
    }

    fn facets(&self, collection: &str, facets: &Facets) -> Result<Vec<Vec<FacetCount>>, StoreError> {
        self.store.borrow().facets(collection, facets).map_err(query_error)
    }

    fn commit(&self, commit: CommitRequest) -> Result<Vec<Option<Document>>, StoreError> {
        // Of this call, and not of who acts meanwhile.
        let mut joining = self.joining.take();
        self.interleave();
        let mut writes =
            commit.writes.into_iter().map(|write| self.write(write)).collect::<Result<Vec<_>, _>>()?;
        let own = writes.len();
        writes.append(&mut joining);
        let request = store_model::Commit { writes, now: timestamp(self.now_ms.get()) };
        let documents = self.store.borrow_mut().commit(&request).map_err(|refused| StoreError::Refused {
            write: refused.write.min(own),
            reason: refused.reason,
        })?;
        for event in commit.events {
            self.events.borrow_mut().push(RecordedEvent {
                topic: event.topic,
                subject: request.writes.get(event.subject).map(|write| write.id.clone()).unwrap_or_default(),
                data: resolve(event.data, &documents),
            });
        }
        if let Some(AnswerRequest { status, headers, body, .. }) = commit.answer {
            let body = body.map_or(Value::Null, |content| resolve(content, &documents));
            *self.answer.borrow_mut() = Some(RecordedAnswer { status, headers, body });
        }
        Ok(documents.into_iter().take(own).collect())
    }

    fn new_id(&self, prefix: &str) -> Result<String, StoreError> {
        self.next_id.set(self.next_id.get() + 1);
        Ok(format!("{prefix}_{:026}", self.next_id.get()))
    }

    fn new_ids(&self, prefix: &str, count: usize) -> Result<Vec<String>, StoreError> {
        (0..count).map(|_| self.new_id(prefix)).collect()
    }

    fn log(&self, _level: Level, message: &str, _fields: &[(&str, &str)]) {
        self.log.borrow_mut().push(message.to_owned());
    }

    fn now_ms(&self) -> i64 {
        self.now_ms.get()
    }

    fn accounts(&self, call: AccountCall) -> Result<Vec<u8>, Problem> {
        accounts::answer(self, call)
    }

    fn hooks(&self) -> Option<&dyn Hooks> {
        Some(self)
    }

    fn http_send(&self, request: &http_client::Request) -> Result<http_client::Response, SendError> {
        outside::send(&self.outside, request)
    }

    fn verify_hmac(&self, secret: &str, message: &[u8], signature: &[u8]) -> Result<bool, SecretError> {
        outside::verify(&self.outside, secret, message, signature)
    }
}
