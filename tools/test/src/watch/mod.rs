//! Notices which files of a project change while it is watched.

pub mod files;
