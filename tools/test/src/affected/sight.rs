//! What a run shows of the project's modules, gathered from its events.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use super::changes::content_hash;
use crate::event::Event;
use crate::progress::{Outcome, Progress};

/// What one run has seen.
#[derive(Debug, Clone, Default)]
pub struct Sight {
    root: PathBuf,
    /// What was loaded for each test file, below the project's root; `""` for what came before the first.
    pub modules: BTreeMap<String, BTreeSet<String>>,
    /// Folders below the root from which modules were imported.
    pub roots: BTreeSet<String>,
    /// Test files all of whose tests ran and passed, so that there is nothing more to see.
    pub whole: BTreeSet<String>,
    /// The hashes of the loaded files, test files too.
    pub contents: HashMap<String, i64>,
}

impl Sight {
    /// Nothing seen yet of the project below `root`.
    pub fn new(root: &Path) -> Sight {
        let root = std::fs::canonicalize(root).unwrap_or_else(|_| root.to_path_buf());
        Sight { root, ..Sight::default() }
    }

    /// Takes in an event; those that say nothing of modules change nothing.
    pub fn take(&mut self, event: &Event) {
        match event {
            Event::Loaded { file, modules } => {
                let file = if file.is_empty() { Some(String::new()) } else { self.below_root(file) };
                let Some(file) = file else { return };
                let modules: Vec<String> = modules.iter().filter_map(|path| self.below_root(path)).collect();
                self.modules.entry(file).or_default().extend(modules);
            }
            Event::Roots { folders } => {
                let roots: Vec<String> = folders.iter().filter_map(|path| self.below_root(path)).collect();
                self.roots.extend(roots);
            }
            _ => {}
        }
    }

    /// Ends the run; `is_whole` says that no test was left out of those files that ran.
    pub fn end(&mut self, progress: &Progress, is_whole: bool) {
        let files: BTreeSet<&String> = self.modules.keys().chain(self.modules.values().flatten()).collect();
        self.contents = files
            .into_iter()
            .filter(|file| !file.is_empty())
            .map(|file| (file.clone(), content_hash(&self.root.join(file))))
            .collect();
        if !is_whole {
            return;
        }
        self.whole = self.modules.keys().filter(|file| !file.is_empty()).cloned().collect();
        for test in &progress.tests {
            if test.outcome.is_bad() || test.outcome == Outcome::Pending {
                let file = test.id.split("::").next().unwrap_or_default();
                // Node ids are counted from pytest's root, which may lie below or above the project's.
                self.whole.retain(|one| !one.ends_with(file) && !file.ends_with(one.as_str()));
            }
        }
    }

    fn below_root(&self, path: &str) -> Option<String> {
        Path::new(path).strip_prefix(&self.root).ok()?.to_str().map(str::to_owned)
    }
}
