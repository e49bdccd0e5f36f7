//! Lines and columns of a text, as Python counts them.

use super::json::Unit;

/// Where a character stands: both count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The line; every line break of `str.splitlines` counts.
    pub line: usize,
    /// The column, in characters.
    pub column: usize,
}

/// Whether a line ends at this character.
fn ends_line(unit: u32) -> bool {
    matches!(unit, 0x0a..=0x0d | 0x1c..=0x1e | 0x85 | 0x2028 | 0x2029)
}

/// The place of the character at `index`; a line break belongs to the line that it ends.
///
/// Cost: O(index) time.
pub fn place_of<T: Unit>(content: &[T], index: usize) -> Place {
    let content = &content[..content.len().min(index.saturating_add(1))];
    let (mut lines, mut length, mut last) = (0, 0, 0);
    let mut at = 0;
    while let Some(unit) = content.get(at) {
        let unit = unit.code();
        if ends_line(unit) {
            if unit == 0x0d && content.get(at + 1).is_some_and(|next| next.code() == 0x0a) {
                at += 1;
            }
            (lines, last, length) = (lines + 1, length, 0);
        } else {
            length += 1;
        }
        at += 1;
    }
    if length > 0 {
        (lines, last) = (lines + 1, length);
    }
    Place { line: lines.max(1), column: last.max(1) }
}
