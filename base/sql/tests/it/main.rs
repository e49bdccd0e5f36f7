//! Tests of the drivers, against real databases.

mod damage;
mod drivers;
mod mysql;
mod postgres;
mod sqlite;
mod veil;
