//! Tests of the core of `naja dates` through its public face.

mod easter;
mod find;
mod hostile;
mod rrule;
mod zone;
