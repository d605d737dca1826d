//! The engine: wasmtime narrowed to what the host uses.
//!
//! One engine serves all plugins but pricing rules. Its pooling allocator makes a fresh instance cheap enough for every call, its
//! epoch ticks interrupt guests, and its linker holds the fixed WASI baseline and the host's own interfaces and
//! nothing else: no sockets, no preopened directories, no environment.
//!
//! Pricing rules have an engine of their own, in which nothing depends on time or machine: fuel ends a guest and no
//! tick, NaNs are canonical, and the linker has the baseline only.

use std::time::Duration;

use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig,
    WasmBacktraceDetails,
    component::{HasData, HasSelf, Linker, Resource},
};
use wasmtime_wasi::{
    cli::{WasiCli, WasiCliView},
    clocks::{WasiClocks, WasiClocksView},
    filesystem::{WasiFilesystem, WasiFilesystemView},
    p2::{DynPollable, bindings as wasi},
    random::WasiRandom,
};

use super::{
    bindings::wares,
    instance::CallState,
    outcome::{Failure, Stop},
};
use crate::config::{LimitsConfig, PluginsConfig};

/// How often running guests are interrupted to see whether their budget is spent.
const EPOCH_TICK: Duration = Duration::from_millis(2);
/// Enough for deep but honest recursion; a runaway one traps in well under a millisecond.
const WASM_STACK_BYTES: usize = 512 * 1024;
/// What stays resident of a freed memory where only the pages that were written are reset: a Rust guest writes below
/// and above the first MiB, where its stack ends and its data begin.
const KEEP_RESIDENT_SCANNED_BYTES: usize = 2 * 1024 * 1024;
/// The same where all of it has to be reset, written or not.
const KEEP_RESIDENT_BYTES: usize = 64 * 1024;
/// What stays resident of a freed table. Giving its pages back would interrupt every core, and every call would fault
/// them in again; a plugin's tables have a few kilobytes.
const KEEP_RESIDENT_TABLE_BYTES: usize = 32 * 1024;

/// How much fuel a rule burns before others get a turn.
pub(super) const FUEL_TURN: u64 = 2_000_000;
/// For one instance of a rule so many of other plugins: rules run inside requests, and not for long.
const INSTANCES_PER_RULE: u32 = 4;

/// Shared by all plugins of a kind; cheap to clone.
#[derive(Clone)]
pub(super) struct PluginEngine {
    pub(super) engine: Engine,
    pub(super) linker: Linker<CallState>,
}

impl PluginEngine {
    /// Builds the engine and starts its ticker, which ends with the engine.
    pub(super) fn new(config: &PluginsConfig) -> wasmtime::Result<Self> {
        let mut settings = common(config, config.instances);
        settings.epoch_interruption(true);
        let engine = Engine::new(&settings)?;
        let linker = linker(&engine)?;
        let weak = engine.weak();
        // A thread of its own and not a task: a guest that spins may hold the worker that drives the runtime's
        // timers, and then no timer would ever fire to stop it.
        std::thread::Builder::new().name("plugin-epoch".to_owned()).spawn(move || {
            while let Some(engine) = weak.upgrade() {
                engine.increment_epoch();
                drop(engine);
                std::thread::park_timeout(EPOCH_TICK);
            }
        })?;
        Ok(Self { engine, linker })
    }

    /// The engine of pricing rules.
    pub(super) fn of_rules(config: &PluginsConfig) -> wasmtime::Result<Self> {
        let mut settings = common(config, rule_instances(config));
        settings.consume_fuel(true).cranelift_nan_canonicalization(true).relaxed_simd_deterministic(true);
        let engine = Engine::new(&settings)?;
        let mut linker = Linker::new(&engine);
        add_baseline(&mut linker)?;
        wasi::clocks::monotonic_clock::add_to_linker::<CallState, StoppedTime>(&mut linker, |_| StoppedTime)?;
        Ok(Self { engine, linker })
    }

    /// Identifies everything that compiled code depends on besides the component's bytes.
    pub(super) fn compatibility(&self) -> [u8; 32] {
        use std::hash::{Hash, Hasher};
        let mut hasher = Blake3Hasher(blake3::Hasher::new());
        self.engine.precompile_compatibility_hash().hash(&mut hasher);
        hasher.write(env!("CARGO_PKG_VERSION").as_bytes());
        *hasher.0.finalize().as_bytes()
    }
}

struct Blake3Hasher(blake3::Hasher);

impl std::hash::Hasher for Blake3Hasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let hash = self.0.finalize();
        u64::from_le_bytes(hash.as_bytes()[..8].try_into().unwrap_or_default())
    }
}

/// How many rules can run at once.
pub(super) fn rule_instances(config: &PluginsConfig) -> u32 {
    (config.instances / INSTANCES_PER_RULE).max(1)
}

fn common(config: &PluginsConfig, instances: u32) -> Config {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        .total_stacks(instances)
        .total_memories(instances.saturating_mul(2))
        .total_tables(instances.saturating_mul(4))
        .total_core_instances(instances.saturating_mul(4))
        .max_memory_size(config.most_memory_bytes())
        .table_elements(LimitsConfig::MOST_TABLE_ELEMENTS as usize)
        .linear_memory_keep_resident(KEEP_RESIDENT_BYTES)
        .table_keep_resident(KEEP_RESIDENT_TABLE_BYTES);
    // The scan for written pages misses those that were swapped out, and the next guest would see what they held
    // (wasmtime#14357). Kernels without the scan do without it.
    if !swaps() {
        pool.pagemap_scan(Enabled::Auto).linear_memory_keep_resident(KEEP_RESIDENT_SCANNED_BYTES);
    }

    let mut engine = Config::new();
    engine
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool))
        .concurrency_support(false)
        .max_wasm_stack(WASM_STACK_BYTES)
        .wasm_memory64(false)
        .cranelift_opt_level(OptLevel::Speed)
        .wasm_backtrace_details(WasmBacktraceDetails::Enable);
    engine
}

/// Whether this machine may swap; when that cannot be told, yes.
fn swaps() -> bool {
    std::fs::read_to_string("/proc/swaps").map_or(true, |swaps| swaps.lines().count() > 1)
}

fn linker(engine: &Engine) -> wasmtime::Result<Linker<CallState>> {
    let mut linker = Linker::new(engine);
    add_baseline(&mut linker)?;
    wasi::clocks::monotonic_clock::add_to_linker::<CallState, WasiClocks>(&mut linker, CallState::clocks)?;
    wares::log::log::add_to_linker::<_, HasSelf<CallState>>(&mut linker, |state| state)?;
    wares::store::store::add_to_linker::<_, HasSelf<CallState>>(&mut linker, |state| state)?;
    wares::identity::identity::add_to_linker::<_, HasSelf<CallState>>(&mut linker, |state| state)?;
    wares::hooks::hooks::add_to_linker::<_, HasSelf<CallState>>(&mut linker, |state| state)?;
    wares::http_client::http_client::add_to_linker::<_, HasSelf<CallState>>(&mut linker, |state| state)?;
    wares::secrets::secrets::add_to_linker::<_, HasSelf<CallState>>(&mut linker, |state| state)?;
    Ok(linker)
}

/// The monotonic clock of pricing rules. It stands still, and nothing is made that becomes ready with time: how often a
/// rule asks for that would tell it what the machine does, and a rule that waits burns no fuel.
struct StoppedTime;

impl HasData for StoppedTime {
    type Data<'a> = Self;
}

impl wasi::clocks::monotonic_clock::Host for StoppedTime {
    fn now(&mut self) -> wasmtime::Result<u64> {
        Ok(0)
    }

    fn resolution(&mut self) -> wasmtime::Result<u64> {
        Ok(1_000_000)
    }

    fn subscribe_instant(&mut self, _when: u64) -> wasmtime::Result<Resource<DynPollable>> {
        Err(Stop::new(Failure::Denied, "a pricing rule cannot wait").into())
    }

    fn subscribe_duration(&mut self, _nanoseconds: u64) -> wasmtime::Result<Resource<DynPollable>> {
        self.subscribe_instant(0)
    }
}

/// What a plain Rust std guest imports, but for the monotonic clock. Sockets are absent on purpose: a component that
/// imports them is refused.
fn add_baseline(l: &mut Linker<CallState>) -> wasmtime::Result<()> {
    wasmtime_wasi_io::add_to_linker_async(l)?;
    wasi::clocks::wall_clock::add_to_linker::<CallState, WasiClocks>(l, CallState::clocks)?;
    wasi::random::random::add_to_linker::<CallState, WasiRandom>(l, |state| state.wasi.random())?;
    wasi::random::insecure::add_to_linker::<CallState, WasiRandom>(l, |state| state.wasi.random())?;
    wasi::random::insecure_seed::add_to_linker::<CallState, WasiRandom>(l, |state| state.wasi.random())?;
    wasi::filesystem::preopens::add_to_linker::<CallState, WasiFilesystem>(l, CallState::filesystem)?;
    wasi::filesystem::types::add_to_linker::<CallState, WasiFilesystem>(l, CallState::filesystem)?;
    wasi::cli::exit::add_to_linker::<CallState, WasiCli>(l, CallState::cli)?;
    wasi::cli::environment::add_to_linker::<CallState, WasiCli>(l, CallState::cli)?;
    wasi::cli::stdin::add_to_linker::<CallState, WasiCli>(l, CallState::cli)?;
    wasi::cli::stdout::add_to_linker::<CallState, WasiCli>(l, CallState::cli)?;
    wasi::cli::stderr::add_to_linker::<CallState, WasiCli>(l, CallState::cli)?;
    wasi::cli::terminal_input::add_to_linker::<CallState, WasiCli>(l, CallState::cli)?;
    wasi::cli::terminal_output::add_to_linker::<CallState, WasiCli>(l, CallState::cli)?;
    wasi::cli::terminal_stdin::add_to_linker::<CallState, WasiCli>(l, CallState::cli)?;
    wasi::cli::terminal_stdout::add_to_linker::<CallState, WasiCli>(l, CallState::cli)?;
    wasi::cli::terminal_stderr::add_to_linker::<CallState, WasiCli>(l, CallState::cli)?;
    Ok(())
}
