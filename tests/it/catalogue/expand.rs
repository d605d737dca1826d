//! `expand=categories`: the objects beside the ids.

use platform_tests::{
    host::TestHost,
    shop::{category, id, product, with, writes_nothing},
};
use serde_json::{Value, json};

fn ids(items: &Value) -> Vec<&str> {
    items.as_array().unwrap().iter().map(id).collect()
}

on_each_backend!(
    TestHost::shop(), TestHost::shop_on_mongodb();
    categories_come_with_the_product_when_asked_for,
    what_cannot_be_expanded_is_refused,
);

async fn categories_come_with_the_product_when_asked_for(mut host: TestHost) {
    let (admin, public) = (host.admin().await, host.anonymous());
    let a = admin.post("/categories", &category("A")).await.expect(201);
    let b = admin.post("/categories", &with(category("B"), "parentId", id(&a))).await.expect(201);
    let hidden = admin.post("/categories", &with(category("C"), "active", false)).await.expect(201);
    let body = with(product("Cup", "CUP"), "categoryIds", json!([id(&b), id(&hidden), id(&a)]));
    let cup = admin.post("/products", &body).await.expect(201);
    admin.post("/products", &product("Bowl", "BOWL")).await.expect(201);
    let path = format!("/products/{}", id(&cup));

    let plain = public.get(&path).await;
    let expanded = public.get(&format!("{path}?expand=categories")).await;
    let (tag, other) =
        (plain.header("etag").unwrap().to_owned(), expanded.header("etag").unwrap().to_owned());
    assert_ne!(tag, other, "it is another representation of the same version");
    let (plain, expanded) = (plain.expect(200), expanded.expect(200));
    assert_eq!(plain.get("categories"), None);
    assert_eq!(ids(&expanded["categories"]), [id(&b), id(&a)]);
    let shown = &expanded["categories"][0];
    assert_eq!((&shown["name"], &shown["slug"], &shown["parentId"]), (&json!("B"), &json!("b"), &a["id"]));
    let mut rest = expanded.clone();
    rest.as_object_mut().unwrap().shift_remove("categories");
    assert_eq!(rest, plain);
    let all = admin.get("/products/by-slug/cup?expand=categories").await.expect(200);
    assert_eq!(ids(&all["categories"]), [id(&b), id(&hidden), id(&a)]);

    let list = public.get("/products?expand=categories&sort=name").await.expect(200);
    assert_eq!((&list[0]["categories"], &list[1]), (&json!([]), &expanded));
    let some = public.get("/products?expand=categories&fields=categories&sort=-name").await.expect(200);
    assert_eq!(some[0], json!({"id": id(&cup), "categories": expanded["categories"]}));
    // What was read can be sent back.
    let sent_back = admin.patch(&path, &all).await.expect(200);
    assert_eq!(sent_back, with(plain, "version", 2));
    // A change of the category shows at once.
    admin.patch(&format!("/categories/{}", id(&a)), &json!({"name": "Z"})).await.expect(200);
    let again = public.get(&format!("{path}?expand=categories")).await.expect(200);
    assert_eq!(again["categories"][1]["name"], "Z");
}

async fn what_cannot_be_expanded_is_refused(mut host: TestHost) {
    let admin = host.admin().await;
    let cup = admin.post("/products", &product("Cup", "CUP")).await.expect(201);
    let one = format!("/products/{}", id(&cup));
    writes_nothing(&host, async {
        for path in [one.as_str(), "/products", "/products/by-slug/cup"] {
            for expand in ["", "category", "categories,", "categories.parent", "variants"] {
                let answer = admin.get(&format!("{path}?expand={expand}")).await;
                answer.expect_error_at(400, "invalid_parameter", "expand", "invalid_parameter");
            }
        }
    })
    .await;
}
