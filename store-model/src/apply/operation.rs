//! Field operations of an update.

use serde_json::{Map, Value};

use super::invalid;
use crate::{
    path::key_problem,
    schema::HOST_MEMBERS,
    write::{FieldOperation, Refusal},
};

/// The object that holds a member, and the member's name.
type Place<'a, 'p> = (&'a mut Map<String, Value>, &'p str);

pub(super) fn apply(document: &mut Map<String, Value>, operation: FieldOperation) -> Result<(), Refusal> {
    match operation {
        FieldOperation::Set { path, value } => {
            let (parent, key) = parent_made(document, &path)?;
            parent.insert(key.to_owned(), value);
        }
        FieldOperation::Unset { path } => {
            if let Some((parent, key)) = parent(document, &path)? {
                // The plain `remove` would move the last member into the gap.
                parent.shift_remove(key);
            }
        }
        FieldOperation::Increment { path, by } => {
            let (parent, key) = parent_made(document, &path)?;
            let current = match parent.get(key) {
                None | Some(Value::Null) => 0,
                Some(value) => value.as_i64().ok_or_else(|| invalid(&path, "is not an integer"))?,
            };
            let sum = current.checked_add(by).ok_or_else(|| invalid(&path, "leaves the 64-bit range"))?;
            parent.insert(key.to_owned(), Value::from(sum));
        }
        FieldOperation::Append { path, value } => {
            let (parent, key) = parent_made(document, &path)?;
            match parent.get_mut(key) {
                Some(Value::Array(elements)) => elements.push(value),
                None | Some(Value::Null) => {
                    parent.insert(key.to_owned(), Value::Array(vec![value]));
                }
                Some(_) => return Err(invalid(&path, "is not an array")),
            }
        }
        FieldOperation::Remove { path, value } => {
            let Some((parent, key)) = parent(document, &path)? else { return Ok(()) };
            match parent.get_mut(key) {
                Some(Value::Array(elements)) => elements.retain(|element| *element != value),
                None | Some(Value::Null) => {}
                Some(_) => return Err(invalid(&path, "is not an array")),
            }
        }
    }
    Ok(())
}

/// The object that holds the last segment, with missing and null objects on the way made.
fn parent_made<'a, 'p>(
    document: &'a mut Map<String, Value>,
    path: &'p str,
) -> Result<Place<'a, 'p>, Refusal> {
    let (way, last) = split(path)?;
    let mut object = document;
    for segment in way {
        let member = object.entry(segment).or_insert(Value::Null);
        if member.is_null() {
            *member = Value::Object(Map::new());
        }
        object = member.as_object_mut().ok_or_else(|| no_object(path, segment))?;
    }
    Ok((object, last))
}

/// The object that holds the last segment, if it is there.
fn parent<'a, 'p>(
    document: &'a mut Map<String, Value>,
    path: &'p str,
) -> Result<Option<Place<'a, 'p>>, Refusal> {
    let (way, last) = split(path)?;
    let mut object = document;
    for segment in way {
        match object.get_mut(segment) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::Object(members)) => object = members,
            Some(_) => return Err(no_object(path, segment)),
        }
    }
    Ok(Some((object, last)))
}

fn split(path: &str) -> Result<(Vec<&str>, &str), Refusal> {
    let mut segments: Vec<&str> = path.split('.').collect();
    for segment in &segments {
        if segment.is_empty() {
            return Err(invalid(path, "has an empty segment"));
        }
        if let Some(problem) = key_problem(segment) {
            return Err(invalid(path, problem));
        }
    }
    if segments.first().is_some_and(|first| HOST_MEMBERS.contains(first)) {
        return Err(invalid(path, "is kept by the host"));
    }
    let last = segments.pop().unwrap_or_default();
    Ok((segments, last))
}

fn no_object(path: &str, segment: &str) -> Refusal {
    invalid(path, &format!("`{segment}` is not an object"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn after(document: Value, operation: FieldOperation) -> Result<Value, Refusal> {
        let mut document = document.as_object().cloned().unwrap();
        apply(&mut document, operation).map(|()| Value::Object(document))
    }

    fn path(path: &str) -> String {
        path.to_owned()
    }

    #[test]
    fn set_and_unset_go_through_objects() {
        let set = |at: &str| FieldOperation::Set { path: path(at), value: json!(1) };
        assert_eq!(after(json!({"a": null}), set("a.b.c")).unwrap(), json!({"a": {"b": {"c": 1}}}));
        assert!(after(json!({"a": [1]}), set("a.b")).is_err());
        assert!(after(json!({"a": 1}), set("a.b")).is_err());
        for kept in ["id", "version", "createdAt.x", "", "a..b", "$a"] {
            assert!(after(json!({}), set(kept)).is_err(), "{kept}");
        }
        let unset = |at: &str| FieldOperation::Unset { path: path(at) };
        let document = json!({"a": {"b": 1}, "c": 2, "d": 3});
        assert_eq!(after(document.clone(), unset("x.y")).unwrap(), document);
        assert_eq!(after(document.clone(), unset("a.b")).unwrap(), json!({"a": {}, "c": 2, "d": 3}));
        assert_eq!(after(document, unset("a")).unwrap().to_string(), r#"{"c":2,"d":3}"#);
    }

    #[test]
    fn increments_are_integers_within_range() {
        let add = |by| FieldOperation::Increment { path: path("n"), by };
        assert_eq!(after(json!({}), add(2)).unwrap(), json!({"n": 2}));
        assert_eq!(after(json!({"n": null}), add(-2)).unwrap(), json!({"n": -2}));
        assert!(after(json!({"n": i64::MAX}), add(1)).is_err());
        assert!(after(json!({"n": 1.0}), add(1)).is_err());
        assert!(after(json!({"n": "1"}), add(1)).is_err());
    }

    #[test]
    fn elements_are_appended_and_removed() {
        let append = || FieldOperation::Append { path: path("a"), value: json!({"x": 1}) };
        assert_eq!(after(json!({}), append()).unwrap(), json!({"a": [{"x": 1}]}));
        assert!(after(json!({"a": 1}), append()).is_err());
        let remove = || FieldOperation::Remove { path: path("a"), value: json!(1) };
        assert_eq!(after(json!({"a": [1, 2, 1]}), remove()).unwrap(), json!({"a": [2]}));
        assert_eq!(after(json!({}), remove()).unwrap(), json!({}));
        assert!(after(json!({"a": "1"}), remove()).is_err());
    }
}
