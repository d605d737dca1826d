//! SIGTERM and SIGINT.

use std::{io, process, time::Duration};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
    time::timeout,
};

/// Exit code of a process that a second signal ended: work in flight was given up.
const ABANDONED: i32 = 1;

/// Signals this soon after the first are taken for the same request.
const SAME_REQUEST: Duration = Duration::from_millis(500);

/// Tells everybody who waits that the host stops. Clones hear the same.
#[derive(Debug, Clone)]
pub(super) struct Stop {
    stopped: watch::Receiver<bool>,
}

impl Stop {
    /// Listens for the signals from now on. The first asks to stop, the second ends the process at once.
    pub(super) fn on_signals() -> io::Result<Self> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let (stop, stopped) = watch::channel(false);
        tokio::spawn(async move {
            let name = either(&mut terminate, &mut interrupt).await;
            tracing::info!("Stopping on {name}: requests in flight are answered first");
            stop.send_replace(true);
            // Supervisors such as `timeout` signal the process and then its group: that is one request to stop.
            let _ = timeout(SAME_REQUEST, async {
                loop {
                    either(&mut terminate, &mut interrupt).await;
                }
            })
            .await;
            let name = either(&mut terminate, &mut interrupt).await;
            tracing::warn!("Stopping at once on a second {name}");
            process::exit(ABANDONED);
        });
        Ok(Self { stopped })
    }

    /// Waits until the host stops.
    pub(super) async fn wait(mut self) {
        // An error means that the sender is gone, and with it every reason to go on.
        let _ = self.stopped.wait_for(|stopped| *stopped).await;
    }
}

async fn either(terminate: &mut Signal, interrupt: &mut Signal) -> &'static str {
    tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    }
}
