//! How matching documents are distributed over the values of fields.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use serde_json::{Map, Value};

use crate::{evaluate::values_at, filter::Filter, query::Scope, schema::CollectionSchema, value::Scalar};

/// Counts of the documents that match, for each facet, all of one moment.
///
/// Laws, alike on every backend:
/// - A document counts once for each distinct value that it holds, and nowhere where it holds none.
/// - Values come in descending order of their counts, and those with the same count in ascending order.
/// - Ranges come in ascending order, also those without documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facets {
    pub filter: Filter,
    /// Every word must occur, the last one as a prefix.
    pub text: Option<String>,
    pub facets: Vec<Facet>,
    pub scope: Option<Scope>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Facet {
    /// The values of a declared field with an index.
    Values {
        path: String,
        /// Only values that start with it.
        prefix: Option<String>,
        /// Most values, 1 to 1 000.
        limit: u32,
    },
    /// Ranges of a declared single integer field with an index: below the first bound, from each bound up to right before
    /// the next one, from the last bound on.
    Ranges { path: String, bounds: Vec<i64> },
}

/// How many documents hold a value. Of a range it is the first number, null for the range below all bounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FacetCount {
    pub value: Scalar,
    pub documents: u64,
}

/// Most facets of one question.
pub const FACETS: usize = 20;
/// Most bounds of a facet of ranges.
pub const BOUNDS: usize = 100;

/// Counts the values of one facet.
#[derive(Debug)]
pub struct Tally<'f> {
    facet: &'f Facet,
    counts: BTreeMap<Scalar, u64>,
}

impl Facet {
    pub fn path(&self) -> &str {
        match self {
            Self::Values { path, .. } | Self::Ranges { path, .. } => path,
        }
    }

    /// The first number of the range that a number is in; null below all bounds.
    pub fn range_of(bounds: &[i64], number: i64) -> Scalar {
        match bounds.partition_point(|&bound| bound <= number) {
            0 => Scalar::Null,
            above => Scalar::Integer(bounds[above - 1]),
        }
    }
}

impl<'f> Tally<'f> {
    pub fn new(facet: &'f Facet) -> Self {
        let counts = match facet {
            Facet::Values { .. } => BTreeMap::new(),
            Facet::Ranges { bounds, .. } => {
                let firsts = bounds.iter().map(|&bound| Scalar::Integer(bound));
                std::iter::once(Scalar::Null).chain(firsts).map(|first| (first, 0)).collect()
            }
        };
        Self { facet, counts }
    }

    /// Counts a document that matches.
    pub fn add(&mut self, schema: &CollectionSchema, document: &Map<String, Value>) {
        let distinct: BTreeSet<Scalar> = values_at(schema, document, self.facet.path()).into_iter().collect();
        for value in distinct {
            self.add_value(value, 1);
        }
    }

    /// Counts that many documents with this value.
    pub fn add_value(&mut self, value: Scalar, documents: u64) {
        let counted = match (self.facet, value) {
            (Facet::Ranges { bounds, .. }, Scalar::Integer(number)) => Facet::range_of(bounds, number),
            (Facet::Values { prefix: Some(prefix), .. }, Scalar::Text(text)) if text.starts_with(prefix) => {
                Scalar::Text(text)
            }
            (Facet::Values { prefix: None, .. }, value) if !value.is_null() => value,
            _ => return,
        };
        *self.counts.entry(counted).or_default() += documents;
    }

    pub fn finish(self) -> Vec<FacetCount> {
        let count = |(value, documents)| FacetCount { value, documents };
        let mut counts: Vec<FacetCount> = self.counts.into_iter().map(count).collect();
        if let Facet::Values { limit, .. } = self.facet {
            // Stable, so that equal counts stay in the order of their values.
            counts.sort_by_key(|count| Reverse(count.documents));
            counts.truncate(*limit as usize);
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::schema::{Access, Field};

    fn counts(facet: &Facet, documents: &[Value]) -> Vec<(Scalar, u64)> {
        let schema = CollectionSchema {
            fields: vec![Field::integer("n", Access::Index), Field::text("tags", Access::Index).multi()],
            ..CollectionSchema::new("things", "thing")
        };
        let mut tally = Tally::new(facet);
        for document in documents {
            tally.add(&schema, document.as_object().unwrap());
        }
        tally.finish().into_iter().map(|count| (count.value, count.documents)).collect()
    }

    #[test]
    fn a_document_counts_once_for_each_distinct_value() {
        let documents = [json!({"tags": ["a", "b", "a"]}), json!({"tags": ["b", null, "c"]}), json!({})];
        let all = Facet::Values { path: "tags".to_owned(), prefix: None, limit: 2 };
        assert_eq!(counts(&all, &documents), [("b".into(), 2), ("a".into(), 1)]);
        let some = Facet::Values { path: "tags".to_owned(), prefix: Some("c".to_owned()), limit: 2 };
        assert_eq!(counts(&some, &documents), [("c".into(), 1)]);
    }

    #[test]
    fn ranges_are_counted_also_where_they_are_empty() {
        let documents = [json!({"n": -5}), json!({"n": 10}), json!({"n": 19}), json!({"n": null})];
        let ranges = Facet::Ranges { path: "n".to_owned(), bounds: vec![0, 10, 20] };
        let expected = [(Scalar::Null, 1), (0.into(), 0), (10.into(), 2), (20.into(), 0)];
        assert_eq!(counts(&ranges, &documents), expected);
    }
}
