//! A host starts with what was active when it stopped.

use std::fs;

use host::config::Environment;
use platform_tests::{
    host::{TestHost, TestHostBuilder},
    plugin::marked,
};

fn staging() -> TestHostBuilder {
    TestHostBuilder::empty().configure(|config| config.environment = Environment::Staging)
}

async fn version(host: &TestHost) -> String {
    let answer = host.anonymous().get("/versioned/one").await.expect(200);
    answer["first"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_component_in_the_directory_does_not_undo_a_swap() {
    let host = staging().marked("versioned", "a").start().await;
    host.install("versioned.wasm", &marked("versioned", "b")).await;
    assert_eq!(version(&host).await, "b");
    // The image brings along what it was built with.
    let host = staging().marked("versioned", "a").with_data(host.stop().await).start().await;
    assert_eq!(version(&host).await, "b");
    host.install("versioned.wasm", &marked("versioned", "a")).await;
    assert_eq!(version(&host).await, "b");
    host.install("versioned.wasm", &marked("versioned", "c")).await;
    assert_eq!(version(&host).await, "c");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_without_a_directory_serves_what_the_store_has() {
    let host = staging().marked("versioned", "a").start().await;
    let directory = host.plugins_dir.clone();
    let data = host.stop().await;
    fs::remove_file(directory.join("versioned.wasm")).unwrap();
    fs::remove_dir_all(data.path().join("data/compiled")).unwrap();
    let host = staging().with_data(data).start().await;
    assert_eq!(version(&host).await, "a");
    fs::remove_dir_all(&host.plugins_dir).unwrap();
    host.reload().await;
    assert_eq!(version(&host).await, "a");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_is_switched_off_can_be_switched_on_again() {
    let host = staging().marked("versioned", "a").start().await;
    host.grant("[plugins.versioned]\nenabled = false\n").await;
    host.anonymous().get("/versioned/one").await.expect_problem(404, "not_found");
    let host =
        staging().grants("[plugins.versioned]\nenabled = false\n").with_data(host.stop().await).start().await;
    host.anonymous().get("/versioned/one").await.expect_problem(404, "not_found");
    host.grant("").await;
    assert_eq!(version(&host).await, "a");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_could_not_start_comes_back_when_its_configuration_is_repaired() {
    let host = staging().marked("versioned", "a").start().await;
    let wrong = "[plugins.versioned.config]\ncolour = \"red\"\n";
    let host = staging().grants(wrong).with_data(host.stop().await).start().await;
    let (reason, _) = host.refusal();
    assert!(reason.contains("nothing to configure"), "{reason}");
    host.grant("").await;
    assert_eq!(version(&host).await, "a");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_version_that_is_refused_at_start_leaves_the_stored_one_serving() {
    let data = staging().marked("misdescribed", "good").start().await.stop().await;
    for wrong in ["config-refused", "no-access", "loops"] {
        let served = served_beside(wrong, data.path()).await;
        assert_eq!(served, "good", "after `{wrong}`");
    }
}

/// Starts a host on a copy of the data with another version in the directory, and answers what it serves.
async fn served_beside(marker: &str, data: &std::path::Path) -> String {
    let copy = tempfile::tempdir().unwrap();
    copy_all(data, copy.path());
    let host = staging().marked("misdescribed", marker).with_data(copy).start().await;
    let (_, still_serving) = host.refusal();
    assert!(still_serving, "{marker}");
    let answer = host.anonymous().get("/misdescribed").await.expect(200);
    answer["marker"].as_str().unwrap().to_owned()
}

fn copy_all(from: &std::path::Path, to: &std::path::Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir_all(&target).unwrap();
            copy_all(&entry.path(), &target);
        } else if entry.file_type().unwrap().is_file() {
            fs::copy(entry.path(), &target).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_compiled_code_is_compiled_again() {
    // A directory of its own, because other tests share theirs.
    let data = tempfile::tempdir().unwrap();
    let compiled = data.path().join("data/compiled");
    fs::create_dir_all(&compiled).unwrap();
    let data = staging().marked("versioned", "a").with_data(data).start().await.stop().await;
    let mut damaged = 0;
    for entry in fs::read_dir(&compiled).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "aot") {
            let mut bytes = fs::read(&path).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(&path, &bytes).unwrap();
            damaged += 1;
        }
    }
    assert_eq!(damaged, 1);
    let host = staging().with_data(data).start().await;
    assert_eq!(version(&host).await, "a");
    assert_eq!(host.refusals(), []);
}
