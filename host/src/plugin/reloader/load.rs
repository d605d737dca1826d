//! From a prepared component to a plugin of a generation: what it is granted, configured and limited to.

use std::{sync::Arc, time::Duration};

use crate::{
    breaker::Breakers,
    chain::chain,
    config::PluginsConfig,
    plugin::{
        admission::Gate,
        call::{LoadedPlugin, PluginRuntime},
        component::{Prepared, check_config},
        configs::{self, Counting, encoded},
        descriptor::{Capability, Descriptor},
        generation::Generation,
        grants::{Grants, PluginEntry},
        instance::PluginName,
    },
};

/// Grants, configures and limits a prepared component. An unchanged plugin is taken over from the running generation
/// with its permits and its breakers.
pub(super) async fn load(
    runtime: &PluginRuntime,
    defaults: &PluginsConfig,
    prepared: &Arc<Prepared>,
    entry: &PluginEntry,
    Counting { config, version }: &Counting,
    running: &Generation,
) -> Result<Arc<LoadedPlugin>, String> {
    let descriptor = &prepared.descriptor;
    let grants = Grants::resolve(descriptor, entry).map_err(|error| error.to_string())?;
    look_up_secrets(runtime, descriptor, &grants)?;
    let limits = entry.limits.over(&defaults.limits);
    limits.check_for_plugin(defaults.most_memory_bytes())?;
    let (config_bytes, config_digest) = encoded(config);
    if let Some(plugin) = running.plugins.get(&descriptor.id)
        && plugin.prepared.digest == prepared.digest
        && plugin.config_digest == config_digest
        && plugin.config_version == *version
        && *plugin.grants == grants
        && plugin.limits == limits
        && plugin.hooks == entry.hooks
    {
        return Ok(plugin.clone());
    }
    if let Some(hook) = entry.hooks.keys().find(|hook| !prepared.hooks().contains(hook)) {
        let hook = hook.as_str();
        return Err(format!("the plugins file has `hooks.{hook}` for it, and it does not answer that hook"));
    }
    if let Some(fault) = check_config(runtime, prepared, config).await.into_iter().next() {
        return Err(format!("its configuration is refused at `{}`: {}", fault.pointer, fault.message));
    }
    configs::keep(&runtime.store, &config_digest, &config_bytes)
        .await
        .map_err(|error| format!("its configuration could not be kept: {error}"))?;
    let gate =
        |name| Gate::new(limits.concurrency as usize, Duration::from_millis(defaults.queue_timeout_ms), name);
    Ok(Arc::new(LoadedPlugin {
        prepared: prepared.clone(),
        grants: Arc::new(grants),
        hooks: entry.hooks.clone(),
        last_good: last_good(prepared, &config_digest, running),
        gate: gate("the plugin's own permits"),
        provider_gate: gate("the plugin's own permits for calling providers"),
        breakers: Arc::new(Breakers::new(defaults.breaker.clone())),
        limits,
        config: config_bytes,
        config_digest,
        config_version: *version,
        counters: Arc::default(),
        name: Arc::new(PluginName { id: descriptor.id.clone(), version: descriptor.version.to_string() }),
    }))
}

/// Finds the values of what is granted. A plugin that cannot do without one is refused, because it would fail every time
/// that it is called.
fn look_up_secrets(runtime: &PluginRuntime, descriptor: &Descriptor, grants: &Grants) -> Result<(), String> {
    for name in grants.secrets() {
        let found = runtime.outside.secrets.look_up(name).map_err(|error| chain(&error))?;
        let needs = |it: &Capability| matches!(it, Capability::Secret { name: asked, optional: false } if asked == name);
        if !found && descriptor.capabilities.iter().any(needs) {
            return Err(format!(
                "asks for the secret `{name}`, which has no value; set the variable {name}, or {name}_FILE to the path of \
                 a file that holds it, and start the host again"
            ));
        }
    }
    Ok(())
}

/// What served before, without what served before that.
fn last_good(prepared: &Prepared, config_digest: &str, running: &Generation) -> Option<Arc<LoadedPlugin>> {
    let running = running.plugins.get(&prepared.descriptor.id)?;
    if running.prepared.digest == prepared.digest && running.config_digest == config_digest {
        return running.last_good.clone();
    }
    Some(Arc::new(running.without_last_good()))
}
