//! Between the minor units of ISO 4217, in which the shop counts, and those of Stripe.
//!
//! They differ. Stripe counts some currencies in whole units that have minor ones, counts two others in hundredths that
//! have none any more, and takes the last of three decimals only as a 0.

use plugin_sdk::{Money, Problem, money::currency_exponent};

use crate::rules::Failure;

/// Currencies that Stripe counts in whole units.
const ZERO_DECIMAL: [&str; 15] =
    ["BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF"];

/// Currencies that Stripe counts in thousandths, of which the last digit is 0.
const THREE_DECIMAL: [&str; 5] = ["BHD", "JOD", "KWD", "OMR", "TND"];

/// An amount as Stripe wants it.
///
/// # Errors
/// An amount that is not above zero, a currency that has no minor unit, or an amount that Stripe cannot express.
pub fn to_stripe(money: &Money) -> Result<i64, Failure> {
    let out_of_range = |what: String| Failure::Refused(Problem::new(422, "amount_out_of_range").detail(what));
    let Some(exponent) = currency_exponent(&money.currency) else {
        return Err(out_of_range("Stripe knows no such currency.".to_owned()));
    };
    if money.amount <= 0 {
        return Err(out_of_range("The amount of a payment is above zero.".to_owned()));
    }
    let (ours, theirs) = (u32::from(exponent), stripe_exponent(&money.currency));
    let converted = if theirs >= ours {
        money.amount.checked_mul(10_i64.pow(theirs - ours))
    } else {
        exact(money.amount, 10_i64.pow(ours - theirs))
    };
    let converted = converted.filter(|amount| theirs < 3 || amount % 10 == 0);
    converted.ok_or_else(|| out_of_range(format!("Stripe cannot express this amount in {}.", money.currency)))
}

/// An amount of Stripe's; `None` where the shop cannot express it.
pub fn from_stripe(amount: i64, currency: &str) -> Option<Money> {
    let currency = currency.to_uppercase();
    let (ours, theirs) = (u32::from(currency_exponent(&currency)?), stripe_exponent(&currency));
    let amount = if theirs >= ours {
        exact(amount, 10_i64.pow(theirs - ours))?
    } else {
        amount.checked_mul(10_i64.pow(ours - theirs))?
    };
    Some(Money::new(amount, currency))
}

/// How many decimals Stripe counts in. ISK and UGX have none, and Stripe goes on counting their hundredths.
fn stripe_exponent(currency: &str) -> u32 {
    if ZERO_DECIMAL.contains(&currency) {
        0
    } else if THREE_DECIMAL.contains(&currency) {
        3
    } else {
        2
    }
}

fn exact(amount: i64, divisor: i64) -> Option<i64> {
    (amount % divisor == 0).then_some(amount / divisor)
}
