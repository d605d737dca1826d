//! Stock: levels, adjustments, movements, and that no race loses or invents a piece.

use std::collections::BTreeMap;

use futures_util::stream::{self, StreamExt as _};
use hyper::Method;
use platform_tests::{
    client::{Answer, Client},
    host::{TestHost, TestHostBuilder},
    random::runner,
    shop::{documents, id, product, stock, with, writes_nothing},
};
use proptest::{
    prelude::any,
    strategy::{Strategy as _, ValueTree as _},
};
use serde_json::{Value, json};

async fn adjust(client: &Client, key: &str, body: &Value) -> Answer {
    let draft = client.request(Method::POST, "/inventory/adjustments").header("idempotency-key", key);
    client.send(draft.json(body)).await
}

fn adjustment(sku: &str, delta: i64) -> Value {
    json!({"sku": sku, "delta": delta, "reason": "received", "reference": "DN-1"})
}

fn numbers(level: &Value) -> [i64; 5] {
    ["onHand", "reserved", "incoming", "safetyStock", "available"].map(|name| level[name].as_i64().unwrap())
}

/// Body, status, code and pointer.
type Refusal = (Value, u16, &'static str, &'static str);

on_each_backend!(
    shop().start(), shop().on_mongodb().start();
    stock_is_adjusted_once_per_key,
    what_cannot_be_is_refused_and_leaves_no_trace,
    levels_and_movements_are_listed,
    no_piece_is_taken_twice,
    first_adjustments_at_once_all_count,
    movements_add_up_to_the_levels_after_any_race,
);

fn shop() -> TestHostBuilder {
    TestHostBuilder::shop().patient()
}

async fn stock_is_adjusted_once_per_key(mut host: TestHost) {
    let admin = host.admin().await;
    admin.post("/products", &product("Cup", "CUP")).await.expect(201);
    admin.get("/inventory/CUP").await.expect_problem(404, "not_found");
    let first = adjust(&admin, "k1", &adjustment("CUP", 10)).await;
    let tag = first.header("etag").unwrap().to_owned();
    let level = first.expect(200);
    assert_eq!((&level["sku"], &level["version"]), (&json!("CUP"), &json!(1)));
    assert_eq!(numbers(&level), [10, 0, 0, 0, 10]);
    let read = admin.get("/inventory/CUP").await;
    assert_eq!(read.header("etag"), Some(&*tag));
    assert_eq!(read.expect(200), level);

    writes_nothing(&host, async {
        let again = adjust(&admin, "k1", &adjustment("CUP", 10)).await;
        assert_eq!(again.header("idempotent-replayed"), Some("true"));
        assert_eq!(again.expect(200), level);
        adjust(&admin, "k1", &adjustment("CUP", 11)).await.expect_problem(422, "idempotency_key_reused");
        let refused = admin.post("/inventory/adjustments", &adjustment("CUP", 1)).await;
        let code = "idempotency_key_required";
        refused.expect_error_at(400, code, "Idempotency-Key", code);
    })
    .await;
    let stale = admin.request(Method::POST, "/inventory/adjustments").header("idempotency-key", "k2");
    let stale = stale.header("if-match", "\"7\"").json(&adjustment("CUP", 1));
    let problem = admin.send(stale).await.expect_problem(412, "version_conflict");
    assert_eq!((&problem["expected"], &problem["current"]), (&json!(7), &json!(1)));
}

async fn what_cannot_be_is_refused_and_leaves_no_trace(mut host: TestHost) {
    let admin = host.admin().await;
    admin.post("/products", &product("Cup", "CUP")).await.expect(201);
    stock(&admin, "CUP", 5).await.expect(200);
    let refusals: [Refusal; 9] = [
        (adjustment("NONE", 1), 422, "validation_failed", "/sku"),
        (adjustment("CUP", 1_000_000_001), 422, "amount_out_of_range", "/delta"),
        (adjustment("CUP", i64::MIN), 422, "amount_out_of_range", "/delta"),
        (adjustment("CUP", 999_999_999), 422, "amount_out_of_range", "/delta"),
        (with(adjustment("CUP", 1), "delta", 0.5), 422, "validation_failed", "/delta"),
        (with(adjustment("CUP", 1), "delta", 1e30), 422, "validation_failed", "/delta"),
        (with(adjustment("CUP", 1), "reason", "Because"), 422, "validation_failed", "/reason"),
        (with(adjustment("CUP", 1), "reason", "shipped"), 422, "validation_failed", "/reason"),
        (with(adjustment("CUP", 1), "onHand", 9), 422, "unknown_field", "/onHand"),
    ];
    writes_nothing(&host, async {
        for (number, (body, status, code, pointer)) in refusals.iter().enumerate() {
            let answer = adjust(&admin, &format!("k{number}"), body).await;
            answer.expect_error_at(*status, code, pointer, code);
        }
        let problem = stock(&admin, "CUP", -6).await.expect_problem(409, "insufficient_stock");
        assert_eq!(problem["items"], json!([{"sku": "CUP", "requested": 6, "available": 5}]));
        for body in [json!({"safetyStock": -1}), json!({"incoming": 1_000_000_001}), json!({"incoming": "1"})]
        {
            admin.patch("/inventory/CUP", &body).await.expect_problem(422, "validation_failed");
        }
        admin.patch("/inventory/CUP", &json!({"colour": 1})).await.expect_problem(422, "unknown_field");
        admin.patch("/inventory/NONE", &json!({"incoming": 1})).await.expect_problem(404, "not_found");
    })
    .await;
}

async fn levels_and_movements_are_listed(mut host: TestHost) {
    let admin = host.admin().await;
    // A SKU may have characters that addresses and ids have not.
    for (name, sku, delta) in [("Cup", "CUP", 3), ("Jug", "a/b c", 40), ("Pot", "\u{e4}%2F", 0)] {
        admin.post("/products", &product(name, sku)).await.expect(201);
        stock(&admin, sku, delta).await.expect(200);
    }
    assert_eq!(admin.get("/inventory/a%2Fb%20c").await.expect(200)["onHand"], 40);
    assert_eq!(admin.get("/inventory/%C3%A4%252F").await.expect(200)["onHand"], 0);
    let level = admin.get("/inventory/CUP").await.expect(200);
    let mut changed = admin.patch("/inventory/CUP", &json!({"safetyStock": 1})).await.expect(200);
    assert_eq!(numbers(&changed), [3, 0, 0, 1, 2]);
    // What was read can be sent back; what is kept or computed is not taken from it.
    changed["onHand"] = json!(99);
    assert_eq!(numbers(&admin.patch("/inventory/CUP", &changed).await.expect(200)), [3, 0, 0, 1, 2]);
    assert!(level["version"].as_u64() < changed["version"].as_u64());

    let skus = async |path: &str| -> Vec<String> {
        let list = admin.get(path).await.expect(200);
        list.as_array().unwrap().iter().map(|it| it["sku"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(skus("/inventory?filter[available][lte]=5&sort=available").await, ["\u{e4}%2F", "CUP"]);
    assert_eq!(skus("/inventory?filter[sku]=CUP").await, ["CUP"]);
    assert_eq!(skus("/inventory?sort=-onHand&limit=1").await, ["a/b c"]);
    admin.get("/inventory?q=cup").await.expect_problem(400, "unknown_parameter");

    host.clock.advance(std::time::Duration::from_secs(60));
    let taken = json!({"sku": "CUP", "delta": -1, "reason": "damaged"});
    adjust(&admin, "broken", &taken).await.expect(200);
    let moved = admin.get("/inventory/movements").await.expect(200);
    let newest = &moved[0];
    assert_eq!(moved.as_array().unwrap().len(), 4);
    assert_eq!(
        (&newest["sku"], &newest["delta"], &newest["reason"], &newest["reference"]),
        (&json!("CUP"), &json!(-1), &json!("damaged"), &Value::Null)
    );
    assert!(id(newest).starts_with("mov_"));
    let at = newest["createdAt"].as_str().unwrap();
    for (filter, count) in [
        ("filter[sku]=CUP".to_owned(), 2),
        ("filter[reason]=damaged".to_owned(), 1),
        (format!("filter[createdAt][gte]={at}"), 1),
        (format!("filter[createdAt][lt]={at}"), 3),
        (format!("filter[createdAt][lt]={at}&filter[sku]=CUP"), 1),
    ] {
        assert_eq!(skus(&format!("/inventory/movements?{filter}")).await.len(), count, "{filter}");
    }
}

async fn no_piece_is_taken_twice(mut host: TestHost) {
    let admin = host.admin().await;
    admin.post("/products", &product("Cup", "CUP")).await.expect(201);
    stock(&admin, "CUP", 100).await.expect(200);
    let takers = (0..500).map(|_| stock(&admin, "CUP", -1));
    let answers: Vec<Answer> = stream::iter(takers).buffer_unordered(64).collect().await;
    let mut left: Vec<i64> = Vec::new();
    for answer in answers {
        if answer.status == 200 {
            left.push(answer.expect(200)["onHand"].as_i64().unwrap());
        } else {
            let problem = answer.expect_problem(409, "insufficient_stock");
            assert_eq!(problem["items"], json!([{"sku": "CUP", "requested": 1, "available": 0}]));
        }
    }
    left.sort_unstable();
    assert_eq!(left, (0..100).collect::<Vec<i64>>(), "each taker was told its own piece");
    let level = admin.get("/inventory/CUP").await.expect(200);
    assert_eq!((numbers(&level), &level["version"]), ([0, 0, 0, 0, 0], &json!(101)));
}

async fn first_adjustments_at_once_all_count(mut host: TestHost) {
    let admin = host.admin().await;
    let skus: Vec<String> = (0..4).map(|number| format!("S{number}")).collect();
    for sku in &skus {
        admin.post("/products", &product("Cup", sku)).await.expect(201);
    }
    let adjustments = (0..256).map(|number| stock(&admin, &skus[number % 4], 1));
    let answers: Vec<Answer> = stream::iter(adjustments).buffer_unordered(64).collect().await;
    for answer in answers {
        answer.expect(200);
    }
    for sku in &skus {
        assert_eq!(numbers(&admin.get(&format!("/inventory/{sku}")).await.expect(200)), [64, 0, 0, 0, 64]);
    }
    assert_eq!(documents(&host, "inventory").await.len(), 4);
    assert_eq!(documents(&host, "inventory_movements").await.len(), 256);
}

async fn movements_add_up_to_the_levels_after_any_race(mut host: TestHost) {
    let admin = host.admin().await;
    for sku in ["A", "B", "C"] {
        admin.post("/products", &product("Cup", sku)).await.expect(201);
        stock(&admin, sku, 10).await.expect(200);
    }
    let mut runner = runner(1);
    let acts: Vec<(usize, i64, bool)> = (0..400)
        .map(|_| (0..3_usize, -15..15_i64, any::<u8>()).new_tree(&mut runner).unwrap().current())
        .map(|(sku, delta, kind)| (sku, delta, kind < 40))
        .collect();
    let acts = acts.into_iter().map(|(sku, delta, sets)| {
        let (admin, sku) = (&admin, ["A", "B", "C"][sku]);
        async move {
            if sets {
                let body = json!({"safetyStock": delta.abs()});
                (sku, 0, admin.patch(&format!("/inventory/{sku}"), &body).await)
            } else {
                (sku, delta, stock(admin, sku, delta).await)
            }
        }
    });
    let answers: Vec<(&str, i64, Answer)> = stream::iter(acts).buffer_unordered(64).collect().await;
    let mut told: BTreeMap<String, i64> = ["A", "B", "C"].map(|sku| (sku.to_owned(), 10)).into();
    for (sku, delta, answer) in answers {
        if answer.status == 200 {
            let [on_hand, reserved, _, safety_stock, available] = numbers(&answer.json());
            assert!(on_hand >= 0 && available == on_hand - reserved - safety_stock, "{}", answer.text());
            *told.get_mut(sku).unwrap() += delta;
        } else {
            // Where others change the level each time that it is looked at, one is asked to come again.
            let refusal = answer.expect(409);
            let code = refusal["code"].as_str().unwrap();
            assert!(matches!(code, "insufficient_stock" | "conflict"), "{refusal}");
        }
    }
    let mut replayed: BTreeMap<String, i64> = BTreeMap::new();
    for movement in documents(&host, "inventory_movements").await.values() {
        let sku = movement["sku"].as_str().unwrap().to_owned();
        *replayed.entry(sku).or_default() += movement["delta"].as_i64().unwrap();
    }
    let levels: BTreeMap<String, i64> = documents(&host, "inventory")
        .await
        .values()
        .map(|level| (level["sku"].as_str().unwrap().to_owned(), numbers(level)[0]))
        .collect();
    assert_eq!(replayed, levels);
    assert_eq!(told, levels);
}
