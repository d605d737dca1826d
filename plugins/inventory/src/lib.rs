//! The stock of the shop: one level per SKU, and the movements that made it.
//!
//! The plugin owns the collections `inventory` and `inventory_movements`. A level is the document
//! `natural_id("inv", sku)`, so whoever may write it takes stock with one guarded update, without looking for it first.
//! It stores `available` beside what that is made of (`onHand − reserved − safetyStock`), and every write moves them
//! together. `onHand` changes only in a commit that appends a movement, so the movements of a SKU add up to its level.
//!
//! SKUs belong to the plugin `products`. The first movement of a SKU locks the product that has it; from then on the
//! products plugin sees the level and keeps the SKU. Reservations are not here: they come with the orders that hold
//! them. What is read shows those whose time is over as free already, whether or not somebody has let them go
//! (`reservations`).

mod handlers;
pub mod model;
mod reservations;
pub mod rules;

#[cfg(test)]
mod tests;

use model::{Adjustment, Level, LevelInput, Movement};
use plugin_sdk::{
    Access, Capability, Collection, FieldKind, Permission, Plugin, Router, Value, export_plugin, json,
};

pub(crate) const LEVELS: &str = "inventory";
pub(crate) const MOVEMENTS: &str = "inventory_movements";
pub(crate) const PRODUCTS: &str = "products";
/// Of the plugin `orders`, where there is one.
pub(crate) const RESERVATIONS: &str = "reservations";

/// The prefix of a level's id.
pub(crate) const LEVEL_PREFIX: &str = "inv";

/// The plugin.
pub struct Inventory;

/// Fields that lists of levels may be filtered by.
const FILTERS: &[&str] = &[
    "id",
    "sku",
    "onHand",
    "reserved",
    "incoming",
    "safetyStock",
    "available",
    "version",
    "createdAt",
    "updatedAt",
];

/// Fields that lists of levels may be sorted by.
const SORTS: &[&str] =
    &["id", "sku", "onHand", "reserved", "incoming", "available", "createdAt", "updatedAt"];

const MOVEMENT_FILTERS: &[&str] = &["id", "sku", "delta", "reason", "reference", "createdAt"];

const MOVEMENT_SORTS: &[&str] = &["id", "sku", "createdAt"];

impl Plugin for Inventory {
    const ID: &'static str = "inventory";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const TITLE: &'static str = "Inventory";

    fn routes(router: &mut Router) {
        router
            .get("/inventory", "listInventory", handlers::list)
            .summary("List inventory levels")
            .description(
                "A SKU has a level from its first adjustment on. `filter[available][lte]=5&sort=available` gives what \
                 runs low, `filter[available][lte]=0` what cannot be sold. What an order reserved that was not confirmed \
                 in time is shown as available at once; filters and sorts notice when it is given back, moments later.",
            )
            .permission("inventory:read")
            .list(LEVELS, FILTERS, SORTS, false)
            .returns::<Vec<Level>>(200, "A page of levels.")
            .example(|| json!([level_example()]))
            .errors(&["cursor_mismatch", "unavailable"]);
        router
            .get("/inventory/{sku}", "getInventoryLevel", handlers::read)
            .summary("Read an inventory level")
            .description("Answers 404 before the first adjustment of the SKU.")
            .permission("inventory:read")
            .path_param("sku", "The variant's SKU.")
            .returns::<Level>(200, "The level.")
            .example(level_example)
            .errors(&["not_found", "unavailable"]);
        router
            .patch("/inventory/{sku}", "updateInventoryLevel", handlers::patch)
            .summary("Change an inventory level")
            .description(
                "A JSON Merge Patch of `safetyStock` and `incoming`; null makes them 0. What is on hand changes by \
                 adjustments. A safety stock above what is free makes `available` negative: nothing is sold until then.",
            )
            .permission("inventory:write")
            .path_param("sku", "The variant's SKU.")
            .merge_patch::<LevelInput>()
            .example(|| json!({"safetyStock": 5}))
            .returns::<Level>(200, "The level, changed.")
            .example(level_example)
            .errors(&["not_found", "version_conflict", "conflict", "validation_failed", "unknown_field", "unavailable"])
            .serialized_by("sku");
        router
            .post("/inventory/adjustments", "adjustInventory", handlers::adjust)
            .summary("Adjust an inventory level")
            .description(
                "Adds `delta` to what is on hand and appends a movement; the first one of a SKU makes its level. Parallel \
                 adjustments all take effect. What is reserved cannot be taken: `insufficient_stock` tells in \
                 `items[].available` how many pieces could be. A delta of 0 records a count that found no difference.",
            )
            .permission("inventory:write")
            .body::<Adjustment>()
            .example(|| json!({"sku": "SHIRT-BLUE-S", "delta": 40, "reason": "received", "reference": "DN-2071"}))
            .returns::<Level>(200, "The level, adjusted.")
            .example(level_example)
            .errors(&[
                "insufficient_stock",
                "amount_out_of_range",
                "version_conflict",
                "conflict",
                "validation_failed",
                "unknown_field",
                "unavailable",
            ])
            .idempotency_key_required();
        router
            .get("/inventory/movements", "listInventoryMovements", handlers::movements)
            .summary("List inventory movements")
            .description(
                "Newest first unless sorted otherwise. Movements are never changed or removed, and those of a SKU add up \
                 to what is on hand.",
            )
            .permission("inventory:read")
            .list(MOVEMENTS, MOVEMENT_FILTERS, MOVEMENT_SORTS, false)
            .returns::<Vec<Movement>>(200, "A page of movements.")
            .example(|| json!([movement_example()]))
            .errors(&["cursor_mismatch", "unavailable"]);
    }

    fn collections() -> Vec<Collection> {
        vec![
            Collection::new(LEVELS, LEVEL_PREFIX)
                .field("sku", FieldKind::Text, Access::Unique)
                .field("onHand", FieldKind::Integer, Access::Index)
                .field("reserved", FieldKind::Integer, Access::Index)
                .field("incoming", FieldKind::Integer, Access::Index)
                // Filtered rarely; guards look at one document.
                .field("safetyStock", FieldKind::Integer, Access::Scan)
                .field("available", FieldKind::Integer, Access::Index),
            Collection::new(MOVEMENTS, "mov")
                .field("sku", FieldKind::Text, Access::Index)
                .field("delta", FieldKind::Integer, Access::Index)
                .field("reason", FieldKind::Text, Access::Index)
                .field("reference", FieldKind::Text, Access::Index)
                .index(&["sku", "createdAt"]),
        ]
    }

    fn permissions() -> Vec<Permission> {
        vec![
            Permission { name: "inventory:read", description: "See inventory levels and movements." },
            Permission { name: "inventory:write", description: "Adjust stock and set safety stock." },
        ]
    }

    fn capabilities() -> Vec<Capability> {
        vec![
            // To see that a SKU exists, and to lock its product in the commit that makes the level.
            Capability::store_read(PRODUCTS),
            Capability::store_read(RESERVATIONS).optional(),
        ]
    }
}

export_plugin!(Inventory);

fn level_example() -> Value {
    json!({
        "id": "inv_01KAQ3V8Q1W2E3R4T5Y6V7A8S9",
        "version": 4,
        "createdAt": "2026-11-23T09:00:00.000Z",
        "updatedAt": "2026-11-23T09:30:00.000Z",
        "sku": "SHIRT-BLUE-S",
        "onHand": 52,
        "reserved": 3,
        "incoming": 40,
        "safetyStock": 5,
        "available": 44,
    })
}

fn movement_example() -> Value {
    json!({
        "id": "mov_01KAQ3V8Q1W2E3R4T5Y6V7A8S9",
        "version": 1,
        "createdAt": "2026-11-23T09:00:00.000Z",
        "updatedAt": "2026-11-23T09:00:00.000Z",
        "sku": "SHIRT-BLUE-S",
        "delta": 40,
        "reason": "received",
        "reference": "DN-2071",
    })
}
