//! The tables of the file, its version, and opening it without trusting it.
//!
//! The format's version is `major * 1000 + minor` in SQLite's `user_version`. A minor version may add tables
//! and columns; what is described in `docs/reference/recording-format.md` keeps its meaning until the major
//! version changes.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use naja_system::byte_lock;
use rusqlite::limits::Limit;
use rusqlite::{Connection, OpenFlags};

use crate::error::RecordingError;

/// Marks the file as ours: "naja" in ASCII.
pub(crate) const APPLICATION_ID: i32 = 0x6e61_6a61;
/// Marks another database of naja's, of durations and outcomes of tests: "njts" in ASCII. It is no recording, but can be
/// asked in SQL as one.
pub const TEST_HISTORY_ID: i32 = 0x6e6a_7473;
/// Readers refuse a later major version.
pub(crate) const MAJOR: u32 = 1;
/// Grows with each addition.
pub(crate) const MINOR: u32 = 3;
/// The byte that a writer keeps locked while it lives; far from those that SQLite locks, at one gibibyte.
pub(crate) const WRITER_BYTE: i64 = 1 << 62;

/// No value in a recording is longer, in bytes: a source text, at most.
const VALUE_MAX: i32 = 64 << 20;
/// How long a reader waits for a writer to finish a transaction of some milliseconds.
const READER_PATIENCE: Duration = Duration::from_secs(5);

/// After this long a file without content, of which no writer says that it writes it, is not one in the making.
const MAKING: Duration = Duration::from_millis(250);

pub(crate) const TABLES: &str = "
CREATE TABLE meta (key TEXT PRIMARY KEY, value ANY) STRICT, WITHOUT ROWID;
CREATE TABLE processes (
    id INTEGER PRIMARY KEY, pid INTEGER NOT NULL, parent INTEGER NOT NULL, command TEXT NOT NULL,
    first_tick INTEGER NOT NULL, last_tick INTEGER NOT NULL, interpreter TEXT NOT NULL,
    unobserved TEXT NOT NULL, user_ns INTEGER NOT NULL, system_ns INTEGER NOT NULL,
    peak_rss_bytes INTEGER NOT NULL, ending TEXT NOT NULL, ending_code INTEGER) STRICT;
CREATE TABLE threads (
    id INTEGER PRIMARY KEY, process INTEGER NOT NULL, os_tid INTEGER NOT NULL, name TEXT NOT NULL,
    interpreter INTEGER NOT NULL, seen_tick INTEGER NOT NULL) STRICT;
CREATE TABLE files (id INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT;
CREATE TABLE functions (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, qualified_name TEXT NOT NULL, file INTEGER NOT NULL,
    first_line INTEGER NOT NULL, kind INTEGER NOT NULL DEFAULT 0) STRICT;
CREATE TABLE node_blocks (first_id INTEGER PRIMARY KEY, count INTEGER NOT NULL, data BLOB NOT NULL) STRICT;
CREATE TABLE generations (
    id INTEGER PRIMARY KEY, first_node INTEGER NOT NULL, first_function INTEGER NOT NULL) STRICT;
CREATE TABLE run_blocks (
    id INTEGER PRIMARY KEY, thread INTEGER NOT NULL, first_tick INTEGER NOT NULL,
    end_tick INTEGER NOT NULL, goes_on INTEGER NOT NULL, generation INTEGER NOT NULL,
    data BLOB NOT NULL) STRICT;
CREATE INDEX run_blocks_by_thread ON run_blocks (thread, first_tick, end_tick, goes_on, generation);
CREATE TABLE metrics (
    tick INTEGER NOT NULL, process INTEGER NOT NULL, cpu_ns INTEGER NOT NULL, rss_bytes INTEGER NOT NULL,
    PRIMARY KEY (tick, process)) STRICT, WITHOUT ROWID;
CREATE TABLE sources (file TEXT PRIMARY KEY, data BLOB NOT NULL) STRICT;
CREATE TABLE report (json TEXT NOT NULL) STRICT;
";

/// The tables of allocations, which a recording without any does not have.
pub(crate) const ALLOCATION_TABLES: &str = "
CREATE TABLE IF NOT EXISTS allocation_places (
    id INTEGER PRIMARY KEY, process INTEGER NOT NULL, thread INTEGER NOT NULL, node INTEGER NOT NULL,
    allocator INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS allocation_tallies (
    place INTEGER PRIMARY KEY, given_blocks INTEGER NOT NULL, given_bytes INTEGER NOT NULL,
    now_blocks INTEGER NOT NULL, now_bytes INTEGER NOT NULL, peak_blocks INTEGER NOT NULL,
    peak_bytes INTEGER NOT NULL, peak INTEGER NOT NULL, temporary_blocks INTEGER NOT NULL, temporary_bytes INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS allocation_stretches (
    id INTEGER PRIMARY KEY, first_tick INTEGER NOT NULL, end_tick INTEGER NOT NULL, events INTEGER NOT NULL,
    start_blocks INTEGER NOT NULL, start_bytes INTEGER NOT NULL, peak_bytes INTEGER NOT NULL,
    data BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS resident_parts (
    tick INTEGER NOT NULL, process INTEGER NOT NULL, resident_bytes INTEGER NOT NULL, files_bytes INTEGER NOT NULL,
    recorder_bytes INTEGER NOT NULL, own_bytes INTEGER NOT NULL, own_mapped_bytes INTEGER NOT NULL,
    blocks_bytes INTEGER NOT NULL, mapped_bytes INTEGER NOT NULL, objects_bytes INTEGER NOT NULL,
    PRIMARY KEY (tick, process)) STRICT;
";

/// Where each block lies: a table that is there where that was asked for.
pub(crate) const ADDRESS_TABLE: &str = "
CREATE TABLE IF NOT EXISTS allocation_addresses (stretch INTEGER PRIMARY KEY, data BLOB NOT NULL) STRICT;
";

/// Whether addresses are kept.
pub(crate) const HAS_ADDRESSES: &str =
    "SELECT count(*) > 0, 0 FROM sqlite_schema WHERE type = 'table' AND name = 'allocation_addresses'";
/// Whether it is kept what resident memory was made of; it may be from version 1.3 on.
pub(crate) const HAS_RESIDENT_PARTS: &str =
    "SELECT count(*) > 0, 0 FROM sqlite_schema WHERE type = 'table' AND name = 'resident_parts'";

/// Whether allocations are kept; they may be from version 1.2 on.
pub(crate) const HAS_ALLOCATIONS: &str =
    "SELECT count(*) > 0, 0 FROM sqlite_schema WHERE type = 'table' AND name = 'allocation_places'";

/// Whether functions have a kind: from version 1.1 on.
pub(crate) const FUNCTIONS_HAVE_A_KIND: &str =
    "SELECT count(*) > 0, 0 FROM pragma_table_info('functions') WHERE name = 'kind'";

const TABLE_NAMES: [&str; 11] = [
    "meta",
    "processes",
    "threads",
    "files",
    "functions",
    "node_blocks",
    "generations",
    "run_blocks",
    "metrics",
    "sources",
    "report",
];

/// An existing recording, ready to be read: the file itself, or a copy in memory while it is written.
pub(crate) struct Opened {
    pub(crate) connection: Connection,
    /// How a second connection to the same content is opened.
    pub(crate) again: Again,
    /// A writer held the file when it was opened.
    pub(crate) live: bool,
}

/// See [`Opened::again`].
#[derive(Clone)]
pub(crate) struct Again {
    /// An absolute path, or the name of a place in memory.
    name: PathBuf,
    flags: OpenFlags,
    path: PathBuf,
}

impl Again {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn open(&self) -> Result<Connection, RecordingError> {
        Connection::open_with_flags(&self.name, self.flags)
            .and_then(|connection| distrust(&connection).map(|()| connection))
            .map_err(|error| RecordingError::sqlite("open", &self.path, error))
    }
}

/// Opens a recording for reading and checks that it is one that this version can read.
///
/// One that is being written is copied into memory in one step, so that long reading never holds up the
/// writer. One whose writer was killed within a transaction is set back to the last complete one.
pub(crate) fn open(path: &Path) -> Result<Opened, RecordingError> {
    let begun = std::time::Instant::now();
    let deadline = begun + READER_PATIENCE;
    let mut is_last = false;
    loop {
        match open_now(path) {
            // It has just been made: its writer comes to say that it writes, and then to its first transaction.
            Err(RecordingError::NotARecording { .. }) if is_empty(path) && !is_last => {
                let now = std::time::Instant::now();
                is_last = now > deadline || (now > begun + MAKING && !is_being_written(path)?);
                std::thread::sleep(Duration::from_millis(1));
            }
            // A reader that has found no journal a moment ago and finds one now can't know whose it is. Where the
            // writer lives, it is gone in some milliseconds; else it is seen at once the next time.
            Err(RecordingError::Sqlite { source, .. }) if needs_rollback(&source) && !is_last => {
                is_last = std::time::Instant::now() > deadline || !is_being_written(path)?;
                std::thread::sleep(Duration::from_millis(1));
            }
            other => return other,
        }
    }
}

fn is_empty(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.len() == 0)
}

fn needs_rollback(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error().map(|error| error.extended_code);
    code == Some(rusqlite::ffi::SQLITE_READONLY_ROLLBACK)
}

fn open_now(path: &Path) -> Result<Opened, RecordingError> {
    check_file(path)?;
    let live = is_being_written(path)?;
    let file = open_file(path)?;
    check_version(&file, path)?;
    if !live {
        remove_spent_journal(path);
        check_length(&file, path)?;
        let again = Again {
            name: absolute(path)?,
            flags: OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
            path: path.to_owned(),
        };
        return Ok(Opened { connection: file, again, live });
    }

    let again = memory(path);
    let mut copy = again.open()?;
    copy_content(&file, &mut copy).map_err(|error| RecordingError::sqlite("read", path, error))?;
    Ok(Opened { connection: copy, again, live })
}

/// A place in memory that several connections of this process share until the last is closed.
fn memory(path: &Path) -> Again {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    Again {
        name: PathBuf::from(format!("file:/naja-recording-{number}?vfs=memdb")),
        flags: OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_URI
            | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        path: path.to_owned(),
    }
}

/// Copies everything in one step. The source is locked against commits only for its duration.
pub(crate) fn copy_content(from: &Connection, to: &mut Connection) -> rusqlite::Result<()> {
    use rusqlite::backup::{Backup, StepResult};
    from.busy_timeout(READER_PATIENCE)?;
    let backup = Backup::new(from, to)?;
    let deadline = std::time::Instant::now() + READER_PATIENCE;
    loop {
        match backup.step(-1)? {
            StepResult::Done => return Ok(()),
            // The writer is in the middle of a commit; backup does not wait by itself.
            _ if std::time::Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(1));
            }
            _ => {
                return Err(rusqlite::Error::SqliteFailure(
                    rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY),
                    None,
                ));
            }
        }
    }
}

/// Whether a writer that lives holds the recording.
pub(crate) fn is_being_written(path: &Path) -> Result<bool, RecordingError> {
    let io = |source| RecordingError::Io { doing: "read", path: path.to_owned(), source };
    let file = File::open(path).map_err(io)?;
    // A file system without such locks cannot say; then nobody is assumed to write.
    Ok(byte_lock::is_locked(&file, WRITER_BYTE).unwrap_or(false))
}

/// Whether the file's head says SQLite and naja; no more is looked at.
pub(crate) fn looks_like_recording(path: &Path) -> bool {
    is_marked(path, APPLICATION_ID)
}

/// Whether the file's head says SQLite and that it is a history of tests.
pub(crate) fn looks_like_test_history(path: &Path) -> bool {
    is_marked(path, TEST_HISTORY_ID)
}

fn is_marked(path: &Path, application_id: i32) -> bool {
    let mut head = [0; 100];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut head));
    read.is_ok() && head.starts_with(b"SQLite format 3\0") && head[68..72] == application_id.to_be_bytes()
}

/// Finds by its first bytes what the file is, for errors in plain words.
fn check_file(path: &Path) -> Result<(), RecordingError> {
    let not = |what: &str| RecordingError::NotARecording { path: path.to_owned(), what: what.to_owned() };
    let io = |source: std::io::Error| match source.kind() {
        std::io::ErrorKind::NotFound => RecordingError::NotFound { path: path.to_owned() },
        _ => RecordingError::Io { doing: "read", path: path.to_owned(), source },
    };
    let kind = std::fs::metadata(path).map_err(io)?.file_type();
    if kind.is_dir() {
        return Err(not("it is a folder"));
    }
    if !kind.is_file() {
        return Err(not("it is not a regular file"));
    }
    let mut file = File::open(path).map_err(io)?;
    let mut head = Vec::new();
    file.by_ref().take(100).read_to_end(&mut head).map_err(io)?;
    if head.is_empty() {
        return Err(not("it is empty"));
    }
    if !head.starts_with(b"SQLite format 3\0") {
        return Err(not("it is not an SQLite file"));
    }
    if head.len() < 100 {
        return Err(RecordingError::Damaged { path: path.to_owned(), what: "it is cut short".to_owned() });
    }
    Ok(())
}

/// Opens the file so that a transaction cut off by a kill can be undone; else for reading alone.
pub(crate) fn open_file(path: &Path) -> Result<Connection, RecordingError> {
    let error = |error| RecordingError::sqlite("open", path, error);
    let journal = journal_of(path);
    let access =
        if journal.exists() { OpenFlags::SQLITE_OPEN_READ_WRITE } else { OpenFlags::SQLITE_OPEN_READ_ONLY };
    let connection = Connection::open_with_flags(absolute(path)?, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)
        .map_err(error)?;
    connection.busy_timeout(READER_PATIENCE).map_err(error)?;
    distrust(&connection).map_err(error)?;
    Ok(connection)
}

/// Makes a path absolute, since SQLite takes one that begins with "file:" for something else.
pub(crate) fn absolute(path: &Path) -> Result<PathBuf, RecordingError> {
    std::path::absolute(path).map_err(|source| RecordingError::Io {
        doing: "find",
        path: path.to_owned(),
        source,
    })
}

/// SQLite itself does not miss the end of the last page.
fn check_length(connection: &Connection, path: &Path) -> Result<(), RecordingError> {
    let number = |pragma: &str| -> Result<u64, RecordingError> {
        let read = connection.query_row(pragma, [], |row| row.get(0));
        read.map_err(|error| RecordingError::sqlite("read", path, error))
    };
    let expected = number("PRAGMA page_count")?.saturating_mul(number("PRAGMA page_size")?);
    let len = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
    if len < expected {
        let what = format!("it is cut short, to {len} of {expected} bytes");
        return Err(RecordingError::Damaged { path: path.to_owned(), what });
    }
    Ok(())
}

/// Removes a journal that a kill left before anything was written into it: SQLite passes over those.
fn remove_spent_journal(path: &Path) {
    let journal = journal_of(path);
    let mut first = [0];
    let read = File::open(&journal).and_then(|mut file| file.read(&mut first));
    if read.is_ok() && first[0] == 0 {
        // A folder that cannot be written keeps it; it does no harm.
        let _ = std::fs::remove_file(journal);
    }
}

/// The file in which SQLite keeps what a transaction changes, until it ends.
pub(crate) fn journal_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-journal");
    PathBuf::from(name)
}

/// What keeps a file made by someone else from doing harm while it is read.
fn distrust(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, VALUE_MAX)?;
    connection
        .execute_batch("PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA mmap_size = 0;")
}

fn check_version(connection: &Connection, path: &Path) -> Result<(), RecordingError> {
    let error = |error| RecordingError::sqlite("read", path, error);
    let number = |pragma: &str| -> Result<i64, RecordingError> {
        connection.query_row(pragma, [], |row| row.get(0)).map_err(error)
    };
    if number("PRAGMA application_id")? != i64::from(APPLICATION_ID) {
        return Err(RecordingError::NotARecording {
            path: path.to_owned(),
            what: "it is another program's SQLite database".to_owned(),
        });
    }
    let version = number("PRAGMA user_version")?;
    let major = u32::try_from(version / 1000).unwrap_or(0);
    if major > MAJOR {
        return Err(RecordingError::Newer { path: path.to_owned(), major });
    }
    let damaged = |what: String| RecordingError::Damaged { path: path.to_owned(), what };
    if major < 1 {
        return Err(damaged(format!("its format version is {version}")));
    }
    for name in TABLE_NAMES {
        // A view in place of a table could compute anything for any time.
        let kind: Option<String> = connection
            .query_row("SELECT type FROM sqlite_schema WHERE name = ?1", [name], |row| row.get(0))
            .map(Some)
            .or_else(|error| match error {
                rusqlite::Error::QueryReturnedNoRows => Ok(None),
                other => Err(other),
            })
            .map_err(error)?;
        if kind.as_deref() != Some("table") {
            return Err(damaged(format!("the table `{name}` is missing")));
        }
    }
    Ok(())
}
