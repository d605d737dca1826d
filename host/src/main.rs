//! The `wares` binary. All of it is in the library, where it can be tested.

use std::process::ExitCode;

use host::app::App;
use mimalloc::MiMalloc;

/// Requests are many small pieces of JSON, made on one thread and dropped on another, which the allocator of the C library
/// is slow at.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    host::cli::main::<App>()
}
