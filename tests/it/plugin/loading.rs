//! Files that are no plugin are refused with a sentence that says why.

use std::{fs::File, sync::Arc};

use host::{
    clock::Clock,
    config::{AuthConfig, PluginsConfig},
    egress::Egress,
    identity::Identity,
    mail::Mailer,
    plugin::{ComponentError, Outside, PluginRuntime, host_collections, prepare},
    secrets::Secrets,
    store::{Store, StoreConfig},
};
use platform_tests::{
    host::{START_MS, TestHostBuilder, built},
    plugin::{component_around, component_around_component, component_importing, marked, module_of},
    random, sizes,
};
use proptest::prelude::Rng as _;
use secrecy::SecretString;

/// A version that serves, and files that try to take its place.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_no_plugin_leaves_the_running_version_serving() {
    let host = TestHostBuilder::empty()
        .marked("versioned", "a")
        .configure(|config| config.plugins.max_component_bytes = 4 << 20)
        .start()
        .await;
    let good = marked("versioned", "b");
    for (bytes, says) in [
        (Vec::new(), "it is empty"),
        (b"<html>not found</html>".to_vec(), "not a WebAssembly file"),
        (module_of(&[], &[]), "core module and not a component"),
        (good[..good.len() / 2].to_vec(), "not a valid component"),
        (component_around(&module_of(&[], &[])), "does not export `wares:lifecycle/lifecycle@1.0.0`"),
        (component_importing("wasi:http/outgoing-handler@0.2.0"), "no plugin reaches the network"),
        (component_importing("wares:store/store@2.0.0"), "this host offers version 1.0.0"),
        (component_importing("wares:events/subscriber@0.1.0"), "does not offer"),
        (component_importing("some:other/thing@1.0.0"), "outside the fixed baseline"),
        (std::fs::read(built("fixtures", "sockets")).unwrap(), "no plugin reaches the network"),
        (vec![0; (4 << 20) + 1], "more than the 4194304"),
    ] {
        host.install("versioned.wasm", &bytes).await;
        let (reason, still_serving) = host.refusal();
        assert!(reason.contains(says), "wanted `{says}`: {reason}");
        assert!(still_serving, "{says}");
        assert_eq!(host.anonymous().get("/versioned/one").await.expect(200)["first"], "a", "{says}");
    }
    host.install("versioned.wasm", &good).await;
    assert_eq!(host.refusals(), []);
    assert_eq!(host.anonymous().get("/versioned/one").await.expect(200)["first"], "b");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_far_too_large_is_refused_without_reading_it() {
    let host = TestHostBuilder::empty().marked("versioned", "a").start().await;
    // A hole of a tebibyte, which fits on any disk and in no memory.
    File::create(host.plugins_dir.join("large.wasm")).unwrap().set_len(1 << 40).unwrap();
    host.reload().await;
    let (reason, _) = host.refusal();
    assert!(reason.contains("1099511627776 bytes"), "{reason}");
    assert_eq!(host.anonymous().get("/versioned/one").await.expect(200)["first"], "a");
}

/// The parts of a host that prepare components, without the rest.
struct Preparing {
    runtime: PluginRuntime,
    config: PluginsConfig,
    _data: tempfile::TempDir,
}

impl Preparing {
    async fn new() -> Self {
        let data = tempfile::tempdir().unwrap();
        let (clock, _) = Clock::manual(START_MS);
        let store = Store::open(StoreConfig::embedded(data.path()), clock).await.unwrap();
        store.collections_declare_host(host_collections()).await.unwrap();
        let secret = SecretString::from("a secret of the tests, long enough to sign with");
        let auth = AuthConfig { jwt_secret: Some(secret), ..AuthConfig::default() };
        let identity = Identity::open(store.clone(), &auth, Mailer::off()).await.unwrap();
        let config = PluginsConfig { compile_timeout_ms: 20_000, ..PluginsConfig::default() };
        let outside = Outside { egress: Egress::new(store.clock().clone()), secrets: Secrets::default() };
        Self {
            runtime: PluginRuntime::new(&config, Default::default(), store, identity, outside).unwrap(),
            config,
            _data: data,
        }
    }

    async fn prepare(&self, bytes: &[u8]) -> Result<(), ComponentError> {
        prepare(&self.runtime, None, &self.config, Arc::from(bytes)).await.map(drop)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_cut_anywhere_is_refused_as_torn() {
    let host = Preparing::new().await;
    let good = std::fs::read(built("fixtures", "trivial")).unwrap();
    for part in 0..40 {
        let cut = good.len() * part / 40;
        let error = host.prepare(&good[..cut]).await.unwrap_err();
        assert!(error.looks_torn(), "cut at {cut}: {error}");
    }
    host.prepare(&good).await.unwrap();
}

/// A turned bit may leave a valid component: then it loads, and is not this plugin any more. What matters is that
/// nothing panics, and that the host can still prepare the good one.
#[tokio::test(flavor = "multi_thread")]
async fn a_component_with_a_turned_bit_never_takes_the_host_down() {
    let host = Arc::new(Preparing::new().await);
    let good = std::fs::read(built("fixtures", "tiny")).unwrap();
    let mut random = random::runner(1).new_rng();
    let (mut refused, mut loaded) = (0, 0);
    for _ in 0..sizes::BIT_FLIPS.get() {
        let mut bytes = good.clone();
        let position = random.next_u32() as usize % bytes.len();
        bytes[position] ^= 1 << (random.next_u32() % 8);
        match host.prepare(&bytes).await {
            Ok(()) => loaded += 1,
            Err(error) => {
                assert!(!error.to_string().contains("panicked"), "byte {position}: {error}");
                refused += 1;
            }
        }
    }
    assert!(refused > 0 && loaded > 0, "{refused} refused, {loaded} loaded");
    host.prepare(&good).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn components_made_to_be_costly_to_compile_are_refused_in_bounded_time() {
    let host = Preparing::new().await;
    let blocks = |depth: usize| [[0x02, 0x40].repeat(depth), vec![0x0b; depth]].concat();
    for (module, says) in [
        // A million locals; wasm allows 50 000.
        (module_of(&[(1_000_000, 0x7f)], &[]), "locals"),
        // Functions of several MiB, straight and nested.
        (module_of(&[], &[0x41, 0, 0x1a].repeat(2_000_000)), "a function of 6000002 bytes"),
        (module_of(&[(50_000, 0x7f)], &blocks(1_000_000)), "a function of 3000"),
        // Deep and with many variables, but not large: it compiles.
        (module_of(&[(50_000, 0x7f)], &blocks(10_000)), "does not export"),
    ] {
        let error = host.prepare(&component_around(&module)).await.unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
    }
    // Components in components in components.
    let mut nested = component_around(&module_of(&[], &[]));
    for _ in 0..20_000 {
        nested = component_around_component(&nested);
    }
    let error = host.prepare(&nested).await.unwrap_err();
    assert!(error.to_string().contains("nested deeper"), "{error}");
    host.prepare(&std::fs::read(built("fixtures", "trivial")).unwrap()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn compiling_that_takes_too_long_is_given_up() {
    let mut host = Preparing::new().await;
    host.config.compile_timeout_ms = 1;
    let good = std::fs::read(built("fixtures", "hostile")).unwrap();
    let error = host.prepare(&good).await.unwrap_err();
    assert!(matches!(error, ComponentError::CompileTimeout(_)), "{error}");
    assert!(!error.looks_torn(), "it is not compiled again at once");
}
