//! What a provider tells by itself: believed only with a signature, taken in once, whatever comes first.

use futures_util::future::join_all;
use platform_tests::{
    checkout::{Shopper, items_order, key, post_with_key, read_order, sell},
    client::{Answer, Client},
    conservation,
    host::{TestHost, TestHostBuilder},
    sandbox::{SIGNATURE, deliver, event, reference, sign, unsigned},
    shop::{documents, id, writes_nothing},
    sizes::DUELS,
};
use serde_json::{Value, json};

on_each_backend!(
    shop().start(), shop().on_mongodb().start();
    what_is_not_signed_is_not_believed,
    what_was_told_before_changes_nothing,
    what_is_told_often_and_in_any_order_happens_once,
    nobody_is_told_anything_about_payments_that_are_not_there,
);

fn shop() -> TestHostBuilder {
    TestHostBuilder::shop().patient()
}

/// An order that waits for its customer.
async fn waiting(host: &TestHost, name: &str) -> Value {
    let guest = Shopper::with(host.anonymous(), &[("CUP", 1)]).await;
    let order = guest.checkout(&key(name), &guest.order("tok_action")).await.expect(202);
    assert_eq!(order["payments"][0]["nextAction"]["type"], "redirect");
    order
}

/// How often an entry of this type is in the order's history.
async fn entries(admin: &Client, order: &Value, kind: &str) -> usize {
    let history = admin.get(&format!("/orders/{}/history?limit=100", id(order))).await.expect(200);
    history.as_array().unwrap().iter().filter(|entry| entry["type"] == kind).count()
}

async fn what_is_not_signed_is_not_believed(mut host: TestHost) {
    let admin = host.admin().await;
    sell(&admin, "CUP", 5).await;
    let order = waiting(&host, "unsigned").await;
    let public = host.anonymous();
    let body = event("evt_1", "authorization", reference(&order), "succeeded").to_string();
    let signature = sign(&body);
    writes_nothing(&host, async {
        let mut forged = vec![unsigned(&public, &body)];
        let mut upper = signature.clone();
        upper.replace_range(0..1, if signature.starts_with('0') { "1" } else { "0" });
        let other = sign(&format!("{body} "));
        for wrong in ["", "0", "nonsense", &upper, &other, &signature[..63], &format!("{signature}00")] {
            forged.push(unsigned(&public, &body).header(SIGNATURE, wrong));
        }
        // Every byte of the body counts.
        for at in 0..body.len() {
            let mut altered = body.clone().into_bytes();
            altered[at] ^= 1;
            if at % 7 == 0 {
                forged.push(unsigned(&public, &body).text(altered).header(SIGNATURE, &signature));
            }
        }
        forged.push(unsigned(&public, &format!("{body}\n")).header(SIGNATURE, &signature));
        forged.push(unsigned(&public, "").header(SIGNATURE, &signature));
        for draft in forged {
            public.send(draft).await.expect_problem(401, "unauthenticated");
        }
        // Who may do everything may not do this.
        admin.send(unsigned(&admin, &body)).await.expect_problem(401, "unauthenticated");
        // Signed, and no event.
        for nonsense in ["", "{}", "nonsense", r#"{"id":"","kind":"authorization","state":"succeeded"}"#] {
            let draft = unsigned(&public, nonsense).header(SIGNATURE, &sign(nonsense));
            public.send(draft).await.expect_problem(422, "validation_failed");
        }
        let elsewhere = public.request(hyper::Method::POST, "/payments/webhooks/payment-nowhere");
        public.send(elsewhere.text(body.clone())).await.expect_problem(404, "not_found");
    })
    .await;
    assert_eq!(read_order(&admin, &order).await["status"], "pending");
    public.send(unsigned(&public, &body).header(SIGNATURE, &signature)).await.expect(200);
    assert_eq!(read_order(&admin, &order).await["status"], "confirmed");
}

async fn what_was_told_before_changes_nothing(mut host: TestHost) {
    let admin = host.admin().await;
    sell(&admin, "CUP", 5).await;
    let order = waiting(&host, "repeated").await;
    let public = host.anonymous();
    let good = event("evt_1", "authorization", reference(&order), "succeeded");
    assert_eq!(deliver(&public, &good).await.expect(200), json!({"received": true}));
    let confirmed = read_order(&admin, &order).await;
    assert_eq!(
        (&confirmed["status"], &confirmed["paymentStatus"]),
        (&json!("confirmed"), &json!("authorized"))
    );
    writes_nothing(&host, async {
        for _ in 0..3 {
            deliver(&public, &good).await.expect(200);
        }
        // The same event with another content is the same event.
        for state in ["failed", "pending", "requires_action"] {
            let changed = event("evt_1", "authorization", reference(&order), state);
            deliver(&public, &changed).await.expect(200);
        }
    })
    .await;
    // Late ones, of another id, are noted and change nothing else.
    for (number, state) in ["failed", "pending", "requires_action", "succeeded"].into_iter().enumerate() {
        let late = event(&format!("evt_late_{number}"), "authorization", reference(&order), state);
        deliver(&public, &late).await.expect(200);
        let now = read_order(&admin, &order).await;
        assert_eq!(
            (&now["status"], &now["payments"]),
            (&json!("confirmed"), &confirmed["payments"]),
            "{state}"
        );
    }
    assert_eq!(entries(&admin, &order, "payment.authorized").await, 1);
    conservation::check(&host).await;
}

#[track_caller]
fn all_received(answers: Vec<Answer>) {
    for answer in answers {
        assert_eq!(answer.expect(200), json!({"received": true}));
    }
}

async fn what_is_told_often_and_in_any_order_happens_once(mut host: TestHost) {
    let admin = host.admin().await;
    sell(&admin, "CUP", i64::from(DUELS.get()) * 2).await;
    let public = host.anonymous();
    for round in 0..DUELS.get() {
        let order = waiting(&host, &format!("often-{round}")).await;
        // The news three times by two names, and twice what was true before.
        let told: Vec<Value> =
            ["succeeded:a", "requires_action:b", "succeeded:a", "succeeded:c", "pending:d"]
                .into_iter()
                .chain(["succeeded:c", "requires_action:b", "succeeded:a"])
                .map(|it| it.split_once(':').unwrap())
                .map(|(state, name)| {
                    event(&format!("{name}-{round}"), "authorization", reference(&order), state)
                })
                .collect();
        all_received(join_all(told.iter().map(|event| deliver(&public, event))).await);
        let now = read_order(&admin, &order).await;
        assert_eq!((&now["status"], &now["paymentStatus"]), (&json!("confirmed"), &json!("authorized")));
        assert_eq!(now["payments"][0]["transactions"].as_array().unwrap().len(), 1, "{now}");
        assert_eq!(entries(&admin, &order, "payment.authorized").await, 1);
        assert_eq!(entries(&admin, &order, "order.status_changed").await, 1);

        // Somebody captures at the provider's own desk; it tells by three names, four times each.
        let captured: Vec<Value> = (0..12)
            .map(|number| {
                let name = format!("captured-{round}-{}", number % 3);
                let mut told = event(&name, "capture", reference(&order), "succeeded");
                told["amount"] = now["totals"]["grand"].clone();
                told
            })
            .collect();
        all_received(join_all(captured.iter().map(|event| deliver(&public, event))).await);
        let now = read_order(&admin, &order).await;
        assert_eq!(
            (&now["paymentStatus"], &now["totals"]["paid"]),
            (&json!("paid"), &now["totals"]["grand"])
        );
        assert_eq!(now["payments"][0]["transactions"].as_array().unwrap().len(), 2, "{now}");
        assert_eq!(entries(&admin, &order, "payment.captured").await, 1);
        conservation::check(&host).await;
    }
    // The customer gives up, and the provider says so often: the order goes, once.
    let order = waiting(&host, "given-up").await;
    let failed = event("given-up", "authorization", reference(&order), "failed");
    all_received(join_all((0..6).map(|_| deliver(&public, &failed))).await);
    let now = read_order(&admin, &order).await;
    assert_eq!((&now["status"], &now["paymentStatus"]), (&json!("cancelled"), &json!("failed")));
    assert_eq!(entries(&admin, &order, "order.status_changed").await, 1);
    conservation::check(&host).await;
}

async fn nobody_is_told_anything_about_payments_that_are_not_there(mut host: TestHost) {
    let admin = host.admin().await;
    sell(&admin, "CUP", 5).await;
    let order = post_with_key(&admin, "/orders", "k", &items_order(&[("CUP", 1)])).await.expect(201);
    let public = host.anonymous();
    let before = (documents(&host, "orders").await, documents(&host, "sandbox_charges").await);
    for (number, reference) in ["sbc_00000000000000000000000000", "nowhere", "\u{0}"].into_iter().enumerate()
    {
        let unknown = event(&format!("evt_{number}"), "authorization", reference, "succeeded");
        for _ in 0..2 {
            let answer = deliver(&public, &unknown).await;
            assert_eq!(answer.expect(200), json!({"received": true}), "{reference:?}");
        }
    }
    let after = (documents(&host, "orders").await, documents(&host, "sandbox_charges").await);
    assert!(before == after, "an order or a charge has changed");
    assert_eq!(read_order(&admin, &order).await["version"], order["version"]);
    // Kept once each, because the provider can be faster than the shop.
    assert_eq!(documents(&host, "payment_notices").await.len(), 3);
    conservation::check(&host).await;
}
