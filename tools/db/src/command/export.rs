//! `naja db URL export`: the rows of a table into a file, which is replaced only by a whole one.

use std::io::{self, Write};
use std::path::Path;

use naja_report::answer::Form;
use naja_system::{Failure, Result};

use crate::files::FileForm;

use super::printer::Printer;
use super::progress::Progress;
use super::{Base, ExportArguments, Streams, Written, is_gone};

/// How many rows there are between two looks at the clock.
const ROWS_BETWEEN: u64 = 1000;

pub(super) fn export(base: &Base, options: &ExportArguments, streams: &mut Streams<'_>) -> Result<()> {
    let named = options.file.as_deref().and_then(FileForm::of_name);
    let form = match (options.form.map(Written::file_form).or(named), &options.file) {
        (Some(FileForm::Csv), _) | (None, None) => Form::Csv,
        (Some(FileForm::Json), _) => Form::Json,
        (Some(FileForm::JsonLines), _) => Form::JsonLines,
        (None, Some(file)) => {
            return Err(Failure::new(
                "unknown-form",
                format!("the name of `{}` does not say what it is", file.display()),
            )
            .hint("--as csv, --as json or --as jsonl"));
        }
    };
    let mut database = base.read()?;
    let entry = base.entry(&mut *database, &options.table)?;
    let sql = format!("SELECT * FROM {}", entry.name.quoted(database.dialect()));
    let mut temporary = match &options.file {
        Some(file) => Some(beside(file)?),
        None => None,
    };
    let count;
    let written = {
        let out: &mut dyn Write = match &mut temporary {
            Some(file) => file,
            None => &mut *streams.out,
        };
        let mut out = io::BufWriter::with_capacity(1 << 16, out);
        let mut progress = Progress::new();
        let shows = options.file.is_some();
        let mut printer = Printer::new(form, &mut out);
        let mut seen = |rows: u64| {
            if shows && rows.is_multiple_of(ROWS_BETWEEN) {
                progress.show(rows, streams.err);
            }
        };
        let read = printer.print(&mut seen, |rows| database.execute(&sql, &[], rows));
        count = printer.count();
        progress.clear(streams.err);
        let written = printer.finish(read.is_ok()).and_then(|()| out.flush());
        read.map(|_| written)
    };
    let cannot = |error: &dyn std::error::Error| {
        let place =
            options.file.as_ref().map_or("standard output".into(), |file| format!("`{}`", file.display()));
        Failure::new("cannot-write", format!("failed to write to {place}")).caused_by(error)
    };
    match written.map_err(|error| base.failed(error))? {
        Err(error) if options.file.is_none() && is_gone(&error) => return Ok(()),
        Err(error) => return Err(cannot(&error)),
        Ok(()) => {}
    }
    if let (Some(temporary), Some(file)) = (temporary, &options.file) {
        temporary.persist(file).map_err(|error| cannot(&error.error))?;
        let _ = writeln!(streams.err, "{count} rows written to `{}`", file.display());
    }
    Ok(())
}

/// A new file that takes the place of another when it is whole.
fn beside(file: &Path) -> Result<tempfile::NamedTempFile> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(".naja-export-");
    #[cfg(unix)]
    {
        // As any new file of the user's; the user's own mask takes away what it does.
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(folder).map_err(|error| {
        Failure::new("cannot-write", format!("failed to write to `{}`", file.display())).caused_by(&error)
    })
}
