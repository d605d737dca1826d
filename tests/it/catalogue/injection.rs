//! What a client sends is compared, stored and shown, and is never part of a query: in whatever place it is sent, it
//! finds what it names literally and nothing else.

use hyper::Method;
use platform_tests::{
    client::Client,
    host::TestHost,
    shop::{dump, id, product, with, writes_nothing},
};
use serde_json::{Value, json};

/// Operators of MongoDB, patterns, SQL, full-text queries, templates and paths.
const PAYLOADS: &[&str] = &[
    r#"{"$ne":null}"#,
    r#"{"$gt":""}"#,
    r#"{"$where":"1"}"#,
    r#"{"$regex":"(a+)+$"}"#,
    r#"{"$or":[{},{}]}"#,
    "[$ne]",
    "$where",
    "$name",
    "(a+)+$",
    ".*",
    "^C",
    r"\",
    "%",
    "_up",
    "*",
    "null",
    "' OR '1'='1",
    r#"" OR ""=""#,
    "'; DROP TABLE documents; --",
    "Cup' --",
    "1) UNION SELECT 1, 2, 3 --",
    "NEAR(Cup Bowl)",
    "name:Cup",
    "Cup OR Bowl",
    r#""Cup""#,
    "${jndi:ldap://shop}",
    "{{7*7}}",
    "../../etc/passwd",
];

/// Products with ordinary names, which a payload must not find.
const ORDINARY: [&str; 4] = ["Cup", "Bowl", "Aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!", "Zebra"];

on_each_backend!(
    TestHost::shop(), TestHost::shop_on_mongodb();
    a_value_finds_what_it_names_literally,
    a_path_or_a_name_of_a_parameter_is_no_query,
    a_body_is_no_query,
    a_login_is_no_query,
);

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// Makes the ordinary products and one for each payload, which has it as its name, tag and barcode; answers all names.
async fn fill(admin: &Client) -> Vec<String> {
    let mut names: Vec<String> = ORDINARY.iter().map(|&name| name.to_owned()).collect();
    names.extend(PAYLOADS.iter().map(|&payload| payload.to_owned()));
    for (number, name) in names.iter().enumerate() {
        let mut body = with(product(name, &format!("SKU-{number}")), "tags", json!([name]));
        body["variants"][0]["barcode"] = json!(name);
        let made = admin.post("/products", &body).await.expect(201);
        assert_eq!((&made["name"], &made["tags"][0]), (&json!(name), &json!(name)));
    }
    names
}

async fn found(client: &Client, query: &str) -> Vec<String> {
    let items = client.get(&format!("/products?limit=100&sort=name&{query}")).await.expect(200);
    items.as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap().to_owned()).collect()
}

async fn a_value_finds_what_it_names_literally(mut host: TestHost) {
    let (admin, public) = (host.admin().await, host.anonymous());
    let mut names = fill(&admin).await;
    names.sort_unstable();
    let only = |matches: &dyn Fn(&str) -> bool| -> Vec<String> {
        names.iter().filter(|name| matches(name)).cloned().collect()
    };
    writes_nothing(&host, async {
        for &payload in PAYLOADS {
            let value = encoded(payload);
            let itself = vec![payload.to_owned()];
            for (query, expected) in [
                (format!("filter[name]={value}"), itself.clone()),
                (format!("filter[tags]={value}"), itself.clone()),
                (format!("filter[variants.barcode]={value}"), itself.clone()),
                (format!("filter[or][0][name]={value}"), itself.clone()),
                (format!("name={value}"), itself.clone()),
                (format!("filter={}", encoded(&json!({ "name": payload }).to_string())), itself),
                (format!("filter[name][ne]={value}"), only(&|name| name != payload)),
                (format!("filter[name][gt]={value}"), only(&|name| name > payload)),
                (format!("filter[name][lte]={value}"), only(&|name| name <= payload)),
                (format!("filter[name][prefix]={value}"), only(&|name| name.starts_with(payload))),
                (format!("filter[name][contains]={value}"), only(&|name| name.contains(payload))),
                (format!("name_like={value}"), only(&|name| name.contains(payload))),
                // Nothing else has it.
                (format!("filter[id]={value}"), Vec::new()),
                (format!("id={value}&id={value}"), Vec::new()),
                (format!("filter[categoryIds]={value}"), Vec::new()),
                (format!("filter[variants.sku]={value}"), Vec::new()),
                (format!("category={value}"), Vec::new()),
            ] {
                assert_eq!(found(&public, &query).await, expected, "{payload} as {query}");
            }
            // Words alone count in a search, and every one of them; a text without any is no search.
            let lowered = payload.to_lowercase();
            let words: Vec<&str> =
                lowered.split(|it: char| !it.is_alphanumeric()).filter(|it| !it.is_empty()).collect();
            let items = public.get(&format!("/products?limit=100&q={value}")).await.expect(200);
            for item in items.as_array().unwrap() {
                let text = format!("{} {}", item["name"], item["variants"][0]["sku"]).to_lowercase();
                assert!(words.iter().all(|word| text.contains(word)), "a search for {payload} finds {text}");
            }
        }
    })
    .await;
}

async fn a_path_or_a_name_of_a_parameter_is_no_query(mut host: TestHost) {
    let (admin, public) = (host.admin().await, host.anonymous());
    let cup = admin.post("/products", &product("Cup", "CUP")).await.expect(201);
    writes_nothing(&host, async {
        for &payload in PAYLOADS {
            let value = encoded(payload);
            for path in [
                format!("/products/{value}"),
                format!("/products/by-slug/{value}"),
                format!("/products/{value}/variants"),
                format!("/products/{}/variants/{value}", id(&cup)),
                format!("/categories/{value}"),
                format!("/categories/by-slug/{value}"),
                format!("/categories/tree?root={value}"),
                format!("/inventory/{value}"),
            ] {
                admin.get(&path).await.expect_problem(404, "not_found");
            }
            admin.delete(&format!("/products/{value}")).await.expect_problem(404, "not_found");
            for parameter in ["sort", "cursor", "limit", "offset", "count", "fields", "expand", "currency"] {
                let answer = public.get(&format!("/products?{parameter}={value}")).await;
                assert_eq!(answer.status, 400, "{parameter}={payload}: {}", answer.text());
            }
            // The one payload that a tag may be: any version.
            if payload != "*" {
                let tagged = admin.request(Method::DELETE, &format!("/products/{}", id(&cup)));
                admin.send(tagged.header("if-match", payload)).await.expect_problem(400, "invalid_parameter");
            }
        }
        for query in [
            "filter[$where]=1",
            "filter[name][$regex]=.*",
            "filter[name][$ne]=x",
            "filter[name.$ne]=x",
            "filter[$or][0][name]=Cup",
            "filter[name'%20OR%20'1'='1]=x",
            "filter[_id]=x",
            "name[$ne]=x",
            "name[]=x",
            "$where=1",
            "sort=name;DROP%20TABLE%20documents",
            "sort=name%20DESC,(SELECT%201)",
            "sort=$name",
        ] {
            let answer = public.get(&format!("/products?{query}")).await;
            assert_eq!(answer.status, 400, "{query}: {}", answer.text());
        }
    })
    .await;
}

async fn a_body_is_no_query(mut host: TestHost) {
    let admin = host.admin().await;
    let cup = admin.post("/products", &product("Cup", "CUP")).await.expect(201);
    let path = format!("/products/{}", id(&cup));
    let before = dump(&host).await;
    let operators: [Value; 5] = [
        json!({"$ne": null}),
        json!({"$gt": ""}),
        json!({"$where": "1"}),
        json!({"$regex": ".*"}),
        json!([{"$ne": null}]),
    ];
    for operator in &operators {
        for (path, body) in [
            ("/auth/admin/login", json!({"email": operator, "password": operator})),
            ("/auth/admin/login", json!({"email": "admin@example.com", "password": operator})),
            ("/products", with(product("X", "X"), "name", operator.clone())),
            ("/products", with(product("X", "X"), "categoryIds", json!([operator]))),
            ("/products/bulk", json!({"operations": [{"op": "delete", "id": operator}]})),
            ("/categories", json!({"name": "X", "parentId": operator})),
        ] {
            let answer = admin.post(path, &body).await;
            assert_eq!(answer.status, 422, "{path} {body}: {}", answer.text());
        }
        admin.patch(&path, &json!({"name": operator})).await.expect_problem(422, "validation_failed");
        admin
            .patch(&path, &json!({"metadata": {"a": {"$inc": 1}}}))
            .await
            .expect_problem(422, "validation_failed");
        admin.patch(&path, &json!({"$set": {"name": "X"}})).await.expect_problem(422, "unknown_field");
    }
    for (number, &payload) in PAYLOADS.iter().enumerate() {
        let of_nowhere = json!({"name": "X", "parentId": payload});
        admin.post("/categories", &of_nowhere).await.expect_problem(422, "validation_failed");
        let of_nothing = with(product("X", "X"), "categoryIds", json!([payload]));
        admin.post("/products", &of_nothing).await.expect_problem(422, "validation_failed");
        let adjustment = json!({"sku": payload, "delta": 1, "reason": "received"});
        let draft = admin.request(Method::POST, "/inventory/adjustments");
        let draft = draft.header("idempotency-key", &format!("injected-{number}")).json(&adjustment);
        admin.send(draft).await.expect_problem(422, "validation_failed");
        let bulk = json!({"mode": "independent", "operations": [
            {"op": "update", "id": payload, "data": {"description": "gone"}},
            {"op": "delete", "id": payload},
        ]});
        let results = admin.post("/products/bulk", &bulk).await.expect(200);
        for result in results["results"].as_array().unwrap() {
            assert_eq!(result["status"], 404, "{payload}: {results}");
        }
    }
    // What no document can hold is nowhere either.
    let adjustment = json!({"sku": "CUP\0", "delta": 1, "reason": "received"});
    let draft =
        admin.request(Method::POST, "/inventory/adjustments").header("idempotency-key", "injected-nul");
    let refused = admin.send(draft.json(&adjustment)).await;
    refused.expect_error_at(422, "validation_failed", "/sku", "validation_failed");
    assert_eq!(dump(&host).await, before, "nothing of it has changed anything");
}

async fn a_login_is_no_query(host: TestHost) {
    let public = host.anonymous();
    for payload in PAYLOADS {
        let login = json!({"email": payload, "password": payload});
        let answer = public.post("/auth/admin/login", &login).await;
        // Who guesses for too long is slowed down.
        match answer.status.as_u16() {
            429 => answer.expect_problem(429, "rate_limited"),
            _ => answer.expect_problem(401, "invalid_credentials"),
        };
    }
}
