//! `products.json` of DummyJSON. The mapping is described in `docs/IMPORT.md`.

use std::collections::HashSet;

use serde::Deserialize;
use serde_json::{Map, Number, Value, json};

use super::{
    Catalogue, CategorySeed, MappingError, ProductSeed,
    text::{minor_units, slug, title},
};

/// The members that are used. Others are ignored: reviews and logistics are not part of a catalogue.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    id: i64,
    title: String,
    description: String,
    category: String,
    price: Number,
    #[serde(default)]
    tags: Vec<String>,
    brand: Option<String>,
    sku: String,
    stock: Option<i64>,
    warranty_information: Option<String>,
    shipping_information: Option<String>,
    return_policy: Option<String>,
    #[serde(default)]
    meta: Meta,
    #[serde(default)]
    images: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
struct Meta {
    barcode: Option<String>,
}

/// The array itself, or the API's page around it.
#[derive(Deserialize)]
#[serde(untagged)]
enum File {
    Items(Vec<Item>),
    Page { products: Vec<Item> },
}

/// Maps the text of the file.
pub fn catalogue(text: &str) -> Result<Catalogue, MappingError> {
    let file = serde_json::from_str(text)
        .map_err(|error| MappingError::Format(format!("{error}, DummyJSON products")))?;
    let (File::Items(items) | File::Page { products: items }) = file;
    let mut catalogue = Catalogue::default();
    let (mut categories, mut slugs) = (HashSet::new(), HashSet::new());
    for item in items {
        if categories.insert(slug(&item.category)) {
            catalogue.categories.push(category(&item.category));
        }
        let mut product = product(item)?;
        // Two products may have one title; the SKU is unique.
        if !slugs.insert(product.slug.clone()) {
            let sku = product.body["variants"][0]["sku"].as_str().unwrap_or_default();
            product.slug = format!("{}-{}", product.slug, slug(sku));
            product.body.insert("slug".to_owned(), json!(product.slug));
            slugs.insert(product.slug.clone());
        }
        catalogue.products.push(product);
    }
    Ok(catalogue)
}

fn category(name: &str) -> CategorySeed {
    let slug = slug(name);
    let mut body = Map::new();
    body.insert("slug".to_owned(), json!(slug));
    body.insert("name".to_owned(), json!(title(&slug)));
    body.insert("active".to_owned(), json!(true));
    CategorySeed { slug, parent_slug: None, body }
}

fn product(item: Item) -> Result<ProductSeed, MappingError> {
    let amount = minor_units(&item.price.to_string(), 2).ok_or_else(|| {
        MappingError::item(&item.title, format!("the price {} is no amount of dollars", item.price))
    })?;
    let mut attributes = Map::new();
    for (name, value) in [
        ("brand", item.brand),
        ("warranty", item.warranty_information),
        ("shipping", item.shipping_information),
        ("returns", item.return_policy),
    ] {
        if let Some(value) = value {
            attributes.insert(name.to_owned(), Value::String(value));
        }
    }
    let stock = item.stock.map(|stock| (item.sku.clone(), stock)).into_iter().collect();
    let mut variant = json!({
        "sku": item.sku,
        "optionValues": {},
        "prices": [{"amount": amount, "currency": "USD"}],
    });
    if let Some(barcode) = item.meta.barcode {
        variant["barcode"] = Value::String(barcode);
    }
    let media: Vec<Value> = item.images.iter().map(|url| json!({"url": url, "alt": item.title})).collect();
    let slug = slug(&item.title);
    let body = json!({
        "slug": slug,
        "name": item.title,
        "description": item.description,
        "status": "active",
        "tags": item.tags,
        "options": [],
        "variants": [variant],
        "media": media,
        "attributes": attributes,
        "metadata": {"source": "dummyjson", "sourceId": item.id.to_string()},
    });
    let Value::Object(body) = body else { unreachable!("the literal is an object") };
    Ok(ProductSeed { slug, category_slugs: vec![self::slug(&item.category)], stock, body })
}
