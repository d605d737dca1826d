//! `cargo xtask test` and `cargo xtask bench`.

use std::{env, fs, process::Command};

use anyhow::{Context as _, Result, bail};

use crate::{
    build,
    mongod::{self, Data, Mongod},
    shell, slowest,
    workspace::Workspace,
};

const SHOWN: usize = 20;

pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    let (extended, arguments): (Vec<&String>, Vec<&String>) =
        arguments.iter().partition(|argument| *argument == "--extended");
    let extended = !extended.is_empty();
    build::plugins_and_fixtures(workspace)?;
    // Some tests start it.
    build::host(workspace, false)?;
    let mongod = mongod(workspace, Data::InMemory)?;

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
    if let Some(mongod) = &mongod {
        command.env("WARES_TEST_MONGODB", &mongod.address).env("MONGOD_BIN", &mongod.program);
    }
    // Tests that could not get what they need put a line into it.
    let left_out = workspace.target.join("left-out");
    let _ = fs::remove_file(&left_out);
    command.env("WARES_TEST_LEFT_OUT", &left_out);
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
    if let Ok(lines) = fs::read_to_string(&left_out) {
        shell::complain(lines.trim_end());
    }
    if mongod.is_none() {
        shell::complain(NOT_TESTED);
    }
    // Neither of the two runs the examples in documentation.
    let documented = !arguments.is_empty()
        || shell::status(workspace.cargo().args(["test", "--workspace", "--doc", "--quiet"]))?;
    if passed && documented { Ok(()) } else { bail!("tests failed; their output is above") }
}

const NOT_TESTED: &str = "MongoDB was NOT TESTED: there is no server, as said above.";

/// The server that the tests share. Where it cannot be had its tests are left out, unless that is forbidden.
#[expect(clippy::disallowed_methods, reason = "a setting of the machine that builds and tests")]
fn mongod(workspace: &Workspace, data: Data) -> Result<Option<Mongod>> {
    match mongod::start(workspace, data) {
        Ok(mongod) => Ok(Some(mongod)),
        Err(error) if env::var_os("WARES_TEST_REQUIRE_SERVERS").is_some() => {
            Err(error).context("there is no MongoDB server, and its tests must not be left out")
        }
        Err(error) => {
            shell::complain(&format!("There is no MongoDB server: {error:#}\n{NOT_TESTED}"));
            Ok(None)
        }
    }
}

pub(crate) fn bench(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    build::plugins_and_fixtures(workspace)?;
    let bench = build::binary(workspace, "bench", true)?;
    let mongod = mongod(workspace, Data::OnDisk)?;
    let mut command = Command::new(bench);
    command.args(arguments).current_dir(&workspace.root);
    if let Some(mongod) = &mongod {
        command.env("WARES_TEST_MONGODB", &mongod.address).env("MONGOD_BIN", &mongod.program);
    }
    shell::run(&mut command)
}
