//! Rounding and splitting.

use serde::{Deserialize, Serialize};

/// What becomes of halves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rounding {
    /// Away from zero: what people do on paper.
    #[default]
    HalfUp,
    /// To the even neighbour.
    HalfEven,
    /// Towards zero.
    HalfDown,
}

/// Where a tax is rounded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaxLevel {
    #[default]
    Line,
    /// For one piece, and then taken times the quantity.
    Unit,
    /// Once for all lines of a rate, and then split over them.
    Order,
}

impl Rounding {
    /// `numerator / denominator`, rounded to an integer. The denominator is positive.
    pub fn divide(self, numerator: i128, denominator: i128) -> i128 {
        let (quotient, remainder) = (numerator / denominator, numerator % denominator);
        let twice = remainder.unsigned_abs() * 2;
        let denominator = denominator.unsigned_abs();
        let away = match twice.cmp(&denominator) {
            std::cmp::Ordering::Less => false,
            std::cmp::Ordering::Greater => true,
            std::cmp::Ordering::Equal => match self {
                Self::HalfUp => true,
                Self::HalfEven => quotient % 2 != 0,
                Self::HalfDown => false,
            },
        };
        if away { quotient + numerator.signum() } else { quotient }
    }
}

/// Splits `amount` in proportion to the weights, which are not negative, so that the shares add up to it: what is left
/// after rounding down goes to the largest fractions, of equal ones to the first. Without any weight all count alike.
/// No share is further than one from its exact value.
pub fn split(amount: i64, weights: &[i64]) -> Vec<i64> {
    if weights.is_empty() {
        return Vec::new();
    }
    let even = weights.iter().all(|&weight| weight <= 0);
    let weight = |index: usize| if even { 1 } else { i128::from(weights[index].max(0)) };
    let total: i128 = (0..weights.len()).map(weight).sum();
    let (sign, magnitude) = (amount.signum(), i128::from(amount.unsigned_abs()));
    let exact = |index: usize| magnitude * weight(index);
    let mut shares: Vec<i128> = (0..weights.len()).map(|index| exact(index) / total).collect();
    let left = magnitude - shares.iter().sum::<i128>();
    let mut order: Vec<usize> = (0..weights.len()).collect();
    order.sort_by_key(|&index| std::cmp::Reverse(exact(index) % total));
    // Fewer units are left than there are shares with a fraction.
    for &index in order.iter().take(usize::try_from(left).unwrap_or_default()) {
        shares[index] += 1;
    }
    shares.into_iter().map(|share| i64::try_from(share).unwrap_or(i64::MAX) * sign).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn halves_go_where_the_mode_says() {
        let halves = [-25, -15, -5, 5, 15, 25];
        let of = |mode: Rounding| halves.map(|tenths| mode.divide(tenths, 10));
        assert_eq!(of(Rounding::HalfUp), [-3, -2, -1, 1, 2, 3]);
        assert_eq!(of(Rounding::HalfEven), [-2, -2, 0, 0, 2, 2]);
        assert_eq!(of(Rounding::HalfDown), [-2, -1, 0, 0, 1, 2]);
    }

    #[test]
    fn the_remainder_goes_to_the_largest_fractions() {
        assert_eq!(split(100, &[1, 1, 1]), [34, 33, 33]);
        assert_eq!(split(-100, &[1, 1, 1]), [-34, -33, -33]);
        assert_eq!(split(10, &[999, 1]), [10, 0]);
        assert_eq!(split(3, &[0, 0]), [2, 1]);
        assert_eq!(split(5, &[]), [0_i64; 0]);
    }

    proptest! {
        #[test]
        fn shares_add_up_and_are_near_their_exact_value(
            amount in any::<i64>(),
            weights in prop::collection::vec(0..=i64::MAX / 1_000, 1..40),
        ) {
            let amount = if amount == i64::MIN { 0 } else { amount };
            let shares = split(amount, &weights);
            prop_assert_eq!(shares.iter().map(|&share| i128::from(share)).sum::<i128>(), i128::from(amount));
            let total: i128 = weights.iter().map(|&weight| i128::from(weight)).sum();
            if total > 0 {
                for (&share, &weight) in shares.iter().zip(&weights) {
                    let off = i128::from(share) * total - i128::from(amount) * i128::from(weight);
                    prop_assert!(off.abs() < total, "{share} of {weight}/{total}");
                }
            }
        }

        #[test]
        fn rounding_is_off_by_a_half_at_most(numerator in -1_000_000_i128..1_000_000, denominator in 1_i128..1_000) {
            for mode in [Rounding::HalfUp, Rounding::HalfEven, Rounding::HalfDown] {
                let off = mode.divide(numerator, denominator) * denominator - numerator;
                prop_assert!(off.abs() * 2 <= denominator);
            }
        }
    }
}
