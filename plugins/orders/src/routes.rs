//! The operations: who may call them, what they take and answer.

mod dashboard;
mod examples;
mod fulfillments;
mod orders;
mod payments;

use plugin_sdk::Router;

pub(crate) fn all(router: &mut Router) {
    orders::orders(router);
    orders::transitions(router);
    fulfillments::fulfillments(router);
    fulfillments::returns(router);
    payments::checkout(router);
    payments::payments(router);
    dashboard::dashboard(router);
}
