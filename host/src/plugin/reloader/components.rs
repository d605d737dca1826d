//! Components by their digest, each prepared once.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use crate::{
    config::PluginsConfig,
    plugin::{
        active_set::{self, ActiveSetError},
        aot::AotCache,
        call::PluginRuntime,
        component::{ComponentError, Prepared, prepare},
    },
};

/// Prepares components, and remembers how that ended: an unchanged one is neither compiled nor refused again.
pub(super) struct Components {
    runtime: Arc<PluginRuntime>,
    aot: Option<Arc<AotCache>>,
    config: PluginsConfig,
    prepared: HashMap<String, Arc<Prepared>>,
    unfit: HashMap<String, Unfit>,
}

/// Why a component is refused.
#[derive(Debug, Clone)]
pub(super) struct Unfit {
    /// A sentence that says what to change.
    pub(super) reason: String,
    /// Whether the bytes look cut off, as a file does while it is being written.
    pub(super) torn: bool,
}

impl From<&ComponentError> for Unfit {
    fn from(error: &ComponentError) -> Self {
        Self { reason: error.to_string(), torn: error.looks_torn() }
    }
}

impl Components {
    pub(super) fn new(
        runtime: Arc<PluginRuntime>,
        aot: Option<Arc<AotCache>>,
        config: PluginsConfig,
    ) -> Self {
        Self { runtime, aot, config, prepared: HashMap::new(), unfit: HashMap::new() }
    }

    pub(super) async fn prepare(&mut self, digest: &str, bytes: Arc<[u8]>) -> Result<Arc<Prepared>, Unfit> {
        if let Some(prepared) = self.prepared.get(digest) {
            return Ok(prepared.clone());
        }
        if let Some(unfit) = self.unfit.get(digest) {
            return Err(unfit.clone());
        }
        match prepare(&self.runtime, self.aot.as_ref(), &self.config, bytes).await {
            Ok(prepared) => {
                let prepared = Arc::new(prepared);
                self.prepared.insert(digest.to_owned(), prepared.clone());
                Ok(prepared)
            }
            Err(error) => {
                let unfit = Unfit::from(&error);
                if error.is_final() {
                    self.unfit.insert(digest.to_owned(), unfit.clone());
                }
                Err(unfit)
            }
        }
    }

    /// A component that the store holds; `None` when it does not.
    pub(super) async fn stored(
        &mut self,
        digest: &str,
    ) -> Result<Option<Result<Arc<Prepared>, Unfit>>, ActiveSetError> {
        if let Some(prepared) = self.prepared.get(digest) {
            return Ok(Some(Ok(prepared.clone())));
        }
        match active_set::get_component(&self.runtime.store, digest).await? {
            Some(bytes) => Ok(Some(self.prepare(digest, bytes).await)),
            None => Ok(None),
        }
    }

    /// Forgets what neither serves nor lies in the directory.
    pub(super) fn retain(&mut self, serving: &BTreeSet<String>, seen: &BTreeSet<String>) {
        self.prepared.retain(|digest, _| serving.contains(digest) || seen.contains(digest));
        self.unfit.retain(|digest, _| seen.contains(digest));
    }
}
