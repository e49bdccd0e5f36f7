//! A table whose rows are about something that can be chosen; how it is drawn is `base/report`'s.

use naja_report::screen::{self, Column, Kind, Line};

use super::ui::Item;

/// A row of a table.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) item: Item,
    pub(crate) cells: Vec<String>,
    pub(crate) kind: Kind,
}

/// Columns and rows. Cells hold no control characters.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    pub(crate) columns: Vec<Column>,
    pub(crate) rows: Vec<Row>,
    /// What to say when there are no rows.
    pub(crate) empty: String,
}

impl Table {
    /// The titles, and `room` rows from `offset` on.
    pub(crate) fn lines(self, width: usize, offset: usize, room: usize, chosen: Option<Item>) -> Vec<Line> {
        let is_chosen = |row: &Row| row.item != Item::Text && chosen == Some(row.item);
        let at = self.rows.iter().position(is_chosen);
        let row = |row: Row| screen::Row {
            keeps_end: matches!(row.item, Item::Function(_)),
            cells: row.cells,
            kind: row.kind,
        };
        let rows = self.rows.into_iter().map(row).collect();
        screen::Table { columns: self.columns, rows, empty: self.empty }.lines(width, offset, room, at)
    }
}
