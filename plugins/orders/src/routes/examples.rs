//! Examples for the API document.

use plugin_sdk::{Value, json};

const ITEM: &str = "itm_01KAQ3V8Q1W2E3R4T5Y6V7A8S9";
const ORDER: &str = "ord_01KAQ3V8Q1W2E3R4T5Y6V7A8S9";

fn money(amount: i64) -> Value {
    json!({"amount": amount, "currency": "USD"})
}

fn address() -> Value {
    json!({
        "name": "Ada Lovelace",
        "line1": "12 St James's Square",
        "line2": null,
        "city": "London",
        "region": null,
        "postalCode": "SW1Y 4LB",
        "country": "GB",
        "phone": null,
    })
}

pub(super) fn order() -> Value {
    json!({
        "id": ORDER,
        "number": "2026-1042",
        "version": 3,
        "createdAt": "2026-11-23T09:00:00.000Z",
        "updatedAt": "2026-11-23T09:00:02.000Z",
        "placedAt": "2026-11-23T09:00:00.000Z",
        "status": "confirmed",
        "paymentStatus": "authorized",
        "fulfillmentStatus": "none",
        "currency": "USD",
        "customerId": "usr_01KAQ3V8Q1W2E3R4T5Y6V7A8S9",
        "email": "ada@example.com",
        "cartId": "cart_01KAQ3V8Q1W2E3R4T5Y6V7A8S9",
        "quoteId": null,
        "items": [{
            "id": ITEM,
            "productId": "prod_01KAQ3V8Q1W2E3R4T5Y6V7A8S9",
            "variantId": "var_01KAQ3V8Q1W2E3R4T5Y6V7A8S9",
            "sku": "SHIRT-BLUE-S",
            "name": "Blue Shirt",
            "quantity": 2,
            "unitPrice": money(2_499),
            "adjustments": [],
            "total": money(4_998),
        }],
        "adjustments": [],
        "coupons": [],
        "shippingAddress": address(),
        "billingAddress": null,
        "shippingMethod": {
            "id": "shipping-flat:standard",
            "name": "Standard",
            "price": money(500),
            "pluginId": "shipping-flat",
            "pluginVersion": "1.0.0",
            "digest": "0".repeat(64),
            "configDigest": "1".repeat(64),
        },
        "totals": {
            "items": money(4_998),
            "discount": money(0),
            "surcharge": money(0),
            "shipping": money(500),
            "tax": money(0),
            "taxIncluded": money(0),
            "grand": money(5_498),
            "paid": money(0),
            "refunded": money(0),
            "credited": money(0),
            "due": money(5_498),
        },
        "plugins": [],
        "payments": [{
            "id": "pay_01KAQ3V8Q1W2E3R4T5Y6V7A8S9",
            "provider": "payment-sandbox",
            "amount": money(5_498),
            "transactions": [{
                "id": "txn_01KAQ3V8Q1W2E3R4T5Y6V7A8S9",
                "type": "authorization",
                "state": "succeeded",
                "amount": money(5_498),
                "providerReference": "gw_8f14e45f",
                "reason": null,
                "credit": false,
                "plugin": {"version": "1.0.0", "digest": "2".repeat(64), "configDigest": "3".repeat(64)},
                "at": "2026-11-23T09:00:01.000Z",
            }],
            "nextAction": null,
            "offline": false,
            "createdAt": "2026-11-23T09:00:00.000Z",
        }],
        "fulfillments": [],
        "returns": [],
        "notes": "",
        "metadata": {},
    })
}

pub(super) fn payment() -> Value {
    order()["payments"][0].clone()
}

/// A payment of which a part was captured.
pub(super) fn captured_payment() -> Value {
    let mut payment = payment();
    let mut capture = payment["transactions"][0].clone();
    capture["id"] = json!("txn_01KAQ3V8Q1W2E3R4T5Y6V7A8SA");
    capture["type"] = json!("capture");
    capture["amount"] = money(2_499);
    if let Some(transactions) = payment["transactions"].as_array_mut() {
        transactions.push(capture);
    }
    payment
}

/// An order whose customer has something to do.
pub(super) fn pending_order() -> Value {
    let mut order = order();
    order["status"] = json!("pending");
    order["paymentStatus"] = json!("requiresAction");
    order["payments"][0]["transactions"][0]["state"] = json!("pending");
    order["payments"][0]["nextAction"] = json!({"type": "redirect", "url": "https://pay.example/8f14e45f"});
    order
}

pub(super) fn order_update() -> Value {
    json!({
        "notes": "Ring twice.",
        "metadata": {"erp": "4711"},
        "shippingAddress": address(),
        "billingAddress": null,
    })
}

pub(super) fn history_entry() -> Value {
    json!({
        "id": "hst_01KAQ3V8Q1W2E3R4T5Y6V7A8S9",
        "version": 1,
        "createdAt": "2026-11-23T09:00:02.000Z",
        "updatedAt": "2026-11-23T09:00:02.000Z",
        "orderId": ORDER,
        "orderVersion": 3,
        "type": "order.status_changed",
        "actor": {"kind": "admin", "id": "usr_01KAQ3V8Q1W2E3R4T5Y6V7A8S9"},
        "data": {"from": "pending", "to": "confirmed"},
    })
}

pub(super) fn fulfillment() -> Value {
    json!({
        "id": "ful_01KAQ3V8Q1W2E3R4T5Y6V7A8S9",
        "orderId": ORDER,
        "status": "pending",
        "lines": [{"itemId": ITEM, "quantity": 2}],
        "carrier": "DHL",
        "trackingNumber": null,
        "createdAt": "2026-11-23T10:00:00.000Z",
        "shippedAt": null,
        "deliveredAt": null,
    })
}

pub(super) fn sent_fulfillment() -> Value {
    let mut parcel = fulfillment();
    parcel["status"] = json!("shipped");
    parcel["trackingNumber"] = json!("00340434161094000000");
    parcel["shippedAt"] = json!("2026-11-23T11:00:00.000Z");
    parcel
}

pub(super) fn made_return() -> Value {
    json!({
        "id": "ret_01KAQ3V8Q1W2E3R4T5Y6V7A8S9",
        "orderId": ORDER,
        "status": "requested",
        "lines": [{"itemId": ITEM, "quantity": 1, "reason": "Too small"}],
        "refundId": null,
        "createdAt": "2026-11-30T09:00:00.000Z",
        "receivedAt": null,
    })
}

/// An order of another shop.
pub(super) fn order_import() -> Value {
    json!({
        "number": "#1001",
        "status": "completed",
        "placedAt": "2024-11-23T10:00:00+01:00",
        "currency": "USD",
        "email": "ada@example.com",
        "customerId": "usr_01KAQ3V8Q1W2E3R4T5Y6V7A8S9",
        "items": [{"sku": "SHIRT-BLUE-S", "name": "Blue Shirt", "quantity": 2, "unitPrice": 2_499}],
        "discount": -500,
        "shipping": 500,
        "paid": 4_998,
        "paymentProvider": "paypal",
        "trackingNumber": "00340434161094000000",
        "shippingAddress": address(),
        "coupons": ["WELCOME"],
    })
}

pub(super) fn imported_order() -> Value {
    let at = "2024-11-23T09:00:00.000Z";
    let adjustment = |kind: &str, reason: &str, amount: i64| {
        json!({
            "kind": kind,
            "code": "imported",
            "reason": reason,
            "amount": money(amount),
            "pluginId": "",
            "pluginVersion": "",
            "digest": "",
            "configDigest": "",
            "couponCode": null,
        })
    };
    let mut order = order();
    let mut set = |member: &str, value: Value| order[member] = value;
    set("number", json!("#1001"));
    set("version", json!(1));
    set("updatedAt", json!("2026-11-23T09:00:00.000Z"));
    set("placedAt", json!(at));
    set("status", json!("completed"));
    set("paymentStatus", json!("paid"));
    set("fulfillmentStatus", json!("delivered"));
    set("cartId", Value::Null);
    set("shippingMethod", Value::Null);
    set("adjustments", json!([adjustment("shipping", "Shipping", 500)]));
    set("metadata", json!({"importedCoupons": ["WELCOME"]}));
    let line = &mut order["items"][0];
    line["productId"] = json!("");
    line["variantId"] = json!("");
    line["adjustments"] = json!([adjustment("discount", "Discount", -500)]);
    line["total"] = money(4_498);
    let totals = &mut order["totals"];
    for (name, amount) in [("discount", -500), ("grand", 4_998), ("paid", 4_998), ("due", 0)] {
        totals[name] = money(amount);
    }
    let payment = &mut order["payments"][0];
    payment["provider"] = json!("paypal");
    payment["amount"] = money(4_998);
    payment["createdAt"] = json!(at);
    let mut capture = payment["transactions"][0].clone();
    capture["amount"] = money(4_998);
    capture["providerReference"] = Value::Null;
    capture["at"] = json!(at);
    let authorization = capture.clone();
    capture["id"] = json!("txn_01KAQ3V8Q1W2E3R4T5Y6V7A8SA");
    capture["type"] = json!("capture");
    payment["transactions"] = json!([authorization, capture]);
    let mut parcel = sent_fulfillment();
    parcel["status"] = json!("delivered");
    parcel["carrier"] = Value::Null;
    parcel["createdAt"] = json!(at);
    parcel["shippedAt"] = Value::Null;
    order["fulfillments"] = json!([parcel]);
    order
}
