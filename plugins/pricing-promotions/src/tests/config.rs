//! Which configurations are accepted.

use plugin_sdk::{Value, json, mock::schema_faults, pricing::PricingRule};

use super::{euros, percentage, plain, promotion};
use crate::Promotions;

fn faults(promotion: &Value) -> Vec<String> {
    schema_faults(&Promotions::config_schema().unwrap(), &json!({ "promotions": [promotion] }))
}

/// Where `validate_config` finds something wrong in a configuration that fits the schema.
#[track_caller]
fn pointers(config: &Value) -> Vec<String> {
    assert_eq!(schema_faults(&Promotions::config_schema().unwrap(), config), Vec::<String>::new());
    let errors = Promotions::validate_config(config.to_string().as_bytes()).err().unwrap_or_default();
    errors.into_iter().map(|error| error.pointer).collect()
}

#[track_caller]
fn wrong_at(promotion: Value, pointer: &str) {
    assert_eq!(pointers(&json!({ "promotions": [promotion] })), [format!("/promotions/0{pointer}")]);
}

#[test]
fn the_schema_accepts_every_member() {
    let full = promotion(
        "everything-2",
        json!({"type": "buyXGetY", "buy": 2, "get": 1, "basisPoints": 5_000, "limit": 3}),
        json!({
            "code": "EVERYTHING",
            "coupon": true,
            "startsAt": "2026-06-01T00:00:00Z",
            "endsAt": "2026-07-01T00:00:00+02:00",
            "currency": "EUR",
            "customerGroups": ["wholesale"],
            "countries": ["DE"],
            "minSubtotal": {"amount": 1, "currency": "EUR"},
            "minQuantity": 3,
            "match": {"categoryIds": ["cat_1"], "productIds": ["prod_1"], "skus": ["S"], "taxClasses": [""]},
            "stacking": "exclusive",
            "priority": -10,
        }),
    );
    let config = json!({"promotions": [full], "rounding": "half_even"});
    assert_eq!(pointers(&config), Vec::<String>::new());
    assert_eq!(pointers(&json!({})), Vec::<String>::new());
    for action in [
        json!({"type": "fixed", "amounts": euros(1)}),
        json!({"type": "fixedPerUnit", "amounts": euros(1)}),
        json!({"type": "quantityBreaks", "breaks": [{"minQuantity": 1, "basisPoints": 1}], "per": "match"}),
        json!({"type": "freeShipping"}),
        json!({"type": "shippingOff", "amounts": euros(1)}),
    ] {
        assert_eq!(pointers(&json!({ "promotions": [plain("a", action)] })), Vec::<String>::new());
    }
}

#[test]
fn the_schema_refuses_and_says_where() {
    for (member, value, at) in [
        ("id", json!("Summer"), "/promotions/0/id"),
        ("id", json!("a--b"), "/promotions/0/id"),
        ("name", json!(""), "/promotions/0/name"),
        ("code", json!(""), "/promotions/0/code"),
        ("coupon", json!("yes"), "/promotions/0/coupon"),
        ("currency", json!("eur"), "/promotions/0/currency"),
        ("customerGroups", json!([]), "/promotions/0/customerGroups"),
        ("countries", json!(["de"]), "/promotions/0/countries/0"),
        ("minSubtotal", json!(100), "/promotions/0/minSubtotal"),
        ("minSubtotal", json!({"amount": 0, "currency": "EUR"}), "/promotions/0/minSubtotal/amount"),
        ("minQuantity", json!(0), "/promotions/0/minQuantity"),
        ("match", json!({"sku": ["A"]}), "/promotions/0/match"),
        ("match", json!({"skus": []}), "/promotions/0/match/skus"),
        ("stacking", json!("never"), "/promotions/0/stacking"),
        ("priority", json!(0.5), "/promotions/0/priority"),
        ("colour", json!("red"), "/promotions/0"),
        ("action", json!({}), "/promotions/0/action"),
        ("action", json!({"type": "gift"}), "/promotions/0/action/type"),
        ("action", percentage(0), "/promotions/0/action/basisPoints"),
        ("action", percentage(10_001), "/promotions/0/action/basisPoints"),
        ("action", json!({"type": "percentage", "percent": 10}), "/promotions/0/action"),
        ("action", json!({"type": "fixed", "amounts": []}), "/promotions/0/action/amounts"),
        ("action", json!({"type": "fixed", "amounts": euros(-1)}), "/promotions/0/action/amounts/0/amount"),
        ("action", json!({"type": "buyXGetY", "buy": 0, "get": 1}), "/promotions/0/action/buy"),
        ("action", json!({"type": "quantityBreaks", "breaks": []}), "/promotions/0/action/breaks"),
        ("action", json!({"type": "freeShipping", "amounts": euros(1)}), "/promotions/0/action"),
    ] {
        let mut wrong = plain("a", percentage(1_000));
        wrong[member] = value;
        let faults = faults(&wrong).join("\n");
        assert!(faults.contains(&format!("`{at}`: ")), "{wrong} is wrong at {at}, not at {faults}");
    }
}

#[test]
fn the_schema_explains_every_member() {
    fn undescribed(at: &str, schema: &Value, found: &mut Vec<String>) {
        if let Some(members) = schema.get("properties").and_then(Value::as_object) {
            for (name, member) in members {
                let plain = [
                    "type",
                    "skus",
                    "productIds",
                    "buy",
                    "get",
                    "minQuantity",
                    "promotions",
                    "per",
                    "stacking",
                ];
                if member.get("description").is_none() && !plain.contains(&name.as_str()) {
                    found.push(format!("{at}/{name}"));
                }
            }
        }
    }
    let schema = Promotions::config_schema().unwrap();
    let mut found = Vec::new();
    undescribed("", &schema, &mut found);
    for (name, definition) in schema["$defs"].as_object().unwrap() {
        undescribed(name, definition, &mut found);
    }
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn what_the_schema_cannot_say_is_told_with_pointers() {
    let with = |more| promotion("a", percentage(1_000), more);
    let two = json!({"promotions": [with(json!({})), with(json!({}))]});
    assert_eq!(pointers(&two), ["/promotions/1/id"]);
    wrong_at(with(json!({"name": " "})), "/name");
    wrong_at(with(json!({"code": " "})), "/code");
    wrong_at(with(json!({"startsAt": "tomorrow"})), "/startsAt");
    wrong_at(with(json!({"endsAt": "2026-02-30T00:00:00Z"})), "/endsAt");
    let moment = "2026-06-01T00:00:00Z";
    wrong_at(with(json!({"startsAt": moment, "endsAt": moment})), "/endsAt");
    wrong_at(with(json!({"startsAt": moment, "endsAt": "2026-06-01T01:00:00+02:00"})), "/endsAt");
    wrong_at(with(json!({"currency": "ABC"})), "/currency");
    wrong_at(with(json!({"minSubtotal": {"amount": 1, "currency": "ABC"}})), "/minSubtotal/currency");
    wrong_at(with(json!({"countries": ["DE", "XX"]})), "/countries/1");
    // Whole numbers only, also where the schema takes 1.0 for one.
    wrong_at(with(json!({"minQuantity": 1.0})), "/minQuantity");
}

#[test]
fn amounts_have_currencies_in_which_they_can_apply() {
    let amounts = |all: Value, more| promotion("a", json!({"type": "fixed", "amounts": all}), more);
    let euro = json!({"amount": 1, "currency": "EUR"});
    wrong_at(amounts(json!([euro, euro]), json!({})), "/action/amounts/1/currency");
    wrong_at(amounts(json!([{"amount": 1, "currency": "ABC"}]), json!({})), "/action/amounts/0/currency");
    wrong_at(amounts(json!([euro]), json!({"currency": "USD"})), "");
    wrong_at(amounts(json!([euro]), json!({"minSubtotal": {"amount": 1, "currency": "USD"}})), "");
    let disagree = json!({"currency": "EUR", "minSubtotal": {"amount": 1, "currency": "USD"}});
    wrong_at(promotion("a", percentage(1_000), disagree), "");
}

#[test]
fn breaks_ascend_in_pieces_and_in_what_is_off() {
    let breaks = |steps: [(u64, u32); 3]| {
        let steps = steps.map(|(min, off)| json!({"minQuantity": min, "basisPoints": off}));
        plain("a", json!({"type": "quantityBreaks", "breaks": steps}))
    };
    wrong_at(breaks([(1, 100), (1, 200), (2, 300)]), "/action/breaks/1/minQuantity");
    wrong_at(breaks([(3, 100), (4, 200), (2, 300)]), "/action/breaks/2/minQuantity");
    wrong_at(breaks([(1, 100), (2, 200), (3, 200)]), "/action/breaks/2/basisPoints");
}
