//! Methods offered through a host.

mod config;
mod documentation;
mod properties;

use plugin_sdk::{
    Context, Value, json,
    mock::{MockHost, schema_faults},
    shipping::{Parcel, ShippingRates},
};

use crate::FlatShipping;

/// A parcel to Germany.
fn parcel(weight_grams: u64, value: i64) -> Parcel {
    Parcel {
        currency: "EUR".to_owned(),
        country: Some("DE".to_owned()),
        weight_grams,
        quantity: 1,
        value,
        ..Parcel::default()
    }
}

fn euros(amount: i64) -> Value {
    json!({"amount": amount, "currency": "EUR"})
}

fn method(code: &str, tiers: Value) -> Value {
    json!({"code": code, "name": format!("The {code}"), "tiers": tiers})
}

/// A method for every parcel in EUR, with more members.
fn plain(code: &str, more: Value) -> Value {
    let mut method = method(code, json!([{"price": euros(490)}]));
    for (name, value) in more.as_object().unwrap() {
        method[name] = value.clone();
    }
    method
}

#[track_caller]
fn accepted(config: &Value) {
    assert_eq!(schema_faults(&FlatShipping::config_schema().unwrap(), config), Vec::<String>::new());
    assert_eq!(FlatShipping::validate_config(config.to_string().as_bytes()), Ok(()));
}

/// Codes and prices of what is offered.
#[track_caller]
fn offered(parcel: &Parcel, methods: &[Value]) -> Vec<(String, i64)> {
    let config = json!({ "methods": methods });
    accepted(&config);
    let host = MockHost::empty();
    host.add_rates::<FlatShipping>(&config);
    let options = Context::new(&host, b"").ship(parcel).unwrap().options;
    options
        .into_iter()
        .map(|option| {
            assert_eq!(option.rate.price.currency, parcel.currency);
            (option.rate.code, option.rate.price.amount)
        })
        .collect()
}

/// The price of a method in these tiers.
#[track_caller]
fn price(parcel: &Parcel, tiers: Value) -> Option<i64> {
    offered(parcel, &[method("standard", tiers)]).first().map(|(_, price)| *price)
}

#[test]
fn without_methods_nothing_is_offered() {
    assert_eq!(offered(&parcel(1, 1), &[]), []);
    let host = MockHost::empty();
    assert_eq!(FlatShipping::options(&Context::new(&host, b""), &parcel(1, 1)), Ok(Vec::new()));
}

#[test]
fn methods_are_offered_in_their_order_with_their_names() {
    let methods = [plain("standard", json!({})), plain("express", json!({"name": "By tomorrow"}))];
    let codes: Vec<_> = offered(&parcel(1, 1), &methods).into_iter().map(|(code, _)| code).collect();
    assert_eq!(codes, ["standard", "express"]);
    let config = json!({ "methods": methods }).to_string();
    let host = MockHost::empty();
    let rates = FlatShipping::options(&Context::new(&host, config.as_bytes()), &parcel(1, 1)).unwrap();
    let names: Vec<_> = rates.iter().map(|rate| rate.name.as_str()).collect();
    assert_eq!(names, ["The standard", "By tomorrow"]);
}

#[test]
fn the_first_tier_that_fits_gives_the_price() {
    let by_weight = json!([
        {"maxWeightGrams": 1_000, "price": euros(490)},
        {"maxWeightGrams": 5_000, "price": euros(690)},
        {"maxWeightGrams": 2_000, "price": euros(1)},
    ]);
    let of = |weight| price(&parcel(weight, 100), by_weight.clone());
    assert_eq!(
        [of(0), of(1_000), of(1_001), of(5_000), of(5_001), of(u64::MAX)],
        [Some(490), Some(490), Some(690), Some(690), None, None]
    );
}

#[test]
fn totals_may_have_bounds_that_belong_to_them() {
    let by_total = json!([
        {"maxTotal": euros(4_999), "price": euros(490)},
        {"minTotal": euros(5_000), "maxTotal": euros(9_999), "price": euros(290)},
        {"minTotal": euros(20_000), "price": euros(0)},
    ]);
    let of = |value| price(&parcel(1, value), by_total.clone());
    assert_eq!([of(0), of(4_999), of(5_000), of(9_999)], [Some(490), Some(490), Some(290), Some(290)]);
    assert_eq!([of(10_000), of(19_999), of(20_000), of(i64::MAX)], [None, None, Some(0), Some(0)]);
    let both =
        json!([{"maxWeightGrams": 100, "minTotal": euros(5_000), "price": euros(90)}, {"price": euros(490)}]);
    let of = |weight, value| price(&parcel(weight, value), both.clone());
    assert_eq!([of(100, 5_000), of(101, 5_000), of(100, 4_999)], [Some(90), Some(490), Some(490)]);
}

#[test]
fn only_tiers_in_the_currency_of_the_parcel_count() {
    let tiers = json!([{"price": {"amount": 590, "currency": "USD"}}, {"price": euros(490)}]);
    assert_eq!(price(&parcel(1, 1), tiers.clone()), Some(490));
    assert_eq!(price(&Parcel { currency: "USD".to_owned(), ..parcel(1, 1) }, tiers.clone()), Some(590));
    assert_eq!(price(&Parcel { currency: "JPY".to_owned(), ..parcel(1, 1) }, tiers), None);
}

#[test]
fn a_large_total_makes_it_free_where_a_tier_fits() {
    let tiers = json!([
        {"maxWeightGrams": 1_000, "price": euros(490)},
        {"maxWeightGrams": 1_000, "price": {"amount": 590, "currency": "USD"}},
    ]);
    let mut method = method("standard", tiers);
    method["freeFrom"] = euros(5_000);
    let of =
        |parcel: &Parcel| offered(parcel, std::slice::from_ref(&method)).first().map(|(_, price)| *price);
    assert_eq!([of(&parcel(1, 4_999)), of(&parcel(1, 5_000))], [Some(490), Some(0)]);
    assert_eq!(of(&parcel(1_001, 5_000)), None);
    assert_eq!(of(&Parcel { currency: "USD".to_owned(), ..parcel(1, 5_000) }), Some(590));
}

#[test]
fn a_method_may_be_for_some_countries_and_customers() {
    let methods = [
        plain("near", json!({"countries": ["DE", "AT"]})),
        plain("far", json!({"countries": ["NZ"]})),
        plain("pallet", json!({"customerGroups": ["wholesale", "vip"]})),
        plain("any", json!({})),
    ];
    let codes = |parcel: &Parcel| {
        offered(parcel, &methods).into_iter().map(|(code, _)| code).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(codes(&parcel(1, 1)), "near any");
    assert_eq!(codes(&Parcel { country: Some("NZ".to_owned()), ..parcel(1, 1) }), "far any");
    assert_eq!(codes(&Parcel { country: None, ..parcel(1, 1) }), "any");
    let groups = vec!["press".to_owned(), "vip".to_owned()];
    assert_eq!(codes(&Parcel { groups, ..parcel(1, 1) }), "near pallet any");
    assert_eq!(codes(&Parcel { groups: vec!["press".to_owned()], ..parcel(1, 1) }), "near any");
}
