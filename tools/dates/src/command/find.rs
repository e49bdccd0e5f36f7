//! `naja dates find`: the dates of a file or of standard input, a line of JSON each.
//!
//! The input is read in pieces, and a date is written as soon as it is certain, so inputs may be of any size and may
//! still be growing. Bytes that are not UTF-8 count as one replacement character for each wrong sequence.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use naja_system::Failure;
use serde_json::json;

use crate::find::{First, Found, Moment, Options, Search, Value};
use crate::iso;

/// Bytes that are read at once.
const PIECE: usize = 1 << 16;

/// Find the dates in a text
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "naja dates find [OPTIONS] FILE|-",
    before_long_help = "Example:

  naja dates find --strict minutes.txt | jq -r .value",
    after_help = "Each line of output is an object: start and end (in characters), text, kind, value, grain, confidence"
)]
pub struct FindArguments {
    /// The text; `-` is standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Only dates that say year, month and day
    #[arg(long)]
    pub strict: bool,
    /// What ambiguous numbers such as 02/05/2020 begin with
    #[arg(long, value_enum, default_value_t = FirstNumber::Month)]
    pub first: FirstNumber,
    /// The moment that `tomorrow` is counted from, in ISO 8601; now, in UTC, without it
    #[arg(long, value_name = "MOMENT")]
    pub reference: Option<String>,
    /// Read month and weekday names of this language only (en, es, fr, de, pt, it, da, no, sv, nl, pl); may be repeated
    #[arg(long, value_name = "CODE")]
    pub language: Vec<String>,
    /// Write amounts of time such as `3 hours` too
    #[arg(long)]
    pub durations: bool,
}

/// What ambiguous numbers begin with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum FirstNumber {
    /// 02/05/2020 is 5 February
    #[default]
    Month,
    /// 02/05/2020 is 2 May
    Day,
    /// 02/05/20 is 20 May 2002
    Year,
}

/// Runs `naja dates find`.
///
/// A reader of `out` that goes away ends it without an error.
///
/// Errors: `dates-input` where the text cannot be read; `dates-reference` where the reference is no moment.
pub fn find(arguments: &FindArguments, out: &mut dyn Write) -> Result<(), Failure> {
    let search = Search::new(options(arguments)?);
    let mut input = open(&arguments.file)?;
    let mut lines = Lines {
        out: BufWriter::with_capacity(1 << 16, out),
        durations: arguments.durations,
        outcome: Ok(()),
    };
    let read = search_all(search, &mut *input, &mut lines);
    let written = lines.outcome.and_then(|()| lines.out.flush());
    read.map_err(|error| unreadable(&arguments.file, &error))?;
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new("dates-output", "the dates cannot be written").caused_by(&error))
        }
        _ => Ok(()),
    }
}

fn options(arguments: &FindArguments) -> Result<Options, Failure> {
    let reference = match &arguments.reference {
        Some(text) => moment(text).ok_or_else(|| {
            Failure::new("dates-reference", format!("`{text}` is no moment"))
                .hint("`--reference 2026-03-19T12:00` is one")
        })?,
        None => now(),
    };
    let mut options = Options::new(reference).in_languages(arguments.language.iter().map(String::as_str));
    options.strict = arguments.strict;
    options.first = match arguments.first {
        FirstNumber::Month => First::Month,
        FirstNumber::Day => First::Day,
        FirstNumber::Year => First::Year,
    };
    Ok(options)
}

fn moment(text: &str) -> Option<Moment> {
    let (day, time) = iso::datetime(text.as_bytes(), None).ok()?;
    let (year, month, day) = day;
    Moment::on(year, month, day)?.at(time.hour, time.minute, time.second, time.microsecond)
}

fn now() -> Moment {
    let epoch = Moment::on(1970, 1, 1).expect("it is a day");
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let seconds = i64::try_from(since_epoch.as_secs()).unwrap_or(0);
    epoch.plus_seconds(seconds).unwrap_or(epoch)
}

fn open(file: &Path) -> Result<Box<dyn Read>, Failure> {
    if file == Path::new("-") {
        return Ok(Box::new(io::stdin().lock()));
    }
    let opened = File::open(file).map_err(|error| unreadable(file, &error))?;
    Ok(Box::new(opened))
}

fn unreadable(file: &Path, error: &io::Error) -> Failure {
    Failure::new("dates-input", format!("`{}` cannot be read", file.display())).caused_by(error)
}

/// Feeds the search with all of the input, piece by piece.
fn search_all(mut search: Search, input: &mut dyn Read, lines: &mut Lines<'_>) -> io::Result<()> {
    let mut bytes = vec![0; PIECE];
    // Bytes of a character whose rest comes with the next piece.
    let mut kept = 0;
    loop {
        let read = match input.read(&mut bytes[kept..]) {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let piece = &bytes[..kept + read];
        let whole = if read == 0 { piece.len() } else { whole_characters(piece) };
        search.feed(&String::from_utf8_lossy(&piece[..whole]), &mut |found, text| lines.write(found, text));
        // The next piece may be long in coming: a log that grows.
        lines.flush();
        if read == 0 || lines.outcome.is_err() {
            break;
        }
        let length = piece.len();
        bytes.copy_within(whole..length, 0);
        kept = length - whole;
    }
    search.finish(&mut |found, text| lines.write(found, text));
    Ok(())
}

/// How many bytes there are before a character that has only begun.
fn whole_characters(bytes: &[u8]) -> usize {
    match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() => error.valid_up_to(),
        Ok(_) => bytes.len(),
        // Behind a wrong sequence, only the end can have begun.
        Err(_) => {
            let begun = bytes.iter().rev().take(3).position(|byte| *byte >= 0xc0).map_or(0, |back| back + 1);
            let tail = &bytes[bytes.len() - begun..];
            let unfinished = std::str::from_utf8(tail).is_err_and(|error| error.error_len().is_none());
            bytes.len() - if unfinished { begun } else { 0 }
        }
    }
}

/// Writes dates until writing fails, and keeps why.
struct Lines<'a> {
    out: BufWriter<&'a mut dyn Write>,
    durations: bool,
    outcome: io::Result<()>,
}

impl Lines<'_> {
    fn flush(&mut self) {
        if self.outcome.is_ok() {
            self.outcome = self.out.flush();
        }
    }

    fn write(&mut self, found: &Found, text: &str) {
        let wanted = self.durations || !matches!(found.value, Value::Duration { .. });
        if wanted && self.outcome.is_ok() {
            self.outcome = writeln!(self.out, "{}", line(found, text));
        }
    }
}

fn line(found: &Found, text: &str) -> serde_json::Value {
    let warnings: Vec<&str> = found.warnings.iter().map(|warning| warning.name()).collect();
    let mut line = json!({
        "start": found.start_char,
        "end": found.end_char,
        "text": text,
        "kind": found.value.kind(),
        "value": written(&found.value),
        "grain": found.grain.name(),
        "language": found.language,
        "confidence": found.confidence,
        "warnings": warnings,
    });
    if let Some(other) = &found.alternate {
        line["alternate"] = written(other).into();
    }
    line
}

/// ISO 8601: a moment, an interval with a solidus, a duration in seconds.
fn written(value: &Value) -> String {
    match value {
        Value::Absolute { at, offset } | Value::Relative { at, offset, .. } => moment_written(at, *offset),
        Value::Duration { seconds, .. } => format!("PT{seconds}S"),
        Value::Interval { start, end } => {
            format!("{}/{}", moment_written(start, None), moment_written(end, None))
        }
    }
}

fn moment_written(at: &Moment, offset: Option<i32>) -> String {
    let Moment { year, month, day, hour, minute, second, microsecond } = at;
    let mut text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
    if *microsecond > 0 {
        text += &format!(".{microsecond:06}");
    }
    if let Some(offset) = offset {
        let sign = if offset < 0 { '-' } else { '+' };
        let minutes = offset.unsigned_abs() / 60;
        text += &format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60);
    }
    text
}
