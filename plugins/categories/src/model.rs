//! The category as clients see it. Doc comments here are the API document.
//!
//! [`Category`] is what is read, [`CategoryInput`] what is written: the request body, and with the slug filled in the
//! stored document. [`StoredCategory`] is what the handlers read of a stored document.

use plugin_sdk::{
    schema::{add_read_only, all_required, kept_members},
    slug,
};
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// A shelf of the shop. Categories form trees.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = all_required)]
pub struct Category {
    #[schemars(extend("readOnly" = true))]
    pub id: String,
    /// Name in addresses, unique in the shop.
    pub slug: String,
    pub name: String,
    pub description: String,
    /// The category it is in; null at the root.
    pub parent_id: Option<String>,
    /// The categories it is in, from the root on, without itself.
    #[schemars(extend("readOnly" = true))]
    pub path: Vec<CategoryAncestor>,
    /// How many categories it is in: 0 at the root.
    #[schemars(extend("readOnly" = true))]
    pub depth: u32,
    /// Its place among its siblings, ascending.
    pub rank: i64,
    /// Whether the public sees it.
    pub active: bool,
    /// Free for integrations.
    pub metadata: Map<String, Value>,
    /// Grows by one with every change.
    #[schemars(extend("readOnly" = true))]
    pub version: u64,
    #[schemars(extend("readOnly" = true, "format" = "date-time"))]
    pub created_at: String,
    #[schemars(extend("readOnly" = true, "format" = "date-time"))]
    pub updated_at: String,
}

/// A category on the way to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CategoryAncestor {
    pub id: String,
    pub slug: String,
    pub name: String,
}

/// A category with those below it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CategoryNode {
    #[serde(flatten)]
    pub category: Category,
    /// By rank, then by name. Empty where the asked depth ends.
    pub children: Vec<CategoryNode>,
}

/// A category to create or to put in the place of another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(transform = read_only_members)]
pub struct CategoryInput {
    /// Name in addresses, unique in the shop. Derived from `name` when absent; a replacement without it keeps the
    /// slug.
    #[serde(default)]
    #[schemars(length(max = 100), regex(pattern = slug::PATTERN))]
    pub slug: Option<String>,
    #[schemars(length(min = 1, max = 200), regex(pattern = r"\S"))]
    pub name: String,
    #[serde(default)]
    #[schemars(length(max = 20_000))]
    pub description: String,
    /// The category it is in; null or absent at the root. A tree has at most 10 levels.
    #[serde(default)]
    #[schemars(length(min = 1, max = 64))]
    pub parent_id: Option<String>,
    /// Its place among its siblings, ascending.
    #[serde(default)]
    #[schemars(range(min = -1_000_000_000, max = 1_000_000_000))]
    pub rank: i64,
    /// Whether the public sees it.
    #[serde(default = "yes")]
    pub active: bool,
    /// Free for integrations.
    #[serde(default)]
    #[schemars(extend("maxProperties" = 200))]
    pub metadata: Map<String, Value>,
}

/// Where a category goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(transform = all_but_rank_required)]
pub struct CategoryMove {
    /// The category it comes to be in; null for the root.
    #[schemars(length(min = 1, max = 64))]
    pub parent_id: Option<String>,
    /// Its place among its new siblings. Absent keeps the rank.
    #[serde(default)]
    #[schemars(range(min = -1_000_000_000, max = 1_000_000_000))]
    pub rank: Option<i64>,
}

/// What happens to the children and products of a category that is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DeleteStrategy {
    Reparent,
}

/// How many levels of a tree to answer.
#[derive(Debug, Clone, Copy, JsonSchema)]
pub struct TreeDepth(#[schemars(range(min = 1, max = 10))] pub u32);

/// A category as it is stored, as far as handlers look at it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoredCategory {
    pub slug: String,
    pub parent_id: Option<String>,
}

fn yes() -> bool {
    true
}

fn read_only_members(schema: &mut Schema) {
    kept_members(schema);
    let ancestor = json!({"$ref": "#/components/schemas/CategoryAncestor"});
    add_read_only(schema, "path", json!({"type": "array", "items": ancestor, "description": "Computed."}));
    add_read_only(schema, "depth", json!({"type": "integer", "description": "Computed."}));
}

fn all_but_rank_required(schema: &mut Schema) {
    schema.insert("required".to_owned(), json!(["parentId"]));
}
