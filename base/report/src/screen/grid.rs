//! Text in the cells of a terminal, and the bytes that turn one picture into the next.
//!
//! Names come from another process: nothing of them reaches the terminal but characters that show something. Start at
//! [`Grid::changes`].

use std::io::Write;

use unicode_width::UnicodeWidthChar;

/// How a piece of text looks. Colour never carries meaning alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Look {
    /// As it is.
    #[default]
    Plain,
    /// Stands out.
    Bold,
    /// Stands back.
    Faint,
    /// A heading.
    Heading,
    /// Something to look at.
    Warning,
    /// The chosen row, the column that is sorted by.
    Chosen,
}

impl Look {
    fn code(self, colour: bool) -> &'static str {
        match (self, colour) {
            (Look::Plain, _) => "0",
            (Look::Bold, _) | (Look::Heading | Look::Warning, false) => "0;1",
            (Look::Faint, _) => "0;2",
            (Look::Heading, true) => "0;1;36",
            (Look::Warning, true) => "0;33",
            (Look::Chosen, _) => "0;7",
        }
    }
}

/// A line of the screen: pieces of text from left to right.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line(pub Vec<(String, Look)>);

impl Line {
    /// A line that looks the same all along.
    pub fn new(text: impl Into<String>, look: Look) -> Line {
        Line(vec![(text.into(), look)])
    }

    /// Adds a piece at the end.
    pub fn push(&mut self, text: impl Into<String>, look: Look) {
        self.0.push((text.into(), look));
    }

    /// Columns that it takes.
    pub fn columns(&self) -> usize {
        self.0.iter().map(|(text, _)| columns(text)).sum()
    }

    /// Its text without its looks.
    pub fn text(&self) -> String {
        self.0.iter().map(|(text, _)| text.as_str()).collect()
    }
}

/// Columns that a text takes on a terminal: two for a wide character, as those of Chinese.
pub fn columns(text: &str) -> usize {
    text.chars().map(|character| character.width().unwrap_or(0)).sum()
}

/// The text with each character that shows nothing (controls, those that turn the direction) made visible as `·`.
pub fn clean(text: &str) -> String {
    let shows = |character: &char| {
        // A tab is a control too; whoever wants it as spaces puts them in before.
        character.width().is_some_and(|width| width > 0)
            && !matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{ad}')
    };
    // Accents of their own take no column, and terminals differ in where they put them: they are left out.
    let combines = |character: &char| character.width() == Some(0) && !character.is_control();
    text.chars()
        .filter(|character| {
            !combines(character) || matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        })
        .map(|character| if shows(&character) { character } else { '·' })
        .collect()
}

/// The start of a text in at most so many columns, with `…` at its end where something is left out.
pub fn cut(text: &str, width: usize) -> String {
    if columns(text) <= width {
        return text.to_owned();
    }
    let mut left = width.saturating_sub(1);
    let fits = |character: &char| match left.checked_sub(character.width().unwrap_or(0)) {
        Some(rest) => {
            left = rest;
            true
        }
        None => false,
    };
    let mut kept: String = text.chars().take_while(fits).collect();
    if width > 0 {
        kept.push('…');
    }
    kept
}

/// The end of a text in at most so many columns, with `…` at its start where something is left out.
pub fn cut_start(text: &str, width: usize) -> String {
    if columns(text) <= width {
        return text.to_owned();
    }
    let reversed: String = text.chars().rev().collect();
    cut(&reversed, width).chars().rev().collect()
}

/// The text in exactly so many columns, to the left.
pub fn left(text: &str, width: usize) -> String {
    let text = cut(text, width);
    let gap = width - columns(&text).min(width);
    format!("{text}{}", " ".repeat(gap))
}

/// The text in exactly so many columns, to the right.
pub fn right(text: &str, width: usize) -> String {
    let text = cut(text, width);
    let gap = width - columns(&text).min(width);
    format!("{}{text}", " ".repeat(gap))
}

/// What a cell shows; the second cell of a wide character shows nothing of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cell {
    character: Option<char>,
    look: Look,
}

const BLANK: Cell = Cell { character: Some(' '), look: Look::Plain };

/// What stands on the screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grid {
    width: usize,
    rows: Vec<Vec<Cell>>,
}

impl Grid {
    /// Lines put on a screen of so many rows and columns; what has no room is left out.
    pub fn new(lines: &[Line], height: usize, width: usize) -> Grid {
        let row = |index: usize| {
            let mut cells = Vec::with_capacity(width);
            for (text, look) in lines.get(index).map_or(&[][..], |line| &line.0) {
                for character in text.chars() {
                    let wide = character.width().unwrap_or(0);
                    if wide == 0 || cells.len() + wide > width {
                        continue;
                    }
                    cells.push(Cell { character: Some(character), look: *look });
                    cells.extend((1..wide).map(|_| Cell { character: None, look: *look }));
                }
            }
            cells.resize(width, BLANK);
            cells
        };
        Grid { width, rows: (0..height).map(row).collect() }
    }

    /// The bytes that make this picture of `before`, or of an empty screen.
    pub fn changes(&self, before: Option<&Grid>, colour: bool) -> Vec<u8> {
        let same_size =
            before.filter(|before| before.width == self.width && before.rows.len() == self.rows.len());
        let mut bytes = Vec::new();
        if same_size.is_none() {
            bytes.extend_from_slice(b"\x1b[0m\x1b[2J");
        }
        let empty = vec![BLANK; self.width];
        for (index, row) in self.rows.iter().enumerate() {
            let old = same_size.map_or(&empty, |before| &before.rows[index]);
            if row != old {
                write_row(&mut bytes, index, row, old, colour);
            }
        }
        if !bytes.is_empty() {
            bytes.extend_from_slice(b"\x1b[0m");
        }
        bytes
    }
}

/// Writes what differs of a row: from the first cell that does to the last one.
fn write_row(bytes: &mut Vec<u8>, index: usize, row: &[Cell], old: &[Cell], colour: bool) {
    let is_wide = |cells: &[Cell]| cells.iter().any(|cell| cell.character.is_none());
    let mut first = row.iter().zip(old).position(|(new, old)| new != old).unwrap_or(0);
    let mut last = row.iter().zip(old).rposition(|(new, old)| new != old).unwrap_or(0);
    if is_wide(row) || is_wide(old) {
        // Half a wide character cannot be written.
        (first, last) = (0, row.len().saturating_sub(1));
    }
    let content = row.iter().rposition(|cell| *cell != BLANK).map_or(0, |at| at + 1);
    let (until, clear) = if last >= content { (content.max(first), true) } else { (last + 1, false) };
    let result = write!(bytes, "\x1b[{};{}H", index + 1, first + 1);
    result.expect("memory can be written");
    let mut look = None;
    for cell in &row[first..until] {
        if look != Some(cell.look) {
            look = Some(cell.look);
            write!(bytes, "\x1b[{}m", cell.look.code(colour)).expect("memory can be written");
        }
        if let Some(character) = cell.character {
            bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
    if clear {
        bytes.extend_from_slice(b"\x1b[0m\x1b[K");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(texts: &[&str]) -> Vec<Line> {
        texts.iter().map(|text| Line::new(*text, Look::Plain)).collect()
    }

    fn check(before: &[&str], after: &[&str], expected: &str) {
        let [before, after] = [before, after].map(|texts| Grid::new(&lines(texts), 2, 10));
        let bytes = after.changes(Some(&before), true);
        assert_eq!(String::from_utf8_lossy(&bytes).replace('\x1b', "^"), expected);
    }

    #[test]
    fn only_what_differs_is_written() {
        check(&["one", "two"], &["one", "two"], "");
        check(&["one", "two"], &["one", "tao"], "^[2;2H^[0ma^[0m");
        check(&["one two"], &["one"], "^[1;5H^[0m^[K^[0m");
        check(&["one"], &["one two"], "^[1;5H^[0mtwo^[0m");
    }

    #[test]
    fn a_row_with_wide_characters_is_written_whole() {
        check(&["漢字 a"], &["漢字 b"], "^[1;1H^[0m漢字 b^[0m^[K^[0m");
        check(&["漢"], &["x"], "^[1;1H^[0mx^[0m^[K^[0m");
    }

    #[test]
    fn wide_characters_are_cut_by_columns() {
        assert_eq!(cut("漢字漢字", 5), "漢字…");
        assert_eq!(cut("漢字漢字", 4), "漢…");
        assert_eq!(cut_start("漢字漢字", 5), "…漢字");
        assert_eq!(left("漢字", 6), "漢字  ");
        assert_eq!(right("漢字漢", 4), " 漢…");
        assert_eq!([cut("ab", 0), cut("ab", 1)], ["", "…"]);
    }

    #[test]
    fn nothing_of_a_name_controls_the_terminal() {
        assert_eq!(clean("a\x1b[31mb\n\u{9b}c\u{202e}d"), "a·[31mb··c·d");
        assert_eq!(clean("naïve e\u{301}"), "naïve e");
    }
}
