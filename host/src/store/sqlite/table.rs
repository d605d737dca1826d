//! How a collection lies in the database.
//!
//! - `doc_<collection>`: one row per document, its JSON as text. `n` is what other tables refer to.
//! - Expression indexes over the JSON for single fields. Index and query use the same expression text, which
//!   is what makes SQLite use the one for the other.
//! - `multi_<collection>:<path>`: one row per distinct element of a multi field.
//! - `text_<collection>`: one row per token.

use std::sync::Arc;

use store_model::{
    Access, CollectionSchema, Document, Scalar,
    schema::{Field, HOST_MEMBERS},
};

use rusqlite::types::Value as SqlValue;

/// A collection, with the SQL that is needed all the time.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) schema: Arc<CollectionSchema>,
    /// The quoted name of the table of documents.
    pub(super) name: String,
    pub(super) get: String,
    pub(super) read: String,
    pub(super) insert: String,
    pub(super) update: String,
    pub(super) delete: String,
}

/// An object of the database that follows from a declaration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Derived {
    pub(super) drop: String,
    pub(super) create: Vec<String>,
}

impl Table {
    pub(super) fn new(schema: CollectionSchema) -> Self {
        let name = format!("\"doc_{}\"", schema.name);
        Self {
            get: format!("SELECT version, body FROM {name} d WHERE id = ?1"),
            read: format!("SELECT n, body FROM {name} WHERE id = ?1"),
            insert: format!("INSERT INTO {name} (id, version, body) VALUES (?1, ?2, ?3)"),
            update: format!("UPDATE {name} SET version = ?2, body = ?3 WHERE n = ?1"),
            delete: format!("DELETE FROM {name} WHERE n = ?1"),
            schema: Arc::new(schema),
            name,
        }
    }

    /// The expression for a single field. Declared paths hold nothing that would have to be escaped.
    pub(super) fn expression(path: &str) -> String {
        match path {
            "id" | "version" => path.to_owned(),
            _ => format!("json_extract(body,'$.\"{}\"')", path.replace('.', "\".\"")),
        }
    }

    /// The quoted name of the side table of a multi field.
    pub(super) fn side(&self, path: &str) -> String {
        format!("\"multi_{}:{path}\"", self.schema.name)
    }

    /// The quoted name of the token table.
    pub(super) fn tokens(&self) -> String {
        format!("\"text_{}\"", self.schema.name)
    }

    pub(super) fn multi_fields(&self) -> impl Iterator<Item = &Field> {
        self.schema.fields.iter().filter(|field| field.multi)
    }

    pub(super) fn create(&self) -> String {
        format!(
            "CREATE TABLE {} (n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, version INTEGER NOT NULL, \
             body TEXT NOT NULL) STRICT",
            self.name
        )
    }

    /// The side table of a multi field. The value has no declared type, so it is kept as it is given.
    pub(super) fn side_derived(&self, field: &Field) -> Derived {
        let side = self.side(&field.path);
        let key = if field.access == Access::Unique { "value" } else { "value, doc" };
        let index = format!("\"multi_{}:{} doc\"", self.schema.name, field.path);
        Derived {
            drop: format!("DROP TABLE {side}"),
            create: vec![
                format!(
                    "CREATE TABLE {side} (value NOT NULL, doc INTEGER NOT NULL REFERENCES {}(n), \
                     PRIMARY KEY ({key})) WITHOUT ROWID",
                    self.name
                ),
                format!("CREATE INDEX {index} ON {side}(doc, value)"),
            ],
        }
    }

    /// The token table, when texts are searched.
    pub(super) fn tokens_derived(&self) -> Option<Derived> {
        let tokens = self.tokens();
        let index = format!("\"text_{} doc\"", self.schema.name);
        (!self.schema.text.is_empty()).then(|| Derived {
            drop: format!("DROP TABLE {tokens}"),
            create: vec![
                format!(
                    "CREATE TABLE {tokens} (token TEXT NOT NULL, doc INTEGER NOT NULL REFERENCES {}(n), \
                     weight INTEGER NOT NULL, PRIMARY KEY (token, doc)) STRICT, WITHOUT ROWID",
                    self.name
                ),
                format!("CREATE INDEX {index} ON {tokens}(doc)"),
            ],
        })
    }

    /// All indexes on the table of documents.
    ///
    /// An index on a field that is not unique goes on with the id, so that it delivers sorted pages. A unique
    /// one needs no condition on null: SQLite lets nulls repeat.
    pub(super) fn indexes(&self) -> Vec<Derived> {
        let index = |kind: &str, label: &str, columns: &[String]| {
            let name = format!("\"index_{}:{label}\"", self.schema.name);
            Derived {
                drop: format!("DROP INDEX {name}"),
                create: vec![format!("CREATE {kind} {name} ON {}({})", self.name, columns.join(", "))],
            }
        };
        let id = || "id".to_owned();
        let mut indexes: Vec<Derived> = Vec::new();
        for field in self.schema.supplied_fields().iter().filter(|field| !field.multi) {
            let expression = Self::expression(&field.path);
            match field.access {
                Access::Index => indexes.push(index("INDEX", &field.path, &[expression, id()])),
                Access::Unique => indexes.push(index("UNIQUE INDEX", &field.path, &[expression])),
                Access::Scan => {}
            }
        }
        for path in &HOST_MEMBERS[2..] {
            indexes.push(index("INDEX", path, &[Self::expression(path), id()]));
        }
        for compound in &self.schema.indexes {
            let mut columns: Vec<String> =
                compound.fields.iter().map(|path| Self::expression(path)).collect();
            columns.push(id());
            // The space keeps a compound of one field apart from the index of that field.
            let index = index("INDEX", &format!("{} ", compound.fields.join(",")), &columns);
            if !indexes.contains(&index) {
                indexes.push(index);
            }
        }
        indexes
    }
}

/// A scalar as SQLite holds it. `json_extract` gives booleans as 0 and 1.
pub(super) fn sql_value(scalar: &Scalar) -> SqlValue {
    match scalar {
        Scalar::Null => SqlValue::Null,
        Scalar::Boolean(flag) => SqlValue::Integer(i64::from(*flag)),
        Scalar::Integer(number) => SqlValue::Integer(*number),
        Scalar::Text(text) => SqlValue::Text(text.clone()),
    }
}

/// A document from its columns.
pub(super) fn document(id: String, version: i64, json: String) -> Document {
    // Versions start at 1 and are written by us alone.
    Document { id, version: version.unsigned_abs(), json }
}
