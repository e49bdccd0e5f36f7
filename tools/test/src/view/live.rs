//! The view on a terminal: what pytest prints scrolls by as ever; below it stand a line for each worker and one for
//! the whole run, drawn anew some times a second.
//!
//! [`lines`] makes the text from plain data; [`Live`] puts it on the screen and takes it away again.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use naja_report::text::{Style, duration};
use unicode_width::UnicodeWidthChar;

use crate::progress::{Outcome, Progress};

/// A test that runs for longer stands out.
const SLOW: Duration = Duration::from_secs(5);
/// Cells of the bar.
const BAR: usize = 24;

/// How large the screen is, and what is known beside the progress.
#[derive(Debug, Clone, Copy)]
pub struct Screen {
    /// Its rows.
    pub rows: usize,
    /// Its columns.
    pub columns: usize,
    /// Whether it shows colour.
    pub style: Style,
}

/// The lines below pytest's own output: none before collection is over.
///
/// `left` is how long the rest should take, where that is known.
pub fn lines(
    progress: &Progress,
    screen: Screen,
    elapsed: Duration,
    left: Option<Duration>,
    now: Instant,
) -> Vec<String> {
    if !progress.is_collected {
        return Vec::new();
    }
    // Half of the screen is for what pytest prints.
    let room = (screen.rows / 2).saturating_sub(2).max(1);
    let alive: Vec<_> = progress.workers.iter().filter(|(_, worker)| worker.is_alive).collect();
    let mut lines = Vec::new();
    let mut by_number = alive.clone();
    by_number.sort_by_key(|(name, _)| (name.len(), (*name).clone()));
    for (name, worker) in by_number.iter().take(room) {
        let line = match worker.running {
            None => format!("{name:>5}"),
            Some((test, since)) => {
                let time = now.saturating_duration_since(since);
                let id = progress.tests.get(test).map_or("", |test| &test.id);
                let line = format!("{name:>5} {:>8}  {id}", seconds(time));
                let line = cut(&line, screen.columns);
                if time >= SLOW { screen.style.warning(&line) } else { line }
            }
        };
        lines.push(line);
    }
    if alive.len() > room {
        lines.push(cut(&format!("      and {} more workers", alive.len() - room), screen.columns));
    }
    lines.push(total(progress, screen, elapsed, left));
    lines
}

fn total(progress: &Progress, screen: Screen, elapsed: Duration, left: Option<Duration>) -> String {
    let planned = progress.tests.len();
    let over = progress.tests.iter().filter(|test| test.is_over).count();
    let filled = (over * BAR).checked_div(planned).unwrap_or(0);
    let bar = format!("{}{}", "█".repeat(filled), "░".repeat(BAR - filled));
    let mut text = format!("{bar} {over}/{planned}");
    let counts = progress.counts();
    for outcome in [Outcome::Failed, Outcome::Errored, Outcome::Crashed, Outcome::Skipped] {
        if let Some(count) = counts.get(&outcome) {
            text.push_str(&format!("  {count} {}", outcome.word()));
        }
    }
    text.push_str(&format!("  {}", clock(elapsed)));
    if let Some(left) = left.filter(|_| over < planned) {
        text.push_str(&format!("  about {} left", clock(left)));
    }
    let text = cut(&text, screen.columns);
    if counts.keys().any(|outcome| outcome.is_bad()) { screen.style.warning(&text) } else { text }
}

/// What is said of a test that went wrong, at once.
pub fn failure_lines(
    id: &str,
    outcome: Outcome,
    worker: &str,
    text: Option<&str>,
    screen: Screen,
) -> Vec<String> {
    let head = format!("{} {id}  [{worker}]", outcome.word().to_uppercase());
    let mut lines = vec![screen.style.warning(&cut(&head, screen.columns))];
    // pytest marks what went wrong with an `E`; where there is none, the first line says it.
    let text = text.unwrap_or_default();
    let marked: Vec<&str> = text.lines().filter(|line| line.starts_with("E  ")).take(3).collect();
    let shown = if marked.is_empty() { text.lines().take(1).collect() } else { marked };
    lines.extend(
        shown.iter().map(|line| cut(&format!("    {}", line.trim_start_matches('E').trim()), screen.columns)),
    );
    lines
}

fn seconds(time: Duration) -> String {
    if time < Duration::from_secs(60) { format!("{:.1} s", time.as_secs_f64()) } else { clock(time) }
}

fn clock(time: Duration) -> String {
    let whole = Duration::from_secs(time.as_secs());
    if whole.is_zero() {
        "0 s".to_owned()
    } else if whole.as_secs() < 100 {
        format!("{} s", whole.as_secs())
    } else {
        duration(u64::try_from(whole.as_nanos()).unwrap_or(u64::MAX))
    }
}

/// As much of a line as fits, with a mark where something is left out. Control characters are not shown.
fn cut(text: &str, columns: usize) -> String {
    let width = |character: char| character.width().unwrap_or(0);
    let clean = || text.chars().filter(|character| !character.is_control());
    if clean().map(width).sum::<usize>() <= columns {
        return clean().collect();
    }
    let mut used = 0;
    let mut line: String = clean()
        .take_while(|&character| {
            used += width(character);
            used < columns
        })
        .collect();
    line.push('…');
    line
}

/// The region at the foot of the terminal.
pub struct Live<W: Write> {
    out: W,
    shown: usize,
    /// The last line of pytest's that has no end yet: it is shown when it has one.
    unfinished: Vec<u8>,
}

impl<W: Write> Live<W> {
    /// Nothing is drawn yet.
    pub fn new(out: W) -> Live<W> {
        Live { out, shown: 0, unfinished: Vec::new() }
    }

    /// Prints what pytest has written, above the region.
    pub fn print(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.unfinished.extend_from_slice(bytes);
        let Some(end) = self.unfinished.iter().rposition(|&byte| byte == b'\n') else { return Ok(()) };
        let rest = self.unfinished.split_off(end + 1);
        let whole = std::mem::replace(&mut self.unfinished, rest);
        self.erase()?;
        self.out.write_all(&whole)
    }

    /// Draws the region anew.
    pub fn draw(&mut self, lines: &[String]) -> io::Result<()> {
        self.erase()?;
        for line in lines {
            writeln!(self.out, "{line}")?;
        }
        self.shown = lines.len();
        self.out.flush()
    }

    /// Takes the region away and prints what has no line end.
    pub fn finish(&mut self) -> io::Result<()> {
        self.erase()?;
        let rest = std::mem::take(&mut self.unfinished);
        self.out.write_all(&rest)?;
        self.out.flush()
    }

    fn erase(&mut self) -> io::Result<()> {
        if self.shown > 0 {
            write!(self.out, "\u{1b}[{}A\r\u{1b}[J", self.shown)?;
            self.shown = 0;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Event;

    const SCREEN: Screen = Screen { rows: 24, columns: 40, style: Style::PLAIN };

    fn progress(count: usize) -> (Progress, Instant) {
        let mut progress = Progress::default();
        let now = Instant::now();
        let tests = (0..count).map(|number| format!("tests/test_a.py::test_number_{number}")).collect();
        progress.take(&Event::Collected { tests, workers: 2, mode: "load".to_owned() }, now);
        for number in 0..2 {
            progress.take(&Event::Worker { worker: format!("gw{number}"), process: 1 }, now);
        }
        progress.take(&Event::Start { worker: "gw1".to_owned(), test: 1 }, now);
        (progress, now)
    }

    #[test]
    fn a_worker_s_line_says_what_it_runs_and_for_how_long() {
        let (progress, now) = progress(4);
        let shown = lines(&progress, SCREEN, Duration::from_secs(3), None, now + Duration::from_millis(1500));
        assert_eq!(
            shown,
            ["  gw0", "  gw1    1.5 s  tests/test_a.py::test_n…", "░░░░░░░░░░░░░░░░░░░░░░░░ 0/4  3 s",]
        );
    }

    #[test]
    fn the_view_leaves_half_of_the_screen_to_pytest() {
        let (mut progress, now) = progress(4);
        for number in 2..40 {
            progress.take(&Event::Worker { worker: format!("gw{number}"), process: 1 }, now);
        }
        let shown = lines(&progress, SCREEN, Duration::ZERO, None, now);
        assert_eq!(shown.len(), 12);
        assert_eq!(shown[10], "      and 30 more workers");
    }

    #[test]
    fn what_pytest_prints_stands_above_the_region() {
        let mut bytes = Vec::new();
        let mut live = Live::new(&mut bytes);
        live.draw(&["gw0".to_owned()]).expect("memory can be written");
        live.print(b"one\ntw").expect("memory can be written");
        live.draw(&["gw0".to_owned()]).expect("memory can be written");
        live.print(b"o\n").expect("memory can be written");
        live.finish().expect("memory can be written");
        assert_eq!(
            String::from_utf8_lossy(&bytes),
            "gw0\n\u{1b}[1A\r\u{1b}[Jone\ngw0\n\u{1b}[1A\r\u{1b}[Jtwo\n"
        );
    }
}
