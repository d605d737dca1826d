//! The product CSV of Spree Commerce. The mapping is described in `docs/IMPORT.md`.
//!
//! Rows with one slug are one product. The row with a name describes the product; the others are its variants, and a
//! SKU that comes again adds a price in another currency.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::{
    Catalogue, CategorySeed, MappingError, ProductSeed,
    text::{minor_units, slug},
};

const GRAMS: [(&str, f64); 4] = [("g", 1.0), ("kg", 1_000.0), ("lb", 453.592_37), ("oz", 28.349_523_125)];

/// The filled cells of a row, by column name.
type Row = HashMap<String, String>;

/// Maps the text of the file.
pub fn catalogue(text: &str) -> Result<Catalogue, MappingError> {
    let mut catalogue = Catalogue::default();
    for rows in grouped(text)? {
        let Some(head) = rows.iter().find(|row| row.contains_key("name")) else {
            return Err(MappingError::item(&rows[0]["slug"], "no row has a name"));
        };
        let mut category_slugs = Vec::new();
        let mut columns: Vec<&String> = head.keys().filter(|column| column.starts_with("category")).collect();
        columns.sort();
        for path in columns.into_iter().map(|column| &head[column]) {
            category_slugs.extend(add_path(&mut catalogue.categories, path));
        }
        catalogue.products.push(product(head, &rows, category_slugs)?);
    }
    Ok(catalogue)
}

/// Rows by slug, in the order of the file.
fn grouped(text: &str) -> Result<Vec<Vec<Row>>, MappingError> {
    let mut reader = csv::ReaderBuilder::new().flexible(false).from_reader(text.as_bytes());
    let header = reader.headers().map_err(|error| MappingError::Format(error.to_string()))?.clone();
    for column in ["slug", "sku", "name", "price", "currency"] {
        if !header.iter().any(|known| known == column) {
            return Err(MappingError::Format(format!("a Spree product CSV has a column `{column}`")));
        }
    }
    let mut groups: Vec<Vec<Row>> = Vec::new();
    let mut positions = HashMap::new();
    for record in reader.records() {
        let record = record.map_err(|error| MappingError::Format(error.to_string()))?;
        let line = record.position().map_or(0, csv::Position::line);
        let cells = header.iter().zip(&record).filter(|(_, cell)| !cell.trim().is_empty());
        let row: Row = cells.map(|(column, cell)| (column.to_owned(), cell.trim().to_owned())).collect();
        let missing = |column: &str| MappingError::Line { line, message: format!("`{column}` is empty") };
        let slug = row.get("slug").ok_or_else(|| missing("slug"))?.clone();
        row.get("sku").ok_or_else(|| missing("sku"))?;
        let position = *positions.entry(slug).or_insert(groups.len());
        match groups.get_mut(position) {
            Some(group) => group.push(row),
            None => groups.push(vec![row]),
        }
    }
    Ok(groups)
}

/// Adds the categories of a path such as `Kitchen -> Blenders` and returns the slug of the last.
fn add_path(categories: &mut Vec<CategorySeed>, path: &str) -> Option<String> {
    let mut parent: Option<String> = None;
    for name in path.split("->").map(str::trim).filter(|name| !name.is_empty()) {
        // The whole path is in the slug: two branches may have a category of the same name.
        let slug = match &parent {
            Some(parent) => format!("{parent}-{}", slug(name)),
            None => slug(name),
        };
        if !categories.iter().any(|category| category.slug == slug) {
            let mut body = Map::new();
            body.insert("slug".to_owned(), json!(slug));
            body.insert("name".to_owned(), json!(name));
            body.insert("active".to_owned(), json!(true));
            categories.push(CategorySeed { slug: slug.clone(), parent_slug: parent, body });
        }
        parent = Some(slug);
    }
    parent
}

fn product(head: &Row, rows: &[Row], category_slugs: Vec<String>) -> Result<ProductSeed, MappingError> {
    let cell = |column: &str| head.get(column).cloned().unwrap_or_default();
    let slug = cell("slug");
    let (mut variants, mut options, mut stock) = (Vec::new(), Vec::new(), Vec::new());
    // A product without variants is its own only variant.
    let own = rows.iter().filter(|row| !row.contains_key("name"));
    let rows_of_variants: Vec<&Row> = if own.clone().next().is_some() { own.collect() } else { vec![head] };
    for row in &rows_of_variants {
        add_variant(&slug, row, &mut variants, &mut options)?;
        add_stock(row, &mut stock)?;
    }
    let mut attributes = Map::new();
    for (column, value) in head {
        if let Some(name) = column.strip_prefix("custom_field.") {
            attributes.insert(name.rsplit('.').next().unwrap_or(name).to_owned(), json!(value));
        }
    }
    if let Some(kind) = head.get("product_type") {
        attributes.insert("type".to_owned(), json!(kind));
    }
    attributes.sort_keys();
    let name = cell("name");
    let mut media: Vec<Value> = Vec::new();
    for url in std::iter::once(head).chain(rows).filter_map(|row| row.get("image1_src")) {
        if !media.iter().any(|known| known["url"] == json!(url)) {
            media.push(json!({"url": url, "alt": name}));
        }
    }
    let tags: Vec<String> =
        cell("tags").split(',').map(|tag| tag.trim().to_owned()).filter(|tag| !tag.is_empty()).collect();
    let status = match cell("status").as_str() {
        known @ ("draft" | "archived") => known.to_owned(),
        _ => "active".to_owned(),
    };
    let options: Vec<Value> =
        options.into_iter().map(|(name, values)| json!({"name": name, "values": values})).collect();
    let body = json!({
        "slug": slug,
        "name": name,
        "description": cell("description"),
        "status": status,
        "tags": tags,
        "options": options,
        "variants": variants,
        "media": media,
        "attributes": attributes,
        "seo": {"title": cell("meta_title"), "description": cell("meta_description")},
        "metadata": {"source": "spree"},
    });
    let Value::Object(body) = body else { unreachable!("the literal is an object") };
    Ok(ProductSeed { slug, category_slugs, stock, body })
}

fn add_variant(
    product: &str,
    row: &Row,
    variants: &mut Vec<Value>,
    options: &mut Vec<(String, Vec<String>)>,
) -> Result<(), MappingError> {
    let sku = &row["sku"];
    let price = price(row).map_err(|message| MappingError::item(sku, message))?;
    if let Some(known) = variants.iter_mut().find(|variant| variant["sku"] == json!(sku)) {
        if let Some(prices) = known["prices"].as_array_mut() {
            prices.push(price);
        }
        return Ok(());
    }
    let mut values = Map::new();
    for number in 1..=3 {
        let cell = |suffix: &str| row.get(&format!("option{number}_{suffix}"));
        let (Some(name), Some(value)) = (cell("name"), cell("value")) else { continue };
        values.insert(name.clone(), json!(value));
        let position = options.iter().position(|(known, _)| known == name).unwrap_or_else(|| {
            options.push((name.clone(), Vec::new()));
            options.len() - 1
        });
        if !options[position].1.contains(value) {
            options[position].1.push(value.clone());
        }
    }
    if values.is_empty() && !variants.is_empty() {
        return Err(MappingError::item(
            product,
            format!("the variant `{sku}` has no options to tell it apart"),
        ));
    }
    let is = |column: &str| row.get(column).is_some_and(|cell| cell.eq_ignore_ascii_case("true"));
    variants.push(json!({
        "sku": sku,
        "optionValues": values,
        "prices": [price],
        "weightGrams": grams(row).map_err(|message| MappingError::item(sku, message))?,
        "trackInventory": is("track_inventory"),
        "backorder": if is("inventory_backorderable") { "allow" } else { "deny" },
    }));
    Ok(())
}

/// Adds what is on hand of the row's SKU. The first count that is given for a SKU stands.
fn add_stock(row: &Row, stock: &mut Vec<(String, i64)>) -> Result<(), MappingError> {
    let sku = &row["sku"];
    let Some(count) = row.get("inventory_count").filter(|_| stock.iter().all(|(known, _)| known != sku))
    else {
        return Ok(());
    };
    match count.parse() {
        Ok(count) if count >= 0 => {
            stock.push((sku.clone(), count));
            Ok(())
        }
        _ => Err(MappingError::item(sku, format!("`{count}` is no number of pieces"))),
    }
}

fn price(row: &Row) -> Result<Value, String> {
    let currency = row.get("currency").map_or("USD", String::as_str).to_ascii_uppercase();
    let known =
        iso_currency::Currency::from_code(&currency).ok_or_else(|| format!("`{currency}` is no currency"))?;
    let digits = usize::from(known.exponent().unwrap_or(2));
    let amount = |column: &str| match row.get(column) {
        Some(cell) => minor_units(cell, digits).ok_or_else(|| format!("`{cell}` is no amount in {currency}")),
        None => Ok(0),
    };
    let (now, before) = (amount("price")?, amount("compare_at_price")?);
    let mut price = json!({"amount": now, "currency": currency});
    if before > now {
        price["compareAt"] = json!(before);
    }
    Ok(price)
}

/// The weight in whole grams; 0 when there is none.
fn grams(row: &Row) -> Result<i64, String> {
    let Some(weight) = row.get("weight") else { return Ok(0) };
    let unit = row.get("weight_unit").map_or("g", String::as_str);
    let (_, factor) = GRAMS
        .iter()
        .find(|(known, _)| *known == unit)
        .ok_or_else(|| format!("`{unit}` is no weight unit"))?;
    let weight: f64 = weight.parse().map_err(|_| format!("`{weight}` is no weight"))?;
    let grams = (weight * factor).round();
    // Heavier than a fully loaded lorry is a mistake in the file; the bound also makes the conversion exact.
    if (0.0..=50_000_000.0).contains(&grams) {
        #[expect(clippy::cast_possible_truncation, reason = "whole and bounded above")]
        let grams = grams as i64;
        Ok(grams)
    } else {
        Err(format!("`{weight} {unit}` is no weight of goods"))
    }
}
