//! Checking requests against the schemas that a plugin declares, before a guest runs.

mod cost;

use jsonschema::{ValidationError, Validator, error::ValidationErrorKind};
use serde_json::{Map, Value};

use super::descriptor::{Body, Param};

/// Deepest nesting of references that is followed.
const DEPTH: usize = 24;
/// Deepest nesting of a request's JSON.
pub(crate) const JSON_DEPTH: usize = 64;
const ERRORS: usize = 50;

/// One thing that is wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// JSON pointer.
    pub pointer: String,
    pub code: &'static str,
    pub message: String,
}

/// A compiled body schema.
pub struct BodyCheck {
    pub media_type: String,
    validator: Validator,
    schema: Value,
}

/// A compiled parameter schema.
pub struct ParamCheck {
    pub name: String,
    pub required: bool,
    validator: Validator,
    reads_as: ReadsAs,
}

/// What the text of a parameter is before it is validated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ReadsAs {
    Text,
    /// A number or a boolean, where the text is one.
    Scalar,
}

/// Puts those of the plugin's named schemas that a schema refers to where `#/components/schemas/…` finds them.
fn rooted(schema: &Value, named: &Map<String, Value>) -> Value {
    let mut root = match schema {
        Value::Object(members) => members.clone(),
        other => Map::from_iter([("allOf".to_owned(), Value::Array(vec![other.clone()]))]),
    };
    let mut reached = Map::new();
    reach(schema, named, &mut reached);
    root.insert("components".to_owned(), serde_json::json!({ "schemas": reached }));
    Value::Object(root)
}

/// Adds the named schemas that a value refers to, and those that they refer to.
fn reach(value: &Value, named: &Map<String, Value>, reached: &mut Map<String, Value>) {
    match value {
        Value::Object(members) => {
            let name = members.get("$ref").and_then(Value::as_str).and_then(|reference| {
                let name = reference.strip_prefix("#/components/schemas/")?;
                Some(name.split('/').next().unwrap_or(name).replace("~1", "/").replace("~0", "~"))
            });
            if let Some(name) = name
                && !reached.contains_key(&name)
                && let Some(schema) = named.get(&name)
            {
                reached.insert(name, schema.clone());
                reach(schema, named, reached);
            }
            members.values().for_each(|member| reach(member, named, reached));
        }
        Value::Array(elements) => elements.iter().for_each(|element| reach(element, named, reached)),
        _ => {}
    }
}

fn compile(schema: &Value) -> Result<Validator, String> {
    cost::check(schema)?;
    jsonschema::options()
        .with_draft(jsonschema::Draft::Draft202012)
        .should_validate_formats(true)
        .build(schema)
        .map_err(|error| format!("the schema does not compile: {error}"))
}

/// Whether a schema compiles with the plugin's named schemas.
///
/// # Errors
/// What is wrong with it.
pub(super) fn check_schema(schema: &Value, named: &Map<String, Value>) -> Result<(), String> {
    compile(&rooted(schema, named)).map(drop)
}

impl BodyCheck {
    pub(super) fn new(body: &Body, named: &Map<String, Value>) -> Result<Self, String> {
        let schema = rooted(&body.schema, named);
        Ok(Self { media_type: body.media_type.clone(), validator: compile(&schema)?, schema })
    }

    /// Removes members marked `readOnly`; answers whether there were any.
    pub fn strip_read_only(&self, body: &mut Value) -> bool {
        strip(body, &self.schema, &self.schema, 0)
    }

    /// What is wrong with a body; nothing when it fits.
    pub fn violations(&self, body: &Value) -> Vec<Violation> {
        if self.validator.is_valid(body) {
            return Vec::new();
        }
        self.validator.iter_errors(body).flat_map(|error| violations_of(&error)).take(ERRORS).collect()
    }
}

impl ParamCheck {
    pub(super) fn new(param: &Param, named: &Map<String, Value>) -> Result<Self, String> {
        let schema = rooted(&param.schema, named);
        Ok(Self {
            name: param.name.clone(),
            required: param.required,
            validator: compile(&schema)?,
            reads_as: reads_as(&schema),
        })
    }

    /// What is wrong with a parameter's text; `None` when it fits.
    pub fn violation(&self, text: &str) -> Option<String> {
        let value = typed(text, self.reads_as);
        self.validator.validate(&value).err().map(|error| error.to_string())
    }
}

fn reads_as(root: &Value) -> ReadsAs {
    let mut schema = root;
    // A reference to a reference ends after a few steps, unless it is a circle.
    for _ in 0..DEPTH {
        let target =
            schema.get("$ref").and_then(Value::as_str).and_then(|reference| reference.strip_prefix('#'));
        match target.and_then(|pointer| root.pointer(pointer)) {
            Some(next) => schema = next,
            None => break,
        }
    }
    let kinds: Vec<&str> = match schema.get("type") {
        Some(Value::String(only)) => vec![only],
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let scalar = kinds.iter().any(|kind| matches!(*kind, "integer" | "number" | "boolean"));
    if scalar && !kinds.contains(&"string") { ReadsAs::Scalar } else { ReadsAs::Text }
}

fn typed(text: &str, reads_as: ReadsAs) -> Value {
    if reads_as == ReadsAs::Scalar
        && let Ok(value @ (Value::Number(_) | Value::Bool(_))) = serde_json::from_str(text)
    {
        return value;
    }
    Value::String(text.to_owned())
}

fn violations_of(error: &ValidationError<'_>) -> Vec<Violation> {
    let pointer = error.instance_path().to_string();
    match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected }
        | ValidationErrorKind::UnevaluatedProperties { unexpected } => unexpected
            .iter()
            .map(|name| Violation {
                pointer: format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1")),
                code: "unknown_field",
                message: "There is no such member.".to_owned(),
            })
            .collect(),
        ValidationErrorKind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            vec![Violation {
                pointer: format!("{pointer}/{name}"),
                code: "validation_failed",
                message: "This member is required.".to_owned(),
            }]
        }
        // A member that may be null has two branches; what is wrong with an object is told by the one for objects.
        ValidationErrorKind::AnyOf { context } => match meant(context, &pointer) {
            Some(branch) => branch.iter().flat_map(violations_of).collect(),
            None => vec![invalid(pointer, error)],
        },
        _ => vec![invalid(pointer, error)],
    }
}

fn invalid(pointer: String, error: &ValidationError<'_>) -> Violation {
    Violation { pointer, code: "validation_failed", message: shortened(&error.to_string()) }
}

/// The only branch that is for values of this type, if there is one.
fn meant<'e>(
    branches: &'e [Vec<ValidationError<'static>>],
    pointer: &str,
) -> Option<&'e [ValidationError<'static>]> {
    let other_type = |error: &ValidationError<'_>| {
        matches!(error.kind(), ValidationErrorKind::Type { .. })
            && error.instance_path().to_string() == pointer
    };
    let mut fitting = branches.iter().filter(|branch| !branch.iter().any(other_type));
    let branch = fitting.next()?;
    fitting.next().is_none().then_some(branch)
}

/// A message may quote the value, and the value may be long.
fn shortened(message: &str) -> String {
    const MOST: usize = 300;
    if message.chars().count() <= MOST {
        return message.to_owned();
    }
    // What is expected stands at the end.
    let tail: String = message.chars().skip(message.chars().count() - MOST / 2).collect();
    let head: String = message.chars().take(MOST / 2).collect();
    format!("{head}…{tail}")
}

/// Removes what the schema marks `readOnly` from a value.
fn strip(value: &mut Value, schema: &Value, root: &Value, depth: usize) -> bool {
    if depth > DEPTH {
        return false;
    }
    let schema = match schema.get("$ref").and_then(Value::as_str) {
        Some(reference) => match reference.strip_prefix('#').and_then(|pointer| root.pointer(pointer)) {
            Some(target) => target,
            None => return false,
        },
        None => schema,
    };
    let mut stripped = false;
    for keyword in ["allOf", "anyOf", "oneOf"] {
        for branch in schema.get(keyword).and_then(Value::as_array).into_iter().flatten() {
            stripped |= strip(value, branch, root, depth + 1);
        }
    }
    for keyword in ["then", "else"] {
        if let Some(branch) = schema.get(keyword) {
            stripped |= strip(value, branch, root, depth + 1);
        }
    }
    match value {
        Value::Object(members) => {
            let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
                return stripped;
            };
            members.retain(|name, member| {
                let Some(property) = properties.get(name) else { return true };
                if property.get("readOnly") == Some(&Value::Bool(true)) {
                    stripped = true;
                    return false;
                }
                stripped |= strip(member, property, root, depth + 1);
                true
            });
        }
        Value::Array(elements) => {
            if let Some(items) = schema.get("items") {
                for element in elements {
                    stripped |= strip(element, items, root, depth + 1);
                }
            }
        }
        _ => {}
    }
    stripped
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check() -> BodyCheck {
        let named = json!({
            "Item": {
                "type": "object",
                "properties": { "id": { "type": "string", "readOnly": true }, "sku": { "type": "string" } },
                "required": ["sku"],
                "additionalProperties": false
            },
            "Box": {
                "type": "object",
                "properties": {
                    "version": { "type": "integer", "readOnly": true },
                    "items": { "type": "array", "items": { "$ref": "#/components/schemas/Item" } }
                },
                "additionalProperties": false
            }
        });
        let body = Body {
            media_type: "application/json".to_owned(),
            schema: json!({ "$ref": "#/components/schemas/Box" }),
            example: None,
        };
        BodyCheck::new(&body, named.as_object().unwrap()).unwrap()
    }

    fn compiled(schema: Value, named: Value) -> Result<(), String> {
        check_schema(&schema, named.as_object().unwrap())
    }

    #[test]
    fn a_schema_that_doubles_at_every_level_is_refused() {
        let double = json!([{ "$ref": "#/components/schemas/A" }, { "$ref": "#/components/schemas/A" }]);
        let doubling = json!({ "A": { "properties": { "a": { "allOf": double } } } });
        let error = compiled(json!({ "$ref": "#/components/schemas/A" }), doubling).unwrap_err();
        assert!(error.contains("steps"), "{error}");
        // A tree is no such schema, and neither is one that is extended.
        let tree = json!({
            "Base": { "properties": { "name": { "type": "string" }, "tags": { "items": { "type": "string" } } } },
            "Node": { "allOf": [
                { "$ref": "#/components/schemas/Base" },
                { "properties": { "children": { "items": { "$ref": "#/components/schemas/Node" } } } }
            ]}
        });
        compiled(json!({ "$ref": "#/components/schemas/Node" }), tree).unwrap();
    }

    #[test]
    fn only_the_schemas_that_are_reached_are_copied() {
        let named = json!({
            "A": { "properties": { "b": { "$ref": "#/components/schemas/B" } } },
            "B": { "properties": { "a": { "$ref": "#/components/schemas/A" } } },
            "C": { "type": "string" }
        });
        let schema = rooted(&json!({ "$ref": "#/components/schemas/A" }), named.as_object().unwrap());
        let reached = schema["components"]["schemas"].as_object().unwrap();
        assert_eq!(reached.keys().collect::<Vec<_>>(), ["A", "B"]);
    }

    #[test]
    fn read_only_members_are_removed_at_every_depth() {
        let mut body = json!({"version": 3, "items": [{"id": "x", "sku": "A"}]});
        assert!(check().strip_read_only(&mut body));
        assert_eq!(body, json!({"items": [{"sku": "A"}]}));
        assert!(!check().strip_read_only(&mut body));
    }

    #[test]
    fn conditions_are_told_and_stripped_like_any_schema() {
        let item = json!({
            "type": "object",
            "properties": { "version": { "type": "integer", "readOnly": true }, "sku": { "type": "string" } },
            "additionalProperties": false
        });
        let when = json!({
            "if": { "properties": { "op": { "const": "create" } }, "required": ["op"] },
            "then": { "properties": { "data": { "$ref": "#/components/schemas/Item" } }, "required": ["data"] }
        });
        let schema = json!({ "type": "object", "allOf": [when] });
        let named = json!({ "Item": item });
        let body = Body { media_type: "application/json".to_owned(), schema, example: None };
        let check = BodyCheck::new(&body, named.as_object().unwrap()).unwrap();
        let mut value = json!({"op": "create", "data": {"version": 7, "sku": 5}});
        assert!(check.strip_read_only(&mut value));
        assert_eq!(value, json!({"op": "create", "data": {"sku": 5}}));
        let pointers = |value: &Value| -> Vec<String> {
            check.violations(value).into_iter().map(|violation| violation.pointer).collect()
        };
        assert_eq!(pointers(&value), ["/data/sku"]);
        assert_eq!(pointers(&json!({"op": "create"})), ["/data"]);
        assert_eq!(pointers(&json!({"op": "delete"})), Vec::<String>::new());
    }

    #[test]
    fn what_is_wrong_below_a_member_that_may_be_null_is_told() {
        let named = json!({
            "Seo": { "type": "object", "properties": { "title": { "type": "string" } }, "additionalProperties": false }
        });
        let body = Body {
            media_type: "application/json".to_owned(),
            schema: json!({ "type": "object", "properties": {
                "seo": { "anyOf": [{ "$ref": "#/components/schemas/Seo" }, { "type": "null" }] }
            }}),
            example: None,
        };
        let check = BodyCheck::new(&body, named.as_object().unwrap()).unwrap();
        let found = |seo: Value| {
            let violations = check.violations(&json!({ "seo": seo }));
            violations.into_iter().map(|it| (it.pointer, it.code)).collect::<Vec<_>>()
        };
        assert_eq!(found(json!({"titel": "x"})), [("/seo/titel".to_owned(), "unknown_field")]);
        assert_eq!(found(json!({"title": 5})), [("/seo/title".to_owned(), "validation_failed")]);
        assert_eq!(found(json!(5)), [("/seo".to_owned(), "validation_failed")]);
        assert_eq!(found(json!(null)), []);
    }

    #[test]
    fn violations_carry_a_pointer_and_a_code() {
        let found = check().violations(&json!({"items": [{"sku": 1, "a/b": 2}, {}], "x": 1}));
        let found: Vec<(&str, &str)> = found.iter().map(|it| (it.pointer.as_str(), it.code)).collect();
        for expected in [
            ("/items/0/sku", "validation_failed"),
            ("/items/0/a~1b", "unknown_field"),
            ("/items/1/sku", "validation_failed"),
            ("/x", "unknown_field"),
        ] {
            assert!(found.contains(&expected), "{expected:?} in {found:?}");
        }
    }
}
