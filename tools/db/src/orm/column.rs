//! Columns of models: their types in each dialect, and what they refer to.

use crate::tables::Dialect;

/// The type of a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Type {
    /// Text of at most so many characters.
    String(u32),
    /// Text of any length.
    Text,
    /// Whole numbers of 32 bits; SQLite's have 64.
    Integer,
    /// Whole numbers of 64 bits.
    BigInteger,
    /// Floating-point numbers of 64 bits.
    Float,
    /// True or false.
    Boolean,
    /// Days.
    Date,
    /// Moments without a zone, to the microsecond.
    DateTime,
    /// Times of day, to the microsecond.
    Time,
    /// JSON documents.
    Json,
    /// Decimal numbers of so many digits, so many of them after the point.
    Decimal(u32, u32),
    /// UUIDs: PostgreSQL's own type, else 32 digits.
    Uuid,
    /// Addresses of IPv4 and IPv6: PostgreSQL's own type, else text.
    IpAddress,
    /// One of several names; the type's own name is PostgreSQL's alone.
    Enum {
        /// What PostgreSQL calls the type.
        name: String,
        /// The names, in order.
        names: Vec<String>,
    },
    /// A type in the words of the dialect, which the program has made itself.
    Declared(String),
}

impl Type {
    /// Writes the type.
    pub fn write(&self, dialect: Dialect, sql: &mut String) {
        use Dialect::{Mysql, Postgres, Sqlite};
        let fixed = match (self, dialect) {
            (Type::String(length), _) => return sql.push_str(&format!("VARCHAR({length})")),
            (Type::Decimal(digits, places), _) => {
                return sql.push_str(&format!("NUMERIC({digits}, {places})"));
            }
            (Type::Enum { name, .. }, Postgres) => return dialect.quote(sql, name),
            (Type::Enum { names, .. }, Mysql) => return write_names(sql, names),
            (Type::Enum { names, .. }, Sqlite) => {
                let length = names.iter().map(|name| name.chars().count()).max().unwrap_or(1);
                return sql.push_str(&format!("VARCHAR({length})"));
            }
            (Type::Declared(declared), _) => return sql.push_str(declared),
            (Type::Text, Sqlite | Postgres | Mysql) => "TEXT",
            (Type::Integer, _) => "INTEGER",
            (Type::BigInteger, _) => "BIGINT",
            (Type::Float, Sqlite | Postgres) => "FLOAT",
            // MySQL's FLOAT has 24 bits.
            (Type::Float, Mysql) => "DOUBLE",
            (Type::Boolean, Sqlite | Postgres) => "BOOLEAN",
            (Type::Boolean, Mysql) => "BOOL",
            (Type::Date, _) => "DATE",
            (Type::DateTime, Sqlite) => "DATETIME",
            (Type::DateTime, Postgres) => "TIMESTAMP WITHOUT TIME ZONE",
            // Without a number MySQL drops the microseconds.
            (Type::DateTime, Mysql) => "DATETIME(6)",
            (Type::Time, Sqlite) => "TIME",
            (Type::Time, Postgres) => "TIME WITHOUT TIME ZONE",
            (Type::Time, Mysql) => "TIME(6)",
            (Type::Json, _) => "JSON",
            (Type::Uuid, Postgres) => "UUID",
            (Type::Uuid, Sqlite | Mysql) => "CHAR(32)",
            (Type::IpAddress, Postgres) => "INET",
            (Type::IpAddress, Sqlite | Mysql) => "CHAR(45)",
        };
        sql.push_str(fixed);
    }

    /// Whether the engine counts such a primary key up by itself.
    pub fn counts_up(&self) -> bool {
        matches!(self, Type::Integer | Type::BigInteger)
    }

    /// Whether its values are text, so that parts of them can be looked for.
    pub fn is_text(&self) -> bool {
        matches!(self, Type::String(_) | Type::Text)
    }
}

/// MySQL's enumeration: its names are texts, which know backslashes unless a setting says otherwise.
fn write_names(sql: &mut String, names: &[String]) {
    sql.push_str("ENUM(");
    for (index, name) in names.iter().enumerate() {
        sql.push_str(if index == 0 { "" } else { ", " });
        write_text(sql, name);
    }
    sql.push(')');
}

/// A text in quotes. Backslashes do not get here: the names of Python's enumerations are checked by [`is_plain`].
pub(super) fn write_text(sql: &mut String, text: &str) {
    sql.push('\'');
    sql.push_str(&text.replace('\'', "''"));
    sql.push('\'');
}

/// Whether the name of an enumeration's member can stand in every dialect's SQL as it is.
///
/// ```
/// use naja_db::orm::column::is_plain;
/// assert!(is_plain("RELEASED") && is_plain("in review"));
/// assert!(!is_plain(r"a\") && !is_plain("a\0"));
/// ```
pub fn is_plain(name: &str) -> bool {
    !name.is_empty() && !name.contains(['\\', '\0'])
}

/// What becomes of rows whose reference is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnDelete {
    /// They are removed.
    Cascade,
    /// The removal is refused.
    Restrict,
    /// Their reference becomes NULL.
    SetNull,
    /// Their reference becomes its default.
    SetDefault,
    /// The removal is refused at the end of the statement or the transaction.
    NoAction,
}

impl OnDelete {
    /// By its words, in letters of any case.
    pub fn of(words: &str) -> Option<OnDelete> {
        [OnDelete::Cascade, OnDelete::Restrict, OnDelete::SetNull, OnDelete::SetDefault, OnDelete::NoAction]
            .into_iter()
            .find(|one| one.words().eq_ignore_ascii_case(words.trim()))
    }

    /// Its words.
    pub fn words(self) -> &'static str {
        match self {
            OnDelete::Cascade => "CASCADE",
            OnDelete::Restrict => "RESTRICT",
            OnDelete::SetNull => "SET NULL",
            OnDelete::SetDefault => "SET DEFAULT",
            OnDelete::NoAction => "NO ACTION",
        }
    }
}

/// The row of another table that a column names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The table.
    pub table: String,
    /// Its primary key.
    pub column: String,
    /// What becomes of this row when that one is removed.
    pub on_delete: Option<OnDelete>,
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: Type,
    /// It may be NULL.
    pub is_nullable: bool,
    /// It has an index.
    pub has_index: bool,
    /// No two rows have the same value.
    pub is_unique: bool,
    /// It names a row of another table.
    pub references: Option<Reference>,
}

#[cfg(test)]
mod tests {
    use super::{OnDelete, Type};
    use crate::tables::Dialect;

    fn declared(kind: &Type, dialect: Dialect) -> String {
        let mut sql = String::new();
        kind.write(dialect, &mut sql);
        sql
    }

    #[test]
    fn each_type_has_a_name_in_each_dialect() {
        let kind =
            Type::Enum { name: "status".to_owned(), names: vec!["DRAFT".to_owned(), "it's".to_owned()] };
        assert_eq!(declared(&kind, Dialect::Sqlite), "VARCHAR(5)");
        assert_eq!(declared(&kind, Dialect::Postgres), r#""status""#);
        assert_eq!(declared(&kind, Dialect::Mysql), "ENUM('DRAFT', 'it''s')");
        assert_eq!(declared(&Type::Uuid, Dialect::Postgres), "UUID");
        assert_eq!(declared(&Type::Uuid, Dialect::Mysql), "CHAR(32)");
        assert_eq!(declared(&Type::Decimal(5, 2), Dialect::Sqlite), "NUMERIC(5, 2)");
    }

    #[test]
    fn what_a_removal_does_is_one_of_five_words() {
        assert_eq!(OnDelete::of("set null"), Some(OnDelete::SetNull));
        assert_eq!(OnDelete::of("CASCADE; DROP TABLE a"), None);
    }
}
