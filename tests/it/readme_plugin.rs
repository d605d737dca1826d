//! The plugins of the documents are built as they stand there, tested, loaded and called, so that the documents cannot
//! rot.
//!
//! They become members of a scratch workspace in the target folder, with this repository's profiles, lints, versions
//! and lock file. It builds into the target folder of this test, where most of what it needs lies ready.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use platform_tests::host::{TestHostBuilder, target_dir};
use serde_json::json;

const README: &str = include_str!("../../README.md");
const PLUGINS: &str = include_str!("../../docs/PLUGINS.md");

#[tokio::test(flavor = "multi_thread")]
async fn the_plugins_of_the_documents_are_built_tested_and_called() {
    let scratch = Scratch::make();
    scratch.cargo(&["test", "--quiet", "--package", "notes"]);
    scratch.cargo(&[
        "build",
        "--quiet",
        "--profile",
        "plugin",
        "--target",
        "wasm32-wasip2",
        "--package",
        "hello",
        "--package",
        "notes",
    ]);
    let mut host = TestHostBuilder::empty().start().await;
    for name in ["hello", "notes"] {
        let report = host.install(&format!("{name}.wasm"), &scratch.component(name)).await;
        assert_eq!(report["refused"], json!([]), "{name}");
    }
    let anonymous = host.anonymous();
    assert_eq!(anonymous.get("/hello/world").await.expect(200), json!({"message": "Hello, world!"}));

    let body = json!({"title": "Stocktaking", "text": "Closed on Monday.", "pinned": true});
    anonymous.post("/notes", &body).await.expect_problem(401, "unauthenticated");
    let admin = host.admin().await;
    let note = admin.post("/notes", &body).await.expect(201);
    let listed = anonymous.get("/notes?filter[pinned]=true&q=stock").await.expect(200);
    assert_eq!(listed, json!([note]));
    let misspelt = admin.post("/notes", &json!({"titel": "Stocktaking"})).await;
    let _problem = misspelt.expect_error_at(422, "unknown_field", "/titel", "unknown_field");
    let path = format!("/notes/{}", note["id"].as_str().unwrap());
    assert_eq!(admin.patch(&path, &json!({"pinned": false})).await.expect(200)["version"], 2);
    assert_eq!(anonymous.get(&path).await.expect(200)["pinned"], false);
}

/// A workspace of its own with the plugins of the documents.
struct Scratch {
    folder: PathBuf,
}

impl Scratch {
    fn make() -> Self {
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let folder = target_dir().join("documents");
        let manifest = fs::read_to_string(repository.join("Cargo.toml")).unwrap();
        write(&folder.join("Cargo.toml"), &scratch_manifest(&manifest, repository));
        write(&folder.join("Cargo.lock"), &fs::read_to_string(repository.join("Cargo.lock")).unwrap());
        let files: Vec<(String, String)> = [README, PLUGINS].into_iter().flat_map(titled_blocks).collect();
        for expected in ["plugins/hello/src/lib.rs", "plugins/notes/src/lib.rs", "plugins/notes/src/tests.rs"]
        {
            assert!(files.iter().any(|(name, _)| name == expected), "no document has {expected}");
        }
        for (name, text) in files {
            write(&folder.join(name), &text);
        }
        Self { folder }
    }

    fn cargo(&self, arguments: &[&str]) {
        // The repository's flags for components, which cargo finds by itself only from within the repository.
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let config = repository.join(".cargo/config.toml");
        let outside = !self.folder.starts_with(repository);
        let output = Command::new("cargo")
            .args(arguments)
            .args(outside.then_some(["--config".as_ref(), config.as_os_str()]).iter().flatten())
            .arg("--offline")
            .arg("--target-dir")
            .arg(target_dir())
            .current_dir(&self.folder)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "`cargo {}` failed:\n{}{}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }

    fn component(&self, name: &str) -> Vec<u8> {
        fs::read(target_dir().join("wasm32-wasip2/plugin").join(format!("{name}.wasm"))).unwrap()
    }
}

/// The repository's manifest with other members, and with paths that hold from elsewhere.
fn scratch_manifest(manifest: &str, repository: &Path) -> String {
    let lines = manifest.lines().map(|line| {
        if line.starts_with("members = ") {
            r#"members = ["plugins/*"]"#.to_owned()
        } else if line.starts_with("default-members = ") {
            String::new()
        } else {
            line.replace("{ path = \"", &format!("{{ path = \"{}/", repository.display()))
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The code blocks of a document that say which file they are.
fn titled_blocks(document: &str) -> Vec<(String, String)> {
    let mut blocks = Vec::new();
    let mut lines = document.lines();
    while let Some(line) = lines.next() {
        let title = line.strip_prefix("```").and_then(|info| info.split_once(" title=\""));
        let Some((_, name)) = title else { continue };
        let text: String =
            lines.by_ref().take_while(|line| *line != "```").map(|line| format!("{line}\n")).collect();
        blocks.push((name.trim_end_matches('"').to_owned(), text));
    }
    blocks
}

/// Writes a file unless it holds the same already: cargo goes by the time of the last change.
fn write(path: &Path, text: &str) {
    if fs::read_to_string(path).is_ok_and(|old| old == text) {
        return;
    }
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}
