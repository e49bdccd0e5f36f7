//! Children of the program are followed, whatever way they take.

use crate::{Observed, folder_with, python};

/// Whether this machine tells exactly which processes are made; else they are searched for.
fn events_are_told() -> bool {
    let told = naja_system::process_events::ProcessEvents::listen().is_ok();
    if !told {
        naja_testkit::not_tested("exact endings of children: the kernel does not tell of them here");
    }
    told
}

/// Gives a program functions that use a processor, so that there is something to sample. `BUSY name` stands for
/// the definition of such a function; it takes a number of seconds.
fn with_busy_functions(program: &str) -> String {
    let mut text = "import time\n".to_owned();
    for line in program.lines() {
        let Some((indent, name)) = line.split_once("BUSY ") else {
            text.push_str(&format!("{line}\n"));
            continue;
        };
        text.push_str(&format!(
            "{indent}def {name}(seconds):\n{indent} end = time.perf_counter() + seconds\n\
             {indent} while time.perf_counter() < end: sum(range(100))\n"
        ));
    }
    text
}

fn run(program: &str) -> Option<(Observed, tempfile::TempDir)> {
    let folder = folder_with(&[("app.py", &with_busy_functions(program))]);
    let observed = Observed::run(folder.path(), &["app.py"])?;
    Some((observed, folder))
}

#[test]
fn commands_are_named_with_how_they_ended() {
    let Some((observed, _folder)) = run("
import subprocess
subprocess.run(['sleep', '0.2'])
subprocess.run(['sh', '-c', 'sleep 0.15; exit 3'])
child = subprocess.Popen(['tail', '-f', '/dev/null'])
time.sleep(0.2)
child.terminate()
child.wait()
")
    else {
        return;
    };
    let program = &observed.processes()[0];
    let shell = observed.process("sleep 0.15; exit 3");
    let inner = observed.process("0.15");
    assert_eq!(shell["parent_pid"], program["pid"]);
    assert_eq!(inner["parent_pid"], shell["pid"]);
    for named in ["0.2", "0.15", "-f"] {
        assert_eq!(observed.process(named)["interpreter"], "", "{named}");
    }
    if events_are_told() {
        assert_eq!(program["ending"], serde_json::json!({"exited": 0}));
        assert_eq!(observed.process("0.2")["ending"], serde_json::json!({"exited": 0}));
        assert_eq!(shell["ending"], serde_json::json!({"exited": 3}));
        assert_eq!(observed.process("-f")["ending"], serde_json::json!({"killed": 15}));
    }
    assert!(observed.text.contains("other children"), "{}", observed.text);
}

#[test]
fn a_forked_child_is_sampled_without_executing_anything() {
    let Some((observed, _folder)) = run("
import os
BUSY in_the_child
child = os.fork()
if child == 0:
    in_the_child(0.3)
    os._exit(7)
os.waitpid(child, 0)
")
    else {
        return;
    };
    let [program, child] = observed.processes() else { panic!("{:#}", observed.report["processes"]) };
    assert_eq!((&child["interpreter"], &child["parent_pid"]), (&program["interpreter"], &program["pid"]));
    assert!(observed.seconds_in("in_the_child") > 0.05, "{:#}", observed.report["functions"]);
    if events_are_told() {
        assert_eq!(child["ending"], serde_json::json!({"exited": 7}));
    }
}

#[test]
fn every_way_of_multiprocessing_is_followed() {
    for method in ["fork", "spawn", "forkserver"] {
        let program = format!(
            "
import multiprocessing, os
BUSY busy
def job(number):
    busy(0.3)
    return os.getpid()
if __name__ == '__main__':
    with multiprocessing.get_context('{method}').Pool(2) as pool:
        pids = set(pool.map(job, range(2), chunksize=1))
    print(*pids)
"
        );
        let Some((observed, _folder)) = run(&program) else { return };
        assert!(observed.seconds_in("busy") > 0.1, "{method}: {:#}", observed.report["functions"]);
        let workers = String::from_utf8_lossy(&observed.output.stdout).into_owned();
        for worker in workers.split_whitespace() {
            let of_worker = |process: &&serde_json::Value| process["pid"].as_u64() == worker.parse().ok();
            let process = observed.processes().iter().find(of_worker).expect("the worker is named");
            assert_eq!(process["interpreter"], observed.report["interpreter"], "{method}");
        }
    }
}

#[test]
fn short_children_are_counted() {
    let Some((observed, _folder)) = run("
import subprocess
for number in range(60):
    subprocess.run(['true'])
")
    else {
        return;
    };
    assert!(observed.output.status.success());
    if !events_are_told() {
        return;
    }
    let named = observed.processes().len() as u64 - 1;
    let counted = observed.report["children_unnamed"].as_u64().expect("a number");
    assert_eq!(named + counted, 60);
    if named < 12 {
        assert!(observed.text.contains(" that lived less than 50 ms"), "{}", observed.text);
    }
}

#[test]
fn a_daemon_is_followed_and_said_to_live_on() {
    let Some((observed, _folder)) = run("
import os, sys
told, tell = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for number in range(3):
            os.close(number)
        BUSY serve
        serve(0.3)
        os.write(tell, b'x')
        time.sleep(600)
    os._exit(0)
os.wait()
os.read(told, 1)
sys.exit(4)
")
    else {
        return;
    };
    assert_eq!(observed.output.status.code(), Some(4));
    let running = |process: &&serde_json::Value| process["ending"] == "running";
    let daemon = observed.processes().iter().find(running);
    let pid = daemon.and_then(|daemon| daemon["pid"].as_i64());
    // Before anything can fail: it would sleep on for minutes.
    let pid = pid.and_then(|pid| rustix::process::Pid::from_raw(i32::try_from(pid).ok()?));
    let killed = pid.map(|pid| rustix::process::kill_process(pid, rustix::process::Signal::KILL));
    assert_eq!(killed, Some(Ok(())), "{:#}", observed.report["processes"]);
    assert!(observed.text.contains("still running"), "{}", observed.text);
    assert!(observed.seconds_in("serve") > 0.05, "{:#}", observed.report["functions"]);
}

#[test]
fn a_python_that_becomes_another_python_is_read_on() {
    let Some((observed, _folder)) = run("
import os, sys
BUSY first
first(0.2)
os.execv(sys.executable, [sys.executable, '-c', '''
import time
BUSY second
second(0.2)
'''])
")
    else {
        return;
    };
    let [program] = observed.processes() else { panic!("{:#}", observed.report["processes"]) };
    assert_eq!(program["command"][1], "-c");
    assert!(program["interpreter"].as_str().is_some_and(|name| name.starts_with("CPython 3.")));
    for name in ["first", "second"] {
        assert!(observed.seconds_in(name) > 0.05, "{name}: {:#}", observed.report["functions"]);
    }
}

#[test]
fn a_python_that_becomes_another_program_is_shown_as_that_program() {
    let Some((observed, _folder)) = run("
import os
BUSY busy
busy(0.2)
os.execv('/bin/sleep', ['sleep', '0.2'])
")
    else {
        return;
    };
    let [program] = observed.processes() else { panic!("{:#}", observed.report["processes"]) };
    assert_eq!(program["command"], serde_json::json!(["sleep", "0.2"]));
    // What it was until then is not forgotten.
    assert!(program["interpreter"].as_str().is_some_and(|name| name.starts_with("CPython 3.")));
    assert!(!observed.text.contains("unobserved"), "{}", observed.text);
}

/// Runs a program as in a container: in a namespace of processes of its own, where the kernel does not tell of births.
fn run_in_a_namespace(program: &str) -> Option<serde_json::Value> {
    let folder = folder_with(&[("app.py", &with_busy_functions(program))]);
    let python = python()?;
    let naja = crate::naja();
    let mut command = naja.command_of(&["unshare", "--pid", "--fork", "--mount-proc"]);
    command.arg(naja.program());
    command.args(["run", "--report", "report.json", "-o", "run.naja", "--python"]).arg(&python.path);
    let output = command.arg("app.py").current_dir(folder.path()).output();
    if !output.as_ref().is_ok_and(|output| output.status.success()) {
        naja_testkit::not_tested("children in a container: `unshare --pid` is not allowed here");
        return None;
    }
    let text = std::fs::read(folder.path().join("report.json")).expect("a report");
    Some(serde_json::from_slice(&text).expect("a report is JSON"))
}

#[test]
fn a_daemon_is_found_where_the_kernel_does_not_tell() {
    let program = "
import os
told, tell = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        BUSY serve
        serve(0.5)
        os.write(tell, b'x')
        time.sleep(600)
    os._exit(0)
os.wait()
os.read(told, 1)
";
    let Some(report) = run_in_a_namespace(program) else { return };
    let processes = report["processes"].as_array().expect("a list");
    let daemon = processes.iter().skip(1).find(|process| process["ending"] == "running");
    assert!(daemon.is_some_and(|daemon| daemon["wall_s"].as_f64() > Some(0.2)), "{processes:#?}");
}

#[test]
fn children_are_found_where_the_kernel_does_not_tell() {
    let program = "
import os, subprocess
subprocess.run(['sleep', '0.3'])
BUSY busy
if os.fork() == 0:
    busy(0.3)
    os._exit(0)
os.wait()
";
    let Some(report) = run_in_a_namespace(program) else { return };
    let processes = report["processes"].as_array().expect("a list");
    let commands: Vec<&serde_json::Value> = processes.iter().map(|process| &process["command"][0]).collect();
    assert_eq!((commands.len(), commands[1].as_str()), (3, Some("sleep")), "{commands:?}");
}
