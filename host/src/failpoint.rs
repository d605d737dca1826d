//! Dying at a chosen moment, so that tests see what a crash leaves there.
//!
//! `WARES_FAIL_AT=createOrder/after-commit/2` ends a serving process when `createOrder` has seen its second commit
//! acknowledged, as `kill -9` would: nothing is unwound, flushed or answered. The operation is a route's or a schedule's;
//! the commits of a payment provider go by the plugin's id, and the calls of one by `hook:payment.authorize` and the like.
//!
//! The module exists with debug assertions only. A release that called it would not compile, so there is nothing of it
//! to find, to set or to pay for.

use std::sync::{
    OnceLock,
    atomic::{AtomicU32, Ordering},
};

/// The variable that chooses the moment.
pub(crate) const VARIABLE: &str = "WARES_FAIL_AT";
/// What its value looks like.
pub(crate) const EXPECTED: &str = "an operation, before-commit, after-commit, before-provider or after-provider, and which \
     time from 1, such as createOrder/after-commit/1";

/// Where in an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Its writes are not handed to the store yet.
    BeforeCommit,
    /// The store has acknowledged them, and nobody else knows.
    AfterCommit,
    /// The provider is not called yet.
    BeforeProvider,
    /// The provider has answered, or its time is over, and nobody else knows.
    AfterProvider,
}

/// A moment to die at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FailPoint {
    operation: String,
    step: Step,
    /// How often the step is reached until then.
    times: u32,
}

static ARMED: OnceLock<FailPoint> = OnceLock::new();
static REACHED: AtomicU32 = AtomicU32::new(0);

impl FailPoint {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (rest, times) = text.rsplit_once('/')?;
        let (operation, step) = rest.split_once('/')?;
        let step = match step {
            "before-commit" => Step::BeforeCommit,
            "after-commit" => Step::AfterCommit,
            "before-provider" => Step::BeforeProvider,
            "after-provider" => Step::AfterProvider,
            _ => return None,
        };
        let times = times.parse().ok().filter(|times| *times > 0)?;
        (!operation.is_empty()).then(|| Self { operation: operation.to_owned(), step, times })
    }
}

/// Chooses the moment of this process, once.
pub(crate) fn arm(point: Option<FailPoint>) {
    if let Some(point) = point {
        let _ = ARMED.set(point);
    }
}

/// Ends the process if this is the moment.
pub(crate) fn reach(operation: &str, step: Step) {
    let Some(point) = ARMED.get() else { return };
    if point.step == step
        && point.operation == operation
        && REACHED.fetch_add(1, Ordering::Relaxed) + 1 == point.times
    {
        std::process::abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_names_an_operation_a_step_and_which_time() {
        let point = |operation: &str, step, times| FailPoint { operation: operation.to_owned(), step, times };
        for (text, expected) in [
            ("createOrder/before-commit/1", point("createOrder", Step::BeforeCommit, 1)),
            ("settleOrders/after-commit/12", point("settleOrders", Step::AfterCommit, 12)),
            (
                "hook:payment.authorize/before-provider/1",
                point("hook:payment.authorize", Step::BeforeProvider, 1),
            ),
            ("hook:payment.void/after-provider/2", point("hook:payment.void", Step::AfterProvider, 2)),
        ] {
            assert_eq!(FailPoint::parse(text), Some(expected), "{text}");
        }
        for text in [
            "",
            "createOrder",
            "createOrder/after-commit",
            "createOrder/after-commit/",
            "createOrder/after-commit/0",
            "createOrder/after-commit/-1",
            "createOrder/after-commit/one",
            "createOrder/commit/1",
            "/after-commit/1",
            "a/createOrder/after-commit/1",
        ] {
            assert_eq!(FailPoint::parse(text), None, "{text}");
        }
    }

    #[test]
    fn nobody_dies_where_nothing_is_armed() {
        reach("createOrder", Step::BeforeCommit);
    }
}
