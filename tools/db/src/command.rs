//! `naja db`: what is in a database, rows out of it and into it.
//!
//! What is read is printed as it comes. What is written is one transaction: a file whose last line is broken leaves
//! nothing behind. Start at [`db`].

use std::io::{self, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use naja_report::answer::{self, Answer, Form};
use naja_sql::sqlite::{Cell, Connection, Error, How, Library, Rows, Value};
use naja_system::{Failure, Result};

use crate::files::{FileError, FileForm, Source};
use crate::place::{Place, without_password};
use crate::tables::load::{Field, Loader};
use crate::tables::{Dialect, LoadError, parameters};

/// So many rows are read or stored at a time.
const ROWS: usize = 1000;

/// Look into a database, take rows out of it, put rows into it
#[derive(Debug, clap::Args)]
#[command(
    subcommand_precedence_over_arg = true,
    before_long_help = "Example:

  naja db facts.db
  naja db facts.db query 'select name from people where born < :year' -p year=1900
  naja db facts.db insert people people.csv --keys name
  naja db facts.db export people people.jsonl"
)]
pub struct DbArguments {
    /// A file of SQLite's, or its URL: `sqlite:///facts.db`; recordings (`.naja`) are such files
    pub url: String,
    /// What to do; without it, the tables are listed
    #[command(subcommand)]
    pub command: Option<DbCommand>,
}

/// The commands below `naja db`.
#[derive(Debug, clap::Subcommand)]
pub enum DbCommand {
    /// List tables and views with their columns and how many rows they have
    Tables(TablesArguments),
    /// Show the SQL that a table, or the whole database, was made with
    Schema(SchemaArguments),
    /// Run one statement
    Query(QueryArguments),
    /// Store the rows of a CSV, JSON or JSON lines file
    Insert(InsertArguments),
    /// Write the rows of a table into a file
    Export(ExportArguments),
    /// Copy tables into another database
    Copy(CopyArguments),
}

/// What `naja db URL tables` takes.
#[derive(Debug, Default, clap::Args)]
pub struct TablesArguments {
    /// How the answer is printed
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
    /// The same as `--format json`
    #[arg(long, conflicts_with = "format")]
    pub json: bool,
}

/// What `naja db URL schema` takes.
#[derive(Debug, clap::Args)]
pub struct SchemaArguments {
    /// The table; all without it
    pub table: Option<String>,
}

/// What `naja db URL query` takes.
#[derive(Debug, clap::Args)]
pub struct QueryArguments {
    /// The statement; its values stand as `:name`
    pub sql: String,
    /// A value of the statement, as `name=value`; what looks like a number is one, `name:=value` is text
    #[arg(short, long = "parameter", value_name = "NAME=VALUE")]
    pub parameters: Vec<String>,
    /// How the answer is printed
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
    /// The same as `--format json`
    #[arg(long, conflicts_with = "format")]
    pub json: bool,
    /// Let the statement change the database
    #[arg(long)]
    pub write: bool,
}

/// What `naja db URL insert` takes.
#[derive(Debug, clap::Args)]
pub struct InsertArguments {
    /// The table, which is made where it is missing, with the columns that the rows need
    pub table: String,
    /// The file; `-` or nothing is standard input
    pub file: Option<PathBuf>,
    /// What the file is, where its name does not say it
    #[arg(long = "as", value_enum, value_name = "FORM")]
    pub form: Option<Written>,
    /// Change the rows that have the same values in these columns, and store only the others
    #[arg(long, value_delimiter = ',', value_name = "COLUMN")]
    pub keys: Vec<String>,
}

/// What `naja db URL export` takes.
#[derive(Debug, clap::Args)]
pub struct ExportArguments {
    /// The table or view
    pub table: String,
    /// The file; standard output without it. It is replaced only when the new one is whole
    pub file: Option<PathBuf>,
    /// What the file is to be, where its name does not say it
    #[arg(long = "as", value_enum, value_name = "FORM")]
    pub form: Option<Written>,
}

/// What `naja db URL copy` takes.
#[derive(Debug, clap::Args)]
pub struct CopyArguments {
    /// The other database
    pub to: String,
    /// The tables; all of them without
    pub tables: Vec<String>,
}

/// How an answer is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Aligned columns
    #[default]
    Table,
    /// A list of objects, one a line
    Json,
    /// An object a line
    Jsonl,
    /// Comma-separated values (RFC 4180)
    Csv,
}

/// What a file of rows is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Written {
    /// Comma-separated values, the names of the columns first
    Csv,
    /// A list of objects
    Json,
    /// An object a line
    Jsonl,
}

impl Format {
    fn form(self, json: bool) -> Form {
        match self {
            _ if json => Form::Json,
            Format::Table => Form::Table,
            Format::Json => Form::Json,
            Format::Jsonl => Form::JsonLines,
            Format::Csv => Form::Csv,
        }
    }
}

impl Written {
    fn file_form(self) -> FileForm {
        match self {
            Written::Csv => FileForm::Csv,
            Written::Json => FileForm::Json,
            Written::Jsonl => FileForm::JsonLines,
        }
    }
}

/// Where `naja db` reads and writes, beside the database.
pub struct Streams<'s> {
    /// Standard input.
    pub input: &'s mut dyn Read,
    /// Standard output.
    pub out: &'s mut dyn Write,
    /// Standard error, for progress and what was done.
    pub err: &'s mut dyn Write,
}

/// Runs `naja db` with the program's own SQLite. A reader of the output that goes away ends it without an error.
///
/// Errors: those of the command, each with its name
pub fn db(arguments: &DbArguments, library: &'static Library, streams: &mut Streams<'_>) -> Result<()> {
    let shown = without_password(&arguments.url);
    let place = Place::of(&arguments.url).map_err(|unknown| {
        Failure::new("unknown-database", format!("cannot open `{shown}`: {unknown}"))
            .hint("give the path of a SQLite file, or sqlite:///file.db")
    })?;
    let Place::File(path) = place;
    let base = Base { library, path, shown };
    match &arguments.command {
        None => tables(&base, &TablesArguments::default(), streams),
        Some(DbCommand::Tables(options)) => tables(&base, options, streams),
        Some(DbCommand::Schema(options)) => schema(&base, options, streams),
        Some(DbCommand::Query(options)) => query(&base, options, streams),
        Some(DbCommand::Insert(options)) => insert(&base, options, streams),
        Some(DbCommand::Export(options)) => export(&base, options, streams),
        Some(DbCommand::Copy(options)) => copy(&base, options, streams),
    }
}

/// A database that is to be opened.
struct Base {
    library: &'static Library,
    path: String,
    /// What it is called in messages.
    shown: String,
}

impl Base {
    /// Opens it for reading: it must be there.
    fn read(&self) -> Result<Connection> {
        if self.path != ":memory:" && !Path::new(&self.path).exists() {
            return Err(Failure::new("no-such-database", format!("there is no database `{}`", self.shown))
                .hint("`insert` makes a new one"));
        }
        let mut connection = self.open(How { read_only: true, create: false, ..How::default() })?;
        // A file that is no database is noticed at its first use.
        connection.run("SELECT count(*) FROM sqlite_master", &[]).map_err(|error| self.failed(&error))?;
        Ok(connection)
    }

    fn write(&self) -> Result<Connection> {
        let mut connection = self.open(How::default())?;
        connection.run_script("PRAGMA synchronous = FULL").map_err(|error| self.failed(&error))?;
        Ok(connection)
    }

    fn open(&self, how: How) -> Result<Connection> {
        Connection::open(self.library, &self.path, how).map_err(|error| {
            Failure::new("cannot-open-database", format!("cannot open the database `{}`", self.shown))
                .caused_by(&error)
        })
    }

    fn failed(&self, error: &Error) -> Failure {
        let failure = Failure::new("database-refused", format!("the database `{}` refuses", self.shown));
        failure.caused_by(error)
    }
}

fn output(error: &io::Error) -> Failure {
    Failure::new("cannot-write", "failed to write to standard output").caused_by(error)
}

/// Whether the reader of the output has gone away.
fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::BrokenPipe
}

fn tables(base: &Base, options: &TablesArguments, streams: &mut Streams<'_>) -> Result<()> {
    let mut connection = base.read()?;
    let failed = |error: Error| base.failed(&error);
    let named = "SELECT name, type FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite~_%' \
        ESCAPE '~' ORDER BY name";
    let mut rows = Rows::default();
    connection.read(named, &[], usize::MAX, &mut rows).map_err(failed)?;
    let all: Vec<(String, String)> = (0..rows.len())
        .map(|index| {
            let mut cells = rows.row(index).map(text);
            (cells.next().unwrap_or_default(), cells.next().unwrap_or_default())
        })
        .collect();
    let mut answer = Answer::new(options.format.form(options.json), streams.out);
    let mut printed = answer.columns(&["name", "kind", "rows", "columns"]);
    for (name, kind) in &all {
        connection
            .read("SELECT name FROM pragma_table_info(?)", &[Value::Text(name)], usize::MAX, &mut rows)
            .map_err(failed)?;
        let columns: Vec<String> =
            (0..rows.len()).map(|index| rows.row(index).next().map(text).unwrap_or_default()).collect();
        let counted = format!("SELECT count(*) FROM {}", Dialect::Sqlite.table(None, name));
        // A view may be of a table that is gone; that is no reason to show nothing.
        let count = match connection.read(&counted, &[], 1, &mut rows) {
            Ok(()) => match rows.row(0).next() {
                Some(Cell::Integer(count)) => answer::Value::Integer(count),
                _ => answer::Value::Null,
            },
            Err(_) => answer::Value::Null,
        };
        let columns = columns.join(", ");
        let row =
            [answer::Value::Text(name), answer::Value::Text(kind), count, answer::Value::Text(&columns)];
        printed = printed.and_then(|()| answer.row(&row));
    }
    done(printed.and_then(|()| answer.finish()))
}

fn done(printed: io::Result<()>) -> Result<()> {
    match printed {
        Err(error) if !is_gone(&error) => Err(output(&error)),
        _ => Ok(()),
    }
}

fn schema(base: &Base, options: &SchemaArguments, streams: &mut Streams<'_>) -> Result<()> {
    let mut connection = base.read()?;
    let mut rows = Rows::default();
    let sql = "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND (?1 IS NULL OR tbl_name = ?1) \
        ORDER BY tbl_name, type = 'index', name";
    let table = options.table.as_deref().map_or(Value::Null, Value::Text);
    connection.read(sql, &[table], usize::MAX, &mut rows).map_err(|error| base.failed(&error))?;
    if let (true, Some(table)) = (rows.is_empty(), &options.table) {
        return Err(no_such_table(base, &mut connection, table));
    }
    let mut printed = Ok(());
    for index in 0..rows.len() {
        let sql = rows.row(index).next().map(text).unwrap_or_default();
        printed = printed.and_then(|()| writeln!(streams.out, "{sql};"));
    }
    done(printed)
}

fn no_such_table(base: &Base, connection: &mut Connection, table: &str) -> Failure {
    let mut rows = Rows::default();
    let named = "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite~_%' ESCAPE '~' ORDER BY name";
    let _ = connection.read(named, &[], 20, &mut rows);
    let names: Vec<String> = (0..rows.len())
        .map(|index| format!("`{}`", rows.row(index).next().map(text).unwrap_or_default()))
        .collect();
    let failure = Failure::new("no-such-table", format!("`{}` has no table `{table}`", base.shown));
    if names.is_empty() {
        failure.hint("it has no tables")
    } else {
        failure.hint(format!("it has {}", names.join(", ")))
    }
}

fn query(base: &Base, options: &QueryArguments, streams: &mut Streams<'_>) -> Result<()> {
    let placed = parameters::place(Dialect::Sqlite, &options.sql);
    let given: Vec<(&str, Field)> =
        options.parameters.iter().map(|text| parameter(text)).collect::<Result<_>>()?;
    let mut values = Vec::with_capacity(placed.names.len());
    for name in &placed.names {
        let Some((_, field)) = given.iter().rfind(|(known, _)| known == name) else {
            return Err(Failure::new(
                "missing-parameter",
                format!("the statement needs a value for `:{name}`"),
            )
            .hint(format!("-p {name}=VALUE")));
        };
        values.push(match field {
            Field::Integer(value) => Value::Integer(*value),
            Field::Real(value) => Value::Real(*value),
            Field::Text(text) => Value::Text(text),
            _ => Value::Null,
        });
    }
    let mut connection = if options.write { base.write()? } else { base.read()? };
    let failed = |error: &Error| {
        let failure = Failure::new("query-failed", "the query failed").caused_by(error);
        // SQLite's code for a database that is opened for reading.
        if error.primary() == 8 {
            failure.hint("`--write` lets a statement change the database")
        } else {
            failure
        }
    };
    let statement = connection.prepare(&placed.sql).map_err(|error| failed(&error))?;
    connection.start(&statement, &values).map_err(|error| failed(&error))?;
    let count = connection.columns(&statement);
    let names: Vec<String> = (0..count).map(|column| connection.column_name(&statement, column)).collect();
    let mut out = io::BufWriter::with_capacity(1 << 16, &mut *streams.out);
    let mut answer = Answer::new(options.format.form(options.json), &mut out);
    let mut printed = if count == 0 {
        Ok(())
    } else {
        answer.columns(&names.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let mut rows = Rows::default();
    let mut read = Ok(true);
    while matches!(read, Ok(true)) && printed.is_ok() {
        read = connection.fetch(&statement, ROWS, &mut rows);
        if read.is_ok() {
            printed = print_rows(&mut answer, &rows);
        }
    }
    connection.release(statement);
    if count > 0 && (read.is_ok() || options.format == Format::Table && !options.json) {
        printed = printed.and_then(|()| answer.finish());
    }
    done(printed.and_then(|()| out.flush()))?;
    read.map_err(|error| failed(&error))?;
    if options.write {
        // Nothing is lost where nobody hears it.
        let _ = writeln!(streams.err, "{} rows changed", connection.changes());
    }
    Ok(())
}

/// `name=value`, where the value may be a number; of `name:=value` it is text.
fn parameter(text: &str) -> Result<(&str, Field)> {
    let Some((name, value)) = text.split_once('=') else {
        return Err(Failure::new("usage", format!("`{text}` is no parameter")).hint("-p name=value"));
    };
    if let Some(name) = name.strip_suffix(':') {
        return Ok((name, Field::Text(value.to_owned())));
    }
    let field = match (value.parse(), value.parse()) {
        (Ok(whole), _) => Field::Integer(whole),
        (_, Ok(real)) => Field::Real(real),
        _ => Field::Text(value.to_owned()),
    };
    Ok((name, field))
}

fn print_rows(answer: &mut Answer<'_>, rows: &Rows) -> io::Result<()> {
    for index in 0..rows.len() {
        let texts: Vec<std::borrow::Cow<'_, str>> = rows
            .row(index)
            .map(|cell| if let Cell::Text(text) = cell { String::from_utf8_lossy(text) } else { "".into() })
            .collect();
        let values: Vec<answer::Value<'_>> = rows
            .row(index)
            .zip(&texts)
            .map(|(cell, text)| match cell {
                Cell::Null => answer::Value::Null,
                Cell::Integer(value) => answer::Value::Integer(value),
                Cell::Real(value) => answer::Value::Real(value),
                Cell::Text(_) => answer::Value::Text(text),
                Cell::Bytes(bytes) => answer::Value::Bytes(bytes),
            })
            .collect();
        answer.row(&values)?;
    }
    Ok(())
}

fn text(cell: Cell<'_>) -> String {
    match cell {
        Cell::Text(text) => String::from_utf8_lossy(text).into_owned(),
        _ => String::new(),
    }
}

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

fn insert(base: &Base, options: &InsertArguments, streams: &mut Streams<'_>) -> Result<()> {
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
    let mut connection = base.write()?;
    connection.run("BEGIN IMMEDIATE", &[]).map_err(|error| base.failed(&error))?;
    let mut progress = Progress::new();
    let stored = Loader::new(&mut connection, &options.table, &options.keys)
        .map_err(Stopped::Table)
        .and_then(|mut loader| {
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
    connection.run("COMMIT", &[]).map_err(|error| base.failed(&error))?;
    let what = if options.keys.is_empty() { "stored" } else { "stored or changed" };
    let _ = writeln!(streams.err, "{count} rows {what} in `{}`", options.table);
    Ok(())
}

fn export(base: &Base, options: &ExportArguments, streams: &mut Streams<'_>) -> Result<()> {
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
    let mut connection = base.read()?;
    let sql = format!("SELECT * FROM {}", Dialect::Sqlite.table(None, &options.table));
    let statement = match connection.prepare(&sql) {
        Ok(statement) => statement,
        Err(error) if error.message.starts_with("no such table") => {
            return Err(no_such_table(base, &mut connection, &options.table));
        }
        Err(error) => return Err(base.failed(&error)),
    };
    let mut temporary = match &options.file {
        Some(file) => Some(beside(file)?),
        None => None,
    };
    let mut count = 0;
    let written = {
        let out: &mut dyn Write = match &mut temporary {
            Some(file) => file,
            None => &mut *streams.out,
        };
        let mut out = io::BufWriter::with_capacity(1 << 16, out);
        let mut progress = Progress::new();
        let shows = options.file.is_some();
        let written = write_table(&mut connection, &statement, form, &mut out, &mut |rows| {
            count += rows as u64;
            if shows {
                progress.show(count, streams.err);
            }
        });
        progress.clear(streams.err);
        written.map(|written| written.and_then(|()| out.flush()))
    };
    let cannot = |error: &dyn std::error::Error| {
        let place =
            options.file.as_ref().map_or("standard output".into(), |file| format!("`{}`", file.display()));
        Failure::new("cannot-write", format!("failed to write to {place}")).caused_by(error)
    };
    match written.map_err(|error| base.failed(&error))? {
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

/// Writes a result; the outer error is the database's, the inner one of the writing.
fn write_table(
    connection: &mut Connection,
    statement: &naja_sql::sqlite::StatementId,
    form: Form,
    out: &mut dyn Write,
    count: &mut dyn FnMut(usize),
) -> std::result::Result<io::Result<()>, Error> {
    let names: Vec<String> =
        (0..connection.columns(statement)).map(|column| connection.column_name(statement, column)).collect();
    let mut answer = Answer::new(form, out);
    let mut written = answer.columns(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let mut rows = Rows::default();
    loop {
        let has_more = connection.fetch(statement, ROWS, &mut rows)?;
        written = written.and_then(|()| print_rows(&mut answer, &rows));
        count(rows.len());
        if !has_more || written.is_err() {
            return Ok(written.and_then(|()| answer.finish()));
        }
    }
}

fn copy(base: &Base, options: &CopyArguments, streams: &mut Streams<'_>) -> Result<()> {
    let shown = without_password(&options.to);
    let Place::File(path) = Place::of(&options.to)
        .map_err(|unknown| Failure::new("unknown-database", format!("cannot open `{shown}`: {unknown}")))?;
    let target = Base { library: base.library, path, shown };
    if same_file(&base.path, &target.path) {
        return Err(Failure::new("usage", format!("`{}` is the database that is copied from", target.shown)));
    }
    let mut from = base.read()?;
    let mut rows = Rows::default();
    let sql = "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite~_%' ESCAPE '~' ORDER BY name";
    from.read(sql, &[], usize::MAX, &mut rows).map_err(|error| base.failed(&error))?;
    let all: Vec<(String, String)> = (0..rows.len())
        .map(|index| {
            let mut cells = rows.row(index).map(text);
            (cells.next().unwrap_or_default(), cells.next().unwrap_or_default())
        })
        .collect();
    let mut chosen = Vec::new();
    for name in &options.tables {
        match all.iter().find(|(known, _)| known == name) {
            Some(table) => chosen.push(table),
            None => return Err(no_such_table(base, &mut from, name)),
        }
    }
    if options.tables.is_empty() {
        chosen = all.iter().collect();
    }
    let mut to = target.write()?;
    let refused = |error: Error| target.failed(&error);
    to.run("BEGIN IMMEDIATE", &[]).map_err(refused)?;
    let mut progress = Progress::new();
    let mut total = 0;
    for (name, sql) in chosen.iter().copied() {
        if has_table(&mut to, name).map_err(refused)? {
            return Err(Failure::new(
                "table-is-there",
                format!("`{}` has a table `{name}` already", target.shown),
            )
            .hint("nothing was copied; drop it there, or name the tables that are to be copied"));
        }
        to.run(sql, &[]).map_err(refused)?;
        total += copy_rows(base, &target, &mut from, &mut to, name, &mut |count| {
            progress.show(total + count, streams.err)
        })?;
        let indexes =
            "SELECT sql FROM sqlite_master WHERE type = 'index' AND tbl_name = ? AND sql IS NOT NULL";
        from.read(indexes, &[Value::Text(name)], usize::MAX, &mut rows)
            .map_err(|error| base.failed(&error))?;
        for index in 0..rows.len() {
            to.run(&rows.row(index).next().map(text).unwrap_or_default(), &[]).map_err(refused)?;
        }
    }
    to.run("COMMIT", &[]).map_err(refused)?;
    progress.clear(streams.err);
    let _ = writeln!(streams.err, "{total} rows of {} tables copied to `{}`", chosen.len(), target.shown);
    Ok(())
}

fn same_file(one: &str, other: &str) -> bool {
    match (std::fs::canonicalize(one), std::fs::canonicalize(other)) {
        (Ok(one), Ok(other)) => one == other,
        _ => one == other,
    }
}

fn has_table(connection: &mut Connection, name: &str) -> std::result::Result<bool, Error> {
    let mut rows = Rows::default();
    connection.read("SELECT 1 FROM sqlite_master WHERE name = ?", &[Value::Text(name)], 1, &mut rows)?;
    Ok(!rows.is_empty())
}

/// Copies the rows of a table as they are; how many.
fn copy_rows(
    base: &Base,
    target: &Base,
    from: &mut Connection,
    to: &mut Connection,
    name: &str,
    count: &mut dyn FnMut(u64),
) -> Result<u64> {
    let mut rows = Rows::default();
    // Generated columns make themselves.
    let plain = "SELECT name FROM pragma_table_xinfo(?) WHERE hidden = 0";
    from.read(plain, &[Value::Text(name)], usize::MAX, &mut rows).map_err(|error| base.failed(&error))?;
    let columns: Vec<String> =
        (0..rows.len()).map(|index| rows.row(index).next().map(text).unwrap_or_default()).collect();
    let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
    let table = Dialect::Sqlite.table(None, name);
    let selection = crate::tables::statement::Selection { columns: &columns, ..Default::default() };
    let read = from
        .prepare(&crate::tables::statement::select(Dialect::Sqlite, &table, &selection))
        .map_err(|error| base.failed(&error))?;
    let insert = crate::tables::statement::insert(Dialect::Sqlite, &table, &columns, 1, None);
    let write = to.prepare(&insert).map_err(|error| target.failed(&error))?;
    let mut copied = 0;
    loop {
        let has_more = from.fetch(&read, ROWS, &mut rows).map_err(|error| base.failed(&error))?;
        for index in 0..rows.len() {
            let values: Vec<Value<'_>> = rows
                .row(index)
                .map(|cell| match cell {
                    Cell::Null => Value::Null,
                    Cell::Integer(value) => Value::Integer(value),
                    Cell::Real(value) => Value::Real(value),
                    Cell::Text(text) => std::str::from_utf8(text).map_or(Value::Bytes(text), Value::Text),
                    Cell::Bytes(bytes) => Value::Bytes(bytes),
                })
                .collect();
            to.run_prepared(&write, &values).map_err(|error| target.failed(&error))?;
        }
        copied += rows.len() as u64;
        count(copied);
        if !has_more {
            break;
        }
    }
    from.release(read);
    to.release(write);
    Ok(copied)
}

/// How far long work is, on a terminal.
struct Progress {
    started: Instant,
    shown: Option<Instant>,
    is_on: bool,
}

impl Progress {
    fn new() -> Progress {
        Progress { started: Instant::now(), shown: None, is_on: io::stderr().is_terminal() }
    }

    fn show(&mut self, rows: u64, err: &mut dyn Write) {
        let now = Instant::now();
        let is_due = self.shown.is_none_or(|shown| now - shown > Duration::from_millis(100));
        if self.is_on && is_due && now - self.started > Duration::from_millis(500) {
            self.shown = Some(now);
            let per_second = rows as f64 / (now - self.started).as_secs_f64();
            let _ = write!(err, "\r{rows} rows, {per_second:.0} a second\x1b[K");
            let _ = err.flush();
        }
    }

    fn clear(&mut self, err: &mut dyn Write) {
        if self.shown.take().is_some() {
            let _ = write!(err, "\r\x1b[K");
        }
    }
}
