//! Tests of the core of `naja dates` through its public face.

mod easter;
mod hostile;
mod rrule;
mod zone;
