//! The routes to single variants. A variant is a part of its product: what is written here is the product, checked by
//! the same rules, and both have one version.

use plugin_sdk::{
    Context, Document, FieldError, Problem, Reply, Request, Result, Stored, Value, change, json,
    patch::{merged, merged_document},
};

use crate::{
    availability::Stock,
    handlers::{PRODUCTS, current, viewer},
    model::{Product, ProductInput, ProductStatus, VARIANTS_MAX, VariantInput},
    save::Saving,
    view::{ShownVariant, sooner},
};

pub(crate) fn list(ctx: &Context<'_>, request: Request) -> Result<Reply> {
    let (version, variants) = shown(ctx, &request)?;
    let mut until = None;
    let mut body = String::from("[");
    for variant in variants {
        if body.len() > 1 {
            body.push(',');
        }
        body.push_str(&variant.json);
        sooner(&mut until, variant.until);
    }
    body.push(']');
    Ok(Reply::raw_resource(body, version).valid_until(until))
}

pub(crate) fn read(ctx: &Context<'_>, request: Request) -> Result<Reply> {
    let (version, variants) = shown(ctx, &request)?;
    let id = request.param("variantId");
    let variant = variants.into_iter().find(|variant| variant.id == id).ok_or_else(Problem::not_found)?;
    Ok(Reply::raw_resource(variant.json, version).valid_until(variant.until))
}

pub(crate) fn create(ctx: &Context<'_>, request: Request) -> Result<Reply> {
    let mut edit = Edit::begin(ctx, &request)?;
    let mut variant: VariantInput = request.json()?;
    variant.id = None;
    if edit.input.variants.len() >= VARIANTS_MAX {
        let message = format!("A product has at most {VARIANTS_MAX} variants.");
        return Err(Problem::validation(vec![FieldError::invalid("", message)]));
    }
    edit.input.variants.push(variant);
    let index = edit.input.variants.len() - 1;
    edit.save(ctx, &request, index, 201)
}

pub(crate) fn patch(ctx: &Context<'_>, request: Request) -> Result<Reply> {
    let mut edit = Edit::begin(ctx, &request)?;
    let index = edit.position(&request)?;
    let variant = &mut edit.input.variants[index];
    let id = variant.id.clone();
    *variant = merged(variant, request.value()?)?;
    variant.id = id;
    edit.save(ctx, &request, index, 200)
}

pub(crate) fn delete(ctx: &Context<'_>, request: Request) -> Result<Reply> {
    let mut edit = Edit::begin(ctx, &request)?;
    let index = edit.position(&request)?;
    edit.input.variants.remove(index);
    if edit.input.variants.is_empty() && edit.input.status == ProductStatus::Active {
        return Err(Problem::conflict(
            "An active product keeps its last variant. Archive the product first.",
        ));
    }
    let mut saving = Saving::prepare(ctx, edit.input, Some(edit.current))?;
    change::commit(ctx, &mut saving, |_, commit, _| commit.answer_empty())
}

/// The variants of the product that the request names, as its caller sees them, with the product's version.
fn shown(ctx: &Context<'_>, request: &Request) -> Result<(u64, Vec<ShownVariant>)> {
    let document: Document = ctx.get_raw(PRODUCTS, request.param("id"))?.ok_or_else(Problem::not_found)?;
    let variants = viewer(ctx, request)?.variants(ctx, &document)?.ok_or_else(Problem::not_found)?;
    Ok((document.version, variants))
}

/// A product while one of its variants is being changed.
struct Edit {
    input: ProductInput,
    current: Stored<Product>,
}

impl Edit {
    fn begin(ctx: &Context<'_>, request: &Request) -> Result<Self> {
        let (current, document) = current(ctx, request)?;
        Ok(Self { input: merged_document(&document, json!({}))?, current })
    }

    fn position(&self, request: &Request) -> Result<usize> {
        let id = request.param("variantId");
        let found = self.input.variants.iter().position(|variant| variant.id.as_deref() == Some(id));
        found.ok_or_else(Problem::not_found)
    }

    /// Commits the product and answers the variant at `index`.
    fn save(self, ctx: &Context<'_>, request: &Request, index: usize, status: u16) -> Result<Reply> {
        let viewer = viewer(ctx, request)?;
        let sku = &self.input.variants[index].sku;
        let holds = |(position, other): (usize, &VariantInput)| position != index && other.sku == *sku;
        if self.input.variants.iter().enumerate().any(holds) {
            return Err(Problem::already_exists("/sku", format!("`{sku}` is already in use.")));
        }
        let saved = || {
            let mut saving = Saving::prepare(ctx, self.input, Some(self.current))?;
            let stock = Stock::of_input(ctx, &saving.input)?;
            change::commit(ctx, &mut saving, |saving, commit, written| {
                let variant: Value = viewer.overlay(&saving.input, &stock)["variants"][index].take();
                let headers = match (status, variant["id"].as_str()) {
                    (201, Some(id)) => {
                        vec![("location".to_owned(), format!("/products/{}/variants/{id}", saving.id))]
                    }
                    _ => Vec::new(),
                };
                commit.answer_part(status, written, &variant, headers)
            })
        };
        saved().map_err(about_the_variant)
    }
}

/// The product was valid before, so whatever is wrong with a variant of it is wrong with the one in the request.
fn about_the_variant(mut problem: Problem) -> Problem {
    for error in &mut problem.errors {
        let below =
            error.pointer.strip_prefix("/variants/").map(|rest| rest.find('/').map_or("", |at| &rest[at..]));
        if let Some(below) = below {
            error.pointer = below.to_owned();
        }
    }
    problem
}
