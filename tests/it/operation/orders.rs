//! `wares import orders`, beside a server and without one.

use std::fs;

use platform_tests::{
    conservation,
    host::TestHostBuilder,
    process::{Place, Server},
};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    import::{import, killed, succeeds, told},
    people::{BCRYPT, login},
};

const ORDERS: i64 = 50;
const CUSTOMERS: i64 = 5;
const DAYS: i64 = 10;
const STATUSES: [&str; 4] = ["completed", "processing", "confirmed", "cancelled"];

fn write(place: &Place, name: &str, lines: impl IntoIterator<Item = Value>) {
    let text: String = lines.into_iter().map(|line| format!("{line}\n")).collect();
    fs::write(place.path().join(name), text).unwrap();
}

fn address(customer: i64) -> String {
    format!("customer-{customer}@example.com")
}

fn customers() -> impl Iterator<Item = Value> {
    (0..CUSTOMERS).map(|number| {
        json!({"email": address(number), "name": "A customer", "passwordHash": BCRYPT, "emailVerified": true})
    })
}

/// What the order of this number comes to.
fn grand(number: i64) -> i64 {
    (number % 3 + 1) * (1_000 + number) - number % 7 * 11 + 490 + number * 3
}

/// One of five a day. The first in ten is a guest's, the others are the customers' in turn.
fn order(number: i64) -> Value {
    let status = STATUSES[usize::try_from(number % 4).unwrap()];
    let mut order = json!({
        "number": format!("#{number:04}"),
        "status": status,
        "placedAt": format!("2024-03-{:02}T12:00:00Z", number % DAYS + 1),
        "currency": "USD",
        "items": [
            {"sku": "K", "name": "Kettle", "quantity": number % 3 + 1, "unitPrice": 1_000},
            {"name": "Engraving", "quantity": number % 3 + 1, "unitPrice": number},
        ],
        "discount": -(number % 7 * 11),
        "shipping": 490,
        "tax": number * 3,
        "paid": if number % 3 == 0 { grand(number) } else { 0 },
        "refunded": if number % 6 == 0 { 100 } else { 0 },
        "coupons": ["WELCOME"],
    });
    match number % DAYS {
        0 => order["email"] = json!(format!("guest-{number}@example.com")),
        _ => order["customerEmail"] = json!(address(number % CUSTOMERS)),
    }
    order
}

/// The client of who has this address.
async fn customer(server: &Server, email: &str) -> platform_tests::client::Client {
    let tokens = login(server, "customer", email).await.expect(200);
    server.with_token(tokens["accessToken"].as_str())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_orders_of_another_shop_are_history_here() {
    let data = TempDir::new().unwrap();
    let place = Place::with_data_dir(TempDir::new().unwrap(), data.path().join("data"));
    write(&place, "people.ndjson", customers());
    succeeds(&place, &["users", "people.ndjson"]);
    let kettle = json!({"slug": "kettle", "name": "Kettle", "status": "active", "variants": [
        {"sku": "K", "prices": [{"amount": 4900, "currency": "USD"}], "onHand": 3},
    ]});
    write(&place, "products.ndjson", [kettle]);
    succeeds(&place, &["products", "products.ndjson"]);
    let broken = [
        json!({"number": "#0107", "status": "completed"}),
        json!({"status": "completed"}),
        order(3)
            .as_object()
            .cloned()
            .map(|mut it| {
                it["customerEmail"] = json!("x@example.com");
                it["number"] = json!("#0103");
                it.into()
            })
            .unwrap(),
        order(5),
    ];
    write(&place, "orders.ndjson", (0..ORDERS).map(order).chain(broken));

    let (dry, foretold, _) = import(&place, &["orders", "orders.ndjson", "--dry-run"]);
    assert_eq!((&dry["created"], &dry["refused"]), (&json!(ORDERS + 1), &json!(3)), "{dry} {foretold:?}");
    let (report, mistakes, code) = import(&place, &["orders", "orders.ndjson"]);
    assert_eq!((code, &report["created"], &report["refused"]), (Some(1), &json!(ORDERS), &json!(4)));
    // The first one lacks several members.
    let rows: Vec<(u64, &str)> =
        told(&mistakes).iter().map(|it| (it.0, it.1)).filter(|it| it.0 > 51).collect();
    assert_eq!(rows, [(52, "/number"), (53, "/customerEmail"), (54, "/number")]);

    let server = place.serve();
    place.create_admin();
    let staff = server.with_token(Some(&server.login().await));
    write(&place, "orders.ndjson", (0..ORDERS).map(order));
    let again = succeeds(&place, &["orders", "orders.ndjson"]);
    assert_eq!((&again["created"], &again["updated"]), (&json!(0), &json!(ORDERS)));
    let listed = staff.get("/orders?limit=100").await.expect(200);
    let listed = listed.as_array().unwrap();
    assert_eq!(listed.len(), usize::try_from(ORDERS).unwrap());
    assert!(listed.iter().all(|order| order["version"] == 1), "the second import changed something");
    let placed: Vec<&str> = listed.iter().map(|order| order["placedAt"].as_str().unwrap()).collect();
    assert!(placed.is_sorted_by(|one, next| one >= next), "{placed:?}");
    for number in 0..ORDERS {
        let name = format!("#{number:04}");
        let order = listed.iter().find(|order| order["number"] == name).unwrap();
        assert_eq!(order["totals"]["grand"]["amount"], grand(number), "{order}");
    }

    // The customers have their own, and guests by what they know.
    let ada = customer(&server, &address(1)).await;
    let own = ada.get("/users/me/orders?limit=100").await.expect(200);
    let own = own.as_array().unwrap();
    assert_eq!(own.len(), 10);
    ada.get(&format!("/orders/{}", own[0]["id"].as_str().unwrap())).await.expect(200);
    let others = ada.get("/orders/by-number/%230002").await;
    drop(others.expect_problem(404, "not_found"));
    let guest = server.anonymous();
    let found = guest.get("/orders/by-number/%230010?email=Guest-10@example.com").await.expect(200);
    assert_eq!((&found["number"], &found["notes"]), (&json!("#0010"), &json!("")));
    let wrong = guest.get("/orders/by-number/%230010?email=guest-20@example.com").await;
    drop(wrong.expect_problem(404, "not_found"));

    let figures = staff.get("/dashboard?from=2024-03-01T00:00:00Z&to=2024-04-01T00:00:00Z").await.expect(200);
    let days = figures["currencies"][0]["days"].as_array().unwrap();
    let sold = |number: &i64| number % 4 != 3;
    for day in 0..DAYS {
        let of_day: Vec<i64> = (0..ORDERS).filter(|number| number % DAYS == day).filter(sold).collect();
        let expected = json!({
            "day": format!("2024-03-{:02}", day + 1),
            "revenue": {"amount": of_day.iter().map(|&number| grand(number)).sum::<i64>(), "currency": "USD"},
            "orderCount": of_day.len(),
        });
        assert_eq!(days[usize::try_from(day).unwrap()], expected);
    }
    let now = staff.get("/dashboard").await.expect(200);
    assert_eq!(now["currencies"], json!([]), "nothing was sold lately");
    assert_eq!(staff.get("/inventory/K").await.expect(200)["available"], 3);
    server.stop();

    let host = TestHostBuilder::shop().with_data(data).start().await;
    conservation::check(&host).await;
    drop(host.stop().await);
}

const MANY: i64 = 600;

#[tokio::test(flavor = "multi_thread")]
async fn an_import_of_orders_that_is_killed_goes_on() {
    let place = Place::new();
    write(&place, "people.ndjson", customers());
    succeeds(&place, &["users", "people.ndjson"]);
    write(&place, "orders.ndjson", (0..MANY).map(order));
    killed(&place, &["orders", "orders.ndjson"], 1).await;
    let server = place.serve();
    place.create_admin();
    let staff = server.with_token(Some(&server.login().await));
    let report = succeeds(&place, &["orders", "orders.ndjson"]);
    assert!(report["doneBefore"].as_u64().unwrap() > 0, "{report}");
    let orders = staff.get("/orders?limit=1").await;
    assert_eq!(orders.header("x-total-count"), Some(MANY.to_string().as_str()));
    let changed = staff.get("/orders?limit=1&sort=-updatedAt").await.expect(200);
    assert_eq!(changed[0]["version"], 1, "nothing was written twice");
    server.stop();
    assert_eq!(place.run(&["db", "verify"]).code, Some(0));
}
