//! Tasks of asyncio, compared with what the programs themselves know about them.

use std::collections::BTreeMap;
use std::process::Command;

use naja_cpython::asyncio::{Standing, TaskReader, TaskThread, Tasks};
use naja_cpython::code::read_code;
use naja_cpython::locate::Located;
use naja_cpython::memory::{LiveProcess, Memory};
use naja_testkit::interpreters::interpreters;
use naja_testkit::target::Target;
use serde_json::{Value, json};

use crate::find;
use crate::finding::version_to_come;

const PROGRAM: &str = include_str!("asyncio_target.py");

/// The threads of a process, as their lists say.
fn threads(memory: &LiveProcess, located: &Located) -> Vec<TaskThread> {
    let field = |address: u64, offset: u32| memory.read_u64(address + u64::from(offset)).unwrap();
    let mut threads = Vec::new();
    let mut interpreter = field(located.runtime, located.offsets.runtime.interpreters_head);
    while interpreter != 0 {
        let mut state = field(interpreter, located.offsets.interpreter.threads_head);
        while state != 0 {
            threads.push(TaskThread { state, interpreter });
            state = field(state, located.offsets.thread.next);
        }
        interpreter = field(interpreter, located.offsets.interpreter.next);
    }
    threads
}

/// Name, stack in the program's own file, and awaiters of every task, as the program prints them.
fn described(memory: &LiveProcess, located: &Located, tasks: &Tasks) -> BTreeMap<String, Value> {
    let names: BTreeMap<u64, &str> =
        tasks.tasks.iter().map(|task| (task.address, task.name.as_str())).collect();
    let describe = |task: &naja_cpython::asyncio::Task| {
        let frames = task.frames.iter().map(|frame| (frame, read_code(memory, located, frame.code).unwrap()));
        let stack: Vec<Value> = frames
            .filter(|(_, code)| code.file.ends_with("target.py"))
            .map(|(frame, code)| json!([code.name, code.line_at(frame.instruction)]))
            .collect();
        let mut awaited_by: Vec<&str> = task.awaiters.iter().map(|awaiter| names[awaiter]).collect();
        awaited_by.sort_unstable();
        (task.name.clone(), json!({ "stack": stack, "awaited_by": awaited_by }))
    };
    tasks.tasks.iter().map(describe).collect()
}

#[test]
fn every_task_is_found_where_it_waits_and_with_those_that_wait_for_it() {
    for interpreter in interpreters() {
        let target = Target::start(interpreter, PROGRAM);
        let (memory, located) = find(&target);
        let threads = threads(&memory, &located);
        let mut reader = TaskReader::new(&located).unwrap();
        // Twice: the second reading goes by what the first has learnt.
        for round in 0..2 {
            let tasks = reader.all(&memory, &threads);
            let found = described(&memory, &located, &tasks);
            let expected = target.ready()["tasks"].as_object().unwrap();
            for (name, expected) in expected {
                let found = found.get(name).unwrap_or(&Value::Null);
                assert_eq!(found, expected, "{interpreter}: {name:?}, round {round}");
            }
            let others: Vec<&String> = found.keys().filter(|name| !expected.contains_key(*name)).collect();
            // What `asyncio.run` runs, in each of the two loops.
            assert_eq!(others.len(), 2, "{interpreter}: {others:?}");
            assert!(others.iter().all(|name| name.starts_with("Task-")), "{interpreter}: {others:?}");
            assert_eq!(tasks.loops.len(), 2, "{interpreter}: {:?}", tasks.loops);
            assert!(tasks.tasks.iter().all(|task| task.standing == Standing::Waiting), "{interpreter}");
            assert!(tasks.loops.iter().all(|one| one.task == 0 && one.event_loop != 0), "{interpreter}");
            let of_loops = |task: &naja_cpython::asyncio::Task| {
                tasks.loops.iter().filter(|one| one.event_loop == task.event_loop).count()
            };
            assert!(tasks.tasks.iter().all(|task| of_loops(task) == 1), "{interpreter}");
        }
    }
}

#[test]
fn a_running_task_is_known_with_the_chain_of_those_that_wait_for_it() {
    const PROGRAM: &str = r#"
import asyncio, json, sys
async def leaf():
    await asyncio.sleep(0)
    print(json.dumps(1), flush=True)
    while True: sum(range(100))
async def middle(child): await asyncio.gather(child)
async def main(n):
    if n: await asyncio.Task(main(n - 1), loop=asyncio.get_running_loop(), name="link %d" % n)
    else:
        child = asyncio.Task(leaf(), loop=asyncio.get_running_loop(), name="the leaf")
        await asyncio.Task(middle(child), loop=asyncio.get_running_loop(), name="the middle")
async def begin():
    asyncio.current_task().set_name("the root")
    await main(2)
asyncio.run(begin())
"#;
    for interpreter in interpreters() {
        let target = Target::start(interpreter, PROGRAM);
        let (memory, located) = find(&target);
        let threads = threads(&memory, &located);
        let mut reader = TaskReader::new(&located).unwrap();
        for _ in 0..100 {
            let running = reader.running(&memory, &threads);
            let [running] = running.as_slice() else { panic!("{interpreter}: {running:?}") };
            assert_eq!(running.thread, threads[0].state, "{interpreter}");
            let chain = reader.chain(&memory, running.task);
            let names: Vec<&str> = chain.iter().map(|task| task.name.as_str()).collect();
            assert_eq!(names, ["the leaf", "the middle", "link 1", "link 2", "the root"], "{interpreter}");
            assert_eq!(chain[0].standing, Standing::Running, "{interpreter}");
            assert!(chain[0].frames.is_empty() && chain[0].code != 0, "{interpreter}");
            let own = |index: usize| {
                let frames = chain[index].frames.iter();
                let codes = frames.map(|frame| read_code(&memory, &located, frame.code).unwrap());
                codes
                    .filter(|code| code.file.ends_with("target.py"))
                    .map(|code| code.name)
                    .collect::<Vec<_>>()
            };
            assert_eq!(
                (own(1), own(2), own(4)),
                (
                    vec!["middle".to_owned()],
                    vec!["main".to_owned()],
                    vec!["begin".to_owned(), "main".to_owned()]
                ),
                "{interpreter}"
            );
        }
    }
}

#[test]
fn a_program_without_asyncio_has_no_tasks() {
    let program = "import sys\nprint(1, flush=True)\nsys.stdin.read()";
    for interpreter in interpreters() {
        let target = Target::start(interpreter, program);
        let (memory, located) = find(&target);
        let tasks = TaskReader::new(&located).unwrap().all(&memory, &threads(&memory, &located));
        assert_eq!(tasks, Tasks::default(), "{interpreter}");
    }
}

#[test]
fn a_thousand_tasks_that_come_and_go_are_read_whole() {
    const PROGRAM: &str = r#"
import asyncio, sys
async def short(n):
    for _ in range(n % 7): await asyncio.sleep(0)
async def stays(): await asyncio.sleep(1000)
async def main():
    keep = [asyncio.ensure_future(stays()) for _ in range(1000)]
    await asyncio.sleep(0)
    print(1, flush=True)
    n = 0
    while True:
        await asyncio.gather(*[short(n + i) for i in range(20)])
        n += 1
asyncio.run(main())
"#;
    for interpreter in interpreters() {
        let target = Target::start(interpreter, PROGRAM);
        let (memory, located) = find(&target);
        let threads = threads(&memory, &located);
        let mut reader = TaskReader::new(&located).unwrap();
        let mut most = 0;
        for _ in 0..20 {
            let tasks = reader.all(&memory, &threads);
            let staying = |task: &&naja_cpython::asyncio::Task| {
                task.frames.first().is_some_and(|frame| {
                    read_code(&memory, &located, frame.code).is_ok_and(|code| code.name == "stays")
                })
            };
            most = most.max(tasks.tasks.iter().filter(staying).count());
            assert!(tasks.tasks.len() < 1100, "{interpreter}: {}", tasks.tasks.len());
        }
        assert_eq!(most, 1000, "{interpreter}");
    }
}

#[test]
fn what_the_process_states_of_its_tasks_is_read_where_it_states_it() {
    const PROGRAM: &str = r#"
import asyncio, sys
async def leaf(): await asyncio.sleep(1000)
async def root(child): await child
async def main():
    child = asyncio.Task(leaf(), loop=asyncio.get_running_loop(), name="child")
    parent = asyncio.Task(root(child), loop=asyncio.get_running_loop(), name="parent")
    for _ in range(3): await asyncio.sleep(0)
    print(1, flush=True)
    sys.stdin.read()
asyncio.run(main())
"#;
    let awaiters = |tasks: &Tasks| {
        let named = |name: &str| tasks.tasks.iter().find(|task| task.name == name).cloned();
        let (child, parent) = (named("child").expect("child"), named("parent").expect("parent"));
        assert_eq!(child.awaiters, [parent.address]);
        assert!(!child.frames.is_empty() && !parent.frames.is_empty());
    };
    for interpreter in interpreters() {
        let target = Target::start(interpreter, PROGRAM);
        let (memory, located) = find(&target);
        let mut reader = TaskReader::new(&located).unwrap();
        awaiters(&reader.all(&memory, &threads(&memory, &located)));
        assert_eq!(reader.is_stated(), interpreter.minor() >= 14, "{interpreter}");
        // Of a version to come that can be read at all, there is nothing but what it states.
        if interpreter.minor() < 15 {
            continue;
        }
        let folder = tempfile::tempdir().unwrap();
        let mut command = version_to_come(interpreter, folder.path());
        command.args(["-B", "-c", PROGRAM]);
        let target = Target::spawn(command, folder);
        let (memory, located) = find(&target);
        assert_eq!(located.version.minor, 99, "{interpreter}");
        let mut reader = TaskReader::new(&located).unwrap();
        awaiters(&reader.all(&memory, &threads(&memory, &located)));
        assert!(reader.is_stated(), "{interpreter}");
    }
}

/// The tables were written from one interpreter of each minor version; here every installed one says for itself
/// where the fields are.
#[test]
fn each_interpreter_s_tasks_have_their_fields_where_the_tables_say() {
    const PROBE: &str = include_str!("../../src/asyncio/probe.py");
    for interpreter in interpreters() {
        let output = Command::new(&interpreter.path).args(["-c", PROBE]).output().unwrap();
        assert!(output.status.success(), "{interpreter}: {}", String::from_utf8_lossy(&output.stderr));
        let found: BTreeMap<String, u32> = serde_json::from_slice(&output.stdout).unwrap();
        let (_, minor, _) = interpreter.version;
        let table = naja_cpython::asyncio::task_fields(minor, interpreter.free_threaded).unwrap();
        for (field, offset) in table {
            assert_eq!(found[field], offset, "{interpreter}: {field}");
        }
        assert_eq!(found.len(), table.len(), "{interpreter}");
    }
}
