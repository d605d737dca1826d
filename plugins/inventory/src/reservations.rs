//! What orders hold whose time is over: from that instant on it counts as free, though it is given back later.

use std::collections::BTreeMap;

use plugin_sdk::{Context, Filter, Query, SortKey, StoreError};
use serde::Deserialize;

use crate::{RESERVATIONS, model::Level};

/// Most reservations that are looked at. Those that wait to be given back are few; what is beyond shows as reserved.
const LIMIT: u32 = 200;

/// Pieces by SKU that reservations hold whose time is over.
#[derive(Debug, Default)]
pub(crate) struct Expired(BTreeMap<String, i64>);

#[derive(Deserialize)]
struct Reservation {
    items: Vec<Reserved>,
}

#[derive(Deserialize)]
struct Reserved {
    sku: String,
    quantity: i64,
}

/// What is to be counted as free of these levels. Nothing where there are no orders, or they are not granted.
pub(crate) fn expired<'l>(
    ctx: &Context<'_>,
    levels: impl Iterator<Item = &'l Level>,
) -> Result<Expired, StoreError> {
    let held: Vec<_> = levels.filter(|it| it.reserved > 0).map(|it| it.sku.as_str().into()).collect();
    if held.is_empty() {
        return Ok(Expired::default());
    }
    let query = Query {
        filter: Filter::And(vec![
            Filter::eq("state", "held"),
            Filter::Lte("expiresAt".to_owned(), ctx.now().into()),
            Filter::In("items.sku".to_owned(), held),
        ]),
        sort: vec![SortKey::ascending("expiresAt")],
        limit: LIMIT,
        fields: vec!["items".to_owned()],
        ..Query::default()
    };
    let found = match ctx.find::<Reservation>(RESERVATIONS, &query) {
        Ok(found) => found,
        Err(StoreError::Denied(_) | StoreError::Invalid { .. }) => return Ok(Expired::default()),
        Err(error) => return Err(error),
    };
    let mut pieces = BTreeMap::new();
    for item in found.items.into_iter().flat_map(|it| it.data.items) {
        *pieces.entry(item.sku).or_default() += item.quantity;
    }
    Ok(Expired(pieces))
}

impl Expired {
    /// Whether everything is as it is stored.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The level as it is once they are given back.
    pub(crate) fn freed(&self, level: Level) -> Level {
        let free = self.0.get(&level.sku).copied().unwrap_or_default();
        Level { reserved: level.reserved - free, available: level.available + free, ..level }
    }
}
