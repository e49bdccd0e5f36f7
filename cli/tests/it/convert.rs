//! `naja convert`: what each format says, read back strictly, is what `naja sql` says of the same recording.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::OnceLock;

use serde_json::Value;

use super::{folder_with, naja, python};

const APP: &str = "\
import gc, subprocess, sys, threading, time

class Shop:
    def open(self):
        busy(0.3)

def busy(seconds):
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        inner(200)

def inner(count):
    total = 0
    for number in range(count):
        total += number * number
    return total

def nap():
    time.sleep(0.4)

def collect():
    kept = [[number] for number in range(60_000)]
    for _ in range(15):
        gc.collect()

child = subprocess.Popen([sys.executable, 'child.py', 'a;b'])
thread = threading.Thread(target=nap, name='Nap \"1\"')
thread.start()
Shop().open()
collect()
thread.join()
child.wait()
";

const CHILD: &str = "\
import time

def busy_child():
    end = time.perf_counter() + 0.2
    while time.perf_counter() < end:
        pass

busy_child()
";

/// A recording of a program with two threads and a child, made once.
struct Recorded {
    folder: tempfile::TempDir,
}

impl Recorded {
    fn get() -> Option<&'static Recorded> {
        static MADE: OnceLock<Option<Recorded>> = OnceLock::new();
        MADE.get_or_init(Recorded::make).as_ref()
    }

    fn make() -> Option<Recorded> {
        let folder = folder_with(&[("app.py", APP), ("child.py", CHILD)]);
        let mut command = naja().command();
        command.args(["run", "-q", "-o", "app.naja", "--python"]).arg(&python()?.path).arg("app.py");
        let output = command.current_dir(&folder).output().expect("it starts");
        assert!(output.status.success(), "{output:?}");
        Some(Recorded { folder })
    }

    fn naja(&self, words: &[&str]) -> Output {
        naja().command().args(words).current_dir(&self.folder).output().expect("it starts")
    }

    /// What `naja convert` writes on standard output.
    fn converted(&self, words: &[&str]) -> Vec<u8> {
        let output = self.naja(&[&["convert", "app.naja", "-o", "-"], words].concat());
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    fn json(&self, words: &[&str]) -> Value {
        serde_json::from_slice(&self.converted(words)).expect("it is JSON")
    }

    /// The lines of `--format collapsed`: stack and count.
    fn collapsed(&self, words: &[&str]) -> BTreeMap<String, u64> {
        let text = String::from_utf8(self.converted(&[&["-f", "collapsed"], words].concat())).expect("text");
        let mut lines = BTreeMap::new();
        for line in text.lines() {
            let (stack, count) = line.rsplit_once(' ').expect("a line ends in a count");
            let before = lines.insert(stack.to_owned(), count.parse().expect("a count"));
            assert_eq!(before, None, "a stack comes once: {stack}");
        }
        lines
    }

    fn sql(&self, query: &str) -> Vec<Value> {
        let output = self.naja(&["sql", "--json", "app.naja", query]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice::<Value>(&output.stdout).expect("JSON").as_array().expect("rows").clone()
    }

    /// Ticks of the samples that fit a condition.
    fn count(&self, condition: &str) -> u64 {
        let rows = self.sql(&format!("select count(*) as n from samples where {condition}"));
        rows[0]["n"].as_u64().expect("a count")
    }

    /// Ticks of each thread by its number in the system.
    fn count_by_thread(&self, condition: &str) -> BTreeMap<u64, u64> {
        let query = format!("select os_tid, count(*) as n from samples where {condition} group by os_tid");
        let number = |value: &Value| value.as_u64().expect("a number");
        self.sql(&query).iter().map(|row| (number(&row["os_tid"]), number(&row["n"]))).collect()
    }
}

const RUNS: &str = "state in ('python', 'native')";
const SHOWN: &str = "state in ('python', 'native') or (stack is not null and state <> 'lost')";

#[track_caller]
fn number<T: Debug + Copy>(value: &Value, take: impl Fn(&Value) -> Option<T>) -> T {
    take(value).unwrap_or_else(|| panic!("not such a number: {value}"))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("not a list: {value}"))
}

#[test]
fn collapsed_stacks_count_the_ticks_that_sql_counts() {
    let Some(recorded) = Recorded::get() else { return };
    let total = |words: &[&str]| recorded.collapsed(words).values().sum::<u64>();
    assert_eq!(total(&[]), recorded.count(RUNS));
    assert_eq!(total(&["--mode", "cpu", "--idle"]), recorded.count(RUNS));
    assert_eq!(total(&["--idle"]), recorded.count(SHOWN));
    assert_eq!(total(&["--gil"]), recorded.count("gil = 1 and state <> 'lost'"));
    assert_eq!(total(&["--mode", "gil"]), recorded.count("gil = 1 and state <> 'lost'"));
    let half = format!("({RUNS}) and time_s >= 0.1 and time_s < 0.25");
    assert_eq!(total(&["--from", "0.1", "--until", "0.25"]), recorded.count(&half));
    assert_eq!(
        total(&["--thread", "Nap \"1\"", "--idle"]),
        recorded.count(&format!("({SHOWN}) and thread_name like 'Nap%'"))
    );
}

#[test]
fn collapsed_stacks_name_functions_files_and_lines_as_the_options_say() {
    let Some(recorded) = Recorded::get() else { return };
    let has = |words: &[&str], part: &str| {
        let lines = recorded.collapsed(words);
        let stack = lines.keys().find(|stack| stack.contains(part));
        let own: Vec<&String> = lines.keys().filter(|stack| !stack.contains("importlib")).collect();
        assert!(stack.is_some(), "{words:?}: no {part:?} in {own:#?}");
    };
    let open = if python().is_some_and(|one| one.minor() >= 11) { "Shop.open" } else { "open" };
    has(&[], &format!("<module> (app.py:29);{open} (app.py:5);busy (app.py:10);inner (app.py:1"));
    has(&["--function"], &format!("<module> (app.py:1);{open} (app.py:4);busy (app.py:7);inner (app.py:12)"));
    has(&["--nolineno"], &format!("<module> (app.py);{open} (app.py);busy (app.py);inner (app.py)"));
    let folder = recorded.folder.path().canonicalize().expect("it is there");
    has(&["--full-filenames"], &format!("inner ({}", folder.join("app.py").display()));
    has(&["--threads"], "thread ");
    has(&["--threads", "--idle"], "\"Nap \"1\"\";");
    has(&["--gc"], ";<GC>");
    // A `;` of a command line does not look like another frame.
    has(&[], "child.py a:b\";");
    has(&["--function"], "process ");
    let pid = recorded.sql("select pid from processes where parent <> 0")[0]["pid"].to_string();
    let of_child = recorded.collapsed(&["--process", &pid]);
    assert!(
        of_child.keys().all(|stack| !stack.contains("process ") && !stack.contains("busy (")),
        "{of_child:?}"
    );
    assert!(of_child.keys().any(|stack| stack.contains("busy_child")), "{of_child:?}");
}

#[test]
fn speedscope_profiles_follow_the_schema_and_weigh_what_sql_counts() {
    let Some(recorded) = Recorded::get() else { return };
    for (words, condition) in [(&["-f", "speedscope"][..], RUNS), (&["-f", "speedscope", "--idle"], SHOWN)] {
        let file = recorded.json(words);
        assert_eq!(file["$schema"], "https://www.speedscope.app/file-format-schema.json");
        let frames = list(&file["shared"]["frames"]);
        for frame in frames {
            // The schema's own types, and null where nothing is known: readers of py-spy's files ask for all four.
            let frame = frame.as_object().expect("a frame");
            assert_eq!(frame.keys().collect::<Vec<_>>(), ["col", "file", "line", "name"]);
            assert!(frame["file"].is_string() || frame["file"].is_null(), "{frame:?}");
            assert!(frame["line"].is_u64() || frame["line"].is_null(), "{frame:?}");
            assert!(frame["name"].is_string());
        }
        let mut by_thread = BTreeMap::new();
        let profiles = list(&file["profiles"]);
        assert!(number(&file["activeProfileIndex"], Value::as_u64) < profiles.len() as u64);
        for profile in profiles {
            assert_eq!((&profile["type"], &profile["unit"]), (&"sampled".into(), &"seconds".into()));
            let (samples, weights) = (list(&profile["samples"]), list(&profile["weights"]));
            assert_eq!(samples.len(), weights.len());
            for sample in samples {
                assert!(!list(sample).is_empty());
                let in_range = |frame: &Value| (number(frame, Value::as_u64) as usize) < frames.len();
                assert!(list(sample).iter().all(in_range));
            }
            let sum: f64 = weights.iter().map(|weight| number(weight, Value::as_f64)).sum();
            let end = number(&profile["endValue"], Value::as_f64);
            assert!(
                (sum - end).abs() < 1e-6 && (sum - samples.len() as f64 / 1000.0).abs() < 1e-6,
                "{sum} {end}"
            );
            let name = profile["name"].as_str().expect("a name");
            let words: Vec<&str> = name.splitn(5, ' ').collect();
            assert!(words[0] == "Process" && words[2] == "Thread" && words[4].starts_with('"'), "{name}");
            by_thread.insert(words[3].parse().expect("a thread's number"), samples.len() as u64);
        }
        assert_eq!(by_thread, recorded.count_by_thread(condition));
    }
}

#[test]
fn chrome_slices_are_balanced_and_last_as_long_as_samples_say() {
    let Some(recorded) = Recorded::get() else { return };
    let file = recorded.json(&["-f", "chrometrace"]);
    let mut open: HashMap<(u64, u64), Vec<(String, f64)>> = HashMap::new();
    let mut last: HashMap<(u64, u64), f64> = HashMap::new();
    let mut micros: BTreeMap<String, f64> = BTreeMap::new();
    let mut names: Vec<&str> = Vec::new();
    let (mut counters, mut categories) = (0, std::collections::BTreeSet::new());
    for event in list(&file["traceEvents"]) {
        let at = (number(&event["pid"], Value::as_u64), number(&event["tid"], Value::as_u64));
        let ts = || number(&event["ts"], Value::as_f64);
        match event["ph"].as_str().expect("a phase") {
            "B" => {
                assert!(ts() >= last.insert(at, ts()).unwrap_or(0.0), "time goes on");
                let name = event["name"].as_str().expect("a name").to_owned();
                open.entry(at).or_default().push((name, ts()));
                categories.insert(event["cat"].as_str().expect("a category"));
            }
            "E" => {
                assert!(ts() >= last.insert(at, ts()).unwrap_or(0.0), "time goes on");
                let (name, from) = open.get_mut(&at).and_then(Vec::pop).expect("what ends has begun");
                assert_eq!(event["name"], name.as_str(), "what ends is what began last");
                *micros.entry(name).or_default() += ts() - from;
            }
            "C" => counters += u64::from(number(&event["args"]["resident MB"], Value::as_f64) > 1.0),
            "M" => names.push(event["args"]["name"].as_str().expect("a name")),
            other => panic!("an event of phase {other}"),
        }
    }
    assert!(open.values().all(Vec::is_empty), "what begins ends: {open:?}");
    assert!(counters > 0, "memory is a counter");
    assert!(names.contains(&"MainThread") && names.contains(&"Nap \"1\""), "{names:?}");
    assert!(categories.contains("waiting") && categories.contains("python"), "{categories:?}");
    assert!(categories.contains("gc"), "{categories:?}");
    // A missed sample is bridged, so that slices are as long as what was counted and at most what was missed.
    let missed = recorded.count("state = 'lost'") as f64 * 1000.0;
    let nap = "thread_name like 'Nap%' and stack in (select stack from stack_frames where function = 'nap')";
    for (slice, condition) in [("asleep", "state = 'sleep' and stack is not null"), ("nap", nap)] {
        let counted = recorded.count(condition) as f64 * 1000.0;
        let range = counted - 1.0..=counted + missed + 20_000.0;
        assert!(range.contains(&micros[slice]), "{slice}: {} is not in {range:?}", micros[slice]);
    }
}

/// A table of columns: each as long as the table says.
fn check_table(table: &Value) -> u64 {
    let length = number(&table["length"], Value::as_u64);
    for (name, column) in table.as_object().expect("a table") {
        if let Some(column) = column.as_array() {
            assert_eq!(column.len() as u64, length, "column {name}");
        }
    }
    length
}

/// A column whose values are rows of a table, or none.
fn check_refers(column: &Value, length: u64, none: bool) {
    for value in list(column) {
        let fine = value.as_u64().map_or(none && (value.is_null() || *value == -1), |row| row < length);
        assert!(fine, "{value} of {length}");
    }
}

#[test]
fn firefox_tables_refer_to_what_is_there_and_samples_weigh_what_sql_counts() {
    let Some(recorded) = Recorded::get() else { return };
    let file = recorded.json(&["-f", "firefox"]);
    assert_eq!(file["meta"]["preprocessedProfileVersion"], 55);
    assert_eq!(file["meta"]["interval"], 1.0);
    let categories = list(&file["meta"]["categories"]);
    let schemas: Vec<&Value> =
        list(&file["meta"]["markerSchema"]).iter().map(|schema| &schema["name"]).collect();
    let (mut weights, mut markers) = (BTreeMap::new(), BTreeMap::new());
    let threads = list(&file["threads"]);
    for thread in threads {
        let strings = list(&thread["stringArray"]).len() as u64;
        let stacks = check_table(&thread["stackTable"]);
        let frames = check_table(&thread["frameTable"]);
        let functions = check_table(&thread["funcTable"]);
        check_refers(&thread["stackTable"]["frame"], frames, false);
        check_refers(&thread["stackTable"]["prefix"], stacks, true);
        for (stack, prefix) in (0_u64..).zip(list(&thread["stackTable"]["prefix"])) {
            assert!(prefix.as_u64().is_none_or(|prefix| prefix < stack), "callers come first");
        }
        check_refers(&thread["frameTable"]["func"], functions, false);
        check_refers(&thread["frameTable"]["category"], categories.len() as u64, false);
        check_refers(&thread["funcTable"]["name"], strings, false);
        check_refers(&thread["funcTable"]["fileName"], strings, true);
        check_refers(&thread["funcTable"]["resource"], 0, true);
        let kinds =
            list(&thread["frameTable"]["category"]).iter().zip(list(&thread["frameTable"]["subcategory"]));
        for (category, below) in kinds {
            let below_max =
                list(&categories[number(category, Value::as_u64) as usize]["subcategories"]).len();
            assert!(number(below, Value::as_u64) < below_max as u64);
        }
        let samples = &thread["samples"];
        check_table(samples);
        check_refers(&samples["stack"], stacks, true);
        let times: Vec<f64> = list(&samples["time"]).iter().map(|time| number(time, Value::as_f64)).collect();
        assert!(times.windows(2).all(|pair| pair[0] < pair[1]), "time goes on");
        let weight: u64 = list(&samples["weight"]).iter().map(|one| number(one, Value::as_u64)).sum();
        weights.insert(number(&thread["tid"], Value::as_u64), weight);
        check_table(&thread["markers"]);
        check_refers(&thread["markers"]["name"], strings, false);
        check_refers(&thread["markers"]["category"], categories.len() as u64, false);
        let spans = list(&thread["markers"]["startTime"]).iter().zip(list(&thread["markers"]["endTime"]));
        for (data, (start, end)) in list(&thread["markers"]["data"]).iter().zip(spans) {
            assert!(schemas.contains(&&data["type"]), "{data}");
            let ms = number(end, Value::as_f64) - number(start, Value::as_f64);
            assert!(ms > 0.0);
            *markers.entry(data["type"].as_str().expect("a type").to_owned()).or_insert(0.0) += ms;
        }
    }
    assert_eq!(weights, recorded.count_by_thread(SHOWN));
    assert!(markers.get("GC").is_some_and(|ms| *ms >= 1.0), "{markers:?}");
    let held = recorded.count("gil = 1 and state <> 'lost'") as f64;
    let marked = markers.get("GIL held").copied().unwrap_or(0.0);
    let missed = recorded.count("state = 'lost'") as f64;
    assert!((held - 1e-6..=held + missed + 20.0).contains(&marked), "{markers:?} {held} {missed}");
    let counters = list(&file["counters"]);
    assert!(counters.iter().any(|counter| counter["name"] == "Resident memory"));
    for counter in counters {
        check_table(&counter["samples"]);
        let thread = &threads[number(&counter["mainThreadIndex"], Value::as_u64) as usize];
        assert_eq!(thread["pid"], counter["pid"]);
    }
}

/// A field of a message of protocol buffers: a number, or bytes.
pub(crate) enum Field {
    Number(u64),
    Bytes(Vec<u8>),
}

impl Field {
    fn number(&self) -> u64 {
        match self {
            Field::Number(value) => *value,
            Field::Bytes(bytes) => panic!("a number is expected: {bytes:?}"),
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Field::Bytes(bytes) => bytes,
            Field::Number(value) => panic!("bytes are expected: {value}"),
        }
    }

    fn message(&self) -> Vec<(u64, Field)> {
        fields(self.bytes())
    }
}

pub(crate) fn varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first().expect("a number is whole");
        *bytes = rest;
        value |= u64::from(byte & 127) << shift;
        if byte < 128 {
            return value;
        }
    }
    panic!("a number is too long");
}

pub(crate) fn varints(mut bytes: &[u8]) -> Vec<u64> {
    let mut values = Vec::new();
    while !bytes.is_empty() {
        values.push(varint(&mut bytes));
    }
    values
}

pub(crate) fn fields(mut bytes: &[u8]) -> Vec<(u64, Field)> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let field = match key & 7 {
            0 => Field::Number(varint(&mut bytes)),
            2 => {
                let length = varint(&mut bytes) as usize;
                let (field, rest) = bytes.split_at(length);
                bytes = rest;
                Field::Bytes(field.to_vec())
            }
            other => panic!("wire type {other}"),
        };
        fields.push((key >> 3, field));
    }
    fields
}

#[test]
fn pprof_samples_decode_and_count_what_sql_counts() {
    let Some(recorded) = Recorded::get() else { return };
    let packed = recorded.converted(&["-f", "pprof", "--idle"]);
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(packed.as_slice()), &mut bytes)
        .expect("gzip");
    let profile = fields(&bytes);
    let of = |field: u64| profile.iter().filter(move |(number, _)| *number == field).map(|(_, field)| field);
    let strings: Vec<String> =
        of(6).map(|field| String::from_utf8(field.bytes().to_vec()).expect("text")).collect();
    assert_eq!(strings[0], "");
    let value = |message: &[(u64, Field)], field: u64| {
        message.iter().find(|(number, _)| *number == field).map_or(0, |(_, field)| field.number())
    };
    let text = |index: u64| strings[index as usize].as_str();
    let types: Vec<(String, String)> = of(1)
        .map(|field| field.message())
        .map(|one| (text(value(&one, 1)).to_owned(), text(value(&one, 2)).to_owned()))
        .collect();
    let nanoseconds = |what: &str| (what.to_owned(), "nanoseconds".to_owned());
    assert_eq!(types, [("samples".to_owned(), "count".to_owned()), nanoseconds("wall"), nanoseconds("cpu")]);
    assert_eq!(text(profile.iter().find(|(number, _)| *number == 14).expect("a default").1.number()), "wall");

    let functions: HashMap<u64, String> = of(5)
        .map(|field| field.message())
        .map(|one| (value(&one, 1), text(value(&one, 2)).to_owned()))
        .collect();
    let mut locations: HashMap<u64, String> = HashMap::new();
    for location in of(4).map(|field| field.message()) {
        let line = location.iter().find(|(number, _)| *number == 4).expect("a line").1.message();
        let before = locations.insert(value(&location, 1), functions[&value(&line, 1)].clone());
        assert_eq!(before, None, "a location comes once");
    }
    let (mut counts, mut cpu, mut inner) = (BTreeMap::new(), 0, 0);
    for sample in of(2).map(|field| field.message()) {
        let only = |field: u64| &sample.iter().find(|(number, _)| *number == field).expect("a field").1;
        let values = varints(only(2).bytes());
        assert_eq!(values.len(), types.len());
        assert_eq!(values[1], values[0] * 1_000_000);
        let stack = varints(only(1).bytes());
        assert!(!stack.is_empty() && stack.iter().all(|location| locations.contains_key(location)));
        // The innermost function comes first.
        inner += if locations[&stack[0]] == "inner" { values[0] } else { 0 };
        cpu += values[2];
        let labels = sample.iter().filter(|(number, _)| *number == 3).map(|(_, label)| label.message());
        for label in labels.filter(|label| text(value(label, 1)) == "thread_id") {
            *counts.entry(value(&label, 3)).or_insert(0) += values[0];
        }
    }
    assert_eq!(counts, recorded.count_by_thread(SHOWN));
    assert_eq!(cpu, recorded.count(RUNS) * 1_000_000);
    assert_eq!(inner, recorded.count(&format!("({SHOWN}) and function = 'inner'")));
}

#[test]
fn go_reads_the_pprof_file_with_all_names_and_times() {
    let Some(recorded) = Recorded::get() else { return };
    let has_pprof = Command::new("go").args(["tool", "-n", "pprof"]).output();
    if !has_pprof.is_ok_and(|output| output.status.success()) {
        naja_testkit::not_tested("the pprof file in pprof itself: `go tool pprof` is not here");
        return;
    }
    let converted = recorded.naja(&["convert", "app.naja", "-o", "app.pb.gz"]);
    assert!(converted.status.success(), "{converted:?}");
    let pprof = |words: &[&str]| {
        let mut command = Command::new("go");
        command.args(["tool", "pprof"]).args(words).arg("app.pb.gz").current_dir(&recorded.folder);
        let output = command.output().expect("it starts");
        assert!(output.status.success(), "{output:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{words:?}");
        String::from_utf8(output.stdout).expect("text")
    };
    let top = pprof(&["-top", "-nodefraction=0", "-unit=ms"]);
    let total = format!("Total samples = {}ms", recorded.count(RUNS));
    assert!(top.contains(&total), "{total}: {top}");
    assert!(top.contains("Type: wall") && top.contains("File: python"), "{top}");
    // Not taken for a template of C++, whose parameters pprof leaves out.
    assert!(top.contains(" <module>\n") && !top.contains("unknown"), "{top}");
    let states = pprof(&["-tags", "-unit=ms"]);
    assert!(states.contains(": python\n") && states.contains("MainThread"), "{states}");
    let lines = pprof(&["-top", "-lines", "-nodefraction=0", "-sample_index=cpu"]);
    assert!(lines.contains("busy app.py:10"), "{lines}");
}

#[test]
fn a_page_has_frames_lines_and_names_as_the_options_say() {
    let Some(recorded) = Recorded::get() else { return };
    let Some(browser) = naja_testkit::Browser::start() else { return };
    let shown = |words: &[&str]| {
        let output = recorded.naja(&[&["convert", "app.naja", "-o", "page.html"], words].concat());
        assert!(output.status.success(), "{output:?}");
        browser.open(&recorded.folder.path().join("page.html"));
        browser.wait_for("return document.body.classList.contains('ready')");
        let seen = browser.run(
            "const { recording } = naja;
             const named = (node) => recording.functionName[recording.nodeFunction[node]];
             let collector = 0, ticks = 0, lines = {};
             for (let row = 0; row < recording.rowCount; row += 1) {
               if ((recording.rowFlags[row] & 15) === recording.meta.states.indexOf('lost')) continue;
               ticks += recording.rowTicks[row];
               if (named(recording.rowNode[row]) === '<GC>') collector += recording.rowTicks[row];
             }
             for (let node = 2; node < recording.nodeCount; node += 1) {
               if (!recording.place(recording.nodeFunction[node]).includes('app.py')) continue;
               (lines[named(node)] ??= new Set()).add(recording.nodeLine[node]);
             }
             for (const name in lines) lines[name] = [...lines[name]].sort();
             const hidden = ['lines-button', 'list-lines'].map((id) => document.getElementById(id).hidden);
             const rows = [...document.querySelectorAll('#table-body tr')];
             const place = rows.find((row) => row.querySelector('.function')?.textContent === 'inner')
               .querySelector('.place').textContent;
             return { ticks, collector, lines, hidden, place };",
        );
        assert_eq!(browser.console(), Vec::<String>::new());
        seen
    };
    let plain = shown(&[]);
    assert_eq!(plain["ticks"], recorded.count("state <> 'lost'"));
    assert_eq!((&plain["collector"], &plain["hidden"]), (&0.into(), &serde_json::json!([false, false])));
    assert!(list(&plain["lines"]["inner"]).len() > 1, "{plain}");
    assert!(plain["place"].as_str().expect("text").ends_with("app.py:12"), "{plain}");

    let collector = shown(&["--gc"]);
    assert_eq!(collector["ticks"], plain["ticks"]);
    assert_eq!(collector["collector"], recorded.count("gc = 1 and state <> 'lost'"));

    let functions = shown(&["--function"]);
    assert_eq!((&functions["ticks"], &functions["place"]), (&plain["ticks"], &plain["place"]));
    assert_eq!(functions["lines"]["inner"], serde_json::json!([12]));
    assert_eq!(functions["hidden"], serde_json::json!([true, true]));

    let without = shown(&["--nolineno"]);
    assert_eq!((&without["ticks"], &without["lines"]["inner"]), (&plain["ticks"], &serde_json::json!([0])));
    assert!(without["place"].as_str().expect("text").ends_with("app.py"), "{without}");

    let folder = recorded.folder.path().canonicalize().expect("it is there");
    let whole = shown(&["--full-filenames"]);
    assert_eq!(whole["place"], format!("{}:12", folder.join("app.py").display()));
}

#[test]
fn the_name_of_the_output_says_the_format() {
    let Some(recorded) = Recorded::get() else { return };
    let starts = [
        ("a.html", "<!doctype html>"),
        ("a.svg", "<?xml"),
        ("a.txt", "process "),
        ("a.folded", "process "),
        ("a.json", "{\"$schema\""),
        ("A.SPEEDSCOPE.JSON", "{\"$schema\""),
        ("a.trace.json", "{\"displayTimeUnit\""),
        ("a.firefox.json", "{\"meta\""),
        ("a.pb.gz", "\u{1f}"),
    ];
    for (name, start) in starts {
        let output = recorded.naja(&["convert", "app.naja", "-o", name]);
        assert!(output.status.success() && output.stdout.is_empty(), "{name}: {output:?}");
        let bytes = std::fs::read(recorded.folder.path().join(name)).expect("it was written");
        let beginning = String::from_utf8_lossy(&bytes[..start.len()]).to_lowercase();
        assert_eq!(beginning, start.to_lowercase(), "{name}");
    }
}

#[test]
fn a_recording_without_samples_becomes_a_file_that_can_be_read() {
    let Some(recorded) = Recorded::get() else { return };
    let empty = ["--mode", "gil", "--thread", "Nap \"1\"", "--from", "0.2", "--until", "0.201"];
    let empty = |format| [&["-f", format][..], &empty].concat();
    assert_eq!(recorded.converted(&empty("collapsed")), b"");
    assert_eq!(list(&recorded.json(&empty("speedscope"))["profiles"]).len(), 1);
    assert_eq!(list(&recorded.json(&empty("firefox"))["threads"]).len(), 0);
    assert!(recorded.json(&empty("chrome"))["traceEvents"].is_array());
    assert!(!recorded.converted(&empty("pprof")).is_empty());
}

/// The name of the error that a command ends with, and that it says what to do.
#[track_caller]
fn check_refused(output: &Output, name: &str) {
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.starts_with(&format!("error[{name}]: ")), "{text}");
    assert!(text.contains("hint: ") && output.stdout.is_empty(), "{text}");
}

#[test]
fn what_cannot_be_converted_is_refused_with_a_name_and_a_hint() {
    let Some(recorded) = Recorded::get() else { return };
    let convert = |words: &[&str]| recorded.naja(&[&["convert"], words].concat());
    check_refused(&convert(&["app.naja", "-o", "out.xyz"]), "unknown-format");
    check_refused(&convert(&["app.naja", "-o", "-"]), "unknown-format");
    check_refused(&convert(&["app.naja", "-o", "copy.naja"]), "already-a-recording");
    check_refused(&convert(&["missing.naja", "-o", "out.json"]), "recording-not-found");
    check_refused(&convert(&["app.py", "-o", "out.json"]), "not-a-recording");
    check_refused(&convert(&["app.naja", "-o", "no/such/folder/out.json"]), "cannot-write");
    check_refused(&convert(&["app.naja", "-o", "app.naja", "-f", "html"]), "output-is-the-recording");
    check_refused(&convert(&["app.naja", "-o", "out.json", "--process", "1"]), "nothing-to-export");
    check_refused(&convert(&["app.naja", "-o", "out.json", "--thread", "nobody"]), "nothing-to-export");
    check_refused(&convert(&["app.naja", "-o", "out.json", "--from", "1000"]), "nothing-to-export");
    assert_eq!(convert(&["app.naja", "-o", "out.json", "--from", "x"]).status.code(), Some(2));
    for name in ["out.xyz", "copy.naja", "out.json"] {
        assert!(!recorded.folder.path().join(name).exists(), "{name}");
    }
}

#[test]
fn a_damaged_recording_leaves_the_old_output_as_it_was() {
    let Some(recorded) = Recorded::get() else { return };
    let folder = folder_with(&[("out.json", "old")]);
    let mut bytes = std::fs::read(recorded.folder.path().join("app.naja")).expect("it is there");
    // Everything but the first page, which holds the schema.
    bytes[4096..].fill(0x5a);
    std::fs::write(folder.path().join("bad.naja"), bytes).expect("there is room");
    for format in ["speedscope", "chrome", "firefox", "pprof", "collapsed", "html"] {
        let output = convert_in(folder.path(), &["bad.naja", "-o", "out.json", "-f", format]);
        check_refused(&output, "recording-damaged");
    }
    assert_eq!(std::fs::read(folder.path().join("out.json")).expect("it is there"), b"old");
    assert_eq!(std::fs::read_dir(&folder).expect("it is there").count(), 2, "nothing is left behind");
}

fn convert_in(folder: &Path, words: &[&str]) -> Output {
    naja().command().arg("convert").args(words).current_dir(folder).output().expect("it starts")
}
