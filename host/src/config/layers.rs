//! Values and where they came from.
//!
//! A layer is a flat map from dotted keys to values; a later layer replaces what an earlier one said, key by key.
//! The `config` crate does this too, but forgets which file an unknown key stood in and turns texts into numbers
//! silently; errors that name file and key are the point here, and a flat map is all the merging there is.

use std::{collections::BTreeMap, fmt, path::PathBuf};

use toml::{Table, Value};

use super::ConfigError;

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    Default,
    /// A TOML file that is part of the binary.
    BuiltIn(&'static str),
    File(PathBuf),
    /// A file that holds one value, named by a variable that ends in `_FILE`.
    ValueFile {
        variable: String,
        path: PathBuf,
    },
    Environment(&'static str),
    Flag(&'static str),
    /// Made in development because nothing was set.
    Generated(PathBuf),
}

impl fmt::Display for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => write!(formatter, "config/default.toml (built in)"),
            Self::BuiltIn(name) => write!(formatter, "{name} (built in)"),
            Self::File(path) => write!(formatter, "{}", path.display()),
            Self::ValueFile { variable, path } => write!(formatter, "{variable} ({})", path.display()),
            Self::Environment(name) => write!(formatter, "the environment variable {name}"),
            Self::Flag(name) => write!(formatter, "the flag {name}"),
            Self::Generated(path) => write!(formatter, "generated ({})", path.display()),
        }
    }
}

/// The values of all layers so far.
#[derive(Debug, Default)]
pub(super) struct Layers {
    values: BTreeMap<String, (Value, Source)>,
}

impl Layers {
    /// The first layer: its keys are the ones that exist.
    pub(super) fn of_defaults(table: Table) -> Self {
        let mut values = BTreeMap::new();
        flatten("", table, &mut |key, value| {
            values.insert(key, (value, Source::Default));
        });
        Self { values }
    }

    /// Puts the text of a TOML file on top.
    pub(super) fn add_toml(&mut self, text: &str, origin: &Source) -> Result<(), ConfigError> {
        let table: Table = text.parse().map_err(|error: toml::de::Error| ConfigError::Syntax {
            origin: origin.clone(),
            message: error.to_string().trim().replace('\n', "\n  "),
        })?;
        let mut wrong = None;
        flatten("", table, &mut |key, value| {
            if wrong.is_none() {
                wrong = self.set(&key, value, origin.clone()).err();
            }
        });
        wrong.map_or(Ok(()), Err)
    }

    /// Puts one value on top.
    pub(super) fn set(&mut self, key: &str, value: Value, origin: Source) -> Result<(), ConfigError> {
        if let Some(slot) = self.values.get_mut(key) {
            *slot = (value, origin);
            return Ok(());
        }
        if self.values.keys().any(|known| below(key, known)) {
            let expected = format!("a section: [{key}]");
            return Err(ConfigError::Invalid { origin, key: key.to_owned(), value: shown(&value), expected });
        }
        Err(ConfigError::UnknownKey { origin, suggestion: self.suggestion(key), key: key.to_owned() })
    }

    pub(super) fn get(&self, key: &str) -> Option<&(Value, Source)> {
        self.values.get(key)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&String, &(Value, Source))> {
        self.values.iter()
    }

    /// All values as one table.
    pub(super) fn table(&self) -> Table {
        let mut root = Table::new();
        for (key, (value, _)) in &self.values {
            let (sections, name) = key.rsplit_once('.').unwrap_or(("", key));
            let mut table = &mut root;
            for section in sections.split('.').filter(|section| !section.is_empty()) {
                let entry = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
                table = entry.as_table_mut().expect("no key is both a value and a section");
            }
            table.insert(name.to_owned(), value.clone());
        }
        root
    }

    /// The existing key that was probably meant: alike as a whole, or alike in its last part.
    fn suggestion(&self, key: &str) -> Option<String> {
        let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
        let likeness = |known: &String| {
            let by_name = strsim::jaro_winkler(&last(key), &last(known)) - 0.05;
            strsim::jaro_winkler(key, known).max(by_name)
        };
        let best = self.values.keys().max_by(|a, b| likeness(a).total_cmp(&likeness(b)))?;
        (likeness(best) > 0.8).then(|| best.clone())
    }
}

/// Whether `known` lies in the section `section`.
fn below(section: &str, known: &str) -> bool {
    known.strip_prefix(section).is_some_and(|rest| rest.starts_with('.'))
}

fn flatten(prefix: &str, table: Table, found: &mut impl FnMut(String, Value)) {
    for (name, value) in table {
        let key = if prefix.is_empty() { name } else { format!("{prefix}.{name}") };
        match value {
            Value::Table(inner) => flatten(&key, inner, found),
            value => found(key, value),
        }
    }
}

/// A value as it could stand in a file.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => format!("{text:?}"),
        value => value.to_string(),
    }
}
