//! The operations: who may call them, what they take and answer.

use plugin_sdk::Router;

pub(crate) fn all(_router: &mut Router) {}
