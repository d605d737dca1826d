//! One upload: from bytes as they come to a file that waits for its document.

use bytes::{Bytes, BytesMut};
use store_model::{Operation, Write};
use tokio::sync::OwnedSemaphorePermit;

use super::{
    COLLECTION, GRACE, Media,
    image::{self, HEAD_BYTES, Header, HeaderError, ImageKind},
    record::{Facts, file_name},
    storage::{StorageError, StorageWriter},
};
use crate::{chain::chain, store::CommitError};

/// A file that is coming in. When it is dropped its bytes are taken away, now or by its job.
#[derive(Debug)]
pub struct Upload {
    media: Media,
    declared: Option<String>,
    hasher: Box<blake3::Hasher>,
    size_bytes: u64,
    /// The beginning, until it is long enough to say what the file is.
    head: BytesMut,
    started: Option<Started>,
    _permit: OwnedSemaphorePermit,
}

#[derive(Debug)]
struct Started {
    header: Header,
    writer: StorageWriter,
    place: Place,
}

/// Where a file is, and the job that takes it away.
#[derive(Debug, Clone)]
struct Place {
    id: String,
    file: String,
    job: String,
}

/// A file that is whole and on disk, and that no document names yet.
#[derive(Debug)]
pub struct StoredFile {
    media: Media,
    place: Place,
    facts: Facts,
}

/// Why a file was not taken. Nothing of it stays.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    #[error("too many uploads are under way")]
    Busy,
    #[error("the file is empty")]
    Empty,
    #[error("the file has more than {limit} bytes")]
    TooLarge { limit: u64 },
    #[error("the file is no PNG, JPEG, GIF, WebP or AVIF image")]
    NotAnImage,
    #[error("the file is `{}`, not `{declared}`", .found.content_type())]
    Mismatch { declared: String, found: ImageKind },
    #[error("the file begins like `{}` and does not say its width and height", .found.content_type())]
    Damaged { found: ImageKind },
    #[error(
        "the image has {width} × {height} pixels, and at most {max_side} per side and {max_pixels} in all are taken"
    )]
    Dimensions { width: u64, height: u64, max_side: u32, max_pixels: u64 },
    #[error("the file cannot be kept")]
    Storage(#[source] StorageError),
    #[error("the job of the file cannot be kept")]
    Store(#[source] CommitError),
}

impl Upload {
    pub(super) fn new(media: Media, permit: OwnedSemaphorePermit) -> Self {
        Self {
            media,
            declared: None,
            hasher: Box::default(),
            size_bytes: 0,
            head: BytesMut::new(),
            started: None,
            _permit: permit,
        }
    }

    /// What the client says the file is, as a media type. It has to be true; `application/octet-stream` says nothing.
    pub fn declare(&mut self, content_type: &str) {
        self.declared = Some(content_type.to_ascii_lowercase()).filter(|it| it != "application/octet-stream");
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// As soon as it is clear that the file will not be taken.
    pub async fn write(&mut self, bytes: &Bytes) -> Result<(), UploadError> {
        self.size_bytes = self.size_bytes.saturating_add(bytes.len() as u64);
        let limit = self.media.inner.config.max_bytes;
        if self.size_bytes > limit {
            return Err(UploadError::TooLarge { limit });
        }
        self.hasher.update(bytes);
        if let Some(started) = &mut self.started {
            return started.writer.write(bytes).await.map_err(UploadError::Storage);
        }
        self.head.extend_from_slice(bytes);
        if self.head.len() >= HEAD_BYTES { self.start().await.map(drop) } else { Ok(()) }
    }

    /// Ends the file and makes it durable.
    ///
    /// # Errors
    /// The file is not taken, or cannot be kept.
    pub async fn finish(mut self) -> Result<StoredFile, UploadError> {
        if self.size_bytes == 0 {
            return Err(UploadError::Empty);
        }
        if self.started.is_none() {
            self.start().await?;
        }
        let Some(Started { header, writer, place }) = self.started.take() else {
            return Err(UploadError::Empty);
        };
        if let Err(error) = writer.finish().await {
            self.media.give_up(&place).await;
            return Err(UploadError::Storage(error));
        }
        let facts = Facts {
            kind: header.kind,
            size_bytes: self.size_bytes,
            width: header.width,
            height: header.height,
            blake3: self.hasher.finalize(),
        };
        Ok(StoredFile { media: self.media.clone(), place, facts })
    }

    /// Gives the file up.
    pub async fn abort(mut self) {
        let Some(Started { writer, place, .. }) = self.started.take() else { return };
        if let Err(error) = writer.abort().await {
            // Its job takes it away.
            tracing::warn!(cause = %chain(&error), "An upload that was given up left its file");
            return;
        }
        self.media.give_up(&place).await;
    }

    /// Looks at the beginning, and begins to write.
    async fn start(&mut self) -> Result<(), UploadError> {
        let header = self.checked()?;
        let store = &self.media.inner.store;
        let id = store.id_new("med");
        let file = file_name(&id, header.kind);
        let removal = self.media.removal(&id, &file, GRACE);
        let place = Place { id, file, job: removal.id.clone() };
        store.commit(vec![removal]).await.map_err(UploadError::Store)?;
        let mut writer = match self.media.inner.storage.write(&place.file).await {
            Ok(writer) => writer,
            Err(error) => {
                self.media.give_up(&place).await;
                return Err(UploadError::Storage(error));
            }
        };
        let head = self.head.split();
        let written = writer.write(&head).await;
        self.started = Some(Started { header, writer, place });
        written.map_err(UploadError::Storage)
    }

    fn checked(&self) -> Result<Header, UploadError> {
        let header = image::header(&self.head).map_err(|error| match error {
            HeaderError::Unknown => UploadError::NotAnImage,
            HeaderError::Damaged(found) => UploadError::Damaged { found },
        })?;
        if let Some(declared) = &self.declared
            && ImageKind::of_content_type(declared) != Some(header.kind)
        {
            return Err(UploadError::Mismatch { declared: declared.clone(), found: header.kind });
        }
        let Header { width, height, .. } = header;
        let (max_side, max_pixels) = (self.media.inner.config.max_side, self.media.inner.config.max_pixels);
        if width.max(height) > u64::from(max_side) || width.saturating_mul(height) > max_pixels {
            return Err(UploadError::Dimensions { width, height, max_side, max_pixels });
        }
        Ok(header)
    }
}

impl StoredFile {
    pub fn id(&self) -> &str {
        &self.place.id
    }

    /// The hash of the bytes.
    pub fn blake3(&self) -> blake3::Hash {
        self.facts.blake3
    }

    /// The writes that make it a resource; the first one inserts the document. They are refused when the file may have
    /// been taken away meanwhile.
    pub fn writes(&self, url: &str, alt: &str) -> Vec<Write> {
        let body = self.facts.body(url, alt);
        let insert = Write::new(COLLECTION, self.place.id.as_str(), Operation::Insert(body));
        vec![insert, self.media.inner.jobs.cancellation(&self.place.job)]
    }

    /// Takes it away again.
    pub async fn discard(self) {
        self.media.give_up(&self.place).await;
    }
}

impl Media {
    /// Takes a file away that will get no document, and its job. What fails is left to the job.
    async fn give_up(&self, place: &Place) {
        if let Err(error) = self.inner.storage.remove(&place.file).await {
            tracing::warn!(cause = %chain(&error), "A file that is not wanted stays until its job comes");
            return;
        }
        let cancellation = self.inner.jobs.cancellation(&place.job);
        if let Err(error) = self.inner.store.commit(vec![cancellation]).await {
            tracing::debug!(cause = %chain(&error), "The job of a file that is gone stays until it comes due");
        }
    }
}
