//! What went wrong with a command, for the person who typed it.

use std::error::Error;

use crate::{
    chain::chain, config::ConfigError, control::ControlError, identity::AccountError, store::OpenError,
};

/// A cause and the next step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) cause: String,
    pub(super) next_step: String,
    /// 1, or 2 for a wrong call.
    pub(super) code: u8,
}

impl Failure {
    pub(super) fn new(cause: impl Into<String>, next_step: impl Into<String>) -> Self {
        Self { cause: cause.into(), next_step: next_step.into(), code: 1 }
    }

    /// The command was called in a wrong way.
    pub(super) fn usage(cause: impl Into<String>, next_step: impl Into<String>) -> Self {
        Self { code: 2, ..Self::new(cause, next_step) }
    }

    /// An error with everything that caused it.
    pub(super) fn of(error: &dyn Error, next_step: impl Into<String>) -> Self {
        Self::new(chain(error), next_step)
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::new(error.to_string(), error.next_step())
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        let next_step = match &error {
            OpenError::InUse { .. } => "Stop the other server, or choose another folder with --data-dir.",
            OpenError::Directory { .. } => {
                "Make the folder readable and writable for this user, or choose another one with --data-dir."
            }
            OpenError::Incomplete { .. } => "Until then the store stays closed; no other command opens it.",
            OpenError::Address { .. } | OpenError::Standalone { .. } | OpenError::TooOld { .. } => {
                "Correct MONGODB_URI or the server, or unset it to use the embedded store."
            }
            OpenError::Unreachable { .. } | OpenError::Unreadable { .. } => {
                "Start the server or correct MONGODB_URI; `mongosh` with the same address tells more."
            }
            _ => "Run `wares doctor` to learn more.",
        };
        Self::of(&error, next_step)
    }
}

impl From<ControlError> for Failure {
    fn from(error: ControlError) -> Self {
        let next_step = match &error {
            ControlError::InUse(_) => "Stop the other server, or choose another folder with --data-dir.",
            ControlError::Bind { .. } => {
                "Make the data directory writable for this user, or choose one with a shorter path with --data-dir."
            }
            ControlError::Connect { .. } => "Run the command as the user that runs the host.",
            ControlError::Http(_) => "See the log of the host, then try again.",
            ControlError::Protocol => "Run the `wares` command of the version that the host has.",
            ControlError::Refused(_) => "Correct the command and try again.",
        };
        Self::of(&error, next_step)
    }
}

impl From<AccountError> for Failure {
    fn from(error: AccountError) -> Self {
        let next_step = match &error {
            AccountError::Busy | AccountError::Store(_) | AccountError::Internal => {
                "Try again; if it fails again, run `wares doctor`."
            }
            AccountError::Password(_) => "Choose another password and give it on standard input.",
            _ => "Correct the command and try again.",
        };
        Self::of(&error, next_step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_told_once() {
        let inner = std::io::Error::other("the disk is on fire");
        let error = ControlError::Bind { path: "x.sock".into(), source: inner };
        assert_eq!(chain(&error), "the control socket `x.sock` cannot be made: the disk is on fire");
        let failure = Failure::from(error);
        assert!(failure.next_step.ends_with('.'));
        assert_eq!(failure.code, 1);
    }
}
