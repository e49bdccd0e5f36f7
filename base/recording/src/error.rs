//! What can go wrong with a recording, each with the file it happened to.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use naja_system::Failure;
use rusqlite::ffi;

/// Why a recording could not be written, read or asked.
#[derive(Debug)]
#[non_exhaustive]
pub enum RecordingError {
    /// There is no such file.
    NotFound {
        /// The file asked for.
        path: PathBuf,
    },
    /// The file is there and is something else.
    NotARecording {
        /// The file.
        path: PathBuf,
        /// What it is, or why it cannot be a recording.
        what: String,
    },
    /// It is a recording of a later major version of the format.
    Newer {
        /// The file.
        path: PathBuf,
        /// Its major version.
        major: u32,
    },
    /// It is a recording whose content contradicts itself.
    Damaged {
        /// The file.
        path: PathBuf,
        /// What does not hold.
        what: String,
    },
    /// A file that is not ours to replace stands where the recording should go.
    Exists {
        /// The file.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// The disk, or the user's share of it, is full.
    Full {
        /// The file.
        path: PathBuf,
    },
    /// Another program holds the file locked and does not let go.
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// The file or its folder cannot be created, read or written.
    Io {
        /// What was tried: reads after "cannot".
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// SQLite failed for a reason not named above.
    Sqlite {
        /// What was tried: reads after "cannot".
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// SQLite's reason.
        source: rusqlite::Error,
    },
    /// What the caller gave to write breaks the rules of [`crate::Batch`]: our own mistake.
    InvalidBatch {
        /// Which rule.
        what: String,
    },
    /// A query is wrong, or fails while it runs.
    Query {
        /// SQLite's own words.
        message: String,
        /// What could be meant, or what there is.
        hint: Option<String>,
    },
    /// A query would change something.
    QueryWrites,
    /// The caller's sink for rows failed; a closed pipe among others.
    Output(io::Error),
}

impl RecordingError {
    /// Sorts SQLite's reason into the cases that a person can act on.
    pub(crate) fn sqlite(doing: &'static str, path: &Path, source: rusqlite::Error) -> RecordingError {
        let path = path.to_owned();
        match source.sqlite_error().map(|error| error.extended_code & 0xff) {
            Some(ffi::SQLITE_FULL) => RecordingError::Full { path },
            Some(ffi::SQLITE_BUSY | ffi::SQLITE_LOCKED) => RecordingError::Busy { path },
            Some(ffi::SQLITE_CORRUPT) => RecordingError::Damaged { path, what: source.to_string() },
            Some(ffi::SQLITE_NOTADB) => {
                RecordingError::NotARecording { path, what: "it is not an SQLite file".to_owned() }
            }
            _ => RecordingError::Sqlite { doing, path, source },
        }
    }

    /// The stable name that is shown and stands in JSON.
    pub fn name(&self) -> &'static str {
        match self {
            RecordingError::NotFound { .. } => "recording-not-found",
            RecordingError::NotARecording { .. } => "not-a-recording",
            RecordingError::Newer { .. } => "recording-newer",
            RecordingError::Damaged { .. } => "recording-damaged",
            RecordingError::Exists { .. } => "recording-exists",
            RecordingError::Full { .. } => "disk-full",
            RecordingError::Busy { .. } => "recording-busy",
            RecordingError::Io { .. } | RecordingError::Sqlite { .. } => "recording-io",
            RecordingError::InvalidBatch { .. } => "internal",
            RecordingError::Query { .. } => "query-failed",
            RecordingError::QueryWrites => "query-writes",
            RecordingError::Output(_) => "output-failed",
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            RecordingError::NotFound { .. } => {
                "`naja run` prints the path of each recording that it makes".to_owned()
            }
            RecordingError::NotARecording { .. } => {
                "a recording is made with `naja run -o FILE.naja PROGRAM`".to_owned()
            }
            RecordingError::Newer { .. } => "install a newer naja to read this recording".to_owned(),
            RecordingError::Damaged { .. } => {
                "it was changed or cut short after it was written; record again, or restore a copy".to_owned()
            }
            RecordingError::Exists { .. } => "choose another name, or remove the file first".to_owned(),
            RecordingError::Full { .. } => {
                "free some space, or put the recording elsewhere with `-o`".to_owned()
            }
            RecordingError::Busy { .. } => "close the other program and try again".to_owned(),
            RecordingError::Query { hint, .. } => return hint.clone(),
            RecordingError::QueryWrites => {
                "a recording is only read here; copy the file and change the copy with `sqlite3`".to_owned()
            }
            RecordingError::Io { .. }
            | RecordingError::Sqlite { .. }
            | RecordingError::InvalidBatch { .. }
            | RecordingError::Output(_) => return None,
        })
    }
}

impl fmt::Display for RecordingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RecordingError::NotFound { path } => {
                write!(f, "cannot read `{}`: no such file", path.display())
            }
            RecordingError::NotARecording { path, what } => {
                write!(f, "`{}` is not a naja recording: {what}", path.display())
            }
            RecordingError::Newer { path, major } => write!(
                f,
                "`{}` has format {major}, this naja reads format {} and older",
                path.display(),
                crate::schema::MAJOR
            ),
            RecordingError::Damaged { path, what } => {
                write!(f, "the recording `{}` is damaged: {what}", path.display())
            }
            RecordingError::Exists { path, what } => {
                write!(f, "will not replace `{}`: {what}", path.display())
            }
            RecordingError::Full { path } => {
                write!(f, "cannot write `{}`: no space left", path.display())
            }
            RecordingError::Busy { path } => {
                write!(f, "`{}` is locked by another program", path.display())
            }
            RecordingError::Io { doing, path, .. } | RecordingError::Sqlite { doing, path, .. } => {
                write!(f, "cannot {doing} `{}`", path.display())
            }
            RecordingError::InvalidBatch { what } => {
                write!(f, "internal error while recording: {what}")
            }
            RecordingError::Query { message, .. } => write!(f, "the query failed: {message}"),
            RecordingError::QueryWrites => f.write_str("the query would change something"),
            RecordingError::Output(_) => f.write_str("cannot write the query's answer"),
        }
    }
}

impl std::error::Error for RecordingError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            RecordingError::Io { source, .. } | RecordingError::Output(source) => Some(source),
            RecordingError::Sqlite { source, .. } => Some(source),
            _ => None,
        }
    }
}

impl From<RecordingError> for Failure {
    fn from(error: RecordingError) -> Failure {
        let mut failure = Failure::new(error.name(), error.to_string());
        if let Some(source) = std::error::Error::source(&error) {
            failure = failure.caused_by(source);
        }
        match error.hint() {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}
