//! The one thread that writes.
//!
//! SQLite has one writer anyway; a thread of its own turns that into **group commit**. Everything that waits
//! goes into one transaction, each request under a savepoint so that its refusal undoes only itself, then
//! one sync makes all of them durable, and only then are they answered.

use std::{
    fs::File,
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use rusqlite::Connection;
use store_model::{
    CollectionSchema, Commit, CommitRefused, Document,
    commit::{self, CommitEnd},
};
use tokio::sync::oneshot;

use super::{
    declare::{self, DeclareFailed},
    fault::Fault,
    open::with_temporary_files,
    transaction::{SqlTransaction, Tables},
};
use crate::store::error::{CommitError, DeclareError, Unavailable};

/// A batch ends after this time even when more waits: those in it have waited long enough.
const BATCH_TIME: Duration = Duration::from_millis(10);
/// Bytes of documents after which the WAL is checkpointed, between two batches and after their answers.
const CHECKPOINT_BYTES: usize = 4 * 1024 * 1024;
/// The same in requests: each writes a few pages whatever its size.
const CHECKPOINT_REQUESTS: usize = 500;

type CommitReply = Result<Vec<Option<Document>>, CommitError>;

enum Message {
    Commit { commit: Commit, reply: oneshot::Sender<CommitReply> },
    Declare { schemas: Vec<CollectionSchema>, reply: oneshot::Sender<Result<(), DeclareError>> },
    Load { collection: String, documents: Vec<Document>, reply: oneshot::Sender<Result<(), CommitError>> },
    Clear { keep: String, reply: oneshot::Sender<Result<(), Unavailable>> },
    Close,
}

/// Sends to the writer. The thread ends when this is closed or dropped.
pub(super) struct Writer {
    queue: SyncSender<Message>,
    thread: std::sync::Mutex<Option<JoinHandle<()>>>,
}

pub(super) struct WriterThread {
    pub(super) connection: Connection,
    pub(super) tables: Arc<ArcSwap<Tables>>,
    pub(super) batch_commits: usize,
    /// Held to the end: as long as the thread may write, no other server may.
    pub(super) lock: File,
}

impl Writer {
    pub(super) fn start(thread: WriterThread, queue: usize) -> std::io::Result<Self> {
        let (sender, receiver) = sync_channel(queue.max(1));
        let thread =
            thread::Builder::new().name("store-writer".to_owned()).spawn(move || thread.run(&receiver))?;
        Ok(Self { queue: sender, thread: std::sync::Mutex::new(Some(thread)) })
    }

    pub(super) async fn commit(&self, commit: Commit) -> CommitReply {
        let (reply, answer) = oneshot::channel();
        self.send(Message::Commit { commit, reply }).map_err(CommitError::Unavailable)?;
        answer.await.unwrap_or(Err(CommitError::Unavailable(Unavailable::Closed)))
    }

    pub(super) async fn declare(&self, schemas: Vec<CollectionSchema>) -> Result<(), DeclareError> {
        let (reply, answer) = oneshot::channel();
        self.send(Message::Declare { schemas, reply }).map_err(DeclareError::Unavailable)?;
        answer.await.unwrap_or(Err(DeclareError::Unavailable(Unavailable::Closed)))
    }

    pub(super) async fn load(&self, collection: String, documents: Vec<Document>) -> Result<(), CommitError> {
        let (reply, answer) = oneshot::channel();
        self.send(Message::Load { collection, documents, reply }).map_err(CommitError::Unavailable)?;
        answer.await.unwrap_or(Err(CommitError::Unavailable(Unavailable::Closed)))
    }

    pub(super) async fn clear(&self, keep: String) -> Result<(), Unavailable> {
        let (reply, answer) = oneshot::channel();
        self.send(Message::Clear { keep, reply })?;
        answer.await.unwrap_or(Err(Unavailable::Closed))
    }

    /// Lets the queue run empty, and waits for the thread. Blocks.
    pub(super) fn close(&self) {
        // An error means that the thread has ended, and that is what is wanted.
        let _ = self.queue.send(Message::Close);
        let thread = self.thread.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("The thread of the store's writer panicked");
        }
    }

    fn send(&self, message: Message) -> Result<(), Unavailable> {
        self.queue.try_send(message).map_err(|error| match error {
            TrySendError::Full(_) => Unavailable::Overloaded,
            TrySendError::Disconnected(_) => Unavailable::Closed,
        })
    }
}

impl Drop for Writer {
    /// Waits as well, so that the lock on the data directory is free when the last handle is gone.
    fn drop(&mut self) {
        self.close();
    }
}

/// A request of a batch whose answer waits for the sync.
struct Pending {
    reply: oneshot::Sender<CommitReply>,
    result: CommitReply,
}

impl WriterThread {
    fn run(self, queue: &Receiver<Message>) {
        let mut unchecked = (0, 0);
        let mut next = queue.recv().ok();
        while let Some(message) = next.take() {
            match message {
                Message::Close => break,
                Message::Declare { schemas, reply } => {
                    // The caller may be gone, and the collections are declared all the same.
                    let _ = reply.send(self.declare(schemas));
                }
                Message::Load { collection, documents, reply } => {
                    unchecked.1 += documents.iter().map(|document| document.json.len()).sum::<usize>();
                    let _ = reply.send(self.load(&collection, &documents));
                }
                Message::Clear { keep, reply } => {
                    let _ = reply.send(self.clear(&keep).map_err(Unavailable::from));
                }
                Message::Commit { commit, reply } => {
                    let (written, other) = self.batch(queue, commit, reply);
                    unchecked.0 += written.0;
                    unchecked.1 += written.1;
                    next = other;
                }
            }
            if unchecked.0 >= CHECKPOINT_REQUESTS || unchecked.1 >= CHECKPOINT_BYTES {
                unchecked = (0, 0);
                self.checkpoint("PASSIVE");
            }
            if next.is_none() {
                next = queue.recv().ok();
            }
        }
        self.checkpoint("TRUNCATE");
        drop(self.connection);
        // Only now may another server open the directory.
        drop(self.lock);
    }

    /// Runs one batch, and answers it. Returns how many requests and bytes it wrote, and the message that
    /// ended it.
    fn batch(
        &self,
        queue: &Receiver<Message>,
        commit: Commit,
        reply: oneshot::Sender<CommitReply>,
    ) -> ((usize, usize), Option<Message>) {
        let started = Instant::now();
        let tables = self.tables.load_full();
        let mut pending = Vec::new();
        let mut other = None;
        let mut fault = self.execute("BEGIN IMMEDIATE").err();
        let mut next = Some((commit, reply));
        while let Some((commit, reply)) = next.take() {
            let result = match &fault {
                None => self.request(&tables, commit),
                Some(_) => Err(RequestFailed::Alone(Fault::Stopped)),
            };
            let result = match result {
                Ok(documents) => Ok(documents),
                Err(RequestFailed::Refused(refused)) => Err(CommitError::Refused(refused)),
                Err(RequestFailed::Alone(fault)) => Err(CommitError::Unavailable(fault.into())),
                Err(RequestFailed::Batch(batch)) => {
                    fault = Some(batch);
                    Err(CommitError::Unavailable(Fault::Stopped.into()))
                }
            };
            pending.push(Pending { reply, result });
            if fault.is_some() || pending.len() >= self.batch_commits || started.elapsed() >= BATCH_TIME {
                break;
            }
            match queue.try_recv() {
                Ok(Message::Commit { commit, reply }) => next = Some((commit, reply)),
                Ok(message) => other = Some(message),
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => {}
            }
        }
        let fault = fault.or_else(|| self.execute("COMMIT").err());
        let written = match fault {
            None => answer(pending),
            Some(fault) => {
                self.roll_back();
                let full = fault.is_full();
                answer_fault(pending, fault);
                if full {
                    // The WAL may be what fills the disk, and its pages have a place in the database already.
                    self.checkpoint("TRUNCATE");
                }
                (0, 0)
            }
        };
        (written, other)
    }

    fn request(&self, tables: &Tables, commit: Commit) -> Result<Vec<Option<Document>>, RequestFailed> {
        self.execute("SAVEPOINT request").map_err(RequestFailed::Batch)?;
        let mut transaction = SqlTransaction::new(&self.connection, tables);
        let failed = match commit::run(&mut transaction, commit) {
            Ok(documents) => {
                self.execute("RELEASE request").map_err(RequestFailed::Batch)?;
                return Ok(documents);
            }
            Err(CommitEnd::Refused(refused)) => RequestFailed::Refused(refused),
            // After these the transaction is as good as gone.
            Err(CommitEnd::Failed(fault)) if fault.is_fatal() || self.connection.is_autocommit() => {
                return Err(RequestFailed::Batch(fault));
            }
            Err(CommitEnd::Failed(fault)) => RequestFailed::Alone(fault),
        };
        self.execute("ROLLBACK TO request").map_err(RequestFailed::Batch)?;
        self.execute("RELEASE request").map_err(RequestFailed::Batch)?;
        Err(failed)
    }

    fn declare(&self, schemas: Vec<CollectionSchema>) -> Result<(), DeclareError> {
        let tables = self.tables.load_full();
        let declared = with_temporary_files(&self.connection, || {
            let declared = self
                .execute("BEGIN IMMEDIATE")
                .map_err(DeclareFailed::Fault)
                .and_then(|()| declare::declare(&self.connection, &tables, schemas))
                .and_then(|tables| self.execute("COMMIT").map(|()| tables).map_err(DeclareFailed::Fault));
            if declared.is_err() {
                self.roll_back();
            }
            declared
        });
        match declared {
            Ok(tables) => {
                self.tables.store(Arc::new(tables));
                Ok(())
            }
            Err(DeclareFailed::Refused(refused)) => Err(DeclareError::Refused(refused)),
            Err(DeclareFailed::Fault(fault)) => Err(DeclareError::Unavailable(fault.into())),
        }
    }

    fn load(&self, collection: &str, documents: &[Document]) -> Result<(), CommitError> {
        let tables = self.tables.load_full();
        let loaded = self
            .execute("BEGIN IMMEDIATE")
            .map_err(CommitEnd::Failed)
            .and_then(|()| {
                commit::load(&mut SqlTransaction::new(&self.connection, &tables), collection, documents)
            })
            .and_then(|()| self.execute("COMMIT").map_err(CommitEnd::Failed));
        loaded.map_err(|end| {
            self.roll_back();
            match end {
                CommitEnd::Refused(refused) => CommitError::Refused(refused),
                CommitEnd::Failed(fault) => CommitError::Unavailable(fault.into()),
            }
        })
    }

    fn clear(&self, keep: &str) -> Result<(), Fault> {
        let tables = self.tables.load_full();
        let cleared = self
            .execute("BEGIN IMMEDIATE")
            .and_then(|()| declare::clear(&self.connection, &tables, keep))
            .and_then(|left| self.execute("COMMIT").map(|()| left));
        match cleared {
            Ok(left) => {
                self.tables.store(Arc::new(left));
                Ok(())
            }
            Err(fault) => {
                self.roll_back();
                Err(fault)
            }
        }
    }

    /// Ends the transaction if there is one. When this fails too, the next `BEGIN` tells.
    fn roll_back(&self) {
        if !self.connection.is_autocommit()
            && let Err(error) = self.execute("ROLLBACK")
        {
            tracing::error!(error = &error as &dyn std::error::Error, "The store could not roll back");
        }
    }

    fn checkpoint(&self, mode: &str) {
        let result = self.connection.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |_| Ok(()));
        if let Err(error) = result {
            // Nothing is lost, the WAL only grows until the next one succeeds.
            tracing::warn!(error = &error as &dyn std::error::Error, "The store could not checkpoint");
        }
    }

    fn execute(&self, sql: &str) -> Result<(), Fault> {
        self.connection.prepare_cached(sql)?.execute([])?;
        Ok(())
    }
}

enum RequestFailed {
    Refused(CommitRefused),
    /// Only this request failed.
    Alone(Fault),
    /// The transaction is lost for all requests in it.
    Batch(Fault),
}

/// Sends the answers, and tells how many requests and bytes were written. A caller who is gone is no
/// reason to undo: a queued commit runs to its end.
fn answer(pending: Vec<Pending>) -> (usize, usize) {
    let mut written = (0, 0);
    for Pending { reply, result } in pending {
        if let Ok(documents) = &result {
            written.0 += 1;
            written.1 += documents.iter().flatten().map(|document| document.json.len()).sum::<usize>();
        }
        let _ = reply.send(result);
    }
    written
}

/// Nothing of the batch is durable, so nobody gets an acknowledgement. Refusals go out as unavailable too:
/// they may rest on writes of the batch that are undone now.
fn answer_fault(pending: Vec<Pending>, fault: Fault) {
    tracing::error!(error = &fault as &dyn std::error::Error, "The store could not commit");
    let fault = Arc::new(fault);
    for Pending { reply, .. } in pending {
        let _ = reply.send(Err(CommitError::Unavailable(Fault::Shared(fault.clone()).into())));
    }
}
