//! `naja db URL insert`: the rows of a file into a table.

use std::path::Path;

use naja_system::{Failure, Result};

use crate::database::{LoadError, Loader};
use crate::files::{FileError, FileForm, Source};

use super::progress::Progress;
use super::{Base, InsertArguments, Streams};

/// So many rows are stored at a time.
const ROWS: usize = 1000;

/// What stops a file on its way into a table.
enum Stopped {
    File(FileError),
    Table(LoadError),
}

impl From<FileError> for Stopped {
    fn from(error: FileError) -> Stopped {
        Stopped::File(error)
    }
}

pub(super) fn insert(base: &Base, options: &InsertArguments, streams: &mut Streams<'_>) -> Result<()> {
    let file = options.file.as_deref().filter(|file| *file != Path::new("-"));
    let shown = file.map_or_else(|| "standard input".to_owned(), |file| format!("`{}`", file.display()));
    let form = match (options.form, file) {
        (Some(form), _) => form.file_form(),
        (None, Some(file)) => FileForm::of_name(file).ok_or_else(|| {
            Failure::new("unknown-form", format!("the name of {shown} does not say what it is"))
                .hint("--as csv, --as json or --as jsonl")
        })?,
        (None, None) => {
            return Err(Failure::new("unknown-form", "what standard input holds has to be said")
                .hint("--as csv, --as json or --as jsonl"));
        }
    };
    let opened = match file {
        Some(file) => Source::open(file),
        None => Source::of_stream(streams.input),
    };
    let mut source = opened
        .map_err(|error| Failure::new("cannot-read", format!("cannot read {shown}")).caused_by(&error))?;
    let mut database = base.write()?;
    let refused = |error| base.failed(error);
    let table = database.named(&options.table).map_err(refused)?;
    database.begin().map_err(refused)?;
    let mut progress = Progress::new();
    let stored =
        Loader::new(&mut *database, &table, &options.keys).map_err(Stopped::Table).and_then(|mut loader| {
            source.rows::<Stopped>(form, ROWS, &mut |rows| {
                loader.store(&rows).map_err(Stopped::Table)?;
                progress.show(loader.count, streams.err);
                Ok(())
            })?;
            Ok(loader.count)
        });
    progress.clear(streams.err);
    // A connection that is dropped undoes what was not committed.
    let count = stored.map_err(|stopped| match stopped {
        Stopped::File(error) => {
            Failure::new("bad-rows", format!("cannot read the rows of {shown}; nothing was stored"))
                .caused_by(&error)
        }
        Stopped::Table(error) => Failure::new(
            "cannot-store",
            format!("cannot store rows in `{}`; nothing was stored", options.table),
        )
        .caused_by(&error),
    })?;
    database.commit().map_err(refused)?;
    let what = if options.keys.is_empty() { "stored" } else { "stored or changed" };
    let _ = writeln!(streams.err, "{count} rows {what} in `{}`", options.table);
    Ok(())
}
