//! JSON Schemas of the types in a plugin's routes.

use schemars::{
    JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings, transform::RecursiveTransform,
};
use serde_json::{Map, Value, json};

use crate::bulk::OPERATIONS_MAX;

/// Collects the schemas that a plugin's routes name.
pub struct Schemas {
    generator: SchemaGenerator,
    patches: Map<String, Value>,
}

impl Default for Schemas {
    fn default() -> Self {
        let settings = SchemaSettings::draft2020_12().with(|settings| {
            settings.definitions_path = "/components/schemas".into();
            settings.meta_schema = None;
            settings.transforms.push(Box::new(RecursiveTransform(one_list)));
        });
        Self { generator: settings.into_generator(), patches: Map::new() }
    }
}

impl Schemas {
    /// The schema of `T`: a reference for named types, in place for others.
    pub fn schema<T: JsonSchema>(&mut self) -> Value {
        self.generator.subschema_for::<T>().to_value()
    }

    /// The schema of a JSON Merge Patch for `T`: every member optional, and nullable unless `T` requires it; arrays
    /// whole. It is named after
    /// the resource: `ProductPatch` for `Product` and for `ProductInput`.
    pub fn patch<T: JsonSchema>(&mut self) -> Value {
        self.schema::<T>();
        let resource = T::schema_name();
        let resource = resource.strip_suffix("Input").unwrap_or(&resource);
        let name = format!("{resource}Patch");
        if !self.patches.contains_key(&name) {
            let definition = self.generator.definitions().get(T::schema_name().as_ref()).cloned();
            let mut patch = definition.unwrap_or_else(|| json!({}));
            loosen(&mut patch);
            patch["description"] = json!(format!(
                "A JSON Merge Patch (RFC 7396) of {resource}: members that are given replace, null removes.",
            ));
            self.patches.insert(name.clone(), patch);
        }
        json!({ "$ref": format!("#/components/schemas/{name}") })
    }

    /// The schema of a bulk request for a resource whose creations have a body of type `T`.
    ///
    /// What `data` must fit depends on `op`. `if` and `then` say so in a way in which what is wrong is told where it
    /// is; of branches in an `anyOf` nobody could tell which one was meant.
    pub fn bulk<T: JsonSchema>(&mut self) -> Value {
        let (input, patch) = (self.schema::<T>(), self.patch::<T>());
        let when = |op: &str, then: Value| json!({"if": {"properties": {"op": {"const": op}}, "required": ["op"]}, "then": then});
        json!({
            "type": "object",
            "properties": {
                "mode": {
                    "description": "`atomic`: all operations are done or none is. `independent`: each by itself.",
                    "type": "string",
                    "enum": ["atomic", "independent"],
                    "default": "atomic",
                },
                "operations": {
                    "type": "array",
                    "minItems": 1,
                    "maxItems": OPERATIONS_MAX,
                    "items": {
                        "type": "object",
                        "properties": {
                            "op": {"type": "string", "enum": ["create", "update", "delete"]},
                            "id": {
                                "description": "The resource to change or to delete.",
                                "type": "string",
                                "minLength": 1,
                                "maxLength": 64,
                            },
                            "data": {
                                "description": "The resource to create, or a JSON Merge Patch.",
                                "type": "object",
                            },
                        },
                        "required": ["op"],
                        "additionalProperties": false,
                        "allOf": [
                            when("create", json!({"properties": {"id": false, "data": input}, "required": ["data"]})),
                            when("update", json!({"properties": {"data": patch}, "required": ["id", "data"]})),
                            when("delete", json!({"properties": {"data": false}, "required": ["id"]})),
                        ],
                    },
                },
            },
            "required": ["operations"],
            "additionalProperties": false,
        })
    }

    /// All named schemas, sorted by name.
    pub fn finish(mut self) -> Vec<(String, String)> {
        let mut all: Vec<(String, String)> = self
            .generator
            .take_definitions(true)
            .into_iter()
            .chain(self.patches)
            .map(|(name, schema)| (name, schema.to_string()))
            .collect();
        all.sort();
        all
    }
}

/// For `#[schemars(transform = …)]` on a request type: adds the members that the host keeps, read-only, so that a
/// resource can be sent back as it was read. The type itself needs no such members, because the host removes them
/// before the handler runs.
pub fn kept_members(schema: &mut Schema) {
    add_read_only(schema, "id", json!({"type": "string"}));
    add_read_only(schema, "version", json!({"type": "integer"}));
    add_read_only(schema, "createdAt", json!({"type": "string", "format": "date-time"}));
    add_read_only(schema, "updatedAt", json!({"type": "string", "format": "date-time"}));
}

/// Adds a read-only member to the schema of a request type.
pub fn add_read_only(schema: &mut Schema, name: &str, mut member: Value) {
    member["readOnly"] = json!(true);
    let properties = schema.ensure_object().entry("properties").or_insert_with(|| json!({}));
    properties[name] = member;
}

/// For `#[schemars(transform = …)]` on a response type: every member is always there, also one that may be null.
pub fn all_required(schema: &mut Schema) {
    // What the store keeps is not written with the rest, and is shown nevertheless. What older documents lack is
    // nothing that an answer lacks.
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        properties.values_mut().filter_map(Value::as_object_mut).for_each(|member| {
            member.remove("writeOnly");
            member.remove("default");
        });
    }
    let names: Vec<Value> = schema
        .get("properties")
        .and_then(Value::as_object)
        .map(|properties| properties.keys().map(|name| json!(name)).collect())
        .unwrap_or_default();
    schema.insert("required".to_owned(), Value::Array(names));
}

/// Makes one list of an enum whose variants are documented, which comes as a branch for each of them. Client
/// generators make an empty class of such branches. What was said of a variant goes into the text about the enum.
pub(crate) fn one_list(schema: &mut Schema) {
    let Some(branches) = schema.get("oneOf").and_then(Value::as_array) else { return };
    let (mut values, mut notes) = (Vec::new(), Vec::new());
    for branch in branches {
        let is_text = branch.get("type").is_some_and(|kind| kind == "string");
        match (branch.get("const"), branch.get("enum")) {
            (Some(Value::String(value)), None) if is_text => {
                let about = branch.get("description").and_then(Value::as_str);
                notes.extend(about.map(|about| format!("`{value}`: {about}")));
                values.push(json!(value));
            }
            (None, Some(Value::Array(several))) if is_text => values.extend(several.iter().cloned()),
            _ => return,
        }
    }
    let about = schema.get("description").and_then(Value::as_str).map(str::to_owned);
    let text: Vec<String> = about.into_iter().chain(notes).collect();
    schema.remove("oneOf");
    schema.insert("type".to_owned(), json!("string"));
    schema.insert("enum".to_owned(), Value::Array(values));
    if !text.is_empty() {
        schema.insert("description".to_owned(), json!(text.join("\n\n")));
    }
}

/// Makes an object schema fit for merge patches.
fn loosen(schema: &mut Value) {
    let Some(object) = schema.as_object_mut() else { return };
    let required = object.remove("required").unwrap_or_default();
    // What has to be there cannot be removed.
    let is_required = |name: &str| required.as_array().is_some_and(|names| names.iter().any(|it| it == name));
    let Some(properties) = object.get_mut("properties").and_then(Value::as_object_mut) else { return };
    for (name, property) in properties.iter_mut() {
        if let Some(members) = property.as_object_mut() {
            members.remove("default");
        }
        let read_only = property.get("readOnly").and_then(Value::as_bool).unwrap_or_default();
        if !read_only && !is_required(name) {
            *property = nullable(property.take());
        }
    }
}

fn nullable(mut schema: Value) -> Value {
    if schema.get("anyOf").and_then(Value::as_array).is_some_and(|any| any.contains(&json!({"type": "null"})))
    {
        return schema;
    }
    let single = schema.get("type").and_then(Value::as_str).map(str::to_owned);
    match single {
        Some(kind) if schema.get("enum").is_none() && schema.get("const").is_none() => {
            schema["type"] = json!([kind, "null"]);
            schema
        }
        _ if schema.get("type").is_some_and(Value::is_array) => schema,
        _ => json!({ "anyOf": [schema, { "type": "null" }] }),
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Serialize, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        #[schemars(extend("readOnly" = true))]
        id: String,
        /// The name.
        name: String,
        note: Option<String>,
        limits: Option<Inner>,
    }

    #[derive(Serialize, Deserialize, JsonSchema)]
    struct Inner {
        count: i64,
    }

    /// How it is.
    #[derive(Serialize, JsonSchema)]
    #[serde(rename_all = "camelCase")]
    #[expect(dead_code, reason = "its schema is looked at")]
    enum State {
        /// As it came.
        New,
        Used,
    }

    #[test]
    fn an_enum_with_documented_variants_is_one_list() {
        let mut schemas = Schemas::default();
        schemas.schema::<State>();
        let (_, text) = schemas.finish().remove(0);
        let schema: Value = serde_json::from_str(&text).unwrap();
        let expected = json!({
            "description": "How it is.\n\n`new`: As it came.",
            "type": "string",
            "enum": ["used", "new"],
        });
        assert_eq!(schema, expected);
    }

    #[test]
    fn patches_require_nothing_and_accept_null() {
        let mut schemas = Schemas::default();
        assert_eq!(schemas.patch::<Sample>(), json!({"$ref": "#/components/schemas/SamplePatch"}));
        let all = schemas.finish();
        let names: Vec<_> = all.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["Inner", "Sample", "SamplePatch"]);
        let patch: Value = serde_json::from_str(&all[2].1).unwrap();
        assert_eq!(patch.get("required"), None);
        assert_eq!(patch["properties"]["name"]["type"], json!("string"));
        assert_eq!(patch["properties"]["note"]["type"], json!(["string", "null"]));
        assert_eq!(patch["properties"]["id"]["type"], json!("string"));
        assert_eq!(patch["properties"]["limits"]["anyOf"][1], json!({"type": "null"}));
        assert_eq!(patch["additionalProperties"], json!(false));
    }
}
