//! Whether everything that is derived agrees with the documents.

use std::collections::BTreeSet;

use rusqlite::Connection;
use serde_json::{Map, Value};
use store_model::{
    Scalar, apply::version_of, evaluate::values_at, text::document_tokens, validate::check_document,
};

use super::{
    declare::each_document,
    fault::Fault,
    open::check,
    table::{Table, sql_value},
    transaction::Tables,
};

/// What is wrong with the database, nothing when all is well. SQLite compares the indexes, we the rest.
pub(super) fn verify(connection: &Connection, tables: &Tables) -> Result<Vec<String>, Fault> {
    let mut problems = check(connection, "integrity_check")?;
    for table in tables.values() {
        let name = &table.schema.name;
        let mut documents = 0_u64;
        each_document(connection, table, |n, id, document| {
            documents += 1;
            if let Some(problem) = document_problem(connection, table, n, id, document)? {
                problems.push(format!("{name}/{id}: {problem}"));
            }
            Ok(())
        })?;
        let sql = format!("SELECT id FROM {} WHERE {} ORDER BY id", table.name, table.disagreement());
        let mut statement = connection.prepare(&sql)?;
        for id in statement.query_map([], |row| row.get::<_, String>(0))? {
            problems.push(format!("{name}/{}: the columns of fields do not agree", id?));
        }
        let sides = table.multi_fields().map(|field| table.side(&field.path));
        let tokens = table.tokens_derived().map(|_| table.tokens());
        for side in sides.chain(tokens) {
            let sql = format!("SELECT COUNT(*) FROM {side} WHERE doc NOT IN (SELECT n FROM {})", table.name);
            let orphans: i64 = connection.query_row(&sql, [], |row| row.get(0))?;
            if orphans > 0 {
                problems.push(format!("{name}: {orphans} rows of {side} belong to no document"));
            }
        }
    }
    Ok(problems)
}

fn document_problem(
    connection: &Connection,
    table: &Table,
    n: i64,
    id: &str,
    document: &Map<String, Value>,
) -> Result<Option<String>, Fault> {
    if let Err(refusal) = check_document(&table.schema, document) {
        return Ok(Some(refusal.to_string()));
    }
    let version: i64 = connection
        .prepare_cached(&format!("SELECT version FROM {} WHERE n = ?1", table.name))?
        .query_row([n], |row| row.get(0))?;
    if document.get("id").and_then(Value::as_str) != Some(id)
        || version_of(document) != version.unsigned_abs()
    {
        return Ok(Some("the members kept by the host do not agree with the row".to_owned()));
    }
    for field in table.multi_fields() {
        let expected: BTreeSet<Scalar> =
            values_at(&table.schema, document, &field.path).into_iter().collect();
        let sql = format!("SELECT value FROM {} WHERE doc = ?1", table.side(&field.path));
        let mut statement = connection.prepare_cached(&sql)?;
        let rows = statement.query_map([n], |row| row.get::<_, rusqlite::types::Value>(0))?;
        let stored = rows.collect::<rusqlite::Result<Vec<_>>>()?;
        if stored.len() != expected.len() || !expected.iter().all(|value| stored.contains(&sql_value(value)))
        {
            return Ok(Some(format!("the side table of `{}` does not agree", field.path)));
        }
    }
    if table.schema.text.is_empty() {
        return Ok(None);
    }
    let mut statement =
        connection.prepare_cached(&format!("SELECT token, weight FROM {} WHERE doc = ?1", table.tokens()))?;
    let rows = statement.query_map([n], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let stored = rows.collect::<rusqlite::Result<_>>()?;
    Ok((document_tokens(&table.schema, document) != stored).then(|| "the tokens do not agree".to_owned()))
}
