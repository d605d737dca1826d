//! What carts come to, and what is told of it.

use super::*;
use crate::{
    QUOTES, RESERVATIONS,
    carts::offered,
    model::{StoredCart, StoredQuote},
    offer,
};

#[test]
fn what_is_short_is_told_and_not_refused() {
    let host = host();
    let ada = customer("usr_ada");
    let cart = make(&host, &ada, &[("S", 11), ("M", 1), ("CUP", 1000)]);
    let short: Vec<_> = cart["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (it["code"].as_str().unwrap(), it["itemId"].clone(), it["available"].as_i64()))
        .collect();
    let item = |index: usize| cart["items"][index]["id"].clone();
    assert_eq!(short, [("insufficient_stock", item(0), Some(10)), ("insufficient_stock", item(1), Some(0))]);
    change(&host, PRODUCTS, "prod_shirt", |shirt| shirt["variants"][1]["backorder"] = json!("allow"));
    change(&host, INVENTORY, &level_id("S"), |level| level["available"] = json!(5));
    // A reservation that is over does not count.
    for (id, expires_ms) in [("rsv_1", START_MS), ("rsv_2", START_MS + 1)] {
        let reservation = json!({
            "orderId": "ord_1", "state": "held", "items": [{"sku": "S", "quantity": 4}],
            "expiresAt": plugin_sdk::time::timestamp(expires_ms),
        });
        host.put(RESERVATIONS, id, &reservation);
    }
    let read = on(&host, &ada, "getCart", id(&cart), &Value::Null).unwrap();
    assert_eq!(problems(&read), ["insufficient_stock"]);
    assert_eq!(read["problems"][0]["available"], 9);
}

#[test]
fn a_price_that_changed_is_told_until_it_was_seen() {
    let host = host();
    let ada = customer("usr_ada");
    let cart = make(&host, &ada, &[("S", 1), ("CUP", 1)]);
    let read = || on(&host, &ada, "getCart", id(&cart), &Value::Null).unwrap();
    assert_eq!(problems(&read()), Vec::<&str>::new());
    change(&host, PRODUCTS, "prod_shirt", |shirt| shirt["variants"][0]["prices"] = usd(1900));
    change(&host, PRODUCTS, "prod_cup", |cup| cup["variants"][0]["prices"] = usd(600));
    let changed = read();
    assert_eq!(
        (problems(&changed), total(&changed, "grand")),
        (vec!["price_changed", "price_changed"], 2500)
    );
    // A command shows the price of its line.
    let touched = add(&host, &ada, id(&cart), "S", 1).unwrap();
    assert_eq!(problems(&touched), ["price_changed"]);
    assert_eq!(touched["problems"][0]["itemId"], cart["items"][1]["id"]);
    assert_eq!(problems(&read()), ["price_changed"]);
    // A quote shows all.
    on(&host, &ada, "quoteCart", id(&cart), &Value::Null).unwrap();
    assert_eq!(problems(&read()), Vec::<&str>::new());
}

#[test]
fn prices_are_for_quantities_and_groups() {
    let host = host();
    change(&host, PRODUCTS, "prod_cup", |cup| {
        cup["variants"][0]["prices"] = json!([
            {"amount": 500, "currency": "USD"},
            {"amount": 400, "currency": "USD", "minQuantity": 10},
            {"amount": 300, "currency": "USD", "customerGroup": "wholesale"},
        ]);
    });
    let ada = customer("usr_ada");
    let cart = make(&host, &ada, &[("CUP", 9)]);
    assert_eq!(total(&cart, "items"), 9 * 500);
    let cart = add(&host, &ada, id(&cart), "CUP", 1).unwrap();
    assert_eq!((total(&cart, "items"), problems(&cart)), (10 * 400, vec![]));
    let ada = Caller { groups: vec!["wholesale".to_owned()], ..ada };
    assert_eq!(total(&on(&host, &ada, "getCart", id(&cart), &Value::Null).unwrap(), "items"), 10 * 300);
}

#[test]
fn what_is_not_sold_any_more_stays_and_costs_nothing() {
    let host = host();
    let ada = customer("usr_ada");
    let cart = make(&host, &ada, &[("S", 1), ("CUP", 2)]);
    change(&host, PRODUCTS, "prod_shirt", |shirt| shirt["status"] = json!("archived"));
    let mut commit = Context::new(&host, b"").commit();
    commit.delete(PRODUCTS, "prod_cup");
    commit.apply().unwrap();
    let read = on(&host, &ada, "getCart", id(&cart), &Value::Null).unwrap();
    assert_eq!((problems(&read), total(&read, "grand")), (vec!["not_sold", "not_sold"], 0));
    assert_eq!(lines(&read), [("CUP", 2), ("S", 1)]);
    let shown =
        |index: usize| (read["items"][index]["name"].clone(), read["items"][index]["unitPrice"].clone());
    assert_eq!(shown(0), (json!("Shirt"), Value::Null));
    // Nothing is left that knows its name.
    assert_eq!(shown(1), (json!("CUP"), Value::Null));
    refused(on(&host, &ada, "quoteCart", id(&cart), &Value::Null), 409, "cart_empty");
    refused(add(&host, &ada, id(&cart), "S", 1), 422, "validation_failed");
}

#[test]
fn a_rule_that_fails_fails_no_read() {
    let host = host();
    host.add_rates::<Rates>(&json!({}));
    let ada = customer("usr_ada");
    let cart = make(&host, &ada, &[("S", 1)]);
    let choice = json!({"shippingMethod": "rates:standard"});
    on(&host, &ada, "replaceCartShipping", id(&cart), &choice).unwrap();
    host.add_rule::<Rules>(&json!({"tax": 100_000}));
    host.add_rule::<Broken>(&json!({}));
    let read = on(&host, &ada, "getCart", id(&cart), &Value::Null).unwrap();
    assert_eq!((problems(&read), total(&read, "grand"), total(&read, "tax")), (vec!["rule_failed"], 2301, 0));
    assert!(add(&host, &ada, id(&cart), "CUP", 1).is_ok());
    // Nobody is quoted what it is not.
    refused(on(&host, &ada, "quoteCart", id(&cart), &Value::Null), 502, "plugin_failed");
    host.clear_rules();
    host.add_rule::<Rules>(&json!({"tax": 100_000}));
    let read = on(&host, &ada, "getCart", id(&cart), &Value::Null).unwrap();
    assert_eq!((problems(&read), total(&read, "tax")), (vec![], 250));
}

#[test]
fn coupons_count_while_they_are_good() {
    let host = host();
    host.add_rule::<Rules>(&json!({}));
    let later = plugin_sdk::time::timestamp(START_MS + 1);
    let now = plugin_sdk::time::timestamp(START_MS);
    coupon(&host, "GOOD", &json!({"limit": 5, "used": 4}));
    coupon(&host, "EARLY", &json!({"startsAt": later}));
    coupon(&host, "ENDED", &json!({"endsAt": now}));
    coupon(&host, "USED", &json!({"limit": 5, "used": 5}));
    coupon(&host, "ONCE", &json!({"perCustomer": 1}));
    let used = json!({"couponId": "cpn_ONCE", "customer": "usr_ada", "used": 1});
    host.put(crate::COUPON_USES, &crate::coupons::uses::use_id("cpn_ONCE", "usr_ada"), &used);
    let ada = customer("usr_ada");
    let cart = make(&host, &ada, &[("S", 1)]);
    let enter = |code: &str| on(&host, &ada, "addCartCoupon", id(&cart), &json!({"code": code}));
    for (code, refusal) in [
        ("NONE", "coupon_invalid"),
        ("\0", "coupon_invalid"),
        ("EARLY", "coupon_invalid"),
        ("ENDED", "coupon_invalid"),
        ("USED", "coupon_exhausted"),
        ("ONCE", "coupon_exhausted"),
    ] {
        refused(enter(code), 409, refusal);
    }
    let with = enter(" good ").unwrap();
    assert_eq!((&with["coupons"], total(&with, "discount")), (&json!(["GOOD"]), -200));
    assert_eq!(with["items"][0]["adjustments"][0]["couponCode"], "GOOD");
    assert_eq!((with["items"][0]["total"]["amount"].as_i64(), total(&with, "grand")), (Some(1800), 1800));
    assert_eq!(enter("GOOD").unwrap()["coupons"], json!(["GOOD"]));
    // Somebody else takes the last use.
    change(&host, COUPONS, "cpn_GOOD", |coupon| coupon["used"] = json!(5));
    let read = on(&host, &ada, "getCart", id(&cart), &Value::Null).unwrap();
    assert_eq!((problems(&read), total(&read, "discount")), (vec!["coupon_exhausted"], 0));

    let leave = |code: &str| {
        send(&host, &request(&ada, "deleteCartCoupon", &[("id", id(&cart)), ("code", code)], &Value::Null))
    };
    refused(leave("OTHER"), 404, "not_found");
    let left = leave("good").unwrap().body;
    assert_eq!((&left["coupons"], problems(&left)), (&json!([]), vec![]));
}

#[test]
fn there_is_an_end_to_coupons() {
    let host = host();
    let ada = customer("usr_ada");
    let cart = make(&host, &ada, &[("S", 1)]);
    let enter =
        |number: usize| on(&host, &ada, "addCartCoupon", id(&cart), &json!({"code": format!("C{number}")}));
    for number in 0..=crate::coupons::COUPONS_MAX {
        coupon(&host, &format!("C{number}"), &json!({}));
    }
    for number in 0..crate::coupons::COUPONS_MAX {
        enter(number).unwrap();
    }
    refused(enter(crate::coupons::COUPONS_MAX), 422, "validation_failed");
}

#[test]
fn a_quote_has_all_that_an_order_takes() {
    let host = host();
    host.add_rates::<Rates>(&json!({}));
    host.add_rule::<Rules>(&json!({"tax": 70_000}));
    coupon(&host, "GOOD", &json!({}));
    let ada = customer("usr_ada");
    let cart = make(&host, &ada, &[("S", 2), ("CUP", 1)]);
    let refusal = make(&host, &customer("usr_bob"), &[]);
    let empty = on(&host, &customer("usr_bob"), "quoteCart", id(&refusal), &Value::Null);
    refused(empty, 409, "cart_empty");
    on(&host, &ada, "replaceCartAddresses", id(&cart), &json!({"shippingAddress": address("US")})).unwrap();
    on(&host, &ada, "replaceCartShipping", id(&cart), &json!({"shippingMethod": "rates:standard"})).unwrap();
    let shown = on(&host, &ada, "addCartCoupon", id(&cart), &json!({"code": "GOOD"})).unwrap();
    let quote = on(&host, &ada, "quoteCart", id(&cart), &Value::Null).unwrap();
    assert_eq!(quote["totals"], shown["totals"]);
    assert_eq!(quote["adjustments"], shown["adjustments"]);
    assert_eq!(quote["plugins"][0]["id"], "rules");
    assert_eq!(quote["expiresAt"], "2026-01-01T00:10:00.000Z");
    assert_eq!(quote["lines"].as_array().unwrap().len(), 2);
    // It changes nothing of the cart where there is nothing new to see.
    assert_eq!(on(&host, &ada, "getCart", id(&cart), &Value::Null).unwrap(), shown);

    let ctx = Context::new(&host, b"");
    let stored = ctx.get::<StoredQuote>(QUOTES, quote["quoteId"].as_str().unwrap()).unwrap().unwrap().data;
    let document = ctx.get::<StoredCart>(CARTS, id(&cart)).unwrap().unwrap().data;
    assert_eq!((stored.owner.as_str(), stored.cart_id.as_str()), ("usr_ada", id(&cart)));
    assert_eq!(stored.content, offer::content(&offer::basket_of(&document, &[])));
    assert_eq!(stored.shipping_method.as_ref().unwrap().price, Money::new(303, "USD"));
    assert_ne!(stored.replay, Value::Null);

    // Prices and rules change, and the quote's hold; what has to be in stock is of now.
    change(&host, PRODUCTS, "prod_shirt", |shirt| shirt["variants"][0]["prices"] = usd(9900));
    change(&host, PRODUCTS, "prod_cup", |cup| cup["variants"][0]["trackInventory"] = json!(true));
    host.clear_rules();
    let offer = offer::of_quote(&ctx, &stored).unwrap();
    assert_eq!((json!(offer.totals), json!(offer.lines)), (quote["totals"].clone(), quote["lines"].clone()));
    let demand: Vec<(&str, i64)> = offer.demand.iter().map(|(sku, it)| (sku.as_str(), it.quantity)).collect();
    assert_eq!(demand, [("CUP", 1), ("S", 2)]);
    assert_eq!(offer.coupons.iter().map(|it| it.id.as_str()).collect::<Vec<_>>(), ["cpn_GOOD"]);
    assert_eq!((offer.content == stored.content, offer.refusal()), (true, None));

    change(&host, PRODUCTS, "prod_shirt", |shirt| shirt["status"] = json!("draft"));
    let gone = offer::of_quote(&ctx, &stored).unwrap().refusal().unwrap();
    assert_eq!((gone.status, gone.code.as_str()), (409, "insufficient_stock"));
    assert_eq!(gone.extras["items"], json!([{"sku": "S", "requested": 2, "available": 0}]));
}

#[test]
fn a_quote_is_of_the_cart_that_was_read() {
    let host = host();
    let ada = customer("usr_ada");
    let cart = make(&host, &ada, &[("S", 1)]);
    let other = id(&cart).to_owned();
    host.before_commit(0, move |host| {
        add(host, &customer("usr_ada"), &other, "S", 1).unwrap();
    });
    let quote = on(&host, &ada, "quoteCart", id(&cart), &Value::Null).unwrap();
    assert_eq!(quote["lines"][0]["quantity"], 2);
    assert_eq!(Context::new(&host, b"").count(QUOTES, &Filter::all()).unwrap(), 1);
}

#[test]
fn the_same_sku_on_two_lines_is_wanted_once() {
    let host = host();
    let ctx = Context::new(&host, b"");
    let line = |id: &str, variant| offer::BasketLine {
        id: id.to_owned(),
        variant,
        sku: "GONE".to_owned(),
        quantity: 6,
    };
    let basket = offer::Basket {
        currency: "USD".to_owned(),
        lines: vec![
            line("a", crate::catalogue::VariantKey::Sku("S".to_owned())),
            line("b", crate::catalogue::VariantKey::Id("var_S".to_owned())),
            line("c", crate::catalogue::VariantKey::Id("var_none".to_owned())),
        ],
        ..offer::Basket::default()
    };
    let offer = offer::of(&ctx, &basket).unwrap();
    assert_eq!(offer.demand["S"].quantity, 12);
    let told: Vec<_> = offer.problems.iter().map(|it| (it.code.as_str(), it.item_id.as_deref())).collect();
    let expected =
        [("not_sold", Some("c")), ("insufficient_stock", Some("a")), ("insufficient_stock", Some("b"))];
    assert_eq!(told, expected);
    assert_eq!(offer.refusal().unwrap().extras["items"][0]["sku"], "GONE");
}

#[test]
fn what_a_price_depends_on_is_in_the_content() {
    let host = host();
    let ada = customer("usr_ada");
    let cart = make(&host, &ada, &[("S", 1)]);
    let ctx = Context::new(&host, b"");
    let cart = ctx.get::<StoredCart>(CARTS, id(&cart)).unwrap().unwrap().data;
    let basket = offer::basket_of(&cart, &[]);
    let content = offer::content(&basket);
    let changed = |edit: fn(&mut offer::Basket)| {
        let mut other = basket.clone();
        edit(&mut other);
        offer::content(&other)
    };
    let with_address = |edit: fn(&mut plugin_sdk::address::Address)| {
        let mut other = basket.clone();
        let mut address = serde_json::from_value(address("US")).unwrap();
        edit(&mut address);
        other.shipping_address = Some(address);
        offer::content(&other)
    };
    let plain = with_address(|_| {});
    let all = [
        content.clone(),
        changed(|it| it.currency = "EUR".to_owned()),
        changed(|it| it.customer = None),
        changed(|it| it.coupons.push("X".to_owned())),
        changed(|it| it.shipping_method = Some("x".to_owned())),
        changed(|it| it.lines[0].quantity = 2),
        changed(|it| it.lines.clear()),
        plain.clone(),
        with_address(|it| it.country = "DE".to_owned()),
        with_address(|it| it.region = Some("OR".to_owned())),
        with_address(|it| it.postal_code = "1".to_owned()),
    ];
    let different: std::collections::BTreeSet<&String> = all.iter().collect();
    assert_eq!(different.len(), all.len());
    assert_eq!(with_address(|it| it.name = "Bob".to_owned()), plain);
    assert_eq!(changed(|it| it.groups.push("vip".to_owned())), content);
    assert!(offered(&ctx, &cart, &[]).is_ok_and(|offer| offer.content == content));
}
