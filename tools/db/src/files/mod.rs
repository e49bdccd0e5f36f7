//! Files of rows: CSV, JSON and JSON lines. Start at [`Source::open`].

mod csv_rows;
mod error;
mod json_rows;
mod row;

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

pub use error::FileError;
pub use row::{Field, Row};

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileForm {
    /// Comma-separated values, the names first.
    Csv,
    /// A list of objects.
    Json,
    /// An object a line.
    JsonLines,
}

impl FileForm {
    /// What the end of a file's name says; `None` where it says nothing.
    ///
    /// ```
    /// use naja_db::files::FileForm;
    /// assert_eq!(FileForm::of_name("a.JSONL".as_ref()), Some(FileForm::JsonLines));
    /// assert_eq!(FileForm::of_name("a.xls".as_ref()), None);
    /// ```
    pub fn of_name(path: &Path) -> Option<FileForm> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "csv" => Some(FileForm::Csv),
            "json" => Some(FileForm::Json),
            "jsonl" | "ndjson" => Some(FileForm::JsonLines),
            _ => None,
        }
    }
}

/// A file of rows that can be read twice: what comes from a pipe is put into a temporary file first.
#[derive(Debug)]
pub struct Source {
    file: File,
}

impl Source {
    /// Opens a file.
    ///
    /// Errors: of the system
    pub fn open(path: &Path) -> io::Result<Source> {
        let mut file = File::open(path)?;
        if file.stream_position().is_ok() {
            return Ok(Source { file });
        }
        Source::of_stream(&mut file)
    }

    /// Takes everything that comes from a stream.
    ///
    /// Errors: of the stream, and of the temporary file
    pub fn of_stream(stream: &mut dyn Read) -> io::Result<Source> {
        let mut file = tempfile::tempfile()?;
        io::copy(stream, &mut file)?;
        Ok(Source { file })
    }

    fn reader(&mut self) -> io::Result<BufReader<&File>> {
        self.file.seek(SeekFrom::Start(0))?;
        let mut reader = BufReader::with_capacity(1 << 16, &self.file);
        // What some programs write first, to say that it is UTF-8.
        if reader.fill_buf()?.starts_with("\u{feff}".as_bytes()) {
            reader.consume("\u{feff}".len());
        }
        Ok(reader)
    }

    /// Gives the rows in groups of at most `size`, each to `take`.
    ///
    /// Errors: [`FileError`], with the line where it is, or what `take` gives
    pub fn rows<E: From<FileError>>(
        &mut self,
        form: FileForm,
        size: usize,
        take: &mut dyn FnMut(Vec<Row>) -> Result<(), E>,
    ) -> Result<(), E> {
        let kinds = match form {
            FileForm::Csv => csv_rows::kinds(self.reader().map_err(FileError::Read)?)?,
            FileForm::Json | FileForm::JsonLines => Vec::new(),
        };
        let reader = self.reader().map_err(FileError::Read)?;
        let mut group = Vec::with_capacity(size);
        let mut add = |row: Row| -> Result<(), E> {
            group.push(row);
            if group.len() < size {
                Ok(())
            } else {
                take(std::mem::replace(&mut group, Vec::with_capacity(size)))
            }
        };
        match form {
            FileForm::Csv => csv_rows::rows(reader, &kinds, &mut add)?,
            FileForm::Json => json_rows::list(reader, &mut add)?,
            FileForm::JsonLines => json_rows::lines(reader, &mut add)?,
        }
        if group.is_empty() { Ok(()) } else { take(group) }
    }
}
