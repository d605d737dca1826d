//! Writing: one commit with its events and the answer to the client, all or nothing.

use serde::Serialize;
use store_model::{Document, FieldOperation, Filter};

use crate::{
    error::{FieldError, Problem, StoreError},
    host::Host,
    http::Reply,
};

/// Position of a write in its commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriteRef(pub(crate) usize);

impl WriteRef {
    /// Position of the write, as a refusal names it.
    pub fn position(self) -> usize {
        self.0
    }
}

/// A commit on its way to the host.
#[derive(Debug, Clone, Default)]
pub struct CommitRequest {
    pub writes: Vec<WriteRequest>,
    pub events: Vec<EventRequest>,
    pub answer: Option<AnswerRequest>,
}

#[derive(Debug, Clone)]
pub struct WriteRequest {
    pub collection: String,
    pub id: Option<String>,
    pub operation: OperationRequest,
    pub expected_version: Option<u64>,
    pub guard: Option<Filter>,
}

#[derive(Debug, Clone)]
pub enum OperationRequest {
    /// A JSON object.
    Insert(Vec<u8>),
    /// A JSON object.
    Replace(Vec<u8>),
    Update(Vec<FieldOperation>),
    Delete,
    Check,
}

/// Where an event's data or an answer's body comes from.
#[derive(Debug, Clone)]
pub enum Content {
    Json(Vec<u8>),
    /// The document that a write results in, with members replaced by those of a JSON object.
    Document {
        write: usize,
        overlay: Option<Vec<u8>>,
    },
}

#[derive(Debug, Clone)]
pub struct EventRequest {
    pub topic: String,
    pub subject: usize,
    pub data: Content,
}

#[derive(Debug, Clone)]
pub struct AnswerRequest {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Option<Content>,
    pub subject: Option<usize>,
}

/// A commit being put together. Nothing happens until [`apply`](Self::apply) or [`answer`](Self::answer).
pub struct Commit<'h> {
    host: &'h dyn Host,
    request: CommitRequest,
    failed: Option<StoreError>,
}

impl<'h> Commit<'h> {
    pub(crate) fn new(host: &'h dyn Host) -> Self {
        Self { host, request: CommitRequest::default(), failed: None }
    }

    /// Inserts a document under a new id of the host's making.
    pub fn insert(&mut self, collection: &str, data: &impl Serialize) -> WriteRef {
        let operation = OperationRequest::Insert(self.encode(data));
        self.push(collection, None, operation)
    }

    /// Inserts a document under an id from [`Context::new_id`](crate::Context::new_id).
    pub fn insert_with_id(&mut self, collection: &str, id: &str, data: &impl Serialize) -> WriteRef {
        let operation = OperationRequest::Insert(self.encode(data));
        self.push(collection, Some(id), operation)
    }

    /// Replaces a document.
    pub fn replace(&mut self, collection: &str, id: &str, data: &impl Serialize) -> WriteRef {
        let operation = OperationRequest::Replace(self.encode(data));
        self.push(collection, Some(id), operation)
    }

    /// Changes members of a document.
    pub fn update(&mut self, collection: &str, id: &str, operations: Vec<FieldOperation>) -> WriteRef {
        self.push(collection, Some(id), OperationRequest::Update(operations))
    }

    pub fn delete(&mut self, collection: &str, id: &str) -> WriteRef {
        self.push(collection, Some(id), OperationRequest::Delete)
    }

    /// Locks a document without changing it: no concurrent commit may change what this one relies on.
    pub fn check(&mut self, collection: &str, id: &str) -> WriteRef {
        self.push(collection, Some(id), OperationRequest::Check)
    }

    /// The write applies only to this version.
    pub fn expect_version(&mut self, write: WriteRef, version: u64) {
        self.request.writes[write.0].expected_version = Some(version);
    }

    /// The write applies only if the document matches.
    pub fn guard(&mut self, write: WriteRef, guard: Filter) {
        self.request.writes[write.0].guard = Some(guard);
    }

    /// Adds an event about the document of `subject`, with that document as its data.
    pub fn event(&mut self, topic: &str, subject: WriteRef) {
        self.request.events.push(EventRequest {
            topic: topic.to_owned(),
            subject: subject.0,
            data: Content::Document { write: subject.0, overlay: None },
        });
    }

    /// Adds an event about the document of `subject`, with data of its own.
    pub fn event_with(&mut self, topic: &str, subject: WriteRef, data: &impl Serialize) {
        let data = Content::Json(self.encode(data));
        self.request.events.push(EventRequest { topic: topic.to_owned(), subject: subject.0, data });
    }

    /// Applies the commit. The results are in the order of the writes; `None` for deletes.
    pub fn apply(self) -> Result<Vec<Option<Document>>, StoreError> {
        match self.failed {
            Some(error) => Err(error),
            None => self.host.commit(self.request),
        }
    }

    /// Applies the commit together with the answer to the client, a document as `shown` with members replaced by those
    /// of `overlay` (for computed members).
    pub fn answer(
        mut self,
        status: u16,
        shown: WriteRef,
        overlay: Option<&impl Serialize>,
        headers: Vec<(String, String)>,
    ) -> Result<Reply, StoreError> {
        let overlay = overlay.map(|overlay| self.encode(overlay));
        self.request.answer = Some(AnswerRequest {
            status,
            headers,
            body: Some(Content::Document { write: shown.0, overlay }),
            subject: Some(shown.0),
        });
        self.apply()?;
        Ok(Reply::Committed)
    }

    /// Applies the commit with a JSON value as the answer.
    pub fn answer_json(mut self, status: u16, body: &impl Serialize) -> Result<Reply, StoreError> {
        let body = Some(Content::Json(self.encode(body)));
        self.request.answer = Some(AnswerRequest { status, headers: Vec::new(), body, subject: None });
        self.apply()?;
        Ok(Reply::Committed)
    }

    /// Applies the commit with a JSON value as the answer, which has the version of the document that `shown` results
    /// in: for a resource that is a part of a document.
    pub fn answer_part(
        mut self,
        status: u16,
        shown: WriteRef,
        body: &impl Serialize,
        headers: Vec<(String, String)>,
    ) -> Result<Reply, StoreError> {
        let body = Some(Content::Json(self.encode(body)));
        self.request.answer = Some(AnswerRequest { status, headers, body, subject: Some(shown.0) });
        self.apply()?;
        Ok(Reply::Committed)
    }

    /// Applies the commit with an empty answer, 204.
    pub fn answer_empty(mut self) -> Result<Reply, StoreError> {
        self.request.answer =
            Some(AnswerRequest { status: 204, headers: Vec::new(), body: None, subject: None });
        self.apply()?;
        Ok(Reply::Committed)
    }

    /// How many writes there are so far.
    pub(crate) fn len(&self) -> usize {
        self.request.writes.len()
    }

    fn push(&mut self, collection: &str, id: Option<&str>, operation: OperationRequest) -> WriteRef {
        self.request.writes.push(WriteRequest {
            collection: collection.to_owned(),
            id: id.map(str::to_owned),
            operation,
            expected_version: None,
            guard: None,
        });
        WriteRef(self.request.writes.len() - 1)
    }

    fn encode(&mut self, value: &impl Serialize) -> Vec<u8> {
        serde_json::to_vec(value).unwrap_or_else(|error| {
            let message = format!("the value cannot be written as JSON: {error}");
            self.failed.get_or_insert(StoreError::Invalid { path: String::new(), message });
            Vec::new()
        })
    }
}

/// Turns a uniqueness refusal of a field into a 409 at the client's pointer and leaves the rest to the default.
pub fn taken(error: StoreError, path: &str, pointer: impl FnOnce(&str) -> String) -> Problem {
    match &error {
        StoreError::Refused { reason: store_model::Refusal::Unique { path: at, value, .. }, .. }
            if at == path =>
        {
            let value = match value {
                store_model::Scalar::Text(text) => text.clone(),
                other => format!("{other:?}"),
            };
            let pointer = pointer(&value);
            let mut problem =
                Problem::already_exists(pointer.clone(), format!("`{value}` is already in use."));
            problem.errors =
                vec![FieldError::new(pointer, "already_exists", format!("`{value}` is already in use."))];
            problem
        }
        _ => error.into(),
    }
}
