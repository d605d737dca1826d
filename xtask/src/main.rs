//! What is done with this repository: `cargo xtask <task>`.
//!
//! Each task does its own set-up, so that a fresh checkout needs rustup and nothing else. A task prints the commands
//! that it runs; they can be run by hand as well.
//!
//! Deliberately absent: anything that the host does at run time. Building plugins while a host runs is `wares dev`.

mod build;
mod check;
mod frozen;
mod golden;
mod mongod;
mod serve;
mod shell;
mod slowest;
mod test;
mod workspace;

use std::{env, process::ExitCode};

use anyhow::{Result, bail};

use workspace::Workspace;

const USAGE: &str = "\
Usage: cargo xtask <task>

  build [--release]      Build the host, and the plugins into target/plugins
  serve [arguments]      Build, then serve a shop with sample data; arguments go to `wares serve`
  test [--extended] [arguments]
                         Build plugins and fixtures, then run every test; arguments go to the test runner
  golden [--check]       Rewrite the generated files that are kept in the repository, or check them
  check                  Format, lints, documentation, dependencies and golden files
  ci                     check and test: what a change must pass
  bench [arguments]      Build for release, then run the benchmarks
";

fn main() -> ExitCode {
    let mut arguments: Vec<String> = env::args().skip(1).collect();
    if arguments.is_empty() || arguments.iter().any(|argument| argument == "--help" || argument == "-h") {
        shell::say(USAGE.trim_end());
        return if arguments.is_empty() { ExitCode::from(2) } else { ExitCode::SUCCESS };
    }
    let task = arguments.remove(0);
    match run(&task, &arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            shell::complain(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(task: &str, arguments: &[String]) -> Result<()> {
    let workspace = Workspace::here()?;
    match task {
        "build" => build::run(&workspace, flag(task, arguments, "--release")?),
        "serve" => serve::run(&workspace, arguments),
        "test" => test::run(&workspace, arguments),
        "golden" => golden::run(&workspace, flag(task, arguments, "--check")?),
        "check" => none(task, arguments).and_then(|()| check::run(&workspace)),
        "ci" => {
            none(task, arguments)?;
            check::run(&workspace)?;
            test::run(&workspace, &[])
        }
        "bench" => test::bench(&workspace, arguments),
        _ => bail!("there is no task `{task}`; `cargo xtask --help` lists them"),
    }
}

/// Whether the one flag of a task is there.
fn flag(task: &str, arguments: &[String], flag: &str) -> Result<bool> {
    match arguments {
        [] => Ok(false),
        [only] if only == flag => Ok(true),
        _ => bail!("`cargo xtask {task}` takes {flag} and nothing else"),
    }
}

fn none(task: &str, arguments: &[String]) -> Result<()> {
    if arguments.is_empty() { Ok(()) } else { bail!("`cargo xtask {task}` takes no arguments") }
}
