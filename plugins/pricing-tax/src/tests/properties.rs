//! What holds for every cart and every list of rates.

use plugin_sdk::{
    Value, json,
    pricing::{
        AMOUNT_MAX, Adjustment, Cart, Line, Priced, PricingRule, Rounding, Settings, Shipping, Subtotal,
        Sums, TaxLevel, kind,
    },
};
use pricing_model::SharedSource;
use proptest::prelude::*;

use crate::Tax;

/// Small, so that lines share rates.
const LINES_MAX: usize = 8;
const CASES: u32 = 300;

fn any_cart() -> impl Strategy<Value = Cart> {
    let line = (1..9_u32, prop_oneof![0..100_i64, 0..AMOUNT_MAX / 1_000], "(|reduced|zero)");
    let place = (prop::option::of("(DE|ES|FR)"), prop::option::of("(Canarias|CANARIAS|Bayern)"));
    (prop::collection::vec(line, 0..=LINES_MAX), prop::option::of(0..2_000_i64), place).prop_map(
        |(lines, shipping, (country, region))| Cart {
            currency: "EUR".to_owned(),
            country,
            region,
            lines: lines
                .into_iter()
                .enumerate()
                .map(|(index, (quantity, unit_price, tax_class))| Line {
                    id: format!("itm_{index}"),
                    quantity,
                    unit_price,
                    tax_class,
                    ..Line::default()
                })
                .collect(),
            shipping: shipping.map(|amount| Shipping { amount, ..Shipping::default() }),
            ..Cart::default()
        },
    )
}

fn any_config() -> impl Strategy<Value = Value> {
    let rate = ("(DE|ES)", prop::option::of("(Canarias|Bayern)"), "(|reduced)", 0..=1_000_000_u32).prop_map(
        |(country, region, class, ppm)| {
            json!({"country": country, "region": region, "taxClass": class, "name": "Tax", "ppm": ppm})
        },
    );
    let places = prop::collection::btree_map(("(DE|ES)", 0..3_u8, "(|reduced)"), rate, 0..6);
    (places, any::<bool>(), prop::option::of("(DE|ES)"), any::<bool>()).prop_map(
        |(places, include, default_country, tax_shipping)| {
            let rates: Vec<Value> = places
                .into_iter()
                .map(|((country, region, class), mut rate)| {
                    rate["country"] = json!(country);
                    rate["region"] = json!([None, Some("Canarias"), Some("Bayern")][usize::from(region)]);
                    rate["taxClass"] = json!(class);
                    rate
                })
                .collect();
            json!({
                "rates": rates, "pricesInclude": include, "defaultCountry": default_country, "taxShipping": tax_shipping,
            })
        },
    )
}

fn any_settings() -> impl Strategy<Value = Settings> {
    let rounding = prop::sample::select(vec![Rounding::HalfUp, Rounding::HalfEven, Rounding::HalfDown]);
    let tax_level = prop::sample::select(vec![TaxLevel::Line, TaxLevel::Unit, TaxLevel::Order]);
    (rounding, tax_level).prop_map(|(rounding, tax_level)| Settings { rounding, tax_level })
}

fn answer(cart: &Cart, config: &Value) -> Vec<Adjustment> {
    Tax::adjust(cart, config.to_string().as_bytes()).unwrap()
}

fn price(cart: &Cart, settings: Settings, config: &Value) -> (Vec<Adjustment>, Priced) {
    let mut sums = Sums::new(cart, settings, &SharedSource::default()).unwrap();
    let adjustments = answer(&Cart { so_far: sums.so_far(), ..cart.clone() }, config);
    sums.apply(&adjustments, &SharedSource::default()).unwrap();
    (adjustments, sums.finish())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    #[test]
    fn sums_are_exact_and_every_line_has_one_tax_at_most(
        cart in any_cart(),
        config in any_config(),
        settings in any_settings(),
    ) {
        let (adjustments, priced) = price(&cart, settings, &config);
        let included = config["pricesInclude"] == true;
        let wanted = if included { kind::TAX_INCLUDED } else { kind::TAX };
        let mut taxes = 0;
        for line in &priced.lines {
            prop_assert!(line.adjustments.len() <= 1);
            taxes += line.adjustments.iter().map(|it| it.amount).sum::<i64>();
        }
        taxes += priced.adjustments.iter().filter(|it| it.kind == wanted).map(|it| it.amount).sum::<i64>();
        let totals = priced.totals;
        prop_assert_eq!(if included { totals.tax_included } else { totals.tax }, taxes);
        prop_assert_eq!(totals.grand, totals.items + totals.shipping + totals.tax);
        prop_assert!(taxes >= 0 && (!included || totals.grand == totals.items + totals.shipping));
        prop_assert!(adjustments.iter().all(|it| !it.lines.is_empty() && it.kind == wanted));
    }

    #[test]
    fn no_order_matters(cart in any_cart(), config in any_config()) {
        let expected = answer(&cart, &config);
        let mut other = cart.clone();
        other.lines.reverse();
        let mut turned = config.clone();
        if let Some(rates) = turned["rates"].as_array_mut() {
            rates.reverse();
        }
        prop_assert_eq!(answer(&other, &turned), expected.clone());
        prop_assert_eq!(answer(&cart, &config), expected);
    }

    #[test]
    fn absurd_carts_and_configurations_do_no_harm(
        lines in prop::collection::vec(("(a|b|shipping)", any::<u32>(), any::<i64>(), ".{0,3}"), 0..5),
        amounts in prop::collection::vec(any::<i64>(), 0..4),
        ppm in any::<i64>(),
        region in prop::option::of(any::<String>()),
    ) {
        let cart = Cart {
            country: Some("DE".to_owned()),
            region: region.clone(),
            lines: lines
                .into_iter()
                .map(|(id, quantity, unit_price, tax_class)| Line {
                    id, quantity, unit_price, tax_class, ..Line::default()
                })
                .collect(),
            shipping: Some(Shipping::default()),
            so_far: amounts
                .into_iter()
                .map(|amount| Subtotal { line: None, kind: kind::SHIPPING.to_owned(), amount })
                .collect(),
            ..Cart::default()
        };
        let rate = json!({"country": "DE", "region": region, "name": "", "ppm": ppm});
        let config = json!({"rates": [rate, rate]}).to_string().into_bytes();
        prop_assert!(Tax::validate_config(&config).is_err());
        let answer = Tax::adjust(&cart, &config);
        prop_assert_eq!(&answer, &Tax::adjust(&cart, &config));
        prop_assert!(answer.unwrap_or_default().iter().all(|it| !it.lines.is_empty()));
    }

    #[test]
    fn bytes_that_are_no_configuration_are_refused(text in "[^{ ].{0,40}") {
        prop_assume!(!text.starts_with('['));
        prop_assert!(Tax::validate_config(text.as_bytes()).is_err());
        prop_assert!(Tax::adjust(&Cart::default(), text.as_bytes()).is_err());
    }
}
