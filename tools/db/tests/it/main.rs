//! Tests of `naja db` through its public face.

mod command;
mod hostile;
mod postgres;
mod validation;
