//! Filling a shop with a catalogue: the sample shop, or a public one in its own format.
//!
//! Everything goes through the API as the system caller, so that seeded data meets the same rules as a client's.
//! What is there already (by slug, stock by SKU) is left alone, so seeding twice changes nothing. How foreign formats are mapped
//! is written down in `docs/IMPORT.md`.

pub mod dummyjson;
mod load;
mod sample;
pub mod spree;
mod stock;
#[cfg(test)]
mod tests;
pub(crate) mod text;

use std::future::Future;

use serde::Serialize;
use serde_json::{Map, Value};

pub use load::load;
pub use sample::sample_shop;

/// The API, called as the system: every permission, no HTTP.
pub trait SystemApi: Sync {
    /// Answers the status and the body, null when there is none. `path` is below the API base: `/products`.
    fn request(
        &self,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> impl Future<Output = Result<(u16, Value), SystemApiError>> + Send {
        self.request_with(method, path, body, &[])
    }

    /// The same with headers, such as `Idempotency-Key`.
    fn request_with(
        &self,
        method: &str,
        path: &str,
        body: Option<Value>,
        headers: &[(&str, &str)],
    ) -> impl Future<Output = Result<(u16, Value), SystemApiError>> + Send;
}

/// The API did not answer at all.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct SystemApiError(pub String);

/// What to create. Parents come before their children.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Catalogue {
    pub categories: Vec<CategorySeed>,
    pub products: Vec<ProductSeed>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct CategorySeed {
    pub slug: String,
    pub parent_slug: Option<String>,
    /// The request body without `parentId`.
    pub body: Map<String, Value>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ProductSeed {
    pub slug: String,
    pub category_slugs: Vec<String>,
    /// The request body without `categoryIds`.
    pub body: Map<String, Value>,
    /// Pieces on hand by SKU, for those whose stock is known.
    pub stock: Vec<(String, i64)>,
}

/// What became of a catalogue.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SeedReport {
    pub categories_created: usize,
    pub categories_skipped: usize,
    pub products_created: usize,
    pub products_skipped: usize,
    /// SKUs that got their first stock.
    pub stocked: usize,
    /// What the API refused, in words.
    pub refused: Vec<String>,
}

/// Why a file could not be read as a catalogue.
#[derive(Debug, thiserror::Error)]
pub enum MappingError {
    #[error("line {line}: {message}")]
    Line { line: u64, message: String },
    #[error("the file is not in the expected format: {0}")]
    Format(String),
    #[error("`{item}`: {message}")]
    Item { item: String, message: String },
}

impl MappingError {
    fn item(item: &str, message: impl Into<String>) -> Self {
        Self::Item { item: item.to_owned(), message: message.into() }
    }
}
