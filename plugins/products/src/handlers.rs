//! The routes' work: read, apply the rules, commit.

use plugin_sdk::{
    Change, Context, Document, Filter, Problem, Query, Reply, Request, Result, Scalar, Stored, change,
    money::is_currency, patch::merged_document,
};

use crate::{
    Config,
    availability::Stock,
    categories,
    expand::Expansion,
    model::{Product, ProductInput},
    prices,
    save::{Deleting, Saving},
    view::{Seen, Viewer},
};

pub(crate) const PRODUCTS: &str = "products";

pub(crate) fn list(ctx: &Context<'_>, mut request: Request) -> Result<Reply> {
    let viewer = viewer(ctx, &request)?;
    let mut expansion = Expansion::asked(&request)?;
    let condition = condition(ctx, &request, &viewer)?;
    let mut list = request.list();
    prices::settle(ctx, &mut list, &viewer.currency)?;
    let page = ctx.find_raw(PRODUCTS, &list.and(condition))?;
    let seen = page.documents.iter().map(|it| Seen::of(ctx, it)).collect::<Result<Vec<_>, _>>()?;
    let stock = Stock::read(ctx, seen.iter().flat_map(Seen::counted))?;
    expansion.read(ctx, page.documents.iter())?;
    let mut body = page.documents.iter().zip(&seen);
    let mut until = None;
    let reply = Reply::raw_page(&page, |_, out| {
        let Some((document, seen)) = body.next() else { return Ok(()) };
        viewer.show(document, seen, &stock, out, &mut until)?;
        expansion.push(ctx, document, out)?;
        Ok::<_, Problem>(())
    })?;
    Ok(reply.valid_until(until))
}

/// What the viewer may see of what the request's own parameters ask for.
pub(crate) fn condition(ctx: &Context<'_>, request: &Request, viewer: &Viewer) -> Result<Filter> {
    let mut conditions = Vec::new();
    if !viewer.sees_all {
        conditions.push(Filter::Eq("status".to_owned(), Scalar::Text("active".to_owned())));
    }
    if let Some(category) = request.query("category") {
        conditions.push(categories::within(ctx, category, viewer.sees_all)?);
    }
    Ok(if conditions.len() == 1 { conditions.remove(0) } else { Filter::And(conditions) })
}

pub(crate) fn read(ctx: &Context<'_>, request: Request) -> Result<Reply> {
    show(ctx, &request, ctx.get_raw(PRODUCTS, request.param("id"))?)
}

pub(crate) fn read_by_slug(ctx: &Context<'_>, request: Request) -> Result<Reply> {
    let filter = Filter::Eq("slug".to_owned(), Scalar::Text(request.param("slug").to_owned()));
    let page = ctx.find_raw(PRODUCTS, &Query { filter, limit: 1, ..Query::default() })?;
    show(ctx, &request, page.documents.into_iter().next())
}

pub(crate) fn create(ctx: &Context<'_>, request: Request) -> Result<Reply> {
    save(ctx, &request, request.json()?, None)
}

pub(crate) fn replace(ctx: &Context<'_>, request: Request) -> Result<Reply> {
    let (current, _) = current(ctx, &request)?;
    let mut input: ProductInput = request.json()?;
    input.slug = input.slug.or_else(|| Some(current.data.slug.clone()));
    save(ctx, &request, input, Some(current))
}

pub(crate) fn patch(ctx: &Context<'_>, request: Request) -> Result<Reply> {
    let (current, document) = current(ctx, &request)?;
    save(ctx, &request, merged_document(&document, request.value()?)?, Some(current))
}

pub(crate) fn delete(ctx: &Context<'_>, request: Request) -> Result<Reply> {
    let (_, document) = current(ctx, &request)?;
    change::commit(ctx, &mut Deleting::prepare(ctx, document)?, |_, commit, _| commit.answer_empty())
}

fn show(ctx: &Context<'_>, request: &Request, document: Option<Document>) -> Result<Reply> {
    let mut expansion = Expansion::asked(request)?;
    let document = document.ok_or_else(Problem::not_found)?;
    let viewer = viewer(ctx, request)?;
    let seen = Seen::of(ctx, &document)?;
    if !viewer.may_see(&seen) {
        return Err(Problem::not_found());
    }
    let stock = Stock::read(ctx, seen.counted())?;
    let (mut json, mut until) = (String::with_capacity(document.json.len() + 256), None);
    viewer.show(&document, &seen, &stock, &mut json, &mut until)?;
    expansion.read(ctx, std::iter::once(&document))?;
    expansion.push(ctx, &document, &mut json)?;
    Ok(Reply::raw_resource(json, document.version).valid_until(until))
}

pub(crate) fn viewer(ctx: &Context<'_>, request: &Request) -> Result<Viewer> {
    let currency = match request.query("currency") {
        Some(code) if is_currency(code) => code.to_owned(),
        Some(code) => {
            return Err(Problem::invalid_parameter(
                "currency",
                format!("`{code}` is no currency of ISO 4217."),
            ));
        }
        None => ctx.config::<Config>().default_currency,
    };
    let sees_all = request.caller.may("products:read");
    Ok(Viewer { currency, now: ctx.now(), sees_all, groups: request.caller.groups.clone() })
}

/// The product that a write is about, in the version that the client expects.
pub(crate) fn current(ctx: &Context<'_>, request: &Request) -> Result<(Stored<Product>, Document)> {
    let (current, document) = existing(ctx, request.param("id"))?;
    request.check_version(current.version)?;
    Ok((current, document))
}

/// The product with this id.
pub(crate) fn existing(ctx: &Context<'_>, id: &str) -> Result<(Stored<Product>, Document)> {
    let document = ctx.get_raw(PRODUCTS, id)?.ok_or_else(Problem::not_found)?;
    let data = ctx.read(PRODUCTS, &document)?;
    Ok((Stored { id: document.id.clone(), version: document.version, data }, document))
}

/// Checks a product and commits it with the product as the answer.
fn save(
    ctx: &Context<'_>,
    request: &Request,
    input: ProductInput,
    current: Option<Stored<Product>>,
) -> Result<Reply> {
    let viewer = viewer(ctx, request)?;
    let mut saving = Saving::prepare(ctx, input, current)?;
    let stock = Stock::of_input(ctx, &saving.input)?;
    change::commit(ctx, &mut saving, |saving, commit, written| {
        let headers = match saving.status() {
            201 => vec![("location".to_owned(), format!("/products/{}", saving.id))],
            _ => Vec::new(),
        };
        commit.answer(saving.status(), written, Some(&viewer.overlay(&saving.input, &stock)), headers)
    })
}
