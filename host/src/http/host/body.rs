//! From JSON to the type of a request body.

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::Segment;
use utoipa::{
    ToSchema,
    openapi::{RefOr, Schema, schema::Object},
};

use crate::http::error::ApiError;

/// The value as a type. Members that its schema marks read-only are left out first, so that what was read can be sent
/// back.
///
/// # Errors
/// `unknown_field`, `validation_failed`, with a pointer.
pub(super) fn typed<T: DeserializeOwned + ToSchema>(mut value: Value) -> Result<T, ApiError> {
    if let (Value::Object(members), RefOr::T(Schema::Object(schema))) = (&mut value, T::schema()) {
        members.retain(|name, _| !is_read_only(&schema, name));
    }
    serde_path_to_error::deserialize(value).map_err(|error| refusal(&error))
}

fn is_read_only(schema: &Object, member: &str) -> bool {
    match schema.properties.get(member) {
        Some(RefOr::T(Schema::Object(property))) => property.read_only == Some(true),
        _ => false,
    }
}

fn refusal(error: &serde_path_to_error::Error<serde_json::Error>) -> ApiError {
    let mut pointer = String::new();
    for segment in error.path() {
        match segment {
            Segment::Seq { index } => pointer += &format!("/{index}"),
            Segment::Map { key } => pointer += &format!("/{}", key.replace('~', "~0").replace('/', "~1")),
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    let message = error.inner().to_string();
    let named = |kind: &str| {
        let rest = message.strip_prefix(kind)?.strip_prefix(" `")?;
        rest.split('`').next().map(|name| name.replace('~', "~0").replace('/', "~1"))
    };
    let (code, place, text) = if let Some(name) = named("unknown field") {
        ("unknown_field", name, "There is no such member.".to_owned())
    } else if let Some(name) = named("missing field") {
        ("validation_failed", name, "The member is required.".to_owned())
    } else {
        // What serde says names types and places in the text, not what was sent, except for short scalars.
        ("validation_failed", String::new(), "The value is not of the right kind.".to_owned())
    };
    if !place.is_empty() && !pointer.ends_with(&format!("/{place}")) {
        pointer += &format!("/{place}");
    }
    ApiError::new(code, "The request does not fit the schema.").field(&pointer, code, text)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Deserialize, ToSchema)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Thing {
        name: String,
        #[serde(default)]
        tags: Vec<String>,
        #[serde(default)]
        #[schema(read_only)]
        #[allow(dead_code, reason = "it is there to be left out")]
        created_at: Option<String>,
    }

    fn problem(value: Value) -> (String, Value) {
        let error = typed::<Thing>(value).unwrap_err();
        let document = error.into_document("/", "r").1;
        (document["code"].as_str().unwrap().to_owned(), document["errors"][0]["pointer"].clone())
    }

    #[test]
    fn members_are_known_or_read_only() {
        let thing: Thing = typed(json!({"name": "a", "createdAt": 7})).unwrap();
        assert_eq!((thing.name.as_str(), thing.tags.len()), ("a", 0));
        assert_eq!(problem(json!({"name": "a", "nmae": 1})), ("unknown_field".to_owned(), json!("/nmae")));
        assert_eq!(problem(json!({})), ("validation_failed".to_owned(), json!("/name")));
        assert_eq!(problem(json!({"name": 7})), ("validation_failed".to_owned(), json!("/name")));
        assert_eq!(
            problem(json!({"name": "a", "tags": ["b", 7]})),
            ("validation_failed".to_owned(), json!("/tags/1"))
        );
        assert_eq!(problem(json!([])), ("validation_failed".to_owned(), json!("")));
    }
}
