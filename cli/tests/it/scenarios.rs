//! What a sampler must get right, each as a program of which the truth is known: generators, recursion, exceptions,
//! the garbage collector, the GIL, interpreters within an interpreter, processes that come and go.
//!
//! Every test runs the real `naja record` around the program and reads collapsed stacks.

use std::path::Path;

use naja_testkit::interpreters::{Interpreter, interpreters};
use naja_testkit::naja::block;
use serde_json::Value;

use crate::{folder_with, naja, python};

/// What programs have at their start: work by processor time, so that a busy machine only makes them longer.
const PRELUDE: &str = "
import json, sys, threading, time
def until(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        for _ in range(50): pass
";

/// What was recorded of a program.
struct Recorded {
    /// The frames of a stack, outermost first, as `name (file:line)`, and how often it was seen.
    stacks: Vec<(Vec<String>, u64)>,
    /// The line of JSON that the program printed last, if it did.
    told: Value,
}

impl Recorded {
    /// Runs `naja record OPTIONS -- PYTHON app.py`, the program after [`PRELUDE`].
    fn of(interpreter: &Interpreter, options: &[&str], program: &str) -> Recorded {
        let folder = folder_with(&[("app.py", &format!("{PRELUDE}{program}"))]);
        let naja = naja();
        let mut command = naja.command();
        command.args(["record", "-o", "out.collapsed"]).args(options).arg("--").arg(&interpreter.path);
        let output = command.args(["-B", "app.py"]).current_dir(folder.path()).output().expect("naja starts");
        assert!(output.status.success(), "{interpreter}: {}", block(&output, &[]));
        let printed = String::from_utf8(output.stdout).expect("it is text");
        let told = printed.lines().last().and_then(|line| serde_json::from_str(line).ok());
        Recorded { stacks: read(&folder.path().join("out.collapsed")), told: told.unwrap_or_default() }
    }

    /// Samples of the stacks that this is true of.
    fn count(&self, is_wanted: impl Fn(&[String]) -> bool) -> u64 {
        self.stacks.iter().filter(|(frames, _)| is_wanted(frames)).map(|(_, count)| count).sum()
    }

    /// Samples with this function anywhere on the stack.
    fn with(&self, function: &str) -> u64 {
        self.count(|frames| frames.iter().any(|frame| is(frame, function)))
    }

    /// Samples with this function innermost.
    fn own(&self, function: &str) -> u64 {
        self.count(|frames| frames.last().is_some_and(|frame| is(frame, function)))
    }

    /// The stacks of the program itself, without those of its start.
    fn text(&self) -> String {
        let of_program = |frames: &&(Vec<String>, u64)| frames.0.iter().any(|frame| frame.contains("app.py"));
        let own = self.stacks.iter().filter(of_program);
        own.map(|(frames, count)| format!("{count} {}\n", frames.join(" > "))).take(50).collect()
    }
}

fn read(path: &Path) -> Vec<(Vec<String>, u64)> {
    let text = std::fs::read_to_string(path).expect("it was written");
    let stack = |line: &str| {
        let (frames, count) = line.rsplit_once(' ').expect("a line ends with a count");
        (frames.split(';').map(str::to_owned).collect(), count.parse().expect("it is a number"))
    };
    text.lines().map(stack).collect()
}

/// Whether a frame is of this function, by the last part of its name.
fn is(frame: &str, function: &str) -> bool {
    let name = frame.split(" (").next().unwrap_or_default();
    name.rsplit('.').next() == Some(function)
}

fn line(frame: &str) -> Option<u32> {
    frame.strip_suffix(')')?.rsplit_once(':')?.1.parse().ok()
}

/// Asserts that `part` of `whole` is the share that the program itself measured.
fn assert_share(what: &str, part: u64, whole: u64, truth: f64, points: f64, recorded: &Recorded) {
    let share = 100.0 * part as f64 / whole.max(1) as f64;
    assert!(
        (share - truth).abs() < points,
        "{what}: {share:.1} % of {whole} samples, and {truth:.1} % by the program's own clock\n{}",
        recorded.text()
    );
}

#[test]
fn functions_have_the_shares_that_the_program_measures_itself() {
    let program = "
took = dict.fromkeys(('tenth', 'third', 'rest'), 0)
def timed(function, seconds):
    begin = time.thread_time()
    function(seconds)
    took[function.__name__] += time.thread_time() - begin
def tenth(seconds): until(seconds)
def third(seconds): until(seconds)
def rest(seconds): until(seconds)
for _ in range(50):
    timed(tenth, 0.002)
    timed(third, 0.006)
    timed(rest, 0.012)
print(json.dumps(took))
";
    for interpreter in interpreters() {
        let recorded = Recorded::of(interpreter, &["--mode", "cpu"], program);
        let took = |name: &str| recorded.told[name].as_f64().expect("the program told it");
        let all = ["tenth", "third", "rest"];
        let whole_s: f64 = all.iter().map(|name| took(name)).sum();
        let whole: u64 = all.iter().map(|name| recorded.with(name)).sum();
        assert!(whole > 200, "{interpreter}: {}", recorded.text());
        for name in all {
            let what = format!("{interpreter}, {name}");
            assert_share(&what, recorded.with(name), whole, 100.0 * took(name) / whole_s, 10.0, &recorded);
        }
    }
}

#[test]
fn a_generator_is_on_the_stack_only_while_it_runs() {
    // Its consumer works on the lines 12 to 14, where the generator waits in its `yield`. Both work long enough to be seen:
    // a call of some ten nanoseconds hardly ever is (`docs/design/sampling.md`).
    let program = "def numbers():
    a, b = 0, 1
    while True:
        yield a
        for _ in range(30): a, b = b, (a + b) % 1000
def consume():
    for value in numbers():
        one = sum([value] * 50)
        two = sum([one] * 50)
        three = sum([two] * 50)
        if time.thread_time() > end: return three
end = time.thread_time() + 0.5
consume()
";
    for interpreter in interpreters() {
        let recorded = Recorded::of(interpreter, &[], program);
        let first = u32::try_from(PRELUDE.lines().count()).expect("it is short") + 8;
        let works = |frame: &str| line(frame).is_some_and(|line| (first..first + 3).contains(&line));
        let arithmetic =
            recorded.count(|frames| frames.last().is_some_and(|frame| is(frame, "consume") && works(frame)));
        assert!(arithmetic > 0, "{interpreter}: {}", recorded.text());
        assert!(recorded.with("numbers") > 0, "{interpreter}: {}", recorded.text());
        assert_eq!(recorded.with("numbers"), recorded.own("numbers"), "{interpreter}: it calls nothing");
        let called = recorded.count(|frames| {
            let place = frames.iter().position(|frame| is(frame, "numbers"));
            place.is_some_and(|place| place > 0 && is(&frames[place - 1], "consume"))
        });
        assert_eq!(called, recorded.with("numbers"), "{interpreter}: its consumer resumes it");
    }
}

#[test]
fn recursion_is_as_deep_as_it_is() {
    let program = "
def even(n): return until(0.02) if n == 0 else odd(n - 1)
def odd(n): return until(0.02) if n == 0 else even(n - 1)
for _ in range(15): even(30)
";
    for interpreter in interpreters() {
        let recorded = Recorded::of(interpreter, &[], program);
        let of = |frames: &[String], name: &str| frames.iter().filter(|frame| is(frame, name)).count();
        let working = recorded.count(|frames| of(frames, "until") == 1 && of(frames, "even") > 0);
        let whole = recorded
            .count(|frames| of(frames, "until") == 1 && of(frames, "even") == 16 && of(frames, "odd") == 15);
        assert!(working > 100, "{interpreter}: {}", recorded.text());
        // Callers alternate, always.
        let torn =
            recorded.count(|frames| frames.windows(2).any(|two| is(&two[0], "even") && is(&two[1], "even")));
        let wrong = working - whole + torn;
        // Up to 3.10 frames are objects on the heap that are freed and used again: one stack of some thousands can be
        // of two moments.
        let allowed = if interpreter.minor() <= 10 { 1 + working / 500 } else { 0 };
        assert!(wrong <= allowed, "{interpreter}: {wrong} of {working}\n{}", recorded.text());
    }
}

#[test]
fn a_handler_s_time_is_where_the_exception_is_handled() {
    let program = "
def fails(depth):
    if depth: fails(depth - 1)
    else: until(0.0005); raise KeyError(depth)
def handles():
    try: fails(10)
    except KeyError: cleans_up()
    finally: ends()
def cleans_up(): until(0.003)
def ends(): until(0.001)
for _ in range(100): handles()
";
    for interpreter in interpreters() {
        let recorded = Recorded::of(interpreter, &["--mode", "cpu"], program);
        for part in ["cleans_up", "ends"] {
            let both = recorded.count(|frames| {
                frames.iter().any(|frame| is(frame, "fails")) && frames.iter().any(|frame| is(frame, part))
            });
            assert_eq!(both, 0, "{interpreter}: the stack was unwound by then\n{}", recorded.text());
        }
        assert!(recorded.with("handles") > 100, "{interpreter}: {}", recorded.text());
        // The handler is the longest part of it.
        let (handling, failing) = (recorded.with("cleans_up"), recorded.with("fails"));
        assert!(handling > failing, "{interpreter}: {handling} and {failing}\n{}", recorded.text());
    }
}

#[test]
fn the_garbage_collector_is_shown_when_that_is_asked_for() {
    let program = "
import gc
class Costly:
    def __init__(self): self.me = self
    def __del__(self): until(0.005)
for _ in range(40):
    Costly()
    gc.collect()
";
    for interpreter in interpreters() {
        let shown = Recorded::of(interpreter, &["--gc"], program);
        let in_it = shown.count(|frames| frames.iter().any(|frame| frame.starts_with("<GC>")));
        assert!(in_it > 0, "{interpreter}: {}", shown.text());
        assert!(shown.with("__del__") > 0, "{interpreter}: {}", shown.text());
        let hidden = Recorded::of(interpreter, &[], program);
        assert_eq!(hidden.count(|frames| frames.iter().any(|frame| frame.contains("GC>"))), 0);
        assert!(hidden.with("__del__") > 0, "{interpreter}: {}", hidden.text());
    }
}

#[test]
fn modes_tell_working_from_holding_the_gil_and_from_waiting() {
    // `hashes` works without the GIL, `waits` does nothing.
    let program = "
import hashlib
data = bytes(5_000_000)
done = threading.Event()
def hashes():
    while not done.is_set(): hashlib.sha256(data).digest()
def counts():
    until(0.3)
    done.set()
def waits(): done.wait()
threads = [threading.Thread(target=each, name=each.__name__) for each in (hashes, counts, waits)]
for thread in threads: thread.start()
for thread in threads: thread.join()
";
    for interpreter in interpreters().iter().filter(|one| !one.free_threaded) {
        let of = |options: &[&str]| Recorded::of(interpreter, options, program);
        let (gil, cpu, wall) = (of(&["--gil"]), of(&["--mode", "cpu"]), of(&["--idle"]));
        assert!(gil.with("counts") > 20, "{interpreter}: {}", gil.text());
        assert!(gil.with("hashes") * 2 < gil.with("counts"), "{interpreter}: {}", gil.text());
        assert!(cpu.with("counts") > 20 && cpu.with("hashes") > 20, "{interpreter}: {}", cpu.text());
        // It does begin and end.
        let waiting = gil.with("waits") + cpu.with("waits");
        assert!(waiting * 5 < cpu.with("counts"), "{interpreter}: {}", cpu.text());
        assert!(wall.with("waits") > 100 && wall.with("counts") > 50, "{interpreter}: {}", wall.text());
    }
}

#[test]
fn threads_are_told_apart_by_name() {
    let program = "
def work(): until(0.2)
threads = [threading.Thread(target=work, name='worker %d' % number) for number in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
";
    for interpreter in interpreters() {
        let recorded = Recorded::of(interpreter, &["--threads"], program);
        for number in 0..4 {
            let name = format!("\"worker {number}\"");
            let own = recorded
                .count(|frames| frames[0].contains(&name) && frames.iter().any(|frame| is(frame, "work")));
            assert!(own > 10, "{interpreter}, {name}: {}", recorded.text());
        }
    }
}

#[test]
fn calls_through_c_stand_in_their_order() {
    // sorted() and map() call back into Python: what they call is under who called them.
    let program = "
def key(number):
    until(0.002)
    return -number
def sorts(): return sorted(range(60), key=key)
def maps(): return list(map(key, range(60)))
sorts()
maps()
";
    for interpreter in interpreters() {
        let recorded = Recorded::of(interpreter, &[], program);
        for caller in ["sorts", "maps"] {
            let called = recorded
                .count(|frames| frames.windows(2).any(|two| is(&two[0], caller) && is(&two[1], "key")));
            assert!(called > 30, "{interpreter}, {caller}: {}", recorded.text());
        }
    }
}

#[test]
fn coroutines_stand_under_who_awaits_them() {
    let program = "
import asyncio
async def leaf():
    until(0.01)
    await asyncio.sleep(0)
async def branch(): await leaf()
async def root():
    for _ in range(80): await branch()
loop = asyncio.new_event_loop()
loop.run_until_complete(root())
loop.close()
";
    for interpreter in interpreters() {
        let recorded = Recorded::of(interpreter, &[], program);
        let in_order = recorded.count(|frames| {
            frames
                .windows(3)
                .any(|three| is(&three[0], "root") && is(&three[1], "branch") && is(&three[2], "leaf"))
        });
        let working = recorded.count(|frames| frames.iter().any(|frame| is(frame, "leaf")));
        assert!(in_order > 100, "{interpreter}: {}", recorded.text());
        assert_eq!(in_order, working, "{interpreter}: {}", recorded.text());
    }
}

#[test]
fn an_interpreter_within_the_interpreter_is_recorded() {
    let program = "
try: import _interpreters as interpreters
except ImportError: import _xxsubinterpreters as interpreters
inside = '''
import time
def within():
    end = time.process_time() + 0.4
    while time.process_time() < end: pass
within()
'''
own = interpreters.create()
getattr(interpreters, 'run_string')(own, inside)
";
    for interpreter in interpreters() {
        let recorded = Recorded::of(interpreter, &[], program);
        assert!(recorded.with("within") > 50, "{interpreter}: {}", recorded.text());
        // One thread, one stack: who runs the interpreter is below what it runs.
        let below = recorded.count(|frames| {
            frames.first().is_some_and(|frame| frame.contains("app.py"))
                && is(&frames[frames.len() - 1], "within")
        });
        assert_eq!(below, recorded.own("within"), "{interpreter}: {}", recorded.text());
    }
}

#[test]
fn worker_processes_are_recorded_and_work_as_without() {
    let program = "
import concurrent.futures
def worker(number):
    until(0.15)
    return number * 2
if __name__ == '__main__':
    with concurrent.futures.ProcessPoolExecutor(2) as executor:
        print(json.dumps(list(executor.map(worker, range(4)))))
";
    for interpreter in interpreters() {
        let recorded = Recorded::of(interpreter, &["--subprocesses"], program);
        assert_eq!(recorded.told, serde_json::json!([0, 2, 4, 6]), "{interpreter}");
        assert!(recorded.with("worker") > 100, "{interpreter}: {}", recorded.text());
    }
}

#[test]
fn processes_that_come_and_go_while_they_are_read_do_no_harm() {
    let Some(interpreter) = python() else { return };
    let program = "
import os
def lives(seconds): until(seconds)
codes = []
for number in range(60):
    pid = os.fork()
    if pid == 0:
        lives(0.001 * (number % 12))
        os._exit(number)
    codes.append(os.waitpid(pid, 0)[1] >> 8)
print(json.dumps(codes))
";
    let recorded = Recorded::of(interpreter, &["--subprocesses", "--rate", "5000"], program);
    assert_eq!(recorded.told, serde_json::json!((0..60).collect::<Vec<_>>()));
    assert!(recorded.with("lives") > 50, "{}", recorded.text());
}
