//! Having a payment provider do something.
//!
//! A call that began and did not end well says nothing about the money: it may have moved. Only what never reached the
//! provider, and what it refused itself, is certain.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{HookReach, tell};
#[cfg(debug_assertions)]
use crate::failpoint::{self, Step};
use crate::plugin::{
    bindings::exports::wares::payment::provider as guest,
    call::{Invocation, LoadedPlugin, PROVIDER_MARGIN},
    descriptor::Hook,
    grants::OnFailure,
    instance::Bound,
    outcome::{CallError, Failure},
};

/// The most that a provider's reference may have.
const REFERENCE_CHARS: usize = 500;
const NEXT_ACTION_BYTES: usize = 16 * 1024;
const NOTICES: usize = 100;
const STATES: [&str; 5] = ["succeeded", "pending", "requires_action", "offline", "failed"];

/// A provider to be called.
pub(in crate::plugin) struct Provider<'p> {
    reach: &'p HookReach,
    plugin: &'p Arc<LoadedPlugin>,
    request_id: &'p Arc<str>,
}

/// Why there is no outcome.
pub(in crate::plugin) enum PaymentFailure {
    /// The provider's own word.
    Answered(guest::Error),
    /// It began, and nobody knows how it ended.
    Unknown(String),
    /// It never began.
    NotSent(CallError),
}

impl<'p> Provider<'p> {
    /// The provider with this plugin id, if it is active.
    pub(in crate::plugin) fn find(reach: &'p HookReach, id: &str, request_id: &'p Arc<str>) -> Option<Self> {
        let plugin = reach.generation.hooks.of(Hook::Payment).iter().find(|plugin| plugin.id() == id)?;
        Some(Self { reach, plugin, request_id })
    }

    pub(in crate::plugin) fn id(&self) -> &str {
        self.plugin.id()
    }

    /// Which component and configuration answers.
    pub(in crate::plugin) fn source(&self) -> pricing_model::Source {
        self.plugin.source()
    }

    /// `authorize`, `capture`, `refund` or `void`.
    pub(in crate::plugin) async fn pay(
        &self,
        verb: &str,
        operation: guest::Operation,
    ) -> Result<guest::Outcome, PaymentFailure> {
        let operation = guest::Operation { config: self.plugin.config.clone(), ..operation };
        let name = format!("hook:payment.{verb}");
        self.call(&name, async |guest: guest::Guest, store: &mut wasmtime::Store<_>| match verb {
            "authorize" => guest.call_authorize(store, &operation).await,
            "capture" => guest.call_capture(store, &operation).await,
            "refund" => guest.call_refund(store, &operation).await,
            _ => guest.call_void(store, &operation).await,
        })
        .await
    }

    /// What became of an operation.
    pub(in crate::plugin) async fn status(
        &self,
        kind: &str,
        operation: guest::Operation,
    ) -> Result<guest::Outcome, PaymentFailure> {
        let operation = guest::Operation { config: self.plugin.config.clone(), ..operation };
        self.call("hook:payment.status", async |guest: guest::Guest, store: &mut wasmtime::Store<_>| {
            guest.call_status(store, kind, &operation).await
        })
        .await
    }

    async fn call(
        &self,
        operation: &str,
        verb: impl AsyncFnOnce(
            guest::Guest,
            &mut wasmtime::Store<crate::plugin::instance::CallState>,
        ) -> wasmtime::Result<Result<guest::Outcome, guest::Error>>,
    ) -> Result<guest::Outcome, PaymentFailure> {
        let check = async |answer: Result<guest::Outcome, guest::Error>, _: &_| match answer {
            Ok(outcome) => check_outcome(&outcome)
                .map(|()| Ok(outcome))
                .map_err(|error| CallError::new(Failure::Output, error)),
            Err(error) => Ok(Err(error)),
        };
        let word = |answer: &Result<guest::Outcome, guest::Error>| match answer {
            Ok(_) => "ok",
            Err(guest::Error::Declined(_)) => "declined",
            Err(guest::Error::Unknown(_)) => "unknown",
            Err(guest::Error::Invalid(_)) => "problem",
        };
        #[cfg(debug_assertions)]
        failpoint::reach(operation, Step::BeforeProvider);
        let answered = self.invoke(operation, verb, check, word).await;
        #[cfg(debug_assertions)]
        failpoint::reach(operation, Step::AfterProvider);
        match answered {
            Ok(Ok(outcome)) => Ok(outcome),
            Ok(Err(error)) => Err(PaymentFailure::Answered(error)),
            Err(error) if matches!(error.failure, Failure::Overload | Failure::BreakerOpen) => {
                Err(PaymentFailure::NotSent(error))
            }
            Err(error) => {
                Err(PaymentFailure::Unknown(tell(Hook::Payment, self.plugin.id(), &error, OnFailure::Block)))
            }
        }
    }

    /// Has the provider read a webhook.
    pub(in crate::plugin) async fn parse_webhook(
        &self,
        webhook: guest::Webhook,
    ) -> Result<Result<Vec<guest::Notice>, guest::WebhookError>, CallError> {
        let webhook = guest::Webhook { config: self.plugin.config.clone(), ..webhook };
        let call = async |guest: guest::Guest, store: &mut wasmtime::Store<_>| {
            guest.call_parse_webhook(store, &webhook).await
        };
        let check = async |answer: Result<Vec<guest::Notice>, guest::WebhookError>, _: &_| {
            let Ok(notices) = &answer else { return Ok(answer) };
            if notices.len() > NOTICES {
                return Err(CallError::new(Failure::Output, format!("{} notices", notices.len())));
            }
            for notice in notices {
                let long = notice.id.is_empty() || notice.id.len() > REFERENCE_CHARS;
                let wrong = if long { Err("a notice without a fitting id".to_owned()) } else { Ok(()) };
                wrong
                    .and_then(|()| check_outcome(&notice.outcome))
                    .map_err(|error| CallError::new(Failure::Output, error))?;
            }
            Ok(answer)
        };
        self.invoke(
            "hook:payment.webhook",
            call,
            check,
            |answer| if answer.is_ok() { "ok" } else { "problem" },
        )
        .await
    }

    async fn invoke<R, T>(
        &self,
        operation: &str,
        verb: impl AsyncFnOnce(
            guest::Guest,
            &mut wasmtime::Store<crate::plugin::instance::CallState>,
        ) -> wasmtime::Result<R>,
        check: impl AsyncFnOnce(R, &crate::plugin::instance::CallEnd) -> Result<T, CallError>,
        word: impl FnOnce(&T) -> &'static str,
    ) -> Result<T, CallError> {
        let Some(indices) = &self.plugin.prepared.roles.provider else {
            return Err(CallError::new(Failure::BreakerOpen, "it is no payment provider"));
        };
        let runtime = &self.reach.runtime;
        let _permit = self.plugin.provider_gate.enter(1).await?;
        let own = Instant::now() + Duration::from_millis(self.plugin.limits.timeout_ms);
        // The caller must be able to write down what came of it.
        let latest = self.reach.deadline.checked_sub(PROVIDER_MARGIN).unwrap_or(self.reach.deadline);
        if latest <= Instant::now() {
            return Err(CallError::new(Failure::Overload, "the request has no time left to call a provider"));
        }
        let deadline = own.min(latest);
        let invocation = Invocation {
            engine: &runtime.engine,
            plugin: self.plugin,
            operation,
            request_id: self.request_id,
            reach: runtime.provider_reach(self.plugin, self.request_id, deadline),
            bound: Bound::Time,
            deadline,
            lent: deadline < own,
        };
        let call = async |store: &mut wasmtime::Store<_>, instance: &wasmtime::component::Instance| {
            let guest = indices.load(&mut *store, instance)?;
            verb(guest, store).await
        };
        runtime.invoke(invocation, call, check, word).await
    }
}

fn check_outcome(outcome: &guest::Outcome) -> Result<(), String> {
    if !STATES.contains(&outcome.state.as_str()) {
        let state: String = outcome.state.chars().take(40).collect();
        return Err(format!("the state `{state}`, which there is none of"));
    }
    if outcome.reference.chars().count() > REFERENCE_CHARS {
        return Err("a reference that is too long".to_owned());
    }
    if let Some(action) = &outcome.next_action {
        let is_object = action.len() <= NEXT_ACTION_BYTES
            && serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(action).is_ok();
        if !is_object {
            return Err("a next action that is no JSON object, or too large".to_owned());
        }
    }
    Ok(())
}
