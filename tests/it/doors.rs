//! Each foreign technology has one door, and arrows between crates point one way.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A crate or module, and the only places of the host that may name it.
const DOORS: &[(&str, &[&str])] = &[
    // `app` wires HTTP; the control socket speaks it too, and knows hyper alone.
    ("axum", &["http", "http.rs", "app.rs"]),
    ("hyper", &["http", "http.rs", "control", "control.rs", "egress"]),
    ("hyper_util", &["http", "http.rs", "control", "control.rs", "egress"]),
    ("hyper_rustls", &["egress/client.rs"]),
    ("rustls", &["egress/client.rs"]),
    ("tower", &["http", "http.rs", "egress/client.rs"]),
    ("tower_http", &["http", "http.rs"]),
    ("scalar_api_reference", &["http", "http.rs"]),
    ("multer", &["http"]),
    ("object_store", &["media"]),
    ("imagesize", &["media"]),
    ("matchit", &["plugin"]),
    ("wasmtime", &["plugin", "plugin.rs"]),
    ("wasmtime_wasi", &["plugin", "plugin.rs"]),
    ("wasmtime_wasi_io", &["plugin", "plugin.rs"]),
    ("rusqlite", &["store/sqlite", "store/sqlite.rs"]),
    ("mongodb", &["store/mongo.rs", "store/mongo"]),
    ("redis", &["store/redis.rs", "redis.rs"]),
    ("clap", &["cli", "cli.rs"]),
    ("indicatif", &["cli/progress.rs"]),
    ("toml", &["config", "config.rs", "plugin"]),
    ("argon2", &["identity", "identity.rs"]),
    ("utoipa", &["http", "http.rs"]),
    ("governor", &["http/limits.rs"]),
    ("lettre", &["mail.rs"]),
    ("jsonwebtoken", &["identity", "identity.rs"]),
    // `dev` looks for the repository around the folder it was started in, which is no setting.
    ("env", &["config", "config.rs", "cli/dev.rs"]),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Every Rust file below a folder, with its path from there.
fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path.strip_prefix(folder).unwrap().to_owned(), text));
            }
        }
    }
    assert!(!found.is_empty(), "no sources in {}", folder.display());
    found
}

/// Whether a line of code names a crate: at the start of a path, or in a `use`.
fn names(line: &str, name: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    let is_part = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == ':';
    code.match_indices(name).any(|(at, _)| {
        let before = &code[..at];
        let after = &code[at + name.len()..];
        let is_path = after.starts_with("::");
        let is_import = before.trim_end().ends_with("use") && after.starts_with([';', ' ']);
        let starts = !before.ends_with(is_part) || (name == "env" && before.ends_with("std::"));
        // `use std::{env, fs}`.
        let is_grouped = name == "env" && code.contains("use std::{") && after.starts_with([',', '}', ':']);
        starts && (is_path || is_import || is_grouped)
    })
}

#[test]
fn the_host_uses_each_technology_behind_its_door_only() {
    let source = root().join("host/src");
    let mut used = Vec::new();
    for (path, text) in sources(&source) {
        for (number, line) in text.lines().enumerate() {
            for (name, doors) in DOORS {
                if !names(line, name) {
                    continue;
                }
                used.push(*name);
                let inside = doors.iter().any(|door| path.starts_with(door));
                assert!(inside, "{}:{}: `{name}` belongs in {doors:?}: {line}", path.display(), number + 1);
            }
        }
    }
    // A search that finds nothing would prove nothing.
    for name in ["axum", "hyper", "wasmtime", "rusqlite", "mongodb", "env", "clap", "argon2", "indicatif"] {
        assert!(used.contains(&name), "`{name}` is used nowhere");
    }
}

#[test]
fn leaves_know_neither_http_nor_plugins() {
    for leaf in ["store", "identity", "audit", "media", "config", "seed", "import", "backup", "egress"] {
        let folder = root().join("host/src").join(leaf);
        for (path, text) in sources(&folder) {
            for forbidden in ["crate::http", "crate::plugin", "crate::app", "crate::cli"] {
                assert!(!text.contains(forbidden), "{leaf}/{} uses {forbidden}", path.display());
            }
        }
    }
}

/// The packages of the workspace: folder, and manifest.
fn manifests() -> Vec<(String, String)> {
    let root = root();
    let mut folders: Vec<PathBuf> =
        ["host", "plugin-sdk", "store-model", "tests", "xtask"].map(PathBuf::from).to_vec();
    for group in ["plugins", "tests/fixtures"] {
        let Ok(entries) = fs::read_dir(root.join(group)) else { continue };
        folders.extend(entries.map(|entry| Path::new(group).join(entry.unwrap().file_name())));
    }
    let read = |folder: PathBuf| {
        let manifest = fs::read_to_string(root.join(&folder).join("Cargo.toml")).ok()?;
        Some((folder.to_str().unwrap().to_owned(), manifest))
    };
    folders.into_iter().filter_map(read).collect()
}

/// The dependencies that a manifest names, of every kind.
fn dependencies(manifest: &str) -> Vec<&str> {
    let mut inside = false;
    let mut found = Vec::new();
    for line in manifest.lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[') {
            let section = section.trim_end_matches(']');
            inside = section.ends_with("dependencies");
            if let Some((_, name)) = section.split_once("dependencies.") {
                found.push(name);
            }
        } else if inside && !line.is_empty() && !line.starts_with('#') {
            found.push(line.split(['.', '=', ' ']).next().unwrap_or_default());
        }
    }
    found
}

#[test]
fn dependencies_point_one_way() {
    let manifests = manifests();
    let plugins: Vec<&str> =
        manifests.iter().filter_map(|(folder, _)| folder.strip_prefix("plugins/")).collect();
    assert!(plugins.contains(&"products"), "{plugins:?}");
    for (folder, manifest) in &manifests {
        let uses = dependencies(manifest);
        let guest = folder.starts_with("plugins/") || folder.starts_with("tests/fixtures/");
        let forbidden: Vec<&str> = match folder.as_str() {
            "host" => [&["plugin-sdk", "platform-tests", "xtask"], plugins.as_slice()].concat(),
            "plugin-sdk" => [&["host", "platform-tests", "xtask"], plugins.as_slice()].concat(),
            "store-model" | "pricing-model" => {
                [&["host", "plugin-sdk", "platform-tests", "xtask"], plugins.as_slice()].concat()
            }
            // Rules are pure: they are compared with their components in native code.
            "tests" => {
                let others = plugins.iter().copied().filter(|name| !name.starts_with("pricing-"));
                ["xtask"].into_iter().chain(others).collect()
            }
            "xtask" => plugins.clone(),
            _ if guest => [&["host", "platform-tests", "xtask"], plugins.as_slice()].concat(),
            other => panic!("what may {other} depend on?"),
        };
        let wrong: Vec<&&str> = uses.iter().filter(|name| forbidden.contains(name)).collect();
        assert!(wrong.is_empty(), "{folder} depends on {wrong:?}");
    }
    for plugin in &plugins {
        for (path, text) in sources(&root().join("plugins").join(plugin).join("src")) {
            for other in plugins.iter().filter(|other| *other != plugin) {
                let name = format!("{}::", other.replace('-', "_"));
                let named = text.lines().any(|line| line.trim_start().starts_with(&format!("use {name}")));
                assert!(!named, "{plugin}/{} uses {name}", path.display());
            }
        }
    }
}

#[test]
fn every_package_has_the_lints_of_the_workspace() {
    for (folder, manifest) in manifests() {
        assert!(manifest.contains("[lints]\nworkspace = true"), "{folder}/Cargo.toml");
    }
}
