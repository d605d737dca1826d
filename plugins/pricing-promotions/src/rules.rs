//! What the promotions come to for a cart. Values in, values out.

mod offer;
mod rest;

use offer::{Offer, offers};
use plugin_sdk::pricing::{Adjustment, Cart};
#[cfg(test)]
pub(crate) use rest::ADJUSTMENTS_MAX;
use rest::Rest;

use crate::config::{Config, Stacking};

/// The adjustments of all promotions that apply.
pub(crate) fn adjustments(cart: &Cart, config: &Config) -> Vec<Adjustment> {
    let untouched = Rest::new(cart, config.rounding);
    let mut offers = offers(cart, &untouched, config);
    offers.sort_by_key(|offer| (offer.promotion.priority, offer.promotion.id.as_str()));
    let (alone, together): (Vec<Offer<'_>>, Vec<Offer<'_>>) =
        offers.into_iter().partition(|offer| offer.promotion.stacking == Stacking::Exclusive);
    let mut best = untouched.clone();
    for offer in &together {
        best.take(offer);
    }
    for offer in &alone {
        let mut other = untouched.clone();
        other.take(offer);
        if other.taken() > best.taken() {
            best = other;
        }
    }
    best.into_adjustments()
}
