//! What a plugin says about itself is checked before it serves, and a wrong version never replaces a good one.

use platform_tests::{
    host::{TestHost, TestHostBuilder},
    plugin::marked,
};

async fn good() -> TestHost {
    TestHostBuilder::empty().marked("misdescribed", "good").fixture("trivial").start().await
}

/// Installs a version with this marker and asserts that it is refused for a reason that says this.
async fn refused(host: &TestHost, marker: &str, says: &[&str]) {
    host.install("misdescribed.wasm", &marked("misdescribed", marker)).await;
    let (reason, still_serving) = host.refusal();
    for text in says {
        assert!(reason.contains(text), "`{marker}` is refused with: {reason}");
    }
    assert!(still_serving, "{marker}");
    let serving = host.anonymous().get("/misdescribed").await.expect(200);
    assert_eq!(serving["marker"], "good", "after `{marker}`");
    host.anonymous().get("/trivial").await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_descriptor_that_breaks_a_rule_is_refused_and_the_running_version_stays() {
    let host = good().await;
    for (marker, says) in [
        ("reserved", ["`steal`", "`/auth`", "belongs to the host"]),
        ("reserved-plugins", ["`steal`", "`/plugins`", "belongs to the host"]),
        ("bad-path", ["`steal`", "`..`", "kebab-case"]),
        ("wildcard", ["`steal`", "`{anything}`", "cannot be"]),
        ("no-access", ["`extra`", "declares no access rule", "permission"]),
        ("bad-schema", ["`NoType`", "does not compile", ""]),
        ("bad-ref", ["`NoTarget`", "does not compile", ""]),
        ("code", ["`extra`", "`made_up`", "closed list"]),
        ("permission", ["`extra`", "`nobody:declares`", "does not declare"]),
        ("status", ["`extra`", "2xx", ""]),
        ("attr", ["`extra`", "`serialized-by`", "does not know"]),
        ("key-on-get", ["`extra`", "`idempotency-key`", "does not know"]),
        ("credential", ["`extra`", "`Authorization`", "only the host reads"]),
        ("many-routes", ["at most 200 routes", "", ""]),
        ("host-collection", ["`_audit`", "reserved", ""]),
        ("config-schema", ["schema", "does not compile", ""]),
        ("config-required", ["configuration", "currency", ""]),
        ("config-refused", ["configuration", "/currency", "is not a currency"]),
    ] {
        refused(&host, marker, &says).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn describing_itself_is_bounded_and_has_no_capabilities() {
    let host = good().await;
    for (marker, says) in [
        ("loops", ["did not describe itself", "cpu"]),
        ("sleeps", ["did not describe itself", "timeout"]),
        ("panics", ["did not describe itself", "described with a panic"]),
        ("grows", ["did not describe itself", "memory"]),
        ("uses-store", ["did not describe itself", "no capabilities"]),
        ("config-loops", ["configuration", "cpu"]),
    ] {
        refused(&host, marker, &says).await;
    }
}

/// Either would take the host down or a worker away: one never ends, the other takes four to the power of the depth.
#[tokio::test(flavor = "multi_thread")]
async fn schemas_that_go_in_circles_are_refused() {
    let host = good().await;
    refused(&host, "loop-schema", &["`Looped`", "circle"]).await;
    refused(&host, "fanout-schema", &["`Fanned`", "circle"]).await;
}
