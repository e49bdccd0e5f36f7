//! Tests of the core of `naja dates` through its public face.

mod easter;
mod iso;
mod parser;
mod relative;
