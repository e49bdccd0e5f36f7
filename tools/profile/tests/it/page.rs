//! The page of `naja view` in a headless Chromium: it must show what Rust computes from the same samples.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use naja_profile::page::{self, PageInput, Samples};
use naja_recording::{
    Dropped, Function, Header, Metric, Process, Run, Source, StackNode, State, Thread, ThreadRuns,
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
        self.input.functions.push(Function { id, qualified_name: name.clone(), name, file, first_line });
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
    photograph(&browser, "shop-light");
    browser
        .run("naja.choices.set({ selected: naja.recording.functionName.indexOf('parse'), search: '^JSON' })");
    browser.wait_for("return !document.getElementById('detail-pane').hidden");
    photograph(&browser, "shop-light-detail");
    browser.prefer("prefers-color-scheme", "dark");
    browser.wait_for("return document.documentElement.dataset.theme === 'dark'");
    photograph(&browser, "shop-dark-detail");
    browser.resize(420, 900);
    browser.wait_for("return innerWidth === 420 && document.documentElement.scrollWidth <= 420");
    photograph(&browser, "shop-dark-narrow");
}
