//! `wit/frozen.lock`: interfaces that plugins outside this repository are built against do not change.
//!
//! A package from version 1.0.0 on is frozen as it is. Only its comments may change; anything else needs a new
//! version, because a component that was built against the old text would not load any more, or worse, would.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context, Result, bail};

const HEADER: &str = "\
# The frozen WIT packages: version 1.0.0 and later. Written by `cargo xtask golden`.
# The hash leaves out comments and white space.
";

/// Package with version, and hash.
pub(crate) type Packages = BTreeMap<String, String>;

/// The lock file as it must be. Refuses a frozen package that differs from the lock file as it is.
pub(crate) fn lock(wit: &Path) -> Result<String> {
    let path = wit.join("frozen.lock");
    let before = match fs::read_to_string(&path) {
        Ok(text) => parse(&text)?,
        Err(_) => Packages::new(),
    };
    let now = packages(wit)?;
    refuse_changes(&before, &now)?;
    Ok(render(&now))
}

fn refuse_changes(before: &Packages, now: &Packages) -> Result<()> {
    for (package, hash) in now {
        if before.get(package).is_some_and(|frozen| frozen != hash) {
            bail!(
                "the WIT package {package} is frozen and has changed; undo the change or give it a new version (before \
                 anything was released, removing its line from wit/frozen.lock accepts the change)"
            );
        }
    }
    Ok(())
}

fn render(packages: &Packages) -> String {
    let lines = packages.iter().map(|(package, hash)| format!("{package} {hash}\n"));
    HEADER.to_owned() + &lines.collect::<String>()
}

fn parse(text: &str) -> Result<Packages> {
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let split = |line: &str| {
        let (package, hash) =
            line.split_once(' ').with_context(|| format!("wit/frozen.lock: `{line}` is not valid"))?;
        Ok((package.to_owned(), hash.to_owned()))
    };
    lines.map(split).collect()
}

/// The frozen packages: the folder itself and the folders in `deps`, one package each.
fn packages(wit: &Path) -> Result<Packages> {
    let mut folders = vec![wit.to_owned()];
    for entry in fs::read_dir(wit.join("deps")).context("cannot read wit/deps")? {
        folders.push(entry?.path());
    }
    let mut packages = Packages::new();
    for folder in folders {
        let mut files = Vec::new();
        for entry in fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "wit") {
                files.push(path);
            }
        }
        files.sort();
        let texts = files.iter().map(|file| fs::read_to_string(file).map(|text| code(&text)));
        let text: String = texts.collect::<Result<Vec<_>, _>>().context("cannot read a WIT file")?.join(" ");
        let name = name(&text).with_context(|| format!("{} names no package", folder.display()))?;
        if is_frozen(&name) {
            packages.insert(name, blake3::hash(text.as_bytes()).to_hex().to_string());
        }
    }
    Ok(packages)
}

/// A WIT text without comments, its words one space apart. WIT has no string literals that could hold `//`.
fn code(text: &str) -> String {
    let lines = text.lines().map(|line| line.split("//").next().unwrap_or_default());
    lines.flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ")
}

fn name(code: &str) -> Option<String> {
    let rest = code.split("package ").nth(1)?;
    Some(rest.split(';').next()?.trim().to_owned())
}

fn is_frozen(package: &str) -> bool {
    let major = package.split('@').nth(1).and_then(|version| version.split('.').next());
    major.and_then(|major| major.parse::<u32>().ok()).is_some_and(|major| major >= 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_space_do_not_count() {
        let one = "/// Doc.\npackage wares:log@1.0.0;\n\ninterface log {\n  // why\n  log: func();\n}\n";
        let two = "package wares:log@1.0.0; interface log { log: func(); } // end";
        assert_eq!(code(one), code(two));
        assert_ne!(code(one), code(&one.replace("func()", "func(x: u8)")));
        assert_eq!(name(&code(one)).as_deref(), Some("wares:log@1.0.0"));
    }

    #[test]
    fn only_released_packages_are_frozen() {
        assert!(is_frozen("wares:store@1.0.0") && is_frozen("wares:store@12.3.4"));
        assert!(!is_frozen("wares:hooks@0.1.0") && !is_frozen("wares:hooks"));
    }

    #[test]
    fn a_changed_package_is_refused_and_a_new_one_is_not() {
        let packages = |list: &[(&str, &str)]| -> Packages {
            list.iter().map(|(package, hash)| ((*package).to_owned(), (*hash).to_owned())).collect()
        };
        let before = packages(&[("a@1.0.0", "1"), ("gone@1.0.0", "1")]);
        assert_eq!(parse(&render(&before)).unwrap(), before);
        assert!(refuse_changes(&before, &packages(&[("a@1.0.0", "1"), ("b@1.0.0", "2")])).is_ok());
        assert!(refuse_changes(&before, &packages(&[("a@1.1.0", "2")])).is_ok());
        assert!(refuse_changes(&before, &packages(&[("a@1.0.0", "2")])).is_err());
    }
}
