//! `naja top` on a real terminal, and on none, with real programs.

use std::process::{Command, Stdio};

use naja_testkit::naja::{Naja, ending};
use naja_testkit::target::Target;
use naja_testkit::terminal::{CTRL_C, CTRL_Z, Picture, Terminal};

use crate::{folder_with, naja, python};

/// `hot` has some three quarters of the time, `warm` a quarter; both are Python alone.
const PROGRAM: &str = "
import threading
def spin(count):
    total = 0
    for number in range(count):
        total += number
    return total
def hot():
    total = 0
    for number in range(30_000):
        total += number
    return total
def warm():
    total = 0
    for number in range(10_000):
        total += number
    return total
def idle():
    threading.Event().wait()
def loop():
    while True:
        hot()
        warm()
threading.Thread(target=idle, name='idle-線程', daemon=True).start()
print('{}', flush=True)
loop()
";

const UP: &str = "\x1b[A";
const DOWN: &str = "\x1b[B";
const ESCAPE: &str = "\x1b";

fn command(naja: &Naja, words: &[&str]) -> Command {
    let mut command = naja.command();
    command.arg("top").args(words).env("TERM", "xterm-256color");
    command
}

/// A terminal in which a shell runs `naja top` with these words, and then waits.
fn in_shell(naja: &Naja, words: &str) -> Terminal {
    let script = format!("{} top {words}; echo left with $?; cat", naja.program().display());
    let mut command = naja.command_of(&["sh", "-c", &script]);
    command.env("TERM", "xterm-256color");
    Terminal::start(&command)
}

/// The row of a function: one that has its name between blanks.
fn row_of(picture: &Picture, name: &str) -> Option<usize> {
    picture.rows.iter().position(|row| {
        let is_of_table = row.split_whitespace().any(|word| word.contains(".py:"));
        is_of_table && row.split_whitespace().any(|word| word == name)
    })
}

fn is_above(picture: &Picture, first: &str, second: &str) -> bool {
    match (row_of(picture, first), row_of(picture, second)) {
        (Some(first), Some(second)) => first < second,
        _ => false,
    }
}

fn wait_for_left(terminal: &Terminal, code: i32) {
    let text = format!("left with {code}");
    let picture = terminal.wait_until(&text, |picture| picture.shows(&text));
    assert!(!picture.alternate && picture.cursor, "{picture:?}");
    assert!(terminal.is_as_shells_leave_it(), "keys are not shown, or come one by one");
}

#[test]
fn the_hottest_function_stands_first_and_keys_do_what_the_help_says() {
    let Some(python) = python() else { return };
    let target = Target::start_as(python, "work.py", PROGRAM);
    let naja = naja();
    let mut terminal = in_shell(&naja, &format!("-p {} --delay 0.2", target.pid()));
    let enough = |picture: &Picture| is_above(picture, "hot", "warm") && is_above(picture, "warm", "loop");
    let picture = terminal.wait_until("hot above warm", enough);
    assert!(picture.alternate && !picture.cursor, "{picture:?}");
    assert!(picture.rows[0].contains(&target.pid().to_string()), "{picture:?}");
    assert!(picture.rows[0].contains("work.py") && picture.rows[0].contains("CPython 3."), "{picture:?}");
    assert!(picture.shows("memory") && picture.shows("GIL") && picture.shows("samples/s"), "{picture:?}");

    // By total, the loop stands above what it calls; by name, from a to z, and turned around.
    terminal.press("2");
    terminal.wait_until("loop above hot", |picture| is_above(picture, "loop", "hot"));
    terminal.press("5");
    terminal.wait_until("hot above loop", |picture| {
        is_above(picture, "hot", "loop") && is_above(picture, "loop", "warm")
    });
    terminal.press("5");
    terminal.wait_until("warm above hot", |picture| is_above(picture, "warm", "hot"));
    terminal.press("1");
    terminal.wait_until("own first again", enough);

    // A filter, typed and dropped.
    terminal.press("/WAR");
    terminal.wait_until("warm alone", |picture| {
        row_of(picture, "warm").is_some() && row_of(picture, "hot").is_none() && picture.shows("filter: WAR")
    });
    terminal.press(ESCAPE);
    terminal.wait_until("no filter", |picture| row_of(picture, "hot").is_some() && !picture.shows("filter:"));

    // Into a function and back: its caller, its lines with their text.
    terminal.press("\r");
    let picture = terminal.wait_until("the lines of hot", |picture| {
        picture.shows("called by") && picture.shows("for number in range(30_000)")
    });
    assert!(row_of(&picture, "loop").is_some(), "{picture:?}");
    terminal.press("\r");
    terminal
        .wait_until("what loop calls", |picture| is_above(picture, "hot", "warm") && picture.shows("loop ("));
    terminal.press(ESCAPE);
    terminal.wait_until("hot again", |picture| picture.shows("hot ("));
    terminal.press(ESCAPE);
    terminal.wait_until("the table again", |picture| picture.shows("functions"));

    terminal.press("?");
    terminal.wait_until("help", |picture| picture.shows("set all counts to zero"));
    terminal.press(" ");
    terminal.wait_until("no help", |picture| enough(picture) && !picture.shows("set all counts"));
    terminal.press("l");
    terminal.wait_until("lines", |picture| picture.shows("lines") && picture.shows("work.py:11"));
    terminal.press("l");

    // Threads, one of them with a wide name; one alone.
    terminal.press("t");
    terminal.wait_until("threads", |picture| picture.shows("idle-線程") && picture.shows("MainThread"));
    terminal.press(DOWN);
    terminal.press("\r");
    terminal.wait_until("nothing of the idle thread", |picture| {
        picture.shows("thread idle-線程") && picture.shows("nothing has run yet")
    });
    terminal.press("m");
    terminal.wait_until("where it waits", |picture| row_of(picture, "idle").is_some());
    terminal.press(ESCAPE);
    terminal.wait_until("all threads", |picture| row_of(picture, "hot").is_some());
    terminal.press("p");
    terminal.wait_until("processes", |picture| picture.shows("interpreter"));
    terminal.press("a");
    terminal.wait_until("tasks", |picture| picture.shows("no asyncio task was seen"));
    terminal.press("a");

    terminal.press("q");
    wait_for_left(&terminal, 0);
}

#[test]
fn a_pause_freezes_the_figures_and_clearing_sets_them_to_zero() {
    let Some(python) = python() else { return };
    let target = Target::start_as(python, "work.py", PROGRAM);
    let naja = naja();
    let mut terminal = in_shell(&naja, &format!("{} --delay 0.1", target.pid()));
    let seconds = |picture: &Picture| {
        let row = row_of(picture, "hot")?;
        picture.rows[row].split_whitespace().find_map(|word| {
            let (_, digits) = word.split_once('.')?;
            (digits.len() == 2).then(|| word.parse::<f64>().ok())?
        })
    };
    terminal.wait_until("a second of hot", |picture| seconds(picture) > Some(1.0));
    terminal.press(" ");
    let paused = terminal.wait_until("paused", |picture| picture.rows[0].ends_with("paused"));
    // A key draws anew, from the figures that were frozen.
    terminal.press("?");
    terminal.wait_until("help", |picture| picture.shows("quit"));
    terminal.press(" ");
    let later = terminal.wait_until("the table again", |picture| seconds(picture).is_some());
    assert_eq!(seconds(&later), seconds(&paused));
    terminal.press(" ");
    terminal.wait_until("going on", |picture| seconds(picture) > seconds(&paused));
    terminal.press("c");
    terminal.wait_until("less than before", |picture| {
        seconds(picture).is_some_and(|now| Some(now) < seconds(&paused))
    });
    terminal.press(CTRL_C);
    wait_for_left(&terminal, 0);
}

#[test]
fn any_size_of_the_terminal_is_drawn() {
    let Some(python) = python() else { return };
    let target = Target::start_as(python, "work.py", PROGRAM);
    let naja = naja();
    let mut terminal = in_shell(&naja, &format!("{} --delay 0.2", target.pid()));
    terminal.wait_until("hot", |picture| row_of(picture, "hot").is_some());
    for (rows, columns) in [(5, 20), (1, 1), (2, 3), (50, 200), (12, 40), (200, 30)] {
        terminal.resize(rows, columns);
        for key in ["t", "t", "?", " ", "\r", ESCAPE, "l", "/", "x", "\r", ESCAPE, "l", DOWN, UP, "p", "p"] {
            terminal.press(key);
        }
    }
    terminal.resize(5, 20);
    terminal.wait_until("a small table", |picture| picture.rows.len() == 5 && picture.shows(" hot"));
    terminal.resize(50, 200);
    let wide = terminal.wait_until("a wide table", |picture| {
        row_of(picture, "hot").is_some() && picture.shows("wait for GIL")
    });
    assert_eq!(wide.rows.len(), 50);
    terminal.press("q");
    wait_for_left(&terminal, 0);
}

#[test]
fn what_was_seen_stays_when_the_process_ends() {
    let Some(python) = python() else { return };
    let target = Target::start_as(python, "work.py", PROGRAM);
    let naja = naja();
    let mut terminal = in_shell(&naja, &format!("{} --delay 0.2", target.pid()));
    terminal.wait_until("hot", |picture| row_of(picture, "hot").is_some());
    drop(target);
    let picture = terminal.wait_until("ended", |picture| picture.rows[0].contains("ended"));
    assert!(row_of(&picture, "hot").is_some(), "{picture:?}");
    terminal.press("2");
    terminal.wait_until("sorted all the same", |picture| is_above(picture, "loop", "hot"));
    terminal.press("q");
    wait_for_left(&terminal, 0);
}

#[test]
fn a_signal_gives_the_terminal_back() {
    let Some(python) = python() else { return };
    let target = Target::start_as(python, "work.py", PROGRAM);
    let naja = naja();
    let terminal = in_shell(&naja, &format!("{} --delay 0.2", target.pid()));
    terminal.wait_until("hot", |picture| row_of(picture, "hot").is_some());
    let all = Command::new("ps").args(["-o", "pid=,ppid=,args=", "-e"]).output().expect("there is ps");
    let all = String::from_utf8_lossy(&all.stdout).into_owned();
    let shell = terminal.pid().to_string();
    let child = all.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        let (pid, parent) = (words.next()?, words.next()?);
        (parent == shell && line.contains(" top ")).then(|| pid.parse::<i32>().ok())?
    });
    let child = rustix::process::Pid::from_raw(child.expect("naja runs below the shell")).expect("a number");
    rustix::process::kill_process(child, rustix::process::Signal::TERM).expect("it lives");
    wait_for_left(&terminal, 128 + 15);
}

#[test]
fn ctrl_z_gives_the_terminal_to_the_shell_and_fg_takes_it_again() {
    let Some(python) = python() else { return };
    let target = Target::start_as(python, "work.py", PROGRAM);
    let naja = naja();
    let mut shell = naja.command_of(&["bash", "--norc", "--noprofile", "-i"]);
    shell.env("TERM", "xterm-256color").env("PS1", "ready> ");
    let mut terminal = Terminal::start(&shell);
    terminal.wait_until("a prompt", |picture| picture.shows("ready>"));
    terminal.press(&format!("{} top {} --delay 0.2\n", naja.program().display(), target.pid()));
    terminal.wait_until("hot", |picture| picture.alternate && row_of(picture, "hot").is_some());
    terminal.press(CTRL_Z);
    let picture = terminal.wait_until("stopped", |picture| !picture.alternate && picture.shows("Stopped"));
    assert!(picture.cursor, "{picture:?}");
    terminal.press("fg\n");
    terminal.wait_until("hot again", |picture| picture.alternate && row_of(picture, "hot").is_some());
    terminal.press("q");
    terminal.wait_until("the shell", |picture| !picture.alternate && picture.shows("ready>"));
    terminal.press("exit\n");
}

#[test]
fn a_program_that_is_started_shows_its_output_on_a_key_and_ends_with_the_view() {
    let Some(python) = python() else { return };
    let program =
        format!("import os, sys\nprint('pid', os.getpid(), repr(sys.stdin.read()), flush=True)\n{PROGRAM}");
    let folder = folder_with(&[("work.py", &program)]);
    let naja = naja();
    let python = python.path.display();
    let words = format!("--delay 0.2 -- {python} {}", folder.path().join("work.py").display());
    let mut terminal = in_shell(&naja, &words);
    terminal.wait_until("hot", |picture| row_of(picture, "hot").is_some());
    terminal.press("o");
    let picture = terminal.wait_until("its output", |picture| picture.shows("pid "));
    let line = &picture.rows[picture.row_with("pid ").expect("it shows")];
    assert!(line.ends_with("''"), "it has nothing to read: {line}");
    let pid = line.split_whitespace().nth(1).expect("a number").to_owned();
    terminal.press("q");
    wait_for_left(&terminal, 0);
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists(), "the program lives on");
}

#[test]
fn a_program_that_ends_by_itself_gives_its_exit_code() {
    let Some(python) = python() else { return };
    let naja = naja();
    let words = format!("--delay 0.2 -- {} -c 'raise SystemExit(7)'", python.path.display());
    let mut terminal = in_shell(&naja, &words);
    terminal.wait_until("its end", |picture| picture.rows[0].contains("ended: exit code 7"));
    terminal.press("q");
    wait_for_left(&terminal, 7);
}

#[test]
fn without_a_terminal_tables_or_lines_of_json_are_printed() {
    let Some(python) = python() else { return };
    let target = Target::start_as(python, "work.py", PROGRAM);
    let naja = naja();
    let pid = target.pid().to_string();
    let run = |words: &[&str]| {
        let output = command(&naja, words).stdin(Stdio::null()).output().expect("it starts");
        assert_eq!(ending(output.status), "exit code 0", "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("it is text")
    };
    let text = run(&[&pid, "--count", "2"]);
    assert!(!text.contains('\x1b'), "{text}");
    assert_eq!(text.matches("file:line").count(), 2, "{text}");
    assert!(text.contains("hot") && text.contains("work.py:"), "{text}");

    let json = run(&[&pid, "--count", "2", "--json", "--delay", "0.5", "--rate", "200"]);
    let lines: Vec<serde_json::Value> =
        json.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect();
    let [_, last] = lines.as_slice() else { panic!("{json}") };
    let own = |name: &str| {
        let functions = last["functions"].as_array().expect("there are functions");
        let found = functions.iter().find(|one| one["function"] == name);
        found.and_then(|one| one["own_s"].as_f64()).unwrap_or(0.0)
    };
    assert!(own("hot") > own("warm") && own("warm") > 0.0, "{json}");
    assert_eq!(last["pid"], target.pid());
    assert_eq!(last["threads"].as_array().map(Vec::len), Some(2), "{json}");

    // A terminal that can do nothing is none.
    let mut dumb = command(&naja, &[&pid, "--count", "1"]);
    dumb.env("TERM", "dumb");
    let (status, text) = Terminal::start(&dumb).wait();
    assert_eq!(ending(status), "exit code 0", "{text}");
    assert!(text.contains("hot") && !text.contains('\x1b'), "{text}");
}

#[test]
fn what_a_started_program_prints_is_no_part_of_the_figures() {
    let Some(python) = python() else { return };
    let folder = folder_with(&[(
        "app.py",
        "import sys\nprint('to stdout')\nprint('to stderr', file=sys.stderr)\nsys.exit(4)\n",
    )]);
    let naja = naja();
    let app = folder.path().join("app.py").display().to_string();
    let python = python.path.display().to_string();
    let output = command(&naja, &["--json", "--", &python, &app]).output().expect("it starts");
    assert_eq!(ending(output.status), "exit code 4");
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(stdout.lines().all(|line| line.starts_with('{')), "{stdout}");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("to stdout") && stderr.contains("to stderr"), "{stderr}");
}

#[test]
fn children_are_watched_where_that_is_asked_for() {
    let Some(python) = python() else { return };
    let program = "
import os, time
def in_child():
    while True: sum(range(1000))
if os.fork() == 0:
    parent = os.getppid()
    def watch():
        while os.getppid() == parent: time.sleep(0.02)
        os._exit(0)
    import threading
    threading.Thread(target=watch, daemon=True).start()
    in_child()
print('{}', flush=True)
time.sleep(1000)
";
    let target = Target::start_as(python, "work.py", program);
    let naja = naja();
    let mut terminal = in_shell(&naja, &format!("-s {} --delay 0.2", target.pid()));
    terminal.wait_until("the child's function", |picture| row_of(picture, "in_child").is_some());
    terminal.press("p");
    terminal.wait_until("two processes", |picture| {
        picture.rows.iter().skip(1).filter(|row| row.contains("/wor")).count() == 2
            && picture.shows("interpreter")
    });
    // The first is the program itself, which has nothing that runs.
    terminal.press("\r");
    terminal.wait_until("the program alone", |picture| {
        picture.shows(&format!("process {}", target.pid())) && row_of(picture, "in_child").is_none()
    });
    terminal.press("q");
    wait_for_left(&terminal, 0);
}

#[test]
fn what_cannot_be_watched_is_told_before_the_screen_is_taken() {
    let naja = naja();
    let mut sleep = Command::new("sleep").arg("60").spawn().expect("there is sleep");
    let other = sleep.id().to_string();
    for (words, expected) in [
        (&["4194303"][..], "error[no-such-process]"),
        (&["app.py"], "`naja top -- app.py`"),
        (&[], "error[usage]"),
        (&[other.as_str()], "error[not-python]"),
        (&["1", "--", "app.py"], "error[usage]"),
        (&["--delay", "0", "1"], "error[usage]"),
        (&["--", "no-such-file.py"], "error[no-such-file]"),
    ] {
        let (status, text) = Terminal::start(&command(&naja, words)).wait();
        assert_eq!(ending(status), "exit code 2", "{words:?}: {text}");
        assert!(text.contains(expected), "{words:?}: {text}");
        assert!(!text.contains("\x1b[?1049h"), "{words:?}: {text:?}");
    }
    sleep.kill().expect("it lives");
    sleep.wait().expect("it ends");
}
