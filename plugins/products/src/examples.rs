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
