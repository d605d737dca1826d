//! Checks of documents that another store held.

use serde_json::{Map, Value};

use super::document::{DOCUMENT_BSON_BYTES, DOCUMENT_BYTES, bson_bytes, check_document, check_id, invalid};
use crate::{
    document::Document,
    schema::{CollectionSchema, HOST_MEMBERS},
    time::is_timestamp,
    write::Refusal,
};

/// Reads the text of a stored document, and checks that a store could have held it: the members that the store
/// keeps come first and are well-formed, the rest fits the declaration, and the text is what a store writes.
/// Uniqueness across documents is left to who knows the others.
pub fn check_stored(
    schema: &CollectionSchema,
    json: &str,
) -> Result<(Document, Map<String, Value>), Refusal> {
    let body: Map<String, Value> =
        serde_json::from_str(json).map_err(|error| invalid("", &format!("is no JSON object: {error}")))?;
    if json.len() > DOCUMENT_BYTES {
        return Err(invalid("", &format!("the document is larger than {DOCUMENT_BYTES} bytes")));
    }
    if bson_bytes(&body) > DOCUMENT_BSON_BYTES {
        let message = format!("the document is larger than {DOCUMENT_BSON_BYTES} bytes as BSON");
        return Err(invalid("", &message));
    }
    if !body.keys().take(HOST_MEMBERS.len()).eq(HOST_MEMBERS) {
        return Err(invalid("", "does not start with the members that the store keeps"));
    }
    let text = |member: &str| body.get(member).and_then(Value::as_str).unwrap_or_default();
    let id = text("id").to_owned();
    check_id(&id)?;
    let version = body.get("version").and_then(Value::as_i64).filter(|version| *version > 0);
    let Some(version) = version else { return Err(invalid("version", "must be a whole number from 1")) };
    for member in &HOST_MEMBERS[2..] {
        if !is_timestamp(text(member)) {
            return Err(invalid(member, "must be a timestamp"));
        }
    }
    check_document(schema, &body)?;
    // Two spellings of one document would have two hashes.
    let written = serde_json::to_string(&body).map_err(|error| invalid("", &error.to_string()))?;
    if written != json {
        return Err(invalid("", "is not written as a store writes it"));
    }
    Ok((Document { id, version: version.unsigned_abs(), json: written }, body))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{Access, Field};

    const SOUND: &str = r#"{"id":"a","version":7,"createdAt":"2026-11-23T09:00:00.000Z","updatedAt":"2026-11-23T09:00:01.000Z","n":1,"price":0.1,"odd":6.631236846766476e-308}"#;

    fn check(json: &str) -> Result<Document, Refusal> {
        let schema = CollectionSchema {
            fields: vec![Field::integer("n", Access::Index)],
            ..CollectionSchema::new("things", "thing")
        };
        check_stored(&schema, json).map(|(document, _)| document)
    }

    #[test]
    fn what_a_store_wrote_is_read_back() {
        let expected = Document { id: "a".to_owned(), version: 7, json: SOUND.to_owned() };
        assert_eq!(check(SOUND), Ok(expected));
    }

    #[test]
    fn what_no_store_wrote_is_refused() {
        let changes = [
            ("\"id\":\"a\",\"version\":7", "\"version\":7,\"id\":\"a\""),
            ("\"id\":\"a\"", "\"id\":\"\""),
            ("\"id\":\"a\"", "\"id\":5"),
            (":7,", ":0,"),
            (":7,", ":\"7\","),
            ("2026-11-23T09:00:00.000Z", "2026-11-23"),
            ("09:00:01.000Z", "09:00:01Z"),
            ("\"n\":1", "\"n\":\"1\""),
            ("\"n\":1", "\"n\": 1"),
            ("\"n\":1", "\"n\":1,\"n\":1"),
            ("0.1", "0.10"),
            ("\"price\"", "\"pr\\u0069ce\""),
            ("\"price\"", "\"pr.ice\""),
            ("}", "} "),
            ("}", ""),
        ];
        for (old, new) in changes {
            let changed = SOUND.replacen(old, new, 1);
            assert_ne!(changed, SOUND);
            assert!(matches!(check(&changed), Err(Refusal::Invalid { .. })), "{changed}");
        }
    }
}
