//! What makes a product valid. Pure: values in, values out.
//!
//! The host has checked lengths, ranges and patterns against the schema; here is what a schema cannot say. Every
//! violation is reported, each with a pointer.

use std::collections::{BTreeMap, BTreeSet};

use plugin_sdk::{FieldError, error::escape, keys, money::is_currency, time};

use crate::model::{
    Product, ProductInput, ProductOption, ProductStatus, Variant, VariantInput, VariantPrice,
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    const NOW: &str = "2026-01-01T00:00:00.000Z";

    fn input(value: Value) -> ProductInput {
        serde_json::from_value(value).unwrap()
    }

    fn pointers(mut product: ProductInput, current: Option<&Product>) -> Vec<String> {
        settle(&mut product, current, NOW).into_iter().map(|error| error.pointer).collect()
    }

    fn stored(variants: &[(&str, &str)]) -> Product {
        let variants: Vec<Value> = variants
            .iter()
            .map(|(id, sku)| {
                let mut variant = json!(input(json!({"name": "", "variants": [{"sku": sku}]})).variants[0]);
                variant["id"] = json!(id);
                variant
            })
            .collect();
        let mut product = json!(input(json!({"name": "Shirt", "slug": "shirt"})));
        product["variants"] = json!(variants);
        for (member, value) in [("id", json!("prod_1")), ("version", json!(1)), ("createdAt", json!(NOW))] {
            product[member] = value;
        }
        product["updatedAt"] = json!(NOW);
        serde_json::from_value(product).unwrap()
    }

    #[test]
    fn every_violation_has_a_pointer() {
        let priced = |price: Value| json!({"name": "", "variants": [{"sku": "A", "prices": [price]}]});
        let cases = [
            (json!({"name": "", "categoryIds": ["a", "b", "a"]}), vec!["/categoryIds/2"]),
            (json!({"name": "", "tags": ["a", "a", "a"]}), vec!["/tags/1", "/tags/2"]),
            (json!({"name": "", "status": "active"}), vec!["/variants"]),
            (json!({"name": "", "status": "archived"}), vec![]),
            (
                json!({"name": "", "options": [{"name": "Size", "values": ["S", "S"]}, {"name": "Size", "values": ["M"]}]}),
                vec!["/options/0/values/1", "/options/1/name"],
            ),
            (
                json!({"name": "", "variants": [{"sku": "A"}, {"sku": "A"}]}),
                vec!["/variants/1/sku", "/variants/1/optionValues"],
            ),
            (json!({"name": "", "variants": [{"sku": "A", "id": "var_1"}]}), vec!["/variants/0/id"]),
            (
                json!({"name": "", "options": [{"name": "a/b", "values": ["S"]}], "variants": [
                    {"sku": "1", "optionValues": {"a/b": "S"}},
                    {"sku": "2", "optionValues": {"a/b": "L"}},
                    {"sku": "3", "optionValues": {"c": "S"}},
                    {"sku": "4", "optionValues": {"a/b": "S"}},
                ]}),
                vec![
                    "/variants/1/optionValues/a~1b",
                    "/variants/2/optionValues/c",
                    "/variants/2/optionValues",
                    "/variants/3/optionValues",
                ],
            ),
            (priced(json!({"amount": 1, "currency": "USD"})), vec![]),
            (priced(json!({"amount": 0, "currency": "JPY"})), vec![]),
            (priced(json!({"amount": -1, "currency": "USD"})), vec!["/variants/0/prices/0/amount"]),
            (priced(json!({"amount": 1, "currency": "ABC"})), vec!["/variants/0/prices/0/currency"]),
            (
                priced(json!({"amount": 5, "currency": "USD", "compareAt": 5})),
                vec!["/variants/0/prices/0/compareAt"],
            ),
            (
                priced(
                    json!({"amount": 5, "currency": "USD", "startsAt": NOW, "endsAt": "2026-01-01T01:00:00+01:00"}),
                ),
                vec!["/variants/0/prices/0/endsAt"],
            ),
            (
                priced(json!({"amount": 5, "currency": "USD", "startsAt": "soon", "endsAt": "2026-01-01"})),
                vec!["/variants/0/prices/0/startsAt", "/variants/0/prices/0/endsAt"],
            ),
            (
                json!({"name": "", "variants": [{"sku": "A", "prices": [
                    {"amount": 5, "currency": "USD"},
                    {"amount": 6, "currency": "EUR"},
                    {"amount": 7, "currency": "USD", "minQuantity": 1},
                    {"amount": 7, "currency": "USD", "minQuantity": 2},
                    {"amount": 7, "currency": "USD", "customerGroup": "vip"},
                    {"amount": 7, "currency": "USD", "startsAt": "2026-01-01T00:00:00Z"},
                    {"amount": 7, "currency": "USD", "startsAt": "2026-01-01T01:00:00+01:00"},
                ]}]}),
                vec!["/variants/0/prices/2", "/variants/0/prices/6"],
            ),
            (
                json!({"name": "", "metadata": {"a.b": 1}, "attributes": {"x": {"$y": 1}}, "variants": [
                    {"sku": "A", "metadata": {"$": 1}}
                ]}),
                vec!["/variants/0/metadata/$", "/attributes/x/$y", "/metadata/a.b"],
            ),
        ];
        for (product, expected) in cases {
            assert_eq!(pointers(input(product.clone()), None), expected, "{product}");
        }
    }

    #[test]
    fn all_violations_are_reported_together() {
        let product = input(json!({
            "name": "", "tags": ["a", "a"], "metadata": {"$": 1},
            "variants": [{"sku": "A", "prices": [{"amount": -1, "currency": "XXL", "startsAt": "x"}]}],
        }));
        assert_eq!(pointers(product, None).len(), 5);
    }

    #[test]
    fn known_variants_keep_their_ids() {
        let current = stored(&[("var_a", "A"), ("var_b", "B")]);
        let cases = [
            (json!([{"sku": "B"}, {"sku": "A"}, {"sku": "C"}]), vec![Some("var_b"), Some("var_a"), None]),
            (json!([{"sku": "C", "id": "var_a"}]), vec![Some("var_a")]),
            // The two swap their SKUs: the ids decide.
            (
                json!([{"sku": "B", "id": "var_a"}, {"sku": "A", "id": "var_b"}]),
                vec![Some("var_a"), Some("var_b")],
            ),
            // The SKU of a renamed variant is free for a new one.
            (json!([{"sku": "C", "id": "var_a"}, {"sku": "A"}]), vec![Some("var_a"), None]),
        ];
        for (variants, expected) in cases {
            let mut product = input(json!({"name": "", "variants": variants}));
            settle(&mut product, Some(&current), NOW);
            let ids: Vec<_> = product.variants.iter().map(|variant| variant.id.as_deref()).collect();
            assert_eq!(ids, expected, "{variants}");
        }
        let twice = json!([{"sku": "A", "id": "var_a"}, {"sku": "B", "id": "var_a"}]);
        let found = pointers(input(json!({"name": "", "variants": twice})), Some(&current));
        assert_eq!(found[0], "/variants/1/id");
    }

    #[test]
    fn publication_is_dated_once() {
        let published = |status: &str, before: Option<&str>| {
            let mut current = stored(&[]);
            current.published_at = before.map(str::to_owned);
            let mut product = input(json!({"name": "", "status": status, "variants": [{"sku": "A"}]}));
            settle(&mut product, Some(&current), NOW);
            product.published_at
        };
        assert_eq!(published("draft", None), None);
        assert_eq!(published("active", None).as_deref(), Some(NOW));
        let earlier = "2025-01-01T00:00:00.000Z";
        assert_eq!(published("active", Some(earlier)).as_deref(), Some(earlier));
        assert_eq!(published("archived", Some(earlier)).as_deref(), Some(earlier));
    }

    #[test]
    fn times_are_stored_in_utc() {
        let price = json!({"amount": 1, "currency": "USD", "startsAt": "2026-01-01T02:00:00+01:00"});
        let mut product = input(json!({"name": "", "variants": [{"sku": "A", "prices": [price]}]}));
        assert_eq!(settle(&mut product, None, NOW), []);
        assert_eq!(product.variants[0].prices[0].starts_at.as_deref(), Some("2026-01-01T01:00:00.000Z"));
    }

    #[test]
    fn only_new_references_are_added() {
        let mut current = stored(&[]);
        current.category_ids = vec!["a".to_owned()];
        let product = input(json!({"name": "", "categoryIds": ["b", "a", "c", "b"]}));
        assert_eq!(added_categories(&product, Some(&current)), [(0, "b".to_owned()), (2, "c".to_owned())]);
    }

    proptest! {
        /// Whatever the variants choose, a product without violations has pairwise different, complete, listed values.
        #[test]
        fn accepted_option_combinations_are_complete_and_different(
            chosen in prop::collection::vec(prop::collection::vec(0_usize..4, 0..3), 0..5),
        ) {
            let options = [("Size", ["S", "M", "L"]), ("Color", ["red", "blue", "green"])];
            let variants: Vec<Value> = chosen.iter().enumerate().map(|(sku, chosen)| {
                let values: BTreeMap<_, _> = chosen.iter().enumerate().map(|(option, value)| {
                    // The value behind the last is not listed.
                    (options[option].0, options[option].1.get(*value).copied().unwrap_or("none"))
                }).collect();
                json!({"sku": sku.to_string(), "optionValues": values})
            }).collect();
            let options: Vec<Value> =
                options.iter().map(|(name, values)| json!({"name": name, "values": values})).collect();
            let accepted = pointers(input(json!({"name": "", "options": options, "variants": variants})), None).is_empty();
            let complete = chosen.iter().all(|chosen| chosen.len() == 2 && chosen.iter().all(|&value| value < 3));
            let different = chosen.iter().collect::<BTreeSet<_>>().len() == chosen.len();
            prop_assert_eq!(accepted, complete && different);
        }
    }
}
