//! Which configurations are accepted.

use plugin_sdk::{Value, json, mock::schema_faults, shipping::ShippingRates};

use super::{accepted, euros, method, plain};
use crate::FlatShipping;

#[test]
fn the_schema_accepts_every_member() {
    let full = json!({
        "code": "parcel-2",
        "name": "Parcel",
        "countries": ["DE"],
        "customerGroups": ["wholesale"],
        "tiers": [
            {"maxWeightGrams": 0, "minTotal": euros(5), "maxTotal": euros(5), "price": euros(0)},
            {"price": {"amount": 9_007_199_254_740_991_i64, "currency": "EUR"}},
        ],
        "freeFrom": euros(0),
    });
    accepted(&json!({ "methods": [full] }));
    accepted(&json!({}));
}

#[test]
fn the_schema_refuses_and_says_where() {
    let tier = |member: &str, value: Value| {
        let mut tier = json!({"price": euros(490)});
        tier[member] = value;
        json!({ "tiers": [tier] })
    };
    for (more, at) in [
        (json!({"code": "Standard"}), "/methods/0/code"),
        (json!({"name": ""}), "/methods/0/name"),
        (json!({"countries": []}), "/methods/0/countries"),
        (json!({"countries": ["de"]}), "/methods/0/countries/0"),
        (json!({"customerGroups": [""]}), "/methods/0/customerGroups/0"),
        (json!({"tiers": []}), "/methods/0/tiers"),
        (json!({"tiers": [{}]}), "/methods/0/tiers/0"),
        (json!({"freeFrom": 5_000}), "/methods/0/freeFrom"),
        (json!({"freeFrom": euros(-1)}), "/methods/0/freeFrom/amount"),
        (json!({"price": euros(1)}), "/methods/0"),
        (tier("price", json!(490)), "/methods/0/tiers/0/price"),
        (tier("price", euros(-1)), "/methods/0/tiers/0/price/amount"),
        (tier("price", json!({"amount": 1, "currency": "€"})), "/methods/0/tiers/0/price/currency"),
        (tier("maxWeightGrams", json!(-1)), "/methods/0/tiers/0/maxWeightGrams"),
        (tier("maxWeightGrams", json!(1.5)), "/methods/0/tiers/0/maxWeightGrams"),
        (tier("minTotal", json!(1)), "/methods/0/tiers/0/minTotal"),
        (tier("maxWeight", json!(1)), "/methods/0/tiers/0"),
    ] {
        let config = json!({"methods": [plain("standard", more)]});
        let faults = schema_faults(&FlatShipping::config_schema().unwrap(), &config).join("\n");
        assert!(faults.contains(&format!("`{at}`: ")), "{config} is wrong at {at}, not at {faults}");
    }
    let unknown = schema_faults(&FlatShipping::config_schema().unwrap(), &json!({"method": []}));
    assert_eq!(unknown.len(), 1);
}

#[test]
fn what_the_schema_cannot_say_is_told_with_pointers() {
    let dollars = |amount: i64| json!({"amount": amount, "currency": "USD"});
    let tiers = |tiers: Value| method("standard", tiers);
    for (method, at) in [
        (plain("a", json!({"name": " "})), "/name"),
        (plain("a", json!({"countries": ["DE", "XX"]})), "/countries/1"),
        (plain("a", json!({"freeFrom": dollars(1)})), "/freeFrom/currency"),
        (tiers(json!([{"price": {"amount": 1, "currency": "ABC"}}])), "/tiers/0/price/currency"),
        (tiers(json!([{"minTotal": dollars(1), "price": euros(1)}])), "/tiers/0/minTotal/currency"),
        (tiers(json!([{"maxTotal": dollars(1), "price": euros(1)}])), "/tiers/0/maxTotal/currency"),
        (
            tiers(json!([{"minTotal": euros(2), "maxTotal": euros(1), "price": euros(1)}])),
            "/tiers/0/maxTotal/amount",
        ),
        (
            tiers(
                json!([{"price": euros(1)}, {"price": dollars(1)}, {"maxWeightGrams": 1, "price": euros(2)}]),
            ),
            "/tiers/2",
        ),
    ] {
        let config = json!({ "methods": [method] });
        assert_eq!(schema_faults(&FlatShipping::config_schema().unwrap(), &config), Vec::<String>::new());
        let errors = FlatShipping::validate_config(config.to_string().as_bytes()).unwrap_err();
        let pointers: Vec<_> = errors.into_iter().map(|error| error.pointer).collect();
        assert_eq!(pointers, [format!("/methods/0{at}")], "{config}");
    }
    let twice = json!({"methods": [plain("a", json!({})), plain("a", json!({}))]}).to_string();
    assert_eq!(FlatShipping::validate_config(twice.as_bytes()).unwrap_err()[0].pointer, "/methods/1/code");
}
