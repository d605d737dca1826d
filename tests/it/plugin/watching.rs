//! A change of the directory is noticed by itself, however it is made.

use std::{fs, io::Write as _, time::Duration};

use platform_tests::{
    host::{TestHost, TestHostBuilder},
    plugin::marked,
    wait::eventually,
};

async fn watched() -> TestHost {
    TestHostBuilder::empty()
        .marked("versioned", "a")
        .configure(|config| config.plugins.watch = true)
        .start()
        .await
}

async fn serves(host: &TestHost, version: &str) {
    eventually(&format!("version {version} is served"), async || {
        let answer = host.anonymous().get("/versioned/one").await.expect(200);
        answer["first"] == version
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_replaced_by_renaming_is_loaded() {
    let host = watched().await;
    let temporary = host.plugins_dir.join("versioned.tmp");
    fs::write(&temporary, marked("versioned", "b")).unwrap();
    fs::rename(&temporary, host.plugins_dir.join("versioned.wasm")).unwrap();
    serves(&host, "b").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_written_in_slow_pieces_is_loaded_once_it_is_whole() {
    let host = watched().await;
    let bytes = marked("versioned", "b");
    let mut file = fs::File::create(host.plugins_dir.join("versioned.wasm")).unwrap();
    for piece in bytes.chunks(bytes.len().div_ceil(10)) {
        file.write_all(piece).unwrap();
        file.flush().unwrap();
        // Longer than the debounce time, so that the host looks at a part; the running version answers meanwhile.
        tokio::time::sleep(Duration::from_millis(60)).await;
        let answer = host.anonymous().get("/versioned/one").await.expect(200);
        assert!(answer["first"] == "a" || answer["first"] == "b");
    }
    drop(file);
    serves(&host, "b").await;
    eventually("nothing is refused", async || host.refusals().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_the_same_size_and_time_is_loaded() {
    let host = watched().await;
    let path = host.plugins_dir.join("versioned.wasm");
    let modified = fs::metadata(&path).unwrap().modified().unwrap();
    let temporary = host.plugins_dir.join("versioned.tmp");
    let mut file = fs::File::create(&temporary).unwrap();
    file.write_all(&marked("versioned", "b")).unwrap();
    file.set_modified(modified).unwrap();
    fs::rename(&temporary, &path).unwrap();
    serves(&host, "b").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_is_turned_to_another_file_is_followed() {
    let host = watched().await;
    let releases = host.data_dir().join("releases");
    fs::create_dir(&releases).unwrap();
    for version in ["b", "c"] {
        fs::write(releases.join(format!("{version}.wasm")), marked("versioned", version)).unwrap();
    }
    for version in ["b", "c", "b"] {
        let link = host.plugins_dir.join("versioned.link");
        std::os::unix::fs::symlink(releases.join(format!("{version}.wasm")), &link).unwrap();
        fs::rename(&link, host.plugins_dir.join("versioned.wasm")).unwrap();
        serves(&host, version).await;
    }
    // A change behind the link is not announced to whoever watches the directory.
    fs::write(releases.join("b.wasm"), marked("versioned", "d")).unwrap();
    serves(&host, "d").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_file_is_unloaded_and_comes_back() {
    let host = watched().await;
    let path = host.plugins_dir.join("versioned.wasm");
    fs::remove_file(&path).unwrap();
    eventually("it is gone", async || host.anonymous().get("/versioned/one").await.status == 404).await;
    fs::write(&path, marked("versioned", "b")).unwrap();
    eventually("it is back", async || host.anonymous().get("/versioned/one").await.status == 200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_plugins_file_takes_effect() {
    let host = watched().await;
    fs::write(host.data_dir().join("plugins.toml"), "[plugins.versioned]\nenabled = false\n").unwrap();
    eventually("it is off", async || host.anonymous().get("/versioned/one").await.status == 404).await;
    fs::write(host.data_dir().join("plugins.toml"), "").unwrap();
    eventually("it is on", async || host.anonymous().get("/versioned/one").await.status == 200).await;
}
