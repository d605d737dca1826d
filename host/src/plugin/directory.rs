//! The plugins directory: which components lie there, and when that changes.

use std::{
    collections::BTreeMap,
    io::Read as _,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use notify::{RecursiveMode, Watcher as _};
use tokio::sync::mpsc;

use super::component::{ComponentError, digest_of};

/// A file in the plugins directory.
pub(super) struct Found {
    /// Its name.
    pub(super) file: String,
    pub(super) digest: String,
    pub(super) bytes: Arc<[u8]>,
}

/// A file that was not read.
pub(super) struct Unread {
    pub(super) file: String,
    pub(super) error: ComponentError,
}

/// Reads all components of a directory, in the order of their names. Hidden and temporary files are left out, so that
/// a writer can use one and rename it into place. A file above the limit is not read: it could fill the memory.
pub(super) fn scan(dir: &Path, limit: usize) -> std::io::Result<(Vec<Found>, Vec<Unread>)> {
    let (mut found, mut unread) = (Vec::new(), Vec::new());
    for path in component_files(dir)? {
        let file = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        match read(&path, limit) {
            Ok(bytes) => found.push(Found { file, digest: digest_of(&bytes), bytes: bytes.into() }),
            // Renamed away between listing and reading; the next look sees it under its new name.
            Err(ComponentError::Unreadable(error)) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => unread.push(Unread { file, error }),
        }
    }
    Ok((found, unread))
}

fn read(path: &Path, limit: usize) -> Result<Vec<u8>, ComponentError> {
    let file = std::fs::File::open(path).map_err(ComponentError::Unreadable)?;
    let size = file.metadata().map_err(ComponentError::Unreadable)?.len();
    let too_large =
        |size: u64| ComponentError::TooLarge { size: usize::try_from(size).unwrap_or(usize::MAX), limit };
    if size > limit as u64 {
        return Err(too_large(size));
    }
    let mut bytes = Vec::new();
    // It may have grown since.
    file.take(limit as u64 + 1).read_to_end(&mut bytes).map_err(ComponentError::Unreadable)?;
    if bytes.len() > limit { Err(too_large(bytes.len() as u64)) } else { Ok(bytes) }
}

fn component_files(dir: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if !name.starts_with('.') && name.ends_with(".wasm") && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// What changes about a file when its content may have. Builds that give every file the same time, and copies that keep
/// it, make size and modification time alone say too little.
#[derive(PartialEq, Eq)]
struct Look {
    size_bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
    inode: u64,
}

impl Look {
    fn of(metadata: &std::fs::Metadata) -> Self {
        Self {
            size_bytes: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
            inode: metadata.ino(),
        }
    }
}

/// A cheap picture of what lies where, to notice changes by polling.
fn picture(paths: &[PathBuf]) -> BTreeMap<PathBuf, Look> {
    let mut picture = BTreeMap::new();
    for path in paths {
        let files =
            if path.is_dir() { component_files(path).unwrap_or_default() } else { vec![path.clone()] };
        for file in files {
            if let Ok(metadata) = std::fs::metadata(&file) {
                picture.insert(file, Look::of(&metadata));
            }
        }
    }
    picture
}

/// Tells of changes to a directory and single files. Events come from the operating system where it sends them; a slow
/// poll sees what it does not, such as bind mounts. What counts as a change of content is decided by whoever looks.
pub(super) struct Watch {
    events: mpsc::Receiver<()>,
    paths: Vec<PathBuf>,
    seen: BTreeMap<PathBuf, Look>,
    poll: Duration,
    debounce: Duration,
    _watcher: Option<notify::RecommendedWatcher>,
}

impl Watch {
    /// Watches the directory itself and the directories of the files: a watch on a file is lost when it is replaced.
    pub(super) fn new(directory: &Path, files: &[PathBuf], poll: Duration, debounce: Duration) -> Self {
        let (sender, events) = mpsc::channel(1);
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if event.is_ok_and(|event| !event.kind.is_access()) {
                // Full means that a change is already announced.
                let _full = sender.try_send(());
            }
        })
        .inspect_err(|error| tracing::warn!(cause = %error, "Plugins are watched by polling only"))
        .ok();
        let parents = files.iter().filter_map(|file| file.parent());
        for path in std::iter::once(directory).chain(parents) {
            let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
            if let Some(watcher) = &mut watcher
                && let Err(error) = watcher.watch(path, RecursiveMode::NonRecursive)
            {
                tracing::warn!(cause = %error, "`{}` is watched by polling only", path.display());
            }
        }
        let mut paths = vec![directory.to_owned()];
        paths.extend_from_slice(files);
        let seen = picture(&paths);
        Self { events, paths, seen, poll, debounce, _watcher: watcher }
    }

    /// Waits for the next change, and until nothing has changed for the debounce time, at most eight of them.
    pub(super) async fn changed(&mut self) {
        loop {
            let event = tokio::time::timeout(self.poll, self.events.recv()).await;
            if matches!(event, Ok(None)) {
                // The watcher is gone: only polling is left.
                tokio::time::sleep(self.poll).await;
            }
            let mut now = picture(&self.paths);
            if now == self.seen {
                continue;
            }
            for _ in 0..8 {
                tokio::time::sleep(self.debounce).await;
                while self.events.try_recv().is_ok() {}
                let later = picture(&self.paths);
                let settled = later == now;
                now = later;
                if settled {
                    break;
                }
            }
            self.seen = now;
            return;
        }
    }
}
