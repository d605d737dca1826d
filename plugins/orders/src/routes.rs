//! The operations: who may call them, what they take and answer.

mod carts;
mod coupons;

use plugin_sdk::Router;

pub(crate) fn all(router: &mut Router) {
    carts::carts(router);
    coupons::coupons(router);
}
