//! `kill -9` while a new version of a plugin is being loaded.

use std::{path::Path, time::Duration};

use platform_tests::{
    host::built,
    plugin::marked,
    process::{Place, Server},
    random,
    sizes::RELOAD_KILLS,
};
use proptest::prelude::RngExt;

/// Renamed into place, as a careful writer does.
fn install(plugins: &Path, version: &str) {
    let temporary = plugins.join(".versioned.tmp");
    std::fs::write(&temporary, marked("versioned", version)).unwrap();
    std::fs::rename(temporary, plugins.join("versioned.wasm")).unwrap();
}

async fn version(server: &Server) -> String {
    let answer = server.anonymous().get("/versioned/one").await.expect(200);
    assert_eq!(answer["first"], answer["last"]);
    answer["first"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_while_it_loads_starts_with_a_whole_version() {
    let mut runner = random::runner(7);
    let mut place = Place::new();
    // Where the store remembers what is active, and the folder only proposes.
    place.set_environment("WARES_ENV", "staging");
    place.set_environment("JWT_SECRET", "a secret of the tests, long enough to sign with");
    place.configure_whole(
        "plugins.grants = \"plugins.toml\"\nplugins.poll_ms = 100\nplugins.debounce_ms = 5\ntelemetry.filter = \"warn\"\n",
    );
    std::fs::write(place.path().join("plugins.toml"), "").unwrap();
    let plugins = place.own_plugins();
    std::fs::copy(built("fixtures", "trivial"), plugins.join("trivial.wasm")).unwrap();
    install(&plugins, "r0");
    let mut serving = "r0".to_owned();
    for run in 1..=RELOAD_KILLS.get() {
        let server = place.serve();
        assert_eq!(version(&server).await, serving);
        let next = format!("r{run}");
        install(&plugins, &next);
        // Not a wait for a condition: when the kill strikes is what is tried out.
        tokio::time::sleep(Duration::from_millis(runner.rng().random_range(0..=600))).await;
        server.kill();
        let server = place.serve();
        let found = version(&server).await;
        assert_eq!(found, next, "what the folder proposes is loaded at the latest at the start");
        server.anonymous().get("/trivial").await.expect(200);
        serving = found;
        server.stop();
    }
}
