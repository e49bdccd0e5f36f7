//! Tests of `naja db` through its public face.

mod command;
mod hostile;
mod mysql;
mod postgres;
mod validation;
