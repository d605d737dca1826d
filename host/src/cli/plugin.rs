//! `wares plugin check`, `wares plugin list` and `wares plugin replay`.

use std::{fmt::Write, fs, path::Path, process::ExitCode};

use serde_json::Value;

use super::{
    Application, Failure, Output,
    arguments::{PlaceArguments, PluginCheckArguments, ReplayArguments},
    serve::{has_shop, start},
};
use crate::{
    config::{Config, Overrides},
    control::ControlClient,
    plugin::Replayed,
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
    match refused(&report).len() {
        0 => Ok(ExitCode::SUCCESS),
        1 => {
            Err(Failure::new("one plugin is refused", "Its reason is above; correct it and build it again."))
        }
        count => Err(Failure::new(
            format!("{count} plugins are refused"),
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

/// Prices an order again and says whether it comes to the same.
pub(super) async fn replay<A: Application>(
    arguments: &ReplayArguments,
    output: Output,
) -> Result<ExitCode, Failure> {
    let mut config = Config::load(&arguments.place.overrides())?.config;
    let replayed = match ControlClient::connect(&config.store.data_dir).await? {
        Some(client) => client.order_replay(&arguments.order).await?,
        None => {
            has_shop(&config)?;
            config.prepare()?;
            config.plugins.watch = false;
            let application = start::<A>(config).await?;
            let replayed = application.order_replay(&arguments.order).await;
            application.stop().await;
            replayed.map_err(|error| {
                Failure::of(
                    &error,
                    "`wares plugin list` shows what is active; a backup may have what is missing.",
                )
            })?
        }
    };
    let report = serde_json::to_value(&replayed).unwrap_or_default();
    output.answer(&replayed_text(&replayed), &report);
    if replayed.same {
        return Ok(ExitCode::SUCCESS);
    }
    Err(Failure::new(
        format!("order {} does not come to the same again", replayed.number),
        "Compare its adjustments with what the rules answer now: a rule that is not pure, or a changed record.",
    ))
}

fn replayed_text(replayed: &Replayed) -> String {
    let mut text = format!(
        "Order {} ({}) came to {} and comes to {} {} in minor units.\n",
        replayed.number, replayed.order, replayed.charged, replayed.found, replayed.currency
    );
    for rule in &replayed.rules {
        let short = |digest: &str| digest.chars().take(12).collect::<String>();
        let _ = writeln!(
            text,
            "{:<24} {:<10} component {:<14} configuration {:<14} {}",
            rule.id,
            rule.version,
            short(&rule.digest),
            short(&rule.config_digest),
            rule.outcome
        );
    }
    text
}

/// What could not be loaded: `source` names the file, `reason` says why.
fn refused(report: &Value) -> &[Value] {
    report["refused"].as_array().map(Vec::as_slice).unwrap_or_default()
}

fn table(report: &Value) -> String {
    let plugins = report["plugins"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut text = String::new();
    if plugins.is_empty() {
        text += "There are no plugins.\n";
    } else {
        text +=
            &format!("{:<24} {:<10} {:<12} {:<14} {:>6}\n", "PLUGIN", "VERSION", "STATE", "DIGEST", "ROUTES");
    }
    for plugin in plugins {
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
    }
    for refused in refused(report) {
        let cell = |member: &str| refused[member].as_str().unwrap_or("-");
        let _ = writeln!(text, "`{}` is refused: {}", cell("source"), cell("reason"));
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_refused_is_shown_with_its_reason() {
        let report = json!({
            "plugins": [
                {"id": "products", "version": "0.1.0", "state": "active", "digest": "0123456789abcdef", "routes": [1, 2]},
            ],
            "refused": [{"source": "broken.wasm", "reason": "imports a socket"}],
        });
        let text = table(&report);
        assert!(text.contains("products                 0.1.0      active       0123456789ab"), "{text}");
        assert!(text.ends_with("\n`broken.wasm` is refused: imports a socket\n"), "{text}");
        assert_eq!(table(&json!({"plugins": []})), "There are no plugins.\n");
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
