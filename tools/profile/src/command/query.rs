//! `naja sql`: asks a recording in SQL and prints the answer as a table, as JSON or as CSV.
//!
//! Rows are printed as they are found. A table measures its first rows to align its columns; later rows that
//! are wider keep their whole text. Start at [`sql`].

use std::io::{self, Write};
use std::path::PathBuf;

use naja_recording::RecordingError;
use naja_recording::sql::{Database, Rows, Value};
use naja_system::Failure;

/// How many rows a table looks at before it sets the widths of its columns.
const MEASURED_ROWS: usize = 500;
/// Wider values do not widen their column.
const WIDTH_MAX: usize = 60;

/// Ask a recording in SQL
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "naja sql [OPTIONS] FILE.naja QUERY",
    before_long_help = "Example:

  naja sql app.naja \"select function, count(*) samples from samples
                    where state = 'python' group by 1 order by 2 desc limit 10\"",
    after_help = "Tables: samples, stacks, stack_frames, processes, threads, functions, metrics, meta, report; in a history of \
        tests (.naja_cache/tests.sqlite): runs, results, durations"
)]
pub struct SqlArguments {
    /// The recording
    #[arg(value_name = "FILE.naja")]
    pub file: PathBuf,
    /// One statement that reads
    pub query: String,
    /// How the answer is printed
    #[arg(long, value_enum, default_value_t = AnswerFormat::Table)]
    pub format: AnswerFormat,
    /// The same as `--format json`
    #[arg(long, conflicts_with = "format")]
    pub json: bool,
}

/// How an answer is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum AnswerFormat {
    /// Aligned columns
    #[default]
    Table,
    /// A list of objects, one a line
    Json,
    /// Comma-separated values (RFC 4180)
    Csv,
}

/// Runs `naja sql`.
///
/// A reader of `out` that goes away ends it without an error.
///
/// Errors: those of [`RecordingError`], with its names.
pub fn sql(arguments: &SqlArguments, out: &mut dyn Write) -> Result<(), Failure> {
    let format = if arguments.json { AnswerFormat::Json } else { arguments.format };
    let database = Database::open(&arguments.file)?;
    let mut out = io::BufWriter::with_capacity(1 << 16, out);
    let answered = answer(&database, &arguments.query, format, &mut out);
    // What was found before an error is shown.
    let flushed = out.flush().map_err(RecordingError::Output);
    match answered.and(flushed) {
        Err(RecordingError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}

fn answer(
    database: &Database,
    query: &str,
    format: AnswerFormat,
    out: &mut dyn Write,
) -> Result<(), RecordingError> {
    match format {
        AnswerFormat::Table => {
            let mut table = Table::new(out);
            let answered = database.query(query, &mut table);
            table.finish().map_err(RecordingError::Output)?;
            answered
        }
        AnswerFormat::Json => {
            let mut json = Json { out, names: Vec::new(), count: 0 };
            database.query(query, &mut json)?;
            json.finish().map_err(RecordingError::Output)
        }
        AnswerFormat::Csv => database.query(query, &mut Csv { out }),
    }
}

/// Prints aligned columns: numbers to the right, the rest to the left, no value as nothing.
struct Table<'o> {
    out: &'o mut dyn Write,
    /// The first rows, with their names in front, until the widths are set.
    waiting: Vec<Vec<(String, bool)>>,
    widths: Vec<usize>,
    right: Vec<bool>,
}

impl<'o> Table<'o> {
    fn new(out: &'o mut dyn Write) -> Table<'o> {
        Table { out, waiting: Vec::new(), widths: Vec::new(), right: Vec::new() }
    }

    /// Sets the widths from the rows that wait, and prints these.
    fn settle(&mut self) -> io::Result<()> {
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
        self.print(names)?;
        let rule: Vec<_> = self.widths.iter().map(|&width| ("-".repeat(width), false)).collect();
        self.print(&rule)?;
        rows.iter().try_for_each(|row| self.print(row))
    }

    fn print(&mut self, row: &[(String, bool)]) -> io::Result<()> {
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
        writeln!(self.out, "{}", line.trim_end())
    }

    fn finish(&mut self) -> io::Result<()> {
        self.settle()
    }
}

impl Rows for Table<'_> {
    fn columns(&mut self, names: &[&str]) -> io::Result<()> {
        self.waiting.push(names.iter().map(|&name| (on_one_line(name), false)).collect());
        Ok(())
    }

    fn row(&mut self, values: &[Value<'_>]) -> io::Result<()> {
        let row = values.iter().map(cell).collect();
        if self.widths.is_empty() {
            self.waiting.push(row);
            if self.waiting.len() > MEASURED_ROWS {
                self.settle()?;
            }
            return Ok(());
        }
        self.print(&row)
    }
}

/// The text of a value in a table, and whether it is a number.
fn cell(value: &Value<'_>) -> (String, bool) {
    match value {
        Value::Null => (String::new(), false),
        Value::Integer(value) => (value.to_string(), true),
        Value::Real(value) => (real(*value), true),
        Value::Text(text) => (on_one_line(text), false),
        Value::Blob(bytes) => (format!("({} bytes)", bytes.len()), false),
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

/// Prints a list of objects. Bytes become text in hexadecimal digits.
struct Json<'o> {
    out: &'o mut dyn Write,
    names: Vec<String>,
    count: u64,
}

impl Json<'_> {
    fn finish(&mut self) -> io::Result<()> {
        self.out.write_all(if self.count == 0 { b"[]\n" } else { b"\n]\n" })
    }
}

impl Rows for Json<'_> {
    fn columns(&mut self, names: &[&str]) -> io::Result<()> {
        let mut taken = Vec::new();
        for &name in names {
            // An object has each name once: a second column of a name becomes `name:2`.
            let earlier = names[..taken.len()].iter().filter(|&&other| other == name).count();
            let name = match earlier {
                0 => name.to_owned(),
                _ => format!("{name}:{}", earlier + 1),
            };
            taken.push(serde_json::Value::from(name).to_string());
        }
        self.names = taken;
        Ok(())
    }

    fn row(&mut self, values: &[Value<'_>]) -> io::Result<()> {
        self.out.write_all(if self.count == 0 { b"[\n" } else { b",\n" })?;
        self.count += 1;
        for (index, (name, value)) in self.names.iter().zip(values).enumerate() {
            let before = if index == 0 { "{" } else { ", " };
            write!(self.out, "{before}{name}: ")?;
            match value {
                Value::Null => write!(self.out, "null")?,
                Value::Integer(value) => write!(self.out, "{value}")?,
                Value::Real(value) => write!(self.out, "{}", serde_json::Value::from(*value))?,
                Value::Text(text) => serde_json::to_writer(&mut *self.out, text.as_ref())?,
                Value::Blob(bytes) => write!(self.out, "\"{}\"", hexadecimal(bytes))?,
            }
        }
        write!(self.out, "}}")
    }
}

/// Prints comma-separated values, the names first.
struct Csv<'o> {
    out: &'o mut dyn Write,
}

impl Csv<'_> {
    fn line(&mut self, fields: impl Iterator<Item = String>) -> io::Result<()> {
        for (index, field) in fields.enumerate() {
            let before = if index == 0 { "" } else { "," };
            // RFC 4180: quoted when it must be, quotes doubled.
            match field.contains([',', '"', '\n', '\r']) {
                true => write!(self.out, "{before}\"{}\"", field.replace('"', "\"\""))?,
                false => write!(self.out, "{before}{field}")?,
            }
        }
        self.out.write_all(b"\r\n")
    }
}

impl Rows for Csv<'_> {
    fn columns(&mut self, names: &[&str]) -> io::Result<()> {
        self.line(names.iter().map(|&name| name.to_owned()))
    }

    fn row(&mut self, values: &[Value<'_>]) -> io::Result<()> {
        self.line(values.iter().map(|value| match value {
            Value::Null => String::new(),
            Value::Integer(value) => value.to_string(),
            Value::Real(value) => value.to_string(),
            Value::Text(text) => text.clone().into_owned(),
            Value::Blob(bytes) => hexadecimal(bytes),
        }))
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use naja_recording::{Header, Run, State, Thread, ThreadRuns, Writer};

    fn ask(query: &str, format: AnswerFormat, out: &mut dyn Write) -> Result<(), Failure> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("a.naja");
        let header = Header { interval_ns: 1_000_000, ..Header::default() };
        let mut writer = Writer::create(&file, &header).expect("the folder can be written");
        let batch = naja_recording::Batch {
            threads: vec![Thread { id: 1, name: "MainThread".to_owned(), ..Thread::default() }],
            runs: vec![ThreadRuns {
                thread: 1,
                first_tick: 0,
                runs: vec![Run { ticks: 2000, state: State::Native, ..Run::default() }],
            }],
            until_tick: 2000,
            ..naja_recording::Batch::default()
        };
        writer.write(&batch).expect("the batch is right");
        writer.finish().expect("the folder can be written");
        let arguments = SqlArguments { file, query: query.to_owned(), format, json: false };
        sql(&arguments, out)
    }

    #[track_caller]
    fn check(query: &str, format: AnswerFormat, expected: &str) {
        let mut out = Vec::new();
        let text = match ask(query, format, &mut out) {
            Ok(()) => String::from_utf8(out).expect("the answer is text"),
            Err(failure) => failure.to_string(),
        };
        assert_eq!(text, expected);
    }

    #[test]
    fn a_table_is_aligned() {
        check(
            "select thread_name as name, state, count(*) as samples, max(time_s) as last_s, null as missing,
             'a' || char(10) || 'b' as 'naïve', x'00ff' as bytes from samples
             union all select '東京', 'x', -1, 1e-9, 0, '', 'y'",
            AnswerFormat::Table,
            "\
name        state   samples  last_s  missing  naïve  bytes
----------  ------  -------  ------  -------  -----  ---------
MainThread  native     2000   1.999           a\\nb   (2 bytes)
東京        x            -1    1e-9        0         y
",
        );
        check(
            "select * from threads where 0",
            AnswerFormat::Table,
            "id  process  pid  os_tid  name  interpreter\n--  -------  ---  ------  ----  -----------\n",
        );
    }

    #[test]
    fn json_and_csv_keep_every_value() {
        let query = "select 1 as a, 0.5 as a, null as n, 'x,\"y' as t, x'00ff' as b";
        check(
            query,
            AnswerFormat::Json,
            "[\n{\"a\": 1, \"a:2\": 0.5, \"n\": null, \"t\": \"x,\\\"y\", \"b\": \"00ff\"}\n]\n",
        );
        check("select 1 where 0", AnswerFormat::Json, "[]\n");
        check(query, AnswerFormat::Csv, "a,a,n,t,b\r\n1,0.5,,\"x,\"\"y\",00ff\r\n");
    }

    #[test]
    fn an_error_has_sqlites_words_and_a_hint() {
        check("select 1 +", AnswerFormat::Table, "error[query-failed]: the query failed: incomplete input");
        check(
            "delete from meta",
            AnswerFormat::Table,
            "error[query-writes]: the query would change something
  hint: a recording is only read here; copy the file and change the copy with `sqlite3`",
        );
    }

    /// Takes some bytes, then acts like a pipe whose reader has gone.
    struct Closing(usize);

    impl Write for Closing {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.0 == 0 {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            let taken = bytes.len().min(self.0);
            self.0 -= taken;
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_goes_away_is_no_error() {
        for format in [AnswerFormat::Table, AnswerFormat::Json, AnswerFormat::Csv] {
            for bytes in [0, 100_000] {
                let query = "select * from samples a, samples b";
                ask(query, format, &mut Closing(bytes)).expect("a closed pipe is success");
            }
        }
    }
}
