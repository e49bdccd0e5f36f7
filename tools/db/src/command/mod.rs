//! `naja db`: what is in a database, rows out of it and into it.
//!
//! What is read is printed as it comes. What is written is one transaction: a file whose last line is broken leaves
//! nothing behind. One file for each command; start at [`db`].

mod copy;
mod export;
mod insert;
mod look;
mod printer;
mod progress;
mod query;

use std::io::{self, Read, Write};
use std::path::PathBuf;

use naja_report::answer::Form;
use naja_sql::sqlite::Library;
use naja_system::{Failure, Result};

use crate::database::{Access, Database, DatabaseError, Entry, Place, TableName, Unknown, without_password};
use crate::files::FileForm;

/// Look into a database, take rows out of it, put rows into it
#[derive(Debug, clap::Args)]
#[command(
    subcommand_precedence_over_arg = true,
    before_long_help = "Example:

  naja db facts.db
  naja db facts.db query 'select name from people where born < :year' -p year=1900
  naja db facts.db insert people people.csv --keys name
  naja db facts.db export people people.jsonl
  naja db facts.db copy postgresql://ada@localhost/facts"
)]
pub struct DbArguments {
    /// A file of SQLite's, or a URL: `sqlite:///facts.db`, `postgresql://user@host/database`; recordings (`.naja`) are such files
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
    let base = Base::of(&arguments.url, library)?;
    match &arguments.command {
        None => look::tables(&base, &TablesArguments::default(), streams),
        Some(DbCommand::Tables(options)) => look::tables(&base, options, streams),
        Some(DbCommand::Schema(options)) => look::schema(&base, options, streams),
        Some(DbCommand::Query(options)) => query::query(&base, options, streams),
        Some(DbCommand::Insert(options)) => insert::insert(&base, options, streams),
        Some(DbCommand::Export(options)) => export::export(&base, options, streams),
        Some(DbCommand::Copy(options)) => copy::copy(&base, options, streams),
    }
}

/// A database that is to be opened.
struct Base {
    library: &'static Library,
    place: Place,
    /// What it is called in messages.
    shown: String,
}

impl Base {
    fn of(url: &str, library: &'static Library) -> Result<Base> {
        let variable = |name: &str| std::env::var(name).ok();
        match Place::of(url, &variable) {
            Ok(place) => {
                // A path and a URL of a file are shown as they were given.
                let shown = match &place {
                    Place::File(_) => url.to_owned(),
                    Place::Postgres(_) => place.to_string(),
                };
                Ok(Base { library, place, shown })
            }
            Err(Unknown::Postgres(error)) => Err(Failure::from(error)),
            Err(unknown) => {
                let shown = without_password(url);
                Err(Failure::new("unknown-database", format!("cannot open `{shown}`: {unknown}"))
                    .hint(unknown.hint()))
            }
        }
    }

    /// Opens it for reading: it must be there.
    fn read(&self) -> Result<Box<dyn Database>> {
        if !self.place.may_exist() {
            return Err(Failure::new("no-such-database", format!("there is no database `{}`", self.shown))
                .hint("`insert` makes a new one"));
        }
        self.open(Access::Read)
    }

    fn write(&self) -> Result<Box<dyn Database>> {
        self.open(Access::Write)
    }

    fn open(&self, access: Access) -> Result<Box<dyn Database>> {
        self.place.open(self.library, access).map_err(|error| {
            if !error.is_of_opening() {
                return self.failed(error);
            }
            let failure =
                Failure::new("cannot-open-database", format!("cannot open the database `{}`", self.shown));
            explained(failure, &error)
        })
    }

    fn failed(&self, error: DatabaseError) -> Failure {
        explained(Failure::new("database-refused", format!("the database `{}` refuses", self.shown)), &error)
    }

    /// A table or view that has to be there.
    fn entry(&self, database: &mut dyn Database, table: &str) -> Result<Entry> {
        let name = database.named(table).map_err(|error| self.failed(error))?;
        let entries = database.entries().map_err(|error| self.failed(error))?;
        let asked = name.to_string();
        // One of another schema is listed with it, one of the usual schema may be asked for with it.
        let usual = TableName::plain(&name.name);
        let found = entries.iter().find(|entry| entry.name == name);
        let found = found.or_else(|| {
            let in_usual = |entry: &&Entry| entry.name == usual && name.schema.as_deref() == Some("public");
            entries.iter().find(in_usual)
        });
        match found {
            Some(entry) => Ok(entry.clone()),
            None => {
                let failure =
                    Failure::new("no-such-table", format!("`{}` has no table `{asked}`", self.shown));
                let names: Vec<String> =
                    entries.iter().take(20).map(|entry| format!("`{}`", entry.name)).collect();
                Err(if names.is_empty() {
                    failure.hint("it has no tables")
                } else {
                    failure.hint(format!("it has {}", names.join(", ")))
                })
            }
        }
    }
}

/// A failure with its cause, and what the engine says could be done.
fn explained(failure: Failure, error: &DatabaseError) -> Failure {
    let hint = error.hint();
    let failure = failure.caused_by(error);
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

fn output(error: &io::Error) -> Failure {
    Failure::new("cannot-write", "failed to write to standard output").caused_by(error)
}

/// Whether the reader of the output has gone away.
fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::BrokenPipe
}

fn done(printed: io::Result<()>) -> Result<()> {
    match printed {
        Err(error) if !is_gone(&error) => Err(output(&error)),
        _ => Ok(()),
    }
}
