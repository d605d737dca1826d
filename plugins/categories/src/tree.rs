//! The shape of the trees: the document that every change of it locks, and walks up and down.
//!
//! Categories name their parent only. Whether a change keeps the trees free of cycles depends on other categories, so
//! changes go through one document: a change reads its version **first**, then looks around, and commits only if the
//! version is still the same. Two moves that together would make a cycle meet there.

use std::collections::BTreeMap;

use plugin_sdk::{
    Commit, Context, Direction, Document, FieldOperation, Filter, Query, Refusal, Scalar, SortKey,
    StoreError, WriteRef,
};
use serde::Deserialize;
use serde_json::json;

use crate::{CATEGORIES, TREE, model::CategoryAncestor, rules::LEVELS_MAX};

/// The one document of `category_tree`.
const TREE_ID: &str = "cat_tree_00000000000000000000000000";

/// Most ids in one condition of the store.
const CHUNK: usize = 1_000;

/// The trees as they were when a change began.
pub(crate) struct Shape {
    version: Option<u64>,
}

impl Shape {
    /// To be read before anything that the change relies on.
    pub(crate) fn read(ctx: &Context<'_>) -> Result<Self, StoreError> {
        let document = ctx.get_raw(TREE, TREE_ID)?;
        Ok(Self { version: document.map(|document| document.version) })
    }

    /// Makes the commit fail if the trees have changed, and other changes fail if this one comes first. `earlier` is
    /// how many changes of the trees the same commit makes before. It must be the change's first write.
    pub(crate) fn lock(&self, commit: &mut Commit<'_>, earlier: u64) {
        if let Some(written) = self.touch(commit, earlier) {
            commit.expect_version(written, self.version.unwrap_or(0) + earlier);
        }
    }

    /// Makes other changes fail if this one comes first; this one does not rely on the shape. It must be the change's
    /// first write.
    pub(crate) fn announce(&self, commit: &mut Commit<'_>, earlier: u64) {
        self.touch(commit, earlier);
    }

    /// Counts the change in the document of the trees; `None` when this made the document.
    fn touch(&self, commit: &mut Commit<'_>, earlier: u64) -> Option<WriteRef> {
        if self.version.is_none() && earlier == 0 {
            commit.insert_with_id(TREE, TREE_ID, &json!({"changes": 1}));
            return None;
        }
        let increment = FieldOperation::increment("changes", 1);
        Some(commit.update(TREE, TREE_ID, vec![increment]))
    }

    /// Whether a change that begins with this lock was refused at its write `write` because the trees have changed.
    pub(crate) fn has_changed(write: usize, error: &StoreError) -> bool {
        let lost = |refusal: &Refusal| {
            matches!(refusal, Refusal::Version { .. } | Refusal::AlreadyExists | Refusal::NotFound)
        };
        write == 0 && error.refusal().is_some_and(|(_, refusal)| lost(refusal))
    }
}

/// A category as a step on the way up.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Step {
    slug: String,
    name: String,
    parent_id: Option<String>,
}

/// The ancestors of some categories.
pub(crate) struct Ancestry {
    steps: BTreeMap<String, Step>,
}

impl Ancestry {
    /// Reads these categories and all above them, level by level.
    pub(crate) fn above<'i>(
        ctx: &Context<'_>,
        parents: impl Iterator<Item = &'i str>,
    ) -> Result<Self, StoreError> {
        let mut steps = BTreeMap::new();
        let mut level: Vec<String> = parents.map(str::to_owned).collect();
        // Deeper than the trees are allowed to be, so that a wrong tree is still shown.
        for _ in 0..2 * LEVELS_MAX {
            level.sort_unstable();
            level.dedup();
            level.retain(|id| !steps.contains_key(id));
            if level.is_empty() {
                break;
            }
            let mut next = Vec::new();
            for ids in level.chunks(CHUNK) {
                for step in ctx.get_many::<Step>(CATEGORIES, ids)?.into_iter().flatten() {
                    next.extend(step.data.parent_id.clone());
                    steps.insert(step.id, step.data);
                }
            }
            level = next;
        }
        Ok(Self { steps })
    }

    /// The way to a category in `parent`, from the root on. `None` when there is no such parent.
    pub(crate) fn path(&self, parent: Option<&str>) -> Option<Vec<CategoryAncestor>> {
        let mut path = Vec::new();
        let mut next = parent;
        while let Some((id, step)) = next.and_then(|id| self.steps.get_key_value(id)) {
            // Bounded by the steps there are, should the trees hold a cycle.
            if path.len() == self.steps.len() {
                break;
            }
            path.push(CategoryAncestor { id: id.clone(), slug: step.slug.clone(), name: step.name.clone() });
            next = step.parent_id.as_deref();
        }
        path.reverse();
        (parent.is_none() || !path.is_empty()).then_some(path)
    }
}

/// The children of these categories by rank and name, as far as they meet the condition. At most `most`, and one more
/// where there are more.
pub(crate) fn children(
    ctx: &Context<'_>,
    parents: &[String],
    condition: &Filter,
    most: usize,
) -> Result<Vec<Document>, StoreError> {
    let mut all = Vec::new();
    for parents in parents.chunks(CHUNK) {
        let parents = parents.iter().cloned().map(Scalar::Text).collect();
        let below = Filter::In("parentId".to_owned(), parents);
        all.extend(every(ctx, Filter::And(vec![below, condition.clone()]), most - all.len().min(most))?);
    }
    Ok(all)
}

/// Every category that matches, by rank and name. At most `most`, and one more where there are more.
pub(crate) fn every(ctx: &Context<'_>, filter: Filter, most: usize) -> Result<Vec<Document>, StoreError> {
    let ascending = |path: &str| SortKey { path: path.to_owned(), direction: Direction::Ascending };
    let limit = u32::try_from(most + 1).unwrap_or(u32::MAX).min(1_000);
    let sort = vec![ascending("rank"), ascending("name")];
    let mut query = Query { filter, sort, limit, ..Query::default() };
    let mut all = Vec::new();
    loop {
        let page = ctx.find_raw(CATEGORIES, &query)?;
        all.extend(page.documents);
        match page.next {
            Some(next) if all.len() <= most => query.cursor = Some(next),
            _ => break,
        }
    }
    all.truncate(most + 1);
    Ok(all)
}

/// How many levels are below a category.
pub(crate) fn levels_below(ctx: &Context<'_>, id: &str) -> Result<usize, StoreError> {
    let mut level = vec![id.to_owned()];
    for levels in 0..2 * LEVELS_MAX {
        let below = children(ctx, &level, &Filter::all(), usize::MAX - 1)?;
        if below.is_empty() {
            return Ok(levels);
        }
        level = below.into_iter().map(|child| child.id).collect();
    }
    Ok(2 * LEVELS_MAX)
}
