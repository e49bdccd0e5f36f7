//! Whoever is visited does what it was asked, and goes on as if nothing had been.
#![cfg(target_arch = "x86_64")]

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use naja_native::modules::ModuleFiles;
use naja_native::visit::{Visit, VisitError};

use crate::Running;

fn visited() -> PathBuf {
    static BUILT: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let (_, program) = BUILT.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let source = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/visited.c");
        let program = folder.path().join("visited");
        let built = Command::new("cc").args(["-O2", "-pthread", "-o"]).arg(&program).arg(source).status();
        assert!(built.unwrap().success());
        (folder, program)
    });
    program.clone()
}

/// Has the process write a byte itself, again and again until it ends; how often.
fn visit_until_over(running: &mut Running) -> u32 {
    let pid = running.pid();
    let mut files = ModuleFiles::default();
    let mut count = 0;
    while running.child.try_wait().unwrap().is_none() {
        let mut visit = match Visit::begin(pid, &mut files, Duration::from_secs(5)) {
            Ok(visit) => visit,
            Err(VisitError::Gone) => break,
            Err(error) => panic!("{error} after {count} visits"),
        };
        let write = visit.function(&["write"]).unwrap();
        for byte in [b'a', b'b'] {
            let place = visit.place(&[byte]).unwrap();
            match visit.call(write, &[1, place, 1]) {
                Ok(()) => assert_eq!(running.read_byte(), byte),
                Err(VisitError::Gone) => return count,
                Err(error) => panic!("{error} after {count} visits"),
            }
        }
        visit.end().unwrap();
        count += 1;
        std::thread::sleep(Duration::from_millis(7));
    }
    count
}

fn check(word: &str, count_min: u32) {
    let mut running = Running::ready(&visited(), &[word]);
    let count = visit_until_over(&mut running);
    assert_eq!(running.child.wait().unwrap().code(), Some(7), "{word}, {count} visits");
    assert!(count >= count_min, "{word}: {count}");
}

#[test]
fn a_program_that_sleeps_sleeps_as_long_as_it_wanted() {
    check("sleep", 20);
}

#[test]
fn a_program_that_waits_for_files_waits_as_long_as_it_wanted() {
    check("poll", 20);
}

#[test]
fn a_program_that_computes_finds_its_registers_as_they_were() {
    check("compute", 20);
}

#[test]
fn a_program_whose_threads_are_always_at_malloc_is_visited_where_they_are_not() {
    check("malloc", 4);
}

#[test]
fn a_program_that_is_stopped_is_not_visited() {
    let running = Running::ready(&visited(), &["compute"]);
    let pid = running.pid();
    let kill = |signal: &str| {
        let words = format!("kill -{signal} {pid}");
        assert!(Command::new("sh").args(["-c", &words]).status().unwrap().success());
    };
    kill("STOP");
    let start = Instant::now();
    let mut files = ModuleFiles::default();
    // The signal needs a moment.
    let error = loop {
        match Visit::begin(pid, &mut files, Duration::from_secs(5)) {
            Ok(visit) => drop(visit),
            Err(error) => break error,
        }
        assert!(start.elapsed() < Duration::from_secs(10));
    };
    assert_eq!(error, VisitError::Stopped);
    kill("CONT");
}
