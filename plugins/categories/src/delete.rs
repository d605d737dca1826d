//! Deleting a category while products are being written.
//!
//! A document that both sides lock would be hot, since every product write would touch it. Instead the deleter marks
//! the category first, and product writes that add a reference to it check that the mark is absent. After the mark is
//! committed no reference can be added, so what the deleter then finds is all there is. It deletes the category in the
//! version that the mark made, or takes the mark off again. Whoever takes the mark off in between (a stale one, by a
//! product write; any, by a change of the category) changes that version, and the deleter fails.
//!
//! Children are different: every write that adds one locks the trees, and so does the deletion.

use plugin_sdk::{
    Context, Document, FieldOperation, Filter, Level, Problem, Query, Refusal, Reply, Request, Result,
    Scalar, StoreError, json, serde_json::value::RawValue, time::timestamp,
};
use serde::Deserialize;

use crate::{
    CATEGORIES, MARK, PRODUCTS,
    handlers::current,
    model::StoredCategory,
    rules,
    tree::{self, Shape},
};

/// Most documents that one commit moves to the parent.
const BATCH: usize = 100;

/// Most times that one call looks and commits again after somebody else has changed the trees.
const TRIES_MAX: u32 = 16;

/// A mark that is older was left by a deleter that died: longer than any request may take.
const STALE_MS: i64 = 60_000;

pub(crate) fn delete(ctx: &Context<'_>, request: Request) -> Result<Reply> {
    let (current, document) = current(ctx, &request)?;
    let reparent = request.query("strategy") == Some("reparent");
    if !reparent {
        // The usual refusal, without writing anything.
        check_empty(ctx, &current.id)?;
    }
    // A mark that is there already is taken over: its owner fails, because the version changes.
    let version = mark(ctx, &current.id, current.version)?;
    let deletion = Deletion { ctx, document: &document, version, reparent };
    deletion.run().inspect_err(|_| deletion.unmark())
}

pub(crate) fn mark(ctx: &Context<'_>, id: &str, version: u64) -> Result<u64, StoreError> {
    let mut commit = ctx.commit();
    let set = FieldOperation::set(MARK, json!(ctx.now()));
    let marked = commit.update(CATEGORIES, id, vec![set]);
    commit.expect_version(marked, version);
    let documents = commit.apply()?;
    Ok(documents.into_iter().flatten().next().map_or(version + 1, |document| document.version))
}

pub(crate) fn check_empty(ctx: &Context<'_>, id: &str) -> Result<()> {
    let is = |path: &str| Filter::Eq(path.to_owned(), Scalar::Text(id.to_owned()));
    let children = ctx.count(CATEGORIES, &is("parentId"))?;
    let products = ctx.count(PRODUCTS, &is("categoryIds"))?;
    if children == 0 && products == 0 { Ok(()) } else { Err(rules::not_empty(children, products)) }
}

/// A deletion after its mark.
struct Deletion<'c, 'h> {
    ctx: &'c Context<'h>,
    /// The category before the mark.
    document: &'c Document,
    /// The version that the mark made.
    version: u64,
    reparent: bool,
}

impl Deletion<'_, '_> {
    fn run(&self) -> Result<Reply> {
        let id = self.document.id.as_str();
        let mut lost = 0;
        while lost < TRIES_MAX {
            let shape = Shape::read(self.ctx)?;
            let parent = self.parent()?;
            if self.reparent {
                self.move_products(parent.as_deref())?;
            } else {
                check_empty(self.ctx, id)?;
            }
            let children = tree::children(self.ctx, &[id.to_owned()], &Filter::all(), BATCH)?;
            match self.finish(&shape, &children, parent.as_deref()) {
                Ok(Some(reply)) => return Ok(reply),
                // More children than one commit takes.
                Ok(None) => {}
                Err(error) if error.refusal().is_some_and(|(write, _)| Shape::has_changed(write, &error)) => {
                    lost += 1;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(Problem::conflict("Others keep moving categories. Try again in a moment."))
    }

    /// The category's parent, if the category is still as the mark left it.
    fn parent(&self) -> Result<Option<String>> {
        let category = self.ctx.get::<StoredCategory>(CATEGORIES, &self.document.id)?;
        let category = category.ok_or_else(Problem::not_found)?;
        if category.version != self.version {
            return Err(Problem::version_conflict(self.version, category.version));
        }
        Ok(category.data.parent_id)
    }

    /// Gives a batch of children to the parent and, with the last of them, deletes the category.
    fn finish(
        &self,
        shape: &Shape,
        children: &[Document],
        parent: Option<&str>,
    ) -> Result<Option<Reply>, StoreError> {
        let mut commit = self.ctx.commit();
        shape.lock(&mut commit, 0);
        for child in children.iter().take(BATCH) {
            let place = FieldOperation::set("parentId", json!(parent));
            // A mark on the child would show in the event; taking it off makes its deleter fail, as any change does.
            let unmark = FieldOperation::Unset { path: MARK.to_owned() };
            let moved = commit.update(CATEGORIES, &child.id, vec![place, unmark]);
            commit.event("category.updated", moved);
        }
        if children.len() > BATCH {
            commit.apply()?;
            return Ok(None);
        }
        let deleted = commit.delete(CATEGORIES, &self.document.id);
        commit.expect_version(deleted, self.version);
        commit.event_with(
            "category.deleted",
            deleted,
            &self.ctx.read::<&RawValue>(CATEGORIES, self.document)?,
        );
        commit.answer_empty().map(Some)
    }

    /// Gives the products to the parent, batch by batch; at the root they lose the reference.
    fn move_products(&self, parent: Option<&str>) -> Result<()> {
        let id = self.document.id.as_str();
        let query = Query {
            filter: Filter::Eq("categoryIds".to_owned(), Scalar::Text(id.to_owned())),
            fields: vec!["categoryIds".to_owned()],
            limit: BATCH as u32,
            ..Query::default()
        };
        let mut lost = 0;
        while lost < TRIES_MAX {
            // Always the first page: what was moved is not found again.
            let products = self.ctx.find::<Referring>(PRODUCTS, &query)?.items;
            if products.is_empty() {
                return Ok(());
            }
            let mut commit = self.ctx.commit();
            if let Some(parent) = parent {
                let held = commit.check(CATEGORIES, parent);
                commit.guard(held, Filter::Eq(MARK.to_owned(), Scalar::Null));
            }
            for product in products {
                let ids = rules::reparented(&product.data.category_ids, id, parent);
                let set = FieldOperation::set("categoryIds", json!(ids));
                let moved = commit.update(PRODUCTS, &product.id, vec![set]);
                commit.expect_version(moved, product.version);
                commit.event("product.updated", moved);
            }
            let Err(error) = commit.apply() else { continue };
            match (error.refusal(), parent) {
                (Some((0, Refusal::Guard)), Some(parent)) => {
                    self.settle_parent(parent)?;
                    lost += 1;
                }
                // Somebody has changed a product meanwhile, or the parent is gone and with it this category's place.
                (Some((_, Refusal::Version { .. } | Refusal::NotFound)), _) => lost += 1,
                _ => return Err(error.into()),
            }
        }
        Err(Problem::conflict("The category's products keep changing. Try again in a moment."))
    }

    /// The parent is being deleted too: takes a stale mark off it, or gives up.
    fn settle_parent(&self, parent: &str) -> Result<()> {
        let Some(marked) = self.ctx.get::<Marked>(CATEGORIES, parent)? else { return Ok(()) };
        match marked.data.deleting_since {
            None => Ok(()),
            Some(since) if since < timestamp(self.ctx.now_ms() - STALE_MS) => {
                unmark(self.ctx, parent, marked.version);
                Ok(())
            }
            Some(_) => {
                Err(Problem::conflict("The category's parent is being deleted. Try again in a moment."))
            }
        }
    }

    fn unmark(&self) {
        unmark(self.ctx, &self.document.id, self.version);
    }
}

/// Takes a mark off. If that fails, either the mark is gone already or it will be stale soon.
pub(crate) fn unmark(ctx: &Context<'_>, id: &str, version: u64) {
    let mut commit = ctx.commit();
    let unset = commit.update(CATEGORIES, id, vec![FieldOperation::Unset { path: MARK.to_owned() }]);
    commit.expect_version(unset, version);
    match commit.apply() {
        Ok(_) | Err(StoreError::Refused { .. }) => {}
        Err(error) => {
            ctx.log(
                Level::Warn,
                "A category keeps its deletion mark for a minute",
                &[("category", id), ("cause", &format!("{error:?}"))],
            );
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Referring {
    category_ids: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Marked {
    deleting_since: Option<String>,
}
