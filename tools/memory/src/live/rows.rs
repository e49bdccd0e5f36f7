//! Rows of the tables: lines, the tree of calls, threads, the program's output.

use std::cmp::Reverse;

use naja_recording::Amount;
use naja_report::screen::{Column, Kind as RowKind, Row, Table, Width, clean};
use naja_report::text::{bytes, count};
use rustc_hash::FxHashMap;

use super::snapshot::{Kind, LineKey, OwnTotal, Snapshot};
use super::ui::{Item, Page, Sort, Ui};

/// Calls with less than this share are not in the tree.
const SHARE_MIN: f64 = 0.002;
/// Calls with at least this share are open at first.
const OPEN_SHARE: f64 = 0.02;
/// Rows of a table at most: nobody looks further.
const ROWS_MAX: usize = 5_000;
/// A tree's rows are not set in further than this.
const INDENT_MAX: usize = 24;

/// Columns of figures that a tree leaves to its names, the last first: own blocks, and the share of own memory.
const IN_LINES_ONLY: [usize; 2] = [4, 1];

/// A table and what its rows are about.
pub(super) type Rows = (Table, Vec<Item>);

/// The table of the page that is shown.
pub(super) fn table(snapshot: &Snapshot, ui: &Ui, output: Option<&[String]>) -> Rows {
    match ui.page {
        Page::Lines => lines(snapshot, ui),
        Page::Tree => tree(snapshot, ui),
        Page::Threads => threads(snapshot, ui),
        Page::Output => self::output(output.unwrap_or_default()),
    }
}

fn number_columns(sort: Option<Sort>) -> Vec<Column> {
    let column = |title, cells, by: Option<Sort>, rank| Column {
        title,
        width: Width::Fixed(cells),
        sorted: by == sort && by.is_some(),
        rank,
    };
    let all_blocks = if sort == Some(Sort::TotalBlocks) { 1 } else { 6 };
    // On 80 columns there is no room for all of them beside names: what is sorted by stays.
    vec![
        column("own", 8, Some(Sort::Own), 0),
        column("own%", 5, None, 5),
        column("total", 8, Some(Sort::Total), 1),
        column("total%", 6, None, 4),
        column("blocks", 10, Some(Sort::OwnBlocks), 2),
        column("all blocks", 12, Some(Sort::TotalBlocks), all_blocks),
    ]
}

fn number_cells(one: OwnTotal, whole: Amount) -> Vec<String> {
    let share = |part: u64| match part {
        0 => String::new(),
        part => format!("{:.1}", part as f64 * 100.0 / whole.bytes.max(1) as f64),
    };
    let amount = |part: u64| if part == 0 { String::new() } else { bytes(part) };
    let blocks = |part: u64| if part == 0 { String::new() } else { count(part) };
    vec![
        amount(one.own.bytes),
        share(one.own.bytes),
        amount(one.total.bytes),
        share(one.total.bytes),
        blocks(one.own.blocks),
        blocks(one.total.blocks),
    ]
}

/// The order of two rows: largest first, names from A on.
fn key(one: &OwnTotal, sort: Sort) -> [Reverse<u64>; 4] {
    let OwnTotal { own, total } = one;
    let figures = match sort {
        Sort::Own => [own.bytes, total.bytes, own.blocks, total.blocks],
        Sort::Total => [total.bytes, own.bytes, total.blocks, own.blocks],
        Sort::OwnBlocks => [own.blocks, own.bytes, total.blocks, total.bytes],
        Sort::TotalBlocks => [total.blocks, total.bytes, own.blocks, own.bytes],
        Sort::Name => [0; 4],
    };
    figures.map(Reverse)
}

fn fits(filter: &str, name: &str, file: &str) -> bool {
    filter.is_empty() || name.to_lowercase().contains(filter) || file.to_lowercase().contains(filter)
}

/// A file's last two parts, or all of it, with the line.
fn place(file: &str, line: u32, full: bool) -> String {
    let short = file.rmatch_indices('/').nth(1).map_or(file, |(at, _)| file.get(at + 1..).unwrap_or(file));
    let file = clean(if full { file } else { short });
    if line == 0 || file.is_empty() { file } else { format!("{file}:{line}") }
}

fn lines(snapshot: &Snapshot, ui: &Ui) -> Rows {
    let whole = snapshot.sum(ui.kind, ui.thread);
    let filter = ui.filter.to_lowercase();
    let mut lines = snapshot.lines(ui.kind, ui.thread, !ui.apart);
    lines.retain(|(key, _)| {
        let (name, file) = snapshot.names(key.function);
        fits(&filter, name, file)
    });
    lines.sort_by_cached_key(|(line, one)| {
        let (name, file) = if ui.sort == Sort::Name { snapshot.names(line.function) } else { ("", "") };
        (key(one, ui.sort), name.to_owned(), file.to_owned(), *line)
    });
    if ui.reverse {
        lines.reverse();
    }
    lines.truncate(ROWS_MAX);
    let mut columns = number_columns(Some(ui.sort));
    if ui.apart {
        columns.push(Column { title: "thread", width: Width::Content, sorted: false, rank: 3 });
    }
    columns.push(Column { title: "function", width: Width::Tail, sorted: ui.sort == Sort::Name, rank: 0 });
    columns.push(Column { title: "file:line", width: Width::Rest, sorted: false, rank: 3 });
    let row = |(line, one): &(LineKey, OwnTotal)| {
        let (name, file) = snapshot.names(line.function);
        let mut cells = number_cells(*one, whole);
        if ui.apart {
            cells.push(clean(&snapshot.thread_name(line.thread)));
        }
        cells.push(clean(name));
        cells.push(place(file, line.line, ui.full_filenames));
        Row { cells, ..Row::default() }
    };
    let rows = lines.iter().map(row).collect();
    let empty = match (ui.filter.is_empty(), ui.kind) {
        (false, _) => "no function has this in its name or file",
        (true, Kind::Now) => "nothing is in use",
        (true, _) => "nothing was given yet",
    };
    (
        Table { columns, rows, empty: empty.to_owned() },
        lines.iter().map(|(key, _)| Item::Line(*key)).collect(),
    )
}

/// The tree of calls: a chain of calls that all have the same memory stands as one.
fn tree(snapshot: &Snapshot, ui: &Ui) -> Rows {
    let calls = snapshot.calls(ui.kind, ui.thread);
    let whole = snapshot.sum(ui.kind, ui.thread);
    let filter = ui.filter.to_lowercase();
    let share =
        |id: u32| calls.get(&id).map_or(0.0, |one| one.total.bytes as f64 / whole.bytes.max(1) as f64);
    let mut callees: FxHashMap<u32, Vec<u32>> = FxHashMap::default();
    for id in calls.keys().copied().filter(|id| share(*id) >= SHARE_MIN) {
        // What lies outside of Python stands beside the outermost calls.
        let caller = snapshot.node(id).map_or(0, |node| node.parent);
        callees.entry(caller).or_default().push(id);
    }
    for side_by_side in callees.values_mut() {
        side_by_side.sort_by_key(|id| {
            let one = calls.get(id).copied().unwrap_or_default();
            (key(&one, if ui.sort == Sort::Own { Sort::Total } else { ui.sort }), *id)
        });
        if ui.reverse {
            side_by_side.reverse();
        }
    }
    let inside = |id: u32| if id == 0 { &[][..] } else { callees.get(&id).map_or(&[][..], Vec::as_slice) };
    let mut rows: Vec<Row> = Vec::new();
    let mut items = Vec::new();
    let outermost = callees.get(&0).into_iter().flatten().rev();
    let mut waiting: Vec<(usize, u32)> = outermost.map(|id| (0, *id)).collect();
    while let Some((depth, first)) = waiting.pop() {
        let mut id = first;
        let mut passed = 0;
        while let [only] = inside(id)
            && calls.get(only).map(|one| one.total) == calls.get(&id).map(|one| one.total)
        {
            id = *only;
            passed += 1;
        }
        let one = calls.get(&id).copied().unwrap_or_default();
        let node = snapshot.node(id);
        let (name, file) = snapshot.names(node.map_or(0, |node| node.function));
        let is_open = (share(id) >= OPEN_SHARE) != ui.turned.contains(&id);
        let mark = match (inside(id).is_empty(), is_open) {
            (true, _) => ' ',
            (false, true) => '▾',
            (false, false) => '▸',
        };
        // Of a filter, the calls above what fits would be missing: what does not fit stands back.
        let kind = if fits(&filter, name, file) { RowKind::Plain } else { RowKind::Faint };
        let through = match passed {
            0 => String::new(),
            1 => "1 call › ".to_owned(),
            more => format!("{more} calls › "),
        };
        let mut cells = number_cells(one, whole);
        for at in IN_LINES_ONLY {
            cells.remove(at);
        }
        cells.push(format!("{}{mark} {through}{}", " ".repeat(depth.min(INDENT_MAX)), clean(name)));
        cells.push(place(file, node.map_or(0, |node| node.line), ui.full_filenames));
        rows.push(Row { cells, kind, ..Row::default() });
        items.push(Item::Call(id));
        if rows.len() >= ROWS_MAX {
            break;
        }
        if is_open {
            waiting.extend(inside(id).iter().rev().map(|id| (depth + 1, *id)));
        }
    }
    let mut columns = number_columns(Some(if ui.sort == Sort::Own { Sort::Total } else { ui.sort }));
    for at in IN_LINES_ONLY {
        columns.remove(at);
    }
    columns.push(Column { title: "call", width: Width::Content, sorted: false, rank: 0 });
    columns.push(Column { title: "file:line", width: Width::Rest, sorted: false, rank: 3 });
    (Table { columns, rows, empty: "nothing is in use".to_owned() }, items)
}

fn threads(snapshot: &Snapshot, ui: &Ui) -> Rows {
    let fixed = |title, cells, rank| Column { title, width: Width::Fixed(cells), sorted: false, rank };
    let columns = vec![
        Column { title: "in use", width: Width::Fixed(9), sorted: ui.kind == Kind::Now, rank: 0 },
        fixed("blocks", 11, 3),
        Column { title: "at peak", width: Width::Fixed(9), sorted: ui.kind == Kind::Peak, rank: 1 },
        Column { title: "given", width: Width::Fixed(9), sorted: ui.kind == Kind::Given, rank: 2 },
        fixed("blocks", 11, 4),
        fixed("process", 8, 5),
        Column { title: "thread", width: Width::Content, sorted: false, rank: 0 },
    ];
    let [now, peak, given] = [Kind::Now, Kind::Peak, Kind::Given].map(|kind| snapshot.by_thread(kind));
    let row = |now: Amount, peak: Amount, given: Amount, process: String, name: String| Row {
        cells: vec![
            bytes(now.bytes),
            count(now.blocks),
            bytes(peak.bytes),
            bytes(given.bytes),
            count(given.blocks),
            process,
            name,
        ],
        ..Row::default()
    };
    let of = |sums: &FxHashMap<u32, Amount>, id: u32| sums.get(&id).copied().unwrap_or_default();
    let mut threads: Vec<_> =
        snapshot.threads.iter().filter(|thread| given.contains_key(&thread.id)).collect();
    threads.sort_by_key(|thread| {
        let sums = match ui.kind {
            Kind::Now => &now,
            Kind::Peak => &peak,
            Kind::Given => &given,
        };
        (Reverse(of(sums, thread.id).bytes), thread.id)
    });
    let sum = |kind| snapshot.sum(kind, None);
    let all = row(sum(Kind::Now), sum(Kind::Peak), sum(Kind::Given), String::new(), "all threads".to_owned());
    let mut rows = vec![all];
    let mut items = vec![Item::Thread(0)];
    for thread in threads.into_iter().take(ROWS_MAX) {
        let process = snapshot.processes.iter().find(|process| process.id == thread.process);
        let process = process.map(|process| process.pid.to_string()).unwrap_or_default();
        let name = clean(&snapshot.thread_name(thread.id));
        rows.push(row(of(&now, thread.id), of(&peak, thread.id), of(&given, thread.id), process, name));
        items.push(Item::Thread(thread.id));
    }
    (Table { columns, rows, empty: String::new() }, items)
}

fn output(lines: &[String]) -> Rows {
    let column = Column { title: "output of the program", width: Width::Content, sorted: false, rank: 0 };
    let row = |line: &String| Row { cells: vec![line.clone()], ..Row::default() };
    let empty = "it has written nothing".to_owned();
    (
        Table { columns: vec![column], rows: lines.iter().map(row).collect(), empty },
        vec![Item::Text; lines.len()],
    )
}

/// The first rows of the lines for programs.
pub(super) fn json(snapshot: &Snapshot, ui: &Ui, rows: usize) -> serde_json::Value {
    let mut lines = snapshot.lines(ui.kind, ui.thread, !ui.apart);
    lines.sort_by_key(|(line, one)| (key(one, ui.sort), *line));
    lines.truncate(rows);
    let row = |(line, one): &(LineKey, OwnTotal)| {
        let (name, file) = snapshot.names(line.function);
        serde_json::json!({
            "function": name, "file": file, "line": line.line, "own": one.own, "total": one.total,
        })
    };
    lines.iter().map(row).collect()
}
