//! Tests of the core of `naja dates` through its public face.

mod easter;
mod find;
mod hostile;
mod iso;
mod parser;
mod relative;
mod rrule;
mod zone;
