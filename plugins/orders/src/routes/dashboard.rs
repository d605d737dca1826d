//! The shop's figures.

use plugin_sdk::{Router, json};

use crate::{
    dashboard,
    model::{Dashboard, Time},
};

pub(crate) fn dashboard(router: &mut Router) {
    router
        .get("/dashboard", "getDashboard", dashboard::read)
        .summary("See how the shop is doing")
        .description(
            "Figures of the orders that were placed in a period of at most 366 days, by currency, and what runs low now. \
             Days are those of the shop's time zone. `lowStock` has SKUs of which no more pieces are available than the \
             plugin's setting says.",
        )
        .permission("dashboard:read")
        .query_param::<Time>("from", "RFC 3339 time. 30 days before the end when absent.")
        .query_param::<Time>("to", "RFC 3339 time, not included. Now when absent.")
        .returns::<Dashboard>(200, "The figures.")
        .example(|| {
            let money = |amount| json!({"amount": amount, "currency": "USD"});
            json!({
                "from": "2026-10-24T09:00:00.000Z",
                "to": "2026-11-23T09:00:00.000Z",
                "currencies": [{
                    "currency": "USD",
                    "revenue": money(10_996),
                    "orderCount": 2,
                    "average": money(5_498),
                    "orders": [{"status": "confirmed", "count": 2}, {"status": "cancelled", "count": 1}],
                    "days": [{"day": "2026-11-22", "revenue": money(10_996), "orderCount": 2}],
                    "bestSellers": [
                        {"sku": "SHIRT-BLUE-S", "name": "Blue Shirt", "quantity": 4, "revenue": money(9_996)},
                    ],
                }],
                "orders": [{"status": "confirmed", "count": 2}, {"status": "cancelled", "count": 1}],
                "lowStock": [{"sku": "SHIRT-BLUE-S", "available": 1}],
            })
        })
        .errors(&["invalid_parameter", "unavailable"]);
}
