//! `Idempotency-Key`: a repeat is answered with what the first request was answered with, and does nothing.

use std::{collections::BTreeSet, time::Duration};

use futures_util::stream::{self, StreamExt as _};
use host::store::{
    Transaction,
    idempotency::{IdempotencyKey, Seen},
};
use hyper::Method;
use platform_tests::{
    client::{Answer, Client, Draft},
    host::TestHost,
    shop::{category, documents, id, product, with, writes_nothing},
    sizes::{DUPLICATES, KEYS},
};
use serde_json::json;

fn keyed(client: &Client, method: Method, path: &str, key: &str) -> Draft {
    client.request(method, path).header("idempotency-key", key)
}

async fn create(client: &Client, key: &str, body: &serde_json::Value) -> Answer {
    client.send(keyed(client, Method::POST, "/products", key).json(body)).await
}

/// What a replay must repeat.
fn told(answer: &Answer) -> (u16, String, Vec<Option<String>>) {
    let headers = ["location", "etag", "content-type"].map(|name| answer.header(name).map(str::to_owned));
    (answer.status.as_u16(), answer.text(), headers.to_vec())
}

on_each_backend!(
    TestHost::shop(), TestHost::shop_on_mongodb();
    a_repeat_gets_the_first_answer,
    an_answer_that_goes_with_the_work_is_stored_once,
    a_key_belongs_to_its_caller_and_lasts_a_day,
    a_refused_request_leaves_its_key_free,
    keys_have_rules,
    duplicates_at_once_do_the_work_once,
    a_client_that_hangs_up_gets_its_answer_later,
    a_deletion_of_several_commits_is_repeated_as_one,
    a_record_that_is_purged_while_it_is_being_taken_over_is_made_anew,
    a_request_that_was_abandoned_is_gone_on_with_at_once,
);

async fn a_record_that_is_purged_while_it_is_being_taken_over_is_made_anew(host: TestHost) {
    let store = host.app.store();
    let look_up = async || {
        let key = IdempotencyKey::new("a scope", "a-key", b"a body", store.clock().now_ms());
        match key.look_up(store).await.unwrap() {
            Seen::New(key) => Transaction::new(Some(key), None, "anything", "req_1"),
            other => panic!("{other:?}"),
        }
    };
    // It dies after a commit without an answer.
    look_up().await.commit(store, Vec::new(), Vec::new(), None).await.unwrap();
    host.clock.advance(Duration::from_secs(61));
    let (repeat, another) = (look_up().await, look_up().await);
    host.app.housekeep().await;
    assert!(documents(&host, "_idempotency").await.is_empty());
    repeat.commit(store, Vec::new(), Vec::new(), None).await.unwrap();
    // The record has the version again that the other one knows.
    another.commit(store, Vec::new(), Vec::new(), None).await.unwrap_err();
    assert!(another.settle().await.superseded);
    host.clock.advance(Duration::from_secs(3_600));
    host.app.housekeep().await;
    assert!(documents(&host, "_idempotency").await.is_empty());
}

async fn a_request_that_was_abandoned_is_gone_on_with_at_once(host: TestHost) {
    let store = host.app.store();
    let look_up = async || {
        let key = IdempotencyKey::new("a scope", "a-key", b"a body", store.clock().now_ms());
        key.look_up(store).await.unwrap()
    };
    let Seen::New(key) = look_up().await else { panic!("nobody has the key") };
    let first = Transaction::new(Some(key), None, "anything", "req_1");
    first.commit(store, Vec::new(), Vec::new(), None).await.unwrap();
    assert!(matches!(look_up().await, Seen::Running));
    first.abandon(store).await;
    let Seen::New(key) = look_up().await else { panic!("it still runs") };
    let second = Transaction::new(Some(key), None, "anything", "req_2");
    second.commit(store, Vec::new(), Vec::new(), None).await.unwrap();
    // The first one is over, whatever it writes yet.
    first.commit(store, Vec::new(), Vec::new(), None).await.unwrap_err();
    assert!(matches!(look_up().await, Seen::Running));
}

async fn a_repeat_gets_the_first_answer(mut host: TestHost) {
    let admin = host.admin().await;
    let cup = product("Cup", "C");
    let first = create(&admin, "k1", &cup).await;
    assert_eq!(first.header("idempotent-replayed"), None);
    let first_told = told(&first);
    let created = first.expect(201);
    let path = format!("/products/{}", id(&created));
    let patch = json!({"tags": ["x"]});
    let merge = |key: &str| {
        keyed(&admin, Method::PATCH, &path, key)
            .header("content-type", "application/merge-patch+json")
            .text(patch.to_string())
    };
    let patched = told(&admin.send(merge("k1")).await);
    assert_eq!(patched.0, 200, "the key belongs to the method and the path: {patched:?}");
    let shelf = admin.post("/categories", &category("Shelf")).await.expect(201);
    let shelf_path = format!("/categories/{}", id(&shelf));
    let deleted = told(&admin.send(keyed(&admin, Method::DELETE, &shelf_path, "k1")).await);
    assert_eq!(deleted.0, 204);

    // Also when the resource is another or gone, and time has passed.
    admin.delete(&path).await.expect(204);
    host.clock.advance(Duration::from_secs(600));
    writes_nothing(&host, async {
        for _ in 0..3 {
            for (again, expected) in [
                (create(&admin, "k1", &cup).await, &first_told),
                (admin.send(merge("k1")).await, &patched),
                (admin.send(keyed(&admin, Method::DELETE, &shelf_path, "k1")).await, &deleted),
            ] {
                assert_eq!(told(&again), *expected);
                assert_eq!(again.header("idempotent-replayed"), Some("true"));
            }
        }
        let other = create(&admin, "k1", &product("Cup", "D")).await;
        other.expect_problem(422, "idempotency_key_reused");
        // The same meaning in other bytes is another body.
        let spaced =
            keyed(&admin, Method::POST, "/products", "k1").header("content-type", "application/json");
        admin.send(spaced.text(format!(" {cup}"))).await.expect_problem(422, "idempotency_key_reused");
    })
    .await;
}

async fn a_key_belongs_to_its_caller_and_lasts_a_day(mut host: TestHost) {
    let admin = host.admin().await;
    let other = host.staff("other@example.com", &["superadmin"]).await;
    let other = host.with_token(&other);
    create(&admin, "shared", &product("Cup", "A")).await.expect(201);
    create(&other, "shared", &product("Cup", "B")).await.expect(201);
    let on_categories = keyed(&admin, Method::POST, "/categories", "shared").json(&category("Cup"));
    admin.send(on_categories).await.expect(201);

    host.clock.advance(Duration::from_secs(24 * 3600 - 1));
    let body =
        json!({"email": platform_tests::host::ADMIN_EMAIL, "password": platform_tests::host::ADMIN_PASSWORD});
    let login = async || {
        let token = host.anonymous().post("/auth/admin/login", &body).await.expect(200);
        host.with_token(token["accessToken"].as_str().unwrap())
    };
    let admin = login().await;
    let replay = create(&admin, "shared", &product("Cup", "A")).await;
    assert_eq!(replay.header("idempotent-replayed"), Some("true"), "another token of the same account");
    replay.expect(201);
    host.clock.advance(Duration::from_secs(1));
    let admin = login().await;
    let fresh = create(&admin, "shared", &product("Cup", "Z")).await;
    assert_eq!(fresh.header("idempotent-replayed"), None);
    fresh.expect(201);
    let replay = create(&admin, "shared", &product("Cup", "Z")).await;
    assert_eq!(replay.header("idempotent-replayed"), Some("true"));
    replay.expect(201);
}

async fn a_refused_request_leaves_its_key_free(mut host: TestHost) {
    let admin = host.admin().await;
    admin.post("/products", &product("Cup", "A")).await.expect(201);
    writes_nothing(&host, async {
        create(&admin, "k", &product("", "B")).await.expect_problem(422, "validation_failed");
        create(&admin, "k", &product("Cup", "A")).await.expect_problem(409, "already_exists");
        create(&host.anonymous(), &"k".repeat(22), &product("Cup", "B"))
            .await
            .expect_problem(401, "unauthenticated");
        let draft = keyed(&admin, Method::DELETE, "/products/none", "k");
        admin.send(draft).await.expect_problem(404, "not_found");
    })
    .await;
    let made = create(&admin, "k", &product("Cup", "B")).await;
    assert_eq!(made.header("idempotent-replayed"), None);
    made.expect(201);
}

async fn keys_have_rules(mut host: TestHost) {
    let admin = host.admin().await;
    writes_nothing(&host, async {
        for key in ["", "a b", "a\tb", "\u{e9}", &"k".repeat(256)] {
            let answer = create(&admin, key, &product("Cup", "A")).await;
            answer.expect_error_at(400, "invalid_parameter", "Idempotency-Key", "invalid_parameter");
        }
    })
    .await;
    let longest = "k".repeat(255);
    let cup = create(&admin, &longest, &product("Cup", "A")).await.expect(201);
    assert_eq!(create(&admin, &longest, &product("Cup", "A")).await.expect(201), cup);
    create(&admin, "!\"#~", &product("Cup", "B")).await.expect(201);
    // PUT is idempotent by itself and takes no key: the second one is done too.
    let path = format!("/products/{}", id(&cup));
    for version in [2, 3] {
        let draft = keyed(&admin, Method::PUT, &path, "put").json(&product("Mug", "A"));
        let answer = admin.send(draft).await;
        assert_eq!(answer.header("idempotent-replayed"), None);
        assert_eq!(answer.expect(200)["version"], version);
    }
    for _ in 0..2 {
        let read = admin.send(keyed(&admin, Method::GET, &path, "get")).await;
        assert_eq!(read.header("idempotent-replayed"), None);
        read.expect(200);
    }
}

async fn duplicates_at_once_do_the_work_once(mut host: TestHost) {
    let admin = host.admin().await;
    let keys = KEYS.get();
    let requests = (0..keys * DUPLICATES.get()).map(|number| {
        let (admin, key) = (&admin, number / DUPLICATES.get());
        async move { (key, create(admin, &format!("key-{key}"), &product("Cup", &format!("S{key}"))).await) }
    });
    let mut first = vec![None; keys as usize];
    // Those of one key together, and no more than a process may have connections.
    let answers: Vec<_> = stream::iter(requests).buffer_unordered(400).collect().await;
    for (key, answer) in answers {
        if answer.status == 201 {
            let text = answer.text();
            let seen = first[key as usize].get_or_insert_with(|| text.clone());
            assert_eq!(*seen, text);
        } else {
            assert_eq!(answer.header("retry-after"), Some("1"));
            answer.expect_problem(409, "idempotency_in_progress");
        }
    }
    assert!(first.iter().all(Option::is_some));
    let products = documents(&host, "products").await;
    assert_eq!(products.len(), keys as usize);
    // The log has the login besides.
    for (collection, others) in [("_events", 0), ("_audit", 1), ("_idempotency", 0)] {
        assert_eq!(documents(&host, collection).await.len(), keys as usize + others, "{collection}");
    }
    // And later each is answered with what the first was.
    for (key, first) in first.iter().enumerate() {
        let again = create(&admin, &format!("key-{key}"), &product("Cup", &format!("S{key}"))).await;
        assert_eq!((again.header("idempotent-replayed"), Some(again.text())), (Some("true"), first.clone()));
    }
}

async fn a_client_that_hangs_up_gets_its_answer_later(mut host: TestHost) {
    let admin = host.admin().await;
    let keys = 30_u64;
    for key in 0..keys {
        let (key_text, body) = (format!("key-{key}"), product("Cup", &format!("S{key}")));
        let hasty = create(&admin, &key_text, &body);
        // Cut at different moments; whether the work was done is not known, and does not matter.
        let _ = tokio::time::timeout(Duration::from_micros(key * 400), hasty).await;
    }
    for key in 0..keys {
        let mut made = None;
        platform_tests::wait::eventually("the request with the key ends", async || {
            let answer = create(&admin, &format!("key-{key}"), &product("Cup", &format!("S{key}"))).await;
            if answer.status == 201 {
                made = Some(answer.json());
            } else {
                answer.expect_problem(409, "idempotency_in_progress");
            }
            made.is_some()
        })
        .await;
    }
    let products = documents(&host, "products").await;
    let skus: BTreeSet<String> = products.values().map(|it| it["variants"][0]["sku"].to_string()).collect();
    assert_eq!((products.len(), skus.len()), (keys as usize, keys as usize));
    assert_eq!(documents(&host, "_events").await.len(), keys as usize);
}

async fn a_deletion_of_several_commits_is_repeated_as_one(mut host: TestHost) {
    let admin = host.admin().await;
    let shelf = admin.post("/categories", &category("Shelf")).await.expect(201);
    let body = with(product("Cup", "C"), "categoryIds", json!([id(&shelf)]));
    let cup = admin.post("/products", &body).await.expect(201);
    let path = format!("/categories/{}?strategy=reparent", id(&shelf));
    admin.send(keyed(&admin, Method::DELETE, &path, "k")).await.expect(204);
    writes_nothing(&host, async {
        let again = admin.send(keyed(&admin, Method::DELETE, &path, "k")).await;
        assert_eq!(again.header("idempotent-replayed"), Some("true"));
        again.expect(204);
        // Without the strategy it is another path, so another request.
        let other = format!("/categories/{}", id(&shelf));
        admin.send(keyed(&admin, Method::DELETE, &other, "k")).await.expect_problem(404, "not_found");
    })
    .await;
    assert_eq!(admin.get(&format!("/products/{}", id(&cup))).await.expect(200)["categoryIds"], json!([]));
}

async fn an_answer_that_goes_with_the_work_is_stored_once(mut host: TestHost) {
    let admin = host.admin().await;
    create(&admin, "once", &product("Cup", "CUP")).await.expect(201);
    let records = documents(&host, "_idempotency").await;
    let versions: Vec<&serde_json::Value> = records.values().map(|record| &record["version"]).collect();
    assert_eq!(versions, [&json!(1)], "{records:?}");
}
