//! What the schema of a configuration cannot say.

use std::collections::HashSet;

use plugin_sdk::{FieldError, address::is_country};

use crate::{config::Config, rules::region_key};

/// Everything that is wrong, with pointers into the configuration.
pub(crate) fn faults(config: &Config) -> Vec<FieldError> {
    let mut faults = Vec::new();
    let mut add = |pointer: String, message: String| faults.push(FieldError::invalid(pointer, message));
    if let Some(country) = &config.default_country
        && config.rates.iter().all(|rate| rate.country != *country)
    {
        add("/defaultCountry".to_owned(), format!("There is no rate for `{country}`."));
    }
    let mut places = HashSet::new();
    for (index, rate) in config.rates.iter().enumerate() {
        let at = format!("/rates/{index}");
        if !is_country(&rate.country) {
            add(format!("{at}/country"), format!("`{}` is no country of ISO 3166-1.", rate.country));
        }
        let region = rate.region.as_deref().map(region_key);
        if region.as_deref() == Some("") {
            add(format!("{at}/region"), "It is empty.".to_owned());
        }
        if rate.name.trim().is_empty() {
            add(format!("{at}/name"), "It is empty.".to_owned());
        }
        if rate.code.as_ref().is_some_and(|code| code.trim().is_empty()) {
            add(format!("{at}/code"), "It is empty.".to_owned());
        }
        if !places.insert((&rate.country, region, &rate.tax_class)) {
            add(at, "There is another rate for this country, region and tax class.".to_owned());
        }
    }
    faults
}
