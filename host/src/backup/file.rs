//! Backups as files.

use std::{
    fs::File,
    io::{self, BufWriter, ErrorKind, Write},
    path::{Path, PathBuf},
};

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, stream};
use tempfile::NamedTempFile;
use tokio::io::AsyncReadExt;

use super::{Chunks, Item, Sink, SourceError, TransferError};

/// Bytes that are read at once.
const READ_BYTES: usize = 256 * 1024;

/// A backup being written. The file is there under its name only when it is whole: until then it lies beside it, for
/// its owner only, and goes away when this is dropped.
#[derive(Debug)]
pub struct BackupFile {
    writer: BufWriter<NamedTempFile>,
    path: PathBuf,
    replace: bool,
}

impl BackupFile {
    /// Begins a file. One that is there already is an error, unless it may be replaced.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn create(path: &Path, replace: bool) -> io::Result<Self> {
        if !replace && path.symlink_metadata().is_ok() {
            return Err(ErrorKind::AlreadyExists.into());
        }
        let name = path.file_name().ok_or(ErrorKind::InvalidInput)?;
        let mut prefix = std::ffi::OsString::from(".");
        prefix.push(name);
        // 0600 from the start: it holds password hashes.
        let file = tempfile::Builder::new().prefix(&prefix).suffix(".part").tempfile_in(folder(path))?;
        Ok(Self { writer: BufWriter::with_capacity(READ_BYTES, file), path: path.to_owned(), replace })
    }

    /// Makes what was written durable, and gives it its name.
    ///
    /// # Errors
    /// Those of the file system, and a file of that name that came meanwhile.
    pub fn finish(self) -> io::Result<()> {
        let Self { writer, path, replace } = self;
        let file = writer.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.as_file().sync_all()?;
        let persisted = if replace { file.persist(&path) } else { file.persist_noclobber(&path) };
        persisted.map_err(|error| error.error)?;
        File::open(folder(&path))?.sync_all()
    }
}

/// For what is written to a file in the same way and is no backup.
impl Write for BackupFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

impl Sink for BackupFile {
    async fn take(&mut self, chunk: &Bytes, _: Vec<Item>) -> Result<(), TransferError> {
        self.writer.write_all(chunk).map_err(TransferError::Write)
    }
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

/// The chunks of a file.
///
/// # Errors
/// The file cannot be opened.
pub async fn read_file(path: &Path) -> io::Result<Chunks> {
    let file = tokio::fs::File::open(path).await?;
    let chunks = stream::try_unfold(file, async |mut file| {
        let mut chunk = BytesMut::with_capacity(READ_BYTES);
        let read = file.read_buf(&mut chunk).await.map_err(SourceError::from)?;
        Ok((read > 0).then(|| (chunk.freeze(), file)))
    });
    Ok(chunks.boxed())
}
