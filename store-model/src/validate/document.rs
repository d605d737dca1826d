//! Checks of documents, at every commit.

use std::collections::HashSet;

use serde_json::{Map, Value};

use crate::{
    evaluate::values_at,
    path::{self, key_problem},
    schema::{Access, CollectionSchema, Field},
    write::Refusal,
};

/// Deepest nesting of a document. Every reader recurses, and MongoDB stops at 100.
pub const DOCUMENT_DEPTH: usize = 64;
/// Largest document as JSON.
pub const DOCUMENT_BYTES: usize = 8 * 1024 * 1024;
/// Largest document as BSON, where a small element of an array takes many times the bytes that it has as
/// JSON. MongoDB takes 16 MiB, and what is declared multi lies there twice.
pub const DOCUMENT_BSON_BYTES: usize = 7 * 1024 * 1024;
/// Longest id.
pub const ID_BYTES: usize = 200;

/// Checks a document that is about to be stored: structure, declared kinds, uniqueness within it.
pub fn check_document(schema: &CollectionSchema, document: &Map<String, Value>) -> Result<(), Refusal> {
    for (key, value) in document {
        check_key(key, || key.clone())?;
        check_value(value, 2, &mut vec![key])?;
    }
    for field in &schema.fields {
        check_field(schema, document, field)?;
    }
    match &schema.owner {
        Some(owner) if !schema.fields.iter().any(|field| field.path == *owner) => {
            check_field(schema, document, &Field::text(owner, Access::Index))
        }
        _ => Ok(()),
    }
}

/// Checks the id of a new document.
pub fn check_id(id: &str) -> Result<(), Refusal> {
    if id.is_empty() || id.len() > ID_BYTES {
        return Err(invalid("id", &format!("an id has 1 to {ID_BYTES} bytes")));
    }
    if id.chars().any(char::is_control) {
        return Err(invalid("id", "an id holds no control characters"));
    }
    Ok(())
}

/// Bytes of a document as BSON, with every integer as one of 64 bits.
pub fn bson_bytes(document: &Map<String, Value>) -> usize {
    // A length of 4 bytes and a NUL at the end; each member has a type, its name and a NUL.
    document.iter().map(|(key, value)| 2 + key.len() + value_bytes(value)).sum::<usize>() + 5
}

fn value_bytes(value: &Value) -> usize {
    match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Number(_) => 8,
        Value::String(text) => 5 + text.len(),
        Value::Object(members) => bson_bytes(members),
        // The names are the positions, in decimal.
        Value::Array(elements) => {
            let name = |position: usize| position.checked_ilog10().unwrap_or(0) as usize + 1;
            let element = |(position, value)| 2 + name(position) + value_bytes(value);
            elements.iter().enumerate().map(element).sum::<usize>() + 5
        }
    }
}

fn check_field(
    schema: &CollectionSchema,
    document: &Map<String, Value>,
    field: &Field,
) -> Result<(), Refusal> {
    let walk = path::walk(document, &field.path);
    let mut leaves = walk.leaves.iter().filter(|leaf| !leaf.is_null()).peekable();
    match (field.multi, walk.arrays) {
        (false, 0) | (true, 1) => {}
        (true, 0) if leaves.peek().is_none() => {}
        (false, _) => return Err(invalid(&field.path, "is declared single and goes through an array")),
        (true, 0) => return Err(invalid(&field.path, "is declared multi and is not in an array")),
        (true, _) => return Err(invalid(&field.path, "goes through more than one array")),
    }
    if leaves.any(|leaf| !field.kind.accepts(leaf)) {
        return Err(invalid(&field.path, &format!("must be {}", field.kind.expectation())));
    }
    if field.multi && field.access == Access::Unique {
        let mut seen = HashSet::new();
        for value in values_at(schema, document, &field.path) {
            if !seen.insert(value.clone()) {
                let id = document.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
                return Err(Refusal::Unique { path: field.path.clone(), value, id });
            }
        }
    }
    Ok(())
}

fn check_value<'a>(value: &'a Value, depth: usize, way: &mut Vec<&'a str>) -> Result<(), Refusal> {
    match value {
        Value::Object(_) | Value::Array(_) if depth > DOCUMENT_DEPTH => {
            Err(invalid(&way.join("."), &format!("is nested deeper than {DOCUMENT_DEPTH} levels")))
        }
        Value::Object(members) => {
            for (key, member) in members {
                way.push(key);
                check_key(key, || way.join("."))?;
                check_value(member, depth + 1, way)?;
                way.pop();
            }
            Ok(())
        }
        Value::Array(elements) => {
            elements.iter().try_for_each(|element| check_value(element, depth + 1, way))
        }
        // A float may take any value; an integer beyond the signed range would become one in silence.
        Value::Number(number) if number.is_u64() && !number.is_i64() => {
            Err(invalid(&way.join("."), "is beyond the range of 64-bit integers"))
        }
        _ => Ok(()),
    }
}

/// `way` leads to the key, for the refusal.
fn check_key(key: &str, way: impl FnOnce() -> String) -> Result<(), Refusal> {
    match key_problem(key) {
        Some(problem) => Err(invalid(&way(), problem)),
        None => Ok(()),
    }
}

pub(crate) fn invalid(path: &str, message: &str) -> Refusal {
    Refusal::Invalid { path: path.to_owned(), message: message.to_owned() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(document: Value) -> Result<(), Refusal> {
        let schema = CollectionSchema {
            owner: Some("customer.id".to_owned()),
            fields: vec![Field::integer("n", Access::Index), Field::text("v.sku", Access::Unique).multi()],
            ..CollectionSchema::new("things", "thing")
        };
        check_document(&schema, document.as_object().unwrap())
    }

    #[test]
    fn declared_fields_have_their_kind_or_nothing() {
        for sound in [
            json!({}),
            json!({"n": null, "v": null}),
            json!({"n": 1, "v": []}),
            json!({"n": i64::MAX, "v": [{"sku": "a"}, {"sku": null}, {}, null, 5]}),
            json!({"v": {"sku": ["a", "b"]}, "customer": {"id": "c"}}),
            json!({"price": 1.5, "v": {"sku": null}}),
        ] {
            assert_eq!(check(sound.clone()), Ok(()), "{sound}");
        }
        for broken in [
            json!({"n": "1"}),
            json!({"n": 1.0}),
            json!({"n": []}),
            json!({"n": {"a": 1}}),
            json!({"v": {"sku": "a"}}),
            json!({"v": [{"sku": ["a"]}]}),
            json!({"v": [{"sku": 1}]}),
            json!({"customer": {"id": 5}}),
            json!({"customer": [{"id": "c"}]}),
        ] {
            assert!(matches!(check(broken.clone()), Err(Refusal::Invalid { .. })), "{broken}");
        }
    }

    #[test]
    fn a_unique_value_occurs_once_in_a_document() {
        let refused = check(json!({"id": "t", "v": [{"sku": "a"}, {"sku": "a"}]}));
        let expected = Refusal::Unique { path: "v.sku".to_owned(), value: "a".into(), id: "t".to_owned() };
        assert_eq!(refused, Err(expected));
    }

    #[test]
    fn structure_is_bounded() {
        let nested = |levels| (0..levels).fold(json!(1), |value, _| json!({"a": value}));
        assert_eq!(check(nested(DOCUMENT_DEPTH)), Ok(()));
        for broken in [
            nested(DOCUMENT_DEPTH + 1),
            json!({"a.b": 1}),
            json!({"a": [{"$b": 1}]}),
            json!({"a": {"b\0": 1}}),
            json!({"a": u64::MAX}),
        ] {
            assert!(matches!(check(broken), Err(Refusal::Invalid { .. })));
        }
    }

    #[test]
    fn the_size_as_bson_counts_names_and_positions() {
        let size = |document: Value| bson_bytes(document.as_object().unwrap());
        assert_eq!(size(json!({})), 5);
        assert_eq!(size(json!({"a": 1, "b": 1.5, "c": true, "d": null})), 5 + 11 + 11 + 4 + 3);
        assert_eq!(size(json!({"a": "xyz", "b": {}})), 5 + 3 + 8 + 3 + 5);
        assert_eq!(size(json!({"a": vec![false; 101]})), 5 + 3 + 5 + 10 * 4 + 90 * 5 + 6);
    }

    #[test]
    fn ids_are_short_and_printable() {
        assert!(check_id("thing_01").is_ok());
        assert!(check_id("").is_err());
        assert!(check_id("a\nb").is_err());
        assert!(check_id(&"a".repeat(ID_BYTES + 1)).is_err());
    }
}
