//! Writing a category: the change that creating, replacing, patching and moving prepare, alone or in bulk.

use std::collections::BTreeSet;

use plugin_sdk::{
    Change, Commit, Context, FieldError, Problem, Result, StoreError, Stored, Value, WriteRef, commit::taken,
    json, keys, slug::Derivation,
};

use crate::{
    CATEGORIES,
    model::{CategoryAncestor, CategoryInput, StoredCategory},
    rules,
    tree::{self, Ancestry, Shape},
};

/// A category to insert or to put in the place of another.
pub(crate) struct Saving {
    id: String,
    pub(crate) input: CategoryInput,
    current: Option<Stored<StoredCategory>>,
    placed: Placed,
    /// How many changes of the trees the same commit makes before.
    pub(crate) earlier: u64,
    /// Unless the author gave one.
    slug: Option<Derivation>,
}

impl Saving {
    /// Checks a category. `current` is the one that it replaces.
    pub(crate) fn prepare(
        ctx: &Context<'_>,
        mut input: CategoryInput,
        current: Option<Stored<StoredCategory>>,
    ) -> Result<Self> {
        let mut errors = Vec::new();
        keys::check("/metadata", &input.metadata, &mut errors);
        let id = match &current {
            Some(current) => current.id.clone(),
            None => ctx.new_id("cat")?,
        };
        let placed = Placed::find(ctx, &id, &input, current.as_ref(), &errors)?;
        let slug = Derivation::unless_given(&mut input.slug, CATEGORIES, &input.name, "category", &id);
        Ok(Self { id, input, current, placed, earlier: 0, slug })
    }

    /// Takes the slug with a suffix where a change before it in the same commit has derived the same.
    pub(crate) fn differ(&mut self, slugs: &mut BTreeSet<Option<String>>) {
        if let Some(slug) = self.slug.as_mut().filter(|_| slugs.contains(&self.input.slug)) {
            self.input.slug = slug.last();
        }
        slugs.insert(self.input.slug.clone());
    }

    /// Whether the trees have another shape afterwards.
    pub(crate) fn reshapes(&self) -> bool {
        self.placed.shape.is_some()
    }

    /// Whether it takes a category with all below it to another place.
    pub(crate) fn moves(&self) -> bool {
        self.reshapes() && self.current.is_some()
    }

    /// The members that are not stored.
    pub(crate) fn computed(&self) -> Value {
        json!({"path": self.placed.path, "depth": self.placed.path.len()})
    }
}

impl Change for Saving {
    fn id(&self) -> &str {
        &self.id
    }

    fn status(&self) -> u16 {
        if self.current.is_some() { 200 } else { 201 }
    }

    fn version(&self) -> Option<u64> {
        Some(self.current.as_ref().map_or(1, |current| current.version + 1))
    }

    fn write(&self, commit: &mut Commit<'_>) -> WriteRef {
        if let Some(shape) = &self.placed.shape {
            // What goes to the root relies on no other category.
            match self.input.parent_id {
                Some(_) => shape.lock(commit, self.earlier),
                None => shape.announce(commit, self.earlier),
            }
        }
        let (written, topic) = match &self.current {
            None => (commit.insert_with_id(CATEGORIES, &self.id, &self.input), "category.created"),
            // Replacing the document also takes the mark off; a deleter then fails, because the version has changed.
            Some(_) => (commit.replace(CATEGORIES, &self.id, &self.input), "category.updated"),
        };
        if let Some(current) = &self.current {
            commit.expect_version(written, current.version);
        }
        commit.event(topic, written);
        written
    }

    /// Goes on where a derived slug was taken or the trees have changed meanwhile.
    fn refused(&mut self, ctx: &Context<'_>, write: usize, error: StoreError) -> Result<()> {
        if self.reshapes() && Shape::has_changed(write, &error) {
            self.placed = Placed::find(ctx, &self.id, &self.input, self.current.as_ref(), &[])?;
            return Ok(());
        }
        if let Some(slug) = &mut self.slug
            && let Some(next) = slug.next(ctx, &error)?
        {
            self.input.slug = Some(next);
            return Ok(());
        }
        Err(taken(error, "slug", |_| "/slug".to_owned()))
    }
}

/// Where a category that is being written comes to be.
struct Placed {
    /// The trees as they were, when the write changes them.
    shape: Option<Shape>,
    path: Vec<CategoryAncestor>,
}

impl Placed {
    /// Looks the place up and checks it. `errors` are the violations known so far, reported together with an unknown
    /// parent.
    fn find(
        ctx: &Context<'_>,
        id: &str,
        input: &CategoryInput,
        current: Option<&Stored<StoredCategory>>,
        errors: &[FieldError],
    ) -> Result<Self> {
        let parent = input.parent_id.as_deref();
        let moves = current.is_none_or(|current| current.data.parent_id.as_deref() != parent);
        let shape = if moves { Some(Shape::read(ctx)?) } else { None };
        let path = Ancestry::above(ctx, parent.into_iter())?.path(parent);
        let mut errors = errors.to_vec();
        match parent {
            Some(parent) if moves && path.is_none() => errors.push(rules::no_such_parent(parent)),
            _ => {}
        }
        if !errors.is_empty() {
            return Err(Problem::validation(errors));
        }
        let path = path.unwrap_or_default();
        if moves {
            // New categories have nothing below them, and at the root there is room for every tree.
            let counts = current.is_some() && parent.is_some();
            let below = if counts { tree::levels_below(ctx, id)? } else { 0 };
            rules::check_place(id, &path, below)?;
        }
        Ok(Self { shape, path })
    }
}
