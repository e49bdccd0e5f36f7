//! A writer that is killed at any moment leaves a readable file with all that it had acknowledged.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use naja_recording::*;

use crate::samples::{Numbers, busy, header, idle, program};

const FILE: &str = "NAJA_TEST_KILLED_RECORDING";
const TICKS: u32 = 50;

/// The child: writes until it is killed, and says after each batch how many there are.
#[test]
fn the_writer_that_is_killed() {
    let Ok(path) = std::env::var(FILE) else {
        return;
    };
    let mut writer = Writer::create(Path::new(&path), &header()).unwrap();
    writer.write(&program(2, 1000)).unwrap();
    let mut numbers = Numbers::new(1);
    let mut out = std::io::stdout();
    for step in 0.. {
        let first_tick = step * u64::from(TICKS);
        let run = |thread, runs| ThreadRuns { thread, first_tick, runs };
        let batch = Batch {
            runs: vec![run(1, busy(&mut numbers, TICKS, 1000)), run(2, idle(TICKS, 5))],
            until_tick: first_tick + u64::from(TICKS),
            ..Batch::default()
        };
        writer.write(&batch).unwrap();
        writeln!(out, "acknowledged {}", step + 1).unwrap();
    }
}

#[test]
fn a_kill_at_any_moment_loses_nothing_that_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let mut numbers = Numbers::new(u64::from(std::process::id()));
    let mut cut_off = 0;
    for round in 0..40 {
        let path = folder.path().join(format!("{round}.naja"));
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["kill::the_writer_that_is_killed", "--exact", "--nocapture"])
            .env(FILE, &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut acknowledged = 0;
        let mut count = |line: std::io::Result<String>| {
            // A last line without its end may be cut within its number.
            let line = line.unwrap();
            if let Some(number) = line.split("acknowledged ").nth(1) {
                acknowledged = number.parse::<u64>().unwrap().max(acknowledged);
            }
            acknowledged
        };
        while count(lines.next().unwrap()) == 0 {}
        // Any moment will do: the sleep only spreads the kills over the writer's work.
        std::thread::sleep(Duration::from_micros(numbers.below(20_000)));
        child.kill().unwrap();
        lines.for_each(|line| {
            count(line);
        });
        assert_eq!(child.wait().unwrap().signal(), Some(9));

        cut_off += u32::from(path.with_extension("naja-journal").exists());
        let reader = Reader::open(&path).unwrap();
        assert!(!reader.is_complete() && !reader.is_live());
        let until = reader.until_tick();
        assert!(
            until >= acknowledged * u64::from(TICKS),
            "round {round}: {acknowledged} batches were acknowledged, ticks end at {until}"
        );
        let mut ticks = [0u64; 3];
        reader
            .runs(&mut |runs| {
                let sum: u64 = runs.runs.iter().map(|run| u64::from(run.ticks)).sum();
                ticks[runs.thread as usize] += sum;
            })
            .unwrap();
        assert_eq!(ticks, [0, until, until], "round {round}");
        assert_eq!(reader.nodes().unwrap().len(), 1000);
        let database = rusqlite::Connection::open(&path).unwrap();
        let whole: String = database.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(whole, "ok", "round {round}");
        drop(database);
        assert!(!path.with_extension("naja-journal").exists());
    }
    println!("{cut_off} of 40 kills came within a transaction");
}
