//! Names of members in free-form objects, such as `metadata`.

use serde_json::{Map, Value};
use store_model::path::key_problem;

use crate::{FieldError, error::escape};

/// Refuses names that the store cannot keep, at any depth below `pointer`, each with a pointer of its own: those with
/// `.` or NUL and those that start with `$`.
pub fn check(pointer: &str, members: &Map<String, Value>, errors: &mut Vec<FieldError>) {
    for (name, value) in members {
        let pointer = format!("{pointer}/{}", escape(name));
        if let Some(problem) = key_problem(name) {
            errors.push(FieldError::invalid(pointer.clone(), problem));
        }
        check_value(&pointer, value, errors);
    }
}

fn check_value(pointer: &str, value: &Value, errors: &mut Vec<FieldError>) {
    match value {
        Value::Object(members) => check(pointer, members, errors),
        Value::Array(elements) => {
            for (index, element) in elements.iter().enumerate() {
                check_value(&format!("{pointer}/{index}"), element, errors);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_bad_name_is_reported_where_it_is() {
        let value = json!({"ok": {"a.b": 1}, "$x": null, "list": [{"$": 1}], "a/b": {"\0": 1}});
        let mut errors = Vec::new();
        check("/metadata", value.as_object().unwrap(), &mut errors);
        let pointers: Vec<_> = errors.iter().map(|error| error.pointer.as_str()).collect();
        assert_eq!(pointers, ["/metadata/ok/a.b", "/metadata/$x", "/metadata/list/0/$", "/metadata/a~1b/\0"]);
    }
}
