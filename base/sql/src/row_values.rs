//! The values of one row on its way to a server: which comes next, arrays that are not whole yet, and what was wrong.
//!
//! The calls of a sink cannot fail: what cannot be sent is remembered and told at the end of the row, of which nothing is
//! sent then.

use crate::error::Error;
use crate::{Sink as _, Value, Values};

/// What is known of the values so far.
pub(crate) struct RowValues {
    wanted: usize,
    count: usize,
    arrays: Values,
    wrong: Option<(usize, String)>,
}

/// Why a row cannot be sent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum RowError {
    /// One value, and why.
    Value(usize, String),
    /// How many there were.
    Count(usize),
}

impl RowError {
    /// Of this row, where so many values are wanted, each for a column that may have a name.
    pub(crate) fn of_row<R>(
        self,
        row: u64,
        wanted: usize,
        column: impl FnOnce(usize) -> Option<String>,
    ) -> Error<R> {
        match self {
            RowError::Value(index, what) => Error::Parameter { row, index, column: column(index), what },
            RowError::Count(given) => Error::ParameterCount { row, given, wanted },
        }
    }
}

impl RowValues {
    pub(crate) fn new(wanted: usize) -> RowValues {
        RowValues { wanted, count: 0, arrays: Values::default(), wrong: None }
    }

    /// Adds an element to the array that is open; gives the array when it is whole with it.
    pub(crate) fn add_to_array(&mut self, element: Value<'_>) -> Option<Value<'static>> {
        self.arrays.put(element.into_owned());
        if self.arrays.is_open() { None } else { self.arrays.take().pop() }
    }

    /// An array begins whose elements come as values.
    pub(crate) fn begin_array(&mut self, length: usize) {
        self.arrays.array(length);
    }

    /// Whether an array lacks elements.
    pub(crate) fn is_in_array(&self) -> bool {
        self.arrays.is_open()
    }

    /// The place of the next whole value; none where no more are wanted, or nothing is sent any more.
    pub(crate) fn next(&mut self) -> Option<usize> {
        let index = self.count;
        self.count += 1;
        (index < self.wanted && self.wrong.is_none()).then_some(index)
    }

    /// The value at this place cannot be sent.
    pub(crate) fn refuse(&mut self, index: usize, what: String) {
        self.wrong = Some((index, what));
    }

    /// Ends the row; what was wrong with it.
    pub(crate) fn end(self) -> Result<(), RowError> {
        if let Some((index, what)) = self.wrong {
            return Err(RowError::Value(index, what));
        }
        if self.arrays.is_open() {
            return Err(RowError::Value(self.count, "its array lacks elements".to_owned()));
        }
        if self.count == self.wanted { Ok(()) } else { Err(RowError::Count(self.count)) }
    }
}
