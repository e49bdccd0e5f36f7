//! Collapsed stacks: `outer (a.py:12);inner (b.py:3) 57`, one line for each stack, as flame graph scripts read them.

use std::io::Write;

use naja_system::Failure;

use super::cannot_write;
use super::content::Content;
use super::stacks::{Shape, Stacks};

/// Writes the lines in the order of their text. The count is in ticks.
pub(super) fn write(content: &Content<'_>, out: &mut dyn Write) -> Result<(), Failure> {
    let mut stacks = Stacks::new(content, Shape::Rooted);
    let mut counts: Vec<u64> = Vec::new();
    content.counted(&mut |thread, stretch| {
        let stack = stacks.of(thread, &stretch.run) as usize;
        counts.resize(stacks.count().max(counts.len()), 0);
        counts[stack] += u64::from(stretch.run.ticks);
        Ok(())
    })?;
    // A `;` within a name would look like another frame.
    let labels: Vec<String> = stacks.frames.iter().map(|frame| frame.label().replace(';', ":")).collect();
    let mut lines: Vec<(String, u64)> = Vec::new();
    for (stack, &count) in (0..).zip(&counts).filter(|(_, count)| **count > 0) {
        let path: Vec<&str> =
            stacks.path(stack).iter().map(|frame| labels[*frame as usize].as_str()).collect();
        lines.push((path.join(";"), count));
    }
    lines.sort_unstable();
    for (stack, count) in lines {
        writeln!(out, "{stack} {count}").map_err(cannot_write)?;
    }
    Ok(())
}
