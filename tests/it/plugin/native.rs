//! Rules answer the same in native code and as components, to the byte.

use platform_tests::{host::TestHostBuilder, random, sizes::SAME_PRICES};
use plugin_sdk::pricing::PricingRule;
use pricing_model::{Cart, Coupon, Line, Priced, Settings, Shipping, Source, Sums};
use serde_json::{Value, json};

const GRANTS: &str = r#"
[plugins.asker]
calls = ["pricing", "shipping", "payment"]
[plugins.pricing-promotions.hooks.pricing]
priority = 10
[[plugins.pricing-promotions.config.promotions]]
id = "tenth"
name = "Ten off"
action = { type = "percentage", basisPoints = 1000 }
[[plugins.pricing-promotions.config.promotions]]
id = "third"
name = "Three for two"
match = { skus = ["S1", "S2"] }
action = { type = "buyXGetY", buy = 2, get = 1 }
[[plugins.pricing-promotions.config.promotions]]
id = "many"
name = "By the dozen"
action = { type = "quantityBreaks", breaks = [{ minQuantity = 12, basisPoints = 700 }, { minQuantity = 24, basisPoints = 1500 }] }
[[plugins.pricing-promotions.config.promotions]]
id = "welcome"
name = "Welcome"
coupon = true
customerGroups = ["vip"]
action = { type = "fixed", amounts = [{ amount = 777, currency = "EUR" }] }
[plugins.pricing-tax.hooks.pricing]
priority = 90
[plugins.pricing-tax.config]
[[plugins.pricing-tax.config.rates]]
country = "DE"
name = "VAT 19 %"
ppm = 190000
[[plugins.pricing-tax.config.rates]]
country = "DE"
taxClass = "books"
name = "VAT 7 %"
ppm = 70000
"#;

#[tokio::test(flavor = "multi_thread")]
async fn components_price_as_native_code_does() {
    let host = TestHostBuilder::empty()
        .fixture("asker")
        .plugin("pricing-promotions")
        .plugin("pricing-tax")
        .grants(GRANTS)
        .start()
        .await;
    assert_eq!(host.refusals(), []);
    let config = |plugin: &str| {
        let parsed: toml::Table = toml::from_str(GRANTS).unwrap();
        serde_json::to_vec(&parsed["plugins"][plugin]["config"]).unwrap()
    };
    let (promotions, tax) = (config("pricing-promotions"), config("pricing-tax"));
    let mut seed = Seed(random::seed());
    for _ in 0..SAME_PRICES.get() {
        let cart = any_cart(&mut seed);
        let answer = host.anonymous().post("/asker/price", &json!(cart)).await.expect(200);
        let mut sums = Sums::new(&cart, Settings::default(), &Source::default().into()).unwrap();
        apply::<pricing_promotions::Promotions>(&mut sums, &cart, &promotions);
        apply::<pricing_tax::Tax>(&mut sums, &cart, &tax);
        assert_eq!(bare(&answer["priced"]), bare(&json!(sums.finish())), "{cart:?}");
    }
}

fn apply<R: PricingRule>(sums: &mut Sums, cart: &Cart, config: &[u8]) {
    let mut shown = Cart { so_far: sums.so_far(), ..cart.clone() };
    shown.lines.sort_by(|a, b| a.id.cmp(&b.id));
    let adjustments = R::adjust(&shown, config).unwrap();
    sums.apply(&adjustments, &Source::default().into()).unwrap();
}

/// Without who made it, which native code does not know.
fn bare(priced: &Value) -> Value {
    let mut priced = serde_json::from_value::<Priced>(priced.clone()).unwrap();
    let of_lines = priced.lines.iter_mut().flat_map(|line| &mut line.adjustments);
    of_lines.chain(&mut priced.adjustments).for_each(|it| it.source = Source::default().into());
    json!(priced)
}

/// Numbers that follow from a seed.
struct Seed(u64);

impl Seed {
    fn below(&mut self, end: u64) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}

fn any_cart(seed: &mut Seed) -> Cart {
    let lines = (0..seed.below(12))
        .map(|number| Line {
            id: format!("l{number}"),
            product_id: format!("p{number}"),
            variant_id: format!("v{number}"),
            sku: format!("S{}", seed.below(5)),
            quantity: u32::try_from(seed.below(30)).unwrap() + 1,
            unit_price: i64::try_from(seed.below(100_000)).unwrap(),
            tax_class: if seed.below(3) == 0 { "books".to_owned() } else { String::new() },
            ..Line::default()
        })
        .collect();
    let coupon = Coupon { code: "WELCOME".to_owned(), rule_id: "welcome".to_owned() };
    let shipping =
        Shipping { code: "standard".to_owned(), amount: 490, plugin_id: "shipping-flat".to_owned() };
    Cart {
        currency: "EUR".to_owned(),
        at_ms: 1_767_225_600_000,
        customer: Some("usr_1".to_owned()),
        groups: if seed.below(2) == 0 { vec!["vip".to_owned()] } else { Vec::new() },
        coupons: if seed.below(2) == 0 { vec![coupon] } else { Vec::new() },
        country: Some("DE".to_owned()),
        lines,
        shipping: (seed.below(2) == 0).then_some(shipping),
        ..Cart::default()
    }
}
