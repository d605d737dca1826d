//! What a sheet knows of a product besides its members: which cells they came from, and how they go together with the
//! product that exists.
//!
//! A sheet takes nothing away: variants, option values and pictures that it does not name stay, so that a sheet with a
//! part of a product, or of its columns, changes that part.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{
    super::{Draft, Place},
    columns::{Column, Header},
    product::derived_sku,
};

/// The cells that a product was made of.
#[derive(Debug, Clone)]
pub(in super::super) struct Sheet {
    pub(super) header: Arc<Header>,
    /// Whether the rows describe the product, and not only more of its variants and pictures.
    pub(super) titled: bool,
    pub(super) variants: Vec<SheetVariant>,
    pub(super) media: Vec<Place>,
    /// Where categories come from.
    pub(super) category: Option<Column>,
    pub(super) currency: String,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct SheetVariant {
    pub(super) place: Place,
    /// Whether the SKU was made of the handle, because the cell is empty.
    pub(super) derived: bool,
}

/// Members that the API computes.
const COMPUTED: [&str; 2] = ["price", "availability"];

impl Sheet {
    /// Whether a product can be made of these rows alone.
    pub(in super::super) fn is_whole(&self) -> bool {
        self.titled
    }

    /// The row and the column of a place in the request.
    pub(in super::super) fn locate(&self, pointer: &str) -> (Option<Place>, Option<String>) {
        let parts: Vec<&str> = pointer.split('/').skip(1).collect();
        let number = |part: Option<&&str>| part.and_then(|part| part.parse::<usize>().ok());
        let place = match parts.first() {
            Some(&"variants") => {
                number(parts.get(1)).and_then(|n| self.variants.get(n)).map(|variant| variant.place)
            }
            Some(&"media") => number(parts.get(1)).and_then(|n| self.media.get(n)).copied(),
            _ => None,
        };
        let column = match parts.as_slice() {
            ["slug", ..] => Some(Column::Handle),
            ["name", ..] => Some(Column::Title),
            ["description", ..] => Some(Column::Body),
            ["status", ..] => Some(Column::Status),
            ["tags", ..] => Some(Column::Tags),
            ["categoryIds" | "categories", ..] => self.category,
            ["options", number, "name", ..] => number.parse().ok().map(|n: u8| Column::OptionName(n + 1)),
            ["options", number, ..] => number.parse().ok().map(|n: u8| Column::OptionValue(n + 1)),
            ["variants", _, "sku", ..] => Some(Column::Sku),
            ["variants", _, "optionValues", ..] => Some(Column::OptionValue(1)),
            ["variants", _, "barcode", ..] => Some(Column::Barcode),
            ["variants", _, "prices", _, "compareAt"] => Some(Column::CompareAt),
            ["variants", _, "prices", ..] => Some(Column::Price),
            ["variants", _, "weightGrams", ..] => Some(Column::Grams),
            ["variants", _, "trackInventory", ..] => Some(Column::Tracker),
            ["variants", _, "backorder", ..] => Some(Column::Policy),
            ["variants", _, "onHand", ..] => Some(Column::Quantity),
            ["media", _, "alt", ..] => Some(Column::ImageAlt),
            ["media", ..] => Some(Column::Image),
            ["seo", "title", ..] => Some(Column::SeoTitle),
            ["seo", ..] => Some(Column::SeoDescription),
            ["attributes", "vendor", ..] => Some(Column::Vendor),
            ["attributes", "type", ..] => Some(Column::Type),
            ["attributes", "productCategory", ..] => Some(Column::ProductCategory),
            _ => None,
        };
        (place, column.and_then(|column| self.header.name(column)))
    }
}

/// A new product, with what it needs and a sheet may leave out, as Shopify has it: it is active and has a variant.
pub(in super::super) fn completed(draft: &Draft) -> Map<String, Value> {
    let mut body = draft.body.clone();
    body.entry("status").or_insert_with(|| json!("active"));
    let sku = derived_sku(&draft.slug, std::iter::empty());
    body.entry("variants").or_insert_with(|| json!([{"sku": sku}]));
    body
}

/// What a sheet says of a product, together with the product that exists.
pub(in super::super) fn merged(draft: &mut Draft, current: &Value) -> Map<String, Value> {
    // A copy: where the API has trouble, the sheet is merged again.
    let mut body = draft.body.clone();
    let Some(sheet) = &draft.sheet else { return body };
    if let Some(Value::Array(variants)) = body.get_mut("variants") {
        let mut known = variants_of(current);
        for (variant, from) in variants.iter_mut().zip(&sheet.variants) {
            let same = |known: &Map<String, Value>| {
                let member = if from.derived { "optionValues" } else { "sku" };
                known.get(member) == variant.get(member)
            };
            if let Some(position) = known.iter().position(same) {
                overlay(variant, known.remove(position), from.derived, &sheet.currency);
            }
        }
        for count in &mut draft.stock {
            // A made-up SKU may have turned out to be that of an existing variant.
            let index = count.pointer.split('/').nth(2).and_then(|index| index.parse::<usize>().ok());
            if let Some(sku) = index.and_then(|index| variants.get(index)).and_then(|it| it["sku"].as_str()) {
                count.sku = sku.to_owned();
            }
        }
        variants.extend(known.into_iter().map(Value::Object));
    }
    if let Some(Value::Array(options)) = body.get_mut("options") {
        for option in options {
            let known = list(&current["options"]).iter().find(|known| known["name"] == option["name"]);
            let Some(values) = option["values"].as_array_mut() else { continue };
            for value in known.map_or(&[][..], |known| list(&known["values"])) {
                if !values.contains(value) {
                    values.push(value.clone());
                }
            }
        }
    }
    if let Some(Value::Array(media)) = body.get_mut("media") {
        for known in list(&current["media"]) {
            if !media.iter().any(|media| media["url"] == known["url"]) {
                media.push(known.clone());
            }
        }
    }
    body
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn variants_of(product: &Value) -> Vec<Map<String, Value>> {
    let variants = list(&product["variants"]).iter().filter_map(Value::as_object).cloned();
    let stripped = variants.map(|mut variant| {
        COMPUTED.iter().for_each(|computed| drop(variant.shift_remove(*computed)));
        variant
    });
    stripped.collect()
}

/// Puts what a row says over the variant that exists.
fn overlay(variant: &mut Value, known: Map<String, Value>, derived: bool, currency: &str) {
    let Some(said) = variant.as_object_mut() else { return };
    let said = std::mem::replace(said, known);
    let Some(result) = variant.as_object_mut() else { return };
    for (name, value) in said {
        match (name.as_str(), value) {
            ("sku", _) if derived => {}
            ("prices", Value::Array(mut prices)) => {
                // The sheet has the price for everybody in one currency; the others are not its business.
                let others = result.get("prices").map(list).unwrap_or_default();
                prices.extend(others.iter().filter(|price| !is_plain(price, currency)).cloned());
                result.insert(name, Value::Array(prices));
            }
            ("metadata", Value::Object(members)) => match result.get_mut("metadata") {
                Some(Value::Object(known)) => known.extend(members),
                _ => drop(result.insert(name, Value::Object(members))),
            },
            (_, value) => drop(result.insert(name, value)),
        }
    }
}

/// Whether a price is for everybody, for one piece, at any time.
pub(super) fn is_plain(price: &Value, currency: &str) -> bool {
    let unset = |member: &str| price[member].is_null();
    price["currency"] == currency
        && price["minQuantity"].as_i64().unwrap_or(1) <= 1
        && unset("customerGroup")
        && unset("startsAt")
        && unset("endsAt")
}
