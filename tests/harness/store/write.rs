//! Short ways to write writes.

use serde_json::{Map, Value};
use store_model::{FieldOperation, Filter, Operation, Scope, Write};

/// The members of a JSON object.
pub fn members(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        other => panic!("not an object: {other}"),
    }
}

pub fn write(collection: &str, id: &str, operation: Operation) -> Write {
    Write::new(collection, id, operation)
}

pub fn insert(collection: &str, id: &str, body: Value) -> Write {
    write(collection, id, Operation::Insert(members(body)))
}

pub fn replace(collection: &str, id: &str, body: Value) -> Write {
    write(collection, id, Operation::Replace(members(body)))
}

pub fn update(collection: &str, id: &str, operations: Vec<FieldOperation>) -> Write {
    write(collection, id, Operation::Update(operations))
}

pub fn delete(collection: &str, id: &str) -> Write {
    write(collection, id, Operation::Delete)
}

pub fn check(collection: &str, id: &str) -> Write {
    write(collection, id, Operation::Check)
}

pub fn set(path: &str, value: Value) -> FieldOperation {
    FieldOperation::Set { path: path.to_owned(), value }
}

pub fn increment(path: &str, by: i64) -> FieldOperation {
    FieldOperation::Increment { path: path.to_owned(), by }
}

/// Conditions of a write.
pub trait Conditions {
    #[must_use]
    fn guard(self, guard: Filter) -> Self;
    #[must_use]
    fn version(self, version: u64) -> Self;
    #[must_use]
    fn owner(self, path: &str, owner: &str) -> Self;
}

impl Conditions for Write {
    fn guard(mut self, guard: Filter) -> Self {
        self.guard = Some(guard);
        self
    }

    fn version(mut self, version: u64) -> Self {
        self.expected_version = Some(version);
        self
    }

    fn owner(mut self, path: &str, owner: &str) -> Self {
        self.scope = Some(scope(path, owner));
        self
    }
}

pub fn scope(path: &str, owner: &str) -> Scope {
    Scope::new(path, owner)
}
