//! `cargo xtask golden`: generated files that are kept in the repository, so that a change of them is reviewed.
//!
//! `config/default.toml` is kept by a test of the host.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result, bail};

use crate::{build, frozen, shell, workspace::Workspace};

pub(crate) fn run(workspace: &Workspace, check: bool) -> Result<()> {
    let wares = build::binary(workspace, "wares", false)?;
    let cli = shell::output(Command::new(&wares).arg("reference"))?;
    build::plugins(workspace)?;
    let openapi = |version: &str| {
        let plugins = workspace.root.join("target/plugins");
        let mut command = Command::new(&wares);
        command.args(["--quiet", "openapi", "--openapi", version, "--plugins-dir"]).arg(plugins);
        shell::output(command.current_dir(&workspace.root).env("WARES_ENV", "development"))
    };
    let files = [
        ("docs/cli.txt", cli),
        ("openapi/openapi.json", openapi("3.1")?),
        ("openapi/openapi-3.0.json", openapi("3.0")?),
        ("wit/frozen.lock", frozen::lock(&workspace.root.join("wit"))?),
    ];
    let mut stale = Vec::new();
    for (name, text) in files {
        let path = workspace.root.join(name);
        let old = fs::read_to_string(&path).unwrap_or_default();
        if old == text {
            continue;
        }
        stale.push(name);
        if check {
            shell::complain(&difference(name, &old, &text));
        } else {
            write(&path, &text)?;
            shell::say(&format!("Wrote {name}."));
        }
    }
    if check && !stale.is_empty() {
        bail!(
            "{} differ from what is generated; run `cargo xtask golden` and review the change",
            stale.join(" and ")
        );
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// The first line that differs. The whole difference is `git diff` after `cargo xtask golden`.
fn difference(name: &str, old: &str, new: &str) -> String {
    let (mut old, mut new) = (old.lines(), new.lines());
    for number in 1.. {
        let (old, new) = (old.next(), new.next());
        if old != new || old.is_none() {
            let shown = |line: Option<&str>| line.unwrap_or("(end of file)").to_owned();
            return format!("{name}, line {number}:\n- {}\n+ {}", shown(old), shown(new));
        }
    }
    name.to_owned()
}
