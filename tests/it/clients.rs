//! Published clients that know nothing of the platform, driven against a live server.
#![allow(clippy::print_stderr, reason = "a test that tests nothing must tell so")]

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use platform_tests::host::{TestHost, target_dir};

/// Set where a test may not be left out.
const REQUIRED: &str = "WARES_TEST_REQUIRE_SERVERS";
const FILES: [&str; 3] = ["package.json", "package-lock.json", "simple-rest.mjs"];

/// A folder with the clients as their registry has them; nothing where they cannot be had, which is told loudly.
fn installed() -> Option<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients");
    let folder = target_dir().join("clients");
    fs::create_dir_all(&folder).unwrap();
    let lock = fs::read_to_string(source.join("package-lock.json")).unwrap();
    let same = fs::read_to_string(folder.join("installed")).is_ok_and(|installed| installed == lock);
    for file in FILES {
        fs::copy(source.join(file), folder.join(file)).unwrap();
    }
    if same {
        return Some(folder);
    }
    let command = Command::new("npm").args(["ci", "--no-audit", "--no-fund"]).current_dir(&folder).output();
    let failure = match command {
        Ok(output) if output.status.success() => {
            fs::write(folder.join("installed"), lock).unwrap();
            return Some(folder);
        }
        Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
        Err(error) => error.to_string(),
    };
    assert!(env::var(REQUIRED).is_err(), "the clients cannot be installed: {failure}");
    eprintln!("NOT TESTED with published clients (npm: {failure}): install Node.js 20");
    None
}

#[tokio::test(flavor = "multi_thread")]
async fn react_admin_and_refine_work_as_they_are_published() {
    let Some(folder) = installed() else { return };
    let host = TestHost::shop().await;
    let token = host.staff("clients@example.com", &["superadmin"]).await;
    let api = format!("{}/api/v1", host.origin());
    let running = tokio::task::spawn_blocking(move || {
        Command::new("node").args(["simple-rest.mjs", &api, &token]).current_dir(folder).output().unwrap()
    });
    let output = running.await.unwrap();
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}{}", said(&output.stdout), said(&output.stderr));
    assert!(said(&output.stdout).contains("are content"));
}
