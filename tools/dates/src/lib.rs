//! Dates: understands what people write for a date, computes with it, and repeats it by rules.
//!
//! Plain data in, plain data out: no Python, and no printing except in [`command`]. Years run from 1 to 9999 and the
//! calendar is the Gregorian one throughout, as in Python's `datetime`. Start at [`parser::parse`].

pub mod calendar;
pub mod command;
pub mod easter;
mod error;
pub mod find;
pub mod hostile;
pub mod iso;
pub mod parser;
pub mod place;
pub mod relative;
pub mod rrule;
pub mod zone;

pub use error::{Error, IsoNumber};
