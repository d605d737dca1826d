//! What one write makes of one document. A pure function, so that backends agree by construction.

mod operation;

use serde_json::{Map, Value};

use crate::{
    evaluate::{in_scope, matches},
    path::key_problem,
    query::{QueryError, Scope},
    schema::{CollectionSchema, HOST_MEMBERS, is_hidden},
    validate::{check_document, check_filter, check_id, check_scope},
    write::{Embed, Operation, Refusal, Write},
};

/// The effect of a write.
#[derive(Debug, Clone, PartialEq)]
pub enum Applied {
    /// The document is now this one.
    Put(Map<String, Value>),
    /// The document stays as it is.
    Unchanged,
    Deleted,
}

/// Applies a write to the current document, if there is one. Takes the write for its content, which becomes the document.
///
/// `earlier` holds the documents that the earlier writes of the commit resulted in, null for deleted ones.
/// Uniqueness across documents is left to the caller, who knows the other documents.
pub fn apply(
    schema: &CollectionSchema,
    write: Write,
    current: Option<&Map<String, Value>>,
    earlier: &[Option<Map<String, Value>>],
    now: &str,
) -> Result<Applied, Refusal> {
    check_write(schema, &write)?;
    let Write { id, operation, expected_version, guard, scope, embeds, .. } = write;
    let scope = scope.as_ref();
    if let Operation::Insert(body) = operation {
        if current.is_some() {
            return Err(Refusal::AlreadyExists);
        }
        check_id(&id)?;
        let body = embedded(body, embeds, earlier)?;
        return put(schema, scope, assemble(&id, 1, now, now, body));
    }
    let current = current
        .filter(|document| scope.is_none_or(|scope| in_scope(schema, scope, document)))
        .ok_or(Refusal::NotFound)?;
    let version = version_of(current);
    if let Some(expected) = expected_version
        && expected != version
    {
        return Err(Refusal::Version { expected, current: version });
    }
    if let Some(guard) = guard
        && !matches(schema, &guard, current)
    {
        return Err(Refusal::Guard);
    }
    match operation {
        Operation::Insert(body) | Operation::Replace(body) => {
            let body = embedded(body, embeds, earlier)?;
            let created = current.get("createdAt").and_then(Value::as_str).unwrap_or(now);
            put(schema, scope, assemble(&id, version + 1, created, now, body))
        }
        Operation::Update(operations) => {
            let mut document = current.clone();
            for operation in operations {
                operation::apply(&mut document, operation)?;
            }
            document.insert("version".to_owned(), Value::from(version + 1));
            document.insert("updatedAt".to_owned(), Value::from(now));
            put(schema, scope, document)
        }
        Operation::Delete => Ok(Applied::Deleted),
        Operation::Check => Ok(Applied::Unchanged),
    }
}

/// The version in a stored document.
pub fn version_of(document: &Map<String, Value>) -> u64 {
    document.get("version").and_then(Value::as_u64).unwrap_or(0)
}

/// Parts that do not fit the operation are mistakes of the caller, and are not ignored.
fn check_write(schema: &CollectionSchema, write: &Write) -> Result<(), Refusal> {
    let query = |error: QueryError| {
        let path = match &error {
            QueryError::UnknownFilter(path) | QueryError::WrongType { path } => path.clone(),
            _ => String::new(),
        };
        Refusal::Invalid { path, message: error.to_string() }
    };
    if let Some(guard) = &write.guard {
        check_filter(schema, guard).map_err(query)?;
    }
    if let Some(scope) = &write.scope {
        check_scope(schema, scope).map_err(query)?;
    }
    let inserts = matches!(write.operation, Operation::Insert(_));
    if inserts && (write.guard.is_some() || write.expected_version.is_some()) {
        return Err(invalid("", "an insert has neither a version nor a guard"));
    }
    if !write.embeds.is_empty() && !inserts && !matches!(write.operation, Operation::Replace(_)) {
        return Err(invalid("", "only an insert or a replace embeds documents"));
    }
    Ok(())
}

fn put(
    schema: &CollectionSchema,
    scope: Option<&Scope>,
    document: Map<String, Value>,
) -> Result<Applied, Refusal> {
    check_document(schema, &document)?;
    if let Some(scope) = scope
        && !in_scope(schema, scope, &document)
    {
        return Err(invalid(&scope.path, "would belong to another owner"));
    }
    Ok(Applied::Put(document))
}

fn embedded(
    mut body: Map<String, Value>,
    embeds: Vec<Embed>,
    earlier: &[Option<Map<String, Value>>],
) -> Result<Map<String, Value>, Refusal> {
    for embed in embeds {
        if HOST_MEMBERS.contains(&embed.member.as_str()) {
            return Err(invalid(&embed.member, "is kept by the host"));
        }
        if let Some(problem) = key_problem(&embed.member) {
            return Err(invalid(&embed.member, problem));
        }
        let Some(result) = earlier.get(embed.write) else {
            return Err(invalid(&embed.member, "embeds the result of a write that is not earlier"));
        };
        let value = match result {
            Some(document) => {
                let shown = document.iter().filter(|(name, _)| !is_hidden(name));
                let mut copy: Map<String, Value> =
                    shown.map(|(name, value)| (name.clone(), value.clone())).collect();
                copy.extend(embed.overlay);
                Value::Object(copy)
            }
            None => Value::Null,
        };
        body.insert(embed.member, value);
    }
    Ok(body)
}

/// Every document starts with the host's members, whatever the body says about them.
fn assemble(
    id: &str,
    version: u64,
    created: &str,
    updated: &str,
    body: Map<String, Value>,
) -> Map<String, Value> {
    let mut document = Map::with_capacity(body.len() + HOST_MEMBERS.len());
    document.insert("id".to_owned(), Value::from(id));
    document.insert("version".to_owned(), Value::from(version));
    document.insert("createdAt".to_owned(), Value::from(created));
    document.insert("updatedAt".to_owned(), Value::from(updated));
    document.extend(body.into_iter().filter(|(key, _)| !HOST_MEMBERS.contains(&key.as_str())));
    document
}

fn invalid(path: &str, message: &str) -> Refusal {
    Refusal::Invalid { path: path.to_owned(), message: message.to_owned() }
}
