//! What operators write. Doc comments here are the configuration's schema.

use plugin_sdk::{
    pricing::{AMOUNT_MAX, Rounding},
    time::unix_ms,
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

/// All of a price, in basis points.
pub const WHOLE: u32 = 10_000;

/// The promotions of the shop.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Config {
    #[serde(default)]
    #[schemars(length(max = 500))]
    pub promotions: Vec<Promotion>,
    /// What becomes of halves where a percentage is of a line that another promotion has changed. Should be as the shop
    /// rounds.
    #[serde(default)]
    #[schemars(schema_with = "rounding")]
    pub rounding: Rounding,
}

/// Something off, under conditions. All that are given must hold.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Promotion {
    /// Kebab-case, unique. Coupons name it as their `ruleId`.
    #[schemars(length(min = 1, max = 64), regex(pattern = "^[a-z0-9]+(-[a-z0-9]+)*$"))]
    pub id: String,
    /// What customers read as the reason.
    #[schemars(length(min = 1, max = 200))]
    pub name: String,
    /// Names the adjustment for programs; the id unless given.
    #[serde(default)]
    #[schemars(length(min = 1, max = 100))]
    pub code: Option<String>,
    /// Only for carts with a coupon whose `ruleId` is this promotion's id.
    #[serde(default)]
    pub coupon: bool,
    /// RFC 3339 time of the first moment.
    #[serde(default)]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub starts_at: Option<Moment>,
    /// RFC 3339 time of the first moment after it.
    #[serde(default)]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub ends_at: Option<Moment>,
    /// ISO 4217 code: only for carts in this currency.
    #[serde(default)]
    #[schemars(regex(pattern = "^[A-Z]{3}$"))]
    pub currency: Option<String>,
    /// Only for customers in one of these groups.
    #[serde(default)]
    #[schemars(length(min = 1, max = 1_000), inner(length(min = 1, max = 100)))]
    pub customer_groups: Option<Vec<String>>,
    /// ISO 3166-1 alpha-2 codes: only for carts that are sent to one of these countries.
    #[serde(default)]
    #[schemars(length(min = 1, max = 300), inner(regex(pattern = "^[A-Z]{2}$")))]
    pub countries: Option<Vec<String>>,
    /// What the matching lines come to at least, before promotions. Only for carts in its currency.
    #[serde(default)]
    pub min_subtotal: Option<Amount>,
    /// How many pieces the matching lines have at least.
    #[serde(default)]
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub min_quantity: Option<u64>,
    /// Which lines it is for; all unless given.
    #[serde(default, rename = "match")]
    pub lines: Option<Match>,
    /// What it takes off.
    pub action: Action,
    #[serde(default)]
    pub stacking: Stacking,
    /// Promotions with a lower number are applied before others; of equal numbers the ids decide.
    #[serde(default)]
    #[schemars(range(min = -1_000_000, max = 1_000_000))]
    pub priority: i32,
}

/// A line matches when every list that is given has it.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Match {
    /// Of products in one of these categories.
    #[serde(default)]
    #[schemars(length(min = 1, max = 10_000), inner(length(min = 1, max = 64)))]
    pub category_ids: Option<Vec<String>>,
    #[serde(default)]
    #[schemars(length(min = 1, max = 10_000), inner(length(min = 1, max = 64)))]
    pub product_ids: Option<Vec<String>>,
    #[serde(default)]
    #[schemars(length(min = 1, max = 10_000), inner(length(min = 1, max = 100)))]
    pub skus: Option<Vec<String>>,
    /// An empty text is of products without a tax class.
    #[serde(default)]
    #[schemars(length(min = 1, max = 1_000), inner(length(max = 64)))]
    pub tax_classes: Option<Vec<String>>,
}

/// What a promotion takes off.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Action {
    /// A part of each matching line.
    Percentage {
        /// Hundredths of a percent: 1000 is 10 %.
        #[schemars(range(min = 1, max = WHOLE))]
        basis_points: u32,
    },
    /// An amount off the matching lines together.
    Fixed {
        /// One for each currency; in others the promotion does not apply.
        #[schemars(length(min = 1, max = 200))]
        amounts: Vec<Amount>,
    },
    /// An amount off each piece of the matching lines.
    FixedPerUnit {
        /// One for each currency; in others the promotion does not apply.
        #[schemars(length(min = 1, max = 200))]
        amounts: Vec<Amount>,
    },
    /// Of every `buy` + `get` pieces of the matching lines `get` are cheaper. The cheapest pieces of all are those. Pieces
    /// that cost nothing do not count.
    BuyXGetY {
        #[schemars(range(min = 1, max = 1_000_000))]
        buy: u32,
        #[schemars(range(min = 1, max = 1_000_000))]
        get: u32,
        /// What is off their price, in hundredths of a percent: 10000 makes them free.
        #[serde(default = "whole")]
        #[schemars(range(min = 1, max = WHOLE))]
        basis_points: u32,
        /// How often at most in one cart.
        #[serde(default)]
        #[schemars(range(min = 1, max = 1_000_000))]
        limit: Option<u32>,
    },
    /// The more pieces, the larger the part that is off. The best break that is reached applies to all of them.
    QuantityBreaks {
        /// Ascending.
        #[schemars(length(min = 1, max = 50))]
        breaks: Vec<Break>,
        #[serde(default)]
        per: Per,
    },
    /// All of the shipping price. The conditions look at the matching lines.
    FreeShipping {},
    /// An amount off the shipping price. The conditions look at the matching lines.
    ShippingOff {
        /// One for each currency; in others the promotion does not apply.
        #[schemars(length(min = 1, max = 200))]
        amounts: Vec<Amount>,
    },
}

impl Action {
    /// The amounts by currency, of actions that have some.
    pub(crate) fn amounts(&self) -> Option<&[Amount]> {
        match self {
            Self::Fixed { amounts } | Self::FixedPerUnit { amounts } | Self::ShippingOff { amounts } => {
                Some(amounts)
            }
            _ => None,
        }
    }
}

/// More than nothing, in the minor unit of its currency.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Amount {
    /// Minor units: 2499 in USD is $24.99.
    #[schemars(range(min = 1, max = AMOUNT_MAX))]
    pub amount: i64,
    /// ISO 4217 code in capitals.
    #[schemars(regex(pattern = "^[A-Z]{3}$"))]
    pub currency: String,
}

/// From how many pieces on how much is off.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Break {
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub min_quantity: u64,
    /// Hundredths of a percent: 500 is 5 %.
    #[schemars(range(min = 1, max = WHOLE))]
    pub basis_points: u32,
}

/// Whose pieces are counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Per {
    /// Those of each line by itself.
    #[default]
    Line,
    /// Those of all matching lines together.
    Match,
}

/// Whether it goes with others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Stacking {
    /// With all others that stack.
    #[default]
    Stack,
    /// Alone, where that is better for the customer than all that stack.
    Exclusive,
}

/// A moment in Unix milliseconds, written as RFC 3339.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Moment(pub i64);

impl TryFrom<String> for Moment {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        unix_ms(&text).map(Self).ok_or_else(|| {
            let shown: String = text.chars().take(40).collect();
            format!("`{shown}` is no RFC 3339 time")
        })
    }
}

fn whole() -> u32 {
    WHOLE
}

fn rounding(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "enum": ["half_up", "half_even", "half_down"]})
}
