//! The tasks of asyncio of a process as a tree: under each task those that it waits for.
//!
//! Plain data, in the order of the tree and with no recursion, as programs build chains of any length. A task that
//! several wait for stands under the first, and under the others by name alone. Start at [`read`]; [`text`] and
//! [`json`] show it.

use std::fmt::Write;

use naja_cpython::asyncio::{Standing, Task, TaskReader, TaskThread};
use naja_cpython::code::{CodeInfo, read_code};
use naja_cpython::locate::Located;
use naja_cpython::memory::Memory;
use naja_cpython::reader::{self, StackReader};
use naja_recording::State;
use rustc_hash::{FxHashMap, FxHashSet};
use serde_json::{Value, json};

use naja_report::short_path;

/// Deeper in the tree than this nothing is indented further.
const INDENT_MAX: usize = 40;

/// The tasks of a process.
#[derive(Clone, Debug, Default)]
pub struct TaskTree {
    /// Every task, in the order of the tree.
    pub tasks: Vec<TaskDump>,
    /// Every line of the tree, from the top.
    pub lines: Vec<TreeLine>,
    /// There are more, which were not read.
    pub more: bool,
}

/// A line of the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TreeLine {
    /// The task, as an index into [`TaskTree::tasks`].
    pub task: usize,
    /// How many tasks it stands under.
    pub depth: usize,
    /// It is told of further up.
    pub again: bool,
}

/// A task as it was at one moment.
#[derive(Clone, Debug)]
pub struct TaskDump {
    /// Its address, which tells it from others.
    pub address: u64,
    /// What `get_name()` says.
    pub name: String,
    /// Its loop's address.
    pub event_loop: u64,
    /// What `threading.get_ident()` says in the thread that runs its loop; 0 when none does.
    pub thread_ident: u64,
    /// Whether it runs, could run, or waits.
    pub standing: Standing,
    /// What it was doing, as a thread would that did the same.
    pub state: State,
    /// Where it stands, innermost frame first; empty when its coroutine has none that can be read.
    pub frames: Vec<TaskFrame>,
    /// Addresses of the tasks that wait for it.
    pub awaited_by: Vec<u64>,
}

/// A step of a task's stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskFrame {
    /// The function's name.
    pub name: String,
    /// Its name with its class or enclosing function, where the version has it (3.11 and later).
    pub qualified_name: String,
    /// Its file.
    pub file: String,
    /// The line at which it stands; 0 where there is none.
    pub line: u32,
}

/// Reads the tasks of the threads that were sampled last; `None` for a version whose tasks naja does not know.
///
/// Cost: some 20 reads, 0.2 µs for each task and each of its frames, and ten reads for each code object.
pub fn read(memory: &dyn Memory, located: &Located, stacks: &StackReader) -> Option<TaskTree> {
    let mut reader = TaskReader::new(located)?;
    let threads: Vec<TaskThread> = stacks
        .threads()
        .iter()
        .filter_map(|thread| {
            let interpreter = stacks.interpreters().get(thread.interpreter)?.address;
            Some(TaskThread { state: thread.state, interpreter })
        })
        .collect();
    let read = reader.all(memory, &threads);
    let mut codes = Codes { memory, located, known: FxHashMap::default() };
    let (order, lines) = tree(&read.tasks);
    let tasks = order.iter().map(|index| {
        let task = &read.tasks[*index];
        let runs_in = read.loops.iter().find(|one| one.event_loop == task.event_loop);
        let thread =
            runs_in.and_then(|one| stacks.threads().iter().find(|thread| thread.state == one.thread));
        let frames = match (task.standing, thread) {
            (Standing::Running, Some(thread)) => own_frames(&mut codes, task, thread),
            _ => task.frames.clone(),
        };
        let frames = codes.frames(&frames);
        let places = frames.iter().map(|frame| (frame.name.as_str(), frame.file.as_str()));
        TaskDump {
            address: task.address,
            name: task.name.clone(),
            event_loop: task.event_loop,
            thread_ident: thread.map_or(0, |thread| thread.ident),
            standing: task.standing,
            state: state(task.standing, places),
            frames,
            awaited_by: task.awaiters.clone(),
        }
    });
    Some(TaskTree { tasks: tasks.collect(), lines, more: read.more })
}

/// What a task does, by the functions that it waits in, innermost first, as name and file.
pub(crate) fn state<'a>(standing: Standing, mut places: impl Iterator<Item = (&'a str, &'a str)>) -> State {
    match standing {
        Standing::Running => return State::Python,
        // It stands in its loop's queue.
        Standing::Ready => return State::LockWait,
        Standing::Waiting => {}
    }
    let is_lock = |file: &str| file.ends_with("asyncio/locks.py") || file.ends_with("asyncio/queues.py");
    match places.next() {
        Some(("sleep", file)) if file.ends_with("asyncio/tasks.py") => State::Sleep,
        Some((_, file)) if is_lock(file) => State::LockWait,
        _ if places.any(|(_, file)| is_lock(file)) => State::LockWait,
        _ => State::IoWait,
    }
}

/// The frames of a running task on its thread's stack, outermost first: what lies behind the loop's. Empty when the
/// thread has gone on meanwhile.
fn own_frames(codes: &mut Codes<'_>, task: &Task, thread: &reader::Thread) -> Vec<reader::Frame> {
    let is_loop = |code: Option<&CodeInfo>| {
        code.is_some_and(|code| code.name == "_run" && code.file.ends_with("asyncio/events.py"))
    };
    let mut behind_loop = 0;
    for (index, frame) in thread.frames.iter().enumerate() {
        if is_loop(codes.get(frame)) {
            behind_loop = index + 1;
        }
    }
    let own = thread.frames.iter().skip(behind_loop).skip_while(|frame| frame.code != task.code);
    own.copied().collect()
}

/// Code objects, read once each.
struct Codes<'a> {
    memory: &'a dyn Memory,
    located: &'a Located,
    known: FxHashMap<u64, Option<CodeInfo>>,
}

impl Codes<'_> {
    fn get(&mut self, frame: &reader::Frame) -> Option<&CodeInfo> {
        let read = || read_code(self.memory, self.located, frame.code).ok();
        self.known.entry(frame.code).or_insert_with(read).as_ref()
    }

    /// Innermost first, without the interpreter's own steps.
    fn frames(&mut self, frames: &[reader::Frame]) -> Vec<TaskFrame> {
        let shown = frames.iter().rev().filter_map(|frame| {
            let code = self.get(frame)?;
            (!code.is_the_interpreters_own()).then(|| TaskFrame {
                name: code.name.clone(),
                qualified_name: code.qualified_name.clone(),
                file: code.file.clone(),
                line: code.line_at(frame.instruction),
            })
        });
        shown.collect()
    }
}

/// The tasks in the order of the tree, and the tree's lines, which count in that order.
fn tree(tasks: &[Task]) -> (Vec<usize>, Vec<TreeLine>) {
    let index_of: FxHashMap<u64, usize> =
        tasks.iter().enumerate().map(|(index, task)| (task.address, index)).collect();
    let mut awaited: Vec<Vec<usize>> = vec![Vec::new(); tasks.len()];
    let mut is_root = vec![true; tasks.len()];
    for (index, task) in tasks.iter().enumerate() {
        for awaiter in task.awaiters.iter().filter_map(|awaiter| index_of.get(awaiter)) {
            awaited[*awaiter].push(index);
            is_root[index] = false;
        }
    }
    let (mut order, mut lines): (Vec<usize>, Vec<TreeLine>) = (Vec::new(), Vec::new());
    let mut place: FxHashMap<usize, usize> = FxHashMap::default();
    let mut listed = FxHashSet::default();
    // Tasks that wait for one another in a ring have no root: each ring begins with its first task.
    let roots = (0..tasks.len()).filter(|index| is_root[*index]).chain(0..tasks.len());
    for root in roots {
        if listed.contains(&root) {
            continue;
        }
        let mut waiting = vec![(root, 0)];
        while let Some((index, depth)) = waiting.pop() {
            let again = !listed.insert(index);
            let task = *place.entry(index).or_insert_with(|| {
                order.push(index);
                order.len() - 1
            });
            lines.push(TreeLine { task, depth, again });
            if !again {
                waiting.extend(awaited[index].iter().rev().map(|child| (*child, depth + 1)));
            }
        }
    }
    (order, lines)
}

/// The tree as text for a person, loop by loop; `title` names the thread that has an ident, `folder` shortens paths, which
/// are shown whole without it.
pub fn text(tree: &TaskTree, folder: Option<&str>, title: &dyn Fn(u64) -> String) -> String {
    let mut out = String::new();
    write_tree(&mut out, tree, folder, title).expect("memory can be written");
    out
}

fn write_tree(
    out: &mut String,
    tree: &TaskTree,
    folder: Option<&str>,
    title: &dyn Fn(u64) -> String,
) -> std::fmt::Result {
    let mut loops: Vec<u64> = Vec::new();
    for task in &tree.tasks {
        if !loops.contains(&task.event_loop) {
            loops.push(task.event_loop);
        }
    }
    // Which loop a line is of is decided by the root that it stands under.
    let mut root_loop = 0;
    let lines: Vec<(u64, &TreeLine)> = tree
        .lines
        .iter()
        .map(|line| {
            if line.depth == 0 {
                root_loop = tree.tasks[line.task].event_loop;
            }
            (root_loop, line)
        })
        .collect();
    for (index, event_loop) in loops.iter().enumerate() {
        let of_loop = tree.tasks.iter().filter(|task| task.event_loop == *event_loop);
        let (count, first) = (of_loop.clone().count(), of_loop.clone().next());
        let owner = match first.map_or(0, |task| task.thread_ident) {
            0 => "a loop that does not run".to_owned(),
            ident => title(ident),
        };
        let words = if count == 1 { "task" } else { "tasks" };
        let gap = if index == 0 { "" } else { "\n" };
        writeln!(out, "{gap}{count} {words} of {owner}")?;
        for (_, line) in lines.iter().filter(|(of, _)| of == event_loop) {
            write_line(out, &tree.tasks[line.task], line, folder)?;
        }
    }
    if tree.tasks.is_empty() {
        writeln!(out, "No tasks of asyncio")?;
    }
    if tree.more {
        writeln!(out, "\nThere are more tasks, which were not read")?;
    }
    Ok(())
}

fn write_line(out: &mut String, task: &TaskDump, line: &TreeLine, folder: Option<&str>) -> std::fmt::Result {
    let indent = "  ".repeat(line.depth.min(INDENT_MAX));
    let name = if task.name.is_empty() { "(unnamed)".to_owned() } else { one_line(&task.name) };
    if line.again {
        return writeln!(out, "{indent}{name}: see above");
    }
    writeln!(out, "{indent}{name}: {}", sentence(task))?;
    for frame in &task.frames {
        let file = one_line(folder.map_or(&frame.file, |folder| short_path(&frame.file, folder)));
        let place = if frame.line == 0 { file } else { format!("{file}:{}", frame.line) };
        writeln!(out, "{indent}    {} ({place})", one_line(&frame.qualified_name))?;
    }
    Ok(())
}

fn sentence(task: &TaskDump) -> &'static str {
    match (task.standing, task.state) {
        (Standing::Running, _) => "running",
        (Standing::Ready, _) => "ready to run",
        (_, State::Sleep) => "sleeping",
        (_, State::LockWait) => "waiting for a lock or a queue",
        _ => "waiting",
    }
}

/// A name may hold anything; a terminal must not be steered by it.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// The tasks as a JSON list, in the order of the tree; `awaited_by` and `id` tell who waits for whom.
pub fn json(tree: &TaskTree, folder: &str) -> Value {
    let mut depths: FxHashMap<usize, usize> = FxHashMap::default();
    for line in tree.lines.iter().filter(|line| !line.again) {
        depths.insert(line.task, line.depth);
    }
    let frame = |frame: &TaskFrame| {
        json!({
            "kind": "python",
            "name": frame.name,
            "qualified_name": frame.qualified_name,
            "filename": frame.file,
            "short_filename": short_path(&frame.file, folder),
            "line": frame.line,
        })
    };
    let task = |(index, task): (usize, &TaskDump)| {
        json!({
            "id": task.address,
            "name": task.name,
            "loop": task.event_loop,
            "thread_id": (task.thread_ident != 0).then_some(task.thread_ident),
            "standing": match task.standing {
                Standing::Running => "running",
                Standing::Ready => "ready",
                Standing::Waiting => "waiting",
            },
            "state": task.state.word(),
            "depth": depths.get(&index).copied().unwrap_or(0),
            "awaited_by": task.awaited_by,
            "frames": task.frames.iter().map(frame).collect::<Vec<_>>(),
        })
    };
    Value::Array(tree.tasks.iter().enumerate().map(task).collect())
}

#[cfg(test)]
mod tests {
    use naja_cpython::locate::locate;
    use naja_cpython::memory::LiveProcess;
    use naja_testkit::interpreters::interpreters;
    use naja_testkit::target::Target;

    use super::*;

    const PROGRAM: &str = r#"
import asyncio, json, sys, threading
async def doze(): await asyncio.sleep(1000)
async def gather(*children): await asyncio.gather(*children)
async def wait(child): await child
async def consume(queue): await queue.get()
def task(coroutine, name): return asyncio.get_running_loop().create_task(coroutine, name=name)
def ready():
    print(json.dumps(1), flush=True); sys.stdin.read()
async def main():
    asyncio.current_task().set_name("main")
    one, two = task(doze(), "one"), task(consume(asyncio.Queue()), "two")
    keep = [task(gather(one, two), "both"), task(wait(one), "too")]
    for _ in range(4): await asyncio.sleep(0)
    ready()
asyncio.run(main())
"#;

    fn sampled(target: &Target) -> (LiveProcess, Located, StackReader) {
        let memory = LiveProcess::new(target.pid());
        let located = locate(target.pid(), &memory).expect("it is a Python");
        let mut stacks = StackReader::new((&located).into());
        stacks.sample(&memory, &mut |_| false).expect("it can be read");
        (memory, located, stacks)
    }

    #[test]
    fn tasks_stand_under_those_that_wait_for_them() {
        for interpreter in interpreters() {
            let target = Target::start(interpreter, PROGRAM);
            let (memory, located, stacks) = sampled(&target);
            let tree = read(&memory, &located, &stacks).expect("its tasks are known");
            let folder = target.folder().to_str().expect("a path that is text");
            let shown = text(&tree, Some(folder), &|_| "the thread".to_owned());
            let own: Vec<&str> = shown
                .lines()
                .filter(|line| !line.trim_start().contains(".py:") || line.contains("(target.py:"))
                .collect();
            let expected = "5 tasks of the thread
both: waiting
    gather (target.py:4)
  one: sleeping
      doze (target.py:3)
  two: waiting for a lock or a queue
      consume (target.py:6)
main: running
    ready (target.py:9)
    main (target.py:15)
too: waiting
    wait (target.py:5)
  one: see above";
            assert_eq!(own.join("\n"), expected, "{interpreter}:\n{shown}");
            let list = json(&tree, folder);
            let two = list.as_array().into_iter().flatten().find(|task| task["name"] == "two");
            let two = two.expect("it is listed");
            assert_eq!((&two["state"], &two["depth"]), (&json!("lock-wait"), &json!(1)), "{interpreter}");
            let both = list[0]["id"].clone();
            assert_eq!(two["awaited_by"], json!([both]), "{interpreter}");
        }
    }

    fn task(address: u64, awaiters: &[u64]) -> Task {
        Task {
            address,
            name: String::new(),
            event_loop: 1,
            standing: Standing::Waiting,
            code: 0,
            frames: Vec::new(),
            awaiters: awaiters.to_vec(),
        }
    }

    #[test]
    fn tasks_that_wait_for_one_another_are_all_there_once() {
        let (order, lines) = tree(&[task(1, &[3]), task(2, &[1]), task(3, &[2]), task(4, &[9])]);
        let shown: Vec<_> = lines.iter().map(|line| (order[line.task], line.depth, line.again)).collect();
        assert_eq!(shown, [(3, 0, false), (0, 0, false), (1, 1, false), (2, 2, false), (0, 3, true)]);
    }

    #[test]
    fn a_long_chain_is_shown_without_recursion() {
        let tasks: Vec<Task> = (1..=50_000).map(|one| task(one, &[one - 1])).collect();
        let (_, lines) = tree(&tasks);
        assert_eq!(lines.last().map(|line| line.depth), Some(49_999));
    }
}
