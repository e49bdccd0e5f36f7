//! What `naja.typesystem` does with text, without Python: formats, JSON with places, lines and columns.
//!
//! Nothing here fails loudly: text that has no fast way comes back as "ask the slow one", never as a wrong answer.
//! Start at [`format`](mod@format) for the formats of strings and at [`json::scan`] for JSON.

pub mod format;
pub mod json;
pub mod number;
pub mod outline;
pub mod place;
pub mod white;
