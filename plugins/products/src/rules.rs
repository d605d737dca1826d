//! What makes a product valid, and which price applies. Pure: values in, values out.
//!
//! The host has checked lengths, ranges and patterns against the schema; here is what a schema cannot say. Every
//! violation is reported, each with a pointer.

use std::collections::{BTreeMap, BTreeSet};

use plugin_sdk::{FieldError, error::escape, keys, money::is_currency, time};

use crate::model::{
    AppliedPrice, Product, ProductInput, ProductOption, ProductStatus, Variant, VariantInput, VariantPrice,
};

/// Checks a product and brings it into its stored form: times in UTC, ids on known variants, `publishedAt`.
///
/// `current` is the product it replaces. New variants are left without an id.
pub fn settle(product: &mut ProductInput, current: Option<&Product>, now: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    unique("/categoryIds", &product.category_ids, &mut errors);
    unique("/tags", &product.tags, &mut errors);
    check_options(&product.options, &mut errors);
    identify(&mut product.variants, current.map_or(&[], |product| &product.variants), &mut errors);
    check_skus(&product.variants, &mut errors);
    check_combinations(&product.options, &product.variants, &mut errors);
    for (index, variant) in product.variants.iter_mut().enumerate() {
        settle_prices(&format!("/variants/{index}/prices"), &mut variant.prices, &mut errors);
        keys::check(&format!("/variants/{index}/metadata"), &variant.metadata, &mut errors);
    }
    keys::check("/attributes", &product.attributes, &mut errors);
    keys::check("/metadata", &product.metadata, &mut errors);
    let active = product.status == ProductStatus::Active;
    if active && product.variants.is_empty() {
        errors.push(FieldError::invalid("/variants", "An active product has at least one variant."));
    }
    let published = current.and_then(|product| product.published_at.clone());
    product.published_at = published.or_else(|| active.then(|| now.to_owned()));
    errors
}

/// The categories that a write newly refers to, with their positions in `categoryIds`.
pub fn added_categories(product: &ProductInput, current: Option<&Product>) -> Vec<(usize, String)> {
    let known = current.map_or(&[][..], |product| &product.category_ids);
    let mut added: Vec<(usize, String)> = Vec::new();
    for (index, id) in product.category_ids.iter().enumerate() {
        // A repeated one is a violation already; it is looked up once.
        if !known.contains(id) && !added.iter().any(|(_, other)| other == id) {
            added.push((index, id.clone()));
        }
    }
    added
}

fn unique(pointer: &str, values: &[String], errors: &mut Vec<FieldError>) {
    let mut seen = BTreeSet::new();
    for (index, value) in values.iter().enumerate() {
        if !seen.insert(value) {
            errors
                .push(FieldError::invalid(format!("{pointer}/{index}"), format!("`{value}` occurs twice.")));
        }
    }
}

fn check_options(options: &[ProductOption], errors: &mut Vec<FieldError>) {
    let mut names = BTreeSet::new();
    for (index, option) in options.iter().enumerate() {
        if !names.insert(&option.name) {
            let message = format!("The option `{}` occurs twice.", option.name);
            errors.push(FieldError::invalid(format!("/options/{index}/name"), message));
        }
        unique(&format!("/options/{index}/values"), &option.values, errors);
    }
}

/// Gives known variants their ids: by the id that the client sent, otherwise by SKU.
fn identify(variants: &mut [VariantInput], current: &[Variant], errors: &mut Vec<FieldError>) {
    let mut claimed = BTreeSet::new();
    for (index, variant) in variants.iter().enumerate() {
        let Some(id) = &variant.id else { continue };
        let pointer = format!("/variants/{index}/id");
        if !current.iter().any(|known| known.id == *id) {
            errors.push(FieldError::invalid(pointer, format!("`{id}` is no variant of this product.")));
        } else if !claimed.insert(id.clone()) {
            errors.push(FieldError::invalid(pointer, format!("`{id}` occurs twice.")));
        }
    }
    for variant in variants.iter_mut().filter(|variant| variant.id.is_none()) {
        let known = current.iter().find(|known| known.sku == variant.sku);
        variant.id = known.map(|known| known.id.clone()).filter(|id| claimed.insert(id.clone()));
    }
}

fn check_skus(variants: &[VariantInput], errors: &mut Vec<FieldError>) {
    let mut seen = BTreeSet::new();
    for (index, variant) in variants.iter().enumerate() {
        if !seen.insert(&variant.sku) {
            let message = format!("The SKU `{}` occurs twice.", variant.sku);
            errors.push(FieldError::invalid(format!("/variants/{index}/sku"), message));
        }
    }
}

/// Every variant has a listed value for exactly the product's options, and no two have the same ones.
fn check_combinations(options: &[ProductOption], variants: &[VariantInput], errors: &mut Vec<FieldError>) {
    let mut seen = BTreeMap::new();
    for (index, variant) in variants.iter().enumerate() {
        let pointer = format!("/variants/{index}/optionValues");
        let before = errors.len();
        for (name, value) in &variant.option_values {
            let at = format!("{pointer}/{}", escape(name));
            match options.iter().find(|option| option.name == *name) {
                None => {
                    errors.push(FieldError::invalid(at, format!("`{name}` is no option of the product.")))
                }
                Some(option) if !option.values.contains(value) => {
                    errors.push(FieldError::invalid(at, format!("`{value}` is no value of `{name}`.")));
                }
                Some(_) => {}
            }
        }
        for option in options.iter().filter(|option| !variant.option_values.contains_key(&option.name)) {
            errors.push(FieldError::invalid(
                pointer.clone(),
                format!("A value for `{}` is missing.", option.name),
            ));
        }
        let complete = errors.len() == before;
        if complete && let Some(first) = seen.insert(&variant.option_values, index) {
            let message = format!("The variants {first} and {index} have the same option values.");
            errors.push(FieldError::invalid(pointer, message));
        }
    }
}

fn settle_prices(pointer: &str, prices: &mut [VariantPrice], errors: &mut Vec<FieldError>) {
    let mut seen = BTreeSet::new();
    for (index, price) in prices.iter_mut().enumerate() {
        let at = |member: &str| format!("{pointer}/{index}/{member}");
        if !is_currency(&price.currency) {
            let message = format!("`{}` is no currency of ISO 4217.", price.currency);
            errors.push(FieldError::invalid(at("currency"), message));
        }
        if price.amount < 0 {
            errors.push(FieldError::invalid(at("amount"), "A price is not negative."));
        }
        if price.compare_at.is_some_and(|compare_at| compare_at <= price.amount) {
            errors
                .push(FieldError::invalid(at("compareAt"), "The price to compare with is above the amount."));
        }
        let before = errors.len();
        settle_time(&at("startsAt"), &mut price.starts_at, errors);
        settle_time(&at("endsAt"), &mut price.ends_at, errors);
        let comparable = errors.len() == before;
        if let (true, Some(starts_at), Some(ends_at)) = (comparable, &price.starts_at, &price.ends_at)
            && ends_at <= starts_at
        {
            errors.push(FieldError::invalid(at("endsAt"), "The end is after the start."));
        }
        let same = (
            price.currency.clone(),
            price.min_quantity.unwrap_or(1),
            price.customer_group.clone(),
            price.starts_at.clone(),
            price.ends_at.clone(),
        );
        if !seen.insert(same) {
            let message = "Another price has the same currency, quantity, group and times.";
            errors.push(FieldError::invalid(format!("{pointer}/{index}"), message));
        }
    }
}

fn settle_time(pointer: &str, moment: &mut Option<String>, errors: &mut Vec<FieldError>) {
    let Some(text) = moment else { return };
    match time::normalised(text) {
        Some(normalised) => *text = normalised,
        None => errors.push(FieldError::invalid(pointer, format!("`{text}` is no RFC 3339 time."))),
    }
}

/// What decides whether a price applies, borrowed from wherever the price is.
#[derive(Debug, Clone, Copy)]
pub struct PriceTerms<'p> {
    pub amount: i64,
    pub currency: &'p str,
    pub compare_at: Option<i64>,
    pub min_quantity: Option<i64>,
    pub for_group: bool,
    pub starts_at: Option<&'p str>,
    pub ends_at: Option<&'p str>,
}

impl<'p> From<&'p VariantPrice> for PriceTerms<'p> {
    fn from(price: &'p VariantPrice) -> Self {
        Self {
            amount: price.amount,
            currency: &price.currency,
            compare_at: price.compare_at,
            min_quantity: price.min_quantity,
            for_group: price.customer_group.is_some(),
            starts_at: price.starts_at.as_deref(),
            ends_at: price.ends_at.as_deref(),
        }
    }
}

/// The price of one piece for everybody, and until when it stays that.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Quoted {
    pub price: Option<AppliedPrice>,
    /// The next moment at which a price of this kind starts or ends.
    pub until: Option<String>,
}

/// The price that applies at `now` to one piece, for customers without a group: the lowest of those that could.
pub fn quote<'p>(prices: impl Iterator<Item = PriceTerms<'p>>, currency: &str, now: &str) -> Quoted {
    let mut lowest: Option<PriceTerms<'p>> = None;
    let mut until: Option<&str> = None;
    for price in prices {
        if price.currency != currency || price.for_group || price.min_quantity.unwrap_or(1) > 1 {
            continue;
        }
        let turns = [price.starts_at, price.ends_at].into_iter().flatten().filter(|&turn| turn > now);
        until = turns.chain(until).min();
        let applies =
            price.starts_at.is_none_or(|start| start <= now) && price.ends_at.is_none_or(|end| now < end);
        if applies && lowest.is_none_or(|lowest| price.amount < lowest.amount) {
            lowest = Some(price);
        }
    }
    let price = lowest.map(|price| AppliedPrice {
        amount: price.amount,
        currency: price.currency.to_owned(),
        compare_at: price.compare_at,
    });
    Quoted { price, until: until.map(str::to_owned) }
}
