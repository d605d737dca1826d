//! Shipping rates.

use crate::{Context, FieldError, Money, Problem, pricing::Source};

/// What is to be sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parcel {
    /// ISO 4217 code.
    pub currency: String,
    /// ISO 3166-1 alpha-2, once the address is known.
    pub country: Option<String>,
    pub region: Option<String>,
    pub postal_code: Option<String>,
    pub weight_grams: u64,
    /// Pieces.
    pub quantity: u64,
    /// What the goods come to by their list prices, minor units.
    pub value: i64,
    /// The groups that the customer is in.
    pub groups: Vec<String>,
}

/// A way in which a parcel can be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rate {
    /// Unique among the plugin's rates.
    pub code: String,
    pub name: String,
    /// In the parcel's currency, not negative.
    pub price: Money,
}

/// A rate, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShippingOption {
    pub rate: Rate,
    /// `config_digest` stays empty.
    pub source: Source,
}

/// The ways in which a parcel can be sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ShippingOptions {
    pub options: Vec<ShippingOption>,
    /// Which plugins could not answer, a sentence each.
    pub problems: Vec<String>,
}

/// A plugin that offers shipping methods.
pub trait ShippingRates: 'static {
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

    /// The ways in which the parcel can be sent; none where it cannot.
    ///
    /// # Errors
    /// A plugin that cannot answer.
    fn options(ctx: &Context<'_>, parcel: &Parcel) -> Result<Vec<Rate>, Problem>;
}
