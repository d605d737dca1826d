//! What products need of the categories plugin's collection: that a category exists and stays while a product comes to
//! refer to it, and which categories are below another.
//!
//! A category that is being deleted carries the mark `deletingSince`. The deleter sets it, looks for products, and then
//! deletes the category or clears the mark. A product write that adds a reference checks, in its own commit, that the
//! category is there without the mark: whichever of the two commits comes first, the other one notices. A mark that is
//! older than [`STALE_MS`] was left by a deleter that died. The write clears it, which changes the category's version,
//! so that a deleter that was merely slow fails.

use plugin_sdk::{
    Commit, Context, Document, FieldError, FieldOperation, Filter, Problem, Query, Refusal, Result, Scalar,
    StoreError, time::timestamp,
};
use serde::Deserialize;

pub(crate) const COLLECTION: &str = "categories";
pub(crate) const MARK: &str = "deletingSince";

/// Longer than any request may take.
const STALE_MS: i64 = 60_000;

/// Most categories that a list looks through. Beyond it the client names a smaller one.
const DESCENDANTS_MAX: usize = 5_000;

/// Most ids in one condition of the store.
const CHUNK: usize = 1_000;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Marked {
    deleting_since: Option<String>,
}

/// A violation for each of these categories that does not exist. The numbers are positions in `categoryIds`.
pub(crate) fn missing(ctx: &Context<'_>, ids: &[(usize, String)]) -> Result<Vec<FieldError>, StoreError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let wanted: Vec<String> = ids.iter().map(|(_, id)| id.clone()).collect();
    let found: Vec<Option<Document>> = ctx.get_many_raw(COLLECTION, &wanted)?;
    let missing = ids.iter().zip(found).filter(|(_, found)| found.is_none());
    Ok(missing.map(|((index, id), _)| no_such(*index, id)).collect())
}

fn no_such(index: usize, id: &str) -> FieldError {
    FieldError::invalid(format!("/categoryIds/{index}"), format!("There is no category `{id}`."))
}

/// Makes the commit fail unless the category exists and nobody is deleting it.
pub(crate) fn hold(commit: &mut Commit<'_>, id: &str) {
    let check = commit.check(COLLECTION, id);
    commit.guard(check, Filter::Eq(MARK.to_owned(), Scalar::Null));
}

/// After [`hold`] was refused for the category at `index` of `categoryIds`: clears a stale mark, so that the commit
/// may be tried again, or answers why not.
pub(crate) fn settle(ctx: &Context<'_>, index: usize, id: &str) -> Result<(), Problem> {
    let Some(category) = ctx.get::<Marked>(COLLECTION, id)? else {
        return Err(Problem::validation(vec![no_such(index, id)]));
    };
    match category.data.deleting_since {
        None => Ok(()),
        Some(since) if since < timestamp(ctx.now_ms() - STALE_MS) => {
            let mut commit = ctx.commit();
            let cleared =
                commit.update(COLLECTION, id, vec![FieldOperation::Unset { path: MARK.to_owned() }]);
            commit.expect_version(cleared, category.version);
            match commit.apply() {
                // Somebody else has changed it; the next try tells what to.
                Ok(_)
                | Err(StoreError::Refused { reason: Refusal::Version { .. } | Refusal::NotFound, .. }) => {
                    Ok(())
                }
                Err(error) => Err(error.into()),
            }
        }
        Some(_) => {
            let mut problem = Problem::conflict("A category is being deleted. Try again in a moment.");
            let message = format!("The category `{id}` is being deleted.");
            problem.errors.push(FieldError::new(format!("/categoryIds/{index}"), "conflict", message));
            Err(problem)
        }
    }
}

/// The condition for products in the category with this id or slug, or in one below it. Callers who see active
/// products only get no further than active categories.
pub(crate) fn within(ctx: &Context<'_>, id_or_slug: &str, sees_all: bool) -> Result<Filter, Problem> {
    let text = || Scalar::Text(id_or_slug.to_owned());
    let named = Filter::Or(vec![Filter::Eq("id".to_owned(), text()), Filter::Eq("slug".to_owned(), text())]);
    let mut level = ids(ctx, named, sees_all)?;
    let mut all = level.clone();
    while !level.is_empty() {
        let mut next = Vec::new();
        for parents in level.chunks(CHUNK) {
            next.extend(ids(ctx, one_of("parentId", parents), sees_all)?);
        }
        // A tree has no cycle, but a loop here would not end.
        next.retain(|id| !all.contains(id));
        all.extend_from_slice(&next);
        if all.len() > DESCENDANTS_MAX {
            let message = format!("`{id_or_slug}` has more than {DESCENDANTS_MAX} categories below it.");
            return Err(Problem::invalid_parameter("category", message));
        }
        level = next;
    }
    Ok(Filter::Or(all.chunks(CHUNK).map(|ids| one_of("categoryIds", ids)).collect()))
}

fn one_of(path: &str, values: &[String]) -> Filter {
    Filter::In(path.to_owned(), values.iter().cloned().map(Scalar::Text).collect())
}

fn ids(ctx: &Context<'_>, filter: Filter, sees_all: bool) -> Result<Vec<String>, StoreError> {
    let active = Filter::Eq("active".to_owned(), Scalar::Boolean(true));
    let filter = if sees_all { filter } else { Filter::And(vec![filter, active]) };
    // The shortest member, because only the ids are wanted and they always come.
    let fields = vec!["active".to_owned()];
    let mut query = Query { filter, limit: 1000, fields, ..Query::default() };
    let mut ids = Vec::new();
    loop {
        let page = ctx.find_raw(COLLECTION, &query)?;
        ids.extend(page.documents.into_iter().map(|document| document.id));
        match page.next {
            Some(next) if ids.len() <= DESCENDANTS_MAX => query.cursor = Some(next),
            _ => return Ok(ids),
        }
    }
}
