//! Coupons that orders use, and give back.

use plugin_sdk::{
    FieldError, Problem,
    pricing::{self, PricingRule},
};

use super::*;
use crate::{COUPON_USES, carts::tests::change};

/// Ten per cent off with a coupon of the rule `ten`.
struct Ten;

impl PricingRule for Ten {
    const ID: &'static str = "ten";
    const VERSION: &'static str = "1.0.0";
    const TITLE: &'static str = "Ten";

    fn validate_config(_: &[u8]) -> Result<(), Vec<FieldError>> {
        Ok(())
    }

    fn adjust(cart: &pricing::Cart, _: &[u8]) -> Result<Vec<pricing::Adjustment>, Problem> {
        let coupon = cart.coupons.iter().find(|coupon| coupon.rule_id == "ten");
        let lines = cart.lines.iter().filter(|_| coupon.is_some()).map(|line| pricing::Adjustment {
            lines: vec![line.id.clone()],
            kind: "discount".to_owned(),
            code: "ten".to_owned(),
            reason: "Ten".to_owned(),
            value: pricing::Value::Amount(pricing::Money {
                amount: -line.unit_price * i64::from(line.quantity) / 10,
                currency: cart.currency.clone(),
            }),
            coupon: coupon.map(|coupon| coupon.code.clone()),
        });
        Ok(lines.collect())
    }
}

#[test]
fn coupons_are_used_by_orders_and_given_back() {
    let shop = Shop::new();
    shop.host.add_rule::<Ten>(&json!({}));
    shop.coupon("TEN", Some(2), Some(1));
    let cart = || shop.cart(&[("A", 1)], &json!({"coupons": ["TEN"]}));
    let first = shop.checkout(&cart(), "k1").unwrap();
    assert_eq!(first.body["totals"]["grand"], usd(900));
    assert_eq!(first.body["coupons"], json!(["TEN"]));
    refused(shop.checkout(&cart(), "k2"), 409, "coupon_exhausted");
    let by = |email: &str, key: &str| {
        let mut order = order_of(&cart());
        order["email"] = json!(email);
        shop.call("createOrder", "", key, &order)
    };
    by("b@example.com", "k3").unwrap();
    refused(by("c@example.com", "k4"), 409, "coupon_exhausted");
    shop.check_settled();
    // A cancelled order gives its use back, to the shop and to the customer.
    shop.call("cancelOrder", first.body["id"].as_str().unwrap(), "c", &Value::Null).unwrap();
    shop.check();
    assert_eq!(by("ada@example.com", "k5").unwrap().status, 201);
    let uses: i64 = shop.all::<Value>(COUPON_USES).iter().map(|it| it["used"].as_i64().unwrap()).sum();
    assert_eq!(uses, 2);
    shop.wait_out();
    shop.check_settled();
}

#[test]
fn a_coupon_counts_for_an_account_and_for_its_address() {
    let shop = Shop::new();
    shop.host.add_rule::<Ten>(&json!({}));
    shop.coupon("TEN", None, Some(1));
    let cart = || shop.cart(&[("A", 1)], &json!({"coupons": ["TEN"]}));
    let customer = |subject: &str, email: &str| {
        let own = json!({"coupons": ["TEN"], "customerId": subject, "_owner": subject, "_activeOf": subject});
        let mut order = order_of(&shop.cart(&[("A", 1)], &own));
        order["email"] = Value::Null;
        let mut request = shop.request("createOrder", "", subject, &order);
        request.caller = Caller {
            kind: "customer".to_owned(),
            subject: Some(subject.to_owned()),
            email: Some(email.to_owned()),
            request_key: request.caller.request_key,
            ..Caller::default()
        };
        shop.send(request)
    };
    customer("usr_bob", "ada@example.com").unwrap();
    refused(shop.checkout(&cart(), "k1"), 409, "coupon_exhausted");
    refused(customer("usr_eve", "ada@example.com"), 409, "coupon_exhausted");
    customer("usr_ida", "ida@example.com").unwrap();
    shop.check_settled();
}

#[test]
fn a_coupon_that_is_renamed_stays_the_one_that_was_used() {
    let shop = Shop::new();
    shop.host.add_rule::<Ten>(&json!({}));
    shop.coupon("TEN", Some(1), None);
    let cart = || shop.cart(&[("A", 1)], &json!({"coupons": ["TEN"]}));
    let first = shop.checkout(&cart(), "k1").unwrap();
    change(&shop.host, COUPONS, "cpn_TEN", |coupon| coupon["code"] = json!("OLD"));
    let another = json!({
        "code": "TEN", "ruleId": "ten", "limit": 1, "perCustomer": null, "startsAt": null, "endsAt": null, "used": 0,
    });
    shop.host.put(COUPONS, "cpn_other", &another);
    shop.checkout(&cart(), "k2").unwrap();
    shop.call("cancelOrder", first.body["id"].as_str().unwrap(), "c", &Value::Null).unwrap();
    let used = |id: &str| shop.host.document(COUPONS, id).unwrap()["used"].clone();
    assert_eq!((used("cpn_TEN"), used("cpn_other")), (json!(0), json!(1)));
    refused(shop.checkout(&cart(), "k3"), 409, "coupon_exhausted");
    shop.check();
}

#[test]
fn the_last_use_of_a_coupon_is_used_once() {
    for (limit, per_customer, email) in [
        (Some(1), None, "b@example.com"),
        (None, Some(1), "ADA@example.com"),
        (None, Some(2), "b@example.com"),
    ] {
        let shop = Shop::new();
        shop.host.add_rule::<Ten>(&json!({}));
        shop.coupon("TEN", limit, per_customer);
        let cart = || shop.cart(&[("A", 1)], &json!({"coupons": ["TEN"]}));
        let mut order = order_of(&cart());
        order["email"] = json!(email);
        let other = shop.request("createOrder", "", "other", &order);
        let own = cart();
        shop.host.before_commit(0, |host| drop(host.call::<Orders>(other).unwrap()));
        let answer = shop.checkout(&own, "k");
        if per_customer == Some(2) {
            assert_eq!(answer.unwrap().status, 201);
        } else {
            refused(answer, 409, "coupon_exhausted");
            assert_eq!(shop.orders().len(), 1);
        }
        shop.check_settled();
    }
}

#[test]
fn a_coupon_without_effect_is_not_used() {
    let shop = Shop::new();
    shop.coupon("TEN", Some(1), None);
    let answer = shop.checkout(&shop.cart(&[("A", 1)], &json!({"coupons": ["TEN"]})), "k").unwrap();
    assert_eq!(answer.body["coupons"], json!([]));
    shop.check_settled();
    let unknown = shop.cart(&[("A", 1)], &json!({"coupons": ["NONE"]}));
    refused(shop.checkout(&unknown, "k2"), 409, "coupon_invalid");
}
