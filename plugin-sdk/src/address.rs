//! Postal addresses.

use std::str::FromStr as _;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{FieldError, error::pointer_of};

/// Where something is sent, or who is billed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Address {
    /// Who lives or works there.
    #[schemars(length(min = 1, max = 200))]
    pub name: String,
    /// Street and number.
    #[schemars(length(min = 1, max = 200))]
    pub line1: String,
    /// Flat, floor, company.
    #[serde(default)]
    #[schemars(length(max = 200))]
    pub line2: Option<String>,
    #[schemars(length(min = 1, max = 100))]
    pub city: String,
    /// State, province or county, where there is one.
    #[serde(default)]
    #[schemars(length(max = 100))]
    pub region: Option<String>,
    /// Empty in countries without postal codes.
    #[schemars(length(max = 20))]
    pub postal_code: String,
    /// ISO 3166-1 alpha-2 code in capitals.
    #[schemars(regex(pattern = "^[A-Z]{2}$"))]
    pub country: String,
    #[serde(default)]
    #[schemars(length(max = 40))]
    pub phone: Option<String>,
}

impl Address {
    /// What the schema cannot say. `at` is the address's JSON pointer.
    pub fn check(&self, at: &str) -> Vec<FieldError> {
        let mut errors = Vec::new();
        if !is_country(&self.country) {
            let message = format!("`{}` is no country of ISO 3166-1.", self.country);
            errors.push(FieldError::invalid(format!("{at}/country"), message));
        }
        for (member, text) in [("name", &self.name), ("line1", &self.line1), ("city", &self.city)] {
            if text.trim().is_empty() {
                errors.push(FieldError::invalid(format!("{at}{}", pointer_of(member)), "It is empty."));
            }
        }
        errors
    }
}

/// Whether `code` is a country of ISO 3166-1 alpha-2.
pub fn is_country(code: &str) -> bool {
    code.len() == 2 && iso_country::Country::from_str(code).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn countries_are_those_of_iso_3166() {
        for code in ["DE", "US", "HK", "AX", "GB"] {
            assert!(is_country(code), "{code}");
        }
        for code in ["", "D", "de", "UK", "XX", "ZZ", "DEU"] {
            assert!(!is_country(code), "{code}");
        }
    }

    #[test]
    fn an_address_needs_who_where_and_a_country() {
        let address = Address {
            name: " ".to_owned(),
            line1: "Hafenstr. 1".to_owned(),
            line2: None,
            city: "Kiel".to_owned(),
            region: None,
            postal_code: String::new(),
            country: "XX".to_owned(),
            phone: None,
        };
        let pointers: Vec<String> =
            address.check("/shipping").into_iter().map(|error| error.pointer).collect();
        assert_eq!(pointers, ["/shipping/country", "/shipping/name"]);
    }
}
