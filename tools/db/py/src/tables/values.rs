//! Values of rows and filters on their way into a statement, as the engine takes them.
//!
//! SQLite has four types, and what a column is made of decides how a value is written; servers have types of their
//! own, and a value goes as what it is.

use naja_db::tables::{Dialect, Kind};
use naja_sql::{Value, Values};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyFloat, PyInt, PyString};

use super::links::{Column, Limit};
use crate::objects::{Refused, give};
use crate::sqlite::values::{self, Refusal, Taken as Plain};

/// A value that was taken out of an object; it holds the object as long as it needs its text.
#[derive(Debug)]
pub(crate) enum Taken<'py> {
    /// What every engine has.
    Plain(Plain<'py>),
    Boolean(bool),
    Json(Bound<'py, PyString>),
    /// A value that only servers have.
    Other(Box<Value<'static>>),
}

impl Taken<'_> {
    /// As SQLite takes it.
    pub(super) fn plain(&self) -> naja_sql::sqlite::Value<'_> {
        match self {
            Taken::Plain(value) => value.value(),
            // What is taken for SQLite is plain.
            Taken::Boolean(_) | Taken::Json(_) | Taken::Other(_) => naja_sql::sqlite::Value::Null,
        }
    }

    /// As a server takes it.
    pub(super) fn full(&self) -> Value<'_> {
        match self {
            Taken::Plain(value) => match value.value() {
                naja_sql::sqlite::Value::Null => Value::Null,
                naja_sql::sqlite::Value::Integer(value) => Value::Integer(value),
                naja_sql::sqlite::Value::Real(value) => Value::Real(value),
                naja_sql::sqlite::Value::Text(text) => Value::from(text),
                naja_sql::sqlite::Value::Bytes(bytes) => Value::from(bytes),
            },
            Taken::Boolean(value) => Value::Boolean(*value),
            // The text of the object was made when it was taken, so that this cannot fail.
            Taken::Json(text) => text.to_str().map_or(Value::Null, |text| Value::Json(text.into())),
            Taken::Other(value) => Value::clone(value),
        }
    }

    /// Text that is made here.
    pub(super) fn of_text(text: String) -> Taken<'static> {
        Taken::Plain(Plain::OwnText(text))
    }

    /// Whether it is a moment of a zone, for a column that has none.
    pub(super) fn is_of_another_clock(&self, column: &Column) -> bool {
        let Taken::Other(value) = self else { return false };
        matches!(**value, Value::Moment { offset_s: Some(_), .. })
            && column.kind == Kind::DateTime
            && column.declared.ends_with("without time zone")
    }

    /// Whether a column of this kind takes it without the server's reading it as a literal.
    pub(super) fn fits(&self, kind: Kind) -> bool {
        match self {
            Taken::Plain(Plain::Null) => true,
            Taken::Plain(Plain::Integer(_)) => matches!(kind, Kind::Integer | Kind::Decimal(_)),
            Taken::Plain(Plain::Real(_)) => kind == Kind::Float,
            Taken::Plain(Plain::Text(_) | Plain::OwnText(_)) => kind == Kind::Text,
            Taken::Plain(Plain::Bytes(_) | Plain::OwnBytes(_)) => kind == Kind::Bytes,
            Taken::Boolean(_) => kind == Kind::Boolean,
            Taken::Json(_) => kind == Kind::Json,
            Taken::Other(value) => match &**value {
                Value::Decimal(_) => matches!(kind, Kind::Decimal(_)),
                Value::Date { .. } => kind == Kind::Date,
                Value::Moment { offset_s: None, .. } => kind == Kind::DateTime,
                Value::Time { offset_s: None, .. } => kind == Kind::Time,
                _ => false,
            },
        }
    }
}

/// The value of a row for a column.
pub(super) fn for_column<'py>(
    dialect: Dialect,
    object: &Bound<'py, PyAny>,
    column: &Column,
) -> Result<Taken<'py>, Refusal> {
    if dialect == Dialect::Sqlite {
        return values::for_column(object, column.kind).map(Taken::Plain);
    }
    // SQLAlchemy writes JSON's null for a None: what reads the table expects it.
    let taken = match column.kind {
        Kind::Json => Taken::Json(values::json_text(object)?),
        Kind::Boolean if !object.is_none() => Taken::Boolean(values::truth(object)?),
        _ => as_it_is(dialect, object)?,
    };
    match column.limit {
        Limit::None => {}
        Limit::Bits(bits) => {
            let is_large = match &taken {
                Taken::Plain(Plain::Integer(value)) => bits < 64 && *value >> (bits - 1) != *value >> 63,
                Taken::Other(value) => {
                    matches!(**value, Value::Decimal(_)) && object.is_instance_of::<PyInt>()
                }
                _ => false,
            };
            if is_large {
                let text = format!("{} is out of range for {}", object.str()?, column.declared);
                return Err(Refusal::Data(text));
            }
        }
        Limit::Characters(limit) => {
            if let Taken::Plain(Plain::Text(text)) = &taken
                && text.len()? > limit
                && text.to_str()?.trim_end_matches(' ').chars().count() > limit
            {
                let text =
                    format!("a text of {} characters is too long for {}", text.len()?, column.declared);
                return Err(Refusal::Data(text));
            }
        }
    }
    Ok(taken)
}

/// A value that columns are compared with: what it is decides, not the column.
pub(super) fn for_filter<'py>(dialect: Dialect, object: &Bound<'py, PyAny>) -> Result<Taken<'py>, Refusal> {
    if dialect == Dialect::Sqlite {
        return values::for_filter(object).map(Taken::Plain);
    }
    as_it_is(dialect, object)
}

/// A value as the engine's driver takes it.
pub(super) fn as_it_is<'py>(dialect: Dialect, object: &Bound<'py, PyAny>) -> Result<Taken<'py>, Refusal> {
    if dialect == Dialect::Sqlite {
        return values::as_it_is(object).map(Taken::Plain);
    }
    if let Ok(text) = object.cast::<PyString>() {
        if dialect == Dialect::Postgres && text.to_str()?.contains('\0') {
            return Err(Refusal::Data(
                "PostgreSQL keeps no text with a NUL character (0x00) in it".to_owned(),
            ));
        }
        return Ok(Taken::Plain(Plain::Text(text.clone())));
    }
    if object.is_none() {
        return Ok(Taken::Plain(Plain::Null));
    }
    if let Ok(number) = object.cast::<PyInt>() {
        if let Ok(value) = object.cast::<PyBool>() {
            return Ok(Taken::Boolean(value.is_true()));
        }
        if let Ok(value) = number.extract::<i64>() {
            return Ok(Taken::Plain(Plain::Integer(value)));
        }
    }
    if let Ok(number) = object.cast::<PyFloat>() {
        return Ok(Taken::Plain(Plain::Real(number.value())));
    }
    if let Ok(bytes) = object.cast::<PyBytes>() {
        return Ok(Taken::Plain(Plain::Bytes(bytes.clone())));
    }
    let mut values = Values::default();
    match give(object, &mut values) {
        Ok(()) => Ok(Taken::Other(Box::new(values.take().pop().unwrap_or(Value::Null)))),
        Err(Refused::Unsupported(text)) => Err(Refusal::Unsupported(text)),
        Err(Refused::Raised(error)) => Err(Refusal::Raised(error)),
    }
}

/// The type of a place that a value goes to in a statement of the user's, as psycopg tells it: where nothing else in the
/// statement says it, as in `SELECT :x`, it is the value's own.
pub(super) fn type_of(dialect: Dialect, object: &Bound<'_, PyAny>) -> Option<&'static str> {
    if dialect != Dialect::Postgres {
        return None;
    }
    match as_it_is(dialect, object).ok()? {
        Taken::Boolean(_) => Some("bool"),
        // The smallest that holds it, from which the server goes to a larger one by itself.
        Taken::Plain(Plain::Integer(value)) => Some(match value {
            -0x8000..=0x7fff => "int2",
            -0x8000_0000..=0x7fff_ffff => "int4",
            _ => "int8",
        }),
        Taken::Plain(Plain::Real(_)) => Some("float8"),
        Taken::Plain(Plain::Bytes(_) | Plain::OwnBytes(_)) => Some("bytea"),
        Taken::Other(value) => match *value {
            Value::Decimal(_) => Some("numeric"),
            Value::Date { .. } => Some("date"),
            Value::Moment { offset_s: Some(_), .. } => Some("timestamptz"),
            Value::Moment { .. } => Some("timestamp"),
            Value::Time { offset_s: Some(_), .. } => Some("timetz"),
            Value::Time { .. } => Some("time"),
            Value::Interval { .. } => Some("interval"),
            Value::Uuid(_) => Some("uuid"),
            _ => None,
        },
        Taken::Plain(_) | Taken::Json(_) => None,
    }
}
