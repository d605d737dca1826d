//! The routes' work: read, apply the rules, commit.

use plugin_sdk::{
    Context, Document, Filter, Problem, Query, Refusal, Reply, Request, Result, Scalar, StoreError, Stored,
    Value, commit::taken, money::is_currency, patch::merged_document, slug,
};
use serde::Deserialize;

use crate::{
    Config,
    availability::{Dropped, Stock, taken_meanwhile},
    categories,
    model::{Product, ProductInput},
    rules,
    view::{Seen, Viewer},
};

pub(crate) const PRODUCTS: &str = "products";

/// Most times that one call commits again after somebody else was faster.
const TRIES_MAX: u32 = 8;

pub(crate) fn list(ctx: &Context<'_>, mut request: Request) -> Result<Reply> {
    let viewer = viewer(ctx, &request)?;
    let mut conditions = Vec::new();
    if !viewer.sees_all {
        conditions.push(Filter::Eq("status".to_owned(), Scalar::Text("active".to_owned())));
    }
    if let Some(category) = request.query("category") {
        conditions.push(categories::within(ctx, category, viewer.sees_all)?);
    }
    let condition = if conditions.len() == 1 { conditions.remove(0) } else { Filter::And(conditions) };
    let page = ctx.find_raw(PRODUCTS, &request.list().and(condition))?;
    let seen = page.documents.iter().map(|it| Seen::of(ctx, it)).collect::<Result<Vec<_>, _>>()?;
    let stock = Stock::read(ctx, seen.iter().flat_map(Seen::counted))?;
    let mut body = page.documents.iter().zip(&seen);
    let mut until = None;
    let reply = Reply::raw_page(&page, |_, out| match body.next() {
        Some((document, seen)) => viewer.show(document, seen, &stock, out, &mut until),
        None => Ok(()),
    })?;
    Ok(reply.valid_until(until))
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
    let (current, document) = current(ctx, &request)?;
    let dropped = Dropped::check(ctx, &current.data, None)?;
    let mut commit = ctx.commit();
    let deleted = commit.delete(PRODUCTS, &current.id);
    let proof = dropped.prove(&mut commit);
    commit.expect_version(deleted, current.version);
    commit.event_with(
        "product.deleted",
        deleted,
        &ctx.read::<&serde_json::value::RawValue>(PRODUCTS, &document)?,
    );
    commit.answer_empty().map_err(|error| match (error.refusal(), proof) {
        (Some((write, Refusal::AlreadyExists)), Some(proof)) if write >= proof.position() => {
            taken_meanwhile()
        }
        _ => error.into(),
    })
}

fn show(ctx: &Context<'_>, request: &Request, document: Option<Document>) -> Result<Reply> {
    let document = document.ok_or_else(Problem::not_found)?;
    let viewer = viewer(ctx, request)?;
    let seen = Seen::of(ctx, &document)?;
    if !viewer.may_see(&seen) {
        return Err(Problem::not_found());
    }
    let stock = Stock::read(ctx, seen.counted())?;
    let (mut json, mut until) = (String::with_capacity(document.json.len() + 256), None);
    viewer.show(&document, &seen, &stock, &mut json, &mut until)?;
    Ok(Reply::raw_resource(json, document.version).valid_until(until))
}

fn viewer(ctx: &Context<'_>, request: &Request) -> Result<Viewer> {
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
    Ok(Viewer { currency, now: ctx.now(), sees_all: request.caller.may("products:read") })
}

/// The product that a write is about, in the version that the client expects.
fn current(ctx: &Context<'_>, request: &Request) -> Result<(Stored<Product>, Document)> {
    let document = ctx.get_raw(PRODUCTS, request.param("id"))?.ok_or_else(Problem::not_found)?;
    request.check_version(document.version)?;
    let data = ctx.read(PRODUCTS, &document)?;
    Ok((Stored { id: document.id.clone(), version: document.version, data }, document))
}

/// Checks a product and commits it, again where a derived slug was taken or a category carried a stale mark.
fn save(
    ctx: &Context<'_>,
    request: &Request,
    mut input: ProductInput,
    current: Option<Stored<Product>>,
) -> Result<Reply> {
    let viewer = viewer(ctx, request)?;
    let before = current.as_ref().map(|current| &current.data);
    let mut errors = rules::settle(&mut input, before, &viewer.now);
    let added = rules::added_categories(&input, before);
    errors.extend(categories::missing(ctx, &added)?);
    if !errors.is_empty() {
        return Err(Problem::validation(errors));
    }
    let id = match &current {
        Some(current) => current.id.clone(),
        None => ctx.new_id("prod")?,
    };
    for variant in input.variants.iter_mut().filter(|variant| variant.id.is_none()) {
        variant.id = Some(ctx.new_id("var")?);
    }
    let dropped = before.map(|before| Dropped::check(ctx, before, Some(&input))).transpose()?;
    let counted = input.variants.iter().filter(|variant| variant.track_inventory);
    let stock = Stock::read(ctx, counted.map(|variant| variant.sku.as_str()))?;
    let overlay = viewer.overlay(&input, &stock);
    let derived = input.slug.is_none();
    let mut slug_tries = 0;
    for _ in 0..TRIES_MAX {
        if derived {
            input.slug = slug::candidate(ctx, PRODUCTS, &input.name, "product", &id, slug_tries)?;
        }
        let error = match commit(ctx, &overlay, &id, &input, current.as_ref(), &added, dropped.as_ref()) {
            Ok(reply) => return Ok(reply),
            Err(error) => error,
        };
        match error.refusal() {
            Some((write, Refusal::AlreadyExists)) if write > added.len() => return Err(taken_meanwhile()),
            Some((write, Refusal::Guard | Refusal::NotFound)) if write > 0 => {
                let (index, category) = &added[write - 1];
                categories::settle(ctx, *index, category)?;
            }
            _ if derived && error.is_taken("slug") && slug_tries < 2 => slug_tries += 1,
            Some((_, Refusal::Unique { .. })) => return Err(all_taken(ctx, &id, &input, error)?),
            _ => return Err(error.into()),
        }
    }
    Err(Problem::conflict("Others keep changing what this product refers to."))
}

/// One try: the product is write 0, its newly referenced categories follow in the order of `added`, and then what
/// proves that dropped SKUs have no stock.
fn commit(
    ctx: &Context<'_>,
    overlay: &Value,
    id: &str,
    input: &ProductInput,
    current: Option<&Stored<Product>>,
    added: &[(usize, String)],
    dropped: Option<&Dropped>,
) -> Result<Reply, StoreError> {
    let mut commit = ctx.commit();
    let written = match current {
        None => commit.insert_with_id(PRODUCTS, id, input),
        Some(_) => commit.replace(PRODUCTS, id, input),
    };
    if let Some(current) = current {
        commit.expect_version(written, current.version);
    }
    for (_, category) in added {
        categories::hold(&mut commit, category);
    }
    if let Some(dropped) = dropped {
        dropped.prove(&mut commit);
    }
    commit.event(if current.is_some() { "product.updated" } else { "product.created" }, written);
    match current {
        Some(_) => commit.answer(200, written, Some(overlay), Vec::new()),
        None => {
            let location = ("location".to_owned(), format!("/products/{id}"));
            commit.answer(201, written, Some(overlay), vec![location])
        }
    }
}

/// A 409 that names everything of the product that others have: the store names the first only.
fn all_taken(ctx: &Context<'_>, id: &str, input: &ProductInput, error: StoreError) -> Result<Problem> {
    #[derive(Deserialize)]
    struct Holder {
        slug: String,
        variants: Vec<Held>,
    }
    #[derive(Deserialize)]
    struct Held {
        sku: String,
    }
    let slug = input.slug.clone().unwrap_or_default();
    let skus = input.variants.iter().map(|variant| Scalar::Text(variant.sku.clone())).collect();
    let filter = Filter::Or(vec![
        Filter::Eq("slug".to_owned(), Scalar::Text(slug.clone())),
        Filter::In("variants.sku".to_owned(), skus),
    ]);
    let fields = vec!["slug".to_owned(), "variants".to_owned()];
    let mut holders =
        ctx.find::<Holder>(PRODUCTS, &Query { filter, fields, limit: 300, ..Query::default() })?.items;
    holders.retain(|holder| holder.id != id);

    let sku_pointer = |sku: &str| {
        let index = input.variants.iter().position(|variant| variant.sku == sku).unwrap_or_default();
        format!("/variants/{index}/sku")
    };
    let mut problem = taken(error, "variants.sku", sku_pointer);
    let mut conflicts = Vec::new();
    if holders.iter().any(|holder| holder.data.slug == slug) {
        conflicts.extend(Problem::already_exists("/slug", format!("`{slug}` is already in use.")).errors);
    }
    for (index, variant) in input.variants.iter().enumerate() {
        let held = |holder: &Stored<Holder>| holder.data.variants.iter().any(|held| held.sku == variant.sku);
        if holders.iter().any(held) {
            let message = format!("`{}` is already in use.", variant.sku);
            conflicts.extend(Problem::already_exists(format!("/variants/{index}/sku"), message).errors);
        }
    }
    // The holder may be gone again; then the store's own word stands.
    if !conflicts.is_empty() {
        problem.errors = conflicts;
    }
    Ok(problem)
}
