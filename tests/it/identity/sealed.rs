//! The audit log: read by who may, and sealed so that no change of it goes unnoticed.

use host::{app::App, identity::AccountKind};
use platform_tests::{
    client::Client,
    host::{TestHost, TestHostBuilder},
    process::Place,
    shop::documents,
};
use serde_json::{Value, json};
use store_model::{FieldOperation, Operation, Write};

use super::people::{PASSWORD, account, client, host, host_on_mongodb, login};

on_each_backend!(
    host(), host_on_mongodb();
    entries_are_listed_and_filtered,
    a_whole_log_is_proven,
    changes_of_a_sealed_log_are_found,
);

/// A log with some entries.
async fn acting(host: &mut TestHost, changes: usize) -> Client {
    let admin = host.admin().await;
    for number in 0..changes {
        let role = json!({ "name": format!("r{number}"), "permissions": [] });
        admin.post("/roles", &role).await.expect(201);
    }
    admin
}

async fn write(app: &App, collection: &str, id: &str, operation: Operation) {
    app.store().commit(vec![Write::new(collection, id, operation)]).await.unwrap();
}

fn set(path: &str, value: Value) -> Operation {
    Operation::Update(vec![FieldOperation::Set { path: path.to_owned(), value }])
}

async fn entries_are_listed_and_filtered(mut host: TestHost) {
    let admin = acting(&mut host, 2).await;
    host.clock.advance(std::time::Duration::from_secs(60));
    let role = admin.post("/roles", &json!({ "name": "x", "permissions": [] })).await.expect(201);
    admin.delete(&format!("/roles/{}", role["id"].as_str().unwrap())).await.expect(204);
    let list = async |query: &str| admin.get(&format!("/audit{query}")).await;
    let all = list("?sort=-createdAt").await;
    assert_eq!(all.header("x-total-count"), Some("5"));
    let of = async |query: &str| -> Vec<String> {
        let entries = list(query).await.expect(200);
        entries.as_array().unwrap().iter().map(|it| it["operationId"].as_str().unwrap().to_owned()).collect()
    };
    let subject = format!("?filter[subjects]={}", role["id"].as_str().unwrap());
    assert_eq!(of(&subject).await, ["createRole", "deleteRole"]);
    assert_eq!(of("?filter[operationId]=deleteRole").await, ["deleteRole"]);
    assert_eq!(of("?filter[createdAt][gte]=2026-01-01T00:01:00.000Z").await, ["createRole", "deleteRole"]);
    assert_eq!(of("?filter[outcome]=invalid_credentials").await, [""; 0]);
    // Of one moment, the first comes first.
    let first = all.expect(200)[2].clone();
    assert_eq!((&first["operationId"], &first["address"]), (&json!("loginAdmin"), &json!("127.0.0.1")));
    list("?filter[changes]=x").await.expect_problem(400, "unknown_filter");
    account(&host, AccountKind::Admin, "op@example.com", &["operator"]).await;
    let operator = client(&host, &login(&host, "admin", "op@example.com", PASSWORD).await.expect(200));
    operator.get("/audit").await.expect(200);
    operator.get("/roles").await.expect_problem(403, "forbidden");
}

async fn a_whole_log_is_proven(mut host: TestHost) {
    acting(&mut host, 3).await;
    assert_eq!(host.app.audit().seal().await.unwrap(), 4);
    assert_eq!(host.app.audit().seal().await.unwrap(), 0);
    acting(&mut host, 1).await;
    host.app.audit().seal().await.unwrap();
    acting(&mut host, 1).await;
    let report = host.app.audit().verify().await.unwrap();
    assert_eq!((report.seals, report.sealed_entries, report.unsealed_entries), (2, 5, 1));
    assert!(report.problems.is_empty(), "{report:?}");
}

async fn changes_of_a_sealed_log_are_found(mut host: TestHost) {
    for _ in 0..3 {
        acting(&mut host, 2).await;
        host.app.audit().seal().await.unwrap();
    }
    let entries: Vec<String> = documents(&host, "_audit").await.into_keys().collect();
    let seals: Vec<(String, Value)> = documents(&host, "_audit_seals").await.into_iter().collect();
    let found = async |what: &str| {
        let report = host.app.audit().verify().await.unwrap();
        assert!(report.problems.iter().any(|problem| problem.contains(what)), "{what}: {report:?}");
    };
    write(&host.app, "_audit", &entries[1], set("actorId", json!("usr_other"))).await;
    found(&format!("entry `{}` of seal 1 was changed", entries[1])).await;

    write(&host.app, "_audit", &entries[2], Operation::Delete).await;
    found(&format!("entry `{}` of seal 1 was removed", entries[2])).await;

    let mut added = serde_json::Map::new();
    added.insert("seal".to_owned(), json!(2));
    write(&host.app, "_audit", "aud_00000000000000000000000000", Operation::Insert(added)).await;
    found("1 entries were added below seal 2").await;

    // A seal that was made without the key, as somebody would who can write to the store.
    write(&host.app, "_audit_seals", &seals[1].0, set("entries", json!([]))).await;
    found("seal 2 was changed").await;

    // The log cut off at its end.
    write(&host.app, "_audit_seals", &seals[2].0, Operation::Delete).await;
    found("the log was cut off: the seals 3 to 3 are gone").await;
    write(&host.app, "_audit_seals", &seals[0].0, Operation::Delete).await;
    found("the seals 1 to 1 were removed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_without_its_key_is_not_proven() {
    let mut first = host().await;
    acting(&mut first, 1).await;
    first.app.audit().seal().await.unwrap();
    let data = first.stop().await;
    let other = TestHostBuilder::empty()
        .with_data(data)
        .configure(|config| config.auth.jwt_secret = Some("another secret of the tests, long enough".into()))
        .start()
        .await;
    let report = other.app.audit().verify().await.unwrap();
    assert!(report.problems.iter().any(|problem| problem.contains("cannot be proven")), "{report:?}");
    // What is sealed after it proves it, because each seal holds the hash of the one before.
    login(&other, "admin", "nobody@example.com", "wrong").await.expect_problem(401, "invalid_credentials");
    other.app.audit().seal().await.unwrap();
    assert!(other.app.audit().verify().await.unwrap().problems.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_verifies_beside_a_host_and_alone() {
    let place = Place::new();
    place.create_admin();
    let server = place.serve();
    let report = place.answer(&["audit", "verify"]);
    assert_eq!(report["problems"], json!([]));
    server
        .anonymous()
        .post("/auth/admin/login", &json!({"email": "a@b.c", "password": "x"}))
        .await
        .expect(401);
    server.stop();
    let report = place.answer(&["audit", "verify"]);
    assert_eq!((&report["seals"], &report["sealedEntries"]), (&json!(1), &json!(1)));
}
