//! Guests who log in.

use super::*;
use crate::model::QUANTITY_MAX;

/// Ada, who knows the token of the guest's cart.
fn ada(cart: &Value) -> Caller {
    Caller { guest: guest(cart["cartToken"].as_str().unwrap()).guest, ..customer("usr_ada") }
}

fn merge(host: &MockHost, caller: &Caller, cart: &Value) -> Result<Value, Problem> {
    let body = json!({"cartId": cart["id"]});
    send(host, &request(caller, "mergeCart", &[], &body)).map(|answer| answer.body)
}

#[test]
fn a_guests_cart_becomes_part_of_the_own_one_once() {
    let host = host();
    coupon(&host, "GOOD", &json!({}));
    let guests = make(&host, &guest(""), &[("S", 2), ("M", 1)]);
    let ada = ada(&guests);
    let token = guest(guests["cartToken"].as_str().unwrap());
    on(&host, &token, "addCartCoupon", id(&guests), &json!({"code": "GOOD"})).unwrap();
    on(&host, &token, "replaceCartAddresses", id(&guests), &json!({"shippingAddress": address("US")}))
        .unwrap();
    let own = make(&host, &ada, &[("S", 3), ("CUP", 1)]);
    let billing = json!({"billingAddress": address("DE")});
    on(&host, &ada, "replaceCartAddresses", id(&own), &billing).unwrap();

    let merged = merge(&host, &ada, &guests).unwrap();
    assert_eq!((id(&merged), lines(&merged)), (id(&own), vec![("CUP", 1), ("M", 1), ("S", 5)]));
    assert_eq!(merged["coupons"], json!(["GOOD"]));
    let countries = [&merged["shippingAddress"]["country"], &merged["billingAddress"]["country"]];
    assert_eq!(countries, [&json!("US"), &json!("DE")]);
    assert_eq!(merged["customerId"], "usr_ada");

    let again = merge(&host, &ada, &guests).unwrap();
    assert_eq!(again, merged);
    assert_eq!(merge(&host, &ada, &own).unwrap(), merged);
    let left = on(&host, &token, "getCart", id(&guests), &Value::Null).unwrap();
    assert_eq!((&left["status"], problems(&left)), (&json!("merged"), vec![]));
    refused(add(&host, &token, id(&guests), "S", 1), 409, "cart_not_active");
    refused(on(&host, &token, "quoteCart", id(&guests), &Value::Null), 409, "cart_not_active");
    refused(on(&host, &token, "deleteCart", id(&guests), &Value::Null), 409, "cart_not_active");
}

#[test]
fn who_has_no_cart_gets_one() {
    let host = host();
    let guests = make(&host, &guest(""), &[("S", 2)]);
    let ada = ada(&guests);
    let merged = merge(&host, &ada, &guests).unwrap();
    assert_ne!(id(&merged), id(&guests));
    assert_eq!((lines(&merged), &merged["status"]), (vec![("S", 2)], &json!("active")));
    on(&host, &ada, "deleteCart", id(&merged), &Value::Null).unwrap();
    // Nothing comes back from a cart that was merged.
    let empty = merge(&host, &ada, &guests).unwrap();
    assert_eq!(lines(&empty), vec![]);
}

#[test]
fn only_who_knows_the_token_merges() {
    let host = host();
    let guests = make(&host, &guest(""), &[("S", 2)]);
    refused(merge(&host, &customer("usr_ada"), &guests), 404, "not_found");
    let bobs = make(&host, &customer("usr_bob"), &[("S", 2)]);
    refused(merge(&host, &ada(&guests), &bobs), 404, "not_found");
    assert_eq!(count(&host), 2);
}

#[test]
fn merging_meets_other_changes() {
    let host = host();
    let guests = make(&host, &guest(""), &[("S", 2)]);
    let (token, guests_id) = (guests["cartToken"].as_str().unwrap().to_owned(), id(&guests).to_owned());
    let own = make(&host, &customer("usr_ada"), &[]);
    let own_id = id(&own).to_owned();
    host.before_commit(0, move |host| {
        add(host, &guest(&token), &guests_id, "CUP", 1).unwrap();
    });
    host.before_commit(1, move |host| {
        add(host, &customer("usr_ada"), &own_id, "M", 1).unwrap();
    });
    let merged = merge(&host, &ada(&guests), &guests).unwrap();
    assert_eq!(lines(&merged), [("CUP", 1), ("M", 1), ("S", 2)]);
}

#[test]
fn a_first_cart_that_is_made_meanwhile_is_merged_into() {
    let host = host();
    let guests = make(&host, &guest(""), &[("S", 2)]);
    host.before_commit(0, |host| {
        make(host, &customer("usr_ada"), &[("CUP", 1)]);
    });
    let merged = merge(&host, &ada(&guests), &guests).unwrap();
    assert_eq!(lines(&merged), [("CUP", 1), ("S", 2)]);
    assert_eq!(count(&host), 2);
}

#[test]
fn pieces_and_currencies_have_their_limits() {
    let host = host();
    change(&host, PRODUCTS, "prod_cup", |cup| {
        cup["variants"][0]["prices"] =
            json!([{"amount": 5, "currency": "USD"}, {"amount": 4, "currency": "EUR"}]);
    });
    let euros = json!({"currency": "EUR", "items": [{"sku": "CUP", "quantity": QUANTITY_MAX}]});
    let make_in_euros =
        || send(&host, &request(&guest(""), "createCart", &[], &euros)).map(|it| it.body).unwrap();
    let guests = make_in_euros();
    let ada_in_euros = ada(&guests);
    let own = make(&host, &ada_in_euros, &[("CUP", 1)]);
    refused(merge(&host, &ada_in_euros, &guests), 409, "currency_mismatch");
    on(&host, &ada_in_euros, "deleteCart", id(&own), &Value::Null).unwrap();
    make(&host, &ada_in_euros, &[]);
    // An empty cart takes the currency.
    let merged = merge(&host, &ada_in_euros, &guests).unwrap();
    assert_eq!(merged["currency"], "EUR");
    let more = make_in_euros();
    let merged = merge(&host, &ada(&more), &more).unwrap();
    assert_eq!(lines(&merged), [("CUP", u64::from(QUANTITY_MAX))]);
}
