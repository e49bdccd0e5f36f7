//! Reports of `naja memory` on recordings of real programs: their sums are those of `naja sql`, in every form.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Output;

use naja_testkit::Browser;
use naja_testkit::interpreters::interpreters;
use naja_testkit::naja::{Naja, block};
use serde_json::{Value, json};

use crate::convert::{fields, varints};
use crate::memory::{report, run, sql};
use crate::naja;

/// Gives early what stays, then much that goes, then what is late, a part of it in another thread; and ends before anything
/// is taken apart.
const PHASES: &str = "\
import os, threading, time
kept = []
def early():
    kept.append(bytearray(5_000_000))
def gone():
    held = bytearray(20_000_000)
    time.sleep(0.2)
def late():
    kept.append(bytearray(7_000_000))
def worker():
    kept.append(bytearray(3_000_000))
    for _ in range(100):
        bytes(100_000)
def wait():
    time.sleep(0.1)
early()
wait()
gone()
wait()
other = threading.Thread(target=worker)
other.start()
other.join()
late()
wait()
os._exit(0)
";

/// A command of `naja memory`, that must do what it is asked for.
fn done(naja: &Naja, folder: &Path, words: &[&str]) -> Output {
    let output = naja.command().arg("memory").args(words).current_dir(folder).output().expect("naja starts");
    assert!(output.status.success(), "{words:?}: {}", block(&output, &[]));
    output
}

/// One that must not: its code, and what it says.
fn refused(naja: &Naja, folder: &Path, words: &[&str]) -> (Option<i32>, String) {
    let output = naja.command().arg("memory").args(words).current_dir(folder).output().expect("naja starts");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Opens a page; it has no complaints.
fn open(browser: &Browser, page: &Path) {
    browser.open(page);
    browser.wait_for(
        "return document.body.classList.contains('ready') || document.getElementById('fatal').textContent",
    );
    assert_eq!(browser.run("return document.getElementById('fatal').textContent"), "");
    assert_eq!(browser.console(), Vec::<String>::new());
}

/// Chooses, and gives the sum of all and of functions, in whole millions of bytes.
fn chosen(browser: &Browser, choice: &str, functions: &[&str]) -> Vec<u64> {
    let script = format!(
        "naja.choices.set({choice}); naja.choices.tell();
         const {{ recording, sums }} = naja;
         return {}.map((name) => sums.functionOwn[recording.functionName.indexOf(name)] ?? 0)",
        json!(functions)
    );
    let values = browser.run(&script);
    let values = values.as_array().expect("a list").iter();
    values.map(|value| value.as_f64().expect("a number") as u64 / 1_000_000).collect()
}

#[test]
fn the_page_shows_any_moment_and_any_stretch_under_every_interpreter() {
    let Some(browser) = Browser::start() else { return };
    for interpreter in interpreters() {
        let naja = naja();
        let folder = tempfile::tempdir().expect("a temporary folder");
        run(&naja, folder.path(), interpreter, &[], PHASES);
        let output = done(&naja, folder.path(), &["flamegraph", "app.naja"]);
        assert!(String::from_utf8_lossy(&output.stdout).starts_with("wrote app.html ("));
        open(&browser, &folder.path().join("app.html"));
        let names = ["early", "gone", "late", "worker"];
        let check = |choice: &str, expected: [u64; 4]| {
            assert_eq!(chosen(&browser, choice, &names), expected, "{interpreter}: {choice}");
        };
        check("{ view: 'peak' }", [5, 20, 0, 0]);
        check("{ view: 'moment', at: naja.recording.peakBucket }", [5, 20, 0, 0]);
        check("{ view: 'moment', at: naja.recording.bucketCount - 1 }", [5, 0, 7, 3]);
        check("{ view: 'left' }", [5, 0, 7, 3]);
        check("{ view: 'left', from: naja.recording.peakBucket + 1 }", [0, 0, 7, 3]);
        check("{ view: 'given' }", [0, 0, 7, 13]);
        check("{ view: 'gone', from: 0 }", [0, 20, 0, 10]);
        check("{ view: 'given' }", [5, 20, 7, 13]);
        // The other thread alone.
        check("{ thread: naja.recording.threads.length - 1 }", [0, 0, 0, 13]);
        check("{ thread: null }", [5, 20, 7, 13]);
    }
}

/// The columns of SQL beside the page's names for them.
const VIEWS: [(&str, &str); 4] =
    [("peak", "peak"), ("left", "now"), ("given", "given"), ("temporary", "temporary")];

#[test]
fn all_sums_of_page_and_exports_are_those_of_sql() {
    let Some(python) = crate::python() else { return };
    let naja = naja();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let program = "\
import json, os, threading
def make(count):
    return [json.loads('{\"a\": [1, 2, {\"b\": \"%d\"}]}' % index) for index in range(count)]
kept = make(3000)
threads = [threading.Thread(target=make, args=(2000,)) for _ in range(3)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
if not os.fork():
    make(1000)
    os._exit(0)
os.wait()
";
    run(&naja, folder.path(), python, &["--python-allocators"], program);
    let sums = |column: &str, by: &str| {
        let query = format!(
            "select {by}, sum({column}_blocks), sum({column}_bytes) from allocations where {column}_blocks > 0 group by 1 order by 1"
        );
        sql(&naja, folder.path(), &query)
    };
    for (option, column) in
        [("--all", "given"), ("--leaks", "now"), ("--temporary", "temporary"), ("", "peak")]
    {
        let options: Vec<&str> = Some(option).filter(|option| !option.is_empty()).into_iter().collect();
        let convert = |format: &str| {
            let words = [&["convert", "app.naja", "-f", format, "-o", "-"], options.as_slice()].concat();
            done(&naja, folder.path(), &words).stdout
        };
        assert_eq!(csv_sums(&convert("csv")), sums(column, "allocator"), "csv {option}");
        let whole = sums(column, "0");
        assert_eq!(gprof2dot_sum(&convert("gprof2dot")), whole, "gprof2dot {option}");
        assert_eq!(pprof_sum(&convert("pprof")), whole, "pprof {option}");
        let bytes: u64 = whole[0].rsplit(',').next().and_then(|bytes| bytes.parse().ok()).expect("a number");
        assert_eq!(speedscope_sum(&convert("speedscope")), bytes, "speedscope {option}");
        let text = String::from_utf8(convert("collapsed")).expect("text");
        let counts = text.lines().filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
        assert_eq!(counts.sum::<u64>(), bytes, "collapsed {option}");
        // The table, by lines and by threads.
        for split in [&[][..], &["--split-threads"]] {
            let words = [&["table", "-n", "0"], options.as_slice(), split].concat();
            let table = report(&naja, folder.path(), &words);
            let rows = table["rows"].as_array().expect("rows").iter();
            let sum = rows.map(|row| row["amount"]["bytes"].as_u64().expect("a number")).sum::<u64>();
            assert_eq!(sum, bytes, "{words:?}");
        }
    }
    let Some(browser) = Browser::start() else { return };
    done(&naja, folder.path(), &["flamegraph", "app.naja", "-o", "page.html", "--split-threads"]);
    open(&browser, &folder.path().join("page.html"));
    assert_eq!(browser.run("return naja.choices.values.group"), "thread");
    for (view, column) in VIEWS {
        let script = format!(
            "naja.choices.set({{ view: '{view}' }}); naja.choices.tell();
             const {{ recording, sums }} = naja;
             const roots = naja.flame.tree.childrenOf(0).reduce((sum, node) => sum + naja.flame.tree.total[node], 0);
             return [sums.allBlocks, sums.allBytes, sums.whole, roots]"
        );
        let query = format!("select sum({column}_blocks), sum({column}_bytes) from allocations");
        let whole = sql(&naja, folder.path(), &query);
        let shown = browser.run(&script);
        assert_eq!(format!("{},{}", shown[0], shown[1]), whole[0], "{view}");
        assert_eq!((&shown[2], &shown[3]), (&shown[1], &shown[1]), "{view}");
        // Thread by thread.
        let script = "return Object.fromEntries(naja.flame.tree.childrenOf(0).map((node) =>
             [naja.recording.threads[-1 - naja.flame.tree.code[node]].id, naja.flame.tree.total[node]]))";
        let by_thread = sums(column, "thread");
        let expected: BTreeMap<String, u64> = by_thread
            .iter()
            .filter_map(|line| {
                let words: Vec<&str> = line.split(',').collect();
                Some((words[0].to_owned(), words[2].parse().ok()?))
            })
            .filter(|(_, bytes)| *bytes > 0)
            .collect();
        assert_eq!(browser.run(script), json!(expected), "{view}");
    }
    // What lives sum up to is what the sums say: at the end, and in all.
    let script = "
        const { recording } = naja, { columns } = recording;
        const sum = (values) => values.reduce((all, value) => all + value, 0);
        const left = columns.life_bytes.filter((_, life) => recording.lifeTaken[life] === recording.bucketCount);
        return [sum(columns.life_bytes), sum(left), columns.level_end[recording.bucketCount - 1]]";
    let query = "select sum(given_bytes), sum(now_bytes), sum(now_bytes) from allocations";
    let shown = browser.run(script);
    assert_eq!(format!("{},{},{}", shown[0], shown[1], shown[2]), sql(&naja, folder.path(), query)[0]);
}

fn csv_sums(text: &[u8]) -> Vec<String> {
    let mut sums: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for line in String::from_utf8_lossy(text).lines().skip(1) {
        let words: Vec<&str> = line.splitn(6, ',').collect();
        let sum = sums.entry(words[0].to_owned()).or_default();
        sum.0 += words[1].parse::<u64>().expect("blocks");
        sum.1 += words[2].parse::<u64>().expect("bytes");
    }
    sums.into_iter().map(|(allocator, (blocks, bytes))| format!("{allocator},{blocks},{bytes}")).collect()
}

fn gprof2dot_sum(text: &[u8]) -> Vec<String> {
    let value: Value = serde_json::from_slice(text).expect("it is JSON");
    let functions = value["functions"].as_array().expect("functions").len() as u64;
    let (mut blocks, mut bytes) = (0, 0);
    for event in value["events"].as_array().expect("events") {
        let chain = event["callchain"].as_array().expect("a chain");
        assert!(!chain.is_empty() && chain.iter().all(|index| index.as_u64() < Some(functions)));
        bytes += event["cost"][0].as_u64().expect("bytes");
        blocks += event["cost"][1].as_u64().expect("blocks");
    }
    vec![format!("0,{blocks},{bytes}")]
}

fn speedscope_sum(text: &[u8]) -> u64 {
    let value: Value = serde_json::from_slice(text).expect("it is JSON");
    let frames = value["shared"]["frames"].as_array().expect("frames").len() as u64;
    let mut sum = 0;
    for profile in value["profiles"].as_array().expect("profiles") {
        assert_eq!(profile["unit"], "bytes");
        let samples = profile["samples"].as_array().expect("samples");
        let weights = profile["weights"].as_array().expect("weights");
        assert_eq!(samples.len(), weights.len());
        let all = samples.iter().flat_map(|stack| stack.as_array().expect("a stack"));
        assert!(all.clone().all(|frame| frame.as_u64() < Some(frames)));
        sum += weights.iter().map(|weight| weight.as_f64().expect("a number") as u64).sum::<u64>();
    }
    sum
}

fn pprof_sum(packed: &[u8]) -> Vec<String> {
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(packed), &mut bytes).expect("it is gzip");
    let (mut blocks, mut sum) = (0, 0);
    for (number, field) in fields(&bytes) {
        if number == 2 {
            let sample = fields(field.bytes());
            let values = sample.iter().find(|(number, _)| *number == 2).expect("a sample has values");
            let values = varints(values.1.bytes());
            blocks += values[0];
            sum += values[1];
        }
    }
    vec![format!("0,{blocks},{sum}")]
}

#[test]
fn sums_alone_give_a_page_without_a_time_line_that_says_so() {
    let Some(python) = crate::python() else { return };
    let Some(browser) = Browser::start() else { return };
    let naja = naja();
    let folder = tempfile::tempdir().expect("a temporary folder");
    run(&naja, folder.path(), python, &["--aggregate"], PHASES);
    done(&naja, folder.path(), &["flamegraph", "--leaks", "--inverted", "app.naja"]);
    open(&browser, &folder.path().join("app.html"));
    let opened = browser.run("return [naja.choices.values.view, naja.choices.values.invert]");
    assert_eq!(opened, json!(["left", true]));
    let notes = browser.run("return document.getElementById('notes').textContent");
    assert!(notes.as_str().expect("text").contains("no time line of the heap"), "{notes}");
    let buttons =
        browser.run("return [...document.querySelectorAll('#views button')].map((one) => one.textContent)");
    assert_eq!(buttons, json!(["Peak", "Left", "Given", "Temporary"]));
    let names = ["early", "gone", "late", "worker"];
    assert_eq!(chosen(&browser, "{ view: 'peak' }", &names), [5, 20, 0, 0]);
    assert_eq!(chosen(&browser, "{ view: 'left' }", &names), [5, 0, 7, 3]);
    // Dragging over the time line does nothing.
    browser.run("naja.timeline.select(1, 2); naja.choices.tell()");
    assert_eq!(browser.run("return naja.timeline.isWhole()"), true);
}

#[test]
fn a_page_opens_on_its_table_and_with_temporary_memory() {
    let Some(python) = crate::python() else { return };
    let Some(browser) = Browser::start() else { return };
    let naja = naja();
    let folder = tempfile::tempdir().expect("a temporary folder");
    run(&naja, folder.path(), python, &[], PHASES);
    let words = ["table", "app.naja", "-o", "table.html", "--temporary", "--temporary-within", "10"];
    done(&naja, folder.path(), &words);
    open(&browser, &folder.path().join("table.html"));
    let seen = browser.run(
        "return [document.getElementById('flame-pane').checkVisibility(), document.getElementById('table').checkVisibility(),
           document.querySelector('#table-body .function').textContent, document.getElementById('sort-more').textContent]",
    );
    assert_eq!(seen, json!([false, true, "gone", "Blocks"]));
    browser.keys("w");
    browser.wait_for("return document.getElementById('flame-pane').checkVisibility()");
    browser.keys("f");
    browser.wait_for("return document.getElementById('figures').open");
    let figures = browser.run("return document.getElementById('figures').textContent");
    let figures = figures.as_str().expect("text");
    for words in ["mmap", "By size", "Resident memory", "code and mapped files"] {
        assert!(figures.contains(words), "{words}: {figures}");
    }
    assert_eq!(browser.console(), Vec::<String>::new());
    let refused = refused(&naja, folder.path(), &["flamegraph", "app.naja", "-o", "none/page.html"]);
    assert!(refused.0 == Some(2) && refused.1.contains("error[cannot-write]"), "{refused:?}");
}

#[test]
fn many_stacks_make_a_page_that_is_small_and_says_what_it_merged() {
    let Some(python) = crate::python() else { return };
    let naja = naja();
    let folder = tempfile::tempdir().expect("a temporary folder");
    // Each number is another path of thirteen calls, and another stack.
    let program = "\
import sys
kept = []
def even(number, depth):
    return odd(number >> 1, depth - 1) if depth and number & 1 else even(number >> 1, depth - 1) if depth else keep()
def odd(number, depth):
    return even(number >> 1, depth - 1) if depth and number & 1 else odd(number >> 1, depth - 1) if depth else keep()
def keep():
    kept.append(bytearray(1000))
    if len(kept) > 5000:
        kept.clear()
for number in range(1 << 17):
    even(number, 17)
";
    run(&naja, folder.path(), python, &[], program);
    done(&naja, folder.path(), &["flamegraph", "app.naja"]);
    let page = folder.path().join("app.html");
    let bytes = std::fs::metadata(&page).expect("it is there").len();
    assert!(bytes < 10_000_000, "{bytes}");
    let Some(browser) = Browser::start() else { return };
    open(&browser, &page);
    // Whatever was merged, sums are the same.
    for (view, column) in VIEWS {
        let script = format!(
            "naja.choices.set({{ view: '{view}' }}); naja.choices.tell(); return [naja.sums.allBlocks, naja.sums.allBytes]"
        );
        let shown = browser.run(&script);
        let query = format!("select sum({column}_blocks), sum({column}_bytes) from allocations");
        assert_eq!(format!("{},{}", shown[0], shown[1]), sql(&naja, folder.path(), &query)[0], "{view}");
    }
    let seen = browser.run(
        "const { recording } = naja; return [recording.nodeCount, recording.rowCount, recording.lifeRow.length, recording.bucketCount, recording.meta.folded_share]",
    );
    let notes = browser.run("return document.getElementById('notes').textContent");
    let has_merged = seen[4].as_f64() > Some(0.0);
    assert_eq!(notes.as_str().expect("text").contains("are counted at their callers"), has_merged, "{seen}");
    assert!(seen[2].as_u64() > Some(1000), "{seen}");
}

#[test]
fn leaks_are_shown_with_their_callers() {
    let Some(python) = crate::python() else { return };
    let naja = naja();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let program = "\
import os
kept = []
def leak(size):
    kept.append(bytearray(size))
def one():
    leak(6_000_000)
def other():
    leak(2_000_000)
one()
other()
os._exit(0)
";
    run(&naja, folder.path(), python, &[], program);
    let leaks = report(&naja, folder.path(), &["leaks"]);
    let largest = &leaks["lines"][0];
    assert_eq!((&largest["function"], &largest["line"]), (&json!("leak"), &json!(4)));
    assert!(
        (8_000_000..8_001_000).contains(&largest["own"]["bytes"].as_u64().expect("a number")),
        "{largest}"
    );
    assert!((6_000_000..6_001_000).contains(&largest["of_stack"]["bytes"].as_u64().expect("a number")));
    let callers: Vec<(&Value, &Value)> = largest["callers"]
        .as_array()
        .expect("callers")
        .iter()
        .map(|call| (&call["function"], &call["line"]))
        .collect();
    assert_eq!(callers, [(&json!("one"), &json!(6)), (&json!("<module>"), &json!(9))]);
    let text = done(&naja, folder.path(), &["leaks", "app.naja", "-n", "1"]).stdout;
    let text = String::from_utf8(text).expect("text");
    assert!(text.contains("7.6 MiB") && text.contains("5.7 MiB of it called by"), "{text}");
    let text = String::from_utf8(done(&naja, folder.path(), &["table", "app.naja", "-n", "2"]).stdout);
    let text = text.expect("text");
    assert!(text.contains("leak") && text.contains("more rows; `-n 0` shows all"), "{text}");
}

#[test]
fn resident_memory_is_told_apart() {
    let Some(python) = crate::python() else { return };
    let naja = naja();
    let folder = tempfile::tempdir().expect("a temporary folder");
    // A bytearray is touched; a mapping is not.
    let program = "\
import mmap, time
touched = bytearray(40_000_000)
untouched = mmap.mmap(-1, 60_000_000, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
time.sleep(1)
";
    run(&naja, folder.path(), python, &[], program);
    let figures = report(&naja, folder.path(), &["stats"]);
    let parts = figures["resident"]["parts"].as_array().expect("parts");
    let part = |name: &str| {
        let found =
            parts.iter().find(|part| part["name"] == name).unwrap_or_else(|| panic!("{name}: {parts:?}"));
        found["bytes"].as_u64().expect("a number")
    };
    let (whole, own) = (part("resident"), part("memory of its own"));
    assert_eq!(whole, part("code and mapped files") + part("naja's buffers") + own);
    assert!(own > 40_000_000 && own < 100_000_000, "{parts:?}");
    assert!(part("in use then, as recorded") > 100_000_000, "{parts:?}");
    assert!(part("mapped and not resident: never touched, or given back") > 59_000_000, "{parts:?}");
    let note = figures["resident"]["notes"][0].as_str().expect("a note");
    assert!(note.contains("more in use than resident, at least"), "{note}");
    let text = String::from_utf8(done(&naja, folder.path(), &["stats", "app.naja"]).stdout).expect("text");
    assert!(text.contains("resident memory of process"), "{text}");
}

/// Ends with a code, after having used memory.
const ENDING: &str = "import sys\nkept = bytearray(5_000_000)\nsys.exit(int(sys.argv[1]))\n";

#[test]
fn conditions_decide_how_a_run_ends_if_the_program_ended_well() {
    let Some(python) = crate::python() else { return };
    let naja = naja();
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("app.py"), ENDING).expect("written");
    let python = python.path.to_str().expect("a path of text");
    let end = |options: &[&str], code: &str| {
        let words = [&["run", "-q", "-o", "app.naja"], options, &[python, "app.py", code]].concat();
        refused(&naja, folder.path(), &words)
    };
    let (code, text) = end(&["--fail-if", "peak > 4MB", "--fail-if", "leaked > 1GB"], "0");
    assert_eq!(code, Some(1), "{text}");
    assert!(
        text.contains("failed: memory in use at the peak: ") && text.contains("which `peak > 4MB` forbids"),
        "{text}"
    );
    assert!(!text.contains("leaked"), "{text}");
    assert_eq!(end(&["--fail-if", "peak > 1GB"], "0"), (Some(0), String::new()));
    // What the program itself says comes first.
    assert_eq!(end(&["--fail-if", "peak > 4MB"], "3").0, Some(3));
    assert_eq!(end(&["--fail-if", "blocks < 10"], "0").0, Some(0));
    let (code, text) = end(&["--fail-if", "pek > 4MB"], "0");
    assert!(code == Some(2) && text.contains("`pek` is none of peak, blocks"), "{text}");

    let stats =
        |condition: &str| refused(&naja, folder.path(), &["stats", "app.naja", "--fail-if", condition]);
    assert_eq!(stats("given >= 4MiB").0, Some(1));
    assert_eq!(stats("given >= 4GiB"), (Some(0), String::new()));
    let (code, text) = stats("given >= four");
    assert!(code == Some(2) && text.contains("not an amount of memory"), "{text}");
}

#[test]
fn what_is_no_recording_of_memory_is_named() {
    let Some(python) = crate::python() else { return };
    let naja = naja();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).expect("written");
    write("plain.bin", b"memray\0\x0d\0\0\0");
    write("packed.bin", b"\x04\x22\x4d\x18\x40\x40\xc0\x55\xa3\0\0\xf7\x07memray\0\x0d\0\0\0");
    write("empty.naja", b"");
    write("text.naja", b"not a recording");
    run(&naja, folder.path(), python, &[], PHASES);
    let whole = std::fs::read(folder.path().join("app.naja")).expect("it is there");
    write("cut.naja", &whole[..whole.len() / 2]);
    let recorded = naja
        .command()
        .args(["run", "-q", "-o", "time.naja", "-c", "pass"])
        .current_dir(folder.path())
        .output();
    assert!(recorded.expect("naja starts").status.success());
    for command in [
        &["flamegraph", "-o", "page.html"][..],
        &["table"],
        &["leaks"],
        &["stats"],
        &["convert", "-o", "out.csv"],
    ] {
        for (file, name) in [
            ("plain.bin", "memray-capture"),
            ("packed.bin", "memray-capture"),
            ("empty.naja", "recording"),
            ("text.naja", "recording"),
            ("cut.naja", "recording"),
            ("time.naja", "no-allocations"),
            ("none.naja", "recording-not-found"),
        ] {
            let (code, text) = refused(&naja, folder.path(), &[command, &[file]].concat());
            let named = text.lines().next().unwrap_or_default();
            assert!(code == Some(2) && named.starts_with("error[") && named.contains(name), "{file}: {text}");
        }
        assert!(!folder.path().join("page.html").exists() && !folder.path().join("out.csv").exists());
    }
    let same = refused(&naja, folder.path(), &["convert", "app.naja", "-f", "csv", "-o", "app.naja"]);
    assert!(same.0 == Some(2) && same.1.contains("error[output-is-the-recording]"), "{same:?}");
    let unknown = refused(&naja, folder.path(), &["convert", "app.naja", "-o", "app.xyz"]);
    assert!(unknown.0 == Some(2) && unknown.1.contains("error[unknown-format]"), "{unknown:?}");
}
