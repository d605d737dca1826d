//! Asking the shipping plugins for their rates.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{HookReach, is_its_own, tell};
use crate::plugin::{
    bindings::exports::wares::shipping::rates as guest,
    call::{Invocation, LoadedPlugin},
    descriptor::Hook,
    grants::OnFailure,
    instance::Bound,
    outcome::{CallError, Failure},
};

/// In what time a plugin that works has answered.
const FAIR_SHARE: Duration = Duration::from_secs(1);
/// Most rates of one plugin.
const RATES: usize = 100;

/// The rates of all plugins.
#[derive(Default)]
pub(in crate::plugin) struct Offered {
    pub(in crate::plugin) rates: Vec<(Arc<LoadedPlugin>, guest::Rate)>,
    /// A sentence each.
    pub(in crate::plugin) problems: Vec<String>,
}

/// A plugin that failed and must not.
#[derive(Debug)]
pub(in crate::plugin) struct ShippingFailure {
    pub(in crate::plugin) plugin: String,
    pub(in crate::plugin) error: CallError,
}

/// Asks plugin after plugin.
///
/// # Errors
/// A plugin that fails and must not.
pub(in crate::plugin) async fn offers(
    reach: &HookReach,
    parcel: &guest::Parcel,
    request_id: &Arc<str>,
) -> Result<Offered, ShippingFailure> {
    let mut offered = Offered::default();
    for plugin in reach.generation.hooks.of(Hook::Shipping) {
        let policy = plugin.hook(Hook::Shipping).on_failure;
        let failure = |error| ShippingFailure { plugin: plugin.id().to_owned(), error };
        let mut asked = plugin.clone();
        let mut answer = ask(reach, plugin, parcel, request_id).await;
        if let Err(error) = &answer
            && is_its_own(error, reach.deadline)
        {
            let told = tell(Hook::Shipping, plugin.id(), error, policy);
            match (policy, &plugin.last_good) {
                (OnFailure::Skip, _) => {
                    offered.problems.push(told);
                    continue;
                }
                (OnFailure::LastGood, Some(former)) => {
                    offered.problems.push(told);
                    asked = former.clone();
                    answer = ask(reach, former, parcel, request_id).await;
                }
                _ => {}
            }
        }
        let rates = answer.map_err(failure)?;
        offered.rates.extend(rates.into_iter().map(|rate| (asked.clone(), rate)));
    }
    Ok(offered)
}

async fn ask(
    reach: &HookReach,
    plugin: &Arc<LoadedPlugin>,
    parcel: &guest::Parcel,
    request_id: &Arc<str>,
) -> Result<Vec<guest::Rate>, CallError> {
    let Some(indices) = &plugin.prepared.roles.rates else {
        return Err(CallError::new(Failure::Output, "it offers no shipping rates"));
    };
    let runtime = &reach.runtime;
    let _permit = plugin.gate.enter(1).await?;
    let parcel = guest::Parcel { config: plugin.config.clone(), ..parcel.clone() };
    // Who asks needs time for what comes after it, for another plugin in its place too.
    let now = Instant::now();
    let share = reach.deadline.saturating_duration_since(now) / 2;
    let own = Duration::from_millis(plugin.limits.timeout_ms);
    let deadline = now + own.min(share);
    let invocation = Invocation {
        engine: &runtime.engine,
        plugin,
        operation: "hook:shipping",
        request_id,
        reach: runtime.provider_reach(plugin, request_id, deadline),
        bound: Bound::Time,
        deadline,
        // With less than this it cannot be expected to answer.
        lent: share < own.min(FAIR_SHARE),
    };
    let call = async |store: &mut wasmtime::Store<_>, instance: &wasmtime::component::Instance| {
        let guest = indices.load(&mut *store, instance)?;
        guest.call_options(store, &parcel).await
    };
    let check = async |answer: Result<Vec<guest::Rate>, guest::Problem>, _: &_| match answer {
        Ok(rates) => check(&rates, &parcel.currency)
            .map(|()| rates)
            .map_err(|error| CallError::new(Failure::Output, error)),
        Err(problem) => {
            let detail = problem.detail.unwrap_or_default();
            Err(CallError::new(Failure::Refused, format!("{}: {detail}", problem.code)))
        }
    };
    runtime.invoke(invocation, call, check, |_| "ok").await
}

fn check(rates: &[guest::Rate], currency: &str) -> Result<(), String> {
    if rates.len() > RATES {
        return Err(format!("{} rates", rates.len()));
    }
    let mut codes = BTreeSet::new();
    for rate in rates {
        let fine = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if rate.code.is_empty() || rate.code.len() > 60 || !rate.code.bytes().all(fine) {
            return Err("a rate's code has 1 to 60 letters, digits, `-`, `_` and `.`".to_owned());
        }
        if !codes.insert(&rate.code) {
            return Err(format!("the rate `{}` is there twice", rate.code));
        }
        if rate.price.currency != currency {
            return Err(format!("the rate `{}` is not in {currency}", rate.code));
        }
        if !(0..=pricing_model::AMOUNT_MAX).contains(&rate.price.amount) || rate.name.chars().count() > 200 {
            return Err(format!("the rate `{}` has a price or a name that cannot be", rate.code));
        }
    }
    Ok(())
}
