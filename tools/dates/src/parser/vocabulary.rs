//! The words of dates, and which characters are letters and digits.

/// What one word may mean; a word may mean several things, as "may" and "m" do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meaning {
    /// A weekday, 0 for Monday; negative where the word is none. So with the other numbers.
    pub weekday: i16,
    /// A month, 1 to 12.
    pub month: i16,
    /// 0 for a word for hours, 1 for minutes, 2 for seconds.
    pub unit: i16,
    /// 0 for "am", 1 for "pm".
    pub half: i16,
    /// May stand between the parts of a date.
    pub jump: bool,
    /// Stands between a month and its year: "of".
    pub pertain: bool,
    /// A name of UTC, in any mixture of small and capital letters.
    pub utc: bool,
    /// A name of UTC, exactly as a zone is written.
    pub utc_as_written: bool,
}

impl Meaning {
    /// A word that means nothing.
    pub const NONE: Meaning = Meaning {
        weekday: -1,
        month: -1,
        unit: -1,
        half: -1,
        jump: false,
        pertain: false,
        utc: false,
        utc_as_written: false,
    };

    /// A word that may stand between the parts of a date and means nothing else.
    pub const JUMP: Meaning = Meaning { jump: true, ..Meaning::NONE };
}

/// What a character is in a date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// A letter.
    Letter,
    /// A digit, and its value where it can stand in a number: a superscript cannot.
    Digit(Option<u8>),
    /// White space.
    Space,
    /// Anything else; always a token of its own.
    Symbol,
}

/// The vocabulary could not answer; whoever made it knows why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interrupted;

/// The words that a parser knows.
pub trait Vocabulary {
    /// What a token means, by any of the vocabulary's tables.
    ///
    /// Errors: [`Interrupted`], which ends the parsing
    fn meaning(&self, token: &str) -> Result<Meaning, Interrupted>;

    /// The offset of a zone by its name, in seconds east of UTC.
    ///
    /// Errors: [`Interrupted`], which ends the parsing
    fn zone_offset(&self, name: &str) -> Result<Option<i64>, Interrupted>;

    /// The year that is meant, where the century was not written.
    ///
    /// Errors: [`Interrupted`], which ends the parsing
    fn full_year(&self, year: i64, century_specified: bool) -> Result<i64, Interrupted>;

    /// What a character outside ASCII is.
    fn class(&self, character: char) -> Class {
        if character.is_alphabetic() {
            Class::Letter
        } else if character.is_whitespace() {
            Class::Space
        } else {
            decimal_digit(character).map_or(Class::Symbol, |digit| Class::Digit(Some(digit)))
        }
    }

    /// Whether every meaning is one of [`English`], which then need not be asked through a table of functions.
    fn is_english(&self) -> bool {
        false
    }
}

/// The words that a parser knows when it was not told others.
#[derive(Debug, Clone, Copy)]
pub struct English {
    /// The year around which years of two digits lie: from 50 years before it to 49 after.
    pub year: i64,
}

impl Vocabulary for English {
    fn meaning(&self, token: &str) -> Result<Meaning, Interrupted> {
        Ok(english(token))
    }

    fn zone_offset(&self, name: &str) -> Result<Option<i64>, Interrupted> {
        // Small letters only: the original looks the name up as written in a table of small letters.
        Ok(matches!(name, "z" | "utc" | "gmt").then_some(0))
    }

    fn full_year(&self, year: i64, century_specified: bool) -> Result<i64, Interrupted> {
        Ok(full_year(year, century_specified, self.year))
    }

    fn is_english(&self) -> bool {
        true
    }
}

/// Puts a year of two digits into the century that brings it nearest to `now`.
pub fn full_year(year: i64, century_specified: bool, now: i64) -> i64 {
    if year >= 100 || century_specified {
        return year;
    }
    let year = year + now / 100 * 100;
    if year >= now + 50 {
        year - 100
    } else if year < now - 50 {
        year + 100
    } else {
        year
    }
}

const fn weekday(number: i16) -> Meaning {
    Meaning { weekday: number, ..Meaning::NONE }
}

const fn month(number: i16) -> Meaning {
    Meaning { month: number, ..Meaning::NONE }
}

const fn unit(number: i16) -> Meaning {
    Meaning { unit: number, ..Meaning::NONE }
}

const fn half(number: i16) -> Meaning {
    Meaning { half: number, ..Meaning::NONE }
}

/// Looks a token up among the English words.
pub(crate) fn english(token: &str) -> Meaning {
    // No word of the table is longer, and none has letters outside ASCII in either case.
    if token.len() > 9 {
        return Meaning::NONE;
    }
    let mut lower = [0; 9];
    let lower = &mut lower[..token.len()];
    lower.copy_from_slice(token.as_bytes());
    lower.make_ascii_lowercase();
    match &*lower {
        b" " | b"." | b"," | b";" | b"-" | b"/" | b"'" => Meaning::JUMP,
        b"at" | b"on" | b"and" | b"ad" | b"t" | b"st" | b"nd" | b"rd" | b"th" => Meaning::JUMP,
        b"of" => Meaning { jump: true, pertain: true, ..Meaning::NONE },
        b"mon" | b"monday" => weekday(0),
        b"tue" | b"tuesday" => weekday(1),
        b"wed" | b"wednesday" => weekday(2),
        b"thu" | b"thursday" => weekday(3),
        b"fri" | b"friday" => weekday(4),
        b"sat" | b"saturday" => weekday(5),
        b"sun" | b"sunday" => weekday(6),
        b"jan" | b"january" => month(1),
        b"feb" | b"february" => month(2),
        b"mar" | b"march" => month(3),
        b"apr" | b"april" => month(4),
        b"may" => month(5),
        b"jun" | b"june" => month(6),
        b"jul" | b"july" => month(7),
        b"aug" | b"august" => month(8),
        b"sep" | b"sept" | b"september" => month(9),
        b"oct" | b"october" => month(10),
        b"nov" | b"november" => month(11),
        b"dec" | b"december" => month(12),
        b"h" | b"hour" | b"hours" => unit(0),
        b"m" => Meaning { jump: true, ..unit(1) },
        b"minute" | b"minutes" => unit(1),
        b"s" | b"second" | b"seconds" => unit(2),
        b"am" | b"a" => half(0),
        b"pm" | b"p" => half(1),
        b"utc" | b"gmt" => {
            Meaning { utc: true, utc_as_written: token == "UTC" || token == "GMT", ..Meaning::NONE }
        }
        b"z" => Meaning { utc: true, utc_as_written: true, ..Meaning::NONE },
        _ => Meaning::NONE,
    }
}

/// Where the decimal digits of the scripts begin (Unicode 14, category Nd).
const ZEROS: [u32; 65] = [
    0x0660, 0x06f0, 0x07c0, 0x0966, 0x09e6, 0x0a66, 0x0ae6, 0x0b66, 0x0be6, 0x0c66, 0x0ce6, 0x0d66, 0x0de6,
    0x0e50, 0x0ed0, 0x0f20, 0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90, 0x1b50, 0x1bb0,
    0x1c40, 0x1c50, 0xa620, 0xa8d0, 0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0, 0xff10, 0x104a0, 0x10d30,
    0x11066, 0x110f0, 0x11136, 0x111d0, 0x112f0, 0x11450, 0x114d0, 0x11650, 0x116c0, 0x11730, 0x118e0,
    0x11950, 0x11c50, 0x11d50, 0x11da0, 0x16a60, 0x16ac0, 0x16b50, 0x1d7ce, 0x1d7d8, 0x1d7e2, 0x1d7ec,
    0x1d7f6, 0x1e140, 0x1e2f0, 0x1e950, 0x1fbf0,
];

fn decimal_digit(character: char) -> Option<u8> {
    let code = u32::from(character);
    let zero = ZEROS.iter().rev().find(|zero| **zero <= code)?;
    u8::try_from(code - zero).ok().filter(|digit| *digit < 10)
}
