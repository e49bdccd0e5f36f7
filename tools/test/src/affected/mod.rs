//! Which test files a change affects: `--affected`, and what `--watch` runs again.
//!
//! A test file is chosen when its imports may reach a changed file. A change that nothing explains chooses all of
//! them, with the reason: a test too many costs time, a test too few hides a failure. Start at [`choose`].

pub mod changes;
pub mod project;
pub mod seen;
pub mod settings;
pub mod sight;
pub mod store;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use naja_source::layout::{FileIndex, split_path};

use changes::Changes;
use project::{Project, Reasons, Texts, neighbours};
use seen::Seen;

/// How many changed files are named in the line for people.
const NAMED: usize = 3;

/// Which test files run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choice {
    /// The chosen test files, each with the reason as a phrase that follows its name.
    pub chosen: BTreeMap<String, String>,
    /// Python files that no change affects, below the project's root: pytest need not look into them.
    pub left_out: Vec<String>,
    /// How many test files there are.
    pub test_files: usize,
    /// Why all of them are chosen, where they are.
    pub everything: Option<String>,
    /// The changed files.
    pub changed: Vec<String>,
    /// What the project was compared with.
    pub since: String,
}

/// Chooses the test files that these changes affect, in the project below `root`.
///
/// Cost: a parse of each Python file of the project that `texts` does not know as it is now.
pub fn choose(root: &Path, changes: &Changes, seen: &Seen, texts: &mut Texts) -> Choice {
    let gone: Vec<String> = changes.files.iter().filter(|path| !root.join(path).exists()).cloned().collect();
    let project = Project::read(root, &gone, seen, texts);
    choose_in(&project, changes)
}

/// The same, for a project that has been read.
pub fn choose_in(project: &Project, changes: &Changes) -> Choice {
    let mut choice = Choice {
        test_files: project.tests().len(),
        changed: changes.files.iter().chain(&changes.outside).chain(&changes.ignored).cloned().collect(),
        since: changes.since.clone(),
        ..Choice::default()
    };
    let mut chosen: BTreeSet<FileIndex> = BTreeSet::new();
    let mut affected: BTreeSet<FileIndex> = BTreeSet::new();
    let mut reasons = Reasons::new();
    choice.everything =
        changes.outside.first().map(|path| format!("`{path}` lies outside of the project, and changed"));
    for (path, must_be_explained) in
        changes.files.iter().map(|path| (path, true)).chain(changes.ignored.iter().map(|path| (path, false)))
    {
        let seeds = match project.layout.file(path) {
            Some(file) => vec![file],
            None if settings::FILES.contains(&split_path(path).1) => {
                choice.everything.get_or_insert(format!("`{path}` changed"));
                continue;
            }
            None => neighbours(&project.layout, path),
        };
        if settings::FILES.contains(&split_path(path).1) {
            choice.everything.get_or_insert(format!("`{path}` changed"));
        }
        let reached = project.reached_by(&seeds);
        // A test file that is gone concerns nobody else.
        let is_explained = project.layout.file(path).is_some_and(|file| project.is_test(file))
            || (reached.keys().any(|&file| project.is_test(file)) && !is_all(project, &seeds));
        if must_be_explained && !is_explained {
            choice
                .everything
                .get_or_insert(format!("`{path}` changed, and nothing tells which tests use it"));
        }
        for (file, reason) in reached {
            affected.insert(file);
            reasons.entry(file).or_insert(reason);
        }
    }
    let mut unknown = BTreeMap::new();
    if !choice.changed.is_empty() {
        unknown.extend(project.unknown());
    }
    chosen.extend(affected.iter().copied().filter(|&file| project.is_test(file)));
    chosen.extend(unknown.keys().copied());
    if choice.everything.is_some() {
        chosen.extend(project.tests());
    }
    let name = |file: FileIndex| project.layout.paths()[file].clone();
    for &file in &chosen {
        let reason = if let Some(reason) = reasons.get(&file) {
            chain(project, &reasons, *reason)
        } else if let Some(&loader) = unknown.get(&file) {
            format!(
                "reaches `{}`, which imports what only a run shows, and has not been seen running",
                name(loader)
            )
        } else {
            choice.everything.clone().unwrap_or_default()
        };
        choice.chosen.insert(name(file), reason);
    }
    if choice.everything.is_none() {
        let rest = (0..project.layout.paths().len())
            .filter(|file| !affected.contains(file) && !chosen.contains(file));
        choice.left_out.extend(rest.map(name).filter(|path| may_be_left_out(path)));
    }
    choice
}

/// Whether a change beside everything says nothing about single files.
fn is_all(project: &Project, seeds: &[FileIndex]) -> bool {
    seeds.len() > 1 && seeds.len() == project.layout.paths().len()
}

/// Packages and conftest files are what pytest builds its tree of.
fn may_be_left_out(path: &str) -> bool {
    !matches!(split_path(path).1, "__init__.py" | "conftest.py")
}

/// Why a file is affected, in words.
fn chain(project: &Project, reasons: &Reasons, first: Option<FileIndex>) -> String {
    let mut words = String::new();
    let mut next = first;
    // Reasons of several changes are joined, so that a chain may be shorter than it looks, but it ends.
    for _ in 0..reasons.len() {
        let Some(file) = next else { break };
        words += if words.is_empty() { "uses " } else { ", which uses " };
        words += &format!("`{}`", project.layout.paths()[file]);
        next = reasons.get(&file).copied().flatten();
    }
    if words.is_empty() { "changed".to_owned() } else { words + ", which changed" }
}

impl Choice {
    /// The line for people; `tests` are the known tests of a file, by earlier runs.
    pub fn line(&self, tests: impl Fn(&str) -> usize, all_tests: usize) -> String {
        let count: usize = self.chosen.keys().map(|file| tests(file)).sum();
        let known = match all_tests {
            0 => String::new(),
            1 => format!(" ({count} of 1 known test)"),
            all => format!(" ({count} of {all} known tests)"),
        };
        let files = match (self.chosen.len(), self.test_files) {
            (0, 1) => "none of 1 test file".to_owned(),
            (1, 1) => format!("the only test file{known}"),
            (0, all) => format!("none of {all} test files"),
            (some, all) if some == all => format!("all {all} test files{known}"),
            (some, all) => format!("{some} of {all} test files{known}"),
        };
        let why = match (&self.everything, self.changed.len()) {
            (Some(reason), _) => reason.clone(),
            (None, 0) => format!("nothing changed since {}", self.since),
            (None, count) => {
                let named: Vec<String> =
                    self.changed.iter().take(NAMED).map(|path| format!("`{path}`")).collect();
                let more = if count > NAMED { format!(" and {} more", count - NAMED) } else { String::new() };
                format!("{}{more} changed since {}", named.join(", "), self.since)
            }
        };
        format!("affected: {files}: {why}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_for_people_counts_one_file_as_one() {
        let check = |chosen: &[&str], test_files, known, expected: &str| {
            let choice = Choice {
                chosen: chosen.iter().map(|file| ((*file).to_owned(), String::new())).collect(),
                test_files,
                since: "main".to_owned(),
                ..Choice::default()
            };
            let line = choice.line(|_| 1, known);
            assert_eq!(line, format!("affected: {expected}: nothing changed since main"));
        };
        check(&[], 1, 0, "none of 1 test file");
        check(&[], 2, 0, "none of 2 test files");
        check(&["a"], 1, 0, "the only test file");
        check(&["a"], 1, 1, "the only test file (1 of 1 known test)");
        check(&["a"], 2, 3, "1 of 2 test files (1 of 3 known tests)");
        check(&["a", "b"], 2, 2, "all 2 test files (2 of 2 known tests)");
    }
}
