//! The heat as text: files in order of heat; a file's lines with own, total and a bar; what lies around hot lines.

use naja_report::text::{Style, duration, percent, shorten, shorten_end};

use super::target::Target;
use super::{FileHeat, Heat, LineHeat, Neighbour};

/// Lines without heat that are shown before and after those with some.
const CONTEXT_LINES: u32 = 2;
/// Lines whose callers and callees are shown.
const HOT_LINES: usize = 5;
/// Callers and callees that are shown of a line.
const NEIGHBOURS: usize = 6;
/// Lines with less of all samples are not called hot.
const HOT_SHARE: f64 = 0.01;
/// Files that are shown.
const FILES: usize = 20;
const BAR: usize = 10;

/// The files, hottest first.
pub(crate) fn files(heat: &Heat, style: Style) -> String {
    let mut lines = vec![head(heat, style)];
    if heat.files.is_empty() {
        lines.push("  no line of Python has a sample".to_owned());
        return text(&lines);
    }
    lines.push(style.faint(&format!("{:>8} {:>8}  {:<BAR$}  file", "own", "total", "")));
    for file in heat.files.iter().take(FILES) {
        let name = shorten(&file.short, style.columns.saturating_sub(32));
        lines.push(format!("{}  {name}", figures(heat, file.own, file.total, style)));
    }
    if heat.files.len() > FILES {
        lines.push(style.faint(&format!("{:>32} more files", heat.files.len() - FILES)));
    }
    text(&lines)
}

/// The lines of a file or a part of it, then the hottest of them with their callers and callees.
pub(crate) fn target(heat: &Heat, target: &Target<'_>, style: Style) -> String {
    let file = target.file;
    let mut lines = vec![head(heat, style), String::new(), title(heat, file, style)];
    if !file.text_note.is_empty() {
        lines.push(style.faint(&format!("  {}", file.text_note)));
    }
    lines.push(style.faint(&format!("{:>8} {:>8}  {:<BAR$}  {:>5}", "own", "total", "", "line")));
    lines.extend(source(heat, target, style));
    for line in hot_lines(heat, target) {
        lines.push(String::new());
        lines.extend(around(heat, file, line, style));
    }
    text(&lines)
}

/// The files, then every file with a hot line.
pub(crate) fn whole(heat: &Heat, style: Style) -> String {
    let mut all = files(heat, style);
    let hot = |file: &&FileHeat| heat.share(file.own) >= HOT_SHARE;
    for file in heat.files.iter().filter(hot) {
        let one = target(heat, &Target { file, lines: None, line: None }, style);
        // The head is the same for all.
        let body = one.split_once('\n').map_or("", |(_, body)| body);
        all.push_str(body);
    }
    all
}

fn text(lines: &[String]) -> String {
    let mut text = String::new();
    for line in lines {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn head(heat: &Heat, style: Style) -> String {
    let time = duration((heat.seconds * 1e9) as u64);
    let command = shorten_end(&heat.command.join(" "), style.columns.saturating_sub(30));
    format!("{} · {time} in {} samples", style.heading(&command), naja_report::text::count(heat.samples))
}

fn title(heat: &Heat, file: &FileHeat, style: Style) -> String {
    let (own, total) = (percent(heat.share(file.own)), percent(heat.share(file.total)));
    format!("{} · {own} own · {total} total", style.bold(&file.short))
}

/// Own and total, and a bar in which the own part is darker.
fn figures(heat: &Heat, own: u64, total: u64, style: Style) -> String {
    let share = |samples: u64| if samples == 0 { String::new() } else { percent(heat.share(samples)) };
    let cells = |samples: u64| match samples {
        0 => 0,
        _ => ((heat.share(samples) * BAR as f64).round() as usize).min(BAR),
    };
    let (dark, all) = (cells(own), cells(total).max(cells(own)));
    let bar = format!("{}{}{}", "█".repeat(dark), "░".repeat(all - dark), " ".repeat(BAR - all));
    let bar = if heat.share(own) >= 0.1 { style.warning(&bar) } else { bar };
    format!("{:>8} {:>8}  {bar}", share(own), share(total))
}

/// The lines with heat and a few around them; where there is no text, the functions they are in.
fn source(heat: &Heat, target: &Target<'_>, style: Style) -> Vec<String> {
    let file = target.file;
    let shown = |number: u32| target.lines.is_none_or(|(first, last)| (first..=last).contains(&number));
    let hot: Vec<&LineHeat> = file.lines.iter().filter(|line| shown(line.line)).collect();
    let room = style.columns.saturating_sub(38).max(20);
    let row = |line: u32, figures: &str, code: &str| {
        let number = if line == 0 { "?".to_owned() } else { line.to_string() };
        format!("{figures}  {number:>5}  {}", shorten_end(code, room))
    };
    let Some(text) = &file.text else {
        let one =
            |line: &&LineHeat| row(line.line, &figures(heat, line.own, line.total, style), &line.function);
        return hot.iter().map(one).collect();
    };
    let texts: Vec<String> = text.lines().map(plain).collect();
    let mut lines = Vec::new();
    // Around a function nothing is shown that is not its own; around a line, what is beside it.
    let (lowest, highest) = target.lines.filter(|_| target.line.is_none()).unwrap_or((1, u32::MAX));
    let mut next = lowest.max(1);
    for line in hot {
        let from = line.line.saturating_sub(CONTEXT_LINES).max(next);
        if from > next && !lines.is_empty() {
            lines.push(style.faint(&format!("{:>35}", "⋮")));
        }
        for number in from..line.line {
            lines.push(style.faint(&row(number, &" ".repeat(17 + 2 + BAR), code_at(&texts, number))));
        }
        lines.push(row(line.line, &figures(heat, line.own, line.total, style), code_at(&texts, line.line)));
        next = line.line + 1;
        let following =
            file.lines.iter().find(|other| other.line >= next).map_or(u32::MAX, |other| other.line);
        let until = (line.line + CONTEXT_LINES).min(following - 1).min(highest).min(texts.len() as u32);
        for number in next..=until {
            lines.push(style.faint(&row(number, &" ".repeat(17 + 2 + BAR), code_at(&texts, number))));
        }
        next = next.max(until + 1);
    }
    lines
}

fn code_at(texts: &[String], line: u32) -> &str {
    line.checked_sub(1).and_then(|index| texts.get(index as usize)).map_or("", String::as_str)
}

/// A line of source as a terminal may show it: what would move the cursor or set a colour is left out.
fn plain(line: &str) -> String {
    line.replace('\t', "    ").chars().filter(|c| !c.is_control()).collect()
}

/// The line that was asked for, or the hottest ones, own before total.
fn hot_lines<'h>(heat: &Heat, target: &Target<'h>) -> Vec<&'h LineHeat> {
    if let Some(line) = target.line {
        return target.file.lines.iter().filter(|one| one.line == line).collect();
    }
    let shown = |number: u32| target.lines.is_none_or(|(first, last)| (first..=last).contains(&number));
    let hot = |line: &&LineHeat| shown(line.line) && heat.share(line.own) >= HOT_SHARE;
    let mut lines: Vec<&LineHeat> = target.file.lines.iter().filter(hot).collect();
    lines.sort_by_key(|line| (std::cmp::Reverse((line.own, line.total)), line.line));
    lines.truncate(HOT_LINES);
    lines
}

fn around(heat: &Heat, file: &FileHeat, line: &LineHeat, style: Style) -> Vec<String> {
    let (own, total) = (percent(heat.share(line.own)), percent(heat.share(line.total)));
    let place = style.bold(&format!("{}:{}", file.short, line.line));
    let mut lines = vec![format!("{place}  {}  {own} own, {total} total", line.function)];
    let mut list = |word: &str, neighbours: &[Neighbour]| {
        for (index, one) in neighbours.iter().take(NEIGHBOURS).enumerate() {
            let word = if index == 0 { word } else { "" };
            let place =
                if one.file.is_empty() { String::new() } else { format!("  {}:{}", one.file, one.line) };
            let room = style.columns.saturating_sub(24);
            let name = shorten_end(&format!("{}{place}", one.function), room);
            lines.push(format!("  {word:<10} {:>6}  {name}", percent(heat.share(one.samples))));
        }
        if neighbours.len() > NEIGHBOURS {
            lines.push(style.faint(&format!("{:>19}  {} more", "", neighbours.len() - NEIGHBOURS)));
        }
    };
    list("called by", &line.callers);
    list("calls", &line.callees);
    lines
}
