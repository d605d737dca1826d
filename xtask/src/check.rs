//! `cargo xtask check`: everything a change must pass besides the tests.

use anyhow::Result;

use crate::{golden, shell, workspace::Workspace};

pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    shell::run(workspace.cargo().args(["fmt", "--all", "--check"]))?;
    shell::run(workspace.cargo().args([
        "clippy",
        "--workspace",
        "--all-targets",
        "--",
        "--deny",
        "warnings",
    ]))?;
    shell::run(
        workspace
            .cargo()
            .args(["doc", "--workspace", "--no-deps", "--quiet"])
            .env("RUSTDOCFLAGS", "--deny warnings"),
    )?;
    golden::run(workspace, true)?;
    if shell::works("cargo", &["deny", "--version"]) {
        // Advisories need a database from the network; they are looked up where that is at hand.
        shell::run(workspace.cargo().args(["deny", "check", "bans", "licenses", "sources"]))
    } else {
        shell::complain(
            "Dependencies are not checked: run `cargo install --locked cargo-deny` to have them checked.",
        );
        Ok(())
    }
}
