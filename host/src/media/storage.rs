//! Where the files are kept: the only place that knows `object_store`.
//!
//! A file appears under its name whole or not at all, and when `finish` has answered it is on disk with the entry of its
//! folder. Until then its bytes are in a file beside it, which a crash leaves behind and [`Storage::remove`] takes away.

use std::{fs::DirBuilder, io, ops::Range, os::unix::fs::DirBuilderExt as _, path::PathBuf};

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt as _, TryStreamExt as _, stream::BoxStream};
use object_store::{
    GetOptions, GetRange, MultipartUpload, ObjectStore as _, ObjectStoreExt as _, local::LocalFileSystem,
    path::Path,
};

/// What is written at once.
const PART_BYTES: usize = 1024 * 1024;

/// A folder of files. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Storage {
    objects: LocalFileSystem,
    folder: PathBuf,
}

/// Why the storage did not do it.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    #[error("the folder `{}` for media cannot be used", .folder.display())]
    Folder {
        folder: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("there is no file `{file}`")]
    Missing { file: String },
    #[error("the file `{file}` cannot be {doing}")]
    Failed {
        file: String,
        doing: &'static str,
        #[source]
        source: object_store::Error,
    },
}

/// The content of a file, piece by piece.
pub type FileStream = BoxStream<'static, io::Result<Bytes>>;

impl Storage {
    /// The folder is made when it is missing, for its owner only.
    pub(super) fn open(folder: PathBuf) -> Result<Self, StorageError> {
        let refuse = |source| StorageError::Folder { folder: folder.clone(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(refuse)?;
        // The folder's own entry has to be as durable as the files that will lie in it.
        if let Some(parent) = folder.parent() {
            std::fs::File::open(parent).and_then(|parent| parent.sync_all()).map_err(refuse)?;
        }
        let objects = LocalFileSystem::new_with_prefix(&folder).map_err(|error| refuse(error.into()))?;
        // Off by default there: a file that is gone after a power cut would be one that a document points at.
        Ok(Self { objects: objects.with_fsync(true), folder })
    }

    /// Begins a file that must not be there.
    pub(super) async fn write(&self, file: &str) -> Result<StorageWriter, StorageError> {
        let upload = self.objects.put_multipart(&Path::from(file)).await.map_err(failed(file, "made"))?;
        Ok(StorageWriter { upload, part: BytesMut::new(), file: file.to_owned() })
    }

    /// A part of a file, or all of it.
    pub(super) async fn read(&self, file: &str, range: Range<u64>) -> Result<FileStream, StorageError> {
        let options = GetOptions { range: Some(GetRange::Bounded(range)), ..GetOptions::default() };
        match self.objects.get_opts(&Path::from(file), options).await {
            Ok(found) => Ok(found.into_stream().map_err(io::Error::other).boxed()),
            Err(object_store::Error::NotFound { .. }) => Err(StorageError::Missing { file: file.to_owned() }),
            Err(source) => Err(failed(file, "read")(source)),
        }
    }

    /// Takes a file away, and what a crash left of an attempt to write it. What is not there is no error.
    pub(super) async fn remove(&self, file: &str) -> Result<(), StorageError> {
        // The name that `LocalFileSystem` gives to what is not finished yet. It neither lists nor deletes it.
        let unfinished = self.folder.join(format!("{file}#1"));
        if let Err(source) = tokio::fs::remove_file(&unfinished).await
            && source.kind() != io::ErrorKind::NotFound
        {
            return Err(StorageError::Folder { folder: unfinished, source });
        }
        match self.objects.delete(&Path::from(file)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(source) => Err(failed(file, "deleted")(source)),
        }
    }
}

/// A file that is being written. When it is dropped, what was written is taken away.
#[derive(Debug)]
pub(super) struct StorageWriter {
    upload: Box<dyn MultipartUpload>,
    part: BytesMut,
    file: String,
}

impl StorageWriter {
    pub(super) async fn write(&mut self, bytes: &[u8]) -> Result<(), StorageError> {
        self.part.extend_from_slice(bytes);
        if self.part.len() >= PART_BYTES { self.write_part().await } else { Ok(()) }
    }

    /// Makes the file durable and gives it its name.
    pub(super) async fn finish(mut self) -> Result<(), StorageError> {
        if !self.part.is_empty() {
            self.write_part().await?;
        }
        self.upload.complete().await.map(drop).map_err(failed(&self.file, "finished"))
    }

    pub(super) async fn abort(mut self) -> Result<(), StorageError> {
        self.upload.abort().await.map_err(failed(&self.file, "given up"))
    }

    async fn write_part(&mut self) -> Result<(), StorageError> {
        let part = self.part.split().freeze();
        self.upload.put_part(part.into()).await.map_err(failed(&self.file, "written"))
    }
}

fn failed(file: &str, doing: &'static str) -> impl FnOnce(object_store::Error) -> StorageError {
    let file = file.to_owned();
    move |source| StorageError::Failed { file, doing, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn content(storage: &Storage, range: Range<u64>) -> Vec<u8> {
        let pieces: Vec<Bytes> = storage.read("a.png", range).await.unwrap().try_collect().await.unwrap();
        pieces.concat()
    }

    fn names(folder: &std::path::Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[tokio::test]
    async fn a_file_has_its_name_when_it_is_whole() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("media");
        let storage = Storage::open(folder.clone()).unwrap();
        let mut writer = storage.write("a.png").await.unwrap();
        let bytes: Vec<u8> = (0..PART_BYTES * 2 + 3).map(|at| at as u8).collect();
        for piece in bytes.chunks(300_000) {
            writer.write(piece).await.unwrap();
            assert_eq!(names(&folder), ["a.png#1"]);
        }
        assert!(matches!(storage.read("a.png", 0..1).await, Err(StorageError::Missing { .. })));
        writer.finish().await.unwrap();
        assert_eq!(names(&folder), ["a.png"]);
        assert_eq!(content(&storage, 0..bytes.len() as u64).await, bytes);
        assert_eq!(content(&storage, 7..9).await, bytes[7..9]);

        storage.remove("a.png").await.unwrap();
        storage.remove("a.png").await.unwrap();
        assert!(names(&folder).is_empty());
    }

    #[tokio::test]
    async fn what_is_not_finished_is_taken_away() {
        let place = tempfile::tempdir().unwrap();
        let storage = Storage::open(place.path().join("media")).unwrap();
        let folder = place.path().join("media");
        storage.write("a.png").await.unwrap().abort().await.unwrap();
        assert!(names(&folder).is_empty());
        // As a crash leaves it.
        std::mem::forget(storage.write("a.png").await.unwrap());
        assert_eq!(names(&folder), ["a.png#1"]);
        storage.remove("a.png").await.unwrap();
        assert!(names(&folder).is_empty());
    }
}
