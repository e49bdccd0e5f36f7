//! Models: the SQL of their tables, of their queries and of their changes.
//!
//! Names come from programs and are quoted wherever they stand in SQL; values never stand in it. What a query is made
//! of is plain data ([`query::Select`]), so that a binding may keep the SQL that was made of a shape once. Start at
//! [`query`]; [`definition`] makes tables, [`change`] changes their rows.

pub mod change;
pub mod column;
pub mod definition;
pub mod near;
pub mod query;
mod writer;

pub use column::{Column, OnDelete, Reference, Type};
pub use writer::{Places, Writer};
