//! Money in minor units.

use iso_currency::Currency;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An amount in the minor unit of its currency: `2499` in `USD` is $24.99, `500` in `JPY` is ¥500.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Money {
    /// Signed 64-bit integer of the currency's minor unit.
    pub amount: i64,
    /// ISO 4217 code in capitals.
    #[schemars(regex(pattern = "^[A-Z]{3}$"))]
    pub currency: String,
}

impl Money {
    pub fn new(amount: i64, currency: impl Into<String>) -> Self {
        Self { amount, currency: currency.into() }
    }

    /// The sum; `None` when the currencies differ or the amount overflows.
    pub fn checked_add(&self, other: &Money) -> Option<Money> {
        if self.currency != other.currency {
            return None;
        }
        Some(Money::new(self.amount.checked_add(other.amount)?, self.currency.clone()))
    }

    /// The amount times a quantity; `None` on overflow.
    pub fn checked_mul(&self, quantity: i64) -> Option<Money> {
        Some(Money::new(self.amount.checked_mul(quantity)?, self.currency.clone()))
    }
}

/// Whether `code` is a currency of ISO 4217.
pub fn is_currency(code: &str) -> bool {
    Currency::from_code(code).is_some()
}

/// How many decimal digits a currency's major unit has: 2 for USD, 0 for JPY, 3 for KWD. `None` for an unknown code
/// and for currencies without a minor unit, such as XAU.
pub fn currency_exponent(code: &str) -> Option<u16> {
    Currency::from_code(code)?.exponent()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponents_follow_iso_4217() {
        assert_eq!(
            [currency_exponent("JPY"), currency_exponent("USD"), currency_exponent("KWD")],
            [Some(0), Some(2), Some(3)]
        );
        assert!(!is_currency("ABC"));
    }

    #[test]
    fn sums_refuse_other_currencies_and_overflow() {
        let dollar = Money::new(1, "USD");
        assert_eq!(dollar.checked_add(&Money::new(2, "USD")), Some(Money::new(3, "USD")));
        assert_eq!(dollar.checked_add(&Money::new(2, "EUR")), None);
        assert_eq!(dollar.checked_add(&Money::new(i64::MAX, "USD")), None);
        assert_eq!(Money::new(i64::MAX, "USD").checked_mul(2), None);
    }
}
