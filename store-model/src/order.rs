//! The order of a query's results, and positions in it.

use std::cmp::Ordering;

use serde_json::{Map, Value};

use crate::{
    evaluate::scalar_at,
    query::{Direction, Query, SortKey},
    value::Scalar,
};

/// One key of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OrderKey {
    /// The rank of a text match, best first.
    Rank,
    Field(SortKey),
}

impl OrderKey {
    pub fn direction(&self) -> Direction {
        match self {
            Self::Rank => Direction::Descending,
            Self::Field(key) => key.direction,
        }
    }
}

/// A total order: the requested keys, and always the id, so that every document has a place of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    pub keys: Vec<OrderKey>,
}

impl Order {
    pub fn of(query: &Query) -> Self {
        let mut keys = Vec::new();
        if query.sort.is_empty() && query.text.is_some() {
            keys.push(OrderKey::Rank);
        }
        let id = SortKey::ascending("id");
        for key in query.sort.iter().chain([&id]) {
            let known = |known: &OrderKey| matches!(known, OrderKey::Field(field) if field.path == key.path);
            // A repeated key decides nothing, and nor does a key after the id.
            if keys.iter().any(known) {
                continue;
            }
            keys.push(OrderKey::Field(key.clone()));
            if key.path == "id" {
                break;
            }
        }
        Self { keys }
    }

    /// The values a document has for the keys.
    pub fn position(&self, document: &Map<String, Value>, rank: i64) -> Vec<Scalar> {
        let value = |key: &OrderKey| match key {
            OrderKey::Rank => Scalar::Integer(rank),
            OrderKey::Field(key) => scalar_at(document, &key.path),
        };
        self.keys.iter().map(value).collect()
    }

    pub fn compare(&self, left: &[Scalar], right: &[Scalar]) -> Ordering {
        for ((key, left), right) in self.keys.iter().zip(left).zip(right) {
            let ordering = match key.direction() {
                Direction::Ascending => left.cmp(right),
                Direction::Descending => right.cmp(left),
            };
            if ordering.is_ne() {
                return ordering;
            }
        }
        Ordering::Equal
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_ends_every_order() {
        let paths = |query: &Query| -> Vec<String> {
            let path = |key: &OrderKey| match key {
                OrderKey::Rank => "rank".to_owned(),
                OrderKey::Field(key) => key.path.clone(),
            };
            Order::of(query).keys.iter().map(path).collect()
        };
        let mut query = Query::default();
        assert_eq!(paths(&query), ["id"]);
        query.text = Some("red".to_owned());
        assert_eq!(paths(&query), ["rank", "id"]);
        query.sort = vec![SortKey::descending("a"), SortKey::ascending("a"), SortKey::ascending("b")];
        assert_eq!(paths(&query), ["a", "b", "id"]);
        query.sort = vec![SortKey::descending("id"), SortKey::ascending("b")];
        assert_eq!(paths(&query), ["id"]);
    }

    #[test]
    fn null_is_first_ascending_and_last_descending() {
        let by =
            |direction| Order { keys: vec![OrderKey::Field(SortKey { path: "a".to_owned(), direction })] };
        let (null, one) = ([Scalar::Null], [Scalar::Integer(1)]);
        assert_eq!(by(Direction::Ascending).compare(&null, &one), Ordering::Less);
        assert_eq!(by(Direction::Descending).compare(&null, &one), Ordering::Greater);
    }
}
