//! What belongs to the commits of one request: the idempotency record, the audit entry, the events and the answer.
//!
//! A plugin says what it wants written; the host adds to the same commit what must be true exactly if the commit is.
//! A commit that was queued runs to its end whatever becomes of the guest, the deadline or the client, and the
//! transaction knows its result even when the guest no longer does.

use std::{
    collections::{HashMap, HashSet},
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde_json::{Map, Value, json};
use store_model::{CommitRefused, Document, Embed, Operation, Refusal, Write};
use tokio::sync::watch;

use super::{Actor, AuditEntry, CommitError, Store, Unavailable, idempotency::IdempotencyKey, jobs};
#[cfg(debug_assertions)]
use crate::failpoint::{self, Step};

/// The HTTP answer that went with a commit.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    /// JSON; none for 204.
    pub body: Option<String>,
    /// The version of the document shown.
    pub version: Option<u64>,
}

/// An answer before its commit: the body may be a document that the commit results in.
#[derive(Debug, Clone)]
pub struct AnswerPlan {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Option<Content>,
    /// The write whose document is shown.
    pub subject: Option<usize>,
}

/// A JSON value, or the document that a write results in.
#[derive(Debug, Clone)]
pub enum Content {
    Json(Value),
    Document { write: usize, overlay: Map<String, Value> },
}

/// Something that happened, to be recorded with its commit.
#[derive(Debug, Clone)]
pub struct EventPlan {
    pub topic: String,
    pub subject: usize,
    pub data: Content,
}

type CommitResult = Arc<Result<Vec<Option<Document>>, CommitError>>;

/// The commits of one request. Clones share the state.
#[derive(Clone)]
pub struct Transaction {
    inner: Arc<Mutex<State>>,
    about: Arc<About>,
}

struct About {
    idempotency: Option<IdempotencyKey>,
    audited: Option<Actor>,
    operation_id: String,
    request_id: String,
}

#[derive(Default)]
struct State {
    /// The idempotency record's version once a commit of this request has written it.
    record_version: Option<u64>,
    committed: bool,
    conflicted: bool,
    /// The conflict was over a guard.
    guarded: bool,
    superseded: bool,
    /// The commit whose result nobody has looked at yet.
    last: Option<InFlight>,
    /// Writes of the host's own that the next commit takes along.
    joining: Vec<Write>,
    /// What the last commit that went through answers, when it carried an answer.
    answered: Option<Answer>,
}

#[derive(Clone)]
struct InFlight {
    result: watch::Receiver<Option<CommitResult>>,
    answer: Option<Arc<AnswerPlan>>,
    parts: Parts,
}

/// Which writes of a commit are whose: first those that were asked for, then those that joined, then the record.
#[derive(Debug, Clone, Copy)]
struct Parts {
    own: usize,
    joined: usize,
}

impl Parts {
    /// Whether a refusal may be another one the next time.
    fn is_conflict(self, refused: &CommitRefused) -> bool {
        match refused.reason {
            Refusal::Version { .. } | Refusal::Guard => refused.write < self.joined,
            // What joins was there when it was prepared.
            Refusal::NotFound => (self.own..self.joined).contains(&refused.write),
            _ => false,
        }
    }

    /// The refusal as who asked is told.
    fn told(self, refused: &CommitRefused) -> CommitRefused {
        let write = refused.write.min(self.own);
        let reason = match &refused.reason {
            // Its versions and ids are nobody's business.
            Refusal::Version { .. } | Refusal::NotFound
                if (self.own..self.joined).contains(&refused.write) =>
            {
                Refusal::Guard
            }
            reason => reason.clone(),
        };
        CommitRefused { write, reason }
    }
}

impl Transaction {
    /// `audited` names the actor when the request's commits belong in the audit log.
    pub fn new(
        idempotency: Option<IdempotencyKey>,
        audited: Option<Actor>,
        operation_id: impl Into<String>,
        request_id: impl Into<String>,
    ) -> Self {
        Self {
            inner: Arc::default(),
            about: Arc::new(About {
                idempotency,
                audited,
                operation_id: operation_id.into(),
                request_id: request_id.into(),
            }),
        }
    }

    /// Commits the plugin's writes together with what belongs to them.
    ///
    /// # Errors
    /// Those of [`Store::commit`]; a refusal names the plugin's own write, or the position after the last of them.
    pub async fn commit(
        &self,
        store: &Store,
        writes: Vec<Write>,
        events: Vec<EventPlan>,
        answer: Option<AnswerPlan>,
    ) -> Result<Vec<Option<Document>>, CommitError> {
        let own = writes.len();
        let mut writes = writes;
        writes.append(&mut self.state().joining);
        let parts = Parts { own, joined: writes.len() };
        let answer = answer.map(Arc::new);
        let writes = self.complete_writes(store, writes, events, answer.as_deref());
        let (sender, mut result) = watch::channel(None);
        self.state().last = Some(InFlight { result: result.clone(), answer: answer.clone(), parts });
        let (store, about) = (store.clone(), self.about.clone());
        let anew = self.takes_over().then(|| record_anew(writes.clone()));
        // Detached: whoever stops waiting, the commit goes on and its result is kept.
        tokio::spawn(async move {
            let mut outcome = about.commit(&store, writes).await;
            if let (Some(anew), Err(CommitError::Refused(refused))) = (anew, &outcome)
                && refused.reason == Refusal::NotFound
                && refused.write + 1 == anew.len()
            {
                // The outdated record was purged after it was looked up.
                outcome = about.commit(&store, anew).await;
            }
            sender.send_replace(Some(Arc::new(outcome)));
        });
        let outcome = wait(&mut result).await;
        self.conclude(parts, &outcome, answer.as_deref());
        match outcome.as_ref() {
            Ok(documents) => Ok(documents.iter().take(own).cloned().collect()),
            Err(CommitError::Refused(refused)) => Err(CommitError::Refused(parts.told(refused))),
            Err(error) => Err(error.again()),
        }
    }

    /// Names the request where it has an idempotency key: the same for every attempt.
    pub fn key(&self) -> Option<String> {
        self.about.idempotency.as_ref().map(IdempotencyKey::request_key)
    }

    /// Lets writes of the host's own go with the next commit: all of both or nothing. Whatever becomes of that commit,
    /// the one after it does not have them.
    pub fn join(&self, writes: Vec<Write>) {
        self.state().joining.extend(writes);
    }

    /// Forgets what was to go with the next commit.
    pub fn unjoin(&self) {
        self.state().joining.clear();
    }

    /// Whether the next commit replaces the record of an earlier request.
    fn takes_over(&self) -> bool {
        let key = self.about.idempotency.as_ref();
        self.state().record_version.is_none() && key.is_some_and(|key| key.takes_over.is_some())
    }

    /// Waits for a commit that is still under way and answers what the request's last commit answers.
    pub async fn settle(&self) -> Settled {
        let waiting = self.state().last.clone();
        if let Some(InFlight { mut result, answer, parts }) = waiting {
            let outcome = wait(&mut result).await;
            self.conclude(parts, &outcome, answer.as_deref());
        }
        self.settled()
    }

    /// Forgets a conflict, before the handler runs again.
    pub fn restart(&self) {
        let mut state = self.state();
        state.conflicted = false;
        state.answered = None;
        state.joining.clear();
    }

    /// Stores the answer of a request whose commits carried none, so that a repeat gets it.
    ///
    /// # Errors
    /// Those of [`Store::commit`].
    pub async fn record_answer(&self, store: &Store, answer: &Answer) -> Result<(), CommitError> {
        let (key, version) = {
            let state = self.state();
            match (&self.about.idempotency, state.record_version) {
                // Otherwise the answer went with the last commit.
                (Some(key), Some(version)) if state.answered.is_none() => (key, version),
                _ => return Ok(()),
            }
        };
        let body =
            answer.body.as_deref().and_then(|body| serde_json::from_str(body).ok()).unwrap_or(Value::Null);
        let mut record = key.record(answer.status, &answer.headers, answer.version);
        record.insert("body".to_owned(), body);
        let write = key.replace(record, version, Vec::new());
        self.about.commit(store, vec![write]).await.map(drop)
    }

    /// Lets a repeat go on at once with what the request has begun: otherwise it counts as running for a while yet. Where
    /// the store cannot even do this, the repeat waits.
    pub async fn abandon(&self, store: &Store) {
        let (Some(key), Some(version)) = (&self.about.idempotency, self.state().record_version) else {
            return;
        };
        let write = key.replace(key.abandoned(), version, Vec::new());
        if let Err(error) = self.about.commit(store, vec![write]).await {
            tracing::debug!(cause = %error, "A request that failed counts as running");
        }
    }

    fn settled(&self) -> Settled {
        let state = self.state();
        Settled {
            answer: state.answered.clone(),
            committed: state.committed,
            conflicted: state.conflicted && !state.committed,
            guarded: state.guarded,
            superseded: state.superseded,
        }
    }

    /// Remembers what a commit's result means for the request. A commit that is refused takes nothing back: the answer
    /// of the one before it is stored and counts.
    fn conclude(&self, parts: Parts, outcome: &CommitResult, answer: Option<&AnswerPlan>) {
        let mut state = self.state();
        state.last = None;
        match outcome.as_ref() {
            Ok(documents) => {
                state.committed = true;
                state.conflicted = false;
                state.answered = answer.map(|plan| resolve(plan, documents));
                if self.about.idempotency.is_some() {
                    // The record is the last write.
                    state.record_version =
                        documents.last().and_then(Option::as_ref).map(|record| record.version);
                }
            }
            Err(CommitError::Refused(refused)) if parts.is_conflict(refused) => {
                state.conflicted = true;
                state.guarded = refused.reason == Refusal::Guard;
            }
            Err(CommitError::Refused(refused)) if refused.write >= parts.joined => {
                // Another request with the same key was first.
                state.superseded |= matches!(
                    refused.reason,
                    Refusal::AlreadyExists | Refusal::Version { .. } | Refusal::Guard | Refusal::NotFound
                );
            }
            Err(_) => {}
        }
    }

    fn complete_writes(
        &self,
        store: &Store,
        mut writes: Vec<Write>,
        events: Vec<EventPlan>,
        answer: Option<&AnswerPlan>,
    ) -> Vec<Write> {
        let about = &self.about;
        let audit = about.audited.as_ref().map(|actor| audit_entry(store, actor, about, &writes));
        for event in events {
            writes.push(event_write(store, event, &writes, about));
        }
        if let Some(entry) = audit {
            writes.push(entry);
        }
        if let Some(key) = &about.idempotency {
            let (record, embeds) = match answer {
                Some(answer) => idempotency_record(key, answer, &writes),
                None => (key.running(), Vec::new()),
            };
            writes.push(match (self.state().record_version, key.takes_over) {
                (Some(version), _) => key.replace(record, version, embeds),
                (None, Some(version)) => key.take_over(record, version, embeds),
                (None, None) => insert(IdempotencyKey::COLLECTION, key.record_id.clone(), record, embeds),
            });
        }
        writes
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl About {
    async fn commit(&self, store: &Store, writes: Vec<Write>) -> Result<Vec<Option<Document>>, CommitError> {
        #[cfg(debug_assertions)]
        failpoint::reach(&self.operation_id, Step::BeforeCommit);
        let outcome = store.commit(writes).await;
        #[cfg(debug_assertions)]
        if outcome.is_ok() {
            failpoint::reach(&self.operation_id, Step::AfterCommit);
        }
        outcome
    }
}

/// How a request's commits ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Settled {
    /// The answer that went with the last commit that went through.
    pub answer: Option<Answer>,
    pub committed: bool,
    /// The last commit met a version or guard conflict and none went through: the handler may run again.
    pub conflicted: bool,
    /// It was over a guard, which may fail however often the handler runs.
    pub guarded: bool,
    /// Another request with the same idempotency key was first.
    pub superseded: bool,
}

/// The same writes, with the record, which is the last, inserted and not replaced.
fn record_anew(mut writes: Vec<Write>) -> Vec<Write> {
    if let Some(record) = writes.last_mut()
        && let Operation::Replace(document) = &mut record.operation
    {
        record.operation = Operation::Insert(mem::take(document));
        record.expected_version = None;
        record.guard = None;
    }
    writes
}

async fn wait(result: &mut watch::Receiver<Option<CommitResult>>) -> CommitResult {
    match result.wait_for(Option::is_some).await {
        Ok(outcome) => outcome.clone().unwrap_or_else(lost),
        // The task that commits ended without a result: the runtime is shutting down.
        Err(_) => lost(),
    }
}

fn lost() -> CommitResult {
    Arc::new(Err(CommitError::Unavailable(Unavailable::Closed)))
}

fn resolve(plan: &AnswerPlan, documents: &[Option<Document>]) -> Answer {
    let version =
        plan.subject.and_then(|subject| documents.get(subject)?.as_ref()).map(|document| document.version);
    let body = plan.body.as_ref().map(|content| match content {
        // Display goes through a formatter, which takes twice as long.
        Content::Json(value) => serde_json::to_string(value).unwrap_or_default(),
        Content::Document { write, overlay } => {
            let document = documents.get(*write).and_then(Option::as_ref);
            let shown = document.and_then(|document| document.shown(overlay).ok());
            shown.unwrap_or_else(|| Value::Null.to_string())
        }
    });
    Answer { status: plan.status, headers: plan.headers.clone(), body, version }
}

fn insert(collection: &str, id: String, body: Map<String, Value>, embeds: Vec<Embed>) -> Write {
    Write {
        collection: collection.to_owned(),
        id,
        operation: Operation::Insert(body),
        expected_version: None,
        guard: None,
        scope: None,
        embeds,
    }
}

fn embed(member: &str, content: Content, body: &mut Map<String, Value>) -> Vec<Embed> {
    match content {
        Content::Json(value) => {
            body.insert(member.to_owned(), value);
            Vec::new()
        }
        Content::Document { write, overlay } => {
            body.insert(member.to_owned(), Value::Null);
            vec![Embed { member: member.to_owned(), write, overlay }]
        }
    }
}

fn idempotency_record(
    key: &IdempotencyKey,
    answer: &AnswerPlan,
    writes: &[Write],
) -> (Map<String, Value>, Vec<Embed>) {
    // A body that is no document does not tell the version of the document it is a part of.
    let part = answer.subject.filter(|_| matches!(answer.body, Some(Content::Json(_))));
    let shown_version = part.and_then(|subject| version_after(writes.get(subject)?));
    let mut record = key.record(answer.status, &answer.headers, shown_version);
    if let Some(subject) = answer.subject {
        record.insert("subject".to_owned(), json!(subject));
    }
    let embeds = match &answer.body {
        Some(content) => embed("body", content.clone(), &mut record),
        None => Vec::new(),
    };
    (record, embeds)
}

/// The version that a write will result in, where it is known before.
fn version_after(write: &Write) -> Option<u64> {
    match write.operation {
        Operation::Insert(_) => Some(1),
        Operation::Replace(_) | Operation::Update(_) => write.expected_version.map(|version| version + 1),
        Operation::Delete => None,
        Operation::Check => write.expected_version,
    }
}

fn event_write(store: &Store, event: EventPlan, writes: &[Write], about: &About) -> Write {
    let subject = writes.get(event.subject).map(|write| write.id.clone());
    let mut body = Map::new();
    body.insert("topic".to_owned(), json!(event.topic));
    body.insert("subject".to_owned(), json!(subject));
    body.insert("operationId".to_owned(), json!(about.operation_id));
    body.insert("requestId".to_owned(), json!(about.request_id));
    let embeds = embed("data", event.data, &mut body);
    insert("_events", store.id_new("evt"), body, embeds)
}

/// The documents that a commit makes and takes back, to prove that there was none. Nothing of them remains.
fn passing(writes: &[Write]) -> HashSet<(&str, &str)> {
    // Whether it was made here, and whether it is gone at the end.
    let mut documents: HashMap<(&str, &str), (bool, bool)> = HashMap::new();
    for write in writes {
        let made = matches!(write.operation, Operation::Insert(_));
        let document = documents.entry((&write.collection, &write.id)).or_insert((made, false));
        document.1 = matches!(write.operation, Operation::Delete);
    }
    documents.into_iter().filter(|(_, (made, gone))| *made && *gone).map(|(document, _)| document).collect()
}

fn audit_entry(store: &Store, actor: &Actor, about: &About, writes: &[Write]) -> Write {
    let passing = passing(writes);
    let changes: Vec<Value> = writes
        .iter()
        .filter(|write| !passing.contains(&(&*write.collection, &*write.id)))
        // What is left to be done later is no change of its own.
        .filter(|write| write.collection != jobs::COLLECTION)
        .filter_map(|write| {
            let verb = match &write.operation {
                Operation::Insert(_) => "create",
                Operation::Replace(_) | Operation::Update(_) => "change",
                Operation::Delete => "delete",
                Operation::Check => return None,
            };
            Some(json!({ "collection": write.collection, "id": write.id, "verb": verb }))
        })
        .collect();
    let entry = AuditEntry {
        actor,
        operation_id: &about.operation_id,
        request_id: &about.request_id,
        outcome: "ok",
        changes,
    };
    entry.write(store)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_commit_makes_and_takes_back_is_not_audited() {
        let write = |id: &str, operation| Write {
            collection: "c".to_owned(),
            id: id.to_owned(),
            operation,
            expected_version: None,
            guard: None,
            scope: None,
            embeds: Vec::new(),
        };
        let insert = || Operation::Insert(Map::new());
        let writes = [
            write("passing", insert()),
            write("passing", Operation::Delete),
            write("old", Operation::Delete),
            write("replaced", Operation::Delete),
            write("replaced", insert()),
            write("replaced", Operation::Delete),
            write("stays", insert()),
            write("stays", Operation::Delete),
            write("stays", insert()),
        ];
        assert_eq!(passing(&writes), HashSet::from([("c", "passing")]));
    }
}
