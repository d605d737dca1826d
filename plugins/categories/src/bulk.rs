//! Many categories in one request.
//!
//! Changes of the trees' shape are checked against the trees as they are, not as other operations of the same commit
//! will leave them. So in one commit a move is the only change of the shape: two moves that are fine by themselves
//! could make a cycle together. Creations and deletions go together, except below what is deleted.

use std::collections::BTreeSet;

use plugin_sdk::{
    Change, Commit, Context, Problem, Reply, Request, Result, StoreError, WriteRef,
    bulk::{self, BulkResource, Operation},
    change::SaveOrDelete,
    patch::merged_document,
    serde_json::value::RawValue,
};

use crate::{
    CATEGORIES,
    delete::{check_empty, mark, unmark},
    handlers::existing,
    rules,
    save::Saving,
    tree::Shape,
};

pub(crate) fn bulk(ctx: &Context<'_>, request: Request) -> Result<Reply> {
    bulk::answer(ctx, &request, &BulkCategories)
}

struct BulkCategories;

type CategoryChange = SaveOrDelete<Saving, Deleting>;

impl BulkResource for BulkCategories {
    type Change = CategoryChange;

    fn prepare(&self, ctx: &Context<'_>, operation: Operation) -> Result<CategoryChange> {
        Ok(match operation {
            Operation::Create { data } => {
                CategoryChange::save(Saving::prepare(ctx, bulk::data(data)?, None)?)
            }
            Operation::Update { id, data } => {
                let (current, document) = existing(ctx, &id)?;
                let input = merged_document(&document, data)?;
                CategoryChange::save(Saving::prepare(ctx, input, Some(current))?)
            }
            Operation::Delete { id } => CategoryChange::Delete(Deleting::prepare(ctx, &id)?),
        })
    }

    fn unite(&self, _ctx: &Context<'_>, changes: &mut [CategoryChange]) -> Result<(), (usize, Problem)> {
        let reshaping = changes.iter().filter(|change| reshapes(change)).count();
        let deletes = |change: &&CategoryChange| matches!(change, CategoryChange::Delete(_));
        let deleted: BTreeSet<String> =
            changes.iter().filter(deletes).map(|change| change.id().to_owned()).collect();
        let (mut earlier, mut slugs) = (0, BTreeSet::new());
        for (index, change) in changes.iter_mut().enumerate() {
            if let CategoryChange::Save(saving) = change {
                if saving.moves() && reshaping > 1 {
                    let message = "A move is the only change of the trees in an atomic request.";
                    return Err((index, Problem::conflict(message)));
                }
                let parent = saving.input.parent_id.as_ref().filter(|_| saving.reshapes());
                if let Some(parent) = parent.filter(|parent| deleted.contains(*parent)) {
                    return Err((index, Problem::validation(vec![rules::no_such_parent(parent)])));
                }
                saving.differ(&mut slugs);
            }
            if reshapes(change) {
                follow(change, earlier);
                earlier += 1;
            }
        }
        Ok(())
    }
}

/// Whether the trees have another shape afterwards.
fn reshapes(change: &CategoryChange) -> bool {
    match change {
        CategoryChange::Save(saving) => saving.reshapes(),
        CategoryChange::Delete(_) => true,
    }
}

/// Tells a change how many changes of the trees the same commit makes before.
fn follow(change: &mut CategoryChange, earlier: u64) {
    match change {
        CategoryChange::Save(saving) => saving.earlier = earlier,
        CategoryChange::Delete(deleting) => deleting.earlier = earlier,
    }
}

/// A category to delete, which must be empty; [`delete`](crate::delete) tells what the mark is for.
struct Deleting {
    id: String,
    version: u64,
    /// The category as it was, for the event.
    last: Box<RawValue>,
    /// The trees, once the category is marked.
    shape: Option<Shape>,
    earlier: u64,
}

impl Deleting {
    fn prepare(ctx: &Context<'_>, id: &str) -> Result<Self> {
        let (current, document) = existing(ctx, id)?;
        check_empty(ctx, id)?;
        let last = ctx.read::<&RawValue>(CATEGORIES, &document)?.to_owned();
        Ok(Self { id: current.id, version: current.version, last, shape: None, earlier: 0 })
    }

    fn look(&mut self, ctx: &Context<'_>) -> Result<()> {
        self.shape = Some(Shape::read(ctx)?);
        check_empty(ctx, &self.id)
    }
}

impl Change for Deleting {
    fn id(&self) -> &str {
        &self.id
    }

    fn status(&self) -> u16 {
        204
    }

    fn version(&self) -> Option<u64> {
        None
    }

    fn begin(&mut self, ctx: &Context<'_>) -> Result<()> {
        self.version = mark(ctx, &self.id, self.version)?;
        self.look(ctx)
    }

    fn write(&self, commit: &mut Commit<'_>) -> WriteRef {
        if let Some(shape) = &self.shape {
            shape.lock(commit, self.earlier);
        }
        let deleted = commit.delete(CATEGORIES, &self.id);
        commit.expect_version(deleted, self.version);
        commit.event_with("category.deleted", deleted, &self.last);
        deleted
    }

    fn refused(&mut self, ctx: &Context<'_>, write: usize, error: StoreError) -> Result<()> {
        if Shape::has_changed(write, &error) { self.look(ctx) } else { Err(error.into()) }
    }

    fn abandon(&self, ctx: &Context<'_>) {
        if self.shape.is_some() {
            unmark(ctx, &self.id, self.version);
        }
    }
}
