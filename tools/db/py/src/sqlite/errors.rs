//! Which class of Python's an error of SQLite is.

use naja_sql::sqlite::{Category, Error};

/// The name of the class, among those of PEP 249 and SQLAlchemy.
pub(crate) fn class_of(error: &Error) -> &'static str {
    match error.category() {
        Category::Integrity => "IntegrityError",
        Category::Operational => "OperationalError",
        Category::Data => "DataError",
        Category::Programming => "ProgrammingError",
        Category::Internal => "InternalError",
        Category::Memory | Category::Database => "DatabaseError",
    }
}
