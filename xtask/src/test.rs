//! `cargo xtask test` and `cargo xtask bench`.

use std::{fs, process::Command};

use anyhow::{Result, bail};

use crate::{build, shell, slowest, workspace::Workspace};

const SHOWN: usize = 20;

pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    let (extended, arguments): (Vec<&String>, Vec<&String>) =
        arguments.iter().partition(|argument| *argument == "--extended");
    let extended = !extended.is_empty();
    build::plugins_and_fixtures(workspace)?;
    // Some tests start it.
    build::host(workspace, false)?;

    let nextest = shell::works("cargo", &["nextest", "--version"]);
    let mut command = workspace.cargo();
    if nextest {
        command.args(["nextest", "run", "--workspace", "--no-fail-fast"]);
    } else {
        command.args(["test", "--workspace", "--all-targets", "--no-fail-fast"]);
    }
    command.args(&arguments);
    if extended {
        command.env("WARES_TEST_EXTENDED", "1");
    }
    let report = workspace.target.join("nextest/default/junit.xml");
    // The report of an earlier run must not be taken for this one's.
    let _ = fs::remove_file(&report);
    let passed = shell::status(&mut command)?;
    match fs::read_to_string(&report) {
        Ok(report) => shell::say(&slowest::summary(&report, SHOWN)),
        Err(_) if nextest => shell::complain("The test runner left no report; see its messages above."),
        Err(_) => shell::complain(
            "Install cargo-nextest (`cargo install --locked cargo-nextest`) to see which tests are slow.",
        ),
    }
    // Neither of the two runs the examples in documentation.
    let documented = !arguments.is_empty()
        || shell::status(workspace.cargo().args(["test", "--workspace", "--doc", "--quiet"]))?;
    if passed && documented { Ok(()) } else { bail!("tests failed; their output is above") }
}

pub(crate) fn bench(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    build::plugins_and_fixtures(workspace)?;
    let bench = build::binary(workspace, "bench", true)?;
    shell::run(Command::new(bench).args(arguments).current_dir(&workspace.root))
}
