//! The operations on carts.

use plugin_sdk::{JsonSchema, Router, Value, json};

use crate::{
    carts::{self, choices, expiry, items, merge},
    model::{
        AddressesInput, Cart, CartInput, CartItemInput, CartItemPatch, CouponEntry, MergeInput,
        PaymentMethodView, Quote, ShippingChoice, ShippingMethod,
    },
    quotes, shipping,
};

/// The token of a guest's cart, in a header.
#[derive(JsonSchema)]
#[schemars(inline)]
#[expect(dead_code, reason = "its schema is what counts")]
pub(super) struct CartToken(#[schemars(length(min = 1, max = 200))] String);

pub(super) const TOKEN: &str = "x-cart-token";
const TOKEN_ABOUT: &str = "The `cartToken` of a guest's cart. Customers need none for their own.";
const ID_ABOUT: &str = "The cart's id.";

const READ_ERRORS: &[&str] = &["not_found", "amount_out_of_range", "unavailable"];

/// Codes that the commands have in common.
const COMMAND_ERRORS: &[&str] = &[
    "not_found",
    "cart_not_active",
    "cart_locked",
    "version_conflict",
    "conflict",
    "validation_failed",
    "unknown_field",
    "amount_out_of_range",
    "unavailable",
];

/// Codes of shipping plugins and pricing rules.
const HOOK_ERRORS: &[&str] =
    &["plugin_failed", "plugin_output_invalid", "plugin_unavailable", "plugin_timeout", "overloaded"];

pub(crate) fn carts(router: &mut Router) {
    whole(router);
    lines(router);
    chosen(router);
    answered_by_plugins(router);
    // Stock and prices hang on no cart that is over: a minute's delay is nothing to anybody.
    router.scheduled("expireCarts", 60_000, expiry::run);
}

fn whole(router: &mut Router) {
    router
        .post("/carts", "createCart", carts::create)
        .summary("Make a cart")
        .description(
            "A customer has one active cart: it is answered with 200 if there is one, with `items` put into it. A guest \
             gets a new cart, and once its `cartToken`, without which nobody finds the cart again; later it is sent as \
             `X-Cart-Token`. Staff have no carts and make orders of items.",
        )
        .public()
        .body::<CartInput>()
        .example(|| json!({"currency": "USD", "items": [{"sku": "SHIRT-BLUE-S", "quantity": 2}]}))
        .returns::<Cart>(201, "The cart, made.")
        .example(guest_cart)
        .returns::<Cart>(200, "The cart that the customer has already.")
        .example(cart)
        .errors(COMMAND_ERRORS)
        .errors(&["forbidden", "currency_mismatch"])
        .serialized_by_caller();
    router
        .get("/carts/{id}", "getCart", carts::read)
        .summary("Read a cart")
        .description(
            "Priced anew with every read. What keeps the cart from being ordered as it is, is told in `problems` and \
             fails nothing: lines that ran out, that changed their price since it was last shown, or that are not sold \
             any more; coupons that ended; pricing rules that do not answer, without which the list prices are shown.",
        )
        .public()
        .path_param("id", ID_ABOUT)
        .header_param::<CartToken>(TOKEN, TOKEN_ABOUT)
        .returns::<Cart>(200, "The cart.")
        .example(cart)
        .errors(READ_ERRORS);
    router
        .delete("/carts/{id}", "deleteCart", carts::delete)
        .summary("Delete a cart")
        .description("Only while it is active. The customer can make another one, also in another currency.")
        .public()
        .path_param("id", ID_ABOUT)
        .header_param::<CartToken>(TOKEN, TOKEN_ABOUT)
        .returns_empty(204, "The cart, deleted.")
        .errors(&[
            "not_found",
            "cart_not_active",
            "cart_locked",
            "version_conflict",
            "conflict",
            "unavailable",
        ])
        .serialized_by("id");
    router
        .post("/carts/merge", "mergeCart", merge::merge)
        .summary("Take a guest's cart into the own one")
        .description(
            "For customers who have logged in and send the guest cart's token. Quantities add up; currency, addresses and \
             shipping method of the own cart count where it has them. The guest's cart is `merged` then, and merging it \
             again answers the own cart as it is. All of it happens or nothing.",
        )
        .customer()
        .header_param::<CartToken>(TOKEN, "The `cartToken` of the guest's cart.")
        .body::<MergeInput>()
        .example(|| json!({"cartId": "cart_01KAQ3V8Q1W2E3R4T5Y6V7A8S9"}))
        .returns::<Cart>(200, "The customer's own cart.")
        .example(cart)
        .errors(COMMAND_ERRORS)
        .errors(&["currency_mismatch"])
        .serialized_by_caller();
}

fn lines(router: &mut Router) {
    router
        .post("/carts/{id}/items", "addCartItem", items::add)
        .summary("Put something into a cart")
        .description(
            "Adds to what is there of the variant; a cart has one line for each. Parallel calls all take effect. What is \
             not sold is refused with `validation_failed`; that there is not enough in stock is told in `problems`.",
        )
        .public()
        .path_param("id", ID_ABOUT)
        .header_param::<CartToken>(TOKEN, TOKEN_ABOUT)
        .body::<CartItemInput>()
        .example(|| json!({"sku": "SHIRT-BLUE-S", "quantity": 2}))
        .returns::<Cart>(200, "The cart with it.")
        .example(cart)
        .errors(COMMAND_ERRORS)
        .serialized_by("id");
    router
        .patch("/carts/{id}/items/{itemId}", "updateCartItem", items::patch)
        .summary("Change how many pieces of a line are wanted")
        .description("A JSON Merge Patch. A quantity of 0 takes the line out.")
        .public()
        .path_param("id", ID_ABOUT)
        .path_param("itemId", "The id of the cart's item.")
        .header_param::<CartToken>(TOKEN, TOKEN_ABOUT)
        .merge_patch::<CartItemPatch>()
        .example(|| json!({"quantity": 3}))
        .returns::<Cart>(200, "The cart, changed.")
        .example(cart)
        .errors(COMMAND_ERRORS)
        .serialized_by("id");
    router
        .delete("/carts/{id}/items/{itemId}", "deleteCartItem", items::remove)
        .summary("Take a line out of a cart")
        .description("Answers the cart that is left.")
        .public()
        .path_param("id", ID_ABOUT)
        .path_param("itemId", "The id of the cart's item.")
        .header_param::<CartToken>(TOKEN, TOKEN_ABOUT)
        .returns::<Cart>(200, "The cart without it.")
        .example(cart)
        .errors(COMMAND_ERRORS)
        .serialized_by("id");
}

fn chosen(router: &mut Router) {
    router
        .post("/carts/{id}/coupons", "addCartCoupon", choices::add_coupon)
        .summary("Enter a coupon")
        .description(
            "Letter case does not matter, and entering a code twice is entering it once. A coupon that ends afterwards is \
             told in `problems` and does not count. Only the order takes a use of it.",
        )
        .public()
        .path_param("id", ID_ABOUT)
        .header_param::<CartToken>(TOKEN, TOKEN_ABOUT)
        .body::<CouponEntry>()
        .example(|| json!({"code": "SPRING26"}))
        .returns::<Cart>(200, "The cart with the coupon.")
        .example(cart)
        .errors(COMMAND_ERRORS)
        .errors(&["coupon_invalid", "coupon_exhausted"])
        .serialized_by("id");
    router
        .delete("/carts/{id}/coupons/{code}", "deleteCartCoupon", choices::remove_coupon)
        .summary("Take a coupon out of a cart")
        .description("Answers 404 where the code was not entered.")
        .public()
        .path_param("id", ID_ABOUT)
        .path_param("code", "The code; letter case does not matter.")
        .header_param::<CartToken>(TOKEN, TOKEN_ABOUT)
        .returns::<Cart>(200, "The cart without the coupon.")
        .example(cart)
        .errors(COMMAND_ERRORS)
        .serialized_by("id");
    router
        .put("/carts/{id}/addresses", "replaceCartAddresses", choices::addresses)
        .summary("Say where a cart is sent and who is billed")
        .description("Replaces both addresses. Shipping and taxes may depend on them.")
        .public()
        .path_param("id", ID_ABOUT)
        .header_param::<CartToken>(TOKEN, TOKEN_ABOUT)
        .body::<AddressesInput>()
        .example(|| json!({"shippingAddress": address(), "billingAddress": null}))
        .returns::<Cart>(200, "The cart with the addresses.")
        .example(cart)
        .errors(COMMAND_ERRORS)
        .serialized_by("id");
    router
        .put("/carts/{id}/shipping", "replaceCartShipping", choices::shipping)
        .summary("Choose how a cart is sent")
        .description(
            "By the id of one of the shipping options. `shipping_unavailable` tells that it is none of them; where it \
             becomes none later, that is told in `problems`.",
        )
        .public()
        .path_param("id", ID_ABOUT)
        .header_param::<CartToken>(TOKEN, TOKEN_ABOUT)
        .body::<ShippingChoice>()
        .example(|| json!({"shippingMethod": "shipping-flat:standard"}))
        .returns::<Cart>(200, "The cart with the shipping method.")
        .example(cart)
        .errors(COMMAND_ERRORS)
        .errors(HOOK_ERRORS)
        .errors(&["shipping_unavailable"])
        .serialized_by("id");
}

fn answered_by_plugins(router: &mut Router) {
    router
        .get("/carts/{id}/shipping-options", "listCartShippingOptions", shipping::options)
        .summary("List the ways in which a cart can be sent")
        .description(
            "Of all shipping plugins, for the cart's lines and its shipping address. None for a cart without anything that \
             is sold.",
        )
        .public()
        .path_param("id", ID_ABOUT)
        .header_param::<CartToken>(TOKEN, TOKEN_ABOUT)
        .returns::<Vec<ShippingMethod>>(200, "The shipping options.")
        .example(|| {
            json!([{
                "id": "shipping-flat:standard",
                "code": "standard",
                "name": "Standard",
                "price": {"amount": 499, "currency": "USD"},
                "pluginId": "shipping-flat",
            }])
        })
        .errors(READ_ERRORS)
        .errors(HOOK_ERRORS);
    router
        .get("/carts/{id}/payment-methods", "listCartPaymentMethods", shipping::payment_methods)
        .summary("List the ways in which a cart can be paid")
        .description("Of all payment plugins. An order names the `provider`.")
        .public()
        .path_param("id", ID_ABOUT)
        .header_param::<CartToken>(TOKEN, TOKEN_ABOUT)
        .returns::<Vec<PaymentMethodView>>(200, "The payment methods.")
        .example(|| json!([{"provider": "payment-manual", "title": "Bank transfer"}]))
        .errors(READ_ERRORS)
        .errors(HOOK_ERRORS);
    router
        .post("/carts/{id}/quote", "quoteCart", quotes::create)
        .summary("Quote what a cart comes to")
        .description(
            "Until `expiresAt` an order that names the quote has this price, whatever becomes of prices and rules. It is \
             of the cart as it is: after a change another one is needed. A quote holds no stock.",
        )
        .public()
        .path_param("id", ID_ABOUT)
        .header_param::<CartToken>(TOKEN, TOKEN_ABOUT)
        .returns::<Quote>(201, "The quote.")
        .example(quote)
        .errors(COMMAND_ERRORS)
        .errors(HOOK_ERRORS)
        .errors(&["cart_empty"])
        .serialized_by("id");
}

fn usd(amount: i64) -> Value {
    json!({"amount": amount, "currency": "USD"})
}

fn address() -> Value {
    json!({
        "name": "Ada Lovelace",
        "line1": "12 Main Street",
        "line2": null,
        "city": "Portland",
        "region": "OR",
        "postalCode": "97201",
        "country": "US",
        "phone": null,
    })
}

fn item() -> Value {
    json!({
        "id": "itm_01KAQ3V8Q1W2E3R4T5Y6V7A8S9",
        "productId": "prod_01KAQ3V8Q1W2E3R4T5Y6V7A8S9",
        "variantId": "var_01KAQ3V8Q1W2E3R4T5Y6V7A8S9",
        "sku": "SHIRT-BLUE-S",
        "name": "Shirt",
        "quantity": 2,
        "unitPrice": usd(2499),
        "adjustments": [{
            "kind": "discount",
            "code": "spring",
            "reason": "Spring sale",
            "amount": usd(-500),
            "pluginId": "promotions",
            "pluginVersion": "1.0.0",
            "digest": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "configDigest": "60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752",
            "couponCode": "SPRING26",
        }],
        "total": usd(4498),
    })
}

fn shipping_adjustment() -> Value {
    json!({
        "kind": "shipping",
        "code": "standard",
        "reason": "Standard",
        "amount": usd(499),
        "pluginId": "shipping-flat",
        "pluginVersion": "1.0.0",
        "digest": "ef2d127de37b942baad06145e54b0c619a1f22327b2ebbcfbec78f5564afe39d",
        "configDigest": "",
        "couponCode": null,
    })
}

fn totals() -> Value {
    json!({
        "items": usd(4998),
        "discount": usd(-500),
        "surcharge": usd(0),
        "shipping": usd(499),
        "tax": usd(0),
        "taxIncluded": usd(0),
        "grand": usd(4997),
        "paid": usd(0),
        "refunded": usd(0),
        "credited": usd(0),
        "due": usd(4997),
    })
}

fn problem() -> Value {
    json!({
        "code": "insufficient_stock",
        "itemId": "itm_01KAQ3V8Q1W2E3R4T5Y6V7A8S9",
        "message": "In stock of `Shirt`: 1.",
        "available": 1,
    })
}

fn cart() -> Value {
    json!({
        "id": "cart_01KAQ3V8Q1W2E3R4T5Y6V7A8S9",
        "version": 5,
        "createdAt": "2026-11-23T09:00:00.000Z",
        "updatedAt": "2026-11-23T09:30:00.000Z",
        "customerId": "usr_01KAQ3V8Q1W2E3R4T5Y6V7A8S9",
        "currency": "USD",
        "items": [item()],
        "coupons": ["SPRING26"],
        "shippingAddress": address(),
        "billingAddress": null,
        "shippingMethod": "shipping-flat:standard",
        "adjustments": [shipping_adjustment()],
        "totals": totals(),
        "problems": [problem()],
        "status": "active",
        "orderId": null,
        "expiresAt": "2026-12-23T09:30:00.000Z",
    })
}

fn guest_cart() -> Value {
    let mut cart = cart();
    cart["customerId"] = Value::Null;
    cart["version"] = json!(1);
    cart["cartToken"] = json!("5f1d7a84db00d2fce00b31a7fc73224f1b1d3d5f8a53e8a8c5d5f8a1b2c3d4e5");
    cart
}

fn quote() -> Value {
    json!({
        "quoteId": "quo_01KAQ3V8Q1W2E3R4T5Y6V7A8S9",
        "cartId": "cart_01KAQ3V8Q1W2E3R4T5Y6V7A8S9",
        "currency": "USD",
        "lines": [item()],
        "adjustments": [shipping_adjustment()],
        "totals": totals(),
        "plugins": [{
            "id": "promotions",
            "version": "1.0.0",
            "digest": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "configDigest": "60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752",
            "outcome": "applied",
        }],
        "problems": [],
        "expiresAt": "2026-11-23T09:40:00.000Z",
    })
}
