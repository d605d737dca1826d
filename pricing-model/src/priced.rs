//! A cart with its prices.

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Which component an adjustment is of.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Source {
    pub plugin_id: String,
    pub plugin_version: String,
    /// BLAKE3 of the component.
    pub digest: String,
    /// BLAKE3 of its configuration.
    pub config_digest: String,
}

/// What an adjustment comes to for one line, or for the cart.
/// A [`Source`] that many adjustments share.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SharedSource(pub Arc<Source>);

impl Serialize for SharedSource {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for SharedSource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Source::deserialize(deserializer).map(|source| Self(Arc::new(source)))
    }
}

impl From<Source> for SharedSource {
    fn from(source: Source) -> Self {
        Self(Arc::new(source))
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    pub kind: String,
    pub code: String,
    pub reason: String,
    /// Minor units of the cart's currency.
    pub amount: i64,
    pub coupon: Option<String>,
    #[serde(flatten)]
    pub source: SharedSource,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PricedLine {
    pub id: String,
    pub adjustments: Vec<Applied>,
    /// With its discounts and surcharges; never negative.
    pub total: i64,
}

/// What a cart comes to, in minor units of its currency.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Totals {
    pub items: i64,
    /// Not positive.
    pub discount: i64,
    pub surcharge: i64,
    pub shipping: i64,
    pub tax: i64,
    /// In the prices already, and not added.
    pub tax_included: i64,
    pub grand: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Priced {
    /// In the order in which they were given.
    pub lines: Vec<PricedLine>,
    /// What belongs to no line: shipping and the taxes on it.
    pub adjustments: Vec<Applied>,
    pub totals: Totals,
}
