//! The plugin engine: what a plugin cannot do, how it gets in, and how it is replaced.

mod admission;
mod budgets;
mod commits;
mod configuring;
mod conflicts;
mod descriptors;
mod fixtures;
mod grants;
mod hooks;
mod isolation;
mod loading;
mod native;
mod outputs;
mod outside;
mod priorities;
mod starting;
mod swapping;
mod watching;

use platform_tests::host::{TestHost, TestHostBuilder};

/// Limits that a hostile call meets soon and an honest one never, also on a busy machine.
const LIMITS: &str = "[plugins.hostile.limits]\ncpu_ms = 300\ntimeout_ms = 2000\nmemory_bytes = 16777216\n";

/// A host with the hostile plugin and a neighbour. The breaker stays out of the way.
fn hostile() -> TestHostBuilder {
    TestHostBuilder::empty().fixture("hostile").fixture("trivial").grants(LIMITS).configure(|config| {
        config.plugins.breaker.window = 1_000;
        config.plugins.breaker.min_calls = 1_000;
    })
}

/// Calls a hostile route and asserts how it fails: in the answer, in the metric, and that others go on.
#[track_caller]
fn fails<'h>(
    host: &'h TestHost,
    request: &'h str,
    status: u16,
    code: &'h str,
    outcome: &'h str,
) -> impl Future<Output = ()> + 'h {
    let caller = std::panic::Location::caller();
    async move {
        let (method, path) = request.split_once(' ').unwrap();
        let operation = operation_of(path);
        let before = host.calls(&operation, outcome).await;
        let client = host.anonymous();
        let answer = client.send(client.request(method.parse().unwrap(), path)).await;
        let problem = answer.expect_problem(status, code);
        assert_eq!(problem["outcome"], outcome, "{caller}: {problem}");
        assert_eq!(host.calls(&operation, outcome).await, before + 1, "{caller}: {request} is counted");
        let neighbour = host.anonymous().get("/trivial").await.expect(200);
        assert_eq!(neighbour["hello"], "world");
    }
}

/// `/hostile/huge-response?…` is `hostileHugeResponse`.
fn operation_of(path: &str) -> String {
    let name = path.split(['/', '?']).nth(2).unwrap();
    let words = name.split('-').map(|word| format!("{}{}", word[..1].to_uppercase(), &word[1..]));
    format!("hostile{}", words.collect::<String>())
}
