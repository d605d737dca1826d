//! What products and stock have to do with each other: availability, and that a SKU with movements keeps its name.

use platform_tests::{
    host::{SHOP_GRANTS, TestHost},
    shop::{id, product, stock, writes_nothing},
};
use serde_json::json;

on_each_backend!(
    TestHost::shop(), TestHost::shop_on_mongodb();
    products_tell_whether_they_can_be_bought,
    products_are_sold_without_the_inventory_plugin,
    a_sku_with_movements_stays_with_its_product,
    a_first_adjustment_and_a_deletion_never_both_succeed,
);

async fn products_tell_whether_they_can_be_bought(mut host: TestHost) {
    let admin = host.admin().await;
    let body = json!({
        "name": "Cup",
        "status": "active",
        "options": [{"name": "Size", "values": ["S", "M", "L"]}],
        "variants": [
            {"sku": "S", "optionValues": {"Size": "S"}},
            {"sku": "M", "optionValues": {"Size": "M"}, "backorder": "allow"},
            {"sku": "L", "optionValues": {"Size": "L"}, "trackInventory": false},
        ],
    });
    let cup = admin.post("/products", &body).await.expect(201);
    let path = format!("/products/{}", id(&cup));
    let public = host.anonymous();
    let told = async |expected: [&str; 3]| {
        let read = public.get(&path).await;
        let tag = read.header("etag").unwrap().to_owned();
        let read = read.expect(200);
        assert_eq!(
            [0, 1, 2].map(|index| read["variants"][index]["availability"].as_str().unwrap()),
            expected
        );
        assert_eq!(public.get("/products").await.expect(200)[0], read);
        for counts in ["onHand", "reserved", "available\""] {
            assert!(!read.to_string().contains(counts), "{read}");
        }
        tag
    };
    let empty = told(["out", "backorder", "in_stock"]).await;
    for sku in ["S", "M", "L"] {
        stock(&admin, sku, 5).await.expect(200);
    }
    let low = told(["low", "low", "in_stock"]).await;
    assert_ne!(empty, low, "another answer has another tag");
    stock(&admin, "S", 1).await.expect(200);
    told(["in_stock", "low", "in_stock"]).await;
    admin.patch("/inventory/S", &json!({"safetyStock": 6})).await.expect(200);
    told(["out", "low", "in_stock"]).await;
    // A write answers what a read does.
    let read = admin.get(&path).await.expect(200);
    let mut written = admin.put(&path, &read).await.expect(200);
    assert_eq!(written["variants"], read["variants"]);
    written["variants"][1]["availability"] = json!("in_stock");
    assert_eq!(admin.put(&path, &written).await.expect(200)["variants"], read["variants"]);
}

async fn products_are_sold_without_the_inventory_plugin(host: TestHost) {
    let without_grant = "[plugins.products.store]\ncategories = [\"read\", \"write\"]\n\
                         [plugins.categories.store]\nproducts = [\"read\", \"write\"]\n";
    for grants in [SHOP_GRANTS, without_grant] {
        let builder = host.another().plugin("products").plugin("categories").grants(grants);
        let mut host = builder.start().await;
        let admin = host.admin().await;
        let cup = admin.post("/products", &product("Cup", "CUP")).await.expect(201);
        assert_eq!(cup["variants"][0]["availability"], "in_stock");
        assert_eq!(host.anonymous().get("/products").await.expect(200), json!([cup]));
        admin.get("/inventory").await.expect_problem(404, "not_found");
        let path = format!("/products/{}", id(&cup));
        admin.put(&path, &product("Cup", "MUG")).await.expect(200);
        admin.delete(&path).await.expect(204);
    }
}

async fn a_sku_with_movements_stays_with_its_product(mut host: TestHost) {
    let admin = host.admin().await;
    let cup = admin.post("/products", &product("Cup", "CUP")).await.expect(201);
    let path = format!("/products/{}", id(&cup));
    let mut renamed = cup.clone();
    renamed["variants"][0]["sku"] = json!("MUG");
    // Without movements it may be renamed, and back.
    admin.put(&path, &renamed).await.expect(200);
    admin.put(&path, &product("Cup", "CUP")).await.expect(200);
    let cup = admin.get(&path).await.expect(200);
    stock(&admin, "CUP", 1).await.expect(200);
    stock(&admin, "CUP", -1).await.expect(200);
    let mut renamed = cup;
    renamed["variants"][0]["sku"] = json!("MUG");
    writes_nothing(&host, async {
        let code = "reference_in_use";
        admin.put(&path, &renamed).await.expect_error_at(409, code, "/variants/0/sku", code);
        let none = admin.patch(&path, &json!({"status": "draft", "variants": []})).await;
        none.expect_error_at(409, code, "/variants", code);
        admin.delete(&path).await.expect_problem(409, code);
    })
    .await;
    admin.patch(&path, &json!({"status": "archived", "name": "Mug"})).await.expect(200);
}

async fn a_first_adjustment_and_a_deletion_never_both_succeed(mut host: TestHost) {
    let admin = host.admin().await;
    for round in 0..30 {
        let sku = format!("S{round}");
        let cup = admin.post("/products", &product("Cup", &sku)).await.expect(201);
        let path = format!("/products/{}", id(&cup));
        let (adjusted, deleted) = tokio::join!(stock(&admin, &sku, 1), admin.delete(&path));
        let level = admin.get(&format!("/inventory/{sku}")).await.status == 200;
        if deleted.status == 204 {
            adjusted.expect_error_at(422, "validation_failed", "/sku", "validation_failed");
            assert!(!level, "a level of a product that is gone");
        } else {
            deleted.expect_problem(409, "reference_in_use");
            adjusted.expect(200);
            assert!(level);
        }
    }
}
