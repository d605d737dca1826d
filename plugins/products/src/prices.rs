//! What is computed of a product's variants for lists and facets: the values of its options, and its list price, which
//! is the lowest price of its variants for one piece and for everybody, now, in each of the shop's currencies.
//!
//! It is stored with the product in a member that nobody is shown, in one indexed place for each configured currency.
//! A stored price is right until the next moment at which a price of the product starts or ends, which is stored too.
//! Before a list names the price, products whose moment has come are computed again, and so are those that were
//! computed for other currencies. Computing again gives a product a new version, as its price has changed.

use std::collections::{BTreeMap, BTreeSet};

use plugin_sdk::{
    Context, Direction, FieldOperation, Filter, ListQuery, Problem, Query, Refusal, Result, Scalar, SortKey,
    StoreError,
    list_price::{PriceTerms, quote},
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    Config,
    handlers::PRODUCTS,
    model::{VariantInput, VariantPrice},
    view::sooner,
};

/// What a request calls the price.
pub(crate) const PRICE: &str = "price";
/// What a request calls a value of an option: the option's name, which has no dot, a dot, and the value.
pub(crate) const OPTION: &str = "option";
/// Where they are.
pub(crate) const OPTIONS: &str = "_computed.options";
/// Distinguishes what this version computes from what others have.
const FORMAT: &str = "2";
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
    /// Each once.
    options: BTreeSet<String>,
    changes_at: Option<String>,
    /// What the places stood for, and the format.
    currencies: String,
}

impl Computed {
    pub(crate) fn of(ctx: &Context<'_>, variants: &[VariantInput]) -> Self {
        let variants: Vec<Computable<'_>> = variants
            .iter()
            .map(|variant| Computable { prices: &variant.prices, options: &variant.option_values })
            .collect();
        Self::new(&ctx.config::<Config>().listed(), &ctx.now(), &variants)
    }

    fn new(currencies: &[String], now: &str, variants: &[Computable<'_>]) -> Self {
        let (mut list_price, mut changes_at) = (BTreeMap::new(), None);
        for (place, currency) in currencies.iter().enumerate() {
            let mut lowest: Option<i64> = None;
            for variant in variants {
                let quoted = quote(variant.prices.iter().map(PriceTerms::from), currency, &[], 1, now);
                lowest = quoted.price.map(|price| price.amount).into_iter().chain(lowest).min();
                sooner(&mut changes_at, quoted.until);
            }
            if let Some(lowest) = lowest {
                list_price.insert(format!("c{place}"), lowest);
            }
        }
        let options = variants.iter().flat_map(|variant| variant.options);
        // What cannot be looked up cannot be counted either.
        let options = options.filter(|(name, value)| !name.contains('\0') && !value.contains('\0'));
        let options = options.map(|(name, value)| format!("{name}.{value}")).collect();
        Self { list_price, options, changes_at, currencies: marker(currencies) }
    }
}

/// What a variant contributes.
struct Computable<'v> {
    prices: &'v [VariantPrice],
    options: &'v BTreeMap<String, String>,
}

fn marker(currencies: &[String]) -> String {
    format!("{FORMAT} {}", currencies.join(","))
}

/// Makes a list that names the price or an option one of the store: brings what is stored up to date and puts the places
/// in where the list says `price` and `option`. Answers whether it had to, so that what is stored is up to date.
pub(crate) fn settle(ctx: &Context<'_>, list: &mut ListQuery, currency: &str) -> Result<bool> {
    let by_price = list.sort.iter().any(|key| key.path == PRICE) || names(&list.filter, PRICE);
    let by_option = names(&list.filter, OPTION);
    if by_price {
        let slot = slot(ctx, currency)?;
        for key in list.sort.iter_mut().filter(|key| key.path == PRICE) {
            slot.clone_into(&mut key.path);
        }
        rename(&mut list.filter, PRICE, slot);
    }
    if by_option {
        rename(&mut list.filter, OPTION, OPTIONS);
    }
    let is_needed = by_price || by_option;
    if is_needed {
        refresh(ctx)?;
    }
    Ok(is_needed)
}

/// Where the price in a currency is.
pub(crate) fn slot(ctx: &Context<'_>, currency: &str) -> Result<&'static str> {
    let currencies = ctx.config::<Config>().listed();
    let place = currencies.iter().position(|listed| listed == currency);
    place.and_then(|place| SLOTS.get(place)).copied().ok_or_else(|| {
        let message = format!("Lists are not filtered or sorted by prices in {currency}.");
        Problem::invalid_parameter("currency", message)
    })
}

fn names(filter: &Filter, wanted: &str) -> bool {
    filter.paths().any(|path| path == wanted)
}

fn rename(filter: &mut Filter, from: &str, to: &str) {
    filter.paths_mut().filter(|path| *path == from).for_each(|path| to.clone_into(path));
}

#[derive(Deserialize)]
struct Priced {
    variants: Vec<PricedVariant>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PricedVariant {
    prices: Vec<VariantPrice>,
    option_values: BTreeMap<String, String>,
}

/// Computes again what is stored of every product for which it is not right any more.
pub(crate) fn refresh(ctx: &Context<'_>) -> Result<()> {
    let currencies = ctx.config::<Config>().listed();
    let now = ctx.now();
    let text = |text: &str| Scalar::Text(text.to_owned());
    let current = marker(&currencies);
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
            let variants: Vec<Computable<'_>> = product
                .data
                .variants
                .iter()
                .map(|variant| Computable { prices: &variant.prices, options: &variant.option_values })
                .collect();
            let value = json!(Computed::new(&currencies, &now, &variants));
            let set = FieldOperation::set(COMPUTED, value);
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
