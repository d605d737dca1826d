//! `wares openapi`.

use std::process::ExitCode;

use super::{
    Application, Failure, Output, arguments::OpenApiArguments, arguments::OpenApiVersion, serve::start,
};
use crate::config::Config;

/// Prints the document of the plugins in the plugins folder, which are loaded into a host with an empty store.
pub(super) async fn run<A: Application>(
    arguments: OpenApiArguments,
    output: Output,
) -> Result<ExitCode, Failure> {
    let folder = tempfile::tempdir().map_err(|error| {
        Failure::of(&error, "Check that the folder for temporary files is writable and not full.")
    })?;
    let mut overrides = arguments.place.overrides();
    overrides.data_dir = Some(folder.path().join("data"));
    let mut config = Config::load(&overrides)?.config;
    config.plugins.watch = false;
    config.store.mongodb_uri = None;
    config.prepare()?;
    let application = start::<A>(config).await?;
    let report = application.plugins_report();
    let document = application.openapi(arguments.version == OpenApiVersion::V3_0);
    application.stop().await;
    for refused in report["refused"].as_array().into_iter().flatten() {
        output.warning(&format!(
            "`{}` is refused and not in the document: {}",
            refused["source"].as_str().unwrap_or_default(),
            refused["reason"].as_str().unwrap_or_default()
        ));
    }
    let text = serde_json::to_string_pretty(&document).unwrap_or_default();
    output.answer(&text, &document);
    Ok(ExitCode::SUCCESS)
}
