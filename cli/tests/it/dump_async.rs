//! `naja dump --async`: tasks as a tree.

use naja_testkit::interpreters::interpreters;
use naja_testkit::naja::block;
use naja_testkit::target::Target;
use serde_json::{Value, json};

use crate::naja;

const PROGRAM: &str = r#"
import asyncio, json
async def doze(): await asyncio.sleep(1000)
async def gather(*children): await asyncio.gather(*children)
def task(coroutine, name): return asyncio.get_running_loop().create_task(coroutine, name=name)
async def main():
    asyncio.current_task().set_name("main")
    keep = task(gather(task(doze(), "one"), task(doze(), "two")), "both")
    for _ in range(3): await asyncio.sleep(0)
    asyncio.get_running_loop().call_soon(ready)
    await asyncio.sleep(1000)
def ready(): print(json.dumps(1), flush=True)
asyncio.run(main())
"#;

#[test]
fn tasks_are_shown_under_those_that_wait_for_them() {
    for interpreter in interpreters() {
        let target = Target::start(interpreter, PROGRAM);
        let naja = naja();
        let dump = |arguments: &[&str]| {
            let mut command = naja.command();
            command.args(["dump", "-p", &target.pid().to_string(), "--async"]).args(arguments);
            let output = command.output().expect("naja starts");
            assert!(output.status.success(), "{}", block(&output, &[]));
            String::from_utf8(output.stdout).expect("it is text")
        };
        let text = dump(&[]).replace(&format!("{}/", target.folder().display()), "");
        let tasks: Vec<&str> = text
            .lines()
            .skip_while(|line| !line.contains(" tasks of thread "))
            .filter(|line| !line.contains("asyncio/"))
            .skip(1)
            .collect();
        let expected = [
            "both: waiting",
            "    gather (target.py:4)",
            "  one: sleeping",
            "      doze (target.py:3)",
            "  two: sleeping",
            "      doze (target.py:3)",
            "main: sleeping",
            "    main (target.py:11)",
        ];
        assert_eq!(tasks, expected, "{interpreter}:\n{text}");
        let value: Value = serde_json::from_str(&dump(&["--json"])).expect("it is JSON");
        let tasks = value["processes"][0]["tasks"].as_array().expect("a list").clone();
        let names: Vec<&Value> = tasks.iter().map(|task| &task["name"]).collect();
        assert_eq!(names, ["both", "one", "two", "main"], "{interpreter}");
        assert_eq!(tasks[1]["awaited_by"], json!([tasks[0]["id"]]), "{interpreter}");
        assert_eq!(tasks[3]["thread_id"], value["threads"][0]["thread_id"], "{interpreter}");
        assert_eq!(tasks[3]["state"], "sleep", "{interpreter}");
    }
}
