//! The `wares` command as a process of its own.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::channel,
    thread::{self, JoinHandle},
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    client::Client,
    host::{ADMIN_EMAIL, ADMIN_PASSWORD, built, share_compiled, target_dir},
};

/// Longer than anything takes; a process that is slower hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// The folder that a `wares` works in: data, configuration, nothing else.
pub struct Place {
    folder: TempDir,
    data_dir: PathBuf,
    plugins_dir: PathBuf,
    environment: Vec<(&'static str, String)>,
}

/// What a command that ended left behind.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// A serving `wares`. It is killed with its handle.
pub struct Server {
    child: Child,
    stderr: Option<JoinHandle<String>>,
    /// What it said of itself when it was ready.
    pub ready: Value,
}

/// The command of this build.
fn binary() -> PathBuf {
    // The test binary lies in target/<profile>/deps.
    let test = std::env::current_exe().unwrap();
    let path = test.ancestors().nth(2).unwrap().join("wares");
    assert!(path.exists(), "{} is missing: run cargo xtask test", path.display());
    path
}

impl Place {
    pub fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let data_dir = folder.path().join("data");
        Self::with_data_dir(folder, data_dir)
    }

    /// A place whose data is elsewhere, such as on a file system of its own.
    pub fn with_data_dir(folder: TempDir, data_dir: PathBuf) -> Self {
        share_compiled(&data_dir);
        // A missing component would be a warning of the server and a puzzle here.
        let plugins_dir = built("plugins", "products").parent().unwrap().to_owned();
        let place = Self { folder, data_dir, plugins_dir, environment: Vec::new() };
        place.configure("");
        place
    }

    /// A place in a folder where a host of this process was: data in `data`, components in `plugins`.
    pub fn in_folder(folder: TempDir) -> Self {
        let (data_dir, plugins_dir) = (folder.path().join("data"), folder.path().join("plugins"));
        share_compiled(&data_dir);
        Self { folder, data_dir, plugins_dir, environment: Vec::new() }
    }

    /// The folder, for another host to go on with.
    pub fn into_folder(self) -> TempDir {
        self.folder
    }

    /// Writes the configuration file: what every test needs, and this.
    pub fn configure(&self, text: &str) {
        let grants = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("config/plugins.toml");
        let base = format!(
            "plugins.grants = {:?}\nplugins.watch = false\ntelemetry.filter = \"warn\"\n",
            grants.display().to_string()
        );
        self.configure_whole(&(base + text));
    }

    /// Runs commands with a plugins folder of this place's own, which is empty at first, and answers it.
    pub fn own_plugins(&mut self) -> PathBuf {
        self.plugins_dir = self.folder.path().join("plugins");
        std::fs::create_dir_all(&self.plugins_dir).unwrap();
        self.plugins_dir.clone()
    }

    /// Runs commands with this in their environment.
    pub fn set_environment(&mut self, name: &'static str, value: impl Into<String>) {
        self.environment.push((name, value.into()));
    }

    /// Writes the configuration file as it is.
    pub fn configure_whole(&self, text: &str) {
        std::fs::write(self.config(), text).unwrap();
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    pub fn config(&self) -> PathBuf {
        self.folder.path().join("wares.toml")
    }

    /// A command that knows this place and nothing of the environment of the tests.
    pub fn command(&self, subcommand: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command
            .args(subcommand)
            .args(["--config".as_ref(), self.config().as_os_str()])
            .args(["--data-dir".as_ref(), self.data_dir.as_os_str()])
            .args(["--plugins-dir".as_ref(), self.plugins_dir.as_os_str()])
            .current_dir(self.folder.path())
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs a command to its end.
    pub fn run(&self, subcommand: &[&str]) -> Ended {
        ended(self.command(subcommand), "")
    }

    /// Runs a command that must succeed, and answers what it said in JSON.
    #[track_caller]
    pub fn answer(&self, subcommand: &[&str]) -> Value {
        let ended = self.run(&[&["--json"], subcommand].concat());
        assert_eq!(ended.code, Some(0), "{subcommand:?}: {ended:?}");
        serde_json::from_str(&ended.stdout).unwrap()
    }

    /// Runs a command that must fail, and answers what it said on standard error.
    #[track_caller]
    pub fn refusal(&self, subcommand: &[&str]) -> String {
        let ended = self.run(subcommand);
        assert_eq!(ended.code, Some(1), "{subcommand:?}: {ended:?}");
        ended.stderr
    }

    /// Creates a superadmin, beside a server or without one.
    pub fn create_admin(&self) {
        let create = ["user", "create", "--kind", "admin", "--role", "superadmin", "--email", ADMIN_EMAIL];
        let ended = ended(self.command(&create), ADMIN_PASSWORD);
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }

    pub fn serve(&self) -> Server {
        self.serve_with(&[])
    }

    /// Serves on a free port and waits until it is ready.
    pub fn serve_with(&self, arguments: &[&str]) -> Server {
        let mut command = self.command(&["--json", "serve", "--listen", "127.0.0.1:0"]);
        let mut child = command.args(arguments).spawn().unwrap();
        let mut stderr = child.stderr.take().unwrap();
        let stderr = thread::spawn(move || {
            let mut text = Vec::new();
            let _ = stderr.read_to_end(&mut text);
            String::from_utf8_lossy(&text).into_owned()
        });
        let stdout = child.stdout.take().unwrap();
        let (lines, told) = channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = lines.send(line);
            }
        });
        match told.recv_timeout(PATIENCE) {
            Ok(line) => {
                let ready: Value = serde_json::from_str(&line).unwrap();
                assert_eq!(ready["event"], "ready");
                Server { child, stderr: Some(stderr), ready }
            }
            Err(_) => {
                let _ = child.kill();
                panic!("the server does not serve: {}", stderr.join().unwrap());
            }
        }
    }
}

impl Default for Place {
    fn default() -> Self {
        Self::new()
    }
}

/// Runs a command to its end with this standard input.
pub fn ended(mut command: Command, input: &str) -> Ended {
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    // A command that reads nothing may be gone already.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let id = child.id().to_string();
    let (sender, output) = channel();
    thread::spawn(move || sender.send(child.wait_with_output()));
    let Ok(output) = output.recv_timeout(PATIENCE) else {
        let _ = Command::new("kill").args(["-KILL", &id]).status();
        panic!("{command:?} does not end");
    };
    let output = output.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

impl Server {
    pub fn origin(&self) -> &str {
        self.ready["url"].as_str().unwrap()
    }

    pub fn address(&self) -> SocketAddr {
        self.origin().strip_prefix("http://").unwrap().parse().unwrap()
    }

    pub fn anonymous(&self) -> Client {
        self.with_token(None)
    }

    pub fn with_token(&self, token: Option<&str>) -> Client {
        Client::new(self.origin().to_owned(), token.map(str::to_owned))
    }

    /// Logs the superadmin in that [`Place::create_admin`] has made, and answers the token.
    pub async fn login(&self) -> String {
        let body = serde_json::json!({ "email": ADMIN_EMAIL, "password": ADMIN_PASSWORD });
        let login = self.anonymous().post("/auth/admin/login", &body).await.expect(200);
        login["accessToken"].as_str().unwrap().to_owned()
    }

    /// Kills it as the system would, with no chance to tidy up.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to stop.
    pub fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// Waits for its end.
    pub fn wait(mut self) -> (ExitStatus, String) {
        let id = self.child.id().to_string();
        let (sender, ended) = channel();
        let status = thread::scope(|scope| {
            scope.spawn(|| sender.send(self.child.wait()));
            ended.recv_timeout(PATIENCE).unwrap_or_else(|_| {
                let _ = Command::new("kill").args(["-KILL", &id]).status();
                panic!("the server does not end");
            })
        });
        let status = status.unwrap();
        (status, self.stderr.take().unwrap().join().unwrap())
    }

    /// Stops it politely and asserts that it ends well.
    pub fn stop(self) {
        self.signal("-TERM");
        let (status, stderr) = self.wait();
        assert_eq!(status.code(), Some(0), "{stderr}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A file system of a few megabytes in memory.
pub struct SmallDisk {
    folder: TempDir,
}

impl SmallDisk {
    /// None where this user may not mount.
    pub fn mount(megabytes: u32) -> Option<Self> {
        let folder = TempDir::new_in(target_dir()).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={megabytes}m"), "tmpfs"])
            .arg(folder.path())
            .stderr(Stdio::null())
            .status();
        mounted.is_ok_and(|status| status.success()).then_some(Self { folder })
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.folder.path()).status();
    }
}
