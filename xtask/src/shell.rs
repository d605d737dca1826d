//! Running programs and printing.

use std::{
    io::{self, Write},
    process::Command,
};

use anyhow::{Context, Result, bail};

/// A line on standard output. A reader that went away is no reason to fail.
pub(crate) fn say(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
}

/// A line on standard error.
pub(crate) fn complain(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Runs a program that must succeed, and shows the command.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    if status(command)? { Ok(()) } else { bail!("`{}` failed", text(command)) }
}

/// Runs a program, shows the command, and tells whether it succeeded.
pub(crate) fn status(command: &mut Command) -> Result<bool> {
    complain(&format!("$ {}", text(command)));
    let status = command.status().with_context(|| format!("cannot start `{}`", text(command)))?;
    Ok(status.success())
}

/// The standard output of a program that must succeed.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot start `{}`", text(command)))?;
    if !output.status.success() {
        bail!("`{}` failed: {}", text(command), String::from_utf8_lossy(&output.stderr).trim());
    }
    String::from_utf8(output.stdout).context("the output is not UTF-8")
}

/// Whether a program can be started and likes these arguments.
pub(crate) fn works(program: &str, arguments: &[&str]) -> bool {
    Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success())
}

fn text(command: &Command) -> String {
    let parts = std::iter::once(command.get_program()).chain(command.get_args());
    parts.map(|part| part.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
