//! The categories of the shop: trees of shelves that products are on.
//!
//! The plugin owns the collections `categories` and `category_tree`; `tree.rs` tells how changes keep the trees free of
//! cycles, and `delete.rs` how a category is deleted while products, which belong to the plugin `products`, are being
//! written. A category names its parent; path and depth are computed when it is read.

mod bulk;
mod delete;
mod handlers;
pub mod model;
pub mod rules;
mod save;
mod tree;
mod view;

#[cfg(test)]
mod tests;

use model::{Category, CategoryInput, CategoryMove, CategoryNode, DeleteStrategy, TreeDepth};
use plugin_sdk::{
    Access, Capability, Collection, FieldKind, Permission, Plugin, Router, Value, bulk::BulkResults,
    export_plugin, json,
};

pub(crate) const CATEGORIES: &str = "categories";
pub(crate) const TREE: &str = "category_tree";
pub(crate) const PRODUCTS: &str = "products";

/// The member that marks a category as being deleted, with the time at which that began. Products look at it.
pub(crate) const MARK: &str = "deletingSince";

/// The plugin.
pub struct Categories;

/// Fields that lists may be filtered by.
const FILTERS: &[&str] =
    &["id", "slug", "name", "parentId", "rank", "active", "version", "createdAt", "updatedAt"];

/// Fields that lists may be sorted by.
const SORTS: &[&str] = &["id", "slug", "name", "rank", "createdAt", "updatedAt"];

impl Plugin for Categories {
    const ID: &'static str = "categories";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const TITLE: &'static str = "Categories";

    fn routes(router: &mut Router) {
        router
            .get("/categories", "listCategories", handlers::list)
            .summary("List categories")
            .description(
                "The public sees active categories, holders of `categories:read` or `categories:write` all. \
                 `filter[parentId][exists]=false` gives the roots. `q` searches names and descriptions.",
            )
            .public()
            .list(CATEGORIES, FILTERS, SORTS, true)
            .returns::<Vec<Category>>(200, "A page of categories.")
            .example(|| json!([category_example()]))
            .errors(&["cursor_mismatch", "unavailable"])
            .cacheable();
        router
            .get("/categories/tree", "getCategoryTree", handlers::read_tree)
            .summary("Read the category trees")
            .description(
                "Nested, siblings by rank and then by name. The public sees active categories; what is below an inactive \
                 one is left out. At most 5000 categories.",
            )
            .public()
            .query_param::<String>("root", "Id or slug of the category to start from. All roots when absent.")
            .query_param::<TreeDepth>("depth", "How many levels to answer. All when absent.")
            .returns::<Vec<CategoryNode>>(200, "The roots, or the one asked for, with all below them.")
            .example(tree_example)
            .errors(&["not_found", "invalid_parameter", "unavailable"])
            .cacheable();
        router
            .get("/categories/{id}", "getCategory", handlers::read)
            .summary("Read a category")
            .description("The public sees active categories.")
            .public()
            .path_param("id", "The category's id.")
            .returns::<Category>(200, "The category.")
            .example(category_example)
            .errors(&["not_found", "unavailable"])
            .cacheable();
        router
            .get("/categories/by-slug/{slug}", "getCategoryBySlug", handlers::read_by_slug)
            .summary("Read a category by its slug")
            .description("The public sees active categories.")
            .public()
            .path_param("slug", "The category's slug.")
            .returns::<Category>(200, "The category.")
            .example(category_example)
            .errors(&["not_found", "unavailable"])
            .cacheable();
        router
            .post("/categories", "createCategory", handlers::create)
            .summary("Create a category")
            .description(
                "The slug is derived from the name when absent, with a number behind it where it is taken. A tree has at \
                 most 10 levels.",
            )
            .permission("categories:write")
            .body::<CategoryInput>()
            .example(input_example)
            .returns::<Category>(201, "The category, created.")
            .example(category_example)
            .errors(&["already_exists", "conflict", "validation_failed", "unknown_field", "unavailable"]);
        router
            .post("/categories/bulk", "bulkCategories", bulk::bulk)
            .summary("Create, change and delete many categories")
            .description(
                "At most 100 operations. `atomic` (the default) does all or none: if one fails, it says why, and the \
                 others say that they were not done; a move is then the only change of the trees. `independent` does \
                 one after the other, each by itself. Categories that are deleted must be empty. A body that does not \
                 fit the schema is refused as a whole in both modes.",
            )
            .permission("categories:write")
            .bulk_body::<CategoryInput>()
            .example(bulk_input)
            .returns::<BulkResults>(200, "A result for each operation.")
            .example(bulk_results)
            .errors(CHANGE_ERRORS)
            .errors(&["category_not_empty"]);
        router
            .put("/categories/{id}", "replaceCategory", handlers::replace)
            .summary("Replace a category")
            .description(
                "Replaces all writable members; another `parentId` moves the category with all below it, none makes it a \
                 root. Without `slug` the category keeps its own.",
            )
            .permission("categories:write")
            .path_param("id", "The category's id.")
            .body::<CategoryInput>()
            .example(input_example)
            .returns::<Category>(200, "The category, replaced.")
            .example(category_example)
            .errors(CHANGE_ERRORS)
            .serialized_by("id");
        router
            .patch("/categories/{id}", "updateCategory", handlers::patch)
            .summary("Change a category")
            .description(
                "A JSON Merge Patch. Another `parentId` moves the category with all below it, null makes it a root. \
                 `\"slug\": null` derives the slug from the name again.",
            )
            .permission("categories:write")
            .path_param("id", "The category's id.")
            .merge_patch::<CategoryInput>()
            .example(|| json!({"name": "Shirts & blouses", "rank": 2}))
            .returns::<Category>(200, "The category, changed.")
            .example(category_example)
            .errors(CHANGE_ERRORS)
            .serialized_by("id");
        router
            .delete("/categories/{id}", "deleteCategory", delete::delete)
            .summary("Delete a category")
            .description(
                "Refused with `category_not_empty` while it has children or products. With `strategy=reparent` children \
                 and products go to its parent; below a root, children become roots and products lose the reference.",
            )
            .permission("categories:write")
            .path_param("id", "The category's id.")
            .query_param::<DeleteStrategy>("strategy", "What happens to children and products.")
            .returns_empty(204, "The category is gone.")
            .errors(&["not_found", "version_conflict", "category_not_empty", "conflict", "unavailable"])
            .serialized_by("id");
        router
            .post("/categories/{id}/move", "moveCategory", handlers::place)
            .summary("Move a category")
            .description("Moves the category with all below it. Refused with `category_cycle` into itself.")
            .permission("categories:write")
            .path_param("id", "The category's id.")
            .body::<CategoryMove>()
            .example(|| json!({"parentId": null, "rank": 3}))
            .returns::<Category>(200, "The category, moved.")
            .example(category_example)
            .errors(CHANGE_ERRORS)
            .serialized_by("id");
    }

    fn collections() -> Vec<Collection> {
        vec![
            Collection::new(CATEGORIES, "cat")
                .field("slug", FieldKind::Text, Access::Unique)
                .field("name", FieldKind::Text, Access::Index)
                .field("parentId", FieldKind::Text, Access::Index)
                .field("rank", FieldKind::Integer, Access::Index)
                .field("active", FieldKind::Boolean, Access::Index)
                // For guards, which look at one document.
                .field(MARK, FieldKind::Timestamp, Access::Scan)
                .index(&["parentId", "rank", "name"])
                .text("name", 10)
                .text("description", 1),
            Collection::new(TREE, "cat_tree"),
        ]
    }

    fn permissions() -> Vec<Permission> {
        vec![
            Permission { name: "categories:read", description: "See inactive categories." },
            Permission {
                name: "categories:write",
                description: "Create, change, move and delete categories.",
            },
        ]
    }

    fn capabilities() -> Vec<Capability> {
        // Reading, to see whether a category is empty; writing, to give its products to its parent.
        vec![Capability::store_write(PRODUCTS)]
    }
}

export_plugin!(Categories);

/// Codes that replacing, changing and moving have in common.
const CHANGE_ERRORS: &[&str] = &[
    "not_found",
    "version_conflict",
    "already_exists",
    "category_cycle",
    "conflict",
    "validation_failed",
    "unknown_field",
    "unavailable",
];

fn input_example() -> Value {
    json!({
        "name": "Shirts",
        "description": "Short and long sleeves.",
        "parentId": "cat_01KAQ3V8Q1W2E3R4T5Y6V7A8S8",
        "rank": 1,
        "active": true,
    })
}

fn category_example() -> Value {
    json!({
        "id": "cat_01KAQ3V8Q1W2E3R4T5Y6V7A8S9",
        "version": 1,
        "createdAt": "2026-11-23T09:00:00.000Z",
        "updatedAt": "2026-11-23T09:00:00.000Z",
        "slug": "shirts",
        "name": "Shirts",
        "description": "Short and long sleeves.",
        "parentId": "cat_01KAQ3V8Q1W2E3R4T5Y6V7A8S8",
        "rank": 1,
        "active": true,
        "metadata": {},
        "path": [{"id": "cat_01KAQ3V8Q1W2E3R4T5Y6V7A8S8", "slug": "clothes", "name": "Clothes"}],
        "depth": 1,
    })
}

fn bulk_input() -> Value {
    json!({"mode": "independent", "operations": [
        {"op": "create", "data": {"name": "Shirts"}},
        {"op": "delete", "id": "cat_01KAQ3V8Q1W2E3R4T5Y6V7A8S8"},
    ]})
}

fn bulk_results() -> Value {
    let problem = json!({
        "type": "urn:wares:problem:category_not_empty",
        "status": 409,
        "code": "category_not_empty",
        "detail": "The category has children or products.",
        "errors": [],
        "children": 2,
        "products": 0,
    });
    let (made, kept) = ("cat_01KAQ3V8Q1W2E3R4T5Y6V7A8SA", "cat_01KAQ3V8Q1W2E3R4T5Y6V7A8S8");
    json!({"results": [
        {"index": 0, "status": 201, "id": made, "version": 1, "problem": null},
        {"index": 1, "status": 409, "id": kept, "version": null, "problem": problem},
    ]})
}

fn tree_example() -> Value {
    let mut child = category_example();
    child["children"] = json!([]);
    let mut root = category_example();
    root["id"] = json!("cat_01KAQ3V8Q1W2E3R4T5Y6V7A8S8");
    root["slug"] = json!("clothes");
    root["name"] = json!("Clothes");
    root["parentId"] = Value::Null;
    root["path"] = json!([]);
    root["depth"] = json!(0);
    root["children"] = json!([child]);
    json!([root])
}
