//! One commit inside the writer's transaction.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use rusqlite::{Connection, OptionalExtension, ToSql, params, types::Value as SqlValue};
use serde_json::{Map, Value};
use store_model::{
    CollectionSchema, Document, Scalar, commit::Transaction, evaluate::values_at, path, text::document_tokens,
};

use super::{
    fault::Fault,
    table::{Table, sql_value},
};

pub(super) type Tables = HashMap<String, Arc<Table>>;

/// Runs the statements of a commit. Savepoints are the writer's business.
pub(super) struct SqlTransaction<'a> {
    connection: &'a Connection,
    tables: &'a Tables,
    /// The row of the document that was read last; a put or delete is always of that one.
    row: Option<i64>,
}

impl<'a> SqlTransaction<'a> {
    pub(super) fn new(connection: &'a Connection, tables: &'a Tables) -> Self {
        Self { connection, tables, row: None }
    }

    fn table(&self, collection: &str) -> Result<&'a Table, Fault> {
        self.tables.get(collection).map(Arc::as_ref).ok_or(Fault::Stopped)
    }

    fn execute(&self, sql: &str, params: impl rusqlite::Params) -> Result<usize, Fault> {
        Ok(self.connection.prepare_cached(sql)?.execute(params)?)
    }
}

impl Transaction for SqlTransaction<'_> {
    type Error = Fault;

    fn schema(&self, collection: &str) -> Option<Arc<CollectionSchema>> {
        self.tables.get(collection).map(|table| table.schema.clone())
    }

    fn read(&mut self, collection: &str, id: &str) -> Result<Option<Map<String, Value>>, Fault> {
        let table = self.table(collection)?;
        let mut statement = self.connection.prepare_cached(&table.read)?;
        let row = statement
            .query_row([id], |row| {
                let body = row.get_ref(1)?.as_str()?;
                Ok((row.get::<_, i64>(0)?, serde_json::from_str::<Map<String, Value>>(body)))
            })
            .optional()?;
        self.row = row.as_ref().map(|(n, _)| *n);
        Ok(row.map(|(_, body)| body).transpose()?)
    }

    fn holder(&mut self, collection: &str, path: &str, value: &Scalar) -> Result<Option<String>, Fault> {
        let table = self.table(collection)?;
        let multi = table.schema.field(path).is_some_and(|field| field.multi);
        let sql = if multi {
            format!(
                "SELECT d.id FROM {} s JOIN {} d ON d.n = s.doc WHERE s.value = ?1",
                table.side(path),
                table.name
            )
        } else {
            format!("SELECT id FROM {} WHERE {} = ?1", table.name, table.expression(path))
        };
        let mut statement = self.connection.prepare_cached(&sql)?;
        Ok(statement.query_row([sql_value(value)], |row| row.get(0)).optional()?)
    }

    fn put(
        &mut self,
        collection: &str,
        old: Option<&Map<String, Value>>,
        new: &Map<String, Value>,
        document: &Document,
    ) -> Result<(), Fault> {
        let table = self.table(collection)?;
        let version = document.version.cast_signed();
        let n = match self.row {
            Some(n) => {
                let (sql, values) = table.update(old, new);
                self.execute(&sql, &*row(&[&n, &version, &document.json], &values))?;
                n
            }
            None => {
                let values = table.values(new);
                self.execute(&table.insert, &*row(&[&document.id, &version, &document.json], &values))?;
                self.connection.last_insert_rowid()
            }
        };
        derive(self.connection, table, n, old, Some(new))
    }

    fn delete(&mut self, collection: &str, _id: &str, old: &Map<String, Value>) -> Result<(), Fault> {
        let table = self.table(collection)?;
        let n = self.row.ok_or(Fault::Stopped)?;
        derive(self.connection, table, n, Some(old), None)?;
        self.execute(&table.delete, [n])?;
        Ok(())
    }
}

/// The parameters of a statement: those that every row has, and the columns of fields.
fn row<'p>(first: &[&'p dyn ToSql], columns: &'p [SqlValue]) -> Vec<&'p dyn ToSql> {
    first.iter().copied().chain(columns.iter().map(|value| value as &dyn ToSql)).collect()
}

/// Brings side tables and tokens from an old document to a new one. Only what differs is touched.
pub(super) fn derive(
    connection: &Connection,
    table: &Table,
    n: i64,
    old: Option<&Map<String, Value>>,
    new: Option<&Map<String, Value>>,
) -> Result<(), Fault> {
    for field in table.multi_fields() {
        derive_side(connection, table, &field.path, n, old, new)?;
    }
    derive_tokens(connection, table, n, old, new)
}

/// The same for one side table.
pub(super) fn derive_side(
    connection: &Connection,
    table: &Table,
    path: &str,
    n: i64,
    old: Option<&Map<String, Value>>,
    new: Option<&Map<String, Value>>,
) -> Result<(), Fault> {
    let elements = |document: Option<&Map<String, Value>>| -> BTreeSet<Scalar> {
        document
            .map(|document| values_at(&table.schema, document, path))
            .unwrap_or_default()
            .into_iter()
            .collect()
    };
    let (old, new) = (elements(old), elements(new));
    if old == new {
        return Ok(());
    }
    let side = table.side(path);
    let change = |sql: String, values: Vec<&Scalar>| -> Result<(), Fault> {
        if values.is_empty() {
            return Ok(());
        }
        let mut statement = connection.prepare_cached(&sql)?;
        for value in values {
            statement.execute([sql_value(value), SqlValue::Integer(n)])?;
        }
        Ok(())
    };
    change(format!("DELETE FROM {side} WHERE value = ?1 AND doc = ?2"), old.difference(&new).collect())?;
    change(format!("INSERT INTO {side} (value, doc) VALUES (?1, ?2)"), new.difference(&old).collect())
}

/// The same for the token table.
pub(super) fn derive_tokens(
    connection: &Connection,
    table: &Table,
    n: i64,
    old: Option<&Map<String, Value>>,
    new: Option<&Map<String, Value>>,
) -> Result<(), Fault> {
    if table.schema.text.is_empty() {
        return Ok(());
    }
    // Splitting texts costs more than comparing them, and most updates leave them alone.
    if let (Some(old), Some(new)) = (old, new)
        && table
            .schema
            .text
            .iter()
            .all(|field| path::walk(old, &field.path).leaves == path::walk(new, &field.path).leaves)
    {
        return Ok(());
    }
    let tokens = |document: Option<&Map<String, Value>>| {
        document.map(|document| document_tokens(&table.schema, document)).unwrap_or_default()
    };
    let (old, new) = (tokens(old), tokens(new));
    let name = table.tokens();
    let mut delete =
        connection.prepare_cached(&format!("DELETE FROM {name} WHERE token = ?1 AND doc = ?2"))?;
    for token in old.keys().filter(|token| !new.contains_key(*token)) {
        delete.execute(params![token, n])?;
    }
    let mut upsert = connection.prepare_cached(&format!(
        "INSERT INTO {name} (token, doc, weight) VALUES (?1, ?2, ?3) \
         ON CONFLICT DO UPDATE SET weight = excluded.weight"
    ))?;
    for (token, weight) in new.iter().filter(|(token, weight)| old.get(*token) != Some(*weight)) {
        upsert.execute(params![token, n, weight])?;
    }
    Ok(())
}
