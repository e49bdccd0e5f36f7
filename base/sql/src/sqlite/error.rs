//! What SQLite refuses, and why.

use std::fmt;

/// What was done, or why not.
pub type Result<T> = std::result::Result<T, Error>;

/// An error that SQLite reported, in its own words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// The extended result code, as 2067 for a unique constraint; its low byte is the plain one.
    pub code: i32,
    /// SQLite's words, as `UNIQUE constraint failed: people.id`.
    pub message: String,
}

/// What kind of trouble an error is, as Python's database interface (PEP 249) divides them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Category {
    /// A constraint, or a value of a type that its column cannot have.
    Integrity,
    /// The database cannot do it now or at all: locked, read-only, full, no such table, bad SQL.
    Operational,
    /// A value that is too big.
    Data,
    /// The interface was used wrongly.
    Programming,
    /// SQLite itself is at fault.
    Internal,
    /// There is no memory left.
    Memory,
    /// The file is damaged or no database.
    Database,
}

impl Error {
    /// An error that is noticed before SQLite is asked.
    pub(super) fn new(code: i32, message: impl Into<String>) -> Error {
        Error { code, message: message.into() }
    }

    /// The plain result code, as 19 for any constraint.
    pub fn primary(&self) -> i32 {
        self.code & 0xff
    }

    /// Whether another connection has the file locked, so that the same may succeed later.
    pub fn is_locked(&self) -> bool {
        matches!(self.primary(), super::library::BUSY | super::library::LOCKED)
    }

    /// What kind of trouble it is.
    pub fn category(&self) -> Category {
        // The numbers are SQLite's result codes, which never change.
        match self.primary() {
            19 | 20 => Category::Integrity,
            18 => Category::Data,
            21 | 25 => Category::Programming,
            2 | 12 => Category::Internal,
            7 => Category::Memory,
            11 | 26 => Category::Database,
            _ => Category::Operational,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::{Category, Error};

    #[test]
    fn an_extended_code_is_judged_by_its_plain_one() {
        let unique = Error::new(2067, "UNIQUE constraint failed: a.b");
        assert_eq!((unique.primary(), unique.category()), (19, Category::Integrity));
        assert!(Error::new(517, "database is locked").is_locked());
    }
}
