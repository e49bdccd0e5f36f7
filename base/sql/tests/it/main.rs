//! Tests of the drivers, against real databases.

mod mysql;
mod postgres;
mod sqlite;
