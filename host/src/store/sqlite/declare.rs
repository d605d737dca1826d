//! Declaring collections: tables and indexes follow the declaration, all in one transaction.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use rusqlite::{Connection, params};
use serde_json::{Map, Value};
use store_model::{
    Access, CollectionSchema, DeclareRefused, Refusal, Scalar,
    evaluate::values_at,
    schema::{Field, Violations},
    validate::check_document,
};

use super::{
    fault::Fault,
    table::{Derived, Table},
    transaction::{Tables, derive_side, derive_tokens},
};

/// Why a declaration failed.
#[derive(Debug)]
pub(super) enum DeclareFailed {
    Refused(DeclareRefused),
    Fault(Fault),
}

impl<T: Into<Fault>> From<T> for DeclareFailed {
    fn from(fault: T) -> Self {
        Self::Fault(fault.into())
    }
}

/// The collections that earlier runs declared.
pub(super) fn load(connection: &Connection) -> Result<Tables, Fault> {
    let mut statement = connection.prepare("SELECT schema FROM collection")?;
    let mut rows = statement.query([])?;
    let mut tables = Tables::new();
    while let Some(row) = rows.next()? {
        let schema: CollectionSchema =
            serde_json::from_str(row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?)?;
        tables.insert(schema.name.clone(), Arc::new(Table::new(schema)));
    }
    Ok(tables)
}

/// Brings a database of the first format to the second, in a transaction of the caller: fields that had an index over
/// the JSON get columns.
pub(super) fn give_columns(connection: &Connection) -> Result<(), Fault> {
    for table in load(connection)?.values() {
        let indexes = table.indexes();
        indexes.iter().try_for_each(|index| connection.execute_batch(&index.drop))?;
        table.change_columns(&[]).iter().try_for_each(|sql| connection.execute_batch(sql))?;
        indexes.iter().try_for_each(|index| make(connection, index))?;
    }
    Ok(())
}

/// Changes the database to fit the declarations, in a transaction of the caller. The result replaces the
/// tables once that is committed.
pub(super) fn declare(
    connection: &Connection,
    tables: &Tables,
    schemas: Vec<CollectionSchema>,
) -> Result<Tables, DeclareFailed> {
    let mut tables = tables.clone();
    for schema in schemas {
        let old = tables.get(&schema.name).cloned();
        if old.as_ref().is_some_and(|old| *old.schema == schema) {
            continue;
        }
        let table = Table::new(schema);
        match &old {
            Some(old) => change(connection, old, &table)?,
            None => create(connection, &table)?,
        }
        let json = serde_json::to_string(&*table.schema)?;
        connection.execute(
            "INSERT INTO collection (name, schema) VALUES (?1, ?2) \
             ON CONFLICT DO UPDATE SET schema = excluded.schema",
            params![table.schema.name, json],
        )?;
        tables.insert(table.schema.name.clone(), Arc::new(table));
    }
    Ok(tables)
}

/// Takes every collection but one out of the database, in a transaction of the caller. The result replaces the
/// tables once that is committed.
pub(super) fn clear(connection: &Connection, tables: &Tables, keep: &str) -> Result<Tables, Fault> {
    for table in tables.values().filter(|table| table.schema.name != keep) {
        let sides = table.multi_fields().map(|field| table.side_derived(field));
        // What refers to the documents goes first.
        for derived in sides.chain(table.tokens_derived()) {
            connection.execute_batch(&derived.drop)?;
        }
        connection.execute_batch(&format!("DROP TABLE {}", table.name))?;
        connection.execute("DELETE FROM collection WHERE name = ?1", [&table.schema.name])?;
    }
    Ok(tables
        .iter()
        .filter(|(name, _)| *name == keep)
        .map(|(name, table)| (name.clone(), table.clone()))
        .collect())
}

fn create(connection: &Connection, table: &Table) -> Result<(), Fault> {
    connection.execute_batch(&table.create())?;
    for field in table.multi_fields() {
        make(connection, &table.side_derived(field))?;
    }
    if let Some(tokens) = table.tokens_derived() {
        make(connection, &tokens)?;
    }
    table.indexes().iter().try_for_each(|index| make(connection, index))
}

fn change(connection: &Connection, old: &Table, new: &Table) -> Result<(), DeclareFailed> {
    check_stored(connection, new)?;
    let (indexes, kept) = (old.indexes(), new.indexes());
    for gone in indexes.iter().filter(|index| !kept.contains(index)) {
        connection.execute_batch(&gone.drop)?;
    }
    new.change_columns(old.columns()).iter().try_for_each(|sql| connection.execute_batch(sql))?;
    let sides = |table: &Table| -> BTreeMap<String, Derived> {
        table.multi_fields().map(|field| (field.path.clone(), table.side_derived(field))).collect()
    };
    let (old_sides, new_sides) = (sides(old), sides(new));
    for (path, side) in &old_sides {
        if new_sides.get(path) != Some(side) {
            connection.execute_batch(&side.drop)?;
        }
    }
    let mut paths = Vec::new();
    for (path, side) in &new_sides {
        if old_sides.get(path) != Some(side) {
            make(connection, side)?;
            paths.push(path.as_str());
        }
    }
    let tokens = old.schema.text != new.schema.text;
    if tokens {
        if let Some(tokens) = old.tokens_derived() {
            connection.execute_batch(&tokens.drop)?;
        }
        if let Some(tokens) = new.tokens_derived() {
            make(connection, &tokens)?;
        }
    }
    if tokens || !paths.is_empty() {
        each_document(connection, new, |n, _, document| {
            for path in &paths {
                derive_side(connection, new, path, n, None, Some(document))?;
            }
            if tokens {
                derive_tokens(connection, new, n, None, Some(document))?;
            }
            Ok(())
        })?;
    }
    for added in kept.iter().filter(|index| !indexes.contains(index)) {
        make(connection, added)?;
    }
    Ok(())
}

fn make(connection: &Connection, derived: &Derived) -> Result<(), Fault> {
    derived.create.iter().try_for_each(|sql| Ok(connection.execute_batch(sql)?))
}

/// Whether the stored documents fit the new declaration. Reads them all, which is rare and worth it: what is
/// checked at commit can be relied on everywhere else.
fn check_stored(connection: &Connection, table: &Table) -> Result<(), DeclareFailed> {
    let mut kinds = Violations::new(&table.schema);
    let unique = table.schema.fields.iter().filter(|field| field.access == Access::Unique);
    let mut unique: Vec<(&Field, HashMap<Scalar, String>, Violations)> =
        unique.map(|field| (field, HashMap::new(), Violations::new(&table.schema))).collect();
    each_document(connection, table, |_, id, document| {
        if let Err(refusal) = check_document(&table.schema, document) {
            kinds.add(id, &refusal);
        }
        for (field, holders, violations) in &mut unique {
            for value in values_at(&table.schema, document, &field.path) {
                if let Some(holder) = holders.get(&value) {
                    let (path, holder) = (field.path.clone(), holder.clone());
                    violations.add(id, &Refusal::Unique { path, value, id: holder });
                } else {
                    holders.insert(value, id.to_owned());
                }
            }
        }
        Ok(())
    })?;
    kinds.finish().map_err(DeclareFailed::Refused)?;
    for (_, _, mut violations) in unique {
        violations.finish().map_err(DeclareFailed::Refused)?;
    }
    Ok(())
}

/// Calls back with row, id and body of every document, by id.
pub(super) fn each_document(
    connection: &Connection,
    table: &Table,
    mut visit: impl FnMut(i64, &str, &Map<String, Value>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let mut statement = connection.prepare(&format!("SELECT n, id, body FROM {} ORDER BY id", table.name))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let text = |column| row.get_ref(column).and_then(|value| Ok(value.as_str()?));
        visit(row.get(0)?, text(1)?, &serde_json::from_str(text(2)?)?)?;
    }
    Ok(())
}
