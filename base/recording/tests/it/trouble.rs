//! A disk that is full, a file that others hold: what was written stays, and nothing is lost.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use naja_recording::*;
use rusqlite::Connection;

use crate::samples::{Numbers, busy, header, program};

fn batch(step: u64) -> Batch {
    let first = if step == 0 { program(1, 100) } else { Batch::default() };
    let runs = busy(&mut Numbers::new(step), 250, 100);
    Batch {
        runs: vec![ThreadRuns { thread: 1, first_tick: step * 250, runs }],
        until_tick: step * 250 + 250,
        ..first
    }
}

fn samples(reader: &Reader<'_>) -> u64 {
    let mut samples = 0;
    let mut add = |runs: ThreadRuns| samples += runs.runs.iter().map(|run| u64::from(run.ticks)).sum::<u64>();
    reader.runs(&mut add).unwrap();
    samples
}

#[test]
fn a_reader_that_holds_the_file_loses_nothing_and_stops_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.naja");
    let mut writer = Writer::create(&path, &header()).unwrap();
    writer.write(&batch(0)).unwrap();

    let other = Connection::open(&path).unwrap();
    other.execute_batch("begin; select count(*) from meta").unwrap();
    let held: i64 = other.query_row("select count(*) from run_blocks", [], |row| row.get(0)).unwrap();
    assert_eq!(held, 1);
    for step in 1..60 {
        writer.write(&batch(step)).unwrap();
    }
    // Nothing could be stored, and the file can still be read.
    assert_eq!(samples(&Reader::open(&path).unwrap()), 250);
    other.execute_batch("commit").unwrap();
    writer.write(&batch(60)).unwrap();
    assert_eq!(samples(&Reader::open(&path).unwrap()), 61 * 250);
    writer.finish().unwrap();
    assert_eq!(samples(&Reader::open(&path).unwrap()), 61 * 250);
}

#[test]
fn a_recording_that_has_just_been_made_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    for number in 0..50 {
        let path = folder.path().join(format!("{number}.naja"));
        let writing = path.clone();
        let writer = std::thread::spawn(move || Writer::create(&writing, &header()).unwrap());
        while !path.exists() {
            std::thread::yield_now();
        }
        // The file is there before its first transaction is.
        assert_eq!(samples(&Reader::open(&path).unwrap()), 0);
        writer.join().unwrap().finish().unwrap();
    }
}

#[test]
fn reading_again_and_again_never_disturbs_the_writer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.naja");
    let mut writer = Writer::create(&path, &header()).unwrap();
    writer.write(&batch(0)).unwrap();
    let reading = path.clone();
    // Another process would be fairer: locks within one are shared. The kill test has those.
    let readers = std::thread::spawn(move || {
        let (mut last, mut count, begin) = (0, 0, Instant::now());
        while last < 200 * 250 {
            let reader = Database::samples(&reading);
            assert!(reader >= last, "{reader} after {last}");
            last = reader;
            count += 1;
            assert!(begin.elapsed() < Duration::from_secs(60), "stuck at {last}");
        }
        count
    });
    for step in 1..200 {
        writer.write(&batch(step)).unwrap();
    }
    // What the last batches could not store, these do.
    while !readers.is_finished() {
        writer.write(&Batch { until_tick: 200 * 250, ..Batch::default() }).unwrap();
        std::thread::yield_now();
    }
    println!("read {} times", readers.join().unwrap());
}

/// Counts samples through SQL.
struct Database;

impl Database {
    fn samples(path: &Path) -> u64 {
        struct One(u64);
        impl sql::Rows for One {
            fn columns(&mut self, _: &[&str]) -> std::io::Result<()> {
                Ok(())
            }
            fn row(&mut self, values: &[sql::Value<'_>]) -> std::io::Result<()> {
                if let sql::Value::Integer(count) = values[0] {
                    self.0 = count.cast_unsigned();
                }
                Ok(())
            }
        }
        let mut one = One(0);
        let database = sql::Database::open(path).unwrap();
        database.query("select count(*) from samples where thread = 1", &mut one).unwrap();
        one.0
    }
}

/// A file system of half a megabyte; unmounted when dropped. Only root may have one.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(path: &Path) -> Option<SmallDisk> {
        std::fs::create_dir(path).unwrap();
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=512k", "naja-test"]).arg(path).status();
        mounted.is_ok_and(|status| status.success()).then(|| SmallDisk(path.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn a_disk_that_fills_up_keeps_what_it_has_and_the_rest_goes_to_memory() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(&folder.path().join("disk")) else {
        naja_testkit::not_tested("a recording on a full disk: only root can mount a small one");
        return;
    };
    let path = disk.0.join("a.naja");
    let mut writer = Writer::create(&path, &header()).unwrap();
    // A batch that did not fit goes with the next; that may fit again, until nothing does.
    let (mut given, mut stored) = (0, 0);
    while given < stored + 20 {
        match writer.write(&batch(given)) {
            Ok(()) => stored = given + 1,
            Err(error) => assert_eq!(error.name(), "disk-full", "{error}"),
        }
        given += 1;
        assert!(given < 10_000);
    }
    assert!(stored > 100);
    writer.go_on_in_memory().unwrap();
    writer.write(&batch(given)).unwrap();
    given += 1;
    assert_eq!(samples(&writer.reader().unwrap()), given * 250);
    writer.complete().unwrap();
    assert_eq!(samples(&writer.reader().unwrap()), given * 250);
    drop(writer);
    let reader = Reader::open(&path).unwrap();
    assert_eq!(samples(&reader), stored * 250);
    drop(reader);
    let left: Vec<_> = std::fs::read_dir(&disk.0).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");

    std::fs::remove_file(&path).unwrap();
    std::fs::write(disk.0.join("filler"), vec![0; 1 << 20]).unwrap_err();
    let error = Writer::create(&path, &header()).err().unwrap();
    assert_eq!(error.name(), "disk-full", "{error}");
    assert!(!path.exists());
}
