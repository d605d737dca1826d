//! Parcels, and what comes back.

use plugin_sdk::{Router, json, router::Handler};

use super::{
    carts::{CartToken, TOKEN},
    examples::{fulfillment, made_return, sent_fulfillment},
    orders::TOKEN_ABOUT,
};
use crate::{
    fulfillments,
    model::{Fulfillment, FulfillmentInput, Return, ReturnInput, ShipInput},
    returns,
};

pub(crate) fn fulfillments(router: &mut Router) {
    router
        .post("/orders/{id}/fulfillments", "createFulfillment", fulfillments::create)
        .summary("Pack a parcel")
        .description(
            "Of an order that is confirmed or in the works; another one is refused with 409 `conflict`. Without `lines` \
             (send `{}`) everything goes in that is in no parcel yet. An item is packed no more often than it was \
             ordered.",
        )
        .permission("fulfillments:write")
        .path_param("id", "The order's id.")
        .body::<FulfillmentInput>()
        .example(|| {
            json!({"lines": [{"itemId": "itm_01KAQ3V8Q1W2E3R4T5Y6V7A8S9", "quantity": 2}], "carrier": "DHL"})
        })
        .returns::<Fulfillment>(201, "The parcel, packed.")
        .example(fulfillment)
        .errors(&[
            "not_found",
            "version_conflict",
            "conflict",
            "validation_failed",
            "unknown_field",
            "unavailable",
        ])
        .serialized_by("id");
    router
        .post("/fulfillments/{id}/ship", "shipFulfillment", fulfillments::ship)
        .summary("Send a parcel")
        .description(
            "Its pieces leave the stock, each SKU with a movement `shipped` that has the order's number for its \
             reference; a confirmed order becomes `processing`. `carrier` and `trackingNumber` stay as they are where they \
             are absent (send `{}`). Pieces that are not on hand, which those of a backorder may not be, are refused with \
             409 `insufficient_stock`: adjust the inventory when they have come.",
        )
        .permission("fulfillments:write")
        .path_param("id", "The fulfilment's id.")
        .body::<ShipInput>()
        .example(|| json!({"carrier": "DHL", "trackingNumber": "00340434161094000000"}))
        .returns::<Fulfillment>(200, "The parcel, sent.")
        .example(sent_fulfillment)
        .errors(&[
            "not_found",
            "version_conflict",
            "invalid_transition",
            "insufficient_stock",
            "conflict",
            "validation_failed",
            "unknown_field",
            "unavailable",
        ])
        .serialized_by("id");
    let others: [(&str, &str, Handler, &str, &str, &str); 2] = [
        (
            "/fulfillments/{id}/deliver",
            "deliverFulfillment",
            fulfillments::deliver,
            "Note that a parcel has arrived",
            "Of a parcel that was sent. The order is not completed by it.",
            "The parcel, delivered.",
        ),
        (
            "/fulfillments/{id}/cancel",
            "cancelFulfillment",
            fulfillments::cancel,
            "Cancel a parcel",
            "A parcel that is packed is unpacked. One that was sent has come back: its pieces are on hand again, each SKU \
             with a movement `restocked`, and reserved, so that they can be sent again; while they are in a return, or \
             the order is over, that is refused. What was delivered comes back by a return.",
            "The parcel, cancelled.",
        ),
    ];
    for (path, operation_id, handler, summary, description, answer) in others {
        router
            .post(path, operation_id, handler)
            .summary(summary)
            .description(description)
            .permission("fulfillments:write")
            .path_param("id", "The fulfilment's id.")
            .returns::<Fulfillment>(200, answer)
            .example(sent_fulfillment)
            .errors(&["not_found", "version_conflict", "invalid_transition", "conflict", "unavailable"])
            .serialized_by("id");
    }
}

pub(crate) fn returns(router: &mut Router) {
    router
        .post("/orders/{id}/returns", "createReturn", returns::create)
        .summary("Ask to return something")
        .description(
            "By customers and guests (`X-Cart-Token`) of their own orders, and by staff with `orders:write`. Pieces that \
             were sent and are in no other return, but for rejected ones. The shop approves or rejects it.",
        )
        .public()
        .permission("orders:write")
        .path_param("id", "The order's id.")
        .header_param::<CartToken>(TOKEN, TOKEN_ABOUT)
        .body::<ReturnInput>()
        .example(|| {
            let line =
                json!({"itemId": "itm_01KAQ3V8Q1W2E3R4T5Y6V7A8S9", "quantity": 1, "reason": "Too small"});
            json!({ "lines": [line] })
        })
        .returns::<Return>(201, "The return, requested.")
        .example(made_return)
        .errors(&[
            "forbidden",
            "not_found",
            "version_conflict",
            "conflict",
            "validation_failed",
            "unknown_field",
            "unavailable",
        ])
        .serialized_by("id");
    let others: [(&str, &str, Handler, &str, &str, &str); 3] = [
        (
            "/returns/{id}/approve",
            "approveReturn",
            returns::approve,
            "Approve a return",
            "Of a return that is requested: the customer may send the pieces.",
            "The return, approved.",
        ),
        (
            "/returns/{id}/reject",
            "rejectReturn",
            returns::reject,
            "Reject a return",
            "Of a return that is requested, or approved and nothing came. Its pieces can be in another return.",
            "The return, rejected.",
        ),
        (
            "/returns/{id}/receive",
            "receiveReturn",
            returns::receive,
            "Note that a return has come",
            "Of an approved return. What was taken from stock is on hand again, each SKU with a movement `restocked`; what \
             cannot be sold again is adjusted in the inventory. Money is given back by a refund that names the return.",
            "The return, received.",
        ),
    ];
    for (path, operation_id, handler, summary, description, answer) in others {
        router
            .post(path, operation_id, handler)
            .summary(summary)
            .description(description)
            .permission("orders:write")
            .path_param("id", "The return's id.")
            .returns::<Return>(200, answer)
            .example(made_return)
            .errors(&["not_found", "version_conflict", "invalid_transition", "conflict", "unavailable"])
            .serialized_by("id");
    }
}
