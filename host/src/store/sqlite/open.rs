//! Opening the database: the lock, the checks and the settings of the writing connection.

use std::{
    fs::{self, DirBuilder, File, TryLockError},
    io::{self, Read},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use rusqlite::{Connection, OpenFlags, config::DbConfig};

use super::{declare, fault::Fault};
use crate::store::{
    config::EmbeddedConfig,
    error::{OpenError, Unavailable},
};

/// Marks our files ("WARE"), so that we do not write into another program's database.
const APPLICATION_ID: i64 = 0x5741_5245;
/// Version of the layout. A change of the layout migrates from the versions before it.
const FORMAT: i64 = 2;
/// The version in which indexes were over the JSON, and fields had no columns.
const FORMAT_WITHOUT_COLUMNS: i64 = 1;
/// Older releases can lose a transaction when two connections checkpoint at the same time.
const SQLITE_VERSION_MIN: i32 = 3_051_003;
/// Checking reads the whole file; above this size it would keep a shop closed for too long.
const CHECK_BYTES_MAX: u64 = 512 * 1024 * 1024;
/// The WAL shrinks to this after a checkpoint.
const JOURNAL_BYTES: u64 = 64 * 1024 * 1024;
/// Pages in the WAL at which a commit checkpoints by itself. The writer does it earlier, between commits;
/// this is for when it cannot.
const CHECKPOINT_PAGES: u32 = 8_000;
/// Statements kept by the writing connection.
const STATEMENTS: usize = 512;

/// The opened database.
pub(super) struct Opened {
    pub(super) connection: Connection,
    pub(super) file: PathBuf,
    /// Holds the lock on the data directory as long as it is open.
    pub(super) lock: File,
}

pub(super) fn open(config: &EmbeddedConfig) -> Result<Opened, OpenError> {
    let directory = &config.directory;
    let lock = lock(directory)?;
    let file = config.file();
    check_header(directory, &file)?;
    let damage = |fault: Fault| describe(&file, fault);
    let connection = connect(&file, config).map_err(damage)?;
    check_identity(&connection, &file)?;
    let small = fs::metadata(&file).is_ok_and(|metadata| metadata.len() <= CHECK_BYTES_MAX);
    if config.check_on_open && small {
        let problems = check(&connection, "quick_check").map_err(damage)?;
        if let Some(problem) = problems.into_iter().next() {
            return Err(OpenError::Damaged { file, reason: problem });
        }
    }
    initialise(&connection, &file).map_err(damage)?;
    Ok(Opened { connection, file, lock })
}

/// What SQLite finds wrong with the database.
pub(super) fn check(connection: &Connection, pragma: &str) -> Result<Vec<String>, Fault> {
    let mut statement = connection.prepare(&format!("PRAGMA {pragma}"))?;
    let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
    let mut problems = rows.collect::<rusqlite::Result<Vec<String>>>()?;
    problems.retain(|problem| problem != "ok");
    Ok(problems)
}

fn lock(directory: &Path) -> Result<File, OpenError> {
    let unusable = |source: io::Error| OpenError::Directory { directory: directory.to_owned(), source };
    // For its owner only: it holds secrets and personal data.
    DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(unusable)?;
    let path = directory.join("lock");
    let lock = File::options().create(true).truncate(false).write(true).open(path).map_err(unusable)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse { directory: directory.to_owned() }),
        Err(TryLockError::Error(source)) => Err(unusable(source)),
    }
}

/// Looks at the start of the file before SQLite does: it takes a file that is shorter than a header for a
/// new database, and would overwrite what is left of an old one.
fn check_header(directory: &Path, file: &Path) -> Result<(), OpenError> {
    const MAGIC: &[u8] = b"SQLite format 3\0";
    let unusable = |source| OpenError::Directory { directory: directory.to_owned(), source };
    let mut header = Vec::new();
    match File::open(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(unusable(error)),
        Ok(opened) => opened.take(100).read_to_end(&mut header).map_err(unusable)?,
    };
    // An empty file is one that a crash left before the first commit.
    let wal = fs::metadata(file.with_extension("db-wal")).map_or(0, |metadata| metadata.len());
    if header.is_empty() && wal == 0 {
        return Ok(());
    }
    if header.len() < 100 {
        return Err(OpenError::Damaged { file: file.to_owned(), reason: "the file is cut off".to_owned() });
    }
    if !header.starts_with(MAGIC) {
        return Err(OpenError::Damaged { file: file.to_owned(), reason: "the header is damaged".to_owned() });
    }
    // SQLite reads zeroes where the last page is cut off, and its checks look at the structure only. While
    // there is a WAL the file may be short for a good reason.
    let length = fs::metadata(file).map_err(unusable)?.len();
    let page_size = match u16::from_be_bytes([header[16], header[17]]) {
        1 => 65_536,
        size => u64::from(size).max(512),
    };
    let pages = u64::from(u32::from_be_bytes([header[28], header[29], header[30], header[31]]));
    if wal == 0 && (length % page_size != 0 || length < pages * page_size) {
        return Err(OpenError::Damaged { file: file.to_owned(), reason: "the file is cut off".to_owned() });
    }
    Ok(())
}

fn connect(file: &Path, config: &EmbeddedConfig) -> Result<Connection, Fault> {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags)?;
    connection.execute_batch(&format!(
        "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA journal_mode = WAL; \
         PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY; \
         PRAGMA busy_timeout = 5000; PRAGMA cache_size = -{}; PRAGMA journal_size_limit = {JOURNAL_BYTES}; \
         PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES};",
        config.cache_kib
    ))?;
    if config.max_pages > 0 {
        connection.execute_batch(&format!("PRAGMA max_page_count = {};", config.max_pages))?;
    }
    plan_once(&connection)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}

/// Keeps a statement's plan whatever values are bound to it. Otherwise SQLite plans again for each of them, to look at
/// statistics that nobody gathers and at the limit, which changes no plan here.
pub(super) fn plan_once(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map(drop)
}

fn check_identity(connection: &Connection, file: &Path) -> Result<(), OpenError> {
    let pragma = |name: &str| {
        let value = connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i64>(0));
        value.map_err(|error| describe(file, error.into()))
    };
    if rusqlite::version_number() < SQLITE_VERSION_MIN {
        let reason = format!("SQLite {} is too old", rusqlite::version());
        let source = Unavailable::Failed(reason.into());
        return Err(OpenError::Unavailable { file: file.to_owned(), source });
    }
    let empty = pragma("schema_version")? == 0;
    match (pragma("application_id")?, pragma("user_version")?) {
        (APPLICATION_ID, FORMAT | FORMAT_WITHOUT_COLUMNS) => Ok(()),
        (0, 0) if empty => Ok(()),
        (APPLICATION_ID, found) => Err(OpenError::Format { file: file.to_owned(), found, known: FORMAT }),
        _ => Err(OpenError::Foreign { file: file.to_owned() }),
    }
}

/// Makes a new database, or brings an old one to the present layout; whole or not at all.
fn initialise(connection: &Connection, file: &Path) -> Result<(), Fault> {
    let found: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    // Where the disk is full nothing can be written, and the database can still be read.
    if found == FORMAT {
        return Ok(());
    }
    if found == FORMAT_WITHOUT_COLUMNS {
        tracing::info!(file = %file.display(), "The database gets the layout of this version; this takes a while");
    }
    with_temporary_files(connection, || initialise_whole(connection, found))?;
    if found == FORMAT_WITHOUT_COLUMNS {
        tracing::info!(file = %file.display(), "The database has the layout of this version");
    }
    Ok(())
}

/// Keeps on disk meanwhile what a statement needs to be undone: one that changes a whole table would need as much memory.
/// No transaction may be open before.
pub(super) fn with_temporary_files<T, E: From<rusqlite::Error>>(
    connection: &Connection,
    change: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    connection.execute_batch("PRAGMA temp_store = FILE")?;
    let changed = change();
    let restored = connection.execute_batch("PRAGMA temp_store = MEMORY");
    // What went wrong first is told.
    let changed = changed?;
    restored?;
    Ok(changed)
}

fn initialise_whole(connection: &Connection, found: i64) -> Result<(), Fault> {
    connection.execute_batch(
        "BEGIN IMMEDIATE; \
         CREATE TABLE IF NOT EXISTS collection (name TEXT PRIMARY KEY, schema TEXT NOT NULL) STRICT, WITHOUT ROWID;",
    )?;
    if found == FORMAT_WITHOUT_COLUMNS {
        declare::give_columns(connection)?;
    }
    connection.execute_batch(&format!(
        "PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {FORMAT}; COMMIT;"
    ))?;
    Ok(())
}

fn describe(file: &Path, fault: Fault) -> OpenError {
    let file = file.to_owned();
    if fault.is_damage() {
        let Fault::Sql(error) = fault else { return OpenError::Foreign { file } };
        return OpenError::Damaged { file, reason: error.to_string() };
    }
    OpenError::Unavailable { file, source: fault.into() }
}
