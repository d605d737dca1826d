//! A stored document.

use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// A document as it was committed. `json` is an object that starts with the members kept by the host: `id`,
/// `version` (from 1, plus one with every change), `createdAt` and `updatedAt` (RFC 3339, UTC, milliseconds).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    pub id: String,
    pub version: u64,
    pub json: String,
}

impl Document {
    /// Keeps `id`, `version` and the named top-level members, in the document's own order.
    pub fn project(&mut self, fields: &[String]) -> Result<(), serde_json::Error> {
        self.json = project(&self.json, fields)?;
        Ok(())
    }
}

/// The values are copied as text, without being understood.
fn project(json: &str, fields: &[String]) -> Result<String, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    deserializer.deserialize_map(Projection { fields })
}

struct Projection<'a> {
    fields: &'a [String],
}

impl<'de> Visitor<'de> for Projection<'_> {
    type Value = String;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a document")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<String, A::Error> {
        let mut json = String::from("{");
        while let Some(key) = members.next_key::<String>()? {
            let value: &RawValue = members.next_value()?;
            if key != "id" && key != "version" && !self.fields.contains(&key) {
                continue;
            }
            if json.len() > 1 {
                json.push(',');
            }
            json.push_str(&serde_json::to_string(&key).map_err(serde::de::Error::custom)?);
            json.push(':');
            json.push_str(value.get());
        }
        json.push('}');
        Ok(json)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_projection_keeps_identity_and_order() {
        let json = r#"{"id":"a","version":1,"createdAt":"t","b":{"x":[1, 2]},"a\"":1.50,"c":null}"#;
        let keep = |fields: &[&str]| {
            project(json, &fields.iter().map(|field| (*field).to_owned()).collect::<Vec<_>>()).unwrap()
        };
        assert_eq!(keep(&["c", "b"]), r#"{"id":"a","version":1,"b":{"x":[1, 2]},"c":null}"#);
        assert_eq!(keep(&["a\""]), r#"{"id":"a","version":1,"a\"":1.50}"#);
        assert_eq!(keep(&["missing"]), r#"{"id":"a","version":1}"#);
    }
}
