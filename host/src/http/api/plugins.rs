//! `/plugins`: what runs, and how it is configured.

use axum::{extract::State, response::Response};
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::{
    app::App,
    chain::chain,
    clock::timestamp_at,
    http::{
        error::ApiError,
        host::{Call, private, shown},
    },
    plugin::{
        self, ConfigFault, LoadedPlugin,
        descriptor::Capability,
        grants::{PluginsFile, Right},
    },
    store::{CommitError, Transaction},
};

/// A loaded plugin.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Plugin {
    id: String,
    /// The plugin's own.
    version: String,
    title: String,
    /// BLAKE3 of the component.
    digest: String,
    /// `active`; `quarantined`: it keeps failing and is not called for a while.
    #[schema(pattern = "^(active|quarantined)$")]
    state: &'static str,
    /// `endpoint`, `pricing-rule`, `shipping-rates`, `payment-provider`.
    roles: Vec<&'static str>,
    /// Such as `GET /products`.
    routes: Vec<String>,
    hooks: Vec<PluginHook>,
    grants: PluginGrants,
    /// What one call may take.
    #[schema(value_type = Object)]
    limits: Value,
    #[schema(value_type = Object)]
    config: Value,
    /// BLAKE3 of the configuration.
    config_digest: String,
    /// Grows with every configuration that is set here; 0 while the plugins file's counts.
    config_version: u64,
    /// JSON Schema; null when there is nothing to configure.
    #[schema(value_type = Option<Object>)]
    config_schema: Option<Value>,
    counters: PluginCounters,
    last_error: Option<PluginError>,
}

/// A hook that a plugin answers.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PluginHook {
    /// `pricing`, `shipping` or `payment`.
    name: &'static str,
    /// Lower ones are asked first.
    priority: i32,
    /// `block`, `skip` or `last_good`.
    #[schema(value_type = String)]
    on_failure: Value,
}

/// What a plugin asks for beyond its own, and what it has of it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PluginGrants {
    asked: Vec<String>,
    given: Vec<String>,
}

/// Calls of a plugin since it was loaded.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PluginCounters {
    calls: u64,
    /// By its own fault.
    failures: u64,
}

/// How a call failed last.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PluginError {
    #[schema(format = DateTime)]
    at: String,
    operation: String,
    /// Such as `trap`, `timeout`, `cpu`, `memory`, `output`.
    outcome: &'static str,
    cause: String,
}

/// A configuration: what members there are is said by the plugin's `configSchema`.
#[derive(serde::Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = Object)]
pub(crate) struct PluginConfigInput(Map<String, Value>);

/// List plugins
///
/// Those of the current generation, by id.
#[utoipa::path(
    get, path = "/plugins", operation_id = "listPlugins", tag = "plugins",
    responses((status = 200, description = "The plugins.", body = Vec<Plugin>, example = json!([plugin_example()]))),
    security(("bearerAuth" = [])),
    extensions(("x-permissions" = json!(["plugins:read"]))),
)]
pub(crate) async fn list(State(app): State<App>, call: Call) -> Result<Response, ApiError> {
    call.permitted(&app, "plugins:read").await?;
    call.check()?;
    let generation = app.plugins().current();
    let plugins: Vec<Plugin> = generation.plugins.values().map(|plugin| view(plugin)).collect();
    private(axum::http::StatusCode::OK, &plugins)
}

/// Show a plugin
#[utoipa::path(
    get, path = "/plugins/{id}", operation_id = "getPlugin", tag = "plugins",
    params(("id" = String, Path, description = "The plugin's id.")),
    responses((status = 200, description = "The plugin.", body = Plugin, example = json!(plugin_example()))),
    security(("bearerAuth" = [])),
    extensions(("x-permissions" = json!(["plugins:read"])), ("x-versioned" = json!(true))),
)]
pub(crate) async fn get(State(app): State<App>, call: Call) -> Result<Response, ApiError> {
    call.permitted(&app, "plugins:read").await?;
    call.check()?;
    let id = call.id()?;
    answer(&app, &call, &id)
}

/// Configure a plugin
///
/// Checked by the plugin's `configSchema` and by the plugin itself, and in force for every request that begins after the
/// answer; none is dropped. A quote keeps its price. It stands over what the plugins file says of the plugin until that is
/// edited. `If-Match` takes the `configVersion`.
#[utoipa::path(
    put, path = "/plugins/{id}/config", operation_id = "configurePlugin", tag = "plugins",
    params(("id" = String, Path, description = "The plugin's id.")),
    request_body(content = PluginConfigInput, example = json!({"promotions": []})),
    responses((status = 200, description = "The plugin, configured.", body = Plugin, example = json!(plugin_example()))),
    security(("bearerAuth" = [])),
    extensions(("x-permissions" = json!(["plugins:write"])), ("x-versioned" = json!(true)),
        ("x-codes" = json!(["conflict", "version_conflict", "plugin_failed"]))),
)]
pub(crate) async fn configure(State(app): State<App>, mut call: Call) -> Result<Response, ApiError> {
    let caller = call.permitted(&app, "plugins:write").await?;
    call.check()?;
    let expected = call.if_match(&app)?;
    let id = call.id_before("config")?;
    let config = call.body::<PluginConfigInput>(&app).await?.0;
    let generation = app.plugins().current();
    let loaded = generation.plugins.get(&id).ok_or_else(ApiError::not_found)?;
    app.runtime().config_check(loaded, &config).await.map_err(refused)?;
    let transaction = call.transaction(&caller, "configurePlugin", None);
    let setting = set_config(app.clone(), transaction, id.clone(), config, expected);
    // Whoever hangs up has set it or has not: what is kept is also put in force.
    tokio::spawn(setting)
        .await
        .map_err(|_| ApiError::new("internal", "The configuration was not set."))??;
    answer(&app, &call, &id)
}

/// Keeps a configuration and puts it in force.
async fn set_config(
    app: App,
    transaction: Transaction,
    id: String,
    config: Map<String, Value>,
    expected: Option<u64>,
) -> Result<(), ApiError> {
    let file = PluginsFile::read(&app.config().plugins.grants).map_err(|error| {
        tracing::warn!(cause = %chain(&error), "The plugins file cannot be read");
        ApiError::new("conflict", "The plugins file is not valid now, so nothing can be set over it.")
    })?;
    let over = file.entry(&id).config_digest();
    let set = plugin::configs_set(app.store()).await?;
    // What was set over the file as it is counts, also where it is not in force yet.
    let current = set.get(&id).filter(|set| set.over == over).map_or(0, |set| set.version);
    if let Some(expected) = expected.filter(|expected| *expected != current) {
        // Whoever reads it then must see what another host has set.
        if app.plugins().reload().await.is_err() {
            tracing::debug!("Plugins were not reloaded; the running ones go on");
        }
        return Err(version_conflict(expected, current));
    }
    let write = plugin::config_setting(&id, config, &over, set.get(&id));
    let version = match transaction.commit(app.store(), vec![write], Vec::new(), None).await {
        Ok(documents) => documents.into_iter().next().flatten().map_or(0, |setting| setting.version),
        Err(CommitError::Refused(_)) => {
            return Err(ApiError::new("conflict", "Somebody else has configured the plugin meanwhile."));
        }
        Err(error) => return Err(error.into()),
    };
    let kept = |why: &str| {
        ApiError::new("plugin_failed", format!("The configuration is kept and not in force: {why}"))
    };
    let report = app.plugins().reload().await.map_err(|error| {
        tracing::warn!(cause = %chain(&error), "Plugins were not reloaded; the running ones go on");
        kept("the plugins could not be reloaded.")
    })?;
    // Or another one that was set after it.
    if app.plugins().current().plugins.get(&id).is_some_and(|loaded| loaded.config_version >= version) {
        return Ok(());
    }
    let about = report.refused.iter().find(|refused| refused.source.contains(&id));
    Err(kept(about.map_or("the plugin is not loaded.", |refused| refused.reason.as_str())))
}

fn answer(app: &App, call: &Call, id: &str) -> Result<Response, ApiError> {
    let generation = app.plugins().current();
    let loaded = generation.plugins.get(id).ok_or_else(ApiError::not_found)?;
    shown(call, Some(loaded.config_version), &view(loaded))
}

fn version_conflict(expected: u64, current: u64) -> ApiError {
    ApiError::new("version_conflict", "The configuration has changed since it was read.")
        .extra("expected", expected)
        .extra("current", current)
}

fn refused(faults: Vec<ConfigFault>) -> ApiError {
    let code = |unknown: bool| if unknown { "unknown_field" } else { "validation_failed" };
    let any_unknown = faults.iter().any(|fault| fault.unknown);
    let error = ApiError::new(code(any_unknown), "The plugin does not accept this configuration.");
    faults
        .into_iter()
        .fold(error, |error, fault| error.field(&fault.pointer, code(fault.unknown), fault.message))
}

fn view(plugin: &LoadedPlugin) -> Plugin {
    let descriptor = &plugin.prepared.descriptor;
    let hooks = plugin.prepared.hooks().into_iter().map(|hook| {
        let entry = plugin.hook(hook);
        PluginHook { name: hook.as_str(), priority: entry.priority, on_failure: json!(entry.on_failure) }
    });
    let (mut asked, mut given) = (Vec::new(), Vec::new());
    for capability in &descriptor.capabilities {
        let (name, has) = match capability {
            Capability::Store { collection, rights, .. } => {
                let writes = rights.contains(&Right::Write);
                let has = if writes {
                    plugin.grants.may_write(collection)
                } else {
                    plugin.grants.may_read(collection)
                };
                (format!("store:{collection}:{}", if writes { "write" } else { "read" }), has)
            }
            Capability::Identity => ("identity".to_owned(), plugin.grants.may_identity()),
            Capability::Hook(hook) => (format!("hooks:{}", hook.as_str()), plugin.grants.may_call(*hook)),
            // Which hosts it has the operator says, whatever it asks for.
            Capability::Http { origin, .. } => (format!("http-client:{origin}"), false),
            Capability::Secret { name, .. } => {
                (format!("secrets:{name}"), plugin.grants.secret(name.as_str()).is_some())
            }
        };
        given.extend(has.then(|| name.clone()));
        asked.push(name);
    }
    given.extend(plugin.grants.origins().iter().map(|origin| format!("http-client:{origin}")));
    Plugin {
        id: plugin.id().to_owned(),
        version: plugin.version().to_owned(),
        title: descriptor.title.clone(),
        digest: plugin.prepared.digest.clone(),
        state: if plugin.is_failing() { "quarantined" } else { "active" },
        roles: plugin.prepared.role_names(),
        routes: descriptor.routes.iter().map(|route| format!("{} {}", route.method, route.path)).collect(),
        hooks: hooks.collect(),
        grants: PluginGrants { asked, given },
        limits: json!(plugin.limits),
        config: serde_json::from_slice(&plugin.config).unwrap_or_default(),
        config_digest: plugin.config_digest.clone(),
        config_version: plugin.config_version,
        config_schema: descriptor.config_schema.clone(),
        counters: PluginCounters { calls: plugin.counters.calls(), failures: plugin.counters.failures() },
        last_error: plugin.counters.last_error().map(|error| PluginError {
            at: timestamp_at(error.at_ms),
            operation: error.operation,
            outcome: error.outcome,
            cause: error.cause,
        }),
    }
}

fn plugin_example() -> Value {
    json!({
        "id": "pricing-promotions", "version": "0.1.0", "title": "Promotions",
        "digest": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "state": "active",
        "roles": ["pricing-rule"], "routes": [],
        "hooks": [{"name": "pricing", "priority": 10, "onFailure": "last_good"}],
        "grants": {"asked": [], "given": []}, "limits": {"timeout_ms": 5000}, "config": {"promotions": []},
        "configDigest": "1b4f0e9851971998e732078544c96b36c3d01cedf7caa332359d6f1d83567014", "configVersion": 0,
        "configSchema": {"type": "object"}, "counters": {"calls": 12, "failures": 0}, "lastError": null
    })
}
