//! Whole stacks with their lines, on every CPython.
//!
//! A program that stands still is held against what its interpreter says of its own frames; a program that
//! runs is held against the only stacks that it can have. Start at [`check_standing`] and [`check_running`].

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use naja_cpython::code::{CodeInfo, read_code};
use naja_cpython::locate::Located;
use naja_cpython::memory::LiveProcess;
use naja_cpython::reader::{Frame, Outcome, StackReader, Thread};
use naja_testkit::interpreters::{Interpreter, interpreters};
use naja_testkit::target::Target;

use crate::{find, skip};

/// A target whose stacks are read as text.
struct Observed {
    memory: LiveProcess,
    located: Located,
    reader: StackReader,
    codes: HashMap<u64, CodeInfo>,
}

impl Observed {
    fn new(target: &Target) -> Observed {
        let (memory, located) = find(target);
        let reader = StackReader::new((&located).into());
        Observed { memory, located, reader, codes: HashMap::new() }
    }

    /// Samples all threads; `false` when the lists of threads could not be had.
    fn sample(&mut self) -> bool {
        self.reader.sample(&self.memory, &mut |_| false).is_ok()
    }

    /// Name, file and line of a frame. Code objects are taken to stay where they are.
    fn place(&mut self, frame: Frame) -> Option<(&CodeInfo, u32)> {
        let code = match self.codes.entry(frame.code) {
            std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::hash_map::Entry::Vacant(new) => {
                new.insert(read_code(&self.memory, &self.located, frame.code).ok()?)
            }
        };
        let code: &CodeInfo = code;
        Some((code, code.line_at(frame.instruction)))
    }

    /// The valid stacks of the last sample as text, outermost frame first, by interpreter and thread.
    fn stacks(&mut self) -> BTreeMap<(u64, u64), Vec<String>> {
        let interpreters: Vec<u64> = self.reader.interpreters().iter().map(|one| one.id).collect();
        let valid = self.reader.threads().iter().filter(|thread| thread.outcome == Outcome::Valid);
        let read = |thread: &Thread| {
            let interpreter = interpreters[thread.interpreter];
            // Up to 3.11 a thread of another interpreter has the number of the one that made the interpreter.
            ((interpreter, if interpreter == 0 { thread.ident } else { 0 }), thread.frames.clone())
        };
        let frames: Vec<((u64, u64), Vec<Frame>)> = valid.map(read).collect();
        let mut stacks = BTreeMap::new();
        for (thread, frames) in frames {
            let text = frames.into_iter().filter_map(|frame| match self.place(frame) {
                Some((code, _)) if code.is_the_interpreters_own() => None,
                Some((code, line)) => Some(format!("{} {}:{line}", code.qualified_name, code.file)),
                None => Some("?".to_owned()),
            });
            stacks.insert(thread, text.collect());
        }
        stacks
    }
}

/// What comes before every program that stands still: threads note their own frames, then block on that line.
const STANDING: &str = r#"
import json, os, sys, threading, time
STACKS = []
def note(level=1):
    frame, frames = sys._getframe(level), []
    while frame:
        code = frame.f_code
        name = getattr(code, "co_qualname", code.co_name)
        frames.append("%s %s:%d" % (name, code.co_filename, frame.f_lineno))
        frame = frame.f_back
    STACKS.append({"interpreter": 0, "thread": threading.get_ident(), "frames": frames[::-1]})
    return 0  # standard input, on which nothing ever comes
def ready(others=0):
    while len(STACKS) < others: time.sleep(0.001)
    note(2)
    print(json.dumps(STACKS), flush=True)
    return 0
"#;

/// Runs a program that stands still on every interpreter. All that it has noted must be what is read, frame
/// by frame; and the names on one of its stacks must be `names(minor)`, innermost last, so that the program
/// is known to do what the test is about.
fn check_standing(program: &str, names: impl Fn(u8) -> &'static str) {
    for interpreter in interpreters() {
        let target = Target::start(interpreter, &format!("{STANDING}{program}"));
        check_noted(interpreter, &target, names(interpreter.minor()));
    }
}

/// The check itself, on a target that is ready.
fn check_noted(interpreter: &Interpreter, target: &Target, names: &str) {
    let mut observed = Observed::new(target);
    let expected = noted(target);
    assert!(!expected.is_empty(), "{interpreter}: nothing was noted");
    // A thread that has just noted its stack needs a moment to block.
    let mut seen = BTreeMap::new();
    for _ in 0..4000 {
        if observed.sample() {
            seen = observed.stacks();
            if expected.iter().all(|(thread, frames)| seen.get(thread) == Some(frames)) {
                break;
            }
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    for (thread, frames) in &expected {
        let read = seen
            .get(thread)
            .unwrap_or_else(|| panic!("{interpreter}: {thread:?} not among {:?}", seen.keys()));
        let differs = (0..frames.len().max(read.len())).find(|i| frames.get(*i) != read.get(*i));
        if let Some(i) = differs {
            panic!(
                "{interpreter}: {} frames, {} were read; frame {i} is {:?}, {:?} was read",
                frames.len(),
                read.len(),
                frames.get(i),
                read.get(i)
            );
        }
    }
    let ends: Vec<String> = expected.values().map(|frames| innermost(frames, names)).collect();
    assert!(ends.iter().any(|end| end == names), "{interpreter}: no stack ends with {names}, but {ends:?}");
    // What stands still is read at once, and is known not to have changed.
    for _ in 0..20 {
        assert!(observed.sample(), "{interpreter}: a sample of a target at rest");
        for thread in observed.reader.threads() {
            assert_eq!((thread.outcome, thread.tries), (Outcome::Valid, 1), "{interpreter}");
            assert_eq!(thread.unchanged, thread.frames.len(), "{interpreter}");
        }
    }
}

/// The plain names of as many innermost frames as `names` has.
fn innermost(frames: &[String], names: &str) -> String {
    let count = names.split(' ').count().min(frames.len());
    let qualified = frames[frames.len() - count..].iter().filter_map(|text| text.split(' ').next());
    let plain: Vec<&str> = qualified.filter_map(|name| name.rsplit('.').next()).collect();
    plain.join(" ")
}

/// What a target has said of its stacks, by interpreter and thread.
fn noted(target: &Target) -> BTreeMap<(u64, u64), Vec<String>> {
    let stacks = target.ready().as_array().expect("a list of stacks");
    let text = |frame: &serde_json::Value| frame.as_str().expect("a frame").to_owned();
    let stack = |stack: &serde_json::Value| {
        let thread = (stack["interpreter"].as_u64().unwrap(), stack["thread"].as_u64().unwrap());
        (thread, stack["frames"].as_array().unwrap().iter().map(text).collect())
    };
    stacks.iter().map(stack).collect()
}

#[test]
fn functions_methods_and_class_bodies_are_on_the_stack_with_their_lines() {
    let program = r#"
def decorated(function):
    def wrapper(*arguments, **named):
        return function(
            *arguments,
            **named)
    return wrapper
class Outer:
    class Inner:
        def __init__(self, depth):
            if depth:
                self.value = Outer.Inner(
                    depth - 1)
            else:
                self.value = (lambda:
                    self.attribute)()
        @property
        def attribute(self):
            return Outer.static()
    @staticmethod
    def static():
        return Outer().method(
            1,
            key=2)
    @decorated
    def method(self, one, key):
        def closure():
            class Body:
                value = exec("def run():\n\n  os.read(ready(), 1)\nrun()")
        closure()
Outer.Inner(2)
"#;
    check_standing(
        program,
        |_| "<module> __init__ __init__ __init__ <lambda> attribute static wrapper method closure Body <module> run",
    );
}

#[test]
fn generators_are_on_the_stack_below_who_drives_them() {
    let program = r#"
def innermost():
    yield 1
    yield os.read(ready(), 1)
def middle():
    value = yield from innermost()
    yield value
class Iterates:
    def __iter__(self):
        for value in middle():
            yield value
def consume():
    generator = iter(Iterates())
    next(generator)
    generator.send(None)
consume()
"#;
    check_standing(program, |_| "<module> consume __iter__ middle innermost");
}

#[test]
fn a_generator_that_is_being_closed_is_on_the_stack() {
    let program = r#"
def guarded():
    try:
        yield 1
    finally:
        os.read(ready(), 1)
def close(generator):
    next(generator)
    generator.close()
close(guarded())
"#;
    check_standing(program, |_| "<module> close guarded");
}

#[test]
fn coroutines_are_on_the_stack_along_what_they_await() {
    let program = r#"
class Manager:
    async def __aenter__(self):
        return self
    async def __aexit__(self, *error):
        async for value in numbers():
            if value:
                await leaf()
async def numbers():
    yield 0
    await pause()
    yield 1
class pause:
    def __await__(self):
        yield
async def leaf():
    os.read(ready(), 1)
async def middle():
    async with Manager():
        pass
async def outer():
    await middle()
coroutine = outer()
coroutine.send(None)
coroutine.send(None)
"#;
    check_standing(program, |_| "<module> outer middle __aexit__ leaf");
}

#[test]
fn a_task_of_asyncio_is_on_the_stack_above_its_event_loop() {
    let program = r#"
import asyncio
async def leaf():
    os.read(ready(), 1)
async def task():
    await asyncio.sleep(0)
    await leaf()
async def main():
    await asyncio.gather(task())
asyncio.run(main())
"#;
    check_standing(program, |_| "_run_once _run task leaf");
}

#[test]
fn comprehensions_are_frames_where_the_version_has_them() {
    let program = r#"
def numbers():
    return [
        {
            key: {
                sum(
                    os.read(ready(), 1)
                    for _ in range(1)
                )
                for _ in range(1)
            }
            for key in range(1)
        }
        for _ in range(1)
    ]
numbers()
"#;
    check_standing(program, |minor| match minor {
        ..12 => "<module> numbers <listcomp> <dictcomp> <setcomp> <genexpr>",
        _ => "<module> numbers <genexpr>",
    });
}

#[test]
fn python_functions_that_c_code_calls_are_on_the_stack() {
    let program = r#"
import functools, re
class Item:
    def __lt__(self, other):
        return functools.reduce(
            add,
            [1, 2])
    def __getattr__(self, name):
        return sorted([self], key=by_key)
    def __repr__(self):
        return str(min(1, 2,
            key=lambda _: getattr(self, "missing")))
def add(one, two):
    return list(map(replace, "a"))
def replace(text):
    return re.sub("a", lambda match:
        "%r" % Item(), text)
def by_key(item):
    return json.dumps(Item, default=functools.partial(unknown, 1))
def unknown(number, item):
    os.read(ready(), 1)
sorted([Item(), Item()])
"#;
    check_standing(
        program,
        |_| "<module> __lt__ add replace sub <lambda> __repr__ <lambda> __getattr__ by_key dumps encode iterencode unknown",
    );
}

#[test]
fn a_module_that_is_being_imported_is_on_the_stack() {
    let program = r#"
import builtins
builtins.ready = ready
folder = os.path.dirname(os.path.abspath(__file__))
with open(os.path.join(folder, "blocks.py"), "w") as file:
    file.write("import os\n\nVALUE = os.read(ready(), 1)\n")
def load():
    import blocks
load()
"#;
    check_standing(program, |_| "exec_module _call_with_frames_removed <module>");
}

/// Recursion in a thread with a C stack that is large enough for versions that recurse in C too.
fn recursion(depth: u32) -> String {
    format!(
        r#"
def down(depth):
    if depth == 0:
        return os.read(note(), 1)
    return (
        up(depth) if depth % 3 else down(
            depth - 1))
def up(depth): return 1 + down(depth - 1)
def start(): down({depth})
sys.setrecursionlimit({depth} * 2)
threading.stack_size(512 << 20)
threading.Thread(target=start, daemon=True).start()
os.read(ready(1), 1)
"#
    )
}

#[test]
fn a_thousand_frames_are_read_whole() {
    check_standing(&recursion(1_000), |_| "down down up down up down");
}

#[test]
fn twenty_thousand_frames_are_read_whole() {
    check_standing(&recursion(20_000), |_| "down down up down up down");
}

#[test]
fn recursion_through_c_code_is_read_whole() {
    let program = r#"
def down(depth):
    if depth == 0:
        os.read(ready(), 1)
    return sorted([depth], key=lambda depth:
        down(depth - 1))
down(60)
"#;
    check_standing(program, |_| "down <lambda> down <lambda> down");
}

#[test]
fn every_thread_has_its_own_stack() {
    let program = r#"
import select, time
class Worker(threading.Thread):
    def run(self):
        self.work()
class Reads(Worker):
    def work(self): os.read(note(), 1)
class Sleeps(Worker):
    def work(self): time.sleep(note() + 1000)
class Selects(Worker):
    def work(self): select.select([note()], [], [])
class Waits(Worker):
    def work(self): (note(), LOCK.acquire())
LOCK = threading.Lock()
LOCK.acquire()
for worker in [Reads, Sleeps, Selects, Waits] * 3:
    worker(daemon=True).start()
os.read(ready(12), 1)
"#;
    for work in ["Reads", "Sleeps", "Selects", "Waits"] {
        assert!(program.contains(work));
    }
    check_standing(program, |_| "_bootstrap _bootstrap_inner run work");
}

#[test]
fn a_generator_at_the_base_of_a_thread_is_its_root() {
    let program = r#"
import _thread
def inner():
    yield os.read(note(), 1)
def generator():
    yield from inner()
async def coroutine():
    os.read(note(), 1)
kept = [generator(), coroutine()]
_thread.start_new_thread(list, (kept[0],))
_thread.start_new_thread(kept[1].send, (None,))
os.read(ready(2), 1)
"#;
    check_standing(program, |_| "generator inner");
    check_standing(program, |_| "coroutine");
}

#[test]
fn names_in_every_alphabet_are_read() {
    let program = r#"
class Клас:
    def μέθοδος(self):
        return (lambda: 関数())()
def 関数():
    for _ in مولد(): pass
def مولد():
    yield 𝒳()
def 𝒳():
    exec(compile("def café():\n os.read(ready(), 1)\ncafé()", "ファイル 🐍.py", "exec"))
Клас().μέθοδος()
"#;
    // The parser takes mathematical letters for plain ones.
    for interpreter in interpreters() {
        let target = Target::start_as(interpreter, "Програма 蛇 🐍.py", &format!("{STANDING}{program}"));
        check_noted(interpreter, &target, "<module> μέθοδος <lambda> 関数 مولد X <module> café");
    }
}

#[test]
fn code_in_other_interpreters_is_read_beside_the_main_one_s() {
    const PROGRAM: &str = r#"
try:
    import _interpreters as interpreters
except ImportError:
    try: import _xxsubinterpreters as interpreters
    except ImportError: interpreters = None
if interpreters is None:
    print("[]", flush=True); sys.exit()
SOURCE = '''
def work(n):
    if n == 0:
        os.read(note(), 1)
    return work(n - 1)
import sys
work(3)
'''
NOTE = '''
import os, json, threading
def note():
    import sys
    frame, frames = sys._getframe(1), []
    while frame:
        code = frame.f_code
        name = getattr(code, "co_qualname", code.co_name)
        frames.append("%s %s:%d" % (name, code.co_filename, frame.f_lineno))
        frame = frame.f_back
    stack = {"interpreter": NUMBER, "thread": 0, "frames": frames[::-1]}
    os.write(PIPE, json.dumps(stack).encode() + b"\\n")
    return 0
'''
def run(number, pipe):
    source = NOTE.replace("NUMBER", str(int(number))).replace("PIPE", str(pipe)) + SOURCE
    getattr(interpreters, "run_string", None)(number, source)
read, write = os.pipe()
numbers = [interpreters.create() for _ in range(2)]
# From 3.12 on each has a GIL of its own; before, a blocking call lets the others run as well.
for number in numbers:
    threading.Thread(target=run, args=(number, write), daemon=True).start()
with os.fdopen(read) as lines:
    STACKS += [json.loads(lines.readline()) for _ in numbers]
    os.read(ready(2), 1)
"#;
    for interpreter in interpreters() {
        let target = Target::start(interpreter, &format!("{STANDING}{PROGRAM}"));
        if noted(&target).is_empty() {
            skip(&format!("{interpreter} cannot make interpreters"));
            continue;
        }
        assert_eq!(noted(&target).len(), 3, "{interpreter}");
        check_noted(interpreter, &target, "<module> work work work work");
    }
}

/// What the lines of a running program say of themselves.
///
/// Each line that can be seen ends with `# NAME…`, the functions that it belongs to, and after `>` those that
/// it calls: `return fib(n - 1)  # fib > fib`.
struct Lines<'a> {
    lines: Vec<(Vec<&'a str>, Vec<&'a str>)>,
}

impl<'a> Lines<'a> {
    fn of(program: &'a str) -> Self {
        let line = |text: &'a str| {
            let comment = text.split_once("# ").map_or("", |(_, comment)| comment);
            let (own, calls) = comment.split_once(" > ").unwrap_or((comment, ""));
            (own.split_whitespace().collect(), calls.split_whitespace().collect())
        };
        Lines { lines: program.lines().map(line).collect() }
    }

    fn line(&self, line: u32) -> Option<&(Vec<&'a str>, Vec<&'a str>)> {
        self.lines.get((line as usize).checked_sub(1)?)
    }

    /// What is wrong with a stack, if anything is.
    fn objection(&self, stack: &[(String, u32)], roots: &[&str]) -> Option<Objection> {
        let (outermost, _) = stack.first()?;
        if !roots.contains(&outermost.as_str()) {
            return Some(Objection::Impossible(format!("{outermost} is at the root")));
        }
        let mut moved_on = None;
        for (index, (name, line)) in stack.iter().enumerate() {
            let callee = stack.get(index + 1).map(|(callee, _)| callee.as_str());
            let Some((own, calls)) = self.line(*line) else {
                // Instructions that no line stands for call nothing.
                match callee {
                    None if *line == 0 => continue,
                    Some(_) if *line == 0 => {
                        moved_on = Some(Objection::MovedOn(format!("{name} is at no line")));
                        continue;
                    }
                    _ => return Some(Objection::Impossible(format!("{name} is at line {line}"))),
                }
            };
            if !own.contains(&name.as_str()) {
                let why = format!("{name} is at line {line}, which belongs to {own:?}");
                return Some(Objection::Impossible(why));
            }
            let Some(callee) = callee else { continue };
            if !self.can_call(name, callee) {
                return Some(Objection::Impossible(format!("{name} never calls {callee}")));
            }
            if !calls.contains(&callee) {
                moved_on = Some(Objection::MovedOn(format!("{name} does not call {callee} in line {line}")));
            }
        }
        moved_on
    }

    /// Whether any line of a function calls another function.
    fn can_call(&self, caller: &str, callee: &str) -> bool {
        self.lines.iter().any(|(own, calls)| own.contains(&caller) && calls.contains(&callee))
    }
}

/// What can be wrong with the stack of a program that runs.
enum Objection {
    /// The program never has these functions on its stack in this order.
    Impossible(String),
    /// It has, but a caller already stands at another line: it went on while it was copied.
    MovedOn(String),
}

/// Stacks read of each running program.
const RUNNING_SAMPLES: usize = 1_000;

/// What came of the stacks of one running program.
#[derive(Default)]
struct Figures {
    valid: usize,
    lost: usize,
    impossible: Vec<String>,
    moved_on: Vec<String>,
    different: HashSet<Vec<(String, u32)>>,
}

/// The most that may be wrong, as shares of the valid stacks.
///
/// These catch a walker that is broken, no more: how many stacks mix two moments depends on how long the copy
/// was held up, and so on what else the machine does. The figures themselves are printed, and what they mean
/// for shares is measured in `docs/design/sampling.md`. A caller that is shown at a line that it had reached a
/// moment before ("moved on") is counted and not judged: copying 400 frames of 3.8 to 3.10 takes longer than
/// most calls.
struct Bounds {
    /// What stands for `WORK` in the program.
    work: &'static str,
    impossible: f64,
    lost: f64,
}

/// Calls of some microseconds, as most are: next to nothing changes while it is copied.
const ORDINARY: Bounds = Bounds { work: "sum(range(600))", impossible: 0.1, lost: 0.05 };

/// Calls of some ten nanoseconds: several begin and end in the microsecond that a copy takes, so that the
/// innermost frames of a stack are of one moment and their callers of the next. Each function still gets the
/// share that it has; that it is under the right caller holds for most stacks only.
const TINY: Bounds = Bounds { work: "0", impossible: 0.2, lost: 0.1 };

impl Figures {
    /// Why they are not good enough, if they are not.
    fn complaint(&self, bounds: &Bounds) -> Option<String> {
        let too_many = |count: usize, share: f64| count as f64 > share * self.valid as f64;
        (self.different.len() < 5
            || too_many(self.impossible.len(), bounds.impossible)
            || too_many(self.lost, bounds.lost))
        .then(|| {
            let some = |list: &[String]| list.iter().take(3).cloned().collect::<Vec<_>>();
            format!("{self}: {:?} {:?}", some(&self.impossible), some(&self.moved_on))
        })
    }
}

impl std::fmt::Display for Figures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (valid, different) = (self.valid, self.different.len());
        let [impossible, moved_on] = [&self.impossible, &self.moved_on].map(Vec::len);
        let lost = self.lost;
        write!(
            f,
            "{valid} stacks, {different} different; {impossible} impossible, {moved_on} moved on, {lost} lost"
        )
    }
}

/// Runs a program that never stands still on every interpreter: all stacks must be such as it can have.
fn check_running(program: &str, roots: &[&str]) {
    check_running_within(program, roots, &[ORDINARY, TINY]);
}

fn check_running_within(program: &str, roots: &[&str], all_bounds: &[Bounds]) {
    let mut complaints = Vec::new();
    for bounds in all_bounds {
        let program = program.replace("WORK", bounds.work);
        let lines = Lines::of(&program);
        for interpreter in interpreters() {
            let figures = sample_running(&Target::start(interpreter, &program), &lines, roots);
            let title = format!("{interpreter} {:<16}", bounds.work);
            #[allow(clippy::print_stderr)] // the figures are worth reading
            {
                eprintln!("{title}: {figures}");
            }
            complaints.extend(figures.complaint(bounds).map(|why| format!("{title}: {why}")));
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

fn sample_running(target: &Target, lines: &Lines<'_>, roots: &[&str]) -> Figures {
    let mut observed = Observed::new(target);
    let mut figures = Figures::default();
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    let mut rounds = 0;
    while figures.valid < RUNNING_SAMPLES && rounds < RUNNING_SAMPLES * 10 {
        rounds += 1;
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        std::thread::sleep(Duration::from_nanos(random % 100_000));
        if !observed.sample() {
            continue;
        }
        let threads = observed.reader.threads();
        figures.lost += threads.iter().filter(|thread| thread.outcome == Outcome::Lost).count();
        let valid = threads.iter().filter(|thread| thread.outcome == Outcome::Valid);
        let stacks: Vec<Vec<Frame>> = valid.map(|thread| thread.frames.clone()).collect();
        for frames in stacks {
            let place = |frame| match observed.place(frame) {
                Some((code, _)) if code.is_the_interpreters_own() => None,
                Some((code, line)) => Some((code.name.clone(), line)),
                None => Some(("?".to_owned(), 0)),
            };
            let stack: Vec<(String, u32)> = frames.into_iter().filter_map(place).collect();
            figures.valid += 1;
            match lines.objection(&stack, roots) {
                Some(Objection::Impossible(why)) => figures.impossible.push(why),
                Some(Objection::MovedOn(why)) => figures.moved_on.push(why),
                None => {}
            }
            figures.different.insert(stack);
        }
    }
    figures
}

#[test]
fn a_recursion_that_runs_shows_only_stacks_that_it_can_have() {
    let program = "\
def fib(n):  # fib
    if n < 2:  # fib
        return WORK  # fib
    n += WORK - WORK  # fib
    one = fib(n - 1)  # fib > fib
    two = fib(n - 2)  # fib > fib
    return one + two  # fib
print(1, flush=True)  # <module>
while True:  # <module>
    fib(16)  # <module> > fib
";
    check_running(program, &["<module>"]);
}

#[test]
fn short_functions_that_run_show_only_stacks_that_they_can_have() {
    let program = "\
def c(n):  # c
    return WORK  # c
def b(n):  # b
    n = c(n)  # b > c
    return WORK  # b
def a(n):  # a
    n = b(n)  # a > b
    n = c(n)  # a > c
    return WORK  # a
def other(n):  # other
    return b(n)  # other > b
print(1, flush=True)  # <module>
while True:  # <module>
    a(1)  # <module> > a
    other(2)  # <module> > other
    c(3)  # <module> > c
";
    check_running(program, &["<module>"]);
}

#[test]
fn generators_that_run_show_only_stacks_that_they_can_have() {
    let program = "\
def leaf(n):  # leaf
    return WORK  # leaf
def inner():  # inner
    for i in range(5):  # inner
        yield leaf(i) + WORK  # inner > leaf
def outer():  # outer
    yield from inner()  # outer > inner
    leaf(1)  # outer > leaf
    for i in inner():  # outer > inner
        yield i  # outer
def consume():  # consume
    for i in outer():  # consume > outer
        leaf(i)  # consume > leaf
    return sum(outer())  # consume > outer
print(1, flush=True)  # <module>
while True:  # <module>
    consume()  # <module> > consume
";
    check_running(program, &["<module>"]);
}

#[test]
fn coroutines_that_run_show_only_stacks_that_they_can_have() {
    let program = "\
class Pause:
    def __await__(self):  # __await__
        yield WORK  # __await__
async def leaf():  # leaf
    await Pause()  # leaf > __await__
    return WORK  # leaf
async def middle():  # middle
    await leaf()  # middle > leaf
    return await leaf()  # middle > leaf
async def outer():  # outer
    for i in range(3):  # outer
        await middle()  # outer > middle
def drive(coroutine):  # drive
    try:  # drive
        while True:  # drive
            coroutine.send(None)  # drive > outer
    except StopIteration:  # drive
        pass  # drive
print(1, flush=True)  # <module>
while True:  # <module>
    drive(outer())  # <module> > drive outer
";
    check_running(program, &["<module>"]);
}

#[test]
fn functions_that_c_code_calls_show_only_stacks_that_they_can_have() {
    let program = "\
import functools  # <module>
def key(n):  # key
    return leaf(n)  # key > leaf
def leaf(n):  # leaf
    return WORK - n  # leaf
def add(a, b):  # add
    return a + leaf(b)  # add > leaf
def work():  # work
    one = sorted(range(5), key=key)  # work > key
    two = functools.reduce(add, one)  # work > add
    return list(map(leaf, one))  # work > leaf
print(1, flush=True)  # <module>
while True:  # <module>
    work()  # <module> > work
";
    check_running(program, &["<module>"]);
}

#[test]
fn a_stack_that_grows_and_shrinks_shows_only_what_it_can_be() {
    // Deep enough to need several chunks of the data stack, again and again.
    let program = "\
def down(n):  # down
    a = b = c = d = e = WORK  # down
    if n:  # down
        down(n - 1)  # down > down
        leaf(n)  # down > leaf
    return leaf(a + b + c + d + e)  # down > leaf
def leaf(n):  # leaf
    return WORK  # leaf
print(1, flush=True)  # <module>
while True:  # <module>
    down(400)  # <module> > down
    leaf(1)  # <module> > leaf
";
    // With calls of some ten nanoseconds such a stack changes wholly while it is copied, and with calls of some
    // microseconds it moves by several frames: what is seen then is told in `docs/design/sampling.md`.
    let bounds = Bounds { impossible: 0.2, ..ORDINARY };
    check_running_within(program, &["<module>"], &[bounds]);
}

#[test]
fn threads_that_run_side_by_side_show_only_stacks_of_their_own() {
    let program = "\
import _thread, sys
def left():  # left
    while True:  # left
        left_inner(3)  # left > left_inner
def left_inner(n):  # left_inner
    if n:  # left_inner
        left_inner(n - 1)  # left_inner > left_inner
    return WORK  # left_inner
def right():  # right
    while True:  # right
        right_inner(1)  # right > right_inner
def right_inner(n):  # right_inner
    return WORK  # right_inner
sys.setswitchinterval(0.0005)
_thread.start_new_thread(left, ())
_thread.start_new_thread(right, ())
print(1, flush=True)  # <module>
while True:  # <module>
    right_inner(2)  # <module> > right_inner
";
    check_running(program, &["<module>", "left", "right"]);
}
