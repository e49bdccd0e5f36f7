//! Where a database is: a URL, or the path of a file.

use std::fmt;
use std::path::Path;

use naja_sql::postgres::{self, PostgresError};
use naja_sql::sqlite::Library;

use super::postgres::Postgres;
use super::sqlite::Sqlite;
use super::{Access, Database, Result};

/// A database that can be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A file of SQLite's.
    File(String),
    /// A server of PostgreSQL's.
    Postgres(Box<postgres::Options>),
}

/// Why nothing can be opened.
#[derive(Debug)]
pub enum Unknown {
    /// Another engine, by its name in the URL.
    Engine(String),
    /// A URL of SQLite's with a host in it, or without a file.
    Form,
    /// A URL of PostgreSQL's that is wrong.
    Postgres(PostgresError),
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unknown::Engine(engine) => {
                write!(f, "naja db speaks SQLite and PostgreSQL so far, not `{engine}`")
            }
            Unknown::Form => {
                f.write_str("a URL of SQLite is sqlite:///file.db or sqlite:////absolute/file.db")
            }
            Unknown::Postgres(error) => error.fmt(f),
        }
    }
}

impl Unknown {
    /// What would be right.
    pub fn hint(&self) -> String {
        match self {
            Unknown::Postgres(error) => {
                error.hint().unwrap_or_else(|| "postgresql://user:password@host/database".to_owned())
            }
            _ => "give the path of a SQLite file, sqlite:///file.db or postgresql://user@host/database"
                .to_owned(),
        }
    }
}

impl Place {
    /// Reads a URL; what is none is the path of a file. `variable` looks up what the environment says, for PostgreSQL.
    ///
    /// ```
    /// use naja_db::database::Place;
    /// let none = |_: &str| None;
    /// let file = |path: &str| Some(Place::File(path.to_owned()));
    /// assert_eq!(Place::of("sqlite:////tmp/a%20b.db", &none).ok(), file("/tmp/a b.db"));
    /// assert_eq!(Place::of("app.naja", &none).ok(), file("app.naja"));
    /// let server = Place::of("postgresql://ada:secret@localhost/db", &none).unwrap();
    /// assert_eq!(server.to_string(), "postgresql://ada:***@localhost:5432/db");
    /// assert!(Place::of("oracle://localhost/db", &none).is_err());
    /// ```
    pub fn of(url: &str, variable: &dyn Fn(&str) -> Option<String>) -> std::result::Result<Place, Unknown> {
        let Some((scheme, rest)) = url.split_once("://") else { return Ok(Place::File(url.to_owned())) };
        let engine = scheme.split('+').next().unwrap_or_default().to_ascii_lowercase();
        match engine.as_str() {
            "sqlite" => {
                let path = rest.split('?').next().unwrap_or_default();
                match path.strip_prefix('/') {
                    Some(path) if !path.is_empty() => Ok(Place::File(unescaped(path))),
                    _ => Err(Unknown::Form),
                }
            }
            "postgresql" | "postgres" => match postgres::Options::from_url(url, variable) {
                Ok(options) => Ok(Place::Postgres(Box::new(options))),
                Err(error) => Err(Unknown::Postgres(error)),
            },
            _ => Err(Unknown::Engine(engine)),
        }
    }

    /// Opens it; SQLite by the library that is given.
    ///
    /// Errors: the engine's, `DatabaseError::is_of_opening` for a place where nothing is
    pub fn open(&self, library: &'static Library, access: Access) -> Result<Box<dyn Database>> {
        Ok(match self {
            Place::File(path) => Box::new(Sqlite::open(library, path, access)?),
            Place::Postgres(options) => Box::new(Postgres::open(options, access)?),
        })
    }

    /// Whether it is there, as far as that can be told without opening it.
    pub fn may_exist(&self) -> bool {
        match self {
            Place::File(path) => path == ":memory:" || Path::new(path).exists(),
            Place::Postgres(_) => true,
        }
    }

    /// Whether both are the same database, as far as the names say.
    pub fn is_same(&self, other: &Place) -> bool {
        match (self, other) {
            (Place::File(one), Place::File(other)) => {
                match (std::fs::canonicalize(one), std::fs::canonicalize(other)) {
                    (Ok(one), Ok(other)) => one == other,
                    _ => one == other,
                }
            }
            (Place::Postgres(one), Place::Postgres(other)) => {
                one.address == other.address && one.database == other.database
            }
            _ => false,
        }
    }
}

/// As it may be shown: without a password.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::File(path) => f.write_str(path),
            Place::Postgres(options) => options.fmt(f),
        }
    }
}

/// A URL as it may be shown: without its password.
///
/// ```
/// use naja_db::database::without_password;
/// assert_eq!(without_password("postgresql://ada:p@ss@host/db"), "postgresql://ada:*****@host/db");
/// ```
pub fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (place, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    match place.rsplit_once('@').and_then(|(user, host)| user.split_once(':').map(|(user, _)| (user, host))) {
        Some((user, host)) => format!("{scheme}://{user}:*****@{host}{path}"),
        None => url.to_owned(),
    }
}

fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let escaped = match (first, after) {
            (b'%', [high, low, ..]) => std::str::from_utf8(&[*high, *low])
                .ok()
                .and_then(|digits| u8::from_str_radix(digits, 16).ok()),
            _ => None,
        };
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
