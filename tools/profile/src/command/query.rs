//! `naja sql`: asks a recording in SQL and prints the answer as a table, as JSON or as CSV.
//!
//! Rows are printed as they are found. Start at [`sql`].

use std::io::{self, Write};
use std::path::PathBuf;

use naja_recording::RecordingError;
use naja_recording::sql::{Database, Rows, Value};
use naja_report::answer::{self, Answer, Form};
use naja_system::Failure;

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
    let form = match format {
        AnswerFormat::Table => Form::Table,
        AnswerFormat::Json => Form::Json,
        AnswerFormat::Csv => Form::Csv,
    };
    let mut printed = Printed(Answer::new(form, out));
    let answered = database.query(query, &mut printed);
    // A list is closed, and a table that is short is printed, only at its end; a list that is cut off stays open.
    if answered.is_ok() || form == Form::Table {
        printed.0.finish().map_err(RecordingError::Output)?;
    }
    answered
}

/// The rows of a recording, on their way to be printed.
struct Printed<'o>(Answer<'o>);

impl Rows for Printed<'_> {
    fn columns(&mut self, names: &[&str]) -> io::Result<()> {
        self.0.columns(names)
    }

    fn row(&mut self, values: &[Value<'_>]) -> io::Result<()> {
        let values: Vec<answer::Value<'_>> = values
            .iter()
            .map(|value| match value {
                Value::Null => answer::Value::Null,
                Value::Integer(value) => answer::Value::Integer(*value),
                Value::Real(value) => answer::Value::Real(*value),
                Value::Text(text) => answer::Value::Text(text),
                Value::Blob(bytes) => answer::Value::Bytes(bytes),
            })
            .collect();
        self.0.row(&values)
    }
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
