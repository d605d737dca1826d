//! The list of errors as a file: CSV for spreadsheets, NDJSON for programs.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
};

use super::Mistake;

/// A list being written. Each mistake is in the file as soon as it is known.
pub struct MistakesFile {
    sink: Sink,
}

enum Sink {
    Csv(Box<csv::Writer<File>>),
    Ndjson(BufWriter<File>),
}

const COLUMNS: [&str; 7] = ["row", "line", "slug", "column", "pointer", "code", "message"];

impl MistakesFile {
    /// Begins a list in the place of what the file had. `.ndjson`, `.jsonl` and `.json` are NDJSON, all else is CSV.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn create(path: &Path) -> io::Result<Self> {
        let file = File::create(path)?;
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        let sink = match extension {
            "ndjson" | "jsonl" | "json" => Sink::Ndjson(BufWriter::new(file)),
            _ => {
                let mut writer = csv::Writer::from_writer(file);
                writer.write_record(COLUMNS)?;
                writer.flush()?;
                Sink::Csv(Box::new(writer))
            }
        };
        Ok(Self { sink })
    }

    /// Adds these, durably enough for a command that is killed right after.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn add(&mut self, mistakes: &[Mistake]) -> io::Result<()> {
        for mistake in mistakes {
            match &mut self.sink {
                Sink::Csv(writer) => {
                    let Mistake { row, line, slug, column, pointer, code, message } = mistake;
                    let (row, line) = (row.to_string(), line.to_string());
                    let (slug, column) =
                        (slug.as_deref().unwrap_or_default(), column.as_deref().unwrap_or_default());
                    writer.write_record([&row, &line, slug, column, pointer, code, message])?;
                }
                Sink::Ndjson(writer) => {
                    serde_json::to_writer(&mut *writer, mistake)?;
                    writer.write_all(b"\n")?;
                }
            }
        }
        match &mut self.sink {
            Sink::Csv(writer) => writer.flush(),
            Sink::Ndjson(writer) => writer.flush(),
        }
    }
}
