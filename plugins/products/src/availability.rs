//! What products show of the stock, which belongs to the plugin `inventory`, and that a SKU with stock keeps its name.
//!
//! The level of a SKU is the document `natural_id("inv", sku)` of its collection, so all levels of a page are one read.
//! Where that plugin is absent, or its collection is not granted, nobody counts: everything is in stock.
//!
//! What orders have reserved whose time is over counts as free from that instant on, though it is given back later. The
//! plugin `orders` has the reservations, where there is one.

use std::collections::{BTreeMap, BTreeSet};

use plugin_sdk::{
    Commit, Context, FieldError, Filter, Problem, Query, SortKey, StoreError, json, natural_id,
};
use serde::Deserialize;

use crate::{
    Config,
    model::{Availability, Backorder, Product, ProductInput},
};

const COLLECTION: &str = "inventory";
const PREFIX: &str = "inv";
pub(crate) const RESERVATIONS: &str = "reservations";

/// Most ids in one read of the store.
const CHUNK: usize = 1_000;
/// Most reservations that are looked at. Few wait to be confirmed at a time; what is beyond counts as reserved.
const RESERVATIONS_MAX: u32 = 200;

/// What is available of some SKUs.
pub(crate) struct Stock {
    /// By SKU; `None` where nobody counts.
    available: Option<BTreeMap<String, i64>>,
    low: i64,
    /// By SKU, the next moment from which pieces count as free that are reserved now, where that can show.
    turns: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Counted {
    sku: String,
    available: i64,
    #[serde(default)]
    reserved: i64,
}

/// What an order holds until it is confirmed.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reservation {
    items: Vec<Reserved>,
    expires_at: Option<String>,
}

#[derive(Deserialize)]
struct Reserved {
    sku: String,
    quantity: i64,
}

impl Stock {
    /// Reads what is available of these SKUs.
    pub(crate) fn read<'s>(
        ctx: &Context<'_>,
        skus: impl Iterator<Item = &'s str>,
    ) -> Result<Self, StoreError> {
        let low = ctx.config::<Config>().low_stock;
        let Some(levels) = levels(ctx, skus)? else {
            return Ok(Self { available: None, low, turns: BTreeMap::new() });
        };
        // More than enough stays so, whatever is given back.
        let doubtful = levels.iter().filter(|it| it.reserved > 0 && it.available <= low);
        let doubtful: BTreeSet<&str> = doubtful.map(|it| it.sku.as_str()).collect();
        let reservations = reservations(ctx, &doubtful)?;
        let mut available: BTreeMap<String, i64> =
            levels.iter().map(|it| (it.sku.clone(), it.available)).collect();
        let mut turns = BTreeMap::<String, String>::new();
        let now = ctx.now();
        for Reservation { items, expires_at } in reservations {
            let Some(end) = expires_at else { continue };
            for item in items.into_iter().filter(|item| doubtful.contains(item.sku.as_str())) {
                if end <= now {
                    *available.entry(item.sku).or_default() += item.quantity;
                } else {
                    // They come in the order of their ends.
                    turns.entry(item.sku).or_insert_with(|| end.clone());
                }
            }
        }
        Ok(Self { available: Some(available), low, turns })
    }

    /// The next moment from which more of a SKU may be available, if nothing is written until then.
    pub(crate) fn until(&self, sku: &str) -> Option<String> {
        self.turns.get(sku).cloned()
    }

    /// Reads what is available of the variants of a product that is being written.
    pub(crate) fn of_input(ctx: &Context<'_>, product: &ProductInput) -> Result<Self, StoreError> {
        let counted = product.variants.iter().filter(|variant| variant.track_inventory);
        Self::read(ctx, counted.map(|variant| variant.sku.as_str()))
    }

    /// The availability of a variant. A SKU without a level has no stock.
    pub(crate) fn of(&self, sku: &str, tracked: bool, backorder: Backorder) -> Availability {
        let Some(available) = self.available.as_ref().filter(|_| tracked) else {
            return Availability::InStock;
        };
        match (available.get(sku).copied().unwrap_or_default(), backorder) {
            (available, _) if available > self.low => Availability::InStock,
            (1.., _) => Availability::Low,
            (_, Backorder::Allow) => Availability::Backorder,
            (_, Backorder::Deny) => Availability::Out,
        }
    }
}

/// The levels of these SKUs that exist; `None` where nobody counts.
fn levels<'s>(
    ctx: &Context<'_>,
    skus: impl Iterator<Item = &'s str>,
) -> Result<Option<Vec<Counted>>, StoreError> {
    let ids: Vec<String> = skus.map(|sku| natural_id(PREFIX, sku)).collect();
    let mut levels = Vec::new();
    for ids in ids.chunks(CHUNK) {
        match ctx.get_many::<Counted>(COLLECTION, ids) {
            Ok(found) => levels.extend(found.into_iter().flatten().map(|level| level.data)),
            // Not granted, or there is no such collection.
            Err(StoreError::Denied(_) | StoreError::Invalid { .. }) => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    Ok(Some(levels))
}

/// What orders that are not confirmed hold of these SKUs, those first whose time ends first. Nothing where there are no
/// orders, or they are not granted.
fn reservations(ctx: &Context<'_>, skus: &BTreeSet<&str>) -> Result<Vec<Reservation>, StoreError> {
    let mut found = Vec::new();
    let skus: Vec<&str> = skus.iter().copied().collect();
    for skus in skus.chunks(CHUNK) {
        let skus = skus.iter().map(|&sku| sku.into()).collect();
        let query = Query {
            filter: Filter::And(vec![Filter::eq("state", "held"), Filter::In("items.sku".to_owned(), skus)]),
            sort: vec![SortKey::ascending("expiresAt")],
            limit: RESERVATIONS_MAX,
            fields: vec!["items".to_owned(), "expiresAt".to_owned()],
            ..Query::default()
        };
        match ctx.find::<Reservation>(RESERVATIONS, &query) {
            Ok(page) => found.extend(page.items.into_iter().map(|it| it.data)),
            Err(StoreError::Denied(_) | StoreError::Invalid { .. }) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// The SKUs that a write takes from its product. Their names must be free of stock, also at the moment of the commit.
pub(crate) struct Dropped {
    ids: Vec<String>,
}

impl Dropped {
    /// The SKUs that `after` has no more; all of them where the product is deleted.
    ///
    /// # Errors
    /// `reference_in_use` with the place of each variant whose SKU has stock or had it.
    pub(crate) fn check(
        ctx: &Context<'_>,
        before: &Product,
        after: Option<&ProductInput>,
    ) -> Result<Self, Problem> {
        let kept = |sku: &str| after.is_some_and(|it| it.variants.iter().any(|variant| variant.sku == sku));
        let skus = before.variants.iter().map(|variant| variant.sku.as_str());
        let dropped: Vec<&str> = skus.filter(|sku| !kept(sku)).collect();
        match levels(ctx, dropped.iter().copied())? {
            // Nobody counts.
            None => Ok(Self { ids: Vec::new() }),
            Some(levels) if levels.is_empty() => {
                Ok(Self { ids: dropped.into_iter().map(|sku| natural_id(PREFIX, sku)).collect() })
            }
            Some(levels) => {
                Err(refusal(levels.iter().map(|level| in_use(before, after, &level.sku)).collect()))
            }
        }
    }

    /// Makes the commit fail if one of the SKUs has got a level meanwhile: an insert that is taken back at once proves
    /// that there is none.
    pub(crate) fn prove(&self, commit: &mut Commit<'_>) {
        for id in &self.ids {
            commit.insert_with_id(COLLECTION, id, &json!({"sku": id}));
            commit.delete(COLLECTION, id);
        }
    }
}

/// After [`Dropped::prove`] was refused.
pub(crate) fn taken_meanwhile() -> Problem {
    refusal(vec![FieldError::new("/variants", "reference_in_use", "A SKU that is dropped has stock.")])
}

fn in_use(before: &Product, after: Option<&ProductInput>, sku: &str) -> FieldError {
    let old = before.variants.iter().find(|variant| variant.sku == sku);
    // Where the variant is still there, its new SKU is to blame.
    let place = after.and_then(|product| {
        let id = &old?.id;
        product.variants.iter().position(|variant| variant.id.as_ref() == Some(id))
    });
    let pointer = place.map_or("/variants".to_owned(), |index| format!("/variants/{index}/sku"));
    FieldError::new(pointer, "reference_in_use", format!("`{sku}` has stock movements and keeps its name."))
}

fn refusal(errors: Vec<FieldError>) -> Problem {
    let mut problem = Problem::new(409, "reference_in_use").detail(
        "A SKU with stock movements stays with its product. Archive the product to take it from sale.",
    );
    problem.errors = errors;
    problem
}

#[cfg(test)]
mod tests {
    use plugin_sdk::{Access, Collection, FieldKind, Request, mock::MockHost};

    use super::*;
    use crate::Products;

    /// A host with stock, and with a product that has the SKUs `A` and `B`.
    fn host() -> (MockHost, String) {
        let host = MockHost::new::<Products>();
        host.declare(vec![
            Collection::new("categories", "cat"),
            Collection::new(COLLECTION, PREFIX).field("sku", FieldKind::Text, Access::Unique),
        ]);
        let body = json!({
            "name": "Cup",
            "options": [{"name": "Size", "values": ["S", "M"]}],
            "variants": [
                {"sku": "A", "optionValues": {"Size": "S"}},
                {"sku": "B", "optionValues": {"Size": "M"}},
            ],
        });
        let request = Request { body: body.to_string().into_bytes(), ..operation("createProduct", "") };
        let created = host.answered::<Products>(request).unwrap().body;
        assert_eq!(created["variants"][0]["availability"], "out");
        (host, created["id"].as_str().unwrap().to_owned())
    }

    fn operation(name: &str, id: &str) -> Request {
        let params = vec![("id".to_owned(), id.to_owned())];
        Request { operation_id: name.to_owned(), params, ..Request::default() }
    }

    fn level(host: &MockHost, sku: &str, available: i64) {
        host.put(COLLECTION, &natural_id(PREFIX, sku), &json!({"sku": sku, "available": available}));
    }

    fn renamed(id: &str) -> Request {
        let variants = json!([
            {"sku": "C", "optionValues": {"Size": "S"}},
            {"sku": "B", "optionValues": {"Size": "M"}},
        ]);
        let body = json!({ "variants": variants }).to_string().into_bytes();
        Request { body, ..operation("updateProduct", id) }
    }

    #[test]
    fn availability_follows_what_is_available() {
        let (host, _) = host();
        for (sku, available) in [("few", 5), ("many", 6), ("none", 0), ("owed", -3)] {
            level(&host, sku, available);
        }
        let ctx = Context::new(&host, b"");
        let stock = Stock::read(&ctx, ["few", "many", "none", "owed", "new"].into_iter()).unwrap();
        for (sku, deny, allow) in [
            ("few", Availability::Low, Availability::Low),
            ("many", Availability::InStock, Availability::InStock),
            ("none", Availability::Out, Availability::Backorder),
            ("owed", Availability::Out, Availability::Backorder),
            ("new", Availability::Out, Availability::Backorder),
        ] {
            assert_eq!(stock.of(sku, true, Backorder::Deny), deny, "{sku}");
            assert_eq!(stock.of(sku, true, Backorder::Allow), allow, "{sku}");
            assert_eq!(stock.of(sku, false, Backorder::Deny), Availability::InStock, "{sku}");
        }
        let never = Context::new(&host, br#"{"lowStock": 0}"#);
        let stock = Stock::read(&never, ["few"].into_iter()).unwrap();
        assert_eq!(stock.of("few", true, Backorder::Deny), Availability::InStock);
    }

    #[test]
    fn what_was_reserved_too_long_is_available() {
        let (host, _) = host();
        let level = json!({"sku": "A", "onHand": 9, "reserved": 9, "available": 0});
        host.put(COLLECTION, &natural_id(PREFIX, "A"), &level);
        let level = json!({"sku": "B", "onHand": 9, "reserved": 1, "available": 8});
        host.put(COLLECTION, &natural_id(PREFIX, "B"), &level);
        let look = |host: &MockHost, availability, until: Option<&str>| {
            let ctx = Context::new(host, b"");
            let stock = Stock::read(&ctx, ["A", "B"].into_iter()).unwrap();
            assert_eq!(stock.of("A", true, Backorder::Deny), availability);
            assert_eq!(stock.until("A").as_deref(), until);
            assert_eq!(
                (stock.of("B", true, Backorder::Deny), stock.until("B")),
                (Availability::InStock, None)
            );
        };
        // Without the plugin that has them there are none.
        look(&host, Availability::Out, None);
        host.declare(vec![
            Collection::new(RESERVATIONS, "rsv")
                .field("state", FieldKind::Text, Access::Scan)
                .field("expiresAt", FieldKind::Timestamp, Access::Scan)
                .multi_field("items.sku", FieldKind::Text, Access::Index),
        ]);
        let soon = "2026-01-01T00:10:00.000Z";
        for (id, state, end, quantity) in [
            ("rsv_1", "held", Some(soon), 2),
            ("rsv_2", "held", Some("2026-01-01T00:20:00.000Z"), 4),
            ("rsv_3", "committed", None, 3),
            ("rsv_4", "released", Some(soon), 5),
        ] {
            let items = json!([{"sku": "A", "quantity": quantity}, {"sku": "B", "quantity": 0}]);
            host.put(RESERVATIONS, id, &json!({"state": state, "expiresAt": end, "items": items}));
        }
        look(&host, Availability::Out, Some(soon));
        host.set_now_ms(host_now() + 10 * 60_000);
        look(&host, Availability::Low, Some("2026-01-01T00:20:00.000Z"));
        host.set_now_ms(host_now() + 20 * 60_000);
        look(&host, Availability::InStock, None);
    }

    fn host_now() -> i64 {
        1_767_225_600_000
    }

    #[test]
    fn a_sku_with_stock_keeps_its_name() {
        let (host, id) = host();
        level(&host, "B", 0);
        let deleted = host.call::<Products>(operation("deleteProduct", &id)).unwrap_err();
        assert_eq!((deleted.status, deleted.code.as_str()), (409, "reference_in_use"));
        // `A` never had any, so it may go.
        host.answered::<Products>(renamed(&id)).unwrap();
        level(&host, "C", 1);
        let body = json!({"variants": []}).to_string().into_bytes();
        let request = Request { body, ..operation("updateProduct", &id) };
        assert_eq!(host.call::<Products>(request).unwrap_err().errors.len(), 2);
    }

    #[test]
    fn stock_that_comes_before_the_commit_is_noticed() {
        for request in [renamed as fn(&str) -> Request, |id| operation("deleteProduct", id)] {
            let (host, id) = host();
            host.before_commit(0, |host| level(host, "A", 1));
            let refused = host.call::<Products>(request(&id)).unwrap_err();
            assert_eq!((refused.status, refused.code.as_str()), (409, "reference_in_use"), "{refused:?}");
            let kept = host.document("products", &id).unwrap();
            assert_eq!((&kept["version"], &kept["variants"][0]["sku"]), (&json!(1), &json!("A")));
        }
    }
}
