//! Starting the operations that plugins have scheduled, on one host at a time.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::task::JoinHandle;

use super::{
    call::{LoadedPlugin, PluginRuntime},
    descriptor::{AccessRule, Response, Route, Schedule},
    generation::Generation,
    handler::{Handled, HandlerRequest},
    instance::Caller,
    reloader::Plugins,
};
use crate::{
    chain::chain,
    store::{Transaction, lease::Lease},
};

/// How often the schedules are looked at.
pub const TICK: Duration = Duration::from_millis(100);
/// How long another host waits for one that died.
const LEASE: Duration = Duration::from_secs(20);

/// The scheduled operations of whatever generation is current.
pub struct Scheduler {
    runtime: Arc<PluginRuntime>,
    plugins: Plugins,
    lease: Lease,
    runs: HashMap<(String, String), Run>,
}

/// The last run of an operation.
struct Run {
    task: JoinHandle<()>,
    /// When it was seen to have ended.
    ended: Option<Instant>,
}

impl Scheduler {
    pub fn new(runtime: Arc<PluginRuntime>, plugins: Plugins) -> Self {
        let lease = Lease::new(runtime.store.clone(), "schedules", LEASE);
        Self { runtime, plugins, lease, runs: HashMap::new() }
    }

    /// Starts what is due. To be called every [`TICK`].
    pub async fn round(&mut self) {
        let generation = self.plugins.current();
        let due: Vec<(Arc<LoadedPlugin>, Schedule)> = generation
            .plugins
            .values()
            .flat_map(|plugin| {
                plugin.prepared.descriptor.schedules.iter().map(|schedule| (plugin.clone(), schedule.clone()))
            })
            .filter(|(plugin, schedule)| self.is_due(plugin.id(), schedule))
            .collect();
        if due.is_empty() {
            return;
        }
        match self.lease.hold().await {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => {
                tracing::debug!(cause = %chain(&error), "Scheduled operations wait for the store");
                return;
            }
        }
        for (plugin, schedule) in due {
            let key = (plugin.id().to_owned(), schedule.operation_id.clone());
            let task = tokio::spawn(run(self.runtime.clone(), generation.clone(), plugin, schedule));
            self.runs.insert(key, Run { task, ended: None });
        }
    }

    fn is_due(&mut self, plugin: &str, schedule: &Schedule) -> bool {
        let key = (plugin.to_owned(), schedule.operation_id.clone());
        match self.runs.get_mut(&key) {
            None => true,
            Some(run) if !run.task.is_finished() => false,
            Some(run) => run.ended.get_or_insert_with(Instant::now).elapsed() >= schedule.every,
        }
    }
}

async fn run(
    runtime: Arc<PluginRuntime>,
    generation: Arc<Generation>,
    plugin: Arc<LoadedPlugin>,
    schedule: Schedule,
) {
    let route = route(&schedule.operation_id);
    let request = HandlerRequest {
        params: Vec::new(),
        query: Vec::new(),
        headers: Vec::new(),
        body: Vec::new(),
        list: None,
        caller: Caller::system(),
        if_match: None,
        password_hash: None,
    };
    let request_id: Arc<str> = Arc::from(runtime.store.id_new("req"));
    let transaction = Transaction::new(None, None, &route.operation_id, &*request_id);
    // A call that fails is in the log already.
    if let Ok(Handled::Problem(problem)) =
        runtime.handle(&generation, &plugin, &route, request, &transaction, &request_id).await
    {
        tracing::warn!(
            plugin.id = %plugin.id(),
            operation = %schedule.operation_id,
            code = %problem.code,
            "A scheduled operation could not do its work: {}",
            problem.detail.as_deref().unwrap_or_default()
        );
    }
}

/// An operation that nobody can ask for.
fn route(operation_id: &str) -> Route {
    let response = Response { status: 200, description: String::new(), body: None };
    Route {
        method: "POST".to_owned(),
        path: String::new(),
        operation_id: operation_id.to_owned(),
        summary: String::new(),
        description: String::new(),
        access: AccessRule::default(),
        params: Vec::new(),
        request: None,
        responses: vec![response],
        errors: Vec::new(),
        list: None,
        cacheable: false,
        serialized_by: None,
        idempotency_key_required: false,
        takes_password: false,
        calls_providers: true,
        guest_by: Vec::new(),
        makes_guests: false,
    }
}
