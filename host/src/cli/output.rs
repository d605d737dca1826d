//! Printing. Answers go to standard output, everything else to standard error.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use serde::Serialize;
use serde_json::json;

use super::Failure;

#[derive(Debug, Clone, Copy)]
pub(super) struct Output {
    pub(super) json: bool,
    pub(super) quiet: bool,
}

impl Output {
    /// The answer of a command, for people or as JSON.
    pub(super) fn answer(self, text: &str, json: &impl Serialize) {
        if self.json {
            let json = serde_json::to_string(json).unwrap_or_default();
            print(&mut io::stdout(), &json);
        } else {
            print(&mut io::stdout(), text.trim_end());
        }
    }

    /// Progress and hints.
    pub(super) fn note(self, text: &str) {
        if !self.quiet {
            print(&mut io::stderr(), text);
        }
    }

    pub(super) fn warning(self, text: &str) {
        print(&mut io::stderr(), &format!("warning: {text}"));
    }

    pub(super) fn failure(self, failure: &Failure) -> ExitCode {
        let Failure { cause, next_step, code } = failure;
        let text = if self.json {
            json!({"error": {"cause": cause, "nextStep": next_step}}).to_string()
        } else {
            format!("error: {cause}\n{next_step}")
        };
        print(&mut io::stderr(), &text);
        ExitCode::from(*code)
    }
}

/// A reader that went away (`wares config show | head`) is no reason to fail.
fn print(writer: &mut impl Write, text: &str) {
    let _ = writeln!(writer, "{text}");
}
