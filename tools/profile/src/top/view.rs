//! The whole picture: header, table, help, the line of keys, in the room that there is.
//!
//! Pure: figures and choices come in, lines come out. Start at [`frame`].

use naja_recording::Ending;
use naja_recording::Process;
use naja_report::screen::{Column, Kind, Line, Look, Width, clean, columns, cut, cut_start, right};
use naja_report::text::{duration, percent, sparkline};

use super::counts::{Mode, Span, name};
use super::model::Model;
use super::rows::{self, interpreter};
use super::table::{Row, Table};
use super::ui::{Item, Page, Sort, Ui};

/// What is drawn beside the figures.
pub(crate) struct Scene<'a> {
    pub(crate) model: &'a Model,
    pub(crate) pid: u32,
    /// What there is to say of the end, once nothing more will come.
    pub(crate) ended: Option<&'a str>,
    /// The lines that the program has written, where it was started for the view.
    pub(crate) output: Option<&'a [String]>,
    /// How many seconds "now" reaches back.
    pub(crate) window_s: f64,
}

/// Lines from which on there is room for all of the header, and for the line of keys.
const TALL: usize = 14;
const MEDIUM: usize = 9;

/// Draws a picture of so many rows and columns.
pub(crate) fn frame(scene: &Scene<'_>, ui: &mut Ui, height: usize, width: usize) -> Vec<Line> {
    ui.follow_epoch(scene.model.counts.epoch());
    if ui.help {
        return help(height, width);
    }
    let mut lines = header(scene, ui, height, width);
    let keys = height >= MEDIUM || ui.typing.is_some();
    let room = height.saturating_sub(lines.len() + 1 + usize::from(keys));
    let table = table(scene, ui);
    ui.settle(table.rows.iter().map(|row| row.item).collect(), room);
    lines.extend(table.lines(width, ui.offset, room, ui.chosen_item()));
    lines.truncate(height.saturating_sub(usize::from(keys)));
    if keys {
        lines.resize(height - 1, Line::default());
        lines.push(key_line(ui, width));
    }
    lines
}

fn table(scene: &Scene<'_>, ui: &Ui) -> Table {
    if let Some(detail) = ui.details.last() {
        return rows::detail(scene.model, ui, detail);
    }
    match ui.page {
        Page::Functions | Page::Lines | Page::Tasks => rows::functions(scene.model, ui),
        Page::Threads => rows::threads(scene.model, ui),
        Page::Processes => rows::processes(scene.model, ui),
        Page::Output => output(scene.output.unwrap_or_default()),
    }
}

fn output(lines: &[String]) -> Table {
    let column = Column { title: "output of the program", width: Width::Content, sorted: false, rank: 0 };
    let row = |line: &String| Row { item: Item::Text, cells: vec![line.clone()], kind: Kind::Plain };
    let empty = "it has written nothing".to_owned();
    Table { columns: vec![column], rows: lines.iter().map(row).collect(), empty }
}

/// What the program is and does, in one to five lines.
fn header(scene: &Scene<'_>, ui: &Ui, height: usize, width: usize) -> Vec<Line> {
    let mut lines = vec![first_line(scene, ui, width)];
    if height >= MEDIUM {
        lines.push(second_line(scene, width));
    }
    if height >= TALL {
        lines.push(bar_line(scene.model, width));
        lines.push(Line::default());
    }
    if height >= MEDIUM {
        lines.push(what_is_shown(scene, ui, width));
    }
    lines
}

/// Which program: its number and its command to the left, its interpreter or its state to the right.
fn first_line(scene: &Scene<'_>, ui: &Ui, width: usize) -> Line {
    let program = scene.model.program();
    let (state, look) = match (scene.ended, program) {
        (Some(ended), _) => (clean(ended), Look::Warning),
        _ if ui.paused => ("paused".to_owned(), Look::Warning),
        (None, Some(figures)) => (interpreter(&figures.process), Look::Faint),
        (None, None) => ("looking for Python".to_owned(), Look::Faint),
    };
    let state = cut(&state, width * 2 / 3);
    let command = program.map(|figures| command(&figures.process, ui.full_filenames)).unwrap_or_default();
    let mut line = Line::default();
    line.push(format!(" {} ", scene.pid), Look::Heading);
    let room = width.saturating_sub(line.columns() + columns(&state) + 2);
    line.push(cut(&command, room), Look::Bold);
    let gap = width.saturating_sub(line.columns() + columns(&state) + 1);
    line.push(" ".repeat(gap), Look::Plain);
    line.push(state, look);
    line
}

/// The command line of a process; unless `full`, of the program and of files the last parts.
pub(crate) fn command(process: &Process, full: bool) -> String {
    let short = |(index, word): (usize, &String)| match (full, index) {
        (true, _) => word.clone(),
        (false, 0) => word.rsplit('/').next().unwrap_or_default().to_owned(),
        (false, _) if word.starts_with('/') => rows::short_file(word).to_owned(),
        (false, _) => word.clone(),
    };
    let words: Vec<String> = process.command.iter().enumerate().map(short).collect();
    clean(&words.join(" "))
}

/// A length of time in whole seconds.
fn whole_seconds(ns: u64) -> String {
    match ns / 1_000_000_000 {
        seconds @ 0..100 => format!("{seconds} s"),
        seconds => duration(seconds * 1_000_000_000),
    }
}

/// Figures of the program, and how well it is sampled, as many as there is room for.
fn second_line(scene: &Scene<'_>, width: usize) -> Line {
    const COURSE_COLUMNS: usize = 20;
    const COURSE_MIN: usize = 4;
    let model = scene.model;
    let mut parts = rows::figures(model);
    parts.push(whole_seconds(model.elapsed_ns()));
    parts.push(format!("{:.0} samples/s", model.attained_hz()));
    parts.push(format!("{} lost", percent(model.lost_share())));
    let mut text = String::new();
    for (index, part) in parts.iter().enumerate() {
        if columns(&text) + 3 + columns(part) > width {
            break;
        }
        text.push_str(if text.is_empty() { " " } else { "   " });
        text.push_str(part);
        // What comes after it is worth more than the course where not all has room.
        let rest: usize = parts[index + 1..].iter().map(|part| columns(part) + 3).sum();
        let room = width.saturating_sub(columns(&text) + rest + 2).min(COURSE_COLUMNS);
        if part.starts_with("memory") && room >= COURSE_MIN {
            text.push_str(&format!(" {}", sparkline(&model.memory_course(), room)));
        }
    }
    Line::new(text, Look::Plain)
}

/// What all threads did in the last moments: a bar and its words.
fn bar_line(model: &Model, width: usize) -> Line {
    const BAR_MIN: usize = 8;
    const BAR_MAX: usize = 60;
    let states = rows::states(model);
    let word = |(glyph, word, share): &(char, &str, f64)| format!("{glyph} {word} {}", percent(*share));
    let legend: Vec<String> = states.iter().map(word).collect();
    let legend = legend.join("  ");
    // Fixed, so that the bar does not jump as figures get longer.
    let room = width.saturating_sub(
        columns("█ python 100 %  ▓ native 100 %  ▒ wait for GIL 100 %  ░ other waits 100 %") + 4,
    );
    let cells = room.min(BAR_MAX);
    if room < BAR_MIN {
        return Line::new(cut(&format!(" {legend}"), width), Look::Plain);
    }
    let mut bar = String::new();
    let mut sum = 0.0;
    for (glyph, _, share) in &states {
        sum += share;
        // Rounded as a whole, so that the parts fill the bar exactly.
        let until = ((sum * cells as f64).round() as usize).min(cells);
        while columns(&bar) < until {
            bar.push(*glyph);
        }
    }
    let mut line = Line::default();
    line.push(format!(" {bar}{} ", " ".repeat(cells - columns(&bar))), Look::Plain);
    line.push(legend, Look::Plain);
    line
}

/// What the table below shows, and what is left out of it.
fn what_is_shown(scene: &Scene<'_>, ui: &Ui, width: usize) -> Line {
    let model = scene.model;
    let detail = ui.details.last().and_then(|detail| model.counts.function(detail.function));
    let mut parts = Vec::new();
    match (detail, ui.page) {
        (Some(function), _) => {
            parts.push(format!(
                "{} ({}:{})",
                clean(name(function)),
                clean(rows::short_file(&function.file)),
                function.first_line
            ));
        }
        (None, Page::Functions) => parts.push("functions".to_owned()),
        (None, Page::Lines) => parts.push("lines".to_owned()),
        (None, Page::Threads) => parts.push("threads".to_owned()),
        (None, Page::Processes) => parts.push("processes".to_owned()),
        (None, Page::Tasks) => parts.push("asyncio tasks".to_owned()),
        (None, Page::Output) => parts.push("output".to_owned()),
    }
    let is_counted = detail.is_some() || matches!(ui.page, Page::Functions | Page::Lines | Page::Tasks);
    if is_counted {
        // What narrows the table first: it is what must not be overlooked.
        if let Some(figures) = ui.thread.and_then(|thread| model.thread(thread)) {
            parts.push(format!("thread {}", clean(&figures.thread.name)));
        }
        let process = ui.process.and_then(|id| model.processes().find(|figures| figures.process.id == id));
        if let Some(figures) = process {
            parts.push(format!("process {}", figures.process.pid));
        }
        if !ui.filter.is_empty() && ui.typing.is_none() {
            parts.push(format!("with `{}`", clean(&ui.filter)));
        }
        parts.push(
            match ui.mode {
                Mode::Cpu => "time running",
                Mode::Wall => "time running and waiting",
                Mode::Gil => "time holding the GIL",
            }
            .to_owned(),
        );
        let window = model.counts.window_ticks() as f64 * model.interval_ns() as f64 / 1e9;
        let window = if window > 0.0 { window.min(scene.window_s) } else { scene.window_s };
        let all = whole_seconds(model.counted_ns());
        parts.push(format!("% of the last {window:.1} s, seconds over {all}"));
        if ui.reverse {
            parts.push("reversed".to_owned());
        }
    }
    let mut line = Line::default();
    line.push(" ", Look::Plain);
    line.push(cut(&parts[0], width.saturating_sub(2)), Look::Heading);
    let rest: String = parts[1..].iter().map(|part| format!("   {part}")).collect();
    line.push(cut(&rest, width.saturating_sub(line.columns())), Look::Plain);
    line
}

/// The keys that can be pressed here; the filter while it is typed.
fn key_line(ui: &Ui, width: usize) -> Line {
    if ui.typing.is_some() {
        let room = width.saturating_sub(" filter: ▏".chars().count() + 1);
        let text = cut_start(&clean(&ui.filter), room);
        let mut line = Line::new(format!(" filter: {text}▏"), Look::Bold);
        let hint = "  Enter keeps it, Esc drops it";
        if line.columns() + columns(hint) < width {
            line.push(hint, Look::Faint);
        }
        return line;
    }
    let mut keys: Vec<(&str, &str)> = vec![("q", "quit"), ("?", "help")];
    match (ui.details.is_empty(), ui.page) {
        (false, _) => keys.extend([("Esc", "back"), ("Enter", "look into"), ("m", "mode")]),
        (true, Page::Functions | Page::Lines | Page::Tasks) => {
            keys.extend([
                ("Enter", "look into"),
                ("1-5", "sort"),
                ("/", "filter"),
                ("Space", "pause"),
                ("t", "threads"),
            ]);
            keys.push(("l", if ui.page == Page::Lines { "functions" } else { "lines" }));
            keys.push(("m", "mode"));
        }
        (true, Page::Threads | Page::Processes) => {
            keys.extend([("Esc", "back"), ("Enter", "show only this")])
        }
        (true, Page::Output) => keys.extend([("Esc", "back"), ("↑↓", "scroll")]),
    }
    if ui.has_output && ui.page != Page::Output {
        keys.push(("o", "output"));
    }
    if ui.details.is_empty() && matches!(ui.page, Page::Functions | Page::Lines) {
        keys.extend([("p", "processes"), ("c", "clear")]);
    }
    let mut line = Line::default();
    for (key, word) in keys {
        if line.columns() + columns(key) + columns(word) + 3 > width {
            break;
        }
        line.push(format!(" {key}"), Look::Bold);
        line.push(format!(" {word} "), Look::Faint);
    }
    line
}

/// All keys and what the columns mean.
fn help(height: usize, width: usize) -> Vec<Line> {
    const KEYS: [(&str, &str); 20] = [
        ("↑ ↓ PgUp PgDn", "choose a row (also j, k, g, G)"),
        ("Enter", "look into a function; show only a thread or process"),
        ("Esc", "one step back; at last, quit"),
        ("1 2 3 4 5", "sort by own%, total%, own s, total s, name; again: reverse"),
        ("s  r", "next order; reverse"),
        ("/", "filter by a part of the function's or file's name"),
        ("m", "count time running, running and waiting, or with the GIL"),
        ("l", "lines or functions"),
        ("t  p  a", "threads; processes; asyncio tasks"),
        ("o", "what the program has written, if it was started here"),
        ("Space", "pause the display; sampling goes on"),
        ("c", "set all counts to zero"),
        ("f", "whole file names"),
        ("Ctrl-L  Ctrl-Z", "draw anew; to the background"),
        ("q  Ctrl-C", "quit"),
        ("", ""),
        ("own", "in the function itself; total: and in all that it called"),
        ("%", "of the last moments' time; 100 is one thread all the time"),
        ("s", "seconds of all threads together, since the start or `c`"),
        ("GIL, CPU", "share of the last moments' time"),
    ];
    let mut lines =
        vec![Line::new(cut(" naja top: keys (any key goes back)", width), Look::Heading), Line::default()];
    // Where there is little room, the keys alone.
    if height < KEYS.len() + 2 {
        lines.truncate(1);
    }
    for (key, what) in KEYS {
        let mut line = Line::new(if width >= 60 { right(key, 15) } else { format!(" {key}") }, Look::Bold);
        line.push(cut(&format!("  {what}"), width.saturating_sub(line.columns())), Look::Plain);
        lines.push(line);
    }
    lines.truncate(height);
    lines
}

/// A table as text, for where there is no screen: what the program does, then the first rows.
pub(crate) fn text(scene: &Scene<'_>, ui: &Ui, rows: usize, width: usize) -> String {
    let model = scene.model;
    let mut table = rows::functions(model, ui);
    table.rows.truncate(rows);
    let mut lines = vec![first_line(scene, ui, width), second_line(scene, width), bar_line(model, width)];
    lines.extend(table.lines(width, 0, rows, None));
    let lines: Vec<String> = lines.iter().map(|line| line.text().trim_end().to_owned() + "\n").collect();
    lines.concat()
}

/// One moment as a JSON value: the same figures as the text has, with all rows up to `rows`.
pub(crate) fn json(scene: &Scene<'_>, ui: &Ui, rows: usize) -> serde_json::Value {
    let model = scene.model;
    let shares = model.shares();
    let functions = rows::hot(model, ui).into_iter().take(rows).map(|hot| {
        serde_json::json!({
            "function": hot.name, "file": hot.file, "line": hot.line, "kind": hot.kind.word(),
            "own_now": hot.figures.own_now, "total_now": hot.figures.total_now,
            "own_s": hot.figures.own_s, "total_s": hot.figures.total_s,
        })
    });
    let functions: Vec<serde_json::Value> = functions.collect();
    let threads: Vec<serde_json::Value> = model
        .threads()
        .map(|figures| {
            let shares = figures.shares();
            serde_json::json!({
                "thread": figures.thread.os_tid, "name": figures.thread.name,
                "state": rows::state_word(figures.state, figures.lives),
                "cpu": shares.python + shares.native, "gil": shares.gil,
            })
        })
        .collect();
    let processes: Vec<serde_json::Value> = model
        .processes()
        .map(|figures| {
            serde_json::json!({
                "pid": figures.process.pid, "command": figures.process.command,
                "interpreter": figures.process.interpreter, "cpu": model.process_cpu(figures),
                "rss_bytes": figures.rss_bytes, "ended": figures.process.ending != Ending::Running,
            })
        })
        .collect();
    serde_json::json!({
        "pid": scene.pid, "elapsed_s": model.elapsed_ns() as f64 / 1e9, "ended": scene.ended,
        "cpu": model.cpu(), "gil": shares.gil, "rss_bytes": model.memory_bytes(),
        "python": shares.python, "native": shares.native, "gil_wait": shares.gil_wait,
        "waiting": shares.waiting, "samples_per_s": model.attained_hz(), "lost": model.lost_share(),
        "window_ticks": model.observed_ticks(Span::Now), "functions": functions, "threads": threads,
        "processes": processes,
    })
}

impl Sort {
    /// The order that a word on the command line names.
    pub(crate) fn of_word(word: &str) -> Option<Sort> {
        let words = ["own", "total", "own-all", "total-all", "name"];
        words.iter().position(|one| *one == word).map(|at| Sort::ALL[at])
    }
}
