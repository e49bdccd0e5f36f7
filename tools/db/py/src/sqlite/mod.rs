//! What everything that drives the interpreter's own SQLite shares: the library, values on their way in, objects made
//! of what comes out.
//!
//! Nothing here knows a table or a thread.

pub(crate) mod errors;
pub(crate) mod functions;
pub(crate) mod library;
pub(crate) mod objects;
pub(crate) mod values;
