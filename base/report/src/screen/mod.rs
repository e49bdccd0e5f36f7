//! A screen on a terminal: text in cells, keys, tables in the room that there is, and the loop that shows a view.
//!
//! Nothing here knows what is shown. Start at [`show`].

mod grid;
mod keys;
mod output;
mod show;
mod table;

pub use grid::{Grid, Line, Look, clean, columns, cut, cut_start, left, right};
pub use keys::{Key, take as take_keys};
pub use output::plain_line;
pub use show::{Action, View, show};
pub use table::{Column, Kind, Row, Table, Width};
