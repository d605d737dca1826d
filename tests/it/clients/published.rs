//! Published clients that know nothing of the platform, driven against a live server.

use std::{fs, process::Command};

use platform_tests::{
    host::TestHost,
    packages::{self, npm, run},
};

const NAME: &str = "published";
const SCRIPT: &str = "simple-rest.mjs";

#[tokio::test(flavor = "multi_thread")]
async fn react_admin_and_refine_work_as_they_are_published() {
    let Some(folder) = npm(NAME) else { return };
    fs::copy(packages::source(NAME).join(SCRIPT), folder.join(SCRIPT)).unwrap();
    let host = TestHost::shop().await;
    let token = host.staff("clients@example.com", &["superadmin"]).await;
    let api = format!("{}/api/v1", host.origin());
    let running = tokio::task::spawn_blocking(move || {
        run(Command::new("node").args([SCRIPT, &api, &token]).current_dir(folder))
    });
    let said = running.await.unwrap().unwrap_or_else(|failure| panic!("{failure}"));
    assert!(said.contains("are content"), "{said}");
}
