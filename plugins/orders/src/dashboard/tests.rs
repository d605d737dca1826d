use plugin_sdk::{Problem, Request, Value, json, time::timestamp};

use super::average;
use crate::{
    INVENTORY, ORDERS,
    model::OrderStatus,
    shop::{START_MS, Shop, on, refused, staff},
};

const HOUR_MS: i64 = 3_600_000;

fn figures(shop: &Shop, from: Option<&str>, to: Option<&str>) -> Result<Value, Problem> {
    let given = [("from", from), ("to", to)];
    let query = given.into_iter().filter_map(|(name, at)| Some((name.to_owned(), at?.to_owned()))).collect();
    Ok(shop.call(&Request { query, ..on("getDashboard", "", &Value::Null, &staff()) })?.body)
}

fn money(amount: i64, currency: &str) -> Value {
    json!({"amount": amount, "currency": currency})
}

#[test]
fn what_was_sold_is_counted_by_currency_day_and_sku() {
    let shop = Shop::new();
    shop.host.configure(&json!({"timeZoneMinutes": 60, "lowStock": 5}));
    let at = |hours: i64, status, currency: &str, items: &[(&str, u32)]| {
        shop.host.set_now_ms(START_MS + hours * HOUR_MS);
        shop.order_with(status, items, |order| {
            order.order.currency = currency.to_owned();
        })
    };
    at(0, OrderStatus::Confirmed, "USD", &[("A", 2)]);
    // After midnight in the shop.
    at(23, OrderStatus::Completed, "USD", &[("N", 5)]);
    at(24, OrderStatus::Processing, "USD", &[("A", 1), ("B", 1)]);
    at(24, OrderStatus::OnHold, "EUR", &[("B", 3)]);
    at(24, OrderStatus::Pending, "USD", &[("B", 1)]);
    at(24, OrderStatus::Cancelled, "USD", &[]);
    let hidden = at(24, OrderStatus::Cancelled, "USD", &[]);
    shop.call(&on("deleteOrder", &hidden, &Value::Null, &staff())).unwrap();
    shop.host.set_now_ms(START_MS + 48 * HOUR_MS);

    let all = figures(&shop, None, None).unwrap();
    assert_eq!(
        (&all["from"], &all["to"]),
        (&json!("2025-12-04T00:00:00.000Z"), &json!("2026-01-03T00:00:00.000Z"))
    );
    let by_currency = all["currencies"].as_array().unwrap();
    assert_eq!((by_currency.len(), &by_currency[0]["currency"]), (2, &json!("EUR")));
    let dollars = &by_currency[1];
    assert_eq!(dollars["revenue"], money(9_000, "USD"));
    assert_eq!((&dollars["orderCount"], &dollars["average"]), (&json!(3), &money(3_000, "USD")));
    let counts = |figures: &Value| -> Vec<(String, i64)> {
        let counts = figures["orders"].as_array().unwrap().iter();
        counts.map(|it| (it["status"].as_str().unwrap().to_owned(), it["count"].as_i64().unwrap())).collect()
    };
    let summed: i64 = by_currency.iter().flat_map(counts).map(|(_, count)| count).sum();
    assert_eq!(summed, counts(&all).iter().map(|(_, count)| count).sum::<i64>());
    assert!(counts(dollars).contains(&("completed".to_owned(), 1)), "{dollars}");
    assert!(!counts(&by_currency[0]).contains(&("completed".to_owned(), 1)), "{}", by_currency[0]);
    let days = json!([
        {"day": "2026-01-01", "revenue": money(2_000, "USD"), "orderCount": 1},
        {"day": "2026-01-02", "revenue": money(7_000, "USD"), "orderCount": 2},
    ]);
    assert_eq!(dollars["days"], days);
    let best = json!([
        {"sku": "N", "name": "Thing N", "quantity": 5, "revenue": money(5_000, "USD")},
        {"sku": "A", "name": "Thing A", "quantity": 3, "revenue": money(3_000, "USD")},
        {"sku": "B", "name": "Thing B", "quantity": 1, "revenue": money(1_000, "USD")},
    ]);
    assert_eq!(dollars["bestSellers"], best);
    let statuses: Vec<(Value, Value)> = all["orders"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (it["status"].clone(), it["count"].clone()))
        .collect();
    for (status, count) in [
        ("cancelled", 1),
        ("completed", 1),
        ("confirmed", 1),
        ("onHold", 1),
        ("pending", 1),
        ("processing", 1),
    ] {
        assert!(statuses.contains(&(json!(status), json!(count))), "{status}");
    }
    // The end is not in the period, the beginning is.
    let first = figures(&shop, Some("2026-01-01T00:00:00Z"), Some("2026-01-01T23:00:00Z")).unwrap();
    assert_eq!(first["currencies"][0]["revenue"], money(2_000, "USD"));
    assert_eq!(first["currencies"][0]["orderCount"], 1);
    let nothing = figures(&shop, None, Some("2025-01-01T01:00:00+01:00")).unwrap();
    assert_eq!((&nothing["currencies"], &nothing["orders"]), (&json!([]), &json!([])));
}

#[test]
fn what_runs_low_counts_expired_reservations_as_free() {
    let shop = Shop::new();
    shop.order(OrderStatus::Confirmed, &[("A", 7)]);
    shop.order(OrderStatus::Pending, &[("B", 6)]);
    let low = |shop: &Shop| figures(shop, None, None).unwrap()["lowStock"].clone();
    assert_eq!(low(&shop), json!([{"sku": "A", "available": 3}, {"sku": "B", "available": 4}]));
    shop.host.set_now_ms(START_MS + 10 * 60_000);
    assert_eq!(low(&shop), json!([{"sku": "A", "available": 3}]));
    assert!(shop.host.document(INVENTORY, &crate::stock::level_id("B")).unwrap()["reserved"] == 6);
}

#[test]
fn a_period_has_a_beginning_an_end_and_a_bound() {
    let shop = Shop::new();
    for (from, to, pointer) in [
        (Some("2026-01-02T00:00:00Z"), Some("2026-01-01T00:00:00Z"), "from"),
        (Some("2026-01-01T00:00:00Z"), Some("2026-01-01T00:00:00Z"), "from"),
        (Some("2024-12-30T23:59:59Z"), Some("2026-01-01T00:00:00Z"), "from"),
        (Some("yesterday"), None, "from"),
        (None, Some("2026-02-30T00:00:00Z"), "to"),
        (None, Some("0000-01-01T00:00:00Z"), "from"),
    ] {
        let problem = figures(&shop, from, to).unwrap_err();
        assert_eq!((problem.status, problem.code.as_str()), (400, "invalid_parameter"));
        assert_eq!(problem.errors[0].pointer, pointer, "{from:?} {to:?}");
    }
    figures(&shop, Some("2024-12-31T00:00:00Z"), Some("2026-01-01T00:00:00Z")).unwrap();
    figures(&shop, None, Some("9999-12-30T00:00:00Z")).unwrap();
    figures(&shop, None, Some("0000-01-02T00:00:00Z")).unwrap();
    refused(shop.call(&on("listOrders", "", &Value::Null, &crate::shop::powerless())), 403, "forbidden");
}

/// The store answers a thousand groups, the first by name: the best seller is among the last.
#[test]
fn the_best_of_many_are_found() {
    let shop = Shop::new();
    for hour in 0..12 {
        shop.host.set_now_ms(START_MS + hour * HOUR_MS);
        let items: Vec<Value> = (0..150)
            .map(|n| {
                let sku = format!("S{:05}", hour * 150 + n);
                json!({"sku": sku, "name": sku, "quantity": 1, "total": money(10, "USD")})
            })
            .chain([json!({"sku": "Z", "name": "Z", "quantity": 2, "total": money(30, "USD")})])
            .collect();
        let order = json!({
            "number": format!("M-{hour}"), "placedAt": timestamp(START_MS + hour * HOUR_MS), "status": "confirmed", "currency": "USD", "_hidden": false, "items": items,
            "totals": {"grand": money(1_530, "USD")},
        });
        shop.host.put(ORDERS, &format!("ord_many_{hour}"), &order);
    }
    shop.host.set_now_ms(START_MS + 12 * HOUR_MS);
    let query = Vec::new();
    let request = Request { query, ..on("getDashboard", "", &Value::Null, &staff()) };
    let all = shop.host.answered::<crate::Orders>(request).unwrap().body;
    let best = all["currencies"][0]["bestSellers"].as_array().unwrap().clone();
    assert_eq!(best.len(), 10);
    assert_eq!(best[0], json!({"sku": "Z", "name": "Z", "quantity": 24, "revenue": money(360, "USD")}));
    assert_eq!(shop.host.log_lines(), Vec::<String>::new());
}

#[test]
fn averages_are_rounded_half_up() {
    assert_eq!([average(5, 2), average(7, 3), average(8, 3), average(0, 0)], [3, 2, 3, 0]);
    assert_eq!(average(i64::MAX, 1), i64::MAX);
}
