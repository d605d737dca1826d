//! Which of a variant's prices applies. Pure: values in, values out.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The price that applies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AppliedPrice {
    /// Minor units: 2499 in USD is $24.99.
    pub amount: i64,
    /// ISO 4217 code.
    pub currency: String,
    /// The former or recommended price, to be shown struck through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i64")]
    pub compare_at: Option<i64>,
}

/// What decides whether a price applies, borrowed from wherever the price is.
#[derive(Debug, Clone, Copy)]
pub struct PriceTerms<'p> {
    /// Minor units.
    pub amount: i64,
    /// ISO 4217 code.
    pub currency: &'p str,
    /// Minor units.
    pub compare_at: Option<i64>,
    /// From how many pieces on it applies; none means 1.
    pub min_quantity: Option<i64>,
    /// Whose price it is, if not everybody's.
    pub group: Option<&'p str>,
    /// In the stored form of times, as all moments here.
    pub starts_at: Option<&'p str>,
    pub ends_at: Option<&'p str>,
}

/// A price in a stored variant.
///
/// Currencies and times are stored in forms that JSON never escapes, so they can be borrowed.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoredPrice<'d> {
    amount: i64,
    currency: &'d str,
    compare_at: Option<i64>,
    min_quantity: Option<i64>,
    /// May have been written with escapes, so it is not always borrowed.
    #[serde(borrow)]
    customer_group: Option<Cow<'d, str>>,
    starts_at: Option<&'d str>,
    ends_at: Option<&'d str>,
}

impl StoredPrice<'_> {
    pub fn terms(&self) -> PriceTerms<'_> {
        PriceTerms {
            amount: self.amount,
            currency: self.currency,
            compare_at: self.compare_at,
            min_quantity: self.min_quantity,
            group: self.customer_group.as_deref(),
            starts_at: self.starts_at,
            ends_at: self.ends_at,
        }
    }
}

/// The price of one piece, and until when it stays that.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Quoted {
    pub price: Option<AppliedPrice>,
    /// The next moment at which a price of this kind starts or ends.
    pub until: Option<String>,
}

/// The price of one piece that applies at `now` where `quantity` of them are bought by somebody in these groups: the
/// lowest of those that could.
pub fn quote<'p>(
    prices: impl Iterator<Item = PriceTerms<'p>>,
    currency: &str,
    groups: &[String],
    quantity: i64,
    now: &str,
) -> Quoted {
    let mut lowest: Option<PriceTerms<'p>> = None;
    let mut until: Option<&str> = None;
    for price in prices {
        let is_for_others = price.group.is_some_and(|group| !groups.iter().any(|own| own == group));
        let is_for_more = price.min_quantity.unwrap_or(1) > quantity;
        if price.currency != currency || is_for_others || is_for_more {
            continue;
        }
        let turns = [price.starts_at, price.ends_at].into_iter().flatten().filter(|&turn| turn > now);
        until = turns.chain(until).min();
        let applies =
            price.starts_at.is_none_or(|start| start <= now) && price.ends_at.is_none_or(|end| now < end);
        if applies && lowest.is_none_or(|lowest| price.amount < lowest.amount) {
            lowest = Some(price);
        }
    }
    let price = lowest.map(|price| AppliedPrice {
        amount: price.amount,
        currency: price.currency.to_owned(),
        compare_at: price.compare_at,
    });
    Quoted { price, until: until.map(str::to_owned) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: &str = "2026-01-01T00:00:00.000Z";

    fn at(prices: &str, currency: &str, groups: &[&str], quantity: i64, now: &str) -> Quoted {
        let prices: Vec<StoredPrice<'_>> = serde_json::from_str(prices).unwrap();
        let groups: Vec<String> = groups.iter().map(|&group| group.to_owned()).collect();
        quote(prices.iter().map(StoredPrice::terms), currency, &groups, quantity, now)
    }

    #[test]
    fn the_lowest_price_that_applies_is_quoted() {
        let prices = r#"[
            {"amount": 90, "currency": "USD", "compareAt": 100},
            {"amount": 80, "currency": "USD", "startsAt": "2025-12-01T00:00:00.000Z", "endsAt": "2026-01-01T00:00:00.000Z"},
            {"amount": 85, "currency": "USD", "startsAt": "2026-01-01T00:00:00.000Z", "endsAt": "2026-02-01T00:00:00.000Z"},
            {"amount": 10, "currency": "USD", "minQuantity": 2},
            {"amount": 7, "currency": "USD", "minQuantity": 10},
            {"amount": 11, "currency": "USD", "customerGroup": "\u0076ip"},
            {"amount": 12, "currency": "USD", "startsAt": "2026-01-15T00:00:00.000Z"},
            {"amount": 13, "currency": "EUR"}
        ]"#;
        let amount = |quoted: &Quoted| quoted.price.as_ref().map(|price| price.amount);

        let now = at(prices, "USD", &[], 1, NOW);
        assert_eq!((amount(&now), now.until.as_deref()), (Some(85), Some("2026-01-15T00:00:00.000Z")));
        let earlier = at(prices, "USD", &[], 1, "2025-12-31T23:59:59.999Z");
        assert_eq!((amount(&earlier), earlier.until.as_deref()), (Some(80), Some(NOW)));
        assert_eq!(amount(&at(prices, "USD", &[], 1, "2026-01-15T00:00:00.000Z")), Some(12));
        let of = |groups: &[&str]| amount(&at(prices, "USD", groups, 1, NOW));
        assert_eq!([of(&["other"]), of(&["other", "vip"])], [Some(85), Some(11)]);
        let many = |quantity| amount(&at(prices, "USD", &[], quantity, NOW));
        assert_eq!([2, 9, 10, 11].map(many), [Some(10), Some(10), Some(7), Some(7)]);
        assert_eq!(
            at(prices, "EUR", &[], 1, NOW),
            Quoted {
                price: Some(AppliedPrice { amount: 13, currency: "EUR".to_owned(), compare_at: None }),
                until: None,
            }
        );
        assert_eq!(at(prices, "JPY", &[], 1, NOW), Quoted::default());
    }

    proptest! {
        /// Moments without any turn of a price in between quote the same.
        #[test]
        fn a_quote_holds_until_it_says(
            prices in prop::collection::vec((0_i64..50, prop::option::of(0_u8..9), prop::option::of(0_u8..9)), 0..6),
            now in 0_u8..9,
        ) {
            let text = |hour: u8| format!("2026-01-01T0{hour}:00:00.000Z");
            let prices: Vec<_> = prices
                .into_iter()
                .map(|(amount, starts, ends)| (amount, starts.map(text), ends.map(text)))
                .collect();
            let terms = prices.iter().map(|(amount, starts, ends)| PriceTerms {
                amount: *amount,
                currency: "USD",
                compare_at: None,
                min_quantity: None,
                group: None,
                starts_at: starts.as_deref(),
                ends_at: ends.as_deref(),
            });
            let at = |hour: u8| quote(terms.clone(), "USD", &[], 1, &text(hour));
            let quoted = at(now);
            for later in now..9 {
                if quoted.until.as_ref().is_some_and(|until| text(later) >= *until) {
                    break;
                }
                prop_assert_eq!(&at(later).price, &quoted.price);
            }
        }

        /// Who buys more never pays more for a piece.
        #[test]
        fn more_is_never_dearer(
            prices in prop::collection::vec((0_i64..50, prop::option::of(1_i64..9)), 0..6),
            quantity in 1_i64..9,
        ) {
            let terms = prices.iter().map(|(amount, min_quantity)| PriceTerms {
                amount: *amount,
                currency: "USD",
                compare_at: None,
                min_quantity: *min_quantity,
                group: None,
                starts_at: None,
                ends_at: None,
            });
            let of = |quantity| quote(terms.clone(), "USD", &[], quantity, NOW).price.map(|it| it.amount);
            let (fewer, more) = (of(quantity), of(quantity + 1));
            prop_assert!(fewer.is_none() || more <= fewer && more.is_some());
        }
    }
}
