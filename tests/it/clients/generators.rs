//! Generators of clients: they run on the documents in `openapi/`, and what they emit compiles, together with a
//! hand-written `use.ts` that does what a shop does. That file also says what the types must refuse, so that a
//! document that says less than before does not compile either.
//!
//! `cargo xtask check` keeps those documents equal to what the host serves. As long as nothing changes that a
//! generator reads, it is not run again; the extended run always runs it.
#![allow(clippy::print_stdout, reason = "a test that has nothing to do says why")]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use platform_tests::{
    packages::{self, npm, program, python, run},
    sizes::is_extended,
};

const NAME: &str = "generators";
/// What each compilation reads besides what was generated.
const SHARED: [&str; 3] = ["package-lock.json", "requirements.txt", "tsconfig.json"];

/// What stands in a line of these generators that complains.
const JAVASCRIPT: &[&str] = &["warn", "Warn", "error", "Error", "⚠", "❗", "✘", "🛑"];

struct Generator {
    /// Its folder in `tests/clients/generators`.
    name: &'static str,
    document: &'static str,
    /// Its command, without its program: that comes with npm or, where it says so, with Python.
    arguments: &'static [&'static str],
    program: &'static str,
    is_java: bool,
    /// Lines with one of these are complaints about the document.
    complaints: &'static [&'static str],
}

#[test]
fn openapi_typescript() {
    compiles(&Generator {
        name: "openapi-typescript",
        document: "openapi.json",
        program: "openapi-typescript",
        // A member with a default is optional in a request. Without this it would be required everywhere, because an
        // answer always has it; ours say so themselves.
        arguments: &["openapi.json", "--output", "wares.ts", "--default-non-nullable=false"],
        is_java: false,
        complaints: JAVASCRIPT,
    });
}

#[test]
fn hey_api() {
    compiles(&Generator {
        name: "hey-api",
        document: "openapi.json",
        program: "openapi-ts",
        arguments: &["--input", "openapi.json", "--output", "wares", "--client", "@hey-api/client-fetch"],
        is_java: false,
        complaints: JAVASCRIPT,
    });
}

#[test]
fn orval() {
    compiles(&Generator {
        name: "orval",
        document: "openapi.json",
        program: "orval",
        arguments: &["--config", "orval.config.mjs"],
        is_java: false,
        complaints: JAVASCRIPT,
    });
}

/// It reads the 3.0 document: its support of 3.1 calls itself a beta.
#[test]
fn openapi_generator() {
    compiles(&Generator {
        name: "openapi-generator",
        document: "openapi-3.0.json",
        program: "openapi-generator-cli",
        arguments: &["generate", "-i", "openapi-3.0.json", "-g", "typescript-fetch", "-o", "wares"],
        is_java: true,
        complaints: &["WARN", "ERROR", "Exception"],
    });
}

fn compiles(generator: &Generator) {
    let inputs = inputs(generator);
    let key = key(generator, &inputs);
    let folder = packages::workplace(NAME).join(generator.name);
    let stamp = folder.join("compiled");
    if !is_extended() && fs::read_to_string(&stamp).is_ok_and(|compiled| compiled == key) {
        println!("Nothing has changed since this generator's client compiled.");
        return;
    }
    let Some(npm) = npm(NAME) else { return };
    let programs = npm.join("node_modules/.bin");
    let mut command = if generator.is_java {
        let java = program("java", &["-version"], "Java 11 or later for openapi-generator");
        let (Some(()), Some(python)) = (java, python(NAME)) else { return };
        Command::new(python.join(generator.program))
    } else {
        Command::new(programs.join(generator.program))
    };

    // What an earlier run left must not compile in the place of what this one makes.
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    for (file, text) in &inputs {
        fs::write(folder.join(file), text).unwrap();
    }
    let said = succeeded(command.args(generator.arguments).env("NO_COLOR", "1").current_dir(&folder));
    let complains = |line: &&str| generator.complaints.iter().any(|it| line.contains(it));
    let complaints: Vec<&str> = said.lines().filter(complains).collect();
    assert!(complaints.is_empty(), "{} complains: {complaints:#?}", generator.name);
    succeeded(Command::new(programs.join("tsc")).args(["--project", "."]).current_dir(&folder));
    fs::write(stamp, key).unwrap();
}

fn succeeded(command: &mut Command) -> String {
    run(command).unwrap_or_else(|failure| panic!("{failure}"))
}

/// The files that decide what a generator does, by name.
fn inputs(generator: &Generator) -> BTreeMap<String, Vec<u8>> {
    let source = packages::source(NAME);
    let documents = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("openapi");
    let mut files: Vec<PathBuf> = SHARED.iter().map(|file| source.join(file)).collect();
    files.push(documents.join(generator.document));
    files.extend(fs::read_dir(source.join(generator.name)).unwrap().map(|file| file.unwrap().path()));
    let read =
        |file: PathBuf| (file.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(file).unwrap());
    files.into_iter().map(read).collect()
}

/// Changes with the inputs, and with what this file does with them.
fn key(generator: &Generator, inputs: &BTreeMap<String, Vec<u8>>) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(include_bytes!("generators.rs"));
    hasher.update(generator.name.as_bytes());
    for (file, bytes) in inputs {
        hasher.update(file.as_bytes());
        hasher.update(&bytes.len().to_le_bytes());
        hasher.update(bytes);
    }
    hasher.finalize().to_hex().to_string()
}
