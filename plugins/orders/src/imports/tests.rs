use plugin_sdk::{
    Caller, ListQuery, Problem, Request, Value, json,
    mock::{RecordedAnswer, request_faults},
};
use proptest::prelude::*;

use super::import;
use crate::{
    HISTORY, ORDERS, Orders,
    model::{OrderStatus, StoredOrder},
    shop::{ADA, START_MS, Shop, ada, guest, on, powerless, refused, staff},
};

/// Two lines for 31.00.
fn body() -> Value {
    json!({
        "number": "#1001",
        "status": "completed",
        "placedAt": "2024-11-23T10:00:00+01:00",
        "currency": "EUR",
        "email": "Ada@Example.com",
        "items": [
            {"sku": "OLD-1", "name": "Old thing", "quantity": 3, "unitPrice": 1_000},
            {"name": "Gift wrapping", "quantity": 1, "unitPrice": 100},
        ],
    })
}

fn with(members: &Value) -> Value {
    let mut body = body();
    for (name, value) in members.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

fn asked(body: &Value, caller: &Caller) -> Request {
    on("importOrder", "", body, caller)
}

fn imported(shop: &Shop, body: &Value) -> Result<RecordedAnswer, Problem> {
    assert_eq!(request_faults::<Orders>("importOrder", body), Vec::<String>::new(), "{body}");
    let answer = shop.call(&asked(body, &staff()))?;
    check_sums(&answer.body);
    Ok(answer)
}

fn amount(money: &Value) -> i64 {
    money["amount"].as_i64().unwrap()
}

fn sum<'v>(adjustments: impl Iterator<Item = &'v Value>, kind: &str) -> i64 {
    adjustments.filter(|it| it["kind"] == kind).map(|it| amount(&it["amount"])).sum()
}

/// What holds of the sums of any order.
#[track_caller]
fn check_sums(order: &Value) {
    let total = |name: &str| amount(&order["totals"][name]);
    let parts = ["items", "discount", "surcharge", "shipping", "tax"];
    assert_eq!(parts.map(total).iter().sum::<i64>(), total("grand"), "{order}");
    let lines = || order["items"].as_array().unwrap().iter();
    let all = || lines().chain([order]).flat_map(|it| it["adjustments"].as_array().unwrap());
    for (name, kind) in [
        ("discount", "discount"),
        ("surcharge", "surcharge"),
        ("shipping", "shipping"),
        ("tax", "tax"),
        ("taxIncluded", "tax_included"),
    ] {
        assert_eq!(sum(all(), kind), total(name), "{kind} of {order}");
    }
    for adjustment in all() {
        let is_discount = adjustment["kind"] == "discount";
        assert_eq!(
            (amount(&adjustment["amount"]) < 0, &adjustment["code"]),
            (is_discount, &json!("imported"))
        );
        for name in ["pluginId", "pluginVersion", "digest", "configDigest"] {
            assert_eq!(adjustment[name], "");
        }
    }
    let mut items = 0;
    for line in lines() {
        let gross = amount(&line["unitPrice"]) * line["quantity"].as_i64().unwrap();
        let own = || line["adjustments"].as_array().unwrap().iter();
        assert_eq!(
            gross + sum(own(), "discount") + sum(own(), "surcharge"),
            amount(&line["total"]),
            "{line}"
        );
        assert!(amount(&line["total"]) >= 0, "{line}");
        items += gross;
    }
    assert_eq!(items, total("items"));
    let owed = total("grand") - total("credited") - (total("paid") - total("refunded"));
    assert_eq!(total("due"), if order["status"] == "cancelled" { 0 } else { owed });
}

/// The totals of the lines.
fn totals(order: &Value) -> Vec<i64> {
    order["items"].as_array().unwrap().iter().map(|line| amount(&line["total"])).collect()
}

#[test]
fn an_order_of_another_shop_is_an_order() {
    let shop = Shop::new();
    let whole = with(&json!({
        "discount": -310, "surcharge": 100, "shipping": 490, "tax": 5, "taxIncluded": 500, "paid": 3_385,
        "refunded": 385, "paymentProvider": "paypal", "trackingNumber": "0034", "coupons": ["WELCOME"],
        "notes": "A regular", "metadata": {"erp": 7},
        "shippingAddress": {"name": "Ada", "line1": "1", "city": "Kiel", "postalCode": "24103", "country": "DE"},
    }));
    let answer = imported(&shop, &whole).unwrap();
    let order = answer.body;
    let id = order["id"].as_str().unwrap();
    assert_eq!(answer.status, 201);
    assert!(answer.headers.contains(&("location".to_owned(), format!("/orders/{id}"))));
    assert_eq!(
        (&order["number"], &order["placedAt"], &order["email"]),
        (&json!("#1001"), &json!("2024-11-23T09:00:00.000Z"), &json!("ada@example.com"))
    );
    assert_eq!(
        (&order["status"], &order["paymentStatus"], &order["fulfillmentStatus"]),
        (&json!("completed"), &json!("partiallyRefunded"), &json!("delivered"))
    );
    assert_eq!((amount(&order["totals"]["grand"]), amount(&order["totals"]["due"])), (3_385, 0));
    // 3 000 and 100, with 97 and 3 more and then 310 off in the same proportion.
    assert_eq!(totals(&order), [2_797, 93]);
    assert_eq!((&order["items"][1]["sku"], &order["items"][0]["productId"]), (&json!(""), &json!("")));
    assert_eq!(order["metadata"], json!({"erp": 7, "importedCoupons": ["WELCOME"]}));
    assert_eq!((&order["coupons"], &order["notes"]), (&json!([]), &json!("A regular")));
    assert_eq!(order["billingAddress"], order["shippingAddress"]);
    let payment = &order["payments"][0];
    let kinds: Vec<&Value> =
        payment["transactions"].as_array().unwrap().iter().map(|it| &it["type"]).collect();
    assert_eq!(
        (&payment["provider"], kinds),
        (&json!("paypal"), vec![&json!("authorization"), &json!("capture"), &json!("refund")])
    );
    assert_eq!(order["fulfillments"][0]["trackingNumber"], "0034");
    let stored = shop.stored(id);
    assert_eq!((stored.reservation_id.as_str(), &stored.replay, &stored.due_at), ("", &Value::Null, &None));
    assert_eq!(shop.topics(), ["order.imported"]);
    assert_eq!(shop.history(id), ["order.imported"]);
    assert_eq!([shop.level("A"), shop.level("B")], [[10, 0, 10]; 2]);
}

#[test]
fn lines_may_say_what_they_came_to() {
    let shop = Shop::new();
    let items = |first: Value, second: Value| {
        json!([
            {"name": "A", "quantity": 3, "unitPrice": 1_000, "total": first},
            {"name": "B", "quantity": 1, "unitPrice": 100, "total": second},
        ])
    };
    for (number, (members, expected)) in [
        // What the lines say is all there is.
        (json!({"items": items(json!(2_500), json!(150))}), vec![2_500, 150]),
        (
            json!({"items": items(json!(2_500), json!(150)), "discount": -500, "surcharge": 50}),
            vec![2_500, 150],
        ),
        // The other one has the rest.
        (json!({"items": items(json!(2_500), Value::Null), "discount": -540}), vec![2_500, 60]),
        (json!({"items": items(json!(3_000), Value::Null), "surcharge": 7}), vec![3_000, 107]),
        // Both, of which the lines tell the difference.
        (
            json!({"items": items(json!(2_700), json!(100)), "discount": -500, "surcharge": 200}),
            vec![2_700, 100],
        ),
        (json!({"items": items(json!(0), json!(0))}), vec![0, 0]),
        (json!({"discount": -3_100}), vec![0, 0]),
        (json!({"discount": -3_200, "surcharge": 100}), vec![0, 0]),
    ]
    .into_iter()
    .enumerate()
    {
        let mut body = with(&members);
        body["number"] = json!(format!("N{number}"));
        let order = imported(&shop, &body).unwrap().body;
        assert_eq!(totals(&order), expected, "{body}");
        for name in ["discount", "surcharge"].into_iter().filter(|name| !body[name].is_null()) {
            assert_eq!(amount(&order["totals"][name]), body[name].as_i64().unwrap());
        }
    }
    for (members, pointer) in [
        (json!({"items": items(json!(2_500), json!(100)), "discount": -400}), "/discount"),
        (json!({"items": items(json!(2_500), json!(100)), "discount": -600}), "/discount"),
        (json!({"items": items(json!(3_500), json!(100)), "surcharge": 400}), "/surcharge"),
        (json!({"items": items(json!(3_000), json!(100)), "surcharge": 400}), "/surcharge"),
        (json!({"items": items(json!(3_000), Value::Null), "discount": -101}), "/discount"),
        (json!({"discount": -3_101}), "/discount"),
    ] {
        let problem = refused(imported(&shop, &with(&members)), 422, "validation_failed");
        assert_eq!(problem.errors[0].pointer, pointer, "{members}");
    }
}

#[test]
fn what_cannot_have_been_is_refused() {
    let shop = Shop::new();
    let most = 9_007_199_254_740_991_i64;
    let line = |price: i64, quantity: u32| json!({"name": "A", "quantity": quantity, "unitPrice": price});
    for (members, pointer) in [
        (json!({"placedAt": "yesterday"}), "/placedAt"),
        (json!({"placedAt": "2026-01-01T00:00:00.001Z"}), "/placedAt"),
        (json!({"currency": "XYZ"}), "/currency"),
        (json!({"paid": 100, "refunded": 101}), "/refunded"),
        (json!({"status": "completed", "shipped": false}), "/shipped"),
        (json!({"status": "confirmed", "shipped": true}), "/shipped"),
        (json!({"status": "cancelled", "shipped": true}), "/shipped"),
        (json!({"status": "processing", "trackingNumber": "1"}), "/trackingNumber"),
        (json!({"metadata": {"a.b": 1}}), "/metadata/a.b"),
        (json!({"metadata": {"importedCoupons": 1}, "coupons": ["X"]}), "/metadata/importedCoupons"),
        (
            json!({"billingAddress": {"name": "A", "line1": "1", "city": "C", "postalCode": "", "country": "XX"}}),
            "/billingAddress/country",
        ),
        (json!({"items": [line(most, 2)]}), "/items/0/unitPrice"),
        (json!({"items": [line(most, 1), line(1, 1)]}), "/items/1"),
        (json!({"items": [line(most, 1)], "surcharge": 1}), "/surcharge"),
        (json!({"items": [line(most, 1)], "shipping": 1}), "/shipping"),
        (json!({"shipping": most - 3_100, "tax": 1}), "/tax"),
    ] {
        let answer = shop.call(&asked(&with(&members), &staff()));
        assert_eq!(refused(answer, 422, "validation_failed").errors[0].pointer, pointer, "{members}");
    }
    for members in [
        json!({"number": "a b"}),
        json!({"number": "a,b"}),
        json!({"number": ".."}),
        json!({"number": ""}),
        json!({"status": "pending"}),
        json!({"items": []}),
        json!({"items": [line(-1, 1)]}),
        json!({"items": [line(1, 0)]}),
        json!({"discount": 1}),
        json!({"surcharge": -1}),
        json!({"paid": most + 1}),
        json!({"coupons": [""]}),
        json!({"email": "nobody"}),
        json!({"colour": "red"}),
    ] {
        assert_ne!(
            request_faults::<Orders>("importOrder", &with(&members)),
            Vec::<String>::new(),
            "{members}"
        );
    }
}

#[test]
fn a_second_import_of_the_same_changes_nothing() {
    let shop = Shop::new();
    let first = imported(&shop, &body()).unwrap();
    let again = imported(&shop, &body()).unwrap();
    assert_eq!((again.status, &again.body), (200, &first.body));
    let id = first.body["id"].as_str().unwrap();
    assert_eq!(shop.history(id), ["order.imported"]);
    // Whatever the staff does to it meanwhile.
    shop.call(&on("updateOrder", id, &json!({"notes": "Kind"}), &staff())).unwrap();
    assert_eq!(imported(&shop, &body()).unwrap().body["notes"], "Kind");
    // Another one takes its place, and keeps its name and its parts'.
    let other = imported(&shop, &with(&json!({"paid": 3_100, "customerId": ADA}))).unwrap();
    assert_eq!((other.status, &other.body["id"], &other.body["version"]), (200, &json!(id), &json!(3)));
    assert_eq!((&other.body["notes"], &other.body["paymentStatus"]), (&json!(""), &json!("paid")));
    assert_eq!(other.body["items"], first.body["items"]);
    assert_eq!(shop.history(id), ["order.imported", "order.updated", "order.imported"]);
    assert_eq!(imported(&shop, &with(&json!({"paid": 3_100, "customerId": ADA}))).unwrap().body, other.body);
}

#[test]
fn orders_that_are_of_here_stay() {
    let shop = Shop::new();
    let made = shop.order(OrderStatus::Confirmed, &[("A", 1)]);
    let body_of = |status: &str, paid: i64| with(&json!({"status": status, "paid": paid}));
    let number = with(&json!({"number": format!("N-{made}")}));
    refused(shop.call(&asked(&number, &staff())), 409, "already_exists");
    assert!(shop.stored(&made).imported.is_none());
    // One that went on here.
    let id = imported(&shop, &body_of("confirmed", 0)).unwrap().body["id"].as_str().unwrap().to_owned();
    shop.call(&on("processOrder", &id, &Value::Null, &staff())).unwrap();
    let problem = refused(shop.call(&asked(&body_of("completed", 0), &staff())), 409, "conflict");
    assert_eq!(problem.extras["done"], "order.status_changed");
    assert_eq!(imported(&shop, &body_of("confirmed", 0)).unwrap().body["status"], "processing");
    // One that was deleted.
    let gone = with(&json!({"number": "gone", "status": "cancelled"}));
    let id = imported(&shop, &gone).unwrap().body["id"].as_str().unwrap().to_owned();
    shop.call(&on("deleteOrder", &id, &Value::Null, &staff())).unwrap();
    refused(shop.call(&asked(&gone, &staff())), 409, "already_exists");
}

#[test]
fn nobody_but_the_staff_imports() {
    let shop = Shop::new();
    for caller in [ada(), guest(), Caller { permissions: vec!["*".to_owned()], ..ada() }] {
        refused(shop.host.answered::<Orders>(asked(&body(), &caller)), 403, "forbidden");
        let direct = import(&shop.ctx(), asked(&body(), &caller)).map(|_| ());
        assert_eq!(direct.unwrap_err().status, 403);
    }
    // The host looks at the permission of who is staff.
    assert!(powerless().is_staff());
    let system = Caller { kind: "system".to_owned(), permissions: vec!["*".to_owned()], ..Caller::default() };
    assert_eq!(shop.call(&asked(&body(), &system)).unwrap().status, 201);
}

#[test]
fn who_placed_it_sees_it() {
    let shop = Shop::new();
    imported(&shop, &body()).unwrap();
    let by_number = |caller: &Caller| Request {
        params: vec![("number".to_owned(), "#1001".to_owned())],
        query: vec![("email".to_owned(), "ada@example.com".to_owned())],
        ..on("getOrderByNumber", "", &Value::Null, caller)
    };
    let knowing = Caller { guest: Some(plugin_sdk::guest_of(&["#1001", "ADA@example.com"])), ..guest() };
    let stored = shop.ctx().find::<StoredOrder>(ORDERS, &plugin_sdk::Query::default()).unwrap().items;
    assert_eq!(Some(&stored[0].data.owners[0]), knowing.guest.as_ref());
    assert_eq!(shop.call(&by_number(&knowing)).unwrap().body["number"], "#1001");
    let body = with(&json!({"number": "A2", "customerId": ADA, "placedAt": "2023-01-01T00:00:00Z"}));
    let id = imported(&shop, &body).unwrap().body["id"].as_str().unwrap().to_owned();
    assert_eq!(shop.stored(&id).owners, [ADA]);
    let nobodys = json!({"number": "A3", "email": null});
    let id = imported(&shop, &with(&nobodys)).unwrap().body["id"].as_str().unwrap().to_owned();
    assert_eq!(shop.stored(&id).owners, Vec::<String>::new());
    let entries = shop.ctx().find::<Value>(HISTORY, &plugin_sdk::Query::default()).unwrap().items;
    assert_eq!(entries.len(), 3);
    // Among the customer's others, by when they were placed.
    let made = shop.order(OrderStatus::Confirmed, &[]);
    let request =
        Request { list: Some(ListQuery::default()), ..on("listOwnOrders", "", &Value::Null, &ada()) };
    let listed = shop.call(&request).unwrap().body;
    let numbers: Vec<&Value> = listed.as_array().unwrap().iter().map(|order| &order["number"]).collect();
    assert_eq!(numbers, [&json!(format!("N-{made}")), &json!("A2")]);
}

#[test]
fn no_provider_is_asked_about_what_was_paid_elsewhere() {
    let shop = Shop::new();
    shop.host.add_provider("paypal");
    let body = with(&json!({"status": "confirmed", "paid": 3_100, "paymentProvider": "paypal"}));
    let order = imported(&shop, &body).unwrap().body;
    let (id, payment) = (order["id"].as_str().unwrap(), order["payments"][0]["id"].as_str().unwrap());
    for operation in ["capturePayment", "refundPayment", "voidPayment"] {
        let asked = on(operation, payment, &json!({}), &staff());
        refused(shop.call(&asked), 409, "conflict");
    }
    let told = shop.call(&on("syncPayment", payment, &Value::Null, &staff())).unwrap();
    assert_eq!((told.status, &told.body), (200, &order["payments"][0]));
    let cancelled = shop.call(&on("cancelOrder", id, &Value::Null, &staff())).unwrap().body;
    assert_eq!((&cancelled["status"], &cancelled["paymentStatus"]), (&json!("cancelled"), &json!("paid")));
    assert_eq!((amount(&cancelled["totals"]["due"]), shop.stored(id).due_at), (0, None));
    assert_eq!(shop.host.payment_calls(), []);
}

#[test]
fn an_open_order_goes_on_here() {
    let shop = Shop::new();
    shop.host.add_provider("sandbox");
    let body = with(&json!({"status": "confirmed", "items": [
        {"sku": "A", "name": "Thing A", "quantity": 2, "unitPrice": 1_000},
    ]}));
    let order = imported(&shop, &body).unwrap().body;
    let id = order["id"].as_str().unwrap();
    assert_eq!((&order["paymentStatus"], amount(&order["totals"]["due"])), (&json!("none"), 2_000));
    let parcel = shop.call(&on("createFulfillment", id, &json!({}), &staff())).unwrap().body;
    shop.call(&on("shipFulfillment", parcel["id"].as_str().unwrap(), &json!({}), &staff())).unwrap();
    // It holds nothing here, so nothing goes away, and nothing comes back.
    let line = json!({"itemId": order["items"][0]["id"], "quantity": 1});
    let back = shop.call(&on("createReturn", id, &json!({"lines": [line]}), &staff())).unwrap().body;
    for operation in ["approveReturn", "receiveReturn"] {
        shop.call(&on(operation, back["id"].as_str().unwrap(), &Value::Null, &staff())).unwrap();
    }
    assert_eq!(shop.level("A"), [10, 0, 10]);
    shop.call(&on("payOrder", id, &json!({"provider": "sandbox"}), &staff())).unwrap();
    let shown = shop.call(&on("getOrder", id, &Value::Null, &staff())).unwrap().body;
    assert_eq!((&shown["paymentStatus"], &shown["status"]), (&json!("authorized"), &json!("processing")));
}

#[test]
fn history_has_its_own_days() {
    let shop = Shop::new();
    for (number, placed_at) in
        [("1", "2025-12-30T10:00:00Z"), ("2", "2025-12-30T12:00:00Z"), ("3", "2025-12-31T00:00:00Z")]
    {
        imported(&shop, &with(&json!({"number": number, "placedAt": placed_at}))).unwrap();
    }
    shop.host.set_now_ms(START_MS + 1);
    let figures = shop.call(&on("getDashboard", "", &Value::Null, &staff())).unwrap().body;
    let figures = &figures["currencies"][0];
    let days: Vec<(&Value, &Value)> =
        figures["days"].as_array().unwrap().iter().map(|it| (&it["day"], &it["orderCount"])).collect();
    assert_eq!(days, [(&json!("2025-12-30"), &json!(2)), (&json!("2025-12-31"), &json!(1))]);
    // What has no SKU is nobody's best seller.
    assert_eq!(figures["bestSellers"].as_array().unwrap().len(), 1);
    assert_eq!(figures["bestSellers"][0]["sku"], "OLD-1");
}

fn any_body() -> impl Strategy<Value = Value> {
    let amount = || prop_oneof![Just(0_i64), 0..10_000_i64, 0..1_000_000_000_000_i64];
    let item = (1..50_u32, amount(), prop::option::weighted(0.4, (0..3_u8, amount())));
    let amounts = (amount(), amount(), amount(), amount(), amount(), amount(), amount());
    let status = prop_oneof![Just("confirmed"), Just("processing"), Just("completed"), Just("cancelled")];
    let given = (any::<bool>(), any::<bool>(), any::<bool>());
    (prop::collection::vec(item, 1..8), amounts, status, given).prop_map(|(items, amounts, status, given)| {
        let (discount, surcharge, shipping, tax, tax_included, paid, refunded) = amounts;
        let (mut own, mut free) = ((0, 0), None);
        let items: Vec<Value> = items
            .iter()
            .enumerate()
            .map(|(index, &(quantity, price, own_change))| {
                let gross = price * i64::from(quantity);
                let total = own_change.map(|(kind, change)| match kind {
                    0 => gross,
                    1 => gross - change.min(gross),
                    _ => gross + change,
                });
                match total {
                    Some(total) => {
                        own.0 += (total - gross).min(0);
                        own.1 += (total - gross).max(0);
                    }
                    None => *free.get_or_insert(0) += gross,
                }
                json!({
                    "name": format!("Thing {index}"), "sku": format!("S{index}"), "quantity": quantity,
                    "unitPrice": price, "total": total,
                })
            })
            .collect();
        // What all lines together leave room for.
        let more = if given.1 { surcharge } else { 0 };
        let (more, less) = match free {
            Some(gross) => (more, discount.min(gross + more)),
            None => (more, more),
        };
        let is_discount_given = given.0 || (free.is_none() && more > 0);
        let gross = |item: &Value| item["unitPrice"].as_i64().unwrap() * item["quantity"].as_i64().unwrap();
        let off = if is_discount_given { less } else { 0 };
        let lines = items.iter().map(gross).sum::<i64>() + own.0 + own.1 + more - off;
        json!({
            "number": "P-1", "status": status, "placedAt": "2025-01-01T00:00:00Z", "currency": "USD", "items": items,
            "discount": is_discount_given.then_some(own.0 - less),
            "surcharge": given.1.then_some(own.1 + more),
            "shipping": shipping, "tax": tax, "taxIncluded": tax_included.min(lines + shipping + tax),
            "paid": paid, "refunded": refunded.min(paid),
            "shipped": given.2.then_some(status == "completed" || status == "processing"),
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_order_adds_up_and_is_imported_once(body in any_body()) {
        let shop = Shop::new();
        let first = imported(&shop, &body).unwrap();
        for name in ["discount", "surcharge"].into_iter().filter(|name| !body[name].is_null()) {
            prop_assert_eq!(amount(&first.body["totals"][name]), body[name].as_i64().unwrap());
        }
        for name in ["shipping", "tax", "taxIncluded", "paid", "refunded"] {
            prop_assert_eq!(amount(&first.body["totals"][name]), body[name].as_i64().unwrap());
        }
        let lines = first.body["items"].as_array().unwrap().iter();
        for (line, given) in lines.zip(body["items"].as_array().unwrap()) {
            if let Some(total) = given["total"].as_i64() {
                prop_assert_eq!(amount(&line["total"]), total);
            }
        }
        let again = imported(&shop, &body).unwrap();
        prop_assert_eq!((again.status, again.body), (200, first.body));
    }
}
