//! Requests that are larger than anything useful: they are refused early, with an answer of a modest size.
//!
//! Bodies above the limit, nesting and duplicate members are in `bad_input`, long addresses in `front::negotiation`,
//! headers and compressed bodies in `front::smuggling`.

use platform_tests::{
    host::TestHost,
    shop::{product, with, writes_nothing},
};
use serde_json::{Map, Value, json};

/// As many as fit into a body of a mebibyte.
const MEMBERS: usize = 100_000;

on_each_backend!(
    TestHost::shop(), TestHost::shop_on_mongodb();
    a_hundred_thousand_members_are_refused_in_a_few_words,
    ten_thousand_parameters_are_too_long_an_address,
    long_lists_in_a_body_are_refused,
);

async fn a_hundred_thousand_members_are_refused_in_a_few_words(mut host: TestHost) {
    let admin = host.admin().await;
    let members: Map<String, Value> = (0..MEMBERS).map(|number| (number.to_string(), json!(1))).collect();
    let mut unknown = members.clone();
    unknown.insert("name".to_owned(), json!("X"));
    writes_nothing(&host, async {
        for (body, code) in [
            (Value::Object(unknown), "unknown_field"),
            (with(product("X", "X"), "metadata", Value::Object(members.clone())), "validation_failed"),
            (with(product("X", "X"), "attributes", Value::Object(members)), "validation_failed"),
        ] {
            assert!(body.to_string().len() < 1 << 20, "it is the members that are too many");
            let answer = admin.post("/products", &body).await;
            assert!(answer.body.len() < 16 * 1024, "{} bytes", answer.body.len());
            answer.expect_problem(422, code);
        }
    })
    .await;
}

async fn ten_thousand_parameters_are_too_long_an_address(host: TestHost) {
    let public = host.anonymous();
    for pair in ["q=&", "a=1&", "&", "id=x&"] {
        let path = format!("/products?{}", pair.repeat(10_000));
        public.get(&path).await.expect_problem(414, "uri_too_long");
    }
    // As many as fit into an address.
    let path = format!("/products?{}", "a&".repeat(2_000));
    public.get(&path).await.expect_problem(400, "invalid_parameter");
}

async fn long_lists_in_a_body_are_refused(mut host: TestHost) {
    let admin = host.admin().await;
    let many = |count: usize| (0..count).map(|number| json!(number.to_string())).collect::<Vec<_>>();
    let delete = json!({"op": "delete", "id": "x"});
    writes_nothing(&host, async {
        for (path, body, pointer) in [
            ("/products", with(product("X", "X"), "tags", many(50_000)), "/tags"),
            ("/products", with(product("X", "X"), "categoryIds", many(50_000)), "/categoryIds"),
            (
                "/products",
                with(product("X", "X"), "variants", vec![json!({"sku": "X"}); 20_000]),
                "/variants",
            ),
            ("/products/bulk", json!({"operations": vec![delete; 20_000]}), "/operations"),
        ] {
            let answer = admin.post(path, &body).await;
            assert!(answer.body.len() < 16 * 1024, "{path}{pointer}: {} bytes", answer.body.len());
            answer.expect_error_at(422, "validation_failed", pointer, "validation_failed");
        }
    })
    .await;
}
