//! From bytes to a prepared component: size, kind, imports, compilation, exports.

use std::{sync::Arc, time::Duration};

use serde_json::{Map, Value};
use tokio::sync::Semaphore;
use wasmtime::component::{Component, InstancePre, types::ComponentItem};

use super::{
    aot::AotCache,
    bindings::exports::wares::{
        http::handler, lifecycle::lifecycle, payment::provider, pricing::rule, shipping::rates,
    },
    call::PluginRuntime,
    configs::encoded,
    descriptor::{Capability, Descriptor, DescriptorError, Hook},
    engine::PluginEngine,
    instance::{Bound, CallSetup, CallState, PluginName, Reach, finish, new_store},
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
    pub(super) roles: Roles,
}

/// What a component can do, by the interfaces that it exports.
pub(super) struct Roles {
    pub(super) handler: Option<handler::GuestIndices>,
    pub(super) rule: Option<rule::GuestIndices>,
    pub(super) rates: Option<rates::GuestIndices>,
    pub(super) provider: Option<provider::GuestIndices>,
}

impl Prepared {
    /// The names of its roles, as operators see them.
    pub fn role_names(&self) -> Vec<&'static str> {
        let roles = &self.roles;
        let all = [
            ("endpoint", roles.handler.is_some()),
            ("pricing-rule", roles.rule.is_some()),
            ("shipping-rates", roles.rates.is_some()),
            ("payment-provider", roles.provider.is_some()),
        ];
        all.into_iter().filter(|(_, has)| *has).map(|(name, _)| name).collect()
    }

    /// The hooks that it answers.
    pub fn hooks(&self) -> Vec<Hook> {
        let roles = &self.roles;
        let all = [
            (Hook::Pricing, roles.rule.is_some()),
            (Hook::Shipping, roles.rates.is_some()),
            (Hook::Payment, roles.provider.is_some()),
        ];
        all.into_iter().filter(|(_, has)| *has).map(|(hook, _)| hook).collect()
    }
}

/// Why a component is refused, in a sentence that says what to change.
#[derive(Debug, thiserror::Error)]
pub enum ComponentError {
    #[error("it has {size} bytes, more than the {limit} that `plugins.max_component_bytes` allows")]
    TooLarge { size: usize, limit: usize },
    #[error("it cannot be read: {0}")]
    Unreadable(std::io::Error),
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
    #[error("it has a function of {size} bytes, more than the {limit} that are compiled")]
    Function { size: usize, limit: usize },
    #[error("compiling it took longer than {0:?}")]
    CompileTimeout(Duration),
    #[error("it was not compiled, because an earlier component still is")]
    CompilerBusy,
    #[error("it imports `{import}`, {reason}")]
    Import { import: String, reason: String },
    #[error("it does not export `{export}`: {remedy}")]
    Export { export: &'static str, remedy: &'static str },
    #[error("it exports `{RULE}` and more: a pricing rule is pure and can be nothing else")]
    RuleAndMore,
    #[error("it has {0}, which only a plugin that exports `wares:http/handler` can have")]
    NoHandler(&'static str),
    #[error("it did not describe itself: {0}")]
    Describe(CallError),
    #[error("{0}")]
    Descriptor(#[from] DescriptorError),
}

impl ComponentError {
    /// Whether the bytes look cut off, as a file does while it is being written. What is cut between two sections is a
    /// valid component without its last exports.
    pub fn looks_torn(&self) -> bool {
        matches!(self, Self::Empty | Self::NotWasm | Self::Invalid(_) | Self::Export { .. })
    }

    /// Whether preparing the same bytes again would end the same way.
    pub(super) fn is_final(&self) -> bool {
        !matches!(
            self,
            Self::Unreadable(_) | Self::CompileTimeout(_) | Self::CompilerBusy | Self::Describe(_)
        )
    }
}

/// What `describe` of a pricing rule may burn.
const DESCRIBE_FUEL: u64 = 500_000_000;

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
    check_functions(&bytes, 0)?;
    let digest = digest_of(&bytes);
    let size_bytes = bytes.len();
    let is_rule = is_rule(&bytes)?;
    let engine = if is_rule { &runtime.rule_engine } else { &runtime.engine };
    let component = compile(engine, aot, config, &digest, bytes).await?;
    check_imports(engine, &component, is_rule)?;
    let pre = engine
        .linker
        .instantiate_pre(&component)
        .map_err(|error| ComponentError::Invalid(format!("{error:#}")))?;
    let lifecycle = lifecycle::GuestIndices::new(&pre).map_err(|_| ComponentError::Export {
        export: "wares:lifecycle/lifecycle@1.0.0",
        remedy: "it is a component, but not a plugin of this platform; see docs/PLUGINS.md",
    })?;
    let roles = roles(&pre)?;
    let descriptor = describe(runtime, engine, &pre, &lifecycle).await?;
    check_asked(engine, &component, &descriptor)?;
    if roles.handler.is_none() {
        if !descriptor.routes.is_empty() {
            return Err(ComponentError::NoHandler("routes"));
        }
        if !descriptor.schedules.is_empty() {
            return Err(ComponentError::NoHandler("scheduled operations"));
        }
    }
    Ok(Prepared { digest, size_bytes, descriptor, pre, lifecycle, roles })
}

const RULE: &str = "wares:pricing/rule@1.0.0";

/// Whether the component is a pricing rule, which is compiled in another way than the rest.
fn is_rule(bytes: &[u8]) -> Result<bool, ComponentError> {
    let (mut depth, mut exports) = (0_usize, Vec::new());
    for payload in wasmparser::Parser::new(0).parse_all(bytes) {
        let payload = payload.map_err(|error| ComponentError::Invalid(error.to_string()))?;
        match payload {
            wasmparser::Payload::ModuleSection { .. } | wasmparser::Payload::ComponentSection { .. } => {
                depth += 1
            }
            wasmparser::Payload::End(_) => depth = depth.saturating_sub(1),
            wasmparser::Payload::ComponentExportSection(section) if depth == 0 => {
                for export in section {
                    let export = export.map_err(|error| ComponentError::Invalid(error.to_string()))?;
                    exports.push(export.name.name.to_owned());
                }
            }
            _ => {}
        }
    }
    let is_rule = exports.iter().any(|name| name.starts_with("wares:pricing/rule@"));
    let other = |name: &&String| {
        !name.starts_with("wares:pricing/rule@") && !name.starts_with("wares:lifecycle/lifecycle@")
    };
    if is_rule && exports.iter().find(other).is_some() {
        return Err(ComponentError::RuleAndMore);
    }
    Ok(is_rule)
}

fn roles(pre: &InstancePre<CallState>) -> Result<Roles, ComponentError> {
    let roles = Roles {
        handler: handler::GuestIndices::new(pre).ok(),
        rule: rule::GuestIndices::new(pre).ok(),
        rates: rates::GuestIndices::new(pre).ok(),
        provider: provider::GuestIndices::new(pre).ok(),
    };
    if roles.handler.is_none() && roles.rule.is_none() && roles.rates.is_none() && roles.provider.is_none() {
        return Err(ComponentError::Export {
            export: "wares:http/handler@1.0.0",
            remedy: "nor the interface of another role, a pricing rule, shipping rates or a payment provider; see \
                     docs/PLUGINS.md",
        });
    }
    Ok(roles)
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

/// Compiles one component at a time. Compiling cannot be interrupted, so one that takes too long goes on for nobody: it
/// keeps the next ones out, and not ever more of them busy.
static COMPILING: Semaphore = Semaphore::const_new(1);

/// Loads compiled code from the cache, or compiles it for a bounded time.
async fn compile(
    engine: &PluginEngine,
    aot: Option<&Arc<AotCache>>,
    config: &PluginsConfig,
    digest: &str,
    bytes: Arc<[u8]>,
) -> Result<Component, ComponentError> {
    if let Some(cached) = load_compiled(engine, aot, digest).await {
        return Ok(cached);
    }
    let timeout = Duration::from_millis(config.compile_timeout_ms);
    let Ok(Ok(permit)) = tokio::time::timeout(timeout, COMPILING.acquire()).await else {
        return Err(ComponentError::CompilerBusy);
    };
    let (engine, aot, digest) = (engine.clone(), aot.cloned(), digest.to_owned());
    let work = move || {
        let code = engine.engine.precompile_component(&bytes)?;
        if let Some(aot) = &aot {
            aot.store(&digest, &engine.compatibility(), &code);
        }
        deserialize(&engine, &code)
    };
    let (sender, compiled) = tokio::sync::oneshot::channel();
    // Not one of the runtime's threads, for which a host that stops would wait.
    let thread = std::thread::Builder::new().name("plugin-compile".to_owned()).spawn(move || {
        let _permit = permit;
        // Whoever waited may have given up.
        let _gone = sender.send(work());
    });
    if let Err(error) = thread {
        return Err(ComponentError::Invalid(format!("no thread could be started to compile it: {error}")));
    }
    match tokio::time::timeout(timeout, compiled).await {
        Ok(Ok(result)) => result.map_err(|error| ComponentError::Invalid(format!("{error:#}"))),
        // The thread ended without a result.
        Ok(Err(_)) => Err(ComponentError::Invalid("the compiler panicked".to_owned())),
        Err(_elapsed) => Err(ComponentError::CompileTimeout(timeout)),
    }
}

async fn load_compiled(
    engine: &PluginEngine,
    aot: Option<&Arc<AotCache>>,
    digest: &str,
) -> Option<Component> {
    let (engine, aot, digest) = (engine.clone(), aot?.clone(), digest.to_owned());
    let loading = tokio::task::spawn_blocking(move || {
        let code = aot.load(&digest, &engine.compatibility())?;
        deserialize(&engine, &code).ok()
    });
    loading.await.ok().flatten()
}

/// The largest function a component may have. The time to compile one grows faster than its size, and what compilers
/// make of honest code stays far below.
const FUNCTION_BYTES: usize = 256 * 1024;

/// Components within components; tools make two or three levels.
const COMPONENT_DEPTH: usize = 32;

/// Looks for functions made to keep the compiler busy. What cannot be read here is refused by the compiler.
fn check_functions(bytes: &[u8], depth: usize) -> Result<(), ComponentError> {
    if depth > COMPONENT_DEPTH {
        return Err(ComponentError::Invalid(format!("components are nested deeper than {COMPONENT_DEPTH}")));
    }
    const CORE_MODULE: u8 = 1;
    const COMPONENT: u8 = 4;
    const CODE: u8 = 10;
    let is_component = bytes.get(4) == Some(&0x0d);
    let mut rest = bytes.get(8..).unwrap_or_default();
    while let Some((&id, after)) = rest.split_first() {
        let Some((section, after)) = split_sized(after) else { return Ok(()) };
        match (is_component, id) {
            (true, CORE_MODULE | COMPONENT) => check_functions(section, depth + 1)?,
            (false, CODE) => check_bodies(section)?,
            _ => {}
        }
        rest = after;
    }
    Ok(())
}

fn check_bodies(section: &[u8]) -> Result<(), ComponentError> {
    let Some((_count, mut rest)) = split_number(section) else { return Ok(()) };
    while let Some((body, after)) = split_sized(rest) {
        if body.len() > FUNCTION_BYTES {
            return Err(ComponentError::Function { size: body.len(), limit: FUNCTION_BYTES });
        }
        rest = after;
    }
    Ok(())
}

fn split_sized(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (size, rest) = split_number(bytes)?;
    rest.split_at_checked(size)
}

/// A number in LEB128.
fn split_number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut number = 0;
    for (position, &byte) in bytes.iter().take(5).enumerate() {
        number |= usize::from(byte & 0x7f) << (7 * position);
        if byte & 0x80 == 0 {
            return Some((number, &bytes[position + 1..]));
        }
    }
    None
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
fn check_imports(engine: &PluginEngine, component: &Component, is_rule: bool) -> Result<(), ComponentError> {
    let offered = super::baseline::OFFERED;
    for (name, item) in component.component_type().imports(&engine.engine) {
        let item: ComponentItem = item.ty;
        let (interface, version) = name.split_once('@').unwrap_or((name, ""));
        let impure = is_rule && interface.starts_with("wares:") && interface != "wares:types/types";
        if matches!(item, ComponentItem::ComponentInstance(_)) && offered.contains(&interface) && !impure {
            check_version(name, interface, version)?;
            continue;
        }
        let reason = if interface.starts_with("wasi:sockets") || interface.starts_with("wasi:http") {
            "and no plugin reaches the network by itself: use the SDK's host functions"
        } else if impure {
            "and a pricing rule is pure: it reaches nothing but the cart and its configuration"
        } else if interface.starts_with("wares:") {
            "which this version of the host does not offer: build it with the SDK of this host's version, or update the host"
        } else {
            "which is outside the fixed baseline that every plugin gets: see docs/PLUGINS.md for what there is"
        };
        return Err(ComponentError::Import { import: name.to_owned(), reason: reason.to_owned() });
    }
    Ok(())
}

/// What only some plugins are granted is asked for where it is imported.
fn check_asked(
    engine: &PluginEngine,
    component: &Component,
    descriptor: &Descriptor,
) -> Result<(), ComponentError> {
    let asks = |interface: &str| match interface {
        "identity" => descriptor.capabilities.contains(&Capability::Identity),
        "hooks" => descriptor.capabilities.iter().any(|it| matches!(it, Capability::Hook(_))),
        "http-client" => descriptor.capabilities.iter().any(|it| matches!(it, Capability::Http { .. })),
        "secrets" => descriptor.capabilities.iter().any(|it| matches!(it, Capability::Secret { .. })),
        _ => true,
    };
    for (name, _) in component.component_type().imports(&engine.engine) {
        let interface =
            name.strip_prefix("wares:").and_then(|name| name.split('/').next()).unwrap_or_default();
        if !asks(interface) {
            let reason = format!("and does not ask for the capability `{interface}`");
            return Err(ComponentError::Import { import: name.to_owned(), reason });
        }
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
    engine: &PluginEngine,
    pre: &InstancePre<CallState>,
    indices: &lifecycle::GuestIndices,
) -> Result<Descriptor, ComponentError> {
    let described = without_capabilities(runtime, engine, pre, async |store, instance| {
        let guest = indices.load(&mut *store, instance)?;
        guest.call_describe(store).await
    })
    .await
    .map_err(ComponentError::Describe)?;
    Ok(Descriptor::from_guest(described)?)
}

/// One thing that is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigFault {
    /// JSON pointer into the configuration.
    pub pointer: String,
    pub message: String,
    /// Whether it is a member that there is none of.
    pub unknown: bool,
}

/// Most faults that are told.
const FAULTS: usize = 20;

/// Checks a configuration by the plugin's schema, and then asks the plugin. Answers what is wrong with it.
pub(super) async fn check_config(
    runtime: &PluginRuntime,
    prepared: &Prepared,
    config: &Map<String, Value>,
) -> Vec<ConfigFault> {
    let whole = |message: String| vec![ConfigFault { pointer: String::new(), message, unknown: false }];
    match &prepared.descriptor.config_schema {
        None if config.is_empty() => {}
        None => return whole("the plugin has nothing to configure".to_owned()),
        Some(schema) => {
            let validator = match jsonschema::validator_for(schema) {
                Ok(validator) => validator,
                Err(error) => {
                    return whole(format!("the plugin's configuration schema does not compile: {error}"));
                }
            };
            let value = Value::Object(config.clone());
            let faults: Vec<ConfigFault> =
                validator.iter_errors(&value).flat_map(|error| schema_faults(&error)).take(FAULTS).collect();
            if !faults.is_empty() {
                return faults;
            }
        }
    }
    let engine = if prepared.roles.rule.is_some() { &runtime.rule_engine } else { &runtime.engine };
    let (bytes, _) = encoded(config);
    let answer = without_capabilities(runtime, engine, &prepared.pre, async |store, instance| {
        let guest = prepared.lifecycle.load(&mut *store, instance)?;
        guest.call_validate_config(store, &bytes).await
    })
    .await;
    match answer {
        Ok(Ok(())) => Vec::new(),
        Ok(Err(errors)) if errors.is_empty() => whole("the plugin does not accept it".to_owned()),
        Ok(Err(errors)) => errors
            .into_iter()
            .take(FAULTS)
            .map(|error| ConfigFault { pointer: error.pointer, message: error.message, unknown: false })
            .collect(),
        Err(error) => whole(format!("the plugin failed while checking it: {error}")),
    }
}

/// What a schema says, a fault for each member that there is none of.
fn schema_faults(error: &jsonschema::ValidationError<'_>) -> Vec<ConfigFault> {
    let at = error.instance_path().to_string();
    match error.kind() {
        jsonschema::error::ValidationErrorKind::AdditionalProperties { unexpected } => unexpected
            .iter()
            .map(|name| ConfigFault {
                pointer: format!("{at}/{}", name.replace('~', "~0").replace('/', "~1")),
                message: "There is no such member.".to_owned(),
                unknown: true,
            })
            .collect(),
        _ => vec![ConfigFault { pointer: at, message: error.to_string(), unknown: false }],
    }
}

/// Runs a call that can reach nothing.
async fn without_capabilities<R>(
    runtime: &PluginRuntime,
    engine: &PluginEngine,
    pre: &InstancePre<CallState>,
    call: impl AsyncFnOnce(&mut wasmtime::Store<CallState>, &wasmtime::component::Instance) -> wasmtime::Result<R>,
) -> Result<R, CallError> {
    let limits = describe_limits();
    let mut store = new_store(CallSetup {
        engine,
        limits: &limits,
        plugin: Arc::new(PluginName { id: "candidate".to_owned(), version: String::new() }),
        request_id: Arc::from("load"),
        clock: &runtime.clock,
        reach: Reach::Nothing,
        bound: if std::ptr::eq(engine, &runtime.rule_engine) {
            Bound::Fuel(DESCRIBE_FUEL, None)
        } else {
            Bound::Time
        },
    });
    let timeout = Duration::from_millis(limits.timeout_ms);
    let result = tokio::time::timeout(timeout, async {
        let instance = pre.instantiate_async(&mut store).await?;
        call(&mut store, &instance).await
    })
    .await;
    finish(store, result).1
}
