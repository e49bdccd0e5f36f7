//! The whole picture: header, table, help, the line of keys, in the room that there is. Start at [`LiveView::frame`].

use std::collections::VecDeque;

use naja_report::screen::{Action, Key, Line, Look, clean, columns, cut, cut_start, right};
use naja_report::text::{bytes, count, duration, sparkline};

use super::rows;
use super::snapshot::{Kind, Snapshot};
use super::ui::{Page, Ui};

/// Points of the course of memory that are kept; beyond that every second one goes.
const COURSE_MAX: usize = 400;
/// Lines from which on there is room for all of the header, and for the line of keys.
const TALL: usize = 14;
const MEDIUM: usize = 9;

/// What is drawn beside the figures.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scene<'a> {
    /// What there is to say of the end, once nothing more will come.
    pub ended: Option<&'a str>,
    /// The lines that the program has written, where it was started for the view.
    pub output: Option<&'a [String]>,
}

/// Snapshots as they come, and what is chosen of them.
#[derive(Clone, Debug, Default)]
pub struct LiveView {
    snapshot: Snapshot,
    /// What is shown while the display is paused.
    frozen: Option<Box<Snapshot>>,
    course: VecDeque<u64>,
    /// So many snapshots make a point of the course, and so many have come since the last.
    per_point: u32,
    since_point: u32,
    ui: Ui,
}

impl LiveView {
    /// A view of nothing yet; with `has_output` there is a program whose output can be shown.
    pub fn new(has_output: bool) -> LiveView {
        LiveView { per_point: 1, ui: Ui { has_output, ..Ui::default() }, ..LiveView::default() }
    }

    /// Takes a snapshot.
    pub fn take(&mut self, snapshot: Snapshot) {
        let in_use = snapshot.sum(Kind::Now, None).bytes;
        self.snapshot = snapshot;
        self.since_point += 1;
        match self.course.back_mut() {
            Some(last) if self.since_point < self.per_point => *last = (*last).max(in_use),
            _ => {
                self.course.push_back(in_use);
                self.since_point = 0;
            }
        }
        if self.course.len() > COURSE_MAX {
            // The whole course stays, in half as many points: of two, the higher.
            let points: Vec<u64> = self.course.drain(..).collect();
            self.course = points.chunks(2).map(|two| two.iter().copied().max().unwrap_or(0)).collect();
            self.per_point *= 2;
        }
    }

    /// Whether anything was heard of the program.
    pub fn has_figures(&self) -> bool {
        self.snapshot.pid() != 0
    }

    /// Whether the program's output is shown.
    pub fn shows_output(&self) -> bool {
        self.ui.page == Page::Output
    }

    /// Follows a key.
    pub fn press(&mut self, key: Key) -> Action {
        let action = self.ui.press(key);
        if !self.ui.paused {
            self.frozen = None;
        } else if self.frozen.is_none() {
            self.frozen = Some(Box::new(self.snapshot.clone()));
        }
        action
    }

    fn shown(&self) -> &Snapshot {
        self.frozen.as_deref().unwrap_or(&self.snapshot)
    }

    /// Draws a picture of so many rows and columns.
    pub fn frame(&mut self, scene: &Scene<'_>, height: usize, width: usize) -> Vec<Line> {
        if self.ui.help {
            return help(height, width);
        }
        let mut lines = self.header(scene, height, width);
        let keys = height >= MEDIUM || self.ui.typing.is_some();
        let room = height.saturating_sub(lines.len() + 1 + usize::from(keys));
        let (table, items) = rows::table(self.shown(), &self.ui, scene.output);
        self.ui.settle(items, room);
        let chosen = self.ui.chosen_item();
        let at = self.ui.items.iter().position(|item| Some(*item) == chosen);
        lines.extend(table.lines(width, self.ui.offset, room, at));
        lines.truncate(height.saturating_sub(usize::from(keys)));
        if keys {
            lines.resize(height.saturating_sub(1), Line::default());
            lines.push(key_line(&self.ui, width));
        }
        lines
    }

    /// The same figures as text, with so many rows, where there is no screen.
    pub fn text(&self, scene: &Scene<'_>, rows: usize, width: usize) -> String {
        let (table, _) = rows::table(self.shown(), &self.ui, scene.output);
        let mut lines = vec![self.first_line(scene, width), self.second_line(width)];
        lines.extend(table.lines(width, 0, rows, None));
        let lines: Vec<String> = lines.iter().map(|line| line.text().trim_end().to_owned() + "\n").collect();
        lines.concat()
    }

    /// One moment as a JSON value.
    pub fn json(&self, scene: &Scene<'_>, rows: usize) -> serde_json::Value {
        let snapshot = self.shown();
        serde_json::json!({
            "pid": snapshot.pid(), "elapsed_s": snapshot.elapsed_ns as f64 / 1e9, "ended": scene.ended,
            "in_use": snapshot.sum(Kind::Now, None), "peak": snapshot.sum(Kind::Peak, None),
            "given": snapshot.sum(Kind::Given, None), "resident_bytes": snapshot.resident_bytes,
            "lines": rows::json(snapshot, &self.ui, rows),
        })
    }

    fn header(&self, scene: &Scene<'_>, height: usize, width: usize) -> Vec<Line> {
        let mut lines = vec![self.first_line(scene, width)];
        if height >= MEDIUM {
            lines.push(self.second_line(width));
        }
        if height >= TALL {
            lines.push(self.course_line(width));
            lines.push(Line::default());
        }
        if height >= MEDIUM {
            lines.push(self.what_is_shown(width));
        }
        lines
    }

    /// Which program: its number and its command to the left, its interpreter or its state to the right.
    fn first_line(&self, scene: &Scene<'_>, width: usize) -> Line {
        let snapshot = self.shown();
        let first = snapshot.processes.first();
        let (state, look) = match (scene.ended, first) {
            (Some(ended), _) => (clean(ended), Look::Warning),
            _ if self.ui.paused => ("paused".to_owned(), Look::Warning),
            (None, Some(process)) => (clean(&process.interpreter), Look::Faint),
            (None, None) => ("waiting for the program".to_owned(), Look::Faint),
        };
        let state = cut(&state, width * 2 / 3);
        let mut line = Line::default();
        if let Some(process) = first {
            line.push(format!(" {} ", process.pid), Look::Heading);
        } else {
            line.push(" ", Look::Plain);
        }
        let command = first.map_or(&snapshot.command, |process| &process.command);
        let room = width.saturating_sub(line.columns() + columns(&state) + 2);
        line.push(cut(&self.command(command), room), Look::Bold);
        let gap = width.saturating_sub(line.columns() + columns(&state) + 1);
        line.push(" ".repeat(gap), Look::Plain);
        line.push(state, look);
        line
    }

    /// A command line; unless whole names are wanted, of paths the last part.
    fn command(&self, words: &[String]) -> String {
        let short = |word: &String| match word.starts_with('/') && !self.ui.full_filenames {
            true => word.rsplit('/').next().unwrap_or_default().to_owned(),
            false => word.clone(),
        };
        clean(&words.iter().map(short).collect::<Vec<_>>().join(" "))
    }

    /// Sums, as many as there is room for.
    fn second_line(&self, width: usize) -> Line {
        let snapshot = self.shown();
        let [now, peak, given] = [Kind::Now, Kind::Peak, Kind::Given].map(|kind| snapshot.sum(kind, None));
        let mut parts = vec![
            format!("in use {} in {} blocks", bytes(now.bytes), count(now.blocks)),
            format!("peak {}", bytes(peak.bytes)),
            format!("resident {}", bytes(snapshot.resident_bytes)),
            format!("given {} in {} blocks", bytes(given.bytes), count(given.blocks)),
            whole_seconds(snapshot.elapsed_ns),
        ];
        if snapshot.processes.len() > 1 {
            parts.push(format!("{} processes", snapshot.processes.len()));
        }
        let mut text = String::new();
        for part in parts {
            if columns(&text) + 3 + columns(&part) > width {
                break;
            }
            text.push_str(if text.is_empty() { " " } else { "   " });
            text.push_str(&part);
        }
        Line::new(text, Look::Plain)
    }

    /// How much was in use since the view began.
    fn course_line(&self, width: usize) -> Line {
        let highest = self.course.iter().copied().max().unwrap_or(0);
        let label = format!(" up to {}", bytes(highest));
        let values: Vec<u64> = self.course.iter().copied().collect();
        let room = width.saturating_sub(columns(&label) + 2);
        let mut line = Line::default();
        line.push(format!(" {}", sparkline(&values, room)), Look::Plain);
        line.push(cut(&label, width.saturating_sub(line.columns())), Look::Faint);
        line
    }

    /// What the table below shows, and what is left out of it.
    fn what_is_shown(&self, width: usize) -> Line {
        let ui = &self.ui;
        let page = match ui.page {
            Page::Lines => "lines",
            Page::Tree => "tree of calls",
            Page::Threads => "threads",
            Page::Output => "output",
        };
        let mut parts: Vec<String> = Vec::new();
        if matches!(ui.page, Page::Lines | Page::Tree) {
            parts.push(match (ui.thread, ui.apart && ui.page == Page::Lines) {
                (Some(thread), _) => clean(&self.shown().thread_name(thread)),
                (None, true) => "threads apart".to_owned(),
                (None, false) => "all threads together".to_owned(),
            });
            if !ui.filter.is_empty() && ui.typing.is_none() {
                parts.push(format!("with `{}`", clean(&ui.filter)));
            }
        }
        if ui.page != Page::Output {
            parts.push(
                match ui.kind {
                    Kind::Now => "in use now",
                    Kind::Peak => "in use at the peak",
                    Kind::Given => "given in all",
                }
                .to_owned(),
            );
            if ui.reverse {
                parts.push("reversed".to_owned());
            }
        }
        let mut line = Line::default();
        line.push(" ", Look::Plain);
        line.push(cut(page, width.saturating_sub(2)), Look::Heading);
        let rest: String = parts.iter().map(|part| format!("   {part}")).collect();
        line.push(cut(&rest, width.saturating_sub(line.columns())), Look::Plain);
        line
    }
}

/// A length of time in whole seconds.
fn whole_seconds(ns: u64) -> String {
    match ns / 1_000_000_000 {
        seconds @ 0..100 => format!("{seconds} s"),
        seconds => duration(seconds * 1_000_000_000),
    }
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
    match ui.page {
        Page::Lines => keys.extend([
            ("1-5", "sort"),
            ("/", "filter"),
            ("Space", "pause"),
            ("t", "threads"),
            ("e", "tree"),
            ("v", "now, peak, all"),
            ("m", if ui.apart { "merge threads" } else { "threads apart" }),
        ]),
        Page::Tree => keys.extend([
            ("Esc", "back"),
            ("Enter", "open, fold"),
            ("1-4", "sort"),
            ("Space", "pause"),
            ("v", "now, peak, all"),
            ("t", "threads"),
        ]),
        Page::Threads => keys.extend([("Esc", "back"), ("Enter", "show only this"), ("v", "now, peak, all")]),
        Page::Output => keys.extend([("Esc", "back"), ("↑↓", "scroll")]),
    }
    if ui.has_output && ui.page != Page::Output {
        keys.push(("o", "output"));
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
        ("Enter", "show only a thread; open or fold a call"),
        ("Esc", "one step back; at last, quit"),
        ("1 2 3 4 5", "sort by own, total, own blocks, all blocks, name; again: reverse"),
        ("s  r", "next order; reverse"),
        ("/", "filter by a part of the function's or file's name"),
        ("v", "what is in use now, what was at the peak, all that was given"),
        ("m", "threads together or apart"),
        ("t", "threads"),
        ("e", "tree of calls"),
        ("o", "what the program has written, if it was started here"),
        ("Space", "pause the display; recording goes on"),
        ("f", "whole file names"),
        ("Ctrl-L  Ctrl-Z", "draw anew; to the background"),
        ("q  Ctrl-C", "quit"),
        ("", ""),
        ("own", "what the line itself was given"),
        ("total", "and what all that it called was given"),
        ("blocks", "how many pieces: of the line itself, and in total"),
        ("resident", "what the system counts for the processes"),
    ];
    let mut lines = vec![
        Line::new(cut(" naja memory live: keys (any key goes back)", width), Look::Heading),
        Line::default(),
    ];
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
