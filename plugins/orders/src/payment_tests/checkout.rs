//! Making orders.

use plugin_sdk::{
    Problem, guest_of,
    identity::ACCOUNTS,
    mock::descriptor_faults,
    shipping::{Parcel, Rate, ShippingRates},
};

use super::*;
use crate::{HISTORY, QUOTES, carts::tests::change};

#[test]
fn the_descriptor_is_complete() {
    assert_eq!(descriptor_faults::<Orders>(), Vec::<String>::new());
}

#[test]
fn a_paid_cart_becomes_a_confirmed_order() {
    let shop = Shop::new();
    let cart = shop.cart(&[("A", 2), ("B", 1)], &json!({}));
    let answer = shop.checkout(&cart, "k").unwrap();
    assert_eq!(answer.status, 201);
    let id = answer.body["id"].as_str().unwrap();
    assert_eq!(answer.headers, [("location".to_owned(), format!("/orders/{id}"))]);
    assert_eq!(
        (&answer.body["status"], &answer.body["paymentStatus"]),
        (&json!("confirmed"), &json!("authorized"))
    );
    assert_eq!(answer.body["totals"]["due"], usd(4_500));
    assert_eq!(answer.body["email"], "ada@example.com");
    assert_eq!((shop.level("A"), shop.level("B")), ((10, 2, 8), (5, 1, 4)));
    assert_eq!(shop.cart_status(&cart), "ordered");
    let order = shop.order(id);
    let number = order.order.number.as_str();
    assert!(number.len() == 13 && number.starts_with("260101-"), "{number}");
    assert_eq!(order.owners, ["gst_1".to_owned(), guest_of(&[number, "ada@example.com"])]);
    let topics: Vec<String> = shop.host.events().into_iter().map(|event| event.topic).collect();
    assert_eq!(
        topics,
        [
            "inventory.changed",
            "inventory.changed",
            "order.created",
            "payment.authorized",
            "order.status_changed"
        ]
    );
    assert_eq!(shop.all::<Value>(HISTORY).len(), 3);
    let calls = shop.host.payment_calls();
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].operation.amount.amount, 4_500);
    assert_eq!(calls[0].operation.token.as_deref(), Some("tok"));
    shop.check_settled();
}

#[test]
fn an_authorization_may_capture_at_once() {
    let shop = Shop::new();
    shop.moods(&[Mood::Captures]);
    let answer = shop.checkout(&shop.cart(&[("A", 1)], &json!({})), "k").unwrap();
    assert_eq!((&answer.body["paymentStatus"], &answer.body["totals"]["due"]), (&json!("paid"), &usd(0)));
    shop.check_settled();
}

#[test]
fn money_that_comes_by_another_way_confirms_the_order() {
    let shop = Shop::new();
    shop.moods(&[Mood::Offline]);
    let answer = shop.checkout(&shop.cart(&[("A", 1)], &json!({})), "k").unwrap();
    assert_eq!(
        (answer.status, &answer.body["status"], &answer.body["paymentStatus"]),
        (201, &json!("confirmed"), &json!("pending"))
    );
    assert_eq!(shop.the_order().due_at, None);
    shop.check();
}

#[test]
fn nothing_to_pay_is_confirmed_in_one_commit() {
    let shop = Shop::new();
    let cart = shop.cart(&[("FREE", 1)], &json!({}));
    shop.host.before_commit(1, |_| panic!("a second commit"));
    let answer = shop.call("createOrder", "", "k", &json!({"cartId": cart, "email": "a@b"})).unwrap();
    assert_eq!(
        (answer.status, &answer.body["status"], &answer.body["paymentStatus"]),
        (201, &json!("confirmed"), &json!("none"))
    );
    assert_eq!((shop.cart_status(&cart).as_str(), shop.level("FREE")), ("ordered", (5, 1, 4)));
    assert_eq!(shop.host.payment_calls().len(), 0);
    shop.check_settled();
}

#[test]
fn a_declined_payment_gives_everything_back() {
    let shop = Shop::new();
    let cart = shop.cart(&[("A", 2)], &json!({}));
    shop.moods(&[Mood::Declines]);
    let problem = refused(shop.checkout(&cart, "k"), 402, "payment_declined");
    let order = shop.the_order();
    assert_eq!(problem.extras["orderId"], order.order.id);
    assert_eq!(order.order.status, OrderStatus::Cancelled);
    assert_eq!((shop.level("A"), shop.cart_status(&cart).as_str()), ((10, 0, 10), "active"));
    shop.check_settled();
    // The next attempt is another order.
    assert_eq!(shop.checkout(&cart, "k2").unwrap().status, 201);
    shop.check_settled();
}

#[test]
fn a_provider_out_of_reach_gives_everything_back() {
    let shop = Shop::new();
    let cart = shop.cart(&[("A", 2)], &json!({}));
    shop.moods(&[Mood::Away]);
    let problem = refused(shop.checkout(&cart, "k"), 503, "plugin_unavailable");
    assert!(problem.extras.contains_key("orderId"));
    assert_eq!((shop.level("A"), shop.cart_status(&cart).as_str()), ((10, 0, 10), "active"));
    shop.check_settled();
}

#[test]
fn the_customer_may_have_something_to_do() {
    let shop = Shop::new();
    let cart = shop.cart(&[("A", 2)], &json!({}));
    shop.moods(&[Mood::WantsAction]);
    let answer = shop.checkout(&cart, "k").unwrap();
    assert_eq!((answer.status, &answer.body["paymentStatus"]), (202, &json!("requiresAction")));
    assert_eq!(answer.body["payments"][0]["nextAction"]["type"], "redirect");
    assert_eq!((shop.level("A"), shop.cart_status(&cart).as_str()), ((10, 2, 8), "completing"));
    let problem = refused(shop.checkout(&cart, "other"), 409, "cart_locked");
    assert_eq!(problem.extras["orderId"], answer.body["id"]);
    // Done in time: found out by asking.
    let payment = shop.the_order().order.payments[0].id.clone();
    assert!(shop.gateway.borrow_mut().complete(&payment, true));
    shop.advance(2 * MINUTE_MS);
    shop.settle();
    assert_eq!(shop.the_order().order.status, OrderStatus::Confirmed);
    assert_eq!(shop.the_order().order.payments[0].next_action, None);
    assert_eq!(shop.cart_status(&cart), "ordered");
    shop.check_settled();
}

#[test]
fn a_silent_provider_leaves_the_order_unknown_and_nobody_is_charged_twice() {
    for (mood, status) in
        [(Mood::SilentAfter, OrderStatus::Confirmed), (Mood::SilentBefore, OrderStatus::Cancelled)]
    {
        let shop = Shop::new();
        shop.moods(&[mood]);
        let answer = shop.checkout(&shop.cart(&[("A", 2)], &json!({})), "k").unwrap();
        assert_eq!((answer.status, &answer.body["paymentStatus"]), (202, &json!("unknown")));
        shop.check();
        shop.settle();
        assert_eq!(shop.host.payment_calls().len(), 1, "it is asked about later");
        shop.advance(2 * MINUTE_MS);
        shop.settle();
        assert_eq!(shop.the_order().order.status, status);
        shop.check_settled();
    }
}

#[test]
fn a_second_submit_makes_no_second_order() {
    let shop = Shop::new();
    let cart = shop.cart(&[("A", 2)], &json!({}));
    let first = shop.checkout(&cart, "k").unwrap();
    let problem = refused(shop.checkout(&cart, "other"), 409, "cart_not_active");
    assert_eq!(problem.extras["orderId"], first.body["id"]);
    // The same request again, whose record was lost.
    let again = shop.checkout(&cart, "k").unwrap();
    assert_eq!((again.status, &again.body["id"]), (201, &first.body["id"]));
    assert_eq!(shop.charge(first.body["payments"][0]["id"].as_str().unwrap()).times, 1);
    assert_eq!(shop.orders().len(), 1);
    shop.check_settled();
}

#[test]
fn two_submits_at_the_same_moment_make_one_order() {
    let shop = Shop::new();
    let cart = shop.cart(&[("A", 2)], &json!({}));
    let other = Request { caller: guest(), ..shop.request("createOrder", "", "other", &order_of(&cart)) };
    shop.host.before_commit(0, |host| drop(host.call::<Orders>(other).unwrap()));
    refused(shop.checkout(&cart, "k"), 409, "cart_not_active");
    assert_eq!(shop.orders().len(), 1);
    shop.check_settled();
}

#[test]
fn a_cart_that_changes_meanwhile_is_priced_again() {
    let shop = Shop::new();
    let cart = shop.cart(&[("A", 2)], &json!({}));
    let id = cart.clone();
    shop.host.before_commit(0, move |host| {
        let mut commit = Context::new(host, b"").commit();
        let path = "_lines.var_A.quantity".to_owned();
        commit.update(CARTS, &id, vec![plugin_sdk::FieldOperation::Set { path, value: json!(3) }]);
        commit.apply().unwrap();
    });
    let answer = shop.checkout(&cart, "k").unwrap();
    assert_eq!(answer.body["totals"]["grand"], usd(3_000));
    shop.check_settled();
}

#[test]
fn the_last_pieces_are_sold_once() {
    let shop = Shop::new();
    let mut sold = 0;
    for number in 0..10 {
        let cart = shop.cart(&[("B", 2)], &json!({}));
        match shop.checkout(&cart, &format!("k{number}")) {
            Ok(_) => sold += 1,
            problem => {
                let problem = refused(problem, 409, "insufficient_stock");
                assert_eq!(problem.extras["items"], json!([{"sku": "B", "requested": 2, "available": 1}]));
            }
        }
    }
    assert_eq!((sold, shop.level("B")), (2, (5, 4, 1)));
    shop.check_settled();
}

#[test]
fn what_was_never_counted_is_not_there_unless_it_sells_without_stock() {
    let shop = Shop::new();
    shop.product("NEVER", 100, None, "deny");
    shop.product("LATER", 100, None, "allow");
    shop.product("OWED", 100, Some(1), "allow");
    let problem = shop.checkout(&shop.cart(&[("NEVER", 1)], &json!({})), "k");
    let problem = refused(problem, 409, "insufficient_stock");
    assert_eq!(problem.extras["items"][0]["available"], 0);
    shop.checkout(&shop.cart(&[("LATER", 1), ("OWED", 3)], &json!({})), "k2").unwrap();
    assert_eq!(shop.level("OWED"), (1, 3, -2));
    shop.check_settled();
}

#[test]
fn stock_whose_time_is_over_is_sold_to_the_next_one() {
    let shop = Shop::new();
    let slow = shop.cart(&[("B", 5)], &json!({}));
    shop.moods(&[Mood::WantsAction]);
    assert_eq!(shop.checkout(&slow, "slow").unwrap().status, 202);
    let quick = shop.cart(&[("B", 5)], &json!({}));
    refused(shop.checkout(&quick, "early"), 409, "insufficient_stock");
    shop.advance(10 * MINUTE_MS);
    assert_eq!(shop.checkout(&quick, "k").unwrap().status, 201);
    shop.check();
    // The slow one pays after all: there is nothing for it any more, and its money goes back.
    let order = shop.orders().into_iter().find(|it| it.order.cart_id.as_ref() == Some(&slow)).unwrap();
    let payment = &order.order.payments[0].id;
    assert!(shop.gateway.borrow_mut().complete(payment, true));
    let synced = shop.call("syncPayment", payment, "", &Value::Null).unwrap();
    assert_eq!(synced.body["transactions"][0]["state"], "succeeded");
    assert_eq!(shop.order(&order.order.id).order.status, OrderStatus::Expired);
    shop.settle();
    assert_eq!(shop.charge(payment).held(), 0);
    assert_eq!(shop.cart_status(&slow), "active");
    shop.check_settled();
}

fn quote(shop: &Shop, cart: &str, grand: i64) -> String {
    let context = Context::new(&shop.host, b"");
    let stored = context.get::<crate::model::StoredCart>(CARTS, cart).unwrap().unwrap().data;
    let basket = crate::offer::basket_of(&stored, &[]);
    let offer = crate::offer::of(&context, &basket).unwrap();
    let mut totals = json!(offer.totals);
    for member in ["items", "grand", "due"] {
        totals[member] = usd(grand);
    }
    let mut lines = json!(offer.lines);
    lines[0]["unitPrice"] = usd(grand);
    lines[0]["total"] = usd(grand);
    let quote = json!({
        "cartId": cart, "currency": "USD", "lines": lines, "adjustments": [], "totals": totals, "plugins": [],
        "problems": [], "expiresAt": timestamp(START_MS + 10 * MINUTE_MS), "_owner": "gst_1",
        "shippingMethod": null, "_content": offer.content, "_replay": {},
    });
    let id = format!("quo_{cart}_{grand}");
    shop.host.put(QUOTES, &id, &quote);
    id
}

#[test]
fn a_quoted_price_holds_until_the_quote_expires() {
    let shop = Shop::new();
    let with_quote = |cart: &str, quote: &str, key: &str| {
        let mut order = order_of(cart);
        order["quoteId"] = json!(quote);
        shop.call("createOrder", "", key, &order)
    };
    let cart = shop.cart(&[("A", 1)], &json!({}));
    let answer = with_quote(&cart, &quote(&shop, &cart, 700), "k1").unwrap();
    assert_eq!((&answer.body["totals"]["grand"], answer.status), (&usd(700), 201));

    // A line that was not sold then is not left out.
    let cart = shop.cart(&[("A", 1)], &json!({}));
    let part = quote(&shop, &cart, 700);
    change(&shop.host, QUOTES, &part, |quote| {
        quote["_unsold"] = json!([{"id": "itm_9", "sku": "GONE", "name": null, "quantity": 2}]);
    });
    let problem = refused(with_quote(&cart, &part, "k0"), 409, "insufficient_stock");
    assert_eq!(problem.extras["items"], json!([{"sku": "GONE", "requested": 2, "available": 0}]));

    // Of another cart, and of none.
    let cart = shop.cart(&[("A", 1)], &json!({}));
    let other = shop.cart(&[("A", 1)], &json!({}));
    refused(with_quote(&cart, &quote(&shop, &other, 700), "k2"), 409, "quote_expired");
    refused(with_quote(&cart, "quo_none", "k3"), 409, "quote_expired");

    // The cart has changed since.
    let quoted = quote(&shop, &cart, 1_000);
    let change = |quantity: i64| {
        let mut commit = Context::new(&shop.host, b"").commit();
        let path = "_lines.var_A.quantity".to_owned();
        commit.update(CARTS, &cart, vec![plugin_sdk::FieldOperation::Set { path, value: json!(quantity) }]);
        commit.apply().unwrap();
    };
    change(2);
    let problem = refused(with_quote(&cart, &quoted, "k4"), 409, "price_changed");
    assert_eq!(problem.extras["diff"]["grand"], json!({"quoted": usd(1_000), "current": usd(2_000)}));
    change(1);

    // Expired: good for the same price.
    let dear = quote(&shop, &cart, 1_200);
    shop.advance(11 * MINUTE_MS);
    let problem = refused(with_quote(&cart, &dear, "k5"), 409, "price_changed");
    assert_eq!(problem.extras["diff"]["grand"], json!({"quoted": usd(1_200), "current": usd(1_000)}));
    assert_eq!(with_quote(&cart, &quoted, "k6").unwrap().status, 201);
    shop.check_settled();
}

struct Post;

impl ShippingRates for Post {
    const ID: &'static str = "post";
    const VERSION: &'static str = "1.0.0";
    const TITLE: &'static str = "Post";

    fn options(_: &Context<'_>, parcel: &Parcel) -> Result<Vec<Rate>, Problem> {
        let price = plugin_sdk::Money::new(500, parcel.currency.clone());
        let rate = Rate { code: "std".to_owned(), name: "Standard".to_owned(), price };
        Ok(if parcel.country.as_deref() == Some("AQ") { Vec::new() } else { vec![rate] })
    }
}

fn address(country: &str) -> Value {
    json!({
        "name": "Ada", "line1": "1 Street", "line2": null, "city": "Kiel", "region": null,
        "postalCode": "24103", "country": country, "phone": null,
    })
}

#[test]
fn what_is_sent_needs_an_address_and_a_way() {
    let shop = Shop::new();
    shop.host.add_rates::<Post>(&json!({}));
    let order = |more: Value, key: &str| shop.checkout(&shop.cart(&[("A", 1)], &more), key);
    refused(order(json!({}), "k1"), 422, "validation_failed");
    refused(order(json!({"shippingMethod": "post:std"}), "k2"), 422, "validation_failed");
    refused(order(json!({"shippingAddress": address("DE")}), "k3"), 409, "shipping_unavailable");
    refused(order(json!({"shippingAddress": address("AQ")}), "k4"), 409, "shipping_unavailable");
    let gone = json!({"shippingAddress": address("DE"), "shippingMethod": "post:gone"});
    refused(order(gone, "k5"), 409, "shipping_unavailable");
    let good = json!({"shippingAddress": address("DE"), "shippingMethod": "post:std"});
    let answer = order(good, "k6").unwrap();
    assert_eq!(answer.body["totals"]["grand"], usd(1_500));
    assert_eq!(answer.body["billingAddress"]["city"], "Kiel");
    shop.check_settled();
}

#[test]
fn requests_that_make_no_sense_are_refused() {
    let shop = Shop::new();
    let cart = shop.cart(&[("A", 1)], &json!({}));
    let order = |change: Value| {
        let mut order = order_of(&cart);
        order.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        shop.call("createOrder", "", "k", &order)
    };
    refused(order(json!({"email": null})), 422, "validation_failed");
    refused(order(json!({"payment": null})), 422, "validation_failed");
    refused(order(json!({"payment": {"provider": "none"}})), 422, "validation_failed");
    refused(order(json!({"cartId": null})), 422, "validation_failed");
    refused(order(json!({"cartId": "cart_none"})), 404, "not_found");
    refused(order(json!({"customerId": "usr_1"})), 422, "validation_failed");
    refused(order(json!({"cartId": null, "items": [{"sku": "A", "quantity": 1}]})), 422, "validation_failed");
    let empty = shop.cart(&[], &json!({}));
    refused(shop.checkout(&empty, "k"), 409, "cart_empty");
    let merged = shop.cart(&[("A", 1)], &json!({"status": "merged"}));
    refused(shop.checkout(&merged, "k"), 409, "cart_not_active");
    let over = shop.cart(&[("A", 1)], &json!({"expiresAt": "2025-01-01T00:00:00.000Z"}));
    refused(shop.checkout(&over, "k"), 409, "cart_not_active");
    let gone = shop.cart(&[("A", 1), ("GONE", 1)], &json!({}));
    refused(shop.checkout(&gone, "k"), 409, "insufficient_stock");
    assert_eq!(shop.orders().len(), 0);
    shop.check_settled();
}

#[test]
fn the_staff_order_for_others() {
    let shop = Shop::new();
    let order = |body: &Value, caller: Caller| {
        let request = shop.request("createOrder", "", "k", body);
        let caller = Caller { request_key: Some(body.to_string()), ..caller };
        shop.send(Request { caller, ..request })
    };
    let mut body = json!({
        "items": [{"sku": "A", "quantity": 2}, {"variantId": "var_A", "quantity": 1}], "customerId": "usr_1",
        "currency": "USD", "payment": {"provider": "pay"},
    });
    let account =
        |kind: &str, email: &str| json!({"kind": kind, "email": email, "name": "C", "status": "active"});
    shop.host.put(ACCOUNTS, "usr_1", &account("customer", "c@example.com"));
    shop.host.put(ACCOUNTS, "usr_2", &account("admin", "a@example.com"));
    for nobody in ["usr_2", "usr_3"] {
        let mut body = body.clone();
        body["customerId"] = json!(nobody);
        let refused = refused(order(&body, staff()), 422, "validation_failed");
        assert_eq!(refused.errors[0].pointer, "/customerId");
    }
    let made = order(&body, staff()).unwrap();
    assert_eq!((&made.body["totals"]["grand"], &made.body["email"]), (&usd(3_000), &json!("c@example.com")));
    assert_eq!(shop.level("A"), (10, 3, 7));
    assert_eq!(shop.order(made.body["id"].as_str().unwrap()).owners, ["usr_1"]);
    body["customerId"] = Value::Null;
    refused(order(&body, staff()), 422, "validation_failed");
    body["email"] = json!("b@example.com");
    let made = order(&body, staff()).unwrap();
    let number = made.body["number"].as_str().unwrap();
    let owners = shop.order(made.body["id"].as_str().unwrap()).owners;
    assert_eq!(owners, [guest_of(&[number, "b@example.com"])]);
    let support = Caller { permissions: vec!["orders:read".to_owned()], ..staff() };
    refused(order(&body, support), 403, "forbidden");
    shop.check_settled();
}

#[test]
fn any_number_of_skus_that_were_never_counted_can_be_ordered() {
    let shop = Shop::new();
    let skus: Vec<String> = (0..40).map(|number| format!("N{number}")).collect();
    for sku in &skus {
        shop.product(sku, 100, None, "allow");
    }
    let lines: Vec<(&str, u32)> = skus.iter().map(|sku| (sku.as_str(), 1)).collect();
    assert_eq!(shop.checkout(&shop.cart(&lines, &json!({})), "k").unwrap().status, 201);
    shop.check_settled();
}

#[test]
fn any_number_of_expired_reservations_is_taken_at_once() {
    let shop = Shop::new();
    shop.product("MANY", 100, Some(120), "deny");
    shop.moods(&[Mood::WantsAction; 121]);
    for number in 0..120 {
        shop.checkout(&shop.cart(&[("MANY", 1)], &json!({})), &format!("k{number}")).unwrap();
    }
    // Held after all of them.
    shop.advance(1_000);
    shop.checkout(&shop.cart(&[("B", 5)], &json!({})), "last").unwrap();
    shop.advance(11 * MINUTE_MS);
    let answer = shop.checkout(&shop.cart(&[("B", 5), ("MANY", 120)], &json!({})), "all").unwrap();
    assert_eq!(answer.status, 201);
    assert_eq!((shop.level("MANY"), shop.level("B")), ((120, 120, 0), (5, 5, 0)));
    shop.wait_out();
    shop.check_settled();
}

#[test]
fn a_guests_cart_that_a_customer_orders_is_the_customers() {
    let shop = Shop::new();
    let cart = shop.cart(&[("A", 1)], &json!({}));
    let ada = |guest: Option<&str>| Caller {
        kind: "customer".to_owned(),
        subject: Some("usr_ada".to_owned()),
        guest: guest.map(str::to_owned),
        ..Caller::default()
    };
    shop.moods(&[Mood::WantsAction]);
    let request = shop.request("createOrder", "", "k", &order_of(&cart));
    let request_key = request.caller.request_key.clone();
    let order =
        shop.send(Request { caller: Caller { request_key, ..ada(Some("gst_1")) }, ..request }).unwrap();
    let claimed = shop.host.document(CARTS, &cart).unwrap();
    assert_eq!((&claimed["_owner"], &claimed["customerId"]), (&json!("usr_ada"), &Value::Null));
    // Later without the cart's token.
    let id = order.body["id"].as_str().unwrap();
    let request = shop.request("cancelOrder", id, "", &Value::Null);
    shop.send(Request { caller: ada(None), ..request }).unwrap();
    assert_eq!(shop.cart_status(&cart), "active");
    let request = shop.request("mergeCart", "", "", &json!({"cartId": cart}));
    let merged = shop.send(Request { caller: ada(None), ..request }).unwrap().body;
    assert_eq!((&merged["items"][0]["sku"], &merged["customerId"]), (&json!("A"), &json!("usr_ada")));
    assert_eq!(shop.cart_status(&cart), "merged");
    shop.check();
}

#[test]
fn an_order_with_nothing_to_pay_is_found_by_its_repeat_whenever_that_comes() {
    let shop = Shop::new();
    let body = json!({"items": [{"sku": "FREE", "quantity": 1}], "email": "ada@example.com"});
    let request = || {
        let request = shop.request("createOrder", "", "k", &body);
        let request_key = request.caller.request_key.clone();
        Request { caller: Caller { request_key, ..staff() }, ..request }
    };
    let first = shop.send(request()).unwrap();
    shop.advance(48 * 60 * MINUTE_MS);
    let again = shop.send(request()).unwrap();
    assert_eq!((again.status, &again.body["id"]), (201, &first.body["id"]));
    assert_eq!((shop.orders().len(), shop.level("FREE")), (1, (5, 1, 4)));
    shop.check_settled();
}
