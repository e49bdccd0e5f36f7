//! Tests of the drivers, against real databases.

mod damage;
mod mysql;
mod postgres;
mod sqlite;
