//! Indexes on the server. Building one does not keep others from reading and writing.

use mongodb::{
    Database,
    bson::{Bson, Document, doc},
};

use super::{
    fault::{Fault, code},
    table::{INDEX_PREFIX, TableIndex},
};

const NAMESPACE_NOT_FOUND: i32 = 26;
const NAMESPACE_EXISTS: i32 = 48;
const INDEX_NOT_FOUND: i32 = 27;

/// What has to be on most servers before we go on.
pub(super) fn concern() -> Bson {
    Bson::Document(doc! { "w": "majority", "j": true })
}

/// Makes the collection if it is not there, and lets it take records of this revision only.
pub(super) async fn fence(database: &Database, collection: &str, revision: i32) -> Result<(), Fault> {
    let create = doc! { "create": collection, "validator": { "s": revision }, "writeConcern": concern() };
    match database.run_command(create).await {
        Ok(_) => return Ok(()),
        Err(error) if code(&error) == Some(NAMESPACE_EXISTS) => {}
        Err(error) => return Err(error.into()),
    }
    let change = doc! {
        "collMod": collection, "validator": { "s": revision }, "validationLevel": "strict",
        "validationAction": "error", "writeConcern": concern(),
    };
    database.run_command(change).await?;
    Ok(())
}

/// The names of our indexes.
pub(super) async fn names(database: &Database, collection: &str) -> Result<Vec<String>, Fault> {
    let mut names = database.collection::<Document>(collection).list_index_names().await?;
    names.retain(|name| name.starts_with(INDEX_PREFIX));
    Ok(names)
}

/// Makes those of the indexes that are missing.
pub(super) async fn make(
    database: &Database,
    collection: &str,
    indexes: impl IntoIterator<Item = &TableIndex>,
) -> Result<(), Fault> {
    let there = names(database, collection).await?;
    let missing: Vec<Document> =
        indexes.into_iter().filter(|index| !there.contains(&index.name)).map(TableIndex::command).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let create = doc! {
        "createIndexes": collection, "indexes": missing, "commitQuorum": "majority", "writeConcern": concern(),
    };
    database.run_command(create).await?;
    Ok(())
}

/// Removes those of our indexes that are not among these.
pub(super) async fn keep(database: &Database, collection: &str, indexes: &[TableIndex]) -> Result<(), Fault> {
    let mut gone = names(database, collection).await?;
    gone.retain(|name| indexes.iter().all(|index| index.name != *name));
    if gone.is_empty() {
        return Ok(());
    }
    let drop = doc! { "dropIndexes": collection, "index": gone, "writeConcern": concern() };
    match database.run_command(drop).await {
        Err(error) if code(&error) != Some(INDEX_NOT_FOUND) => Err(error.into()),
        _ => Ok(()),
    }
}

/// Removes a collection that nothing was declared for.
pub(super) async fn remove(database: &Database, collection: &str) -> Result<(), Fault> {
    let drop = doc! { "drop": collection, "writeConcern": concern() };
    match database.run_command(drop).await {
        Err(error) if code(&error) != Some(NAMESPACE_NOT_FOUND) => Err(error.into()),
        _ => Ok(()),
    }
}
