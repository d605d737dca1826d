//! One call: a fresh store and instance, its budgets, and how it ended.

use std::{
    convert::Infallible,
    sync::Arc,
    time::{Duration, Instant},
};

use rand_core::TryRng;
use store_model::Document;
use wasmtime::{CallHook, Store as WasmStore, Trap, UpdateDeadline, WasmBacktrace, component::ResourceTable};
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView, p2::pipe::MemoryOutputPipe};

use super::{
    Outside,
    engine::{FUEL_TURN, PluginEngine},
    grants::Grants,
    hooks::HookReach,
    limits::{CpuMeter, MemoryLimiter},
    outcome::{CallError, Failure, Stop},
};
use crate::{
    clock::Clock,
    config::LimitsConfig,
    identity::Identity,
    store::{Store, Transaction},
};

/// Guests may ask for this much randomness at once; more has no honest use.
const RANDOM_BYTES: u64 = 64 * 1024;

/// For each call of the platform's own functions so many of the system's, such as reading a clock or printing a line,
/// which takes a few.
const ENTRIES_PER_CALL: u32 = 20;

/// Who a call is made for, as the store and the guest see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// `anonymous`, `customer`, `admin`, `service` or `system`.
    pub kind: CallerKind,
    pub subject: Option<String>,
    pub permissions: Vec<String>,
    /// The groups that a customer is in.
    pub groups: Vec<String>,
    /// A customer's address.
    pub email: Option<String>,
    /// Who somebody without an account is by what they know, and what a customer owns who knows it besides.
    pub guest: Option<String>,
    /// A token that nobody has yet, for what the call makes for somebody without an account.
    pub new_guest: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallerKind {
    Anonymous,
    Customer,
    Admin,
    Service,
    /// A command or a job of the host itself.
    System,
}

impl CallerKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::Customer => "customer",
            Self::Admin => "admin",
            Self::Service => "service",
            Self::System => "system",
        }
    }
}

impl Caller {
    pub fn anonymous() -> Self {
        Self {
            kind: CallerKind::Anonymous,
            subject: None,
            permissions: Vec::new(),
            groups: Vec::new(),
            email: None,
            guest: None,
            new_guest: None,
        }
    }

    /// The host itself: may do everything.
    pub fn system() -> Self {
        Self {
            kind: CallerKind::System,
            subject: None,
            permissions: vec!["*".to_owned()],
            groups: Vec::new(),
            email: None,
            guest: None,
            new_guest: None,
        }
    }
}

/// What a call may reach.
pub(super) enum Reach {
    /// `describe` and `validate-config`: nothing.
    Nothing,
    /// The store and the log, within the grants.
    Granted(Box<Granted>),
}

pub(super) struct Granted {
    pub(super) store: Store,
    pub(super) identity: Identity,
    pub(super) grants: Arc<Grants>,
    /// The statuses that the route declares, for answers that go with a commit.
    pub(super) statuses: Vec<u16>,
    pub(super) caller: Caller,
    /// The account that the call has prepared: what goes with it in one commit is its own.
    pub(super) created: Option<String>,
    /// The hash of the password that the request came with.
    pub(super) password_hash: Option<String>,
    /// Collects what belongs to the request's commits: idempotency record, audit entry, answer.
    pub(super) transaction: Transaction,
    /// By which way it may ask other plugins.
    pub(super) hooks: Option<HookReach>,
    /// A payment provider has found its own signature on the request: what it tells is of anybody's documents.
    pub(super) by_provider: bool,
    /// By which way it may send requests, and the secrets to put into them.
    pub(super) outside: Outside,
    /// Until when the call has to end.
    pub(super) deadline: Instant,
}

/// The data of a wasm store: everything host functions see of a call.
pub(super) struct CallState {
    pub(super) wasi: WasiCtx,
    table: ResourceTable,
    pub(super) limiter: MemoryLimiter,
    meter: CpuMeter,
    cpu_budget: Duration,
    pub(super) reach: Reach,
    pub(super) budget: HostBudget,
    /// The most an answer may have.
    pub(super) response_bytes: usize,
    /// The most that may be printed.
    log_bytes: usize,
    pub(super) denied: bool,
    pub(super) plugin: Arc<PluginName>,
    pub(super) request_id: Arc<str>,
    stderr: MemoryOutputPipe,
    stdout: MemoryOutputPipe,
}

/// How a plugin is called in logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PluginName {
    pub id: String,
    pub version: String,
}

/// What is left of the call's host-call and log budgets.
pub(super) struct HostBudget {
    calls: u32,
    /// Entries into any host function, WASI's included, which do work that is not measured as the guest's.
    entries: u32,
    bytes: usize,
    pub(super) log_lines: u32,
    pub(super) log_bytes: usize,
    pub(super) log_dropped: u32,
}

impl HostBudget {
    /// Accounts for one entry into whichever host function.
    fn enter(&mut self) -> wasmtime::Result<()> {
        self.entries = self.entries.checked_sub(1).ok_or_else(|| {
            wasmtime::Error::from(Stop::new(
                Failure::HostCalls,
                "the call's budget of host calls is spent on the system's interfaces",
            ))
        })?;
        Ok(())
    }

    /// Accounts for one host call that moves `bytes`.
    pub(super) fn spend(&mut self, bytes: usize) -> wasmtime::Result<()> {
        self.spend_bytes(bytes)?;
        self.calls = self.calls.checked_sub(1).ok_or_else(|| {
            wasmtime::Error::from(Stop::new(Failure::HostCalls, "the call's budget of host calls is spent"))
        })?;
        Ok(())
    }

    /// How many bytes the rest of the call may move.
    pub(super) fn bytes_left(&self) -> usize {
        self.bytes
    }

    /// Accounts for bytes that a host call answers.
    pub(super) fn spend_bytes(&mut self, bytes: usize) -> wasmtime::Result<()> {
        self.bytes = self.bytes.checked_sub(bytes).ok_or_else(|| {
            wasmtime::Error::from(Stop::new(
                Failure::HostCalls,
                "the call's budget of host-call bytes is spent",
            ))
        })?;
        Ok(())
    }
}

impl WasiView for CallState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl wasmtime_wasi_io::IoView for CallState {
    fn table(&mut self) -> &mut ResourceTable {
        &mut self.table
    }
}

/// What is needed to set up a call.
pub(super) struct CallSetup<'a> {
    pub(super) engine: &'a PluginEngine,
    pub(super) limits: &'a LimitsConfig,
    pub(super) plugin: Arc<PluginName>,
    pub(super) request_id: Arc<str>,
    pub(super) clock: &'a Clock,
    pub(super) reach: Reach,
    pub(super) bound: Bound,
}

/// What ends a guest that goes on and on.
pub(super) enum Bound {
    /// The CPU time of its limits, and whatever deadline is around the call.
    Time,
    /// This much fuel, and nothing that depends on the machine. What the guest sees of time and chance comes from what
    /// it was asked.
    Fuel(u64, Option<Asked>),
}

/// What a pure call sees in the place of time and chance.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    /// Unix milliseconds.
    pub(super) at_ms: i64,
    /// Of all that it was asked.
    pub(super) seed: [u8; 32],
}

/// What a call left behind besides its result.
pub(super) struct CallEnd {
    pub(super) cpu: Duration,
    pub(super) memory_bytes: usize,
    /// Whether the guest was refused something it was not granted.
    pub(super) denied: bool,
}

/// Builds the store of one call. It is dropped after the call, whatever happened.
pub(super) fn new_store(setup: CallSetup<'_>) -> WasmStore<CallState> {
    let limits = setup.limits;
    let stderr = MemoryOutputPipe::new(limits.log_bytes);
    let stdout = MemoryOutputPipe::new(limits.log_bytes);
    let mut wasi = WasiCtx::builder();
    match setup.bound {
        Bound::Time => wasi.wall_clock(GuestClock(setup.clock.clone())),
        Bound::Fuel(_, asked) => pure(&mut wasi, asked.unwrap_or(Asked { at_ms: 0, seed: [0; 32] })),
    };
    wasi.max_random_size(RANDOM_BYTES)
        .allow_tcp(false)
        .allow_udp(false)
        .allow_ip_name_lookup(false)
        .stdout(stdout.clone())
        .stderr(stderr.clone());
    let mut table = ResourceTable::new();
    table.set_max_capacity(limits.handles as usize);
    let state = CallState {
        wasi: wasi.build(),
        table,
        limiter: MemoryLimiter::new(limits),
        meter: CpuMeter::new(),
        cpu_budget: Duration::from_millis(limits.cpu_ms),
        reach: setup.reach,
        budget: HostBudget {
            calls: limits.host_calls,
            entries: limits.host_calls.saturating_mul(ENTRIES_PER_CALL),
            bytes: limits.host_call_bytes,
            log_lines: limits.log_lines,
            log_bytes: limits.log_bytes,
            log_dropped: 0,
        },
        response_bytes: limits.response_bytes,
        log_bytes: limits.log_bytes,
        denied: false,
        plugin: setup.plugin,
        request_id: setup.request_id,
        stderr,
        stdout,
    };
    let mut store = WasmStore::new(&setup.engine.engine, state);
    store.limiter(|state| &mut state.limiter);
    // Bounds what one host call copies in either direction; the call's total is the host budget.
    store.set_hostcall_fuel(limits.host_call_bytes.max(limits.response_bytes));
    store.set_max_component_handles(limits.handles as usize);
    store.call_hook(|mut store, hook| {
        let state = store.data_mut();
        state.meter.on_hook(hook);
        if matches!(hook, CallHook::CallingHost) { state.budget.enter() } else { Ok(()) }
    });
    if let Bound::Fuel(fuel, _) = setup.bound {
        // The engine is made for it.
        let _set = store.set_fuel(fuel).and_then(|()| store.fuel_async_yield_interval(Some(FUEL_TURN)));
        return store;
    }
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(|mut store| {
        let state = store.data_mut();
        state.meter.pause();
        if state.meter.used() > state.cpu_budget {
            return Err(Stop::new(Failure::Cpu, "the call's CPU budget is spent").into());
        }
        Ok(UpdateDeadline::YieldCustom(1, Box::pin(state.meter.yielding())))
    });
    store
}

/// Takes apart what a call left, logs its output, and names its failure.
pub(super) fn finish<R>(
    mut store: WasmStore<CallState>,
    result: Result<wasmtime::Result<R>, tokio::time::error::Elapsed>,
) -> (CallEnd, Result<R, CallError>) {
    let state = store.data_mut();
    state.meter.pause();
    let output_full = is_full(&state.stdout, state.log_bytes) || is_full(&state.stderr, state.log_bytes);
    let output = log_output(state);
    let result = match result {
        Err(_elapsed) => Err(CallError::new(Failure::Timeout, "the deadline passed")),
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(failure_of(&error, state.limiter.denied, output_full, output)),
    };
    let end =
        CallEnd { cpu: state.meter.used(), memory_bytes: state.limiter.used_bytes(), denied: state.denied };
    (end, result)
}

/// Names the failure behind wasmtime's error.
fn failure_of(
    error: &wasmtime::Error,
    memory_denied: bool,
    output_full: bool,
    output: Option<String>,
) -> CallError {
    let cause = match output {
        Some(line) => format!("{error:#}; it printed: {line}"),
        None => format!("{error:#}"),
    };
    if let Some(stop) = error.downcast_ref::<Stop>() {
        return CallError::new(stop.failure, stop.cause.clone());
    }
    if error.downcast_ref::<Trap>() == Some(&Trap::OutOfFuel) {
        return CallError::new(Failure::Cpu, "the call's fuel is spent");
    }
    if memory_denied {
        return CallError::new(Failure::Memory, cause);
    }
    if cause.contains("too much data is being copied") {
        // Without a frame of the guest's it was the answer that was being copied.
        let within_guest = error.downcast_ref::<WasmBacktrace>().is_some();
        return CallError::new(if within_guest { Failure::HostCalls } else { Failure::Output }, cause);
    }
    // A guest whose output is refused usually panics, and the panic alone does not tell why.
    if output_full {
        return CallError::new(Failure::Log, cause);
    }
    CallError::new(Failure::Trap, cause)
}

/// Whether nothing more could be printed: the pipe refuses a write that it has no room for.
fn is_full(pipe: &MemoryOutputPipe, capacity: usize) -> bool {
    pipe.contents().len() >= capacity
}

/// Sends what the guest printed to the log, a line each within the budget, and answers the last line of its
/// standard error: that is where a panic's message is.
fn log_output(state: &mut CallState) -> Option<String> {
    let stdout = state.stdout.contents();
    let stderr = state.stderr.contents();
    if stdout.is_empty() && stderr.is_empty() {
        return None;
    }
    let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    let lines = stdout.lines().chain(stderr.lines()).filter(|line| !line.trim().is_empty());
    for line in lines.take(state.budget.log_lines as usize) {
        let line: String = line.chars().take(LOG_LINE_CHARS).collect();
        tracing::debug!(
            plugin.id = %state.plugin.id,
            plugin.version = %state.plugin.version,
            request.id = %state.request_id,
            "Plugin printed: {line}"
        );
    }
    let panic = stderr.lines().filter(|line| !line.trim().is_empty()).take(3).collect::<Vec<_>>().join(" ");
    (!panic.is_empty()).then_some(panic)
}

pub(super) const LOG_LINE_CHARS: usize = 1024;

/// The host's clock as WASI shows it, so that a moved clock moves guests too.
struct GuestClock(Clock);

impl wasmtime_wasi::HostWallClock for GuestClock {
    fn resolution(&self) -> Duration {
        Duration::from_millis(1)
    }

    fn now(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.now_ms()).unwrap_or_default())
    }
}

/// Time stands still at the moment that was asked about, and chance follows from what was asked.
fn pure(wasi: &mut WasiCtxBuilder, asked: Asked) -> &mut WasiCtxBuilder {
    let chance = |about: u8| {
        let mut hasher = blake3::Hasher::new_keyed(&asked.seed);
        hasher.update(&[about]);
        Chance(hasher.finalize_xof())
    };
    let seed = u128::from_le_bytes(asked.seed[..16].try_into().unwrap_or_default());
    wasi.wall_clock(StoppedClock(asked.at_ms))
        .monotonic_clock(StoppedClock(0))
        .secure_random(chance(0))
        .insecure_random(chance(1))
        .insecure_random_seed(seed)
}

/// A clock that shows one moment, in Unix milliseconds.
struct StoppedClock(i64);

impl wasmtime_wasi::HostWallClock for StoppedClock {
    fn resolution(&self) -> Duration {
        Duration::from_millis(1)
    }

    fn now(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.0).unwrap_or_default())
    }
}

impl wasmtime_wasi::HostMonotonicClock for StoppedClock {
    fn resolution(&self) -> u64 {
        1_000_000
    }

    fn now(&self) -> u64 {
        0
    }
}

/// Bytes that look random and are always the same.
struct Chance(blake3::OutputReader);

impl TryRng for Chance {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.0.fill(&mut bytes);
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill(bytes);
        Ok(())
    }
}

/// A document as bytes for the guest.
pub(super) fn document_bytes(document: &Document) -> usize {
    document.id.len() + document.json.len()
}
