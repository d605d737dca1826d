//! Sending a catalogue to the API.

use std::collections::HashMap;

use futures_util::{StreamExt, stream};
use serde_json::{Map, Value, json};

use super::{Catalogue, CategorySeed, ProductSeed, SeedReport, SystemApi, SystemApiError, stock};

/// Products created side by side: enough for the store to put several into one commit to disk.
const PARALLEL: usize = 16;

enum Outcome {
    Created(String),
    Skipped(String),
    Refused(String),
}

/// Creates what is missing. `progress` hears how many of how many items are done. An item that the API refuses is
/// reported and the rest goes on; an API that does not answer ends it.
pub async fn load(
    api: &impl SystemApi,
    catalogue: &Catalogue,
    mut progress: impl FnMut(usize, usize),
) -> Result<SeedReport, SystemApiError> {
    let total = catalogue.categories.len() + catalogue.products.len();
    let mut report = SeedReport::default();
    let mut ids = HashMap::new();
    // One after the other: a child needs its parent's id.
    for (done, category) in catalogue.categories.iter().enumerate() {
        match category_create(api, category, &ids).await? {
            Outcome::Created(id) => {
                report.categories_created += 1;
                ids.insert(category.slug.as_str(), id);
            }
            Outcome::Skipped(id) => {
                report.categories_skipped += 1;
                ids.insert(category.slug.as_str(), id);
            }
            Outcome::Refused(reason) => report.refused.push(reason),
        }
        progress(done + 1, total);
    }
    let ids = &ids;
    let stocks = catalogue.products.iter().any(|product| !product.stock.is_empty());
    let stocks = stocks && stock::is_kept(api).await?;
    let mut products = stream::iter(&catalogue.products)
        .map(|product| product_load(api, product, ids, stocks))
        .buffer_unordered(PARALLEL);
    let mut done = catalogue.categories.len();
    while let Some(loaded) = products.next().await {
        let loaded = loaded?;
        match loaded.outcome {
            Outcome::Created(_) => report.products_created += 1,
            Outcome::Skipped(_) => report.products_skipped += 1,
            Outcome::Refused(reason) => report.refused.push(reason),
        }
        report.stocked += loaded.stocked;
        report.refused.extend(loaded.refused);
        done += 1;
        progress(done, total);
    }
    Ok(report)
}

async fn category_create(
    api: &impl SystemApi,
    category: &CategorySeed,
    ids: &HashMap<&str, String>,
) -> Result<Outcome, SystemApiError> {
    let mut body = category.body.clone();
    if let Some(parent) = &category.parent_slug {
        let Some(id) = ids.get(parent.as_str()) else {
            return Ok(Outcome::Refused(format!(
                "category `{}`: its parent `{parent}` is missing",
                category.slug
            )));
        };
        body.insert("parentId".to_owned(), json!(id));
    }
    create(api, "category", "/categories", &category.slug, body).await
}

/// What became of a product and its stock.
struct Loaded {
    outcome: Outcome,
    stocked: usize,
    refused: Vec<String>,
}

async fn product_load(
    api: &impl SystemApi,
    product: &ProductSeed,
    ids: &HashMap<&str, String>,
    stocks: bool,
) -> Result<Loaded, SystemApiError> {
    let outcome = product_create(api, product, ids).await?;
    let mut loaded = Loaded { outcome, stocked: 0, refused: Vec::new() };
    let new = match &loaded.outcome {
        Outcome::Created(_) => true,
        Outcome::Skipped(_) => false,
        Outcome::Refused(_) => return Ok(loaded),
    };
    if stocks {
        loaded.stocked = stock::fill(api, product, new, &mut loaded.refused).await?;
    }
    Ok(loaded)
}

async fn product_create(
    api: &impl SystemApi,
    product: &ProductSeed,
    ids: &HashMap<&str, String>,
) -> Result<Outcome, SystemApiError> {
    let mut body = product.body.clone();
    let mut category_ids = Vec::new();
    for slug in &product.category_slugs {
        match ids.get(slug.as_str()) {
            Some(id) => category_ids.push(id),
            None => {
                return Ok(Outcome::Refused(format!(
                    "product `{}`: its category `{slug}` is missing",
                    product.slug
                )));
            }
        }
    }
    body.insert("categoryIds".to_owned(), json!(category_ids));
    create(api, "product", "/products", &product.slug, body).await
}

async fn create(
    api: &impl SystemApi,
    noun: &str,
    collection: &str,
    slug: &str,
    body: Map<String, Value>,
) -> Result<Outcome, SystemApiError> {
    if let Some(id) = find(api, collection, slug).await? {
        return Ok(Outcome::Skipped(id));
    }
    let (status, answer) = api.request("POST", collection, Some(Value::Object(body))).await?;
    match (status, answer["id"].as_str()) {
        (201, Some(id)) => Ok(Outcome::Created(id.to_owned())),
        // Somebody else was faster, or another seed runs.
        (409, _) => match find(api, collection, slug).await? {
            Some(id) => Ok(Outcome::Skipped(id)),
            None => Ok(Outcome::Refused(refusal(noun, slug, status, &answer))),
        },
        _ => Ok(Outcome::Refused(refusal(noun, slug, status, &answer))),
    }
}

async fn find(api: &impl SystemApi, collection: &str, slug: &str) -> Result<Option<String>, SystemApiError> {
    let path = format!("{collection}/by-slug/{slug}");
    match api.request("GET", &path, None).await? {
        (200, found) => Ok(found["id"].as_str().map(str::to_owned)),
        (404, problem) if problem["code"] == "not_found" => Ok(None),
        (status, problem) => Err(SystemApiError(format!(
            "the API answered GET {path} with {status} {}",
            problem["code"].as_str().unwrap_or("and no code")
        ))),
    }
}

/// A problem in one line: what, the status, and each thing that was wrong.
pub(super) fn refusal(noun: &str, slug: &str, status: u16, problem: &Value) -> String {
    let errors = problem["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut details: Vec<String> = errors
        .iter()
        .map(|error| {
            let text = |member: &str| error[member].as_str().unwrap_or_default();
            format!("{} {}", text("pointer"), text("message"))
        })
        .collect();
    if details.is_empty() {
        let detail = problem["detail"].as_str().or(problem["title"].as_str());
        details.push(detail.unwrap_or("no reason given").to_owned());
    }
    let code = problem["code"].as_str().unwrap_or("no code");
    format!("{noun} `{slug}` was refused with {status} {code}: {}", details.join("; "))
}
