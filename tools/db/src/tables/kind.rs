//! The types of columns: what they are called in each dialect, and what they make of a value.

use super::Dialect;

/// What a column makes of the values that are stored in it and read from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Whole numbers.
    Integer,
    /// Binary floating-point numbers.
    Float,
    /// Decimal numbers, with that many digits after the point where it is declared.
    Decimal(Option<u8>),
    /// True or false.
    Boolean,
    /// Days.
    Date,
    /// Moments, without a zone.
    DateTime,
    /// Times of day.
    Time,
    /// Text.
    Text,
    /// JSON documents.
    Json,
    /// Bytes.
    Bytes,
    /// Whatever comes: a type that is not known, or none.
    Any,
}

/// A type that a column is given when it is made for a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Guess {
    /// For `bool`.
    Boolean,
    /// For `int`: 64 bits.
    BigInteger,
    /// For `float`.
    Float,
    /// For `decimal.Decimal`.
    Decimal,
    /// For `datetime.datetime`.
    DateTime,
    /// For `datetime.date`.
    Date,
    /// For `datetime.time`.
    Time,
    /// For `dict`, `list` and `tuple`.
    Json,
    /// For `bytes`.
    Bytes,
    /// For text, and for everything else.
    Text,
}

impl Guess {
    /// The name of the type.
    pub fn declared(self, dialect: Dialect) -> &'static str {
        use Dialect::{Mysql, Postgres, Sqlite};
        match (self, dialect) {
            (Guess::Boolean, Sqlite | Postgres) => "BOOLEAN",
            (Guess::Boolean, Mysql) => "BOOL",
            (Guess::BigInteger, _) => "BIGINT",
            (Guess::Float, Sqlite | Postgres) => "FLOAT",
            // MySQL's FLOAT has 24 bits.
            (Guess::Float, Mysql) => "DOUBLE",
            (Guess::Decimal, Sqlite | Postgres) => "NUMERIC",
            (Guess::Decimal, Mysql) => "DECIMAL(65, 30)",
            (Guess::DateTime, Sqlite) => "DATETIME",
            (Guess::DateTime, Mysql) => "DATETIME(6)",
            (Guess::DateTime, Postgres) => "TIMESTAMP WITHOUT TIME ZONE",
            (Guess::Date, _) => "DATE",
            (Guess::Time, Sqlite) => "TIME",
            (Guess::Time, Mysql) => "TIME(6)",
            (Guess::Time, Postgres) => "TIME WITHOUT TIME ZONE",
            (Guess::Json, Sqlite | Mysql) => "JSON",
            (Guess::Json, Postgres) => "JSONB",
            (Guess::Bytes, Sqlite) => "BLOB",
            (Guess::Bytes, Mysql) => "LONGBLOB",
            (Guess::Bytes, Postgres) => "BYTEA",
            (Guess::Text, _) => "TEXT",
        }
    }
}

impl Kind {
    /// What a column of SQLite holds that was declared with this type, as SQLAlchemy sees it: by the type's name, and
    /// for names that are not known by SQLite's own rules of affinity.
    ///
    /// ```
    /// use naja_db::tables::Kind;
    /// assert_eq!(Kind::of_declared("VARCHAR(20)"), Kind::Text);
    /// assert_eq!(Kind::of_declared("decimal(10, 2)"), Kind::Decimal(Some(2)));
    /// assert_eq!(Kind::of_declared("unsigned big int"), Kind::Integer);
    /// ```
    pub fn of_declared(declared: &str) -> Kind {
        let (name, arguments) = match declared.split_once('(') {
            Some((name, rest)) => (name, rest.split(')').next().unwrap_or("")),
            None => (declared, ""),
        };
        let name = name.trim().to_ascii_uppercase();
        let has = |part: &str| name.contains(part);
        match name.as_str() {
            "BOOL" | "BOOLEAN" => Kind::Boolean,
            "DATE" | "DATE_CHAR" => Kind::Date,
            "DATETIME" | "DATETIME_CHAR" | "TIMESTAMP" => Kind::DateTime,
            "TIME" | "TIME_CHAR" => Kind::Time,
            "JSON" => Kind::Json,
            "BLOB" => Kind::Bytes,
            "" => Kind::Any,
            _ if has("INT") => Kind::Integer,
            _ if has("CHAR") || has("CLOB") || has("TEXT") => Kind::Text,
            _ if has("BLOB") => Kind::Any,
            _ if has("REAL") || has("FLOA") || has("DOUB") => Kind::Float,
            _ => Kind::Decimal(arguments.split(',').nth(1).and_then(|scale| scale.trim().parse().ok())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Dialect, Guess, Kind};

    #[test]
    fn what_is_guessed_is_read_back_as_the_same_kind() {
        let kinds = [
            (Guess::Boolean, Kind::Boolean),
            (Guess::BigInteger, Kind::Integer),
            (Guess::Float, Kind::Float),
            (Guess::Decimal, Kind::Decimal(None)),
            (Guess::DateTime, Kind::DateTime),
            (Guess::Date, Kind::Date),
            (Guess::Time, Kind::Time),
            (Guess::Json, Kind::Json),
            (Guess::Bytes, Kind::Bytes),
            (Guess::Text, Kind::Text),
        ];
        for (guess, kind) in kinds {
            assert_eq!(Kind::of_declared(guess.declared(Dialect::Sqlite)), kind);
        }
    }
}
