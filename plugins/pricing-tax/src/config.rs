//! What operators write. Doc comments here are the configuration's schema.

use schemars::JsonSchema;
use serde::Deserialize;

/// All of an amount, in millionths.
pub const WHOLE: i64 = 1_000_000;

/// The taxes of the shop.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Config {
    /// Whether prices have the tax in them. It is shown then and not added.
    pub prices_include: bool,
    /// ISO 3166-1 alpha-2 code: where a cart is taken to go while nobody has said. Without it such a cart has no tax.
    #[schemars(regex(pattern = "^[A-Z]{2}$"))]
    pub default_country: Option<String>,
    /// In any order. The most specific one applies: of the region before of the country, and of the tax class before that
    /// for every class.
    #[schemars(length(max = 5_000))]
    pub rates: Vec<Rate>,
    /// Customers in one of these groups pay no tax.
    #[schemars(length(max = 1_000), inner(length(min = 1, max = 100)))]
    pub exempt_groups: Vec<String>,
    /// The tax class of shipping; the rate for every class unless given.
    #[schemars(length(max = 64))]
    pub shipping_tax_class: String,
    /// Whether shipping is taxed.
    pub tax_shipping: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            prices_include: false,
            default_country: None,
            rates: Vec::new(),
            exempt_groups: Vec::new(),
            shipping_tax_class: String::new(),
            tax_shipping: true,
        }
    }
}

/// What a tax comes to, and where.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rate {
    /// ISO 3166-1 alpha-2 code in capitals.
    #[schemars(regex(pattern = "^[A-Z]{2}$"))]
    pub country: String,
    /// Only for this state, province or county, as addresses have it; capitals and small letters are the same.
    #[serde(default)]
    #[schemars(length(min = 1, max = 100))]
    pub region: Option<String>,
    /// Only for lines with this tax class. Without it, or empty: for every class that has no rate of its own.
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub tax_class: String,
    /// What customers read as the reason: `VAT 19 %`.
    #[schemars(length(min = 1, max = 200))]
    pub name: String,
    /// Names the adjustment for programs. Unless given it is made of country and class: `tax-de`, `tax-de-reduced`.
    #[serde(default)]
    #[schemars(length(min = 1, max = 100))]
    pub code: Option<String>,
    /// Millionths: 190000 is 19 %. 0 is no tax, also where a rate that is less specific has some.
    #[schemars(range(min = 0, max = WHOLE))]
    pub ppm: i64,
}

impl Rate {
    /// The name for programs.
    pub(crate) fn code(&self) -> String {
        match (&self.code, self.tax_class.as_str()) {
            (Some(code), _) => code.clone(),
            (None, "") => format!("tax-{}", self.country.to_lowercase()),
            (None, class) => format!("tax-{}-{class}", self.country.to_lowercase()),
        }
    }
}
