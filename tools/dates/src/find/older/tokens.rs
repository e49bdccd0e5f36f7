//! The parts that a date can be made of, in the order in which they are tried.
//!
//! No part looks at what stands around it: the `on` of `second` is a part. That is what the engine does.

use crate::parser::{Class, English, Vocabulary};

/// A kind of part; named as in the original, whose users read them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// A whole time of day.
    Time,
    /// Four digits of a year.
    Years,
    /// `first` to `tenth`.
    Numbers,
    /// Any digits.
    Digits,
    /// `st`, `nd`, behind digits.
    DigitsSuffixes,
    /// Weekdays, and the day of a stamp.
    Days,
    /// Months, and the month of a stamp.
    Months,
    /// Signs and white space between parts.
    Delimiters,
    /// `next`, `last`.
    PositionnalTokens,
    /// Words that dates can have in them.
    ExtraTokens,
    /// `20140722`, and what ISO 8601 writes.
    UndelimitedStamps,
    /// The hours of a time.
    Hours,
    /// The minutes of a time.
    Minutes,
    /// The seconds of a time.
    Seconds,
    /// The fraction of a time.
    Microseconds,
    /// `am`, `pm`.
    TimePeriods,
    /// Abbreviations of zones behind a time.
    Timezones,
    /// The offset of a stamp.
    Offset,
}

impl Group {
    /// The groups that a part is looked for in, in the original's order.
    pub const ALL: [Self; 17] = [
        Self::Time,
        Self::Years,
        Self::Numbers,
        Self::Digits,
        Self::DigitsSuffixes,
        Self::Days,
        Self::Months,
        Self::Delimiters,
        Self::PositionnalTokens,
        Self::ExtraTokens,
        Self::UndelimitedStamps,
        Self::Hours,
        Self::Minutes,
        Self::Seconds,
        Self::Microseconds,
        Self::TimePeriods,
        Self::Timezones,
    ];

    /// The groups of the parts of a candidate, in the order in which the original lists them.
    pub const CAPTURED: [Self; 18] = [
        Self::UndelimitedStamps,
        Self::Years,
        Self::Months,
        Self::Days,
        Self::Hours,
        Self::Minutes,
        Self::Seconds,
        Self::Microseconds,
        Self::Offset,
        Self::Time,
        Self::TimePeriods,
        Self::Timezones,
        Self::Numbers,
        Self::Digits,
        Self::DigitsSuffixes,
        Self::Delimiters,
        Self::PositionnalTokens,
        Self::ExtraTokens,
    ];

    /// The name that the original's captures have.
    pub fn name(self) -> &'static str {
        match self {
            Self::Time => "time",
            Self::Years => "years",
            Self::Numbers => "numbers",
            Self::Digits => "digits",
            Self::DigitsSuffixes => "digits_suffixes",
            Self::Days => "days",
            Self::Months => "months",
            Self::Delimiters => "delimiters",
            Self::PositionnalTokens => "positionnal_tokens",
            Self::ExtraTokens => "extra_tokens",
            Self::UndelimitedStamps => "undelimited_stamps",
            Self::Hours => "hours",
            Self::Minutes => "minutes",
            Self::Seconds => "seconds",
            Self::Microseconds => "microseconds",
            Self::TimePeriods => "time_periods",
            Self::Timezones => "timezones",
            Self::Offset => "offset",
        }
    }
}

/// A part, by its place in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capture {
    /// What kind of part.
    pub group: Group,
    /// Where it starts, in bytes.
    pub start: usize,
    /// Where it ends, in bytes.
    pub end: usize,
}

/// Words by their group, in the order in which they are tried. One that ends in `.` wants a point or white space
/// behind it, `sep~` any character but an ASCII letter, and takes it.
const WORDS: [(Group, &str); 5] = [
    (Group::Numbers, "first second third fourth fifth sixth seventh eighth ninth nineth tenth"),
    (
        Group::Days,
        "monday tuesday wednesday thursday friday saturday sunday mandag tirsdag onsdag torsdag fredag lørdag \
         søndag mon tue wed thu fri sat sun man tir ons tor fre lør søn",
    ),
    (
        Group::Months,
        "january february march april may june july august september october november december enero febrero \
         marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre januar februar marts maj juni \
         juli oktober jan. ene. feb. mar. apr. abr. jun. jul. aug. ago. sep~ sept. oct. okt. nov. dec. dic.",
    ),
    (Group::PositionnalTokens, "next last"),
    (
        Group::ExtraTokens,
        "due by on during standard daylight savings time date of to through between until at day",
    ),
];

/// The parts of one token at `at`, appended to `captures`, and the place behind it.
pub(super) fn token(text: &str, at: usize, captures: &mut Vec<Capture>) -> Option<usize> {
    let first = text[at..].chars().next()?;
    match first {
        '0'..='9' => stamp(text, at, captures)
            .or_else(|| time(text, at, captures))
            .or_else(|| year(text, at, captures))
            .or_else(|| digits(text, at, captures)),
        '-' | ':' => iso(text, at, captures).or_else(|| delimiters(text, at, captures)),
        'a'..='z' | 'A'..='Z' => word(text, at, captures),
        _ if is_decimal(first) => time(text, at, captures).or_else(|| digits(text, at, captures)),
        _ => delimiters(text, at, captures),
    }
}

fn add(captures: &mut Vec<Capture>, group: Group, start: usize, end: usize) {
    captures.push(Capture { group, start, end });
}

fn digits_at(text: &str, at: usize, most: usize) -> usize {
    text.as_bytes()[at..].iter().take(most).take_while(|byte| byte.is_ascii_digit()).count()
}

/// The place behind at most so many digits of any script, as the original counts digits outside of stamps.
fn decimals_end(text: &str, at: usize, most: usize) -> usize {
    let digits = text[at..].chars().take(most).take_while(|letter| is_decimal(*letter));
    at + digits.map(char::len_utf8).sum::<usize>()
}

/// A digit of any script.
pub(super) fn is_decimal(letter: char) -> bool {
    let english = English { year: 2000 };
    letter.is_ascii_digit() || (!letter.is_ascii() && matches!(english.class(letter), Class::Digit(Some(_))))
}

fn byte(text: &str, at: usize) -> u8 {
    text.as_bytes().get(at).copied().unwrap_or(0)
}

/// `20140722101112`, `20140722`, `201407`, and what ISO 8601 writes.
fn stamp(text: &str, at: usize, captures: &mut Vec<Capture>) -> Option<usize> {
    let bytes = &text.as_bytes()[at..];
    let length = digits_at(text, at, 14);
    let of_our_times = length >= 6
        && matches!(&bytes[..2], b"19" | b"20")
        && matches!(&bytes[4..6], [b'0', b'1'..=b'9'] | [b'1', b'0'..=b'2']);
    let day = length >= 8 && bytes[6] <= b'3';
    let clock = length == 14 && [8, 10, 12].iter().all(|place| bytes[*place] <= b'5');
    let taken = match (of_our_times, day, clock) {
        (true, true, true) => 14,
        (true, true, false) => 8,
        (true, false, _) => 6,
        _ => return iso(text, at, captures),
    };
    add(captures, Group::UndelimitedStamps, at, at + taken);
    Some(at + taken)
}

/// `2014-07-22T10:11:12.5Z`, also with a sign and a number before the year.
fn iso(text: &str, at: usize, captures: &mut Vec<Capture>) -> Option<usize> {
    let mut next = at + usize::from(byte(text, at) == b'-');
    if byte(text, next) == b':' {
        let long = digits_at(text, next + 1, usize::MAX);
        if long < 5 || byte(text, next + 1) == b'0' {
            return None;
        }
        next += 1 + long;
    } else {
        if digits_at(text, next, 5) != 4 {
            return None;
        }
        next += 4;
    }
    let year_end = next;
    let mut parts = [(0, 0); 5];
    for (part, (sign, highest)) in
        parts.iter_mut().zip([(b'-', 12), (b'-', 31), (b'T', 23), (b':', 59), (b':', 59)])
    {
        let value = two_digits(text, next + 1).filter(|value| *value <= highest)?;
        let from_one = sign == b'-' && value == 0;
        if !byte(text, next).eq_ignore_ascii_case(&sign) || from_one {
            return None;
        }
        *part = (next + 1, next + 3);
        next += 3;
    }
    let first = captures.len();
    add(captures, Group::UndelimitedStamps, at, next);
    add(captures, Group::Years, at, year_end);
    let groups = [Group::Months, Group::Days, Group::Hours, Group::Minutes, Group::Seconds];
    for (group, (start, end)) in groups.into_iter().zip(parts) {
        add(captures, group, start, end);
    }
    let points = text.as_bytes()[next..].iter().take_while(|byte| matches!(byte, b'.' | b',')).count();
    let fraction = digits_at(text, next + points, usize::MAX);
    if points > 0 && fraction > 0 {
        add(captures, Group::Microseconds, next + points, next + points + fraction);
        next += points + fraction;
    }
    let offset = match byte(text, next) {
        b'Z' | b'z' => 1,
        b'+' | b'-'
            if two_digits(text, next + 1).is_some_and(|hours| hours <= 23)
                && byte(text, next + 3) == b':'
                && two_digits(text, next + 4).is_some_and(|minutes| minutes <= 59) =>
        {
            6
        }
        _ => 0,
    };
    if offset > 0 {
        add(captures, Group::Offset, next, next + offset);
        next += offset;
    }
    captures[first].end = next;
    Some(next)
}

fn two_digits(text: &str, at: usize) -> Option<u8> {
    let (tens, ones) = (byte(text, at), byte(text, at + 1));
    (tens.is_ascii_digit() && ones.is_ascii_digit()).then(|| (tens - b'0') * 10 + (ones - b'0'))
}

/// `10:11`, `10:11:12.5 pm EST`, `11 am`.
fn time(text: &str, at: usize, captures: &mut Vec<Capture>) -> Option<usize> {
    let hours = decimals_end(text, at, 2);
    let minutes = if byte(text, hours) == b':' { decimals_end(text, hours + 1, 2) - hours - 1 } else { 0 };
    let period = period(text, skip_space(text, hours));
    if minutes == 0 && period.is_none() {
        return None;
    }
    let whole = captures.len();
    add(captures, Group::Time, at, hours);
    add(captures, Group::Hours, at, hours);
    let mut next;
    if minutes > 0 {
        next = hours + 1 + minutes;
        add(captures, Group::Minutes, hours + 1, next);
        for (signs, group, most) in [(":", Group::Seconds, 2), (".,", Group::Microseconds, 6)] {
            let sign = byte(text, next);
            let end =
                if signs.as_bytes().contains(&sign) { decimals_end(text, next + 1, most) } else { next + 1 };
            if end > next + 1 {
                add(captures, group, next + 1, end);
                next = end;
            }
        }
        next = skip_space(text, next);
        if let Some(end) = self::period(text, next) {
            add(captures, Group::TimePeriods, next, end);
            next = skip_space(text, end);
        }
        if let Some(end) = super::zones::zone(text, next) {
            add(captures, Group::Timezones, next, end);
            next = end;
        }
    } else {
        let start = skip_space(text, hours);
        let end = period.expect("there are no minutes, so there is am or pm");
        add(captures, Group::TimePeriods, start, end);
        next = skip_space(text, end);
        while let Some(end) = super::zones::zone(text, next) {
            add(captures, Group::Timezones, next, end);
            next = end;
        }
    }
    captures[whole].end = next;
    Some(next)
}

fn period(text: &str, at: usize) -> Option<usize> {
    ["a.m.", "am", "p.m.", "pm"].iter().find_map(|form| starts_with(text, at, form))
}

/// The place behind `form`, where the text at `at` starts with it in either case.
pub(super) fn starts_with(text: &str, at: usize, form: &str) -> Option<usize> {
    let start = text.as_bytes().get(at..at + form.len())?;
    start.eq_ignore_ascii_case(form.as_bytes()).then_some(at + form.len())
}

/// What the original's regular expressions take for white space.
pub(super) fn is_space(letter: char) -> bool {
    letter.is_whitespace()
}

fn skip_space(text: &str, at: usize) -> usize {
    at + text[at..].len() - text[at..].trim_start_matches(is_space).len()
}

fn year(text: &str, at: usize, captures: &mut Vec<Capture>) -> Option<usize> {
    let of_our_times = ["19", "20"].iter().any(|century| starts_with(text, at, century).is_some());
    if !of_our_times || digits_at(text, at, 4) < 4 {
        return None;
    }
    add(captures, Group::Years, at, at + 4);
    Some(at + 4)
}

fn digits(text: &str, at: usize, captures: &mut Vec<Capture>) -> Option<usize> {
    let end = decimals_end(text, at, usize::MAX);
    add(captures, Group::Digits, at, end);
    match ["st", "th", "rd", "nd"].iter().find_map(|suffix| starts_with(text, end, suffix)) {
        Some(behind) => {
            add(captures, Group::DigitsSuffixes, end, behind);
            Some(behind)
        }
        None => Some(end),
    }
}

fn delimiters(text: &str, at: usize, captures: &mut Vec<Capture>) -> Option<usize> {
    let run = text[at..].len() - text[at..].trim_start_matches(is_delimiter).len();
    if run == 0 {
        return None;
    }
    add(captures, Group::Delimiters, at, at + run);
    Some(at + run)
}

/// Signs that stand between the parts of a date.
pub(super) fn is_delimiter(letter: char) -> bool {
    matches!(letter, '/' | ':' | '-' | ',' | '.' | '_' | '+' | '@') || is_space(letter)
}

fn word(text: &str, at: usize, captures: &mut Vec<Capture>) -> Option<usize> {
    let initial = byte(text, at).to_ascii_lowercase();
    let second = byte(text, at + 1).to_ascii_lowercase();
    for (group, form) in words_with(initial) {
        let other = form.as_bytes()[1];
        // Nearly every word is ruled out by its second letter.
        if (other != second && other.is_ascii()) || (other.is_ascii() != second.is_ascii()) {
            continue;
        }
        if let Some(end) = word_end(text, at, form) {
            add(captures, *group, at, end);
            return Some(end);
        }
    }
    None
}

/// The words that start with a letter, in the order in which they are tried.
fn words_with(initial: u8) -> &'static [(Group, &'static str)] {
    static BY_INITIAL: std::sync::OnceLock<[Vec<(Group, &'static str)>; 26]> = std::sync::OnceLock::new();
    let table = BY_INITIAL.get_or_init(|| {
        let mut table = [const { Vec::new() }; 26];
        for (group, words) in WORDS {
            for word in words.split(' ') {
                table[usize::from(word.as_bytes()[0] - b'a')].push((group, word));
            }
        }
        table
    });
    initial.checked_sub(b'a').and_then(|letter| table.get(usize::from(letter))).map_or(&[], Vec::as_slice)
}

fn word_end(text: &str, at: usize, form: &str) -> Option<usize> {
    let (form, mark) = match form.as_bytes().last() {
        Some(b'.' | b'~') => (&form[..form.len() - 1], form.as_bytes()[form.len() - 1]),
        _ => (form, 0),
    };
    let end = if form.is_ascii() { starts_with(text, at, form)? } else { letters_end(text, at, form)? };
    let behind = || text[end..].chars().next();
    match mark {
        b'.' => behind().filter(|sign| *sign == '.' || is_space(*sign)).map(|sign| end + sign.len_utf8()),
        b'~' => behind().filter(|sign| !sign.is_ascii_alphabetic()).map(|sign| end + sign.len_utf8()),
        _ => Some(end),
    }
}

/// As [`starts_with`], for words with letters beyond ASCII.
fn letters_end(text: &str, at: usize, form: &str) -> Option<usize> {
    let mut end = at;
    let mut letters = text[at..].chars();
    for wanted in form.chars() {
        let letter = letters.next()?;
        if letter != wanted && !letter.to_lowercase().eq([wanted]) {
            return None;
        }
        end += letter.len_utf8();
    }
    Some(end)
}
