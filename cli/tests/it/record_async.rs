//! `naja record --async`: tasks in place of the event loop that runs them.

use std::process::Output;

use naja_testkit::interpreters::{Interpreter, interpreters};
use naja_testkit::naja::{Naja, block};
use naja_testkit::target::Target;

use crate::naja;

/// One task works, for one that gathers, for one that waits; another sleeps, one waits for a queue, one for a lock.
const PROGRAM: &str = r#"
import asyncio, json
def spin(): sum(range(2000))
async def work(working):
    while True:
        for _ in range(20): spin()
        working.set()
        await asyncio.sleep(0)
async def gather(child): await asyncio.gather(child)
async def wait(child): await child
async def doze(): await asyncio.sleep(1000)
async def consume(): await asyncio.Queue().get()
async def locked(lock): await lock.acquire()
async def receive(): await asyncio.get_running_loop().create_future()
def task(coroutine, name): return asyncio.get_running_loop().create_task(coroutine, name=name)
async def main():
    working, lock = asyncio.Event(), asyncio.Lock()
    await lock.acquire()
    worker = task(work(working), "the worker")
    gatherer = task(gather(worker), "the gatherer")
    keep = [task(wait(gatherer), "the waiter"), task(doze(), "the dozer"), task(consume(), "the consumer"),
            task(locked(lock), "the locked"), task(receive(), "the receiver")]
    await working.wait()
    print(json.dumps(1), flush=True)
    await asyncio.sleep(1000)
asyncio.run(main())
"#;

fn record(naja: &Naja, target: &Target, arguments: &[&str]) -> Output {
    let mut command = naja.command();
    command.args(["record", "--pid", &target.pid().to_string()]).args(arguments);
    let output = command.current_dir(target.folder()).output().expect("naja starts");
    assert!(output.status.success(), "{}", block(&output, &[]));
    output
}

/// Names of the functions of each collapsed stack, and its samples.
fn collapsed(target: &Target, arguments: &[&str]) -> Vec<(Vec<String>, u64)> {
    let naja = naja();
    record(&naja, target, &[&["-d", "0.5", "-o", "out.collapsed", "-f", "collapsed"], arguments].concat());
    let text = std::fs::read_to_string(target.file("out.collapsed")).expect("it was written");
    let stack = |line: &str| {
        let (stack, count) = line.rsplit_once(' ').expect("a stack and a number");
        let name = |frame: &str| frame.split(" (").next().unwrap_or_default().to_owned();
        (stack.split(';').map(name).collect(), count.parse().expect("a number"))
    };
    text.lines().map(stack).collect()
}

const CHAIN: [&str; 6] = ["the waiter", "wait", "the gatherer", "gather", "the worker", "work"];

fn share(stacks: &[(Vec<String>, u64)], is: impl Fn(&[String]) -> bool) -> f64 {
    let all: u64 = stacks.iter().map(|(_, count)| count).sum();
    let part: u64 = stacks.iter().filter(|(stack, _)| is(stack)).map(|(_, count)| count).sum();
    part as f64 / all as f64
}

fn of_chain(stack: &[String]) -> bool {
    stack.len() >= CHAIN.len() && stack.iter().zip(CHAIN).all(|(one, other)| one == other)
}

#[test]
fn a_running_task_stands_on_those_that_wait_for_it_and_the_loop_is_left_out() {
    for interpreter in interpreters() {
        let target = Target::start(interpreter, PROGRAM);
        let stacks = collapsed(&target, &["--async", "running"]);
        // Between two steps of the task the loop itself runs.
        let in_task = share(&stacks, of_chain);
        assert!(in_task > 0.7, "{interpreter}: {in_task} of {stacks:?}");
        let spinning =
            share(&stacks, |stack| of_chain(stack) && stack.last().is_some_and(|name| name == "spin"));
        assert!(spinning > 0.6, "{interpreter}: {spinning} of {stacks:?}");
        let with_loop = share(&stacks, |stack| {
            stack.iter().any(|name| name == "the worker")
                && stack.iter().any(|name| name.contains("_run_once"))
        });
        assert_eq!(with_loop, 0.0, "{interpreter}: {stacks:?}");
    }
}

#[test]
fn tasks_that_wait_are_shown_where_they_wait_and_for_what() {
    for interpreter in interpreters() {
        let target = Target::start(interpreter, PROGRAM);
        let naja = naja();
        record(&naja, &target, &["-d", "0.5", "--async", "all", "-o", "out.naja"]);
        // The outermost frame of each stack, which is the task.
        let query = "SELECT frames.function || ',' || state, count(*) FROM samples \
             JOIN stack_frames frames ON frames.stack = samples.stack \
             AND level = (SELECT max(level) FROM stack_frames WHERE stack = samples.stack) \
             WHERE thread_name LIKE 'tasks %' GROUP BY 1 ORDER BY 1";
        let mut command = naja.command();
        command.args(["sql", "--format", "csv"]).arg(target.file("out.naja")).arg(query);
        let output = command.output().expect("naja starts");
        assert!(output.status.success(), "{}", block(&output, &[]));
        let text = String::from_utf8(output.stdout).expect("it is text");
        for expected in [
            "the dozer,sleep",
            "the consumer,lock-wait",
            "the locked,lock-wait",
            "the receiver,io-wait",
            "Task-1,sleep",
        ] {
            assert!(text.contains(expected), "{interpreter}: {expected} in\n{text}");
        }
        // Those that wait for the worker are on its stack, not beside it.
        assert!(!text.contains("the gatherer"), "{interpreter}:\n{text}");
    }
}

#[test]
fn tasks_that_have_no_row_are_counted_and_told() {
    const PROGRAM: &str = r#"
import asyncio
async def doze(): await asyncio.sleep(1000)
async def main():
    keep = [asyncio.ensure_future(doze()) for _ in range(1000)]
    await asyncio.sleep(0)
    print(1, flush=True)
    await asyncio.sleep(1000)
asyncio.run(main())
"#;
    for interpreter in interpreters() {
        let target = Target::start(interpreter, PROGRAM);
        let naja = naja();
        let output = record(&naja, &target, &["-d", "0.3", "--async", "all", "-o", "out.naja", "--json"]);
        let report: serde_json::Value = serde_json::from_slice(&output.stderr).expect("it is JSON");
        // 1,000 tasks and the one that made them, of which 256 have rows.
        let samples = &report["samples"];
        let (missing, ticks) = (samples["tasks_without_lane"].as_u64(), samples["ticks"].as_u64());
        let (missing, ticks) = (missing.expect("a number"), ticks.expect("a number"));
        assert!(missing > 0 && missing <= 745 * ticks, "{interpreter}: {missing} in {ticks}");
        let warnings = report["warnings"].to_string();
        assert!(warnings.contains("have no rows beyond 256 at a time"), "{interpreter}: {warnings}");
        let told = record(&naja, &target, &["-d", "0.3", "--async", "all", "-o", "out.naja"]);
        let told = String::from_utf8_lossy(&told.stderr);
        assert!(told.contains("more on average are not shown"), "{interpreter}: {told}");
    }
}

#[test]
fn a_program_without_tasks_is_recorded_as_without_the_option() {
    const PROGRAM: &str = "
import json
def spin(): sum(range(2000))
print(json.dumps(1), flush=True)
while True: spin()
";
    let Some(interpreter): Option<&Interpreter> = interpreters().last() else { return };
    let target = Target::start(interpreter, PROGRAM);
    let stacks = collapsed(&target, &["--async", "all"]);
    assert!(
        share(&stacks, |stack| stack.first().is_some_and(|name| name == "<module>")) > 0.99,
        "{stacks:?}"
    );
}
