//! Taxes added up by the sums of the host.

mod config;
mod documentation;
mod properties;

use plugin_sdk::{
    Context, Value, json,
    mock::{MockHost, schema_faults},
    pricing::{Adjustment, Cart, Line, Priced, PricingRule, Shipping, Sums, Value as Amount},
};

use crate::Tax;

fn line(id: &str, quantity: u32, unit_price: i64, tax_class: &str) -> Line {
    Line { id: id.to_owned(), quantity, unit_price, tax_class: tax_class.to_owned(), ..Line::default() }
}

/// A cart that goes to Germany.
fn cart(lines: Vec<Line>) -> Cart {
    Cart { currency: "EUR".to_owned(), country: Some("DE".to_owned()), lines, ..Cart::default() }
}

fn with_shipping(cart: Cart, amount: i64) -> Cart {
    let shipping = Shipping { code: "standard".to_owned(), amount, plugin_id: "flat".to_owned() };
    Cart { shipping: Some(shipping), ..cart }
}

/// Germany, Spain with the Canary Islands, and the United States with California.
fn config() -> Value {
    json!({"rates": [
        {"country": "DE", "name": "VAT 19 %", "ppm": 190_000},
        {"country": "DE", "taxClass": "reduced", "name": "VAT 7 %", "ppm": 70_000},
        {"country": "DE", "taxClass": "none", "name": "VAT 0 %", "ppm": 0},
        {"country": "ES", "name": "IVA 21 %", "ppm": 210_000},
        {"country": "ES", "taxClass": "reduced", "name": "IVA 10 %", "ppm": 100_000},
        {"country": "ES", "region": "Canarias", "name": "IGIC 7 %", "ppm": 70_000},
        {"country": "ES", "region": "Canarias", "taxClass": "zero", "name": "IGIC 0 %", "ppm": 0},
        {"country": "US", "region": "CA", "name": "Sales tax", "code": "sales-tax", "ppm": 72_500},
    ]})
}

fn with(more: Value) -> Value {
    let mut config = config();
    for (name, value) in more.as_object().unwrap() {
        config[name] = value.clone();
    }
    config
}

#[track_caller]
fn accepted(config: &Value) {
    assert_eq!(schema_faults(&Tax::config_schema().unwrap(), config), Vec::<String>::new());
    assert_eq!(Tax::validate_config(config.to_string().as_bytes()), Ok(()));
}

#[track_caller]
fn price(cart: &Cart, config: &Value) -> Priced {
    accepted(config);
    let host = MockHost::empty();
    host.add_rule::<Tax>(config);
    Context::new(&host, b"").price(cart).unwrap().priced
}

/// The adjustments that the rule answers first in a chain.
#[track_caller]
fn answered(cart: &Cart, config: &Value) -> Vec<Adjustment> {
    accepted(config);
    let sums = Sums::new(cart, Default::default(), &Default::default()).unwrap();
    Tax::adjust(&Cart { so_far: sums.so_far(), ..cart.clone() }, config.to_string().as_bytes()).unwrap()
}

/// The name of the tax that a line with a tax class has.
fn name(country: Option<&str>, region: Option<&str>, tax_class: &str, config: &Value) -> Option<String> {
    let cart = Cart {
        country: country.map(str::to_owned),
        region: region.map(str::to_owned),
        ..cart(vec![line("a", 1, 1_000, tax_class)])
    };
    answered(&cart, config).into_iter().map(|adjustment| adjustment.reason).next()
}

#[test]
fn without_rates_there_are_no_taxes() {
    let cart = with_shipping(cart(vec![line("a", 1, 1_000, "")]), 490);
    assert_eq!(Tax::adjust(&cart, b""), Ok(Vec::new()));
    assert_eq!(answered(&cart, &json!({})), []);
}

#[test]
fn lines_of_one_rate_share_an_adjustment() {
    let cart = cart(vec![
        line("d", 1, 500, "none"),
        line("b", 1, 1_000, "reduced"),
        line("c", 2, 100, "books"),
        line("a", 3, 333, ""),
    ]);
    let answer = answered(&cart, &config());
    let told: Vec<_> = answer
        .iter()
        .map(|it| (it.lines.join(" "), it.kind.as_str(), it.code.as_str(), it.reason.as_str(), &it.value))
        .collect();
    assert_eq!(
        told,
        [
            ("a c".to_owned(), "tax", "tax-de", "VAT 19 %", &Amount::Rate(190_000)),
            ("b".to_owned(), "tax", "tax-de-reduced", "VAT 7 %", &Amount::Rate(70_000)),
        ]
    );
    let totals = price(&cart, &config()).totals;
    // 189.81, 38 and 70.
    assert_eq!((totals.items, totals.tax, totals.grand), (2_699, 298, 2_997));
}

#[test]
fn taxes_that_are_in_the_prices_are_shown_and_not_added() {
    let cart = with_shipping(cart(vec![line("a", 1, 1_190, ""), line("b", 1, 1_070, "reduced")]), 595);
    let priced = price(&cart, &with(json!({"pricesInclude": true})));
    assert_eq!((priced.totals.tax, priced.totals.tax_included, priced.totals.grand), (0, 355, 2_855));
    assert!(priced.adjustments.iter().any(|it| it.kind == "tax_included" && it.amount == 95));
}

#[test]
fn the_most_specific_rate_wins() {
    let at = |country: &str, region: Option<&str>, class: &str| name(Some(country), region, class, &config());
    let named = |text: &str| Some(text.to_owned());
    assert_eq!(at("DE", None, ""), named("VAT 19 %"));
    assert_eq!(at("DE", None, "books"), named("VAT 19 %"));
    assert_eq!(at("DE", Some("Bayern"), "reduced"), named("VAT 7 %"));
    assert_eq!(at("DE", None, "none"), None);
    assert_eq!(at("ES", Some("Madrid"), "reduced"), named("IVA 10 %"));
    // A region with rates is a territory of its own.
    assert_eq!(at("ES", Some("Canarias"), "reduced"), named("IGIC 7 %"));
    assert_eq!(at("ES", Some("Canarias"), "zero"), None);
    assert_eq!(at("ES", Some(" CANARIAS "), ""), named("IGIC 7 %"));
    assert_eq!(at("US", Some("CA"), ""), named("Sales tax"));
    assert_eq!(at("US", Some("OR"), ""), None);
    assert_eq!(at("US", None, ""), None);
    assert_eq!(at("FR", None, ""), None);
}

#[test]
fn a_cart_that_goes_nowhere_yet_goes_to_the_default_country() {
    assert_eq!(name(None, None, "", &config()), None);
    let default = with(json!({"defaultCountry": "ES"}));
    assert_eq!(name(None, None, "", &default), Some("IVA 21 %".to_owned()));
    assert_eq!(name(None, Some("Canarias"), "", &default), Some("IVA 21 %".to_owned()));
    assert_eq!(name(Some("DE"), None, "", &default), Some("VAT 19 %".to_owned()));
    assert_eq!(name(Some("FR"), None, "", &default), None, "it is known where this one goes");
}

#[test]
fn shipping_has_a_tax_of_its_own() {
    let shop = with_shipping(cart(vec![line("a", 1, 1_000, "reduced")]), 500);
    let of_shipping = |cart: &Cart, config: &Value| {
        let answer = answered(cart, config);
        answer.into_iter().filter(|it| it.lines == ["shipping"]).map(|it| it.reason).next()
    };
    assert_eq!(of_shipping(&shop, &config()), Some("VAT 19 %".to_owned()));
    let reduced = with(json!({"shippingTaxClass": "reduced"}));
    assert_eq!(of_shipping(&shop, &reduced), Some("VAT 7 %".to_owned()));
    assert_eq!(answered(&shop, &reduced).len(), 2, "not with the lines of the same rate");
    assert_eq!(of_shipping(&shop, &with(json!({"taxShipping": false}))), None);
    assert_eq!(of_shipping(&shop, &with(json!({"shippingTaxClass": "none"}))), None);
    assert_eq!(of_shipping(&with_shipping(shop.clone(), 0), &config()), None);
    assert_eq!(of_shipping(&Cart { shipping: None, ..shop.clone() }, &config()), None);
    assert_eq!(price(&shop, &config()).totals.tax, 70 + 95);
}

#[test]
fn customers_in_exempt_groups_pay_none() {
    let exempt = with(json!({"exemptGroups": ["resellers", "embassies"]}));
    let shop = with_shipping(cart(vec![line("a", 1, 1_000, "")]), 500);
    let of =
        |groups: &[&str]| Cart { groups: groups.iter().map(|&it| it.to_owned()).collect(), ..shop.clone() };
    assert_eq!(price(&of(&["vip", "embassies"]), &exempt).totals.tax, 0);
    assert_eq!(price(&of(&["vip"]), &exempt).totals.tax, 285);
    assert_eq!(price(&shop, &exempt).totals.tax, 285);
}

#[test]
fn a_configuration_that_cannot_be_read_is_a_failure() {
    let problem = Tax::adjust(&cart(Vec::new()), br#"{"rates": {}}"#).unwrap_err();
    assert_eq!((problem.status, problem.errors[0].pointer.as_str()), (502, "/rates"));
}
