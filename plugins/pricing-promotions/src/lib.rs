//! Promotions: a pricing rule whose promotions are configuration.
//!
//! A promotion says when it applies, to which lines, and what it takes off. What several of them come to together:
//!
//! - **One after the other.** They are applied by `priority`, lowest first, then by id, each to what those before left, as
//!   if each were a rule of its own. 20 % and 10 % take 28 % off, and nothing is ever taken off twice.
//! - **Conditions look at the cart before this rule.** `minSubtotal`, `minQuantity` and the quantities of breaks are of
//!   the lines as the rules before left them, so that one promotion never closes another.
//! - **The customer gets the best.** All that stack are one offer, and each that is `exclusive` is another. The one that
//!   takes most off goods and shipping wins, without regard to taxes. Of equal ones the stack wins, and then the first
//!   in the order of application.
//! - **Percentages are rounded per line.** On a line that no promotion before has changed the host does it, as the shop
//!   rounds. Beyond that the rule does, as the configuration's `rounding` says, which should be the same.
//! - **An amount off several lines** is split over them by what they come to, exactly, by the arithmetic of the host.
//!
//! Everything is integer arithmetic on the lines in the order of their ids, so neither the order of lines nor that of
//! promotions in the configuration matters. Nothing is answered that the host would have to cut: no line and no shipping
//! price goes below zero. An answer has 15 000 adjustments at most, 30 promotions on each of 500 lines; promotions beyond
//! that are left out, the last in the order of application first.
//!
//! Deliberately absent: how often a coupon may be used. The shop's coupons know that, and the cart holds those that apply.

mod check;
pub mod config;
mod rules;

#[cfg(test)]
mod tests;

use config::Config;
use plugin_sdk::{
    FieldError, Problem, Value,
    config::{read, schema},
    export_pricing_rule,
    pricing::{Adjustment, Cart, PricingRule},
};

/// The plugin.
pub struct Promotions;

impl PricingRule for Promotions {
    const ID: &'static str = "pricing-promotions";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const TITLE: &'static str = "Promotions";

    fn config_schema() -> Option<Value> {
        Some(schema::<Config>())
    }

    fn validate_config(config: &[u8]) -> Result<(), Vec<FieldError>> {
        let config: Config = read(config).map_err(|problem| problem.errors)?;
        let errors = check::faults(&config);
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    fn adjust(cart: &Cart, config: &[u8]) -> Result<Vec<Adjustment>, Problem> {
        Ok(rules::adjustments(cart, &read(config)?))
    }
}

export_pricing_rule!(Promotions);
