//! What holds for every cart and every list of promotions.

use plugin_sdk::{
    Value, json,
    pricing::{
        AMOUNT_MAX, Adjustment, Cart, Coupon, Line, Money, Priced, PricingRule, Rounding, Settings, Shipping,
        Subtotal, Sums, Value as Amount, kind,
    },
};
use pricing_model::SharedSource;
use proptest::prelude::*;

use crate::Promotions;

/// Small, so that promotions meet on the same lines.
const LINES_MAX: usize = 6;
const PROMOTIONS_MAX: usize = 6;
const CASES: u32 = 400;

fn any_line() -> impl Strategy<Value = Line> {
    let price = prop_oneof![Just(0), 0..50_i64, 0..100_000_i64, 0..AMOUNT_MAX / 1_000];
    (1..12_u32, price, 0..3_usize, 0..3_usize).prop_map(|(quantity, unit_price, category, class)| Line {
        quantity,
        unit_price,
        category_ids: vec![format!("cat_{category}")],
        tax_class: ["", "reduced", "zero"][class].to_owned(),
        ..Line::default()
    })
}

fn any_cart() -> impl Strategy<Value = Cart> {
    let lines = prop::collection::vec(any_line(), 0..=LINES_MAX);
    (lines, prop::option::of(0..2_000_i64), any::<bool>()).prop_map(|(mut lines, shipping, coupon)| {
        for (index, line) in lines.iter_mut().enumerate() {
            line.id = format!("itm_{index}");
            line.sku = format!("SKU-{index}");
        }
        Cart {
            currency: "EUR".to_owned(),
            lines,
            coupons: coupon
                .then(|| Coupon { code: "HELLO".to_owned(), rule_id: "p1".to_owned() })
                .into_iter()
                .collect(),
            shipping: shipping.map(|amount| Shipping {
                code: "standard".to_owned(),
                amount,
                plugin_id: "flat".to_owned(),
            }),
            ..Cart::default()
        }
    })
}

fn any_action() -> impl Strategy<Value = Value> {
    let amounts = || {
        prop_oneof![1..100_i64, 1..50_000_i64, Just(AMOUNT_MAX)]
            .prop_map(|amount| json!([{"amount": amount, "currency": "EUR"}]))
    };
    let basis_points = || prop_oneof![Just(10_000), 1..=10_000_u32];
    prop_oneof![
        3 => basis_points().prop_map(|part| json!({"type": "percentage", "basisPoints": part})),
        2 => amounts().prop_map(|amounts| json!({"type": "fixed", "amounts": amounts})),
        1 => amounts().prop_map(|amounts| json!({"type": "fixedPerUnit", "amounts": amounts})),
        2 => (1..4_u32, 1..4_u32, basis_points(), prop::option::of(1..3_u32)).prop_map(|(buy, get, part, limit)| {
            json!({"type": "buyXGetY", "buy": buy, "get": get, "basisPoints": part, "limit": limit})
        }),
        2 => (1..5_u32, 1..5_u32, 1..5_000_u32, 1..5_000_u32, any::<bool>()).prop_map(|(first, more, part, and, per)| {
            let breaks = json!([
                {"minQuantity": first, "basisPoints": part},
                {"minQuantity": first + more, "basisPoints": part + and},
            ]);
            json!({"type": "quantityBreaks", "breaks": breaks, "per": if per { "line" } else { "match" }})
        }),
        1 => Just(json!({"type": "freeShipping"})),
        1 => amounts().prop_map(|amounts| json!({"type": "shippingOff", "amounts": amounts})),
    ]
}

fn any_promotion() -> impl Strategy<Value = Value> {
    let lines = prop_oneof![
        Just(json!({})),
        Just(json!({"categoryIds": ["cat_0", "cat_1"]})),
        Just(json!({"taxClasses": ["reduced", ""]})),
        Just(json!({"skus": ["SKU-0", "SKU-2", "SKU-3"]})),
    ];
    (any_action(), lines, -2..3_i32, prop::option::of(1..10_u32), prop::bool::weighted(0.2)).prop_map(
        |(action, lines, priority, least, coupon)| {
            json!({
                "name": "A promotion", "action": action, "match": lines, "priority": priority, "minQuantity": least,
                "coupon": coupon,
            })
        },
    )
}

/// Promotions of which about a part of `exclusive` are alone.
fn any_promotions(exclusive: f64) -> impl Strategy<Value = Vec<Value>> {
    let promotion = (any_promotion(), prop::bool::weighted(exclusive));
    prop::collection::vec(promotion, 0..=PROMOTIONS_MAX).prop_map(|all| {
        let numbered = all.into_iter().enumerate();
        let name = |(index, (mut promotion, alone)): (usize, (Value, bool))| {
            promotion["id"] = json!(format!("p{index}"));
            promotion["stacking"] = json!(if alone { "exclusive" } else { "stack" });
            promotion
        };
        numbered.map(name).collect()
    })
}

fn any_rounding() -> impl Strategy<Value = Rounding> {
    prop::sample::select(vec![Rounding::HalfUp, Rounding::HalfEven, Rounding::HalfDown])
}

fn config(promotions: &[Value], rounding: Rounding) -> Vec<u8> {
    json!({"promotions": promotions, "rounding": rounding}).to_string().into_bytes()
}

fn sums(cart: &Cart, rounding: Rounding) -> Sums {
    let settings = Settings { rounding, ..Settings::default() };
    Sums::new(cart, settings, &SharedSource::default()).unwrap()
}

/// Asks the rule and adds up, as the host does.
fn apply(sums: &mut Sums, cart: &Cart, config: &[u8]) -> Vec<Adjustment> {
    let shown = Cart { so_far: sums.so_far(), ..cart.clone() };
    let answer = Promotions::adjust(&shown, config).unwrap();
    sums.apply(&answer, &SharedSource::default()).unwrap();
    answer
}

fn price(cart: &Cart, rounding: Rounding, configs: &[Vec<u8>]) -> Priced {
    let mut sums = sums(cart, rounding);
    for config in configs {
        apply(&mut sums, cart, config);
    }
    sums.finish()
}

fn turned<T: Clone>(all: &[T], by: usize) -> Vec<T> {
    let mut all = all.to_vec();
    if !all.is_empty() {
        let by = by % all.len();
        all.rotate_left(by);
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    #[test]
    fn sums_are_exact_and_nothing_is_negative(
        cart in any_cart(),
        promotions in any_promotions(0.2),
        rounding in any_rounding(),
    ) {
        let mut sums = sums(&cart, rounding);
        let answer = apply(&mut sums, &cart, &config(&promotions, rounding));
        let priced = sums.finish();
        // The host had nothing to cut: all amounts that were answered are there.
        let amounts = |kind: &str| -> i64 {
            answer
                .iter()
                .filter(|adjustment| adjustment.kind == kind)
                .map(|adjustment| match &adjustment.value {
                    Amount::Amount(money) => money.amount,
                    Amount::Rate(rate) => adjustment
                        .lines
                        .iter()
                        .filter_map(|id| cart.lines.iter().find(|line| line.id == *id))
                        .map(|line| {
                            let part = i128::from(line.gross()) * i128::from(*rate);
                            i64::try_from(rounding.divide(part, 1_000_000)).unwrap()
                        })
                        .sum(),
                })
                .sum()
        };
        prop_assert_eq!(priced.totals.discount, amounts(kind::DISCOUNT));
        let shipping = cart.shipping.as_ref().map_or(0, |shipping| shipping.amount);
        prop_assert_eq!(priced.totals.shipping, shipping + amounts(kind::SHIPPING));
        prop_assert!(priced.lines.iter().all(|line| line.total >= 0));
        prop_assert!(priced.totals.shipping >= 0 && priced.totals.grand >= 0);
        for adjustment in answer {
            if let Amount::Amount(money) = adjustment.value {
                prop_assert_eq!(&money.currency, &cart.currency);
            }
        }
    }

    #[test]
    fn no_order_matters(
        cart in any_cart(),
        promotions in any_promotions(0.2),
        by in 0..12_usize,
    ) {
        let expected = Promotions::adjust(&cart, &config(&promotions, Rounding::HalfUp));
        let other = Cart { lines: turned(&cart.lines, by), ..cart };
        let answer = Promotions::adjust(&other, &config(&turned(&promotions, by), Rounding::HalfUp));
        prop_assert_eq!(&answer, &expected);
        prop_assert_eq!(Promotions::adjust(&other, &config(&promotions, Rounding::HalfUp)), expected);
    }

    #[test]
    fn promotions_that_stack_are_as_rules_of_their_own(
        cart in any_cart(),
        mut promotions in any_promotions(0.0),
        rounding in any_rounding(),
    ) {
        let at_once = price(&cart, rounding, &[config(&promotions, rounding)]);
        promotions.sort_by_key(|it| (it["priority"].as_i64(), it["id"].as_str().map(str::to_owned)));
        let each: Vec<Vec<u8>> =
            promotions.iter().map(|it| config(std::slice::from_ref(it), rounding)).collect();
        prop_assert_eq!(price(&cart, rounding, &each), at_once);
    }

    #[test]
    fn no_single_promotion_is_better_than_what_is_chosen(cart in any_cart(), promotions in any_promotions(1.0)) {
        let off = |promotions: &[Value]| {
            let totals = price(&cart, Rounding::HalfUp, &[config(promotions, Rounding::HalfUp)]).totals;
            totals.items - totals.grand
        };
        let chosen = off(&promotions);
        for promotion in &promotions {
            prop_assert!(off(std::slice::from_ref(promotion)) <= chosen);
        }
    }

    #[test]
    fn absurd_carts_and_configurations_do_no_harm(
        cart in absurd_cart(),
        promotions in prop::collection::vec(absurd_promotion(), 0..4),
    ) {
        let config = config(&promotions, Rounding::HalfUp);
        let _accepted = Promotions::validate_config(&config);
        let answer = Promotions::adjust(&cart, &config);
        prop_assert_eq!(&answer, &Promotions::adjust(&cart, &config));
        for adjustment in answer.unwrap_or_default() {
            prop_assert_eq!(adjustment.lines.is_empty(), adjustment.kind == kind::SHIPPING);
            match adjustment.value {
                Amount::Amount(money) => prop_assert!((-AMOUNT_MAX..0).contains(&money.amount)),
                Amount::Rate(rate) => prop_assert!((-1_000_000..0).contains(&rate)),
            }
        }
    }

    #[test]
    fn bytes_that_are_no_configuration_are_refused(bytes in prop::collection::vec(any::<u8>(), 1..60)) {
        prop_assume!(serde_json_fails(&bytes));
        prop_assert!(Promotions::validate_config(&bytes).is_err());
        prop_assert!(Promotions::adjust(&Cart::default(), &bytes).is_err());
    }
}

fn serde_json_fails(bytes: &[u8]) -> bool {
    plugin_sdk::serde_json::from_slice::<Value>(bytes).is_err()
}

fn edge() -> impl Strategy<Value = i64> {
    prop_oneof![
        any::<i64>(),
        prop::sample::select(vec![0, 1, -1, AMOUNT_MAX, AMOUNT_MAX + 1, -AMOUNT_MAX, i64::MAX, i64::MIN]),
    ]
}

fn absurd_line() -> impl Strategy<Value = Line> {
    let quantity = prop_oneof![any::<u32>(), Just(0), Just(1), Just(u32::MAX)];
    ("(a|b|shipping)", quantity, edge(), any::<String>()).prop_map(|(id, quantity, unit_price, sku)| Line {
        id,
        quantity,
        unit_price,
        sku,
        ..Line::default()
    })
}

fn absurd_cart() -> impl Strategy<Value = Cart> {
    let sums = prop::collection::vec(
        (prop::option::of("(a|b|shipping)"), "(discount|surcharge|shipping|tax)", edge()),
        0..4,
    );
    let lines = prop::collection::vec(absurd_line(), 0..5);
    (lines, sums, prop::option::of(edge()), edge()).prop_map(|(lines, sums, shipping, at_ms)| Cart {
        currency: "EUR".to_owned(),
        at_ms,
        lines,
        shipping: shipping.map(|amount| Shipping { amount, ..Shipping::default() }),
        so_far: sums.into_iter().map(|(line, kind, amount)| Subtotal { line, kind, amount }).collect(),
        ..Cart::default()
    })
}

/// Of the right shape, with numbers that no schema would let through.
fn absurd_promotion() -> impl Strategy<Value = Value> {
    let number = || prop_oneof![any::<u32>(), Just(0), Just(1), Just(10_000), Just(u32::MAX)];
    let amounts = || edge().prop_map(|amount| json!([Money { amount, currency: "EUR".to_owned() }]));
    let action = prop_oneof![
        number().prop_map(|part| json!({"type": "percentage", "basisPoints": part})),
        amounts().prop_map(|amounts| json!({"type": "fixed", "amounts": amounts})),
        amounts().prop_map(|amounts| json!({"type": "fixedPerUnit", "amounts": amounts})),
        amounts().prop_map(|amounts| json!({"type": "shippingOff", "amounts": amounts})),
        (number(), number(), number(), prop::option::of(number())).prop_map(|(buy, get, part, limit)| {
            json!({"type": "buyXGetY", "buy": buy, "get": get, "basisPoints": part, "limit": limit})
        }),
        (any::<u64>(), number(), any::<bool>()).prop_map(|(least, part, line)| {
            let breaks = json!([{"minQuantity": least, "basisPoints": part}]);
            json!({"type": "quantityBreaks", "breaks": breaks, "per": if line { "line" } else { "match" }})
        }),
    ];
    let least = prop::option::of(edge())
        .prop_map(|amount| amount.map(|amount| json!({"amount": amount, "currency": "EUR"})));
    (any::<String>(), any::<String>(), action, least, any::<i32>()).prop_map(|(id, name, action, least, priority)| {
        json!({"id": id, "name": name, "action": action, "minSubtotal": least, "priority": priority})
    })
}
