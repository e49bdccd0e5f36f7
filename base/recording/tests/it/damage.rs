//! Files that are no recordings, or no longer: a clear error, never a panic, a hang or a huge allocation.

use std::path::{Path, PathBuf};

use naja_recording::sql::{Database, Rows, Value};
use naja_recording::*;
use rusqlite::Connection;

use crate::samples::{Numbers, busy, header, idle, program};

/// Reads all there is; the first error ends it.
fn read_all(path: &Path) -> Result<(), RecordingError> {
    struct Nothing;
    impl Rows for Nothing {
        fn columns(&mut self, _: &[&str]) -> std::io::Result<()> {
            Ok(())
        }
        fn row(&mut self, _: &[Value<'_>]) -> std::io::Result<()> {
            Ok(())
        }
    }
    let reader = Reader::open(path)?;
    reader.processes()?;
    reader.threads()?;
    reader.functions()?;
    reader.nodes()?;
    reader.metrics()?;
    reader.sources()?;
    reader.report()?;
    reader.runs(&mut |_| {})?;
    let database = Database::open(path)?;
    for (table, _) in sql::TABLES {
        database.query(&format!("select * from {table} limit 1000"), &mut Nothing)?;
    }
    Ok(())
}

/// A small recording of every kind of content.
fn recording(folder: &Path) -> PathBuf {
    let path = folder.join("whole.naja");
    let mut writer = Writer::create(&path, &header()).unwrap();
    let mut numbers = Numbers::new(5);
    let mut batch = program(2, 300);
    for step in 0..12 {
        let run = |thread, runs| ThreadRuns { thread, first_tick: step * 1000, runs };
        batch.runs = vec![run(1, busy(&mut numbers, 1000, 300)), run(2, idle(1000, 7))];
        batch.metrics = vec![Metric { tick: step * 1000, process: 1, cpu_ns: 1, rss_bytes: 1 }];
        batch.until_tick = step * 1000 + 1000;
        writer.write(&batch).unwrap();
        batch = Batch::default();
    }
    batch.sources.push(Source { file: "/srv/file1.py".to_owned(), text: "pass\n".repeat(50) });
    batch.until_tick = 12_000;
    writer.write(&batch).unwrap();
    writer.complete().unwrap();
    writer.set_report("{}").unwrap();
    writer.finish().unwrap();
    read_all(&path).unwrap();
    path
}

#[track_caller]
fn check(path: &Path, name: &str, part: &str) {
    let error = read_all(path).unwrap_err();
    assert_eq!(error.name(), name, "{error}");
    assert!(error.to_string().contains(part), "{error}");
}

#[test]
fn what_is_no_recording_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    };
    check(&folder.path().join("none"), "recording-not-found", "no such file");
    check(folder.path(), "not-a-recording", "it is a folder");
    check(Path::new("/dev/null"), "not-a-recording", "it is not a regular file");
    check(&file("empty", b""), "not-a-recording", "it is empty");
    check(&file("text", b"print('x')"), "not-a-recording", "it is not an SQLite file");
    check(&file("cut", b"SQLite format 3\0"), "recording-damaged", "it is cut short");

    let other = folder.path().join("other.db");
    Connection::open(&other).unwrap().execute_batch("create table t (a)").unwrap();
    check(&other, "not-a-recording", "it is another program's SQLite database");

    let newer = recording(folder.path());
    let change = |sql: &str| Connection::open(&newer).unwrap().execute_batch(sql).unwrap();
    change("pragma user_version = 1999; alter table threads add column more text; create table more (a)");
    read_all(&newer).unwrap();
    change("pragma user_version = 1000; alter table functions drop column kind");
    read_all(&newer).unwrap();
    change("pragma user_version = 2000");
    check(&newer, "recording-newer", "has format 2, this naja reads format 1");
}

#[test]
fn a_table_that_is_missing_or_a_trap_is_named() {
    let folder = tempfile::tempdir().unwrap();
    #[track_caller]
    fn after(folder: &Path, sql: &str, part: &str) {
        let path = folder.join("changed.naja");
        std::fs::copy(folder.join("whole.naja"), &path).unwrap();
        Connection::open(&path).unwrap().execute_batch(sql).unwrap();
        check(&path, "recording-damaged", part);
    }
    let folder = folder.path();
    recording(folder);
    after(folder, "drop table run_blocks", "the table `run_blocks` is missing");
    after(
        folder,
        "drop table metrics; create view metrics as with recursive n(i) as (select 1 union all
         select i + 1 from n) select i as tick, 1 as process, 1 as cpu_ns, 1 as rss_bytes from n",
        "the table `metrics` is missing",
    );
    after(folder, "delete from meta where key = 'until_tick'", "`until_tick` is missing");
    after(folder, "update meta set value = -1 where key = 'until_tick'", "");
    after(folder, "update meta set value = 1 << 50 where key = 'until_tick'", "its length is impossible");
    after(folder, "update meta set value = 'x' where key = 'interval_ns'", "");
    after(folder, "update meta set value = 5 where key = 'until_tick'", "a block is not what its row says");
    after(folder, "update run_blocks set thread = 2 where thread = 1", "a block is not what its row says");
    after(folder, "update run_blocks set data = zeroblob(60000000) where id = 1", "the block is too large");
    after(folder, "update run_blocks set data = x'' where id = 1", "the block is cut short");
    after(folder, "delete from node_blocks", "a sample's stack is missing");
    after(folder, "delete from functions where id = 20", "a stack node's function is missing");
    after(folder, "delete from functions where id = 10", "functions are missing");
    after(folder, "update processes set command = 'x'", "a command line is not a list");
    after(folder, "update threads set os_tid = -4", "");
}

/// Pages cut off, bytes changed at random: whatever is read is right or an error.
#[test]
fn a_file_that_was_cut_or_changed_never_panics() {
    let folder = tempfile::tempdir().unwrap();
    let whole = std::fs::read(recording(folder.path())).unwrap();
    let path = folder.path().join("damaged.naja");
    for len in (0..whole.len()).step_by(4001) {
        std::fs::write(&path, &whole[..len]).unwrap();
        assert!(read_all(&path).is_err(), "cut to {len} of {} bytes", whole.len());
    }
    let seed = u64::from(std::process::id());
    println!("seed {seed}");
    let mut numbers = Numbers::new(seed);
    let mut noticed = 0;
    for _ in 0..60 {
        let mut changed = whole.clone();
        for _ in 0..1 + numbers.below(8) {
            let at = numbers.below(whole.len() as u64) as usize;
            changed[at] ^= 1 << numbers.below(8);
        }
        std::fs::write(&path, &changed).unwrap();
        noticed += u32::from(read_all(&path).is_err());
    }
    println!("{noticed} of 60 changes were noticed");
    for _ in 0..20 {
        let noise: Vec<u8> = (0..5000).map(|_| numbers.next() as u8).collect();
        std::fs::write(&path, [&whole[..100], &noise].concat()).unwrap();
        assert!(read_all(&path).is_err());
    }
}
