//! Rows of one handle as a product.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Map, Value, json};

use super::{
    super::{CategoryFrom, Count, Draft, Mistake, Place, Shelf},
    Settings,
    cells::{Reading, truth},
    columns::{Column, Header, Row},
    merge::{Sheet, SheetVariant},
};
use crate::seed::text;

/// Shopify's name for the option of a product that has none, and its value.
const NO_OPTION: (&str, &str) = ("Title", "Default Title");

/// The longest SKU of the API.
const SKU_CHARS: usize = 64;

/// Maps a product, as far as its rows can be read. What cannot is left out and told.
pub(super) fn draft(
    header: &Arc<Header>,
    rows: &[Row],
    slug: String,
    settings: Settings,
) -> (Option<Draft>, Vec<Mistake>) {
    let mut reading = Reading { header, slug: &slug, settings, mistakes: Vec::new() };
    let Some(head) = rows.first() else { return (None, Vec::new()) };
    let titled = !head.cell(header, Column::Title).is_empty();
    let mut body = Map::new();
    body.insert("slug".to_owned(), json!(slug));
    let members = if titled { reading.members(head) } else { Some(Map::new()) };
    let names = reading.option_names(rows);
    let (mut variants, mut places, mut stock) = (Vec::new(), Vec::new(), Vec::new());
    let mut usable = members.is_some();
    for (index, row) in rows.iter().enumerate() {
        let is_head = index == 0;
        if let Some((column, message)) = &row.broken {
            reading.wrong(row, *column, message.clone());
            usable &= !is_head;
            continue;
        }
        let is_variant = row.has_variant(header) || (is_head && titled);
        if !header.has_variants() || !is_variant {
            continue;
        }
        let Some((variant, derived)) = reading.variant(row, &names) else {
            usable &= !is_head;
            continue;
        };
        let pointer = format!("/variants/{}/onHand", variants.len());
        let sku = variant.get("sku").and_then(Value::as_str).unwrap_or_default().to_owned();
        stock.extend(reading.quantity(row).map(|on_hand| Count { sku, on_hand, place: row.place, pointer }));
        variants.push(variant);
        places.push(SheetVariant { place: row.place, derived });
    }
    if !usable {
        if let (Some(last), more @ 1..) = (reading.mistakes.last_mut(), rows.len() - 1) {
            last.message += &format!(" The product is left out, with the {more} rows that belong to it.");
        }
        return (None, reading.mistakes);
    }
    body.extend(members.unwrap_or_default());
    if header.has_variants() && !variants.is_empty() {
        body.insert("options".to_owned(), options(&names, &variants));
        body.insert("variants".to_owned(), variants.into_iter().map(Value::Object).collect());
    }
    let media = media(header, rows);
    if header.has(Column::Image) && !media.is_empty() {
        body.insert("media".to_owned(), media.iter().map(|(media, _)| media.clone()).collect());
    }
    let sheet = Sheet {
        header: header.clone(),
        titled,
        variants: places,
        media: media.into_iter().map(|(_, place)| place).collect(),
        category: settings.category_from.map(column_of),
        currency: settings.currency.code().to_owned(),
    };
    let end_line = rows.last().map_or(head.end_line, |row| row.end_line);
    let shelves = titled.then(|| reading.shelves(head)).flatten();
    let mistakes = reading.mistakes;
    let draft = Draft {
        place: head.place,
        end_line,
        slug,
        body,
        shelves,
        stock,
        sheet: Some(sheet),
        ..Draft::default()
    };
    (Some(draft), mistakes)
}

pub(super) fn column_of(from: CategoryFrom) -> Column {
    match from {
        CategoryFrom::Type => Column::Type,
        CategoryFrom::ProductCategory => Column::ProductCategory,
    }
}

impl Reading<'_> {
    /// The members that the first row tells; none where one of them is wrong.
    fn members(&mut self, head: &Row) -> Option<Map<String, Value>> {
        let header = self.header;
        let cell = |column: Column| head.cell(header, column);
        let mut members = Map::new();
        members.insert("name".to_owned(), json!(cell(Column::Title)));
        if header.has(Column::Body) {
            members.insert("description".to_owned(), json!(cell(Column::Body)));
        }
        if header.has(Column::Status) || header.has(Column::Published) {
            members.insert("status".to_owned(), json!(self.status(head)?));
        }
        if header.has(Column::Tags) {
            let mut tags: Vec<&str> = Vec::new();
            for tag in cell(Column::Tags).split(',').map(str::trim).filter(|tag| !tag.is_empty()) {
                if !tags.contains(&tag) {
                    tags.push(tag);
                }
            }
            members.insert("tags".to_owned(), json!(tags));
        }
        let mut attributes = Map::new();
        for (name, column) in
            [("vendor", Column::Vendor), ("type", Column::Type), ("productCategory", Column::ProductCategory)]
        {
            let from_here = self.settings.category_from.map(column_of) == Some(column);
            if !cell(column).is_empty() && !from_here {
                attributes.insert(name.to_owned(), json!(cell(column)));
            }
        }
        for (name, position) in &header.attributes {
            if !head.at(*position).is_empty() {
                attributes.insert(name.clone(), json!(head.at(*position)));
            }
        }
        if !attributes.is_empty() {
            members.insert("attributes".to_owned(), Value::Object(attributes));
        }
        let mut seo = Map::new();
        for (name, column) in [("title", Column::SeoTitle), ("description", Column::SeoDescription)] {
            if header.has(column) {
                let text = Some(cell(column)).filter(|text| !text.is_empty());
                seo.insert(name.to_owned(), json!(text));
            }
        }
        if !seo.is_empty() {
            members.insert("seo".to_owned(), Value::Object(seo));
        }
        Some(members)
    }

    /// The names of up to three options, with their numbers. They are on the first row as a rule.
    fn option_names(&self, rows: &[Row]) -> Vec<(u8, String)> {
        let named = (1..=3).filter_map(|number| {
            let mut names = rows.iter().map(|row| row.cell(self.header, Column::OptionName(number)));
            let name = names.find(|name| !name.is_empty())?;
            Some((number, name.to_owned()))
        });
        let names: Vec<(u8, String)> = named.collect();
        let mut values = rows.iter().map(|row| row.cell(self.header, Column::OptionValue(1)));
        let no_values = values.all(|value| value.is_empty() || value == NO_OPTION.1);
        match names.as_slice() {
            [(1, name)] if name == NO_OPTION.0 && no_values => Vec::new(),
            _ => names,
        }
    }

    /// The variant of a row, and whether its SKU was made up; none where a cell is wrong.
    fn variant(&mut self, row: &Row, names: &[(u8, String)]) -> Option<(Map<String, Value>, bool)> {
        let before = self.mistakes.len();
        let header = self.header;
        let cell = |column: Column| row.cell(header, column);
        let mut values = BTreeMap::new();
        for (number, name) in names {
            match cell(Column::OptionValue(*number)) {
                "" => self.wrong(
                    row,
                    Some(Column::OptionValue(*number)),
                    format!("There is no value for the option `{name}`."),
                ),
                value => drop(values.insert(name.clone(), value.to_owned())),
            }
        }
        for number in 1..=3 {
            let named = names.iter().any(|(known, _)| *known == number);
            let value = cell(Column::OptionValue(number));
            if !named && !value.is_empty() && value != NO_OPTION.1 {
                let message =
                    format!("`{value}` is the value of an option that no row of this product names.");
                self.wrong(row, Some(Column::OptionValue(number)), message);
            }
        }
        // Shopify writes an apostrophe in front, so that spreadsheets take the number for a text.
        let plain = |column: Column| cell(column).trim_start_matches('\'').to_owned();
        let (sku, derived) = match plain(Column::Sku) {
            sku if sku.is_empty() => {
                (derived_sku(self.slug, names.iter().filter_map(|(_, name)| values.get(name))), true)
            }
            sku => (sku, false),
        };
        let mut variant = Map::new();
        variant.insert("sku".to_owned(), json!(sku));
        variant.insert("optionValues".to_owned(), json!(values));
        if header.has(Column::Price) {
            variant.insert("prices".to_owned(), self.prices(row).into_iter().collect());
        }
        if header.has(Column::Barcode) {
            variant.insert(
                "barcode".to_owned(),
                json!(Some(plain(Column::Barcode)).filter(|it| !it.is_empty())),
            );
        }
        if header.has(Column::Grams) {
            variant.insert("weightGrams".to_owned(), json!(self.grams(row)));
        }
        if header.has(Column::Tracker) {
            variant.insert("trackInventory".to_owned(), json!(!cell(Column::Tracker).is_empty()));
        }
        if header.has(Column::Policy) {
            let sells = match cell(Column::Policy).to_lowercase().as_str() {
                "" | "deny" => Ok(false),
                "continue" => Ok(true),
                other => truth(other).map(Option::unwrap_or_default),
            };
            match sells {
                Ok(sells) => {
                    drop(variant.insert("backorder".to_owned(), json!(if sells { "allow" } else { "deny" })))
                }
                Err(_) => {
                    let message = format!("`{}` is neither deny nor continue.", cell(Column::Policy));
                    self.wrong(row, Some(Column::Policy), message);
                }
            }
        }
        if !cell(Column::VariantImage).is_empty() {
            variant.insert("metadata".to_owned(), json!({"image": cell(Column::VariantImage)}));
        }
        (self.mistakes.len() == before).then_some((variant, derived))
    }

    /// The category at the end of a path such as `Home & Garden > Kitchen`; none where the file has no such column.
    fn shelves(&self, head: &Row) -> Option<Vec<Shelf>> {
        let column = column_of(self.settings.category_from?);
        if !self.header.has(column) {
            return None;
        }
        let names: Vec<String> = match column {
            Column::Type => vec![head.cell(self.header, column).to_owned()],
            _ => head.cell(self.header, column).split('>').map(|name| name.trim().to_owned()).collect(),
        };
        let names: Vec<String> = names.into_iter().filter(|name| !text::slug(name).is_empty()).collect();
        // The whole path is in the slug: two branches may have a category of the same name.
        let slug = names.iter().map(|name| text::slug(name)).collect::<Vec<_>>().join("-");
        Some(if names.is_empty() { Vec::new() } else { vec![Shelf { slug, names }] })
    }
}

/// The options with the values that the variants have, in the order of the rows.
fn options(names: &[(u8, String)], variants: &[Map<String, Value>]) -> Value {
    let option = |(_, name): &(u8, String)| {
        let mut values: Vec<&Value> = Vec::new();
        for value in variants.iter().filter_map(|variant| variant.get("optionValues")?.get(name)) {
            if !values.contains(&value) {
                values.push(value);
            }
        }
        json!({"name": name, "values": values})
    };
    names.iter().map(option).collect()
}

/// The pictures of all rows by their position, each address once.
fn media(header: &Header, rows: &[Row]) -> Vec<(Value, Place)> {
    let mut found: Vec<(u32, &str, &str, Place)> = Vec::new();
    for row in rows.iter().filter(|row| row.broken.is_none()) {
        let url = row.cell(header, Column::Image);
        if !url.is_empty() && !found.iter().any(|(_, known, ..)| *known == url) {
            let position = row.cell(header, Column::ImagePosition).parse().unwrap_or(u32::MAX);
            found.push((position, url, row.cell(header, Column::ImageAlt), row.place));
        }
    }
    // Stable: what has no position stays in the order of the rows, at the end.
    found.sort_by_key(|(position, ..)| *position);
    found.into_iter().map(|(_, url, alt, place)| (json!({"url": url, "alt": alt}), place)).collect()
}

/// A SKU of the handle and the option values. The same rows give the same one, so that they meet it again.
pub(super) fn derived_sku<'v>(slug: &str, values: impl Iterator<Item = &'v String>) -> String {
    let mut sku = slug.to_owned();
    for value in values {
        sku += "-";
        sku += &text::slug(value);
    }
    if sku.len() > SKU_CHARS {
        let hash = blake3::hash(sku.as_bytes()).to_hex();
        // Slugs are ASCII.
        sku.truncate(SKU_CHARS - 9);
        sku = format!("{sku}-{}", &hash[..8]);
    }
    sku
}
