//! Where the columns of a row go.

/// Takes the columns of a row one after the other, each by the call that fits what the database said it is.
///
/// A driver calls exactly one of these for each column, in order. Texts and bytes live until the call returns: whoever
/// keeps them makes its own object of them. Parameters of a statement and rows of a bulk load go the other way through
/// the same calls, so that what one engine reads another can write.
pub trait Sink {
    /// SQL's NULL.
    fn null(&mut self);
    /// True or false, of an engine that has such a type.
    fn boolean(&mut self, value: bool);
    /// A whole number.
    fn integer(&mut self, value: i64);
    /// A whole number of an engine that has some beyond what `integer` takes; digits where the one who asks has no word
    /// for them.
    fn unsigned(&mut self, value: u64) {
        match i64::try_from(value) {
            Ok(value) => self.integer(value),
            Err(_) => self.decimal(&value.to_string()),
        }
    }
    /// A binary floating-point number.
    fn real(&mut self, value: f64);
    /// A decimal number, in digits as `-12.50`; `NaN`, `Infinity` and `-Infinity` as well.
    fn decimal(&mut self, digits: &str);
    /// Text. It may hold NUL characters where the engine allows them.
    fn text(&mut self, text: &str);
    /// A JSON document, as text.
    fn json(&mut self, text: &str);
    /// Bytes without a meaning.
    fn bytes(&mut self, bytes: &[u8]);
    /// A day of the proleptic Gregorian calendar.
    fn date(&mut self, year: i32, month: u8, day: u8);
    /// A time of day; `offset_s` is how far its zone is ahead of UTC, where it has one.
    fn time(&mut self, hour: u8, minute: u8, second: u8, microsecond: u32, offset_s: Option<i32>);
    /// A moment, in microseconds since 1970-01-01 00:00:00 on its own clock; `offset_s` as for [`Sink::time`].
    fn moment(&mut self, microseconds: i64, offset_s: Option<i32>);
    /// A stretch of time, as the engines count it: months, days and microseconds are not convertible.
    fn interval(&mut self, months: i32, days: i32, microseconds: i64);
    /// A universally unique identifier.
    fn uuid(&mut self, bytes: [u8; 16]);
    /// The beginning of an array with that many elements, which follow and may be arrays themselves.
    fn array(&mut self, length: usize);
    /// The day or moment after all others, or before them, of an engine that has such values; text where the one who
    /// asks has no word for it.
    fn infinite(&mut self, positive: bool) {
        self.text(if positive { "infinity" } else { "-infinity" });
    }
}
