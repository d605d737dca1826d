//! Configurations of plugins: their schemas, and reading them.

use schemars::{JsonSchema, Schema, generate::SchemaSettings, transform::RecursiveTransform};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::{
    Problem,
    http::{path_problem, read_json},
    schema::one_list,
};

/// The JSON Schema of a configuration's type, for `config_schema`. Members that the type does not know are refused
/// where it says `deny_unknown_fields`. What is optional may be left out and not be null, which TOML does not have.
pub fn schema<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.meta_schema = None;
        settings.transforms.push(Box::new(RecursiveTransform(one_list)));
        settings.transforms.push(Box::new(RecursiveTransform(never_null)));
        settings.transforms.push(Box::new(RecursiveTransform(told_apart)));
    });
    settings.into_generator().into_root_schema_for::<T>().to_value()
}

/// Reads a configuration; nothing at all is read as `{}`.
///
/// # Errors
/// The answer of a plugin that cannot work with it. Its `errors` point to what is wrong: those of `validate_config`.
pub fn read<T: DeserializeOwned>(config: &[u8]) -> Result<T, Problem> {
    let config = if config.is_empty() { b"{}" } else { config };
    read_json(config).map_err(|error| {
        let unreadable =
            Problem::new(502, "plugin_failed").detail("The plugin cannot read its configuration.");
        Problem { errors: path_problem(error).errors, ..unreadable }
    })
}

/// Takes the null out of what is optional.
fn never_null(schema: &mut Schema) {
    let null = json!({"type": "null"});
    if schema.get("default").is_some_and(Value::is_null) {
        schema.remove("default");
    }
    if let Some(Value::Array(kinds)) = schema.get_mut("type") {
        kinds.retain(|kind| kind != "null");
        if let [kind] = kinds.as_slice() {
            let kind = kind.clone();
            schema.insert("type".to_owned(), kind);
        }
    }
    if let Some([Value::Object(one), other]) =
        schema.get("anyOf").and_then(Value::as_array).map(Vec::as_slice)
        && *other == null
    {
        let one = one.clone();
        schema.remove("anyOf");
        schema.ensure_object().extend(one);
    }
}

/// Replaces branches of which each has another `type` by conditions. Of branches in a `oneOf` nobody could tell which
/// one was meant; with conditions what is wrong is told where it is.
fn told_apart(schema: &mut Schema) {
    let Some(branches) = schema.get("oneOf").and_then(Value::as_array) else { return };
    let name = |branch: &Value| branch.pointer("/properties/type/const").cloned();
    let Some(names) = branches.iter().map(name).collect::<Option<Vec<Value>>>() else { return };
    let conditions: Vec<Value> = branches
        .iter()
        .zip(&names)
        .map(|(branch, name)| json!({"if": {"properties": {"type": {"const": name}}}, "then": branch}))
        .collect();
    schema.remove("oneOf");
    schema.insert("type".to_owned(), json!("object"));
    schema.insert("properties".to_owned(), json!({"type": {"type": "string", "enum": names}}));
    schema.insert("required".to_owned(), json!(["type"]));
    schema.insert("allOf".to_owned(), Value::Array(conditions));
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::mock::schema_faults;

    #[derive(Debug, PartialEq, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        #[serde(default)]
        shapes: Vec<Shape>,
        #[serde(default)]
        name: Option<String>,
        #[serde(default)]
        size: Option<Size>,
    }

    #[derive(Debug, PartialEq, Deserialize, JsonSchema)]
    struct Size {
        width: u32,
    }

    #[derive(Debug, PartialEq, Deserialize, JsonSchema)]
    #[serde(tag = "type", rename_all = "camelCase", deny_unknown_fields)]
    enum Shape {
        /// Round.
        Circle {
            radius: u32,
        },
        Square {
            side: u32,
        },
        Point {},
    }

    #[test]
    fn what_is_wrong_is_told_where_it_is() {
        let schema = schema::<Sample>();
        let good = json!({"shapes": [{"type": "circle", "radius": 1}, {"type": "point"}]});
        assert_eq!(schema_faults(&schema, &good), Vec::<String>::new());
        for (shape, fault) in [
            (json!({"type": "circle", "radius": -1}), "`/shapes/0/radius`"),
            (json!({"type": "square", "radius": 1}), "'radius' was unexpected"),
            (json!({"type": "square"}), "\"side\" is a required property"),
            (json!({"type": "point", "side": 1}), "'side' was unexpected"),
            (json!({"type": "star"}), "`/shapes/0/type`"),
            (json!({"radius": 1}), "\"type\" is a required property"),
        ] {
            let faults = schema_faults(&schema, &json!({ "shapes": [shape] })).join("\n");
            assert!(faults.contains(fault), "{shape}: {faults}");
        }
    }

    #[test]
    fn what_is_optional_is_left_out_and_not_null() {
        let schema = schema::<Sample>();
        assert_eq!(schema["properties"]["name"], json!({"type": "string"}));
        for (config, fault) in [
            (json!({"name": null}), "`/name`"),
            (json!({"size": null}), "`/size`"),
            (json!({"size": {"width": "wide"}}), "`/size/width`"),
        ] {
            let faults = schema_faults(&schema, &config).join("\n");
            assert!(faults.contains(fault), "{config}: {faults}");
        }
    }

    #[test]
    fn reading_points_to_what_is_wrong() {
        assert_eq!(read::<Sample>(b"").unwrap(), Sample { shapes: Vec::new(), name: None, size: None });
        let problem = read::<Sample>(br#"{"shapes": 1}"#).unwrap_err();
        assert_eq!((problem.status, problem.errors[0].pointer.as_str()), (502, "/shapes"));
        for wrong in [&b"{"[..], b"null", b"{}{}", br#"{"forms": []}"#] {
            assert_eq!(read::<Sample>(wrong).unwrap_err().code, "plugin_failed");
        }
    }
}
