//! Whatever is done to a cart, its sums are right.

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Command {
    Add(usize, u32),
    Set(usize, u32),
    Remove(usize),
    Coupon,
    NoCoupon,
    Address(bool),
    Shipping,
    Price(usize, i64),
    Quote,
}

const SKUS: [&str; 3] = ["S", "M", "CUP"];

fn command() -> impl Strategy<Value = Command> {
    prop_oneof![
        (0..3_usize, 1..50_u32).prop_map(|(sku, quantity)| Command::Add(sku, quantity)),
        (0..3_usize, 0..50_u32).prop_map(|(line, quantity)| Command::Set(line, quantity)),
        (0..3_usize).prop_map(Command::Remove),
        Just(Command::Coupon),
        Just(Command::NoCoupon),
        any::<bool>().prop_map(Command::Address),
        Just(Command::Shipping),
        (0..3_usize, 0..10_000_i64).prop_map(|(sku, amount)| Command::Price(sku, amount)),
        Just(Command::Quote),
    ]
}

#[track_caller]
fn check(shown: &Value, lines: &str) {
    let amount = |money: &Value| money["amount"].as_i64().unwrap();
    let all = shown[lines].as_array().unwrap();
    let adjusted = |of: &Value, kind: &str| -> i64 {
        let adjustments = of["adjustments"].as_array().unwrap();
        adjustments.iter().filter(|it| it["kind"] == kind).map(|it| amount(&it["amount"])).sum()
    };
    let mut items = 0;
    for line in all {
        let gross = amount(&line["unitPrice"]) * line["quantity"].as_i64().unwrap();
        items += gross;
        let total = gross + adjusted(line, "discount") + adjusted(line, "surcharge");
        assert_eq!(amount(&line["total"]), total);
        assert!(total >= 0);
    }
    let sum = |kind: &str| all.iter().map(|line| adjusted(line, kind)).sum::<i64>() + adjusted(shown, kind);
    let totals = &shown["totals"];
    let told = |name: &str| amount(&totals[name]);
    assert_eq!(told("items"), items);
    for kind in ["discount", "surcharge", "shipping", "tax"] {
        assert_eq!(told(kind), sum(kind), "{kind}");
    }
    let grand = ["items", "discount", "surcharge", "shipping", "tax"].map(told).iter().sum::<i64>();
    assert_eq!((told("grand"), told("due")), (grand, grand));
    assert!(told("discount") <= 0 && told("shipping") >= 0 && told("tax") >= 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn totals_are_the_sum_of_their_parts(commands in prop::collection::vec(command(), 1..12)) {
        let host = host();
        host.add_rates::<Rates>(&json!({}));
        host.add_rule::<Rules>(&json!({"tax": 73_333}));
        coupon(&host, "GOOD", &json!({}));
        let ada = customer("usr_ada");
        let mut cart = make(&host, &ada, &[("CUP", 1)]);
        let cart_id = id(&cart).to_owned();
        for command in commands {
            let item = |cart: &Value, line: usize| {
                cart["items"][line]["id"].as_str().unwrap_or("itm_none").to_owned()
            };
            let on = |operation: &str, body: Value| on(&host, &ada, operation, &cart_id, &body);
            let answer = match command {
                Command::Add(sku, quantity) => on("addCartItem", json!({"sku": SKUS[sku], "quantity": quantity})),
                Command::Set(line, quantity) => {
                    let body = json!({"quantity": quantity});
                    on_item(&host, &ada, "updateCartItem", &cart_id, &item(&cart, line), &body)
                }
                Command::Remove(line) => {
                    on_item(&host, &ada, "deleteCartItem", &cart_id, &item(&cart, line), &Value::Null)
                }
                Command::Coupon => on("addCartCoupon", json!({"code": "good"})),
                Command::NoCoupon => {
                    let params = [("id", cart_id.as_str()), ("code", "GOOD")];
                    send(&host, &request(&ada, "deleteCartCoupon", &params, &Value::Null)).map(|it| it.body)
                }
                Command::Address(home) => {
                    on("replaceCartAddresses", json!({"shippingAddress": address(if home { "US" } else { "DE" })}))
                }
                Command::Shipping => on("replaceCartShipping", json!({"shippingMethod": "rates:standard"})),
                Command::Price(sku, amount) => {
                    let (product, variant) = [("prod_shirt", 0), ("prod_shirt", 1), ("prod_cup", 0)][sku];
                    change(&host, PRODUCTS, product, |it| it["variants"][variant]["prices"] = usd(amount));
                    on("getCart", Value::Null)
                }
                Command::Quote => {
                    if let Ok(quote) = on("quoteCart", Value::Null) {
                        check(&quote, "lines");
                    }
                    on("getCart", Value::Null)
                }
            };
            if let Ok(answer) = answer {
                check(&answer, "items");
                prop_assert_eq!(&on("getCart", Value::Null).unwrap(), &answer);
                cart = answer;
            }
        }
    }
}
