//! `naja dates rule RULE`: writes the dates of a recurrence rule.

use std::io::{BufWriter, Write};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use naja_system::Failure;

use crate::rrule::{
    Civil, Moment, Progress, Rule, SECONDS_PER_DAY, Walker, civil, days_in_month, moment, parse_rule,
};

/// The moment of 1970-01-01T00:00.
const EPOCH: Moment = 719_163 * SECONDS_PER_DAY;

/// Write the dates of a recurrence rule
#[derive(Debug, clap::Args)]
#[command(before_long_help = "Example:

  naja dates rule 'FREQ=MONTHLY;BYDAY=-1FR' --from 2024-01-01 --count 5")]
pub struct RuleArguments {
    /// The rule as iCalendar writes it: FREQ=…;…
    #[arg(value_name = "RULE")]
    pub rule: String,
    /// The first date, which the rule counts from: 2024-01-31, or 2024-01-31T09:00:00 [default: today, in UTC]
    #[arg(long, value_name = "DATE")]
    pub from: Option<String>,
    /// Stop after so many dates
    #[arg(long, value_name = "N")]
    pub count: Option<u64>,
}

/// Writes one date a line, in ISO 8601. An endless rule ends when the reader does.
///
/// Errors: `invalid-rule`, `not-a-date`, `cannot-write`
pub fn rule(arguments: &RuleArguments, out: &mut dyn Write) -> Result<(), Failure> {
    let invalid = |error: &dyn std::error::Error| {
        Failure::new("invalid-rule", format!("`{}` is not a rule that has dates", arguments.rule))
            .caused_by(error)
    };
    let text = parse_rule(&arguments.rule).map_err(|error| match arguments.rule.contains("DTSTART") {
        true => invalid(&error).hint("`--from` takes what DTSTART says, RULE what follows `RRULE:`"),
        false => invalid(&error),
    })?;
    if text.parts.frequency.is_none() {
        return Err(Failure::new("invalid-rule", format!("`{}` has no FREQ", arguments.rule))
            .hint("a rule begins with how often it comes: FREQ=DAILY"));
    }
    let until = text.until.as_deref().map(read_date).transpose()?;
    let start = match &arguments.from {
        Some(text) => read_date(text)?,
        None => today(),
    };
    let rule = Rule::new(start, &text.parts).map_err(|error| invalid(&error))?;
    let mut walker = Walker::new(Arc::new(rule)).map_err(|error| invalid(&error))?;
    let mut out = BufWriter::new(out);
    let mut left = arguments.count.unwrap_or(u64::MAX);
    let mut done = Ok(());
    while left > 0 {
        match walker.advance().map_err(|error| invalid(&error)) {
            Ok(Progress::Found(moment)) if until.is_none_or(|until| moment <= until) => {
                if let Err(error) = writeln!(out, "{}", Written(moment)) {
                    return Err(Failure::new("cannot-write", "cannot write the dates").caused_by(&error));
                }
                left -= 1;
            }
            Ok(Progress::Working) => {}
            Ok(_) => break,
            Err(failure) => {
                done = Err(failure);
                break;
            }
        }
    }
    out.flush().map_err(|error| Failure::new("cannot-write", "cannot write the dates").caused_by(&error))?;
    done
}

/// A moment in ISO 8601.
struct Written(Moment);

impl std::fmt::Display for Written {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Civil { year, month, day, hour, minute, second } = civil(self.0);
        write!(out, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
    }
}

/// Today's midnight in UTC.
fn today() -> Moment {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let days = i64::try_from(since.as_secs()).unwrap_or(0) / SECONDS_PER_DAY;
    EPOCH + days * SECONDS_PER_DAY
}

/// Reads `20240131`, `2024-01-31`, each also with `T0900`, `T09:00`, `T090000` or `T09:00:00`, and with a Z, which says nothing here.
fn read_date(text: &str) -> Result<Moment, Failure> {
    let wrong = || {
        Failure::new("not-a-date", format!("`{text}` is not a date"))
            .hint("write 2024-01-31, or with a time of day 2024-01-31T09:00:00")
    };
    let (date, time) = text.split_once(['T', ' ']).unwrap_or((text, "000000"));
    let digits = |part: &str, separator: char, count: usize| {
        let plain: String = part.chars().filter(|character| *character != separator).collect();
        (plain.len() == count && plain.bytes().all(|byte| byte.is_ascii_digit())).then_some(plain)
    };
    let date = digits(date, '-', 8).ok_or_else(wrong)?;
    let time = time.trim_end_matches('Z');
    let time = digits(time, ':', 6).or_else(|| digits(time, ':', 4).map(|minutes| minutes + "00"));
    let time = time.ok_or_else(wrong)?;
    let number =
        |digits: &str| digits.bytes().fold(0_i64, |number, digit| number * 10 + i64::from(digit - b'0'));
    let (year, month, day) = (number(&date[..4]), number(&date[4..6]) as u8, number(&date[6..]) as u8);
    let (hour, minute, second) = (number(&time[..2]), number(&time[2..4]), number(&time[4..]));
    let exists = year > 0
        && (1..=12).contains(&month)
        && (1..=days_in_month(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    if !exists {
        return Err(wrong());
    }
    Ok(moment(year, month, day, hour * 3600 + minute * 60 + second))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(rule_text: &str, from: &str, count: u64) -> Result<String, Failure> {
        let arguments =
            RuleArguments { rule: rule_text.to_owned(), from: Some(from.to_owned()), count: Some(count) };
        let mut out = Vec::new();
        rule(&arguments, &mut out)?;
        Ok(String::from_utf8(out).expect("dates are ASCII"))
    }

    #[test]
    fn the_last_friday_of_each_month_is_written_a_line_each() {
        let dates = written("FREQ=MONTHLY;BYDAY=-1FR", "2024-01-01", 2).expect("a rule");
        assert_eq!(dates, "2024-01-26T00:00:00\n2024-02-23T00:00:00\n");
    }

    #[test]
    fn until_ends_a_rule() {
        let dates = written("FREQ=DAILY;UNTIL=20240102T090000Z", "20240101T090000", 9).expect("a rule");
        assert_eq!(dates, "2024-01-01T09:00:00\n2024-01-02T09:00:00\n");
    }

    #[test]
    fn a_start_may_be_without_seconds() {
        assert_eq!(written("FREQ=DAILY", "2024-01-01T09:30", 1).expect("a rule"), "2024-01-01T09:30:00\n");
    }

    #[test]
    fn a_start_in_the_rule_is_told_where_to_go() {
        let failure =
            written("DTSTART:20240101T090000\nRRULE:FREQ=DAILY", "2024-01-01", 1).expect_err("wrong");
        assert!(failure.hint_text().is_some_and(|hint| hint.contains("--from")), "{failure}");
    }

    #[test]
    fn what_is_wrong_has_a_stable_name() {
        let name = |rule, from| written(rule, from, 1).expect_err("it is wrong").name();
        assert_eq!(name("FREQ=OFTEN", "2024-01-01"), "invalid-rule");
        assert_eq!(name("COUNT=3", "2024-01-01"), "invalid-rule");
        assert_eq!(name("FREQ=DAILY", "2024-02-30"), "not-a-date");
    }
}
