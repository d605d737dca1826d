//! Our own format: one product, category, person or order in a line, as the API reads and writes it.
//!
//! What differs from the API is what is of one shop only: a product names its `categories` by slug and a category its
//! `parent`, variants have no id, and may tell what is `onHand`.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::Path,
};

use serde_json::{Map, Value};

use super::{Count, Draft, ImportError, Item, Kind, Mistake, Place, Shelf, orders, users};
use crate::seed::text;

/// Longest line. The largest product that the API takes is far below.
const LINE_BYTES: u64 = 8 * 1024 * 1024;

/// Most pieces in one number, as the API has it.
pub(super) const PIECES_MAX: i64 = 1_000_000_000;

/// The lines of a file.
pub(super) struct Reader {
    kind: Kind,
    input: BufReader<File>,
    line: u64,
    index: u64,
    ended: bool,
}

impl Reader {
    pub(super) fn open(path: &Path, kind: Kind) -> io::Result<Self> {
        let input = BufReader::with_capacity(256 * 1024, File::open(path)?);
        Ok(Self { kind, input, line: 0, index: 0, ended: false })
    }

    /// The next line that is not empty; `Err` for one that is no text.
    fn line(&mut self) -> Result<Option<Result<String, Box<Mistake>>>, ImportError> {
        loop {
            let mut bytes = Vec::new();
            let read = (&mut self.input).take(LINE_BYTES).read_until(b'\n', &mut bytes);
            if read.map_err(ImportError::Read)? == 0 {
                return Ok(None);
            }
            self.line += 1;
            let place = self.place();
            if bytes.len() as u64 == LINE_BYTES && !bytes.ends_with(b"\n") {
                self.skip_line()?;
                let message = format!("The line is longer than {LINE_BYTES} bytes.");
                let mistake = Mistake::new(place, None, "payload_too_large", message);
                return Ok(Some(Err(Box::new(mistake))));
            }
            if self.line == 1 && bytes.starts_with(b"\xef\xbb\xbf") {
                bytes.drain(..3);
            }
            match String::from_utf8(bytes) {
                Ok(text) if text.trim().is_empty() => {}
                Ok(text) => return Ok(Some(Ok(text))),
                Err(_) => {
                    let mistake = Mistake::new(place, None, "malformed_json", "The line is not UTF-8.");
                    return Ok(Some(Err(Box::new(mistake))));
                }
            }
        }
    }

    fn skip_line(&mut self) -> Result<(), ImportError> {
        loop {
            let buffer = self.input.fill_buf().map_err(ImportError::Read)?;
            let (used, found) = match buffer.iter().position(|byte| *byte == b'\n') {
                Some(position) => (position + 1, true),
                None => (buffer.len(), buffer.is_empty()),
            };
            self.input.consume(used);
            if found {
                return Ok(());
            }
        }
    }

    fn place(&self) -> Place {
        Place { row: self.line, line: self.line }
    }

    fn item(&mut self) -> Result<Option<Item>, ImportError> {
        let Some(text) = self.line()? else { return Ok(None) };
        let place = self.place();
        let drafted = text.and_then(|text| {
            let body: Map<String, Value> = serde_json::from_str(&text)
                .map_err(|error| Box::new(Mistake::new(place, None, "malformed_json", error.to_string())))?;
            draft(self.kind, body, place)
        });
        let first = self.index == 0;
        let index = self.index;
        // A broken line has a number too, so that those of the others do not depend on it.
        self.index += 1;
        Ok(Some(match drafted {
            Ok(draft) => Item::Draft(Box::new(Draft { index, ..draft })),
            Err(mistake) if first && mistake.message.contains("sequence") => {
                let hint =
                    "the file is a JSON array; NDJSON has one object in a line (`jq -c '.[]'` makes that)";
                return Err(ImportError::Format(hint.to_owned()));
            }
            Err(mistake) => Item::Refused(vec![*mistake]),
        }))
    }
}

impl Iterator for Reader {
    type Item = Result<Item, ImportError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let item = self.item().transpose();
        self.ended = !matches!(item, Some(Ok(_)));
        item
    }
}

/// A line as what is sent.
pub(super) fn draft(kind: Kind, mut body: Map<String, Value>, place: Place) -> Result<Draft, Box<Mistake>> {
    let slug = match kind {
        Kind::Users => users::address(&mut body, place)?,
        Kind::Orders => orders::number(&mut body, place)?,
        Kind::Products | Kind::Categories => slug(&mut body, place)?,
    };
    let wrong = |pointer: &str, message: &str| {
        Box::new(Mistake::new(place, Some(&slug), "validation_failed", message).at(pointer, None))
    };
    let mut stock = Vec::new();
    let shelves = match kind {
        Kind::Products => {
            stock = variants(&mut body, place).map_err(|(pointer, message)| wrong(&pointer, message))?;
            let named = body.shift_remove("categories").filter(|value| !value.is_null());
            let shelves = named.map(|value| shelves(&value)).transpose();
            shelves.map_err(|pointer| wrong(&pointer, "A category is named by its slug."))?
        }
        Kind::Categories => match body.shift_remove("parent") {
            None => None,
            Some(Value::Null) => Some(Vec::new()),
            Some(Value::String(slug)) => Some(vec![Shelf { slug, names: Vec::new() }]),
            Some(_) => return Err(wrong("/parent", "The parent is named by its slug.")),
        },
        Kind::Users | Kind::Orders => None,
    };
    if shelves.is_some() {
        // Ids are of the shop that the line came from.
        body.shift_remove("categoryIds");
        body.shift_remove("parentId");
    }
    Ok(Draft { place, end_line: place.line, slug, body, shelves, stock, ..Draft::default() })
}

/// The slug, which is made of the name where there is none. The import finds by it what is there already.
fn slug(body: &mut Map<String, Value>, place: Place) -> Result<String, Box<Mistake>> {
    let wrong =
        |message: &str| Box::new(Mistake::new(place, None, "validation_failed", message).at("/slug", None));
    let slug = match body.get("slug") {
        Some(Value::String(slug)) => slug.clone(),
        None | Some(Value::Null) => {
            let slug = text::slug(body.get("name").and_then(Value::as_str).unwrap_or_default());
            if slug.is_empty() {
                return Err(wrong("There is no slug, and no name of which one could be made."));
            }
            slug
        }
        Some(_) => return Err(wrong("A slug is a text.")),
    };
    body.insert("slug".to_owned(), Value::String(slug.clone()));
    Ok(slug)
}

/// Takes out of the variants what the API does not take, and answers what is on hand.
fn variants(body: &mut Map<String, Value>, place: Place) -> Result<Vec<Count>, (String, &'static str)> {
    let mut stock = Vec::new();
    let variants = body.get_mut("variants").and_then(Value::as_array_mut);
    for (index, variant) in variants.into_iter().flatten().enumerate() {
        // Other kinds of values are for the API to refuse.
        let Some(variant) = variant.as_object_mut() else { continue };
        variant.shift_remove("id");
        let on_hand = variant.shift_remove("onHand").filter(|value| !value.is_null());
        let (Some(on_hand), Some(sku)) = (on_hand, variant.get("sku").and_then(Value::as_str)) else {
            continue;
        };
        let pointer = format!("/variants/{index}/onHand");
        match on_hand.as_i64() {
            Some(on_hand @ 0..=PIECES_MAX) => {
                stock.push(Count { sku: sku.to_owned(), on_hand, place, pointer });
            }
            _ => return Err((pointer, "What is on hand is a whole number from 0 to 1000000000.")),
        }
    }
    Ok(stock)
}

/// Categories by slug, or as the API shows them with `expand=categories`.
fn shelves(value: &Value) -> Result<Vec<Shelf>, String> {
    let list = value.as_array().ok_or_else(|| "/categories".to_owned())?;
    let shelf = |(index, value): (usize, &Value)| {
        let slug = value.as_str().or(value["slug"].as_str()).ok_or_else(|| format!("/categories/{index}"))?;
        Ok(Shelf { slug: slug.to_owned(), names: Vec::new() })
    };
    list.iter().enumerate().map(shelf).collect()
}
