//! The list price of a product as lists filter and sort by it: the lowest price of its variants for one piece and for
//! everybody, now, in each of the shop's currencies.
//!
//! It is stored with the product in a member that nobody is shown, in one indexed place for each configured currency.
//! A stored price is right until the next moment at which a price of the product starts or ends, which is stored too.
//! Before a list names the price, products whose moment has come are computed again, and so are those that were
//! computed for other currencies. Computing again gives a product a new version, as its price has changed.

use std::collections::BTreeMap;

use plugin_sdk::{
    Context, Direction, FieldOperation, Filter, ListQuery, Problem, Query, Refusal, Result, Scalar, SortKey,
    StoreError,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    Config,
    handlers::PRODUCTS,
    model::{VariantInput, VariantPrice},
    rules::{PriceTerms, quote},
    view::sooner,
};

/// What a request calls the price.
pub(crate) const PRICE: &str = "price";
/// The member that nobody is shown.
pub(crate) const COMPUTED: &str = "_computed";
pub(crate) const CHANGES_AT: &str = "_computed.changesAt";
pub(crate) const CURRENCIES: &str = "_computed.currencies";
/// Where the price in each of the configured currencies is. Each costs every write an index.
pub(crate) const SLOTS: [&str; 6] = [
    "_computed.listPrice.c0",
    "_computed.listPrice.c1",
    "_computed.listPrice.c2",
    "_computed.listPrice.c3",
    "_computed.listPrice.c4",
    "_computed.listPrice.c5",
];

/// Most products computed again in one commit, and most such commits of one request.
const BATCH: u32 = 100;
const ROUNDS_MAX: usize = 20;

/// What is stored with a product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Computed {
    list_price: BTreeMap<String, i64>,
    changes_at: Option<String>,
    /// What the places stood for.
    currencies: String,
}

impl Computed {
    pub(crate) fn of(ctx: &Context<'_>, variants: &[VariantInput]) -> Self {
        let prices: Vec<&[VariantPrice]> = variants.iter().map(|variant| variant.prices.as_slice()).collect();
        Self::new(&ctx.config::<Config>().listed(), &ctx.now(), &prices)
    }

    /// `prices` are those of each variant.
    fn new(currencies: &[String], now: &str, prices: &[&[VariantPrice]]) -> Self {
        let (mut list_price, mut changes_at) = (BTreeMap::new(), None);
        for (place, currency) in currencies.iter().enumerate() {
            let mut lowest: Option<i64> = None;
            for prices in prices {
                let quoted = quote(prices.iter().map(PriceTerms::from), currency, now);
                lowest = quoted.price.map(|price| price.amount).into_iter().chain(lowest).min();
                sooner(&mut changes_at, quoted.until);
            }
            if let Some(lowest) = lowest {
                list_price.insert(format!("c{place}"), lowest);
            }
        }
        Self { list_price, changes_at, currencies: currencies.join(",") }
    }
}

/// Makes a list that names the price one of the store: brings stored prices up to date and puts the place of the
/// currency where the list says `price`.
pub(crate) fn settle(ctx: &Context<'_>, list: &mut ListQuery, currency: &str) -> Result<()> {
    if !list.sort.iter().any(|key| key.path == PRICE) && !names_price(&list.filter) {
        return Ok(());
    }
    let currencies = ctx.config::<Config>().listed();
    let Some(slot) = currencies.iter().position(|listed| listed == currency).and_then(|at| SLOTS.get(at))
    else {
        let message = format!("Lists are not filtered or sorted by prices in {currency}.");
        return Err(Problem::invalid_parameter("currency", message));
    };
    refresh(ctx, &currencies)?;
    for key in list.sort.iter_mut().filter(|key| key.path == PRICE) {
        (*slot).clone_into(&mut key.path);
    }
    rename(&mut list.filter, slot);
    Ok(())
}

fn names_price(filter: &Filter) -> bool {
    let mut found = false;
    walk(&mut filter.clone(), &mut |path| found |= path == PRICE);
    found
}

fn rename(filter: &mut Filter, slot: &str) {
    walk(filter, &mut |path| {
        if path == PRICE {
            slot.clone_into(path);
        }
    });
}

fn walk(filter: &mut Filter, visit: &mut impl FnMut(&mut String)) {
    match filter {
        Filter::Eq(path, _)
        | Filter::Ne(path, _)
        | Filter::In(path, _)
        | Filter::Nin(path, _)
        | Filter::Gt(path, _)
        | Filter::Gte(path, _)
        | Filter::Lt(path, _)
        | Filter::Lte(path, _)
        | Filter::Prefix(path, _)
        | Filter::Contains(path, _)
        | Filter::Exists(path, _) => visit(path),
        Filter::And(filters) | Filter::Or(filters) => {
            for filter in filters {
                walk(filter, visit);
            }
        }
        Filter::Not(filter) => walk(filter, visit),
    }
}

#[derive(Deserialize)]
struct Priced {
    variants: Vec<PricedVariant>,
}

#[derive(Deserialize)]
struct PricedVariant {
    prices: Vec<VariantPrice>,
}

/// Computes the price of every product again whose stored one is not right any more.
fn refresh(ctx: &Context<'_>, currencies: &[String]) -> Result<()> {
    let now = ctx.now();
    let text = |text: &str| Scalar::Text(text.to_owned());
    let current = currencies.join(",");
    // One query for each range of an index: an `Or` of them could read the whole collection.
    let mut outdated = vec![
        Filter::Lte(CHANGES_AT.to_owned(), text(&now)),
        Filter::Lt(CURRENCIES.to_owned(), text(&current)),
        Filter::Gt(CURRENCIES.to_owned(), text(&current)),
        Filter::Eq(CURRENCIES.to_owned(), Scalar::Null),
    ];
    for _ in 0..ROUNDS_MAX {
        let Some(filter) = outdated.first() else { return Ok(()) };
        let path = if matches!(filter, Filter::Lte(..)) { CHANGES_AT } else { CURRENCIES };
        let query = Query {
            filter: filter.clone(),
            sort: vec![SortKey { path: path.to_owned(), direction: Direction::Ascending }],
            fields: vec!["variants".to_owned()],
            limit: BATCH,
            ..Query::default()
        };
        let products = ctx.find::<Priced>(PRODUCTS, &query)?.items;
        if products.is_empty() {
            outdated.remove(0);
            continue;
        }
        let mut commit = ctx.commit();
        for product in products {
            let prices: Vec<&[VariantPrice]> =
                product.data.variants.iter().map(|variant| variant.prices.as_slice()).collect();
            let value = json!(Computed::new(currencies, &now, &prices));
            let set = FieldOperation::Set { path: COMPUTED.to_owned(), value };
            let written = commit.update(PRODUCTS, &product.id, vec![set]);
            commit.expect_version(written, product.version);
            commit.event("product.updated", written);
        }
        match commit.apply() {
            // Somebody else was faster with one of them: the next round looks again.
            Ok(_) | Err(StoreError::Refused { reason: Refusal::Version { .. } | Refusal::NotFound, .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Problem::new(503, "unavailable")
        .detail("Prices are being brought up to date. Try again in a moment."))
}
