//! Waiting for a condition, always with an end.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// Longer than anything takes inside one host.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(10);

/// Waits until a condition holds.
///
/// # Panics
/// When it does not within ten seconds.
pub async fn eventually(what: &str, holds: impl AsyncFnMut() -> bool) {
    within(PATIENCE, what, holds).await;
}

/// Waits until a condition holds that may take longer.
///
/// # Panics
/// When there is no patience left.
pub async fn within(patience: Duration, what: &str, mut holds: impl AsyncFnMut() -> bool) {
    found_within(patience, what, async || holds().await.then_some(())).await;
}

/// Waits until there is something.
///
/// # Panics
/// When there is no patience left.
pub async fn found_within<T>(patience: Duration, what: &str, mut find: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(found) = find().await {
            return found;
        }
        assert!(Instant::now() < deadline, "{what} did not happen");
        sleep(PAUSE).await;
    }
}
