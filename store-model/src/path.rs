//! Dotted paths into documents.

use serde_json::{Map, Value};

/// The value at a path that goes through objects only; `None` when something on the way is missing.
pub fn get<'a>(document: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    let mut segments = path.split('.');
    let mut value = document.get(segments.next()?)?;
    for segment in segments {
        value = value.as_object()?.get(segment)?;
    }
    Some(value)
}

/// What a path meets in a document when it may cross arrays.
#[derive(Debug, Default)]
pub struct Walk<'a> {
    /// The values at the end, in document order. Missing ones are left out, nulls are not.
    pub leaves: Vec<&'a Value>,
    /// The most arrays crossed on one way.
    pub arrays: usize,
}

/// Follows a path through objects and every element of the arrays it meets.
pub fn walk<'a>(document: &'a Map<String, Value>, path: &str) -> Walk<'a> {
    let segments: Vec<&str> = path.split('.').collect();
    let mut walk = Walk::default();
    if let Some((first, rest)) = segments.split_first()
        && let Some(value) = document.get(*first)
    {
        descend(value, rest, 0, &mut walk);
    }
    walk
}

fn descend<'a>(value: &'a Value, rest: &[&str], arrays: usize, walk: &mut Walk<'a>) {
    match (value, rest.split_first()) {
        (Value::Array(elements), _) => {
            walk.arrays = walk.arrays.max(arrays + 1);
            for element in elements {
                descend(element, rest, arrays + 1, walk);
            }
        }
        (_, None) => walk.leaves.push(value),
        (Value::Object(members), Some((first, rest))) => {
            if let Some(member) = members.get(*first) {
                descend(member, rest, arrays, walk);
            }
        }
        (_, Some(_)) => {}
    }
}

/// Whether a declared path is well-formed: segments of ASCII letters, digits, `_` and `-`.
///
/// Narrower than what documents may hold as keys, because declared paths become parts of SQL and of
/// MongoDB index definitions.
pub fn is_declarable(path: &str) -> bool {
    path.len() <= 100
        && path.split('.').all(|segment| {
            !segment.is_empty()
                && segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
        })
}

/// Why a key cannot be a member of a document, if so.
pub fn key_problem(key: &str) -> Option<&'static str> {
    if key.contains('.') {
        Some("a member name contains `.`")
    } else if key.starts_with('$') {
        Some("a member name starts with `$`")
    } else if key.contains('\0') {
        Some("a member name contains NUL")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn map(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap()
    }

    #[test]
    fn get_goes_through_objects_only() {
        let document = map(json!({"a": {"b": 1}, "c": [{"b": 2}]}));
        assert_eq!(get(&document, "a.b"), Some(&json!(1)));
        assert_eq!(get(&document, "a.b.c"), None);
        assert_eq!(get(&document, "c.b"), None);
        assert_eq!(get(&document, "x"), None);
    }

    #[test]
    fn walk_crosses_arrays_and_counts_them() {
        let document = map(json!({"v": [{"s": "a"}, {}, {"s": null}, 5], "n": [["x"]], "t": {"s": ["y"]}}));
        let found = walk(&document, "v.s");
        assert_eq!((found.leaves, found.arrays), (vec![&json!("a"), &json!(null)], 1));
        assert_eq!(walk(&document, "n").arrays, 2);
        assert_eq!(walk(&document, "t.s").leaves, vec![&json!("y")]);
        assert_eq!(walk(&document, "missing").arrays, 0);
    }
}
