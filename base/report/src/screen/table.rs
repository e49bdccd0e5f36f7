//! A table in the room that there is: columns that have no room are left out, the least important first.

use super::grid::{Line, Look, columns, cut, cut_start, left, right};

/// How wide a column is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// Always so many columns.
    Fixed(usize),
    /// As its widest cell, as far as there is room. A cell that is too long keeps its start.
    Content,
    /// The same, but a cell that is too long keeps its end: in `Class.method`, that says most.
    Tail,
    /// What is left. A cell that is too long keeps its end.
    Rest,
}

/// A column of a table.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Over its cells.
    pub title: &'static str,
    /// How wide it is.
    pub width: Width,
    /// Rows are ordered by it.
    pub sorted: bool,
    /// The higher, the sooner it is left out; 0 never.
    pub rank: u8,
}

/// A row of a table.
#[derive(Clone, Debug, Default)]
pub struct Row {
    /// A cell for each column.
    pub cells: Vec<String>,
    /// How it is shown.
    pub kind: Kind,
    /// Of what is as wide as its content, a cell that is too long keeps its end: a name beside lines of source.
    pub keeps_end: bool,
}

/// How a row is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// As it is.
    #[default]
    Plain,
    /// Over the rows below it: its first cell alone is shown.
    Heading,
    /// Stands back.
    Faint,
}

/// Columns and rows. Cells hold no control characters.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// From left to right.
    pub columns: Vec<Column>,
    /// From top to bottom.
    pub rows: Vec<Row>,
    /// What to say when there are no rows.
    pub empty: String,
}

/// The fewest columns that a name is worth showing in, and a file.
const NAME_MIN: usize = 12;
const REST_MIN: usize = 12;

impl Table {
    /// The titles, and `room` rows from `offset` on; the row at `chosen` stands out.
    pub fn lines(&self, width: usize, offset: usize, room: usize, chosen: Option<usize>) -> Vec<Line> {
        let widths = self.widths(width);
        let mut titles = Line::default();
        titles.push(" ", Look::Bold);
        for (column, cells) in self.columns.iter().zip(&widths).filter(|(_, cells)| **cells > 0) {
            let title = if column.sorted { format!("{}▾", column.title) } else { column.title.to_owned() };
            let title = fitted(column, &title, *cells);
            titles.push(format!("{title} "), Look::Bold);
        }
        let mut lines = vec![titles];
        for (at, row) in self.rows.iter().enumerate().skip(offset).take(room) {
            lines.push(self.line(row, &widths, width, chosen == Some(at)));
        }
        if self.rows.is_empty() {
            lines.push(Line::new(cut(&format!(" {}", self.empty), width), Look::Faint));
        }
        lines
    }

    fn line(&self, row: &Row, widths: &[usize], width: usize, chosen: bool) -> Line {
        if row.kind == Kind::Heading {
            let text = row.cells.first().map_or("", String::as_str);
            return Line::new(format!(" {}", cut(text, width.saturating_sub(1))), Look::Heading);
        }
        // The mark says it without colours too.
        let mut text = String::from(if chosen { "›" } else { " " });
        for (at, (column, cell)) in self.columns.iter().zip(&row.cells).enumerate() {
            if column.width == Width::Content && row.cells[at + 1..].iter().all(String::is_empty) {
                // Nothing follows it: a line of source has all the room to the right.
                text.push_str(&cut(cell, width.saturating_sub(columns(&text))));
                break;
            }
            if widths[at] > 0 {
                // Beside lines of source, of which the start says most, stand names of functions.
                let is_name = column.width == Width::Content && row.keeps_end;
                let column = if is_name { &Column { width: Width::Tail, ..*column } } else { column };
                text.push_str(&fitted(column, cell, widths[at]));
                text.push(' ');
            }
        }
        let look = match (chosen, row.kind) {
            (true, _) => Look::Chosen,
            (false, Kind::Faint) => Look::Faint,
            (false, _) => Look::Plain,
        };
        Line::new(left(&text, width), look)
    }

    /// The width of each column; 0 for one that is left out.
    fn widths(&self, width: usize) -> Vec<usize> {
        let content = |at: usize| {
            let cells =
                self.rows.iter().filter(|row| row.kind != Kind::Heading).filter_map(|row| row.cells.get(at));
            cells.map(|cell| columns(cell)).max().unwrap_or(0).max(columns(self.columns[at].title))
        };
        let mut shown = vec![true; self.columns.len()];
        loop {
            let needed = |(at, column): (usize, &Column)| match (shown[at], column.width) {
                (false, _) => 0,
                (true, Width::Fixed(cells)) => cells + 1,
                (true, Width::Content | Width::Tail) => content(at).min(NAME_MIN) + 1,
                (true, Width::Rest) => content(at).min(REST_MIN) + 1,
            };
            let sum: usize = self.columns.iter().enumerate().map(needed).sum::<usize>() + 1;
            let droppable = (0..shown.len()).filter(|at| shown[*at] && self.columns[*at].rank > 0);
            match droppable.max_by_key(|at| self.columns[*at].rank) {
                Some(at) if sum > width => shown[at] = false,
                _ => break,
            }
        }
        let mut left = width.saturating_sub(1);
        let mut widths = vec![0; self.columns.len()];
        for (at, column) in self.columns.iter().enumerate().filter(|(at, _)| shown[*at]) {
            if let Width::Fixed(cells) = column.width {
                widths[at] = cells.min(left.saturating_sub(1));
                left = left.saturating_sub(cells + 1);
            }
        }
        let flexible: Vec<usize> = (0..widths.len())
            .filter(|at| shown[*at] && !matches!(self.columns[*at].width, Width::Fixed(_)))
            .collect();
        flexible.iter().for_each(|at| widths[*at] = content(*at));
        // The widest gives way first, so that short names stay whole beside long ones.
        let sum = |widths: &[usize]| flexible.iter().map(|at| widths[*at] + 1).sum::<usize>();
        while sum(&widths) > left
            && let Some(widest) = flexible.iter().copied().max_by_key(|at| widths[*at])
            && widths[widest] > 0
        {
            widths[widest] -= 1;
        }
        if let Some(last) = flexible.last() {
            widths[*last] += left.saturating_sub(sum(&widths));
        }
        widths
    }
}

fn fitted(column: &Column, cell: &str, cells: usize) -> String {
    match column.width {
        Width::Fixed(_) => right(cell, cells),
        Width::Content => left(cell, cells),
        Width::Tail | Width::Rest => left(&cut_start(cell, cells), cells),
    }
}
