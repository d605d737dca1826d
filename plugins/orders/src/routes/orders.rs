//! Orders, their ways from one status to another, and their history.

use plugin_sdk::{Router, json, router::Handler};

use super::{
    carts::{CartToken, TOKEN},
    examples::{history_entry, order, order_update},
};
use crate::{
    HISTORY, ORDERS, history,
    model::{HistoryEntry, Order, OrderPatch, OrderUpdate},
    orders, transitions,
};

/// What the token of a guest's cart is for here.
pub(super) const TOKEN_ABOUT: &str =
    "The `cartToken` of the cart that a guest made the order with. Customers need none for their own.";

/// Fields that lists may be filtered by.
const FILTERS: &[&str] = &[
    "id",
    "number",
    "status",
    "paymentStatus",
    "fulfillmentStatus",
    "currency",
    "customerId",
    "email",
    "totals.grand.amount",
    "items.sku",
    "placedAt",
    "createdAt",
    "updatedAt",
];

/// Fields that lists may be sorted by.
const SORTS: &[&str] = &[
    "id",
    "number",
    "status",
    "paymentStatus",
    "fulfillmentStatus",
    "email",
    "totals.grand.amount",
    "placedAt",
    "createdAt",
    "updatedAt",
];

/// Codes that replacing and changing have in common.
const CHANGE_ERRORS: &[&str] = &[
    "not_found",
    "version_conflict",
    "invalid_transition",
    "conflict",
    "validation_failed",
    "unknown_field",
    "unavailable",
];

pub(crate) fn orders(router: &mut Router) {
    router
        .get("/orders", "listOrders", orders::list)
        .summary("List orders")
        .description(
            "By when they were placed, the newest first, unless sorted otherwise or searched. Staff with `orders:read` see \
             all orders, customers their own, and guests those that they made with the cart whose token they send as \
             `X-Cart-Token`. `q` searches numbers and e-mail addresses; `filter[items.sku][eq]=SHIRT-S` gives the orders of \
             a SKU. Deleted orders are left out.",
        )
        .public()
        .permission("orders:read")
        .header_param::<CartToken>(TOKEN, TOKEN_ABOUT)
        .list(ORDERS, FILTERS, SORTS, true)
        .returns::<Vec<Order>>(200, "A page of orders.")
        .example(|| json!([order()]))
        .errors(&["unauthenticated", "forbidden", "cursor_mismatch", "unavailable"]);
    router
        .get("/users/me/orders", "listOwnOrders", orders::list_own)
        .summary("List own orders")
        .description(
            "Of the customer who asks: by when they were placed, the newest first, unless sorted otherwise.",
        )
        .customer()
        .list(ORDERS, FILTERS, SORTS, true)
        .returns::<Vec<Order>>(200, "A page of orders.")
        .example(|| json!([order()]))
        .errors(&["cursor_mismatch", "unavailable"]);
    router
        .get("/orders/{id}", "getOrder", orders::read)
        .summary("Read an order")
        .description(
            "Customers and guests (by `X-Cart-Token`) see their own, and nothing of `notes`. An order has its payments, \
             fulfilments and returns in it.",
        )
        .public()
        .permission("orders:read")
        .path_param("id", "The order's id.")
        .header_param::<CartToken>(TOKEN, TOKEN_ABOUT)
        .returns::<Order>(200, "The order.")
        .example(order)
        .errors(&["forbidden", "not_found", "unavailable"]);
    router
        .get("/orders/by-number/{number}", "getOrderByNumber", orders::read_by_number)
        .summary("Read an order by its number")
        .description(
            "For guests: who knows the number and the e-mail address that the order was made with sees it. Letter case \
             does not matter in the address. Anybody else, and any other address, is answered 404. Customers need no \
             address for their own orders, and staff with `orders:read` for none.",
        )
        .public()
        .permission("orders:read")
        .path_param("number", "The order's number.")
        .query_param::<String>("email", "The e-mail address that the order was made with. Guests have to give it.")
        .returns::<Order>(200, "The order.")
        .example(order)
        .errors(&["forbidden", "not_found", "invalid_parameter", "rate_limited", "unavailable"])
        .guest_by(&["number", "email"]);
    router
        .put("/orders/{id}", "replaceOrder", orders::replace)
        .summary("Replace what the staff may set of an order")
        .description(
            "Replaces `notes`, `metadata` and the addresses. These stay as they are once something is sent: other ones \
             are then refused with 409 `conflict`. `status` stays where it is absent; another one has the conditions and \
             the effects of the operation that leads there.",
        )
        .permission("orders:write")
        .path_param("id", "The order's id.")
        .body::<OrderUpdate>()
        .example(order_update)
        .returns::<Order>(200, "The order, changed.")
        .example(order)
        .errors(CHANGE_ERRORS)
        .serialized_by("id");
    router
        .patch("/orders/{id}", "updateOrder", orders::patch)
        .summary("Change what the staff may set of an order")
        .description(
            "A JSON Merge Patch of `notes`, `metadata`, the addresses and `status`. Addresses stay as they are once \
             something is sent: 409 `conflict`. Another status has the conditions and the effects of the operation that \
             leads there: `{\"status\": \"cancelled\"}` is `POST /orders/{id}/cancel`.",
        )
        .permission("orders:write")
        .path_param("id", "The order's id.")
        .merge_patch::<OrderPatch>()
        .example(|| json!({"notes": "Gift wrapping was asked for by telephone.", "metadata": {"erp": "4711"}}))
        .returns::<Order>(200, "The order, changed.")
        .example(order)
        .errors(CHANGE_ERRORS)
        .serialized_by("id");
    router
        .delete("/orders/{id}", "deleteOrder", orders::delete)
        .summary("Delete an order")
        .description(
            "Only orders that are cancelled or expired; others are refused with 409 `invalid_transition`. Nobody is shown \
             the order any more. It is kept, and refunds that are under way come to their end.",
        )
        .permission("orders:write")
        .path_param("id", "The order's id.")
        .returns_empty(204, "The order, deleted.")
        .errors(&["not_found", "version_conflict", "invalid_transition", "conflict", "unavailable"])
        .serialized_by("id");
    router
        .get("/orders/{id}/history", "listOrderHistory", history::list)
        .summary("List what happened to an order")
        .description(
            "The oldest first, unless sorted otherwise: every change with who made it. Entries are never changed or \
             removed. Customers and guests see what happened to their own orders, but for what is the staff's alone.",
        )
        .public()
        .permission("orders:read")
        .path_param("id", "The order's id.")
        .header_param::<CartToken>(TOKEN, TOKEN_ABOUT)
        .list(HISTORY, &["id", "type", "createdAt"], &["id", "createdAt"], false)
        .returns::<Vec<HistoryEntry>>(200, "A page of entries.")
        .example(|| json!([history_entry()]))
        .errors(&["forbidden", "not_found", "cursor_mismatch", "unavailable"]);
}

pub(crate) fn transitions(router: &mut Router) {
    let of_staff: [(&str, &str, Handler, &str, &str); 5] = [
        (
            "/orders/{id}/confirm",
            "confirmOrder",
            transitions::confirm,
            "Confirm an order",
            "A pending order becomes `confirmed`, and its stock is reserved without an end. What is authorised, captured, \
             or promised by another way has to cover the total; an order is confirmed by itself as soon as it does.",
        ),
        (
            "/orders/{id}/process",
            "processOrder",
            transitions::process,
            "Begin to process an order",
            "A confirmed order becomes `processing`; its customer cannot cancel it any more. Sending its first parcel \
             does the same.",
        ),
        (
            "/orders/{id}/complete",
            "completeOrder",
            transitions::complete,
            "Complete an order",
            "An order in the works becomes `completed`, where everything is sent and nothing is left to be paid.",
        ),
        (
            "/orders/{id}/hold",
            "holdOrder",
            transitions::hold,
            "Put an order on hold",
            "A confirmed order, or one in the works, becomes `onHold`: nothing of it is packed or sent.",
        ),
        (
            "/orders/{id}/release",
            "releaseOrder",
            transitions::unhold,
            "Go on with an order",
            "An order that is on hold becomes what it was before; `confirm` or `process`, whichever names that, does the \
             same.",
        ),
    ];
    for (path, operation_id, handler, summary, description) in of_staff {
        router
            .post(path, operation_id, handler)
            .summary(summary)
            .description(description)
            .permission("orders:write")
            .path_param("id", "The order's id.")
            .returns::<Order>(200, "The order in its new status.")
            .example(order)
            .errors(&["not_found", "version_conflict", "invalid_transition", "conflict", "unavailable"])
            .serialized_by("id");
    }
    router
        .post("/orders/{id}/cancel", "cancelOrder", transitions::cancel)
        .summary("Cancel an order")
        .description(
            "Only while nothing is sent. Customers, and guests by their `X-Cart-Token`, cancel their own while it is \
             `pending` or `confirmed`; staff with `orders:write` also later. Parcels that are packed are cancelled, stock \
             and coupons are given back, what is authorised is voided and what is captured refunded: this begins at once \
             and shows in the payments.",
        )
        .public()
        .permission("orders:write")
        .path_param("id", "The order's id.")
        .header_param::<CartToken>(TOKEN, TOKEN_ABOUT)
        .returns::<Order>(200, "The order, cancelled.")
        .example(order)
        .errors(&[
            "forbidden",
            "not_found",
            "version_conflict",
            "invalid_transition",
            "conflict",
            "unavailable",
        ])
        .serialized_by("id");
}
