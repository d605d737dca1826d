//! From a backup to what it holds, or to what is wrong with it.

use std::fmt;

use store_model::{
    CollectionSchema, Document,
    validate::{DOCUMENT_BYTES, check_stored},
};

use super::{
    contents::{Contents, Tally},
    line::{FORMAT, Header, Line},
};

/// Longer than any line of a backup: those that are not documents are small.
const LINE_BYTES: usize = DOCUMENT_BYTES + 64 * 1024;

/// Takes a backup apart, chunk by chunk.
///
/// It refuses what an encoder does not make: lines and collections in another order, texts that no store wrote, counts
/// and hashes that do not agree, something missing or something more. Only [`Self::finish`] says that all is well;
/// what came before it was whole up to there. Memory is bounded by a chunk and a line.
#[derive(Debug, Default)]
pub struct Checker {
    /// The beginning of a line whose end is in a later chunk.
    partial: Vec<u8>,
    /// The number of the line that was read last, from 1.
    line: u64,
    header: Option<Header>,
    within: Option<Within>,
    contents: Contents,
    lines: blake3::Hasher,
    ended: bool,
    documents: u64,
}

/// A collection whose end has not been read.
#[derive(Debug)]
struct Within {
    schema: CollectionSchema,
    tally: Tally,
    last_id: Option<String>,
}

/// What a backup holds, in its order.
#[derive(Debug, PartialEq)]
pub enum Item {
    Collection(CollectionSchema),
    /// Documents of the collection before.
    Documents(Vec<Document>),
}

/// What is wrong with a backup, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Damage {
    /// The line, from 1.
    pub line: u64,
    /// The collection that the line is in, when it is in one.
    pub collection: Option<String>,
    pub message: String,
}

impl fmt::Display for Damage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "line {}", self.line)?;
        if let Some(collection) = &self.collection {
            write!(formatter, ", collection `{collection}`")?;
        }
        write!(formatter, ": {}", self.message)
    }
}

impl Checker {
    pub fn new() -> Self {
        Self::default()
    }

    /// Documents read so far, and how many the header names.
    pub fn progress(&self) -> (u64, u64) {
        (self.documents, self.header.as_ref().map_or(0, |header| header.documents))
    }

    /// When the backup was made, once its header was read.
    pub fn created_at(&self) -> Option<&str> {
        self.header.as_ref().map(|header| header.created_at.as_str())
    }

    /// Reads a chunk, and answers what the lines that it completes hold.
    ///
    /// # Errors
    /// A line is not what a backup has there. The checker is of no use afterwards.
    pub fn push(&mut self, chunk: &[u8]) -> Result<Vec<Item>, Damage> {
        let mut items = Vec::new();
        for part in chunk.split_inclusive(|byte| *byte == b'\n') {
            if self.partial.len() + part.len() > LINE_BYTES {
                self.line += 1;
                return Err(self.damage("is longer than any line of a backup"));
            }
            let Some(end) = part.strip_suffix(b"\n") else {
                self.partial.extend_from_slice(part);
                continue;
            };
            let mut line = std::mem::take(&mut self.partial);
            line.extend_from_slice(end);
            self.line += 1;
            let item = self.read(&line)?;
            self.lines.update(&line).update(b"\n");
            match (item, items.last_mut()) {
                (Some(Item::Documents(documents)), Some(Item::Documents(before))) => before.extend(documents),
                (Some(item), _) => items.push(item),
                (None, _) => {}
            }
        }
        Ok(items)
    }

    /// Says whether that was all of it, and what it held.
    ///
    /// # Errors
    /// The end is missing.
    pub fn finish(mut self) -> Result<Contents, Damage> {
        if self.ended && self.partial.is_empty() {
            return Ok(self.contents);
        }
        self.line += 1;
        Err(self.damage(match (self.ended, &self.header) {
            (true, _) => "stands after the end of the backup",
            (false, None) => "is missing: this is not a Wares backup",
            (false, Some(_)) => "is missing or cut off: the backup is not complete",
        }))
    }

    fn read(&mut self, line: &[u8]) -> Result<Option<Item>, Damage> {
        let text = match str::from_utf8(line) {
            Ok(text) if self.header.is_some() => text,
            Ok(text) => return self.read_header(text).map(|()| None),
            Err(_) if self.header.is_none() => {
                return Err(self.damage("is text of no kind: this is not a Wares backup"));
            }
            Err(_) => return Err(self.damage("is not text in UTF-8")),
        };
        if self.ended {
            return Err(self.damage("stands after the end of the backup"));
        }
        if text.starts_with("{\"id\":") {
            return self.read_document(text).map(Some);
        }
        let line: Line = serde_json::from_str(text)
            .map_err(|error| self.damage(&format!("is no line of a backup: {error}")))?;
        match (line, self.within.take()) {
            (Line::Collection(schema), None) => self.begin_collection(text, schema).map(Some),
            (Line::EndOfCollection(_), Some(within)) => self.end_collection(text, within).map(|()| None),
            (Line::EndOfBackup(_), None) => self.end_backup(text).map(|()| None),
            (Line::EndOfCollection(_), None) => Err(self.damage("ends a collection that was not begun")),
            (Line::WaresBackup(_), _) => Err(self.damage("is a second header")),
            (Line::Collection(_) | Line::EndOfBackup(_), Some(within)) => {
                self.within = Some(within);
                Err(self.damage("comes before the end of the collection"))
            }
        }
    }

    fn read_header(&mut self, text: &str) -> Result<(), Damage> {
        let foreign = |_| self.damage("is no header: this is not a Wares backup");
        // The format first: what else stands in a newer one is not known.
        let line: serde_json::Value = serde_json::from_str(text).map_err(foreign)?;
        let header = &line["waresBackup"];
        match header["format"].as_u64() {
            Some(FORMAT) => {}
            Some(format) if format > FORMAT => {
                let version = header["version"].as_str().unwrap_or("a newer version");
                return Err(self.damage(&format!(
                    "the backup has format {format} and this version reads up to {FORMAT}: use Wares {version}"
                )));
            }
            _ => return Err(self.damage("is no header: this is not a Wares backup")),
        }
        let Ok(Line::WaresBackup(header)) = serde_json::from_str(text) else {
            return Err(self.damage("is a damaged header"));
        };
        if !Line::WaresBackup(header.clone()).text().is_ok_and(|expected| expected == text) {
            return Err(self.damage("is a damaged header"));
        }
        self.header = Some(header);
        Ok(())
    }

    fn begin_collection(&mut self, text: &str, schema: CollectionSchema) -> Result<Item, Damage> {
        if let Err(error) = schema.validate_host() {
            return Err(self.damage(&format!("declares what no store accepts: {error}")));
        }
        if self.contents.collections.last().is_some_and(|last| last.name >= schema.name) {
            return Err(self.damage(&format!("begins `{}` out of order", schema.name)));
        }
        self.expect(text, &Line::Collection(schema.clone()))?;
        self.within = Some(Within { schema: schema.clone(), tally: Tally::default(), last_id: None });
        Ok(Item::Collection(schema))
    }

    fn read_document(&mut self, text: &str) -> Result<Item, Damage> {
        let Some(within) = &mut self.within else {
            return Err(self.damage("is a document outside of any collection"));
        };
        let problem = match check_stored(&within.schema, text) {
            Ok((document, _)) if within.last_id.as_ref().is_some_and(|last| *last >= document.id) => {
                format!("document `{}` is out of order", document.id)
            }
            Ok((document, _)) => {
                within.tally.add(&document);
                within.last_id = Some(document.id.clone());
                self.documents += 1;
                return Ok(Item::Documents(vec![document]));
            }
            Err(refusal) => format!("is no document of the collection: {refusal}"),
        };
        Err(self.damage(&problem))
    }

    fn end_collection(&mut self, text: &str, within: Within) -> Result<(), Damage> {
        let contents = within.tally.finish(&within.schema.name);
        self.within = Some(within);
        self.expect(text, &Line::EndOfCollection(contents.clone()))?;
        self.within = None;
        self.contents.collections.push(contents);
        Ok(())
    }

    fn end_backup(&mut self, text: &str) -> Result<(), Damage> {
        self.expect(text, &Line::end_of_backup(&self.contents, &self.lines))?;
        self.ended = true;
        Ok(())
    }

    /// Compares a line with the one that an encoder makes there, byte for byte.
    fn expect(&self, text: &str, line: &Line) -> Result<(), Damage> {
        let expected = line.text().map_err(|error| self.damage(&error.to_string()))?;
        if text == expected {
            return Ok(());
        }
        Err(self.damage("does not agree with the lines before it: something was changed, left out or added"))
    }

    fn damage(&self, message: &str) -> Damage {
        let collection = self.within.as_ref().map(|within| within.schema.name.clone());
        Damage { line: self.line, collection, message: message.to_owned() }
    }
}
