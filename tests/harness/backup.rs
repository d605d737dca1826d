//! Backups as tests see them: files of lines.

use std::{collections::BTreeMap, path::Path};

use serde_json::Value;

/// The documents of a backup, by collection.
pub fn documents(file: &Path) -> BTreeMap<String, Vec<Value>> {
    let text = std::fs::read_to_string(file).unwrap();
    let mut found: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    let mut open = String::new();
    for line in text.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        if let Some(name) = line["collection"]["name"].as_str() {
            name.clone_into(&mut open);
            found.insert(open.clone(), Vec::new());
        } else if line.get("id").is_some() {
            found.get_mut(&open).unwrap().push(line);
        }
    }
    found
}

/// What stays the same when the same is backed up again: everything but the header with its time, and the last line,
/// which is a hash of that as well.
pub fn timeless(file: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(file).unwrap();
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines[1..lines.len() - 1].to_vec()
}
