//! `[pricing]`: how the shop rounds.

use pricing_model::{Rounding, Settings, TaxLevel};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct PricingConfig {
    /// What becomes of halves of a minor unit: `half_up`, `half_even` or `half_down`.
    pub rounding: Rounding,
    /// Where taxes are rounded: `line`, `unit` or `order`.
    pub tax_level: TaxLevel,
}

impl PricingConfig {
    pub fn settings(&self) -> Settings {
        Settings { rounding: self.rounding, tax_level: self.tax_level }
    }
}
