//! Clearing away carts and quotes whose time is over.

use plugin_sdk::{
    Commit, Context, FieldOperation, Filter, Query, Reply, Request, Result, SortKey, StoreError, Value, json,
    time::timestamp,
};

use crate::{
    CARTS, QUOTES,
    model::{CartStatus, StoredCart},
};

/// Most documents in one commit, and most such commits of one run for each kind.
const BATCH: u32 = 100;
const ROUNDS_MAX: usize = 10;
/// The same for quotes, of which there are more.
const QUOTE_ROUNDS_MAX: usize = 50;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// For how long a quote is kept after its end: somebody may yet ask with it.
const QUOTE_KEPT_MS: i64 = DAY_MS;
/// For how long a cart is kept after its end, which moves with its last change.
const CART_KEPT_MS: i64 = 90 * DAY_MS;

/// Ends the carts whose time is over, and removes what nobody asks for any more. An order has copies of all it needs.
/// Stopped anywhere, the next run goes on.
pub(crate) fn run(ctx: &Context<'_>, _request: Request) -> Result<Reply> {
    let now = ctx.now_ms();
    let over = status(CartStatus::Active, now);
    each(ctx, CARTS, &over, ROUNDS_MAX, |commit, id| {
        let ended = commit.update(CARTS, id, ending());
        // Somebody may have changed it meanwhile.
        commit.guard(ended, over.clone());
    })?;
    for status_gone in [CartStatus::Expired, CartStatus::Merged, CartStatus::Ordered] {
        let gone = status(status_gone, now - CART_KEPT_MS);
        each(ctx, CARTS, &gone, ROUNDS_MAX, |commit, id| {
            let deleted = commit.delete(CARTS, id);
            commit.guard(deleted, gone.clone());
        })?;
    }
    let old = until(now - QUOTE_KEPT_MS);
    each(ctx, QUOTES, &old, QUOTE_ROUNDS_MAX, |commit, id| {
        commit.delete(QUOTES, id);
    })?;
    Ok(Reply::ok(&Value::Null))
}

/// Adds the write that ends a cart which is over, where another takes its place.
pub(crate) fn end(commit: &mut Commit<'_>, cart: &StoredCart) {
    let ended = commit.update(CARTS, &cart.id, ending());
    commit.expect_version(ended, cart.version);
}

fn ending() -> Vec<FieldOperation> {
    vec![
        FieldOperation::set("status", json!(CartStatus::Expired)),
        FieldOperation::set("_activeOf", Value::Null),
    ]
}

fn status(status: CartStatus, unix_ms: i64) -> Filter {
    let status = match status {
        CartStatus::Active => "active",
        CartStatus::Completing => "completing",
        CartStatus::Ordered => "ordered",
        CartStatus::Merged => "merged",
        CartStatus::Expired => "expired",
    };
    Filter::And(vec![Filter::eq("status", status), until(unix_ms)])
}

fn until(unix_ms: i64) -> Filter {
    Filter::Lte("expiresAt".to_owned(), timestamp(unix_ms).into())
}

/// Adds a write for each document that matches, a batch in a commit, until there are none or the run is long enough.
fn each(
    ctx: &Context<'_>,
    collection: &str,
    filter: &Filter,
    rounds: usize,
    mut write: impl FnMut(&mut Commit<'_>, &str),
) -> Result<()> {
    for _ in 0..rounds {
        let query = Query {
            filter: filter.clone(),
            sort: vec![SortKey::ascending("expiresAt")],
            fields: vec!["expiresAt".to_owned()],
            limit: BATCH,
            ..Query::default()
        };
        let found = ctx.find_raw(collection, &query)?.documents;
        if found.is_empty() {
            return Ok(());
        }
        let mut commit = ctx.commit();
        for document in &found {
            write(&mut commit, &document.id);
        }
        match commit.apply() {
            // Somebody was faster with one of them: the next round looks again.
            Ok(_) | Err(StoreError::Refused { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
