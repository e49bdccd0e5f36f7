//! naja ends as the program ended, whatever way it takes.

use std::os::unix::process::ExitStatusExt;

use crate::{check_same, folder_with, naja, python};

fn check_code(code: &str) -> Option<std::process::Output> {
    let folder = folder_with(&[]);
    check_same(folder.path(), &[], &["-c", code])
}

#[test]
fn every_kind_of_exit_code_is_passed_on() {
    for code in [0, 1, 2, 3, 42, 126, 127, 128, 130, 254, 255, 256, -1] {
        check_code(&format!("import sys; sys.exit({code})"));
    }
}

#[test]
fn all_exit_codes_are_passed_on() {
    // A native program, since 256 starts of Python take long.
    let naja = naja();
    for code in 0..=255 {
        let mut command = naja.command();
        command.args(["run", "-q", "sh", "-c", &format!("exit {code}")]);
        assert_eq!(command.status().expect("it starts").code(), Some(code));
    }
}

#[test]
fn an_exception_and_an_exit_message_look_the_same() {
    check_code("import sys; sys.exit('a message')");
    check_code("1 / 0");
    check_code("raise KeyboardInterrupt");
    check_code("raise SystemExit(b'x')");
    check_code("this is no Python");
}

#[test]
fn leaving_without_cleaning_up_is_passed_on() {
    check_code("import os; os._exit(9)");
}

#[test]
fn a_program_that_a_signal_ended_looks_like_that_from_outside() {
    let folder = folder_with(&[]);
    // Every signal whose default action ends a process, with and without a core.
    let no_core = ["sh", "-c", "ulimit -c 0; exec \"$@\"", "sh"];
    for signal in [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 24, 25, 26, 27, 29, 30, 31, 34, 64]
    {
        let code = format!(
            "import os, signal\nif {signal} != 9: signal.signal({signal}, signal.SIG_DFL)\nos.kill(os.getpid(), {signal})"
        );
        let Some(output) = check_same(folder.path(), &no_core, &["-c", &code]) else { return };
        assert_eq!(output.status.signal(), Some(signal));
    }
}

#[test]
fn a_crash_looks_the_same() {
    let folder = folder_with(&[]);
    let no_core = ["sh", "-c", "ulimit -c 0; exec \"$@\"", "sh"];
    check_same(folder.path(), &no_core, &["-c", "import ctypes; ctypes.string_at(0)"]);
    check_same(folder.path(), &no_core, &["-c", "import os; os.abort()"]);
}

#[test]
fn only_the_program_leaves_a_core() {
    let pattern = std::fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap_or_default();
    let folder = folder_with(&[("crash.py", "import os\nprint(os.getpid(), flush=True)\nos.abort()\n")]);
    let with_core = ["sh", "-c", "ulimit -c unlimited 2>/dev/null; exec \"$@\"", "sh"];
    let Some([_, observed]) = crate::both_ways(folder.path(), &with_core, &["crash.py"]) else { return };
    assert_eq!(observed.status.signal(), Some(6));
    assert!(!observed.status.core_dumped(), "naja itself leaves none, and so does not say that it did");
    let Ok(names) = std::fs::read_dir(folder.path()) else { return };
    let cores = names.flatten().filter(|it| it.file_name() != "crash.py").count();
    if pattern.starts_with(['/', '|']) {
        naja_testkit::not_tested(&format!("cores of this machine go to {pattern}"));
    } else {
        // Two where there is a process number in the name (plainly and under naja), else one over the other.
        assert!(cores <= 2, "{cores} cores for two crashes");
    }
}

#[test]
fn a_program_that_becomes_another_is_followed_to_its_end() {
    check_code("import os; os.execvp('sh', ['sh', '-c', 'echo replaced; exit 5'])");
    check_code(
        "import os, sys; os.execv(sys.executable, [sys.executable, '-c', 'print(1); raise SystemExit(6)'])",
    );
}

#[test]
fn naja_returns_when_the_program_ends_although_a_daemon_lives_on() {
    // The daemon ends when the reader of `alive` comes, which is after both have returned.
    let program = "
import os, sys
os.mkfifo('alive')
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for number in range(3):
            os.close(number)
        os.write(os.open('alive', os.O_WRONLY), b'still here')
    os._exit(0)
os.wait()
sys.exit(4)
";
    let Some(python) = python() else { return };
    let naja = naja();
    for way in naja.with_and_without(python) {
        let folder = folder_with(&[("daemon.py", program)]);
        let output =
            naja.command_of(&way).arg("daemon.py").current_dir(folder.path()).output().expect("it starts");
        assert_eq!(output.status.code(), Some(4));
        assert_eq!(std::fs::read_to_string(folder.path().join("alive")).expect("a pipe"), "still here");
    }
}

#[test]
fn a_broken_pipe_is_the_same_in_a_pipeline() {
    let folder = folder_with(&[
        ("many.py", "for number in range(100000): print(number)\n"),
        ("once.py", "print(1, flush=True)\nimport sys\nsys.stdin.read()\nprint(2)\n"),
    ]);
    let head = ["bash", "-c", "set -o pipefail; \"$@\" | head -n 1; echo ${PIPESTATUS[@]}", "bash"];
    check_same(folder.path(), &head, &["many.py"]);
    let grep = ["bash", "-c", "seq 100000 | \"$@\" | head -n 1; echo ${PIPESTATUS[@]}", "bash"];
    check_same(folder.path(), &grep, &["-c", "import sys\nfor line in sys.stdin: print(line)"]);
}

#[test]
fn a_shells_own_pipe_in_a_program_breaks_silently() {
    // `yes` would report the broken pipe if it were started with the signal ignored, as Rust's programs are.
    let folder = folder_with(&[]);
    let naja = naja();
    let program = naja.program().to_str().expect("a plain path");
    for way in ["", &format!("{program} run -q")] {
        let script = format!("{way} yes | head -n 1; echo ${{PIPESTATUS[@]}}");
        let output =
            naja.command_of(&["bash", "-c", &script]).current_dir(folder.path()).output().expect("bash");
        assert_eq!(
            naja_testkit::naja::block(&output, &[]),
            "exit code 0\n--- stdout\ny\n141 0\n--- stderr\n"
        );
    }
}

#[test]
fn a_program_from_standard_input_runs() {
    let folder = folder_with(&[("program", "import sys\nprint(sys.argv)\nsys.exit(3)\n")]);
    let stdin = ["sh", "-c", "\"$@\" - one -q < program", "sh"];
    let script = ["sh", "-c", "cat program | \"$@\" - --two", "sh"];
    for prefix in [stdin, script] {
        // The words after the prefix are the interpreter's; the program stands in the script itself.
        check_same(folder.path(), &prefix, &[]);
    }
}
