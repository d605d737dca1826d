//! Taxes: a pricing rule with rates by country, region and tax class.
//!
//! Every line has at most one rate. Those of the country's region go before those of the country, and among them the
//! line's tax class before the rate for every class: a region with a rate of its own is a tax territory of its own. A
//! country without a rate has no tax. Lines of one rate share one adjustment, so that the shop's `tax_level` can round
//! them together; shipping has its own.
//!
//! Rates are answered as rates, of what lines and shipping come to after the rules before; the host computes and rounds.
//! So this rule belongs behind those that change prices.
//!
//! With prices that include taxes the rule only shows what is in them. A customer who pays no tax, or for whose country
//! there is no rate, pays the same price and is shown none: whoever is to pay less has prices or promotions of their own.
//!
//! Deliberately absent: several taxes on one line, and rates by postal code.

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
pub struct Tax;

impl PricingRule for Tax {
    const ID: &'static str = "pricing-tax";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const TITLE: &'static str = "Taxes";

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

export_pricing_rule!(Tax);
