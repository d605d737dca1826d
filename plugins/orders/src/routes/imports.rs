//! History from another shop.

use plugin_sdk::Router;

use super::examples::{imported_order, order_import};
use crate::{
    imports,
    model::{Order, OrderImport},
};

pub(crate) fn imports(router: &mut Router) {
    router
        .post("/orders/import", "importOrder", imports::import)
        .summary("Take in an order of another shop")
        .description(
            "For the staff: an order that was placed elsewhere becomes history here, or goes on here. It has the shape of \
             any other, takes no stock, uses no coupon, and asks no provider. `placedAt` is when it was placed there; \
             lists and figures go by it.\n\n\
             `discount`, `surcharge`, `tax` and `taxIncluded` are split over the lines, so that all sums are exact to the \
             minor unit. What was paid becomes one payment, which nobody can capture, void or refund here; an order that \
             is cancelled here gives it back nowhere.\n\n\
             201: the order is new. 200: an import has brought this number before. The same body again changes nothing, \
             whatever was done to the order meanwhile. Another one replaces what was imported, and what the staff has set \
             of it; once something else was done to the order here, it is refused with 409 `conflict`. The number of an \
             order that was made here, or was deleted, is refused with 409 `already_exists`.",
        )
        .permission("orders:write")
        .body::<OrderImport>()
        .example(order_import)
        .returns::<Order>(200, "The order, which was imported before.")
        .example(imported_order)
        .returns::<Order>(201, "The order, imported.")
        .example(imported_order)
        .errors(&[
            "forbidden",
            "already_exists",
            "conflict",
            "validation_failed",
            "unknown_field",
            "unavailable",
        ]);
}
