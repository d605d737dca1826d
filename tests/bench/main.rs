//! `cargo xtask bench`: figures, each beside its baseline of the same run.
//!
//! Loads over HTTP come from `wrk`, a process of its own, so that it costs both sides the same. Every figure is the
//! median of several alternating rounds; ratios say more than absolute numbers on a shared machine.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark reports on standard output and fails loudly"
)]

mod calls;
mod commits;
mod load;
mod reads;
mod table;

use table::Table;

#[tokio::main]
async fn main() {
    let mut table = Table::default();
    commits::run(&mut table).await;
    calls::run(&mut table).await;
    reads::run(&mut table).await;
    println!("{table}");
}
