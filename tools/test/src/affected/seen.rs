//! What earlier runs saw of the project's modules: which were loaded for a test file, and from which roots.

use std::collections::{BTreeSet, HashMap};

/// What is known from earlier runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// Test files with what was loaded for them; `""` for what was loaded before the first of them.
    pub files: HashMap<String, Record>,
    /// Folders below the project's root from which modules were imported.
    pub roots: BTreeSet<String>,
}

/// What was loaded for one test file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record {
    /// Files of the project that were loaded while the test file was imported, or its tests ran.
    pub modules: Vec<String>,
    /// The hashes that the project's loaded files had in that run.
    pub contents: std::sync::Arc<HashMap<String, i64>>,
}
