//! Media: images that staff upload and everybody may see. A document says what an image is, a file holds its bytes.
//!
//! Invariants:
//! - A document never points at a missing file. The file is whole and on disk before the document is committed, and the
//!   document is gone before the file is taken away.
//! - No file is forgotten. Before the first byte is written a durable job says that the file is to be taken away in an
//!   hour; the commit of the document takes the job back. A crash anywhere between leaves a job and at most a file. The
//!   commit is refused once a worker has claimed the job, so the two cannot both win.
//! - Nothing else is ever deleted: files that no job names are left alone, whatever the store says of them. A host that
//!   was started on an empty store by mistake takes no media away.
//! - What is stored is one of a few image formats by its content (`image`), of a bounded size.
//!
//! Deliberately absent: HTTP, permissions, decoding and scaling, and any knowledge of what refers to an image but the
//! generic rule of [`Media::reference`].

mod image;
mod record;
mod storage;
mod upload;

use std::{fmt, path::Path, sync::Arc, time::Duration};

use serde_json::json;
use store_model::{Access, CollectionSchema, FieldKind, Filter, Operation, Query, Write};
use tokio::sync::Semaphore;

use self::storage::Storage;
use crate::{
    chain::chain,
    config::MediaConfig,
    store::{
        ReadError, Store,
        jobs::{Job, JobError, Jobs, NewJob},
    },
};

pub use self::{
    image::ImageKind,
    record::MediaRecord,
    storage::{FileStream, StorageError},
    upload::{StoredFile, Upload, UploadError},
};

/// The collection of the documents.
const COLLECTION: &str = "_media";
/// The field by which a collection says that its documents refer to media.
pub const REFERENCE_FIELD: &str = "media.url";
/// The job that takes a file away unless a document names it.
const REMOVAL: &str = "media-removal";
/// How long a file may be without a document. Much longer than any upload.
const GRACE: Duration = Duration::from_secs(60 * 60);
/// How long the removal of one file may take.
const LEASE: Duration = Duration::from_secs(60);
/// With the pauses between them, a storage may be away for two days.
const ATTEMPTS: u32 = 60;
/// Most files that one round takes away.
const ROUND: usize = 100;

/// Uploaded images. Clones share it.
#[derive(Clone)]
pub struct Media {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    jobs: Jobs,
    storage: Storage,
    config: MediaConfig,
    uploads: Arc<Semaphore>,
}

/// A document that refers to an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    pub collection: String,
    pub id: String,
}

/// What the host has to declare for media.
pub fn host_collections() -> Vec<CollectionSchema> {
    vec![CollectionSchema::host("media", "med"), Jobs::schema()]
}

impl Media {
    /// Opens the folder for the files, and makes it when it is missing.
    ///
    /// # Errors
    /// The folder cannot be used.
    pub fn open(store: Store, config: &MediaConfig, folder: &Path) -> Result<Self, StorageError> {
        let inner = Inner {
            jobs: Jobs::new(store.clone()),
            store,
            storage: Storage::open(folder.to_owned())?,
            uploads: Arc::new(Semaphore::new(config.max_uploads as usize)),
            config: config.clone(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Begins an upload, which writes nothing before it has seen what the file is.
    ///
    /// # Errors
    /// Too many are under way.
    pub fn upload(&self) -> Result<Upload, UploadError> {
        let permit = self.inner.uploads.clone().try_acquire_owned().map_err(|_| UploadError::Busy)?;
        Ok(Upload::new(self.clone(), permit))
    }

    /// What is known of an image.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn find(&self, id: &str) -> Result<Option<MediaRecord>, ReadError> {
        let found = self.inner.store.document_get_many(COLLECTION, &[id.to_owned()], None).await?;
        Ok(found.into_iter().next().flatten().and_then(|document| MediaRecord::of(&document)))
    }

    /// The bytes of an image, from `range`.
    ///
    /// # Errors
    /// Those of the storage.
    pub async fn read(
        &self,
        record: &MediaRecord,
        range: std::ops::Range<u64>,
    ) -> Result<FileStream, StorageError> {
        self.inner.storage.read(&record.file(), range).await
    }

    /// A document that refers to the image, in one of these collections. One refers to media if it declares an index
    /// on [`REFERENCE_FIELD`]; any address with the id in it counts, below whatever host it was given out.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn reference(&self, collections: &[String], id: &str) -> Result<Option<Reference>, ReadError> {
        for collection in collections {
            let declared = self.inner.store.collection(collection).and_then(|it| it.field(REFERENCE_FIELD));
            if !declared.is_some_and(|it| it.kind == FieldKind::Text && it.access != Access::Scan) {
                continue;
            }
            let filter = Filter::Contains(REFERENCE_FIELD.to_owned(), id.to_owned());
            let query = Query { filter, limit: 1, fields: vec!["id".to_owned()], ..Query::default() };
            let page = self.inner.store.document_find(collection, &query).await?;
            if let Some(document) = page.documents.into_iter().next() {
                return Ok(Some(Reference { collection: collection.clone(), id: document.id }));
            }
        }
        Ok(None)
    }

    /// The writes that delete an image: its document first, and its file when [`Self::collect`] comes to it.
    pub fn deletion(&self, record: &MediaRecord, expected_version: Option<u64>) -> Vec<Write> {
        let delete =
            Write { expected_version, ..Write::new(COLLECTION, record.id.as_str(), Operation::Delete) };
        vec![delete, self.removal(&record.id, &record.file(), Duration::ZERO)]
    }

    /// Takes files away that are due and that no document names; answers how many. What fails is tried again later.
    ///
    /// # Errors
    /// The jobs cannot be read or written.
    pub async fn collect(&self) -> Result<usize, JobError> {
        let jobs = &self.inner.jobs;
        let mut removed = 0;
        while removed < ROUND {
            let Some(job) = jobs.claim(&[REMOVAL], LEASE).await? else { break };
            match self.remove(&job).await {
                Ok(()) => {
                    jobs.complete(&job).await?;
                    removed += 1;
                }
                Err(reason) => {
                    tracing::warn!(cause = %reason, "A file of media was not deleted; it is tried again");
                    jobs.fail(&job, &reason).await?;
                }
            }
        }
        Ok(removed)
    }

    async fn remove(&self, job: &Job) -> Result<(), String> {
        let text = |name: &str| job.payload[name].as_str().unwrap_or_default();
        // The commits that make and delete documents leave no job for a file that is in use. This is the second lock.
        let used = self.find(text("id")).await.map_err(|error| chain(&error))?.is_some();
        if used || text("file").is_empty() {
            return Ok(());
        }
        self.inner.storage.remove(text("file")).await.map_err(|error| chain(&error))
    }

    /// The write that lets a file be taken away after a while.
    fn removal(&self, id: &str, file: &str, delay: Duration) -> Write {
        self.inner.jobs.enqueue(NewJob {
            kind: REMOVAL.to_owned(),
            payload: json!({ "id": id, "file": file }),
            delay,
            attempts_max: ATTEMPTS,
        })
    }
}

impl fmt::Debug for Media {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Media").finish_non_exhaustive()
    }
}
