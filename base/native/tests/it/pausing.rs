//! Whoever is paused comes to no harm.

use std::sync::atomic::{AtomicBool, Ordering};

use naja_native::pause::{PauseError, Pauser};

use crate::{Running, programs};

fn tids(pid: u32) -> Vec<u32> {
    let Ok(entries) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

#[test]
fn signals_that_come_during_a_thousand_pauses_are_all_delivered() {
    let mut running = Running::ready(&programs().full, &["signals"]);
    let pid = running.pid();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let pauses = scope.spawn(|| {
            let mut pauser = Pauser::default();
            let mut seen = 0;
            while seen < 1000 || !done.load(Ordering::Relaxed) {
                let outcome = pauser.pause(pid, &mut |registers| assert_ne!(registers.pc, 0));
                assert!(matches!(outcome, Ok(()) | Err(PauseError::Late)), "{outcome:?}");
                seen += u64::from(outcome.is_ok());
            }
            assert_eq!(pauser.figures().count, seen);
            assert!(pauser.figures().quantile_ns(0.5) > 0);
        });
        for _ in 0..200 {
            let kill = format!("kill -USR1 {pid}");
            assert!(std::process::Command::new("sh").args(["-c", &kill]).status().unwrap().success());
            assert_eq!(running.read_byte(), b's');
        }
        done.store(true, Ordering::Relaxed);
        pauses.join().unwrap();
    });
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    assert!(status.contains("TracerPid:\t0") && status.contains("State:\tR"), "{status}");
}

#[test]
fn a_program_that_stops_stays_stopped_and_goes_on_when_told() {
    let running = Running::ready(&programs().full, &["spin"]);
    let pid = running.pid();
    let mut pauser = Pauser::default();
    let state = || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        stat.rsplit_once(") ").unwrap().1.chars().next().unwrap()
    };
    let kill = |signal: &str| {
        let words = format!("kill -{signal} {pid}");
        assert!(std::process::Command::new("sh").args(["-c", &words]).status().unwrap().success());
    };
    kill("STOP");
    while state() != 'T' {}
    let _ = pauser.pause(pid, &mut |_| {});
    while pauser.has_late() {
        pauser.settle();
    }
    while state() != 'T' {}
    kill("CONT");
    while state() != 'R' {}
}

#[test]
fn threads_that_end_while_they_are_paused_end() {
    let mut running = Running::ready(&programs().full, &["threads"]);
    let mut pauser = Pauser::default();
    let status = loop {
        for tid in tids(running.pid()) {
            let _ = pauser.pause(tid, &mut |_| {});
        }
        pauser.settle();
        if let Some(status) = running.child.try_wait().unwrap() {
            break status;
        }
    };
    assert_eq!(status.code(), Some(7));
    assert_eq!(pauser.pause(running.pid(), &mut |_| {}), Err(PauseError::Gone));
}

#[test]
fn a_program_that_becomes_another_while_it_is_paused_becomes_it() {
    let mut running = Running::start(&programs().full, &["exec", "40"]);
    let mut pauser = Pauser::default();
    let status = loop {
        let _ = pauser.pause(running.pid(), &mut |_| {});
        pauser.settle();
        if let Some(status) = running.child.try_wait().unwrap() {
            break status;
        }
    };
    assert_eq!(status.code(), Some(7));
}
