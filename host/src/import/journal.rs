//! What of an import is done: a file below the data directory, so that a killed import goes on where it was.
//!
//! It is named by a hash of the imported file and of the options, and gone when the import has come to its end. Its
//! first line gives the import an id, of which the idempotency keys of stock are made; then each line tells of a batch:
//! `b` the products that are about to be created, `d` those that are done. A line that was cut off counts for nothing.
//!
//! It is not synced: what a kill leaves is what the system has, and after a loss of power the worst is work that is
//! done again, since products are found by their slug.

use std::{
    collections::BTreeSet,
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use ulid::Ulid;

const HEADER: &str = "wares import 1 ";

/// The journal of one import. Only one process has it open.
#[derive(Debug)]
pub struct Journal {
    id: String,
    path: PathBuf,
    file: Mutex<File>,
    done: Arc<Done>,
    begun: BTreeSet<u64>,
}

#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    #[error("another import of this file is running")]
    Running,
    #[error("the journal `{}` cannot be used", .path.display())]
    File {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// Numbers of what is done. Imports work from the front to the back, so nearly all are below one number.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Done {
    below: u64,
    above: BTreeSet<u64>,
}

impl Done {
    pub(super) fn contains(&self, index: u64) -> bool {
        index < self.below || self.above.contains(&index)
    }

    pub(super) fn count(&self) -> u64 {
        self.below + self.above.len() as u64
    }

    fn insert(&mut self, index: u64) {
        if index >= self.below {
            self.above.insert(index);
        }
        while self.above.remove(&self.below) {
            self.below += 1;
        }
    }
}

impl Journal {
    /// Opens the journal of this import, or begins one.
    ///
    /// # Errors
    /// Another process has it open, or the file system refuses.
    pub fn open(data_dir: &Path, hash: &str) -> Result<Self, JournalError> {
        let folder = data_dir.join("imports");
        let path = folder.join(format!("{hash}.journal"));
        let failed = |source| JournalError::File { path: path.clone(), source };
        fs::create_dir_all(&folder).map_err(failed)?;
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true);
        let mut file = options.open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(JournalError::Running),
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        let (id, done, begun) = match read(&mut file).map_err(failed)? {
            Some(known) => known,
            None => {
                let id = Ulid::generate().to_string();
                file.set_len(0).and_then(|()| writeln!(file, "{HEADER}{id}")).map_err(failed)?;
                (id, Done::default(), BTreeSet::new())
            }
        };
        Ok(Self { id, path, file: Mutex::new(file), done: Arc::new(done), begun })
    }

    /// Whether an earlier run of this import was interrupted.
    pub fn is_continued(&self) -> bool {
        self.done.count() > 0 || !self.begun.is_empty()
    }

    /// How many products or categories earlier runs have done.
    pub fn done_count(&self) -> u64 {
        self.done.count()
    }

    /// Identifies the import, also when it is continued.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// What earlier runs have done.
    pub(super) fn done(&self) -> &Arc<Done> {
        &self.done
    }

    /// Whether an earlier run was about to create this, because the shop did not have it.
    pub(super) fn was_begun(&self, index: u64) -> bool {
        self.begun.contains(&index)
    }

    pub(super) fn begin(&self, indices: &[u64]) -> io::Result<()> {
        self.append('b', indices)
    }

    pub(super) fn finish(&self, indices: &[u64]) -> io::Result<()> {
        self.append('d', indices)
    }

    fn append(&self, mark: char, indices: &[u64]) -> io::Result<()> {
        if indices.is_empty() {
            return Ok(());
        }
        let mut line = String::from(mark);
        indices.iter().for_each(|index| line += &format!(" {index}"));
        line.push('\n');
        self.file.lock().unwrap_or_else(PoisonError::into_inner).write_all(line.as_bytes())
    }

    /// Removes the journal: the import has come to its end.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn remove(self) -> io::Result<()> {
        fs::remove_file(&self.path)
    }
}

type Known = (String, Done, BTreeSet<u64>);

/// What the file says; none when it is new, or was cut off in its first line.
fn read(file: &mut File) -> io::Result<Option<Known>> {
    file.seek(SeekFrom::Start(0))?;
    let mut reader = BufReader::new(&mut *file);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let Some(id) = line.strip_prefix(HEADER).and_then(|id| id.strip_suffix('\n')).map(str::to_owned) else {
        return Ok(None);
    };
    let (mut done, mut begun) = (Done::default(), BTreeSet::new());
    let mut whole = line.len();
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            break;
        }
        // The last line may be cut off; what is written next must not become a part of it.
        let Some(text) = line.strip_suffix('\n') else { break };
        whole += line.len();
        let (mark, numbers) = text.split_once(' ').unwrap_or((text, ""));
        for index in numbers.split(' ').filter_map(|number| number.parse().ok()) {
            match mark {
                "b" => {
                    begun.insert(index);
                }
                _ => done.insert(index),
            }
        }
        begun.retain(|index| !done.contains(*index));
    }
    drop(reader);
    file.set_len(whole as u64)?;
    Ok(Some((id, done, begun)))
}

/// A hash of the file and of what is done with it, and how many lines the file has.
///
/// # Errors
/// Those of the file system.
pub fn file_hash(path: &Path, fingerprint: &str) -> io::Result<(String, u64)> {
    let mut file = File::open(path)?;
    let mut hasher = blake3::Hasher::new();
    let (mut chunk, mut lines) = (vec![0; 256 * 1024], 0);
    loop {
        let read = file.read(&mut chunk)?;
        if read == 0 {
            break;
        }
        let part = chunk.get(..read).unwrap_or_default();
        hasher.update(part);
        lines += part.iter().filter(|byte| **byte == b'\n').count() as u64;
    }
    hasher.update(fingerprint.as_bytes());
    Ok((hasher.finalize().to_hex()[..32].to_owned(), lines))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_done_is_remembered_and_a_cut_line_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(folder.path(), "a").unwrap();
        journal.begin(&[0, 1, 2, 7]).unwrap();
        journal.finish(&[1, 0]).unwrap();
        journal.finish(&[7]).unwrap();
        assert!(matches!(Journal::open(folder.path(), "a"), Err(JournalError::Running)));
        let (id, path) = (journal.id().to_owned(), journal.path.clone());
        drop(journal);
        let mut text = fs::read_to_string(&path).unwrap();
        text += "d 2 3";
        fs::write(&path, text).unwrap();

        let journal = Journal::open(folder.path(), "a").unwrap();
        assert_eq!(journal.id(), id);
        let done: Vec<u64> = (0..10).filter(|index| journal.done().contains(*index)).collect();
        assert_eq!((done, journal.done().count()), (vec![0, 1, 7], 3));
        assert!(journal.was_begun(2) && !journal.was_begun(7) && !journal.was_begun(3));
        journal.finish(&[3]).unwrap();
        drop(journal);
        let journal = Journal::open(folder.path(), "a").unwrap();
        assert!(journal.done().contains(3) && !journal.done().contains(2));
        assert_ne!(Journal::open(folder.path(), "b").unwrap().id(), id);
        journal.remove().unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn a_journal_cut_off_in_its_first_line_is_begun_again() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("imports")).unwrap();
        fs::write(folder.path().join("imports/a.journal"), "wares imp").unwrap();
        let journal = Journal::open(folder.path(), "a").unwrap();
        let id = journal.id().to_owned();
        drop(journal);
        assert_eq!(Journal::open(folder.path(), "a").unwrap().id(), id);
    }

    #[test]
    fn the_options_are_part_of_the_hash() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        fs::write(&path, "a\nb\n").unwrap();
        let (one, lines) = file_hash(&path, "USD").unwrap();
        assert_eq!(lines, 2);
        assert_ne!(one, file_hash(&path, "EUR").unwrap().0);
        assert_eq!(one, file_hash(&path, "USD").unwrap().0);
    }
}
