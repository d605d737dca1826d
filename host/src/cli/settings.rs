//! `wares config show` and `wares config check`.

use std::{fmt::Write, process::ExitCode};

use serde_json::json;

use super::{Failure, Output, arguments::PlaceArguments};
use crate::config::Config;

pub(super) fn show(place: &PlaceArguments, output: Output) -> Result<ExitCode, Failure> {
    let loaded = Config::load(&place.overrides())?;
    let width = loaded.settings.iter().map(|setting| setting.key.len()).max().unwrap_or(0);
    let mut text = String::new();
    for setting in &loaded.settings {
        let _ = writeln!(text, "{:<width$} = {}  # {}", setting.key, setting.value, setting.source);
    }
    output.answer(&text, &loaded.settings);
    Ok(ExitCode::SUCCESS)
}

pub(super) fn check(place: &PlaceArguments, output: Output) -> Result<ExitCode, Failure> {
    let loaded = Config::load(&place.overrides())?;
    let environment = loaded.config.environment.as_str();
    let facts = json!({"environment": environment});
    output.answer(&format!("The configuration for {environment} is valid."), &facts);
    Ok(ExitCode::SUCCESS)
}
