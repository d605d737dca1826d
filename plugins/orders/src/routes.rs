//! The operations: who may call them, what they take and answer.

mod carts;
mod coupons;
mod dashboard;
mod examples;
mod fulfillments;
mod imports;
mod orders;
mod payments;

use plugin_sdk::Router;

pub(crate) fn all(router: &mut Router) {
    carts::carts(router);
    coupons::coupons(router);
    payments::checkout(router);
    orders::orders(router);
    imports::imports(router);
    orders::transitions(router);
    payments::payments(router);
    fulfillments::fulfillments(router);
    fulfillments::returns(router);
    dashboard::dashboard(router);
}
