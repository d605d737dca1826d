//! The sample shop, which is part of the binary.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::{Catalogue, CategorySeed, MappingError, ProductSeed};

const CATEGORIES: &str = include_str!("../../assets/sample-shop/categories.ndjson");
const PRODUCTS: &str = include_str!("../../assets/sample-shop/products.ndjson");
const STOCK: &str = include_str!("../../assets/sample-shop/stock.ndjson");

/// 63 categories and 255 products of a general store, with their stock. Their members are those of the API, but for
/// `parentSlug` and `categorySlugs`.
pub fn sample_shop() -> Result<Catalogue, MappingError> {
    catalogue(CATEGORIES, PRODUCTS, STOCK)
}

pub(super) fn catalogue(categories: &str, products: &str, stock: &str) -> Result<Catalogue, MappingError> {
    let stock = lines(stock, |body| {
        let sku = body.get("sku").and_then(Value::as_str).ok_or("`sku` is missing")?;
        let on_hand = body.get("onHand").and_then(Value::as_i64).ok_or("`onHand` is missing")?;
        Ok((sku.to_owned(), on_hand))
    })?;
    let stock: HashMap<String, i64> = stock.into_iter().collect();
    let categories = lines(categories, |mut body| {
        let parent_slug = body.shift_remove("parentSlug").and_then(|slug| slug.as_str().map(str::to_owned));
        Ok(CategorySeed { slug: slug(&body)?, parent_slug, body })
    })?;
    let products = lines(products, |mut body| {
        let slugs = body.shift_remove("categorySlugs").unwrap_or_default();
        let category_slugs =
            serde_json::from_value(slugs).map_err(|_| "`categorySlugs` is no list of texts")?;
        let variants = body.get("variants").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let skus = variants.iter().filter_map(|variant| variant["sku"].as_str());
        let stock = skus.filter_map(|sku| Some((sku.to_owned(), *stock.get(sku)?))).collect();
        Ok(ProductSeed { slug: slug(&body)?, category_slugs, stock, body })
    })?;
    Ok(Catalogue { categories, products })
}

fn slug(body: &Map<String, Value>) -> Result<String, String> {
    body.get("slug").and_then(Value::as_str).map(str::to_owned).ok_or_else(|| "`slug` is missing".to_owned())
}

fn lines<T>(
    text: &str,
    mut read: impl FnMut(Map<String, Value>) -> Result<T, String>,
) -> Result<Vec<T>, MappingError> {
    let lines = text.lines().zip(1..).filter(|(line, _)| !line.trim().is_empty());
    let read = |(text, line): (&str, u64)| {
        let body = serde_json::from_str(text).map_err(|error| error.to_string());
        body.and_then(&mut read).map_err(|message| MappingError::Line { line, message })
    };
    lines.map(read).collect()
}
