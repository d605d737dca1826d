//! `wares db migrate`.

use std::process::ExitCode;

use super::{chunks, facts, failure, fill, load_failure, moved, open_store, same, table};
use crate::{
    backup::NoSink,
    cli::{Failure, Output, arguments::DbMigrateArguments},
    clock::Clock,
    config::Config,
    control::ControlClient,
    store::{Loading, StoreConfig},
};

pub(in crate::cli) async fn run(arguments: &DbMigrateArguments, output: Output) -> Result<ExitCode, Failure> {
    let target = StoreConfig::parse(&arguments.to)
        .map_err(|error| Failure::usage(error.to_string(), "Name it with --to."))?;
    let config = Config::load(&arguments.place.overrides())?.config;
    let source = config.store.store_config();
    if source.is_same_place(&target) {
        return Err(Failure::usage("the target is the store itself", "Name another one with --to."));
    }
    if ControlClient::connect(&config.store.data_dir).await?.is_some() {
        return Err(Failure::new(
            format!("a host runs on the store {source}: what it sells meanwhile would not be copied"),
            "Stop it, migrate, and start it on the new store.",
        ));
    }
    let store = open_store(source.clone()).await?;
    let copied = async {
        let from = format!("the store {source}");
        let loading = Loading::begin(target.clone(), Clock::system(), &from).await.map_err(load_failure)?;
        fill(
            loading,
            output,
            "Copying",
            async || chunks(&store).await,
            async |copied| {
                // Other hosts may have written to a store that is shared.
                let again =
                    moved(chunks(&store).await?, &mut NoSink, output, "Comparing").await.map_err(failure)?;
                same(copied, &again, "the source was changed while it was copied")
            },
        )
        .await
    };
    let copied = copied.await;
    store.close().await;
    let contents = copied?;
    let text = format!(
        "{}Copied {source} to {target}; every collection has the same hash in both.",
        table(&contents)
    );
    output.answer(&text, &facts(&contents));
    output.note("The configuration, the grants and JWT_SECRET are not part of a store; take them along.");
    Ok(ExitCode::SUCCESS)
}
