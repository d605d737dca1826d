//! What is sold, and for how much: products as the plugin `products` stores them.

use std::{borrow::Cow, collections::BTreeMap};

use plugin_sdk::{
    Context, Document, FieldError, Filter, Query, Result, Scalar, StoreError,
    list_price::{StoredPrice, quote},
};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{PRODUCTS, model::CartItemInput};

/// Most products asked for at once: a page of them is read in one piece.
const BATCH: usize = 250;

/// How something to buy is named.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum VariantKey {
    Id(String),
    Sku(String),
}

impl VariantKey {
    /// What an item names, whose JSON pointer is `at`.
    ///
    /// # Errors
    /// It names nothing, or names it twice.
    pub(crate) fn of(item: &CartItemInput, at: &str) -> Result<Self, FieldError> {
        match (&item.variant_id, &item.sku) {
            (Some(id), None) => Ok(Self::Id(id.clone())),
            (None, Some(sku)) => Ok(Self::Sku(sku.clone())),
            _ => Err(FieldError::invalid(at, "An item has either a `variantId` or a `sku`.")),
        }
    }

    /// What it is named by.
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Id(text) | Self::Sku(text) => text,
        }
    }
}

/// A variant as it is now.
#[derive(Debug, Clone)]
pub(crate) struct Variant {
    pub id: String,
    pub product_id: String,
    pub sku: String,
    /// The product's.
    pub name: String,
    /// Whether its product is sold at all.
    pub is_active: bool,
    /// Empty where the product has none.
    pub tax_class: String,
    pub category_ids: Vec<String>,
    pub weight_grams: u64,
    pub track_inventory: bool,
    /// It sells also without stock.
    pub backorder: bool,
    /// The JSON of its prices.
    prices: String,
}

/// The variants that were looked up.
#[derive(Debug, Default)]
pub(crate) struct Catalogue {
    variants: Vec<Variant>,
    by_id: BTreeMap<String, usize>,
    by_sku: BTreeMap<String, usize>,
}

impl Catalogue {
    /// Looks variants up, all in one query for each way of naming them where they are not too many. Those that are in
    /// no product are left out.
    ///
    /// # Errors
    /// Those of the store.
    pub(crate) fn read<'k>(
        ctx: &Context<'_>,
        keys: impl Iterator<Item = &'k VariantKey>,
    ) -> Result<Self, StoreError> {
        let (mut ids, mut skus) = (Vec::new(), Vec::new());
        for key in keys {
            match key {
                VariantKey::Id(id) => ids.push(id.as_str()),
                VariantKey::Sku(sku) => skus.push(sku.as_str()),
            }
        }
        let mut catalogue = Self::default();
        for (path, mut values) in [("variants.id", ids), ("variants.sku", skus)] {
            // No text that is looked up holds NUL, so the store takes none in a query.
            values.retain(|value| !value.contains('\0'));
            values.sort_unstable();
            values.dedup();
            for batch in values.chunks(BATCH) {
                catalogue.add(ctx, path, batch)?;
            }
        }
        Ok(catalogue)
    }

    pub(crate) fn get(&self, key: &VariantKey) -> Option<&Variant> {
        let index = match key {
            VariantKey::Id(id) => self.by_id.get(id),
            VariantKey::Sku(sku) => self.by_sku.get(sku),
        };
        self.variants.get(*index?)
    }

    fn add(&mut self, ctx: &Context<'_>, path: &str, wanted: &[&str]) -> Result<(), StoreError> {
        let values = wanted.iter().map(|&value| Scalar::Text(value.to_owned())).collect();
        let query = Query {
            filter: Filter::In(path.to_owned(), values),
            fields: ["name", "status", "taxClass", "categoryIds", "variants"].map(str::to_owned).to_vec(),
            limit: BATCH as u32,
            ..Query::default()
        };
        for document in ctx.find_raw(PRODUCTS, &query)?.documents {
            let is_wanted = |variant: &Named<'_>| {
                let value = if path == "variants.id" { &variant.id } else { &variant.sku };
                wanted.binary_search(&&**value).is_ok()
            };
            self.add_product(ctx, &document, is_wanted)?;
        }
        Ok(())
    }

    fn add_product(
        &mut self,
        ctx: &Context<'_>,
        document: &Document,
        is_wanted: impl Fn(&Named<'_>) -> bool,
    ) -> Result<(), StoreError> {
        let unreadable =
            |_| StoreError::Unavailable(format!("document {} of {PRODUCTS} cannot be read", document.id));
        let product: StoredProduct<'_> = ctx.read(PRODUCTS, document)?;
        for raw in &product.variants {
            let named: Named<'_> = serde_json::from_str(raw.get()).map_err(unreadable)?;
            if !is_wanted(&named) || self.by_id.contains_key(&*named.id) {
                continue;
            }
            let variant: StoredVariant<'_> = serde_json::from_str(raw.get()).map_err(unreadable)?;
            let index = self.variants.len();
            self.by_id.insert(named.id.to_string(), index);
            self.by_sku.insert(named.sku.to_string(), index);
            self.variants.push(Variant {
                id: named.id.into_owned(),
                product_id: document.id.clone(),
                sku: named.sku.into_owned(),
                name: product.name.clone(),
                is_active: product.status == "active",
                tax_class: product.tax_class.clone().unwrap_or_default(),
                category_ids: product.category_ids.clone(),
                weight_grams: variant.weight_grams.unwrap_or_default(),
                track_inventory: variant.track_inventory,
                backorder: variant.backorder == "allow",
                prices: variant.prices.get().to_owned(),
            });
        }
        Ok(())
    }
}

impl Variant {
    /// What one piece costs somebody in these groups who buys so many; `None` where it is not sold, or not in this
    /// currency.
    pub(crate) fn unit_price(
        &self,
        currency: &str,
        groups: &[String],
        quantity: u32,
        now: &str,
    ) -> Option<i64> {
        if !self.is_active {
            return None;
        }
        let prices: Vec<StoredPrice<'_>> = serde_json::from_str(&self.prices).ok()?;
        let quoted = quote(prices.iter().map(StoredPrice::terms), currency, groups, i64::from(quantity), now);
        quoted.price.map(|price| price.amount)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StoredProduct<'d> {
    name: String,
    status: String,
    tax_class: Option<String>,
    #[serde(default)]
    category_ids: Vec<String>,
    /// Read one by one: most of them are not wanted.
    #[serde(borrow)]
    variants: Vec<&'d RawValue>,
}

#[derive(Deserialize)]
struct Named<'d> {
    #[serde(borrow)]
    id: Cow<'d, str>,
    #[serde(borrow)]
    sku: Cow<'d, str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StoredVariant<'d> {
    #[serde(borrow)]
    prices: &'d RawValue,
    weight_grams: Option<u64>,
    track_inventory: bool,
    backorder: &'d str,
}
