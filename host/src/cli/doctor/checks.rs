//! What `wares doctor` looks at. A check changes nothing that stays.

use std::{fs, io::ErrorKind, net::SocketAddr, os::unix::fs::PermissionsExt, path::Path};

use tokio::{net::TcpListener, process::Command};

use super::Finding;
use crate::{chain::chain, cli::Failure, clock::Clock, config::StoreSection, store::Store};

const TARGET: &str = "wasm32-wasip2";

/// Whether plugins can be built here. A machine that only serves does not need it.
pub(super) async fn toolchain() -> Finding {
    let check = "toolchain";
    let add = format!("Run `rustup target add {TARGET}`; a machine that only serves can do without.");
    match Command::new("rustup").args(["target", "list", "--installed"]).output().await {
        Ok(output) if String::from_utf8_lossy(&output.stdout).lines().any(|line| line == TARGET) => {
            Finding::good(check, format!("the target {TARGET} is installed"))
        }
        Ok(_) => Finding::warning(check, format!("the target {TARGET} is not installed"), add),
        Err(_) => Finding::warning(
            check,
            "rustup is not installed",
            "Install it from https://rustup.rs to build plugins; a machine that only serves can do without.",
        ),
    }
}

pub(super) fn data_directory(folder: &Path) -> Finding {
    let check = "data directory";
    let shown = folder.display();
    let metadata = match fs::metadata(folder) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Finding::good(check, format!("`{shown}` does not exist yet; the first start makes it"));
        }
        Err(error) => {
            return Finding::bad(
                check,
                format!("`{shown}` cannot be looked at: {error}"),
                "Make it readable for this user, or choose another one with --data-dir.",
            );
        }
    };
    if !metadata.is_dir() {
        return Finding::bad(
            check,
            format!("`{shown}` is not a folder"),
            "Choose another one with --data-dir.",
        );
    }
    // Permission bits do not tell about read-only file systems; trying does.
    if let Err(error) = tempfile::tempfile_in(folder) {
        return Finding::bad(
            check,
            format!("`{shown}` is not writable: {error}"),
            "Make it writable for this user, or choose another one with --data-dir.",
        );
    }
    if metadata.permissions().mode() & 0o077 != 0 {
        return Finding::warning(
            check,
            format!("`{shown}` is open to other users"),
            format!("Run `chmod 700 {shown}`: it holds personal data."),
        );
    }
    Finding::good(check, format!("`{shown}` is writable"))
}

pub(super) async fn port(address: SocketAddr) -> Finding {
    match TcpListener::bind(address).await {
        Ok(_) => Finding::good("port", format!("{address} is free")),
        Err(error) => Finding::bad(
            "port",
            format!("{address} cannot be listened on: {error}"),
            "Stop what uses it, or choose another one with --listen.",
        ),
    }
}

/// Compares everything derived in the database with its documents.
pub(super) async fn database(section: &StoreSection) -> Finding {
    let check = "database";
    // Opening would make one.
    if section.mongodb_uri.is_none() && !has_database(&section.data_dir) {
        return Finding::good(check, "there is none yet");
    }
    let store = match Store::open(section.store_config(), Clock::system()).await {
        Ok(store) => store,
        Err(error) => {
            let found = chain(&error);
            return Finding::bad(check, found, Failure::from(error).next_step);
        }
    };
    let verified = store.verify().await;
    store.close().await;
    match verified {
        Ok(problems) if problems.is_empty() => Finding::good(check, "complete and consistent"),
        Ok(problems) => Finding::bad(
            check,
            format!("{} inconsistencies, the first: {}", problems.len(), problems[0]),
            "Restore the last backup.",
        ),
        Err(error) => Finding::bad(check, chain(&error), "Check the disk, then try again."),
    }
}

fn has_database(folder: &Path) -> bool {
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    files.map(|file| file.path()).any(|path| path.extension().is_some_and(|extension| extension == "db"))
}

pub(super) fn plugins(folder: &Path) -> Finding {
    let check = "plugins";
    let shown = folder.display();
    let build = "Run `cargo xtask build`, or name the right folder with --plugins-dir.";
    match fs::read_dir(folder) {
        Ok(files) => {
            let names = files.flatten().map(|file| file.path());
            match names.filter(|path| path.extension().is_some_and(|extension| extension == "wasm")).count() {
                0 => Finding::warning(check, format!("`{shown}` holds no components (*.wasm)"), build),
                count => Finding::good(check, format!("`{shown}` holds {count} components")),
            }
        }
        Err(error) => Finding::warning(check, format!("`{shown}` cannot be read: {error}"), build),
    }
}

pub(super) fn grants(file: &Path) -> Finding {
    let shown = file.display();
    match fs::metadata(file) {
        Ok(_) => Finding::good("grants", format!("`{shown}` is there")),
        Err(error) => Finding::warning(
            "grants",
            format!("`{shown}` cannot be read: {error}"),
            "Run from the folder that holds it, or set plugins.grants; without it plugins get nothing beyond their own collections.",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Verdict, *};
    use crate::store::StoreConfig;

    #[test]
    fn a_data_directory_is_judged_by_what_can_be_done_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        assert_eq!(data_directory(&data).verdict, Verdict::Good);
        fs::create_dir(&data).unwrap();
        fs::set_permissions(&data, fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(data_directory(&data).verdict, Verdict::Warning);
        fs::set_permissions(&data, fs::Permissions::from_mode(0o700)).unwrap();
        assert_eq!(data_directory(&data).verdict, Verdict::Good);
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        assert_eq!(data_directory(&file).verdict, Verdict::Bad);
    }

    #[tokio::test]
    async fn a_taken_port_is_bad() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let finding = port(address).await;
        assert_eq!(finding.verdict, Verdict::Bad);
        assert!(finding.next_step.contains("--listen"));
    }

    #[tokio::test]
    async fn a_database_is_checked_when_there_is_one() {
        let folder = tempfile::tempdir().unwrap();
        let section = StoreSection { data_dir: folder.path().to_owned(), ..StoreSection::default() };
        assert_eq!(database(&section).await.found, "there is none yet");
        let store = Store::open(StoreConfig::embedded(folder.path()), Clock::system()).await.unwrap();
        assert_eq!(database(&section).await.verdict, Verdict::Bad);
        store.close().await;
        let finding = database(&section).await;
        assert_eq!((finding.verdict, finding.found.as_str()), (Verdict::Good, "complete and consistent"));
    }

    #[test]
    fn a_folder_without_components_is_worth_a_warning() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(plugins(folder.path()).verdict, Verdict::Warning);
        fs::write(folder.path().join("products.wasm"), "").unwrap();
        assert_eq!(plugins(folder.path()).found, format!("`{}` holds 1 components", folder.path().display()));
    }
}
