//! The live view without a process: batches in, the text of a screen out.

use naja_recording::{
    Batch, Ending, Function, FunctionKind, Metric, Process, Run, StackNode, State, Thread, ThreadRuns, Tick,
};
use rustc_hash::FxHashMap;

use naja_report::screen::{Key, Line};

use super::counts::Span;
use super::model::Model;
use super::ui::{Action, Ui};
use super::view::{Scene, frame};

/// A tick is 10 ms, "now" one second.
const INTERVAL_NS: u64 = 10_000_000;

/// Makes batches, numbered as the sampler would.
#[derive(Default)]
struct Feeder {
    generation: u32,
    functions: FxHashMap<String, u32>,
    nodes: FxHashMap<(u32, u32, u32), u32>,
    threads: FxHashMap<String, u32>,
    functions_given: u32,
    nodes_given: u32,
    until_tick: Tick,
    /// Of the process, so far.
    cpu_ns: u64,
}

impl Feeder {
    /// A batch of what threads did one after the other, as in `main python a:1 b:2 *30, other sleep a:7 *30`: thread,
    /// state, stack from the outermost call on, ticks. `+gil` after the state says that it held the GIL.
    fn batch(&mut self, text: &str) -> Batch {
        let mut batch = Batch { generation: self.generation, ..Batch::default() };
        if self.until_tick == 0 {
            let command = vec!["/usr/bin/python3".to_owned(), "app.py".to_owned()];
            let interpreter = "CPython 3.12.1".to_owned();
            batch.processes.push(Process { id: 1, pid: 42, command, interpreter, ..Process::default() });
        }
        for part in text.split(", ") {
            let mut words = part.split(' ');
            let thread = words.next().expect("a thread");
            let state = words.next().expect("a state");
            let gil = state.ends_with("+gil");
            let state = State::ALL.into_iter().find(|one| one.word() == state.trim_end_matches("+gil"));
            let mut node = 0;
            let mut ticks = 0;
            for word in words {
                match word.strip_prefix('*') {
                    Some(count) => ticks = count.parse().expect("a number"),
                    None => node = self.node(&mut batch, node, word),
                }
            }
            let thread = self.thread(&mut batch, thread);
            let run = Run { ticks, node, state: state.expect("a state"), gil, gc: false };
            match batch.runs.iter_mut().find(|runs| runs.thread == thread) {
                Some(runs) => runs.runs.push(run),
                None => {
                    batch.runs.push(ThreadRuns { thread, first_tick: self.until_tick, runs: vec![run] });
                }
            }
        }
        let ticks = |runs: &ThreadRuns| runs.runs.iter().map(|run| u64::from(run.ticks)).sum::<u64>();
        self.until_tick += batch.runs.iter().map(ticks).max().unwrap_or(0);
        batch.until_tick = self.until_tick;
        self.cpu_ns += batch.runs.iter().map(ticks).sum::<u64>() * INTERVAL_NS / 2;
        let (tick, cpu_ns) = (self.until_tick, self.cpu_ns);
        batch.metrics.push(Metric { tick, process: 1, cpu_ns, rss_bytes: 20 << 20 });
        batch
    }

    fn thread(&mut self, batch: &mut Batch, name: &str) -> u32 {
        let next = self.threads.len() as u32 + 1;
        let id = *self.threads.entry(name.to_owned()).or_insert(next);
        if id == next {
            let thread = Thread { id, process: 1, os_tid: 100 + id, name: name.to_owned(), interpreter: 0 };
            batch.threads.push(thread);
        }
        id
    }

    fn node(&mut self, batch: &mut Batch, parent: u32, word: &str) -> u32 {
        let (name, line) = word.split_once(':').expect("name:line");
        let line = line.parse().expect("a line");
        let function = *self.functions.entry(name.to_owned()).or_insert_with(|| {
            self.functions_given += 1;
            let kind = if name.starts_with("Task") { FunctionKind::Task } else { FunctionKind::Python };
            batch.functions.push(Function {
                id: self.functions_given,
                name: name.to_owned(),
                qualified_name: name.to_owned(),
                file: format!("/srv/app/{name}.py"),
                first_line: 1,
                kind,
            });
            self.functions_given
        });
        *self.nodes.entry((parent, function, line)).or_insert_with(|| {
            self.nodes_given += 1;
            batch.nodes.push(StackNode { id: self.nodes_given, parent, function, line });
            self.nodes_given
        })
    }

    /// As the sampler does when it knows too many stacks.
    fn begin_generation(&mut self) {
        self.generation += 1;
        self.functions.clear();
        self.nodes.clear();
    }
}

fn fed(batches: &[&str]) -> Model {
    let mut feeder = Feeder::default();
    let mut model = Model::new(INTERVAL_NS, 1_000_000_000);
    batches.iter().for_each(|text| model.take(&feeder.batch(text)));
    model
}

fn scene(model: &Model) -> Scene<'_> {
    Scene { model, pid: 42, ended: None, output: None, window_s: 1.0 }
}

fn draw(model: &Model, ui: &mut Ui, height: usize, width: usize) -> Vec<String> {
    let lines = frame(&scene(model), ui, height, width);
    lines.iter().map(|line: &Line| line.text().trim_end().to_owned()).collect()
}

/// Presses keys (`\r` is Enter, `~` Escape, `v` Down) and compares the rows of the table with what is expected.
fn check(model: &Model, keys: &str, expected: &str) {
    let mut ui = Ui::default();
    draw(model, &mut ui, 30, 70);
    for key in keys.chars() {
        let key = match key {
            '\r' => Key::Enter,
            '~' => Key::Escape,
            'v' => Key::Down,
            other => Key::Char(other),
        };
        assert_eq!(ui.press(key), Action::Draw, "{key:?}");
        draw(model, &mut ui, 30, 70);
    }
    let lines = draw(model, &mut ui, 30, 70);
    // From the titles of the table on, without the line of keys.
    let table = &lines[5..lines.len() - 1];
    let rows: Vec<String> = table
        .iter()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .filter(|line| !line.is_empty())
        .collect();
    let expected: Vec<&str> = expected.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    assert_eq!(rows, expected);
}

#[test]
fn own_and_total_now_and_over_all_time_are_told_apart() {
    let old = "main python a:1 b:2 *100, main native a:3 *100";
    let new = "main python a:1 c:2 *75, main sleep a:4 *25";
    let model = fed(&[old, new]);
    check(
        &model,
        "",
        "own%▾ total% own s total s function file:line
        › 75.0 75.0 0.75 0.75 c app/c.py:1
        75.0 1.00 2.75 a app/a.py:1
        1.00 1.00 b app/b.py:1",
    );
    check(
        &model,
        "3r",
        "own% total% own s▾ total s function file:line
        › 75.0 75.0 0.75 0.75 c app/c.py:1
        1.00 1.00 b app/b.py:1
        75.0 1.00 2.75 a app/a.py:1",
    );
    check(
        &model,
        "ml",
        "own%▾ total% own s total s function file:line
        › 75.0 75.0 0.75 0.75 c app/c.py:2
        25.0 25.0 0.25 0.25 a app/a.py:4
        1.00 1.00 a app/a.py:3
        1.00 1.00 b app/b.py:2
        75.0 1.75 a app/a.py:1",
    );
}

#[test]
fn the_gil_and_threads_narrow_what_is_counted() {
    let model =
        fed(&["main python+gil a:1 *60, main native a:2 *40, other io-wait b:1 *60, other python b:2 *40"]);
    check(
        &model,
        "mm",
        "own%▾ total% own s total s function file:line
        › 60.0 60.0 0.60 0.60 a app/a.py:1",
    );
    check(
        &model,
        "t",
        "thread cpu% gil% state id mostly in
        ›main 100.0 60.0 native 101 a (a.py:1)
        other 40.0 python 102 b (b.py:2)",
    );
    check(
        &model,
        "tv\r",
        "own%▾ total% own s total s function file:line
        › 40.0 40.0 0.40 0.40 b app/b.py:1",
    );
    check(
        &model,
        "tv\r~",
        "own%▾ total% own s total s function file:line
        › 100.0 100.0 1.00 1.00 a app/a.py:1
        40.0 40.0 0.40 0.40 b app/b.py:1",
    );
}

#[test]
fn a_function_that_calls_itself_counts_once_as_caller_and_as_callee() {
    let model = fed(&["main python a:1 fib:2 fib:3 fib:3 *50, main python a:1 fib:2 g:1 fib:2 *50"]);
    check(
        &model,
        "",
        "own%▾ total% own s total s function file:line
        › 100.0 100.0 1.00 1.00 fib app/fib.py:1
        100.0 1.00 a app/a.py:1
        50.0 0.50 g app/g.py:1",
    );
    check(
        &model,
        "\r",
        "own% total% own s total s share function, line file:line
        called by
        › 100.0 1.00 100.0 a app/a.py:1
        calls
        50.0 0.50 50.0 fib app/fib.py:1
        50.0 0.50 50.0 g app/g.py:1
        lines (the source file cannot be read)
        50.0 100.0 0.50 1.00 100.0 2
        50.0 50.0 0.50 0.50 50.0 3",
    );
}

#[test]
fn lost_samples_are_taken_for_ones_like_those_that_were_seen() {
    let model = fed(&["main python a:1 *40, main lost *20, main sleep a:2 *40"]);
    check(
        &model,
        "",
        "own%▾ total% own s total s function file:line
        › 50.0 50.0 0.50 0.50 a app/a.py:1",
    );
    assert!(draw(&model, &mut Ui::default(), 30, 100)[1].contains("80 samples/s   20 % lost"));
}

#[test]
fn counts_outlive_the_stacks_that_they_were_counted_for() {
    let mut feeder = Feeder::default();
    let mut model = Model::new(INTERVAL_NS, 1_000_000_000);
    model.take(&feeder.batch("main python a:1 b:2 *100, other python c:1 *100"));
    for _ in 0..3 {
        feeder.begin_generation();
        model.take(&feeder.batch("main python d:1 b:2 *100, other sleep c:1 *100"));
    }
    check(
        &model,
        "4",
        "own% total% own s total s▾ function file:line
        › 100.0 100.0 4.00 4.00 b app/b.py:1
        100.0 3.00 d app/d.py:1
        1.00 1.00 c app/c.py:1
        1.00 a app/a.py:1",
    );
    check(
        &model,
        "tv\r",
        "own%▾ total% own s total s function file:line
        › 1.00 1.00 c app/c.py:1",
    );
}

#[test]
fn a_view_that_runs_for_days_stays_small() {
    let mut feeder = Feeder::default();
    let mut model = Model::new(INTERVAL_NS, 1_000_000_000);
    for round in 0..2_000 {
        if round % 20 == 0 {
            feeder.begin_generation();
        }
        // Ever new threads in ever new functions.
        model.take(&feeder.batch(&format!("main python loop:1 *20, t{round} python loop:1 f{round}:1 *20")));
    }
    let totals = model.counts.totals(Span::All, super::counts::Mode::Cpu, &|_| true);
    assert!(totals.functions.len() <= 50_000);
    assert!(model.threads().count() <= 2, "{}", model.threads().count());
    assert!((0..3_000).filter(|id| model.thread(*id).is_some()).count() <= 202);
    assert!(model.memory_course().len() <= 120);
    assert_eq!(model.counts.window_ticks(), 100);
}

#[test]
fn a_filter_looks_at_names_and_files_and_is_dropped_by_escape() {
    let model = fed(&["main python alpha:1 *60, main python beta:1 *40"]);
    check(
        &model,
        "/ALP",
        "own%▾ total% own s total s function file:line
        › 60.0 60.0 0.60 0.60 alpha app/alpha.py:1",
    );
    check(
        &model,
        "/app/b\r",
        "own%▾ total% own s total s function file:line
        › 40.0 40.0 0.40 0.40 beta app/beta.py:1",
    );
    check(
        &model,
        "/zzz",
        "own%▾ total% own s total s function file:line
        no function has this in its name or file",
    );
    check(
        &model,
        "/zzz~",
        "own%▾ total% own s total s function file:line
        › 60.0 60.0 0.60 0.60 alpha app/alpha.py:1
        40.0 40.0 0.40 0.40 beta app/beta.py:1",
    );
}

#[test]
fn tasks_have_a_list_of_their_own() {
    let model = fed(&["main python Task-1:0 a:1 *60, main io-wait Task-2:0 b:1 *40"]);
    check(
        &model,
        "am",
        "own%▾ total% own s total s task file:line
        › 60.0 0.60 Task-1 app/Task-1.py:1
        40.0 0.40 Task-2 app/Task-2.py:1",
    );
}

#[test]
fn counts_begin_at_zero_again() {
    let mut feeder = Feeder::default();
    let mut model = Model::new(INTERVAL_NS, 1_000_000_000);
    model.take(&feeder.batch("main python a:1 *100"));
    model.reset();
    check(
        &model,
        "",
        "own%▾ total% own s total s function file:line
        nothing has run yet: `m` shows what waits too",
    );
    model.take(&feeder.batch("main python b:1 *50"));
    check(
        &model,
        "",
        "own%▾ total% own s total s function file:line
        › 100.0 100.0 0.50 0.50 b app/b.py:1",
    );
}

#[test]
fn batches_that_make_no_sense_do_no_harm() {
    let mut model = Model::new(0, 0);
    let runs = |thread, node| ThreadRuns {
        thread,
        first_tick: 9,
        runs: vec![Run { ticks: u32::MAX, node, state: State::Python, gil: true, gc: true }],
    };
    let node = |id, parent, function| StackNode { id, parent, function, line: 0 };
    let batch = Batch {
        threads: vec![Thread { id: 1, process: 77, ..Thread::default() }],
        functions: vec![Function { id: 5, ..Function::default() }],
        nodes: vec![node(1, 1, 5), node(2, 99, 5), node(3, 2, 88), node(2, 1, 5), node(4, 2, 5)],
        runs: vec![runs(1, 4), runs(1, 77), runs(2, 1), runs(1, 4)],
        metrics: vec![Metric { process: 3, ..Metric::default() }],
        until_tick: u64::from(u32::MAX),
        ..Batch::default()
    };
    model.take(&batch);
    model.take(&Batch { until_tick: 3, ..batch.clone() });
    model.take(&Batch { generation: 9, until_tick: u64::MAX >> 32, ..Batch::default() });
    for keys in ["", "t", "p", "a", "l", "\r", "?"] {
        let mut ui = Ui::default();
        draw(&model, &mut ui, 24, 80);
        for key in keys.chars() {
            ui.press(if key == '\r' { Key::Enter } else { Key::Char(key) });
            draw(&model, &mut ui, 24, 80);
        }
    }
}

#[test]
fn every_size_is_drawn_within_its_bounds() {
    let long = "模块.ClassWithAVeryLongName.method_with_a_name_that_is_longer_than_any_column";
    let model = fed(&[&format!("線程 python a:1 {long}:2 *60, 線程 native a:1 *40, other sleep a:1 *100")]);
    let sizes = (1..12)
        .chain([24, 50])
        .flat_map(|height| [1, 2, 3, 7, 20, 40, 59, 80, 200].map(|width| (height, width)));
    for (height, width) in sizes {
        for keys in ["", "t", "p", "l", "\r", "?", "/x", "f"] {
            let mut ui = Ui::default();
            draw(&model, &mut ui, height, width);
            for key in keys.chars() {
                ui.press(if key == '\r' { Key::Enter } else { Key::Char(key) });
            }
            let lines = frame(&scene(&model), &mut ui, height, width);
            assert!(lines.len() <= height, "{height}x{width} {keys:?}: {} lines", lines.len());
            if width >= 20 {
                for line in &lines {
                    assert!(line.columns() <= width, "{height}x{width} {keys:?}: {:?}", line.text());
                }
            }
        }
    }
}

#[test]
fn the_chosen_row_stays_in_sight_and_follows_its_function() {
    let batch: Vec<String> =
        (0..40).map(|number| format!("main python f{number:02}:1 *{}", 50 - number)).collect();
    let model = fed(&[&batch.join(", ")]);
    let mut ui = Ui::default();
    draw(&model, &mut ui, 15, 80);
    for _ in 0..20 {
        ui.press(Key::Down);
    }
    let chosen =
        |lines: &[String]| lines.iter().find(|line| line.starts_with('›')).cloned().unwrap_or_default();
    assert!(chosen(&draw(&model, &mut ui, 15, 80)).contains("f20"));
    ui.press(Key::End);
    assert!(chosen(&draw(&model, &mut ui, 15, 80)).contains("f39"));
    ui.press(Key::Char('r'));
    assert!(chosen(&draw(&model, &mut ui, 15, 80)).contains("f39"));
    ui.press(Key::Home);
    ui.press(Key::PageDown);
    let lines = draw(&model, &mut ui, 15, 80);
    assert!(chosen(&lines).contains("f3"), "{lines:?}");
}

#[test]
fn the_end_is_told_and_what_was_seen_stays() {
    let mut feeder = Feeder::default();
    let mut model = Model::new(INTERVAL_NS, 1_000_000_000);
    model.take(&feeder.batch("main python a:1 *100"));
    let mut process = model.program().expect("there is one").process.clone();
    process.ending = Ending::Exited(3);
    model.take(&Batch { processes: vec![process], until_tick: 100, ..Batch::default() });
    let scene = Scene { ended: Some("ended: exit code 3"), ..scene(&model) };
    let lines = frame(&scene, &mut Ui::default(), 24, 80);
    assert!(lines[0].text().ends_with("ended: exit code 3"), "{:?}", lines[0]);
    assert!(lines.iter().any(|line| line.text().contains("app/a.py:1")));
    assert_eq!((model.cpu(), model.memory_bytes()), (0.0, 0));
}
