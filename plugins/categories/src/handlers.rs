//! The routes' work: read, apply the rules, commit. Deleting is in [`delete`](crate::delete).

use plugin_sdk::{
    Change, Context, Document, Filter, Problem, Query, Reply, Request, Result, Scalar, StoreError, Stored,
    change, json, patch::merged_document,
};

use crate::{
    CATEGORIES,
    model::{CategoryAncestor, CategoryInput, CategoryMove, StoredCategory},
    rules::LEVELS_MAX,
    save::Saving,
    tree::{self, Ancestry},
    view::{Forest, Seen, without_mark},
};

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
    save(ctx, input, Some(current))
}

pub(crate) fn patch(ctx: &Context<'_>, request: Request) -> Result<Reply> {
    let (current, document) = current(ctx, &request)?;
    save(ctx, merged_document(&document, request.value()?)?, Some(current))
}

pub(crate) fn place(ctx: &Context<'_>, request: Request) -> Result<Reply> {
    let (current, document) = current(ctx, &request)?;
    let wanted: CategoryMove = request.json()?;
    let mut change = json!({"parentId": wanted.parent_id});
    if let Some(rank) = wanted.rank {
        change["rank"] = json!(rank);
    }
    save(ctx, merged_document(&document, change)?, Some(current))
}

/// The category that a write is about, in the version that the client expects. The document is without the mark.
pub(crate) fn current(ctx: &Context<'_>, request: &Request) -> Result<(Stored<StoredCategory>, Document)> {
    let (current, document) = existing(ctx, request.param("id"))?;
    request.check_version(current.version)?;
    Ok((current, document))
}

/// The category with this id. The document is without the mark.
pub(crate) fn existing(ctx: &Context<'_>, id: &str) -> Result<(Stored<StoredCategory>, Document)> {
    let mut document = ctx.get_raw(CATEGORIES, id)?.ok_or_else(Problem::not_found)?;
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

/// Checks a category and commits it with the category as the answer.
fn save(ctx: &Context<'_>, input: CategoryInput, current: Option<Stored<StoredCategory>>) -> Result<Reply> {
    let mut saving = Saving::prepare(ctx, input, current)?;
    change::commit(ctx, &mut saving, |saving, commit, written| {
        let headers = match saving.status() {
            201 => vec![("location".to_owned(), format!("/categories/{}", saving.id()))],
            _ => Vec::new(),
        };
        commit.answer(saving.status(), written, Some(&saving.computed()), headers)
    })
}
