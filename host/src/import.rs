//! Catalogues, people and orders from files, and catalogues into files, for shops that run: many rows, some of them broken, the command killed half-way.
//!
//! Everything goes through the API as the system caller, so that imported data meets the rules of the plugins. Invariants:
//! - Memory does not grow with the file. It is read by a thread of its own and sent batch by batch.
//! - A broken row is told and stops nothing else. Rows are told in the order of the file.
//! - What a killed import did is not done twice by the next one: products are found by their slug and variants by their
//!   SKU, stock is adjusted under keys that the journal keeps, and what is known to be done is not sent again.
//! - A dry run asks the API for commits that cannot come about (`trial`), and so writes nothing. Of people and
//!   orders it only looks up who and what is there.
//!
//! `docs/IMPORT.md` has the formats. The first fill of a shop is the module `seed`.

mod answers;
mod batch;
mod export;
mod journal;
mod mistakes;
mod ndjson;
mod orders;
mod run;
mod send;
mod shelves;
mod shopify;
mod stock;
#[cfg(test)]
mod tests;
mod trial;
mod users;

use std::{io, path::PathBuf};

use iso_currency::Currency;
use serde::Serialize;
use serde_json::{Map, Value};

pub use self::{
    export::{ExportError, Sink as ExportSink, categories as export_categories, products as export_products},
    journal::{Journal, JournalError, file_hash},
    mistakes::MistakesFile,
    run::{Told, run},
    shopify::Writer as ShopifyWriter,
};
use crate::seed::SystemApiError;

/// What is imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Products,
    Categories,
    /// Customers, found by their address.
    Users,
    /// Placed in another shop, found by their number.
    Orders,
}

/// How the file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    ShopifyCsv,
    Ndjson,
}

/// What happens to what the shop has already, by slug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    Update,
    Skip,
    Fail,
}

/// What happens to the stock that the file tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StockMode {
    /// SKUs without a level get one; a level that exists is left alone.
    New,
    /// What is on hand becomes what the file says.
    Set,
    /// None is looked at.
    Leave,
}

/// The column of Shopify's that categories are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CategoryFrom {
    Type,
    ProductCategory,
}

/// One import.
#[derive(Debug, Clone)]
pub struct Options {
    pub file: PathBuf,
    pub kind: Kind,
    pub format: Format,
    pub existing: Existing,
    pub stock: StockMode,
    pub category_from: Option<CategoryFrom>,
    /// Of amounts in CSV.
    pub currency: Currency,
    pub dry_run: bool,
}

impl Options {
    /// What makes two imports of one file different ones.
    pub fn fingerprint(&self) -> String {
        let Self { kind, format, existing, stock, category_from, currency, .. } = self;
        format!("{kind:?} {format:?} {existing:?} {stock:?} {category_from:?} {}", currency.code())
    }
}

/// Where something is in the file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// As a spreadsheet counts: the header is row 1. In NDJSON, the line.
    pub row: u64,
    /// Cells may have line breaks, so a row can begin on a later line than its number says.
    pub line: u64,
}

/// Something in the file that was not done, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Mistake {
    pub row: u64,
    pub line: u64,
    /// Of the product or category, when it is known.
    pub slug: Option<String>,
    /// The column of a CSV, as the file writes it.
    pub column: Option<String>,
    /// The place in the API's request; empty where it is about all of it.
    pub pointer: String,
    /// One of the API's error codes.
    pub code: String,
    pub message: String,
}

impl Mistake {
    fn new(place: Place, slug: Option<&str>, code: &str, message: impl Into<String>) -> Self {
        Self {
            row: place.row,
            line: place.line,
            slug: slug.map(str::to_owned),
            column: None,
            pointer: String::new(),
            code: code.to_owned(),
            message: message.into(),
        }
    }

    fn at(mut self, pointer: impl Into<String>, column: Option<&str>) -> Self {
        self.pointer = pointer.into();
        self.column = column.map(str::to_owned);
        self
    }
}

/// A product, a category, a person or an order as the file has it.
#[derive(Debug, Clone, Default)]
struct Draft {
    /// Its number in the file, from 0.
    index: u64,
    place: Place,
    /// The last line that belongs to it.
    end_line: u64,
    /// What it is found by in the shop: of a person the address, of an order the number.
    slug: String,
    /// The request's members but for references to categories.
    body: Map<String, Value>,
    /// The categories of a product, or the parent of a category; none where the file says nothing of them.
    shelves: Option<Vec<Shelf>>,
    stock: Vec<Count>,
    /// What comes from a CSV: it is merged into the product that exists, and knows its cells.
    sheet: Option<shopify::Sheet>,
}

/// A reference to a category.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Shelf {
    slug: String,
    /// The names from the root on, for a category that may be made; empty where it must be there.
    names: Vec<String>,
}

/// Pieces of a SKU.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Count {
    sku: String,
    on_hand: i64,
    place: Place,
    /// Its place in the body.
    pointer: String,
}

/// What the file is made of.
enum Item {
    Draft(Box<Draft>),
    /// A product or category that cannot be read.
    Refused(Vec<Mistake>),
    /// A row that cannot be read, of a product that can.
    Mistake(Mistake),
    /// About the file as a whole.
    Warning(String),
}

/// What became of an import.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    pub dry_run: bool,
    pub created: u64,
    pub updated: u64,
    /// Left alone because the shop has them.
    pub skipped: u64,
    /// Done by the run that this one continues.
    pub done_before: u64,
    /// Products or categories that were not imported.
    pub refused: u64,
    /// Everything that was wrong, also in products that were imported without a row.
    pub mistakes: u64,
    pub categories_created: u64,
    /// SKUs whose stock was set.
    pub stocked: u64,
    /// In a dry run, what continues a product of the same file and could not be tried.
    pub untried: u64,
}

/// Why an import ended early.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error("the API does not answer")]
    Api(#[source] SystemApiError),
    #[error("the API answered {what} with {status} {code}")]
    Refused { what: String, status: u16, code: String },
    #[error("the file cannot be read")]
    Read(#[source] io::Error),
    #[error("{0}")]
    Format(String),
    #[error("the list of errors cannot be written")]
    Mistakes(#[source] io::Error),
    #[error("the journal cannot be written")]
    Journal(#[source] io::Error),
    #[error("a commit that could not come about did, so the dry run has written to the shop")]
    TrialCommitted,
}

impl From<SystemApiError> for ImportError {
    fn from(error: SystemApiError) -> Self {
        Self::Api(error)
    }
}
