//! The routes' work: read, apply the rules, commit.

use plugin_sdk::{
    Context, Direction, Document, FieldError, FieldOperation, Filter, Problem, Query, Refusal, Reply,
    Request, Result, SortKey, StoreError, Stored, host::RawPage, json, natural_id, patch::merged_document,
};

use crate::{
    LEVEL_PREFIX, LEVELS, MOVEMENTS, PRODUCTS,
    model::{Adjustment, Level, LevelInput},
    reservations, rules,
};

/// Most times that one adjustment looks and commits again after somebody else was faster.
const TRIES_MAX: u32 = 16;

pub(crate) fn list(ctx: &Context<'_>, mut request: Request) -> Result<Reply> {
    let found = ctx.find::<Level>(LEVELS, &request.list().and(Filter::all()))?;
    let expired = reservations::expired(ctx, found.items.iter().map(|level| &level.data))?;
    Ok(Reply::page(found, |level| expired.freed(level.data)))
}

pub(crate) fn movements(ctx: &Context<'_>, mut request: Request) -> Result<Reply> {
    let mut query = request.list().and(Filter::all());
    if query.sort.is_empty() {
        query.sort.push(SortKey { path: "createdAt".to_owned(), direction: Direction::Descending });
    }
    as_stored(&ctx.find_raw(MOVEMENTS, &query)?)
}

pub(crate) fn read(ctx: &Context<'_>, request: Request) -> Result<Reply> {
    let id = natural_id(LEVEL_PREFIX, request.param("sku"));
    let document = ctx.get_raw(LEVELS, &id)?.ok_or_else(Problem::not_found)?;
    let level: Level = ctx.read(LEVELS, &document)?;
    let expired = reservations::expired(ctx, std::iter::once(&level))?;
    if expired.is_empty() {
        return Ok(Reply::raw_resource(document.json, document.version));
    }
    Ok(Reply::resource(&expired.freed(level), document.version))
}

pub(crate) fn patch(ctx: &Context<'_>, request: Request) -> Result<Reply> {
    let document = stored(ctx, request.param("sku"))?.ok_or_else(Problem::not_found)?;
    request.check_version(document.version)?;
    let level: Level = ctx.read(LEVELS, &document)?;
    let settable = json!({"safetyStock": level.safety_stock, "incoming": level.incoming});
    let settable = Document { json: settable.to_string(), ..document };
    let input: LevelInput = merged_document(&settable, request.value()?)?;

    let mut commit = ctx.commit();
    let changed = commit.update(
        LEVELS,
        &level.id,
        vec![
            FieldOperation::set("safetyStock", json!(input.safety_stock)),
            FieldOperation::set("incoming", json!(input.incoming)),
            FieldOperation::increment("available", level.safety_stock - input.safety_stock),
        ],
    );
    // Not the version, unless the client asks: stock that moves meanwhile is no conflict.
    commit.guard(changed, Filter::eq("safetyStock", level.safety_stock));
    if let Some(version) = request.if_match {
        commit.expect_version(changed, version);
    }
    commit.event("inventory.changed", changed);
    Ok(commit.answer(200, changed, None::<&()>, Vec::new())?)
}

pub(crate) fn adjust(ctx: &Context<'_>, request: Request) -> Result<Reply> {
    let adjustment: Adjustment = request.json()?;
    rules::check(&adjustment)?;
    let id = natural_id(LEVEL_PREFIX, &adjustment.sku);
    for _ in 0..TRIES_MAX {
        let level = ctx.get::<Level>(LEVELS, &id)?;
        request.check_version(level.as_ref().map_or(0, |level| level.version))?;
        rules::check_fit(&adjustment.sku, level.as_ref().map(|level| &level.data), adjustment.delta)?;
        let committed = match &level {
            Some(level) => change(ctx, &request, level, &adjustment),
            None => {
                let product = product_of(ctx, &adjustment.sku)?;
                open(ctx, &product, &id, &adjustment)
            }
        };
        match committed {
            Ok(reply) => return Ok(reply),
            Err(error) => match error.refusal() {
                // The level has changed, or was made by somebody else, or the product has lost the SKU: look again.
                Some((_, Refusal::Guard | Refusal::AlreadyExists | Refusal::NotFound)) => {}
                _ => return Err(error.into()),
            },
        }
    }
    Err(Problem::conflict("Others keep changing the stock of this SKU. Try again in a moment."))
}

/// Adds to a level. Nothing of what was read is written, so adjustments at the same time add up.
fn change(
    ctx: &Context<'_>,
    request: &Request,
    level: &Stored<Level>,
    adjustment: &Adjustment,
) -> Result<Reply, StoreError> {
    let mut commit = ctx.commit();
    let operations = vec![
        FieldOperation::increment("onHand", adjustment.delta),
        FieldOperation::increment("available", adjustment.delta),
    ];
    let changed = commit.update(LEVELS, &level.id, operations);
    commit.guard(changed, rules::guard(&level.data, adjustment.delta));
    if let Some(version) = request.if_match {
        commit.expect_version(changed, version);
    }
    commit.insert(MOVEMENTS, adjustment);
    commit.event("inventory.changed", changed);
    commit.answer(200, changed, None::<&()>, Vec::new())
}

/// Makes the level of a SKU, which must still be the product's when the commit happens.
fn open(ctx: &Context<'_>, product: &str, id: &str, adjustment: &Adjustment) -> Result<Reply, StoreError> {
    let mut commit = ctx.commit();
    let level = json!({
        "sku": adjustment.sku,
        "onHand": adjustment.delta,
        "reserved": 0,
        "incoming": 0,
        "safetyStock": 0,
        "available": adjustment.delta,
    });
    let opened = commit.insert_with_id(LEVELS, id, &level);
    commit.insert(MOVEMENTS, adjustment);
    let held = commit.check(PRODUCTS, product);
    commit.guard(held, Filter::eq("variants.sku", adjustment.sku.as_str()));
    commit.event("inventory.changed", opened);
    commit.answer(200, opened, None::<&()>, Vec::new())
}

/// The id of the product that has this SKU.
fn product_of(ctx: &Context<'_>, sku: &str) -> Result<String> {
    let unknown = || {
        let message = format!("No product has the SKU `{sku}`.");
        Problem::validation(vec![FieldError::invalid("/sku", message)])
    };
    // No text that is looked up holds NUL, so that the store takes none in a query.
    if sku.contains('\0') {
        return Err(unknown());
    }
    // The shortest member, because only the id is wanted and it always comes.
    let query = Query {
        filter: Filter::eq("variants.sku", sku),
        fields: vec!["status".to_owned()],
        limit: 1,
        ..Query::default()
    };
    let product = ctx.find_raw(PRODUCTS, &query)?.documents.into_iter().next();
    product.map(|product| product.id).ok_or_else(unknown)
}

fn stored(ctx: &Context<'_>, sku: &str) -> Result<Option<Document>, StoreError> {
    ctx.get_raw(LEVELS, &natural_id(LEVEL_PREFIX, sku))
}

fn as_stored(page: &RawPage) -> Result<Reply> {
    Reply::raw_page(page, |document, out| {
        out.push_str(&document.json);
        Ok(())
    })
}
