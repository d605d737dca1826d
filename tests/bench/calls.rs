//! A trivial plugin call: a fresh instance that answers a few bytes.

use std::{sync::Arc, time::Instant};

use axum::{Router, routing::get};
use host::{
    plugin::{Caller, Handled, HandlerRequest, Lookup},
    store::Transaction,
};
use platform_tests::host::TestHostBuilder;
use tokio::net::TcpListener;

use crate::{
    load::requests_per_second,
    table::{Table, median},
};

const CALLS: usize = 20_000;
const ROUNDS: usize = 3;

pub(crate) async fn run(table: &mut Table) {
    let host = TestHostBuilder::empty().fixture("trivial").start().await;
    let generation = host.app.plugins().current();
    let Lookup::Found { entry, .. } = generation.lookup("GET", "/trivial") else { panic!("no route") };
    let request_id: Arc<str> = Arc::from("bench");
    let mut calls = Vec::with_capacity(CALLS);
    let mut natives = Vec::with_capacity(CALLS);
    for _ in 0..CALLS {
        let request = HandlerRequest {
            params: Vec::new(),
            query: Vec::new(),
            headers: Vec::new(),
            body: Vec::new(),
            list: None,
            caller: Caller::anonymous(),
            if_match: None,
            password_hash: None,
        };
        let transaction = Transaction::new(None, None, "readTrifle", "bench");
        let started = Instant::now();
        let handled = host
            .app
            .runtime()
            .handle(&generation, &entry.plugin, &entry.route, request, &transaction, &request_id)
            .await
            .unwrap();
        calls.push(started.elapsed().as_secs_f64() * 1e6);
        assert!(matches!(handled, Handled::Response(_)));
        // The cheapest thing with the same promise of not disturbing the caller: a task of its own.
        let started = Instant::now();
        let body = tokio::spawn(async { br#"{"hello":"world"}"#.to_vec() }).await.unwrap();
        natives.push(started.elapsed().as_secs_f64() * 1e6);
        assert!(!body.is_empty());
    }
    let (call, native) = (median(calls), median(natives));
    table.row(
        "Trivial plugin call, p50",
        format!("{call:.1} µs"),
        format!("{native:.1} µs, a native task"),
        call / native,
        "≤ 30 µs",
    );

    let native = Router::new().route("/trivial", get(async || r#"{"hello":"world"}"#));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let native_url = format!("http://{}/trivial", listener.local_addr().unwrap());
    let serving = tokio::spawn(async move { axum::serve(listener, native).await.unwrap() });
    let (mut plugin, mut baseline) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        plugin.push(requests_per_second(&format!("{}/api/v1/trivial", host.origin())).await);
        baseline.push(requests_per_second(&native_url).await);
    }
    serving.abort();
    let (plugin, baseline) = (median(plugin), median(baseline));
    table.row(
        "Trivial plugin over HTTP",
        format!("{plugin:.0}/s"),
        format!("{baseline:.0}/s, bare axum"),
        plugin / baseline,
        "",
    );
    drop(host.stop().await);
}
