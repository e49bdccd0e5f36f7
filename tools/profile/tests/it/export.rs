//! Exports of recordings made by hand: kinds of functions, generations, missed samples.

use std::path::Path;

use naja_profile::export::{self, ExportFormat, ExportOptions, StackOptions};
use naja_recording::{
    Batch, Function, FunctionKind, Header, Process, Reader, Run, StackNode, State, Thread, ThreadRuns, Writer,
};
use naja_testkit::Browser;
use serde_json::Value;

fn function(id: u32, name: &str, file: &str, kind: FunctionKind) -> Function {
    let (name, file) = (name.to_owned(), file.to_owned());
    Function { id, qualified_name: name.clone(), name, file, first_line: id, kind }
}

fn run(ticks: u32, node: u32, state: State) -> Run {
    Run { ticks, node, state, gil: state == State::Python, gc: false }
}

/// One thread: a task, its coroutine, and machine code below it; then a missed sample; then the same functions and
/// stacks again, under the numbers of a new generation.
fn write_recording(path: &Path) {
    let header = Header { command: vec!["app.py".into()], interval_ns: 2_000_000, ..Header::default() };
    let mut writer = Writer::create(path, &header).unwrap();
    for generation in 0..2 {
        let base = generation * 3;
        let node = |id: u32, parent: u32| StackNode {
            id: base + id,
            parent: if parent == 0 { 0 } else { base + parent },
            function: base + id,
            line: id * 10,
        };
        let functions = [
            function(base + 1, "fetch;all", "", FunctionKind::Task),
            function(base + 2, "main", "/srv/app.py", FunctionKind::Python),
            function(base + 3, "memcpy", "/lib/libc.so.6", FunctionKind::Native),
        ];
        let functions = functions.map(|one| Function { first_line: one.first_line - base, ..one });
        let first_tick = u64::from(generation) * 20;
        let batch = Batch {
            generation,
            processes: vec![Process { id: 1, pid: 77, command: vec!["app.py".into()], ..Process::default() }],
            threads: vec![Thread {
                id: 1,
                process: 1,
                os_tid: 77,
                name: "Main\nThread".into(),
                interpreter: 0,
            }],
            functions: functions.to_vec(),
            nodes: vec![node(1, 0), node(2, 1), node(3, 2)],
            runs: vec![ThreadRuns {
                thread: 1,
                first_tick,
                runs: vec![
                    run(4, base + 2, State::Python),
                    run(1, 0, State::Lost),
                    run(5, base + 3, State::Native),
                    run(10, base + 2, State::LockWait),
                ],
            }],
            until_tick: first_tick + 20,
            ..Batch::default()
        };
        writer.write(&batch).unwrap();
    }
    writer.finish().unwrap();
}

fn exported(format: ExportFormat, stacks: StackOptions) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.naja");
    write_recording(&path);
    let reader = Reader::open(&path).unwrap();
    let mut out = Vec::new();
    let options = ExportOptions { stacks, ..ExportOptions::default() };
    export::write(&reader, format, &options, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn equal_stacks_of_several_generations_are_one() {
    let lines = exported(
        ExportFormat::Collapsed,
        StackOptions { threads: true, idle: true, ..StackOptions::default() },
    );
    let root = "thread 77 \"Main Thread\";fetch:all;main (/srv/app.py:20)";
    assert_eq!(lines, format!("{root} 28\n{root};memcpy (/lib/libc.so.6:30) 10\n"));
}

#[test]
fn a_picture_has_frames_as_wide_as_their_share_and_is_well_formed() {
    let picture = exported(ExportFormat::Svg, StackOptions { idle: true, ..StackOptions::default() });
    let frames: Vec<&str> = picture.lines().filter(|line| line.starts_with("<g ")).collect();
    let frame = |title: &str, x: &str, y: u32, width: &str| {
        let found = frames.iter().find(|frame| frame.contains(&format!("<title>{title}: "))).expect(title);
        assert!(
            found.contains(&format!("<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"18\"")),
            "{found}"
        );
    };
    assert_eq!(frames.len(), 4);
    frame("all", "0.00", 44, "1200.00");
    frame("fetch;all", "0.00", 62, "1200.00");
    frame("main (/srv/app.py:20)", "0.00", 80, "1200.00");
    // 10 of 38 samples.
    frame("memcpy (/lib/libc.so.6:30)", "0.00", 98, "315.79");
    assert!(picture.contains("76 ms of all time in 38 samples"), "{picture}");
    let Some(browser) = Browser::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("app.svg");
    std::fs::write(&file, picture).unwrap();
    browser.open(&file);
    // What is not well-formed is shown up to the mistake only.
    assert_eq!(browser.run("return document.querySelectorAll('g > rect').length"), 4);
    assert_eq!(browser.run("return document.querySelector('parsererror') === null"), true);
}

#[test]
fn a_picture_can_be_zoomed_and_searched() {
    let Some(browser) = Browser::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("app.svg");
    let picture = exported(ExportFormat::Svg, StackOptions { idle: true, ..StackOptions::default() });
    std::fs::write(&file, picture).unwrap();
    browser.open(&file);
    let widths = || {
        browser.run(
            "const frames = [...document.querySelectorAll('g')];
             const all = frames[0].querySelector('rect').getBoundingClientRect().width;
             return frames.map((frame) => frame.style.display === 'none' ? 0
               : Math.round(1000 * frame.querySelector('rect').getBoundingClientRect().width / all));",
        )
    };
    let click = |selector: &str| {
        let place = browser.run(&format!(
            "const box = document.querySelector('{selector}').getBoundingClientRect();
             return [Math.round(box.x + box.width / 2), Math.round(box.y + box.height / 2)]"
        ));
        browser.drag(&[(place[0].as_i64().unwrap(), place[1].as_i64().unwrap())]);
    };
    let text =
        |selector: &str| browser.run(&format!("return document.querySelector('{selector}').textContent"));
    // `all`, the task, `main`, and `memcpy` with 10 of 38 samples.
    assert_eq!(widths(), serde_json::json!([1000, 1000, 1000, 263]));
    click("g:last-of-type rect");
    assert_eq!(widths(), serde_json::json!([1000, 1000, 1000, 1000]));
    assert_eq!(text("g:last-of-type text"), "memcpy (/lib/libc.so.6:30)");
    assert!(text(".note").as_str().unwrap().starts_with("memcpy (/lib/libc.so.6:30): 26 %"));
    assert_eq!(browser.run("return location.hash"), "#zoom=3");
    click(".link");
    assert_eq!(widths(), serde_json::json!([1000, 1000, 1000, 263]));
    browser.keys("/MEMcpy|fetch");
    assert_eq!(text(".matched"), "100.0 % matched");
    browser.keys(naja_testkit::browser::key::ESCAPE);
    assert_eq!(text(".matched"), "");
    browser.keys("memcpy");
    assert_eq!(text(".matched"), "26.3 % matched");
    assert_eq!(browser.run("return document.querySelectorAll('g.hit').length"), 1);
    // The address holds the view.
    browser.open_url(&format!("file://{}#zoom=3&search=nothing(", file.display()));
    browser.run("location.reload()");
    browser.wait_for("return document.querySelector('.matched')?.textContent === '0.0 % matched'");
    assert_eq!(widths(), serde_json::json!([1000, 1000, 1000, 1000]));
    let ground = || browser.run("return getComputedStyle(document.querySelector('.ground')).fill");
    let light = ground();
    browser.prefer("prefers-color-scheme", "dark");
    assert_ne!(ground(), light);
    assert_eq!(browser.console(), Vec::<String>::new());
}

#[test]
fn speedscope_weighs_each_tick() {
    let file: Value =
        serde_json::from_str(&exported(ExportFormat::Speedscope, StackOptions::default())).unwrap();
    let profile = &file["profiles"][0];
    assert_eq!(profile["name"], "Process 77 Thread 77 \"Main Thread\"");
    assert_eq!(profile["samples"].as_array().unwrap().len(), 18);
    assert_eq!(profile["weights"][0], 0.002);
    assert_eq!(file["shared"]["frames"].as_array().unwrap().len(), 3);
}

#[test]
fn chrome_slices_go_on_over_a_missed_sample_and_have_the_kind_as_category() {
    let file: Value = serde_json::from_str(&exported(ExportFormat::Chrome, StackOptions::default())).unwrap();
    let slices: Vec<String> = file["traceEvents"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|event| event["ph"] != "M")
        .map(|event| {
            let text = |key: &str| event[key].as_str().unwrap_or_default().to_owned();
            format!("{} {} {} {}", event["ts"], text("ph"), text("cat"), text("name")).trim_end().to_owned()
        })
        .collect();
    let expected = [
        "0.0 B task fetch;all",
        "0.0 B python main",
        "10000.0 B native memcpy",
        "20000.0 E native memcpy",
        "20000.0 B waiting waiting for a lock",
        "40000.0 E waiting waiting for a lock",
        "50000.0 B native memcpy",
        "60000.0 E native memcpy",
        "60000.0 B waiting waiting for a lock",
        "80000.0 E waiting waiting for a lock",
        "80000.0 E python main",
        "80000.0 E task fetch;all",
    ];
    assert_eq!(slices, expected);
}

#[test]
fn firefox_frames_have_the_kind_as_category_and_the_top_one_what_the_thread_does() {
    let file: Value =
        serde_json::from_str(&exported(ExportFormat::Firefox, StackOptions::default())).unwrap();
    let (thread, categories) = (&file["threads"][0], &file["meta"]["categories"]);
    let at = |column: &Value, index: &Value| column[index.as_u64().unwrap() as usize].clone();
    let stack_names = |sample: usize| {
        let mut names = Vec::new();
        let mut stack = thread["samples"]["stack"][sample].clone();
        while !stack.is_null() {
            let frame = at(&thread["stackTable"]["frame"], &stack);
            let func = at(&thread["frameTable"]["func"], &frame);
            let name = at(&thread["stringArray"], &at(&thread["funcTable"]["name"], &func));
            let category = at(categories, &at(&thread["frameTable"]["category"], &frame));
            let below = at(&category["subcategories"], &at(&thread["frameTable"]["subcategory"], &frame));
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            names.push(format!("{} {}/{}", text(&name), text(&category["name"]), text(&below)));
            stack = at(&thread["stackTable"]["prefix"], &stack);
        }
        names
    };
    let task = "fetch;all Task/Other";
    assert_eq!(stack_names(0), ["main Python/Other", task]);
    assert_eq!(stack_names(4), ["memcpy Native/Other", "main Python/Other", task]);
    assert_eq!(stack_names(9), ["main Waiting/For a lock", task]);
    let samples = &thread["samples"];
    assert_eq!((&samples["length"], &samples["time"][4]), (&38.into(), &10.0.into()));
}
