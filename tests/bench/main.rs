//! `cargo xtask bench`: figures, each beside its baseline of the same run.
//!
//! Loads over HTTP come from `wrk`, a process of its own, so that it costs both sides the same. Every figure is the
//! median of several alternating rounds; ratios say more than absolute numbers on a shared machine.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark reports on standard output and fails loudly"
)]

mod calls;
mod commits;
mod identity;
mod load;
mod mongodb;
mod orders;
mod reads;
mod scale;
mod table;

use mimalloc::MiMalloc;
use table::Table;

/// The one of the `wares` command: the host runs in this process.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[tokio::main]
async fn main() {
    let mut table = Table::default();
    // Names of parts as arguments; without any it is all.
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let is_wanted = |part: &str| wanted.is_empty() || wanted.iter().any(|wanted| wanted == part);
    if is_wanted("commits") {
        commits::run(&mut table).await;
    }
    if is_wanted("calls") {
        calls::run(&mut table).await;
    }
    if is_wanted("identity") {
        identity::run(&mut table).await;
    }
    if is_wanted("reads") {
        reads::run(&mut table).await;
    }
    if is_wanted("orders") {
        orders::run(&mut table).await;
    }
    if is_wanted("mongodb") {
        mongodb::run(&mut table).await;
    }
    // Minutes long, so only when it is named.
    if wanted.iter().any(|wanted| wanted == "scale") {
        let products = wanted.iter().find_map(|wanted| wanted.parse().ok());
        scale::run(&mut table, products).await;
    }
    println!("{table}");
}
