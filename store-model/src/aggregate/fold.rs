//! The computation of an aggregate, one document after the other.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Aggregate, AggregateRow, GroupKey, Measure};
use crate::{path, time, value::Scalar};

/// Takes the matching documents one by one. Memory is bounded by the groups that are returned: they are
/// the first by key, and a key that was pushed out by smaller ones stays out.
#[derive(Debug)]
pub struct Fold<'a> {
    aggregate: &'a Aggregate,
    groups: BTreeMap<Vec<Scalar>, Vec<Figure>>,
}

#[derive(Debug)]
enum Figure {
    /// Wide enough that no number of 64-bit values overflows it.
    Total(i128),
    Extreme(Scalar),
}

impl<'a> Fold<'a> {
    pub fn new(aggregate: &'a Aggregate) -> Self {
        let mut fold = Self { aggregate, groups: BTreeMap::new() };
        if aggregate.group.is_empty() {
            fold.groups.insert(Vec::new(), fold.empty());
        }
        fold
    }

    pub fn add(&mut self, document: &Map<String, Value>) {
        let Some(unwind) = &self.aggregate.unwind else {
            return self.add_element(document, None);
        };
        if let Some(Value::Array(elements)) = path::get(document, unwind) {
            for element in elements {
                self.add_element(document, Some((unwind, element)));
            }
        }
    }

    pub fn finish(self) -> Vec<AggregateRow> {
        let row = |(key, figures): (Vec<Scalar>, Vec<Figure>)| AggregateRow {
            key,
            measures: figures.into_iter().map(Figure::into_scalar).collect(),
        };
        self.groups.into_iter().map(row).collect()
    }

    fn add_element(&mut self, document: &Map<String, Value>, element: Option<(&str, &Value)>) {
        let scalar = |path: &str| scalar(document, element, path);
        let key = |key: &GroupKey| match key {
            GroupKey::Field(path) => scalar(path),
            GroupKey::Day { path, offset_minutes } => match scalar(path) {
                Scalar::Text(text) => time::day(&text, *offset_minutes).map_or(Scalar::Null, Scalar::Text),
                _ => Scalar::Null,
            },
        };
        let key: Vec<Scalar> = self.aggregate.group.iter().map(key).collect();
        let empty = self.empty();
        let figures = self.groups.entry(key).or_insert(empty);
        for (measure, figure) in self.aggregate.measures.iter().zip(figures) {
            match (measure, figure) {
                (Measure::Count, Figure::Total(total)) => *total += 1,
                (Measure::Sum(path), Figure::Total(total)) => {
                    if let Scalar::Integer(number) = scalar(path) {
                        *total += i128::from(number);
                    }
                }
                (Measure::Min(path), Figure::Extreme(least)) => {
                    let value = scalar(path);
                    if !value.is_null() && (least.is_null() || value < *least) {
                        *least = value;
                    }
                }
                // Null is less than everything else.
                (Measure::Max(path), Figure::Extreme(greatest)) => {
                    let value = scalar(path);
                    if value > *greatest {
                        *greatest = value;
                    }
                }
                _ => {}
            }
        }
        if self.groups.len() > self.aggregate.limit as usize {
            self.groups.pop_last();
        }
    }

    fn empty(&self) -> Vec<Figure> {
        let figure = |measure: &Measure| match measure {
            Measure::Count | Measure::Sum(_) => Figure::Total(0),
            Measure::Min(_) | Measure::Max(_) => Figure::Extreme(Scalar::Null),
        };
        self.aggregate.measures.iter().map(figure).collect()
    }
}

impl Figure {
    fn into_scalar(self) -> Scalar {
        match self {
            Self::Total(total) => {
                let end = if total < 0 { i64::MIN } else { i64::MAX };
                Scalar::Integer(i64::try_from(total).unwrap_or(end))
            }
            Self::Extreme(scalar) => scalar,
        }
    }
}

fn scalar(document: &Map<String, Value>, element: Option<(&str, &Value)>, path: &str) -> Scalar {
    let value = match element.and_then(|(unwind, element)| Some((element, Aggregate::below(unwind, path)?))) {
        Some((element, "")) => Some(element),
        Some((element, rest)) => element.as_object().and_then(|members| path::get(members, rest)),
        None => path::get(document, path),
    };
    value.and_then(Scalar::from_json).unwrap_or(Scalar::Null)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::filter::Filter;

    fn rows(aggregate: &Aggregate, documents: &[Value]) -> Vec<AggregateRow> {
        let mut fold = Fold::new(aggregate);
        for document in documents {
            fold.add(document.as_object().unwrap());
        }
        fold.finish()
    }

    fn over(unwind: Option<&str>, group: Vec<GroupKey>, measures: Vec<Measure>) -> Aggregate {
        let unwind = unwind.map(str::to_owned);
        Aggregate { filter: Filter::all(), unwind, group, measures, scope: None, limit: 2 }
    }

    #[test]
    fn elements_are_unwound_and_grouped() {
        let path = |path: &str| path.to_owned();
        let aggregate = over(
            Some("lines"),
            vec![GroupKey::Field(path("lines.sku"))],
            vec![Measure::Count, Measure::Sum(path("lines.n")), Measure::Max(path("at"))],
        );
        let documents = [
            json!({"at": "b", "lines": [{"sku": "x", "n": 2}, {"sku": "y", "n": 1.5}, {"sku": "z"}]}),
            json!({"at": "a", "lines": [{"sku": "x", "n": i64::MAX}]}),
            json!({"at": "c", "lines": "none"}),
        ];
        let row = |sku: &str, count: i64, sum: i64| AggregateRow {
            key: vec![sku.into()],
            measures: vec![count.into(), sum.into(), "b".into()],
        };
        assert_eq!(rows(&aggregate, &documents), [row("x", 2, i64::MAX), row("y", 1, 0)]);
    }

    #[test]
    fn days_are_buckets_and_nothing_has_one_row() {
        let at = || "at".to_owned();
        let key = GroupKey::Day { path: at(), offset_minutes: 60 };
        let by_day = over(None, vec![key], vec![Measure::Count]);
        let documents =
            [json!({"at": "2026-11-23T23:30:00.000Z"}), json!({"at": "2026-11-24T09:00:00.000Z"})];
        let expected = AggregateRow { key: vec!["2026-11-24".into()], measures: vec![2.into()] };
        assert_eq!(rows(&by_day, &documents), [expected]);
        let all = over(None, Vec::new(), vec![Measure::Count, Measure::Sum(at()), Measure::Min(at())]);
        let nothing = AggregateRow { key: Vec::new(), measures: vec![0.into(), 0.into(), Scalar::Null] };
        assert_eq!(rows(&all, &[]), [nothing]);
    }
}
