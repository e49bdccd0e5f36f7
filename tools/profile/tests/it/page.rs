//! The page of `naja view` in a headless Chromium: it must show what Rust computes from the same samples.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use naja_profile::export::{self, ExportFormat, ExportOptions, Mode, PartOptions, StackOptions};
use naja_profile::page::{self, PageInput, PageStart, Samples};
use naja_profile::view::{ViewArguments, view};
use naja_recording::{
    Batch, Dropped, Function, FunctionKind, Header, Metric, Process, Reader, Run, Source, StackNode, State,
    Thread, ThreadRuns, Writer,
};
use naja_testkit::Browser;
use naja_testkit::browser::key;
use serde_json::{Value, json};
use tempfile::TempDir;

const APP: &str = "import time\n\n\ndef load(path):\n    with open(path) as file:\n        return file.read()\n\n\n\
def parse(text):\n    rows = []\n    for line in text.splitlines():\n        rows.append(line.split(','))\n    return rows\n\n\n\
def store(rows):\n    time.sleep(0.1)  # pretend\n    return len(rows)\n\n\ndef main():\n    \"\"\"Does it all.\"\"\"\n    \
text = load('data.csv')\n    rows = parse(text)\n    store(rows)\n\n\nmain()\n";

/// A recording in the making, and the same samples one by one to compute the truth from.
struct Made {
    input: PageInput,
    runs: Vec<ThreadRuns>,
}

impl Made {
    fn new(until_tick: u64) -> Made {
        let header = Header {
            naja_version: "0.1.0".into(),
            command: vec!["app.py".into(), "--rows=1000".into()],
            working_directory: "/nonexistent/home/ada/shop".into(),
            start_unix_ns: 1_700_000_000_000_000_000,
            interval_ns: 1_000_000,
            cpu_count: 4,
            system: "Linux 6.1 x86_64".into(),
        };
        let input = PageInput {
            header,
            complete: true,
            dropped: Dropped::default(),
            until_tick,
            processes: vec![],
            threads: vec![],
            functions: vec![],
            nodes: vec![],
            metrics: vec![],
            sources: vec![],
            report: Value::Null,
            samples: Samples::new(0, until_tick),
            start: PageStart::default(),
        };
        Made { input, runs: vec![] }
    }

    fn process(&mut self, pid: u32, command: &[&str]) -> u32 {
        let id = u32::try_from(self.input.processes.len()).unwrap() + 1;
        self.input.processes.push(Process {
            id,
            pid,
            command: command.iter().map(|word| (*word).to_owned()).collect(),
            last_tick: self.input.until_tick,
            interpreter: "CPython 3.12.1".into(),
            user_ns: 800_000_000,
            system_ns: 90_000_000,
            peak_rss_bytes: 150 << 20,
            ..Process::default()
        });
        id
    }

    fn thread(&mut self, process: u32, name: &str) -> u32 {
        let id = u32::try_from(self.input.threads.len()).unwrap() + 1;
        let name = name.to_owned();
        self.input.threads.push(Thread { id, process, os_tid: 4000 + id, name, interpreter: 0 });
        id
    }

    fn function(&mut self, name: &str, file: &str, first_line: u32) -> u32 {
        let id = u32::try_from(self.input.functions.len()).unwrap() + 1;
        let (name, file) = (name.to_owned(), file.to_owned());
        self.input.functions.push(Function {
            id,
            qualified_name: name.clone(),
            name,
            file,
            first_line,
            ..Function::default()
        });
        id
    }

    fn node(&mut self, parent: u32, function: u32, line: u32) -> u32 {
        let id = u32::try_from(self.input.nodes.len()).unwrap() + 1;
        self.input.nodes.push(StackNode { id, parent, function, line });
        id
    }

    fn add(&mut self, runs: ThreadRuns) {
        self.input.samples.add(&runs);
        self.runs.push(runs);
    }

    fn metric(&mut self, tick: u64, process: u32, cpu_ms: u64, rss_mib: u64) {
        let (cpu_ns, rss_bytes) = (cpu_ms * 1_000_000, rss_mib << 20);
        self.input.metrics.push(Metric { tick, process, cpu_ns, rss_bytes });
    }

    /// Ticks of `[from, to)` by state number, and total and own by function name: the plain, slow way.
    fn truth(&self, from: u64, to: u64) -> Truth {
        let nodes: HashMap<u32, &StackNode> = self.input.nodes.iter().map(|node| (node.id, node)).collect();
        let names: HashMap<u32, &str> =
            self.input.functions.iter().map(|function| (function.id, function.name.as_str())).collect();
        let mut truth = Truth::default();
        for runs in &self.runs {
            let mut tick = runs.first_tick;
            for run in &runs.runs {
                let end = tick + u64::from(run.ticks);
                let ticks = end.min(to).saturating_sub(tick.max(from));
                tick = end;
                if ticks == 0 {
                    continue;
                }
                *truth.states.entry(run.state.word()).or_default() += ticks;
                if run.state == State::Lost {
                    continue;
                }
                truth.ticks += ticks;
                let mut seen = vec![];
                let mut node = run.node;
                while let Some(step) = nodes.get(&node) {
                    let name = names[&step.function];
                    if node == run.node {
                        *truth.own.entry(name.to_owned()).or_default() += ticks;
                    }
                    if !seen.contains(&name) {
                        *truth.total.entry(name.to_owned()).or_default() += ticks;
                        seen.push(name);
                    }
                    node = step.parent;
                }
            }
        }
        truth
    }

    fn write(self, folder: &Path) -> PathBuf {
        let file = folder.join("page.html");
        std::fs::write(&file, page::html(self.input)).unwrap();
        file
    }
}

#[derive(Debug, Default)]
struct Truth {
    ticks: u64,
    states: HashMap<&'static str, u64>,
    total: HashMap<String, u64>,
    own: HashMap<String, u64>,
}

fn run(ticks: u32, node: u32, state: State, gil: bool) -> Run {
    Run { ticks, node, state, gil, gc: false }
}

/// A small program with two processes, four threads, recursion and all kinds of waiting.
fn shop() -> Made {
    let mut made = Made::new(2_000);
    let process = made.process(4_211, &["/usr/bin/python3", "app.py", "--rows=1000"]);
    let child = made.process(4_290, &["/usr/bin/python3", "-m", "worker"]);
    let main_thread = made.thread(process, "MainThread");
    let reader = made.thread(process, "reader");
    let idle = made.thread(process, "pool-0");
    let worker = made.thread(child, "MainThread");

    let app = "/nonexistent/home/ada/shop/app.py";
    let module = made.function("<module>", app, 1);
    let main = made.function("main", app, 20);
    let load = made.function("load", app, 4);
    let parse = made.function("parse", app, 9);
    let store = made.function("store", app, 16);
    let decode = made.function("JSONDecoder.decode", "/usr/lib/python3.12/json/decoder.py", 332);
    let scan = made.function("JSONDecoder.raw_decode", "/usr/lib/python3.12/json/decoder.py", 344);
    let frame = made.function(
        "DataFrame.merge",
        "/nonexistent/home/ada/.venv/lib/python3.12/site-packages/pandas/core/frame.py",
        9_000,
    );
    let walk = made.function("walk", app, 30);
    let wait = made.function("wait", "/usr/lib/python3.12/threading.py", 320);

    let module = made.node(0, module, 27);
    let main_load = made.node(module, main, 22);
    let main_parse = made.node(module, main, 23);
    let main_store = made.node(module, main, 24);
    let load = made.node(main_load, load, 6);
    let parse_loop = made.node(main_parse, parse, 11);
    let parse_append = made.node(main_parse, parse, 12);
    let decode = made.node(parse_append, decode, 337);
    let scan = made.node(decode, scan, 353);
    let merge = made.node(main_store, frame, 9_100);
    let store = made.node(main_store, store, 17);
    let walk_1 = made.node(module, walk, 31);
    let walk_2 = made.node(walk_1, walk, 32);
    let walk_3 = made.node(walk_2, walk, 32);
    let wait = made.node(0, wait, 355);

    made.add(ThreadRuns {
        thread: main_thread,
        first_tick: 0,
        runs: vec![
            run(300, load, State::IoWait, false),
            run(200, parse_loop, State::Python, true),
            run(150, parse_append, State::Python, true),
            run(100, decode, State::Python, true),
            run(250, scan, State::Native, true),
            run(100, scan, State::GilWait, false),
            run(20, 0, State::Lost, false),
            run(280, merge, State::Native, false),
            run(200, store, State::Sleep, false),
            run(150, walk_1, State::Python, true),
            run(100, walk_2, State::Python, true),
            run(150, walk_3, State::Python, true),
        ],
    });
    made.add(ThreadRuns {
        thread: reader,
        first_tick: 500,
        runs: (0..25)
            .flat_map(|_| [run(20, decode, State::GilWait, false), run(10, scan, State::Python, true)])
            .collect(),
    });
    made.add(ThreadRuns {
        thread: idle,
        first_tick: 100,
        runs: vec![run(1_900, wait, State::LockWait, false)],
    });
    made.add(ThreadRuns {
        thread: worker,
        first_tick: 700,
        runs: vec![
            run(100, 0, State::Native, false),
            run(600, merge, State::Native, false),
            run(400, wait, State::ChildWait, false),
        ],
    });
    for step in 0..=20 {
        made.metric(step * 100, process, step * 70, 40 + step * 5);
        if step >= 7 {
            made.metric(step * 100, child, (step - 7) * 60, 25);
        }
    }
    made.input.sources.push(Source { file: app.into(), text: APP.into() });
    made.input.report = json!({ "advice": [
        { "name": "gil", "text": "Threads waited for the GIL 22 % of the time they wanted to run: processes would not." },
    ] });
    made
}

fn open(browser: &Browser, made: Made) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let file = made.write(folder.path());
    browser.open(&file);
    browser.wait_for(
        "return document.body.classList.contains('ready') || document.getElementById('fatal').textContent",
    );
    assert_eq!(browser.run("return document.getElementById('fatal').textContent"), "");
    folder
}

/// Every state on, so that sums are those of [`Made::truth`].
const ALL_STATES: &str = "naja.choices.set({ states: naja.presets[0][1] }); naja.choices.tell();";

/// What the page says: ticks, and per function name [total, own].
fn shown(browser: &Browser) -> (u64, HashMap<String, (u64, u64)>) {
    let value = browser.run(
        "const { sums, recording } = naja; return [sums.ticks, recording.functionName.map((name, code) =>
           [name, sums.functionTotal[code], sums.functionOwn[code]]).filter((entry) => entry[1] > 0)]",
    );
    let functions = value[1].as_array().unwrap().iter().map(|entry| {
        let name = entry[0].as_str().unwrap().to_owned();
        (name, (entry[1].as_u64().unwrap(), entry[2].as_u64().unwrap()))
    });
    (value[0].as_u64().unwrap(), functions.collect())
}

/// Saves the view where `NAJA_SCREENSHOTS` says, for people to look at.
fn photograph(browser: &Browser, name: &str) {
    let png = browser.screenshot();
    assert!(png.len() > 10_000, "a screenshot of an empty page: {} bytes", png.len());
    if let Some(folder) = std::env::var_os("NAJA_SCREENSHOTS") {
        std::fs::write(Path::new(&folder).join(format!("{name}.png")), png).unwrap();
    }
}

#[test]
fn the_page_opens_without_errors_and_without_any_request() {
    let Some(browser) = Browser::start() else { return };
    let _folder = open(&browser, shop());
    assert_eq!(browser.console(), Vec::<String>::new());
    let requests = browser.run("return performance.getEntriesByType('resource').map((entry) => entry.name)");
    let outside: Vec<&Value> = requests
        .as_array()
        .unwrap()
        .iter()
        .filter(|name| !name.as_str().unwrap().starts_with("data:"))
        .collect();
    assert!(outside.is_empty(), "{outside:?}");
    // The policy itself: a request that a script tries is refused.
    let tried = browser.run("return fetch('http://127.0.0.1:9/').then(() => 'sent', (error) => 'refused')");
    assert_eq!(tried, "refused");
    assert!(browser.console().iter().any(|entry| entry.contains("Content Security Policy")));
}

#[test]
fn the_page_looks_right_in_both_themes_and_on_narrow_screens() {
    let Some(browser) = Browser::start() else { return };
    browser.prefer("prefers-color-scheme", "light");
    browser.resize(1280, 800);
    let _folder = open(&browser, shop());
    photograph(&browser, "shop-light");
    browser
        .run("naja.choices.set({ selected: naja.recording.functionName.indexOf('parse'), search: '^JSON' })");
    browser.wait_for("return !document.getElementById('detail-pane').hidden");
    photograph(&browser, "shop-light-detail");
    browser.keys("?");
    browser.wait_for("return document.getElementById('keys').open");
    photograph(&browser, "shop-keys");
    browser.keys(key::ESCAPE);
    browser.prefer("prefers-color-scheme", "dark");
    browser.wait_for("return document.documentElement.dataset.theme === 'dark'");
    photograph(&browser, "shop-dark-detail");
    browser.resize(420, 900);
    browser.wait_for("return innerWidth === 420");
    let width = browser.run("return document.documentElement.scrollWidth").as_u64().unwrap();
    assert!(width <= 420, "the page is {width} pixels wide on a screen of 420");
    photograph(&browser, "shop-dark-narrow");
    assert_eq!(browser.console(), Vec::<String>::new());
}

#[test]
fn totals_are_those_that_rust_computes() {
    let Some(browser) = Browser::start() else { return };
    let made = shop();
    let truth = made.truth(0, 2_000);
    let _folder = open(&browser, made);
    browser.run(ALL_STATES);
    check_against(&browser, &truth);
    // The flame graph's own sums, in every shape.
    for shape in [
        "group: 'none', lines: false",
        "group: 'none', lines: true",
        "group: 'process', lines: false",
        "group: 'thread', lines: true",
    ] {
        let script = format!(
            "const tree = naja.forest.tree({{ {shape}, invert: false }}, naja.sums);
             let own = 0;
             for (let node = 0; node < tree.size; node += 1) own += tree.own[node];
             return [tree.total[0], own]"
        );
        assert_eq!(browser.run(&script), json!([truth.ticks, truth.ticks]), "{shape}");
    }
    // From the leaves: the first level holds every function's own time.
    let leaves = browser.run(
        "const tree = naja.forest.tree({ group: 'thread', lines: false, invert: true }, naja.sums);
         const names = naja.recording.functionName;
         return Object.fromEntries(tree.childrenOf(0).map((node) => [names[tree.code[node]], tree.total[node]]))",
    );
    for (name, own) in &truth.own {
        assert_eq!(leaves[name], json!(own), "{name}");
    }
    let states = browser.run("return Object.fromEntries(naja.recording.meta.states.map((word, state) => [word, naja.sums.stateTicks[state]]))");
    for (word, ticks) in &truth.states {
        assert_eq!(states[word], json!(ticks), "{word}");
    }
}

fn check_against(browser: &Browser, truth: &Truth) {
    let (ticks, functions) = shown(browser);
    assert_eq!(ticks, truth.ticks);
    for (name, total) in &truth.total {
        let own = truth.own.get(name).copied().unwrap_or(0);
        assert_eq!(functions.get(name), Some(&(*total, own)), "{name}");
    }
    let outside = usize::from(functions.contains_key("(no Python on the stack)"));
    assert_eq!(functions.len(), truth.total.len() + outside);
}

#[test]
fn a_selected_stretch_narrows_everything_to_what_rust_computes_for_it() {
    let Some(browser) = Browser::start() else { return };
    browser.resize(1280, 800);
    let made = shop();
    let bucket_ticks = 2;
    let truths: Vec<Truth> =
        [(400, 900), (1_300, 1_302), (0, 2_000)].map(|(from, to)| made.truth(from, to)).into();
    let _folder = open(&browser, made);
    browser.run(ALL_STATES);
    assert_eq!(browser.run("return naja.recording.bucketTicks"), bucket_ticks);
    for (truth, (from, to)) in truths.iter().zip([(400, 900), (1_300, 1_302), (0, 2_000)]) {
        browser.run(&format!(
            "naja.timeline.select({}, {}); naja.choices.tell();",
            from / bucket_ticks,
            to / bucket_ticks
        ));
        check_against(&browser, truth);
    }
    // With the mouse: from a quarter to the half of the line, whatever its width.
    let points = browser.run(
        "const box = naja.timeline.canvases.states.getBoundingClientRect();
         return [box.left + box.width / 4, box.left + box.width / 2, box.top + 20].map(Math.round)",
    );
    let point = |index: usize| points[index].as_i64().unwrap();
    browser.drag(&[(point(0), point(2)), (point(0) + 30, point(2)), (point(1), point(2))]);
    browser.wait_for("return naja.choices.values.from > 240 && naja.choices.values.to < 510 && naja.choices.values.to > 490");
    let text = browser.wait_for(
        "const text = document.getElementById('stretch').textContent; return text.includes('–') && text",
    );
    assert!(text.as_str().unwrap().starts_with("0.5"), "{text}");
    photograph(&browser, "shop-stretch");
    // With the keyboard: a cursor, a stretch, its ends, and nothing.
    browser.keys(&format!("1{}", key::ESCAPE));
    browser.wait_for("return naja.timeline.isWhole()");
    browser.keys(&format!("{}{}", key::HOME, key::RIGHT));
    browser.keys_with(key::SHIFT, &key::RIGHT.repeat(3));
    browser.wait_for("return naja.choices.values.to - naja.choices.values.from === 4");
    browser.keys("[");
    browser.wait_for("return naja.choices.values.to - naja.choices.values.from === 1");
    browser.keys(key::ESCAPE);
    browser.wait_for("return naja.timeline.isWhole()");
}

#[test]
fn everything_can_be_done_with_the_keyboard() {
    let Some(browser) = Browser::start() else { return };
    let _folder = open(&browser, shop());
    browser.run(ALL_STATES);
    // Down the hottest path and into it.
    browser.keys(&format!("2{}{}{}", key::HOME, key::DOWN, key::DOWN));
    browser.wait_for("return document.getElementById('flame-status').textContent.startsWith('main')");
    browser.keys(key::ENTER);
    browser.wait_for("return naja.flame.nameOf(naja.flame.zoomed) === 'main'");
    assert_eq!(browser.run("return document.getElementById('crumbs').textContent"), "all<module>main");
    browser.wait_for("return document.getElementById('detail-title').textContent === 'main'");
    browser.keys(key::BACKSPACE);
    browser.wait_for("return naja.flame.nameOf(naja.flame.zoomed) === '<module>'");
    browser.keys(key::ESCAPE);
    browser.wait_for("return naja.flame.zoomed === 0");
    // Search, and from match to match.
    browser.keys("/^json");
    browser.wait_for("return document.getElementById('search-result').textContent.startsWith('20.9 %')");
    browser.wait_for("return document.querySelectorAll('#table-body tr[data-code]').length === 2");
    browser.keys(key::ENTER);
    browser.wait_for("return document.getElementById('flame-status').textContent.startsWith('JSONDecoder.')");
    browser.keys("/");
    browser.keys(&format!("{}(", key::BACKSPACE.repeat(6)));
    browser.wait_for(
        "return document.getElementById('search-result').textContent === 'not a regular expression'",
    );
    browser.keys(key::ESCAPE);
    browser.wait_for("return naja.choices.values.search === ''");
    browser.keys(key::ESCAPE);
    browser.wait_for("return document.activeElement.id === 'flame-canvas'");
    // Shapes and filters.
    browser.keys("gilo");
    browser.wait_for("const { group, invert, lines, flip } = naja.choices.values; return group === 'process' && invert && lines && flip");
    browser.keys("ggilo");
    browser.wait_for("const { group, invert, lines, flip } = naja.choices.values; return group === 'none' && !invert && !lines && !flip");
    browser.keys("tt");
    browser.wait_for("return naja.choices.values.thread === 1 && naja.sums.ticks === 750");
    browser.keys("0");
    browser.wait_for("return naja.choices.values.thread === null");
    // From the set of states that the page starts with, to which `0` has gone back, to the next one. What is chosen is
    // known at once, what is shown with the next picture.
    let chosen = "naja.presets.findIndex(([, states]) => naja.onPresent(states) === naja.onPresent(naja.choices.values.states))";
    let first = browser.run(&format!("return {chosen}")).as_u64().expect("a set of states is chosen");
    let pressed =
        "naja.presetButtons.findIndex(({ button }) => button.getAttribute('aria-pressed') === 'true')";
    browser.keys("s");
    browser.wait_for(&format!("return {pressed} === {}", (first + 1) % 4));
    // The table, and its order.
    browser.keys(&format!("0r3{}{}", key::DOWN, key::ENTER));
    browser.wait_for("return naja.choices.values.sort === 'total' && naja.choices.values.selected !== null");
    browser.keys("4");
    browser.wait_for("return document.getElementById('detail-pane').contains(document.activeElement)");
    // Every control can be reached with Tab and shows that it is.
    let reached = browser.run(
        "return [...document.querySelectorAll('button, select, input, canvas[tabindex], [role=slider]')]
           .filter((element) => element.checkVisibility() && element.tabIndex < 0).length",
    );
    assert_eq!(reached, 0);
    assert_eq!(browser.console(), Vec::<String>::new());
}

#[test]
fn a_view_is_kept_in_the_address() {
    let Some(browser) = Browser::start() else { return };
    let folder = open(&browser, shop());
    browser.run(
        "naja.choices.set({ from: 100, to: 450, process: 0, group: 'thread', search: 'a b&c', lines: true })",
    );
    browser.wait_for("return location.hash.includes('lines=true')");
    let hash = browser.run("return location.hash");
    browser.open_url("about:blank");
    browser.open_url(&format!(
        "file://{}{}",
        folder.path().join("page.html").display(),
        hash.as_str().unwrap()
    ));
    browser.wait_for("return document.body.classList.contains('ready')");
    let kept = browser.run("const { from, to, process, group, search, lines } = naja.choices.values; return { from, to, process, group, search, lines }");
    assert_eq!(
        kept,
        json!({ "from": 100, "to": 450, "process": 0, "group": "thread", "search": "a b&c", "lines": true })
    );
    // An address from another recording is not trusted.
    browser.run("location.hash = '#from=50&to=3&process=77&group=evil&selected=-1&zoom=9.9.9'");
    browser.wait_for("return naja.timeline.isWhole() && naja.choices.values.process === null");
    assert_eq!(browser.run("return naja.choices.values.group"), "none");
}

#[test]
fn hostile_names_stay_text() {
    let Some(browser) = Browser::start() else { return };
    let hostile = "</script><script>window.broken = 1</script><img src=x onerror=window.broken=1>";
    let mut made = Made::new(100);
    made.input.header.command = vec![hostile.into()];
    made.input.header.working_directory = hostile.into();
    let process = made.process(1, &[hostile]);
    made.input.processes[0].unobserved = hostile.into();
    made.input.processes[0].interpreter = hostile.into();
    let thread = made.thread(process, hostile);
    made.thread(process, "\u{202e}other");
    let function = made.function(hostile, hostile, 1);
    let node = made.node(0, function, 1);
    made.add(ThreadRuns { thread, first_tick: 0, runs: vec![run(100, node, State::Python, true)] });
    made.input
        .sources
        .push(Source { file: hostile.into(), text: format!("{hostile}\n\"{hostile}\" # {hostile}") });
    made.input.report = json!({ "advice": [{ "text": hostile }, { "text": { "not": "text" } }, 7] });
    let _folder = open(&browser, made);
    browser.run("naja.choices.set({ selected: 1, group: 'thread' })");
    browser.wait_for("return document.querySelectorAll('#source-lines .line').length === 2");
    assert_eq!(browser.run("return document.getElementById('detail-title').textContent"), hostile);
    assert_eq!(browser.run("return document.title"), format!("{hostile} · naja"));
    let state = browser.run("return [window.broken ?? null, document.querySelectorAll('img').length]");
    assert_eq!(state, json!([null, 0]));
    assert_eq!(browser.console(), Vec::<String>::new());
}

#[test]
fn source_lines_carry_their_heat() {
    let Some(browser) = Browser::start() else { return };
    let _folder = open(&browser, shop());
    browser.run(ALL_STATES);
    browser.run("naja.choices.set({ selected: naja.recording.functionName.indexOf('parse') })");
    browser.wait_for("return document.querySelectorAll('#source-lines .hot').length > 0");
    // 2,000 + 750 + 1,900 + 1,100 ticks less 20 lost: 200 of 5,730 in the line itself, and so on.
    let lines = browser.run(
        "return [...document.querySelectorAll('#source-lines .hot')].map((line) =>
           ['number', 'own', 'total'].map((name) => line.querySelector('.' + name).textContent).join(' '))",
    );
    let expected = [
        "6 300 300",
        "11 200 200",
        "12 150 1350",
        "17 200 200",
        "22 0 300",
        "23 0 1550",
        "24 0 1080",
        "27 0 3330",
    ];
    let percent = |ticks: f64| if ticks == 0.0 { String::new() } else { format!("{:.1} %", ticks / 57.30) };
    for (shown, expected) in lines.as_array().unwrap().iter().zip(expected) {
        let [line, own, total] = expected.split(' ').collect::<Vec<_>>()[..] else { panic!() };
        let wanted = format!("{line} {} {}", percent(own.parse().unwrap()), percent(total.parse().unwrap()));
        assert_eq!(shown, &wanted);
    }
    let current = browser.run("return document.querySelector('#source-lines .current .number').textContent");
    assert_eq!(current, "12", "the hottest line of parse, calls included");
    // A function without its source says so.
    browser.run("naja.choices.set({ selected: naja.recording.functionName.indexOf('DataFrame.merge') })");
    browser.wait_for(
        "return document.getElementById('source-note').textContent.includes('not on this machine')",
    );
}

/// What the details say of callers and callees: for each list, names with places and shares.
fn neighbours(browser: &Browser) -> Value {
    browser.run(
        "return [...document.querySelectorAll('#neighbours .neighbour-list')].map((list) =>
           [...list.querySelectorAll('li')].map((item) => [...item.children].map((part) =>
             [...part.childNodes].map((node) => node.textContent).join(' ')).join(' = ')))",
    )
}

#[test]
fn a_click_on_a_line_shows_its_callers_and_callees_as_links_to_their_lines() {
    let Some(browser) = Browser::start() else { return };
    let _folder = open(&browser, shop());
    browser.run(ALL_STATES);
    browser.run("naja.choices.set({ selected: naja.recording.functionName.indexOf('parse') })");
    browser.wait_for("return document.querySelectorAll('#source-lines .hot').length > 0");
    browser.run("document.querySelector('#source-lines [data-line=\"12\"] code').click()");
    browser.wait_for("return !document.getElementById('line-facts').hidden");
    let facts = browser.run("return document.getElementById('line-facts').textContent");
    let facts = facts.as_str().unwrap();
    assert!(facts.starts_with("Line 12: 150 ms own (2.6 %) · 1.35 s total (23.6 %)"), "{facts}");
    // Own time and what is called make up the total; the caller is told with its line.
    let truth = browser.run(
        "const { recording, sums } = naja; const file = recording.functionFile[recording.functionName.indexOf('parse')];
         const line = recording.lineId(file, 12); const found = recording.neighboursOfLine(line, sums);
         const sum = (list) => list.reduce((sum, [, ticks]) => sum + ticks, 0);
         return [sum(found.callers), sum(found.callees) + sums.lineOwn[line], sums.lineTotal[line],
           found.callers.map(([caller]) => recording.functionName[recording.lineFunction[caller]] + recording.lineNumber[caller])]",
    );
    assert_eq!(truth, json!([1350, 1350, 1350, ["main23"]]));
    let listed = neighbours(&browser);
    assert_eq!(listed[0], json!(["main shop/app.py:23 = 100 %"]));
    photograph(&browser, "line");
    // The link goes to the caller's line, and the address keeps it.
    browser.run("document.querySelector('#neighbours button').click()");
    browser.wait_for("return document.getElementById('line-facts').textContent.startsWith('Line 23')");
    assert_eq!(browser.run("return document.getElementById('detail-title').textContent"), "main");
    assert_eq!(
        browser.run("return document.querySelector('#source-lines .current .number').textContent"),
        "23"
    );
    browser.wait_for("return location.hash.includes('line=23')");
    // By keyboard, and back to the whole function.
    browser.run("document.querySelector('#source-lines [data-line=\"24\"] button').focus()");
    browser.keys(key::ENTER);
    browser.wait_for("return document.getElementById('line-facts').textContent.startsWith('Line 24')");
    let focused = browser.run("return document.activeElement.getAttribute('aria-label')");
    assert_eq!(focused, "Line 24: callers and callees");
    browser.run("document.querySelector('#line-facts button').click()");
    browser.wait_for("return document.getElementById('line-facts').hidden");
    assert_eq!(browser.console(), Vec::<String>::new());
}

#[test]
fn native_code_and_tasks_are_kinds_of_their_own() {
    let Some(browser) = Browser::start() else { return };
    let mut made = shop();
    let legend =
        "return [...document.querySelectorAll('.legend-entry')].map((entry) => entry.textContent).join()";
    for (name, kind) in [("load", FunctionKind::Native), ("main", FunctionKind::Task)] {
        made.input.functions.iter_mut().find(|function| function.name == name).unwrap().kind = kind;
    }
    let _folder = open(&browser, made);
    assert_eq!(browser.run(legend), "application,package,standard library,no file,native code,task");
    let kinds = browser.run(
        "const { functionName, functionKind } = naja.recording;
         return ['load', 'main', 'parse'].map((name) => functionKind[functionName.indexOf(name)])",
    );
    assert_eq!(kinds, json!([4, 5, 0]));
    let _folder = open(&browser, shop());
    assert_eq!(browser.run(legend), "application,package,standard library,no file");
    assert_eq!(browser.console(), Vec::<String>::new());
}

#[test]
fn files_are_listed_by_heat_and_open_at_their_hottest_line() {
    let Some(browser) = Browser::start() else { return };
    let _folder = open(&browser, shop());
    browser.run(ALL_STATES);
    browser.run("document.getElementById('list-files').click()");
    browser.wait_for("return document.getElementById('table-note').textContent.endsWith('files')");
    let files = browser.run(
        "const { recording, sums } = naja;
         const rows = [...document.querySelectorAll('#table-body tr[data-code]')];
         return rows.map((row) => {
           const file = recording.functionFile[Number(row.dataset.code)];
           return [row.querySelector('.function').textContent, sums.fileOwn[file], sums.fileTotal[file]];
         })",
    );
    let files = files.as_array().unwrap();
    let own = |file: &Value| file[1].as_u64().unwrap();
    assert!(files.len() > 2 && files.windows(2).all(|pair| own(&pair[0]) >= own(&pair[1])), "{files:?}");
    // Every sample is in exactly one file itself.
    let all = browser.run("return naja.sums.ticks").as_u64().unwrap();
    assert_eq!(files.iter().map(own).sum::<u64>(), all, "{files:?}");
    photograph(&browser, "files");
    browser.run(
        "[...document.querySelectorAll('#table-body tr')].find((row) => row.textContent.includes('app.py')).click()",
    );
    browser.wait_for("return document.querySelector('#source-lines .current') !== null");
    let line = browser.run("return document.querySelector('#source-lines .current .number').textContent");
    assert_eq!(line, "6", "the line of the file with the most own time");
    assert_eq!(browser.console(), Vec::<String>::new());
}

#[test]
fn callers_and_callees_add_up() {
    let Some(browser) = Browser::start() else { return };
    let _folder = open(&browser, shop());
    browser.run(ALL_STATES);
    let neighbours = browser.run(
        "const { recording, sums } = naja; const names = recording.functionName;
         const found = recording.neighbours(names.indexOf('walk'), sums);
         const plain = (list) => Object.fromEntries(list.map(([code, ticks]) => [names[code], ticks]));
         return [plain(found.callers), plain(found.callees)]",
    );
    // Recursion: 400 ticks in total, of which 250 below another call of itself.
    assert_eq!(neighbours, json!([{ "<module>": 400 }, { "walk": 250 }]));
}

/// An hour at 1,000 Hz: three processes, 36 threads, 100,000 stack nodes, 0.9 million runs, 129.6 million ticks.
fn hour() -> Made {
    let mut made = Made::new(3_600_000);
    let mut random = Random(42);
    let functions: Vec<u32> = (0..4_000)
        .map(|index| {
            let file = match index % 3 {
                0 => format!("/srv/app/module_{}.py", index % 97),
                1 => format!("/usr/lib/python3.12/lib_{}.py", index % 61),
                _ => format!("/srv/venv/lib/python3.12/site-packages/package_{}/core.py", index % 83),
            };
            made.function(&format!("Class{}.method_{index}", index % 211), &file, 10 + index % 900)
        })
        .collect();
    let mut nodes = vec![made.node(0, functions[0], 1)];
    while nodes.len() < 100_000 {
        // Parents among the younger nodes make stacks some forty deep, as real programs have them.
        let span = nodes.len().min(2_500);
        let parent = nodes[nodes.len() - 1 - random.below(span)];
        let function = functions[random.below(functions.len())];
        let line = 10 + u32::try_from(random.below(400)).unwrap();
        let node = made.node(parent, function, line);
        nodes.push(node);
    }
    for process in 0..3 {
        let id = made.process(5_000 + process, &["python3", "server.py"]);
        for step in 0..14_400 {
            made.metric(step * 250, id, step * 240, 200 + step % 100);
        }
        for thread in 0..12 {
            let thread_id = made.thread(id, &format!("worker-{thread}"));
            if thread < 1 {
                busy_hour(&mut made, thread_id, &nodes, &mut random);
            } else {
                let runs = vec![run(3_600_000, nodes[50], State::LockWait, false)];
                made.add(ThreadRuns { thread: thread_id, first_tick: 0, runs });
            }
        }
    }
    made
}

fn busy_hour(made: &mut Made, thread: u32, nodes: &[u32], random: &mut Random) {
    let states = [State::Python, State::Python, State::Native, State::GilWait, State::IoWait];
    let mut tick = 0;
    while tick < 3_600_000 {
        let mut runs = vec![];
        let first_tick = tick;
        // A program does one thing for a while: some stacks of one part of the tree.
        let part = random.below(nodes.len() - 400);
        while runs.len() < 2_000 && tick < 3_600_000 {
            let ticks = 1 + u32::try_from(random.below(24)).unwrap();
            // A few stacks make up most of the time, many a little; the leaf mostly decides the state.
            let rank = random.below(400) * random.below(400) * random.below(400) / 160_000;
            let node = nodes[part + rank];
            let state = states[rank % states.len()];
            runs.push(run(ticks, node, state, state == State::Python));
            tick += u64::from(ticks);
        }
        made.add(ThreadRuns { thread, first_tick, runs });
    }
}

/// A linear congruential generator: the same samples in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }
}

#[test]
fn an_hour_of_many_threads_stays_small_and_quick() {
    let Some(browser) = Browser::start() else { return };
    browser.prefer("prefers-color-scheme", "light");
    browser.resize(1280, 800);
    let made = hour();
    let ticks: u64 = made.runs.iter().flat_map(|runs| &runs.runs).map(|run| u64::from(run.ticks)).sum();
    let start = std::time::Instant::now();
    let folder = open(&browser, made);
    let bytes = std::fs::metadata(folder.path().join("page.html")).unwrap().len();
    assert!(bytes < 10_000_000, "the page has {bytes} bytes");
    browser.run(ALL_STATES);
    assert_eq!(browser.run("return naja.sums.ticks"), ticks);
    let buckets = browser.run("return naja.recording.bucketCount").as_u64().unwrap();
    assert!((250..=1_500).contains(&buckets), "{buckets} buckets");
    let counts = browser.run("const { recording } = naja; return [recording.rowCount, recording.nodeCount, recording.bucketCount, Math.round(naja.readyMilliseconds)]");
    let times = browser.run(
        "const times = {};
         const time = (name, patch) => { const began = performance.now(); naja.choices.set(patch); naja.choices.tell(); times[name] = Math.round(performance.now() - began); };
         const { bucketCount } = naja.recording;
         time('stretch', { from: bucketCount >> 2, to: bucketCount >> 1 });
         time('stretch again', { from: 10, to: bucketCount >> 1 });
         time('whole', { from: 0, to: bucketCount });
         time('search', { search: 'method_1' });
         time('by line', { lines: true });
         time('group by thread', { group: 'thread' });
         time('grouped stretch', { from: 10, to: bucketCount >> 1 });
         time('callers', { invert: true, group: 'none', lines: false });
         time('function', { selected: 5 });
         time('back', { invert: false, search: '', from: 0, to: bucketCount });
         return times",
    );
    println!(
        "{bytes} bytes; rows, nodes, buckets, ms to decode: {counts}; ms: {times}; made, written and opened in {:?}",
        start.elapsed()
    );
    photograph(&browser, "hour");
    assert_eq!(browser.console(), Vec::<String>::new());
}

#[test]
fn a_recording_on_disk_becomes_the_same_page() {
    let folder = tempfile::tempdir().unwrap();
    let made = shop();
    let truth = made.truth(0, 2_000);
    let recording = folder.path().join("shop.naja");
    write_recording(&made, &recording);
    let html = folder.path().join("shop.html");
    let args = ViewArguments { file: recording, html: Some(html.clone()), no_open: false };
    let mut screen = vec![];
    view(&args, &mut screen).unwrap();
    assert!(String::from_utf8(screen).unwrap().starts_with(&format!("wrote {}", html.display())));
    let left: Vec<_> =
        std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "no temporary file stays: {left:?}");
    let Some(browser) = Browser::start() else { return };
    browser.open(&html);
    browser.wait_for("return document.body.classList.contains('ready')");
    browser.run(ALL_STATES);
    check_against(&browser, &truth);
    assert_eq!(browser.run("return document.querySelectorAll('.note.advice').length"), 1);
}

fn write_recording(made: &Made, path: &Path) {
    let mut writer = Writer::create(path, &made.input.header).unwrap();
    let batch = Batch {
        processes: made.input.processes.clone(),
        threads: made.input.threads.clone(),
        functions: made.input.functions.clone(),
        nodes: made.input.nodes.clone(),
        runs: made.runs.clone(),
        metrics: made.input.metrics.clone(),
        sources: made.input.sources.clone(),
        until_tick: made.input.until_tick,
        ..Batch::default()
    };
    writer.write(&batch).unwrap();
    writer.set_report(&made.input.report.to_string()).unwrap();
    writer.finish().unwrap();
}

#[test]
fn a_converted_page_opens_as_the_options_say() {
    let Some(browser) = Browser::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let recording = folder.path().join("shop.naja");
    let made = shop();
    write_recording(&made, &recording);
    let reader = Reader::open(&recording).unwrap();
    let html = folder.path().join("shop.html");
    let check = |stacks: StackOptions, part: PartOptions, expected: Value| {
        let mut page = Vec::new();
        export::write(&reader, ExportFormat::Html, &ExportOptions { stacks, part }, &mut page).unwrap();
        std::fs::write(&html, page).unwrap();
        browser.open(&html);
        browser.wait_for("return document.body.classList.contains('ready')");
        let opened = browser.run(
            "const { recording, choices } = naja; const { states, group } = choices.values;
             return [recording.meta.states.filter((_, state) => (states >> state) & 1), group,
               recording.threads.map((thread) => thread.name), recording.firstTick, recording.ticks,
               recording.rowFlags.every((flags) => flags & 16)]",
        );
        assert_eq!(opened, expected);
        assert_eq!(browser.console(), Vec::<String>::new());
    };
    let all =
        json!(["python", "native", "gil-wait", "io-wait", "lock-wait", "sleep", "child-wait", "stopped"]);
    let names: Vec<&str> = made.input.threads.iter().map(|thread| thread.name.as_str()).collect();
    let cpu = StackOptions { mode: Mode::Cpu, threads: true, ..StackOptions::default() };
    check(cpu, PartOptions::default(), json!([["python", "native"], "thread", names, 0, 2000, false]));
    let idle = StackOptions { idle: true, ..StackOptions::default() };
    let part = PartOptions {
        from: Some(0.5),
        until: Some(1.5),
        thread: vec!["reader".into()],
        ..PartOptions::default()
    };
    check(idle, part, json!([all, "none", ["reader"], 500, 1000, false]));
    let gil = StackOptions { gil: true, ..StackOptions::default() };
    let part = PartOptions { thread: vec!["reader".into()], ..PartOptions::default() };
    check(gil, part, json!([all, "none", ["reader"], 0, 2000, true]));
}

#[test]
fn a_foreign_file_and_a_folder_that_is_not_there_fail_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let foreign = folder.path().join("notes.naja");
    std::fs::write(&foreign, "not a recording").unwrap();
    let args = ViewArguments { file: foreign, html: None, no_open: true };
    assert!(view(&args, &mut vec![]).unwrap_err().name().contains("recording"));
    let recording = folder.path().join("shop.naja");
    write_recording(&shop(), &recording);
    let html = Some(folder.path().join("missing/shop.html"));
    let failure = view(&ViewArguments { file: recording, html, no_open: false }, &mut vec![]).unwrap_err();
    assert_eq!(failure.name(), "cannot-write");
}

#[test]
fn equal_functions_of_two_generations_become_one() {
    let Some(browser) = Browser::start() else { return };
    let mut made = Made::new(200);
    let process = made.process(1, &["python3", "server.py"]);
    let thread = made.thread(process, "MainThread");
    for generation in 0..2 {
        let outer = made.function("serve", "/srv/app.py", 1);
        let inner = made.function("answer", "/srv/app.py", 9);
        let outer = made.node(0, outer, 3);
        let inner = made.node(outer, inner, 10);
        let runs = vec![run(100, inner, State::Python, true)];
        made.add(ThreadRuns { thread, first_tick: generation * 100, runs });
    }
    // What the size limit has forgotten is no part of the page's time.
    made.input.dropped = Dropped { until_tick: 50, samples: 50 };
    made.input.samples = Samples::new(50, 200);
    made.input.samples.add(&ThreadRuns {
        thread,
        first_tick: 50,
        runs: vec![run(50, 2, State::Python, true), run(100, 4, State::Python, true)],
    });
    let _folder = open(&browser, made);
    let shown = browser.run(
        "const tree = naja.flame.tree; const [serve] = tree.childrenOf(0);
         return [naja.recording.functionCount, tree.childrenOf(0).length, tree.total[serve], tree.childrenOf(serve).length, naja.recording.moment(0)]",
    );
    assert_eq!(shown, json!([3, 1, 150, 1, 0.05]));
    assert!(
        browser
            .run("return document.getElementById('notes').textContent")
            .as_str()
            .unwrap()
            .contains("size limit")
    );
}

#[test]
fn a_recording_without_samples_opens_and_says_so() {
    let Some(browser) = Browser::start() else { return };
    let mut made = Made::new(0);
    made.input.complete = false;
    let _folder = open(&browser, made);
    for keys in ["2", key::DOWN, key::ENTER, "gilovrtpsnN0", "1", key::RIGHT, "3", key::DOWN] {
        browser.keys(keys);
    }
    let text = browser.run("return document.getElementById('table-body').textContent");
    assert_eq!(text, "Nothing here has samples in this selection.");
    let notes = browser.run("return document.getElementById('notes').textContent");
    assert!(notes.as_str().unwrap().contains("not finished in good order"), "{notes}");
    assert_eq!(browser.console(), Vec::<String>::new());
}

#[test]
fn without_a_browser_the_page_is_kept_and_its_path_printed() {
    let folder = tempfile::tempdir().unwrap();
    let recording = folder.path().join("shop.naja");
    write_recording(&shop(), &recording);
    let args = ViewArguments { file: recording, html: None, no_open: true };
    let mut screen = vec![];
    view(&args, &mut screen).unwrap();
    let printed = String::from_utf8(screen).unwrap();
    let page = PathBuf::from(printed.trim_end());
    assert!(std::fs::read_to_string(&page).unwrap().starts_with("<!doctype html>"));
    std::fs::remove_file(page).unwrap();
}
