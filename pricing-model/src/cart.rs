//! What a rule sees and what it answers.

use serde::{Deserialize, Serialize};

/// The kinds of adjustments.
pub mod kind {
    pub const DISCOUNT: &str = "discount";
    pub const SURCHARGE: &str = "surcharge";
    pub const SHIPPING: &str = "shipping";
    /// Comes on top.
    pub const TAX: &str = "tax";
    /// Is in the prices already, and only shown.
    pub const TAX_INCLUDED: &str = "tax_included";
}

/// Names the shipping price where a line's id could stand.
pub const SHIPPING: &str = "shipping";

/// A cart as rules see it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cart {
    /// ISO 4217 code.
    pub currency: String,
    /// Unix milliseconds; the only clock a rule has.
    pub at_ms: i64,
    pub customer: Option<String>,
    pub groups: Vec<String>,
    pub coupons: Vec<Coupon>,
    /// ISO 3166-1 alpha-2 code of where it is sent, once that is known.
    pub country: Option<String>,
    pub region: Option<String>,
    pub postal_code: Option<String>,
    pub lines: Vec<Line>,
    pub shipping: Option<Shipping>,
    /// What the rules before came to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub so_far: Vec<Subtotal>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    /// Unique in the cart.
    pub id: String,
    pub product_id: String,
    pub variant_id: String,
    pub sku: String,
    /// From 1.
    pub quantity: u32,
    /// List price of one unit, minor units.
    pub unit_price: i64,
    /// Empty where the product has none.
    pub tax_class: String,
    pub weight_grams: u64,
    pub category_ids: Vec<String>,
}

impl Line {
    /// What the line comes to before rules; saturated where that is no amount.
    pub fn gross(&self) -> i64 {
        self.unit_price.saturating_mul(i64::from(self.quantity))
    }
}

/// What the chosen shipping option costs, before rules.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Shipping {
    pub code: String,
    pub amount: i64,
    /// Whose option it is.
    pub plugin_id: String,
}

/// A coupon that was entered and applies.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Coupon {
    pub code: String,
    /// Which of a rule plugin's promotions it opens.
    pub rule_id: String,
}

/// The sum so far of one kind, for a line, for shipping, or for what belongs to neither.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subtotal {
    pub line: Option<String>,
    pub kind: String,
    pub amount: i64,
}

impl Cart {
    /// What a line comes to with the discounts and surcharges of the rules before.
    pub fn line_so_far(&self, line: &Line) -> i64 {
        self.of(Some(&line.id), &[kind::DISCOUNT, kind::SURCHARGE]).saturating_add(line.gross())
    }

    /// What shipping comes to after the rules before.
    pub fn shipping_so_far(&self) -> i64 {
        self.of(None, &[kind::SHIPPING])
    }

    fn of(&self, line: Option<&str>, kinds: &[&str]) -> i64 {
        self.so_far
            .iter()
            .filter(|sum| sum.line.as_deref() == line && kinds.contains(&sum.kind.as_str()))
            .fold(0, |total, sum| total.saturating_add(sum.amount))
    }
}

/// An amount in a currency's minor unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Money {
    pub amount: i64,
    pub currency: String,
}

/// How much an adjustment is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Value {
    /// Split over several lines by what they come to.
    Amount(Money),
    /// Millionths of what each line comes to: -100 000 is 10 % off.
    Rate(i64),
}

/// What a rule answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adjustment {
    /// The lines it is for; none means all. [`SHIPPING`] is the shipping price, for taxes.
    pub lines: Vec<String>,
    /// One of [`kind`].
    pub kind: String,
    /// Names it for programs.
    pub code: String,
    /// Says it to the customer.
    pub reason: String,
    pub value: Value,
    /// The code of the coupon that it is due to.
    pub coupon: Option<String>,
}
