//! The closed list of error codes. No response carries another, and a plugin whose routes name another does not load.

/// A code, the status it goes with, and its title.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code {
    pub name: &'static str,
    pub status: u16,
    pub title: &'static str,
}

macro_rules! codes {
    ($($status:literal $name:literal $title:literal;)*) => {
        /// All codes, by status.
        pub const CODES: &[Code] = &[$(Code { name: $name, status: $status, title: $title }),*];
    };
}

codes! {
    400 "malformed_json" "The body is not valid JSON";
    400 "unknown_parameter" "Unknown parameter";
    400 "unknown_filter" "Unknown filter";
    400 "unknown_sort" "Unknown sort field";
    400 "cursor_mismatch" "The cursor belongs to another query";
    400 "invalid_parameter" "Invalid parameter";
    400 "idempotency_key_required" "Idempotency-Key is required";
    401 "unauthenticated" "Authentication is required";
    401 "token_expired" "The token has expired";
    401 "token_invalid" "The token is not valid";
    401 "token_revoked" "The token was revoked";
    401 "invalid_credentials" "Wrong e-mail or password";
    402 "payment_declined" "The payment was declined";
    403 "forbidden" "Not allowed";
    403 "account_disabled" "The account is disabled";
    403 "email_unverified" "The e-mail address is not verified";
    404 "not_found" "Not found";
    405 "method_not_allowed" "Method not allowed";
    406 "not_acceptable" "Not acceptable";
    408 "request_timeout" "The request took too long to arrive";
    409 "already_exists" "Already exists";
    409 "reference_in_use" "Still referred to";
    409 "category_cycle" "A category cannot be below itself";
    409 "category_not_empty" "The category is not empty";
    409 "insufficient_stock" "Not enough in stock";
    409 "reservation_expired" "The reservation has expired";
    409 "cart_empty" "The cart is empty";
    409 "cart_not_active" "The cart is not active";
    409 "cart_locked" "The cart is being checked out";
    409 "currency_mismatch" "Currencies differ";
    409 "price_changed" "The price has changed";
    409 "quote_expired" "The quote has expired";
    409 "coupon_invalid" "The coupon is not valid";
    409 "coupon_exhausted" "The coupon is used up";
    409 "shipping_unavailable" "Shipping is not available";
    409 "invalid_transition" "Not possible in this state";
    409 "idempotency_in_progress" "The first request is still running";
    409 "conflict" "Conflict";
    412 "version_conflict" "The resource has changed";
    413 "payload_too_large" "The body is too large";
    414 "uri_too_long" "The address is too long";
    415 "unsupported_media_type" "Unsupported media type";
    422 "validation_failed" "The request is not valid";
    422 "unknown_field" "Unknown member";
    422 "idempotency_key_reused" "The idempotency key was used for another request";
    422 "capture_exceeds_authorization" "More than was authorised";
    422 "refund_exceeds_capture" "More than was captured";
    422 "amount_out_of_range" "The amount is out of range";
    428 "precondition_required" "If-Match is required";
    429 "rate_limited" "Too many requests";
    500 "internal" "Internal error";
    502 "plugin_failed" "A plugin failed";
    502 "plugin_output_invalid" "A plugin answered something invalid";
    502 "payment_failed" "The payment provider failed";
    503 "unavailable" "Temporarily unavailable";
    503 "overloaded" "Too busy";
    503 "plugin_unavailable" "A plugin is unavailable";
    504 "plugin_timeout" "A plugin took too long";
    504 "payment_unknown" "The payment provider did not answer";
}

/// The code of this name.
pub fn code(name: &str) -> Option<Code> {
    CODES.iter().copied().find(|code| code.name == name)
}
