//! Many categories in one request.
//!
//! Changes of the trees' shape are checked against the trees as they are, not as other operations of the same commit
//! will leave them. So in one commit a move is the only change of the shape: two moves that are fine by themselves
//! could make a cycle together. Creations and deletions go together, except below what is deleted.

use std::collections::BTreeSet;

use plugin_sdk::{
    Change, Commit, Context, Problem, Reply, Request, Result, StoreError, WriteRef,
    bulk::{self, BulkResource, Operation},
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

impl BulkResource for BulkCategories {
    type Change = CategoryChange;

    fn prepare(&self, ctx: &Context<'_>, operation: Operation) -> Result<CategoryChange> {
        Ok(match operation {
            Operation::Create { data } => saving(Saving::prepare(ctx, bulk::data(data)?, None)?),
            Operation::Update { id, data } => {
                let (current, document) = existing(ctx, &id)?;
                saving(Saving::prepare(ctx, merged_document(&document, data)?, Some(current))?)
            }
            Operation::Delete { id } => CategoryChange::Delete(Deleting::prepare(ctx, &id)?),
        })
    }

    fn unite(&self, ctx: &Context<'_>, changes: &mut [CategoryChange]) -> Result<(), (usize, Problem)> {
        let reshaping = changes.iter().filter(|change| change.reshapes()).count();
        let deleted: BTreeSet<String> =
            changes.iter().filter(|change| change.deletes()).map(|change| change.id().to_owned()).collect();
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
            }
            if let CategoryChange::Save(saving) = change {
                saving.differ(ctx, &mut slugs).map_err(|error| (index, error.into()))?;
            }
            if change.reshapes() {
                change.follow(earlier);
                earlier += 1;
            }
        }
        Ok(())
    }
}

enum CategoryChange {
    Save(Box<Saving>),
    Delete(Deleting),
}

fn saving(saving: Saving) -> CategoryChange {
    CategoryChange::Save(Box::new(saving))
}

impl CategoryChange {
    fn reshapes(&self) -> bool {
        match self {
            Self::Save(saving) => saving.reshapes(),
            Self::Delete(_) => true,
        }
    }

    fn deletes(&self) -> bool {
        matches!(self, Self::Delete(_))
    }

    /// How many changes of the trees the same commit makes before.
    fn follow(&mut self, earlier: u64) {
        match self {
            Self::Save(saving) => saving.earlier = earlier,
            Self::Delete(deleting) => deleting.earlier = earlier,
        }
    }

    fn inner(&self) -> &dyn Change {
        match self {
            Self::Save(saving) => saving,
            Self::Delete(deleting) => deleting,
        }
    }

    fn inner_mut(&mut self) -> &mut dyn Change {
        match self {
            Self::Save(saving) => saving,
            Self::Delete(deleting) => deleting,
        }
    }
}

impl Change for CategoryChange {
    fn id(&self) -> &str {
        self.inner().id()
    }

    fn status(&self) -> u16 {
        self.inner().status()
    }

    fn version(&self) -> Option<u64> {
        self.inner().version()
    }

    fn write(&self, commit: &mut Commit<'_>) -> WriteRef {
        self.inner().write(commit)
    }

    fn refused(&mut self, ctx: &Context<'_>, write: usize, error: StoreError) -> Result<()> {
        self.inner_mut().refused(ctx, write, error)
    }

    fn begin(&mut self, ctx: &Context<'_>) -> Result<()> {
        self.inner_mut().begin(ctx)
    }

    fn abandon(&self, ctx: &Context<'_>) {
        self.inner().abandon(ctx);
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
