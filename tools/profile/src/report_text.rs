//! The report as text for a terminal.

use naja_recording::Ending;
use naja_report::text::{
    Columns, Style, bytes, count, duration, percent, shorten, shorten_end, shorten_path, sparkline,
};

use crate::report::{HotReport, ProcessReport, Report, Shares, SwapReport, ThreadReport};
use crate::target::NO_LONGER_PYTHON;
use naja_report::short_path;

/// Programs shorter than this get one line.
const SHORT_S: f64 = 0.1;

/// Every child that lives as long is known by name.
const NAMED_S: f64 = 0.05;

/// Rows of each list in the text; the JSON and the page have more.
const ROWS: usize = 8;
const PROCESSES: usize = 12;
const THREADS: usize = 6;

/// Sentences are not wider than this, however wide the terminal.
const PROSE_COLUMNS: usize = 100;

/// Columns of the code of a `-c` program.
const CODE_COLUMNS: usize = 24;

/// Writes the report as text, with a line feed at its end.
pub fn text(report: &Report, style: Style) -> String {
    let named = report.processes.iter().skip(1).any(|process| process.wall_s >= NAMED_S);
    if report.wall_s < SHORT_S && !named && report.advice.is_empty() && report.warnings.is_empty() {
        let swap = report.swap.iter().flat_map(|swap| swapped(swap, style)).skip(1);
        let lines: Vec<String> = std::iter::once(one_line(report, style)).chain(swap).collect();
        return format!("{}\n", lines.join("\n"));
    }
    let mut lines = head(report, style);
    lines.extend(memory(report, style));
    lines.extend(processes(report, style));
    lines.extend(hot("hottest functions, by time running", &report.functions, style));
    lines.extend(hot("hottest lines, by time running", &report.lines, style));
    lines.extend(waits(report, style));
    lines.extend(report.swap.iter().flat_map(|swap| swapped(swap, style)));
    lines.extend(advice(report, style));
    if !report.advice.is_empty() && !report.warnings.is_empty() {
        lines.push(String::new());
    }
    for warning in &report.warnings {
        let text = wrap(&format!("warning: {warning}"), style.columns.min(PROSE_COLUMNS) - 2);
        lines.extend(text.iter().map(|line| style.warning(&format!("  {line}"))));
    }
    lines.push(String::new());
    let samples = wrap(&samples(report), style.columns - 2);
    lines.extend(samples.iter().map(|line| style.faint(&format!("  {line}"))));
    if let Some(path) = &report.recording {
        lines.push(style.faint(&format!("  look closer: naja view {}", quoted(path))));
    }
    lines.push(String::new());
    lines.join("\n")
}

fn seconds(value: f64) -> String {
    duration((value.max(0.0) * 1e9) as u64)
}

/// Of a program so short that there is little to say.
fn one_line(report: &Report, style: Style) -> String {
    let mut parts = vec![
        format!("{}  wall {}", style.heading("naja"), style.bold(&seconds(report.wall_s))),
        format!("CPU {}", seconds(report.user_s + report.system_s)),
        format!("peak memory {}", bytes(report.peak_rss_bytes)),
    ];
    parts.extend(interpreter(report));
    parts.extend(ending(report));
    parts.extend(other_children(report).map(|text| format!("other children: {text}")));
    parts.join("   ")
}

/// The figures of the whole run, on a second line where one is too narrow.
fn head(report: &Report, style: Style) -> Vec<String> {
    let cores = (report.user_s + report.system_s) / report.wall_s.max(f64::MIN_POSITIVE);
    let mut parts = vec![
        format!("wall {}", seconds(report.wall_s)),
        format!(
            "CPU {} user + {} system ({} of a core)",
            seconds(report.user_s),
            seconds(report.system_s),
            percent(cores)
        ),
        format!("peak memory {}", bytes(report.peak_rss_bytes)),
    ];
    parts.extend(interpreter(report));
    parts.extend(ending(report));
    let mut lines = vec![format!("{}  {}", style.heading("naja"), style.bold(&parts[0]))];
    let mut columns = "naja  ".len() + parts[0].chars().count();
    for part in &parts[1..] {
        let line = lines.last_mut().expect("there is the first");
        columns += 3 + part.chars().count();
        if columns <= style.columns {
            line.push_str("   ");
            line.push_str(part);
        } else {
            columns = 2 + part.chars().count();
            lines.push(format!("  {part}"));
        }
    }
    lines
}

fn interpreter(report: &Report) -> Option<String> {
    Some(report.interpreter.clone()).filter(|name| !name.is_empty())
}

fn ending(report: &Report) -> Option<String> {
    match (report.exit_code, report.signal) {
        (_, Some(signal)) => Some(format!("killed by signal {signal}")),
        (Some(0) | None, None) => None,
        (Some(code), None) => Some(format!("exit code {code}")),
    }
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

/// A title and the share that stands below it.
type Wait = (&'static str, fn(&Shares) -> f64);

/// What a process or thread may wait for, besides the GIL and I/O, which are always shown.
const OTHER_WAITS: [Wait; 4] = [
    ("lock", |shares| shares.lock_wait),
    ("sleep", |shares| shares.sleep),
    ("child", |shares| shares.child_wait),
    ("stopped", |shares| shares.stopped),
];

/// Which of [`OTHER_WAITS`] have a column.
fn waits_shown(processes: &[&ProcessReport], style: Style) -> Vec<Wait> {
    /// Columns of a terminal from which two such columns fit beside names that can be read.
    const WIDE: usize = 96;
    /// A share that is less is left out where nobody waits longer.
    const SHARE_MIN: f64 = 0.005;
    let shown = OTHER_WAITS.into_iter().filter(|(_, share)| {
        processes.iter().any(|process| {
            share(&process.shares) >= SHARE_MIN
                || process.threads.iter().take(THREADS).any(|thread| share(&thread.shares) >= SHARE_MIN)
        })
    });
    let shown: Vec<_> = shown.collect();
    if shown.len() > 1 && style.columns < WIDE {
        return vec![("other", |shares| OTHER_WAITS.iter().map(|(_, share)| share(shares)).sum())];
    }
    shown
}

fn processes(report: &Report, style: Style) -> Vec<String> {
    let observed: Vec<&ProcessReport> =
        report.processes.iter().filter(|process| !process.interpreter.is_empty()).collect();
    let listed = &observed[..observed.len().min(PROCESSES)];
    let waits = waits_shown(listed, style);
    let mut columns = Columns::default();
    let cells = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<String>>();
    columns.cells(cells(&["", "", "", "running", "", "waiting"]));
    let mut header = cells(&["", "wall", "CPU", "Python", "native", "GIL", "I/O"]);
    header.extend(waits.iter().map(|(name, _)| (*name).to_owned()));
    columns.cells(header);
    let name_columns = style.columns.saturating_sub(54 + 7 * waits.len()).clamp(16, 48);
    let row = |name: String, wall_s: f64, cpu_s: f64, shares: &Shares| {
        let mut row = vec![name, seconds(wall_s), seconds(cpu_s)];
        row.extend([shares.python, shares.native, shares.gil_wait, shares.io_wait].map(percent));
        row.extend(waits.iter().map(|(_, share)| percent(share(shares))));
        row
    };
    for process in listed {
        let name = shorten_end(&process_label(process), name_columns);
        columns.cells(row(name, process.wall_s, process.cpu_s, &process.shares));
        if process.threads.len() > 1 {
            for thread in process.threads.iter().take(THREADS) {
                let name = format!("  {}", shorten_end(&thread_label(process, thread), name_columns - 2));
                columns.cells(row(name, thread.wall_s, thread.cpu_s, &thread.shares));
            }
            let all = process.threads.len() as u64 + process.threads_unlisted;
            columns
                .cells(more(all, THREADS, "threads").map(|text| format!("  {text}")).into_iter().collect());
        }
    }
    let mut lines = vec![String::new()];
    if observed.is_empty() {
        lines.clear();
    } else {
        let rows = columns.lines("  ").into_iter().filter(|row| !row.is_empty()).enumerate();
        lines.extend(rows.map(|(number, row)| if number < 2 { style.bold(&row) } else { row }));
        let all = observed.len() as u64 + report.processes_unlisted;
        lines.extend(more(all, PROCESSES, "processes").map(|text| format!("  {text}")));
    }
    lines.extend(other_processes(report, style));
    lines
}

/// Number and name of a process; those that have their command line in common are told apart by what they do.
fn process_label(process: &ProcessReport) -> String {
    let name = program_name(process);
    // A function within another is told by the outer one's name, which is shorter and says more.
    let function = process.busiest_function.split(".<locals>").next().unwrap_or_default();
    match function {
        "" => format!("{} {name}", process.pid),
        function => format!("{} {name}: {function}", process.pid),
    }
}

/// The name of a thread; one that never ran Python and was given no name has only that of the program.
fn thread_label(process: &ProcessReport, thread: &ThreadReport) -> String {
    /// The system keeps so much of a name.
    const SYSTEM_NAME_MAX: usize = 15;
    let program = process.command.first().map_or("", |path| path.rsplit('/').next().unwrap_or(path));
    let is_nameless = program.get(..SYSTEM_NAME_MAX).unwrap_or(program) == thread.name;
    if is_nameless && thread.shares.python == 0.0 && thread.gil_held == 0.0 {
        return format!("C thread {}", thread.tid);
    }
    thread.name.clone()
}

/// Children that are no Python, and those that live on.
fn other_processes(report: &Report, style: Style) -> Vec<String> {
    let mut lines = Vec::new();
    lines.extend(other_children(report).map(|text| format!("  {} {text}", style.bold("other children"))));
    let alive = report.processes.iter().skip(1).filter(|process| process.ending == Ending::Running);
    let alive: Vec<String> =
        alive.map(|process| format!("{} {}", process.pid, shorten_end(&program_name(process), 40))).collect();
    if !alive.is_empty() {
        lines.push(format!("  {} {}", style.bold("still running"), alive.join(", ")));
    }
    lines
}

/// The children that are no Python: the longest by name, the rest by number.
fn other_children(report: &Report) -> Option<String> {
    let mut foreign: Vec<&ProcessReport> =
        report.processes.iter().skip(1).filter(|process| process.interpreter.is_empty()).collect();
    foreign.sort_by(|a, b| b.wall_s.total_cmp(&a.wall_s));
    let (named, others) = foreign.split_at(foreign.len().min(PROCESSES));
    let names = named.iter().map(|process| {
        format!("{} {} ({})", process.pid, shorten_end(&program_name(process), 24), seconds(process.wall_s))
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
    let amount = |value_s: f64, share: f64| format!("{:>7} {:>6}", seconds(value_s), percent(share));
    let mut columns = Columns::default();
    columns.row([title, "in itself", "with its calls"].map(str::to_owned));
    for row in rows {
        columns.row([
            place(row, style.columns.saturating_sub(34)),
            amount(row.own_s, row.own_share),
            amount(row.total_s, row.total_share),
        ]);
    }
    table(columns, style)
}

/// The packages of modules, each with how many modules of it there are.
fn packages(modules: &[String]) -> Vec<String> {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for module in modules {
        let package = module.split('.').next().unwrap_or(module);
        match counts.iter_mut().find(|(known, _)| *known == package) {
            Some((_, count)) => *count += 1,
            None => counts.push((package, 1)),
        }
    }
    let text = |(package, modules): (&str, usize)| match modules {
        1 => package.to_owned(),
        _ => format!("{package} ({modules} modules)"),
    };
    counts.into_iter().map(text).collect()
}

/// What was replaced, what was not, and why: an empty line first.
fn swapped(swap: &SwapReport, style: Style) -> Vec<String> {
    /// Modules and reasons that are shown; the JSON has all.
    const SHOWN: usize = 6;
    let names = |names: &[String]| {
        let shown = names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
        match names.len().checked_sub(SHOWN) {
            Some(rest) if rest > 0 => format!("{shown} and {rest} more"),
            _ => shown,
        }
    };
    let mut lines = vec![String::new()];
    if !swap.swapped.is_empty() {
        let modules = &swap.swapped;
        let text = if modules.len() > SHOWN { packages(modules).join(", ") } else { names(modules) };
        lines.push(format!("  {} {text}", style.bold("swapped")));
    } else if swap.inactive.is_empty() {
        let text = format!("the program imported nothing of {}", names(&swap.asked));
        lines.push(format!("  {} {text}", style.bold("swapped")));
    }
    let noted = [
        ("other version", &swap.other_versions),
        ("fell back", &swap.fell_back),
        ("not swapped", &swap.kept),
    ];
    for (title, notes) in noted {
        let shown = notes.iter().take(SHOWN);
        lines.extend(shown.map(|note| format!("  {} {}: {}", style.bold(title), note.name, note.why)));
        if notes.len() > SHOWN {
            lines.push(format!("  {} … and {} more, in the JSON", style.bold(title), notes.len() - SHOWN));
        }
    }
    for inactive in swap.inactive.iter().take(SHOWN) {
        let processes = match inactive.processes {
            1 => String::new(),
            many => format!(" ({} processes)", count(many)),
        };
        let text = format!("  swap not active{processes}: {}", inactive.why);
        lines.push(style.warning(&text));
    }
    lines
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
    columns.row(["longest waits, of all threads", "waited"].map(str::to_owned));
    for row in rows {
        columns.row([place(row, style.columns.saturating_sub(14)), seconds(row.own_s)]);
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

/// A function and where it is, in so many columns: folders go first, then the classes of the function.
fn place(row: &HotReport, columns: usize) -> String {
    if row.file.is_empty() {
        return shorten_end(&row.function, columns);
    }
    let folder = std::env::current_dir().unwrap_or_default();
    let path = format!("{}:{}", short_path(&row.file, &folder.to_string_lossy()), row.line);
    let room = |text: &str| columns.saturating_sub(text.chars().count() + 2);
    let mut function = row.function.clone();
    if room(&function) < path.rsplit('/').next().unwrap_or(&path).chars().count()
        && let Some((_, last)) = row.function.rsplit_once('.')
    {
        function = format!("….{last}");
    }
    let path = shorten_path(&path, room(&function));
    format!("{}  {path}", shorten(&function, room(&path).max(16)))
}

fn advice(report: &Report, style: Style) -> Vec<String> {
    let mut lines = Vec::new();
    for advice in &report.advice {
        lines.push(String::new());
        let mut text = wrap(&advice.text, style.columns.min(PROSE_COLUMNS) - 4).into_iter();
        lines.extend(text.next().map(|first| format!("  {} {first}", style.heading("→"))));
        lines.extend(text.map(|rest| format!("    {rest}")));
    }
    lines
}

/// Breaks a sentence into lines, but not between an amount and its unit.
fn wrap(text: &str, columns: usize) -> Vec<String> {
    const UNITS: [&str; 8] = ["%", "s", "ms", "µs", "min", "MiB", "GiB", "Hz"];
    let is_unit = |word: &str| UNITS.contains(&word.trim_end_matches([',', '.', ';', ':']));
    let mut words: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match words.last_mut() {
            Some(amount) if is_unit(word) && amount.ends_with(|last: char| last.is_ascii_digit()) => {
                amount.push(' ');
                amount.push_str(word);
            }
            _ => words.push(word.to_owned()),
        }
    }
    let mut lines: Vec<String> = vec![String::new()];
    for word in words {
        let last = lines.last_mut().expect("there is always a line");
        if !last.is_empty() && last.chars().count() + 1 + word.chars().count() > columns {
            lines.push(word);
        } else {
            if !last.is_empty() {
                last.push(' ');
            }
            last.push_str(&word);
        }
    }
    lines
}

/// How good the samples are, and what they cost.
fn samples(report: &Report) -> String {
    let samples = &report.samples;
    let read = (samples.taken + samples.lost).max(1) as f64;
    let mut text =
        format!("{} stacks read at {} Hz", count(samples.taken), count(samples.rate_hz.round() as u64));
    let shares = [
        (samples.retried as f64 / read, "took a second try"),
        (samples.lost as f64 / read, "could not be read"),
        (samples.ticks_missed as f64 / samples.ticks.max(1) as f64, "of the moments were missed"),
    ];
    for (share, what) in shares {
        text.push_str(&format!(", {} {what}", percent(share)));
    }
    if samples.mended > 0 {
        let share = percent(samples.mended as f64 / read);
        text.push_str(&format!(", {share} had just returned and were completed from earlier ones"));
    }
    if let Some(native) = &report.native {
        text.push_str(&format!("; {}", native.sentence()));
    }
    text.push_str(&format!(
        "; naja itself used {} of CPU, {} of a core",
        seconds(report.naja.cpu_s),
        percent(report.naja.share_of_core)
    ));
    text
}

/// A path as a shell takes it.
fn quoted(path: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+=:,@".contains(&byte);
    if path.bytes().all(plain) { path.to_owned() } else { format!("'{}'", path.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advice::Advice;
    use crate::report::{CostReport, SamplesReport};

    const NARROW: Style = Style { colour: false, columns: 80 };

    fn hot(function: &str, file: &str, line: u32, own_s: f64) -> HotReport {
        let (function, file) = (function.to_owned(), file.to_owned());
        HotReport { function, file, line, own_s, total_s: 4.0, own_share: own_s / 10.0, total_share: 0.4 }
    }

    fn thread(name: &str, tid: u32, shares: Shares) -> ThreadReport {
        ThreadReport { name: name.to_owned(), tid, wall_s: 10.0, cpu_s: 9.0, shares, ..Default::default() }
    }

    fn process(pid: u32, busiest: &str, threads: Vec<ThreadReport>) -> ProcessReport {
        ProcessReport {
            pid,
            command: ["/usr/bin/python3", "/srv/app.py"].map(str::to_owned).to_vec(),
            interpreter: "CPython 3.12.1".to_owned(),
            wall_s: 10.0,
            cpu_s: 9.0,
            shares: Shares { python: 0.6, native: 0.3, io_wait: 0.05, lock_wait: 0.05, ..Shares::default() },
            busiest_function: busiest.to_owned(),
            threads,
            ..ProcessReport::default()
        }
    }

    fn report() -> Report {
        let python = Shares { python: 0.7, native: 0.3, ..Shares::default() };
        let waits = Shares { lock_wait: 1.0, ..Shares::default() };
        let threads = vec![thread("MainThread", 100, python), thread("python3", 107, waits)];
        Report {
            interpreter: "CPython 3.12.1".to_owned(),
            exit_code: Some(3),
            wall_s: 10.0,
            user_s: 8.0,
            system_s: 1.0,
            peak_rss_bytes: 600 << 20,
            memory_course_bytes: (1..=16).map(|part| part << 20).collect(),
            processes: vec![process(100, "", threads), process(108, "work.<locals>.<genexpr>", Vec::new())],
            functions: vec![
                hot("parse", "/env/lib/python3.12/site-packages/dateutil/parser/_parser.py", 1264, 2.0),
                hot(
                    "DefaultExecutionContext._init_compiled",
                    "/env/lib/python3.12/site-packages/sqlalchemy/engine/default.py",
                    1748,
                    0.6,
                ),
            ],
            waits: vec![hot("<module>", "/srv/app.py", 12, 3.0)],
            native: None,
            samples: SamplesReport {
                rate_hz: 1000.0,
                ticks: 10_000,
                ticks_missed: 10,
                taken: 9_990,
                retried: 300,
                lost: 10,
                ..SamplesReport::default()
            },
            naja: CostReport { cpu_s: 0.1, share_of_core: 0.01 },
            advice: vec![Advice { name: "x".to_owned(), text: "bound by one thing: 62 % of it".to_owned() }],
            recording: Some("/tmp/a b.naja".to_owned()),
            warnings: vec!["something to know".to_owned()],
            ..Report::default()
        }
    }

    #[test]
    fn the_report_fits_a_narrow_terminal() {
        let expected = "\
naja  wall 10.00 s   CPU 8.00 s user + 1.00 s system (90 % of a core)
  peak memory 600 MiB   CPython 3.12.1   exit code 3
  memory ▁▁▂▂▃▃▄▄▄▅▅▆▆▇▇█ up to 16 MiB

                                     running          waiting
                       wall     CPU   Python  native      GIL    I/O   lock
  100 app.py        10.00 s  9.00 s     60 %    30 %      0 %  5.0 %  5.0 %
    MainThread      10.00 s  9.00 s     70 %    30 %      0 %    0 %    0 %
    C thread 107    10.00 s  9.00 s      0 %     0 %      0 %    0 %  100 %
  108 app.py: work  10.00 s  9.00 s     60 %    30 %      0 %  5.0 %  5.0 %
  still running 108 app.py

  hottest functions, by time running                   in itself  with its calls
  parse  dateutil/parser/_parser.py:1264           2.00 s   20 %   4.00 s   40 %
  …._init_compiled  sqlalchemy/…/default.py:1748   600 ms  6.0 %   4.00 s   40 %

  longest waits, of all threads  waited
  <module>  /srv/app.py:12       3.00 s

  → bound by one thing: 62 % of it

  warning: something to know

  9,990 stacks read at 1,000 Hz, 3.0 % took a second try, 0.1 % could not be
  read, 0.1 % of the moments were missed; naja itself used 100 ms of CPU, 1.0 %
  of a core
  look closer: naja view '/tmp/a b.naja'
";
        let text = text(&report(), NARROW);
        assert_eq!(text, expected, "\n{text}");
        assert!(text.lines().all(|line| line.chars().count() <= NARROW.columns));
    }

    #[test]
    fn a_short_program_without_news_gets_one_line() {
        let report = Report { wall_s: 0.05, user_s: 0.03, exit_code: Some(0), ..Report::default() };
        assert_eq!(text(&report, NARROW), "naja  wall 50 ms   CPU 30 ms   peak memory 0 B\n");
        let with_children = Report { children_unnamed: 60, ..report };
        assert!(text(&with_children, NARROW).ends_with("   other children: 60 that lived less than 50 ms\n"));
    }

    #[test]
    fn a_short_program_with_a_child_that_is_named_names_it() {
        let child = ProcessReport { wall_s: 0.06, ..process(2, "", Vec::new()) };
        let processes = vec![process(1, "", Vec::new()), child];
        let report = Report { wall_s: 0.08, exit_code: Some(0), processes, ..Report::default() };
        assert!(text(&report, NARROW).lines().count() > 1);
    }

    #[test]
    fn an_amount_stays_with_its_unit() {
        assert_eq!(wrap("it took 62 % of it", 10), ["it took", "62 % of it"]);
    }

    #[test]
    fn without_colour_nothing_but_escape_sequences_is_missing() {
        let coloured = text(&report(), Style { colour: true, ..NARROW });
        let mut plain = String::new();
        let mut rest = coloured.as_str();
        while let Some((before, after)) = rest.split_once('\u{1b}') {
            plain.push_str(before);
            rest = after.split_once('m').expect("a sequence ends").1;
        }
        plain.push_str(rest);
        assert_eq!(plain, text(&report(), NARROW));
    }
}
