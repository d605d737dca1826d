//! The response made from a stored category: its bytes, with the computed members behind them and without the mark
//! that a deletion leaves.

use std::{borrow::Cow, collections::BTreeMap};

use plugin_sdk::{Context, Document, StoreError};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::{Map, Value};

use crate::{CATEGORIES, MARK, model::CategoryAncestor};

/// What a read looks at in a stored category.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Seen<'d> {
    #[serde(borrow)]
    pub(crate) slug: Cow<'d, str>,
    #[serde(borrow)]
    pub(crate) name: Cow<'d, str>,
    #[serde(borrow)]
    pub(crate) parent_id: Option<Cow<'d, str>>,
    pub(crate) active: bool,
    deleting_since: Option<IgnoredAny>,
}

impl<'d> Seen<'d> {
    pub(crate) fn of(ctx: &Context<'_>, document: &'d Document) -> Result<Self, StoreError> {
        ctx.read(CATEGORIES, document)
    }

    /// Writes the category without its closing brace to the end of `out`; more members may follow.
    pub(crate) fn open(&self, document: &Document, path: &[CategoryAncestor], out: &mut String) {
        let stripped = self.deleting_since.is_some().then(|| without_mark(&document.json));
        let json = stripped.as_deref().unwrap_or(&document.json);
        out.push_str(json.strip_suffix('}').unwrap_or(json));
        out.push_str(",\"path\":");
        out.push_str(&serde_json::to_string(path).unwrap_or_else(|_| "[]".to_owned()));
        out.push_str(",\"depth\":");
        out.push_str(&path.len().to_string());
    }
}

/// A stored document without the mark, also for events.
pub(crate) fn without_mark(json: &str) -> String {
    let mut members: Map<String, Value> = serde_json::from_str(json).unwrap_or_default();
    members.shift_remove(MARK);
    Value::Object(members).to_string()
}

/// The categories below others, while they are put into one another.
#[derive(Default)]
pub(crate) struct Forest {
    children: BTreeMap<String, Vec<Document>>,
}

impl Forest {
    /// Adds categories in the order in which siblings are shown.
    pub(crate) fn grow(&mut self, ctx: &Context<'_>, level: Vec<Document>) -> Result<(), StoreError> {
        for document in level {
            let parent = Seen::of(ctx, &document)?.parent_id.map(Cow::into_owned).unwrap_or_default();
            self.children.entry(parent).or_default().push(document);
        }
        Ok(())
    }

    /// Writes an array of nodes with all below them.
    pub(crate) fn show(
        &self,
        ctx: &Context<'_>,
        nodes: &[Document],
        path: &mut Vec<CategoryAncestor>,
        out: &mut String,
    ) -> Result<(), StoreError> {
        out.push('[');
        for (position, document) in nodes.iter().enumerate() {
            if position > 0 {
                out.push(',');
            }
            let seen = Seen::of(ctx, document)?;
            seen.open(document, path, out);
            out.push_str(",\"children\":");
            path.push(CategoryAncestor {
                id: document.id.clone(),
                slug: seen.slug.into_owned(),
                name: seen.name.into_owned(),
            });
            let children = self.children.get(&document.id).map_or(&[][..], Vec::as_slice);
            self.show(ctx, children, path, out)?;
            path.pop();
            out.push('}');
        }
        out.push(']');
        Ok(())
    }
}
