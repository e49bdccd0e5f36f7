//! The report as text for a terminal.

use naja_recording::Ending;
use naja_report::text::{Columns, Style, bytes, count, duration, percent, shorten, sparkline};

use crate::report::{HotReport, ProcessReport, Report, Shares};
use crate::target::NO_LONGER_PYTHON;

/// Programs shorter than this get one line.
const SHORT_S: f64 = 0.1;

/// Rows of each list in the text; the JSON and the page have more.
const ROWS: usize = 8;
const PROCESSES: usize = 12;
const THREADS: usize = 6;

/// Columns of the code of a `-c` program.
const CODE_COLUMNS: usize = 24;

/// Writes the report as text, with a line feed at its end.
pub fn text(report: &Report, style: Style) -> String {
    if report.wall_s < SHORT_S && report.advice.is_empty() && report.warnings.is_empty() {
        return format!("{}\n", one_line(report, style));
    }
    let mut lines = Vec::new();
    lines.push(one_line(report, style));
    lines.extend(memory(report, style));
    lines.extend(processes(report, style));
    lines.extend(hot("hottest functions (time on a processor)", &report.functions, style));
    lines.extend(hot("hottest lines (time on a processor)", &report.lines, style));
    lines.extend(waits(report, style));
    lines.extend(advice(report, style));
    lines.extend(report.warnings.iter().map(|warning| style.warning(&format!("  warning: {warning}"))));
    lines.push(String::new());
    lines.push(style.faint(&samples(report)));
    if let Some(path) = &report.recording {
        lines.push(style.faint(&format!("  recording {path}   look at it: naja view {}", quoted(path))));
    }
    lines.push(String::new());
    lines.join("\n")
}

fn seconds(value: f64) -> String {
    duration((value.max(0.0) * 1e9) as u64)
}

fn one_line(report: &Report, style: Style) -> String {
    let cores = (report.user_s + report.system_s) / report.wall_s.max(f64::MIN_POSITIVE);
    let ending = match (report.exit_code, report.signal) {
        (_, Some(signal)) => format!("   killed by signal {signal}"),
        (Some(0) | None, None) => String::new(),
        (Some(code), None) => format!("   exit code {code}"),
    };
    let interpreter = match report.interpreter.as_str() {
        "" => String::new(),
        name => format!("   {name}"),
    };
    format!(
        "{}  wall {}   CPU {} user + {} system ({} of a core)   peak memory {}{interpreter}{ending}",
        style.heading("naja"),
        style.bold(&seconds(report.wall_s)),
        seconds(report.user_s),
        seconds(report.system_s),
        percent(cores),
        bytes(report.peak_rss_bytes),
    )
}

fn memory(report: &Report, style: Style) -> Option<String> {
    let course = &report.memory_course_bytes;
    let highest = course.iter().max()?;
    if course.len() < 8 {
        return None;
    }
    Some(format!(
        "  {} {} up to {}",
        style.bold("memory"),
        sparkline(course, style.columns.min(100) / 2),
        bytes(*highest)
    ))
}

fn processes(report: &Report, style: Style) -> Vec<String> {
    let observed: Vec<&ProcessReport> =
        report.processes.iter().filter(|process| !process.interpreter.is_empty()).collect();
    let mut columns = Columns::default();
    let header = ["", "wall", "CPU", "Python", "native", "GIL wait", "I/O wait", "other wait"];
    columns.row(header.map(str::to_owned));
    let name_columns = style.columns.saturating_sub(62).clamp(16, 44);
    for process in observed.iter().take(PROCESSES) {
        let name = format!("{} {}", process.pid, shorten(&program_name(process), name_columns - 8));
        let cpu = seconds(process.cpu_s);
        columns.row(share_row(name, process.wall_s, cpu, &process.shares));
        if process.threads.len() > 1 {
            for thread in process.threads.iter().take(THREADS) {
                let name = format!("  {}", shorten(&thread.name, name_columns - 2));
                let cpu = seconds(thread.cpu_s);
                columns.row(share_row(name, thread.wall_s, cpu, &thread.shares));
            }
            let all = process.threads.len() as u64 + process.threads_unlisted;
            if let Some(text) = more(all, THREADS, "threads") {
                let mut row: [String; 8] = Default::default();
                row[0] = format!("  {text}");
                columns.row(row);
            }
        }
    }
    let mut lines = vec![String::new()];
    if observed.is_empty() {
        lines.clear();
    } else {
        let mut rows = columns.lines("  ").into_iter();
        lines.extend(rows.next().map(|row| style.bold(&row)));
        lines.extend(rows);
        let all = observed.len() as u64 + report.processes_unlisted;
        lines.extend(more(all, PROCESSES, "processes").map(|text| format!("  {text}")));
    }
    lines.extend(other_processes(report, style));
    lines
}

fn share_row(name: String, wall_s: f64, cpu: String, shares: &Shares) -> [String; 8] {
    let other = shares.lock_wait + shares.sleep + shares.child_wait + shares.stopped;
    let cells = [shares.python, shares.native, shares.gil_wait, shares.io_wait, other].map(percent);
    let [python, native, gil, io, other] = cells;
    [name, seconds(wall_s), cpu, python, native, gil, io, other]
}

/// Children that are no Python, and those that live on.
fn other_processes(report: &Report, style: Style) -> Vec<String> {
    let mut lines = Vec::new();
    lines.extend(other_children(report).map(|text| format!("  {} {text}", style.bold("other children"))));
    let alive = report.processes.iter().skip(1).filter(|process| process.ending == Ending::Running);
    let alive: Vec<String> =
        alive.map(|process| format!("{} {}", process.pid, shorten(&program_name(process), 40))).collect();
    if !alive.is_empty() {
        lines.push(format!("  {} {}", style.bold("still running"), alive.join(", ")));
    }
    lines
}

/// The children that are no Python: the longest by name, the rest by number.
fn other_children(report: &Report) -> Option<String> {
    /// Every child that lives as long is known by name.
    const NAMED_S: f64 = 0.05;
    let mut foreign: Vec<&ProcessReport> =
        report.processes.iter().skip(1).filter(|process| process.interpreter.is_empty()).collect();
    foreign.sort_by(|a, b| b.wall_s.total_cmp(&a.wall_s));
    let (named, others) = foreign.split_at(foreign.len().min(PROCESSES));
    let names = named.iter().map(|process| {
        format!("{} {} ({})", process.pid, shorten(&program_name(process), 24), seconds(process.wall_s))
    });
    let names = names.collect::<Vec<String>>().join(", ");
    let short = if others.iter().all(|process| process.wall_s < NAMED_S) {
        " that lived less than 50 ms"
    } else {
        ""
    };
    match (names.as_str(), others.len() as u64 + report.children_unnamed) {
        ("", 0) => None,
        (_, 0) => Some(names),
        ("", rest) => Some(format!("{}{short}", count(rest))),
        (_, rest) => Some(format!("{names} and {} more{short}", count(rest))),
    }
}

fn more(all: u64, shown: usize, what: &str) -> Option<String> {
    let rest = all.saturating_sub(shown as u64);
    (rest > 0).then(|| format!("… and {} more {what}, in the recording", count(rest)))
}

/// What a person would call a process: its script or module, else its program.
fn program_name(process: &ProcessReport) -> String {
    let name = |path: &String| path.rsplit('/').next().unwrap_or(path).to_owned();
    let mut words = process.command.iter();
    let program = words.next().map(name).unwrap_or_default();
    // Not Python, or not any more.
    if process.interpreter.is_empty() || process.unobserved == NO_LONGER_PYTHON {
        return program;
    }
    let rest: Vec<&String> = words.collect();
    match rest.as_slice() {
        [] => program,
        [flag, module, ..] if *flag == "-m" => format!("-m {module}"),
        [flag, code, ..] if *flag == "-c" => {
            let line = code.lines().next().unwrap_or_default();
            match line.char_indices().nth(CODE_COLUMNS) {
                Some((end, _)) => format!("-c {}…", &line[..end]),
                None => format!("-c {line}"),
            }
        }
        words => match words.iter().find(|word| !word.starts_with('-')) {
            Some(script) => name(script),
            None => program,
        },
    }
}

fn hot(title: &str, rows: &[HotReport], style: Style) -> Vec<String> {
    let rows: Vec<&HotReport> = rows.iter().filter(|row| row.own_share >= 0.005).take(ROWS).collect();
    if rows.is_empty() {
        return Vec::new();
    }
    let mut columns = Columns::default();
    columns.row([title, "own", "own", "total", "total"].map(str::to_owned));
    for row in rows {
        columns.row([
            shorten_place(row, style.columns.saturating_sub(42)),
            seconds(row.own_s),
            percent(row.own_share),
            seconds(row.total_s),
            percent(row.total_share),
        ]);
    }
    table(columns, style)
}

fn waits(report: &Report, style: Style) -> Vec<String> {
    /// Seconds from which a wait of the program is worth a line.
    const SECONDS_MIN: f64 = 0.05;
    let enough = |row: &&HotReport| row.own_s >= SECONDS_MIN && row.own_share >= 0.05;
    let rows: Vec<&HotReport> = report.waits.iter().filter(enough).take(4).collect();
    if rows.is_empty() {
        return Vec::new();
    }
    let mut columns = Columns::default();
    columns.row(["longest waits (all threads)", "waited"].map(str::to_owned));
    for row in rows {
        columns.row([shorten_place(row, style.columns.saturating_sub(16)), seconds(row.own_s)]);
    }
    table(columns, style)
}

fn table(columns: Columns, style: Style) -> Vec<String> {
    let mut rows = columns.lines("  ").into_iter();
    let mut lines = vec![String::new()];
    lines.extend(rows.next().map(|row| style.bold(&row)));
    lines.extend(rows);
    lines
}

fn shorten_place(row: &HotReport, columns: usize) -> String {
    // Of `<frozen importlib._bootstrap>` and the like the start says what it is.
    if row.file.is_empty() {
        return row.function.clone();
    }
    let place = format!("{}:{}", short_path(&row.file), row.line);
    let room = columns.saturating_sub(row.function.chars().count() + 2).max(16);
    format!("{}  {}", row.function, shorten(&place, room))
}

/// A path without what says nothing: the environment's folders, the working directory.
fn short_path(path: &str) -> &str {
    if let Some(module) = path.strip_prefix("<frozen ").and_then(|rest| rest.strip_suffix('>')) {
        return module;
    }
    for marker in ["/site-packages/", "/dist-packages/"] {
        if let Some((_, rest)) = path.rsplit_once(marker) {
            return rest;
        }
    }
    let library = path
        .find("/lib/python3.")
        .and_then(|at| path[at + 5..].find('/').map(|end| &path[at + 5 + end + 1..]));
    if let Some(rest) = library {
        return rest;
    }
    let folder = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(&format!("{}/", folder.display())).unwrap_or(path)
}

fn advice(report: &Report, style: Style) -> Vec<String> {
    let mut lines = Vec::new();
    for advice in &report.advice {
        lines.push(String::new());
        let mut text = wrap(&advice.text, style.columns.min(100) - 4).into_iter();
        lines.extend(text.next().map(|first| format!("  {} {first}", style.heading("→"))));
        lines.extend(text.map(|rest| format!("    {rest}")));
    }
    lines
}

fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = vec![String::new()];
    for word in text.split(' ') {
        let last = lines.last_mut().expect("there is always a line");
        if !last.is_empty() && last.chars().count() + 1 + word.chars().count() > columns {
            lines.push(word.to_owned());
        } else {
            if !last.is_empty() {
                last.push(' ');
            }
            last.push_str(word);
        }
    }
    lines
}

fn samples(report: &Report) -> String {
    let samples = &report.samples;
    let missed = samples.ticks_missed as f64 / samples.ticks.max(1) as f64;
    let read = (samples.taken + samples.lost).max(1) as f64;
    format!(
        "  {} samples at {} Hz; missed {}, retried {}{}, lost {}; naja used {} CPU, {} of a core",
        count(samples.taken),
        count(samples.rate_hz.round() as u64),
        percent(missed),
        percent(samples.retried as f64 / read),
        match samples.mended {
            0 => String::new(),
            mended => format!(", mended {}", percent(mended as f64 / read)),
        },
        percent(samples.lost as f64 / read),
        seconds(report.naja.cpu_s),
        percent(report.naja.share_of_core),
    )
}

/// A path as a shell takes it.
fn quoted(path: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+=:,@".contains(&byte);
    if path.bytes().all(plain) { path.to_owned() } else { format!("'{}'", path.replace('\'', "'\\''")) }
}
