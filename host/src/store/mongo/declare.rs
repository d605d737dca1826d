//! Declaring collections while others read and write.
//!
//! A new collection is made with its indexes, and then it is declared. A change of one that holds documents
//! goes in steps, and any host may write at any time between them:
//!
//! 1. Documents that do not fit refuse the change before anything is done.
//! 2. The declaration that comes is announced, and the collection takes records of a new revision only. From
//!    here on every record follows both declarations: a host that knows one only is refused by the server and
//!    reads the announcement.
//! 3. Indexes are built, and the records from before are written anew.
//! 4. Documents are looked at once more, since one may have come after the first look.
//! 5. The change is declared, together with all others of the call. What nobody needs any more is removed.
//!
//! What fails on the way is taken back: the old declaration gets a new revision of its own.

use std::{collections::HashMap, sync::Arc};

use mongodb::bson::{Document, RawArrayBuf, RawDocumentBuf, doc, raw::cstr, rawdoc};
use serde_json::{Map, Value};
use store_model::{
    Access, CollectionSchema, DeclareRefused, Refusal, Scalar,
    apply::version_of,
    evaluate::values_at,
    schema::{Field, Violations},
    validate::check_document,
};

use tokio::time::timeout;

use super::{
    Mongo,
    bson::body_to_map,
    catalogue::entry,
    commit::PATIENCE,
    fault::Fault,
    indexes::{fence, keep, make, remove},
    lease::Lease,
    table::{Table, TableIndex, indexes},
    transaction::durable,
};
use crate::store::error::DeclareError;

/// Records that are written anew with one command.
const BATCH: i64 = 100;

enum Failed {
    Refused(DeclareRefused),
    Fault(Fault),
}

impl<T: Into<Fault>> From<T> for Failed {
    fn from(fault: T) -> Self {
        Self::Fault(fault.into())
    }
}

impl Mongo {
    pub(super) async fn declare_all(&self, schemas: Vec<CollectionSchema>) -> Result<(), DeclareError> {
        if self.is_declared(&schemas) {
            return Ok(());
        }
        let _own = self.declaring.lock().await;
        let unavailable = |fault: Fault| DeclareError::Unavailable(fault.into());
        let lease = Lease::take(&self.database).await.map_err(unavailable)?;
        let declared = self.declare_leased(schemas).await;
        if let Err(fault) = lease.give_back().await {
            // It runs out.
            tracing::warn!(error = &fault as &dyn std::error::Error, "The lease was not given back");
        }
        declared.map_err(|failed| match failed {
            Failed::Refused(refused) => DeclareError::Refused(refused),
            Failed::Fault(fault) => unavailable(fault),
        })
    }

    fn is_declared(&self, schemas: &[CollectionSchema]) -> bool {
        let tables = self.catalogue.tables();
        schemas.iter().all(|schema| {
            tables.get(&schema.name).is_some_and(|table| *table.schema == *schema && table.next.is_none())
        })
    }

    async fn declare_leased(&self, schemas: Vec<CollectionSchema>) -> Result<(), Failed> {
        // Another host may have declared meanwhile.
        timeout(PATIENCE, self.catalogue.reload()).await.unwrap_or(Err(Fault::Late))?;
        let tables = self.catalogue.tables();
        let mut changes = Vec::new();
        for schema in schemas {
            let old = tables.get(&schema.name);
            if old.is_some_and(|old| *old.schema == schema && old.next.is_none()) {
                continue;
            }
            if let Some(old) = old {
                self.check_stored(old, &schema).await?;
            }
            changes.push((old.cloned(), Arc::new(schema)));
        }
        let mut begun = Vec::new();
        let mut result = Ok(());
        for (old, schema) in &changes {
            begun.push(old.clone());
            result = match old {
                Some(old) => self.change(old, schema).await,
                None => self.create(schema).await,
            };
            if result.is_err() {
                break;
            }
        }
        if result.is_ok() {
            result = self.publish(&changes).await;
        }
        if let Err(failed) = result {
            for (old, (_, schema)) in begun.iter().zip(&changes) {
                self.take_back(old.as_deref(), schema).await;
            }
            return Err(failed);
        }
        self.catalogue.reload().await?;
        for (old, schema) in &changes {
            if old.is_some()
                && let Err(fault) = keep(&self.database, &schema.name, &indexes(schema)).await
            {
                tracing::warn!(
                    collection = schema.name,
                    error = &fault as &dyn std::error::Error,
                    "Indexes that nobody needs any more were not removed"
                );
            }
        }
        Ok(())
    }

    async fn create(&self, schema: &Arc<CollectionSchema>) -> Result<(), Failed> {
        let table = Table { schema: schema.clone(), next: None, revision: 1 };
        if self.records(&table).find_one(doc! {}).await?.is_some() {
            let name = &schema.name;
            let found = format!("the database has a collection `{name}` that is not of this store");
            return Err(Fault::Refused(found).into());
        }
        fence(&self.database, &schema.name, table.revision).await?;
        make(&self.database, &schema.name, &table.indexes()).await?;
        Ok(())
    }

    async fn change(&self, old: &Table, schema: &Arc<CollectionSchema>) -> Result<(), Failed> {
        let table =
            Table { schema: old.schema.clone(), next: Some(schema.clone()), revision: old.revision + 1 };
        let name = &schema.name;
        self.announce(&table).await?;
        let (unique, other): (Vec<TableIndex>, Vec<TableIndex>) =
            indexes(schema).into_iter().partition(|index| index.unique.is_some());
        make(&self.database, name, &other).await?;
        self.write_anew(&table).await?;
        if let Err(fault) = make(&self.database, name, &unique).await {
            // The documents say which ones are in the way.
            self.check_stored(&table, schema).await?;
            return Err(fault.into());
        }
        self.check_stored(&table, schema).await
    }

    /// Makes a declaration known to all hosts, and records of other revisions unacceptable.
    async fn announce(&self, table: &Table) -> Result<(), Failed> {
        let name = &table.schema.name;
        self.catalogue.entries().replace_one(doc! { "_id": name }, entry(table)?).await?;
        self.catalogue.reload().await?;
        fence(&self.database, name, table.revision).await?;
        Ok(())
    }

    /// Declares everything at once.
    async fn publish(&self, changes: &[(Option<Arc<Table>>, Arc<CollectionSchema>)]) -> Result<(), Failed> {
        let mut session = self.client.start_session().await?;
        session.start_transaction().write_concern(durable()).await?;
        for (old, schema) in changes {
            let revision = old.as_ref().map_or(1, |old| old.revision + 1);
            let table = Table { schema: schema.clone(), next: None, revision };
            let entries = self.catalogue.entries();
            entries
                .replace_one(doc! { "_id": &schema.name }, entry(&table)?)
                .upsert(true)
                .session(&mut session)
                .await?;
        }
        session.commit_transaction().await?;
        Ok(())
    }

    /// Goes back to what was declared before. Where this fails too, the announcement stays, and the next
    /// declaration goes on from there.
    async fn take_back(&self, old: Option<&Table>, schema: &CollectionSchema) {
        let name = &schema.name;
        let result = match old {
            Some(old) => {
                let table = Table { next: None, revision: old.revision + 2, ..old.clone() };
                async {
                    self.announce(&table).await?;
                    self.write_anew(&table).await?;
                    keep(&self.database, name, &table.indexes()).await?;
                    Ok(())
                }
                .await
            }
            None => remove(&self.database, name).await.map_err(Failed::Fault),
        };
        if let Err(Failed::Fault(fault)) = result {
            tracing::warn!(
                collection = name,
                error = &fault as &dyn std::error::Error,
                "A refused declaration was not taken back"
            );
        }
    }

    /// Writes the records anew that follow an earlier declaration. None is added any more, so it comes to an
    /// end.
    async fn write_anew(&self, table: &Table) -> Result<(), Failed> {
        let records = self.majority.collection::<RawDocumentBuf>(&table.schema.name);
        let mut last = String::new();
        loop {
            let earlier = doc! { "_id": { "$gt": &last }, "s": { "$ne": table.revision } };
            let batch = records.find(earlier).projection(doc! { "doc": 1 }).sort(doc! { "_id": 1 });
            let mut found = batch.limit(BATCH).await?;
            let mut updates = RawArrayBuf::new();
            while found.advance().await? {
                let record = found.current();
                last = record.get_str("_id")?.to_owned();
                updates.push(anew(table, &body_to_map(record.get_document("doc")?)?)?);
            }
            if updates.is_empty() {
                return Ok(());
            }
            let mut command = RawDocumentBuf::new();
            command.append(cstr!("update"), table.schema.name.as_str());
            command.append(cstr!("updates"), updates);
            command.append(cstr!("writeConcern"), rawdoc! { "w": "majority", "j": true });
            let reply = self.database.run_raw_command(command).await?;
            if let Ok(errors) = reply.get_array("writeErrors") {
                return Err(Fault::Refused(format!("{errors:?}")).into());
            }
        }
    }

    /// Whether the stored documents fit a declaration. Reads them all, which is rare and worth it: what is
    /// checked at commit can be relied on everywhere else.
    async fn check_stored(&self, table: &Table, schema: &CollectionSchema) -> Result<(), Failed> {
        let mut kinds = Violations::new(schema);
        let unique = schema.fields.iter().filter(|field| field.access == Access::Unique);
        let mut unique: Vec<(&Field, HashMap<Scalar, String>, Violations)> =
            unique.map(|field| (field, HashMap::new(), Violations::new(schema))).collect();
        self.each_record(&self.records(table), Document::new(), doc! { "doc": 1 }, |record| {
            let id = record.get_str("_id")?;
            let document = body_to_map(record.get_document("doc")?)?;
            if let Err(refusal) = check_document(schema, &document) {
                kinds.add(id, &refusal);
            }
            for (field, holders, violations) in &mut unique {
                for value in values_at(schema, &document, &field.path) {
                    if let Some(holder) = holders.get(&value) {
                        let (path, holder) = (field.path.clone(), holder.clone());
                        violations.add(id, &Refusal::Unique { path, value, id: holder });
                    } else {
                        holders.insert(value, id.to_owned());
                    }
                }
            }
            Ok(())
        })
        .await?;
        kinds.finish().map_err(Failed::Refused)?;
        for (_, _, mut violations) in unique {
            violations.finish().map_err(Failed::Refused)?;
        }
        Ok(())
    }
}

/// The update that brings the derived members of a record up to date, if its document is still the same.
fn anew(table: &Table, document: &Map<String, Value>) -> Result<RawDocumentBuf, Fault> {
    let id = document.get("id").and_then(Value::as_str).unwrap_or_default();
    let (values, tokens) = table.derived(document)?;
    let mut set = rawdoc! { "s": table.revision };
    let mut unset = RawDocumentBuf::new();
    if values.is_empty() {
        unset.append(cstr!("k"), 1);
    } else {
        set.append(cstr!("k"), values);
    }
    if tokens.is_empty() {
        unset.append(cstr!("t"), 1);
    } else {
        set.append(cstr!("t"), tokens);
    }
    let mut update = rawdoc! { "$set": set };
    if !unset.is_empty() {
        update.append(cstr!("$unset"), unset);
    }
    // A document that was changed meanwhile was written anew by that.
    let query = rawdoc! { "_id": id, "doc.version": version_of(document).cast_signed() };
    Ok(rawdoc! { "q": query, "u": update })
}
