//! What the schema of a configuration cannot say.

use std::collections::HashSet;

use plugin_sdk::{FieldError, address::is_country, money::is_currency};

use crate::config::{Config, Method, Tier};

/// Everything that is wrong, with pointers into the configuration.
pub(crate) fn faults(config: &Config) -> Vec<FieldError> {
    let mut faults = Faults::default();
    let mut codes = HashSet::new();
    for (index, method) in config.methods.iter().enumerate() {
        let at = format!("/methods/{index}");
        if !codes.insert(&method.code) {
            faults.add(format!("{at}/code"), format!("Another method has the code `{}`.", method.code));
        }
        faults.method(&at, method);
    }
    faults.0
}

#[derive(Default)]
struct Faults(Vec<FieldError>);

impl Faults {
    fn add(&mut self, pointer: String, message: impl Into<String>) {
        self.0.push(FieldError::invalid(pointer, message));
    }

    fn method(&mut self, at: &str, method: &Method) {
        if method.name.trim().is_empty() {
            self.add(format!("{at}/name"), "It is empty.");
        }
        for (index, country) in method.countries.iter().flatten().enumerate() {
            if !is_country(country) {
                let message = format!("`{country}` is no country of ISO 3166-1.");
                self.add(format!("{at}/countries/{index}"), message);
            }
        }
        let mut closed = HashSet::new();
        for (index, tier) in method.tiers.iter().enumerate() {
            let at = format!("{at}/tiers/{index}");
            self.tier(&at, tier);
            let currency = tier.price.currency.as_str();
            if closed.contains(currency) {
                self.add(at, "A tier before it fits every parcel in this currency.");
            } else if fits_all(tier) {
                closed.insert(currency);
            }
        }
        if let Some(least) = &method.free_from
            && method.tiers.iter().all(|tier| tier.price.currency != least.currency)
        {
            let message = format!("There is no tier in {}.", least.currency);
            self.add(format!("{at}/freeFrom/currency"), message);
        }
    }

    fn tier(&mut self, at: &str, tier: &Tier) {
        let currency = &tier.price.currency;
        if !is_currency(currency) {
            let message = format!("`{currency}` is no currency of ISO 4217.");
            self.add(format!("{at}/price/currency"), message);
        }
        for (name, total) in [("minTotal", &tier.min_total), ("maxTotal", &tier.max_total)] {
            if total.as_ref().is_some_and(|total| total.currency != *currency) {
                let message = format!("The price of the tier is in {currency}.");
                self.add(format!("{at}/{name}/currency"), message);
            }
        }
        if let (Some(least), Some(most)) = (&tier.min_total, &tier.max_total)
            && least.amount > most.amount
        {
            self.add(format!("{at}/maxTotal/amount"), "It is less than `minTotal`.");
        }
    }
}

fn fits_all(tier: &Tier) -> bool {
    tier.max_weight_grams.is_none() && tier.min_total.is_none() && tier.max_total.is_none()
}
