//! A newcomer that claims what another plugin has does not get it, and the other loses nothing.

use platform_tests::{
    host::{SHOP_GRANTS, TestHost, TestHostBuilder},
    plugin::marked,
};
use serde_json::json;

/// Sorted by name the newcomer comes first, which must not matter.
async fn newcomer_is_refused(host: &mut TestHost, marker: &str, says: &[&str]) {
    host.install("misdescribed.wasm", &marked("misdescribed", marker)).await;
    let refusals = host.refusals();
    assert_eq!(refusals.len(), 1, "`{marker}`: {refusals:?}");
    let (source, reason, still_serving) = &refusals[0];
    assert!(source.starts_with("misdescribed"), "`{marker}` blames {source}: {reason}");
    for text in says {
        assert!(reason.contains(text), "`{marker}`: {reason}");
    }
    assert!(!still_serving, "{marker}");
    host.anonymous().get("/products").await.expect(200);
    host.anonymous().get("/misdescribed").await.expect_problem(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn routes_operations_and_collections_stay_with_the_plugin_that_has_them() {
    let mut host = TestHost::shop().await;
    let admin = host.admin().await;
    let product = json!({ "name": "Tea cup", "status": "active",
        "variants": [{ "sku": "CUP-1", "prices": [{ "amount": 1290, "currency": "USD" }] }] });
    admin.post("/products", &product).await.expect(201);
    newcomer_is_refused(&mut host, "conflict", &["`GET /products/{id}`", "`products`"]).await;
    newcomer_is_refused(&mut host, "overlap", &["`/products/{name}`", "conflicts"]).await;
    newcomer_is_refused(&mut host, "operation", &["`listProducts`", "`products`"]).await;
    newcomer_is_refused(&mut host, "collection", &["`products`", "belongs to plugin `products`"]).await;
    // The refused declaration of the collection changed nothing: its fields are still there to filter and sort by.
    let found =
        host.anonymous().get("/products?filter[name]=Tea%20cup&sort=-createdAt&q=cup").await.expect(200);
    assert_eq!(found.as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_there_first_is_known_after_a_restart() {
    let host = TestHostBuilder::shop().start().await;
    std::fs::write(host.plugins_dir.join("misdescribed.wasm"), marked("misdescribed", "collection")).unwrap();
    let host = TestHostBuilder::shop().with_data(host.stop().await).start().await;
    let (reason, _) = host.refusal();
    assert!(reason.contains("belongs to plugin `products`"), "{reason}");
    host.anonymous().get("/products?sort=name").await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_does_not_serve_keeps_its_collections() {
    let staging = || {
        TestHostBuilder::empty().configure(|config| config.environment = host::config::Environment::Staging)
    };
    let host = staging().plugin("products").plugin("categories").grants(SHOP_GRANTS).start().await;
    std::fs::write(host.plugins_dir.join("misdescribed.wasm"), marked("misdescribed", "collection")).unwrap();
    let off = format!("{SHOP_GRANTS}\n[plugins.products]\nenabled = false\n");
    let host = staging().grants(&off).with_data(host.stop().await).start().await;
    let refusals = host.refusals();
    let refused = refusals.iter().find(|(source, ..)| source.starts_with("misdescribed"));
    let (_, reason, _) = refused.unwrap_or_else(|| panic!("it is not refused: {refusals:?}"));
    assert!(reason.contains("belongs to plugin `products`, which does not serve now"), "{reason}");
    host.grant(SHOP_GRANTS).await;
    host.anonymous().get("/products?sort=name").await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_files_of_one_plugin_are_refused_and_the_running_one_stays() {
    let host = TestHostBuilder::empty().marked("versioned", "a").start().await;
    host.install("versioned-2.wasm", &marked("versioned", "b")).await;
    let (reason, still_serving) = host.refusal();
    assert!(reason.contains("several files are the plugin `versioned`"), "{reason}");
    assert!(still_serving);
    assert_eq!(host.anonymous().get("/versioned/one").await.expect(200)["first"], "a");
}
