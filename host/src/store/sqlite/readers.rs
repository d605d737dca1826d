//! Connections for reading.
//!
//! A connection serves one read at a time and keeps its prepared statements. Lookups by id run where they
//! are called and take whatever connection is idle, so a slow query never makes them wait; queries are
//! counted by a semaphore.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use rusqlite::{Connection, InterruptHandle, OpenFlags};
use tokio::sync::Semaphore;

use super::fault::Fault;
use crate::store::error::Unavailable;

/// Prepared statements kept by each connection. Plugins send a limited number of query shapes.
const STATEMENTS: usize = 128;

#[derive(Debug)]
pub(super) struct Readers {
    file: PathBuf,
    cache_kib: u32,
    idle: Mutex<Vec<Connection>>,
    queries: Arc<Semaphore>,
    closed: AtomicBool,
}

/// A borrowed connection. It goes back when dropped, unless something is left open on it.
pub(super) struct Reader<'a> {
    readers: &'a Readers,
    connection: Option<Connection>,
}

impl Readers {
    pub(super) fn new(file: &Path, queries: usize, cache_kib: u32) -> Self {
        Self {
            file: file.to_owned(),
            cache_kib,
            idle: Mutex::new(Vec::new()),
            queries: Arc::new(Semaphore::new(queries.max(1))),
            closed: AtomicBool::new(false),
        }
    }

    /// An idle connection, or a new one: as many exist as reads ran at the same time.
    pub(super) fn reader(&self) -> Result<Reader<'_>, Unavailable> {
        if self.is_closed() {
            return Err(Unavailable::Closed);
        }
        let idle = self.idle().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => self.connect().map_err(|error| Unavailable::from(Fault::from(error)))?,
        };
        Ok(Reader { readers: self, connection: Some(connection) })
    }

    /// The bound on queries that run at the same time.
    pub(super) fn queries(&self) -> Arc<Semaphore> {
        self.queries.clone()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.idle().clear();
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn connect(&self) -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.file, flags)?;
        connection.execute_batch(&format!(
            "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA temp_store = MEMORY; \
             PRAGMA cache_size = -{};",
            self.cache_kib
        ))?;
        super::open::plan_once(&connection)?;
        super::selection::register(&connection)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        Ok(connection)
    }
}

impl Reader<'_> {
    pub(super) fn connection(&self) -> &Connection {
        self.connection.as_ref().expect("the connection is taken only on drop")
    }

    /// Runs several reads that see the same moment.
    pub(super) fn in_transaction<T>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let transaction = self.connection().unchecked_transaction()?;
        let result = read(&transaction)?;
        transaction.finish()?;
        Ok(result)
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take()
            && connection.is_autocommit()
            && !self.readers.is_closed()
        {
            self.readers.idle().push(connection);
        }
    }
}

/// Stops a query whose caller went away.
///
/// The handle is there only while the query runs, so that an interrupt cannot hit the next user of the
/// connection.
#[derive(Default, Clone)]
pub(super) struct Interrupt {
    state: Arc<Mutex<InterruptState>>,
}

#[derive(Default)]
struct InterruptState {
    abandoned: bool,
    running: Option<InterruptHandle>,
}

impl Interrupt {
    /// Runs a query that [`Self::abandon`] may stop.
    pub(super) fn guard<T>(
        &self,
        connection: &Connection,
        query: impl FnOnce() -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        {
            let mut state = self.state();
            if state.abandoned {
                return Err(Fault::Stopped);
            }
            state.running = Some(connection.get_interrupt_handle());
        }
        let result = query();
        self.state().running = None;
        result
    }

    pub(super) fn abandon(&self) {
        let mut state = self.state();
        state.abandoned = true;
        if let Some(running) = &state.running {
            running.interrupt();
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, InterruptState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Abandons the query when the future that waits for it is dropped.
pub(super) struct AbandonOnDrop(pub(super) Interrupt);

impl Drop for AbandonOnDrop {
    fn drop(&mut self) {
        self.0.abandon();
    }
}
