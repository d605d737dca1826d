//! Promotions priced by the sums of the host.

mod config;
mod documentation;
mod properties;

use plugin_sdk::{
    Context, Value, json,
    mock::{MockHost, schema_faults},
    pricing::{Adjustment, Applied, Cart, Coupon, Line, Priced, PricingRule, Shipping, Value as Amount},
};

use crate::{Promotions, rules::ADJUSTMENTS_MAX};

/// 2026-06-01T00:00:00Z.
const NOW_MS: i64 = 1_780_272_000_000;

fn line(id: &str, quantity: u32, unit_price: i64) -> Line {
    Line {
        id: id.to_owned(),
        product_id: format!("prod_{id}"),
        sku: format!("SKU-{id}"),
        quantity,
        unit_price,
        ..Line::default()
    }
}

fn cart(lines: Vec<Line>) -> Cart {
    Cart { currency: "EUR".to_owned(), at_ms: NOW_MS, lines, ..Cart::default() }
}

fn with_shipping(cart: Cart, amount: i64) -> Cart {
    let shipping = Shipping { code: "standard".to_owned(), amount, plugin_id: "flat".to_owned() };
    Cart { shipping: Some(shipping), ..cart }
}

fn euros(amount: i64) -> Value {
    json!([{"amount": amount, "currency": "EUR"}])
}

fn percentage(basis_points: u32) -> Value {
    json!({"type": "percentage", "basisPoints": basis_points})
}

/// A promotion with more members than an id, a name and an action.
fn promotion(id: &str, action: Value, more: Value) -> Value {
    let mut promotion = json!({"id": id, "name": format!("The {id}"), "action": action});
    for (name, value) in more.as_object().unwrap() {
        promotion[name] = value.clone();
    }
    promotion
}

fn plain(id: &str, action: Value) -> Value {
    promotion(id, action, json!({}))
}

#[track_caller]
fn configured(promotions: &[Value]) -> Value {
    let config = json!({ "promotions": promotions });
    assert_eq!(schema_faults(&Promotions::config_schema().unwrap(), &config), Vec::<String>::new());
    assert_eq!(Promotions::validate_config(config.to_string().as_bytes()), Ok(()));
    config
}

#[track_caller]
fn price(cart: &Cart, promotions: &[Value]) -> Priced {
    let host = MockHost::empty();
    host.add_rule::<Promotions>(&configured(promotions));
    Context::new(&host, b"").price(cart).unwrap().priced
}

/// What each line comes to.
#[track_caller]
fn totals(cart: &Cart, promotions: &[Value]) -> Vec<i64> {
    price(cart, promotions).lines.iter().map(|line| line.total).collect()
}

/// Whether a promotion of a tenth with these members applies to a cart.
#[track_caller]
fn applies(cart: &Cart, more: Value) -> bool {
    price(cart, &[promotion("tenth", percentage(1_000), more)]).totals.discount != 0
}

fn answered(cart: &Cart, promotions: &[Value]) -> Vec<Adjustment> {
    let mut cart = cart.clone();
    cart.lines.sort_by(|a, b| a.id.cmp(&b.id));
    Promotions::adjust(&cart, configured(promotions).to_string().as_bytes()).unwrap()
}

fn codes(applied: &[Applied]) -> Vec<&str> {
    applied.iter().map(|applied| applied.code.as_str()).collect()
}

#[test]
fn without_promotions_nothing_is_off() {
    let cart = cart(vec![line("a", 1, 1_000)]);
    assert_eq!(totals(&cart, &[]), [1_000]);
    assert_eq!(Promotions::adjust(&cart, b""), Ok(Vec::new()));
}

#[test]
fn a_percentage_is_rounded_on_each_line() {
    let cart = cart(vec![line("a", 1, 5), line("b", 3, 333), line("c", 1, 0)]);
    let tenth = plain("tenth", percentage(1_000));
    assert_eq!(totals(&cart, std::slice::from_ref(&tenth)), [4, 899, 0]);
    let answer = answered(&cart, &[tenth]);
    assert_eq!((answer.len(), &answer[0].value), (1, &Amount::Rate(-100_000)), "the host rounds");
    assert_eq!(totals(&cart, &[plain("all", percentage(10_000))]), [0, 0, 0]);
}

#[test]
fn an_adjustment_says_what_it_is_for() {
    let cart = cart(vec![line("a", 1, 1_000)]);
    let priced = price(&cart, &[plain("summer", percentage(1_000))]);
    let applied = &priced.lines[0].adjustments[0];
    assert_eq!((applied.kind.as_str(), applied.code.as_str()), ("discount", "summer"));
    assert_eq!((applied.reason.as_str(), &applied.coupon), ("The summer", &None));
    let named = promotion("summer", percentage(1_000), json!({"code": "SUMMER26"}));
    assert_eq!(codes(&price(&cart, &[named]).lines[0].adjustments), ["SUMMER26"]);
}

#[test]
fn promotions_take_from_what_those_before_left() {
    let cart = cart(vec![line("a", 1, 10_000)]);
    let fifth = |priority: i32| promotion("fifth", percentage(2_000), json!({ "priority": priority }));
    let tenth = plain("tenth", percentage(1_000));
    let five = promotion("five", json!({"type": "fixed", "amounts": euros(500)}), json!({"priority": 5}));
    assert_eq!(totals(&cart, &[tenth.clone(), fifth(1)]), [7_200]);
    // 20 % of 10 000, and then 5.00; and the other way round.
    assert_eq!(totals(&cart, &[five.clone(), fifth(1)]), [7_500]);
    assert_eq!(totals(&cart, &[five, fifth(9)]), [7_600]);
    let half = |id: &str| plain(id, percentage(5_000));
    assert_eq!(totals(&cart, &[half("a"), half("b"), half("c")]), [1_250]);
    // Of equal priorities the ids decide, not the order of the configuration.
    let both = price(&cart, &[tenth, fifth(0)]);
    assert_eq!(codes(&both.lines[0].adjustments), ["fifth", "tenth"]);
}

#[test]
fn an_amount_is_split_exactly_and_stops_at_nothing() {
    let cart = cart(vec![line("a", 1, 100), line("b", 1, 100), line("c", 1, 100), line("d", 1, 0)]);
    let fixed = |amount| plain("fixed", json!({"type": "fixed", "amounts": euros(amount)}));
    assert_eq!(totals(&cart, &[fixed(100)]), [66, 67, 67, 0]);
    assert_eq!(totals(&cart, &[fixed(300)]), [0, 0, 0, 0]);
    assert_eq!(totals(&cart, &[fixed(9_007_199_254_740_991)]), [0, 0, 0, 0]);
    let dollars = json!({"type": "fixed", "amounts": [{"amount": 7, "currency": "USD"}, {"amount": 30, "currency": "EUR"}]});
    assert_eq!(totals(&cart, &[plain("fixed", dollars)]), [90, 90, 90, 0]);
    let other = json!({"type": "fixed", "amounts": [{"amount": 7, "currency": "USD"}]});
    assert_eq!(totals(&cart, &[plain("fixed", other)]), [100, 100, 100, 0]);
}

#[test]
fn an_amount_off_each_piece_follows_the_quantity() {
    let cart = cart(vec![line("a", 3, 100), line("b", 2, 20)]);
    let each = plain("each", json!({"type": "fixedPerUnit", "amounts": euros(30)}));
    assert_eq!(totals(&cart, &[each]), [210, 0]);
}

#[test]
fn the_cheapest_pieces_are_free() {
    let free = |more: Value| {
        let mut action = json!({"type": "buyXGetY", "buy": 2, "get": 1});
        for (name, value) in more.as_object().unwrap() {
            action[name] = value.clone();
        }
        plain("free", action)
    };
    let shop = cart(vec![line("a", 3, 500), line("b", 4, 300)]);
    // 7 pieces are two whole sets.
    assert_eq!(totals(&shop, &[free(json!({}))]), [1_500, 600]);
    assert_eq!(totals(&shop, &[free(json!({"limit": 1}))]), [1_500, 900]);
    assert_eq!(totals(&shop, &[free(json!({"basisPoints": 5_000}))]), [1_500, 900]);
    assert_eq!(totals(&shop, &[free(json!({"buy": 1, "get": 2}))]), [1_500, 0]);
    assert_eq!(totals(&shop, &[free(json!({"buy": 1, "get": 1}))]), [1_500, 300]);
    assert_eq!(totals(&shop, &[free(json!({"buy": 0x1_0000}))]), [1_500, 1_200]);
    // Not enough pieces, and exactly enough.
    assert_eq!(totals(&cart(vec![line("a", 2, 500)]), &[free(json!({}))]), [1_000]);
    assert_eq!(totals(&cart(vec![line("a", 3, 500)]), &[free(json!({}))]), [1_000]);
    // A gift is neither bought nor the piece that is free.
    assert_eq!(totals(&cart(vec![line("a", 2, 500), line("b", 1, 0)]), &[free(json!({}))]), [1_000, 0]);
    // Over two lines, and with pieces that are cheaper already.
    let equal = cart(vec![line("a", 1, 500), line("b", 1, 500), line("c", 4, 500)]);
    assert_eq!(totals(&equal, &[free(json!({}))]), [0, 0, 2_000]);
    let cheaper =
        promotion("cheaper", percentage(9_000), json!({"match": {"skus": ["SKU-c"]}, "priority": -1}));
    assert_eq!(totals(&equal, &[free(json!({})), cheaper]), [500, 500, 100]);
}

#[test]
fn the_best_break_that_is_reached_applies() {
    let action = |per: &str| {
        let breaks =
            json!([{"minQuantity": 3, "basisPoints": 500}, {"minQuantity": 10, "basisPoints": 1_000}]);
        json!({"type": "quantityBreaks", "breaks": breaks, "per": per})
    };
    let cart = |quantities: [u32; 3]| {
        let [a, b, c] = quantities;
        cart(vec![line("a", a, 100), line("b", b, 100), line("c", c, 100)])
    };
    let by_line = [plain("breaks", action("line"))];
    assert_eq!(totals(&cart([2, 3, 10]), &by_line), [200, 285, 900]);
    assert_eq!(totals(&cart([1, 9, 11]), &by_line), [100, 855, 990]);
    let together = [plain("breaks", action("match"))];
    assert_eq!(totals(&cart([1, 1, 1]), &together), [95, 95, 95]);
    assert_eq!(totals(&cart([4, 4, 2]), &together), [360, 360, 180]);
    assert_eq!(totals(&cart([4, 4, 1]), &together), [380, 380, 95]);
    let of_two = json!({"match": {"skus": ["SKU-a", "SKU-b"]}});
    assert_eq!(totals(&cart([1, 1, 9]), &[promotion("breaks", action("match"), of_two)]), [100, 100, 900]);
}

#[test]
fn shipping_is_free_or_cheaper() {
    let cart = with_shipping(cart(vec![line("a", 1, 1_000)]), 490);
    let shipping = |promotions: &[Value]| price(&cart, promotions).totals.shipping;
    let free = || plain("free", json!({"type": "freeShipping"}));
    let off = |amount| plain("off", json!({"type": "shippingOff", "amounts": euros(amount)}));
    assert_eq!([shipping(&[free()]), shipping(&[off(90)]), shipping(&[off(500)])], [0, 400, 0]);
    let both = price(&cart, &[off(90), free()]);
    assert_eq!((both.totals.shipping, both.totals.discount), (0, 0));
    let amounts: Vec<i64> = both.adjustments.iter().map(|applied| applied.amount).collect();
    assert_eq!(amounts, [490, -490], "what is free needs nothing more off");
    let unknown = Cart { shipping: None, ..cart.clone() };
    assert_eq!(answered(&unknown, &[free(), off(90)]), []);
    // Its conditions look at the lines.
    let other = promotion("free", json!({"type": "freeShipping"}), json!({"match": {"skus": ["X"]}}));
    assert_eq!(shipping(&[other]), 490);
}

#[test]
fn a_line_matches_when_every_list_has_it() {
    let shirt = Line {
        category_ids: vec!["cat_clothes".to_owned(), "cat_shirts".to_owned()],
        tax_class: "reduced".to_owned(),
        ..line("a", 1, 1_000)
    };
    let cart = cart(vec![shirt, line("b", 1, 1_000)]);
    for (wanted, expected) in [
        (json!({}), [900, 900]),
        (json!({"categoryIds": ["cat_shoes", "cat_shirts"]}), [900, 1_000]),
        (json!({"productIds": ["prod_b", "prod_c"]}), [1_000, 900]),
        (json!({"skus": ["SKU-a", "SKU-b"]}), [900, 900]),
        (json!({"taxClasses": ["reduced"]}), [900, 1_000]),
        (json!({"taxClasses": [""]}), [1_000, 900]),
        (json!({"taxClasses": ["reduced"], "skus": ["SKU-a"]}), [900, 1_000]),
        (json!({"categoryIds": ["cat_shirts"], "skus": ["SKU-b"]}), [1_000, 1_000]),
    ] {
        // Long lists are looked up in another way.
        let mut long = wanted.clone();
        for list in long.as_object_mut().unwrap().values_mut() {
            list.as_array_mut().unwrap().extend((0..100).map(|number| json!(format!("other-{number}"))));
        }
        for wanted in [wanted, long] {
            let promotion = promotion("tenth", percentage(1_000), json!({ "match": wanted }));
            assert_eq!(totals(&cart, &[promotion]), expected, "{wanted}");
        }
    }
}

#[test]
fn a_promotion_has_a_first_moment_and_ends_before_its_last() {
    let at = |at_ms| Cart { at_ms, ..cart(vec![line("a", 1, 1_000)]) };
    let starts = json!({"startsAt": "2026-06-01T02:00:00+02:00"});
    assert!(applies(&at(NOW_MS), starts.clone()));
    assert!(!applies(&at(NOW_MS - 1), starts));
    let ends = json!({"endsAt": "2026-06-01T00:00:00Z"});
    assert!(!applies(&at(NOW_MS), ends.clone()));
    assert!(applies(&at(NOW_MS - 1), ends));
    assert!(applies(&at(i64::MIN), json!({})) && applies(&at(i64::MAX), json!({})));
}

#[test]
fn a_promotion_may_be_for_some_customers_countries_and_currencies() {
    let guest = cart(vec![line("a", 1, 1_000)]);
    let wholesale = Cart { groups: vec!["press".to_owned(), "wholesale".to_owned()], ..guest.clone() };
    let groups = json!({"customerGroups": ["vip", "wholesale"]});
    assert!(applies(&wholesale, groups.clone()));
    assert!(!applies(&guest, groups.clone()));
    assert!(!applies(&Cart { groups: vec!["press".to_owned()], ..guest.clone() }, groups));
    let countries = json!({"countries": ["DE", "AT"]});
    assert!(applies(&Cart { country: Some("AT".to_owned()), ..guest.clone() }, countries.clone()));
    assert!(!applies(&Cart { country: Some("FR".to_owned()), ..guest.clone() }, countries.clone()));
    assert!(!applies(&guest, countries));
    assert!(applies(&guest, json!({"currency": "EUR"})));
    assert!(!applies(&guest, json!({"currency": "USD"})));
}

#[test]
fn enough_is_of_the_matching_lines_and_before_promotions() {
    let shop = cart(vec![line("a", 2, 1_000), line("b", 1, 500)]);
    let least =
        |amount: i64, currency: &str| json!({"minSubtotal": {"amount": amount, "currency": currency}});
    assert!(applies(&shop, least(2_500, "EUR")));
    assert!(!applies(&shop, least(2_501, "EUR")));
    assert!(!applies(&shop, least(1, "USD")));
    let of_a = |member: &str, value: Value| json!({"match": {"skus": ["SKU-a"]}, member: value});
    assert!(applies(&shop, of_a("minSubtotal", json!({"amount": 2_000, "currency": "EUR"}))));
    assert!(!applies(&shop, of_a("minSubtotal", json!({"amount": 2_001, "currency": "EUR"}))));
    assert!(applies(&shop, of_a("minQuantity", json!(2))));
    assert!(!applies(&shop, of_a("minQuantity", json!(3))));
    // One promotion does not close another, but a rule before does.
    let half = promotion("half", percentage(5_000), json!({"priority": -1}));
    let tenth = promotion("tenth", percentage(1_000), least(2_500, "EUR"));
    assert_eq!(price(&shop, &[half.clone(), tenth.clone()]).totals.grand, 1_125);
    let host = MockHost::empty();
    host.add_rule::<Promotions>(&configured(&[half]));
    host.add_rule::<Promotions>(&configured(&[tenth]));
    assert_eq!(Context::new(&host, b"").price(&shop).unwrap().priced.totals.grand, 1_250);
}

#[test]
fn a_coupon_opens_the_promotion_that_it_names() {
    let guest = cart(vec![line("a", 1, 1_000)]);
    let coupon = |code: &str, rule: &str| Coupon { code: code.to_owned(), rule_id: rule.to_owned() };
    let with = |coupons: Vec<Coupon>| Cart { coupons, ..guest.clone() };
    let named = |cart: &Cart| {
        let priced = price(cart, &[promotion("hello", percentage(1_000), json!({"coupon": true}))]);
        priced.lines[0].adjustments.first().map(|applied| applied.coupon.clone())
    };
    assert_eq!(named(&guest), None);
    assert_eq!(named(&with(vec![coupon("WELCOME", "other")])), None);
    assert_eq!(named(&with(vec![coupon("WELCOME", "hello")])), Some(Some("WELCOME".to_owned())));
    // Two coupons open it once.
    let two = vec![coupon("WELCOME", "hello"), coupon("AGAIN", "hello")];
    assert_eq!(named(&with(two)), Some(Some("AGAIN".to_owned())));
    // A promotion for everybody is not due to a coupon.
    let for_all = price(&with(vec![coupon("X", "sale")]), &[plain("sale", percentage(1_000))]);
    assert_eq!(for_all.lines[0].adjustments[0].coupon, None);
}

#[test]
fn an_exclusive_promotion_is_alone_where_it_is_the_best() {
    let cart = with_shipping(cart(vec![line("a", 1, 10_000)]), 490);
    let exclusive = |id: &str, basis_points, priority: i32| {
        promotion(id, percentage(basis_points), json!({"stacking": "exclusive", "priority": priority}))
    };
    let fifth = plain("fifth", percentage(2_000));
    let tenth = plain("tenth", percentage(1_000));
    let won = |promotions: &[Value]| {
        let priced = price(&cart, promotions);
        priced.lines[0].adjustments.iter().map(|applied| applied.code.clone()).collect::<Vec<_>>()
    };
    let both = [fifth.clone(), tenth.clone()];
    let and = |more: &[Value]| won(&[&both[..], more].concat());
    assert_eq!(and(&[exclusive("big", 3_000, 0)]), ["big"]);
    assert_eq!(and(&[exclusive("small", 2_700, 0)]), ["fifth", "tenth"]);
    assert_eq!(and(&[exclusive("equal", 2_800, 0)]), ["fifth", "tenth"], "of equal ones the stack");
    assert_eq!(and(&[exclusive("big", 3_000, 0), exclusive("bigger", 3_001, 9)]), ["bigger"]);
    assert_eq!(and(&[exclusive("b", 3_000, 1), exclusive("a", 3_000, 1), exclusive("c", 3_000, 0)]), ["c"]);
    assert_eq!(won(&[exclusive("big", 3_000, 0)]), ["big"]);
    // Shipping counts for what is best.
    let free = || plain("free", json!({"type": "freeShipping"}));
    assert_eq!(won(&[tenth.clone(), free(), exclusive("alone", 1_490, 0)]), ["tenth"]);
    let priced = price(&cart, &[tenth, free(), exclusive("alone", 1_491, 0)]);
    assert_eq!((priced.totals.discount, priced.totals.shipping), (-1_491, 490));
}

#[test]
fn what_overlaps_is_rounded_as_configured() {
    let cart = cart(vec![line("a", 1, 10)]);
    let with = |rounding: &str| {
        let promotions = [
            promotion("first", json!({"type": "fixed", "amounts": euros(5)}), json!({"priority": -1})),
            plain("half", percentage(5_000)),
        ];
        let host = MockHost::empty();
        host.add_rule::<Promotions>(&json!({"promotions": promotions, "rounding": rounding}));
        Context::new(&host, b"").price(&cart).unwrap().priced.totals.grand
    };
    assert_eq!(["half_up", "half_even", "half_down"].map(with), [2, 3, 3]);
}

#[test]
fn an_answer_is_never_larger_than_the_host_accepts() {
    let lines = (0..500).map(|index| line(&format!("{index:03}"), 3, 9_999 + index)).collect();
    let promotions: Vec<Value> = (0..50).map(|id| plain(&format!("p{id:02}"), percentage(100))).collect();
    // A rate for all lines, and then amounts for each.
    let applied = 1 + (ADJUSTMENTS_MAX - 1) / 500;
    let cart = cart(lines);
    assert_eq!(answered(&cart, &promotions).len(), 1 + 500 * (applied - 1));
    let priced = price(&cart, &promotions);
    assert!(priced.lines.iter().all(|line| line.adjustments.len() == applied));
}

#[test]
fn a_configuration_that_cannot_be_read_is_a_failure() {
    let cart = cart(vec![line("a", 1, 1_000)]);
    let problem = Promotions::adjust(&cart, br#"{"promotions": [{"id": "a"}]}"#).unwrap_err();
    assert_eq!((problem.status, problem.code.as_str()), (502, "plugin_failed"));
}
