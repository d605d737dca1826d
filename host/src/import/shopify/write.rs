//! Products as rows for Shopify, in the columns of its older template, which both sides read.
//!
//! What the template has no column for is left out: categories, prices in other currencies, for groups, quantities and
//! times, the tax class, metadata, and attributes besides the vendor, the type and the category of Shopify's.

use std::io::{self, Write};

use iso_currency::Currency;
use serde_json::Value;

use super::merge::is_plain;

const COLUMNS: [&str; 26] = [
    "Handle",
    "Title",
    "Body (HTML)",
    "Vendor",
    "Product Category",
    "Type",
    "Tags",
    "Published",
    "Option1 Name",
    "Option1 Value",
    "Option2 Name",
    "Option2 Value",
    "Option3 Name",
    "Option3 Value",
    "Variant SKU",
    "Variant Grams",
    "Variant Inventory Tracker",
    "Variant Inventory Qty",
    "Variant Inventory Policy",
    "Variant Price",
    "Variant Compare At Price",
    "Variant Barcode",
    "Image Src",
    "Image Position",
    "Image Alt Text",
    "Status",
];
const SEO: [&str; 2] = ["SEO Title", "SEO Description"];

/// Writes rows.
pub struct Writer<W: Write> {
    csv: csv::Writer<W>,
    currency: Currency,
    begun: bool,
}

impl<W: Write> Writer<W> {
    /// Prices are those in this currency.
    pub fn new(out: W, currency: Currency) -> Self {
        Self { csv: csv::Writer::from_writer(out), currency, begun: false }
    }

    pub(in super::super) fn flush(&mut self) -> io::Result<()> {
        self.begin()?;
        self.csv.flush()
    }

    fn begin(&mut self) -> io::Result<()> {
        if !std::mem::replace(&mut self.begun, true) {
            self.csv.write_record(COLUMNS.iter().chain(&SEO))?;
        }
        Ok(())
    }

    /// As many rows as the product has variants or pictures, whichever are more.
    pub(in super::super) fn product(&mut self, product: &Value) -> io::Result<()> {
        self.begin()?;
        let list = |name: &str| product[name].as_array().cloned().unwrap_or_default();
        let (variants, media, options) = (list("variants"), list("media"), list("options"));
        for index in 0..variants.len().max(media.len()).max(1) {
            let mut row = vec![text(&product["slug"])];
            row.extend(if index == 0 { head(product) } else { vec![String::new(); 7] });
            row.extend(self.variant(variants.get(index), &options, index == 0));
            match media.get(index) {
                Some(media) => {
                    row.extend([text(&media["url"]), (index + 1).to_string(), text(&media["alt"])])
                }
                None => row.extend(vec![String::new(); 3]),
            }
            let last = [&product["status"], &product["seo"]["title"], &product["seo"]["description"]];
            row.extend(last.map(|value| if index == 0 { text(value) } else { String::new() }));
            self.csv.write_record(row)?;
        }
        Ok(())
    }

    /// The cells from `Option1 Name` to `Variant Barcode`.
    fn variant(&self, variant: Option<&Value>, options: &[Value], first: bool) -> Vec<String> {
        let Some(variant) = variant else { return vec![String::new(); 14] };
        let mut cells = Vec::with_capacity(14);
        for number in 0..3 {
            let (name, value) = match options.get(number) {
                Some(option) => {
                    let name = text(&option["name"]);
                    let value = text(&variant["optionValues"][&name]);
                    (name, value)
                }
                // How Shopify writes that there are no options.
                None if number == 0 => ("Title".to_owned(), "Default Title".to_owned()),
                None => (String::new(), String::new()),
            };
            cells.push(if first { name } else { String::new() });
            cells.push(value);
        }
        cells.push(text(&variant["sku"]));
        cells.push(text(&variant["weightGrams"]));
        let tracked = variant["trackInventory"] == true;
        cells.push(if tracked { "shopify".to_owned() } else { String::new() });
        cells.push(text(&variant["onHand"]));
        cells.push(if variant["backorder"] == "allow" { "continue" } else { "deny" }.to_owned());
        let prices = variant["prices"].as_array().map_or(&[][..], Vec::as_slice);
        let price = prices.iter().find(|price| is_plain(price, self.currency.code())).unwrap_or(&Value::Null);
        cells.push(self.decimal(&price["amount"]));
        cells.push(self.decimal(&price["compareAt"]));
        cells.push(text(&variant["barcode"]));
        cells
    }

    /// Minor units as a decimal; empty where there is no amount.
    fn decimal(&self, amount: &Value) -> String {
        let Some(amount) = amount.as_u64() else { return String::new() };
        match usize::from(self.currency.exponent().unwrap_or(2)) {
            0 => amount.to_string(),
            places => {
                let digits = format!("{amount:0>width$}", width = places + 1);
                let (whole, fraction) = digits.split_at(digits.len() - places);
                format!("{whole}.{fraction}")
            }
        }
    }
}

/// The cells from `Title` to `Published`.
fn head(product: &Value) -> Vec<String> {
    let attribute = |name: &str| text(&product["attributes"][name]);
    let tags: Vec<&str> =
        product["tags"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let published = if product["status"] == "active" { "TRUE" } else { "FALSE" };
    vec![
        text(&product["name"]),
        text(&product["description"]),
        attribute("vendor"),
        attribute("productCategory"),
        attribute("type"),
        tags.join(", "),
        published.to_owned(),
    ]
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
