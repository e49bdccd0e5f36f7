//! Time zones as the IANA database has them: files in the TZif format, and the POSIX rules that they end with.
//!
//! A zone here answers one question both ways: which offset holds at an instant, and which at a wall clock. Instants
//! and wall clocks are seconds since 1970-01-01T00:00. Start at [`Zone`]; `tzif.rs` reads files, `posix.rs` the rules.
//!
//! jiff has all of this, too, but hides what the original shows and its tests read: the transitions of the file, which
//! type each leads to, offsets of more than a day in broken files, and the pickled form made of them.

mod daylight;
mod error;
mod posix;
mod table;
mod tzif;

pub use error::ZoneError;
pub use posix::{DayRule, PosixRule, PosixZone, Years};
pub use table::{Info, Zone};
pub use tzif::{MAGIC, TimeType, TzifData};
