//! Flat shipping: methods whose prices follow weight and total.
//!
//! A method is offered where its countries and customer groups fit and one of its tiers does. Tiers are looked at in their
//! order and the first that fits gives the price, so a list goes from light to heavy. Only tiers in the parcel's currency
//! count; a method without one is not offered. Methods are answered in their order.
//!
//! Totals are of the goods by their list prices, as the parcel has them: what promotions take off does not make shipping
//! dearer. Taxes and free shipping by promotion are the pricing rules' matter.
//!
//! Deliberately absent: asking carriers, and rates by postal code or measurements.

mod check;
pub mod config;
mod rules;

#[cfg(test)]
mod tests;

use config::Config;
use plugin_sdk::{
    Context, FieldError, Problem, Value,
    config::{read, schema},
    export_shipping_rates,
    shipping::{Parcel, Rate, ShippingRates},
};

/// The plugin.
pub struct FlatShipping;

impl ShippingRates for FlatShipping {
    const ID: &'static str = "shipping-flat";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const TITLE: &'static str = "Flat shipping";

    fn config_schema() -> Option<Value> {
        Some(schema::<Config>())
    }

    fn validate_config(config: &[u8]) -> Result<(), Vec<FieldError>> {
        let config: Config = read(config).map_err(|problem| problem.errors)?;
        let errors = check::faults(&config);
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    fn options(ctx: &Context<'_>, parcel: &Parcel) -> Result<Vec<Rate>, Problem> {
        Ok(rules::rates(parcel, &ctx.config::<Config>()))
    }
}

export_shipping_rates!(FlatShipping);
