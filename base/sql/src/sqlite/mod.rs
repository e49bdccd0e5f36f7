//! SQLite, by the copy of the library that is already in the process.
