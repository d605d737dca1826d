//! Progress of what takes long.

use std::io::{self, IsTerminal};

use indicatif::{ProgressBar, ProgressStyle};

use super::Output;

/// A bar on a terminal; nothing when it should be quiet.
#[derive(Debug)]
pub(super) struct Progress {
    output: Output,
    label: &'static str,
    bar: Option<ProgressBar>,
    /// Tenths that were told in lines; none where there are no lines.
    told: Option<u64>,
}

impl Progress {
    /// Where there is no terminal, a line for each tenth.
    pub(super) fn in_lines(output: Output, label: &'static str) -> Self {
        let mut progress = Self::on_terminal(output, label);
        progress.told = Some(0);
        progress
    }

    /// For what is done before such lines would be of use.
    pub(super) fn on_terminal(output: Output, label: &'static str) -> Self {
        let bar = (!output.quiet && io::stderr().is_terminal()).then(|| {
            let style = ProgressStyle::with_template("{prefix} {wide_bar} {pos} of {len}, {eta} left");
            // The template is constant, and the default is a bar as well.
            let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
            ProgressBar::new(0).with_style(style).with_prefix(label)
        });
        Self { output, label, bar, told: None }
    }

    pub(super) fn set(&mut self, done: u64, total: u64) {
        if let Some(bar) = &self.bar {
            bar.set_length(total);
            bar.set_position(done);
            return;
        }
        let tenths = (done * 10).checked_div(total).unwrap_or(0);
        if self.told.is_some_and(|told| tenths > told) {
            self.told = Some(tenths);
            self.output.note(&format!("{}: {tenths}0 % ({done} of {total})", self.label));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
