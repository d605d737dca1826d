//! From a commit that was asked for to one that is done: waiting, trying, trying again.
//!
//! A commit runs in a task of its own, so it ends whatever becomes of its caller. First it waits for the
//! documents that it names (see [`super::locks`]) and for a free place among those that talk to the server.
//! Then it is tried until it comes to a result. A conflict means that the server works and somebody else was
//! faster, so it is tried again until the deadline. A server that is silent is waited for for two seconds
//! only, and then everybody who waits is told at once: they would find the same.

use std::{sync::Arc, time::Duration};

use mongodb::{
    Client, ClientSession, Database,
    bson::{Document as BsonDocument, doc},
};
use store_model::{Commit, Document};
use tokio::{
    sync::{Semaphore, TryAcquireError, watch},
    time::{Instant, sleep, timeout_at},
};

use super::{
    catalogue::Catalogue,
    fault::{Fault, Remedy, is_unknown},
    indexes::fence,
    locks::Locks,
    transaction::{Attempt, Attempted, Ran},
    work::Work,
};
use crate::store::error::{CommitError, Unavailable};

/// How long a silent server is waited for.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);
/// How long a commit may wait and be tried as long as the server answers.
const DEADLINE: Duration = Duration::from_secs(5);
/// The pause after a conflict doubles from the first to the last.
const PAUSE_FIRST: Duration = Duration::from_millis(2);
const PAUSE_LAST: Duration = Duration::from_millis(100);
/// How often a reload is tried before the database is told what the declarations say.
const RELOADS: u32 = 4;
/// The server ends a transaction itself after a minute.
const TIDY: Duration = Duration::from_secs(60);

/// Runs commits.
pub(super) struct Committer {
    pub(super) client: Client,
    pub(super) database: Database,
    pub(super) catalogue: Arc<Catalogue>,
    locks: Locks,
    /// Commits that may wait or run.
    queue: Arc<Semaphore>,
    places: usize,
    /// Commits that talk to the server at the same time, fewer than there are connections, so that reads get
    /// some.
    running: Semaphore,
    /// Counts how often the server was silent for too long.
    silences: watch::Sender<u64>,
}

impl Committer {
    pub(super) fn new(
        client: Client,
        database: Database,
        catalogue: Arc<Catalogue>,
        queue: usize,
        running: usize,
    ) -> Self {
        Self {
            client,
            database,
            catalogue,
            locks: Locks::default(),
            queue: Arc::new(Semaphore::new(queue)),
            places: queue,
            running: Semaphore::new(running),
            silences: watch::Sender::new(0),
        }
    }

    pub(super) async fn commit(
        self: &Arc<Self>,
        commit: Commit,
    ) -> Result<Vec<Option<Document>>, CommitError> {
        self.work(Work::Commit(commit)).await
    }

    pub(super) async fn work(self: &Arc<Self>, work: Work) -> Result<Vec<Option<Document>>, CommitError> {
        let place = self.queue.clone().try_acquire_owned().map_err(|error| match error {
            TryAcquireError::NoPermits => CommitError::Unavailable(Unavailable::Overloaded),
            TryAcquireError::Closed => CommitError::Unavailable(Unavailable::Closed),
        })?;
        let committer = self.clone();
        let task = tokio::spawn(async move {
            let result = committer.queued(&work).await;
            drop(place);
            result
        });
        task.await.unwrap_or_else(|error| Err(CommitError::Unavailable(Unavailable::Failed(Box::new(error)))))
    }

    /// Lets what is queued end, and refuses what comes later.
    pub(super) async fn close(&self) {
        let places = u32::try_from(self.places).unwrap_or(u32::MAX);
        let ended = self.queue.acquire_many(places).await;
        self.queue.close();
        drop(ended);
    }

    pub(super) fn is_closed(&self) -> bool {
        self.queue.is_closed()
    }

    async fn queued(&self, work: &Work) -> Result<Vec<Option<Document>>, CommitError> {
        let unavailable = |unavailable| Err(CommitError::Unavailable(unavailable));
        let deadline = Instant::now() + DEADLINE;
        let mut silences = self.silences.subscribe();
        let turn = async {
            // The documents first: who waits for one must not take a place from those who could go on.
            let held = self.locks.lock(work.writes()).await;
            (held, self.running.acquire().await)
        };
        let (_held, _running) = tokio::select! {
            // Who is told of a silence and gets the document at once must not go and find out for himself.
            biased;
            _ = silences.changed() => return unavailable(Fault::Late.into()),
            () = tokio::time::sleep_until(deadline) => return unavailable(Unavailable::Overloaded),
            turn = turn => turn,
        };
        match self.tried(work, deadline).await {
            Ok(attempted) => attempted.map_err(CommitError::Refused),
            Err(fault) => {
                if fault.remedy() == Remedy::Wait {
                    self.silences.send_modify(|count| *count += 1);
                }
                tracing::warn!(error = &fault as &dyn std::error::Error, "A commit failed");
                unavailable(fault.into())
            }
        }
    }

    /// Tries until there is a result.
    async fn tried(&self, work: &Work, deadline: Instant) -> Result<Attempted, Fault> {
        let mut careful = false;
        let mut reloads = 0;
        let mut pause = PAUSE_FIRST;
        // Longer than usual only where there is very much to do.
        let usual = PATIENCE + work.extra_time();
        let mut patience = Instant::now() + usual;
        loop {
            let fault = match self.attempt(work, careful, patience).await {
                Ok(attempted) => return Ok(attempted),
                Err(fault) => fault,
            };
            match fault.remedy() {
                Remedy::GiveUp => return Err(fault),
                Remedy::Wait => {
                    // What may be durable must not be done twice.
                    if matches!(fault, Fault::Unknown(_)) || Instant::now() + pause >= patience {
                        return Err(fault);
                    }
                }
                remedy => {
                    if Instant::now() >= deadline {
                        return Err(fault);
                    }
                    // The server has answered.
                    patience = Instant::now() + usual;
                    careful |= remedy == Remedy::Careful;
                    if remedy == Remedy::Reload {
                        reloads += 1;
                        let reloaded = self.reload(work, reloads >= RELOADS);
                        timeout_at(patience, reloaded).await.map_err(|_| Fault::Late)??;
                    }
                }
            }
            sleep(jittered(pause)).await;
            pause = (pause * 2).min(PAUSE_LAST);
        }
    }

    /// Reads the declarations again. When that does not help, a host has died between announcing a declaration
    /// and having the database enforce it, and that is made up for.
    async fn reload(&self, work: &Work, enforce: bool) -> Result<(), Fault> {
        self.catalogue.reload().await?;
        if enforce {
            let tables = self.catalogue.tables();
            for table in work.collections().into_iter().filter_map(|name| tables.get(name)) {
                fence(&self.database, &table.schema.name, table.revision).await?;
            }
        }
        Ok(())
    }

    async fn attempt(&self, work: &Work, careful: bool, patience: Instant) -> Result<Attempted, Fault> {
        let late = |_| Fault::Late;
        let tables = timeout_at(patience, self.catalogue.tables_for(work)).await.map_err(late)??;
        let starting = self.client.start_session().causal_consistency(false);
        let mut session = timeout_at(patience, async { starting.await }).await.map_err(late)??;
        let time = patience.saturating_duration_since(Instant::now());
        let attempt = Attempt { database: &self.database, tables: &tables, work, careful, time };
        let ran = timeout_at(patience, attempt.run(&mut session)).await;
        let ended = match ran {
            Ok(Ok(Ran::Ready(results))) => finish(&mut session, patience).await.map(|()| Ok(results)),
            Ok(Ok(Ran::Over(attempted))) => Ok(attempted),
            Ok(Err(fault)) => Err(fault),
            Err(_) => Err(Fault::Late),
        };
        if ended.as_ref().is_err_and(|fault| fault.remedy() == Remedy::Wait) {
            tokio::spawn(tidy(self.client.clone(), session));
        }
        ended
    }
}

/// Commits the transaction, and asks again as long as its end is unknown: the server remembers.
async fn finish(session: &mut ClientSession, patience: Instant) -> Result<(), Fault> {
    loop {
        let committed = timeout_at(patience, async { session.commit_transaction().await }).await;
        let error = match committed {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) if is_unknown(&error) => error,
            Ok(Err(error)) => return Err(error.into()),
            Err(_) => return Err(Fault::Unknown(None)),
        };
        if Instant::now() + PAUSE_LAST >= patience {
            return Err(Fault::Unknown(Some(error)));
        }
        sleep(PAUSE_LAST).await;
    }
}

/// Ends a transaction that was left behind on a server that fell silent. Its documents stay locked until then.
async fn tidy(client: Client, session: ClientSession) {
    let until = Instant::now() + TIDY;
    let kill: BsonDocument = doc! { "killSessions": [session.id().clone()] };
    let admin = client.database("admin");
    let mut ended = 0;
    // Twice, since what lay in the server's own queue when it woke may have run after the first.
    while ended < 2 && Instant::now() < until {
        let kill = admin.run_command(kill.clone());
        match timeout_at(Instant::now() + PATIENCE, async { kill.await }).await {
            Ok(Ok(_)) => ended += 1,
            Ok(Err(error)) => {
                tracing::debug!(error = &error as &dyn std::error::Error, "A transaction was not ended");
            }
            Err(_) => {}
        }
        sleep(PAUSE_LAST * 2).await;
    }
}

/// Between half of the time and all of it, so that those who met do not meet again.
fn jittered(pause: Duration) -> Duration {
    let mut random = [0];
    // Without randomness it is the full time.
    let share = getrandom::fill(&mut random).map_or(255, |()| random[0]);
    pause / 2 + pause.mul_f64(f64::from(share) / 510.0)
}
