//! Signals reach the program once, however they are sent.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStdout, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::{folder_with, naja, python};

/// Prints each signal that it gets, and what it counted at the end of its input.
const COUNTER: &str = r#"
import os, select, signal, sys
counts = {}
def count(number, frame):
    counts[number] = counts.get(number, 0) + 1
    print("got", number, flush=True)
for number in list(range(1, 32)) + [40]:
    if number not in (9, 17, 19, 13, 11, 7, 8, 4, 5, 31, 6):
        signal.signal(number, count)
print("pid", os.getpid(), flush=True)
# A signal just before a read that waits would be handled after it only.
while not select.select([0], [], [], 0.02)[0]: pass
print("counts", counts, flush=True)
"#;

struct Counter {
    child: Child,
    lines: BufReader<ChildStdout>,
    program: Pid,
}

impl Counter {
    /// Starts the counting program under naja, in a process group of its own.
    fn start(naja: &naja_testkit::naja::Naja) -> Option<(Counter, tempfile::TempDir)> {
        let folder = folder_with(&[("counter.py", COUNTER)]);
        let [_, way] = naja.with_and_without(python()?);
        let mut command = naja.command_of(&way);
        command.arg("counter.py").current_dir(folder.path()).process_group(0);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
        let lines = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut counter = Counter { child, lines, program: Pid::INIT };
        let line = counter.line();
        let pid = line.strip_prefix("pid ").and_then(|text| text.parse().ok()).and_then(Pid::from_raw);
        counter.program = pid.expect("the program says its number first");
        Some((counter, folder))
    }

    fn naja(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("a pipe can be read");
        line.trim_end().to_owned()
    }

    /// Lets the program end, and gives what it counted.
    fn end(mut self) -> String {
        writeln!(self.child.stdin.take().expect("a pipe"), "end").expect("it reads");
        loop {
            let line = self.line();
            assert!(!line.is_empty(), "the program ended early");
            if let Some(counts) = line.strip_prefix("counts ") {
                assert!(self.child.wait().expect("it ends").success());
                return counts.to_owned();
            }
        }
    }
}

#[test]
fn a_signal_to_naja_alone_is_passed_on_once() {
    let naja = naja();
    let Some((mut counter, _folder)) = Counter::start(&naja) else { return };
    for signal in [Signal::TERM, Signal::INT, Signal::HUP, Signal::QUIT, Signal::USR1, Signal::USR2] {
        kill_process(counter.naja(), signal).expect("naja lives");
        assert_eq!(counter.line(), format!("got {}", signal.as_raw()));
    }
    for signal in [Signal::WINCH, Signal::CONT, Signal::ALARM] {
        kill_process(counter.naja(), signal).expect("naja lives");
        assert_eq!(counter.line(), format!("got {}", signal.as_raw()));
    }
    assert_eq!(counter.end(), "{15: 1, 2: 1, 1: 1, 3: 1, 10: 1, 12: 1, 28: 1, 18: 1, 14: 1}");
}

#[test]
fn a_signal_to_the_whole_group_reaches_the_program_once() {
    let naja = naja();
    let Some((mut counter, _folder)) = Counter::start(&naja) else { return };
    for signal in [Signal::TERM, Signal::INT, Signal::USR1, Signal::CONT] {
        kill_process_group(counter.naja(), signal).expect("the group lives");
        assert_eq!(counter.line(), format!("got {}", signal.as_raw()));
    }
    // One that goes to naja alone afterwards: all that came before it has been dealt with by then.
    kill_process(counter.naja(), Signal::HUP).expect("naja lives");
    assert_eq!(counter.line(), "got 1");
    assert_eq!(counter.end(), "{15: 1, 2: 1, 10: 1, 18: 1, 1: 1}");
}

#[test]
fn a_signal_that_the_program_sends_to_its_group_does_not_come_back() {
    let program = r#"
import os, signal, sys
got = []
for number in (signal.SIGTERM, signal.SIGUSR1):
    signal.signal(number, lambda number, frame: got.append(number))
os.killpg(os.getpgrp(), signal.SIGTERM)
if os.fork() == 0:
    os.killpg(os.getpgrp(), signal.SIGUSR1)
    os._exit(0)
os.wait()
# What naja would send, it sends at once; a signal of the same kind comes after it.
os.kill(os.getppid(), signal.SIGTERM)
signal.sigtimedwait([signal.SIGHUP], 0.2)
print(sorted(got))
"#;
    let naja = naja();
    let Some(python) = python() else { return };
    let [_, way] = naja.with_and_without(python);
    let folder = folder_with(&[("group.py", program)]);
    let mut command = naja.command_of(&way);
    let output =
        command.arg("group.py").current_dir(folder.path()).process_group(0).output().expect("it starts");
    assert_eq!(naja_testkit::naja::block(&output, &[]), "exit code 0\n--- stdout\n[10, 15]\n--- stderr\n");
}

#[test]
fn a_queued_signal_keeps_its_value() {
    let program = r#"
import ctypes, os, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, [40])
print("ready", os.getppid(), flush=True)
info = signal.sigwaitinfo([40])
print(info.si_signo, info.si_code)
"#;
    let send = r#"
import ctypes, sys
class Value(ctypes.Union):
    _fields_ = [("number", ctypes.c_int), ("pointer", ctypes.c_void_p)]
ctypes.CDLL(None).sigqueue(int(sys.argv[1]), 40, Value(number=7))
"#;
    let naja = naja();
    let Some(python) = python() else { return };
    let [_, way] = naja.with_and_without(python);
    let folder = folder_with(&[("wait.py", program)]);
    let mut child = naja
        .command_of(&way)
        .arg("wait.py")
        .current_dir(folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let ready = lines.next().expect("a line").expect("text");
    let pid = ready.strip_prefix("ready ").expect("it is ready");
    assert!(Command::new(&python.path).args(["-c", send, pid]).status().expect("it starts").success());
    assert_eq!(lines.next().expect("a line").expect("text"), "40 -1");
    assert!(child.wait().expect("it ends").success());
}

#[test]
fn the_program_goes_on_when_naja_is_killed() {
    let naja = naja();
    let Some((mut counter, _folder)) = Counter::start(&naja) else { return };
    let input = counter.child.stdin.take();
    kill_process(counter.naja(), Signal::KILL).expect("naja lives");
    let status = counter.child.wait().expect("it ends");
    assert_eq!(status.signal(), Some(9));
    // The program still answers, and still gets what is sent to it.
    kill_process(counter.program, Signal::USR1).expect("the program lives");
    assert_eq!(counter.line(), "got 10");
    drop(input);
    assert_eq!(counter.line(), "counts {10: 1}");
}

#[test]
fn a_stopped_program_stops_naja_and_both_go_on_together() {
    let naja = naja();
    let Some((mut counter, _folder)) = Counter::start(&naja) else { return };
    kill_process(counter.program, Signal::STOP).expect("it lives");
    wait_for_state(counter.naja(), "T");
    kill_process_group(counter.naja(), Signal::CONT).expect("it lives");
    assert_eq!(counter.line(), "got 18");
    wait_for_state(counter.naja(), "S");
    assert_eq!(counter.end(), "{18: 1}");
}

#[test]
fn continuing_naja_alone_continues_the_program() {
    let naja = naja();
    let Some((mut counter, _folder)) = Counter::start(&naja) else { return };
    kill_process(counter.program, Signal::STOP).expect("it lives");
    wait_for_state(counter.naja(), "T");
    kill_process(counter.naja(), Signal::CONT).expect("it lives");
    assert_eq!(counter.line(), "got 18");
    assert_eq!(counter.end(), "{18: 1}");
}

#[test]
fn continuing_the_program_alone_continues_naja() {
    let naja = naja();
    let Some((mut counter, _folder)) = Counter::start(&naja) else { return };
    kill_process(counter.program, Signal::STOP).expect("it lives");
    wait_for_state(counter.naja(), "T");
    kill_process(counter.program, Signal::CONT).expect("it lives");
    assert_eq!(counter.line(), "got 18");
    wait_for_state(counter.naja(), "S");
    assert_eq!(counter.end(), "{18: 1}");
}

#[test]
fn names_that_mean_naja_do_not_find_its_witness() {
    let naja = naja();
    let Some((counter, _folder)) = Counter::start(&naja) else { return };
    let found =
        Command::new("pgrep").args(["-f", "-P", &counter.naja().as_raw_pid().to_string(), "naja"]).output();
    match found {
        Ok(found) => assert_eq!(String::from_utf8_lossy(&found.stdout), ""),
        Err(error) => naja_testkit::not_tested(&format!("pgrep: {error}")),
    }
    counter.end();
}

/// Waits until a process is in this state of `/proc`.
fn wait_for_state(pid: Pid, state: &str) {
    let path = format!("/proc/{}/stat", pid.as_raw_pid());
    for _ in 0..5000 {
        let text = std::fs::read_to_string(&path).expect("the process lives");
        let (_, fields) = text.rsplit_once(") ").expect("the name is in brackets");
        if fields.starts_with(state) {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    panic!("process {pid:?} is never in the state {state}");
}
