//! Requests to the outside, in the name of plugins: the only place that knows the HTTP client and TLS.
//!
//! Invariants:
//! - A request goes to an origin that the operator granted and to no other. A redirect is an answer, and an address
//!   inside the operator's network is refused after the name is resolved, unless the grant names that origin.
//! - An error tells whether the other side may have got the request, over all attempts together: what may have arrived
//!   once is never told as unreachable, or as refused by a later answer that says nothing about it.
//! - Every request can be repeated, because it is a `GET` or `HEAD` or has an idempotency key, which is the same in
//!   every attempt.
//! - Bodies, headers and the paths of URLs are not logged.
//!
//! Deliberately absent: proxies, HTTP/2, cookies and compressed answers. What comes back is not searched for secrets:
//! an origin that is sent one has it anyway.

mod address;
mod check;
mod client;
mod origin;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use secrecy::SecretString;

use self::{check::Checked, client::Client};
use crate::{
    breaker::{Breaker, Change},
    clock::Clock,
    config::BreakerConfig,
};

pub use origin::{Origin, OriginError};

/// The time of one attempt where the request says none. Gateways answer within seconds; what takes longer than this is
/// asked about later.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);
/// A third attempt helps against a short disturbance. More would only add to the load of somebody in trouble.
const ATTEMPTS: u32 = 3;
/// The longest wait before the second attempt, doubled before the third. Chance takes any part of it (full jitter), so
/// that many who failed together do not come back together.
const BACKOFF: Duration = Duration::from_millis(250);
/// With less time left than this an attempt would only leave one more thing unknown.
const ATTEMPT_MIN: Duration = Duration::from_millis(100);
/// Attempts in a row that nobody answered close an origin: two requests with all their attempts come to six. For a short
/// time, because one attempt is what it costs to look.
const BREAKER: BreakerConfig =
    BreakerConfig { window: 5, min_calls: 5, failure_percent: 100, open_ms: 10_000 };

/// Sends requests. Clones share connections and breakers.
#[derive(Clone)]
pub struct Egress {
    inner: Arc<Inner>,
}

struct Inner {
    client: Client,
    clock: Clock,
    /// By plugin and origin, so that no plugin closes an origin for others. There are as many as grants were used.
    breakers: Mutex<HashMap<(String, Origin), Arc<Breaker>>>,
}

/// Whose request it is.
#[derive(Debug, Clone, Copy)]
pub struct Sender<'s> {
    pub plugin: &'s str,
    pub request_id: &'s str,
    /// Where it may send.
    pub origins: &'s BTreeSet<Origin>,
}

/// A request as the plugin wrote it: nothing of it is checked.
pub struct Outgoing {
    pub method: String,
    pub url: String,
    pub headers: Vec<(String, String)>,
    /// Names, and values that are not shown.
    pub secret_headers: Vec<(String, SecretString)>,
    pub body: Vec<u8>,
    /// For each attempt.
    pub timeout: Option<Duration>,
    pub idempotency_key: Option<String>,
}

/// What a request may take.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// When all attempts and the waits between them have ended.
    pub until: Instant,
    /// The most that the body of an answer may have.
    pub response_bytes: usize,
}

/// An answer, whatever its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incoming {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// Never sent, because it may not be.
    #[error("{0}")]
    Denied(String),
    /// Never sent, because it is malformed or too large.
    #[error("{0}")]
    Invalid(String),
    /// Never sent, because nobody was reached.
    #[error("{0}")]
    Unreachable(String),
    #[error("it was not answered in time")]
    Timeout,
    #[error("{0}")]
    Transport(String),
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
}

type Outcome = Result<Incoming, SendError>;

impl Egress {
    pub fn new(clock: Clock) -> Self {
        Self { inner: Arc::new(Inner { client: Client::new(), clock, breakers: Mutex::default() }) }
    }

    /// Sends a request, and again where that is safe and may help.
    ///
    /// # Errors
    /// [`SendError`].
    pub async fn send(&self, sender: Sender<'_>, request: Outgoing, bounds: Bounds) -> Outcome {
        let timeout = request.timeout.unwrap_or(ATTEMPT_TIMEOUT);
        let (origin, checked) = check::check(request, sender.origins)
            .inspect_err(|error| count("other", outcome_word(&Err(error.clone()))))?;
        let breaker = self.breaker(sender.plugin, origin);
        let mut earlier: Option<Outcome> = None;
        let mut attempt = 1;
        loop {
            let left = bounds.until.saturating_duration_since(Instant::now());
            if left < ATTEMPT_MIN {
                let error = SendError::Unreachable("the call has no time left to send it".to_owned());
                return earlier.unwrap_or(Err(error));
            }
            let Ok(pass) = breaker.admit(self.inner.clock.now_ms()) else {
                count(&origin.authority(), "breaker_open");
                let error = format!("`{origin}` keeps failing and is not asked for a while");
                return earlier.unwrap_or(Err(SendError::Unreachable(error)));
            };
            let started = Instant::now();
            let outcome =
                self.inner.client.attempt(origin, &checked, timeout.min(left), bounds.response_bytes).await;
            if pass.give_back(is_failure(&outcome), self.inner.clock.now_ms()) == Change::Opened {
                tracing::warn!(
                    plugin.id = sender.plugin,
                    "`{origin}` keeps failing and is not asked for a while"
                );
            }
            tell(sender, origin, &checked, attempt, &outcome, started.elapsed());
            let wait = if attempt < ATTEMPTS { wait_before_next(attempt, &outcome) } else { None };
            let known = settled(earlier, outcome);
            let Some(wait) = wait.filter(|wait| Instant::now() + *wait + ATTEMPT_MIN < bounds.until) else {
                return known;
            };
            earlier = Some(known);
            attempt += 1;
            tokio::time::sleep(wait).await;
        }
    }

    fn breaker(&self, plugin: &str, origin: &Origin) -> Arc<Breaker> {
        let mut breakers = self.inner.breakers.lock().unwrap_or_else(PoisonError::into_inner);
        let closed = || Arc::new(Breaker::new(BREAKER));
        breakers.entry((plugin.to_owned(), origin.clone())).or_insert_with(closed).clone()
    }
}

/// A longer wait that is asked for is as long as this one: no call has so much time.
const WAIT_MAX_SECONDS: u64 = 86_400;

/// How long to wait before the next attempt; nothing where another would not help.
fn wait_before_next(attempt: u32, outcome: &Outcome) -> Option<Duration> {
    let asked = match outcome {
        Err(SendError::Unreachable(_) | SendError::Timeout | SendError::Transport(_)) => Duration::ZERO,
        // A date is not read: whoever gives one does not mean the next seconds.
        Ok(answer) => match (answer.status, answer.header("retry-after")) {
            (502..=504, None) => Duration::ZERO,
            (429 | 502..=504, Some(after)) => {
                Duration::from_secs(after.parse::<u64>().ok()?.min(WAIT_MAX_SECONDS))
            }
            _ => return None,
        },
        Err(SendError::Denied(_) | SendError::Invalid(_) | SendError::TooLarge(_)) => return None,
    };
    let most = BACKOFF * 2_u32.saturating_pow(attempt - 1);
    // Without chance the whole wait is as good.
    let part = getrandom::u32().unwrap_or(u32::MAX);
    Some(asked + most.mul_f64(f64::from(part) / f64::from(u32::MAX)))
}

/// What is known after one more attempt. One that may have been done stays unknown until an answer says what became of
/// the request; that it is not authorized, too early or one too many says nothing about the time before.
fn settled(earlier: Option<Outcome>, latest: Outcome) -> Outcome {
    let may_be_done = |outcome: &Outcome| match outcome {
        Ok(answer) => answer.status >= 500,
        Err(error) => error.may_be_sent(),
    };
    let decides = |outcome: &Outcome| match outcome {
        Ok(answer) => !matches!(answer.status, 401 | 403 | 407 | 408 | 409 | 425 | 429 | 500..),
        Err(_) => false,
    };
    match earlier {
        Some(earlier) if may_be_done(&earlier) && !decides(&latest) => earlier,
        _ => latest,
    }
}

/// Whether nobody answered, which is what breakers count.
fn is_failure(outcome: &Outcome) -> bool {
    matches!(outcome, Err(SendError::Unreachable(_) | SendError::Timeout | SendError::Transport(_)))
}

fn outcome_word(outcome: &Outcome) -> &'static str {
    match outcome {
        Ok(answer) => match answer.status {
            ..300 => "2xx",
            300..400 => "3xx",
            400..500 => "4xx",
            500.. => "5xx",
        },
        Err(SendError::Denied(_)) => "denied",
        Err(SendError::Invalid(_)) => "invalid",
        Err(SendError::Unreachable(_)) => "unreachable",
        Err(SendError::Timeout) => "timeout",
        Err(SendError::Transport(_)) => "transport",
        Err(SendError::TooLarge(_)) => "too_large",
    }
}

fn tell(
    sender: Sender<'_>,
    origin: &Origin,
    request: &Checked,
    attempt: u32,
    outcome: &Outcome,
    took: Duration,
) {
    let word = outcome_word(outcome);
    count(&origin.authority(), word);
    tracing::debug!(
        plugin.id = sender.plugin,
        request.id = sender.request_id,
        origin = %origin,
        method = %request.method,
        attempt,
        outcome = word,
        status = outcome.as_ref().ok().map(|answer| answer.status),
        cause = outcome.as_ref().err().map(tracing::field::display),
        duration_ms = took.as_millis(),
        "A request to `{origin}` ended: {word}"
    );
}

/// The host is one that was granted, or `other`: a guest cannot make up labels.
fn count(host: &str, outcome: &'static str) {
    let labels = [("host", host.to_owned()), ("outcome", outcome.to_owned())];
    metrics::counter!("egress_requests_total", &labels).increment(1);
}

impl Incoming {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(it, _)| it == name).map(|(_, value)| value.as_str())
    }
}

impl SendError {
    /// Whether the other side may have got the request.
    fn may_be_sent(&self) -> bool {
        match self {
            Self::Denied(_) | Self::Invalid(_) | Self::Unreachable(_) => false,
            Self::Timeout | Self::Transport(_) | Self::TooLarge(_) => true,
        }
    }
}
