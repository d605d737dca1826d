//! Examples of bodies, for the API document.

use plugin_sdk::{Value, json};

pub(crate) fn product_input() -> Value {
    json!({
        "name": "Blue shirt",
        "description": "Woven from organic cotton.",
        "status": "active",
        "categoryIds": ["cat_01KAQ3V8Q1W2E3R4T5Y6V7A8S9"],
        "tags": ["summer"],
        "options": [{"name": "Size", "values": ["S", "M"]}],
        "variants": [{
            "sku": "SHIRT-BLUE-S",
            "optionValues": {"Size": "S"},
            "barcode": "4006381333931",
            "prices": [{"amount": 2499, "currency": "USD", "compareAt": 2999}],
            "weightGrams": 180,
        }],
        "media": [{"url": "/media/blue-shirt.jpg", "alt": "A blue shirt"}],
        "attributes": {"material": "cotton"},
        "taxClass": "standard",
    })
}

pub(crate) fn facets() -> Value {
    json!({"facets": [
        {"name": "option.Color", "values": [{"value": "Red", "count": 12}, {"value": "Blue", "count": 7}], "ranges": []},
        {"name": "price", "values": [], "ranges": [{"from": 1000, "to": 2000, "count": 19}]},
    ]})
}

pub(crate) fn product() -> Value {
    json!({
        "id": "prod_01KAQ3V8Q1W2E3R4T5Y6V7A8S9",
        "version": 1,
        "createdAt": "2026-11-23T09:00:00.000Z",
        "updatedAt": "2026-11-23T09:00:00.000Z",
        "slug": "blue-shirt",
        "name": "Blue shirt",
        "description": "Woven from organic cotton.",
        "status": "active",
        "categoryIds": ["cat_01KAQ3V8Q1W2E3R4T5Y6V7A8S9"],
        "tags": ["summer"],
        "options": [{"name": "Size", "values": ["S", "M"]}],
        "variants": [{
            "id": "var_01KAQ3V8Q1W2E3R4T5Y6V7A8S9",
            "sku": "SHIRT-BLUE-S",
            "optionValues": {"Size": "S"},
            "barcode": "4006381333931",
            "prices": [{"amount": 2499, "currency": "USD", "compareAt": 2999}],
            "price": {"amount": 2499, "currency": "USD", "compareAt": 2999},
            "availability": "in_stock",
            "weightGrams": 180,
            "trackInventory": true,
            "backorder": "deny",
            "metadata": {},
        }],
        "media": [{"url": "/media/blue-shirt.jpg", "alt": "A blue shirt"}],
        "attributes": {"material": "cotton"},
        "taxClass": "standard",
        "seo": {"title": null, "description": null},
        "metadata": {},
        "publishedAt": "2026-11-23T09:00:00.000Z",
    })
}

pub(crate) fn variant_input() -> Value {
    let mut variant = product_input()["variants"][0].take();
    variant["sku"] = json!("SHIRT-BLUE-M");
    variant["optionValues"] = json!({"Size": "M"});
    variant
}

pub(crate) fn variant() -> Value {
    product()["variants"][0].take()
}

pub(crate) fn bulk_input() -> Value {
    json!({"mode": "atomic", "operations": [
        {"op": "create", "data": {"name": "Red shirt"}},
        {"op": "update", "id": "prod_01KAQ3V8Q1W2E3R4T5Y6V7A8S9", "data": {"status": "archived"}},
        {"op": "delete", "id": "prod_01KAQ3V8Q1W2E3R4T5Y6V7A8S8"},
    ]})
}

pub(crate) fn bulk_results() -> Value {
    let result = |index: u32, status: u16, id: &str, version: Option<u64>| json!({"index": index, "status": status, "id": id, "version": version, "problem": null});
    json!({"results": [
        result(0, 201, "prod_01KAQ3V8Q1W2E3R4T5Y6V7A8SA", Some(1)),
        result(1, 200, "prod_01KAQ3V8Q1W2E3R4T5Y6V7A8S9", Some(2)),
        result(2, 204, "prod_01KAQ3V8Q1W2E3R4T5Y6V7A8S8", None),
    ]})
}
