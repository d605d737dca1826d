//! The columns of Shopify's product CSV, under the names of its older template and of the newer one.

use std::collections::HashMap;

use csv::ByteRecord;

use super::super::{ImportError, Place};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Column {
    Handle,
    Title,
    Body,
    Vendor,
    ProductCategory,
    Type,
    Tags,
    Published,
    Status,
    /// 1 to 3.
    OptionName(u8),
    OptionValue(u8),
    Sku,
    Grams,
    Tracker,
    Quantity,
    Policy,
    Price,
    CompareAt,
    Barcode,
    Image,
    ImagePosition,
    ImageAlt,
    VariantImage,
    SeoTitle,
    SeoDescription,
}

use Column::{
    Barcode, Body, CompareAt, Grams, Handle, Image, ImageAlt, ImagePosition, OptionName, OptionValue, Policy,
    Price, ProductCategory, Published, Quantity, SeoDescription, SeoTitle, Sku, Status, Tags, Title, Tracker,
    Type, VariantImage, Vendor,
};

/// In lower case: templates differ in capitals.
const NAMES: &[(&str, Column)] = &[
    ("handle", Handle),
    ("url handle", Handle),
    ("title", Title),
    ("body (html)", Body),
    ("description", Body),
    ("vendor", Vendor),
    ("product category", ProductCategory),
    ("standardized product type", ProductCategory),
    ("type", Type),
    ("custom product type", Type),
    ("tags", Tags),
    ("published", Published),
    ("published on online store", Published),
    ("status", Status),
    ("option1 name", OptionName(1)),
    ("option1 value", OptionValue(1)),
    ("option2 name", OptionName(2)),
    ("option2 value", OptionValue(2)),
    ("option3 name", OptionName(3)),
    ("option3 value", OptionValue(3)),
    ("variant sku", Sku),
    ("sku", Sku),
    ("variant grams", Grams),
    ("weight value (grams)", Grams),
    ("variant inventory tracker", Tracker),
    ("inventory tracker", Tracker),
    ("variant inventory qty", Quantity),
    ("inventory quantity", Quantity),
    ("variant inventory policy", Policy),
    ("continue selling when out of stock", Policy),
    ("variant price", Price),
    ("price", Price),
    ("variant compare at price", CompareAt),
    ("compare-at price", CompareAt),
    ("compare at price", CompareAt),
    ("variant barcode", Barcode),
    ("barcode", Barcode),
    ("image src", Image),
    ("product image url", Image),
    ("image position", ImagePosition),
    ("image alt text", ImageAlt),
    ("variant image", VariantImage),
    ("variant image url", VariantImage),
    ("seo title", SeoTitle),
    ("seo description", SeoDescription),
];

/// Known, and left out: there is nothing that they could become.
const LEFT_OUT: &[&str] = &[
    "variant fulfillment service",
    "fulfillment service",
    "variant requires shipping",
    "requires shipping",
    "variant taxable",
    "charge tax",
    "variant tax code",
    "tax code",
    // How the weight is shown; `Variant Grams` has it.
    "variant weight unit",
    "weight unit for display",
    "gift card",
    "cost per item",
    "collection",
    "standard product type",
];

const LEFT_OUT_PREFIXES: &[&str] = &[
    "google shopping /",
    "included /",
    "price /",
    "compare at price /",
    "compare-at price /",
    "unit price ",
];

/// Columns that describe a variant.
const OF_VARIANTS: &[Column] = &[Sku, Grams, Tracker, Quantity, Policy, Price, CompareAt, Barcode];

/// The first row of a file.
#[derive(Debug, Clone, Default)]
pub(in super::super) struct Header {
    positions: HashMap<Column, usize>,
    /// Attributes from metafields, with their positions.
    pub(super) attributes: Vec<(String, usize)>,
    names: Vec<String>,
}

impl Header {
    /// Reads the header, and answers what is to be said about it.
    pub(super) fn read(record: &ByteRecord) -> Result<(Self, Vec<String>), ImportError> {
        let mut header = Self::default();
        let (mut unknown, mut warnings) = (Vec::new(), Vec::new());
        for (position, name) in record.iter().enumerate() {
            let name = String::from_utf8_lossy(name).trim().to_owned();
            let folded = name.to_lowercase();
            let known = NAMES.iter().find(|(known, _)| *known == folded).map(|(_, column)| *column);
            let option_link = folded.starts_with("option") && folded.ends_with("linked to");
            let left_out = LEFT_OUT.contains(&folded.as_str())
                || option_link
                || LEFT_OUT_PREFIXES.iter().any(|prefix| folded.starts_with(prefix));
            match (known, metafield(&name)) {
                (Some(column), _) if header.positions.contains_key(&column) => {
                    warnings.push(format!("the column `{name}` is there twice; the first one counts"));
                }
                (Some(column), _) => {
                    header.positions.insert(column, position);
                }
                (None, Some(attribute)) => header.attributes.push((attribute, position)),
                (None, None) if left_out || name.is_empty() => {}
                (None, None) => unknown.push(format!("`{name}`")),
            }
            header.names.push(name);
        }
        if !header.has(Handle) && !header.has(Title) {
            let message =
                "the file is no product CSV of Shopify: it has neither a column `Handle` nor `Title`";
            return Err(ImportError::Format(message.to_owned()));
        }
        if !unknown.is_empty() {
            warnings.push(format!("columns that are not known are left out: {}", unknown.join(", ")));
        }
        Ok((header, warnings))
    }

    pub(super) fn has(&self, column: Column) -> bool {
        self.positions.contains_key(&column)
    }

    /// Whether the file describes variants at all.
    pub(super) fn has_variants(&self) -> bool {
        OF_VARIANTS.iter().any(|column| self.has(*column)) || self.has(OptionValue(1))
    }

    /// What the file calls a column.
    pub(super) fn name(&self, column: Column) -> Option<String> {
        self.positions.get(&column).and_then(|position| self.names.get(*position)).cloned()
    }
}

/// The key of a metafield column such as `Care (product.metafields.custom.care_guide)`. A key with a dot could be no
/// member of the API's, and Shopify's have none.
fn metafield(name: &str) -> Option<String> {
    let (_, field) = name.split_once("(product.metafields.")?;
    let (_, key) = field.strip_suffix(')')?.split_once('.')?;
    (!key.is_empty() && !key.contains('.')).then(|| key.to_owned())
}

/// A row with what is filled in, and what is broken about the row as such.
#[derive(Debug, Clone, Default)]
pub(super) struct Row {
    pub(super) place: Place,
    /// The last line of the row, as far as it can be told.
    pub(super) end_line: u64,
    cells: Vec<String>,
    pub(super) broken: Option<(Option<Column>, String)>,
}

impl Row {
    pub(super) fn new(header: &Header, record: &ByteRecord, place: Place) -> Self {
        let mut broken = None;
        let cells = record.iter().enumerate().map(|(position, cell)| {
            if str::from_utf8(cell).is_err() {
                let column =
                    header.positions.iter().find(|(_, known)| **known == position).map(|(column, _)| *column);
                broken = Some((column, "The cell is not UTF-8.".to_owned()));
            }
            String::from_utf8_lossy(cell).trim().to_owned()
        });
        let cells: Vec<String> = cells.collect();
        let breaks = record.as_slice().iter().filter(|byte| **byte == b'\n').count() as u64;
        if cells.len() != header.names.len() {
            let message =
                format!("The row has {} cells, and the header {}.", cells.len(), header.names.len());
            broken = Some((None, message));
        }
        Self { place, end_line: place.line + breaks, cells, broken }
    }

    /// What is in a cell; empty where the column is absent.
    pub(super) fn cell(&self, header: &Header, column: Column) -> &str {
        header.positions.get(&column).map_or("", |position| self.at(*position))
    }

    pub(super) fn at(&self, position: usize) -> &str {
        self.cells.get(position).map_or("", String::as_str)
    }

    /// Whether the row is about a variant, and not about a picture only.
    pub(super) fn has_variant(&self, header: &Header) -> bool {
        [OptionValue(1), Sku, Price, Barcode].iter().any(|column| !self.cell(header, *column).is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_templates_are_known_and_strangers_are_told_once() {
        for line in [
            "Handle,Title,Body (HTML),Variant SKU,Variant Price,Image Src,Google Shopping / Gender,Price / International",
            "Title,URL handle,Description,SKU,Price,Product image URL,Option1 Linked To,Unit price total measure",
        ] {
            let (header, warnings) = Header::read(&line.split(',').collect::<Vec<_>>().into()).unwrap();
            assert_eq!(warnings, Vec::<String>::new());
            for column in [Handle, Title, Body, Sku, Price, Image] {
                assert!(header.has(column), "{column:?} in {line}");
            }
            assert!(header.has_variants());
        }
        let line = ["Title", "Colour", "title", "Mood", "Care (product.metafields.custom.care_guide)"];
        let (header, warnings) = Header::read(&line.to_vec().into()).unwrap();
        assert_eq!(
            warnings,
            [
                "the column `title` is there twice; the first one counts",
                "columns that are not known are left out: `Colour`, `Mood`",
            ]
        );
        assert_eq!(header.attributes, [("care_guide".to_owned(), 4)]);
        assert!(!header.has_variants());
        assert!(Header::read(&vec!["slug", "name"].into()).is_err());
    }
}
