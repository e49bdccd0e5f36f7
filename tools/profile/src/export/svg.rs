//! A flame graph as one picture: SVG without a script, the root on top, each frame's figures as its title.
//!
//! It shows what collapsed stacks list. Frames narrower than a third of a pixel are left out, with what they call.

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

const WIDTH: f64 = 1200.0;
const ROW: usize = 18;
const HEAD: usize = 44;
const NARROWEST: f64 = 0.3;
/// Width of a character of the font that is asked for, and what a text leaves free.
const CHARACTER: f64 = 6.7;
const PADDING: f64 = 4.0;

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
    let (body, depth) = rows(content, &stacks, &tree);
    let height = HEAD + (depth + 1) * ROW + 8;
    let header = content.header();
    let samples = tree.total[0];
    let title = escape(&printable(&on_one_line(&header.command.join(" "))));
    let what = match content.options.stacks.mode() {
        Mode::Gil => "holding the GIL",
        Mode::Wall if content.options.stacks.idle => "of all time",
        Mode::Wall | Mode::Cpu => "on a processor",
    };
    let time = duration((content.seconds(samples) * 1e9) as u64);
    write!(
        out,
        r##"<?xml version="1.0" encoding="UTF-8"?>
<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" role="img">
<title>{title}</title>
<style>
text {{ font: 11px "DejaVu Sans Mono", monospace; fill: #14191f; pointer-events: none; }}
rect {{ stroke: #fff; stroke-width: 0.6; }}
rect:hover {{ stroke: #000; }}
.head {{ font-size: 14px; font-weight: bold; }}
.note {{ fill: #56616c; }}
</style>
<rect width="100%" height="100%" fill="#fff"/>
<text x="4" y="17" class="head">{title}</text>
<text x="4" y="34" class="note">{time} {what} in {} samples</text>
{body}</svg>
"##,
        count(samples),
    )
    .map_err(cannot_write)
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
}

/// All frames that are wide enough, and how many lie upon each other.
fn rows(content: &Content<'_>, stacks: &Stacks<'_>, tree: &Tree) -> (String, usize) {
    let samples = tree.total[0];
    let mut body = String::new();
    let mut deepest = 0;
    let mut open: Vec<(StackId, f64, usize)> = vec![(0, 0.0, 0)];
    while let Some((stack, x, depth)) = open.pop() {
        let total = tree.total[stack as usize];
        let width = WIDTH * total as f64 / samples.max(1) as f64;
        if width < NARROWEST {
            continue;
        }
        deepest = deepest.max(depth);
        let (label, colour) = match stacks.top(stack) {
            None => ("all".to_owned(), "hsl(210 12% 86%)".to_owned()),
            Some((_, frame, _)) => (printable(&frame.label()), colour(frame)),
        };
        let share = percent(total as f64 / samples.max(1) as f64);
        let time = duration((content.seconds(total) * 1e9) as u64);
        let y = HEAD + depth * ROW;
        let whole = escape(&label);
        let _ = writeln!(
            body,
            r#"<g><title>{whole}: {share}, {time}, {} samples</title><rect x="{x:.2}" y="{y}" width="{width:.2}" height="{ROW}" fill="{colour}"/>{}</g>"#,
            count(total),
            text(&label, x, y, width),
        );
        let mut left = x;
        for &child in &tree.children[stack as usize] {
            open.push((child, left, depth + 1));
            left += WIDTH * tree.total[child as usize] as f64 / samples.max(1) as f64;
        }
    }
    (body, deepest)
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

/// By kind; functions of Python in shades of one colour, those of a file alike.
fn colour(frame: &Frame) -> String {
    let shade =
        frame.file.bytes().fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte))) % 9;
    let (hue, saturation) = match frame.kind {
        FrameKind::Root => (210, 12),
        FrameKind::Collector => (282, 42),
        FrameKind::NoPython => (60, 6),
        FrameKind::Function(FunctionKind::Native) => (165, 42),
        FrameKind::Function(FunctionKind::Task) => (340, 52),
        FrameKind::Function(FunctionKind::Python) => (22 + 2 * shade, 88),
    };
    format!("hsl({hue} {saturation}% {}%)", 72 + shade)
}

/// Without the two characters that a name may hold and XML may not.
fn printable(text: &str) -> String {
    text.replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}")
}
