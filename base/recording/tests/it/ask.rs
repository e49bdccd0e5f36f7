//! SQL over a recording: the packed tables say the same as the reader, and nothing is ever changed.

use naja_recording::sql::{Database, Rows, TABLES, Value};
use naja_recording::*;

use crate::samples::{Numbers, busy, header, idle, program};

#[derive(Default)]
struct Text(String);

impl Rows for Text {
    fn columns(&mut self, _: &[&str]) -> std::io::Result<()> {
        Ok(())
    }

    fn row(&mut self, values: &[Value<'_>]) -> std::io::Result<()> {
        let words: Vec<String> = values
            .iter()
            .map(|value| match value {
                Value::Null => "-".to_owned(),
                Value::Integer(value) => value.to_string(),
                Value::Real(value) => value.to_string(),
                Value::Text(text) => text.clone().into_owned(),
                Value::Blob(bytes) => format!("{} bytes", bytes.len()),
            })
            .collect();
        self.0 += &format!("{}\n", words.join(" "));
        Ok(())
    }
}

fn answer(database: &Database, query: &str) -> String {
    let mut text = Text::default();
    match database.query(query, &mut text) {
        Ok(()) => text.0,
        Err(error) => format!("{}: {error}\n", error.name()),
    }
}

#[track_caller]
fn check(database: &Database, query: &str, expected: &str) {
    assert_eq!(answer(database, query).trim_end(), expected, "{query}");
}

fn recording(path: &std::path::Path) -> Writer {
    let mut writer = Writer::create(path, &header()).unwrap();
    let mut numbers = Numbers::new(11);
    let mut batch = program(3, 100);
    for step in 0..100 {
        let first_tick = step * 250;
        let run = |thread, runs| ThreadRuns { thread, first_tick, runs };
        batch.runs = vec![run(1, busy(&mut numbers, 250, 100)), run(2, idle(250, 100))];
        if step == 50 {
            let late = ThreadRuns { thread: 3, first_tick: first_tick + 100, runs: idle(20, 0) };
            batch.runs.push(late);
        }
        batch.metrics =
            vec![Metric { tick: first_tick, process: 1, cpu_ns: step * 250_000_000, rss_bytes: 4096 }];
        if step == 7 {
            batch.allocation_places = vec![
                AllocationPlace { id: 1, process: 1, thread: 2, node: 100, allocator: 1 },
                AllocationPlace { id: 2, process: 1, thread: 1, node: 0, allocator: 10 },
            ];
            batch.allocation_tallies = vec![tally(1, 3, 4), tally(2, 5, 2)];
            batch.allocation_peaks = Some(4);
        }
        batch.until_tick = first_tick + 250;
        writer.write(&batch).unwrap();
        batch = Batch::default();
    }
    writer
}

/// A place with so many blocks of 10 bytes, of which it had one less at this peak.
fn tally(place: u32, blocks: u64, peak: u64) -> AllocationTally {
    let amount = |blocks| Amount { blocks, bytes: blocks * 10 };
    let (now, at_peak) = (amount(blocks), amount(blocks - 1));
    AllocationTally { place, given: amount(blocks + 2), now, at_peak, peak, temporary: amount(1) }
}

#[test]
fn allocations_have_their_place_and_what_they_were_at_the_last_peak() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.naja");
    recording(&path).finish().unwrap();
    let database = Database::open(&path).unwrap();
    // What has not changed since an earlier peak was at the last one what it is.
    check(
        &database,
        "select * from allocations order by place",
        "1 1 4211 2 4212 malloc 100 Class.f1 /srv/file1.py 100 5 50 3 30 2 20 1 10\n\
         2 1 4211 1 4211 mmap 0 - - - 7 70 5 50 5 50 1 10",
    );
    let reader = Reader::open(&path).unwrap();
    assert_eq!(reader.allocation_places().unwrap().len(), 2);
    let peaks: Vec<u64> =
        reader.allocation_tallies().unwrap().iter().map(|tally| tally.at_peak.bytes).collect();
    assert_eq!(peaks, [20, 50]);
}

#[test]
fn samples_are_one_row_a_tick_and_thread() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.naja");
    let mut writer = recording(&path);
    // The same of a copy of one that is being written, and of a file.
    for live in [true, false] {
        let database = Database::open(&path).unwrap();
        let check = |query, expected| check(&database, query, expected);
        check("select thread, count(*) from samples group by 1", "1 25000\n2 25000\n3 20");
        check("select min(tick), max(tick), max(time_s) from samples", "0 24999 24.999");
        check(
            "select * from samples where thread = 2 and tick = 12",
            "12 0.012 4211 1 2 4212 Thread-2 lock-wait 0 0 100 Class.f1 /srv/file1.py 100",
        );
        check(
            "select * from samples where thread = 3 and tick >= 12619",
            "12619 12.619 4211 1 3 4213 Thread-3 lock-wait 0 0 - - - -",
        );
        check("select count(*) from samples where time_s >= 0.5 and time_s < 1", "1000");
        check("select count(*) from samples where tick between 600 and 699 and thread in (1, 3)", "100");
        check("select count(*) from samples where tick > 24998.5 or tick < 0.5", "4");
        check("select count(*) from samples where thread = 1 and tick = null", "0");
        check("select count(*) from samples where thread = 'x'", "0");
        check("select count(*) from samples where tick < '3'", "6");
        check("select count(*) from (select 1 from samples limit 7 offset 49995)", "7");
        check(
            "select s.tick, s.line = k.line, k.depth, k.function = s.function from samples s join stacks k
             on k.id = s.stack where s.thread = 2 and s.tick in (3, 4)",
            "3 1 5 1\n4 1 5 1",
        );
        if live {
            writer.complete().unwrap();
        }
    }
}

/// Narrowing must never lose a row: compared with the same question asked so that nothing is narrowed.
#[test]
fn bounds_only_narrow_what_is_unpacked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.naja");
    recording(&path).finish().unwrap();
    let database = Database::open(&path).unwrap();
    let mut numbers = Numbers::new(u64::from(std::process::id()));
    for _ in 0..15 {
        let (from, span) = (numbers.below(26_000), numbers.below(3_000));
        let thread = 1 + numbers.below(3);
        let ask = |tick: &str, time: &str, id: &str| {
            let bounds = [
                format!("{tick} >= {from} and {tick} < {} and {id} = {thread}", from + span),
                format!("{time} > {0}e-3 and {time} <= {1}e-3 and {id} <= {thread}", from, from + span),
            ];
            bounds.map(|bounds| {
                let sums = "count(*), sum(tick), sum(stack), sum(gil)";
                answer(&database, &format!("select {sums} from samples where {bounds}"))
            })
        };
        // A plus sign hides a column from the planner.
        assert_eq!(ask("tick", "time_s", "thread"), ask("+tick", "+time_s", "+thread"));
    }
}

#[test]
fn every_table_has_the_columns_that_the_hint_names() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.naja");
    recording(&path).finish().unwrap();
    let database = Database::open(&path).unwrap();
    for (table, columns) in TABLES {
        let named = answer(&database, &format!("select {columns} from {table} limit 50"));
        assert_eq!(named, answer(&database, &format!("select * from {table} limit 50")), "{table}");
        assert!(!named.is_empty() || table == "report");
    }
    check(
        &database,
        "select node, function, line from stack_frames where stack = 100 order by level",
        "100 Class.f1 100\n33 Class.f14 33\n11 Class.f12 11\n3 Class.f4 3\n1 Class.f2 1",
    );
    check(&database, "select count(*), sum(depth) from stacks", "100 384");
    check(&database, "select count(*) from stack_frames", "384");
    check(&database, "select * from functions where id = 2", "2 f2 Class.f2 /srv/file2.py 20 task");
    check(&database, "select max(time_s), max(cpu_s) from metrics where pid = 4211", "24.75 24.75");
    check(&database, "select value from meta where key = 'complete'", "1");
}

#[test]
fn what_is_wrong_with_a_query_is_said_in_sqlites_words() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.naja");
    recording(&path).finish().unwrap();
    let before = std::fs::read(&path).unwrap();
    let database = Database::open(&path).unwrap();
    let check = |query, expected| check(&database, query, expected);
    check("select * from sample", "query-failed: the query failed: no such table: sample");
    check("select tic from samples", "query-failed: the query failed: no such column: tic");
    check("selec", "query-failed: the query failed: near \"selec\": syntax error");
    check(" -- nothing", "query-failed: the query failed: there is no statement");
    check("select 1; select 2", "query-failed: the query failed: there is more than one statement");
    check("select 1; -- no more", "1");
    let failure = database.query("select * from sample", &mut Text::default()).unwrap_err();
    let failure = naja_system::Failure::from(failure);
    assert!(failure.hint_text().unwrap().contains("\n    samples (tick, time_s, "));

    let other = folder.path().join("other.db");
    for query in [
        "delete from main.meta",
        "insert into meta values ('a', 1)",
        "create table t (a)",
        "create temp table t as select 1",
        "drop table run_blocks",
        "pragma user_version = 3",
        "pragma journal_mode = wal",
        &format!("attach '{}' as other", other.display()),
        &format!("vacuum into '{}'", other.display()),
        "begin immediate",
        "reindex",
    ] {
        check(query, "query-writes: the query would change something");
    }
    assert!(!other.exists());
    drop(database);
    assert!(before == std::fs::read(&path).unwrap());
}

/// The reference's page names the tables as they are, and its questions have answers.
#[test]
fn the_reference_is_right() {
    let page = include_str!("../../../../docs/reference/recording-format.md");
    for (table, columns) in TABLES {
        let line = format!("| `{table}` | `{}` |", columns.replace(", ", "`, `"));
        assert!(page.contains(&line), "the page lacks: {line}");
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.naja");
    recording(&path).finish().unwrap();
    let database = Database::open(&path).unwrap();
    let questions: Vec<&str> =
        page.split("naja sql app.naja \"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert_eq!(questions.len(), 3);
    for question in questions {
        let answer = answer(&database, question);
        assert!(answer.lines().count() > 2, "{question}: {answer}");
    }
}
