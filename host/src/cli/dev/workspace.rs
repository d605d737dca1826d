//! The repository: its plugins, and building them.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use tokio::process::Command;

use super::sources::Changed;
use crate::cli::Failure;

const TARGET: &str = "wasm32-wasip2";
const PROFILE: &str = "plugin-dev";

#[derive(Debug, Clone)]
pub(super) struct Workspace {
    root: PathBuf,
    target: PathBuf,
    plugins: Vec<Plugin>,
}

#[derive(Debug, Clone)]
struct Plugin {
    /// Name of its folder below `plugins/`, and of its component.
    folder: String,
    package: String,
}

/// The part of `cargo metadata` that is used.
#[derive(Deserialize)]
struct Metadata {
    workspace_root: PathBuf,
    target_directory: PathBuf,
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    manifest_path: PathBuf,
}

impl Workspace {
    /// The repository around a folder.
    pub(super) async fn find(folder: &Path) -> Result<Self, Failure> {
        let command = "cargo metadata --no-deps --format-version 1";
        let output = Command::new("cargo")
            .args(command.split(' ').skip(1))
            .current_dir(folder)
            .output()
            .await
            .map_err(|error| {
                Failure::new(
                    format!("`cargo` cannot be started: {error}"),
                    "Install Rust from https://rustup.rs, or use `wares serve`.",
                )
            })?;
        let metadata: Metadata = serde_json::from_slice(&output.stdout).map_err(|_| {
            Failure::new(
                format!("`{}` is not a Cargo workspace", folder.display()),
                "Change to the folder of the repository, or use `wares serve`.",
            )
        })?;
        let plugins = plugins(&metadata);
        if plugins.is_empty() {
            return Err(Failure::new(
                format!("`{}` has no plugins to build", metadata.workspace_root.display()),
                "Change to a repository with plugins in `plugins/`, or use `wares serve`.",
            ));
        }
        Ok(Self { root: metadata.workspace_root, target: metadata.target_directory, plugins })
    }

    /// Folders in which a change can matter.
    pub(super) fn watched(&self) -> Vec<PathBuf> {
        let folders =
            ["plugins", "plugin-sdk/src", "store-model/src", "wit"].map(|folder| self.root.join(folder));
        folders.into_iter().filter(|folder| folder.is_dir()).collect()
    }

    pub(super) fn changed(&self, paths: &[PathBuf]) -> Changed {
        let relative = paths.iter().filter_map(|path| path.strip_prefix(&self.root).ok());
        relative.map(Changed::of).fold(Changed::nothing(), Changed::and)
    }

    /// Builds what changed and puts the components into a folder. Returns which ones are new there.
    pub(super) async fn build(&self, changed: &Changed, folder: &Path) -> Result<Vec<String>, Failure> {
        let wanted = |plugin: &&Plugin| match changed {
            Changed::All => true,
            Changed::Plugins(names) => names.contains(&plugin.folder),
        };
        let plugins: Vec<&Plugin> = self.plugins.iter().filter(wanted).collect();
        let mut command = Command::new("cargo");
        command.args(["build", "--quiet", "--profile", PROFILE, "--target", TARGET]).current_dir(&self.root);
        for plugin in &plugins {
            command.args(["--package", &plugin.package]);
        }
        // The compiler writes to this terminal. Stopping the host stops it.
        let status = command.kill_on_drop(true).status().await;
        if !status.is_ok_and(|status| status.success()) {
            return Err(Failure::new(
                "The plugins do not compile; the old versions keep serving.",
                "The compiler's message is above.",
            ));
        }
        let mut copied = Vec::new();
        for plugin in plugins {
            let file = format!("{}.wasm", plugin.package.replace('-', "_"));
            let built = self.target.join(TARGET).join(PROFILE).join(file);
            let placed = folder.join(format!("{}.wasm", plugin.folder));
            let place = place(&built, &placed).map_err(|error| {
                Failure::new(
                    format!("The component `{}` cannot be placed: {error}.", placed.display()),
                    "Make the plugins folder writable.",
                )
            })?;
            if place {
                copied.push(plugin.folder.clone());
            }
        }
        Ok(copied)
    }
}

fn plugins(metadata: &Metadata) -> Vec<Plugin> {
    let folder = metadata.workspace_root.join("plugins");
    let plugin = |package: &Package| {
        let below = package.manifest_path.parent()?.strip_prefix(&folder).ok()?;
        Some(Plugin { folder: below.to_str()?.to_owned(), package: package.name.clone() })
    };
    metadata.packages.iter().filter_map(plugin).filter(|plugin| !plugin.folder.contains('/')).collect()
}

/// Puts a component in place unless it is there already. It appears whole or not at all.
fn place(built: &Path, placed: &Path) -> io::Result<bool> {
    let component = fs::read(built)?;
    if fs::read(placed).is_ok_and(|old| old == component) {
        return Ok(false);
    }
    if let Some(folder) = placed.parent() {
        fs::create_dir_all(folder)?;
    }
    let beside = placed.with_extension("wasm.new");
    fs::write(&beside, component)?;
    fs::rename(beside, placed)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plugins_are_the_packages_below_their_folder() {
        let package = |name: &str, path: &str| Package { name: name.to_owned(), manifest_path: path.into() };
        let metadata = Metadata {
            workspace_root: "/repo".into(),
            target_directory: "/repo/target".into(),
            packages: vec![
                package("host", "/repo/host/Cargo.toml"),
                package("products-plugin", "/repo/plugins/products/Cargo.toml"),
                package("deep", "/repo/plugins/products/deep/Cargo.toml"),
            ],
        };
        let found = plugins(&metadata);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].folder.as_str(), found[0].package.as_str()), ("products", "products-plugin"));
    }

    #[test]
    fn a_component_is_placed_once() {
        let folder = tempfile::tempdir().unwrap();
        let (built, placed) = (folder.path().join("built.wasm"), folder.path().join("plugins/products.wasm"));
        fs::write(&built, "one").unwrap();
        assert!(place(&built, &placed).unwrap());
        assert!(!place(&built, &placed).unwrap());
        fs::write(&built, "two").unwrap();
        assert!(place(&built, &placed).unwrap());
        assert_eq!(fs::read(&placed).unwrap(), b"two");
        assert_eq!(fs::read_dir(placed.parent().unwrap()).unwrap().count(), 1);
    }
}
