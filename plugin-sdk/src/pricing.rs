//! Pricing rules, and what a cart comes to with them.
//!
//! A rule is a type that implements [`PricingRule`] and one line, [`export_pricing_rule!`](crate::export_pricing_rule).
//! It is a pure function: it reaches nothing but the cart and its configuration, its clock is the cart's time, and the
//! host prices old carts again with it and expects the same bytes.

pub use pricing_model::{
    AMOUNT_MAX, Adjustment, Applied, Cart, Coupon, Line, Money, Priced, PricedLine, Rounding, SHIPPING,
    Settings, Shipping, Source, Subtotal, Sums, TaxLevel, Totals, Value, kind, split,
};
use serde::{Deserialize, Serialize};

use crate::{FieldError, Problem};

/// A pricing rule.
pub trait PricingRule: 'static {
    /// Kebab-case, unique on the host.
    const ID: &'static str;
    /// Semantic version, usually `env!("CARGO_PKG_VERSION")`.
    const VERSION: &'static str;
    /// For people.
    const TITLE: &'static str;

    /// JSON Schema of its configuration; `None` when there is nothing to configure.
    fn config_schema() -> Option<serde_json::Value> {
        None
    }

    /// Accepts or refuses a configuration that already fits the schema.
    fn validate_config(_config: &[u8]) -> Result<(), Vec<FieldError>> {
        Ok(())
    }

    /// Answers the adjustments of the rule. The configuration is a JSON object that was accepted before.
    ///
    /// # Errors
    /// A rule that cannot answer; what becomes of the cart then is the operator's `on_failure`.
    fn adjust(cart: &Cart, config: &[u8]) -> Result<Vec<Adjustment>, Problem>;
}

/// A rule that was asked, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Asked {
    #[serde(flatten)]
    pub source: Source,
    /// `applied`; `skipped`: it failed and its policy lets the cart go on; `last_good`: its former version answered.
    pub outcome: String,
}

/// A cart that all rules were asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PricedCart {
    pub priced: Priced,
    pub plugins: Vec<Asked>,
    /// What was skipped and why, a sentence each.
    pub problems: Vec<String>,
    /// What is needed to price the cart again: to be kept with the price.
    pub replay: serde_json::Value,
}
