//! Hooks: what plugins ask of other plugins. The host runs the chain and keeps what must be true of the answer.

mod payment;
mod pricing;
mod shipping;

pub(super) use payment::{PaymentFailure, Provider};
pub(super) use pricing::{PriceFailure, PriceRecord, PricedCart, Pricing, RuleUse};
pub(super) use shipping::offers;

use std::{sync::Arc, time::Instant};

use super::{
    call::PluginRuntime,
    descriptor::Hook,
    generation::Generation,
    grants::OnFailure,
    outcome::{CallError, Failure},
};

/// The way from a call to the plugins that it may ask.
#[derive(Clone)]
pub(super) struct HookReach {
    pub(super) runtime: Arc<PluginRuntime>,
    /// That of the request.
    pub(super) generation: Arc<Generation>,
    /// Until when the call has to end.
    pub(super) deadline: Instant,
    /// Whether the operation says that it calls payment providers.
    pub(super) calls_providers: bool,
}

/// Whether a failure is the asked plugin's, and not of the time that the asking call has left, or of the load.
fn is_its_own(error: &CallError, deadline: Instant) -> bool {
    match error.failure {
        Failure::Overload => false,
        Failure::Timeout => Instant::now() < deadline,
        _ => true,
    }
}

/// What a failure is called where it is told: the log has its cause already.
fn tell(hook: Hook, plugin: &str, error: &CallError, policy: OnFailure) -> String {
    let labels = [
        ("hook", hook.as_str().to_owned()),
        ("plugin", plugin.to_owned()),
        ("outcome", error.failure.as_str().to_owned()),
        (
            "policy",
            match policy {
                OnFailure::Block => "block",
                OnFailure::Skip => "skip",
                OnFailure::LastGood => "last_good",
            }
            .to_owned(),
        ),
    ];
    metrics::counter!("plugin_hook_failures_total", &labels).increment(1);
    format!("The {} plugin `{plugin}` failed ({}).", hook.as_str(), error.failure)
}
