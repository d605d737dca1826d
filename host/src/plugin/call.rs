//! Calling a plugin's handler.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use serde::de::IgnoredAny;
use serde_json::{Map, Value};
use store_model::{Direction, Filter, SortKey};

use super::{
    Outside,
    admission::{Gate, KeyedQueue},
    bindings::exports::wares::http::handler as guest,
    component::{ConfigFault, Prepared, check_config},
    counters::Counters,
    descriptor::{Hook, Route, SerializedBy},
    engine::{PluginEngine, rule_instances},
    generation::Generation,
    grants::{Grants, HookEntry},
    hooks::HookReach,
    imports::filter_to_guest,
    instance::{
        Bound, CallEnd, CallSetup, CallState, Caller, CallerKind, Granted, PluginName, Reach, finish,
        new_store,
    },
    outcome::{CallError, Failure},
};
use crate::{
    breaker::{Breaker, Change, Open},
    clock::Clock,
    codes,
    config::{LimitsConfig, PluginsConfig},
    identity::Identity,
    store::{Answer, Store, Transaction},
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
    pub(super) breaker: Arc<Breaker>,
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
            counters: self.counters.clone(),
            hooks: self.hooks.clone(),
            last_good: None,
            name: self.name.clone(),
            gate: self.gate.clone(),
            provider_gate: self.provider_gate.clone(),
            breaker: self.breaker.clone(),
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

    /// Whether the breaker is open.
    pub fn is_failing(&self) -> bool {
        self.breaker.is_open()
    }
}

/// A request for a handler, after the host's checks. Not `Debug`: it may hold a hash.
#[derive(Clone)]
pub struct HandlerRequest {
    pub params: Vec<(String, String)>,
    pub query: Vec<(String, String)>,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub list: Option<ListRequest>,
    pub caller: Caller,
    pub if_match: Option<u64>,
    /// The hash of the password that was in the body.
    pub password_hash: Option<String>,
}

/// A list query, parsed and checked.
#[derive(Debug, Clone, PartialEq)]
pub struct ListRequest {
    pub filter: Option<Filter>,
    pub text: Option<String>,
    pub sort: Vec<SortKey>,
    pub limit: u32,
    pub cursor: Option<String>,
    pub offset: u32,
    pub count: bool,
}

/// What a call answered.
#[derive(Debug, Clone, PartialEq)]
pub enum Handled {
    Response(HandlerResponse),
    Problem(HandlerProblem),
    /// Another request with the same idempotency key was first; its answer counts.
    Superseded,
    /// The answer went with the last commit. Only between a run and its caller.
    Committed,
}

#[derive(Debug, Clone, PartialEq)]
pub struct HandlerResponse {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub version: Option<u64>,
    pub page: Option<PagePosition>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PagePosition {
    pub next: Option<String>,
    pub total: Option<u64>,
    /// How many items the page has.
    pub items: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub struct HandlerProblem {
    pub status: u16,
    pub code: String,
    pub detail: Option<String>,
    pub errors: Vec<(String, String, String)>,
    pub extras: Map<String, Value>,
}

impl From<Answer> for HandlerResponse {
    fn from(answer: Answer) -> Self {
        Self {
            status: answer.status,
            headers: answer.headers,
            body: answer.body.unwrap_or_default().into_bytes(),
            version: answer.version,
            page: None,
        }
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
                    if settled.conflicted && route.serialized_by.is_some() && Instant::now() < deadline =>
                {
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
        let Invocation { engine, plugin, operation, request_id, reach, bound, deadline } = invocation;
        let started = Instant::now();
        let pass = plugin.breaker.admit(self.clock.now_ms()).map_err(|Open { left_ms }| {
            let cause = "the plugin keeps failing and is not called for a while";
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
        let failed = result.as_ref().err().is_some_and(|error| error.failure.blames_plugin());
        if let Change::Opened | Change::Reopened = pass.give_back(failed, self.clock.now_ms()) {
            tracing::error!(plugin.id = %plugin.id(), "Plugin `{}` keeps failing and is not called for a while", plugin.id());
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

fn to_guest(
    plugin: &LoadedPlugin,
    route: &Route,
    request: &HandlerRequest,
    key: Option<&str>,
) -> guest::Request {
    let caller = &request.caller;
    let attr = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let groups = caller.groups.iter().map(|group| attr("group", group));
    let guest_id = caller.guest.iter().map(|guest| attr("guest", guest));
    let email = caller.email.iter().map(|email| attr("email", email));
    let new_guest = caller.new_guest.iter().map(|token| attr("new-guest", token));
    let key = key.map(|key| attr("request-key", key));
    guest::Request {
        operation_id: route.operation_id.clone(),
        params: request.params.clone(),
        query: request.query.clone(),
        headers: request.headers.clone(),
        body: request.body.clone(),
        list: request.list.as_ref().map(|list| guest::ListQuery {
            filter: list.filter.clone().map(filter_to_guest),
            text: list.text.clone(),
            sort: list
                .sort
                .iter()
                .map(|key| guest::SortKey {
                    path: key.path.clone(),
                    descending: key.direction == Direction::Descending,
                })
                .collect(),
            limit: list.limit,
            cursor: list.cursor.clone(),
            offset: list.offset,
            count: list.count,
        }),
        caller: guest::Caller {
            kind: request.caller.kind.as_str().to_owned(),
            subject: request.caller.subject.clone(),
            permissions: request.caller.permissions.clone(),
            attrs: groups.chain(email).chain(guest_id).chain(new_guest).chain(key).collect(),
        },
        if_match: request.if_match,
        config: plugin.config.clone(),
    }
}

/// Checks what the guest answered: it is untrusted.
fn check_reply(
    plugin: &LoadedPlugin,
    route: &Route,
    reply: Result<guest::Reply, guest::Problem>,
    denied: bool,
) -> Result<Handled, CallError> {
    let output = |cause: String| CallError::new(Failure::Output, cause);
    match reply {
        Ok(guest::Reply::Committed) => Ok(Handled::Committed),
        Ok(guest::Reply::Response(response)) => {
            if !route.responses.iter().any(|declared| declared.status == response.status) {
                return Err(output(format!("status {} is not declared", response.status)));
            }
            if response.body.len() > plugin.limits.response_bytes {
                return Err(output(format!("a body of {} bytes", response.body.len())));
            }
            if response.status == 204 && !response.body.is_empty() {
                return Err(output("a body with the status 204".to_owned()));
            }
            let mut items = 0;
            if response.page.is_some() {
                let page: Vec<IgnoredAny> = serde_json::from_slice(&response.body)
                    .map_err(|error| output(format!("the page is not a JSON array: {error}")))?;
                items = page.len();
            } else if !response.body.is_empty() {
                serde_json::from_slice::<IgnoredAny>(&response.body)
                    .map_err(|error| output(format!("the body is not JSON: {error}")))?;
            }
            check_headers(&response.headers).map_err(output)?;
            if let Some(next) = response.page.as_ref().and_then(|page| page.next.as_deref()) {
                check_cursor(next).map_err(output)?;
            }
            Ok(Handled::Response(HandlerResponse {
                status: response.status,
                headers: response.headers,
                body: response.body,
                version: response.version,
                page: response.page.map(|page| PagePosition { next: page.next, total: page.total, items }),
            }))
        }
        Err(problem) => {
            if denied && problem.code == "plugin_failed" {
                return Err(CallError::new(Failure::Denied, problem.detail.unwrap_or_default()));
            }
            if problem_bytes(&problem) > plugin.limits.response_bytes {
                return Err(output("a problem larger than the plugin's limit".to_owned()));
            }
            check_problem(route, problem).map(Handled::Problem).map_err(output)
        }
    }
}

const FIELD_ERRORS: usize = 100;

fn check_problem(route: &Route, problem: guest::Problem) -> Result<HandlerProblem, String> {
    let known = codes::code(&problem.code).filter(|code| code.status == problem.status);
    if known.is_none() || !route.problem_codes().contains(problem.code.as_str()) {
        return Err(format!("the problem `{}` with status {} is not declared", problem.code, problem.status));
    }
    let extras = match problem.extras {
        Some(bytes) => serde_json::from_slice(&bytes)
            .map_err(|error| format!("the extras are not an object: {error}"))?,
        None => Map::new(),
    };
    let errors = problem
        .errors
        .into_iter()
        .take(FIELD_ERRORS)
        .map(|error| (error.pointer, error.code, error.message))
        .collect();
    Ok(HandlerProblem { status: problem.status, code: problem.code, detail: problem.detail, errors, extras })
}

fn problem_bytes(problem: &guest::Problem) -> usize {
    let errors = problem.errors.iter().map(|it| it.pointer.len() + it.code.len() + it.message.len());
    problem.detail.as_ref().map_or(0, String::len)
        + problem.extras.as_ref().map_or(0, Vec::len)
        + errors.sum::<usize>()
}

/// A cursor becomes a header and part of a link in another.
fn check_cursor(cursor: &str) -> Result<(), String> {
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~=+/:".contains(&byte);
    if cursor.len() > 2_048 || !cursor.bytes().all(fine) {
        return Err("a cursor that cannot be in a header".to_owned());
    }
    Ok(())
}

/// Until when an answer holds, for the host alone: it is not sent.
pub(crate) const VALID_UNTIL: &str = "valid-until";

/// Headers a plugin may set: `location`, `valid-until` and its own `x-` headers. The rest belongs to the host.
pub(super) fn check_headers(headers: &[(String, String)]) -> Result<(), String> {
    const OWN: &[&str] = &["x-request-id", "x-total-count", "x-next-cursor", "x-cache"];
    if headers.len() > 16 {
        return Err(format!("{} headers", headers.len()));
    }
    for (name, value) in headers {
        let token =
            name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        let allowed = name == "location"
            || name == VALID_UNTIL
            || (name.starts_with("x-") && !OWN.contains(&name.as_str()));
        if !token || !allowed || name.len() > 60 {
            return Err("a header that belongs to the host or has an invalid name".to_owned());
        }
        if value.len() > 2_048 || !value.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
            return Err(format!("the header `{name}` has an invalid value"));
        }
    }
    Ok(())
}
