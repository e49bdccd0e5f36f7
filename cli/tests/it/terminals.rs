//! In a terminal: Ctrl-C, Ctrl-Z, job control of a real shell, all as without naja.

use std::path::Path;

use naja_testkit::naja::ending;
use naja_testkit::terminal::{CTRL_BACKSLASH, CTRL_C, CTRL_D, CTRL_Z, Terminal};

use crate::{folder_with, naja, python};

/// Plays the same scene with plain Python and under naja, and asserts that ending and screen are the same.
fn check_scene(files: &[(&str, &str)], words: &[&str], scene: impl Fn(&mut Terminal)) {
    let Some(python) = python() else { return };
    let naja = naja();
    let folder = folder_with(files);
    let [plain, observed] = naja.with_and_without(python).map(|way| {
        let mut command = naja.command_of(&way);
        command.args(words).current_dir(folder.path());
        let mut terminal = Terminal::start(&command);
        scene(&mut terminal);
        let (status, screen) = terminal.wait();
        // The terminal's echo of a key that sends a signal may come before or after what the program writes.
        format!("{}\n{}", ending(status), screen.replace("^C", "").replace("^\\", ""))
    });
    assert_eq!(observed, plain, "under naja, and plainly");
}

/// An interactive shell in a terminal, whose function `it` runs a program in one of the two ways.
fn shell(way: &[std::ffi::OsString], folder: &Path) -> Terminal {
    let words: Vec<String> = way.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let setup = format!(
        "PS1='ready> '; PS2=; bind 'set enable-bracketed-paste off'; it() {{ {} \"$@\"; }}\n",
        words.join(" ")
    );
    std::fs::write(folder.join("setup"), setup).expect("it can be written");
    let naja = naja();
    let mut command = naja.command_of(&["bash", "--noprofile", "--rcfile", "setup", "-i"]);
    command.env("TERM", "dumb").env("HISTFILE", "/dev/null").current_dir(folder);
    let mut terminal = Terminal::start(&command);
    terminal.wait_for("ready> ");
    terminal
}

/// Plays a scene in a shell in both ways and asserts that it gives the same text.
fn check_in_shell(files: &[(&str, &str)], scene: impl Fn(&mut Terminal) -> String) {
    let Some(python) = python() else { return };
    let naja = naja();
    let folder = folder_with(files);
    let [plain, observed] = naja.with_and_without(python).map(|way| {
        let mut terminal = shell(&way, folder.path());
        let text = scene(&mut terminal);
        terminal.press("exit\n");
        text
    });
    assert_eq!(observed, plain, "under naja, and plainly");
}

#[test]
fn all_three_streams_stay_a_terminal_of_the_same_size() {
    let program = "
import os, signal, sys
print([os.isatty(number) for number in range(3)], os.ttyname(0) == os.ttyname(2), os.get_terminal_size())
print(os.tcgetpgrp(0) == os.getpgrp(), sys.stdout.line_buffering)
";
    check_scene(&[("app.py", program)], &["app.py"], |_| ());
}

#[test]
fn a_new_size_of_the_window_reaches_the_program_once() {
    let program = "
import os, signal
sizes = []
signal.signal(signal.SIGWINCH, lambda number, frame: sizes.append(tuple(os.get_terminal_size())))
print('ready', flush=True)
input()
print(sizes)
";
    check_scene(&[("app.py", program)], &["app.py"], |terminal| {
        terminal.wait_for("ready\r\n");
        terminal.resize(30, 100);
        terminal.press("\n");
        terminal.wait_for("[(100, 30)]");
    });
}

#[test]
fn a_line_typed_is_read_by_the_program() {
    let program = "name = input('name? ')\nprint('hello', name)\nimport sys\nprint(len(sys.stdin.read()))\n";
    check_scene(&[("app.py", program)], &["app.py"], |terminal| {
        terminal.wait_for("name? ");
        terminal.press("naja\n");
        terminal.wait_for("hello naja\r\n");
        terminal.press("more\n");
        terminal.press(CTRL_D);
        terminal.wait_for("5");
    });
}

#[test]
fn ctrl_c_goes_to_the_program_once() {
    let program = "
import signal
count = 0
def interrupted(number, frame):
    global count
    count += 1
    print('interrupted', count, flush=True)
signal.signal(signal.SIGINT, interrupted)
print('ready', flush=True)
import time
while count < 3: time.sleep(0.005)
input()
print('counted', count)
";
    check_scene(&[("app.py", program)], &["app.py"], |terminal| {
        terminal.wait_for("ready\r\n");
        for count in 1..=3 {
            terminal.press(CTRL_C);
            terminal.wait_for(&format!("interrupted {count}\r\n"));
        }
        terminal.press("\n");
        terminal.wait_for("counted 3");
    });
}

#[test]
fn ctrl_c_ends_a_program_as_it_would() {
    // Without a traceback, since the signal may come at any line after the word. It sleeps in short pieces: a
    // signal just before a sleep is handled after it only.
    let wait = "import sys, time\nsys.tracebacklimit = 0\nprint('ready', flush=True)\nwhile True: time.sleep(0.02)\n";
    check_scene(&[("app.py", wait)], &["app.py"], |terminal| {
        terminal.wait_for("ready\r\n");
        terminal.press(CTRL_C);
    });
}

#[test]
fn a_program_that_catches_ctrl_c_ends_as_it_wants() {
    // It sleeps in short pieces: a signal just before a sleep is handled after it only.
    let program = "
import time
try:
    print('ready', flush=True)
    while True: time.sleep(0.02)
except KeyboardInterrupt:
    print('done')
";
    check_scene(&[("app.py", program)], &["app.py"], |terminal| {
        terminal.wait_for("ready\r\n");
        terminal.press(CTRL_C);
        terminal.wait_for("done\r\n");
    });
}

#[test]
fn ctrl_backslash_ends_a_program_as_it_would() {
    let program = "
import resource, time
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
print('ready', flush=True)
while True: time.sleep(60)
";
    check_scene(&[("app.py", program)], &["app.py"], |terminal| {
        terminal.wait_for("ready\r\n");
        terminal.press(CTRL_BACKSLASH);
    });
}

/// Says what it reads and when it is continued. It never waits in a read: a signal just before one would be
/// handled after it only.
const ECHO: &str = "
import select, signal
signal.signal(signal.SIGCONT, lambda number, frame: print('continued', flush=True))
print('ready', flush=True)
while True:
    while not select.select([0], [], [], 0.02)[0]: pass
    try:
        line = input()
    except EOFError:
        break
    print('read', line, flush=True)
print('end', flush=True)
";

/// The same, but it waits in its reads.
const READER: &str = "
import signal
signal.signal(signal.SIGCONT, lambda number, frame: print('continued', flush=True))
print('ready', flush=True)
while True:
    try:
        line = input()
    except EOFError:
        break
    print('read', line, flush=True)
print('end', flush=True)
";

#[test]
fn ctrl_z_and_fg_work_under_a_shell() {
    check_in_shell(&[("app.py", ECHO)], |terminal| {
        terminal.press("it app.py\n");
        terminal.wait_for("ready\r\n");
        let mut seen = Vec::new();
        for word in ["one", "two"] {
            terminal.press(CTRL_Z);
            terminal.wait_for("ready> ");
            terminal.press("jobs | sed 's/  *[^ ]*$//' | cut -c1-24\n");
            terminal.wait_for("24\r\n");
            seen.push(terminal.wait_for("ready> "));
            terminal.press("fg >/dev/null\n");
            terminal.wait_for("continued");
            terminal.press(&format!("{word}\n"));
            terminal.wait_for(&format!("read {word}"));
        }
        terminal.press(CTRL_D);
        terminal.wait_for("end");
        terminal.wait_for("ready> ");
        terminal.press("echo \"code $?, jobs <$(jobs)>\"\n");
        terminal.wait_for("\r\n");
        seen.push(terminal.wait_for("ready> "));
        seen.join("|")
    });
}

#[test]
fn a_background_job_that_reads_the_terminal_is_stopped_and_goes_on_in_front() {
    check_in_shell(&[("app.py", READER)], |terminal| {
        terminal.press("it app.py &\n");
        terminal.wait_for("ready\r\n");
        terminal.press("\n");
        // bash tells of the stop before its next prompt; the job may need a moment to get there.
        terminal.press("until jobs -s | grep -q Stopped; do sleep 0.01; done; echo now stopped\n");
        terminal.wait_for("\r\nnow stopped");
        terminal.wait_for("ready> ");
        terminal.press("fg >/dev/null\n");
        terminal.wait_for("continued");
        terminal.press("word\n");
        terminal.wait_for("read word");
        terminal.press(CTRL_D);
        terminal.wait_for("end");
        terminal.wait_for("ready> ");
        terminal.press("echo \"code $?\"\n");
        terminal.wait_for("\r\n");
        terminal.wait_for("ready> ")
    });
}

#[test]
fn a_program_that_stops_itself_is_seen_as_stopped_by_the_shell() {
    let program = "
import os, signal
os.kill(os.getpid(), signal.SIGSTOP)
print('on again', flush=True)
raise SystemExit(3)
";
    check_in_shell(&[("app.py", program)], |terminal| {
        terminal.press("it app.py; echo \"first $?\"\n");
        terminal.wait_for("first ");
        terminal.wait_for("\r\n");
        terminal.wait_for("ready> ");
        terminal.press("fg >/dev/null; echo \"then $?\"\n");
        terminal.wait_for("on again");
        terminal.wait_for("then ");
        terminal.wait_for("ready> ")
    });
}

#[test]
fn a_job_that_is_killed_or_continued_in_the_background_is_reported_as_ever() {
    check_in_shell(&[("app.py", ECHO)], |terminal| {
        terminal.press("it app.py\n");
        terminal.wait_for("ready\r\n");
        terminal.press(CTRL_Z);
        terminal.wait_for("ready> ");
        terminal.press("kill %1; bg >/dev/null 2>&1; wait %1; echo \"code $?\"\n");
        terminal.wait_for("code $?\"\r\n");
        terminal.wait_for("code ");
        terminal.wait_for("ready> ")
    });
}

#[test]
fn a_program_that_takes_the_terminal_gives_it_back_as_it_would() {
    // As a shell does: a child in a group of its own, in front, with the terminal.
    let program = "
import os, signal
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
child = os.fork()
if child == 0:
    os.setpgid(0, 0)
    os.tcsetpgrp(0, os.getpgrp())
    print('child read', input('child? '), flush=True)
    os._exit(0)
os.waitpid(child, 0)
os.tcsetpgrp(0, os.getpgrp())
print('parent read', input('parent? '), flush=True)
";
    check_scene(&[("app.py", program)], &["app.py"], |terminal| {
        terminal.wait_for("child? ");
        terminal.press("one\n");
        terminal.wait_for("parent? ");
        terminal.press("two\n");
        terminal.wait_for("parent read two");
    });
}

#[test]
fn closing_the_terminal_hangs_up_on_the_program_once() {
    let program = "
import os, signal, time
def hung_up(number, frame):
    with open('hung-up', 'a') as file:
        file.write('x')
signal.signal(signal.SIGHUP, hung_up)
signal.signal(signal.SIGTERM, lambda number, frame: os._exit(0))
print('ready', os.getpid(), flush=True)
while True: time.sleep(60)
";
    let Some(python) = python() else { return };
    let naja = naja();
    for way in naja.with_and_without(python) {
        let folder = folder_with(&[("app.py", program)]);
        let mut command = naja.command_of(&way);
        command.arg("app.py").current_dir(folder.path());
        let mut terminal = Terminal::start(&command);
        terminal.wait_for("ready ");
        let pid: i32 = terminal.wait_for("\r\n").parse().expect("a number");
        terminal.hang_up();
        let file = folder.path().join("hung-up");
        for _ in 0..5000 {
            // That it is there is not enough: what was written must have reached it before the program ends.
            if std::fs::metadata(&file).is_ok_and(|data| data.len() > 0) {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        let pid = rustix::process::Pid::from_raw(pid).expect("a process");
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it lives");
        let (status, _) = terminal.wait();
        assert_eq!(ending(status), "exit code 0");
        assert_eq!(std::fs::read_to_string(file).expect("it was written"), "x");
    }
}
