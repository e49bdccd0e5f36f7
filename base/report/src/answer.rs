//! Rows of an answer, printed as they come: as a table, as JSON, as JSON lines or as CSV.
//!
//! A table measures its first rows to align its columns; later rows that are wider keep their whole text. Start at
//! [`Answer::new`].

use std::io::{self, Write};

/// How many rows a table looks at before it sets the widths of its columns.
const MEASURED_ROWS: usize = 500;
/// Wider values do not widen their column.
const WIDTH_MAX: usize = 60;

/// A value of an answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// No value.
    Null,
    /// True or false.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// A number with a fraction.
    Real(f64),
    /// A decimal number, in digits as `-12.50`.
    Decimal(&'a str),
    /// Text.
    Text(&'a str),
    /// A JSON document, which stands in JSON as it is.
    Json(&'a str),
    /// Bytes: hexadecimal digits, except in a table, which says how many there are.
    Bytes(&'a [u8]),
}

/// How an answer is printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Form {
    /// Aligned columns.
    #[default]
    Table,
    /// A list of objects, one a line.
    Json,
    /// An object a line, and nothing around them.
    JsonLines,
    /// Comma-separated values (RFC 4180), the names first.
    Csv,
}

/// Prints rows.
pub struct Answer<'o> {
    form: Form,
    out: &'o mut dyn Write,
    table: Table,
    /// In JSON, the names as they are written.
    names: Vec<String>,
    count: u64,
}

impl<'o> Answer<'o> {
    /// An answer that is printed into `out`.
    pub fn new(form: Form, out: &'o mut dyn Write) -> Answer<'o> {
        Answer { form, out, table: Table::default(), names: Vec::new(), count: 0 }
    }

    /// Takes the names of the columns, once and before the rows.
    ///
    /// Errors: of the writing
    pub fn columns(&mut self, names: &[&str]) -> io::Result<()> {
        match self.form {
            Form::Table => {
                self.table.waiting.push(names.iter().map(|&name| (on_one_line(name), false)).collect());
                Ok(())
            }
            Form::Json | Form::JsonLines => {
                self.names = names_in_json(names);
                Ok(())
            }
            Form::Csv => csv_line(self.out, names.iter().map(|&name| name.to_owned())),
        }
    }

    /// Prints a row, or keeps it until the widths of a table are known.
    ///
    /// Errors: of the writing
    pub fn row(&mut self, values: &[Value<'_>]) -> io::Result<()> {
        match self.form {
            Form::Table => self.table.row(self.out, values),
            Form::Json | Form::JsonLines => self.json_row(values),
            Form::Csv => csv_line(
                self.out,
                values.iter().map(|value| match value {
                    Value::Null => String::new(),
                    Value::Boolean(value) => value.to_string(),
                    Value::Integer(value) => value.to_string(),
                    Value::Real(value) => value.to_string(),
                    Value::Text(text) | Value::Decimal(text) | Value::Json(text) => (*text).to_owned(),
                    Value::Bytes(bytes) => hexadecimal(bytes),
                }),
            ),
        }
    }

    /// Prints what is left. Must be called also when the rows ended with an error, so that those before it are shown.
    ///
    /// Errors: of the writing
    pub fn finish(self) -> io::Result<()> {
        match self.form {
            Form::Table => self.table.settled(self.out),
            Form::Json => self.out.write_all(if self.count == 0 { b"[]\n" } else { b"\n]\n" }),
            Form::JsonLines | Form::Csv => Ok(()),
        }
    }

    fn json_row(&mut self, values: &[Value<'_>]) -> io::Result<()> {
        if self.form == Form::Json {
            self.out.write_all(if self.count == 0 { b"[\n" } else { b",\n" })?;
        }
        self.count += 1;
        for (index, (name, value)) in self.names.iter().zip(values).enumerate() {
            let before = if index == 0 { "{" } else { ", " };
            write!(self.out, "{before}{name}: ")?;
            match value {
                Value::Null => write!(self.out, "null")?,
                Value::Boolean(value) => write!(self.out, "{value}")?,
                Value::Integer(value) => write!(self.out, "{value}")?,
                Value::Decimal(digits) if is_number(digits) => write!(self.out, "{digits}")?,
                // Text that only claims to be JSON would break what is around it.
                Value::Json(json) if serde_json::from_str::<serde::de::IgnoredAny>(json).is_ok() => {
                    write!(self.out, "{}", on_one_line(json))?;
                }
                Value::Real(value) => write!(self.out, "{}", serde_json::Value::from(*value))?,
                Value::Text(text) | Value::Decimal(text) | Value::Json(text) => {
                    serde_json::to_writer(&mut *self.out, text)?;
                }
                Value::Bytes(bytes) => write!(self.out, "\"{}\"", hexadecimal(bytes))?,
            }
        }
        self.out.write_all(if self.form == Form::Json { b"}" } else { b"}\n" })
    }
}

/// Aligned columns: numbers to the right, the rest to the left, no value as nothing.
#[derive(Default)]
struct Table {
    /// The first rows, with their names in front, until the widths are set.
    waiting: Vec<Vec<(String, bool)>>,
    widths: Vec<usize>,
    right: Vec<bool>,
}

impl Table {
    fn row(&mut self, out: &mut dyn Write, values: &[Value<'_>]) -> io::Result<()> {
        let row = values.iter().map(cell).collect();
        if self.widths.is_empty() {
            self.waiting.push(row);
            if self.waiting.len() > MEASURED_ROWS {
                self.settle(out)?;
            }
            return Ok(());
        }
        self.print(out, &row)
    }

    fn settled(mut self, out: &mut dyn Write) -> io::Result<()> {
        self.settle(out)
    }

    /// Sets the widths from the rows that wait, and prints these.
    fn settle(&mut self, out: &mut dyn Write) -> io::Result<()> {
        let waiting = std::mem::take(&mut self.waiting);
        let Some((names, rows)) = waiting.split_first() else {
            return Ok(());
        };
        let column = |index: usize| rows.iter().map(move |row| &row[index]);
        for (index, (name, _)) in names.iter().enumerate() {
            let widest = column(index).map(|(text, _)| width(text)).max().unwrap_or(0);
            self.widths.push(widest.min(WIDTH_MAX).max(width(name)));
            let is_number = |(text, number): &(String, bool)| *number || text.is_empty();
            self.right.push(!rows.is_empty() && column(index).all(is_number));
        }
        self.print(out, names)?;
        let rule: Vec<_> = self.widths.iter().map(|&width| ("-".repeat(width), false)).collect();
        self.print(out, &rule)?;
        rows.iter().try_for_each(|row| self.print(out, row))
    }

    fn print(&self, out: &mut dyn Write, row: &[(String, bool)]) -> io::Result<()> {
        let mut line = String::new();
        for (index, (text, _)) in row.iter().enumerate() {
            if index > 0 {
                line.push_str("  ");
            }
            let padding = " ".repeat(self.widths[index].saturating_sub(width(text)));
            match self.right[index] {
                true => line.extend([padding.as_str(), text]),
                false => line.extend([text, padding.as_str()]),
            }
        }
        writeln!(out, "{}", line.trim_end())
    }
}

/// Whether digits are a number in JSON, which has neither `NaN` nor `Infinity`.
fn is_number(digits: &str) -> bool {
    let whole = digits.strip_prefix('-').unwrap_or(digits).split('.').next().unwrap_or_default();
    digits.ends_with(|last: char| last.is_ascii_digit())
        && !whole.is_empty()
        && (whole == "0" || !whole.starts_with('0'))
        && digits.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b'.'))
        && digits.parse::<f64>().is_ok()
}

/// The text of a value in a table, and whether it is a number.
fn cell(value: &Value<'_>) -> (String, bool) {
    match value {
        Value::Null => (String::new(), false),
        Value::Boolean(value) => (value.to_string(), false),
        Value::Integer(value) => (value.to_string(), true),
        Value::Real(value) => (real(*value), true),
        Value::Decimal(digits) => (on_one_line(digits), true),
        Value::Text(text) | Value::Json(text) => (on_one_line(text), false),
        Value::Bytes(bytes) => (format!("({} bytes)", bytes.len()), false),
    }
}

/// Control characters would break the table, or steer the terminal.
fn on_one_line(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            let escaped = c.is_control();
            let plain = (!escaped).then_some(c);
            escaped.then(|| c.escape_default()).into_iter().flatten().chain(plain)
        })
        .collect()
}

/// At most six digits after the point: times come to the microsecond.
fn real(value: f64) -> String {
    let text = format!("{value:.6}");
    let is_plain = value.is_finite() && (value == 0.0 || (1e-4..1e15).contains(&value.abs()));
    match is_plain {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => format!("{value:e}"),
    }
}

/// How many columns of a terminal a text takes, as far as one can know: letters of East Asian scripts and
/// pictures take two, combining marks none.
fn width(text: &str) -> usize {
    text.chars()
        .map(|c| match u32::from(c) {
            0x0300..=0x036f | 0x200b..=0x200f | 0x20d0..=0x20ff | 0xfe00..=0xfe0f => 0,
            0x1100..=0x115f
            | 0x2e80..=0xa4cf
            | 0xac00..=0xd7a3
            | 0xf900..=0xfaff
            | 0xfe30..=0xfe6f
            | 0xff00..=0xff60
            | 0xffe0..=0xffe6
            | 0x1f300..=0x1faff
            | 0x20000..=0x3fffd => 2,
            _ => 1,
        })
        .sum()
}

/// An object has each name once: a second column of a name becomes `name:2`.
fn names_in_json(names: &[&str]) -> Vec<String> {
    let earlier = |index: usize| names[..index].iter().filter(|&&other| other == names[index]).count();
    let named = |(index, &name): (usize, &&str)| match earlier(index) {
        0 => name.to_owned(),
        count => format!("{name}:{}", count + 1),
    };
    names.iter().enumerate().map(|one| serde_json::Value::from(named(one)).to_string()).collect()
}

fn csv_line(out: &mut dyn Write, fields: impl Iterator<Item = String>) -> io::Result<()> {
    for (index, field) in fields.enumerate() {
        let before = if index == 0 { "" } else { "," };
        // RFC 4180: quoted when it must be, quotes doubled.
        match field.contains([',', '"', '\n', '\r']) {
            true => write!(out, "{before}\"{}\"", field.replace('"', "\"\""))?,
            false => write!(out, "{before}{field}")?,
        }
    }
    out.write_all(b"\r\n")
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
