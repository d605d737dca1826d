//! How a collection lies in the database.
//!
//! - `doc_<collection>`: one row per document, its JSON as text. `n` is what other tables refer to.
//! - In it a column `field:<path>` for each single field that has an index. An update sets those that changed, and SQLite
//!   touches the indexes of these only; one over an expression of the JSON it would renew at every update.
//! - `multi_<collection>:<path>`: one row per distinct element of a multi field.
//! - `text_<collection>`: one row per token.

use std::{fmt::Write as _, sync::Arc};

use serde_json::{Map, Value};
use store_model::{
    Access, CollectionSchema, Document, Scalar,
    evaluate::scalar_at,
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
    pub(super) delete: String,
    /// The paths that have columns of their own, in the order of the columns.
    columns: Vec<String>,
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
        let columns = indexed_paths(&schema);
        let (mut into, mut values) = (String::new(), String::new());
        for (position, path) in columns.iter().enumerate() {
            let _ = write!(into, ", {}", column(path));
            let _ = write!(values, ", ?{}", position + 4);
        }
        Self {
            get: format!("SELECT version, body FROM {name} d WHERE id = ?1"),
            read: format!("SELECT n, body FROM {name} WHERE id = ?1"),
            insert: format!("INSERT INTO {name} (id, version, body{into}) VALUES (?1, ?2, ?3{values})"),
            delete: format!("DELETE FROM {name} WHERE n = ?1"),
            schema: Arc::new(schema),
            columns,
            name,
        }
    }

    /// The expression for a single field.
    pub(super) fn expression(&self, path: &str) -> String {
        match path {
            "id" | "version" => path.to_owned(),
            _ if self.columns.iter().any(|column| column == path) => column(path),
            _ => extract(path),
        }
    }

    /// What a document has in each column.
    pub(super) fn values(&self, document: &Map<String, Value>) -> Vec<SqlValue> {
        self.columns.iter().map(|path| sql_value(&scalar_at(document, path))).collect()
    }

    /// The statement that brings a row from an old document to a new one, and what it sets besides row number, version
    /// and body. It names only the columns that change, since SQLite renews the indexes of all that are named.
    pub(super) fn update(
        &self,
        old: Option<&Map<String, Value>>,
        new: &Map<String, Value>,
    ) -> (String, Vec<SqlValue>) {
        let mut sql = format!("UPDATE {} SET version = ?2, body = ?3", self.name);
        let mut values = Vec::new();
        for path in &self.columns {
            let value = scalar_at(new, path);
            if old.is_none_or(|old| scalar_at(old, path) != value) {
                values.push(sql_value(&value));
                let _ = write!(sql, ", {} = ?{}", column(path), values.len() + 3);
            }
        }
        sql.push_str(" WHERE n = ?1");
        (sql, values)
    }

    /// A condition that holds where a column does not have what the document has.
    pub(super) fn disagreement(&self) -> String {
        let differs = |path: &String| format!("{} IS NOT {}", column(path), extract(path));
        let all: Vec<String> = self.columns.iter().map(differs).collect();
        all.join(" OR ")
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
        let columns: String = self.columns.iter().map(|path| format!("{} ANY, ", column(path))).collect();
        format!(
            "CREATE TABLE {} (n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, version INTEGER NOT NULL, \
             {columns}body TEXT NOT NULL) STRICT",
            self.name
        )
    }

    /// The statements that give a table with the columns of `old` those of this one, filled from the documents. No
    /// index may be on a column that goes. New columns come behind the body, where they are found more slowly than those of a
    /// table that had them from the start.
    pub(super) fn change_columns(&self, old: &[String]) -> Vec<String> {
        let gone = old.iter().filter(|path| !self.columns.contains(path));
        let mut statements: Vec<String> =
            gone.map(|path| format!("ALTER TABLE {} DROP COLUMN {}", self.name, column(path))).collect();
        let added: Vec<&String> = self.columns.iter().filter(|path| !old.contains(path)).collect();
        for path in &added {
            statements.push(format!("ALTER TABLE {} ADD COLUMN {} ANY", self.name, column(path)));
        }
        if !added.is_empty() {
            let set: Vec<String> =
                added.iter().map(|path| format!("{} = {}", column(path), extract(path))).collect();
            statements.push(format!("UPDATE {} SET {}", self.name, set.join(", ")));
        }
        statements
    }

    pub(super) fn columns(&self) -> &[String] {
        &self.columns
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
            let expression = self.expression(&field.path);
            match field.access {
                Access::Index => indexes.push(index("INDEX", &field.path, &[expression, id()])),
                Access::Unique => indexes.push(index("UNIQUE INDEX", &field.path, &[expression])),
                Access::Scan => {}
            }
        }
        for path in &HOST_MEMBERS[2..] {
            indexes.push(index("INDEX", path, &[self.expression(path), id()]));
        }
        for compound in &self.schema.indexes {
            let mut columns: Vec<String> = compound.fields.iter().map(|path| self.expression(path)).collect();
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

/// The single fields that have an index, alone or with others, besides those that every table has a column for.
fn indexed_paths(schema: &CollectionSchema) -> Vec<String> {
    let mut paths: Vec<String> = HOST_MEMBERS[2..].iter().map(|&path| path.to_owned()).collect();
    let fields = schema.supplied_fields();
    let indexed = fields.iter().filter(|field| !field.multi && field.access != Access::Scan);
    let compound = schema.indexes.iter().flat_map(|index| &index.fields);
    for path in indexed.map(|field| &field.path).chain(compound) {
        if !HOST_MEMBERS.contains(&path.as_str()) && !paths.contains(path) {
            paths.push(path.clone());
        }
    }
    paths
}

/// The quoted name of a field's column. In brackets, because what is in quotes and no column SQLite takes for a text.
fn column(path: &str) -> String {
    format!("[field:{path}]")
}

/// The value of a field, out of the document. Declared paths hold nothing that would have to be escaped.
fn extract(path: &str) -> String {
    format!("json_extract(body,'$.\"{}\"')", path.replace('.', "\".\""))
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
