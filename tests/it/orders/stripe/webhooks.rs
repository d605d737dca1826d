//! What Stripe tells by itself is believed only with its signature, in time, and once.

use platform_tests::{
    checkout::sell,
    conservation,
    host::START_MS,
    shop::{id, writes_nothing},
    stripe::{API_KEY, Event, FakeStripe, WEBHOOK_SECRET, sign},
    wait::eventually,
};
use secrecy::SecretString;
use serde_json::json;

use super::{
    CAPTURABLE, OUTCOME, Shop, agreed, deliver, paid_through, secrets, shop, start, statuses, webhook,
};

on_each_backend!(
    start(shop()), start(shop().on_mongodb());
    a_webhook_is_believed_as_it_was_signed_and_in_time,
    what_was_told_before_has_no_effect,
    a_secret_is_replaced_while_webhooks_come,
);

async fn a_webhook_is_believed_as_it_was_signed_and_in_time(shop: Shop) {
    let (order, intent) = agreed(&shop, "waiting").await;
    let public = shop.host.anonymous();
    let event = shop.event(CAPTURABLE, &intent);
    let signed_at = |age_s: i64| sign(&event.body, WEBHOOK_SECRET, START_MS - age_s * 1_000).signature;
    let hex = event.signature.split_once("v1=").unwrap().1;
    let time = START_MS / 1_000;
    writes_nothing(&shop.host, async {
        let mut refused: Vec<(String, Vec<u8>, Option<String>)> = Vec::new();
        let mut forged = |why: &str, signature: &str| {
            refused.push((why.to_owned(), event.body.clone().into_bytes(), Some(signature.to_owned())));
        };
        forged("wrong", &sign(&event.body, "whsec_forged", START_MS).signature);
        forged("of another body", &sign("{}", WEBHOOK_SECRET, START_MS).signature);
        forged("with the key of the API", &sign(&event.body, API_KEY, START_MS).signature);
        forged("too old", &signed_at(301));
        forged("much too old", &signed_at(86_400));
        forged("of the future", &signed_at(-301));
        forged("of the far future", &signed_at(-86_400));
        forged(
            "old, with another time",
            &format!("t={time},v1={}", &signed_at(301).split_once("v1=").unwrap().1),
        );
        forged("empty", "");
        forged("without a time", &format!("v1={hex}"));
        forged("without a signature", &format!("t={time}"));
        forged("of a scheme that nobody checks", &format!("t={time},v0={hex}"));
        forged("cut", &format!("t={time},v1={}", &hex[..62]));
        forged("too long", &format!("t={time},v1={hex}00"));
        forged("no hexadecimal", &format!("t={time},v1={}", "z".repeat(64)));
        forged("no time", &format!("t=now,v1={hex}"));
        refused.push(("unsigned".to_owned(), event.body.clone().into_bytes(), None));
        // Every byte of the body counts.
        for at in (0..event.body.len()).step_by(7) {
            let mut altered = event.body.clone().into_bytes();
            altered[at] ^= 1;
            refused.push((format!("altered at {at}"), altered, Some(event.signature.clone())));
        }
        let longer = format!("{}\n", event.body).into_bytes();
        refused.push(("longer".to_owned(), longer, Some(event.signature.clone())));
        refused.push(("without a body".to_owned(), Vec::new(), Some(event.signature.clone())));
        for (why, body, signature) in refused {
            let draft = webhook(&public, "", signature.as_deref()).text(body);
            let answer = public.send(draft).await;
            assert_eq!(answer.status, 401, "{why}: {}", answer.text());
            answer.expect_problem(401, "unauthenticated");
        }
        // Who may do everything may not do this.
        let draft = webhook(&shop.admin, &event.body, None);
        shop.admin.send(draft).await.expect_problem(401, "unauthenticated");
        // Signed, and no event of Stripe's.
        for nonsense in
            ["", "{}", "nonsense", r#"{"id":"evt_1","type":"payment_intent.succeeded","data":{"object":{}}}"#]
        {
            let signed = sign(nonsense, WEBHOOK_SECRET, START_MS);
            deliver(&shop.host, &signed).await.expect_problem(422, "validation_failed");
        }
        // Signed, and nothing to the shop.
        let other = json!({"id": "evt_1", "type": "customer.created", "data": {"object": {"id": "cus_1"}}});
        deliver(&shop.host, &sign(&other.to_string(), WEBHOOK_SECRET, START_MS)).await.expect(200);
    })
    .await;
    assert_eq!(statuses(&shop.read(&order).await), ("pending", "requiresAction"));
    // On the edges of the time.
    for (number, age_s) in [300, -300].into_iter().enumerate() {
        let (order, intent) = agreed(&shop, &format!("edge-{number}")).await;
        let event = shop.stripe.event(CAPTURABLE, &intent, START_MS - age_s * 1_000);
        deliver(&shop.host, &event).await.expect(200);
        assert_eq!(statuses(&shop.read(&order).await), ("confirmed", "authorized"), "{age_s}");
    }
    deliver(&shop.host, &event).await.expect(200);
    assert_eq!(statuses(&shop.read(&order).await), ("confirmed", "authorized"));
    conservation::check(&shop.host).await;
}

async fn what_was_told_before_has_no_effect(shop: Shop) {
    let (order, intent) = agreed(&shop, "repeated").await;
    let event = shop.event(CAPTURABLE, &intent);
    deliver(&shop.host, &event).await.expect(200);
    let confirmed = shop.read(&order).await;
    assert_eq!(statuses(&confirmed), ("confirmed", "authorized"));
    writes_nothing(&shop.host, async {
        for _ in 0..3 {
            assert_eq!(deliver(&shop.host, &event).await.expect(200), json!({"received": true}));
        }
        // Stripe signs what it sends again anew.
        let again = sign(&event.body, WEBHOOK_SECRET, shop.now_ms() + 60_000);
        assert_ne!(again.signature, event.signature);
        deliver(&shop.host, &again).await.expect(200);
    })
    .await;
    // Late ones of another id are noted and change nothing else.
    let late = shop.event("payment_intent.payment_failed", &intent);
    deliver(&shop.host, &late).await.expect(200);
    let now = shop.read(&order).await;
    assert_eq!((&now["status"], &now["payments"]), (&confirmed["status"], &confirmed["payments"]));
    let history = shop.admin.get(&format!("/orders/{}/history?limit=100", id(&order))).await.expect(200);
    let authorized = history.as_array().unwrap().iter().filter(|it| it["type"] == "payment.authorized");
    assert_eq!(authorized.count(), 1);
    conservation::check(&shop.host).await;
}

/// While a secret is replaced Stripe signs with both, and the shop has one of them.
async fn a_secret_is_replaced_while_webhooks_come(shop: Shop) {
    const NEW: &str = "whsec_harness_new";
    let by_both = |event: &Event, now_ms: i64| {
        let old = event.signature.clone();
        let new = sign(&event.body, NEW, now_ms).signature;
        let signature = format!("{old},v1={}", new.split_once("v1=").unwrap().1);
        Event { body: event.body.clone(), signature }
    };
    let (first, first_intent) = agreed(&shop, "before").await;
    let (second, second_intent) = agreed(&shop, "after").await;
    let event = shop.event(CAPTURABLE, &first_intent);
    // The shop has the old one.
    writes_nothing(&shop.host, async {
        let by_new = sign(&event.body, NEW, shop.now_ms());
        deliver(&shop.host, &by_new).await.expect_problem(401, "unauthenticated");
    })
    .await;
    deliver(&shop.host, &by_both(&event, shop.now_ms())).await.expect(200);
    assert_eq!(statuses(&shop.read(&first).await), ("confirmed", "authorized"));

    let event = shop.event(CAPTURABLE, &second_intent);
    let (now_ms, database) = (shop.now_ms(), shop.host.database());
    let Shop { host, stripe, .. } = shop;
    let data = host.stop().await;
    let builder = paid_through(super::shop(), &stripe).configure_more(secrets(NEW));
    let builder = builder.with_data(data).at_ms(now_ms);
    let builder = match database {
        Some(database) => builder.on_database(database),
        None => builder,
    };
    let host = builder.start().await;
    assert_eq!(host.refusals(), []);
    let staff = host.staff("later@example.com", &["superadmin"]).await;
    let shop = Shop { admin: host.with_token(&staff), host, stripe };
    // The shop has the new one.
    writes_nothing(&shop.host, async {
        deliver(&shop.host, &event).await.expect_problem(401, "unauthenticated");
    })
    .await;
    deliver(&shop.host, &by_both(&event, now_ms)).await.expect(200);
    assert_eq!(statuses(&shop.read(&second).await), ("confirmed", "authorized"));
    conservation::check(&shop.host).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_secret_no_webhook_is_believed() {
    let stripe = FakeStripe::start().await;
    let without = |config: &mut host::config::Config| {
        config.payment.gateway_key = Some(SecretString::from(API_KEY));
    };
    let mut host = paid_through(shop(), &stripe).configure_more(without).start().await;
    assert_eq!(host.refusals(), []);
    let admin = host.admin().await;
    sell(&admin, "CUP", 20).await;
    let shop = Shop { host, stripe, admin };
    let (order, intent) = agreed(&shop, "waiting").await;
    let event = shop.event(CAPTURABLE, &intent);
    writes_nothing(&shop.host, async {
        deliver(&shop.host, &event).await.expect_problem(401, "unauthenticated");
        // Nor one that is signed with nothing.
        let empty = sign(&event.body, "", shop.now_ms());
        deliver(&shop.host, &empty).await.expect_problem(401, "unauthenticated");
    })
    .await;
    // The shop asks instead.
    shop.host.clock.advance(OUTCOME);
    eventually("it is known what became of it", async || {
        statuses(&shop.read(&order).await) == ("confirmed", "authorized")
    })
    .await;
    assert_eq!(shop.stripe.charges(id(&order)), 1);
    conservation::check(&shop.host).await;
}
