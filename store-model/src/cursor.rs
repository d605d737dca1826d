//! Keyset cursors: an opaque text that names a position in one query's order.
//!
//! A cursor carries values and not an offset, so documents that come and go between two pages neither
//! shift the rest nor repeat it. It is bound to its query by a fingerprint. That is a guard against
//! mistakes and no secret: whoever forges a cursor only moves within what the query may see anyway.

use std::hash::{Hash, Hasher};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::{
    order::{Order, OrderKey},
    query::{Query, QueryError},
    schema::CollectionSchema,
    value::Scalar,
};

/// Longer texts were not made by [`encode`] for any reasonable key, and are not worth decoding.
const CURSOR_BYTES: usize = 64 * 1024;

/// The cursor of a position.
pub fn encode(collection: &str, query: &Query, position: &[Scalar]) -> String {
    let cursor = (fingerprint(collection, query), position);
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(&cursor).unwrap_or_default())
}

/// The position of a cursor that was made for this query.
pub fn decode(
    schema: &CollectionSchema,
    query: &Query,
    order: &Order,
    cursor: &str,
) -> Result<Vec<Scalar>, QueryError> {
    let parse = || {
        if cursor.len() > CURSOR_BYTES {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let (found, position): (u64, Vec<Scalar>) = serde_json::from_slice(&bytes).ok()?;
        let fits = found == fingerprint(&schema.name, query)
            && position.len() == order.keys.len()
            && order.keys.iter().zip(&position).all(|(key, value)| fits(schema, key, value));
        fits.then_some(position)
    };
    parse().ok_or(QueryError::CursorMismatch)
}

fn fits(schema: &CollectionSchema, key: &OrderKey, value: &Scalar) -> bool {
    match key {
        OrderKey::Rank => matches!(value, Scalar::Integer(_)),
        OrderKey::Field(key) => match schema.field(&key.path) {
            Some(_) if value.is_null() => key.path != "id",
            Some(field) => field.kind.accepts(&value.to_json()),
            None => false,
        },
    }
}

fn fingerprint(collection: &str, query: &Query) -> u64 {
    let mut hasher = Fnv(0xcbf2_9ce4_8422_2325);
    (collection, &query.filter, &query.text, &query.sort, &query.scope).hash(&mut hasher);
    hasher.finish()
}

/// FNV-1a. The standard library's hasher may change with every release, and hosts that share a database
/// hand out cursors for each other.
struct Fnv(u64);

impl Hasher for Fnv {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        filter::Filter,
        query::{Scope, SortKey},
        schema::{Access, Field},
    };

    #[test]
    fn a_cursor_belongs_to_its_query() {
        let schema = CollectionSchema {
            fields: vec![Field::integer("n", Access::Index)],
            ..CollectionSchema::new("things", "thing")
        };
        let query = Query { sort: vec![SortKey::ascending("n")], ..Query::default() };
        let order = Order::of(&query);
        let position = vec![Scalar::Null, Scalar::from("thing_1")];
        let cursor = encode("things", &query, &position);
        assert_eq!(decode(&schema, &query, &order, &cursor), Ok(position.clone()));

        // Page size, projection and counting may change from page to page.
        let other = Query { limit: 1, count: true, fields: vec!["n".to_owned()], ..query.clone() };
        assert_eq!(decode(&schema, &other, &order, &cursor), Ok(position));

        let scope = Some(Scope::new("owner", "c"));
        for other in [
            Query { filter: Filter::eq("n", 1), ..query.clone() },
            Query { sort: vec![SortKey::descending("n")], ..query.clone() },
            Query { text: Some("x".to_owned()), ..query.clone() },
            Query { scope, ..query.clone() },
        ] {
            let order = Order::of(&other);
            assert_eq!(decode(&schema, &other, &order, &cursor), Err(QueryError::CursorMismatch));
        }
        let elsewhere = CollectionSchema { name: "others".to_owned(), ..schema.clone() };
        assert!(decode(&elsewhere, &query, &order, &cursor).is_err());
        for forged in [
            encode("things", &query, &["x".into(), "thing_1".into()]),
            encode("things", &query, &[Scalar::Integer(1), Scalar::Null]),
            encode("things", &query, &[Scalar::Integer(1)]),
            "%%%".to_owned(),
            String::new(),
        ] {
            assert!(decode(&schema, &query, &order, &forged).is_err(), "{forged}");
        }
    }
}
