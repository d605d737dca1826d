//! Calling a plugin's handler.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::{Map, Value};

use super::{
    Outside,
    admission::{Gate, KeyedQueue},
    component::{ConfigFault, Prepared, check_config},
    counters::Counters,
    descriptor::{Hook, Route, SerializedBy},
    engine::{PluginEngine, rule_instances},
    generation::Generation,
    grants::{Grants, HookEntry},
    handler::{Handled, HandlerRequest, check_reply, to_guest},
    hooks::HookReach,
    instance::{
        Bound, CallEnd, CallSetup, CallState, Caller, CallerKind, Granted, PluginName, Reach, finish,
        new_store,
    },
    outcome::{CallError, Failure},
};
use crate::{
    breaker::{Breakers, Change, Open},
    clock::Clock,
    config::{LimitsConfig, PluginsConfig},
    identity::Identity,
    store::{Store, Transaction},
};

/// What all plugins share at run time.
pub struct PluginRuntime {
    pub(super) engine: PluginEngine,
    /// For pricing rules.
    pub(super) rule_engine: PluginEngine,
    pub(super) store: Store,
    identity: Identity,
    pub(super) outside: Outside,
    pub(super) clock: Clock,
    /// How the shop rounds.
    pub(super) pricing: pricing_model::Settings,
    gate: Gate,
    /// Requests that call payment providers, which may take their time.
    provider_gate: Gate,
    provider_timeout: Duration,
    pub(super) rule_gate: Gate,
    queue: Arc<KeyedQueue>,
}

/// A share of the instances is for requests that call payment providers: so many of ten, with two instances for each.
const PROVIDER_TENTHS: usize = 2;
/// How often a handler whose guard failed runs again. A version that was overtaken is another one the next time; a guard
/// may stand for a rule, such as that a coupon that was used stays, and fail each time.
const GUARDED_RUNS: u32 = 3;
/// What a request that calls providers keeps of its time for writing down what they said.
pub(super) const PROVIDER_MARGIN: Duration = Duration::from_secs(2);

impl PluginRuntime {
    pub fn new(
        config: &PluginsConfig,
        pricing: pricing_model::Settings,
        store: Store,
        identity: Identity,
        outside: Outside,
    ) -> wasmtime::Result<Self> {
        // A tenth of the pool is left for describing candidates, and because a sharded pool can refuse shortly
        // before it is full.
        let instances = config.instances as usize;
        let providing = instances * PROVIDER_TENTHS / 10;
        let wait = Duration::from_millis(config.queue_timeout_ms);
        Ok(Self {
            engine: PluginEngine::new(config)?,
            rule_engine: PluginEngine::of_rules(config)?,
            clock: store.clock().clone(),
            store,
            identity,
            outside,
            pricing,
            gate: Gate::new((instances * 9 / 10 - providing).max(2), wait, "the instance pool"),
            provider_gate: Gate::new((providing / 2).max(1), wait, "the calls of payment providers"),
            provider_timeout: Duration::from_millis(config.provider_timeout_ms),
            rule_gate: Gate::new(
                (rule_instances(config) as usize * 9 / 10).max(1),
                wait,
                "the pool of rules",
            ),
            queue: Arc::default(),
        })
    }
}

/// A plugin of a generation: prepared, granted, configured, limited.
pub struct LoadedPlugin {
    pub prepared: Arc<Prepared>,
    pub grants: Arc<Grants>,
    pub limits: LimitsConfig,
    /// The configuration, a JSON object.
    pub config: Vec<u8>,
    pub config_digest: String,
    /// Of the setting that it is, which was made while the host ran; 0 while the plugins file counts.
    pub config_version: u64,
    /// What became of its calls.
    pub counters: Arc<Counters>,
    /// How it answers hooks.
    pub(super) hooks: BTreeMap<Hook, HookEntry>,
    /// What served before it, with its configuration: for hooks that fall back to it.
    pub(super) last_good: Option<Arc<LoadedPlugin>>,
    pub(super) name: Arc<PluginName>,
    pub(super) gate: Gate,
    /// For requests that call payment providers.
    pub(super) provider_gate: Gate,
    pub(super) breakers: Arc<Breakers>,
}

impl LoadedPlugin {
    pub fn id(&self) -> &str {
        &self.name.id
    }

    pub fn version(&self) -> &str {
        &self.name.version
    }

    /// The same, without what served before.
    pub(super) fn without_last_good(&self) -> Self {
        Self {
            prepared: self.prepared.clone(),
            grants: self.grants.clone(),
            limits: self.limits.clone(),
            config: self.config.clone(),
            config_digest: self.config_digest.clone(),
            config_version: self.config_version,
            counters: self.counters.clone(),
            hooks: self.hooks.clone(),
            last_good: None,
            name: self.name.clone(),
            gate: self.gate.clone(),
            provider_gate: self.provider_gate.clone(),
            breakers: self.breakers.clone(),
        }
    }

    /// How it answers a hook.
    pub fn hook(&self, hook: Hook) -> HookEntry {
        self.hooks.get(&hook).copied().unwrap_or_default()
    }

    /// Which component and configuration it is, for what it has a part in.
    pub(super) fn source(&self) -> pricing_model::Source {
        pricing_model::Source {
            plugin_id: self.id().to_owned(),
            plugin_version: self.version().to_owned(),
            digest: self.prepared.digest.clone(),
            config_digest: self.config_digest.clone(),
        }
    }

    /// Whether one of its operations keeps failing and is not called.
    pub fn is_failing(&self) -> bool {
        self.breakers.is_any_open()
    }
}

impl PluginRuntime {
    /// Runs a route's handler: waits for capacity, runs it in a fresh instance, and where the route is serialised
    /// runs it again after a conflict, until the deadline. If a commit that carried the answer went through, that
    /// answer counts, whatever became of the guest.
    ///
    /// # Errors
    /// How the call failed.
    pub async fn handle(
        self: &Arc<Self>,
        generation: &Arc<Generation>,
        plugin: &LoadedPlugin,
        route: &Route,
        request: HandlerRequest,
        transaction: &Transaction,
        request_id: &Arc<str>,
    ) -> Result<Handled, CallError> {
        let time = Duration::from_millis(plugin.limits.timeout_ms);
        let time = if route.calls_providers { time.max(self.provider_timeout) } else { time };
        let deadline = Instant::now() + time;
        let turn = serialization_key(plugin, route, &request);
        let _turn = match turn {
            Some(key) => match tokio::time::timeout_at(deadline.into(), self.queue.enter(key)).await {
                Ok(turn) => Some(turn),
                Err(_) => {
                    let error =
                        CallError::new(Failure::Overload, "the queue for this resource did not end in time");
                    count(plugin, &route.operation_id, &error);
                    return Err(error);
                }
            },
            None => None,
        };
        let mut guarded = 0;
        loop {
            let run = Run { generation, plugin, route, request: &request, transaction, request_id };
            let result = self.run(&run, deadline).await;
            let settled = transaction.settle().await;
            if settled.superseded {
                return Ok(Handled::Superseded);
            }
            if let Some(answer) = settled.answer {
                return Ok(Handled::Response(answer.into()));
            }
            match result {
                Ok(Handled::Problem(_))
                    if settled.conflicted
                        && route.serialized_by.is_some()
                        && guarded < GUARDED_RUNS
                        && Instant::now() < deadline =>
                {
                    guarded += u32::from(settled.guarded);
                    transaction.restart();
                }
                result => return result,
            }
        }
    }

    /// One run in one instance.
    async fn run(self: &Arc<Self>, run: &Run<'_>, deadline: Instant) -> Result<Handled, CallError> {
        let Run { generation, plugin, route, request, transaction, request_id } = *run;
        let queued = Instant::now();
        let refused = |error: &CallError| count(plugin, &route.operation_id, error);
        let (own, all) = if route.calls_providers {
            (&plugin.provider_gate, &self.provider_gate)
        } else {
            (&plugin.gate, &self.gate)
        };
        let _plugin_permit = own.enter(1).await.inspect_err(refused)?;
        // What it asks of other plugins takes another instance; both at once, so that no two wait for each other.
        let instances = if plugin.grants.may_call_any() && !route.calls_providers { 2 } else { 1 };
        let _permit = all.enter(instances).await.inspect_err(refused)?;
        // The plugin is not to blame for the time in the queue.
        let deadline = deadline + queued.elapsed();
        let reach = Reach::Granted(Box::new(Granted {
            store: self.store.clone(),
            identity: self.identity.clone(),
            grants: plugin.grants.clone(),
            statuses: route.responses.iter().map(|declared| declared.status).collect(),
            caller: request.caller.clone(),
            created: None,
            password_hash: request.password_hash.clone(),
            transaction: transaction.clone(),
            hooks: Some(HookReach {
                runtime: self.clone(),
                generation: generation.clone(),
                deadline,
                calls_providers: route.calls_providers,
            }),
            by_provider: false,
            outside: self.outside.clone(),
            deadline,
        }));
        let Some(handler) = &plugin.prepared.roles.handler else {
            return Err(CallError::new(Failure::Output, "it has no handler"));
        };
        let guest_request = to_guest(plugin, route, request, transaction.key().as_deref());
        let invocation = Invocation {
            engine: &self.engine,
            plugin,
            operation: &route.operation_id,
            request_id,
            reach,
            bound: Bound::Time,
            deadline,
            lent: false,
        };
        let call = async |store: &mut wasmtime::Store<CallState>,
                          instance: &wasmtime::component::Instance| {
            let handler = handler.load(&mut *store, instance)?;
            handler.call_handle(store, &guest_request).await
        };
        let check = async |reply, end: &CallEnd| {
            let handled = check_reply(plugin, route, reply, end.denied)?;
            if handled == Handled::Committed {
                let settled = transaction.settle().await;
                if settled.answer.is_none() && !settled.superseded {
                    let cause = "it answered `committed`, but no commit with an answer went through";
                    return Err(CallError::new(Failure::Output, cause));
                }
            }
            Ok(handled)
        };
        let word = |handled: &Handled| match handled {
            Handled::Problem(_) => "problem",
            _ => "ok",
        };
        self.invoke(invocation, call, check, word).await
    }

    /// Calls a function of a plugin in a fresh instance, within its budgets, behind its breaker. `check` says what of
    /// the answer counts, and `word` what metrics call it.
    pub(super) async fn invoke<R, T>(
        &self,
        invocation: Invocation<'_>,
        call: impl AsyncFnOnce(
            &mut wasmtime::Store<CallState>,
            &wasmtime::component::Instance,
        ) -> wasmtime::Result<R>,
        check: impl AsyncFnOnce(R, &CallEnd) -> Result<T, CallError>,
        word: impl FnOnce(&T) -> &'static str,
    ) -> Result<T, CallError> {
        let Invocation { engine, plugin, operation, request_id, reach, bound, deadline, lent } = invocation;
        let started = Instant::now();
        let pass = plugin.breakers.of(operation).admit(self.clock.now_ms()).map_err(|Open { left_ms }| {
            let cause = "the operation keeps failing and is not called for a while";
            let error = CallError::new(Failure::BreakerOpen, cause).retry_after(left_ms);
            count(plugin, operation, &error);
            error
        })?;
        let mut store = new_store(CallSetup {
            engine,
            limits: &plugin.limits,
            plugin: plugin.name.clone(),
            request_id: request_id.clone(),
            clock: &self.clock,
            reach,
            bound,
        });
        let pre = &plugin.prepared.pre;
        let result = tokio::time::timeout_at(deadline.into(), async {
            let instance = pre.instantiate_async(&mut store).await?;
            call(&mut store, &instance).await
        })
        .await;
        let (end, result) = finish(store, result);
        let result = match result {
            Ok(answer) => check(answer, &end).await,
            Err(error) => Err(error),
        };
        let outcome = match &result {
            Ok(checked) => word(checked),
            Err(error) => error.failure.as_str(),
        };
        let failure = result.as_ref().err().map(|error| error.failure);
        let failed = failure.is_some_and(Failure::blames_plugin);
        // That another's time was over says neither that it works nor that it fails.
        if lent && failure == Some(Failure::Timeout) {
            drop(pass);
        } else if let Change::Opened | Change::Reopened = pass.give_back(failed, self.clock.now_ms()) {
            tracing::error!(
                plugin.id = %plugin.id(),
                operation,
                "`{operation}` of plugin `{}` keeps failing and is not called for a while",
                plugin.id()
            );
        }
        if let Err(error) = &result {
            tracing::warn!(
                plugin.id = %plugin.id(),
                plugin.version = %plugin.version(),
                operation,
                request.id = %request_id,
                outcome,
                cpu_us = end.cpu.as_micros(),
                memory_bytes = end.memory_bytes,
                cause = %error.cause,
                "Call to plugin `{}` failed: {outcome}",
                plugin.id()
            );
        }
        plugin.counters.count(operation, result.as_ref().err(), self.clock.now_ms());
        record(plugin, operation, outcome, started.elapsed(), end.cpu);
        result
    }

    /// What is wrong with a configuration of a loaded plugin.
    ///
    /// # Errors
    /// Each fault with its place.
    pub async fn config_check(
        &self,
        plugin: &LoadedPlugin,
        config: &Map<String, Value>,
    ) -> Result<(), Vec<ConfigFault>> {
        let faults = check_config(self, &plugin.prepared, config).await;
        if faults.is_empty() { Ok(()) } else { Err(faults) }
    }

    /// What a provider reaches: its own documents, by commits of its own.
    pub(super) fn provider_reach(&self, plugin: &LoadedPlugin, request_id: &str, deadline: Instant) -> Reach {
        Reach::Granted(Box::new(Granted {
            store: self.store.clone(),
            identity: self.identity.clone(),
            grants: plugin.grants.clone(),
            statuses: Vec::new(),
            caller: Caller::system(),
            created: None,
            password_hash: None,
            transaction: Transaction::new(None, None, plugin.id(), request_id),
            hooks: None,
            by_provider: false,
            outside: self.outside.clone(),
            deadline,
        }))
    }
}

/// A handler to run.
#[derive(Clone, Copy)]
struct Run<'r> {
    generation: &'r Arc<Generation>,
    plugin: &'r LoadedPlugin,
    route: &'r Route,
    request: &'r HandlerRequest,
    transaction: &'r Transaction,
    request_id: &'r Arc<str>,
}

/// A function to call.
pub(super) struct Invocation<'i> {
    pub(super) engine: &'i PluginEngine,
    pub(super) plugin: &'i LoadedPlugin,
    /// What it is called in logs and metrics.
    pub(super) operation: &'i str,
    pub(super) request_id: &'i Arc<str>,
    pub(super) reach: Reach,
    pub(super) bound: Bound,
    pub(super) deadline: Instant,
    /// Whether the deadline is that of who asks: the plugin is not to blame for running into it.
    pub(super) lent: bool,
}

fn count(plugin: &LoadedPlugin, operation: &str, error: &CallError) {
    record(plugin, operation, error.failure.as_str(), Duration::ZERO, Duration::ZERO);
}

fn record(plugin: &LoadedPlugin, operation: &str, outcome: &'static str, duration: Duration, cpu: Duration) {
    let labels = [
        ("plugin", plugin.id().to_owned()),
        ("version", plugin.version().to_owned()),
        ("operation", operation.to_owned()),
        ("outcome", outcome.to_owned()),
    ];
    metrics::counter!("plugin_calls_total", &labels).increment(1);
    metrics::histogram!("plugin_call_duration_seconds", &labels).record(duration.as_secs_f64());
    metrics::histogram!("plugin_call_cpu_seconds", &labels).record(cpu.as_secs_f64());
}

fn serialization_key(plugin: &LoadedPlugin, route: &Route, request: &HandlerRequest) -> Option<String> {
    let value = match route.serialized_by.as_ref()? {
        SerializedBy::Param(param) => &request.params.iter().find(|(name, _)| name == param)?.1,
        SerializedBy::Caller => request.caller.subject.as_ref().or(request.caller.guest.as_ref())?,
    };
    // A customer who floods a queue keeps staff out of none.
    let whose = match request.caller.kind {
        CallerKind::Anonymous | CallerKind::Customer => "customers",
        CallerKind::Admin | CallerKind::Service | CallerKind::System => "staff",
    };
    Some(format!("{}/{whose}/{value}", plugin.id()))
}
