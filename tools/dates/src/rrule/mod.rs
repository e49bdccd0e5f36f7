//! Recurrence rules: which moments a rule such as "the last Friday of each month" names.
//!
//! A moment here is a wall-clock reading without a time zone, counted in whole seconds (see [`Moment`]); a zone is
//! the caller's business and never changes what a rule names. Start at [`Rule`], which is what a rule says, and
//! [`Walker`], which goes along it. `days.rs` holds which days of one year a rule allows.

mod calendar;
mod days;
mod error;
mod rule;
mod text;
mod walk;

pub use calendar::{Civil, LAST_YEAR, Moment, SECONDS_PER_DAY, civil, days_in_month, moment};
pub use error::{RuleError, TextError};
pub use rule::{Frequency, Parts, Rule, WeekdayPart};
pub use text::{Property, RuleText, parse_rule, properties, weekday_name};
pub use walk::{Progress, Walker};
