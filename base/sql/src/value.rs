//! One value, for whoever has values at hand and not a stream of calls.
//!
//! A [`Value`] says in data what a [`Sink`] is told in calls. Drivers never need it between the wire and the sink.

use std::borrow::Cow;

use crate::Sink;
use crate::sink_calls::calls_as_values;

/// A value that goes to a database or has come from one; each variant is the call of [`Sink`] of that name.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    /// SQL's NULL.
    Null,
    /// True or false.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// A binary floating-point number.
    Real(f64),
    /// A decimal number, in digits.
    Decimal(Cow<'a, str>),
    /// Text.
    Text(Cow<'a, str>),
    /// A JSON document, as text.
    Json(Cow<'a, str>),
    /// Bytes without a meaning.
    Bytes(Cow<'a, [u8]>),
    /// A day of the proleptic Gregorian calendar; the year before 1 is 0.
    Date {
        /// Year, 0 is 1 BC.
        year: i32,
        /// 1 to 12.
        month: u8,
        /// 1 to 31.
        day: u8,
    },
    /// A time of day.
    Time {
        /// 0 to 24, which some engines allow.
        hour: u8,
        /// 0 to 59.
        minute: u8,
        /// 0 to 59.
        second: u8,
        /// 0 to 999,999.
        microsecond: u32,
        /// How far its zone is ahead of UTC, where it has one.
        offset_s: Option<i32>,
    },
    /// A moment, in microseconds since 1970-01-01 00:00:00 on its own clock.
    Moment {
        /// Microseconds since 1970 on the clock of its own zone.
        microseconds: i64,
        /// How far that zone is ahead of UTC, where it has one.
        offset_s: Option<i32>,
    },
    /// A stretch of time; its parts are not convertible into each other.
    Interval {
        /// Months.
        months: i32,
        /// Days.
        days: i32,
        /// Microseconds.
        microseconds: i64,
    },
    /// A universally unique identifier.
    Uuid([u8; 16]),
    /// Elements, which may be arrays.
    Array(Vec<Value<'a>>),
    /// After all days and moments, or before them.
    Infinite {
        /// After rather than before.
        positive: bool,
    },
}

impl Value<'_> {
    /// Makes the call, or for an array the calls, that say this value.
    pub fn write_into(&self, sink: &mut dyn Sink) {
        match self {
            Value::Null => sink.null(),
            Value::Boolean(value) => sink.boolean(*value),
            Value::Integer(value) => sink.integer(*value),
            Value::Real(value) => sink.real(*value),
            Value::Decimal(digits) => sink.decimal(digits),
            Value::Text(text) => sink.text(text),
            Value::Json(text) => sink.json(text),
            Value::Bytes(bytes) => sink.bytes(bytes),
            Value::Date { year, month, day } => sink.date(*year, *month, *day),
            Value::Time { hour, minute, second, microsecond, offset_s } => {
                sink.time(*hour, *minute, *second, *microsecond, *offset_s);
            }
            Value::Moment { microseconds, offset_s } => sink.moment(*microseconds, *offset_s),
            Value::Interval { months, days, microseconds } => sink.interval(*months, *days, *microseconds),
            Value::Uuid(bytes) => sink.uuid(*bytes),
            Value::Array(elements) => {
                sink.array(elements.len());
                for element in elements {
                    element.write_into(sink);
                }
            }
            Value::Infinite { positive } => sink.infinite(*positive),
        }
    }
}

impl Value<'_> {
    /// The same value, which borrows nothing.
    pub fn into_owned(self) -> Value<'static> {
        let owned = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        match self {
            Value::Decimal(digits) => Value::Decimal(owned(digits)),
            Value::Text(text) => Value::Text(owned(text)),
            Value::Json(text) => Value::Json(owned(text)),
            Value::Bytes(bytes) => Value::Bytes(Cow::Owned(bytes.into_owned())),
            Value::Array(elements) => Value::Array(elements.into_iter().map(Value::into_owned).collect()),
            Value::Null => Value::Null,
            Value::Boolean(value) => Value::Boolean(value),
            Value::Integer(value) => Value::Integer(value),
            Value::Real(value) => Value::Real(value),
            Value::Date { year, month, day } => Value::Date { year, month, day },
            Value::Time { hour, minute, second, microsecond, offset_s } => {
                Value::Time { hour, minute, second, microsecond, offset_s }
            }
            Value::Moment { microseconds, offset_s } => Value::Moment { microseconds, offset_s },
            Value::Interval { months, days, microseconds } => Value::Interval { months, days, microseconds },
            Value::Uuid(bytes) => Value::Uuid(bytes),
            Value::Infinite { positive } => Value::Infinite { positive },
        }
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Value::Text(Cow::Borrowed(text))
    }
}

impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Value::Bytes(Cow::Borrowed(bytes))
    }
}

impl From<i64> for Value<'_> {
    fn from(value: i64) -> Self {
        Value::Integer(value)
    }
}

impl From<f64> for Value<'_> {
    fn from(value: f64) -> Self {
        Value::Real(value)
    }
}

impl From<bool> for Value<'_> {
    fn from(value: bool) -> Self {
        Value::Boolean(value)
    }
}

/// A sink that keeps what it is told, as values.
///
/// ```
/// use naja_sql::{Sink, Value, Values};
/// let mut values = Values::default();
/// values.array(2);
/// values.integer(1);
/// values.null();
/// values.text("after");
/// assert_eq!(values.take(), [Value::Array(vec![Value::Integer(1), Value::Null]), Value::from("after")]);
/// ```
#[derive(Debug, Default)]
pub struct Values {
    whole: Vec<Value<'static>>,
    /// Arrays whose elements are still coming, the outermost first, each with how many it will have.
    open: Vec<(usize, Vec<Value<'static>>)>,
}

impl Values {
    /// What has come so far; an array that is not complete is not among it.
    pub fn take(&mut self) -> Vec<Value<'static>> {
        self.open.clear();
        std::mem::take(&mut self.whole)
    }

    /// Whether an array still lacks elements.
    pub fn is_open(&self) -> bool {
        !self.open.is_empty()
    }

    fn take_value(&mut self, value: Value<'_>) {
        self.put(value.into_owned());
    }

    fn begin_array(&mut self, length: usize) {
        self.open.push((length, Vec::new()));
    }

    /// Takes one value.
    pub fn put(&mut self, value: Value<'static>) {
        let mut value = value;
        while let Some((length, mut elements)) = self.open.pop() {
            elements.push(value);
            if elements.len() < length {
                self.open.push((length, elements));
                return;
            }
            value = Value::Array(elements);
        }
        self.whole.push(value);
    }
}

impl Sink for Values {
    calls_as_values!();
}
