//! The same document for tools that know OpenAPI 3.0 only.

use serde_json::{Map, Value, json};

/// Keywords of JSON Schema that 3.0 does not know and that say nothing a 3.0 tool could use.
const UNKNOWN: &[&str] = &[
    "$schema",
    "$comment",
    "contentEncoding",
    "contentMediaType",
    "dependentRequired",
    "dependentSchemas",
    "if",
    "then",
    "else",
    "patternProperties",
    "propertyNames",
    "unevaluatedProperties",
    "unevaluatedItems",
    "contains",
    "minContains",
    "maxContains",
];

/// A 3.1 document as OpenAPI 3.0.3.
pub fn to_3_0(document: &Value) -> Value {
    let mut document = document.clone();
    document["openapi"] = json!("3.0.3");
    if let Some(info) = document.get_mut("info").and_then(Value::as_object_mut) {
        info.shift_remove("summary");
        info.insert(
            "license".to_owned(),
            json!({ "name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0" }),
        );
    }
    schemas(&mut document);
    document
}

/// Finds the schemas in a document and converts them.
fn schemas(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (name, member) in members.iter_mut() {
                match (name.as_str(), &mut *member) {
                    ("schema", member) => convert(member),
                    ("schemas", Value::Object(named)) => named.values_mut().for_each(convert),
                    // Data that only looks like a document.
                    ("example" | "examples" | "default" | "enum", _) => {}
                    (_, member) => schemas(member),
                }
            }
        }
        Value::Array(elements) => elements.iter_mut().for_each(schemas),
        _ => {}
    }
}

fn convert(schema: &mut Value) {
    // `true` and `false` are schemas in 3.1 only.
    if let Value::Bool(anything) = schema {
        *schema = if *anything { json!({}) } else { json!({ "not": {} }) };
        return;
    }
    let Value::Object(members) = schema else { return };
    members.retain(|name, _| !UNKNOWN.contains(&name.as_str()));
    for (name, member) in members.iter_mut() {
        match (name.as_str(), member) {
            ("properties", Value::Object(properties)) => properties.values_mut().for_each(convert),
            ("allOf" | "anyOf" | "oneOf", Value::Array(branches)) => branches.iter_mut().for_each(convert),
            ("items" | "not", inner) => convert(inner),
            ("additionalProperties", inner @ Value::Object(_)) => convert(inner),
            _ => {}
        }
    }
    constants(members);
    bounds(members);
    nullable(members);
    // 3.0 wants to know of every array what is in it.
    if members.get("type").is_some_and(|kind| kind == "array") {
        members.entry("items").or_insert_with(|| json!({}));
    }
    // A reference may have no neighbours.
    if members.len() > 1
        && let Some(reference) = members.shift_remove("$ref")
    {
        let mut all = vec![json!({ "$ref": reference })];
        if let Some(Value::Array(more)) = members.shift_remove("allOf") {
            all.extend(more);
        }
        members.insert("allOf".to_owned(), Value::Array(all));
    }
}

fn constants(members: &mut Map<String, Value>) {
    if let Some(constant) = members.shift_remove("const") {
        members.insert("enum".to_owned(), json!([constant]));
    }
    if let Some(Value::Array(mut examples)) = members.shift_remove("examples")
        && !examples.is_empty()
    {
        members.insert("example".to_owned(), examples.swap_remove(0));
    }
    if let Some(Value::Array(_)) = members.shift_remove("prefixItems") {
        members.entry("items").or_insert_with(|| json!({}));
    }
}

/// Exclusive bounds were numbers of their own, and are flags here.
fn bounds(members: &mut Map<String, Value>) {
    for (exclusive, inclusive) in [("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")] {
        if let Some(Value::Number(bound)) = members.get(exclusive).cloned() {
            members.insert(inclusive.to_owned(), Value::Number(bound));
            members.insert(exclusive.to_owned(), json!(true));
        }
    }
}

/// A type or a branch `null` is a flag here.
fn nullable(members: &mut Map<String, Value>) {
    if let Some(Value::Array(kinds)) = members.get("type") {
        let others: Vec<Value> = kinds.iter().filter(|kind| *kind != "null").cloned().collect();
        let null = others.len() < kinds.len();
        match <[Value; 1]>::try_from(others) {
            Ok([only]) => {
                members.insert("type".to_owned(), only);
            }
            Err(several) => {
                members.shift_remove("type");
                if !several.is_empty() {
                    let branches: Vec<Value> =
                        several.into_iter().map(|kind| json!({ "type": kind })).collect();
                    members.insert("anyOf".to_owned(), Value::Array(branches));
                }
            }
        }
        if null {
            members.insert("nullable".to_owned(), json!(true));
            // A closed list has to hold it too.
            if let Some(Value::Array(values)) = members.get_mut("enum")
                && !values.contains(&Value::Null)
            {
                values.push(Value::Null);
            }
        }
    }
    for keyword in ["anyOf", "oneOf"] {
        let is_null = |branch: &Value| branch.get("type").is_some_and(|kind| kind == "null");
        let Some(Value::Array(branches)) = members.get_mut(keyword) else { continue };
        let before = branches.len();
        branches.retain(|branch| !is_null(branch));
        if branches.len() == before {
            continue;
        }
        if let [_only] = branches.as_slice()
            && let Some(only) = members.shift_remove(keyword)
        {
            members.insert("allOf".to_owned(), only);
        }
        members.insert("nullable".to_owned(), json!(true));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn converted(schema: Value) -> Value {
        let mut schema = schema;
        convert(&mut schema);
        schema
    }

    #[test]
    fn null_becomes_a_flag() {
        assert_eq!(
            converted(json!({ "type": ["string", "null"], "maxLength": 3 })),
            json!({ "type": "string", "maxLength": 3, "nullable": true })
        );
        assert_eq!(
            converted(json!({ "anyOf": [{ "$ref": "#/components/schemas/Seo" }, { "type": "null" }] })),
            json!({ "allOf": [{ "$ref": "#/components/schemas/Seo" }], "nullable": true })
        );
        assert_eq!(
            converted(json!({ "type": ["string", "null"], "enum": ["a"] })),
            json!({ "type": "string", "enum": ["a", null], "nullable": true })
        );
        assert_eq!(
            converted(json!({ "type": ["string", "integer", "null"] })),
            json!({ "anyOf": [{ "type": "string" }, { "type": "integer" }], "nullable": true })
        );
    }

    #[test]
    fn what_3_0_does_not_know_is_said_otherwise() {
        assert_eq!(converted(json!({ "const": "a" })), json!({ "enum": ["a"] }));
        assert_eq!(
            converted(json!({ "type": "integer", "exclusiveMinimum": 0 })),
            json!({ "type": "integer", "exclusiveMinimum": true, "minimum": 0 })
        );
        assert_eq!(
            converted(json!({ "$ref": "#/components/schemas/A", "description": "An A." })),
            json!({ "description": "An A.", "allOf": [{ "$ref": "#/components/schemas/A" }] })
        );
        assert_eq!(converted(json!({ "properties": { "x": true } })), json!({ "properties": { "x": {} } }));
        assert_eq!(converted(json!({ "type": "array" })), json!({ "type": "array", "items": {} }));
        assert_eq!(
            converted(json!({ "type": "object", "propertyNames": { "pattern": "a" } })),
            json!({ "type": "object" })
        );
    }
}
