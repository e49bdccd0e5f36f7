//! Reports of memory as text for a terminal.

use naja_recording::Amount;
use naja_report::text::{Columns, Style, bytes, count, percent, shorten_end, shorten_path};

use crate::report::{Allocations, Branch, Leak, Location, Row, Shown, Statistics};

/// Branches with less than this share are not shown.
const BRANCH_SHARE_MIN: f64 = 0.01;
/// Lines with less than this share of what is in use are not shown in a short report.
const SHORT_SHARE_MIN: f64 = 0.005;

impl Shown {
    /// What it is of, as a heading.
    fn heading(self) -> &'static str {
        match self {
            Shown::Peak => "in use at the peak",
            Shown::Leaks => "in use at the end",
            Shown::Temporary => "given and soon taken back",
            Shown::Given => "given in all",
        }
    }
}

/// One line on a whole recording.
pub fn sentence(allocations: &Allocations) -> String {
    let (peak, given, left) =
        (allocations.sum(Shown::Peak), allocations.sum(Shown::Given), allocations.sum(Shown::Leaks));
    let mut text = format!(
        "peak {} in {} blocks; {} allocations of {} in all; {} in {} blocks left at the end",
        bytes(peak.bytes),
        count(peak.blocks),
        count(given.blocks),
        bytes(given.bytes),
        bytes(left.bytes),
        count(left.blocks)
    );
    if allocations.resident_peak_bytes > 0 {
        text += &format!("; {} resident", bytes(allocations.resident_peak_bytes));
    }
    if allocations.processes.len() > 1 {
        text += &format!("; {} processes", allocations.processes.len());
    }
    text
}

/// What is said when a program has ended.
pub fn short(allocations: &Allocations, style: Style) -> String {
    let mut text = format!("{}  {}\n", style.heading("naja memory"), sentence(allocations));
    let whole = allocations.sum(Shown::Peak).bytes;
    let mut locations = allocations.locations(Shown::Peak);
    locations.sort_by_key(|location| std::cmp::Reverse(location.own.bytes));
    locations.retain(|location| location.own.bytes as f64 >= whole as f64 * SHORT_SHARE_MIN);
    locations.truncate(8);
    text += &table(&locations, whole, Shown::Peak, style);
    text
}

/// The lines with most memory.
pub fn summary(allocations: &Allocations, shown: Shown, rows: usize, by_own: bool, style: Style) -> String {
    let mut locations = allocations.locations(shown);
    if by_own {
        locations.sort_by_key(|location| std::cmp::Reverse(location.own.bytes));
    }
    let all = locations.len();
    locations.truncate(rows);
    let mut text = format!("{}\n", sentence(allocations));
    text += &table(&locations, allocations.sum(shown).bytes, shown, style);
    if all > locations.len() {
        text += &format!(
            "{}\n",
            style.faint(&format!("and {} more lines", count((all - locations.len()) as u64)))
        );
    }
    text
}

fn table(locations: &[Location], whole: u64, shown: Shown, style: Style) -> String {
    if locations.is_empty() {
        return format!("  nothing is {}\n", shown.heading());
    }
    let share = |amount: Amount| percent(amount.bytes as f64 / whole.max(1) as f64);
    let width = style.columns.saturating_sub(50).max(20);
    let mut columns = Columns::default();
    columns.row([
        shown.heading().to_owned(),
        "own".to_owned(),
        String::new(),
        "total".to_owned(),
        String::new(),
        "blocks".to_owned(),
    ]);
    for location in locations {
        columns.row([
            name(location.function.as_str(), &location.file, location.line, width),
            bytes(location.own.bytes),
            share(location.own),
            bytes(location.total.bytes),
            share(location.total),
            count(location.own.blocks),
        ]);
    }
    let mut lines = columns.lines("  ").into_iter();
    let mut text = lines.next().map(|line| style.faint(&line) + "\n").unwrap_or_default();
    lines.for_each(|line| text += &(line + "\n"));
    text
}

/// The rows of the table, of `all` that there are.
pub fn rows(
    allocations: &Allocations,
    shown: Shown,
    rows: &[Row],
    all: usize,
    by_thread: bool,
    style: Style,
) -> String {
    let whole = allocations.sum(shown);
    let mut text = format!("{}: {} in {} blocks\n", shown.heading(), bytes(whole.bytes), count(whole.blocks));
    if rows.is_empty() {
        return text;
    }
    let width = style.columns.saturating_sub(if by_thread { 66 } else { 50 }).max(20);
    let mut columns = Columns::default();
    let mut head =
        vec![String::new(), "bytes".to_owned(), String::new(), "blocks".to_owned(), "from".to_owned()];
    if by_thread {
        head.push("thread".to_owned());
    }
    columns.cells(head);
    for row in rows {
        let mut cells = vec![
            name(&row.function, &row.file, row.line, width),
            bytes(row.amount.bytes),
            percent(row.amount.bytes as f64 / whole.bytes.max(1) as f64),
            count(row.amount.blocks),
            row.allocator.to_owned(),
        ];
        if by_thread {
            cells.push(thread(row));
        }
        columns.cells(cells);
    }
    let mut lines = columns.lines("  ").into_iter();
    text += &lines.next().map(|line| style.faint(&line) + "\n").unwrap_or_default();
    lines.for_each(|line| text += &(line + "\n"));
    if all > rows.len() {
        let more = format!("and {} more rows; `-n 0` shows all", count((all - rows.len()) as u64));
        text += &format!("{}\n", style.faint(&more));
    }
    text
}

/// A thread as the system numbers it.
fn thread(row: &Row) -> String {
    match (row.pid, row.os_tid) {
        (Some(pid), Some(0)) => format!("{pid}/ended"),
        (Some(pid), Some(os_tid)) if pid != os_tid => format!("{pid}/{os_tid}"),
        (Some(pid), _) => pid.to_string(),
        _ => "unknown".to_owned(),
    }
}

/// What was in use at the end, line by line.
pub fn leaks(allocations: &Allocations, leaks: &[Leak], style: Style) -> String {
    let whole = allocations.sum(Shown::Leaks);
    let mut text = format!("{} in {} blocks in use at the end\n", bytes(whole.bytes), count(whole.blocks));
    let width = style.columns.saturating_sub(8).max(40);
    for leak in leaks {
        let Location { function, file, line, own, .. } = &leak.location;
        let share = percent(own.bytes as f64 / whole.bytes.max(1) as f64);
        text += &format!(
            "\n{} {share} in {} blocks  {}\n",
            bytes(own.bytes),
            count(own.blocks),
            style.heading(&name(function, file, *line, width))
        );
        if leak.of_stack.bytes < own.bytes && !leak.callers.is_empty() {
            text +=
                &format!("  {}\n", style.faint(&format!("{} of it called by", bytes(leak.of_stack.bytes))));
        }
        for call in &leak.callers {
            text += &format!("    {}\n", name(&call.function, &call.file, call.line, width));
        }
    }
    text
}

/// `function  file:line`, no wider than that.
fn name(function: &str, file: &str, line: u32, width: usize) -> String {
    if file.is_empty() && function.is_empty() {
        return "outside of Python".to_owned();
    }
    let place = if line == 0 { file.to_owned() } else { format!("{file}:{line}") };
    let function = shorten_end(function, width / 2);
    let left = width.saturating_sub(function.chars().count() + 2).max(12);
    format!("{function}  {}", shorten_path(&place, left))
}

/// The tree of callers, down to branches of a hundredth.
pub fn tree(allocations: &Allocations, shown: Shown, style: Style) -> String {
    let whole = allocations.sum(shown).bytes;
    let mut text = format!("{}\n{} {}\n", sentence(allocations), bytes(whole), shown.heading());
    branches(&allocations.tree(shown), whole, "", &mut text, style);
    text
}

/// The outermost branches of a part of a tree, each with those within it.
fn outermost(tree: &[Branch]) -> impl Iterator<Item = (&Branch, &[Branch])> {
    let mut rest = tree;
    std::iter::from_fn(move || {
        let (first, behind) = rest.split_first()?;
        let (within, next) = behind.split_at(first.within.min(behind.len()));
        rest = next;
        Some((first, within))
    })
}

/// Writes a part of a tree. Each step inwards leaves at least a hundredth behind, so that there are few.
fn branches(tree: &[Branch], whole: u64, indent: &str, text: &mut String, style: Style) {
    let least = whole as f64 * BRANCH_SHARE_MIN;
    let is_large = |branch: &Branch| branch.total.bytes as f64 >= least;
    let large = outermost(tree).filter(|(branch, _)| is_large(branch)).count();
    let small: Vec<u64> = outermost(tree)
        .filter(|(branch, _)| !is_large(branch))
        .map(|(branch, _)| branch.total.bytes)
        .collect();
    let rest = small.iter().sum::<u64>();
    let has_rest = rest as f64 >= least;
    let width = style.columns.saturating_sub(indent.chars().count() + 22).max(24);
    let line = |amount: &str, share: &str, mark: &str, branch: &Branch| {
        let name = name(&branch.function, &branch.file, branch.line, width);
        format!("{amount:>10} {share:>6}  {indent}{mark}{name}\n")
    };
    for (index, (branch, within)) in outermost(tree).filter(|(branch, _)| is_large(branch)).enumerate() {
        let is_last = index + 1 == large && !has_rest;
        let share = percent(branch.total.bytes as f64 / whole.max(1) as f64);
        *text += &line(&bytes(branch.total.bytes), &share, if is_last { "└─ " } else { "├─ " }, branch);
        // A call that passes nearly all on to one other stays at its depth: only where memory parts, the tree does.
        let (mut end, mut inside) = (branch, within);
        while let Some((only, next)) = inside.split_first()
            && (end.total.bytes - only.total.bytes.min(end.total.bytes)) as f64 <= least
        {
            *text += &line("", "", if is_last { "   " } else { "│  " }, only);
            (end, inside) = (only, next.get(..only.within).unwrap_or(next));
        }
        branches(inside, whole, &format!("{indent}{}", if is_last { "   " } else { "│  " }), text, style);
    }
    if has_rest {
        let share = percent(rest as f64 / whole.max(1) as f64);
        let name = style.faint(&format!("{} smaller", count(small.len() as u64)));
        *text += &format!("{:>10} {share:>6}  {indent}└─ {name}\n", bytes(rest));
    }
}

/// The figures of a recording.
pub fn statistics(figures: &Statistics, style: Style) -> String {
    let amount = |amount: Amount| format!("{} in {} blocks", bytes(amount.bytes), count(amount.blocks));
    let mut text = String::new();
    for (what, amount) in [
        ("given in all", amount(figures.given)),
        ("most in use at once", amount(figures.peak)),
        ("in use at the end", amount(figures.left)),
        ("given and soon taken back", amount(figures.temporary)),
    ] {
        text += &format!("{what:<26} {amount}\n");
    }
    if figures.resident_peak_bytes > 0 {
        text += &format!("{:<26} {}\n", "most resident memory", bytes(figures.resident_peak_bytes));
    }
    if let Some(resident) = &figures.resident {
        text += &format!("\n{}\n", style.heading(&resident.about));
        let mut columns = Columns::default();
        for part in &resident.parts {
            let indent = if part.within { "  " } else { "" };
            columns.row([format!("{indent}{}", part.name), bytes(part.bytes)]);
        }
        columns.lines("  ").into_iter().for_each(|line| text += &(line + "\n"));
        resident.notes.iter().for_each(|note| text += &format!("  {note}\n"));
    }
    text += &format!("\n{}\n", style.heading("by function"));
    let mut columns = Columns::default();
    for (name, amount) in &figures.allocators {
        columns.row([name.clone(), count(amount.blocks), bytes(amount.bytes)]);
    }
    columns.lines("  ").into_iter().for_each(|line| text += &(line + "\n"));
    if !figures.sizes.is_empty() {
        text += &format!("\n{}\n", style.heading("by size"));
        let most = figures.sizes.iter().map(|(_, blocks)| *blocks).max().unwrap_or(1).max(1);
        for (from, blocks) in &figures.sizes {
            let bar = "█".repeat((*blocks as u128 * 40 / most as u128) as usize);
            text += &format!("  from {:>8}  {:>13}  {bar}\n", bytes(*from), count(*blocks));
        }
    }
    for (heading, locations) in [("most bytes", &figures.largest), ("most blocks", &figures.most_frequent)] {
        text += &format!("\n{}\n", style.heading(heading));
        let mut columns = Columns::default();
        for location in locations {
            columns.row([
                name(
                    &location.function,
                    &location.file,
                    location.line,
                    style.columns.saturating_sub(36).max(24),
                ),
                bytes(location.own.bytes),
                count(location.own.blocks),
            ]);
        }
        columns.lines("  ").into_iter().for_each(|line| text += &(line + "\n"));
    }
    text
}
