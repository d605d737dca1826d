//! Load over HTTP, by `wrk`.

use std::process::Stdio;

use tokio::process::Command;

/// Connections that ask at the same time.
const CONNECTIONS: u32 = 32;
/// Seconds of one round.
const SECONDS: u32 = 4;

/// Requests per second that a URL answers. Only answers with status 200 count.
pub(crate) async fn requests_per_second(url: &str) -> f64 {
    let output = Command::new("wrk")
        .args(["-t1", &format!("-c{CONNECTIONS}"), &format!("-d{SECONDS}s"), url])
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap_or_else(|error| {
            panic!("`wrk` does not run ({error}): install it, on Debian with `apt-get install wrk`")
        });
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(!text.contains("Non-2xx"), "not everything was answered with 200:\n{text}");
    let figure = text.lines().find_map(|line| line.trim().strip_prefix("Requests/sec:"));
    figure.unwrap_or_else(|| panic!("`wrk` told no figure:\n{text}")).trim().parse().unwrap()
}
