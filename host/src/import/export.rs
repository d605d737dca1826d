//! The catalogue into a file that an import takes.
//!
//! Everything is read page by page in the order of the slugs, so two shops with the same catalogue give the same file.
//! A product that changes meanwhile is written as it is when its page is read; one whose slug changes meanwhile may be
//! left out or come twice. A backup (`wares db backup`) is of one moment.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    io::{self, Write},
};

use serde_json::{Map, Value, json};

use super::{
    answers::{Refusal, escaped},
    shelves::slug_of,
    shopify,
};
use crate::seed::{SystemApi, SystemApiError};

/// Products that are read at once. Fewer where their pages are too large for an answer.
const PAGE: usize = 100;

#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error("the API does not answer")]
    Api(#[source] SystemApiError),
    #[error("the API answered GET {path} with {status} {code}")]
    Refused { path: String, status: u16, code: String },
    #[error("the file cannot be written")]
    Write(#[source] io::Error),
}

impl From<SystemApiError> for ExportError {
    fn from(error: SystemApiError) -> Self {
        Self::Api(error)
    }
}

/// Where products go: lines of JSON, or rows of a sheet.
pub enum Sink<W: Write> {
    Ndjson(W),
    Shopify(Box<shopify::Writer<W>>),
}

impl<W: Write> Sink<W> {
    fn product(&mut self, product: &Value) -> io::Result<()> {
        match self {
            Self::Ndjson(out) => writeln!(out, "{product}"),
            Self::Shopify(out) => out.product(product),
        }
    }

    fn finish(&mut self) -> io::Result<()> {
        match self {
            Self::Ndjson(out) => out.flush(),
            Self::Shopify(out) => out.flush(),
        }
    }
}

/// Writes all categories, parents before their children, and answers how many.
///
/// # Errors
/// The API or the file.
pub async fn categories(api: &impl SystemApi, mut out: impl Write) -> Result<u64, ExportError> {
    // In memory: a shop has thousands of them at most.
    let mut by_depth: BTreeMap<u64, Vec<Value>> = BTreeMap::new();
    let mut slugs = HashMap::new();
    let mut pages = Pages::new("/categories");
    while let Some(category) = pages.next(api).await? {
        slugs.extend(slug_of(&category));
        by_depth.entry(category["depth"].as_u64().unwrap_or_default()).or_default().push(category);
    }
    let mut count = 0;
    for category in by_depth.into_values().flatten() {
        let parent = category["parentId"].as_str().and_then(|id| slugs.get(id));
        let mut line = json!({"slug": category["slug"], "parent": parent});
        keep(&mut line, &category, &["name", "description", "rank", "active", "metadata"]);
        writeln!(out, "{line}").map_err(ExportError::Write)?;
        count += 1;
    }
    out.flush().map_err(ExportError::Write)?;
    Ok(count)
}

/// Writes all products with their stock, and answers how many. `progress` hears how many are written.
///
/// # Errors
/// The API or the file.
pub async fn products<W: Write>(
    api: &impl SystemApi,
    sink: &mut Sink<W>,
    mut progress: impl FnMut(u64),
) -> Result<u64, ExportError> {
    let mut shelves = HashMap::new();
    let mut pages = Pages::new("/categories");
    while let Some(category) = pages.next(api).await? {
        shelves.extend(slug_of(&category));
    }
    let stocked = api.request("GET", "/inventory?limit=1", None).await?.0 == 200;
    let mut count = 0;
    let mut pages = Pages::new("/products");
    loop {
        let products = pages.page(api).await?;
        if products.is_empty() {
            break;
        }
        let levels = if stocked { levels(api, &products).await? } else { HashMap::new() };
        for product in &products {
            let line = line(api, product, &mut shelves, &levels).await?;
            sink.product(&line).map_err(ExportError::Write)?;
            count += 1;
        }
        progress(count);
    }
    sink.finish().map_err(ExportError::Write)?;
    Ok(count)
}

/// A product as an import takes it: without what is of this shop only, and without what is computed.
async fn line(
    api: &impl SystemApi,
    product: &Value,
    shelves: &mut HashMap<String, String>,
    levels: &HashMap<String, i64>,
) -> Result<Value, ExportError> {
    let mut slugs = Vec::new();
    for id in product["categoryIds"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !shelves.contains_key(id) {
            // Made since the categories were read.
            let (status, category) =
                api.request("GET", &format!("/categories/{}", escaped(id)), None).await?;
            if status == 200 {
                shelves.extend(slug_of(&category));
            }
        }
        slugs.extend(shelves.get(id).cloned());
    }
    let mut line = Value::Object(Map::new());
    keep(&mut line, product, &["slug", "name", "description", "status"]);
    line["categories"] = json!(slugs);
    keep(&mut line, product, &["tags", "options"]);
    let variants = product["variants"].as_array().into_iter().flatten().map(|variant| {
        let mut kept = Value::Object(Map::new());
        let members =
            ["sku", "optionValues", "barcode", "prices", "weightGrams", "trackInventory", "backorder"];
        keep(&mut kept, variant, &members);
        if let Some(on_hand) = variant["sku"].as_str().and_then(|sku| levels.get(sku)) {
            kept["onHand"] = json!(on_hand);
        }
        keep(&mut kept, variant, &["metadata"]);
        kept
    });
    line["variants"] = variants.collect();
    keep(&mut line, product, &["media", "attributes", "taxClass", "seo", "metadata"]);
    Ok(line)
}

fn keep(line: &mut Value, whole: &Value, members: &[&str]) {
    for member in members {
        if let Some(value) = whole.get(member) {
            line[*member] = value.clone();
        }
    }
}

/// What is on hand of the SKUs of a page.
async fn levels(api: &impl SystemApi, products: &[Value]) -> Result<HashMap<String, i64>, ExportError> {
    let variants = products.iter().flat_map(|product| product["variants"].as_array().into_iter().flatten());
    let skus = variants.filter_map(|variant| variant["sku"].as_str());
    // A list of values is split at commas, and a SKU may have one.
    let (alone, together): (Vec<&str>, Vec<&str>) = skus.partition(|sku| sku.contains(','));
    let mut queries: Vec<String> = together
        .chunks(PAGE)
        .map(|skus| {
            let skus: Vec<String> = skus.iter().map(|sku| escaped(sku)).collect();
            format!("/inventory?limit={PAGE}&count=none&filter[sku][in]={}", skus.join(","))
        })
        .collect();
    queries.extend(alone.iter().map(|sku| format!("/inventory?filter[sku][eq]={}", escaped(sku))));
    let mut levels = HashMap::new();
    for query in queries {
        match api.request("GET", &query, None).await? {
            (200, Value::Array(found)) => {
                let level =
                    |level: &Value| Some((level["sku"].as_str()?.to_owned(), level["onHand"].as_i64()?));
                levels.extend(found.iter().filter_map(level));
            }
            (status, problem) => return Err(refused(&query, Refusal::of(status, &problem))),
        }
    }
    Ok(levels)
}

/// A list from its first page to its last, by slug.
struct Pages {
    path: &'static str,
    limit: usize,
    last: Option<String>,
    read: VecDeque<Value>,
}

impl Pages {
    fn new(path: &'static str) -> Self {
        Self { path, limit: PAGE, last: None, read: VecDeque::new() }
    }

    /// The next page; an empty one at the end.
    async fn page(&mut self, api: &impl SystemApi) -> Result<Vec<Value>, ExportError> {
        let mut tries = 0;
        loop {
            let query = after(self.path, self.last.as_deref(), self.limit);
            let refusal = match page(api, &query).await? {
                Ok(items) => {
                    let last = items.last().and_then(|it| it["slug"].as_str()).map(str::to_owned);
                    self.last = last.or(self.last.take());
                    return Ok(items);
                }
                Err(refusal) => refusal,
            };
            tries += 1;
            // Products with many variants make pages that are larger than an answer may be.
            if refusal.status >= 500 && !refusal.is_busy() && self.limit > 1 {
                self.limit = self.limit.div_ceil(4);
            } else if refusal.is_trouble() && tries < 10 {
                super::send::pause(tries).await;
            } else {
                return Err(refused(self.path, refusal));
            }
        }
    }

    async fn next(&mut self, api: &impl SystemApi) -> Result<Option<Value>, ExportError> {
        if self.read.is_empty() {
            self.read = self.page(api).await?.into();
        }
        Ok(self.read.pop_front())
    }
}

fn refused(path: &str, refusal: Refusal) -> ExportError {
    ExportError::Refused { path: path.to_owned(), status: refusal.status, code: refusal.code }
}

/// A page of a list.
async fn page(api: &impl SystemApi, query: &str) -> Result<Result<Vec<Value>, Refusal>, ExportError> {
    match api.request("GET", query, None).await? {
        (200, Value::Array(items)) => Ok(Ok(items)),
        (status, problem) => Ok(Err(Refusal::of(status, &problem))),
    }
}

/// The query for what comes after a slug.
fn after(path: &str, slug: Option<&str>, limit: usize) -> String {
    let after = slug.map(|slug| format!("&filter[slug][gt]={}", escaped(slug))).unwrap_or_default();
    format!("{path}?limit={limit}&count=none&sort=slug{after}")
}
