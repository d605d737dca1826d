//! What holds for every parcel and every list of methods.

use std::collections::HashSet;

use plugin_sdk::{
    Context, Value, json,
    mock::MockHost,
    pricing::AMOUNT_MAX,
    shipping::{Parcel, Rate, ShippingRates},
};
use proptest::prelude::*;

use super::euros;
use crate::FlatShipping;

const CASES: u32 = 300;

fn any_parcel() -> impl Strategy<Value = Parcel> {
    let country = prop::option::of("(DE|AT|[A-Z]{2}|.{0,3})");
    let groups = prop::collection::vec("(vip|wholesale|press)", 0..3);
    let weight = prop_oneof![0..10_000_u64, any::<u64>()];
    let value = prop_oneof![0..10_000_i64, any::<i64>()];
    ("(EUR|USD|JPY|.{0,4})", country, groups, weight, value).prop_map(
        |(currency, country, groups, weight_grams, value)| Parcel {
            currency,
            country,
            groups,
            weight_grams,
            quantity: 1,
            value,
            ..Parcel::default()
        },
    )
}

fn any_methods() -> impl Strategy<Value = Vec<Value>> {
    let price = || {
        (0..5_000_i64, "(EUR|USD)")
            .prop_map(|(amount, currency)| json!({"amount": amount, "currency": currency}))
    };
    let tier = (prop::option::of(0..10_000_u64), prop::option::of(price()), price()).prop_map(
        |(max_weight, min_total, price)| {
            json!({"maxWeightGrams": max_weight, "minTotal": min_total, "price": price})
        },
    );
    let method = (
        prop::option::of(prop::collection::vec("(DE|AT)", 1..3)),
        prop::option::of(prop::collection::vec("(vip|wholesale)", 1..3)),
        prop::collection::vec(tier, 1..4),
        prop::option::of(price()),
    );
    prop::collection::vec(method, 0..5).prop_map(|methods| {
        let numbered = methods.into_iter().enumerate();
        let method = |(index, (countries, groups, tiers, free_from))| {
            json!({
                "code": format!("m{index}"), "name": "A method", "countries": countries, "customerGroups": groups,
                "tiers": tiers, "freeFrom": free_from,
            })
        };
        numbered.map(method).collect()
    })
}

fn options(parcel: &Parcel, config: &[u8]) -> Vec<Rate> {
    FlatShipping::options(&Context::new(&MockHost::empty(), config), parcel).unwrap()
}

fn config(methods: &[Value]) -> Vec<u8> {
    json!({ "methods": methods }).to_string().into_bytes()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    #[test]
    fn prices_are_of_a_tier_or_nothing_and_in_the_currency_of_the_parcel(
        parcel in any_parcel(),
        methods in any_methods(),
    ) {
        let rates = options(&parcel, &config(&methods));
        prop_assert_eq!(&rates, &options(&parcel, &config(&methods)));
        let codes: HashSet<&str> = rates.iter().map(|rate| rate.code.as_str()).collect();
        prop_assert_eq!(codes.len(), rates.len());
        for rate in &rates {
            prop_assert_eq!(&rate.price.currency, &parcel.currency);
            let method = methods.iter().find(|method| method["code"] == rate.code.as_str()).unwrap();
            let tiers = method["tiers"].as_array().unwrap();
            prop_assert!(
                tiers.iter().any(|tier| tier["price"] == json!(rate.price)) || rate.price.amount == 0
            );
        }
    }

    #[test]
    fn a_method_does_not_depend_on_the_others(parcel in any_parcel(), methods in any_methods()) {
        let alone = methods.iter().flat_map(|method| options(&parcel, &config(std::slice::from_ref(method))));
        prop_assert_eq!(alone.collect::<Vec<_>>(), options(&parcel, &config(&methods)));
    }

    #[test]
    fn absurd_configurations_do_no_harm(
        parcel in any_parcel(),
        amount in prop_oneof![any::<i64>(), Just(AMOUNT_MAX)],
        weight in any::<u64>(),
        text in any::<String>(),
    ) {
        let mut price = euros(amount);
        price["currency"] = json!(text);
        let tier = json!({"maxWeightGrams": weight, "minTotal": price, "maxTotal": euros(amount), "price": price});
        let method = json!({"code": text, "name": text, "countries": [text], "tiers": [tier, tier]});
        let bytes = config(&[method]);
        let _accepted = FlatShipping::validate_config(&bytes);
        prop_assert_eq!(options(&parcel, &bytes), options(&parcel, &bytes));
        // What cannot be read offers nothing.
        prop_assert_eq!(options(&parcel, text.as_bytes()), []);
    }
}
