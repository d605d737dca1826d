//! The operations on coupons.

use plugin_sdk::{Router, Value, json};

use crate::{
    COUPONS,
    coupons::handlers,
    model::{Coupon, CouponInput},
};

/// Fields that lists may be filtered by.
const FILTERS: &[&str] =
    &["id", "code", "ruleId", "used", "startsAt", "endsAt", "version", "createdAt", "updatedAt"];

/// Fields that lists may be sorted by.
const SORTS: &[&str] = &["id", "code", "endsAt", "createdAt", "updatedAt"];

pub(crate) fn coupons(router: &mut Router) {
    router
        .get("/coupons", "listCoupons", handlers::list)
        .summary("List coupons")
        .description(
            "`filter[code][prefix]=SPRING` gives those of a campaign, `sort=endsAt` what ends first.",
        )
        .permission("coupons:read")
        .list(COUPONS, FILTERS, SORTS, false)
        .returns::<Vec<Coupon>>(200, "A page of coupons.")
        .example(|| json!([coupon()]))
        .errors(&["cursor_mismatch", "unavailable"]);
    router
        .post("/coupons", "createCoupon", handlers::create)
        .summary("Create a coupon")
        .description(
            "The code opens the promotion `ruleId`, which is in the configuration of a pricing rule. Codes are stored in \
             capitals and are unique. `limit` counts the orders of everybody and `perCustomer` those of one customer, \
             whom guests are told by their e-mail address. A use is taken by the order and given back when it is \
             cancelled.",
        )
        .permission("coupons:write")
        .body::<CouponInput>()
        .example(input)
        .returns::<Coupon>(201, "The coupon, created.")
        .example(coupon)
        .errors(&["already_exists", "conflict", "validation_failed", "unknown_field", "unavailable"]);
    router
        .get("/coupons/{id}", "getCoupon", handlers::read)
        .summary("Read a coupon")
        .description("`used` tells how many orders have it.")
        .permission("coupons:read")
        .path_param("id", "The coupon's id.")
        .returns::<Coupon>(200, "The coupon.")
        .example(coupon)
        .errors(&["not_found", "unavailable"]);
    router
        .patch("/coupons/{id}", "updateCoupon", handlers::patch)
        .summary("Change a coupon")
        .description(
            "A JSON Merge Patch. A limit below what is used ends the coupon. Carts that have a code which is renamed are \
             told that it is not valid; orders keep the code that they were made with.",
        )
        .permission("coupons:write")
        .path_param("id", "The coupon's id.")
        .merge_patch::<CouponInput>()
        .example(|| json!({"endsAt": "2026-12-31T23:00:00Z", "limit": null}))
        .returns::<Coupon>(200, "The coupon, changed.")
        .example(coupon)
        .errors(&[
            "not_found",
            "version_conflict",
            "already_exists",
            "conflict",
            "validation_failed",
            "unknown_field",
            "unavailable",
        ])
        .serialized_by("id");
    router
        .delete("/coupons/{id}", "deleteCoupon", handlers::delete)
        .summary("Delete a coupon")
        .description(
            "Refused with `reference_in_use` while orders have it: let it end instead. Carts that have its code are told \
             that it is not valid.",
        )
        .permission("coupons:write")
        .path_param("id", "The coupon's id.")
        .returns_empty(204, "The coupon, deleted.")
        .errors(&["not_found", "version_conflict", "reference_in_use", "conflict", "unavailable"])
        .serialized_by("id");
}

fn input() -> Value {
    json!({
        "code": "spring26",
        "ruleId": "spring",
        "limit": 1000,
        "perCustomer": 1,
        "startsAt": "2026-03-01T00:00:00Z",
        "endsAt": "2026-06-01T00:00:00Z",
    })
}

fn coupon() -> Value {
    json!({
        "id": "cpn_01KAQ3V8Q1W2E3R4T5Y6V7A8S9",
        "version": 8,
        "createdAt": "2026-02-23T09:00:00.000Z",
        "updatedAt": "2026-03-23T09:30:00.000Z",
        "code": "SPRING26",
        "ruleId": "spring",
        "limit": 1000,
        "perCustomer": 1,
        "startsAt": "2026-03-01T00:00:00.000Z",
        "endsAt": "2026-06-01T00:00:00.000Z",
        "used": 7,
    })
}
