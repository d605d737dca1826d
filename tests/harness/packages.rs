//! Programs from package registries, pinned with their checksums by lockfiles of the repository.
//!
//! They are installed below `target` and stay there until their lockfile changes. Where they cannot be had, the test
//! tests nothing: that fails where it is forbidden, and is told at the end of `cargo xtask test` elsewhere.
#![allow(clippy::print_stderr, reason = "a test that tests nothing must tell so")]

use std::{
    env,
    fs::{self, File, OpenOptions},
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
};

use crate::host::target_dir;

/// Set where a test may not be left out.
const REQUIRED: &str = "WARES_TEST_REQUIRE_SERVERS";
/// Set by the runner: a file that gathers what was not tested.
const LEFT_OUT: &str = "WARES_TEST_LEFT_OUT";

/// A folder of `tests/clients` in the repository.
pub fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients").join(name)
}

/// The folder below `target` in which a folder of `tests/clients` is at work.
pub fn workplace(name: &str) -> PathBuf {
    let folder = target_dir().join("clients").join(name);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// Installs what `package-lock.json` pins, and answers the folder that has `node_modules`.
pub fn npm(name: &str) -> Option<PathBuf> {
    let folder = workplace(name);
    let lock = fs::read_to_string(source(name).join("package-lock.json")).unwrap();
    let installed = once(&folder.join("npm-installed"), &lock, || {
        for file in ["package.json", "package-lock.json"] {
            fs::copy(source(name).join(file), folder.join(file)).unwrap();
        }
        // A lockfile vouches for what a package contains, not for what its scripts do at installation.
        let flags = ["ci", "--ignore-scripts", "--no-audit", "--no-fund"];
        run(Command::new("npm").args(flags).current_dir(&folder))
    });
    present(installed, &format!("the npm packages of tests/clients/{name} (Node.js 20 or later)"))?;
    Some(folder)
}

/// Installs what `requirements.txt` pins into a virtual environment, and answers the folder of its programs.
pub fn python(name: &str) -> Option<PathBuf> {
    let folder = workplace(name);
    let requirements = source(name).join("requirements.txt");
    let environment = folder.join("python");
    let pins = fs::read_to_string(&requirements).unwrap();
    let installed = run(Command::new("python3").arg("--version")).and_then(|version| {
        once(&folder.join("python-installed"), &(version + &pins), || {
            run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&environment))?;
            let flags =
                ["install", "--quiet", "--no-input", "--disable-pip-version-check", "--require-hashes"];
            let mut pip = Command::new(environment.join("bin/pip"));
            run(pip.args(flags).arg("--requirement").arg(&requirements))
        })
    });
    present(installed, &format!("the Python packages of tests/clients/{name} (Python 3.11 or later)"))?;
    Some(environment.join("bin"))
}

/// Whether a program is there. `what` names it for people.
pub fn program(name: &str, arguments: &[&str], what: &str) -> Option<()> {
    present(run(Command::new(name).args(arguments)), what)
}

/// Runs a program, and answers its output, or what it said when it failed.
pub fn run(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.success() { Ok(text) } else { Err(format!("{command:?}: {}\n{text}", output.status)) }
}

/// Does something unless it was done for the same input. Tests in other processes wait meanwhile.
fn once(stamp: &Path, input: &str, act: impl FnOnce() -> Result<String, String>) -> Result<String, String> {
    let lock = File::create(stamp.with_extension("lock")).unwrap();
    lock.lock().unwrap();
    if fs::read_to_string(stamp).is_ok_and(|done| done == input) {
        return Ok(String::new());
    }
    // A run that ends half way must not be taken for a whole one.
    let _ = fs::remove_file(stamp);
    let said = act()?;
    fs::write(stamp, input).unwrap();
    Ok(said)
}

fn present(found: Result<String, String>, what: &str) -> Option<()> {
    let Err(failure) = found else { return Some(()) };
    assert!(env::var(REQUIRED).is_err(), "missing: {what}: {failure}");
    let test = std::thread::current().name().unwrap_or_default().to_owned();
    eprintln!("NOT TESTED: {test}: missing: {what}: {failure}");
    if let Ok(file) = env::var(LEFT_OUT) {
        // One short write, so that the lines of several tests do not mix.
        let line = format!("NOT TESTED: {test}: missing: {what}\n");
        let mut file = OpenOptions::new().create(true).append(true).open(file).unwrap();
        file.write_all(line.as_bytes()).unwrap();
    }
    None
}
