//! Rows of the tables: functions, lines, threads, processes, a function from close by.

use naja_recording::{Ending, FunctionKind, Process, State, ThreadId};
use naja_report::text::{bytes, percent};
use rustc_hash::FxHashMap;

use naja_report::short_path;

use super::counts::{FunctionIndex, Mode, OwnTotal, Span, Totals, name};
use super::grid::clean;
use super::model::Model;
use super::table::{Column, Kind, Row, Table, Width};
use super::ui::{Detail, Item, Page, Sort, Ui};

/// Lines of a function that are shown at most, with and without samples.
const SOURCE_LINES_MAX: usize = 400;

/// A function or a line with its figures.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Hot {
    pub(crate) function: FunctionIndex,
    /// The line; that of the `def` where this is about a function.
    pub(crate) line: u32,
    pub(crate) name: String,
    pub(crate) file: String,
    pub(crate) kind: FunctionKind,
    pub(crate) figures: Figures,
}

/// Samples as shares of the last moments' time, and as seconds of all time. Of several threads, shares add up.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Figures {
    pub(crate) own_now: f64,
    pub(crate) total_now: f64,
    pub(crate) own_s: f64,
    pub(crate) total_s: f64,
}

/// Turns samples into figures.
struct Scale {
    now: f64,
    seconds: f64,
}

impl Scale {
    fn of(model: &Model) -> Scale {
        // A lost sample is taken for one like those that were seen.
        let all = model.counted_ns() as f64 / 1e9 / model.observed_ticks(Span::All);
        let one = model.interval_ns() as f64 / 1e9;
        Scale {
            now: 1.0 / model.observed_ticks(Span::Now),
            seconds: if all.is_finite() { all.max(one) } else { one },
        }
    }

    fn figures(&self, now: OwnTotal, all: OwnTotal) -> Figures {
        Figures {
            own_now: now.own as f64 * self.now,
            total_now: now.total as f64 * self.now,
            own_s: all.own as f64 * self.seconds,
            total_s: all.total as f64 * self.seconds,
        }
    }
}

/// The functions, or lines, that have samples and that are asked for, in order.
pub(crate) fn hot(model: &Model, ui: &Ui) -> Vec<Hot> {
    let shown = |thread: ThreadId| is_shown(model, ui, thread);
    let [now, all]: [Totals; 2] =
        [Span::Now, Span::All].map(|span| model.counts.totals(span, ui.mode, &shown));
    let scale = Scale::of(model);
    let filter = ui.filter.to_lowercase();
    let of = |function: FunctionIndex, line: Option<u32>, now: Option<&OwnTotal>, all: OwnTotal| {
        let found = model.counts.function(function)?;
        let fits = filter.is_empty()
            || name(found).to_lowercase().contains(&filter)
            || found.file.to_lowercase().contains(&filter);
        let is_asked_for = fits && (ui.page != Page::Tasks || found.kind == FunctionKind::Task);
        is_asked_for.then(|| Hot {
            function,
            line: line.unwrap_or(found.first_line),
            name: clean(name(found)),
            file: clean(&found.file),
            kind: found.kind,
            figures: scale.figures(now.copied().unwrap_or_default(), all),
        })
    };
    let mut rows: Vec<Hot> = if ui.page == Page::Lines {
        let lines = all.lines.iter();
        lines.filter_map(|(key, all)| of(key.0, Some(key.1), now.lines.get(key), *all)).collect()
    } else {
        let functions = all.functions.iter();
        functions.filter_map(|(key, all)| of(*key, None, now.functions.get(key), *all)).collect()
    };
    rows.sort_by(|a, b| in_order(a, b, ui.sort));
    if ui.reverse {
        rows.reverse();
    }
    rows
}

/// Whether a thread's samples are among those that are asked for.
fn is_shown(model: &Model, ui: &Ui, thread: ThreadId) -> bool {
    let process = || model.thread(thread).map(|figures| figures.thread.process);
    ui.thread.is_none_or(|chosen| chosen == thread)
        && ui.process.is_none_or(|chosen| process() == Some(chosen))
}

/// Largest first, names from A on; what is equal stays in one order from picture to picture.
fn in_order(a: &Hot, b: &Hot, sort: Sort) -> std::cmp::Ordering {
    let figures = |hot: &Hot| {
        let Figures { own_now, total_now, own_s, total_s } = hot.figures;
        match sort {
            Sort::OwnNow => [own_now, own_s, total_now, total_s],
            Sort::TotalNow => [total_now, total_s, own_now, own_s],
            Sort::OwnAll => [own_s, own_now, total_s, total_now],
            Sort::TotalAll => [total_s, total_now, own_s, own_now],
            Sort::Name => [0.0; 4],
        }
    };
    let by_figures = figures(b).into_iter().zip(figures(a)).map(|(b, a)| b.total_cmp(&a));
    let by_figures = by_figures.fold(std::cmp::Ordering::Equal, std::cmp::Ordering::then);
    by_figures.then_with(|| (&a.name, &a.file, a.line).cmp(&(&b.name, &b.file, b.line)))
}

/// A share as a number of per cent with one digit; nothing for nothing.
fn share(value: f64) -> String {
    if value > 0.0 { format!("{:.1}", value * 100.0) } else { String::new() }
}

/// Seconds in at most seven columns; nothing for nothing.
fn seconds(value: f64) -> String {
    match value {
        _ if value <= 0.0 => String::new(),
        _ if value < 100.0 => format!("{value:.2}"),
        _ if value < 10_000.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

/// The part of a file's name that tells most: what follows the folder of packages, else its last two parts.
pub(crate) fn short_file(file: &str) -> &str {
    // No file lies below this: which folder the program works in is not known here.
    let short = short_path(file, "\0");
    if short.len() < file.len() {
        return short;
    }
    file.rmatch_indices('/').nth(1).map_or(file, |(at, _)| &file[at + 1..])
}

fn place(file: &str, line: u32, full: bool) -> String {
    let file = if full { file } else { short_file(file) };
    if line == 0 || file.is_empty() { file.to_owned() } else { format!("{file}:{line}") }
}

/// The name of a function with what it is, where that is not a function of Python.
fn title(name: &str, kind: FunctionKind) -> String {
    match kind {
        FunctionKind::Python => name.to_owned(),
        FunctionKind::Native => format!("{name} [native]"),
        FunctionKind::Task => format!("{name} [task]"),
    }
}

fn number_columns(sort: Option<Sort>) -> Vec<Column> {
    let column =
        |title, cells, by, rank| Column { title, width: Width::Fixed(cells), sorted: sort == Some(by), rank };
    vec![
        column("own%", 6, Sort::OwnNow, 0),
        column("total%", 7, Sort::TotalNow, 2),
        column("own s", 7, Sort::OwnAll, 4),
        column("total s", 8, Sort::TotalAll, 5),
    ]
}

fn number_cells(figures: &Figures) -> Vec<String> {
    vec![share(figures.own_now), share(figures.total_now), seconds(figures.own_s), seconds(figures.total_s)]
}

/// The table of functions, lines or tasks.
pub(crate) fn functions(model: &Model, ui: &Ui) -> Table {
    let mut columns = number_columns(Some(ui.sort));
    let title_of = if ui.page == Page::Tasks { "task" } else { "function" };
    columns.push(Column { title: title_of, width: Width::Tail, sorted: ui.sort == Sort::Name, rank: 0 });
    columns.push(Column { title: "file:line", width: Width::Rest, sorted: false, rank: 3 });
    let rows = hot(model, ui).into_iter().map(|hot| {
        let mut cells = number_cells(&hot.figures);
        cells.push(if ui.page == Page::Tasks { hot.name.clone() } else { title(&hot.name, hot.kind) });
        cells.push(place(&hot.file, hot.line, ui.full_filenames));
        let line = ui.page == Page::Lines;
        let item = if line { Item::Line(hot.function, hot.line) } else { Item::Function(hot.function) };
        Row { item, cells, kind: Kind::Plain }
    });
    let rows = rows.collect();
    let empty = match (ui.filter.is_empty(), ui.page, ui.mode) {
        (false, _, _) => "no function has this in its name or file",
        (true, Page::Tasks, _) => "no asyncio task was seen",
        (true, _, Mode::Cpu) => "nothing has run yet: `m` shows what waits too",
        (true, _, Mode::Wall) => "nothing was seen yet",
        (true, _, Mode::Gil) => "nothing was seen holding the GIL: `m` shows the rest",
    };
    Table { columns, rows, empty: empty.to_owned() }
}

/// The table of threads.
pub(crate) fn threads(model: &Model, ui: &Ui) -> Table {
    let fixed = |title, cells, rank| Column { title, width: Width::Fixed(cells), sorted: false, rank };
    let several = model.processes().nth(1).is_some();
    let mut columns = vec![
        Column { title: "thread", width: Width::Content, sorted: false, rank: 0 },
        fixed("cpu%", 6, 0),
        fixed("gil%", 6, 2),
        fixed("state", 10, 1),
        fixed("process", 8, 4),
        fixed("id", 8, 5),
        Column { title: "mostly in", width: Width::Content, sorted: false, rank: 3 },
    ];
    const PROCESS: usize = 4;
    if !several {
        columns.remove(PROCESS);
    }
    let hottest = model.counts.hottest_of_threads();
    let pids: FxHashMap<u32, u32> = model.processes().map(|one| (one.process.id, one.process.pid)).collect();
    let mut rows: Vec<(f64, Row)> = model
        .threads()
        .filter(|figures| ui.process.is_none_or(|process| figures.thread.process == process))
        .map(|figures| {
            let shares = figures.shares();
            let place = hottest.get(&figures.thread.id).copied().or_else(|| model.innermost(figures));
            let place = place.and_then(|(function, line)| {
                let function = model.counts.function(function)?;
                let file = short_file(&function.file).rsplit('/').next().unwrap_or_default();
                Some(clean(&format!("{} ({file}:{line})", name(function))))
            });
            let mut cells = vec![
                clean(&figures.thread.name),
                share(shares.python + shares.native),
                share(shares.gil),
                if figures.lives { figures.state.word().to_owned() } else { "ended".to_owned() },
                pids.get(&figures.thread.process).map(u32::to_string).unwrap_or_default(),
                figures.thread.os_tid.to_string(),
                place.unwrap_or_default(),
            ];
            if !several {
                cells.remove(PROCESS);
            }
            (
                shares.python + shares.native,
                Row { item: Item::Thread(figures.thread.id), cells, kind: Kind::Plain },
            )
        })
        .collect();
    rows.sort_by(|a, b| b.0.total_cmp(&a.0));
    let rows = rows.into_iter().map(|(_, row)| row).collect();
    Table { columns, rows, empty: "no thread was seen yet".to_owned() }
}

/// The table of processes.
pub(crate) fn processes(model: &Model, ui: &Ui) -> Table {
    let fixed = |title, cells, rank| Column { title, width: Width::Fixed(cells), sorted: false, rank };
    let columns = vec![
        fixed("pid", 8, 0),
        fixed("cpu%", 6, 0),
        fixed("memory", 9, 1),
        fixed("threads", 7, 3),
        Column { title: "interpreter", width: Width::Content, sorted: false, rank: 4 },
        Column { title: "command", width: Width::Content, sorted: false, rank: 0 },
    ];
    let mut threads: FxHashMap<u32, usize> = FxHashMap::default();
    model.threads().for_each(|figures| *threads.entry(figures.thread.process).or_default() += 1);
    let rows = model
        .processes()
        .map(|figures| {
            let process = &figures.process;
            let cells = vec![
                process.pid.to_string(),
                share(model.process_cpu(figures)),
                if process.ending == Ending::Running { bytes(figures.rss_bytes) } else { String::new() },
                threads.get(&process.id).map(usize::to_string).unwrap_or_default(),
                interpreter(process),
                super::view::command(process, ui.full_filenames),
            ];
            Row { item: Item::Process(process.id), cells, kind: Kind::Plain }
        })
        .collect();
    Table { columns, rows, empty: "no process was seen yet".to_owned() }
}

/// The interpreter of a process, or why there is none to see, or how it ended.
pub(crate) fn interpreter(process: &Process) -> String {
    match process.ending {
        Ending::Running if !process.unobserved.is_empty() => clean(&process.unobserved),
        Ending::Running if process.interpreter.is_empty() => "looking for Python".to_owned(),
        Ending::Running => clean(&process.interpreter),
        Ending::Gone => "ended".to_owned(),
        Ending::Exited(code) => format!("ended: exit code {code}"),
        Ending::Killed(signal) => format!("ended: signal {signal}"),
    }
}

/// A function from close by: who calls it, whom it calls, its lines.
pub(crate) fn detail(model: &Model, ui: &Ui, detail: &Detail) -> Table {
    let mut columns = number_columns(None);
    columns.push(Column { title: "share", width: Width::Fixed(6), sorted: false, rank: 1 });
    columns.push(Column { title: "function, line", width: Width::Content, sorted: false, rank: 0 });
    columns.push(Column { title: "file:line", width: Width::Rest, sorted: false, rank: 3 });
    let shown = |thread: ThreadId| is_shown(model, ui, thread);
    let [now, all]: [Totals; 2] =
        [Span::Now, Span::All].map(|span| model.counts.totals(span, ui.mode, &shown));
    let [near_now, near] =
        [Span::Now, Span::All].map(|span| model.counts.relations(detail.function, span, ui.mode, &shown));
    let scale = Scale::of(model);
    let total = all.functions.get(&detail.function).map_or(0, |counts| counts.total);
    let of_total = |samples: u64| share(samples as f64 / total.max(1) as f64);
    let mut rows = Vec::new();
    let heading = |text: &str| Row { item: Item::Text, cells: vec![text.to_owned()], kind: Kind::Heading };
    for (text, now, all) in
        [("called by", &near_now.callers, &near.callers), ("calls", &near_now.callees, &near.callees)]
    {
        rows.push(heading(text));
        let mut related: Vec<(u64, FunctionIndex)> =
            all.iter().map(|(function, samples)| (*samples, *function)).collect();
        related.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
        for (samples, function) in related {
            let Some(found) = model.counts.function(function) else { continue };
            let now = OwnTotal { own: 0, total: now.get(&function).copied().unwrap_or(0) };
            let mut cells = number_cells(&scale.figures(now, OwnTotal { own: 0, total: samples }));
            cells.push(of_total(samples));
            cells.push(title(&clean(name(found)), found.kind));
            cells.push(place(&clean(&found.file), found.first_line, ui.full_filenames));
            rows.push(Row { item: Item::Function(function), cells, kind: Kind::Plain });
        }
        if all.is_empty() {
            let mut cells = vec![String::new(); 5];
            cells.push("nothing that was seen".to_owned());
            rows.push(Row { item: Item::Text, cells, kind: Kind::Plain });
        }
    }
    let is_readable = detail.source.as_ref().is_some_and(|source| !source.is_empty());
    rows.push(heading(if is_readable { "lines" } else { "lines (the source file cannot be read)" }));
    let lines = lines_of(model, detail, &all);
    let texts = source_of(detail, &lines);
    for (line, text) in lines.into_iter().zip(texts) {
        let key = (detail.function, line);
        let counts = |totals: &Totals| totals.lines.get(&key).copied().unwrap_or_default();
        let mut cells = number_cells(&scale.figures(counts(&now), counts(&all)));
        cells.push(of_total(counts(&all).total));
        cells.push(format!("{line:>5}  {text}"));
        let kind = if counts(&all) == OwnTotal::default() { Kind::Faint } else { Kind::Plain };
        rows.push(Row { item: Item::Line(detail.function, line), cells, kind });
    }
    Table { columns, rows, empty: String::new() }
}

/// The lines of a function: from its `def`, or what stands first, to the last one that was seen.
fn lines_of(model: &Model, detail: &Detail, all: &Totals) -> Vec<u32> {
    let seen = all.lines.keys().filter(|(function, _)| *function == detail.function).map(|(_, line)| *line);
    let mut seen: Vec<u32> = seen.filter(|line| *line > 0).collect();
    seen.sort_unstable();
    let (Some(first), Some(last)) = (seen.first().copied(), seen.last().copied()) else { return seen };
    let defined = model.counts.function(detail.function).map_or(0, |function| function.first_line);
    let first = if defined > 0 { defined.min(first) } else { first };
    let source = detail.source.as_ref().is_some_and(|source| !source.is_empty());
    if !source || (last - first) as usize >= SOURCE_LINES_MAX { seen } else { (first..=last).collect() }
}

/// The text of lines, without the indentation that all of them have.
fn source_of(detail: &Detail, lines: &[u32]) -> Vec<String> {
    let text = |line: &u32| {
        let text = line.checked_sub(1).and_then(|at| detail.source.as_ref()?.get(at as usize));
        text.map_or(String::new(), |text| text.trim_end().replace('\t', "    "))
    };
    let texts: Vec<String> = lines.iter().map(text).collect();
    let indentation = |text: &String| text.len() - text.trim_start_matches(' ').len();
    let common = texts.iter().filter(|text| !text.is_empty()).map(indentation).min().unwrap_or(0);
    texts.iter().map(|text| clean(text.get(common..).unwrap_or_default())).collect()
}

/// The header's line of what all threads did, as parts of a bar and words.
pub(crate) fn states(model: &Model) -> Vec<(char, &'static str, f64)> {
    let shares = model.shares();
    vec![
        ('█', "python", shares.python),
        ('▓', "native", shares.native),
        ('▒', "wait for GIL", shares.gil_wait),
        ('░', "other waits", shares.waiting),
    ]
}

/// The figures of the header, the most important first.
pub(crate) fn figures(model: &Model) -> Vec<String> {
    let shares = model.shares();
    let mut parts = vec![
        format!("CPU {}", percent(model.cpu())),
        format!("GIL {}", percent(shares.gil)),
        format!("memory {}", bytes(model.memory_bytes())),
    ];
    if shares.gc > 0.005 {
        parts.push(format!("collector {}", percent(shares.gc)));
    }
    parts
}

/// A word for the state of a thread, for whoever reads JSON.
pub(crate) fn state_word(state: State, lives: bool) -> &'static str {
    if lives { state.word() } else { "ended" }
}
