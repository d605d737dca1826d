//! The `wares` binary. All of it is in the library, where it can be tested.

use std::process::ExitCode;

use host::app::App;

fn main() -> ExitCode {
    host::cli::main::<App>()
}
