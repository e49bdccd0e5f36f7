//! `naja memory live` on a real terminal, and on none, with real programs.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use naja_testkit::naja::{Naja, block, ending};
use naja_testkit::terminal::{CTRL_C, Picture, Terminal};
use serde_json::Value;

use crate::{folder_with, naja, python};

/// Keeps 40 MB in `large`, 10 MB in many pieces in `many`, and 20 MB in another thread, until a file is there.
const PROGRAM: &str = "
import os, sys, threading, time
kept = []
def large():
    kept.append(bytearray(40_000_000))
def many():
    kept.append([bytearray(10_000) for _ in range(1000)])
def inner():
    large()
    many()
def worker():
    kept.append(bytearray(20_000_000))
    threading.Event().wait()
threading.Thread(target=worker, daemon=True).start()
inner()
print('hello from the program', flush=True)
while not os.path.exists('more'):
    time.sleep(0.02)
kept.append(bytearray(90_000_000))
while not os.path.exists('end'):
    time.sleep(0.02)
sys.exit(7)
";

const ESCAPE: &str = "\x1b";
const DOWN: &str = "\x1b[B";

/// A terminal in which a shell runs `naja memory live` with these words in a folder, and then waits.
fn in_shell(naja: &Naja, folder: &std::path::Path, words: &str) -> Terminal {
    let script = format!(
        "cd {}; {} memory live --delay 0.2 {words}; echo left with $?; cat",
        folder.display(),
        naja.program().display()
    );
    let mut command = naja.command_of(&["sh", "-c", &script]);
    command.env("TERM", "xterm-256color");
    Terminal::start(&command)
}

/// The row of a function: one that has its name and a line between blanks.
fn row_of(picture: &Picture, name: &str) -> Option<usize> {
    picture.rows.iter().position(|row| {
        row.split_whitespace().any(|word| word.contains(".py:"))
            && row.split_whitespace().any(|word| word == name)
    })
}

fn is_above(picture: &Picture, first: &str, second: &str) -> bool {
    match (row_of(picture, first), row_of(picture, second)) {
        (Some(first), Some(second)) => first < second,
        _ => false,
    }
}

fn wait_for_left(terminal: &Terminal, code: i32) -> Picture {
    let text = format!("left with {code}");
    let picture = terminal.wait_until(&text, |picture| picture.shows(&text));
    assert!(!picture.alternate && picture.cursor, "{picture:?}");
    assert!(terminal.is_as_shells_leave_it(), "keys are not shown, or come one by one");
    picture
}

fn all_is_there(picture: &Picture) -> bool {
    is_above(picture, "large", "worker") && is_above(picture, "worker", "many.<locals>.<listcomp>")
        || is_above(picture, "large", "worker") && is_above(picture, "worker", "many")
}

#[test]
fn a_program_is_watched_and_keys_do_what_the_help_says() {
    let Some(python) = python() else { return };
    let naja = naja();
    let folder = folder_with(&[("app.py", PROGRAM)]);
    let words = format!("-o app.naja {} app.py", python.path.display());
    let mut terminal = in_shell(&naja, folder.path(), &words);
    let picture = terminal.wait_until("large above worker above many", all_is_there);
    assert!(picture.alternate && !picture.cursor, "{picture:?}");
    assert!(picture.rows[0].contains("app.py") && picture.rows[0].contains("CPython 3."), "{picture:?}");
    assert!(picture.shows("in use") && picture.shows("resident") && picture.shows("peak"), "{picture:?}");
    assert!(!picture.shows("hello from the program"), "{picture:?}");

    // By total, the caller stands above what it calls; by blocks, many above large.
    terminal.press("2");
    terminal.wait_until("the module above large", |picture| is_above(picture, "<module>", "large"));
    terminal.press("3");
    terminal.wait_until("many pieces above all that are one", |picture| {
        picture.shows(" 1,00") && row_of(picture, "many").is_some() && row_of(picture, "large").is_none()
    });
    terminal.press("1");
    terminal.wait_until("own first again", all_is_there);

    // A filter, typed and dropped.
    terminal.press("/WORK");
    terminal.wait_until("worker alone", |picture| {
        row_of(picture, "worker").is_some()
            && row_of(picture, "large").is_none()
            && picture.shows("filter: WORK")
    });
    terminal.press(ESCAPE);
    terminal
        .wait_until("no filter", |picture| row_of(picture, "large").is_some() && !picture.shows("filter:"));

    // Threads: apart, the list of them, one alone.
    terminal.press("m");
    terminal.wait_until("threads apart", |picture| {
        let row = row_of(picture, "large").map(|row| picture.rows[row].clone());
        picture.shows("threads apart") && row.is_some_and(|row| row.contains("main thread"))
    });
    terminal.press("m");
    terminal.press("t");
    terminal.wait_until("threads", |picture| picture.shows("all threads") && picture.shows("main thread"));
    terminal.press(DOWN);
    terminal.press("\r");
    terminal.wait_until("the main thread alone", |picture| {
        row_of(picture, "large").is_some() && row_of(picture, "worker").is_none()
    });
    terminal.press(ESCAPE);
    terminal.wait_until("all threads again", |picture| row_of(picture, "worker").is_some());

    // The tree: what was called stands below its caller, and a call can be folded.
    terminal.press("e");
    terminal.wait_until("the tree", |picture| {
        picture.shows("tree of calls")
            && is_above(picture, "<module>", "large")
            && picture.shows("1 call › large")
    });
    terminal.press("\r");
    terminal.wait_until("the module is folded", |picture| {
        row_of(picture, "<module>").is_some()
            && row_of(picture, "large").is_none()
            && picture.shows("▸ <module>")
    });
    terminal.press("\r");
    terminal.wait_until("the module is open", |picture| row_of(picture, "large").is_some());
    terminal.press("e");

    // The program's output is a page of its own.
    terminal.press("o");
    terminal.wait_until("its output", |picture| picture.shows("hello from the program"));
    terminal.press(ESCAPE);
    terminal.press("?");
    terminal.wait_until("help", |picture| picture.shows("threads together or apart"));
    terminal.press(" ");
    terminal.wait_until("no help", all_is_there);

    // A pause freezes what is shown; after it there is what came meanwhile.
    terminal.press(" ");
    terminal.wait_until("paused", |picture| picture.rows[0].ends_with("paused"));
    std::fs::write(folder.path().join("more"), "").expect("written");
    terminal.press("v");
    terminal.wait_until("the peak, still of before", |picture| {
        picture.shows("in use at the peak") && !picture.shows("86 MiB")
    });
    terminal.press(" ");
    terminal.wait_until("what came meanwhile", |picture| picture.shows("86 MiB"));

    // It ends by itself, which is shown; naja ends alike.
    std::fs::write(folder.path().join("end"), "").expect("written");
    terminal.wait_until("ended", |picture| picture.rows[0].contains("ended: exit code 7"));
    terminal.press("q");
    let picture = wait_for_left(&terminal, 7);
    assert!(picture.shows("recorded in app.naja"), "{picture:?}");
    let output = naja
        .command()
        .args(["memory", "summary", "--json", "app.naja"])
        .current_dir(folder.path())
        .output()
        .expect("naja starts");
    assert!(output.status.success(), "{}", block(&output, &[]));
}

/// `naja memory run` of the program in a folder.
struct Recording {
    child: Child,
    folder: tempfile::TempDir,
}

impl Recording {
    fn start(naja: &Naja) -> Option<Recording> {
        let python = python()?;
        let folder = folder_with(&[("app.py", PROGRAM)]);
        let mut command = naja.command();
        command.args(["memory", "run", "-q", "-o", "app.naja"]).arg(&python.path).arg("app.py");
        let child = command.current_dir(folder.path()).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = child.expect("naja starts");
        let mut line = String::new();
        let stdout = child.stdout.as_mut().expect("it was asked for");
        BufReader::new(stdout).read_line(&mut line).expect("the program speaks");
        assert_eq!(line, "hello from the program\n");
        Some(Recording { child, folder })
    }

    /// The number of the program's process: naja's child.
    fn program(&self) -> u32 {
        let path = format!("/proc/{0}/task/{0}/children", self.child.id());
        let children = std::fs::read_to_string(path).expect("naja lives");
        children.split_whitespace().next().and_then(|pid| pid.parse().ok()).expect("it has a child")
    }

    fn end(&mut self) {
        for name in ["more", "end"] {
            std::fs::write(self.folder.path().join(name), "").expect("written");
        }
        let _ = self.child.wait();
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        self.end();
    }
}

#[test]
fn what_another_naja_records_is_watched_by_file_and_by_process() {
    let naja = naja();
    let Some(mut recording) = Recording::start(&naja) else { return };
    let folder = recording.folder.path().to_owned();
    let pid = recording.program().to_string();
    let mut by_file = in_shell(&naja, &folder, "app.naja");
    let mut by_process = in_shell(&naja, std::path::Path::new("/"), &pid);
    for terminal in [&by_file, &by_process] {
        let picture = terminal.wait_until("large above worker", all_is_there);
        assert!(picture.rows[0].contains(&pid), "{picture:?}");
    }
    // The view ends, and the program goes on.
    by_process.press(CTRL_C);
    wait_for_left(&by_process, 0);
    assert!(recording.child.try_wait().expect("it is asked").is_none());
    std::fs::write(folder.join("more"), "").expect("written");
    by_file.wait_until("what came meanwhile", |picture| picture.shows("86 MiB"));
    recording.end();
    by_file.wait_until("complete", |picture| picture.rows[0].contains("the recording is complete"));
    by_file.press("q");
    wait_for_left(&by_file, 0);
}

#[test]
fn any_size_of_the_terminal_is_drawn() {
    let naja = naja();
    let Some(recording) = Recording::start(&naja) else { return };
    let mut terminal = in_shell(&naja, recording.folder.path(), "app.naja");
    terminal.wait_until("large", |picture| row_of(picture, "large").is_some());
    for (rows, columns) in [(5, 20), (1, 1), (2, 3), (50, 200), (12, 40), (200, 30)] {
        terminal.resize(rows, columns);
        for key in [
            "t", "t", "?", " ", "\r", "e", "\r", DOWN, "\r", "e", "/", "x", "\r", ESCAPE, "m", "m", "s", "s",
            "v",
        ] {
            terminal.press(key);
        }
    }
    terminal.resize(6, 24);
    terminal.wait_until("a small table", |picture| picture.rows.len() == 6 && picture.shows("MiB"));
    terminal.resize(50, 200);
    let wide = terminal.wait_until("a wide table", |picture| row_of(picture, "large").is_some());
    assert_eq!(wide.rows.len(), 50);
    terminal.press("q");
    wait_for_left(&terminal, 0);
}

#[test]
fn quitting_ends_the_program_that_was_started_for_the_view() {
    let Some(python) = python() else { return };
    let naja = naja();
    let folder = folder_with(&[("app.py", PROGRAM)]);
    let words = format!("-o app.naja {} app.py", python.path.display());
    let mut terminal = in_shell(&naja, folder.path(), &words);
    let picture = terminal.wait_until("large", |picture| row_of(picture, "large").is_some());
    let pid: u32 =
        picture.rows[0].split_whitespace().next().and_then(|pid| pid.parse().ok()).expect("a number");
    terminal.press("q");
    wait_for_left(&terminal, 0);
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
}

#[test]
fn without_a_terminal_tables_or_lines_of_json_are_printed() {
    let Some(python) = python() else { return };
    let naja = naja();
    let folder = folder_with(&[("app.py", PROGRAM), ("more", ""), ("end", "")]);
    let run = |options: &[&str]| {
        let mut command = naja.command();
        command.args(["memory", "live", "--delay", "0.2", "-o", "app.naja"]).args(options);
        command.arg(&python.path).arg("app.py").current_dir(folder.path());
        let output = command.output().expect("naja starts");
        assert_eq!(ending(output.status), "exit code 7", "{}", block(&output, &[]));
        String::from_utf8(output.stdout).expect("it is text")
    };
    let text = run(&[]);
    assert!(text.contains("ended: exit code 7") && text.contains("large"), "{text}");
    assert!(!text.contains("hello from the program"), "{text}");
    let lines = run(&["--json"]);
    let last: Value = serde_json::from_str(lines.lines().last().expect("a line")).expect("it is JSON");
    assert!(last["peak"]["bytes"].as_u64() > Some(150_000_000), "{last}");
    assert_eq!(last["ended"], "ended: exit code 7");
}

#[test]
fn what_cannot_be_watched_is_told_before_the_screen_is_taken() {
    let naja = naja();
    let folder = folder_with(&[("app.py", "print('hello')")]);
    let recorded =
        naja.command().args(["run", "-q", "-o", "time.naja", "app.py"]).current_dir(folder.path()).output();
    assert!(recorded.expect("naja starts").status.success());
    for (word, name) in [
        ("none.naja", "recording-not-found"),
        ("time.naja", "no-allocations"),
        ("1", "not-recorded"),
        ("none.py", "no-such-file"),
    ] {
        let output = naja.command().args(["memory", "live", word]).current_dir(folder.path()).output();
        let output = output.expect("naja starts");
        assert_eq!(output.status.code(), Some(2), "{}", block(&output, &[]));
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(text.contains(&format!("error[{name}]")), "{word}: {text}");
    }
}
