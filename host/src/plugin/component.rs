//! From bytes to a prepared component: size, kind, imports, compilation, exports.

use std::{sync::Arc, time::Duration};

use wasmtime::component::{Component, InstancePre, types::ComponentItem};

use super::{
    aot::AotCache,
    bindings::exports::wares::{http::handler, lifecycle::lifecycle},
    call::PluginRuntime,
    descriptor::{Descriptor, DescriptorError},
    engine::PluginEngine,
    instance::{CallSetup, CallState, PluginName, Reach, finish, new_store},
    outcome::CallError,
};
use crate::config::{LimitsConfig, PluginsConfig};

/// A component that is compiled, linked and described, and not yet granted anything.
pub struct Prepared {
    /// BLAKE3 of the component's bytes, in hexadecimal.
    pub digest: String,
    pub size_bytes: usize,
    pub descriptor: Descriptor,
    pub(super) pre: InstancePre<CallState>,
    pub(super) lifecycle: lifecycle::GuestIndices,
    pub(super) handler: handler::GuestIndices,
}

/// Why a component is refused, in a sentence that says what to change.
#[derive(Debug, thiserror::Error)]
pub enum ComponentError {
    #[error("it has {size} bytes, more than the {limit} that `plugins.max_component_bytes` allows")]
    TooLarge { size: usize, limit: usize },
    #[error("it is empty")]
    Empty,
    #[error("it is not a WebAssembly file")]
    NotWasm,
    #[error(
        "it is a core module and not a component: build it with `cargo build --target wasm32-wasip2`, which makes components"
    )]
    CoreModule,
    #[error("it is not a valid component: {0}")]
    Invalid(String),
    #[error("compiling it took longer than {0:?}")]
    CompileTimeout(Duration),
    #[error("it imports `{import}`, {reason}")]
    Import { import: String, reason: String },
    #[error("it does not export `{export}`: {remedy}")]
    Export { export: &'static str, remedy: &'static str },
    #[error("it did not describe itself: {0}")]
    Describe(CallError),
    #[error("{0}")]
    Descriptor(#[from] DescriptorError),
}

impl ComponentError {
    /// Whether the bytes look cut off, as a file does while it is being written.
    pub fn looks_torn(&self) -> bool {
        matches!(self, Self::Empty | Self::NotWasm | Self::Invalid(_))
    }
}

/// How long and how much `describe` may take.
fn describe_limits() -> LimitsConfig {
    LimitsConfig {
        timeout_ms: 2_000,
        cpu_ms: 500,
        memory_bytes: 32 * 1024 * 1024,
        response_bytes: 8 * 1024 * 1024,
        host_call_bytes: 1024 * 1024,
        ..LimitsConfig::default()
    }
}

/// The digest of a component's bytes.
pub fn digest_of(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

/// Compiles, links and describes a component.
///
/// # Errors
/// The first thing that is wrong with it.
pub async fn prepare(
    runtime: &PluginRuntime,
    aot: Option<&Arc<AotCache>>,
    config: &PluginsConfig,
    bytes: Arc<[u8]>,
) -> Result<Prepared, ComponentError> {
    check_header(&bytes, config.max_component_bytes)?;
    let digest = digest_of(&bytes);
    let size_bytes = bytes.len();
    let component = compile(&runtime.engine, aot, config, &digest, bytes).await?;
    check_imports(&runtime.engine, &component)?;
    let pre = runtime
        .engine
        .linker
        .instantiate_pre(&component)
        .map_err(|error| ComponentError::Invalid(format!("{error:#}")))?;
    let lifecycle = lifecycle::GuestIndices::new(&pre).map_err(|_| ComponentError::Export {
        export: "wares:lifecycle/lifecycle@1.0.0",
        remedy: "it is a component, but not a plugin of this platform; see docs/PLUGINS.md",
    })?;
    let handler = handler::GuestIndices::new(&pre).map_err(|_| ComponentError::Export {
        export: "wares:http/handler@1.0.0",
        remedy: "this host runs endpoint plugins only so far",
    })?;
    let descriptor = describe(runtime, &pre, &lifecycle).await?;
    Ok(Prepared { digest, size_bytes, descriptor, pre, lifecycle, handler })
}

fn check_header(bytes: &[u8], limit: usize) -> Result<(), ComponentError> {
    if bytes.is_empty() {
        return Err(ComponentError::Empty);
    }
    if bytes.len() > limit {
        return Err(ComponentError::TooLarge { size: bytes.len(), limit });
    }
    match bytes.get(..8) {
        Some([0, b'a', b's', b'm', 0x0d, 0, 1, 0]) => Ok(()),
        Some([0, b'a', b's', b'm', 1, 0, 0, 0]) => Err(ComponentError::CoreModule),
        _ => Err(ComponentError::NotWasm),
    }
}

/// Loads compiled code from the cache or compiles, on a thread of its own and for a bounded time.
async fn compile(
    engine: &PluginEngine,
    aot: Option<&Arc<AotCache>>,
    config: &PluginsConfig,
    digest: &str,
    bytes: Arc<[u8]>,
) -> Result<Component, ComponentError> {
    let (engine, aot, digest) = (engine.clone(), aot.cloned(), digest.to_owned());
    let timeout = Duration::from_millis(config.compile_timeout_ms);
    let work = tokio::task::spawn_blocking(move || {
        let compatibility = engine.compatibility();
        if let Some(code) = aot.as_ref().and_then(|aot| aot.load(&digest, &compatibility))
            && let Ok(component) = deserialize(&engine, &code)
        {
            return Ok(component);
        }
        let code = engine
            .engine
            .precompile_component(&bytes)
            .map_err(|error| ComponentError::Invalid(format!("{error:#}")))?;
        if let Some(aot) = &aot {
            aot.store(&digest, &compatibility, &code);
        }
        deserialize(&engine, &code).map_err(|error| ComponentError::Invalid(format!("{error:#}")))
    });
    match tokio::time::timeout(timeout, work).await {
        Ok(Ok(result)) => result,
        Ok(Err(panic)) => Err(ComponentError::Invalid(format!("the compiler panicked: {panic}"))),
        Err(_elapsed) => Err(ComponentError::CompileTimeout(timeout)),
    }
}

fn deserialize(engine: &PluginEngine, code: &[u8]) -> wasmtime::Result<Component> {
    #[expect(
        unsafe_code,
        reason = "the bytes come from this process's compiler or from a file whose keyed hash was checked over this very buffer"
    )]
    unsafe {
        Component::deserialize(&engine.engine, code)
    }
}

/// Refuses what is outside the baseline and the host's interfaces, with a reason per kind.
fn check_imports(engine: &PluginEngine, component: &Component) -> Result<(), ComponentError> {
    let offered = super::baseline::OFFERED;
    for (name, item) in component.component_type().imports(&engine.engine) {
        let item: ComponentItem = item.ty;
        let (interface, version) = name.split_once('@').unwrap_or((name, ""));
        if matches!(item, ComponentItem::ComponentInstance(_)) && offered.contains(&interface) {
            check_version(name, interface, version)?;
            continue;
        }
        let reason = if interface.starts_with("wasi:sockets") || interface.starts_with("wasi:http") {
            "and no plugin reaches the network by itself: use the SDK's host functions"
        } else if interface.starts_with("wares:") {
            "which this version of the host does not offer: build it with the SDK of this host's version, or update the host"
        } else {
            "which is outside the fixed baseline that every plugin gets: see docs/PLUGINS.md for what there is"
        };
        return Err(ComponentError::Import { import: name.to_owned(), reason: reason.to_owned() });
    }
    Ok(())
}

/// Interfaces of ours are compatible within a major version; a newer minor may need functions that are not there.
fn check_version(name: &str, interface: &str, version: &str) -> Result<(), ComponentError> {
    if !interface.starts_with("wares:") {
        return Ok(());
    }
    let offered = semver::Version::new(1, 0, 0);
    let wanted = semver::Version::parse(version).ok();
    match wanted {
        Some(wanted) if wanted.major == offered.major => Ok(()),
        _ => Err(ComponentError::Import {
            import: name.to_owned(),
            reason: format!(
                "and this host offers version {offered}: build it with the SDK of this host's version"
            ),
        }),
    }
}

async fn describe(
    runtime: &PluginRuntime,
    pre: &InstancePre<CallState>,
    indices: &lifecycle::GuestIndices,
) -> Result<Descriptor, ComponentError> {
    let described = without_capabilities(runtime, pre, async |store, instance| {
        let guest = indices.load(&mut *store, instance)?;
        guest.call_describe(store).await
    })
    .await
    .map_err(ComponentError::Describe)?;
    Ok(Descriptor::from_guest(described)?)
}

/// Asks a plugin whether it accepts a configuration.
///
/// # Errors
/// What is wrong with the configuration, or that the plugin failed.
pub(super) async fn validate_config(
    runtime: &PluginRuntime,
    prepared: &Prepared,
    config: &[u8],
) -> Result<(), String> {
    let answer = without_capabilities(runtime, &prepared.pre, async |store, instance| {
        let guest = prepared.lifecycle.load(&mut *store, instance)?;
        guest.call_validate_config(store, config).await
    })
    .await;
    match answer {
        Ok(Ok(())) => Ok(()),
        Ok(Err(errors)) => {
            let errors: Vec<String> =
                errors.iter().take(10).map(|error| format!("{}: {}", error.pointer, error.message)).collect();
            Err(errors.join("; "))
        }
        Err(error) => Err(format!("it failed while checking its configuration: {error}")),
    }
}

/// Runs a call that can reach nothing.
async fn without_capabilities<R>(
    runtime: &PluginRuntime,
    pre: &InstancePre<CallState>,
    call: impl AsyncFnOnce(&mut wasmtime::Store<CallState>, &wasmtime::component::Instance) -> wasmtime::Result<R>,
) -> Result<R, CallError> {
    let limits = describe_limits();
    let mut store = new_store(CallSetup {
        engine: &runtime.engine,
        limits: &limits,
        plugin: Arc::new(PluginName { id: "candidate".to_owned(), version: String::new() }),
        request_id: Arc::from("load"),
        clock: &runtime.clock,
        reach: Reach::Nothing,
    });
    let timeout = Duration::from_millis(limits.timeout_ms);
    let result = tokio::time::timeout(timeout, async {
        let instance = pre.instantiate_async(&mut store).await?;
        call(&mut store, &instance).await
    })
    .await;
    finish(store, result).1
}
