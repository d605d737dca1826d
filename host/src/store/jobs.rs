//! Durable jobs, made of nothing but the verbs of the store.
//!
//! A job is a document, so enqueueing one joins whatever commit asks for it. A worker **claims** a due job for
//! a lease: it moves the job's due time to the end of the lease, under the version it read. If the worker
//! dies the job comes due again by itself. The version is the proof of the claim: after another worker took
//! the job, `complete` and `fail` of the first are refused.
//!
//! So a job may run more than once, and what it does has to bear that. Deliberately absent: order between
//! jobs, and results.

use std::time::Duration;

use serde_json::{Map, Value, json};
use store_model::{
    Access, CollectionSchema, CommitRefused, Document, Field, FieldOperation, Filter, Index, Operation,
    Query, Refusal, SortKey, Write,
};

use super::{CommitError, ReadError, Store};

/// The collection of jobs, which belongs to the host.
pub const COLLECTION: &str = "_jobs";

/// Due jobs that a claim looks at. With several workers the first is often gone when one reaches for it.
const CANDIDATES: u32 = 16;
/// The version of a job that was not claimed yet.
const ENQUEUED_VERSION: u64 = 1;
/// The first pause after a failure; it doubles with every attempt.
const BACKOFF_FIRST: Duration = Duration::from_secs(5);
/// The longest pause.
const BACKOFF_MAX: Duration = Duration::from_secs(60 * 60);

/// Claims and finishes jobs. Clones share the store.
#[derive(Debug, Clone)]
pub struct Jobs {
    store: Store,
}

/// A job to enqueue.
#[derive(Debug, Clone, PartialEq)]
pub struct NewJob {
    /// What kind of work it is; workers claim by kind.
    pub kind: String,
    pub payload: Value,
    /// How long from now it comes due.
    pub delay: Duration,
    /// Claims after which a failure is final, at least 1.
    pub attempts_max: u32,
}

/// A claimed job.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    pub id: String,
    pub kind: String,
    pub payload: Value,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    attempts_max: u32,
    /// The version that the claim made.
    version: u64,
}

/// What became of a failed job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// It comes due again after this time.
    After(Duration),
    /// That was the last attempt. The job stays for an operator to see, in the state `dead`.
    Dead,
}

/// Why a job was not claimed or finished.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    #[error("the lease of job `{id}` ran out and another worker has it")]
    LeaseLost { id: String },
    #[error("due jobs cannot be read")]
    Read(#[source] ReadError),
    #[error("the job cannot be written")]
    Commit(#[source] CommitError),
}

impl Jobs {
    pub fn new(store: Store) -> Self {
        Self { store }
    }

    /// To be declared with the host's other collections.
    pub fn schema() -> CollectionSchema {
        CollectionSchema {
            fields: vec![
                Field::text("state", Access::Scan),
                Field::text("kind", Access::Scan),
                Field::timestamp("dueAt", Access::Index),
            ],
            indexes: vec![Index { fields: vec!["state".to_owned(), "dueAt".to_owned()] }],
            ..CollectionSchema::host("jobs", "job")
        }
    }

    /// The write that enqueues a job, to go into a commit with what it belongs to.
    pub fn enqueue(&self, job: NewJob) -> Write {
        let mut body = Map::new();
        body.insert("kind".to_owned(), Value::from(job.kind));
        body.insert("state".to_owned(), Value::from("queued"));
        body.insert("dueAt".to_owned(), Value::from(self.store.clock().timestamp_in(job.delay)));
        body.insert("attempt".to_owned(), Value::from(0));
        body.insert("attemptsMax".to_owned(), Value::from(job.attempts_max.max(1)));
        body.insert("payload".to_owned(), job.payload);
        write(self.store.id_new("job"), Operation::Insert(body))
    }

    /// Claims the job that is due the longest, if any is. The lease is the time in which no other worker
    /// gets it.
    pub async fn claim(&self, kinds: &[&str], lease: Duration) -> Result<Option<Job>, JobError> {
        let now = self.store.clock().timestamp();
        let kinds = kinds.iter().map(|kind| (*kind).into()).collect();
        let due = Filter::And(vec![
            Filter::eq("state", "queued"),
            Filter::Lte("dueAt".to_owned(), now.into()),
            Filter::In("kind".to_owned(), kinds),
        ]);
        let sort = vec![SortKey::ascending("dueAt")];
        let query = Query { filter: due.clone(), sort, limit: CANDIDATES, ..Query::default() };
        let page = self.store.document_find(COLLECTION, &query).await.map_err(JobError::Read)?;
        for candidate in page.documents {
            let until = self.store.clock().timestamp_in(lease);
            let claim = Write {
                expected_version: Some(candidate.version),
                guard: Some(due.clone()),
                ..write(
                    candidate.id,
                    Operation::Update(vec![
                        FieldOperation::Set { path: "dueAt".to_owned(), value: Value::from(until) },
                        FieldOperation::Increment { path: "attempt".to_owned(), by: 1 },
                    ]),
                )
            };
            match self.store.commit(vec![claim]).await {
                Ok(results) => return Ok(results.into_iter().flatten().next().and_then(|job| parse(&job))),
                Err(CommitError::Refused(refused)) if is_lost(&refused) => {}
                Err(error) => return Err(JobError::Commit(error)),
            }
        }
        Ok(None)
    }

    /// The write that ends a job, to go into a commit with what the job did: both happen or neither.
    pub fn completion(&self, job: &Job) -> Write {
        Write { expected_version: Some(job.version), ..write(job.id.clone(), Operation::Delete) }
    }

    /// The write that takes a job back before anybody has claimed it. It is refused afterwards, so a commit that
    /// relies on the job not having run carries this write.
    pub fn cancellation(&self, id: &str) -> Write {
        Write { expected_version: Some(ENQUEUED_VERSION), ..write(id.to_owned(), Operation::Delete) }
    }

    /// Ends a job.
    pub async fn complete(&self, job: &Job) -> Result<(), JobError> {
        self.finish(job, self.completion(job)).await
    }

    /// Makes a job due again after a pause that grows with every attempt, or gives it up.
    pub async fn fail(&self, job: &Job, reason: &str) -> Result<Retry, JobError> {
        let set = |path: &str, value: Value| FieldOperation::Set { path: path.to_owned(), value };
        let mut operations = vec![set("lastError", json!(reason))];
        let retry = if job.attempt >= job.attempts_max {
            operations.push(set("state", json!("dead")));
            Retry::Dead
        } else {
            let pause = backoff(job.attempt);
            operations.push(set("dueAt", json!(self.store.clock().timestamp_in(pause))));
            Retry::After(pause)
        };
        let failure = Write {
            expected_version: Some(job.version),
            ..write(job.id.clone(), Operation::Update(operations))
        };
        self.finish(job, failure).await?;
        Ok(retry)
    }

    async fn finish(&self, job: &Job, write: Write) -> Result<(), JobError> {
        match self.store.commit(vec![write]).await {
            Ok(_) => Ok(()),
            Err(CommitError::Refused(refused)) if is_lost(&refused) => {
                Err(JobError::LeaseLost { id: job.id.clone() })
            }
            Err(error) => Err(JobError::Commit(error)),
        }
    }
}

/// The pause after an attempt, from 1.
fn backoff(attempt: u32) -> Duration {
    let doubled = 2_u32.saturating_pow(attempt.saturating_sub(1));
    BACKOFF_FIRST.saturating_mul(doubled).min(BACKOFF_MAX)
}

/// Whether somebody else was faster.
fn is_lost(refused: &CommitRefused) -> bool {
    matches!(refused.reason, Refusal::NotFound | Refusal::Version { .. } | Refusal::Guard)
}

fn parse(document: &Document) -> Option<Job> {
    let mut body: Map<String, Value> = serde_json::from_str(&document.json).ok()?;
    let number = |name: &str| body.get(name).and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok());
    Some(Job {
        id: document.id.clone(),
        kind: body.get("kind")?.as_str()?.to_owned(),
        attempt: number("attempt")?,
        attempts_max: number("attemptsMax")?,
        version: document.version,
        payload: body.remove("payload").unwrap_or_default(),
    })
}

fn write(id: String, operation: Operation) -> Write {
    Write::new(COLLECTION, id, operation)
}
