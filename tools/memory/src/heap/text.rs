//! A heap as text for a terminal: figures, a picture of the arenas, sizes, what is resident, advice. Start at [`text`].

use naja_report::text::{Columns, Style, bytes, count, duration, percent, shorten_end};

use super::{ArenaFigures, Figures, HeapReport, Objects, Resident};

/// Lines of the picture at most; then each character stands for several arenas.
const PICTURE_LINES: usize = 16;
/// Empty or nearly, then by eighths.
const LEVELS: [char; 9] = ['·', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// Below this share an arena is as good as empty.
const NOTHING: f64 = 0.01;
/// Characters of a bar.
const BAR: usize = 16;

/// The whole report.
pub fn text(report: &HeapReport, style: Style) -> String {
    let mut text = head(report, style);
    if report.total.arenas > 0 {
        text += &sums(&report.total);
        text += &picture(&report.arenas, report.total.arena_bytes, style);
        text += &classes(&report.total, style);
        text += &objects(&report.objects, style);
    }
    if let Some(resident) = &report.resident {
        text += &of_resident(report, resident, style);
    }
    for figures in &report.interpreters {
        let number = figures.interpreter.unwrap_or_default();
        let used = bytes(figures.used_bytes);
        text += &format!("interpreter {number}: {} arenas, {used} in use\n", count(figures.arenas));
    }
    text += &format!("\n{}\n", style.heading("what follows"));
    for advice in &report.advice {
        text += &wrapped(&advice.text, style.columns);
    }
    text
}

fn head(report: &HeapReport, style: Style) -> String {
    let owner = &report.process;
    let read = duration((report.read_s * 1e9) as u64);
    let how = match (owner.stood_still, report.total.arenas_changed) {
        (true, _) => String::new(),
        (false, 0) => " while it ran".to_owned(),
        (false, changed) => format!(" while it ran: {} arenas changed meanwhile", count(changed)),
    };
    let first =
        format!("naja memory heap  CPython {}, process {}, read in {read}{how}", owner.version, owner.pid);
    let mut text = format!("{}\n", style.heading(&first));
    text += &format!("  {}\n", style.faint(&shorten_end(&owner.command, style.columns.saturating_sub(2))));
    if report.total.found_by == "scan" {
        text += "  nothing names the allocator's variables here: they were found by what they look like\n";
    }
    if report.total.unreadable > 0 {
        text += &format!("  {} arenas or pools could not be read\n", count(report.total.unreadable));
    }
    text
}

fn sums(total: &Figures) -> String {
    let all = total.arenas * total.arena_bytes;
    let share = |part: u64| percent(part as f64 / all.max(1) as f64);
    let highest =
        total.arenas_highest.map(|highest| format!(", {} at most", count(highest))).unwrap_or_default();
    let each = if total.arena_bytes == 1 << 20 { "1 MiB".to_owned() } else { bytes(total.arena_bytes) };
    let arenas = format!("{} of {each}{highest}", count(total.arenas));
    let mut columns = Columns::default();
    let mut row = |name: &str, part: u64, what: &str| {
        columns.cells(vec![format!("  {name}"), bytes(part), share(part), String::new(), what.to_owned()]);
    };
    row("arenas", all, &arenas);
    row(
        "in use",
        total.used_bytes,
        &format!("{} blocks in {} pools", count(total.blocks), count(total.pools_used)),
    );
    row("free blocks", total.free_block_bytes, "in these pools, each for its own size");
    let free = format!("{} free, {} never used", count(total.pools_free), count(total.pools_untouched));
    row("free pools", total.free_pool_bytes, &free);
    row("overhead", total.overhead_bytes, "of pools and arenas");
    let needed = format!("{} arenas would do if blocks lay side by side", count(total.arenas_needed));
    row("could go back", total.could_be_given_back_bytes, &needed);
    left_last(&columns.lines(""))
}

/// Columns set everything but the first to the right: what is said at the end of a line belongs to the left.
fn left_last(lines: &[String]) -> String {
    let mut text = String::new();
    for line in lines {
        // Two empty cells apart, the words are all that follows the last figure.
        match line.rfind(" %") {
            Some(at) => {
                let (figures, words) = line.split_at(at + " %".len());
                text += &format!("{figures}   {}\n", words.trim());
            }
            None => text += &format!("{line}\n"),
        }
    }
    text
}

fn picture(arenas: &[ArenaFigures], arena_bytes: u64, style: Style) -> String {
    let width = style.columns.saturating_sub(2).clamp(8, 96) / 8 * 8;
    let each = arenas.len().div_ceil(width * PICTURE_LINES).max(1);
    let what = match each {
        1 => "one character an arena".to_owned(),
        _ => format!("{} arenas a character", count(each as u64)),
    };
    let legend = format!("{what}, by the share in use: · under 1 %, ▁ to 1/8, … █ over 7/8");
    let mut text =
        format!("\n{}\n  {}\n", style.heading("arenas, in order of address"), style.faint(&legend));
    let levels: Vec<char> = arenas
        .chunks(each)
        .map(|some| {
            let used: u64 = some.iter().map(|arena| arena.used_bytes).sum();
            level(used as f64 / (some.len() as u64 * arena_bytes) as f64)
        })
        .collect();
    for line in levels.chunks(width) {
        text += &format!("  {}\n", line.iter().collect::<String>());
    }
    text
}

fn level(share: f64) -> char {
    let place = if share < NOTHING { 0 } else { 1 + (share * 8.0).floor().clamp(0.0, 7.0) as usize };
    LEVELS.get(place).copied().unwrap_or('█')
}

fn classes(total: &Figures, style: Style) -> String {
    let mut columns = Columns::default();
    let heads = ["  size", "pools", "blocks in use", "free", "in use", "of its room"];
    columns.cells(heads.iter().map(|head| (*head).to_owned()).collect());
    for class in &total.classes {
        let share = class.blocks as f64 / (class.blocks + class.free_blocks).max(1) as f64;
        let full = (share * BAR as f64).round() as usize;
        columns.cells(vec![
            format!("{:>4} B", class.size_bytes),
            count(class.pools),
            count(class.blocks),
            count(class.free_blocks),
            bytes(class.blocks * class.size_bytes),
            format!("{:>5}  {}{}", percent(share), "█".repeat(full), "░".repeat(BAR - full)),
        ]);
    }
    let mut lines = columns.lines("  ");
    if let Some(first) = lines.first_mut() {
        *first = style.faint(first);
    }
    format!("\n{}\n{}\n", style.heading("blocks by size"), lines.join("\n"))
}

/// Types of which a text shows the blocks.
const TYPES: usize = 12;

fn objects(objects: &Objects, style: Style) -> String {
    let sample = match objects.pools == objects.pools_looked_at {
        true => String::new(),
        false => format!("in {} of {} pools", count(objects.pools_looked_at), count(objects.pools)),
    };
    let mut columns = Columns::default();
    columns.cells(["  type", "blocks", "bytes", "share"].map(str::to_owned).to_vec());
    let all: u64 = objects.types.iter().map(|one| one.bytes).sum();
    for one in objects.types.iter().take(TYPES) {
        let name = one.name.as_deref().unwrap_or("parts of others: tables, items, buffers");
        let share = percent(one.bytes as f64 / all.max(1) as f64);
        columns.cells(vec![shorten_end(name, 50), count(one.blocks), bytes(one.bytes), share]);
    }
    let mut lines = columns.lines("  ");
    if let Some(first) = lines.first_mut() {
        *first = style.faint(first);
    }
    let heading = style.heading("what the blocks in use hold");
    let mut text = format!("\n{heading}  {}\n{}\n", style.faint(&sample), lines.join("\n"));
    if objects.types.len() > TYPES {
        let more = format!("  and {} more types", count((objects.types.len() - TYPES) as u64));
        text += &format!("{}\n", style.faint(&more));
    }
    text
}

fn of_resident(report: &HeapReport, resident: &Resident, style: Style) -> String {
    let mut columns = Columns::default();
    let mut row = |name: String, part: u64| {
        let share = percent(part as f64 / resident.total_bytes.max(1) as f64);
        columns.cells(vec![name, bytes(part), share]);
    };
    row("all, as `top` shows it".to_owned(), resident.total_bytes);
    let with_arenas = match resident.arenas_bytes {
        Some(arenas) => {
            row("small objects (the arenas)".to_owned(), arenas);
            ""
        }
        None => ", arenas too",
    };
    row("malloc: the heap".to_owned(), resident.heap_bytes);
    if resident.thread_heaps > 0 {
        row(
            format!("malloc: {} heaps of threads", count(resident.thread_heaps)),
            resident.thread_heaps_bytes,
        );
    }
    row(format!("other: large blocks, stacks of threads{with_arenas}"), resident.anonymous_bytes);
    row("the main thread's stack".to_owned(), resident.stack_bytes);
    row("programs, libraries, files".to_owned(), resident.file_bytes);
    let mut text = format!("\n{}\n{}\n", style.heading("resident memory"), columns.lines("  ").join("\n"));
    let arenas = report.total.arenas * report.total.arena_bytes;
    if let Some(absent) = resident.arenas_bytes.and_then(|present| arenas.checked_sub(present))
        && absent * 20 > arenas
    {
        text +=
            &format!("  {} of the arenas is not resident: never touched, or swapped out\n", bytes(absent));
    }
    if resident.swapped_bytes > 0 {
        text += &format!("  {} is swapped out\n", bytes(resident.swapped_bytes));
    }
    text
}

/// A paragraph, its first line set off.
fn wrapped(text: &str, columns: usize) -> String {
    let mut lines = vec!["- ".to_owned()];
    for word in text.split(' ') {
        let line = lines.last().map_or(0, |line| line.chars().count());
        if line + word.chars().count() + 1 > columns && line > 2 {
            lines.push("  ".to_owned());
        }
        if let Some(line) = lines.last_mut() {
            if line.chars().count() > 2 {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arena_is_drawn_by_what_is_in_use() {
        let levels: String = [0.0, 0.009, 0.01, 0.13, 0.5, 0.87, 0.88, 1.0].into_iter().map(level).collect();
        assert_eq!(levels, "··▁▂▅▇██");
    }

    #[test]
    fn advice_is_wrapped_at_words() {
        assert_eq!(wrapped("one two three four", 11), "- one two\n  three\n  four\n");
    }
}
