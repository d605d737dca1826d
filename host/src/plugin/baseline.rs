//! The interfaces a component may import: the fixed WASI baseline and what this host implements.
//!
//! The linker in [`engine`](super::engine) holds exactly these; a test keeps the two lists equal.

/// Interface names without versions.
pub(super) const OFFERED: &[&str] = &[
    "wares:hooks/hooks",
    "wares:http-client/http-client",
    "wares:identity/identity",
    "wares:log/log",
    "wares:payment/provider",
    "wares:pricing/rule",
    "wares:secrets/secrets",
    "wares:shipping/rates",
    "wares:store/query",
    "wares:store/store",
    "wares:types/types",
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stderr",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stderr",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:filesystem/preopens",
    "wasi:filesystem/types",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
    "wasi:random/random",
];
