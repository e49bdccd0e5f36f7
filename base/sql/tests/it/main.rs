//! Tests of the drivers, against real databases.

mod asking;
mod damage;
mod drivers;
mod functions;
mod mysql;
mod postgres;
mod sqlite;
mod veil;
