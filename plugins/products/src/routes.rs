//! What the routes are and how they are documented.

use plugin_sdk::{Router, bulk::BulkResults, json, router::Route};

use crate::{
    bulk,
    examples::{
        bulk_input, bulk_results, facets as example_facets, product, product_input, variant, variant_input,
    },
    facets::{self, FacetNames, PriceBounds, ProductFacets},
    handlers,
    model::{CurrencyCode, Expandable, Product, ProductInput, ProductVariantInput, Variant},
    variants,
};

/// Fields that lists may be filtered by.
const FILTERS: &[&str] = &[
    "id",
    "slug",
    "name",
    "status",
    "tags",
    "categoryIds",
    "variants.id",
    "variants.sku",
    "variants.barcode",
    "taxClass",
    "price",
    "option",
    "version",
    "createdAt",
    "updatedAt",
    "publishedAt",
];

/// Fields that lists may be sorted by.
const SORTS: &[&str] = &["id", "name", "slug", "status", "price", "createdAt", "updatedAt", "publishedAt"];

/// Codes that replacing and changing have in common.
const CHANGE_ERRORS: &[&str] = &[
    "not_found",
    "version_conflict",
    "already_exists",
    "reference_in_use",
    "conflict",
    "validation_failed",
    "unknown_field",
    "unavailable",
];

pub(crate) fn products(router: &mut Router) {
    in_currency(router.get("/products", "listProducts", handlers::list))
        .summary("List products")
        .description(
            "Callers without `products:read` see active products only. `q` searches names, SKUs, barcodes, tags and \
             descriptions. Each variant has the list price that applies now, to customers that of their groups where it is lower, and \
             whether it can be bought. `price` filters and sorts by the lowest of those for everybody, in `currency`: the shop's or another configured one. A product whose price has started or ended \
             by itself gets a new version when a list next looks at prices.",
        )
        .public()
        .query_param::<Expandable>("expand", "`categories` adds the categories as objects.")
        .query_param::<String>(
            "category",
            "Id or slug of a category: only products in it or in a category below it. An unknown one has none.",
        )
        .list("products", FILTERS, SORTS, true)
        .returns::<Vec<Product>>(200, "A page of products.")
        .example(|| json!([product()]))
        .errors(&["cursor_mismatch", "invalid_parameter", "unavailable"])
        .cacheable();
    in_currency(router.get("/products/facets", "listProductFacets", facets::list))
        .summary("Count products by category, price and option")
        .description(
            "Of the products that the list would show with the same filters: how many are in each category, have each value \
             of an option, a tag, a status or a tax class, or a price in each range. Categories count the products that are \
             in them directly. A product counts once for each value that one of its variants has. To narrow a list down to a \
             value, filter by it: `category=…`, `filter[option][eq]=Color.Red`, `filter[price][gte]=1000`.",
        )
        .public()
        .required_query_param::<FacetNames>(
            "facets",
            "What to count by, separated by commas, at most 20: `category`, `price`, `tags`, `status`, `taxClass`, and \
             `option.` with the name of an option, such as `option.Color`.",
        )
        .query_param::<PriceBounds>(
            "priceBounds",
            "Where the ranges of prices end, in minor units and separated by commas. Without it they end at 1, 2 and 5 \
             times every power of ten.",
        )
        .query_param::<String>("category", "Id or slug of a category: only products in it or in a category below it.")
        .unpaged_list("products", FILTERS, true)
        .returns::<ProductFacets>(200, "The counts.")
        .example(example_facets)
        .errors(&["invalid_parameter", "unavailable"])
        .cacheable();
    in_currency(router.get("/products/{id}", "getProduct", handlers::read))
        .summary("Read a product")
        .description("Callers without `products:read` see active products only.")
        .public()
        .query_param::<Expandable>("expand", "`categories` adds the categories as objects.")
        .path_param("id", "The product's id.")
        .returns::<Product>(200, "The product.")
        .example(product)
        .errors(&["not_found", "invalid_parameter", "unavailable"])
        .cacheable();
    in_currency(router.get("/products/by-slug/{slug}", "getProductBySlug", handlers::read_by_slug))
        .summary("Read a product by its slug")
        .description("Callers without `products:read` see active products only.")
        .public()
        .query_param::<Expandable>("expand", "`categories` adds the categories as objects.")
        .path_param("slug", "The product's slug.")
        .returns::<Product>(200, "The product.")
        .example(product)
        .errors(&["not_found", "invalid_parameter", "unavailable"])
        .cacheable();
    router
        .post("/products", "createProduct", handlers::create)
        .summary("Create a product")
        .description(
            "The slug is derived from the name when absent, with a number behind it where it is taken. SKUs are \
             unique in the whole shop. Variants get their ids here.",
        )
        .permission("products:write")
        .body::<ProductInput>()
        .example(product_input)
        .returns::<Product>(201, "The product, created.")
        .example(product)
        .errors(&["already_exists", "conflict", "validation_failed", "unknown_field", "unavailable"]);
    router
        .post("/products/bulk", "bulkProducts", bulk::bulk)
        .summary("Create, change and delete many products")
        .description(
            "At most 100 operations. `atomic` (the default) does all or none: if one fails, it says why, and the others \
             say that they were not done. `independent` does one after the other, each by itself. A body that does not \
             fit the schema is refused as a whole in both modes.",
        )
        .permission("products:write")
        .bulk_body::<ProductInput>()
        .example(bulk_input)
        .returns::<BulkResults>(200, "A result for each operation.")
        .example(bulk_results)
        .errors(CHANGE_ERRORS);
    router
        .put("/products/{id}", "replaceProduct", handlers::replace)
        .summary("Replace a product")
        .description(
            "Replaces all writable members. Variants are recognised by `id`, otherwise by SKU, and keep their id; \
             those that are left out are removed. Without `slug` the product keeps its own.",
        )
        .permission("products:write")
        .path_param("id", "The product's id.")
        .body::<ProductInput>()
        .example(product_input)
        .returns::<Product>(200, "The product, replaced.")
        .example(product)
        .errors(CHANGE_ERRORS)
        .serialized_by("id");
    router
        .patch("/products/{id}", "updateProduct", handlers::patch)
        .summary("Change a product")
        .description(
            "A JSON Merge Patch. Arrays are replaced whole, also `variants`, which are recognised by `id`, otherwise \
             by SKU. `\"slug\": null` derives the slug from the name again.",
        )
        .permission("products:write")
        .path_param("id", "The product's id.")
        .merge_patch::<ProductInput>()
        .example(|| json!({"status": "active", "seo": {"title": "The blue shirt"}}))
        .returns::<Product>(200, "The product, changed.")
        .example(product)
        .errors(CHANGE_ERRORS)
        .serialized_by("id");
    router
        .delete("/products/{id}", "deleteProduct", handlers::delete)
        .summary("Delete a product")
        .description(
            "Removes the product with its variants. Refused with `reference_in_use` where one of their SKUs has stock \
             movements; archive it instead.",
        )
        .permission("products:write")
        .path_param("id", "The product's id.")
        .returns_empty(204, "The product is gone.")
        .errors(&["not_found", "version_conflict", "reference_in_use", "unavailable"])
        .serialized_by("id");
}

pub(crate) fn variants(router: &mut Router) {
    in_currency(router.get("/products/{id}/variants", "listVariants", variants::list))
        .summary("List the variants of a product")
        .description("All of them, in the product's order. They share the product's version.")
        .public()
        .path_param("id", "The product's id.")
        .returns::<Vec<Variant>>(200, "The variants.")
        .example(|| json!([variant()]))
        .errors(&["not_found", "invalid_parameter", "unavailable"])
        .cacheable();
    in_currency(router.get("/products/{id}/variants/{variantId}", "getVariant", variants::read))
        .summary("Read a variant")
        .description("Callers without `products:read` see variants of active products only.")
        .public()
        .path_param("id", "The product's id.")
        .path_param("variantId", "The variant's id.")
        .returns::<Variant>(200, "The variant.")
        .example(variant)
        .errors(&["not_found", "invalid_parameter", "unavailable"])
        .cacheable();
    router
        .post("/products/{id}/variants", "createVariant", variants::create)
        .summary("Add a variant to a product")
        .description("The product gets a new version, which `If-Match` and the `ETag` are about.")
        .permission("products:write")
        .path_param("id", "The product's id.")
        .body::<ProductVariantInput>()
        .example(variant_input)
        .returns::<Variant>(201, "The variant, created.")
        .example(variant)
        .errors(CHANGE_ERRORS)
        .serialized_by("id");
    router
        .patch("/products/{id}/variants/{variantId}", "updateVariant", variants::patch)
        .summary("Change a variant")
        .description(
            "A JSON Merge Patch. Arrays are replaced whole, also `prices`. The product gets a new version.",
        )
        .permission("products:write")
        .path_param("id", "The product's id.")
        .path_param("variantId", "The variant's id.")
        .merge_patch::<ProductVariantInput>()
        .example(|| json!({"barcode": "4006381333931", "weightGrams": 185}))
        .returns::<Variant>(200, "The variant, changed.")
        .example(variant)
        .errors(CHANGE_ERRORS)
        .serialized_by("id");
    router
        .delete("/products/{id}/variants/{variantId}", "deleteVariant", variants::delete)
        .summary("Delete a variant")
        .description(
            "The last variant of an active product stays: 409 `conflict`. The product gets a new version.",
        )
        .permission("products:write")
        .path_param("id", "The product's id.")
        .path_param("variantId", "The variant's id.")
        .returns_empty(204, "The variant is gone.")
        .errors(&["not_found", "version_conflict", "reference_in_use", "conflict", "unavailable"])
        .serialized_by("id");
}

fn in_currency(route: Route<'_>) -> Route<'_> {
    route.query_param::<CurrencyCode>(
        "currency",
        "ISO 4217 code: the currency of each variant's `price`. The shop's default when absent.",
    )
}
