//! What was sent to Stripe and when, written down before it is sent.

use plugin_sdk::{Context, FieldOperation, Level, Problem, Refusal, Stored, natural_id, payment::Operation};
use serde::{Deserialize, Serialize};

use crate::{ATTEMPTS, rules::Failure};

/// Stripe remembers idempotency keys for 24 hours at least. The rest is for clocks that differ, and for the way.
const KEY_LIFE_MS: i64 = 23 * 60 * 60 * 1000;

/// A request, to be repeated to the letter: with other words, from another configuration, it would be another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Attempt {
    pub(crate) path: String,
    pub(crate) form: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    at_ms: i64,
    #[serde(flatten)]
    attempt: Attempt,
}

/// Writes the attempt down, unless it is there. Answers whether it is the first.
pub(crate) fn begin(ctx: &Context<'_>, operation: &Operation, attempt: &Attempt) -> Result<bool, Failure> {
    let mut commit = ctx.commit();
    let written = Written { at_ms: ctx.now_ms(), attempt: attempt.clone() };
    commit.insert_with_id(ATTEMPTS, &id(operation), &written);
    match commit.apply() {
        Ok(_) => Ok(true),
        Err(error) if matches!(error.refusal(), Some((_, Refusal::AlreadyExists))) => {
            find(ctx, operation).map(|_| false)
        }
        Err(error) => Err(Failure::NotDone(error.into())),
    }
}

/// The attempt that was made under this key.
///
/// # Errors
/// [`Failure::Unknown`] when Stripe may have forgotten the key, under which a repeat would be another payment.
pub(crate) fn find(ctx: &Context<'_>, operation: &Operation) -> Result<Option<Attempt>, Failure> {
    let written = ctx.get::<Written>(ATTEMPTS, &id(operation)).map_err(|error| {
        let problem: Problem = error.into();
        Failure::NotDone(problem)
    })?;
    let Some(Stored { data: Written { at_ms, attempt }, .. }) = written else { return Ok(None) };
    if ctx.now_ms().saturating_sub(at_ms) > KEY_LIFE_MS {
        return Err(Failure::Unknown("it was sent too long ago to be sent again".to_owned()));
    }
    Ok(Some(attempt))
}

/// Says that it is going to be sent again, so that who has sent it first does not [`forget`] it.
///
/// # Errors
/// [`Failure::NotDone`].
pub(crate) fn repeat(ctx: &Context<'_>, operation: &Operation) -> Result<(), Failure> {
    let mut commit = ctx.commit();
    commit.update(ATTEMPTS, &id(operation), vec![FieldOperation::increment("repeats", 1)]);
    commit.apply().map(drop).map_err(|error| Failure::NotDone(error.into()))
}

/// Takes an attempt back that nothing came of and nobody has repeated: otherwise it would count as sent, and after a day
/// as sent too long ago. Where it cannot be taken back it stays.
pub(crate) fn forget(ctx: &Context<'_>, operation: &Operation) {
    let mut commit = ctx.commit();
    let deleted = commit.delete(ATTEMPTS, &id(operation));
    commit.expect_version(deleted, 1);
    if commit.apply().is_err() {
        ctx.log(Level::Debug, "An attempt that was not sent is kept", &[]);
    }
}

fn id(operation: &Operation) -> String {
    natural_id("sta", &operation.idempotency_key)
}
