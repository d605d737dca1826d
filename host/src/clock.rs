//! The one clock of the host.
//!
//! Everything that depends on wall time takes it from here, so that a test moves time instead of waiting
//! for it. Deliberately absent: deadlines of calls, which are real time and tokio's business.

use std::{
    sync::{
        Arc, LazyLock,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use jiff::Timestamp;

/// Tells the wall time. Clones tell the same time.
#[derive(Debug, Clone)]
pub struct Clock {
    source: Source,
}

#[derive(Debug, Clone)]
enum Source {
    System,
    Manual(Arc<AtomicI64>),
}

/// Moves a manual clock and all its clones.
#[derive(Debug, Clone)]
pub struct ManualClock {
    now_ms: Arc<AtomicI64>,
}

impl Clock {
    pub fn system() -> Self {
        Self { source: Source::System }
    }

    /// A clock that stands at a Unix time in milliseconds until its handle moves it.
    pub fn manual(start_ms: i64) -> (Self, ManualClock) {
        let now_ms = Arc::new(AtomicI64::new(start_ms));
        (Self { source: Source::Manual(now_ms.clone()) }, ManualClock { now_ms })
    }

    /// Unix time in milliseconds.
    pub fn now_ms(&self) -> i64 {
        match &self.source {
            Source::System => Timestamp::now().as_millisecond(),
            Source::Manual(now_ms) => now_ms.load(Ordering::SeqCst),
        }
    }

    /// Time that only goes forward, from some moment on.
    pub fn elapsed(&self) -> Duration {
        static START: LazyLock<Instant> = LazyLock::new(Instant::now);
        match &self.source {
            Source::System => START.elapsed(),
            Source::Manual(now_ms) => Duration::from_millis(now_ms.load(Ordering::SeqCst).unsigned_abs()),
        }
    }

    /// The time in RFC 3339, UTC, with milliseconds, as documents hold it.
    pub fn timestamp(&self) -> String {
        timestamp_at(self.now_ms())
    }

    /// The time a while from now, in the same form.
    pub fn timestamp_in(&self, while_: Duration) -> String {
        timestamp_at(self.now_ms().saturating_add(milliseconds(while_)))
    }
}

impl ManualClock {
    pub fn advance(&self, by: Duration) {
        self.now_ms.fetch_add(milliseconds(by), Ordering::SeqCst);
    }

    pub fn set_ms(&self, now_ms: i64) {
        self.now_ms.store(now_ms, Ordering::SeqCst);
    }
}

/// A Unix time in milliseconds in RFC 3339, UTC, with milliseconds. Times beyond the year 9999 stay at its end.
pub fn timestamp_at(unix_ms: i64) -> String {
    let time = Timestamp::from_millisecond(unix_ms);
    format!("{:.3}", time.unwrap_or(if unix_ms < 0 { Timestamp::MIN } else { Timestamp::MAX }))
}

/// A time in RFC 3339, of any zone and precision, in the form that documents hold.
pub fn timestamp_of(text: &str) -> Option<String> {
    let time: Timestamp = text.parse().ok()?;
    Some(timestamp_at(time.as_millisecond()))
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_with_its_handle() {
        let (clock, handle) = Clock::manual(1_795_424_400_000);
        let clone = clock.clone();
        assert_eq!(clock.timestamp(), "2026-11-23T09:00:00.000Z");
        handle.advance(Duration::from_millis(1_005));
        assert_eq!(clone.timestamp(), "2026-11-23T09:00:01.005Z");
        assert_eq!(clone.timestamp_in(Duration::from_secs(60)), "2026-11-23T09:01:01.005Z");
    }
}
