//! Documents as BSON and back.
//!
//! A body lies in the database as BSON of its own kinds, so that its owner can read it with any tool.
//! Every integer is one of 64 bits and every other number a double, which keeps the two apart as JSON does,
//! and members keep their order: what comes out is what went in.

use mongodb::bson::{
    RawArrayBuf, RawBsonRef, RawDocument, RawDocumentBuf,
    raw::{CStr, RawBson},
};
use serde::ser::{Error as _, Serialize, SerializeMap, SerializeSeq, Serializer};
use serde_json::{Map, Value};
use store_model::Scalar;

use super::fault::Fault;

/// A body as BSON.
pub(super) fn body_to_bson(body: &Map<String, Value>) -> Result<RawDocumentBuf, Fault> {
    let mut document = RawDocumentBuf::new();
    for (name, value) in body {
        // Names with NUL are refused before anything is stored.
        let name: &CStr = name.as_str().try_into()?;
        match value {
            Value::Null => document.append(name, RawBsonRef::Null),
            Value::Bool(flag) => document.append(name, *flag),
            Value::Number(number) => document.append(name, number_to_bson(number)),
            Value::String(text) => document.append(name, text.as_str()),
            Value::Array(elements) => document.append(name, array_to_bson(elements)?),
            Value::Object(members) => document.append(name, body_to_bson(members)?),
        }
    }
    Ok(document)
}

fn array_to_bson(elements: &[Value]) -> Result<RawArrayBuf, Fault> {
    let mut array = RawArrayBuf::new();
    for element in elements {
        match element {
            Value::Null => array.push(RawBsonRef::Null),
            Value::Bool(flag) => array.push(*flag),
            Value::Number(number) => array.push(number_to_bson(number)),
            Value::String(text) => array.push(text.as_str()),
            Value::Array(elements) => array.push(array_to_bson(elements)?),
            Value::Object(members) => array.push(body_to_bson(members)?),
        }
    }
    Ok(array)
}

fn number_to_bson(number: &serde_json::Number) -> RawBson {
    match number.as_i64() {
        Some(integer) => RawBson::Int64(integer),
        // Integers beyond 64 signed bits are refused before anything is stored.
        None => RawBson::Double(number.as_f64().unwrap_or_default()),
    }
}

/// A scalar as it lies in the database.
/// The scalar of a value that we stored; nothing for null and what is no scalar.
pub(super) fn scalar_of_bson(value: RawBsonRef<'_>) -> Option<Scalar> {
    match value {
        RawBsonRef::String(text) => Some(Scalar::Text(text.to_owned())),
        RawBsonRef::Int64(number) => Some(Scalar::Integer(number)),
        RawBsonRef::Boolean(flag) => Some(Scalar::Boolean(flag)),
        _ => None,
    }
}

pub(super) fn scalar_to_bson(scalar: &Scalar) -> mongodb::bson::Bson {
    use mongodb::bson::Bson;
    match scalar {
        Scalar::Null => Bson::Null,
        Scalar::Boolean(flag) => Bson::Boolean(*flag),
        Scalar::Integer(number) => Bson::Int64(*number),
        Scalar::Text(text) => Bson::String(text.clone()),
    }
}

/// A body as JSON text.
pub(super) fn body_to_json(body: &RawDocument) -> Result<String, Fault> {
    Ok(serde_json::to_string(&Members(body))?)
}

/// A body as JSON.
pub(super) fn body_to_map(body: &RawDocument) -> Result<Map<String, Value>, Fault> {
    match serde_json::to_value(Members(body))? {
        Value::Object(members) => Ok(members),
        _ => Ok(Map::new()),
    }
}

struct Members<'a>(&'a RawDocument);

impl Serialize for Members<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for member in self.0.iter() {
            let (name, value) = member.map_err(S::Error::custom)?;
            map.serialize_entry(name.as_str(), &Element(value))?;
        }
        map.end()
    }
}

struct Element<'a>(RawBsonRef<'a>);

impl Serialize for Element<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            RawBsonRef::Null => serializer.serialize_unit(),
            RawBsonRef::Boolean(flag) => serializer.serialize_bool(flag),
            // The shell of an owner who corrects a document writes integers that are small as 32 bits.
            RawBsonRef::Int32(number) => serializer.serialize_i32(number),
            RawBsonRef::Int64(number) => serializer.serialize_i64(number),
            RawBsonRef::Double(number) => serializer.serialize_f64(number),
            RawBsonRef::String(text) => serializer.serialize_str(text),
            RawBsonRef::Document(document) => Members(document).serialize(serializer),
            RawBsonRef::Array(array) => {
                let mut sequence = serializer.serialize_seq(None)?;
                for element in array {
                    sequence.serialize_element(&Element(element.map_err(S::Error::custom)?))?;
                }
                sequence.end()
            }
            other => Err(S::Error::custom(format!("{:?} is no kind of JSON", other.element_type()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_body_comes_back_as_it_was() {
        let body = json!({
            "z": 1, "a": [1, 1.0, -0.0, 1.5e300, null, true, "x\0y", {"": [[]]}], "m": {"b": i64::MIN, "a": i64::MAX},
            "e": {}, "é": "\u{10ffff}",
        });
        let members = body.as_object().unwrap();
        let stored = body_to_bson(members).unwrap();
        assert_eq!(body_to_json(&stored).unwrap(), body.to_string());
        assert_eq!(&body_to_map(&stored).unwrap(), members);
        assert_eq!(stored.as_bytes().len(), store_model::validate::bson_bytes(members));
    }

    #[test]
    fn what_json_does_not_have_is_an_error() {
        let stored = mongodb::bson::rawdoc! { "at": mongodb::bson::DateTime::from_millis(0) };
        assert!(body_to_json(&stored).is_err());
    }
}
