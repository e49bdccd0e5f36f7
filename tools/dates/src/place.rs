//! Shows where in a text something is wrong: the text, and below it a mark.

use std::ops::Range;

/// So many characters are shown on either side of what is marked, and of that itself.
const AROUND: usize = 40;

/// Two lines: the text around a place, and marks below it. `place` is in bytes; an empty one at the end of the text
/// says that something is missing there.
///
/// Cost:   O(1), whatever the text's length
///
/// ```
/// assert_eq!(naja_dates::place::shown("25 Foo 2003", 3..6), "25 Foo 2003\n   ^^^");
/// assert_eq!(naja_dates::place::shown("25", 2..2), "25\n  ^");
/// ```
pub fn shown(text: &str, place: Range<usize>) -> String {
    let start = boundary(text, place.start);
    let end = boundary(text, place.end).max(start);
    let mut before: Vec<char> = text[..start].chars().rev().take(AROUND + 1).collect();
    before.reverse();
    if before.len() > AROUND {
        before[0] = '…';
    }
    let marked: Vec<char> = text[start..end].chars().take(AROUND).collect();
    let mut after: Vec<char> = text[end..].chars().take(AROUND + 1).collect();
    if after.len() > AROUND {
        after[AROUND] = '…';
    }
    // A line break or a tab would take the marks from below their place.
    let line: String = [&before[..], &marked, &after]
        .concat()
        .into_iter()
        .map(|character| if character.is_control() { ' ' } else { character })
        .collect();
    format!("{}\n{}{}", line.trim_end(), " ".repeat(before.len()), "^".repeat(marked.len().max(1)))
}

/// The nearest place at or before `at` where a character begins.
fn boundary(text: &str, at: usize) -> usize {
    let at = at.min(text.len());
    (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_place_of_any_text_is_shown() {
        let long = "é\n".repeat(200);
        for at in 0..long.len() + 2 {
            let shown = shown(&long, at..at + 100);
            let lines: Vec<&str> = shown.lines().collect();
            assert_eq!(lines.len(), 2, "{shown}");
            assert!(lines[0].chars().count() <= 3 * AROUND + 2 && lines[1].ends_with('^'), "{shown}");
        }
        assert_eq!(shown("", 0..0), "\n^");
    }
}
