//! JSON Merge Patch (RFC 7396).

use serde_json::{Map, Value};

/// Applies a merge patch: members of `patch` replace those of `target`, null removes, objects merge.
pub fn merge(target: &mut Value, patch: Value) {
    match patch {
        Value::Object(patch) => {
            if !target.is_object() {
                *target = Value::Object(Map::new());
            }
            let Some(members) = target.as_object_mut() else { return };
            for (name, value) in patch {
                if value.is_null() {
                    members.remove(&name);
                } else {
                    merge(members.entry(name).or_insert(Value::Null), value);
                }
            }
        }
        other => *target = other,
    }
}

/// `current` changed by a merge patch, as its type again; a 422 with a pointer when the result does not fit.
pub fn merged<T: serde::Serialize + serde::de::DeserializeOwned>(
    current: &T,
    patch: Value,
) -> Result<T, crate::Problem> {
    let mut value = serde_json::to_value(current)
        .map_err(|error| crate::Problem::new(502, "plugin_failed").detail(error.to_string()))?;
    merge(&mut value, patch);
    serde_path_to_error::deserialize(value).map_err(crate::http::path_problem)
}

/// A stored document changed by a merge patch, as the type of a request body: the members that the host keeps and
/// those that nobody is shown are left out. A 422 with a pointer when the result does not fit.
pub fn merged_document<T: serde::de::DeserializeOwned>(
    document: &store_model::Document,
    patch: Value,
) -> Result<T, crate::Problem> {
    let mut members: Map<String, Value> = serde_json::from_str(&document.json)
        .map_err(|error| crate::Problem::new(502, "plugin_failed").detail(error.to_string()))?;
    for kept in ["id", "version", "createdAt", "updatedAt"] {
        members.shift_remove(kept);
    }
    members.retain(|name, _| !store_model::is_hidden(name));
    let mut value = Value::Object(members);
    merge(&mut value, patch);
    serde_path_to_error::deserialize(value).map_err(crate::http::path_problem)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_examples_of_the_rfc_hold() {
        let cases = [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": {"b": "c"}}), json!({"a": {"b": "d", "c": null}}), json!({"a": {"b": "d"}})),
            (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
            (json!(["a", "b"]), json!({"a": "b"}), json!({"a": "b"})),
            (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
        ];
        for (mut target, patch, expected) in cases {
            merge(&mut target, patch);
            assert_eq!(target, expected);
        }
    }
}
