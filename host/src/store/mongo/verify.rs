//! Whether everything that is derived agrees with the documents.

use mongodb::bson::{Document, RawArrayBuf, RawDocument, doc};
use store_model::{apply::version_of, validate::check_document};

use super::{Mongo, bson::body_to_map, fault::Fault, indexes::names, table::Table};
use crate::store::error::ReadError;

impl Mongo {
    /// What is wrong with the database, nothing when all is well. MongoDB compares the indexes, we the rest.
    pub(super) async fn verify_all(&self) -> Result<Vec<String>, ReadError> {
        self.catalogue.reload().await?;
        let mut problems = Vec::new();
        for table in self.catalogue.tables().values() {
            let name = &table.schema.name;
            let there = names(&self.database, name).await?;
            for index in table.indexes() {
                if !there.contains(&index.name) {
                    problems.push(format!("{name}: the index `{}` is missing", index.name));
                }
            }
            self.each_record(&self.records(table), Document::new(), doc! {}, |record| {
                if let Some(problem) = record_problem(table, record)? {
                    problems.push(format!("{name}/{}: {problem}", record.get_str("_id")?));
                }
                Ok(())
            })
            .await?;
        }
        Ok(problems)
    }
}

fn record_problem(table: &Table, record: &RawDocument) -> Result<Option<String>, Fault> {
    let document = body_to_map(record.get_document("doc")?)?;
    if let Err(refusal) = check_document(&table.schema, &document) {
        return Ok(Some(refusal.to_string()));
    }
    if document.get("id").and_then(serde_json::Value::as_str) != Some(record.get_str("_id")?)
        || version_of(&document) == 0
    {
        return Ok(Some("the members kept by the host do not agree with the record".to_owned()));
    }
    if table.next.is_none() && record.get_i32("s")? != table.revision {
        return Ok(Some("the record follows an earlier declaration".to_owned()));
    }
    let (values, tokens) = table.derived(&document)?;
    let stored = record.get("k")?.and_then(|values| values.as_document().map(RawDocument::to_owned));
    let stored = stored.unwrap_or_default();
    for field in table.schema.fields.iter().filter(|field| field.multi) {
        let name = super::table::multi_name(&field.path);
        // Values of a field that is not declared any more do no harm.
        if stored.get(&name)? != values.get(&name)? {
            return Ok(Some(format!("the values of `{}` do not agree", field.path)));
        }
    }
    let stored = record.get("t")?.and_then(|tokens| tokens.as_array().map(ToOwned::to_owned));
    let same = stored.unwrap_or_else(RawArrayBuf::new) == tokens;
    Ok((!same).then(|| "the words do not agree".to_owned()))
}
