//! `wares plugin check` and `wares plugin list`.

use std::{fmt::Write, fs, path::Path, process::ExitCode};

use serde_json::Value;

use super::{
    Application, Failure, Output,
    arguments::{PlaceArguments, PluginCheckArguments},
    serve::start,
};
use crate::{
    config::{Config, Overrides},
    control::ControlClient,
};

/// Loads the components exactly as a host would, into a host of their own with an empty store.
pub(super) async fn check<A: Application>(
    arguments: PluginCheckArguments,
    output: Output,
) -> Result<ExitCode, Failure> {
    let next_step = "Check that the folder for temporary files is writable and not full.";
    let folder = tempfile::tempdir().map_err(|error| Failure::of(&error, next_step))?;
    let plugins = folder.path().join("plugins");
    fs::create_dir(&plugins).map_err(|error| Failure::of(&error, next_step))?;
    for file in &arguments.files {
        copy(file, &plugins)?;
    }
    let overrides = Overrides {
        config: arguments.config,
        listen: None,
        data_dir: Some(folder.path().join("data")),
        plugins_dir: Some(plugins),
    };
    let mut config = Config::load(&overrides)?.config;
    config.plugins.watch = false;
    config.prepare()?;
    let application = start::<A>(config).await.map_err(|failure| Failure {
        next_step: "Correct the component and build it again.".to_owned(),
        ..failure
    })?;
    let report = application.plugins_report();
    application.stop().await;
    output.answer(&table(&report), &report);
    match entries(&report).iter().filter(|plugin| failed(plugin)).count() {
        0 => Ok(ExitCode::SUCCESS),
        1 => Err(Failure::new(
            "one plugin cannot be loaded",
            "Its reason is above; correct it and build it again.",
        )),
        count => Err(Failure::new(
            format!("{count} plugins cannot be loaded"),
            "Their reasons are above; correct and build them again.",
        )),
    }
}

fn copy(file: &Path, folder: &Path) -> Result<(), Failure> {
    let shown = file.display();
    let name = file.file_name().filter(|_| file.extension().is_some_and(|extension| extension == "wasm"));
    let Some(name) = name else {
        return Err(Failure::usage(format!("`{shown}` is not a component"), "Give files that end in .wasm."));
    };
    let target = folder.join(name);
    if target.exists() {
        return Err(Failure::usage(
            format!("two files are named `{}`", name.display()),
            "Give every component a name of its own.",
        ));
    }
    fs::copy(file, target).map_err(|error| {
        Failure::new(
            format!("cannot read `{shown}`: {error}"),
            "Check the path; `cargo xtask build` builds the plugins.",
        )
    })?;
    Ok(())
}

pub(super) async fn list<A: Application>(
    place: &PlaceArguments,
    output: Output,
) -> Result<ExitCode, Failure> {
    let mut config = Config::load(&place.overrides())?.config;
    let report = match ControlClient::connect(&config.store.data_dir).await? {
        Some(client) => client.status().await?.plugins,
        None => {
            config.prepare()?;
            config.plugins.watch = false;
            output.note("No host runs on this data directory; this is what one would load.");
            let application = start::<A>(config).await?;
            let report = application.plugins_report();
            application.stop().await;
            report
        }
    };
    output.answer(&table(&report), &report);
    Ok(ExitCode::SUCCESS)
}

/// The plugins of a report, which is an array or an object with one.
fn entries(report: &Value) -> Vec<Value> {
    let list = report.as_array().or_else(|| report["plugins"].as_array());
    list.cloned().unwrap_or_default()
}

fn failed(plugin: &Value) -> bool {
    !plugin["lastError"].is_null() || plugin["state"].as_str().is_some_and(|state| state != "active")
}

fn table(report: &Value) -> String {
    let plugins = entries(report);
    if plugins.is_empty() {
        return "There are no plugins.".to_owned();
    }
    let mut text =
        format!("{:<24} {:<10} {:<12} {:<14} {:>6}\n", "PLUGIN", "VERSION", "STATE", "DIGEST", "ROUTES");
    for plugin in &plugins {
        let cell = |member: &str| plugin[member].as_str().unwrap_or("-");
        let digest: String = cell("digest").chars().take(12).collect();
        let routes = plugin["routes"].as_array().map_or(0, Vec::len);
        let _ = writeln!(
            text,
            "{:<24} {:<10} {:<12} {digest:<14} {routes:>6}",
            cell("id"),
            cell("version"),
            cell("state")
        );
        match &plugin["lastError"] {
            Value::Null => {}
            Value::String(reason) => _ = writeln!(text, "  {reason}"),
            reason => _ = writeln!(text, "  {reason}"),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_plugin_that_does_not_load_is_shown_with_its_reason() {
        let report = json!([
            {"id": "products", "version": "0.1.0", "state": "active", "digest": "0123456789abcdef", "routes": [{}, {}]},
            {"id": "broken", "state": "candidate", "lastError": "imports a socket"},
        ]);
        let text = table(&report);
        assert!(text.contains("products                 0.1.0      active       0123456789ab"), "{text}");
        assert!(text.contains("\n  imports a socket\n"), "{text}");
        let failures: Vec<bool> = entries(&report).iter().map(failed).collect();
        assert_eq!(failures, [false, true]);
        assert_eq!(table(&json!({"plugins": []})), "There are no plugins.");
    }

    #[test]
    fn only_components_of_different_names_are_taken() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.wasm");
        fs::write(&file, "x").unwrap();
        let target = tempfile::tempdir().unwrap();
        assert_eq!(copy(&folder.path().join("a.txt"), target.path()).unwrap_err().code, 2);
        assert_eq!(copy(&folder.path().join("b.wasm"), target.path()).unwrap_err().code, 1);
        copy(&file, target.path()).unwrap();
        assert_eq!(copy(&file, target.path()).unwrap_err().code, 2);
    }
}
