//! `expand=categories`: the categories of a product as objects, beside their ids.
//!
//! They are what the categories plugin stores. `path` and `depth`, which it computes, are left to its own routes.

use std::{borrow::Cow, collections::BTreeMap};

use plugin_sdk::{Context, Document, Request, Result, StoreError};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{categories, handlers::PRODUCTS};

/// What a request may expand.
const EXPANDABLE: &[&str] = &["categories"];

/// Most ids in one read.
const CHUNK: usize = 1_000;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Referring<'d> {
    #[serde(borrow)]
    category_ids: Vec<Cow<'d, str>>,
}

/// What the products of one answer are shown with.
pub(crate) struct Expansion {
    /// The categories as JSON, by id; `None` when nobody asked.
    categories: Option<BTreeMap<String, String>>,
    /// Inactive categories are for staff.
    sees_all: bool,
}

impl Expansion {
    /// What a request asks for.
    pub(crate) fn asked(request: &Request) -> Result<Self> {
        let asked = !request.expand(EXPANDABLE)?.is_empty();
        let sees_all = ["categories:read", "categories:write"].iter().any(|it| request.caller.may(it));
        Ok(Self { categories: asked.then(BTreeMap::new), sees_all })
    }

    /// Reads what these products are shown with.
    pub(crate) fn read<'d>(
        &mut self,
        ctx: &Context<'_>,
        documents: impl Iterator<Item = &'d Document>,
    ) -> Result<(), StoreError> {
        let Some(categories) = &mut self.categories else { return Ok(()) };
        let mut ids = Vec::new();
        for document in documents {
            let referring: Referring<'_> = ctx.read(PRODUCTS, document)?;
            ids.extend(referring.category_ids.into_iter().map(Cow::into_owned));
        }
        ids.sort_unstable();
        ids.dedup();
        for ids in ids.chunks(CHUNK) {
            for category in ctx.get_many_raw(categories::COLLECTION, ids)?.into_iter().flatten() {
                let mut members: Map<String, Value> = ctx.read(categories::COLLECTION, &category)?;
                members.shift_remove(categories::MARK);
                if self.sees_all || members.get("active") == Some(&Value::Bool(true)) {
                    categories.insert(category.id, Value::Object(members).to_string());
                }
            }
        }
        Ok(())
    }

    /// Adds what was asked for to a product that was written to the end of `out`.
    pub(crate) fn push(
        &self,
        ctx: &Context<'_>,
        document: &Document,
        out: &mut String,
    ) -> Result<(), StoreError> {
        let Some(categories) = &self.categories else { return Ok(()) };
        let referring: Referring<'_> = ctx.read(PRODUCTS, document)?;
        let shown: Vec<&str> =
            referring.category_ids.iter().filter_map(|id| Some(categories.get(&**id)?.as_str())).collect();
        // The product's closing brace moves behind the new member.
        out.pop();
        out.push_str(",\"categories\":[");
        out.push_str(&shown.join(","));
        out.push_str("]}");
        Ok(())
    }
}
