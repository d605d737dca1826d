//! A stored document.

use std::{collections::HashSet, fmt};

use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde_json::{Map, Value, value::RawValue};

use crate::schema::is_hidden;

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
    ///
    /// # Errors
    /// When `json` is no object.
    pub fn project(&mut self, fields: &[String]) -> Result<(), serde_json::Error> {
        let is_kept = |key: &str| key == "id" || key == "version" || fields.iter().any(|field| field == key);
        self.json = rewritten(&self.json, is_kept, &Map::new())?;
        Ok(())
    }

    /// The text of what others see: without hidden members, and with those of `overlay` in the place of the document's
    /// own, or behind them.
    ///
    /// # Errors
    /// When `json` is no object.
    pub fn shown(&self, overlay: &Map<String, Value>) -> Result<String, serde_json::Error> {
        rewritten(&self.json, |key| !is_hidden(key), overlay)
    }
}

/// The values are copied as text, without being understood.
fn rewritten(
    json: &str,
    is_kept: impl Fn(&str) -> bool,
    overlay: &Map<String, Value>,
) -> Result<String, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    deserializer.deserialize_map(Rewriting { is_kept, overlay, capacity: json.len() })
}

struct Rewriting<'a, K> {
    is_kept: K,
    overlay: &'a Map<String, Value>,
    capacity: usize,
}

impl<'de, K: Fn(&str) -> bool> Visitor<'de> for Rewriting<'_, K> {
    type Value = String;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a document")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<String, A::Error> {
        let mut json = String::with_capacity(self.capacity);
        json.push('{');
        let mut add = |key: &str, value: &str| {
            if json.len() > 1 {
                json.push(',');
            }
            json.push_str(&serde_json::to_string(key).map_err(A::Error::custom)?);
            json.push(':');
            json.push_str(value);
            Ok(())
        };
        let mut replaced = HashSet::new();
        while let Some(key) = members.next_key::<String>()? {
            let value: &RawValue = members.next_value()?;
            if !(self.is_kept)(&key) {
                continue;
            }
            if let Some((name, value)) = self.overlay.get_key_value(&key) {
                replaced.insert(name);
                add(name, &value.to_string())?;
            } else {
                add(&key, value.get())?;
            }
        }
        for (name, value) in self.overlay.iter().filter(|(name, _)| !replaced.contains(name)) {
            add(name, &value.to_string())?;
        }
        json.push('}');
        Ok(json)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn document(json: &str) -> Document {
        Document { id: "a".to_owned(), version: 1, json: json.to_owned() }
    }

    #[test]
    fn what_others_see_has_no_hidden_members_and_those_of_the_overlay_in_their_places() {
        let shown = |json: &str, overlay: Value| document(json).shown(overlay.as_object().unwrap()).unwrap();
        let json = r#"{"id":"a","_own":{"x":1},"b":{"_x":[1, 2]},"c\"":1.50}"#;
        assert_eq!(shown(json, json!({})), r#"{"id":"a","b":{"_x":[1, 2]},"c\"":1.50}"#);
        assert_eq!(
            shown(json, json!({"z": null, "b": [], "_own": 2})),
            r#"{"id":"a","b":[],"c\"":1.50,"z":null,"_own":2}"#
        );
        assert_eq!(shown("{}", json!({"z": "1"})), r#"{"z":"1"}"#);
        assert!(document("[]").shown(&Map::new()).is_err());
    }

    #[test]
    fn a_projection_keeps_identity_and_order() {
        let json = r#"{"id":"a","version":1,"createdAt":"t","b":{"x":[1, 2]},"a\"":1.50,"c":null}"#;
        let keep = |fields: &[&str]| {
            let fields: Vec<String> = fields.iter().map(|field| (*field).to_owned()).collect();
            let mut document = document(json);
            document.project(&fields).unwrap();
            document.json
        };
        assert_eq!(keep(&["c", "b"]), r#"{"id":"a","version":1,"b":{"x":[1, 2]},"c":null}"#);
        assert_eq!(keep(&["a\""]), r#"{"id":"a","version":1,"a\"":1.50}"#);
        assert_eq!(keep(&["missing"]), r#"{"id":"a","version":1}"#);
    }
}
