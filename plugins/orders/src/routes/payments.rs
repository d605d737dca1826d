//! Making orders, and what moves money.

use plugin_sdk::{Router, json, router::Handler};

use super::examples::{captured_payment, order, payment, pending_order};
use crate::{
    checkout,
    model::{CaptureInput, Order, OrderInput, Payment, RefundInput},
    payments::{self, PaymentInput},
    reconcile,
    webhooks::{self, Received},
};

/// How often orders that are due are looked after, in milliseconds.
const SETTLE_MS: u64 = 1_000;

/// Codes of payment providers that did not do what they were asked for.
const PROVIDER_ERRORS: &[&str] =
    &["payment_declined", "payment_failed", "plugin_unavailable", "overloaded", "unavailable"];

/// Codes that moving the money of a payment has in common.
const MOVE_ERRORS: &[&str] = &[
    "not_found",
    "version_conflict",
    "conflict",
    "validation_failed",
    "unknown_field",
    "amount_out_of_range",
    "currency_mismatch",
    "capture_exceeds_authorization",
    "refund_exceeds_capture",
    "payment_unknown",
];

pub(crate) fn checkout(router: &mut Router) {
    router
        .post("/orders", "createOrder", checkout::create)
        .summary("Make an order")
        .description(
            "Of a cart, whose guest sends `X-Cart-Token`; staff with `orders:write` may name `items` instead. The order \
             takes its stock and the uses of its coupons when it is made, and the payment is asked for at once.\n\n\
             With `quoteId` the quoted price holds until the quote expires. After that the cart is priced again and \
             `price_changed` tells in `diff` what differs, as it does where the cart has changed since; without a quote \
             the cart is priced now. A shipping option has to be chosen wherever there is one, and then there has to be \
             a shipping address.\n\n\
             201: the order is confirmed. 202: it is pending, and its stock is held for the minutes that the shop allows. \
             Then either the customer has something to do (`payments[].nextAction`), or the provider has yet to tell, or \
             it did not answer (`paymentStatus` is `unknown`): what became of it is found out, and nobody is charged \
             twice. `payment_declined` and the failures of a provider tell in `orderId` of the order, which is cancelled; \
             stock and coupons are back, and the cart is active again.\n\n\
             A cart can be ordered once: `cart_locked` while an order is being made of it, and `cart_not_active` \
             afterwards, both with the order in `orderId`.",
        )
        .public()
        .customer()
        .permission("orders:write")
        .header_param::<String>("x-cart-token", "The `cartToken` of a guest's cart.")
        .body::<OrderInput>()
        .example(|| {
            json!({
                "cartId": "cart_01KAQ3V8Q1W2E3R4T5Y6V7A8S9",
                "quoteId": "quo_01KAQ3V8Q1W2E3R4T5Y6V7A8S9",
                "email": "ada@example.com",
                "payment": {"provider": "payment-sandbox", "token": "tok_approve"},
            })
        })
        .returns::<Order>(201, "The order, confirmed.")
        .example(order)
        .returns::<Order>(202, "The order, pending.")
        .example(pending_order)
        .errors(&[
            "not_found",
            "forbidden",
            "cart_empty",
            "cart_not_active",
            "cart_locked",
            "insufficient_stock",
            "reservation_expired",
            "price_changed",
            "quote_expired",
            "coupon_invalid",
            "coupon_exhausted",
            "shipping_unavailable",
            "currency_mismatch",
            "conflict",
            "validation_failed",
            "unknown_field",
            "amount_out_of_range",
            "plugin_failed",
            "plugin_output_invalid",
            "plugin_timeout",
        ])
        .errors(PROVIDER_ERRORS)
        .idempotency_key_required()
        .calls_providers();
}

pub(crate) fn payments(router: &mut Router) {
    router
        .post("/orders/{id}/payments", "payOrder", payments::pay)
        .summary("Pay for an order")
        .description(
            "Another attempt to pay what is due and not on its way by an attempt before; what was promised to come by \
             another way may be paid like this instead. `amount` defaults to all of it.\n\n\
             201: the money is authorised, or promised. 202: the customer has something to do (`nextAction`), or the \
             outcome is not known yet.",
        )
        .public()
        .customer()
        .permission("payments:write")
        .path_param("id", "The order's id.")
        .header_param::<String>("x-cart-token", "The `cartToken` of the cart that a guest made the order of.")
        .body::<PaymentInput>()
        .example(|| json!({"provider": "payment-sandbox", "token": "tok_approve"}))
        .returns::<Payment>(201, "The payment.")
        .example(payment)
        .returns::<Payment>(202, "The payment, whose outcome is open.")
        .example(|| pending_order()["payments"][0].clone())
        .errors(&[
            "not_found",
            "forbidden",
            "version_conflict",
            "conflict",
            "validation_failed",
            "unknown_field",
            "amount_out_of_range",
            "currency_mismatch",
        ])
        .errors(PROVIDER_ERRORS)
        .idempotency_key_required()
        .calls_providers();
    movement(
        router,
        "/payments/{id}/capture",
        "capturePayment",
        payments::capture,
        "Capture a payment",
        "Takes what was authorised, or a part of it; all that remains without `amount`. Of money that comes by another \
         way it says that it has come. `capture_exceeds_authorization` tells what `remaining` there is: captures whose \
         outcome is open count.",
    )
    .body::<CaptureInput>()
    .example(|| json!({"amount": {"amount": 2_499, "currency": "USD"}}))
    .returns::<Payment>(200, "The payment, with the capture.")
    .example(captured_payment)
    .returns::<Payment>(202, "The payment, with a capture of which the provider tells later.")
    .example(captured_payment);
    movement(
        router,
        "/payments/{id}/void",
        "voidPayment",
        payments::void,
        "Void a payment",
        "Gives up what is authorised and not captured, or an authorisation that the customer has not agreed to yet.",
    )
    .returns::<Payment>(200, "The payment, with the void.")
    .example(payment)
    .returns::<Payment>(202, "The payment, with a void of which the provider tells later.")
    .example(payment);
    movement(
        router,
        "/payments/{id}/refund",
        "refundPayment",
        payments::refund,
        "Refund a payment",
        "Gives captured money back; all that remains without `amount`. It is given back for good, unless `credit` is \
         false: then it is owed again. `refund_exceeds_capture` tells what `remaining` there is: refunds whose outcome \
         is open count. With `returnId` the return is marked with the refund, once.",
    )
    .body::<RefundInput>()
    .example(|| json!({"amount": {"amount": 2_499, "currency": "USD"}, "reason": "Too small"}))
    .returns::<Payment>(200, "The payment, with the refund.")
    .example(captured_payment)
    .returns::<Payment>(202, "The payment, with a refund of which the provider tells later.")
    .example(captured_payment);
    router
        .post("/payments/{id}/sync", "syncPayment", payments::sync)
        .summary("Ask how a payment stands")
        .description(
            "Asks the provider now what became of everything of the payment whose outcome is open: for whoever comes back \
             from something that they had to do. It happens by itself too, at growing intervals.",
        )
        .public()
        .customer()
        .permission("payments:write")
        .path_param("id", "The payment's id.")
        .header_param::<String>("x-cart-token", "The `cartToken` of the cart that a guest made the order of.")
        .returns::<Payment>(200, "The payment as it is now.")
        .example(payment)
        .errors(&["not_found", "forbidden", "version_conflict", "conflict", "unavailable"])
        .calls_providers();
    router
        .post("/payments/webhooks/{provider}", "receivePaymentWebhook", webhooks::receive)
        .summary("Receive a provider's webhook")
        .description(
            "For payment providers. The payment plugin checks the signature over the bytes as they came. Repeats and \
             notices that come late or out of order have no effect. Answered with 200 after what it tells is stored.",
        )
        .public()
        .path_param("provider", "The payment plugin's id.")
        .raw_body()
        .example(|| json!("…"))
        .returns::<Received>(200, "It is stored.")
        .example(|| json!({"received": true}))
        .errors(&["not_found", "unauthenticated", "validation_failed", "conflict", "unavailable"])
        .calls_providers();
    router.scheduled("settleOrders", SETTLE_MS, reconcile::settle_orders);
}

/// A movement of a payment's money, but for its body and its answers.
fn movement<'r>(
    router: &'r mut Router,
    path: &'static str,
    operation: &'static str,
    handler: Handler,
    summary: &'static str,
    description: &'static str,
) -> plugin_sdk::router::Route<'r> {
    router
        .post(path, operation, handler)
        .summary(summary)
        .description(description)
        .permission("payments:write")
        .path_param("id", "The payment's id.")
        .errors(MOVE_ERRORS)
        .errors(PROVIDER_ERRORS)
        .idempotency_key_required()
        .calls_providers()
}
