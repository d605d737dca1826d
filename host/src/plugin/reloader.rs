//! The one task through which plugins get in: at start, on a change of the directory or the plugins file, on request.
//!
//! It builds a candidate generation beside the running one and swaps only when all of it is good. A plugin that is
//! refused keeps its running version; the reason stays visible until the next reload.

mod candidates;
mod components;
mod load;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwap;
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};

use self::{
    candidates::{Search, order},
    components::Components,
    load::load,
};
use super::{
    active_set::{self, ActivePlugin, ActiveSetError},
    aot::AotCache,
    call::{LoadedPlugin, PluginRuntime},
    configs::{self, Counting, SetConfig},
    directory::Watch,
    generation::Generation,
    grants::{GrantsError, PluginEntry, PluginsFile},
};
use crate::{chain::chain, config::PluginsConfig, store::DeclareError};

/// Whether the directory decides, or only adds what the store has never seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DirectoryPolicy {
    /// What lies in the directory is active, and what is removed from it is not: for development.
    Decides,
    /// A component that the store already knows is not activated again, so that an old image never undoes a swap.
    Proposes,
}

/// A plugin that was refused, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Refused {
    /// The file, or the digest of a component in the store.
    pub source: String,
    /// A sentence that says what to change.
    pub reason: String,
    /// Whether an earlier version goes on serving.
    pub still_serving: bool,
    #[serde(skip)]
    torn: bool,
}

/// How a reload ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReloadReport {
    pub generation: u64,
    /// Whether a new generation was swapped in.
    pub swapped: bool,
    pub refused: Vec<Refused>,
}

/// Why a reload could not even begin. The running generation goes on.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    #[error("cannot read the plugins directory {directory}")]
    Directory {
        directory: std::path::PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error(transparent)]
    Grants(#[from] GrantsError),
    #[error(transparent)]
    ActiveSet(#[from] ActiveSetError),
    #[error("the reloader has stopped")]
    Stopped,
}

/// The plugins of a host: the current generation and the way to change it.
#[derive(Clone)]
pub struct Plugins {
    current: Arc<ArcSwap<Generation>>,
    report: Arc<ArcSwap<ReloadReport>>,
    requests: mpsc::Sender<oneshot::Sender<Result<ReloadReport, ReloadError>>>,
}

impl Plugins {
    /// Starts the reloader and loads what is there.
    ///
    /// # Errors
    /// What keeps it from loading anything; a plugin that is refused is no error.
    pub async fn start(
        runtime: Arc<PluginRuntime>,
        aot: Option<Arc<AotCache>>,
        config: PluginsConfig,
        policy: DirectoryPolicy,
    ) -> Result<Self, ReloadError> {
        let current = Arc::new(ArcSwap::from_pointee(Generation::empty()));
        let (requests, receiver) = mpsc::channel(8);
        let report = ReloadReport { generation: 0, swapped: false, refused: Vec::new() };
        let report = Arc::new(ArcSwap::from_pointee(report));
        let mut reloader = Reloader {
            components: Components::new(runtime.clone(), aot, config.clone()),
            runtime,
            config,
            policy,
            current: current.clone(),
            report: report.clone(),
        };
        let plugins = Self { current, report, requests };
        // Before the first look: what changes while plugins are being prepared is seen afterwards.
        let watch = reloader.watch();
        reloader.reload().await?;
        tokio::spawn(reloader.run(receiver, watch));
        Ok(plugins)
    }

    /// The current generation. A request takes it once.
    pub fn current(&self) -> Arc<Generation> {
        self.current.load_full()
    }

    /// How the last reload ended.
    pub fn report(&self) -> Arc<ReloadReport> {
        self.report.load_full()
    }

    /// Looks again, and answers when the result is in force.
    ///
    /// # Errors
    /// What kept the reload from beginning.
    pub async fn reload(&self) -> Result<ReloadReport, ReloadError> {
        let (sender, receiver) = oneshot::channel();
        self.requests.send(sender).await.map_err(|_| ReloadError::Stopped)?;
        receiver.await.map_err(|_| ReloadError::Stopped)?
    }
}

/// Waits between looks at a file that seems to be still written.
const TORN_RETRIES: [Duration; 3] =
    [Duration::from_millis(100), Duration::from_millis(300), Duration::from_millis(900)];

struct Reloader {
    runtime: Arc<PluginRuntime>,
    config: PluginsConfig,
    policy: DirectoryPolicy,
    current: Arc<ArcSwap<Generation>>,
    report: Arc<ArcSwap<ReloadReport>>,
    components: Components,
}

impl Reloader {
    fn watch(&self) -> Option<Watch> {
        self.config.watch.then(|| {
            Watch::new(
                &self.config.dir,
                std::slice::from_ref(&self.config.grants),
                Duration::from_millis(self.config.poll_ms),
                Duration::from_millis(self.config.debounce_ms),
            )
        })
    }

    async fn run(
        mut self,
        mut requests: mpsc::Receiver<oneshot::Sender<Result<ReloadReport, ReloadError>>>,
        mut watch: Option<Watch>,
    ) {
        loop {
            let changed = async {
                match &mut watch {
                    Some(watch) => watch.changed().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                request = requests.recv() => match request {
                    Some(answer) => {
                        let result = self.reload().await;
                        // The one who asked may have gone.
                        let _gone = answer.send(result);
                    }
                    None => return,
                },
                () = changed => {
                    if let Err(error) = self.reload().await {
                        tracing::error!(cause = %error, "Plugins were not reloaded; the running ones go on");
                    }
                }
            }
        }
    }

    /// One reload, again where a file looks as if it were still being written.
    async fn reload(&mut self) -> Result<ReloadReport, ReloadError> {
        let mut report = self.reload_or_tell().await?;
        for wait in TORN_RETRIES {
            if !report.refused.iter().any(|refused| refused.torn) {
                break;
            }
            tokio::time::sleep(wait).await;
            report = self.reload_or_tell().await?;
        }
        for refused in &report.refused {
            tracing::warn!(
                plugin.source = %refused.source,
                "Plugin `{}` is refused: {}{}",
                refused.source,
                refused.reason,
                if refused.still_serving { " (the running version goes on)" } else { "" }
            );
        }
        metrics::gauge!("plugin_generation").set(precise(report.generation));
        metrics::gauge!("plugins_refused").set(precise(report.refused.len() as u64));
        self.report.store(Arc::new(report.clone()));
        Ok(report)
    }

    /// One look. What keeps it from beginning is in the report as well, where operators look for it.
    async fn reload_or_tell(&mut self) -> Result<ReloadReport, ReloadError> {
        let result = self.reload_once().await;
        if let Err(error) = &result {
            let generation = self.current.load().id;
            let refused = Refused {
                source: "reload".to_owned(),
                reason: chain(error),
                still_serving: generation > 0,
                torn: false,
            };
            self.report.store(Arc::new(ReloadReport { generation, swapped: false, refused: vec![refused] }));
        }
        result
    }

    async fn reload_once(&mut self) -> Result<ReloadReport, ReloadError> {
        let file = PluginsFile::read(&self.config.grants)?;
        let running = self.current.load_full();
        let active = active_set::read(&self.runtime.store).await?;
        let set = configs::set(&self.runtime.store).await.map_err(ActiveSetError::from)?;
        self.settle(&file, &set).await;
        let mut refused = Vec::new();
        let mut search = Search {
            config: &self.config,
            store: &self.runtime.store,
            policy: self.policy,
            active: &active,
            running: &running,
            components: &mut self.components,
            refused: &mut refused,
            seen: BTreeSet::new(),
        };
        let offered = search.offered().await?;
        let chosen = search.choose(offered).await?;
        let seen = search.seen;
        let order = order(&chosen, &active);
        let looked = Looked { file: &file, set: &set, running: &running, active: &active };
        let mut plugins: BTreeMap<String, Arc<LoadedPlugin>> = BTreeMap::new();
        let mut fresh: Vec<(String, Arc<[u8]>)> = Vec::new();
        let mut files: BTreeMap<String, String> =
            active.iter().map(|plugin| (plugin.id.clone(), plugin.source.clone())).collect();
        for (id, candidate) in chosen {
            let entry = file.entry(&id);
            if !entry.enabled || (entry.development_only && self.policy != DirectoryPolicy::Decides) {
                continue;
            }
            if let Some(file) = &candidate.file {
                files.insert(id.clone(), file.clone());
            }
            let config = looked.config(&id, &entry);
            match load(&self.runtime, &self.config, &candidate.prepared, &entry, &config, &running).await {
                Ok(plugin) => {
                    if let Some(bytes) = candidate.bytes {
                        fresh.push((candidate.prepared.digest.clone(), bytes));
                    }
                    plugins.insert(id, plugin);
                }
                Err(reason) => {
                    let left_out = LeftOut { id, digest: None, source: candidate.source, reason };
                    self.fall_back(left_out, &looked, &mut plugins, &mut refused).await?;
                }
            }
        }
        let generation = self.fit(plugins, &order, &looked, &mut refused).await?;
        let swapped = !same(&running, &generation);
        // Only what is active: a component that the store knows is taken for one that was active before.
        let is_active = |digest: &String| generation.plugins.values().any(|it| it.prepared.digest == *digest);
        for (digest, bytes) in fresh.into_iter().filter(|(digest, _)| is_active(digest)) {
            active_set::put_component(&self.runtime.store, &digest, &bytes).await?;
        }
        let set = self.active_set(&generation, &files, &active, &order);
        if set != active {
            active_set::write(&self.runtime.store, &set).await?;
        }
        if swapped {
            tracing::info!(
                generation = generation.id,
                "Generation {} serves {}",
                generation.id,
                names(&generation)
            );
            self.current.store(Arc::new(generation));
        }
        let serving =
            self.current.load().plugins.values().map(|plugin| plugin.prepared.digest.clone()).collect();
        self.components.retain(&serving, &seen);
        Ok(ReloadReport { generation: self.current.load().id, swapped, refused })
    }

    /// Ends the settings over which the plugins file was edited. One that cannot be ended now counts for nothing either,
    /// until the next time.
    async fn settle(&self, file: &PluginsFile, set: &BTreeMap<String, SetConfig>) {
        // Nobody edits a file away: it is somewhere else, or being written.
        if file.plugins.is_empty() {
            return;
        }
        for (id, set) in set {
            if set.over.is_empty() || set.over == file.entry(id).config_digest() {
                continue;
            }
            if let Err(error) = self.runtime.store.commit(vec![configs::settled(id, set)]).await {
                tracing::debug!(plugin.id = %id, cause = %chain(&error), "A setting was not ended");
            }
        }
    }

    /// Refuses a candidate and puts the earlier version of its plugin in its place: the running one, or at start the
    /// one that was active.
    async fn fall_back(
        &mut self,
        left_out: LeftOut,
        looked: &Looked<'_>,
        plugins: &mut BTreeMap<String, Arc<LoadedPlugin>>,
        refused: &mut Vec<Refused>,
    ) -> Result<(), ReloadError> {
        let LeftOut { id, digest, source, reason } = left_out;
        let differs = |earlier: &str| digest.as_deref() != Some(earlier);
        let mut earlier = looked.running.plugins.get(&id).filter(|it| differs(&it.prepared.digest)).cloned();
        if earlier.is_none()
            && let Some(stored) = looked.active.iter().find(|it| it.id == id && differs(&it.digest))
            && let Some(Ok(prepared)) = self.components.stored(&stored.digest).await?
        {
            let entry = looked.file.entry(&id);
            let config = looked.config(&id, &entry);
            let loaded = load(&self.runtime, &self.config, &prepared, &entry, &config, looked.running).await;
            earlier = loaded.ok();
        }
        refused.push(Refused { source, reason, still_serving: earlier.is_some(), torn: false });
        match earlier {
            Some(earlier) => plugins.insert(id, earlier),
            None => plugins.remove(&id),
        };
        Ok(())
    }

    /// Builds the generation and makes its collections, leaving out what does not fit with the rest: first by its
    /// earlier version, then wholly. Collections are made last, so that a plugin that is refused changes none.
    async fn fit(
        &mut self,
        mut plugins: BTreeMap<String, Arc<LoadedPlugin>>,
        order: &[String],
        looked: &Looked<'_>,
        refused: &mut Vec<Refused>,
    ) -> Result<Generation, ReloadError> {
        loop {
            let built = match taken(&plugins, looked.active) {
                Some(refusal) => Err(refusal),
                None => Generation::build(looked.running.id + 1, plugins.clone(), order)
                    .map_err(|error| (error.plugin, error.message)),
            };
            let (id, reason) = match built {
                Ok(generation) => match self.declare(&generation, looked.running).await {
                    Ok(()) => return Ok(generation),
                    Err(refusal) => refusal,
                },
                Err(refusal) => refusal,
            };
            let Some(plugin) = plugins.get(&id) else { return Ok(Generation::empty()) };
            let digest = Some(plugin.prepared.digest.clone());
            let left_out = LeftOut { source: id.clone(), id, digest, reason };
            self.fall_back(left_out, looked, &mut plugins, refused).await?;
        }
    }

    /// Makes the collections of plugins that are not running yet.
    async fn declare(&self, generation: &Generation, running: &Generation) -> Result<(), (String, String)> {
        for (id, plugin) in &generation.plugins {
            if running.plugins.get(id).is_some_and(|it| it.prepared.digest == plugin.prepared.digest) {
                continue;
            }
            let collections = plugin.prepared.descriptor.collections.clone();
            let refusal = match self.runtime.store.collections_declare(collections).await {
                Ok(()) => continue,
                Err(DeclareError::Refused(refused)) => format!("its collections are refused: {refused}"),
                Err(DeclareError::Unavailable(error)) => {
                    format!("its collections could not be made: {error}")
                }
            };
            return Err((id.clone(), refusal));
        }
        Ok(())
    }

    /// What the store remembers: what serves, and what was active and is only switched off or refused for now, so that
    /// it comes back when the plugins file is repaired.
    fn active_set(
        &self,
        generation: &Generation,
        files: &BTreeMap<String, String>,
        active: &[ActivePlugin],
        order: &[String],
    ) -> Vec<ActivePlugin> {
        let mut set = describe(generation, files);
        let stays = |plugin: &&ActivePlugin| {
            !generation.plugins.contains_key(&plugin.id)
                && (self.policy == DirectoryPolicy::Proposes || order.contains(&plugin.id))
        };
        set.extend(active.iter().filter(stays).cloned());
        set.sort_by(|a, b| a.id.cmp(&b.id));
        set
    }
}

/// What a reload starts from.
struct Looked<'r> {
    file: &'r PluginsFile,
    /// Configurations that were set while the host ran.
    set: &'r BTreeMap<String, SetConfig>,
    running: &'r Generation,
    active: &'r [ActivePlugin],
}

impl Looked<'_> {
    /// The configuration that counts: the one that was set, unless the file has been edited since.
    fn config(&self, id: &str, entry: &PluginEntry) -> Counting {
        match self.set.get(id) {
            Some(set) if set.over == entry.config_digest() => {
                Counting { config: set.config.clone(), version: set.version }
            }
            _ => Counting { config: entry.config_object(), version: 0 },
        }
    }
}

/// A plugin that is not taken into the generation.
struct LeftOut {
    id: String,
    /// The component, when its earlier version must be another one.
    digest: Option<String>,
    source: String,
    reason: String,
}

/// A plugin that claims a collection of one that is active and does not serve at the moment, and why it is refused.
fn taken(plugins: &BTreeMap<String, Arc<LoadedPlugin>>, active: &[ActivePlugin]) -> Option<(String, String)> {
    let resting = || active.iter().filter(|owner| !plugins.contains_key(&owner.id));
    plugins.iter().find_map(|(id, plugin)| {
        let claims = |name: &String| plugin.prepared.descriptor.collections.iter().any(|it| it.name == *name);
        resting().find_map(|owner| {
            let name = owner.collections.iter().find(|name| claims(name))?;
            let reason =
                format!("the collection `{name}` belongs to plugin `{}`, which does not serve now", owner.id);
            Some((id.clone(), reason))
        })
    })
}

fn same(running: &Generation, candidate: &Generation) -> bool {
    running.id > 0
        && running.plugins.len() == candidate.plugins.len()
        && running.plugins.iter().zip(&candidate.plugins).all(|(a, b)| a.0 == b.0 && Arc::ptr_eq(a.1, b.1))
}

fn describe(generation: &Generation, files: &BTreeMap<String, String>) -> Vec<ActivePlugin> {
    generation
        .plugins
        .values()
        .map(|plugin| ActivePlugin {
            id: plugin.id().to_owned(),
            version: plugin.version().to_owned(),
            digest: plugin.prepared.digest.clone(),
            config_digest: plugin.config_digest.clone(),
            source: files.get(plugin.id()).cloned().unwrap_or_default(),
            collections: plugin.prepared.descriptor.collections.iter().map(|it| it.name.clone()).collect(),
        })
        .collect()
}

fn names(generation: &Generation) -> String {
    let names: Vec<String> =
        generation.plugins.values().map(|plugin| format!("{} {}", plugin.id(), plugin.version())).collect();
    if names.is_empty() { "no plugins".to_owned() } else { names.join(", ") }
}

/// Gauges are floats; these counts stay far below where that loses precision.
#[expect(clippy::cast_precision_loss, reason = "small counts")]
fn precise(count: u64) -> f64 {
    count as f64
}
