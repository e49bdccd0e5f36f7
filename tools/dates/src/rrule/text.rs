//! Reads rules as iCalendar writes them: `FREQ=MONTHLY;BYDAY=-1FR`, alone or in lines with DTSTART and its kin.
//!
//! Dates inside the text stay text: how they are read is the caller's choice. Start at [`properties`] for lines and
//! [`parse_rule`] for one rule.

use super::error::TextError;
use super::rule::{Frequency, Parts, WeekdayPart};

const WEEKDAYS: [&str; 7] = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"];

/// iCalendar's two letters for a weekday, Monday being 0.
pub fn weekday_name(weekday: usize) -> &'static str {
    WEEKDAYS[weekday]
}

/// One rule's text, read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleText {
    /// All parts but DTSTART and UNTIL.
    pub parts: Parts,
    /// UNTIL, as it stands there.
    pub until: Option<String>,
}

/// One line, `NAME;PARAMETER;…:value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Property {
    /// `RRULE`, where the line names none.
    pub name: String,
    /// What stands between name and colon.
    pub parameters: Vec<String>,
    /// What stands after the colon.
    pub value: String,
}

/// Splits a text, in capitals, into properties: at white space, or, with `unfold`, at line ends, where a line that
/// begins with a space goes on with the line before.
///
/// Errors: `Empty`.
pub fn properties(text: &str, unfold: bool) -> Result<Vec<Property>, TextError> {
    if text.trim_matches(is_space).is_empty() {
        return Err(TextError::Empty);
    }
    let lines = if unfold {
        unfolded(text)
    } else {
        text.split(is_space).filter(|line| !line.is_empty()).map(String::from).collect()
    };
    Ok(lines.into_iter().map(property).collect())
}

fn property(line: String) -> Property {
    let Some((head, value)) = line.split_once(':') else {
        return Property { name: "RRULE".to_owned(), parameters: Vec::new(), value: line };
    };
    let mut words = head.split(';').map(String::from);
    Property {
        name: words.next().expect("splitting gives at least one piece"),
        parameters: words.collect(),
        value: value.to_owned(),
    }
}

fn unfolded(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines().flat_map(|line| line.split('\r')) {
        let line = line.trim_end_matches(is_space);
        match (line.strip_prefix(' '), lines.last_mut()) {
            _ if line.is_empty() => {}
            (Some(rest), Some(last)) => last.push_str(rest),
            _ => lines.push(line.to_owned()),
        }
    }
    lines
}

/// White space as Python's `str.split` knows it.
fn is_space(character: char) -> bool {
    character.is_whitespace() || ('\x1c'..='\x1f').contains(&character)
}

/// Reads one rule, `FREQ=…;…`, with or without `RRULE:` before it. Parts whose names begin with `X-` are passed over.
///
/// Errors: `NotARule`, `NotAPart`, `UnknownPart`, `InvalidValue`.
///
/// ```
/// use naja_dates::rrule::{Frequency, parse_rule};
/// let rule = parse_rule("RRULE:FREQ=MONTHLY;BYDAY=-1FR").expect("the last Friday of each month");
/// assert_eq!(rule.parts.frequency, Some(Frequency::Monthly));
/// assert_eq!(parse_rule("FREQ=OFTEN").unwrap_err().to_string(), "invalid 'FREQ': OFTEN");
/// ```
pub fn parse_rule(line: &str) -> Result<RuleText, TextError> {
    let line = line.to_uppercase();
    let value = match line.split_once(':') {
        Some(("RRULE", value)) => value,
        Some((name, _)) => return Err(TextError::NotARule(name.to_owned())),
        None => &line,
    };
    let mut rule = RuleText::default();
    for part in value.split(';') {
        let (name, value) = part
            .split_once('=')
            .filter(|(_, value)| !value.contains('='))
            .ok_or_else(|| TextError::NotAPart(part.to_owned()))?;
        if name.starts_with("X-") {
            continue;
        }
        let known = rule
            .set(name, value)
            .ok_or_else(|| TextError::InvalidValue { name: name.to_owned(), value: value.to_owned() })?;
        if !known {
            return Err(TextError::UnknownPart(name.to_owned()));
        }
    }
    Ok(rule)
}

impl RuleText {
    /// Sets one part. `None` where the value is not one that the part can have; false where there is no such part.
    fn set(&mut self, name: &str, value: &str) -> Option<bool> {
        let parts = &mut self.parts;
        match name {
            "FREQ" => {
                parts.frequency = Some(*Frequency::ALL.iter().find(|frequency| frequency.name() == value)?);
            }
            "UNTIL" => self.until = Some(value.to_owned()),
            "WKST" => parts.week_start = Some(weekday(value)?),
            "INTERVAL" => parts.interval = Some(integer(value)?),
            "COUNT" => parts.count = Some(integer(value)?),
            "BYSETPOS" => parts.set_positions = Some(integers(value)?),
            "BYMONTH" => parts.months = Some(integers(value)?),
            "BYMONTHDAY" => parts.month_days = Some(integers(value)?),
            "BYYEARDAY" => parts.year_days = Some(integers(value)?),
            "BYEASTER" => parts.easter_offsets = Some(integers(value)?),
            "BYWEEKNO" => parts.week_numbers = Some(integers(value)?),
            "BYHOUR" => parts.hours = Some(integers(value)?),
            "BYMINUTE" => parts.minutes = Some(integers(value)?),
            "BYSECOND" => parts.seconds = Some(integers(value)?),
            "BYDAY" | "BYWEEKDAY" => {
                parts.weekdays = Some(value.split(',').map(weekday_part).collect::<Option<_>>()?)
            }
            _ => return Some(false),
        }
        Some(true)
    }
}

fn weekday(name: &str) -> Option<i64> {
    WEEKDAYS.iter().position(|weekday| *weekday == name).map(|weekday| weekday as i64)
}

/// `MO`, `+1MO`, `-1MO`, or `MO(+1)`.
fn weekday_part(text: &str) -> Option<WeekdayPart> {
    let (name, n) = match text.split_once('(') {
        Some((name, n)) => (name, &n[..n.char_indices().next_back()?.0]),
        None => {
            let letters = text.find(|character| !matches!(character, '+' | '-' | '0'..='9'))?;
            (&text[letters..], &text[..letters])
        }
    };
    let n = if n.is_empty() && !text.contains('(') { None } else { Some(integer(n)?) };
    (n != Some(0)).then_some(WeekdayPart { weekday: weekday(name)?, n })
}

fn integers(text: &str) -> Option<Vec<i64>> {
    text.split(',').map(integer).collect()
}

/// A whole number as Python's `int` reads it; one that does not fit becomes the largest that does.
fn integer(text: &str) -> Option<i64> {
    let text = text.trim_matches(is_space);
    let (negative, digits) = match text.strip_prefix(['+', '-']) {
        Some(digits) => (text.starts_with('-'), digits),
        None => (false, text),
    };
    let mut value = 0_i64;
    let mut after_digit = false;
    for character in digits.chars() {
        match character.to_digit(10) {
            Some(digit) => value = value.saturating_mul(10).saturating_add(i64::from(digit)),
            None if character == '_' && after_digit => {}
            None => return None,
        }
        after_digit = character != '_';
    }
    after_digit.then_some(if negative { -value } else { value })
}
