//! `wares db restore`.

use std::process::ExitCode;

use super::{facts, file_chunks, fill, load_failure, moved, same, table, unless_stopped};
use crate::{
    backup::{NoSink, TransferError},
    chain::chain,
    cli::{Failure, Output, arguments::DbRestoreArguments},
    clock::Clock,
    config::Config,
    control::ControlClient,
    store::Loading,
};

pub(in crate::cli) async fn run(arguments: &DbRestoreArguments, output: Output) -> Result<ExitCode, Failure> {
    let config = Config::load(&arguments.place.overrides())?.config;
    let store = config.store.store_config();
    if ControlClient::connect(&config.store.data_dir).await?.is_some() {
        return Err(Failure::new(
            format!("a host runs on the store {store}"),
            "Stop it, or name another folder with --data-dir; a store is restored while nobody uses it.",
        ));
    }
    let file = &arguments.file;
    let shown = file.display();
    // All of the file before anything of it is written.
    let checked = unless_stopped(async {
        moved(file_chunks(file).await?, &mut NoSink, output, "Checking")
            .await
            .map_err(|error| damaged(&shown, &error))
    })
    .await?;
    let source = format!("the backup `{shown}`");
    let loading = Loading::begin(store.clone(), Clock::system(), &source).await.map_err(load_failure)?;
    let contents = fill(
        loading,
        output,
        "Restoring",
        async || file_chunks(file).await,
        async |restored| same(restored, &checked, "the file was changed while it was read"),
    )
    .await?;
    output.answer(&format!("{}Restored {store} from `{shown}`.", table(&contents)), &facts(&contents));
    output.note(
        "The configuration, the grants and JWT_SECRET are not part of a backup; without the secret of before, \
         everybody logs in again.",
    );
    Ok(ExitCode::SUCCESS)
}

/// Of a file that is being checked; nothing else has happened yet.
pub(super) fn damaged(shown: &impl std::fmt::Display, error: &TransferError) -> Failure {
    Failure::new(format!("`{shown}`: {}", chain(error)), "Use another backup; nothing was written.")
}
