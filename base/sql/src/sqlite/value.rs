//! A value on its way into a statement.

/// What a parameter of a statement is given; texts and bytes are borrowed while the statement runs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// SQL's NULL.
    Null,
    /// A whole number.
    Integer(i64),
    /// A floating-point number. SQLite stores NaN as NULL.
    Real(f64),
    /// Text, which may hold NUL characters.
    Text(&'a str),
    /// Bytes.
    Bytes(&'a [u8]),
}
