//! What pricing rules see and answer, and how their adjustments become sums that are exact to the minor unit.
//!
//! Rules answer [`Adjustment`]s. [`Sums`] takes them rule by rule and keeps what must be true whatever a rule answers:
//! one currency, known lines, no line below zero, no shipping below zero, and shares of a split that add up to what was
//! split. [`Sums::finish`] gives the [`Priced`] cart. Everything is integer arithmetic; what a rate comes to is computed
//! with 128 bits and rounded once.
//!
//! The order of a cart's lines does not matter: they are taken by their ids.

mod cart;
mod priced;
mod round;
mod sums;

pub use cart::{Adjustment, Cart, Coupon, Line, Money, SHIPPING, Shipping, Subtotal, Value, kind};
pub use priced::{Applied, Priced, PricedLine, SharedSource, Source, Totals};
pub use round::{Rounding, TaxLevel, split};
pub use sums::{AMOUNT_MAX, InputError, OutputError, Settings, Sums};
