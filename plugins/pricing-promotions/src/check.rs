//! What the schema of a configuration cannot say.

use std::collections::HashSet;

use plugin_sdk::{FieldError, address::is_country, money::is_currency};

use crate::config::{Action, Amount, Break, Config, Promotion};

/// Everything that is wrong, with pointers into the configuration.
pub(crate) fn faults(config: &Config) -> Vec<FieldError> {
    let mut faults = Faults::default();
    let mut ids = HashSet::new();
    for (index, promotion) in config.promotions.iter().enumerate() {
        let at = format!("/promotions/{index}");
        if !ids.insert(&promotion.id) {
            faults.add(format!("{at}/id"), format!("Another promotion has the id `{}`.", promotion.id));
        }
        faults.promotion(&at, promotion);
    }
    faults.0
}

#[derive(Default)]
struct Faults(Vec<FieldError>);

impl Faults {
    fn add(&mut self, pointer: String, message: impl Into<String>) {
        self.0.push(FieldError::invalid(pointer, message));
    }

    fn promotion(&mut self, at: &str, promotion: &Promotion) {
        if promotion.name.trim().is_empty() {
            self.add(format!("{at}/name"), "It is empty.");
        }
        if promotion.code.as_ref().is_some_and(|code| code.trim().is_empty()) {
            self.add(format!("{at}/code"), "It is empty.");
        }
        if let (Some(starts), Some(ends)) = (promotion.starts_at, promotion.ends_at)
            && starts >= ends
        {
            self.add(format!("{at}/endsAt"), "It ends before it starts.");
        }
        if let Some(currency) = &promotion.currency {
            self.currency(format!("{at}/currency"), currency);
        }
        if let Some(least) = &promotion.min_subtotal {
            self.currency(format!("{at}/minSubtotal/currency"), &least.currency);
        }
        for (index, country) in promotion.countries.iter().flatten().enumerate() {
            if !is_country(country) {
                let message = format!("`{country}` is no country of ISO 3166-1.");
                self.add(format!("{at}/countries/{index}"), message);
            }
        }
        if let Some(amounts) = promotion.action.amounts() {
            self.amounts(&format!("{at}/action/amounts"), amounts);
        }
        if let Action::QuantityBreaks { breaks, .. } = &promotion.action {
            self.breaks(&format!("{at}/action/breaks"), breaks);
        }
        if !has_currency(promotion) {
            self.add(at.to_owned(), "There is no currency in which it could apply.");
        }
    }

    fn currency(&mut self, pointer: String, code: &str) {
        if !is_currency(code) {
            self.add(pointer, format!("`{code}` is no currency of ISO 4217."));
        }
    }

    fn amounts(&mut self, at: &str, amounts: &[Amount]) {
        let mut currencies = HashSet::new();
        for (index, amount) in amounts.iter().enumerate() {
            let pointer = format!("{at}/{index}/currency");
            if !currencies.insert(&amount.currency) {
                self.add(pointer, format!("There is another amount in {}.", amount.currency));
            } else {
                self.currency(pointer, &amount.currency);
            }
        }
    }

    fn breaks(&mut self, at: &str, breaks: &[Break]) {
        for (index, pair) in breaks.windows(2).enumerate() {
            if pair[0].min_quantity >= pair[1].min_quantity {
                let message = "Breaks are ascending, and the one before has as many pieces.";
                self.add(format!("{at}/{}/minQuantity", index + 1), message);
            }
            if pair[0].basis_points >= pair[1].basis_points {
                let message = "More pieces give more, and the break before gives as much.";
                self.add(format!("{at}/{}/basisPoints", index + 1), message);
            }
        }
    }
}

/// Whether the currencies of its conditions and of its amounts go together.
fn has_currency(promotion: &Promotion) -> bool {
    let least = promotion.min_subtotal.as_ref().map(|least| &least.currency);
    let wanted: Vec<&String> = promotion.currency.iter().chain(least).collect();
    let agree = wanted.windows(2).all(|pair| pair[0] == pair[1]);
    let amounts = promotion.action.amounts();
    let offered = |currency: &String| {
        amounts.is_none_or(|amounts| amounts.iter().any(|amount| amount.currency == *currency))
    };
    agree && wanted.into_iter().all(offered)
}
