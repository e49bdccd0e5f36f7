//! What a column's type of one engine becomes in another.
//!
//! Nothing may be lost: where the other engine's type would round, cut or refuse, it is text.

use crate::tables::Dialect;
use crate::tables::kind::{Guess, Kind};

/// The most digits that SQLite keeps of a number that is not whole.
const DIGITS_OF_SQLITE: u32 = 15;

/// What is stored in a column of SQLite, whatever type it was declared with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Stored {
    /// Whole numbers.
    pub(super) integers: bool,
    /// Whole numbers other than 0 and 1.
    pub(super) beyond_boolean: bool,
    /// Numbers with a fraction.
    pub(super) reals: bool,
    /// Text.
    pub(super) texts: bool,
    /// Bytes.
    pub(super) bytes: bool,
}

/// The type in which all that a column of SQLite holds can be stored, as near to the declared one as that allows.
pub(super) fn of_sqlite(declared: &str, stored: Stored) -> Guess {
    let numbers = stored.integers || stored.reals;
    if stored.bytes {
        return if numbers || stored.texts { Guess::Text } else { Guess::Bytes };
    }
    let number = match (stored.reals, Kind::of_declared(declared)) {
        (_, Kind::Decimal(_)) if !declared.is_empty() => Guess::Decimal,
        (true, _) | (_, Kind::Float) => Guess::Float,
        _ => Guess::BigInteger,
    };
    match Kind::of_declared(declared) {
        Kind::Boolean if stored.texts || stored.reals || stored.beyond_boolean => {
            if stored.texts {
                Guess::Text
            } else {
                number
            }
        }
        Kind::Boolean => Guess::Boolean,
        Kind::Integer | Kind::Float | Kind::Decimal(_) => {
            if stored.texts {
                Guess::Text
            } else {
                number
            }
        }
        Kind::Date if !numbers => Guess::Date,
        Kind::DateTime if !numbers => Guess::DateTime,
        Kind::Time if !numbers => Guess::Time,
        Kind::Json if !numbers => Guess::Json,
        Kind::Bytes if !numbers && !stored.texts => Guess::Bytes,
        Kind::Text => Guess::Text,
        _ if stored.texts || !numbers => Guess::Text,
        _ => number,
    }
}

/// A type of PostgreSQL, as `format_type` writes it, in another engine's words.
pub(super) fn of_postgres(declared: &str, to: Dialect) -> String {
    let (name, arguments) = match declared.split_once('(') {
        Some((name, rest)) => {
            let (arguments, after) = rest.split_once(')').unwrap_or((rest, ""));
            (format!("{}{after}", name.trim_end()), arguments)
        }
        None => (declared.to_owned(), ""),
    };
    let guess = match name.as_str() {
        "boolean" => Guess::Boolean,
        "smallint" | "integer" if to == Dialect::Sqlite => return "INTEGER".to_owned(),
        "smallint" => return "SMALLINT".to_owned(),
        "integer" => return "INTEGER".to_owned(),
        "bigint" | "oid" => Guess::BigInteger,
        "real" | "double precision" => Guess::Float,
        "numeric" => return numeric(arguments, to),
        "character varying" | "character" if !arguments.is_empty() => return format!("VARCHAR({arguments})"),
        "uuid" => return "CHAR(36)".to_owned(),
        "timestamp without time zone" => Guess::DateTime,
        // MySQL's moments have no zone, and text keeps it.
        "timestamp with time zone" if to == Dialect::Sqlite => Guess::DateTime,
        "date" => Guess::Date,
        "time without time zone" => Guess::Time,
        "json" | "jsonb" => Guess::Json,
        name if name.ends_with("[]") => Guess::Json,
        "bytea" => Guess::Bytes,
        _ => Guess::Text,
    };
    guess.declared(to).to_owned()
}

fn numeric(arguments: &str, to: Dialect) -> String {
    let digits = arguments.split(',').next().and_then(|digits| digits.trim().parse::<u32>().ok());
    match (digits, to) {
        (Some(digits), Dialect::Sqlite) if digits <= DIGITS_OF_SQLITE => format!("NUMERIC({arguments})"),
        (Some(digits), Dialect::Mysql) if digits <= 65 => format!("DECIMAL({arguments})"),
        (_, Dialect::Postgres) => "NUMERIC".to_owned(),
        _ => "TEXT".to_owned(),
    }
}

/// A default of one engine in another's words, for a column of the other's type `declared`; nothing where it is more
/// than a plain value.
pub(super) fn default(text: &str, declared: &str) -> Option<String> {
    // PostgreSQL says the type behind the value.
    let value = match text.strip_prefix('\'').and_then(|rest| rest.rfind('\'')) {
        Some(end) => {
            let (value, cast) = text.split_at(end + 2);
            let plain = |letter: char| letter.is_alphanumeric() || " :_()\",.".contains(letter);
            if !value[1..value.len() - 1].replace("''", "").contains('\'') && cast.chars().all(plain) {
                return Some(value.to_owned());
            }
            return None;
        }
        None => text.split("::").next().unwrap_or(text),
    };
    match (declared, value) {
        ("BOOLEAN", "1") => return Some("TRUE".to_owned()),
        ("BOOLEAN", "0") => return Some("FALSE".to_owned()),
        _ => {}
    }
    let upper = value.to_ascii_uppercase();
    let is_word = matches!(
        upper.as_str(),
        "TRUE" | "FALSE" | "NULL" | "CURRENT_TIMESTAMP" | "CURRENT_DATE" | "CURRENT_TIME"
    );
    let is_number = value.parse::<f64>().is_ok_and(f64::is_finite) && !value.contains(['e', 'E']);
    (is_word || is_number).then(|| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_of_sqlite_becomes_what_all_of_it_fits() {
        let integers = Stored { integers: true, ..Stored::default() };
        let big = Stored { integers: true, beyond_boolean: true, ..Stored::default() };
        let texts = Stored { texts: true, ..Stored::default() };
        let reals = Stored { reals: true, ..Stored::default() };
        for (declared, stored, guess) in [
            ("INTEGER", integers, Guess::BigInteger),
            ("INTEGER", texts, Guess::Text),
            ("INTEGER", reals, Guess::Float),
            ("BOOLEAN", integers, Guess::Boolean),
            ("BOOLEAN", big, Guess::BigInteger),
            ("DATETIME", texts, Guess::DateTime),
            ("DATETIME", big, Guess::BigInteger),
            ("", big, Guess::BigInteger),
            ("", Stored::default(), Guess::Text),
            ("NUMERIC(10, 2)", reals, Guess::Decimal),
            ("JSON", Stored::default(), Guess::Json),
            ("TEXT", Stored { bytes: true, ..Stored::default() }, Guess::Bytes),
        ] {
            assert_eq!(of_sqlite(declared, stored), guess, "{declared} {stored:?}");
        }
    }

    #[test]
    fn a_type_of_postgresql_loses_nothing_elsewhere() {
        for (declared, sqlite) in [
            ("integer", "INTEGER"),
            ("numeric(10,2)", "NUMERIC(10,2)"),
            ("numeric(30,2)", "TEXT"),
            ("numeric", "TEXT"),
            ("character varying(20)", "VARCHAR(20)"),
            ("timestamp(3) without time zone", "DATETIME"),
            ("text[]", "JSON"),
            ("numeric(3,1)[]", "JSON"),
            ("mood", "TEXT"),
        ] {
            assert_eq!(of_postgres(declared, Dialect::Sqlite), sqlite, "{declared}");
        }
    }

    #[test]
    fn only_plain_values_are_defaults_elsewhere() {
        assert_eq!(default("'it''s'::text", "TEXT").as_deref(), Some("'it''s'"));
        assert_eq!(default("'x'::character varying(3)", "TEXT").as_deref(), Some("'x'"));
        assert_eq!(default("'[]'::jsonb", "TEXT").as_deref(), Some("'[]'"));
        assert_eq!(default("0", "TEXT").as_deref(), Some("0"));
        assert_eq!(default("'-1'::integer", "TEXT").as_deref(), Some("'-1'"));
        assert_eq!(default("CURRENT_TIMESTAMP", "TEXT").as_deref(), Some("CURRENT_TIMESTAMP"));
        assert_eq!(default("1", "BOOLEAN").as_deref(), Some("TRUE"));
        for text in [
            "now()",
            "nextval('t_id_seq'::regclass)",
            "('a'::text || 'b'::text)",
            "'a' || f('b')",
            "random()",
        ] {
            assert_eq!(default(text, "TEXT"), None, "{text}");
        }
    }
}
