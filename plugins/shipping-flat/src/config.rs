//! What operators write. Doc comments here are the configuration's schema.

use plugin_sdk::pricing::AMOUNT_MAX;
use schemars::JsonSchema;
use serde::Deserialize;

/// The shipping methods of the shop.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Config {
    /// In the order in which customers are shown them.
    #[serde(default)]
    #[schemars(length(max = 100))]
    pub methods: Vec<Method>,
}

/// A way to send parcels.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Method {
    /// Kebab-case, unique: `standard`.
    #[schemars(length(min = 1, max = 60), regex(pattern = "^[a-z0-9]+(-[a-z0-9]+)*$"))]
    pub code: String,
    /// What customers read.
    #[schemars(length(min = 1, max = 200))]
    pub name: String,
    /// ISO 3166-1 alpha-2 codes: only to these countries, and only once the country is known.
    #[serde(default)]
    #[schemars(length(min = 1, max = 300), inner(regex(pattern = "^[A-Z]{2}$")))]
    pub countries: Option<Vec<String>>,
    /// Only for customers in one of these groups.
    #[serde(default)]
    #[schemars(length(min = 1, max = 1_000), inner(length(min = 1, max = 100)))]
    pub customer_groups: Option<Vec<String>>,
    /// The first one that fits gives the price. Without one the method is not offered.
    #[schemars(length(min = 1, max = 500))]
    pub tiers: Vec<Tier>,
    /// From this total on it costs nothing, where a tier fits. Only for parcels in its currency.
    #[serde(default)]
    pub free_from: Option<Price>,
}

/// A price, and the parcels that it is for. All limits that are given must hold.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tier {
    /// The heaviest parcel.
    #[serde(default)]
    #[schemars(range(max = 1_000_000_000))]
    pub max_weight_grams: Option<u64>,
    /// The smallest total of the goods, by their list prices.
    #[serde(default)]
    pub min_total: Option<Price>,
    /// The largest total of the goods, by their list prices.
    #[serde(default)]
    pub max_total: Option<Price>,
    /// The price of shipping, for parcels in its currency.
    pub price: Price,
}

/// Money, in the minor unit of its currency.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Minor units: 490 in EUR is 4.90 €.
    #[schemars(range(min = 0, max = AMOUNT_MAX))]
    pub amount: i64,
    /// ISO 4217 code in capitals.
    #[schemars(regex(pattern = "^[A-Z]{3}$"))]
    pub currency: String,
}
