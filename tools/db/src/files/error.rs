//! What a file of rows may have wrong.

use std::{fmt, io};

/// Why a file's rows cannot be read; lines count from 1.
#[derive(Debug)]
pub enum FileError {
    /// The system cannot read it.
    Read(io::Error),
    /// It is no text in UTF-8.
    NoText {
        /// Where.
        line: u64,
    },
    /// A row of a CSV file has more or fewer values than there are columns.
    Width {
        /// Where.
        line: u64,
        /// How many values it has.
        values: usize,
        /// How many columns the first line names.
        columns: usize,
    },
    /// It is no JSON.
    NoJson {
        /// Where.
        line: u64,
        /// What is wrong.
        why: String,
    },
    /// It is JSON, and no object where one is needed for a row.
    NoObject {
        /// Where.
        line: u64,
    },
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FileError::Read(error) => error.fmt(f),
            FileError::NoText { line } => write!(f, "line {line}: no text in UTF-8"),
            FileError::Width { line, values, columns } => {
                write!(f, "line {line}: {values} values, and the first line names {columns} columns")
            }
            FileError::NoJson { line, why } => write!(f, "line {line}: no JSON: {why}"),
            FileError::NoObject { line } => write!(f, "line {line}: an object is needed, one for each row"),
        }
    }
}

impl std::error::Error for FileError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            FileError::Read(error) => Some(error),
            _ => None,
        }
    }
}
