//! The product CSV of Shopify, in and out. `docs/IMPORT.md` has the mapping.
//!
//! Rows of one handle that stand together are one product. A handle that comes back later is a change of it.

mod cells;
mod columns;
mod merge;
mod product;
mod write;

#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, VecDeque},
    fs::File,
    hash::{DefaultHasher, Hash, Hasher},
    io::{self, Read},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use csv::{ByteRecord, Position};
use iso_currency::Currency;

use self::columns::{Column, Header, Row};
pub(super) use self::merge::{Sheet, completed, merged};
pub use self::write::Writer;
use super::{CategoryFrom, Draft, ImportError, Item, Mistake, Place};
use crate::seed::text;

/// Longest row. A quote that is not closed makes one row of the rest of the file, which must not fill the memory.
const ROW_BYTES: usize = 8 * 1024 * 1024;

/// Most rows of one product that are held at once: more than its variants and pictures can be.
const ROWS_MAX: usize = 1_000;

/// What decides how cells are read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Settings {
    pub(super) currency: Currency,
    pub(super) category_from: Option<CategoryFrom>,
}

/// The products of a file.
pub(super) struct Reader<R> {
    csv: csv::Reader<Bounded<R>>,
    seen: Arc<Seen>,
    header: Arc<Header>,
    settings: Settings,
    row: u64,
    index: u64,
    /// The first row of the next product.
    next: Option<Row>,
    queue: VecDeque<Item>,
    /// Hashes of slugs, and of the handles that they were made of.
    slugs: HashMap<u64, u64>,
    ended: bool,
}

/// Reads until a row gets too long.
struct Bounded<R> {
    input: R,
    seen: Arc<Seen>,
}

/// What has passed on its way to the parser.
#[derive(Debug, Default)]
struct Seen {
    /// Bytes since the last whole row.
    since_row: AtomicUsize,
    /// Whether there was a line break, and whether it was `\r\n`. The parser ends a row at the `\r` then, and counts the
    /// `\n` for the next one, so that rows seem to begin a line early.
    broke: AtomicBool,
    crlf: AtomicBool,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.seen.since_row.load(Ordering::Relaxed) > ROW_BYTES {
            return Err(io::Error::other(format!(
                "a row has more than {ROW_BYTES} bytes; is a quote not closed?"
            )));
        }
        let read = self.input.read(buffer)?;
        self.seen.since_row.fetch_add(read, Ordering::Relaxed);
        if !self.seen.broke.load(Ordering::Relaxed) {
            let before = buffer.iter().take(read).position(|byte| *byte == b'\n');
            if let Some(position) = before {
                let crlf = position.checked_sub(1).and_then(|at| buffer.get(at)) == Some(&b'\r');
                self.seen.crlf.store(crlf, Ordering::Relaxed);
                self.seen.broke.store(true, Ordering::Relaxed);
            }
        }
        Ok(read)
    }
}

impl Reader<File> {
    pub(super) fn open(path: &Path, settings: Settings) -> Result<Self, ImportError> {
        Self::new(File::open(path).map_err(ImportError::Read)?, settings)
    }
}

impl<R: Read> Reader<R> {
    pub(super) fn new(input: R, settings: Settings) -> Result<Self, ImportError> {
        let seen = Arc::new(Seen::default());
        let input = Bounded { input, seen: seen.clone() };
        // The header is read as a row, because it may not be UTF-8 either.
        let mut csv = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .buffer_capacity(256 * 1024)
            .from_reader(input);
        let mut first = ByteRecord::new();
        csv.read_byte_record(&mut first).map_err(unreadable)?;
        let (header, warnings) = Header::read(&first)?;
        Ok(Self {
            csv,
            seen,
            header: Arc::new(header),
            settings,
            row: 1,
            index: 0,
            next: None,
            queue: warnings.into_iter().map(Item::Warning).collect(),
            slugs: HashMap::new(),
            ended: false,
        })
    }

    fn row(&mut self) -> Result<Option<Row>, ImportError> {
        if let Some(row) = self.next.take() {
            return Ok(Some(row));
        }
        let mut record = ByteRecord::new();
        loop {
            self.seen.since_row.store(0, Ordering::Relaxed);
            if !self.csv.read_byte_record(&mut record).map_err(unreadable)? {
                return Ok(None);
            }
            self.row += 1;
            // Spreadsheets leave rows of commas behind.
            if !record.iter().all(<[u8]>::is_empty) {
                let early = u64::from(self.seen.crlf.load(Ordering::Relaxed));
                let line = record.position().map_or(0, Position::line) + early;
                return Ok(Some(Row::new(&self.header, &record, Place { row: self.row, line })));
            }
        }
    }

    /// Queues the next product with what is wrong about it; false at the end of the file.
    fn product(&mut self) -> Result<bool, ImportError> {
        let Some(first) = self.row()? else { return Ok(false) };
        let handle = first.cell(&self.header, Column::Handle).to_owned();
        let title = first.cell(&self.header, Column::Title).to_owned();
        let mut rows = vec![first];
        while let Some(row) = self.row()? {
            // Without a handle every row is a product of its own.
            if handle.is_empty() || row.cell(&self.header, Column::Handle) != handle || rows.len() == ROWS_MAX
            {
                self.next = Some(row);
                break;
            }
            rows.push(row);
        }
        let index = self.index;
        self.index += 1;
        let place = rows[0].place;
        let named = if handle.is_empty() { &title } else { &handle };
        let slug = text::slug(named);
        let column = self.header.name(if handle.is_empty() { Column::Title } else { Column::Handle });
        let refused = |code: &str, message: String| {
            let mistake = Mistake::new(place, Some(&slug), code, message);
            Item::Refused(vec![mistake.at("/slug", column.as_deref())])
        };
        if slug.is_empty() {
            let message = "There is no handle, and no title of which one could be made.".to_owned();
            self.queue.push_back(refused("validation_failed", message));
            return Ok(true);
        }
        // Two handles that become one slug would otherwise be taken for one product.
        if *self.slugs.entry(hash(&slug)).or_insert_with(|| hash(named)) != hash(named) {
            let message = format!("`{named}` becomes the slug `{slug}`, which an earlier handle has become.");
            self.queue.push_back(refused("already_exists", message));
            return Ok(true);
        }
        let (draft, mistakes) = product::draft(&self.header, &rows, slug, self.settings);
        match draft {
            Some(draft) => {
                self.queue.extend(mistakes.into_iter().map(Item::Mistake));
                self.queue.push_back(Item::Draft(Box::new(Draft { index, ..draft })));
            }
            None => self.queue.push_back(Item::Refused(mistakes)),
        }
        Ok(true)
    }
}

impl<R: Read> Iterator for Reader<R> {
    type Item = Result<Item, ImportError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(item) = self.queue.pop_front() {
                return Some(Ok(item));
            }
            if self.ended {
                return None;
            }
            match self.product() {
                Ok(true) => {}
                Ok(false) => self.ended = true,
                Err(error) => {
                    self.ended = true;
                    return Some(Err(error));
                }
            }
        }
    }
}

fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

fn unreadable(error: csv::Error) -> ImportError {
    let line = error.position().map(Position::line);
    match (error.into_kind(), line) {
        (csv::ErrorKind::Io(error), _) => ImportError::Read(error),
        (kind, Some(line)) => ImportError::Format(format!("line {line} cannot be read: {kind:?}")),
        (kind, None) => ImportError::Format(format!("the file cannot be read: {kind:?}")),
    }
}
