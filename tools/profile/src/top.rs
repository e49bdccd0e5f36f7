//! What `naja top` shows, as plain data: figures from batches, rows from figures, cells from rows.
//!
//! Nothing here knows the sampler or writes to a terminal: batches and keys come in, lines come out. Start at
//! [`model::Model`] for the figures and at [`view::frame`] for what is drawn.

pub(crate) mod counts;
pub(crate) mod model;
pub(crate) mod rows;
pub(crate) mod table;
#[cfg(test)]
mod tests;
pub(crate) mod ui;
pub(crate) mod view;
