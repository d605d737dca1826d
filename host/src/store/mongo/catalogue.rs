//! Which collections are declared, as the database says.
//!
//! The declarations are documents of a collection of their own, read when the store opens and again when
//! something does not fit: a collection nobody knows, or a write that the database refuses because another
//! host has changed the declaration. Besides, they are read every few seconds, so that queries of this host
//! find what another one has declared.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use arc_swap::ArcSwap;
use futures_util::TryStreamExt as _;
use mongodb::{
    ClientSession, Collection, Database,
    bson::{Document, doc},
};
use store_model::CollectionSchema;

use super::{
    fault::Fault,
    table::{Table, Tables},
    work::Work,
};

/// Holds the declarations. No collection of the store has a dot in its name.
pub(super) const COLLECTION: &str = "wares.collections";
/// How often the declarations are read again.
const ROUND: Duration = Duration::from_secs(5);

pub(super) struct Catalogue {
    entries: Collection<Document>,
    tables: ArcSwap<Tables>,
}

impl Catalogue {
    /// Reads the declarations.
    pub(super) async fn open(database: &Database) -> Result<Arc<Self>, Fault> {
        let catalogue = Arc::new(Self {
            entries: database.collection(COLLECTION),
            tables: ArcSwap::from_pointee(Tables::new()),
        });
        catalogue.reload().await?;
        tokio::spawn(keep_up(Arc::downgrade(&catalogue)));
        Ok(catalogue)
    }

    pub(super) fn tables(&self) -> Arc<Tables> {
        self.tables.load_full()
    }

    pub(super) fn entries(&self) -> &Collection<Document> {
        &self.entries
    }

    /// Reads all declarations.
    pub(super) async fn reload(&self) -> Result<(), Fault> {
        let mut entries = self.entries.find(doc! {}).await?;
        let mut tables = Tables::new();
        while let Some(entry) = entries.try_next().await? {
            let table = parse(&entry)?;
            tables.insert(table.schema.name.clone(), Arc::new(table));
        }
        self.tables.store(Arc::new(tables));
        Ok(())
    }

    /// The declaration of a collection, also of one that another host has declared a moment ago.
    pub(super) async fn table(&self, collection: &str) -> Result<Option<Arc<Table>>, Fault> {
        if let Some(table) = self.tables.load().get(collection) {
            return Ok(Some(table.clone()));
        }
        self.reload().await?;
        Ok(self.tables.load().get(collection).cloned())
    }

    /// All declarations of the moment that a session reads.
    pub(super) async fn read(
        entries: &Collection<Document>,
        session: &mut ClientSession,
    ) -> Result<Tables, Fault> {
        let mut found = entries.find(doc! {}).session(&mut *session).await?;
        let mut tables = Tables::new();
        while let Some(entry) = found.next(session).await.transpose()? {
            let table = parse(&entry)?;
            tables.insert(table.schema.name.clone(), Arc::new(table));
        }
        Ok(tables)
    }

    /// The declarations for a transaction.
    pub(super) async fn tables_for(&self, work: &Work) -> Result<Arc<Tables>, Fault> {
        let tables = self.tables();
        if work.collections().into_iter().all(|collection| tables.contains_key(collection)) {
            return Ok(tables);
        }
        self.reload().await?;
        Ok(self.tables())
    }
}

/// The entry of a declaration. The schema is JSON, so that it comes back as it was.
pub(super) fn entry(table: &Table) -> Result<Document, Fault> {
    let mut entry = doc! {
        "_id": &table.schema.name,
        "revision": table.revision,
        "schema": serde_json::to_string(&*table.schema)?,
    };
    if let Some(next) = &table.next {
        entry.insert("next", serde_json::to_string(&**next)?);
    }
    Ok(entry)
}

fn parse(entry: &Document) -> Result<Table, Fault> {
    let wrong = |error: mongodb::bson::error::Error| {
        Fault::Refused(format!("an entry of `{COLLECTION}` is no declaration: {error}"))
    };
    let schema: CollectionSchema = serde_json::from_str(entry.get_str("schema").map_err(wrong)?)?;
    let next = entry.get_str("next").ok().map(serde_json::from_str::<CollectionSchema>).transpose()?;
    let revision = entry.get_i32("revision").map_err(wrong)?;
    Ok(Table { schema: Arc::new(schema), next: next.map(Arc::new), revision })
}

async fn keep_up(catalogue: Weak<Catalogue>) {
    loop {
        tokio::time::sleep(ROUND).await;
        let Some(catalogue) = catalogue.upgrade() else { return };
        if let Err(fault) = catalogue.reload().await {
            tracing::debug!(error = &fault as &dyn std::error::Error, "The declarations were not read");
        }
    }
}
