//! Making carts and changing what is in them.

use super::*;
use crate::model::{LINES_MAX, QUANTITY_MAX};

#[test]
fn a_customer_has_one_cart() {
    let host = host();
    let ada = customer("usr_ada");
    let made = make(&host, &ada, &[("S", 1)]);
    assert_eq!(made["customerId"], "usr_ada");
    assert_eq!(made["cartToken"], Value::Null);
    assert!(made.get("_lines").is_none() && made.get("_owner").is_none());
    let again = send(&host, &request(&ada, "createCart", &[], &json!({}))).unwrap();
    assert_eq!((again.status, &again.body), (200, &made));
    let more = json!({"items": [{"variantId": "var_S", "quantity": 2}, {"sku": "CUP", "quantity": 1}]});
    let more = send(&host, &request(&ada, "createCart", &[], &more)).unwrap();
    assert_eq!((more.status, id(&more.body)), (200, id(&made)));
    assert_eq!(lines(&more.body), [("CUP", 1), ("S", 3)]);
    let other = request(&ada, "createCart", &[], &json!({"currency": "EUR"}));
    refused(send(&host, &other), 409, "currency_mismatch");
    assert_ne!(id(&make(&host, &customer("usr_bob"), &[])), id(&made));
}

#[test]
fn two_first_carts_of_a_customer_are_one() {
    let host = host();
    host.before_commit(0, |host| {
        make(host, &customer("usr_ada"), &[("S", 1)]);
    });
    let body = json!({"items": [{"sku": "S", "quantity": 2}]});
    let answer = send(&host, &request(&customer("usr_ada"), "createCart", &[], &body)).unwrap();
    assert_eq!((answer.status, lines(&answer.body)), (200, vec![("S", 3)]));
    assert_eq!(count(&host), 1);
}

#[test]
fn what_is_put_into_the_own_cart_meets_other_changes() {
    let host = host();
    let cart = make(&host, &customer("usr_ada"), &[]);
    let own = id(&cart).to_owned();
    host.before_commit(0, move |host| {
        add(host, &customer("usr_ada"), &own, "CUP", 1).unwrap();
    });
    let body = json!({"items": [{"sku": "S", "quantity": 2}]});
    let answer = send(&host, &request(&customer("usr_ada"), "createCart", &[], &body)).unwrap();
    assert_eq!((answer.status, lines(&answer.body)), (200, vec![("CUP", 1), ("S", 2)]));
}

#[test]
fn a_guest_has_a_token_that_nobody_guesses() {
    let host = host();
    let answer = send(&host, &request(&guest(""), "createCart", &[], &json!({}))).unwrap();
    assert_eq!(answer.status, 201);
    let cart = answer.body;
    assert_eq!(answer.headers, [("location".to_owned(), format!("/carts/{}", id(&cart)))]);
    let token = cart["cartToken"].as_str().unwrap();
    assert!(token.len() == 64 && token.bytes().all(|byte| byte.is_ascii_hexdigit()), "{token}");
    let other = make(&host, &guest(""), &[]);
    assert_ne!(other["cartToken"], cart["cartToken"]);
    assert!(!host.document(CARTS, id(&cart)).unwrap().to_string().contains(token));

    let read = |caller: &Caller| on(&host, caller, "getCart", id(&cart), &Value::Null);
    assert_eq!(read(&guest(token)).unwrap()["cartToken"], Value::Null);
    for stranger in [guest(""), guest("x"), customer("usr_ada"), admin()] {
        refused(read(&stranger), 404, "not_found");
    }
    // Who has logged in meanwhile knows the token still.
    let known = Caller { guest: guest(token).guest, ..customer("usr_ada") };
    assert!(read(&known).is_ok());
}

#[test]
fn staff_have_no_carts() {
    let host = host();
    refused(send(&host, &request(&admin(), "createCart", &[], &json!({}))), 403, "forbidden");
    let cart = make(&host, &customer("usr_ada"), &[]);
    refused(on(&host, &admin(), "getCart", id(&cart), &Value::Null), 404, "not_found");
    refused(add(&host, &admin(), id(&cart), "S", 1), 404, "not_found");
    refused(on(&host, &admin(), "deleteCart", id(&cart), &Value::Null), 404, "not_found");
}

#[test]
fn what_is_not_right_with_a_new_cart_is_told_where_it_is() {
    let host = host();
    let pointers = |body: Value| {
        let answer = send(&host, &request(&guest(""), "createCart", &[], &body));
        let problem = refused(answer, 422, "validation_failed");
        problem.errors.into_iter().map(|error| error.pointer).collect::<Vec<_>>()
    };
    assert_eq!(pointers(json!({"currency": "ABC"})), ["/currency"]);
    let items = json!([{"quantity": 1}, {"sku": "S", "quantity": 1}, {"sku": "S", "variantId": "var_S", "quantity": 1}]);
    assert_eq!(pointers(json!({"items": items})), ["/items/0", "/items/2"]);
    let items =
        json!([{"sku": "X", "quantity": 1}, {"sku": "S", "quantity": 1}, {"variantId": "X", "quantity": 1}]);
    assert_eq!(pointers(json!({"items": items})), ["/items/0/sku", "/items/2/variantId"]);
    // There is no price in euros.
    assert_eq!(
        pointers(json!({"currency": "EUR", "items": [{"sku": "S", "quantity": 1}]})),
        ["/items/0/sku"]
    );
    assert_eq!(count(&host), 0);
    for wrong in
        [json!({"currency": "usd"}), json!({"x": 1}), json!({"items": [{"sku": "S", "quantity": 0}]})]
    {
        assert_ne!(request_faults::<Orders>("createCart", &wrong), Vec::<String>::new(), "{wrong}");
    }
}

#[test]
fn lines_are_added_changed_and_taken_out() {
    let host = host();
    let ada = customer("usr_ada");
    let cart = make(&host, &ada, &[]);
    let cart = add(&host, &ada, id(&cart), "S", 2).unwrap();
    let cart = add(&host, &ada, id(&cart), "CUP", 1).unwrap();
    let cart =
        on(&host, &ada, "addCartItem", id(&cart), &json!({"variantId": "var_S", "quantity": 1})).unwrap();
    assert_eq!(lines(&cart), [("CUP", 1), ("S", 3)]);
    assert_eq!(cart["version"], 4);
    // In the order in which they were put in.
    assert_eq!(cart["items"][0]["sku"], "S");
    assert_eq!(cart["items"][0]["unitPrice"], json!({"amount": 2000, "currency": "USD"}));
    assert_eq!((total(&cart, "items"), total(&cart, "grand"), total(&cart, "due")), (6500, 6500, 6500));
    assert_eq!(on(&host, &ada, "getCart", id(&cart), &Value::Null).unwrap(), cart);

    let item = cart["items"][0]["id"].as_str().unwrap();
    let set = |quantity: u32| {
        let body = json!({"quantity": quantity});
        on_item(&host, &ada, "updateCartItem", id(&cart), item, &body)
    };
    assert_eq!(lines(&set(1).unwrap()), [("CUP", 1), ("S", 1)]);
    let same = on_item(&host, &ada, "updateCartItem", id(&cart), item, &json!({})).unwrap();
    assert_eq!(lines(&same), [("CUP", 1), ("S", 1)]);
    assert_eq!(lines(&set(0).unwrap()), [("CUP", 1)]);
    refused(set(1), 404, "not_found");
    let cup = cart["items"][1]["id"].as_str().unwrap();
    let empty = on_item(&host, &ada, "deleteCartItem", id(&cart), cup, &Value::Null).unwrap();
    assert_eq!((lines(&empty), total(&empty, "grand")), (vec![], 0));
    refused(on_item(&host, &ada, "deleteCartItem", id(&cart), cup, &Value::Null), 404, "not_found");
}

#[test]
fn parallel_commands_all_take_effect() {
    let host = host();
    let ada = customer("usr_ada");
    let cart = make(&host, &ada, &[]);
    for (commit, (sku, quantity)) in [("S", 1), ("S", 2), ("CUP", 5), ("M", 7)].into_iter().enumerate() {
        let id = id(&cart).to_owned();
        host.before_commit(commit, move |host| {
            add(host, &customer("usr_ada"), &id, sku, quantity).unwrap();
        });
    }
    let cart = add(&host, &ada, id(&cart), "S", 10).unwrap();
    assert_eq!(lines(&cart), [("CUP", 5), ("M", 7), ("S", 13)]);
}

#[test]
fn a_client_may_insist_on_a_version() {
    let host = host();
    let ada = customer("usr_ada");
    let cart = make(&host, &ada, &[]);
    let body = json!({"sku": "S", "quantity": 1});
    let add = Request { if_match: Some(1), ..request(&ada, "addCartItem", &[("id", id(&cart))], &body) };
    assert_eq!(send(&host, &add).unwrap().body["version"], 2);
    let problem = refused(send(&host, &add), 412, "version_conflict");
    assert_eq!(problem.extras["current"], 2);
}

#[test]
fn there_is_an_end_to_lines_and_pieces() {
    let host = host();
    let variants: Vec<String> = (0..=LINES_MAX).map(|number| format!("V{number:03}")).collect();
    for (number, chunk) in variants.chunks(200).enumerate() {
        let variants: Vec<(&str, Value)> = chunk.iter().map(|sku| (sku.as_str(), usd(100))).collect();
        host.put(PRODUCTS, &format!("prod_{number}"), &product("Many", &variants));
    }
    let ada = customer("usr_ada");
    let cart = make(&host, &ada, &[]);
    for chunk in variants[..LINES_MAX].chunks(100) {
        let items: Vec<Value> = chunk.iter().map(|sku| json!({"sku": sku, "quantity": 2})).collect();
        send(&host, &request(&ada, "createCart", &[], &json!({"items": items}))).unwrap();
    }
    let problem = refused(add(&host, &ada, id(&cart), &variants[LINES_MAX], 1), 422, "validation_failed");
    assert_eq!(problem.errors[0].pointer, "");
    let full = add(&host, &ada, id(&cart), &variants[0], QUANTITY_MAX - 2).unwrap();
    assert_eq!(full["items"].as_array().unwrap().len(), LINES_MAX);
    assert_eq!(total(&full, "grand"), 100 * (499 * 2 + i64::from(QUANTITY_MAX)));
    let problem = refused(add(&host, &ada, id(&cart), &variants[0], 1), 422, "validation_failed");
    assert_eq!(problem.errors[0].pointer, "/quantity");
    // Nothing of these is in stock.
    assert_eq!(problems(&full).len(), LINES_MAX);
    let quote = on(&host, &ada, "quoteCart", id(&cart), &Value::Null).unwrap();
    assert_eq!(quote["totals"], full["totals"]);
}

#[test]
fn amounts_beyond_all_reason_are_refused() {
    let host = host();
    let most = (1_i64 << 53) - 1;
    host.put(PRODUCTS, "prod_dear", &product("Dear", &[("DEAR", usd(most)), ("DEARER", usd(most / 2 + 1))]));
    let ada = customer("usr_ada");
    let cart = make(&host, &ada, &[("DEAR", 1)]);
    refused(add(&host, &ada, id(&cart), "DEAR", 1), 422, "amount_out_of_range");
    refused(add(&host, &ada, id(&cart), "S", 1), 422, "amount_out_of_range");
    let item = cart["items"][0]["id"].as_str().unwrap();
    let left = on_item(&host, &ada, "deleteCartItem", id(&cart), item, &Value::Null).unwrap();
    assert_eq!(total(&left, "grand"), 0);
}

#[test]
fn addresses_and_shipping_are_chosen() {
    let host = host();
    host.add_rates::<Rates>(&json!({}));
    host.add_provider("card");
    let ada = customer("usr_ada");
    let cart = make(&host, &ada, &[("S", 2)]);
    let body = json!({"shippingAddress": address("US"), "billingAddress": address("DE")});
    let cart = on(&host, &ada, "replaceCartAddresses", id(&cart), &body).unwrap();
    assert_eq!(
        (&cart["shippingAddress"]["country"], &cart["billingAddress"]["country"]),
        (&json!("US"), &json!("DE"))
    );
    let wrong = json!({"shippingAddress": address("XX"), "billingAddress": address("ZZ")});
    let problem =
        refused(on(&host, &ada, "replaceCartAddresses", id(&cart), &wrong), 422, "validation_failed");
    let pointers: Vec<_> = problem.errors.iter().map(|error| error.pointer.as_str()).collect();
    assert_eq!(pointers, ["/shippingAddress/country", "/billingAddress/country"]);

    let options = on(&host, &ada, "listCartShippingOptions", id(&cart), &Value::Null).unwrap();
    let expected = json!([{
        "id": "rates:standard", "code": "standard", "name": "Standard", "pluginId": "rates",
        "price": {"amount": 302, "currency": "USD"},
    }]);
    assert_eq!(options, expected);
    let methods = on(&host, &ada, "listCartPaymentMethods", id(&cart), &Value::Null).unwrap();
    assert_eq!(methods, json!([{"provider": "card", "title": "card"}]));

    let choose =
        |method: &str| on(&host, &ada, "replaceCartShipping", id(&cart), &json!({"shippingMethod": method}));
    refused(choose("rates:express"), 409, "shipping_unavailable");
    let chosen = choose("rates:standard").unwrap();
    assert_eq!((&chosen["shippingMethod"], total(&chosen, "shipping")), (&json!("rates:standard"), 302));
    assert_eq!(total(&chosen, "grand"), 4302);
    assert_eq!(chosen["adjustments"][0]["pluginId"], "rates");

    // Where it cannot go, that is told, and nothing is refused.
    let away = json!({"shippingAddress": address("DE")});
    let away = on(&host, &ada, "replaceCartAddresses", id(&cart), &away).unwrap();
    assert_eq!((problems(&away), total(&away, "shipping")), (vec!["shipping_unavailable"], 0));
    assert_eq!(away["billingAddress"], Value::Null);
}

#[test]
fn strangers_learn_nothing_of_what_plugins_offer() {
    let host = host();
    let cart = make(&host, &customer("usr_ada"), &[("S", 2)]);
    for operation in ["listCartShippingOptions", "listCartPaymentMethods", "quoteCart"] {
        let answer = on(&host, &customer("usr_bob"), operation, id(&cart), &Value::Null);
        refused(answer, 404, "not_found");
    }
}
