//! Tests of the drivers, against real databases.

mod postgres;
mod sqlite;
