//! A flame graph as one picture: SVG, the root on top, each frame's figures as its title.
//!
//! It shows what collapsed stacks list. Where scripts run, the script beside this file lets a reader zoom and search;
//! elsewhere it is a plain picture. Frames narrower than a tenth of a pixel are left out, with what they call, and of
//! very many the narrowest: the picture says so.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write;

use naja_recording::FunctionKind;
use naja_report::escape;
use naja_report::text::{count, duration, percent};
use naja_system::Failure;

use super::cannot_write;
use super::content::{Content, on_one_line};
use super::options::Mode;
use super::stacks::{Frame, FrameKind, Shape, StackId, Stacks};

const STYLE: &str = include_str!("svg/style.css");
const SCRIPT: &str = include_str!("svg/script.js");

const WIDTH: f64 = 1200.0;
const ROW: usize = 18;
const HEAD: usize = 44;
const NARROWEST: f64 = 0.1;
/// More frames than this are slow to show, and make a file of more than some five megabytes.
const FRAMES_MAX: usize = 20_000;
/// Width of a character of the font that is asked for, and what a text leaves free.
const CHARACTER: f64 = 6.7;
const PADDING: f64 = 4.0;
/// Letters of the heading, which is larger, that fit in a line.
const HEADING_CHARS_MAX: usize = 136;

/// Writes the picture.
pub(super) fn write(content: &Content<'_>, out: &mut dyn Write) -> Result<(), Failure> {
    let mut stacks = Stacks::new(content, Shape::Rooted);
    let mut own: Vec<u64> = Vec::new();
    content.counted(&mut |thread, stretch| {
        let stack = stacks.of(thread, &stretch.run) as usize;
        own.resize(stacks.count().max(own.len()), 0);
        own[stack] += u64::from(stretch.run.ticks);
        Ok(())
    })?;
    own.resize(stacks.count(), 0);
    let tree = Tree::new(&stacks, own);
    let narrowest = tree.narrowest();
    let picture = rows(content, &stacks, &tree, narrowest);
    let height = HEAD + (picture.deepest + 1) * ROW + 8;
    let samples = tree.total[0];
    let title = printable(&on_one_line(&content.header().command.join(" ")));
    let what = match content.options.stacks.mode() {
        Mode::Gil => "holding the GIL",
        Mode::Wall if content.options.stacks.idle => "of all time",
        Mode::Wall | Mode::Cpu => "on a processor",
    };
    let mut note = format!("{} {what} in {} samples", time(content, samples), count(samples));
    if tree.total.iter().any(|&total| total > 0 && total < narrowest) {
        let share = 100.0 * narrowest as f64 / samples.max(1) as f64;
        let _ = write!(note, "; frames below {share:.2} % are left out");
    }
    write!(
        out,
        r##"<?xml version="1.0" encoding="UTF-8"?>
<svg xmlns="http://www.w3.org/2000/svg" class="flame" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}">
<title>{}</title>
<style>
{STYLE}{}</style>
<rect class="ground" width="100%" height="100%"/>
<text x="4" y="17" class="head">{}</text>
<text x="4" y="36" class="note">{note}</text>
{}<script><![CDATA[
{SCRIPT}]]></script>
</svg>
"##,
        escape(&title),
        picture.colours(),
        escape(&naja_report::text::shorten_end(&title, HEADING_CHARS_MAX)),
        picture.body,
    )
    .map_err(cannot_write)
}

fn time(content: &Content<'_>, samples: u64) -> String {
    duration((content.seconds(samples) * 1e9) as u64)
}

/// What is called from each stack, and the samples in it and above.
struct Tree {
    total: Vec<u64>,
    children: Vec<Vec<StackId>>,
}

impl Tree {
    fn new(stacks: &Stacks<'_>, own: Vec<u64>) -> Tree {
        let mut tree = Tree { children: vec![Vec::new(); own.len()], total: own };
        // A caller's number is always the smaller one.
        for stack in (1..tree.total.len()).rev() {
            let caller = stacks.top(stack as StackId).map_or(0, |(caller, _, _)| caller) as usize;
            tree.total[caller] += tree.total[stack];
            if tree.total[stack] > 0 {
                tree.children[caller].push(stack as StackId);
            }
        }
        for index in 0..tree.children.len() {
            let mut children = std::mem::take(&mut tree.children[index]);
            children.sort_by_key(|&child| (std::cmp::Reverse(tree.total[child as usize]), child));
            tree.children[index] = children;
        }
        tree
    }

    /// Frames of fewer samples are left out. A caller has at least as many as what it calls, so that no frame is shown
    /// without its callers.
    fn narrowest(&self) -> u64 {
        let visible = (self.total[0] as f64 * NARROWEST / WIDTH).ceil().max(1.0) as u64;
        let mut totals: Vec<u64> = self.total.iter().copied().filter(|&total| total >= visible).collect();
        if totals.len() <= FRAMES_MAX {
            return visible;
        }
        totals.sort_unstable_by_key(|&total| std::cmp::Reverse(total));
        totals[FRAMES_MAX] + 1
    }
}

/// The frames as text, and what else of them the picture needs.
struct Picture {
    body: String,
    /// How many frames lie upon each other, but for the lowest.
    deepest: usize,
    /// Those that occur, by the name of their class.
    shades: BTreeMap<String, Shade>,
}

impl Picture {
    /// Style rules for the colours that occur.
    fn colours(&self) -> String {
        let rules = |colour: fn(&Shade) -> String| {
            let rule = |(class, shade)| format!(".flame .{class} {{ fill: {}; }}\n", colour(shade));
            self.shades.iter().map(rule).collect::<String>()
        };
        format!("{}@media (prefers-color-scheme: dark) {{\n{}}}\n", rules(Shade::light), rules(Shade::dark))
    }
}

/// All frames that are wide enough.
fn rows(content: &Content<'_>, stacks: &Stacks<'_>, tree: &Tree, narrowest: u64) -> Picture {
    let samples = tree.total[0];
    let mut picture = Picture { body: String::new(), deepest: 0, shades: BTreeMap::new() };
    let pixels = |samples_of: u64| WIDTH * samples_of as f64 / samples.max(1) as f64;
    // A stack, the number of its first sample in the picture, and how many frames lie below it.
    let mut open: Vec<(StackId, u64, usize)> = vec![(0, 0, 0)];
    while let Some((stack, first, depth)) = open.pop() {
        let total = tree.total[stack as usize];
        if total < narrowest && stack != 0 {
            continue;
        }
        picture.deepest = picture.deepest.max(depth);
        let (label, shade) = match stacks.top(stack) {
            None => ("all".to_owned(), Shade { kind: FrameKind::Root, step: 7 }),
            Some((_, frame, _)) => (printable(&frame.label()), Shade::of(frame)),
        };
        let class = shade.class();
        let (x, y, width) =
            (pixels(first), HEAD + depth * ROW, if stack == 0 { WIDTH } else { pixels(total) });
        let _ = writeln!(
            picture.body,
            r#"<g data-s="{first}" data-n="{total}"><title>{}: {}, {}, {} samples</title><rect x="{x:.2}" y="{y}" width="{width:.2}" height="{ROW}" class="{class}"/>{}</g>"#,
            escape(&label),
            percent(total as f64 / samples.max(1) as f64),
            time(content, total),
            count(total),
            text(&label, x, y, width),
        );
        picture.shades.insert(class, shade);
        let mut left = first;
        let before = open.len();
        for &child in &tree.children[stack as usize] {
            open.push((child, left, depth + 1));
            left += tree.total[child as usize];
        }
        // What was pushed last comes next: so the file is in order from left to right, callers first.
        open[before..].reverse();
    }
    picture
}

/// As much of a label as fits.
fn text(label: &str, x: f64, y: usize, width: f64) -> String {
    let room = ((width - 2.0 * PADDING) / CHARACTER).max(0.0) as usize;
    if room < 3 {
        return String::new();
    }
    let label = escape(&naja_report::text::shorten_end(label, room));
    format!(r#"<text x="{:.2}" y="{}">{label}</text>"#, x + PADDING, y + ROW - 5)
}

/// A colour: by kind, and a step that frames of one file share.
#[derive(Clone, Copy, Debug)]
struct Shade {
    kind: FrameKind,
    step: u32,
}

impl Shade {
    fn of(frame: &Frame) -> Shade {
        let sum = |sum: u32, byte: u8| sum.wrapping_mul(31).wrapping_add(u32::from(byte));
        Shade { kind: frame.kind, step: frame.file.bytes().fold(0, sum) % 9 }
    }

    fn class(&self) -> String {
        let kind = match self.kind {
            FrameKind::Root => "root",
            FrameKind::Collector => "collector",
            FrameKind::NoPython => "outside",
            FrameKind::Function(FunctionKind::Native) => "native",
            FrameKind::Function(FunctionKind::Task) => "task",
            FrameKind::Function(FunctionKind::Python) => "python",
        };
        format!("{kind}-{}", self.step)
    }

    /// Hue in degrees and saturation in percent.
    fn hue(&self) -> (u32, u32) {
        match self.kind {
            FrameKind::Root => (210, 12),
            FrameKind::Collector => (282, 42),
            FrameKind::NoPython => (60, 6),
            FrameKind::Function(FunctionKind::Native) => (165, 42),
            FrameKind::Function(FunctionKind::Task) => (340, 52),
            FrameKind::Function(FunctionKind::Python) => (22 + 2 * self.step, 88),
        }
    }

    /// Below black letters.
    fn light(&self) -> String {
        let (hue, saturation) = self.hue();
        format!("hsl({hue}, {saturation}%, {}%)", 72 + self.step)
    }

    /// Below white letters.
    fn dark(&self) -> String {
        let (hue, saturation) = self.hue();
        format!("hsl({hue}, {}%, {}%)", saturation * 3 / 5, 25 + self.step)
    }
}

/// Without the two characters that a name may hold and XML may not.
fn printable(text: &str) -> String {
    text.replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}")
}
