//! Writing a product: the change that creating, replacing, patching and deleting prepare, alone or in bulk.

use std::collections::BTreeSet;

use plugin_sdk::{
    Change, Commit, Context, Document, Filter, Problem, Query, Refusal, Result, Scalar, StoreError, Stored,
    WriteRef, commit::taken, slug::Derivation,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    availability::{Dropped, taken_meanwhile},
    categories,
    handlers::PRODUCTS,
    model::{Product, ProductInput},
    prices::{COMPUTED, Computed},
    rules,
};

/// A product as it is stored: what nobody is shown comes last.
#[derive(Serialize)]
struct StoredInput<'s> {
    #[serde(flatten)]
    input: &'s ProductInput,
    #[serde(rename = "_computed")]
    computed: &'s Computed,
}

/// A product to insert or to put in the place of another.
pub(crate) struct Saving {
    pub(crate) id: String,
    pub(crate) input: ProductInput,
    computed: Computed,
    current: Option<Stored<Product>>,
    /// The categories that it comes to refer to, with their positions in `categoryIds`.
    added: Vec<(usize, String)>,
    /// The SKUs that it has no more.
    dropped: Option<Dropped>,
    /// Unless the author gave one.
    slug: Option<Derivation>,
}

impl Saving {
    /// Checks a product. `current` is the one that it replaces.
    pub(crate) fn prepare(
        ctx: &Context<'_>,
        mut input: ProductInput,
        current: Option<Stored<Product>>,
    ) -> Result<Self> {
        let before = current.as_ref().map(|current| &current.data);
        let mut errors = rules::settle(&mut input, before, &ctx.now());
        let added = rules::added_categories(&input, before);
        errors.extend(categories::missing(ctx, &added)?);
        if !errors.is_empty() {
            return Err(Problem::validation(errors));
        }
        let id = match &current {
            Some(current) => current.id.clone(),
            None => ctx.new_id("prod")?,
        };
        let new = || input.variants.iter().filter(|variant| variant.id.is_none());
        let ids = ctx.new_ids("var", new().count())?;
        let new = input.variants.iter_mut().filter(|variant| variant.id.is_none());
        new.zip(ids).for_each(|(variant, id)| variant.id = Some(id));
        let before = current.as_ref().map(|current| &current.data);
        let dropped = before.map(|before| Dropped::check(ctx, before, Some(&input))).transpose()?;
        let slug = Derivation::unless_given(&mut input.slug, PRODUCTS, &input.name, "product", &id);
        let computed = Computed::of(ctx, &input.variants);
        Ok(Self { id, input, computed, current, added, dropped, slug })
    }

    /// Takes the slug with a suffix where a change before it in the same commit has derived the same.
    pub(crate) fn differ(&mut self, slugs: &mut BTreeSet<Option<String>>) {
        if let Some(slug) = self.slug.as_mut().filter(|_| slugs.contains(&self.input.slug)) {
            self.input.slug = slug.last();
        }
        slugs.insert(self.input.slug.clone());
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

    /// The product is write 0, its newly referenced categories follow in the order of `added`, and then what proves that
    /// dropped SKUs have no stock.
    fn write(&self, commit: &mut Commit<'_>) -> WriteRef {
        let stored = StoredInput { input: &self.input, computed: &self.computed };
        let (written, topic) = match &self.current {
            None => (commit.insert_with_id(PRODUCTS, &self.id, &stored), "product.created"),
            Some(_) => (commit.replace(PRODUCTS, &self.id, &stored), "product.updated"),
        };
        if let Some(current) = &self.current {
            commit.expect_version(written, current.version);
        }
        for (_, category) in &self.added {
            categories::hold(commit, category);
        }
        if let Some(dropped) = &self.dropped {
            dropped.prove(commit);
        }
        commit.event(topic, written);
        written
    }

    /// Goes on where a derived slug was taken or a category carried a stale mark.
    fn refused(&mut self, ctx: &Context<'_>, write: usize, error: StoreError) -> Result<()> {
        if let Some(slug) = &mut self.slug
            && let Some(next) = slug.next(ctx, &error)?
        {
            self.input.slug = Some(next);
            return Ok(());
        }
        match error.refusal() {
            Some((_, Refusal::AlreadyExists)) if write > self.added.len() => Err(taken_meanwhile()),
            Some((_, Refusal::Guard | Refusal::NotFound)) if write > 0 => {
                let (index, category) = &self.added[write - 1];
                categories::settle(ctx, *index, category)
            }
            Some((_, Refusal::Unique { .. })) => Err(all_taken(ctx, &self.id, &self.input, error)?),
            _ => Err(error.into()),
        }
    }
}

/// A product to delete.
pub(crate) struct Deleting {
    id: String,
    version: u64,
    /// The product as it was, for the event.
    last: Map<String, Value>,
    dropped: Dropped,
}

impl Deleting {
    pub(crate) fn prepare(ctx: &Context<'_>, document: Document) -> Result<Self> {
        let mut last: Map<String, Value> = ctx.read(PRODUCTS, &document)?;
        last.shift_remove(COMPUTED);
        let product: Product = ctx.read(PRODUCTS, &document)?;
        let dropped = Dropped::check(ctx, &product, None)?;
        Ok(Self { id: document.id, version: document.version, last, dropped })
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

    fn write(&self, commit: &mut Commit<'_>) -> WriteRef {
        let deleted = commit.delete(PRODUCTS, &self.id);
        commit.expect_version(deleted, self.version);
        self.dropped.prove(commit);
        commit.event_with("product.deleted", deleted, &self.last);
        deleted
    }

    fn refused(&mut self, _ctx: &Context<'_>, write: usize, error: StoreError) -> Result<()> {
        match error.refusal() {
            Some((_, Refusal::AlreadyExists)) if write > 0 => Err(taken_meanwhile()),
            _ => Err(error.into()),
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
