//! Where things are in the repository.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

pub(crate) const WASM_TARGET: &str = "wasm32-wasip2";
pub(crate) const WASM_PROFILE: &str = "plugin";

pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    /// Where cargo builds; `CARGO_TARGET_DIR` and Cargo's configuration can put it elsewhere.
    pub(crate) target: PathBuf,
}

/// A package that becomes a component.
pub(crate) struct Guest {
    /// Name of its folder, and of the component.
    pub(crate) folder: String,
    pub(crate) package: String,
}

impl Workspace {
    pub(crate) fn here() -> Result<Self> {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = manifest.parent().context("xtask is not in the repository")?.to_owned();
        // This program is `<target>/<profile>/xtask`.
        let program = env::current_exe().context("cannot tell where this program is")?;
        let target = program.ancestors().nth(2).context("this program is not in a target folder")?.to_owned();
        Ok(Self { root, target })
    }

    /// Cargo, as if it were started by hand. What `cargo run` tells this program about its own package must not get
    /// through: the build script of `ring` looks at it, and all that stands on it would be built again whenever
    /// a task and a cargo command take turns.
    pub(crate) fn cargo(&self) -> Command {
        let mut command = Command::new("cargo");
        command.current_dir(&self.root);
        for (name, _) in env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
                command.env_remove(&name);
            }
        }
        command
    }

    pub(crate) fn plugins(&self) -> Result<Vec<Guest>> {
        self.guests("plugins")
    }

    pub(crate) fn fixtures(&self) -> Result<Vec<Guest>> {
        self.guests("tests/fixtures")
    }

    /// The packages right below a folder. Plugins in other languages have no `Cargo.toml` and are not built here.
    fn guests(&self, folder: &str) -> Result<Vec<Guest>> {
        let mut guests = Vec::new();
        for entry in fs::read_dir(self.root.join(folder)).into_iter().flatten() {
            let path = entry?.path();
            let manifest = path.join("Cargo.toml");
            let Some(name) = path.file_name().and_then(|name| name.to_str()).filter(|_| manifest.is_file())
            else {
                continue;
            };
            guests.push(Guest { folder: name.to_owned(), package: package(&manifest)? });
        }
        guests.sort_by(|a, b| a.folder.cmp(&b.folder));
        Ok(guests)
    }
}

fn package(manifest: &Path) -> Result<String> {
    let shown = manifest.display();
    let text = fs::read_to_string(manifest).with_context(|| format!("cannot read {shown}"))?;
    let table: toml::Table = text.parse().with_context(|| format!("{shown} is not valid"))?;
    let name = table.get("package").and_then(|package| package.get("name")).and_then(toml::Value::as_str);
    name.map(str::to_owned).with_context(|| format!("{shown} names no package"))
}
