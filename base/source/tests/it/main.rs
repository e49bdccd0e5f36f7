//! Tests of what is read out of Python's text.

mod hostile;
mod imports;
mod layout;
