//! What may become active: what the plugins directory offers, and what the store remembers.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    DirectoryPolicy, Refused, ReloadError,
    components::{Components, Unfit},
};
use crate::{
    config::PluginsConfig,
    plugin::{
        active_set::{self, ActivePlugin},
        component::Prepared,
        directory,
        generation::Generation,
    },
    store::Store,
};

/// A component that may become active.
pub(super) struct Candidate {
    /// What a refusal names.
    pub(super) source: String,
    /// The file in the directory, unless it comes from the store.
    pub(super) file: Option<String>,
    pub(super) prepared: Arc<Prepared>,
    /// The bytes, when they are not in the store yet.
    pub(super) bytes: Option<Arc<[u8]>>,
}

/// One look at what there is.
pub(super) struct Search<'s> {
    pub(super) config: &'s PluginsConfig,
    pub(super) store: &'s Store,
    pub(super) policy: DirectoryPolicy,
    pub(super) active: &'s [ActivePlugin],
    pub(super) running: &'s Generation,
    pub(super) components: &'s mut Components,
    pub(super) refused: &'s mut Vec<Refused>,
    /// The digests of all that lies in the directory.
    pub(super) seen: BTreeSet<String>,
}

impl Search<'_> {
    /// What the directory offers, prepared.
    pub(super) async fn offered(&mut self) -> Result<Vec<Candidate>, ReloadError> {
        let (dir, limit) = (self.config.dir.clone(), self.config.max_component_bytes);
        let scanned = tokio::task::spawn_blocking(move || directory::scan(&dir, limit)).await;
        let (found, unread) = match scanned {
            Ok(Ok(found)) => found,
            Ok(Err(error)) if error.kind() == std::io::ErrorKind::NotFound && !self.active.is_empty() => {
                (Vec::new(), Vec::new())
            }
            Ok(Err(source)) => {
                return Err(ReloadError::Directory { directory: self.config.dir.clone(), source });
            }
            Err(panic) => {
                let source = std::io::Error::other(panic);
                return Err(ReloadError::Directory { directory: self.config.dir.clone(), source });
            }
        };
        for unread in unread {
            self.refuse(unread.file, Unfit { reason: unread.error.to_string(), torn: false });
        }
        let digests: Vec<String> = found.iter().map(|found| found.digest.clone()).collect();
        self.seen = digests.iter().cloned().collect();
        let known = active_set::known(self.store, &digests).await?;
        let mut candidates = Vec::new();
        for found in found {
            let is_active = self.active.iter().any(|plugin| plugin.digest == found.digest);
            if self.policy == DirectoryPolicy::Proposes && known.contains(&found.digest) && !is_active {
                tracing::info!("`{}` was active before and is not activated again", found.file);
                continue;
            }
            let source = found.file;
            match self.components.prepare(&found.digest, found.bytes.clone()).await {
                Ok(prepared) => {
                    let bytes = (!known.contains(&found.digest)).then_some(found.bytes);
                    candidates.push(Candidate { file: Some(source.clone()), source, prepared, bytes });
                }
                Err(unfit) => self.refuse(source, unfit),
            }
        }
        Ok(candidates)
    }

    /// One component per plugin: the directory's, and for plugins it does not have, the store's.
    pub(super) async fn choose(
        &mut self,
        offered: Vec<Candidate>,
    ) -> Result<BTreeMap<String, Candidate>, ReloadError> {
        let mut by_id: BTreeMap<String, Vec<Candidate>> = BTreeMap::new();
        for candidate in offered {
            by_id.entry(candidate.prepared.descriptor.id.clone()).or_default().push(candidate);
        }
        let mut chosen = BTreeMap::new();
        for (id, offered) in by_id {
            if let Some(candidate) = self.only(&id, offered) {
                chosen.insert(id, candidate);
            }
        }
        self.remembered(&mut chosen).await?;
        Ok(chosen)
    }

    /// The one that counts of the components that are the same plugin.
    fn only(&mut self, id: &str, mut offered: Vec<Candidate>) -> Option<Candidate> {
        if self.policy == DirectoryPolicy::Proposes && offered.len() > 1 {
            // What is new wins over what is active already.
            offered.retain(|candidate| !self.active.iter().any(|it| it.digest == candidate.prepared.digest));
        }
        let sources: Vec<String> =
            offered.iter().map(|candidate| format!("`{}`", candidate.source)).collect();
        if let Ok([only]) = <[Candidate; 1]>::try_from(offered) {
            return Some(only);
        }
        let running = self.running.plugins.get(id);
        self.refused.push(Refused {
            source: sources.join(", "),
            reason: format!("several files are the plugin `{id}`: leave one of them in the directory"),
            still_serving: running.is_some(),
            torn: false,
        });
        running.map(|running| Candidate {
            source: "running".to_owned(),
            file: None,
            prepared: running.prepared.clone(),
            bytes: None,
        })
    }

    /// Adds what the store remembers. Outside development its plugins stay when the directory does not have them; in
    /// development a plugin whose file is there but unusable stays, and one whose file is gone goes.
    async fn remembered(&mut self, chosen: &mut BTreeMap<String, Candidate>) -> Result<(), ReloadError> {
        let keeps_absent = self.policy == DirectoryPolicy::Proposes;
        for plugin in self.active {
            if chosen.contains_key(&plugin.id) {
                continue;
            }
            let refusal = self.refused.iter().position(|refused| refused.source == plugin.source);
            if !keeps_absent && refusal.is_none() {
                continue;
            }
            let source = format!("component {} of the store", &plugin.digest.get(..12).unwrap_or_default());
            match self.components.stored(&plugin.digest).await? {
                Some(Ok(prepared)) => {
                    if let Some(refused) = refusal.and_then(|position| self.refused.get_mut(position)) {
                        refused.still_serving = true;
                    }
                    chosen.insert(plugin.id.clone(), Candidate { source, file: None, prepared, bytes: None });
                }
                Some(Err(unfit)) => self.refuse(source, unfit),
                None => {}
            }
        }
        Ok(())
    }

    fn refuse(&mut self, source: String, unfit: Unfit) {
        self.refused.push(Refused { source, reason: unfit.reason, still_serving: false, torn: unfit.torn });
    }
}

/// Plugins in the order in which they have what they claim: those that are active, then their new versions, then
/// newcomers. A newcomer takes nothing away, whatever its name.
pub(super) fn order(chosen: &BTreeMap<String, Candidate>, active: &[ActivePlugin]) -> Vec<String> {
    let rank = |id: &String, candidate: &Candidate| match active.iter().find(|plugin| plugin.id == *id) {
        Some(plugin) if plugin.digest == candidate.prepared.digest => 0,
        Some(_) => 1,
        None => 2,
    };
    let mut ranked: Vec<(u8, &String)> =
        chosen.iter().map(|(id, candidate)| (rank(id, candidate), id)).collect();
    ranked.sort();
    ranked.into_iter().map(|(_, id)| id.clone()).collect()
}
