//! Understands a date and a time as people write them.
//!
//! The text is cut into [`tokens`], each token is looked up in a [`Vocabulary`], and one pass over the tokens, number
//! by number, decides what each can be; which of three numbers is the year is decided last ([`ymd`]). The rules are
//! python-dateutil's, quirks included: what that parser accepts and refuses is what its users rely on.
//! Start at [`parse`].

mod format;
mod grammar;
mod layout;
mod stencil;
mod tokens;
mod vocabulary;
mod ymd;

pub use format::{FormatError, format_of, shown_part};
pub use layout::Layout;
pub use stencil::Whole;
pub use tokens::Tokens;
pub use vocabulary::{Class, English, Interrupted, Meaning, Vocabulary, full_year};

use crate::Error;

/// How an ambiguous text is to be read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// 01/05/09 begins with the day, not with the month.
    pub day_first: bool,
    /// 01/05/09 begins with the year.
    pub year_first: bool,
    /// Words that are no part of a date are passed over.
    pub fuzzy: bool,
}

/// What a text says; a part that it does not say is `None`.
///
/// The numbers are as written: a month of 13 or an hour of 99 is for whoever makes the date to refuse. A number that
/// does not fit is `i64::MAX`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Parsed {
    /// Year, with its century.
    pub year: Option<i64>,
    /// Month, 1 to 12.
    pub month: Option<i64>,
    /// Day of the month.
    pub day: Option<i64>,
    /// Day of the week, 0 for Monday.
    pub weekday: Option<i64>,
    /// Hour, after "am" and "pm" were applied.
    pub hour: Option<i64>,
    /// Minute.
    pub minute: Option<i64>,
    /// Second.
    pub second: Option<i64>,
    /// Microsecond.
    pub microsecond: Option<i64>,
    /// The zone's name, as written.
    pub zone_name: Option<Name>,
    /// Seconds east of UTC.
    pub zone_offset: Option<i64>,
    /// Which of the vocabulary's words for a half of the day was there: 0 for "am", 1 for "pm".
    pub half: Option<i64>,
    /// Whether the year was written with its century.
    pub century_specified: bool,
}

impl Parsed {
    /// Whether the text said nothing at all.
    pub fn is_empty(&self) -> bool {
        let numbers = [
            self.year,
            self.month,
            self.day,
            self.weekday,
            self.hour,
            self.minute,
            self.second,
            self.microsecond,
            self.zone_offset,
            self.half,
        ];
        self.zone_name.is_none() && numbers.iter().all(Option::is_none)
    }

    /// Gives the year its century, and UTC its name and its offset.
    ///
    /// Errors: [`Interrupted`] where the vocabulary has failed
    pub fn complete(&mut self, vocabulary: &dyn Vocabulary) -> Result<(), Interrupted> {
        if let Some(year) = self.year {
            self.year = Some(vocabulary.full_year(year, self.century_specified)?);
        }
        self.name_utc(|name| vocabulary.meaning(name).map(|meaning| meaning.utc))
    }

    /// The half of [`Parsed::complete`] that concerns the zone; `is_utc` tells whether a name is one of UTC's.
    pub fn name_utc(
        &mut self,
        is_utc: impl Fn(&str) -> Result<bool, Interrupted>,
    ) -> Result<(), Interrupted> {
        match self.zone_name {
            None if self.zone_offset == Some(0) => self.zone_name = Some(Name::UTC),
            Some(name) if matches!(name.as_str(), "Z" | "z") => {
                self.zone_name = Some(Name::UTC);
                self.zone_offset = Some(0);
            }
            Some(name) if self.zone_offset != Some(0) && is_utc(name.as_str())? => self.zone_offset = Some(0),
            _ => {}
        }
        Ok(())
    }
}

/// The name of a zone: at most five characters.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Name {
    bytes: [u8; 20],
    len: u8,
}

impl Name {
    /// The name `UTC`.
    pub const UTC: Name = {
        let mut bytes = [0; 20];
        bytes[0] = b'U';
        bytes[1] = b'T';
        bytes[2] = b'C';
        Name { bytes, len: 3 }
    };

    /// Takes a text of at most 20 bytes.
    pub fn new(text: &str) -> Option<Name> {
        let mut bytes = [0; 20];
        bytes.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        Some(Name { bytes, len: u8::try_from(text.len()).ok()? })
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..usize::from(self.len)]).expect("it was made from text")
    }
}

impl std::fmt::Debug for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.as_str().fmt(f)
    }
}

/// Reads a date and a time.
///
/// `tokens` is memory that the next call uses again; afterwards it knows the pieces that were passed over. The year
/// has no century and UTC no offset yet: [`Parsed::complete`].
///
/// Errors: [`Error::UnknownFormat`]; [`Error::Interrupted`] where the vocabulary has failed
/// Cost:   O(n) time; 20 bytes for each token
///
/// ```
/// use naja_dates::parser::{parse, English, Options, Tokens};
///
/// let vocabulary = English { year: 2026 };
/// let parsed = parse("Sep 25, 2003 10:36am", Options::default(), &vocabulary, &mut Tokens::default())?;
/// assert_eq!((parsed.year, parsed.month, parsed.day), (Some(2003), Some(9), Some(25)));
/// assert_eq!((parsed.hour, parsed.minute), (Some(10), Some(36)));
/// assert!(parse("tomorrow", Options::default(), &vocabulary, &mut Tokens::default()).is_err());
/// # Ok::<(), naja_dates::Error>(())
/// ```
pub fn parse(
    text: &str,
    options: Options,
    vocabulary: &dyn Vocabulary,
    tokens: &mut Tokens,
) -> Result<Parsed, Error> {
    tokens.cut(text, vocabulary)?;
    grammar::read(text, options, vocabulary, tokens)
}
