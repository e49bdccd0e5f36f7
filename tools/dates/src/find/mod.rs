//! Finds the dates in a text: where they stand, what they mean, and how sure that is.
//!
//! One pass over the text: it is cut into tokens ([`token`]), and from each token that can begin a date the rules of
//! [`rules`] look a bounded number of tokens ahead, so any text takes time proportional to its length. [`find`] reads
//! a text in memory, [`Search`] one that comes in pieces; both give the same. [`older`] is another engine, kept for
//! those who rely on what it does.

mod clock;
mod day;
mod moment;
mod names;
pub mod older;
mod rules;
mod scan;
mod token;

pub use moment::Moment;
pub use names::Unit;

use scan::Scan;
use token::Token;

/// What ambiguous numbers begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum First {
    /// `02/05/2020` is 5 February.
    #[default]
    Month,
    /// `02/05/2020` is 2 May.
    Day,
    /// `02/05/20` is 20 May 2002.
    Year,
}

/// How to search.
#[derive(Debug, Clone)]
pub struct Options {
    /// The moment that `tomorrow` and `3 days ago` are counted from, and that gives a date its missing year.
    pub reference: Moment,
    /// How ambiguous numbers are read.
    pub first: First,
    /// Only days whose year, month and day are written in the text.
    pub strict: bool,
    /// The last two-digit year that is of this century: with 68, `68` is 2068 and `69` is 1969.
    pub pivot: u8,
    /// Whether `in May` is reported, as the first of that month.
    pub month_only: bool,
    /// Whether `20140722` is a date even without a time behind it.
    pub compact: bool,
    /// Whether a date may go on in the next line.
    pub multiline: bool,
    /// The languages whose names of months and weekdays are read; see [`Options::in_languages`].
    pub languages: LanguageSet,
}

/// Languages whose names are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LanguageSet(names::Languages);

impl Options {
    /// Everything that the detector knows, on that day.
    pub fn new(reference: Moment) -> Self {
        Self {
            reference,
            first: First::default(),
            strict: false,
            pivot: 68,
            month_only: true,
            compact: false,
            multiline: true,
            languages: LanguageSet(names::ALL),
        }
    }

    /// Reads names of these languages only (`en`, `fr`, or `fr-CA`); codes of other languages are passed over, and
    /// with no known one names of all languages are read.
    #[must_use]
    pub fn in_languages<'a>(mut self, codes: impl IntoIterator<Item = &'a str>) -> Self {
        let chosen = codes.into_iter().filter_map(|code| {
            let language = code.split(['-', '_']).next().unwrap_or(code);
            names::CODES.iter().find(|(known, _)| known.eq_ignore_ascii_case(language)).map(|(_, bit)| *bit)
        });
        let chosen = chosen.fold(0, |all, one| all | one);
        self.languages = LanguageSet(if chosen == 0 { names::ALL } else { chosen });
        self
    }
}

/// The smallest part of a date that the text gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grain {
    /// A year.
    Year,
    /// A month.
    Month,
    /// A week.
    Week,
    /// A day.
    Day,
    /// An hour.
    Hour,
    /// A minute.
    Minute,
    /// A second.
    Second,
}

impl Grain {
    /// `day`, and so on.
    pub fn name(self) -> &'static str {
        match self {
            Self::Year => "year",
            Self::Month => "month",
            Self::Week => "week",
            Self::Day => "day",
            Self::Hour => "hour",
            Self::Minute => "minute",
            Self::Second => "second",
        }
    }
}

/// What was found means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value {
    /// A day, with its time where the text has one, else midnight.
    Absolute {
        /// The day and time.
        at: Moment,
        /// Seconds east of Greenwich, where the text says a zone.
        offset: Option<i32>,
    },
    /// A day or time that depends on the reference.
    Relative {
        /// The day and time.
        at: Moment,
        /// Seconds east of Greenwich, where the text says a zone.
        offset: Option<i32>,
        /// Seconds from the reference to it.
        delta_seconds: i64,
    },
    /// An amount of time: `3 hours`.
    Duration {
        /// How many units.
        amount: u32,
        /// Of which unit.
        unit: Unit,
        /// The seconds that this is; a month counts 30 days and a year 365.
        seconds: i64,
    },
    /// Several days in a row: `June 21-23, 2019`.
    Interval {
        /// Midnight of the first day.
        start: Moment,
        /// Midnight behind the last day.
        end: Moment,
    },
}

impl Value {
    /// `absolute`, `relative`, `duration` or `interval`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Absolute { .. } => "absolute",
            Self::Relative { .. } => "relative",
            Self::Duration { .. } => "duration",
            Self::Interval { .. } => "interval",
        }
    }
}

/// Why a value is less sure than its text looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Warning {
    /// The year is that of the reference.
    InferredYear,
    /// The day is the first of the month.
    InferredDay,
    /// Only a month was written.
    MonthOnly,
    /// Only a year was written.
    YearOnly,
    /// Day and month could be the other way round; `alternate` says so.
    AmbiguousOrder,
}

impl Warning {
    /// `inferred_year`, and so on.
    pub fn name(self) -> &'static str {
        match self {
            Self::InferredYear => "inferred_year",
            Self::InferredDay => "inferred_day",
            Self::MonthOnly => "month_only_inference",
            Self::YearOnly => "year_only_inference",
            Self::AmbiguousOrder => "ambiguous_order",
        }
    }
}

/// A date in a text.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// Where it starts, in bytes of UTF-8.
    pub start: usize,
    /// Where it ends, in bytes of UTF-8.
    pub end: usize,
    /// Where it starts, in code points.
    pub start_char: usize,
    /// Where it ends, in code points.
    pub end_char: usize,
    /// What it means.
    pub value: Value,
    /// The other thing that it may mean.
    pub alternate: Option<Value>,
    /// How exact it is.
    pub grain: Grain,
    /// The language of the names in it (`en`), or `und` where there are none.
    pub language: &'static str,
    /// From 0 to 1: how often such a text is this date.
    pub confidence: f64,
    /// Why it is not surer.
    pub warnings: Vec<Warning>,
}

/// All dates of a text, in order.
///
/// Cost: O(length); memory for the result and for some ten thousand tokens.
pub fn find(text: &str, options: &Options) -> Vec<Found> {
    let mut found = Vec::new();
    let mut place = Place::default();
    let mut tokens = Vec::new();
    while place.resume < text.len() || place.from < text.len() {
        let limit = text.floor_char_boundary(place.from.saturating_add(WINDOW));
        let done = limit == text.len();
        let first_new = found.len();
        place.search(&text[place.from..limit], done, options, &mut tokens, &mut found);
        place.count_characters(text, 0, &mut found[first_new..]);
        if done {
            break;
        }
    }
    found
}

/// Finds dates in a text that comes in pieces, however large the whole is.
///
/// Offsets are those of the whole text. What is kept in memory is bounded.
pub struct Search {
    options: Options,
    buffer: String,
    /// Offset of the buffer in the whole text.
    base: usize,
    place: Place,
    tokens: Vec<Token>,
}

impl Search {
    /// A search that has not read anything.
    pub fn new(options: Options) -> Self {
        Self { options, buffer: String::new(), base: 0, place: Place::default(), tokens: Vec::new() }
    }

    /// Reads the next piece; `each` gets every date that is certain by now, and its text.
    pub fn feed(&mut self, piece: &str, each: &mut dyn FnMut(&Found, &str)) {
        self.buffer.push_str(piece);
        while self.buffer.len() - (self.place.from - self.base) >= WINDOW {
            self.search(false, each);
        }
    }

    /// Reads what is left.
    pub fn finish(mut self, each: &mut dyn FnMut(&Found, &str)) {
        loop {
            let whole = self.buffer.len() - (self.place.from - self.base) <= WINDOW;
            self.search(whole, each);
            if whole {
                break;
            }
        }
    }

    fn search(&mut self, done: bool, each: &mut dyn FnMut(&Found, &str)) {
        let start = self.place.from - self.base;
        let limit = if done { self.buffer.len() } else { self.buffer.floor_char_boundary(start + WINDOW) };
        let mut found = Vec::new();
        let window = &self.buffer[start..limit];
        self.place.search(window, done, &self.options, &mut self.tokens, &mut found);
        self.place.count_characters(&self.buffer, self.base, &mut found);
        for one in &found {
            each(one, &self.buffer[one.start - self.base..one.end - self.base]);
        }
        // What is counted and behind us is dropped, once that is worth moving the rest.
        let behind = self.place.from.min(self.place.counted.0) - self.base;
        if behind >= WINDOW {
            self.buffer.drain(..behind);
            self.base += behind;
        }
    }
}

/// Bytes that are looked at together.
const WINDOW: usize = 1 << 16;
/// Tokens that the rules look ahead at most.
const AHEAD: usize = 96;
/// Tokens that the rules look back at most.
const BACK: usize = 12;

// Progress: a window holds more tokens than are held back, even if all of them are as long as can be.
const _: () = assert!(WINDOW / token::LONGEST_RUN > AHEAD + BACK);

/// How far a search is, in bytes of the whole text.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    /// The first token that is still looked at, as what stands before a date.
    from: usize,
    /// The first place where a date may start.
    resume: usize,
    /// Where the last date ended.
    last_end: usize,
    /// A place, and how many characters are before it.
    counted: (usize, usize),
}

impl Place {
    /// Searches a window that starts at `from`, and moves on behind what was searched.
    fn search(
        &mut self,
        window: &str,
        done: bool,
        options: &Options,
        tokens: &mut Vec<Token>,
        found: &mut Vec<Found>,
    ) {
        tokens.clear();
        token::cut(window, options.multiline, tokens);
        let scan = Scan { text: window, tokens, options, reference: options.reference };
        let usable = if done { tokens.len() } else { tokens.len().saturating_sub(AHEAD) };
        let mut at = tokens.partition_point(|token| token.start + self.from < self.resume);
        while at < usable {
            let after_date = at >= 2 && tokens[at - 2].end + self.from == self.last_end;
            match scan.date(at, after_date) {
                Some((mut date, end)) => {
                    date.start += self.from;
                    date.end += self.from;
                    self.last_end = date.end;
                    found.push(date);
                    at = end;
                }
                None => at += 1,
            }
        }
        let end_of = |at: usize| tokens.get(at).map_or(window.len(), |token| token.start) + self.from;
        self.resume = end_of(at);
        self.from = end_of(at.saturating_sub(BACK));
    }

    /// Gives dates their places in code points; `text` starts at byte `base` of the whole.
    fn count_characters(&mut self, text: &str, base: usize, found: &mut [Found]) {
        let (mut bytes, mut characters) = self.counted;
        let mut count_to = |place: usize| {
            characters += text[bytes - base..place - base].chars().count();
            bytes = place;
            characters
        };
        for one in found {
            one.start_char = count_to(one.start);
            one.end_char = count_to(one.end);
        }
        count_to(self.from.max(self.counted.0).max(self.last_end));
        self.counted = (bytes, characters);
    }
}

/// What must hold for any input: for fuzzing, and for its corpus as a test.
///
/// A text in pieces gives what it gives in one; places are those of the text; the older engine ends.
#[doc(hidden)]
pub fn hostile(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let options = Options::new(Moment::on(2026, 3, 19).expect("it is a day"));
    let whole = find(&text, &options);
    let mut in_pieces = Vec::new();
    let mut search = Search::new(options);
    let mut rest = &*text;
    while !rest.is_empty() {
        let (piece, behind) = rest.split_at(rest.ceil_char_boundary(1 + rest.len() / 3));
        search.feed(piece, &mut |found, _| in_pieces.push(found.clone()));
        rest = behind;
    }
    search.finish(&mut |found, _| in_pieces.push(found.clone()));
    assert_eq!(whole, in_pieces, "pieces change nothing");
    let mut last = 0;
    for found in &whole {
        assert!(last <= found.start && found.start < found.end && text.get(found.start..found.end).is_some());
        assert_eq!(text[..found.start].chars().count(), found.start_char);
        last = found.end;
    }
    for candidate in older::candidates(&text, false) {
        let zones: Vec<&str> =
            candidate.of(older::Group::Timezones).map(|zone| &text[zone.start..zone.end]).collect();
        older::sweep(&candidate.cleaned(&text), &zones);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_token_is_looked_at_a_bounded_number_of_times() {
        let parts = [
            "1",
            "12",
            " ",
            "-",
            "/",
            ":",
            ".",
            ",",
            "1/",
            "1-",
            "10:10 ",
            "12:00 est ",
            "1 May ",
            "May ",
            "may, ",
            "of ",
            "on ",
            "to ",
            "in ",
            "the ",
            "3 days ago ",
            "Monday ",
            "2014-03-02T10:11:12Z",
            "a.m. ",
            "5pm ",
            "\n",
            "é",
            "(",
            "next ",
            "and ",
            "last ",
            "week ",
            "2014 ",
            "1st ",
            "+02:00",
        ];
        let options = Options::new(Moment::on(2026, 3, 19).expect("it is a day"));
        let mut most = 0;
        for (one, other) in parts.iter().flat_map(|one| parts.iter().map(move |other| (one, other))) {
            let part = format!("{one}{other}");
            let looks = |size: usize| {
                scan::looks::taken();
                find(&part.repeat(size / part.len()), &options);
                scan::looks::taken()
            };
            let (half, whole) = (looks(3000), looks(6000));
            // At the end of a text some dates are tried that in its middle are not.
            assert!(whole <= 2 * half + 4000, "{part:?}: {half} in a half, {whole} in the whole");
            most = most.max(whole);
        }
        assert!(most <= 6000 * MOST_LOOKS, "{most} for 6,000 bytes");
    }

    /// Looks for each byte of the text; the texts of this test need 21 at most.
    const MOST_LOOKS: usize = 24;
}
