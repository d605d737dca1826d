//! The help of every command in one text, which `docs/cli.txt` keeps.

use std::process::ExitCode;

use clap::{Command, CommandFactory};

use super::{Failure, Output, arguments::Arguments};

pub(super) fn run(output: Output) -> Result<ExitCode, Failure> {
    let text = text();
    output.answer(&text, &text);
    Ok(ExitCode::SUCCESS)
}

fn text() -> String {
    // A fixed width: the text must not depend on the terminal.
    let mut root = Arguments::command().term_width(100).disable_help_subcommand(true);
    root.build();
    let mut text = String::new();
    add("", &root, &mut text);
    text
}

fn add(parents: &str, command: &Command, text: &mut String) {
    let name = format!("{parents} {}", command.get_name()).trim_start().to_owned();
    let help = command.clone().bin_name(&name).render_long_help().to_string();
    let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
    *text += &format!("$ {name} --help\n{}\n\n", lines.join("\n").trim_end());
    for inner in command.get_subcommands().filter(|inner| !inner.is_hide_set()) {
        add(&name, inner, text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_visible_command_is_in_the_reference() {
        let text = text();
        for command in [
            "serve",
            "dev",
            "user create",
            "seed",
            "import products",
            "import categories",
            "import users",
            "import orders",
            "export products",
            "export categories",
            "db backup",
            "db restore",
            "db verify",
            "db migrate",
            "config show",
            "config check",
            "plugin check",
            "openapi",
            "doctor",
        ] {
            assert!(text.contains(&format!("$ wares {command} --help\n")), "{command}");
        }
        assert!(!text.contains("reference"));
    }
}
