//! Filters as MongoDB queries.
//!
//! Every value has the kind of its field, so a comparison never meets another kind than null, and MongoDB's
//! `$nor` negates exactly as the model does. Texts are compared by their bytes, which is MongoDB's order
//! without a collation.

use mongodb::bson::{Bson, Document, doc};
use store_model::{
    Filter, Scalar, Scope,
    text::{TextQuery, prefix_successor},
};

use super::{bson::scalar_to_bson, table::Table};

/// The query for the documents that meet a filter, a scope and a text.
pub(super) fn query(
    table: &Table,
    filter: &Filter,
    scope: Option<&Scope>,
    text: Option<&TextQuery>,
) -> Document {
    let mut parts = Vec::new();
    if let Some(scope) = scope {
        parts.push(condition(table, &scope.filter()));
    }
    parts.push(condition(table, filter));
    if let Some(text) = text {
        parts.extend(text.exact.iter().map(|word| doc! { "t.w": word }));
        if let Some(prefix) = &text.prefix {
            parts.push(doc! { "t": { "$elemMatch": { "w": prefix_range(prefix) } } });
        }
    }
    all(parts)
}

/// The query for all of these.
pub(super) fn all(mut parts: Vec<Document>) -> Document {
    parts.retain(|part| !part.is_empty());
    match parts.len() {
        0 => Document::new(),
        1 => parts.remove(0),
        _ => doc! { "$and": parts },
    }
}

fn condition(table: &Table, filter: &Filter) -> Document {
    let at = |path: &str, operator: &str, value: Bson| {
        let key = table.key(path);
        doc! { key: { operator: value } }
    };
    match filter {
        Filter::Eq(path, value) => at(path, "$eq", scalar_to_bson(value)),
        Filter::Ne(path, value) => at(path, "$ne", scalar_to_bson(value)),
        Filter::In(path, values) => at(path, "$in", list(values)),
        Filter::Nin(path, values) => at(path, "$nin", list(values)),
        Filter::Gt(path, bound) => at(path, "$gt", scalar_to_bson(bound)),
        Filter::Gte(path, bound) => at(path, "$gte", scalar_to_bson(bound)),
        Filter::Lt(path, bound) => at(path, "$lt", scalar_to_bson(bound)),
        Filter::Lte(path, bound) => at(path, "$lte", scalar_to_bson(bound)),
        // Both bounds must hold for the same element, which they need not do without `$elemMatch`.
        Filter::Prefix(path, prefix) if table.is_multi(path) => {
            at(path, "$elemMatch", Bson::Document(prefix_range(prefix)))
        }
        Filter::Prefix(path, prefix) => doc! { table.key(path): prefix_range(prefix) },
        Filter::Contains(path, part) => contains(table, path, part),
        Filter::Exists(path, wanted) => at(path, if *wanted { "$ne" } else { "$eq" }, Bson::Null),
        Filter::And(filters) => all(conditions(table, filters)),
        Filter::Or(filters) if filters.is_empty() => nothing(),
        Filter::Or(filters) => doc! { "$or": conditions(table, filters) },
        Filter::Not(filter) => doc! { "$nor": [condition(table, filter)] },
    }
}

fn conditions(table: &Table, filters: &[Filter]) -> Vec<Document> {
    filters.iter().map(|filter| condition(table, filter)).collect()
}

/// The query that no document meets.
fn nothing() -> Document {
    doc! { "_id": { "$in": [] } }
}

fn list(values: &[Scalar]) -> Bson {
    Bson::Array(values.iter().map(scalar_to_bson).collect())
}

/// "Starts with" as a range, which an index can serve.
pub(super) fn prefix_range(prefix: &str) -> Document {
    let mut range = doc! { "$gte": prefix };
    if let Some(end) = prefix_successor(prefix) {
        range.insert("$lt", end);
    }
    range
}

/// By the bytes, so that nothing in the part has a meaning. Where there is no text, the position is null,
/// which is less than every number.
fn contains(table: &Table, path: &str, part: &str) -> Document {
    let within = |text: &str| doc! { "$gte": [{ "$indexOfBytes": [text, { "$literal": part }] }, 0] };
    let key = format!("${}", table.key(path));
    if table.is_multi(path) {
        let elements = doc! { "$map": { "input": { "$ifNull": [key, []] }, "in": within("$$this") } };
        doc! { "$expr": { "$anyElementTrue": [elements] } }
    } else {
        doc! { "$expr": within(&key) }
    }
}
