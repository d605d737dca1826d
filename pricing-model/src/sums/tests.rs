use proptest::prelude::*;

use super::*;
use crate::{Line, Money, Shipping, Source};

fn line(id: &str, quantity: u32, unit_price: i64) -> Line {
    Line { id: id.to_owned(), quantity, unit_price, ..Line::default() }
}

fn cart(lines: Vec<Line>) -> Cart {
    Cart { currency: "EUR".to_owned(), lines, ..Cart::default() }
}

fn source(plugin: &str) -> SharedSource {
    Source { plugin_id: plugin.to_owned(), ..Source::default() }.into()
}

fn sums(cart: &Cart) -> Sums {
    Sums::new(cart, Settings::default(), &source("shipping")).unwrap()
}

fn adjustment(kind: &str, lines: &[&str], value: Value) -> Adjustment {
    Adjustment {
        lines: lines.iter().map(|&line| line.to_owned()).collect(),
        kind: kind.to_owned(),
        code: "code".to_owned(),
        reason: String::new(),
        value,
        coupon: None,
    }
}

fn euros(amount: i64) -> Value {
    Value::Amount(Money { amount, currency: "EUR".to_owned() })
}

fn shares(priced: &Priced) -> Vec<i64> {
    priced.lines.iter().map(|line| line.adjustments.iter().map(|it| it.amount).sum()).collect()
}

#[test]
fn an_order_discount_is_split_exactly_and_never_makes_a_line_negative() {
    let cart = cart(vec![line("a", 1, 100), line("b", 1, 100), line("c", 1, 100)]);
    let mut whole = sums(&cart);
    whole.apply(&[adjustment(kind::DISCOUNT, &[], euros(-100))], &source("p")).unwrap();
    assert_eq!(shares(&whole.clone().finish()), [-34, -33, -33]);
    whole.apply(&[adjustment(kind::DISCOUNT, &[], euros(-1_000))], &source("p")).unwrap();
    let priced = whole.finish();
    assert_eq!((priced.totals.discount, priced.totals.grand), (-300, 0));
    assert!(priced.lines.iter().all(|line| line.total == 0));
}

#[test]
fn rates_of_one_answer_are_of_the_same_amount() {
    let cart = cart(vec![line("a", 3, 333)]);
    let mut sums = sums(&cart);
    let tenth = adjustment(kind::DISCOUNT, &[], Value::Rate(-100_000));
    sums.apply(&[tenth.clone(), tenth.clone()], &source("p")).unwrap();
    // 99.9 twice, rounded each, and then 10 % of 799.
    sums.apply(&[tenth], &source("q")).unwrap();
    let amounts: Vec<i64> = sums.finish().lines[0].adjustments.iter().map(|it| it.amount).collect();
    assert_eq!(amounts, [-100, -100, -80]);
}

#[test]
fn taxes_are_rounded_where_the_shop_says() {
    let cart = cart(vec![line("a", 3, 33), line("b", 1, 33)]);
    let tax = |tax_level: TaxLevel, kind: &str| {
        let settings = Settings { tax_level, ..Settings::default() };
        let mut sums = Sums::new(&cart, settings, &source("shipping")).unwrap();
        sums.apply(&[adjustment(kind, &[], Value::Rate(190_000))], &source("tax")).unwrap();
        let priced = sums.finish();
        (shares(&priced), priced.totals.tax + priced.totals.tax_included, priced.totals.grand)
    };
    // 18.81 and 6.27.
    assert_eq!(tax(TaxLevel::Line, kind::TAX), (vec![19, 6], 25, 157));
    assert_eq!(tax(TaxLevel::Unit, kind::TAX), (vec![18, 6], 24, 156));
    assert_eq!(tax(TaxLevel::Order, kind::TAX), (vec![19, 6], 25, 157));
    // 15.807 and 5.269 of 132 that have it in them.
    assert_eq!(tax(TaxLevel::Line, kind::TAX_INCLUDED), (vec![16, 5], 21, 132));
}

#[test]
fn shipping_has_its_own_discount_and_tax() {
    let shipping = Some(Shipping { code: "standard".to_owned(), amount: 490, plugin_id: "flat".to_owned() });
    let cart = Cart { shipping, ..cart(vec![line("a", 1, 1_000)]) };
    let mut sums = sums(&cart);
    sums.apply(&[adjustment(kind::SHIPPING, &[], euros(-90))], &source("p")).unwrap();
    sums.apply(&[adjustment(kind::TAX, &["shipping"], Value::Rate(250_000))], &source("tax")).unwrap();
    let told = sums.so_far();
    assert!(told.contains(&Subtotal { line: None, kind: kind::SHIPPING.to_owned(), amount: 400 }));
    assert!(told.contains(&Subtotal {
        line: Some(SHIPPING.to_owned()),
        kind: kind::TAX.to_owned(),
        amount: 100
    }));
    sums.apply(&[adjustment(kind::SHIPPING, &[], euros(-9_000))], &source("p")).unwrap();
    let priced = sums.finish();
    assert_eq!((priced.totals.shipping, priced.totals.tax, priced.totals.grand), (0, 100, 1_100));
}

#[test]
fn answers_that_make_no_sense_are_refused_whole() {
    let cart = cart(vec![line("a", 1, 1_000), line("b", 2, 5)]);
    let dollars = Value::Amount(Money { amount: -1, currency: "USD".to_owned() });
    let wrong = [
        (adjustment(kind::DISCOUNT, &["x"], euros(-1)), OutputError::UnknownLine("x".to_owned())),
        (adjustment(kind::DISCOUNT, &["a", "a"], euros(-1)), OutputError::LineTwice("a".to_owned())),
        (adjustment("gift", &[], euros(-1)), OutputError::UnknownKind("gift".to_owned())),
        (
            adjustment(kind::DISCOUNT, &[], dollars),
            OutputError::Currency { found: "USD".to_owned(), wanted: "EUR".to_owned() },
        ),
        (adjustment(kind::DISCOUNT, &[], euros(1)), OutputError::Sign(kind::DISCOUNT.to_owned())),
        (adjustment(kind::TAX, &[], euros(-1)), OutputError::Sign(kind::TAX.to_owned())),
        (adjustment(kind::SURCHARGE, &[], euros(i64::MAX)), OutputError::TooLarge),
        (adjustment(kind::DISCOUNT, &[], euros(i64::MIN)), OutputError::TooLarge),
        (adjustment(kind::SURCHARGE, &[], euros(AMOUNT_MAX)), OutputError::TooLarge),
        (adjustment(kind::TAX, &[], Value::Rate(i64::MAX)), OutputError::Rate(i64::MAX)),
        (
            adjustment(kind::DISCOUNT, &["shipping"], euros(-1)),
            OutputError::Target { kind: kind::DISCOUNT.to_owned(), line: SHIPPING.to_owned() },
        ),
        (
            adjustment(kind::SHIPPING, &["a"], euros(-1)),
            OutputError::Target { kind: kind::SHIPPING.to_owned(), line: "a".to_owned() },
        ),
        (Adjustment { code: String::new(), ..adjustment(kind::TAX, &[], euros(1)) }, OutputError::Text),
    ];
    for (adjustment, error) in wrong {
        let mut sums = sums(&cart);
        let good = self::adjustment(kind::DISCOUNT, &[], euros(-5));
        assert_eq!(sums.apply(&[good, adjustment], &source("p")), Err(error));
        assert_eq!(sums.finish().totals.grand, 1_010, "nothing of a bad answer is taken");
    }
}

#[test]
fn carts_that_make_no_sense_are_refused() {
    let new = |lines| Sums::new(&cart(lines), Settings::default(), &source("shipping")).map(drop);
    assert_eq!(new(vec![line("a", 1, 1), line("a", 1, 1)]), Err(InputError::LineTwice("a".to_owned())));
    assert_eq!(new(vec![line("a", 0, 1)]), Err(InputError::Line("a".to_owned())));
    assert_eq!(new(vec![line("a", 1, -1)]), Err(InputError::Line("a".to_owned())));
    assert_eq!(new(vec![line("a", u32::MAX, i64::MAX)]), Err(InputError::TooLarge));
    assert_eq!(new(vec![line("a", 1, AMOUNT_MAX), line("b", 1, 1)]), Err(InputError::TooLarge));
}

fn any_cart() -> impl Strategy<Value = Cart> {
    let line = (1..50_u32, prop_oneof![Just(0), 0..10_000_i64, 0..AMOUNT_MAX / 10_000]);
    (prop::collection::vec(line, 0..12), prop::option::of(0..5_000_i64)).prop_map(|(lines, shipping)| Cart {
        shipping: shipping.map(|amount| Shipping { code: "s".to_owned(), amount, plugin_id: "s".to_owned() }),
        ..cart(
            lines
                .into_iter()
                .enumerate()
                .map(|(index, (quantity, price))| self::line(&format!("l{index:02}"), quantity, price))
                .collect(),
        )
    })
}

fn any_adjustment() -> impl Strategy<Value = Adjustment> {
    let kinds = prop::sample::select(vec![
        kind::DISCOUNT,
        kind::SURCHARGE,
        kind::SHIPPING,
        kind::TAX,
        kind::TAX_INCLUDED,
    ]);
    let value = prop_oneof![
        (0..50_000_i64).prop_map(|amount| (true, amount)),
        (0..1_500_000_i64).prop_map(|rate| (false, rate)),
    ];
    (kinds, value, prop::collection::btree_set(0..12_usize, 0..4)).prop_map(
        |(kind, (fixed, number), lines)| {
            let number = if kind == kind::DISCOUNT { -number } else { number };
            let value = if fixed { euros(number) } else { Value::Rate(number) };
            let lines: Vec<String> = match kind {
                kind::SHIPPING => Vec::new(),
                _ => lines.into_iter().map(|index| format!("l{index:02}")).collect(),
            };
            Adjustment { lines, ..adjustment(kind, &[], value) }
        },
    )
}

fn settings() -> impl Strategy<Value = Settings> {
    let rounding = prop::sample::select(vec![Rounding::HalfUp, Rounding::HalfEven, Rounding::HalfDown]);
    let tax_level = prop::sample::select(vec![TaxLevel::Line, TaxLevel::Unit, TaxLevel::Order]);
    (rounding, tax_level).prop_map(|(rounding, tax_level)| Settings { rounding, tax_level })
}

/// Applies answer after answer, those that are refused without effect.
fn price(cart: &Cart, settings: Settings, answers: &[Vec<Adjustment>]) -> Priced {
    let mut sums = Sums::new(cart, settings, &source("shipping")).unwrap();
    for answer in answers {
        let _refused = sums.apply(answer, &source("p"));
    }
    sums.finish()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn sums_are_exact_and_no_line_is_negative(
        cart in any_cart(),
        settings in settings(),
        answers in prop::collection::vec(prop::collection::vec(any_adjustment(), 0..4), 0..5),
    ) {
        let priced = price(&cart, settings, &answers);
        let totals = priced.totals;
        let sum = |kind: &str| -> i64 {
            let of_lines = priced.lines.iter().flat_map(|line| &line.adjustments);
            of_lines.chain(&priced.adjustments).filter(|it| it.kind == kind).map(|it| it.amount).sum()
        };
        prop_assert_eq!(totals.items, cart.lines.iter().map(Line::gross).sum::<i64>());
        prop_assert_eq!(totals.discount, sum(kind::DISCOUNT));
        prop_assert_eq!(totals.surcharge, sum(kind::SURCHARGE));
        prop_assert_eq!(totals.shipping, sum(kind::SHIPPING));
        prop_assert_eq!(totals.tax, sum(kind::TAX));
        prop_assert_eq!(totals.tax_included, sum(kind::TAX_INCLUDED));
        prop_assert_eq!(
            totals.grand,
            totals.items + totals.discount + totals.surcharge + totals.shipping + totals.tax
        );
        prop_assert!(totals.discount <= 0 && totals.surcharge >= 0 && totals.shipping >= 0 && totals.grand >= 0);
        for (line, given) in priced.lines.iter().zip(&cart.lines) {
            let moved: i64 = line
                .adjustments
                .iter()
                .filter(|it| matches!(it.kind.as_str(), kind::DISCOUNT | kind::SURCHARGE))
                .map(|it| it.amount)
                .sum();
            prop_assert_eq!(line.total, given.gross() + moved);
            prop_assert!(line.total >= 0);
        }
    }

    #[test]
    fn the_order_of_lines_does_not_matter(
        cart in any_cart(),
        settings in settings(),
        answers in prop::collection::vec(prop::collection::vec(any_adjustment(), 0..4), 0..5),
        turn in 0..12_usize,
    ) {
        let mut turned = cart.clone();
        if !turned.lines.is_empty() {
            let turn = turn % turned.lines.len();
            turned.lines.rotate_left(turn);
        }
        let sorted = |mut priced: Priced| {
            priced.lines.sort_by(|a, b| a.id.cmp(&b.id));
            priced
        };
        prop_assert_eq!(sorted(price(&cart, settings, &answers)), sorted(price(&turned, settings, &answers)));
    }
}
