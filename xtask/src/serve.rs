//! `cargo xtask serve`: from a fresh checkout to a shop with sample data.

use std::{os::unix::process::CommandExt, process::Command};

use anyhow::{Context, Result};

use crate::{build, shell, workspace::Workspace};

pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    build::run(workspace, false)?;
    let program = workspace.target.join("debug").join("wares");
    let mut command = Command::new(&program);
    command.args(["serve", "--seed", "--plugins-dir", "target/plugins"]).args(arguments);
    shell::complain(&format!(
        "$ {} serve --seed --plugins-dir target/plugins {}",
        program.display(),
        arguments.join(" ")
    ));
    // The host takes the place of this program, so that signals reach it.
    let error = command.current_dir(&workspace.root).exec();
    Err(error).with_context(|| format!("cannot start {}", program.display()))
}
