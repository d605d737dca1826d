//! The routes' work: read, apply the rules, commit. Deleting is in [`delete`](crate::delete).

use plugin_sdk::{
    Context, Document, FieldError, Filter, Problem, Query, Reply, Request, Result, Scalar, StoreError,
    Stored, Value, commit::taken, json, keys, patch::merged_document, slug,
};

use crate::{
    CATEGORIES,
    model::{CategoryAncestor, CategoryInput, CategoryMove, StoredCategory},
    rules::{self, LEVELS_MAX},
    tree::{self, Ancestry, Shape},
    view::{Forest, Seen, without_mark},
};

/// Most times that one call looks and commits again after somebody else has changed the trees.
pub(crate) const TRIES_MAX: u32 = 16;

/// Most categories in one tree answer.
const NODES_MAX: usize = 5_000;

pub(crate) fn list(ctx: &Context<'_>, mut request: Request) -> Result<Reply> {
    let query = request.list().and(visible(&request));
    let page = ctx.find_raw(CATEGORIES, &query)?;
    let seen = page.documents.iter().map(|it| Seen::of(ctx, it)).collect::<Result<Vec<_>, _>>()?;
    let ancestry = Ancestry::above(ctx, seen.iter().filter_map(|it| it.parent_id.as_deref()))?;
    let mut seen = seen.iter();
    Reply::raw_page(&page, |document, out| {
        if let Some(seen) = seen.next() {
            let path = ancestry.path(seen.parent_id.as_deref()).unwrap_or_default();
            seen.open(document, &path, out);
            out.push('}');
        }
        Ok(())
    })
}

pub(crate) fn read(ctx: &Context<'_>, request: Request) -> Result<Reply> {
    show(ctx, &request, ctx.get_raw(CATEGORIES, request.param("id"))?)
}

pub(crate) fn read_by_slug(ctx: &Context<'_>, request: Request) -> Result<Reply> {
    let filter = Filter::Eq("slug".to_owned(), Scalar::Text(request.param("slug").to_owned()));
    let page = ctx.find_raw(CATEGORIES, &Query { filter, limit: 1, ..Query::default() })?;
    show(ctx, &request, page.documents.into_iter().next())
}

pub(crate) fn read_tree(ctx: &Context<'_>, request: Request) -> Result<Reply> {
    let levels = request.query("depth").and_then(|depth| depth.parse().ok()).unwrap_or(LEVELS_MAX);
    let condition = visible(&request);
    let top = match request.query("root") {
        Some(root) => named(root),
        None => Filter::Eq("parentId".to_owned(), Scalar::Null),
    };
    let roots = tree::every(ctx, Filter::And(vec![top, condition.clone()]), NODES_MAX)?;
    let mut path = match (request.query("root"), roots.first()) {
        (Some(_), None) => return Err(Problem::not_found()),
        (Some(_), Some(root)) => path_of(ctx, &Seen::of(ctx, root)?)?,
        (None, _) => Vec::new(),
    };
    let mut forest = Forest::default();
    let mut found = roots.len();
    let mut level: Vec<String> = roots.iter().map(|root| root.id.clone()).collect();
    for _ in 1..levels {
        if level.is_empty() || found > NODES_MAX {
            break;
        }
        let below = tree::children(ctx, &level, &condition, NODES_MAX - found)?;
        found += below.len();
        level = below.iter().map(|child| child.id.clone()).collect();
        forest.grow(ctx, below)?;
    }
    if found > NODES_MAX {
        let message =
            format!("The tree has more than {NODES_MAX} categories; ask for fewer levels or for a part.");
        return Err(Problem::invalid_parameter("depth", message));
    }
    let mut json = String::new();
    forest.show(ctx, &roots, &mut path, &mut json)?;
    Ok(Reply::bytes(json.into_bytes()))
}

pub(crate) fn create(ctx: &Context<'_>, request: Request) -> Result<Reply> {
    save(ctx, request.json()?, None)
}

pub(crate) fn replace(ctx: &Context<'_>, request: Request) -> Result<Reply> {
    let (current, _) = current(ctx, &request)?;
    let mut input: CategoryInput = request.json()?;
    input.slug = input.slug.or_else(|| Some(current.data.slug.clone()));
    save(ctx, input, Some(&current))
}

pub(crate) fn patch(ctx: &Context<'_>, request: Request) -> Result<Reply> {
    let (current, document) = current(ctx, &request)?;
    save(ctx, merged_document(&document, request.value()?)?, Some(&current))
}

pub(crate) fn place(ctx: &Context<'_>, request: Request) -> Result<Reply> {
    let (current, document) = current(ctx, &request)?;
    let wanted: CategoryMove = request.json()?;
    let mut change = json!({"parentId": wanted.parent_id});
    if let Some(rank) = wanted.rank {
        change["rank"] = json!(rank);
    }
    save(ctx, merged_document(&document, change)?, Some(&current))
}

/// The category that a write is about, in the version that the client expects. The document is without the mark.
pub(crate) fn current(ctx: &Context<'_>, request: &Request) -> Result<(Stored<StoredCategory>, Document)> {
    let mut document = ctx.get_raw(CATEGORIES, request.param("id"))?.ok_or_else(Problem::not_found)?;
    request.check_version(document.version)?;
    let data = ctx.read(CATEGORIES, &document)?;
    document.json = without_mark(&document.json);
    Ok((Stored { id: document.id.clone(), version: document.version, data }, document))
}

fn sees_all(request: &Request) -> bool {
    request.caller.may("categories:read") || request.caller.may("categories:write")
}

fn visible(request: &Request) -> Filter {
    if sees_all(request) { Filter::all() } else { Filter::Eq("active".to_owned(), Scalar::Boolean(true)) }
}

fn named(id_or_slug: &str) -> Filter {
    let is = |path: &str| Filter::Eq(path.to_owned(), Scalar::Text(id_or_slug.to_owned()));
    Filter::Or(vec![is("id"), is("slug")])
}

fn path_of(ctx: &Context<'_>, seen: &Seen<'_>) -> Result<Vec<CategoryAncestor>, StoreError> {
    let parent = seen.parent_id.as_deref();
    Ok(Ancestry::above(ctx, parent.into_iter())?.path(parent).unwrap_or_default())
}

fn show(ctx: &Context<'_>, request: &Request, document: Option<Document>) -> Result<Reply> {
    let document = document.ok_or_else(Problem::not_found)?;
    let seen = Seen::of(ctx, &document)?;
    if !seen.active && !sees_all(request) {
        return Err(Problem::not_found());
    }
    let mut json = String::with_capacity(document.json.len() + 256);
    seen.open(&document, &path_of(ctx, &seen)?, &mut json);
    json.push('}');
    Ok(Reply::raw_resource(json, document.version))
}

/// Checks a category and commits it, again where a derived slug was taken or the trees have changed meanwhile.
fn save(
    ctx: &Context<'_>,
    mut input: CategoryInput,
    current: Option<&Stored<StoredCategory>>,
) -> Result<Reply> {
    let mut errors = Vec::new();
    keys::check("/metadata", &input.metadata, &mut errors);
    let id = match current {
        Some(current) => current.id.clone(),
        None => ctx.new_id("cat")?,
    };
    let derived = input.slug.is_none();
    let mut slug_tries = 0;
    for _ in 0..TRIES_MAX {
        if derived {
            input.slug = slug::candidate(ctx, CATEGORIES, &input.name, "category", &id, slug_tries)?;
        }
        let placed = Placed::find(ctx, &id, &input, current, &errors)?;
        let error = match placed.commit(ctx, &id, &input, current) {
            Ok(reply) => return Ok(reply),
            Err(error) => error,
        };
        if placed.shape.is_some() && Shape::has_changed(&error) {
            continue;
        }
        if derived && error.is_taken("slug") && slug_tries < 2 {
            slug_tries += 1;
            continue;
        }
        return Err(taken(error, "slug", |_| "/slug".to_owned()));
    }
    Err(Problem::conflict("Others keep moving categories. Try again in a moment."))
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

    fn commit(
        &self,
        ctx: &Context<'_>,
        id: &str,
        input: &CategoryInput,
        current: Option<&Stored<StoredCategory>>,
    ) -> Result<Reply, StoreError> {
        let mut commit = ctx.commit();
        if let Some(shape) = &self.shape {
            // What goes to the root relies on no other category.
            if input.parent_id.is_some() { shape.lock(&mut commit) } else { shape.announce(&mut commit) }
        }
        let (written, topic) = match current {
            None => (commit.insert_with_id(CATEGORIES, id, input), "category.created"),
            // Replacing the document also takes the mark off; a deleter then fails, because the version has changed.
            Some(_) => (commit.replace(CATEGORIES, id, input), "category.updated"),
        };
        if let Some(current) = current {
            commit.expect_version(written, current.version);
        }
        commit.event(topic, written);
        let overlay: Value = json!({"path": self.path, "depth": self.path.len()});
        let location = || ("location".to_owned(), format!("/categories/{id}"));
        match current {
            Some(_) => commit.answer(200, written, Some(&overlay), Vec::new()),
            None => commit.answer(201, written, Some(&overlay), vec![location()]),
        }
    }
}
