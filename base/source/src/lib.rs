//! Python as text: what a file imports, and which files of a project these names are.
//!
//! Nothing is run and no file is read here: text and lists of paths come in. Where the text cannot say what is
//! imported, the answer says that too. Start at [`imports::imports`] and [`layout::Layout`].

pub mod imports;
pub mod layout;
