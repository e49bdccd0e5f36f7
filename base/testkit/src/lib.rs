//! What tests share: interpreters on this machine, target programs, terminals, browsers, database servers.
//!
//! A development dependency only: nothing that ships may depend on it.

pub mod browser;
mod data_folder;
mod database_options;
pub mod image;
pub mod interpreters;
pub mod mariadb;
pub mod naja;
mod not_tested;
pub mod postgres;
pub mod target;
pub mod terminal;

pub use browser::Browser;
pub use database_options::{Certificates, ServerOptions};
pub use mariadb::MariaDbServer;
pub use not_tested::not_tested;
pub use postgres::PostgresServer;
