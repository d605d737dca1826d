//! `wares dev`: serve, and swap plugins when their source changes.
//!
//! A plugin that does not compile leaves the running version serving; the compiler's message is on the terminal.

mod sources;
mod workspace;

use std::{env, path::PathBuf, process::ExitCode, time::Duration};

use notify::{EventKind, RecursiveMode, Watcher};
use tokio::{
    sync::mpsc,
    time::{Instant, timeout},
};

use super::{
    Application, Failure, Output,
    arguments::ServeArguments,
    serve::{prepare, serve},
    signals::Stop,
};
use sources::Changed;
use workspace::Workspace;

/// How long the source must be left alone before it is built: an editor saves several files at once.
const QUIET: Duration = Duration::from_millis(150);
/// Building starts at the latest this long after the first change.
const AT_LATEST: Duration = Duration::from_secs(2);

pub(super) async fn run<A: Application>(
    arguments: ServeArguments,
    output: Output,
) -> Result<ExitCode, Failure> {
    let mut config = prepare(&arguments, output)?;
    config.plugins.watch = true;
    let here =
        env::current_dir().map_err(|error| Failure::of(&error, "Change to the folder of the repository."))?;
    let workspace = Workspace::find(&here).await?;
    let folder = config.plugins.dir.clone();
    output.note("Building the plugins.");
    if let Err(failure) = workspace.build(&Changed::All, &folder).await {
        // What was built before may still serve, and the next change may repair it.
        output.warning(&format!("{} {}", failure.cause, failure.next_step));
    }
    let stop = Stop::on_signals().map_err(|error| Failure::of(&error, "Try again."))?;
    let watching = tokio::spawn(watch(workspace, folder, output));
    let code = serve::<A>(config, arguments.seed, output, stop).await;
    watching.abort();
    code
}

/// Builds what changes, for as long as it is polled.
async fn watch(workspace: Workspace, folder: PathBuf, output: Output) {
    let (events, mut changes) = mpsc::unbounded_channel();
    let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let Ok(event) = event else { return };
        if !matches!(event.kind, EventKind::Access(_)) {
            // A closed channel means that nobody builds any more.
            let _ = events.send(event.paths);
        }
    });
    let mut watcher = match watcher {
        Ok(watcher) => watcher,
        Err(error) => return output.warning(&format!("changes of source are not noticed: {error}")),
    };
    for path in workspace.watched() {
        if let Err(error) = watcher.watch(&path, RecursiveMode::Recursive) {
            output.warning(&format!("changes in `{}` are not noticed: {error}", path.display()));
        }
    }
    while let Some(paths) = changes.recv().await {
        let mut changed = workspace.changed(&paths);
        let latest = Instant::now() + AT_LATEST;
        while Instant::now() < latest {
            match timeout(QUIET, changes.recv()).await {
                Ok(Some(paths)) => changed = changed.and(workspace.changed(&paths)),
                Ok(None) | Err(_) => break,
            }
        }
        if changed.is_nothing() {
            continue;
        }
        output.note(&format!("Building {changed}."));
        match workspace.build(&changed, &folder).await {
            Ok(copied) if copied.is_empty() => output.note("Built; nothing changed in the components."),
            Ok(copied) => output.note(&format!("Built {}; the host swaps them in.", copied.join(", "))),
            Err(failure) => output.warning(&format!("{} {}", failure.cause, failure.next_step)),
        }
    }
}
