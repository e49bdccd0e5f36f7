//! Dates: understands what people write for a date, computes with it, and repeats it by rules.

pub mod find;
