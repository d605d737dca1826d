//! An error with everything behind it.

use std::error::Error;

/// The error and its sources in one line, for the log and for people at a terminal.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
