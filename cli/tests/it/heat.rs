//! `naja heat`: the heat of lines is what `naja sql` counts, and callers and callees are those of the program.

use std::collections::HashMap;
use std::process::Output;
use std::sync::OnceLock;

use serde_json::Value;

use super::{folder_with, naja, python};

const APP: &str = "\
import time

def top():
    end = time.perf_counter() + 0.4
    while time.perf_counter() < end:
        left(30000)
        right(10000)

def left(count):
    return work(count)

def right(count):
    return work(count)

def work(count):
    total = 0
    for number in range(count):
        total += number * number
    return total

def deep(levels):
    if levels:
        return deep(levels - 1)
    return work(1_000_000)

top()
deep(5)
";

struct Recorded {
    folder: tempfile::TempDir,
}

impl Recorded {
    fn get() -> Option<&'static Recorded> {
        static MADE: OnceLock<Option<Recorded>> = OnceLock::new();
        MADE.get_or_init(Recorded::make).as_ref()
    }

    fn make() -> Option<Recorded> {
        let folder = folder_with(&[("app.py", APP)]);
        let mut command = naja().command();
        command.args(["run", "-q", "-o", "app.naja", "--python"]).arg(&python()?.path).arg("app.py");
        let output = command.current_dir(&folder).output().expect("it starts");
        assert!(output.status.success(), "{output:?}");
        Some(Recorded { folder })
    }

    fn naja(&self, words: &[&str]) -> Output {
        naja().command().args(words).current_dir(&self.folder).output().expect("it starts")
    }

    fn heat(&self, words: &[&str]) -> String {
        let output = self.naja(&[&["heat", "app.naja"], words].concat());
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    }

    fn json(&self, words: &[&str]) -> Value {
        serde_json::from_str(&self.heat(&[words, &["--json"]].concat())).expect("JSON")
    }

    fn count(&self, query: &str) -> u64 {
        let output = self.naja(&["sql", "--json", "app.naja", query]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let rows: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        rows[0]["n"].as_u64().expect("a count")
    }
}

const RUNS: &str = "s.state in ('python', 'native')";

fn samples(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("not a count: {value}"))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("not a list: {value}"))
}

#[test]
fn own_and_total_of_lines_and_files_are_what_sql_counts() {
    let Some(recorded) = Recorded::get() else { return };
    let heat = recorded.json(&["app.py"]);
    assert_eq!(
        samples(&heat["samples"]),
        recorded.count(&format!("select count(*) n from samples s where {RUNS}"))
    );
    let own =
        |place: &str| recorded.count(&format!("select count(*) n from samples s where {RUNS} and {place}"));
    // A sample counts once, however often the line stands on its stack.
    let total = |place: &str| {
        let stacks = format!("select distinct stack from stack_frames where {place}");
        recorded.count(&format!("select count(*) n from samples s where {RUNS} and s.stack in ({stacks})"))
    };
    let lines = list(&heat["lines"]);
    assert!(lines.len() > 8, "{heat:#}");
    for line in lines {
        let place = format!("file like '%app.py' and line = {}", line["line"]);
        assert_eq!(
            (samples(&line["own"]), samples(&line["total"])),
            (own(&place), total(&place)),
            "{line:#}"
        );
        let number = samples(&line["line"]) as usize;
        // An instruction that belongs to no line has number 0, and no text.
        let text = number.checked_sub(1).map(|index| APP.lines().nth(index).expect("a line"));
        assert_eq!(line["source"].as_str().unwrap_or_default(), text.unwrap_or_default());
    }
    let file = "file like '%app.py'";
    assert_eq!((samples(&heat["file"]["own"]), samples(&heat["file"]["total"])), (own(file), total(file)));
    for function in list(&heat["file"]["functions"]) {
        let place = format!("{file} and function = '{}'", function["name"].as_str().expect("a name"));
        assert_eq!((samples(&function["own"]), samples(&function["total"])), (own(&place), total(&place)));
    }
}

#[test]
fn callers_and_callees_of_a_line_share_its_samples() {
    let Some(recorded) = Recorded::get() else { return };
    let line = |number: u64| {
        let heat = recorded.json(&[&format!("app.py:{number}")]);
        list(&heat["lines"])[0].clone()
    };
    let neighbours = |line: &Value, list_name: &str| -> HashMap<String, u64> {
        let one = |one: &Value| {
            let text = |key: &str| one[key].as_str().expect("text").to_owned();
            (format!("{} {}:{}", text("function"), text("file"), one["line"]), samples(&one["samples"]))
        };
        list(&line[list_name]).iter().map(one).collect()
    };
    // The loop of `work` runs for `left`, for `right` and for `deep`.
    let hot = line(18);
    let callers = neighbours(&hot, "callers");
    assert_eq!(callers.values().sum::<u64>(), samples(&hot["total"]));
    for caller in ["left app.py:10", "right app.py:13", "deep app.py:24"] {
        assert!(callers.contains_key(caller), "{caller}: {callers:?}");
    }
    assert!(callers["left app.py:10"] > callers["right app.py:13"], "{callers:?}");
    let calls = line(6);
    let callees = neighbours(&calls, "callees");
    let all = callees.values().sum::<u64>();
    // A stack that was copied while one call followed the other has the line of the one and the function of the other:
    // see docs/design/sampling.md. With calls of a millisecond that is rare.
    assert!(callees["left app.py:9"] * 100 >= all * 95, "{callees:?}");
    assert_eq!(all + samples(&calls["own"]), samples(&calls["total"]));
    // A recursive line calls itself, and what it calls is not counted once for each level.
    let recursive = line(23);
    let callees = neighbours(&recursive, "callees");
    assert!(callees.values().sum::<u64>() <= samples(&recursive["total"]), "{recursive:#}");
}

#[test]
fn text_lists_files_by_heat_and_shows_lines_with_their_source() {
    let Some(recorded) = Recorded::get() else { return };
    let files = recorded.heat(&[]);
    let first = files.lines().nth(2).expect("a file");
    assert!(first.ends_with("app.py") && first.contains('█'), "{files}");
    let lines = recorded.heat(&["app.py"]);
    let hot = lines.lines().find(|line| line.contains("total += number * number")).expect("the hot line");
    assert!(hot.contains(" %") && hot.contains('█') && hot.contains("   18  "), "{lines}");
    assert!(lines.contains("  called by ") && lines.contains("  left  app.py:10"), "{lines}");
    assert!(!lines.contains('\u{1b}'), "{lines}");
    let line = recorded.heat(&["app.py:10"]);
    assert!(line.contains("  called by ") && line.contains("  top  app.py:6"), "{line}");
    assert!(line.contains("  calls ") && line.contains("  work  app.py:15"), "{line}");
    let function = recorded.heat(&["work"]);
    assert!(function.contains("def work(count):") && !function.contains("def right(count):"), "{function}");
    assert!(!function.contains("def deep(levels):"), "{function}");
    let whole = recorded.naja(&["convert", "app.naja", "-f", "heat", "-o", "-"]);
    let whole = String::from_utf8(whole.stdout).expect("text");
    assert!(whole.starts_with(&files) && whole.contains("total += number * number"), "{whole}");
}

#[test]
fn what_has_no_heat_is_told_with_a_hint() {
    let Some(recorded) = Recorded::get() else { return };
    std::fs::write(recorded.folder.path().join("other.py"), "pass\n").expect("there is room");
    for (words, name) in [
        (["app.naja", "nothing.py"], "no-such-heat"),
        (["app.naja", "app.py:2"], "no-such-heat"),
        (["missing.naja", "app.py"], "recording-not-found"),
        (["other.py", "app.py"], "not-a-recording"),
    ] {
        let output = recorded.naja(&[&["heat"][..], &words].concat());
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.starts_with(&format!("error[{name}]: ")) && text.contains("hint: "), "{text}");
    }
}
