//! Rows as files have them: names and values, which may be others in each row.

use std::borrow::Cow;

use naja_sql::Value;

use crate::tables::kind::Guess;

/// A value of a row that is to be stored.
#[derive(Debug, Clone, PartialEq)]
pub enum Field {
    /// No value.
    Null,
    /// True or false.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// A number with a fraction.
    Real(f64),
    /// Text.
    Text(String),
    /// A day, as `2020-02-29`.
    Date(String),
    /// A moment, as `2020-02-29 12:00:00.000000`.
    Moment(String),
    /// A list or an object, as JSON.
    Json(String),
}

impl Field {
    /// The type of a column that is made for it.
    pub fn guess(&self) -> Guess {
        match self {
            Field::Null | Field::Text(_) => Guess::Text,
            Field::Boolean(_) => Guess::Boolean,
            Field::Integer(_) => Guess::BigInteger,
            Field::Real(_) => Guess::Float,
            Field::Date(_) => Guess::Date,
            Field::Moment(_) => Guess::DateTime,
            Field::Json(_) => Guess::Json,
        }
    }

    pub(crate) fn value(&self) -> Value<'_> {
        match self {
            Field::Null => Value::Null,
            Field::Boolean(value) => Value::Boolean(*value),
            Field::Integer(value) => Value::Integer(*value),
            Field::Real(value) => Value::Real(*value),
            Field::Text(text) | Field::Date(text) | Field::Moment(text) => Value::Text(Cow::Borrowed(text)),
            Field::Json(text) => Value::Json(Cow::Borrowed(text)),
        }
    }
}

/// A row: names and values.
pub type Row = Vec<(String, Field)>;
