//! Where a database is: a URL, or the path of a file.

use std::fmt;

/// A database that can be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A file of SQLite's.
    File(String),
}

/// Why nothing can be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unknown {
    /// Another engine, by its name in the URL.
    Engine(String),
    /// A URL of SQLite's with a host in it, or without a file.
    Form,
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unknown::Engine(engine) => write!(f, "naja db speaks SQLite so far, not `{engine}`"),
            Unknown::Form => {
                f.write_str("a URL of SQLite is sqlite:///file.db or sqlite:////absolute/file.db")
            }
        }
    }
}

impl Place {
    /// Reads a URL; what is none is the path of a file.
    ///
    /// ```
    /// use naja_db::place::Place;
    /// assert_eq!(Place::of("sqlite:////tmp/a%20b.db"), Ok(Place::File("/tmp/a b.db".to_owned())));
    /// assert_eq!(Place::of("app.naja"), Ok(Place::File("app.naja".to_owned())));
    /// assert!(Place::of("postgresql://localhost/db").is_err());
    /// ```
    pub fn of(url: &str) -> Result<Place, Unknown> {
        let Some((scheme, rest)) = url.split_once("://") else { return Ok(Place::File(url.to_owned())) };
        let engine = scheme.split('+').next().unwrap_or_default().to_ascii_lowercase();
        if engine != "sqlite" {
            return Err(Unknown::Engine(engine));
        }
        let path = rest.split('?').next().unwrap_or_default();
        match path.strip_prefix('/') {
            Some(path) if !path.is_empty() => Ok(Place::File(unescaped(path))),
            _ => Err(Unknown::Form),
        }
    }
}

/// A URL as it may be shown: without its password.
///
/// ```
/// use naja_db::place::without_password;
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
