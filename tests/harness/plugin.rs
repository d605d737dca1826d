//! Components made for one test: fixtures with another marker, and small ones put together by hand.

use serde_json::Value;

use crate::host::{TestHost, TestHostBuilder, built};

/// How the fixture `rule` misbehaves: its mode, the code that a call which it blocks is refused with, and what its failure
/// is called.
pub const MISBEHAVIOURS: [(&str, &str, &str); 10] = [
    ("loop", "plugin_failed", "cpu"),
    ("trap", "plugin_failed", "trap"),
    ("memory", "plugin_failed", "memory"),
    ("refuse", "plugin_failed", "refused"),
    ("sleep", "plugin_failed", "denied"),
    ("foreign", "plugin_output_invalid", "output"),
    ("unknown-line", "plugin_output_invalid", "output"),
    ("overflow", "plugin_output_invalid", "output"),
    ("gift", "plugin_output_invalid", "output"),
    ("many", "plugin_output_invalid", "output"),
];

const MARKER: &[u8] = b"FIXTURE-MARKER:";
const MARKER_BYTES: usize = 16;

/// A fixture with this text in its marker. All such variants have the same size.
pub fn marked(fixture: &str, marker: &str) -> Vec<u8> {
    let mut bytes = std::fs::read(built("fixtures", fixture)).unwrap();
    let places: Vec<usize> =
        bytes.windows(MARKER.len()).enumerate().filter(|(_, it)| *it == MARKER).map(|(at, _)| at).collect();
    assert_eq!(places.len(), 1, "the marker of {fixture} is there once");
    assert!(marker.len() <= MARKER_BYTES, "{marker}");
    let start = places[0] + MARKER.len();
    bytes[start..start + MARKER_BYTES].fill(b'.');
    bytes[start..start + marker.len()].copy_from_slice(marker.as_bytes());
    bytes
}

/// A component with a mark in it that changes nothing but its digest: a custom section.
pub fn stamped(component: &[u8], number: u32) -> Vec<u8> {
    let content = [&sized(b"stamp")[..], &number.to_le_bytes()].concat();
    [component, &section(0, &content)].concat()
}

/// A component with this core module in it, and nothing imported or exported.
pub fn component_around(module: &[u8]) -> Vec<u8> {
    [b"\0asm\x0d\0\x01\0".to_vec(), section(1, module)].concat()
}

/// A component with this component in it.
pub fn component_around_component(component: &[u8]) -> Vec<u8> {
    [b"\0asm\x0d\0\x01\0".to_vec(), section(4, component)].concat()
}

/// A component that imports one empty instance under this name.
pub fn component_importing(name: &str) -> Vec<u8> {
    let empty_instance_type = [1, 0x42, 0];
    let import = [vec![1, 0], sized(name.as_bytes()), vec![5, 0]].concat();
    [b"\0asm\x0d\0\x01\0".to_vec(), section(7, &empty_instance_type), section(10, &import)].concat()
}

/// A core module with one function that has this body.
pub fn module_of(locals: &[(u32, u8)], code: &[u8]) -> Vec<u8> {
    let mut body = leb(locals.len());
    for &(count, kind) in locals {
        body.extend(leb(count as usize));
        body.push(kind);
    }
    body.extend(code);
    body.push(0x0b);
    let code = [vec![1], sized(&body)].concat();
    [b"\0asm\x01\0\0\0".to_vec(), section(1, &[1, 0x60, 0, 0]), section(3, &[1, 0]), section(10, &code)]
        .concat()
}

fn section(id: u8, content: &[u8]) -> Vec<u8> {
    [vec![id], sized(content)].concat()
}

fn sized(content: &[u8]) -> Vec<u8> {
    [leb(content.len()), content.to_vec()].concat()
}

fn leb(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

impl TestHostBuilder {
    /// Adds a fixture with this text in its marker.
    pub fn marked(self, fixture: &str, marker: &str) -> Self {
        self.component(&format!("{fixture}.wasm"), marked(fixture, marker))
    }
}

impl TestHost {
    /// Replaces the plugins file and loads what it says.
    pub async fn grant(&self, text: &str) -> Value {
        std::fs::write(self.data_dir().join("plugins.toml"), text).unwrap();
        self.reload().await
    }

    /// Calls of an operation that ended in this way, as `/metrics` tells.
    pub async fn calls(&self, operation: &str, outcome: &str) -> u64 {
        self.counted("plugin_calls_total", &[("operation", operation), ("outcome", outcome)]).await
    }

    /// What a counter comes to over all that has these labels, as `/metrics` tells.
    pub async fn counted(&self, counter: &str, labels: &[(&str, &str)]) -> u64 {
        let metrics = self.anonymous().get("//metrics").await.text();
        let counter = format!("{counter}{{");
        let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect();
        metrics
            .lines()
            .filter(|line| line.starts_with(&counter) && labels.iter().all(|label| line.contains(label)))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
            .sum()
    }

    /// Requests to a host outside that ended in this way, as `/metrics` tells.
    pub async fn sent(&self, host: &str, outcome: &str) -> u64 {
        let metrics = self.anonymous().get("//metrics").await.text();
        let labels = format!("egress_requests_total{{host=\"{host}\",outcome=\"{outcome}\"}} ");
        metrics.lines().find_map(|line| line.strip_prefix(&labels)?.parse().ok()).unwrap_or(0)
    }

    /// The refusals that operators see, as pairs of source and reason, and whether the earlier version goes on.
    pub fn refusals(&self) -> Vec<(String, String, bool)> {
        let report = self.app.plugins_report();
        let text = |it: &Value| it.as_str().unwrap_or_default().to_owned();
        report["refused"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| (text(&it["source"]), text(&it["reason"]), it["stillServing"] == true))
            .collect()
    }

    /// The only refusal.
    #[track_caller]
    pub fn refusal(&self) -> (String, bool) {
        let refusals = self.refusals();
        assert_eq!(refusals.len(), 1, "{refusals:?}");
        (refusals[0].1.clone(), refusals[0].2)
    }
}
