//! `fields`: some of a resource's members.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::error::ApiError;
use crate::plugin::RouteEntry;

/// The members that a request asks for; the id is always among them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fields(BTreeSet<String>);

/// Takes `fields` out of the parameters, where the route answers resources whose members are known.
///
/// # Errors
/// `invalid_parameter` for what is not a member.
pub(super) fn fields(
    entry: &RouteEntry,
    parameters: &mut Vec<(String, String)>,
) -> Result<Option<Fields>, ApiError> {
    let Some(members) = &entry.members else { return Ok(None) };
    let declared = entry.query.iter().any(|check| check.name == "fields");
    let Some(position) = parameters.iter().position(|(name, _)| name == "fields" && !declared) else {
        return Ok(None);
    };
    let (name, value) = parameters.remove(position);
    let invalid = |message: String| ApiError::parameter("invalid_parameter", &name, message);
    if parameters.iter().any(|(name, _)| name == "fields") {
        return Err(invalid("The parameter is given twice.".to_owned()));
    }
    let mut wanted = BTreeSet::from(["id".to_owned()]);
    for member in value.split(',') {
        if !members.contains(member) {
            return Err(invalid(format!("There is no member `{member}`.")));
        }
        wanted.insert(member.to_owned());
    }
    Ok(Some(Fields(wanted)))
}

impl Fields {
    /// A resource or an array of resources with these members alone, in their order.
    pub(super) fn of(&self, body: &[u8]) -> Option<Vec<u8>> {
        let shaped = match serde_json::from_slice(body).ok()? {
            Value::Array(items) => Value::Array(items.into_iter().map(|item| self.part(item)).collect()),
            item => self.part(item),
        };
        serde_json::to_vec(&shaped).ok()
    }

    fn part(&self, item: Value) -> Value {
        match item {
            Value::Object(members) => Value::Object(
                members.into_iter().filter(|(name, _)| self.0.contains(name)).collect::<Map<_, _>>(),
            ),
            other => other,
        }
    }
}
