//! `wares doctor`.

mod checks;

use std::{fmt::Write, process::ExitCode};

use serde::Serialize;

use super::{Failure, Output, arguments::DoctorArguments};
use crate::{config::Config, control::ControlClient};

/// What one check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Finding {
    check: &'static str,
    verdict: Verdict,
    found: String,
    /// Empty when there is nothing to do.
    next_step: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Good,
    /// Works, but something is missing that may be wanted.
    Warning,
    Bad,
}

impl Finding {
    fn good(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Good, found: found.into(), next_step: String::new() }
    }

    fn warning(check: &'static str, found: impl Into<String>, next_step: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Warning, found: found.into(), next_step: next_step.into() }
    }

    fn bad(check: &'static str, found: impl Into<String>, next_step: impl Into<String>) -> Self {
        Self { verdict: Verdict::Bad, ..Self::warning(check, found, next_step) }
    }
}

pub(super) async fn run(arguments: &DoctorArguments, output: Output) -> Result<ExitCode, Failure> {
    let findings = examine(arguments).await;
    output.answer(&text(&findings), &findings);
    match findings.iter().filter(|finding| finding.verdict == Verdict::Bad).count() {
        0 => Ok(ExitCode::SUCCESS),
        1 => Err(Failure::new(
            "one check failed",
            "Do what stands after the arrow, then run `wares doctor` again.",
        )),
        count => Err(Failure::new(
            format!("{count} checks failed"),
            "Do what stands after the arrows, then run `wares doctor` again.",
        )),
    }
}

async fn examine(arguments: &DoctorArguments) -> Vec<Finding> {
    let mut findings = vec![checks::toolchain().await];
    let config = match Config::load(&arguments.overrides()) {
        Ok(loaded) => loaded.config,
        Err(error) => {
            findings.push(Finding::bad("configuration", error.to_string(), error.next_step()));
            return findings;
        }
    };
    findings.push(Finding::good("configuration", format!("valid for {}", config.environment.as_str())));
    findings.push(checks::data_directory(&config.store.data_dir));
    let running = ControlClient::connect(&config.store.data_dir).await;
    let running = match running {
        Ok(Some(client)) => client.status().await.map(Some),
        Ok(None) => Ok(None),
        Err(error) => Err(error),
    };
    match running {
        Ok(Some(status)) => {
            let found =
                format!("version {} answers at {} (process {})", status.version, status.url, status.pid);
            findings.push(Finding::good("running host", found));
            findings.push(Finding::good("database", "not checked: the running host has it open"));
        }
        Ok(None) => {
            findings.push(Finding::good("running host", "none on this data directory"));
            findings.push(checks::port(config.server.listen).await);
            findings.push(checks::database(&config.store).await);
        }
        Err(error) => {
            let failure = Failure::from(error);
            findings.push(Finding::bad("running host", failure.cause, failure.next_step));
        }
    }
    findings.push(checks::plugins(&config.plugins.dir));
    findings.push(checks::grants(&config.plugins.grants));
    findings
}

fn text(findings: &[Finding]) -> String {
    let mut text = String::new();
    for Finding { check, verdict, found, next_step } in findings {
        let mark = match verdict {
            Verdict::Good => "ok",
            Verdict::Warning => "warning",
            Verdict::Bad => "FAILED",
        };
        let _ = writeln!(text, "{mark:<8} {check:<15} {found}");
        if !next_step.is_empty() {
            let _ = writeln!(text, "         -> {next_step}");
        }
    }
    text
}
