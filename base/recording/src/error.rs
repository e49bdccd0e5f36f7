//! What can go wrong with a recording, each with the file it happened to.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use naja_system::Failure;
use rusqlite::ffi;

use crate::schema::MAJOR;

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
        self.failure().name()
    }

    /// Each error as a person reads it, without its causes: name, sentence and hint in one place, where
    /// `cargo dev gen` finds them.
    fn failure(&self) -> Failure {
        match self {
            RecordingError::NotFound { path } => {
                Failure::new("recording-not-found", format!("cannot read `{}`: no such file", path.display()))
                    .hint("`naja run` prints the path of each recording that it makes")
            }
            RecordingError::NotARecording { path, what } => Failure::new(
                "not-a-recording",
                format!("`{}` is not a naja recording: {what}", path.display()),
            )
            .hint("a recording is made with `naja run -o FILE.naja PROGRAM`"),
            RecordingError::Newer { path, major } => Failure::new(
                "recording-newer",
                format!("`{}` has format {major}, this naja reads format {MAJOR} and older", path.display()),
            )
            .hint("install a newer naja to read this recording"),
            RecordingError::Damaged { path, what } => Failure::new(
                "recording-damaged",
                format!("the recording `{}` is damaged: {what}", path.display()),
            )
            .hint("it was changed or cut short after it was written; record again, or restore a copy"),
            RecordingError::Exists { path, what } => {
                Failure::new("recording-exists", format!("will not replace `{}`: {what}", path.display()))
                    .hint("choose another name, or remove the file first")
            }
            RecordingError::Full { path } => {
                Failure::new("disk-full", format!("cannot write `{}`: no space left", path.display()))
                    .hint("free some space, or put the recording elsewhere with `-o`")
            }
            RecordingError::Busy { path } => {
                Failure::new("recording-busy", format!("`{}` is locked by another program", path.display()))
                    .hint("close the other program and try again")
            }
            RecordingError::Io { doing, path, .. } | RecordingError::Sqlite { doing, path, .. } => {
                Failure::new("recording-io", format!("cannot {doing} `{}`", path.display()))
            }
            RecordingError::InvalidBatch { what } => {
                Failure::new("internal", format!("internal error while recording: {what}"))
            }
            RecordingError::Query { message, hint } => {
                let failure = Failure::new("query-failed", format!("the query failed: {message}"));
                match hint {
                    Some(hint) => failure.hint(hint),
                    None => failure,
                }
            }
            RecordingError::QueryWrites => Failure::new("query-writes", "the query would change something")
                .hint("a recording is only read here; copy the file and change the copy with `sqlite3`"),
            RecordingError::Output(_) => Failure::new("output-failed", "cannot write the query's answer"),
        }
    }
}

impl fmt::Display for RecordingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.failure().message())
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
        let failure = error.failure();
        match std::error::Error::source(&error) {
            Some(source) => failure.caused_by(source),
            None => failure,
        }
    }
}
