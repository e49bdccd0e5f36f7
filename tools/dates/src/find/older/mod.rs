//! The engine that datefinder had before 1.0, for those who rely on what it finds.
//!
//! It cuts a text into everything that can be a part of a date ([`tokens`]), joins parts that touch each other into
//! candidates, and leaves it to the date parser whether a candidate is a date. So it finds too much, and this module
//! keeps it so: what it does is decided by what the original does. Start at [`candidates`].

mod sweep;
mod tokens;
mod zones;

pub use sweep::{REPLACEMENTS, sweep, zone_name};
pub use tokens::{Capture, Group};
pub use zones::{REGIONS, ZONES};

/// A stretch of text that may be a date.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Where it starts, in bytes.
    pub start: usize,
    /// Where it ends, in bytes.
    pub end: usize,
    /// The parts that it is made of, in order; a part can be in two groups.
    pub captures: Vec<Capture>,
}

impl Candidate {
    /// The captures of one group.
    pub fn of(&self, group: Group) -> impl Iterator<Item = &Capture> {
        self.captures.iter().filter(move |capture| capture.group == group)
    }

    /// Whether year, month and day are there, by the numbers of the parts.
    fn is_complete(&self) -> bool {
        let count = |group| self.of(group).count();
        let (years, months, digits) = (count(Group::Years), count(Group::Months), count(Group::Digits));
        digits == 3
            || (months == 1 && digits == 2)
            || (years == 1 && digits == 2)
            || (years == 1 && months == 1 && digits == 1)
    }

    /// The text of the candidate, with white space made single spaces, and without signs at its ends.
    pub fn cleaned(&self, text: &str) -> String {
        let mut cleaned = String::with_capacity(self.end - self.start);
        for word in text[self.start..self.end].split(|letter: char| tokens::is_space(letter)) {
            // A space for each run of white space, at the start and the end too.
            if !word.is_empty() {
                cleaned.push_str(word);
                cleaned.push(' ');
            }
        }
        let at_end = text[self.start..self.end].chars().next_back().is_some_and(tokens::is_space);
        if !at_end {
            cleaned.pop();
        }
        cleaned.trim_matches(is_stripped).to_owned()
    }
}

/// Signs that a candidate loses at its ends.
pub const STRIPPED: &str = " \n\t:-.,_";

fn is_stripped(letter: char) -> bool {
    STRIPPED.contains(letter)
}

/// Parts that a candidate has at least.
const FEWEST: usize = 3;

/// Everything that may be a date, in order. `strict` leaves out what does not have a day, a month and a year.
///
/// Cost: O(length)
pub fn candidates(text: &str, strict: bool) -> Vec<Candidate> {
    let mut found = Vec::new();
    let parts = split_ranges(text);
    if parts.len() > 1 {
        for (start, end) in parts {
            join(text, start, end, &mut found);
        }
    } else {
        join(text, 0, text.len(), &mut found);
    }
    if strict {
        found.retain(Candidate::is_complete);
    }
    found
}

/// Joins tokens that touch each other.
fn join(text: &str, start: usize, end: usize, found: &mut Vec<Candidate>) {
    let part = &text[..end];
    let mut open = Candidate { start, end: start, captures: Vec::new() };
    let mut at = start;
    while at < end {
        let before = open.captures.len();
        match tokens::token(part, at, &mut open.captures) {
            Some(behind) => {
                if before == 0 {
                    open.start = at;
                }
                open.end = behind;
                at = behind;
            }
            None => {
                close(&mut open, found);
                at += part[at..].chars().next().map_or(1, char::len_utf8);
            }
        }
    }
    close(&mut open, found);
}

fn close(open: &mut Candidate, found: &mut Vec<Candidate>) {
    if open.captures.len() >= FEWEST {
        let closed = std::mem::replace(open, Candidate { start: 0, end: 0, captures: Vec::new() });
        found.push(closed);
    }
    open.captures.clear();
}

/// The texts between ` to `, ` through ` and ` - `, which make ranges.
fn split_ranges(text: &str) -> Vec<(usize, usize)> {
    let mut parts = Vec::new();
    let mut start = 0;
    let mut at = 0;
    while let Some(letter) = text[at..].chars().next() {
        let behind = at + letter.len_utf8();
        match range_word(text, behind).filter(|_| !is_in_word(letter)) {
            Some(end) => {
                if at > start {
                    parts.push((start, at));
                }
                (start, at) = (end, end);
            }
            None => at = behind,
        }
    }
    if start < text.len() {
        parts.push((start, text.len()));
    }
    parts
}

/// Behind `to`, `through` or `-` and the sign that must follow.
fn range_word(text: &str, at: usize) -> Option<usize> {
    let rest = text.as_bytes().get(at..)?;
    let word = match rest.first()? {
        b't' | b'T' => ["to", "through"]
            .iter()
            .find(|word| {
                rest.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word.as_bytes()))
            })?
            .len(),
        b'-' => 1,
        _ => return None,
    };
    let sign = text[at + word..].chars().next().filter(|sign| !is_in_word(*sign))?;
    Some(at + word + sign.len_utf8())
}

/// What the original's regular expressions take for a part of a word; fractions such as `½` are none.
fn is_in_word(letter: char) -> bool {
    letter == '_'
        || letter.is_alphabetic()
        || tokens::is_decimal(letter)
        || matches!(letter, '\u{300}'..='\u{36f}')
}
