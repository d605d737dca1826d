//! `cargo xtask build`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::{
    shell,
    workspace::{Guest, WASM_PROFILE, WASM_TARGET, Workspace},
};

pub(crate) fn run(workspace: &Workspace, release: bool) -> Result<()> {
    plugins(workspace)?;
    host(workspace, release)
}

/// Builds `target/debug/wares`, or `target/release/wares`.
pub(crate) fn host(workspace: &Workspace, release: bool) -> Result<()> {
    binary(workspace, "wares", release).map(drop)
}

/// Builds one binary and answers where it is. Always of the whole workspace: cargo unites the features of dependencies
/// over the packages it is asked for, so that asking for one alone would build wasmtime once more.
pub(crate) fn binary(workspace: &Workspace, name: &str, release: bool) -> Result<PathBuf> {
    let mut command = workspace.cargo();
    command.args(["build", "--workspace", "--bin", name]);
    if release {
        command.arg("--release");
    }
    shell::run(&mut command)?;
    Ok(workspace.target.join(if release { "release" } else { "debug" }).join(name))
}

/// Builds the plugins into `target/plugins`.
pub(crate) fn plugins(workspace: &Workspace) -> Result<()> {
    components(workspace, &[("plugins", workspace.plugins()?)])
}

/// Builds the plugins, and the fixtures of the tests into `target/fixtures`.
pub(crate) fn plugins_and_fixtures(workspace: &Workspace) -> Result<()> {
    components(workspace, &[("plugins", workspace.plugins()?), ("fixtures", workspace.fixtures()?)])
}

/// Builds all in one go, so that what they share is built once.
fn components(workspace: &Workspace, groups: &[(&str, Vec<Guest>)]) -> Result<()> {
    if groups.iter().any(|(_, guests)| !guests.is_empty()) {
        ensure_target(workspace)?;
        let mut command = workspace.cargo();
        command.args(["build", "--profile", WASM_PROFILE, "--target", WASM_TARGET]);
        for guest in groups.iter().flat_map(|(_, guests)| guests) {
            command.args(["--package", &guest.package]);
        }
        shell::run(&mut command)?;
    }
    for (name, guests) in groups {
        // In the repository even if cargo builds elsewhere: hosts and tests look there.
        place(workspace, guests, &workspace.root.join("target").join(name))?;
    }
    Ok(())
}

/// Copies components into a folder and removes those of plugins that are gone.
fn place(workspace: &Workspace, guests: &[Guest], folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for guest in guests {
        let file = format!("{}.wasm", guest.package.replace('-', "_"));
        let built = workspace.target.join(WASM_TARGET).join(WASM_PROFILE).join(file);
        let component = fs::read(&built).with_context(|| {
            format!(
                "{} is missing; does `{}` have crate-type = [\"cdylib\"]?",
                built.display(),
                guest.package
            )
        })?;
        let placed = folder.join(format!("{}.wasm", guest.folder));
        // A host that watches reloads what changes, so what is the same is left alone.
        if fs::read(&placed).is_ok_and(|old| old == component) {
            continue;
        }
        // Renaming makes the file appear whole: a running host never reads half a component.
        let beside = placed.with_extension("wasm.new");
        fs::write(&beside, component).with_context(|| format!("cannot write {}", beside.display()))?;
        fs::rename(&beside, &placed).with_context(|| format!("cannot write {}", placed.display()))?;
    }
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        let known = guests.iter().any(|guest| path.file_stem().is_some_and(|stem| *stem == *guest.folder));
        if path.extension().is_some_and(|extension| extension == "wasm") && !known {
            fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        }
    }
    Ok(())
}

/// Installs the WebAssembly target where it is missing. Toolchains without rustup bring it or fail in the build.
fn ensure_target(workspace: &Workspace) -> Result<()> {
    let mut list = Command::new("rustup");
    list.args(["target", "list", "--installed"]).current_dir(&workspace.root);
    match shell::output(&mut list) {
        Ok(installed) if !installed.lines().any(|target| target == WASM_TARGET) => shell::run(
            Command::new("rustup").args(["target", "add", WASM_TARGET]).current_dir(&workspace.root),
        ),
        Ok(_) | Err(_) => Ok(()),
    }
}
