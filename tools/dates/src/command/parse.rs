//! `naja dates TEXT…`: writes dates and times in ISO 8601.
//!
//! Lines of standard input are read and written one by one, so that input of any size streams. Start at [`parse`].

use std::collections::HashSet;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use naja_system::Failure;

use crate::calendar::{YEARS, days_in_month, from_ordinal, ordinal, weekday};
use crate::error::{Error, Shown};
use crate::parser::{self, English, Name, Options, Parsed, Tokens};

/// What `naja dates TEXT…` takes.
#[derive(Debug, clap::Args)]
pub struct ParseArguments {
    /// Dates as people write them; `-` reads one from each line of standard input
    #[arg(value_name = "TEXT")]
    pub texts: Vec<String>,
    /// 01/05/09 begins with the day
    #[arg(long)]
    pub day_first: bool,
    /// 01/05/09 begins with the year
    #[arg(long)]
    pub year_first: bool,
    /// Pass over words that are no part of a date
    #[arg(long)]
    pub fuzzy: bool,
    /// Print one JSON object a line, with what was not understood as well
    #[arg(long)]
    pub json: bool,
}

/// Writes each text's date; a part that a text does not have is today's, at midnight in UTC.
///
/// Errors: `not-a-date` after the first text that is none, or after all with `--json`; `cannot-read`, `cannot-write`
pub fn parse(arguments: &ParseArguments, out: &mut dyn Write) -> Result<(), Failure> {
    let mut writer = Lines {
        arguments,
        today: today(),
        tokens: Tokens::default(),
        wrong: 0,
        unknown_zones: HashSet::new(),
    };
    let mut out = BufWriter::new(out);
    let mut done = Ok(());
    for text in &arguments.texts {
        done = if text == "-" { writer.standard_input(&mut out) } else { writer.line(text, None, &mut out) };
        if done.is_err() {
            break;
        }
    }
    out.flush().map_err(|error| cannot_write(&error))?;
    done?;
    match writer.wrong {
        0 => Ok(()),
        1 => Err(Failure::new("not-a-date", "one text is no date")),
        count => Err(Failure::new("not-a-date", format!("{count} texts are no dates"))),
    }
}

struct Lines<'a> {
    arguments: &'a ParseArguments,
    today: (i64, i64, i64),
    tokens: Tokens,
    wrong: usize,
    /// Names of zones that have been told of.
    unknown_zones: HashSet<String>,
}

impl Lines<'_> {
    fn standard_input(&mut self, out: &mut dyn Write) -> Result<(), Failure> {
        let mut input = BufReader::new(io::stdin().lock());
        let mut line = Vec::new();
        for number in 1_usize.. {
            line.clear();
            if input.buffer().is_empty() {
                // The next line may be long in coming.
                out.flush().map_err(|error| cannot_write(&error))?;
            }
            let read = input.read_until(b'\n', &mut line);
            if read.map_err(|error| cannot_read(&error))? == 0 {
                break;
            }
            let text = String::from_utf8_lossy(&line);
            self.line(text.trim_end_matches(['\n', '\r']), Some(number), out)?;
        }
        Ok(())
    }

    /// One text; `number` is its line's, where it came from a file.
    fn line(&mut self, text: &str, number: Option<usize>, out: &mut dyn Write) -> Result<(), Failure> {
        let answer = self.understood(text);
        if self.arguments.json {
            self.wrong += usize::from(answer.is_err());
            let quoted = serde_json::Value::from(text);
            return match answer {
                Ok((date, None)) => writeln!(out, "{{\"text\":{quoted},\"date\":\"{date}\"}}"),
                Ok((date, Some(_))) => {
                    writeln!(out, "{{\"text\":{quoted},\"date\":\"{date}\",\"warnings\":[\"unknown_zone\"]}}")
                }
                Err(error) => writeln!(out, "{{\"text\":{quoted},\"error\":\"{error}\"}}"),
            }
            .map_err(|error| cannot_write(&error));
        }
        match answer {
            Ok((date, zone)) => {
                zone.into_iter().for_each(|zone| self.unknown_zone(zone));
                writeln!(out, "{date}").map_err(|error| cannot_write(&error))
            }
            Err(error) => {
                let place = number.map_or_else(String::new, |number| format!(" in line {number}"));
                let shown = self.tokens.shown(text).or_else(|| self.shown_part(text, &error));
                Err(Failure::new("not-a-date", format!("`{text}`{place} is no date"))
                    .caused_by(&Shown { error, shown })
                    .hint("`--fuzzy` passes over other words, `--json` goes on after an error"))
            }
        }
    }

    /// Says once of each name that it is no zone's, so that the time is without one.
    fn unknown_zone(&mut self, zone: Name) {
        if self.unknown_zones.insert(zone.as_str().to_owned()) {
            // Where nobody reads it, there is nobody to tell.
            _ = writeln!(io::stderr(), "warning: `{}` is no known time zone and was left out", zone.as_str());
        }
    }

    /// Where a part stands that the calendar does not have.
    fn shown_part(&self, text: &str, error: &Error) -> Option<String> {
        parser::shown_part(text, self.options(), &English { year: self.today.0 }, &error.to_string())
    }

    fn options(&self) -> Options {
        let ParseArguments { day_first, year_first, fuzzy, .. } = *self.arguments;
        Options { day_first, year_first, fuzzy }
    }

    /// The date, and the name of a zone that is not known.
    fn understood(&mut self, text: &str) -> Result<(String, Option<Name>), Error> {
        let options = self.options();
        let english = English { year: self.today.0 };
        let mut parsed = parser::parse(text, options, &english, &mut self.tokens)?;
        parsed.complete(&english)?;
        if parsed.is_empty() {
            return Err(Error::NoDate);
        }
        let unknown = parsed.zone_name.filter(|_| parsed.zone_offset.is_none());
        Ok((in_iso(&parsed, self.today)?, unknown))
    }
}

/// The date that is meant, in ISO 8601.
fn in_iso(parsed: &Parsed, (year, month, day): (i64, i64, i64)) -> Result<String, Error> {
    let year = parsed.year.unwrap_or(year);
    let month = parsed.month.unwrap_or(month);
    let hour = parsed.hour.unwrap_or(0);
    let minute = parsed.minute.unwrap_or(0);
    let second = parsed.second.unwrap_or(0);
    if !YEARS.contains(&year) {
        return Err(Error::Year(year));
    }
    if !(1..=12).contains(&month) {
        return Err(Error::Impossible("month must be in 1..12"));
    }
    let last = days_in_month(year, month);
    let day = parsed.day.unwrap_or(day.min(last));
    if !(1..=last).contains(&day) {
        return Err(Error::Impossible("day is out of range for month"));
    }
    for (value, limit, sentence) in [
        (hour, 24, "hour must be in 0..23"),
        (minute, 60, "minute must be in 0..59"),
        (second, 60, "second must be in 0..59"),
    ] {
        if !(0..limit).contains(&value) {
            return Err(Error::Impossible(sentence));
        }
    }
    let mut ordinal = ordinal(year, month, day);
    if let (Some(wanted), None) = (parsed.weekday, parsed.day) {
        ordinal += (wanted - weekday(ordinal)).rem_euclid(7);
    }
    let (year, month, day) = from_ordinal(ordinal).ok_or(Error::OutOfRange)?;
    let mut text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
    match parsed.microsecond {
        None | Some(0) => {}
        Some(microsecond) => text.push_str(&format!(".{microsecond:06}")),
    }
    text.push_str(&offset(parsed)?);
    Ok(text)
}

/// The offset as it is written; a name without one says nothing that ISO 8601 could.
fn offset(parsed: &Parsed) -> Result<String, Error> {
    let Some(seconds) = parsed.zone_offset else { return Ok(String::new()) };
    if parsed.zone_name == Some(Name::UTC) && seconds == 0 {
        return Ok("Z".to_owned());
    }
    if seconds.abs() >= 86_400 {
        return Err(Error::Impossible("offset must be less than a day"));
    }
    let sign = if seconds < 0 { '-' } else { '+' };
    let minutes = seconds.abs() / 60;
    Ok(format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60))
}

fn today() -> (i64, i64, i64) {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let days = i64::try_from(since_1970.as_secs() / 86_400).unwrap_or(0);
    from_ordinal(719_163 + days).unwrap_or((1970, 1, 1))
}

fn cannot_read(error: &io::Error) -> Failure {
    Failure::new("cannot-read", "failed to read standard input").caused_by(error)
}

fn cannot_write(error: &io::Error) -> Failure {
    Failure::new("cannot-write", "failed to write to standard output").caused_by(error)
}
