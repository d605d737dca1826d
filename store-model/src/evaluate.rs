//! Whether a document meets a filter. The definition that every backend's query compiler is tested against.

use serde_json::{Map, Value};

use crate::{filter::Filter, path, query::Scope, schema::CollectionSchema, value::Scalar};

/// Whether a document meets a filter that [`crate::validate::check_filter`] accepted.
pub fn matches(schema: &CollectionSchema, filter: &Filter, document: &Map<String, Value>) -> bool {
    // Equality and its negation see null; everything else sees only the values that are there.
    let values = |path: &str| values_at(schema, document, path);
    let equals = |path: &str, wanted: &Scalar| {
        let values = values(path);
        if wanted.is_null() { values.is_empty() } else { values.contains(wanted) }
    };
    let any = |path: &str, test: &dyn Fn(&Scalar) -> bool| values(path).iter().any(test);
    let any_text = |path: &str, test: &dyn Fn(&str) -> bool| {
        any(path, &|value| matches!(value, Scalar::Text(text) if test(text)))
    };
    match filter {
        Filter::Eq(path, wanted) => equals(path, wanted),
        Filter::Ne(path, unwanted) => !equals(path, unwanted),
        Filter::In(path, wanted) => wanted.iter().any(|wanted| equals(path, wanted)),
        Filter::Nin(path, unwanted) => !unwanted.iter().any(|unwanted| equals(path, unwanted)),
        Filter::Gt(path, bound) => any(path, &|value| value > bound),
        Filter::Gte(path, bound) => any(path, &|value| value >= bound),
        Filter::Lt(path, bound) => any(path, &|value| value < bound),
        Filter::Lte(path, bound) => any(path, &|value| value <= bound),
        Filter::Prefix(path, prefix) => any_text(path, &|text| text.starts_with(prefix.as_str())),
        Filter::Contains(path, part) => any_text(path, &|text| text.contains(part.as_str())),
        Filter::Exists(path, wanted) => values(path).is_empty() != *wanted,
        Filter::And(filters) => filters.iter().all(|filter| matches(schema, filter, document)),
        Filter::Or(filters) => filters.iter().any(|filter| matches(schema, filter, document)),
        Filter::Not(filter) => !matches(schema, filter, document),
    }
}

/// Whether a document belongs to the owner.
pub fn in_scope(schema: &CollectionSchema, scope: &Scope, document: &Map<String, Value>) -> bool {
    let owners = values_at(schema, document, &scope.path);
    scope.owners.iter().any(|owner| !owner.is_null() && owners.contains(owner))
}

/// The non-null scalars that a document holds at a declared path.
pub fn values_at(schema: &CollectionSchema, document: &Map<String, Value>, path: &str) -> Vec<Scalar> {
    if schema.field(path).is_some_and(|field| field.multi) {
        let leaves = path::walk(document, path).leaves;
        return leaves.into_iter().filter_map(Scalar::from_json).filter(|value| !value.is_null()).collect();
    }
    match scalar_at(document, path) {
        Scalar::Null => Vec::new(),
        value => vec![value],
    }
}

/// The scalar at a path that goes through objects only; null when it is missing or none.
pub fn scalar_at(document: &Map<String, Value>, path: &str) -> Scalar {
    path::get(document, path).and_then(Scalar::from_json).unwrap_or(Scalar::Null)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::schema::{Access, Field};

    #[test]
    fn null_and_missing_are_alike_and_not_is_exact() {
        let schema = CollectionSchema {
            fields: vec![Field::integer("n", Access::Scan), Field::text("tags", Access::Scan).multi()],
            ..CollectionSchema::new("things", "thing")
        };
        let meets =
            |filter: Filter, document: Value| matches(&schema, &filter, document.as_object().unwrap());
        let path = || "n".to_owned();
        for document in [json!({}), json!({"n": null})] {
            assert!(meets(Filter::Eq(path(), Scalar::Null), document.clone()));
            assert!(meets(Filter::Ne(path(), Scalar::Integer(1)), document.clone()));
            assert!(!meets(Filter::Lt(path(), Scalar::Integer(1)), document.clone()));
            assert!(meets(Filter::Not(Box::new(Filter::Lt(path(), Scalar::Integer(1)))), document.clone()));
            assert!(meets(Filter::Exists(path(), false), document.clone()));
            assert!(meets(Filter::In(path(), vec![Scalar::Integer(1), Scalar::Null]), document));
        }
        let tags = || "tags".to_owned();
        assert!(meets(Filter::Eq(tags(), Scalar::Null), json!({"tags": [null]})));
        assert!(meets(Filter::eq("tags", "a"), json!({"tags": ["b", "a"]})));
        assert!(!meets(Filter::Ne(tags(), "a".into()), json!({"tags": ["b", "a"]})));
        assert!(meets(Filter::Prefix(tags(), String::new()), json!({"tags": ["b"]})));
        assert!(!meets(Filter::Prefix(tags(), String::new()), json!({"tags": []})));
        assert!(meets(Filter::all(), json!({})));
        assert!(!meets(Filter::Or(Vec::new()), json!({})));
    }
}
