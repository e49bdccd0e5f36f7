//! Which files have changed: by git, else by the contents that were there when all tests last passed.
//!
//! A renamed file is one that is gone and one that is new. Start at [`by_git`].

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::path::Path;
use std::process::{Command, Stdio};

use naja_system::{Failure, Result};

/// What has changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// Files below the project's root, changed, new or gone; `/` between their parts.
    pub files: Vec<String>,
    /// Files of the same repository that lie outside of the project.
    pub outside: Vec<String>,
    /// Python files that git does not look at: new to naja, or other than when they were last seen.
    pub ignored: Vec<String>,
    /// What the project was compared with, as a phrase after "since".
    pub since: String,
}

/// The changes of the working tree against `HEAD`, or against where it left `since`; `None` where there is no repository.
///
/// Errors: `no-such-commit`, `no-git` where a commit was asked for and there is no repository.
pub fn by_git(root: &Path, since: Option<&str>) -> Result<Option<Changes>> {
    let Some(top) = git(root, &["rev-parse", "--show-toplevel"]) else {
        return match since {
            None => Ok(None),
            Some(since) => Err(Failure::new(
                "no-git",
                format!("`{}` is in no git repository, so there is no `{since}`", root.display()),
            )
            .hint("`--affected` alone compares with the last run in which all tests passed")),
        };
    };
    let base = match since {
        None => git(root, &["rev-parse", "--verify", "--quiet", "HEAD^{commit}"]),
        Some(since) => {
            let no_such = || {
                Failure::new("no-such-commit", format!("git knows no commit `{since}`")).hint(
                    "`git fetch` brings branches of others; a clone with a limited depth lacks old commits",
                )
            };
            let commit = git(root, &["rev-parse", "--verify", "--quiet", &format!("{since}^{{commit}}")]);
            let commit = commit.filter(|_| !since.starts_with('-')).ok_or_else(no_such)?;
            // Histories that have nothing in common: everything that differs counts.
            Some(git(root, &["merge-base", "HEAD", commit.trim()]).unwrap_or(commit))
        }
    };
    // A repository without a commit has only new files.
    let base = base.map(|base| base.trim().to_owned());
    let mut listed = String::new();
    if let Some(base) = &base {
        let compared = [
            "diff",
            "--name-only",
            "--no-renames",
            "--no-ext-diff",
            "--ignore-submodules=none",
            "-z",
            base,
            "--",
        ];
        listed += &git(root, &compared).ok_or_else(|| unreadable(root))?;
    } else {
        listed += &git(root, &["ls-files", "--full-name", "-z"]).ok_or_else(|| unreadable(root))?;
    }
    // Without a folder, `ls-files` looks at the working directory alone.
    let top = top.trim_end_matches('\n');
    let top_path = Path::new(top);
    listed += &git(top_path, &["ls-files", "--others", "--exclude-standard", "-z"])
        .ok_or_else(|| unreadable(root))?;
    let mut changes = Changes {
        since: match (since, &base) {
            (Some(since), _) => since.to_owned(),
            (None, Some(_)) => "the last commit".to_owned(),
            (None, None) => "the empty repository".to_owned(),
        },
        ..Changes::default()
    };
    let real_root = std::fs::canonicalize(root).unwrap_or_else(|_| root.to_path_buf());
    let real_top = std::fs::canonicalize(top_path).unwrap_or_else(|_| top_path.to_path_buf());
    let is_source = |path: &&str| !path.is_empty() && !path.ends_with(".pyc");
    for path in listed.split('\0').filter(is_source) {
        let whole = real_top.join(path);
        match whole.strip_prefix(&real_root) {
            Ok(inside) => changes.files.push(inside.to_string_lossy().into_owned()),
            Err(_) => changes.outside.push(path.to_owned()),
        }
    }
    changes.files.sort_unstable();
    changes.files.dedup();
    Ok(Some(changes))
}

/// Python files below the root that git is told to ignore.
pub fn ignored_by_git(root: &Path) -> Vec<String> {
    let listed = git(root, &["ls-files", "--others", "--ignored", "--exclude-standard", "-z", "--", "*.py"]);
    listed.unwrap_or_default().split('\0').filter(|path| !path.is_empty()).map(str::to_owned).collect()
}

/// What differs between two states of a project: paths with the hashes of their contents.
pub fn between(before: &HashMap<String, i64>, now: &HashMap<String, i64>) -> Vec<String> {
    let changed = now.iter().filter(|(path, hash)| before.get(*path) != Some(hash)).map(|(path, _)| path);
    let gone = before.keys().filter(|path| !now.contains_key(*path));
    let mut files: Vec<String> = changed.chain(gone).cloned().collect();
    files.sort_unstable();
    files
}

/// A number that differs, as good as surely, when a file's contents do; 0 for a file that cannot be read.
pub fn content_hash(path: &Path) -> i64 {
    std::fs::read(path).map_or(0, |bytes| hash_of(&bytes))
}

/// The same, for contents that have been read; never 0.
pub fn hash_of(bytes: &[u8]) -> i64 {
    let mut hasher = std::hash::DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish().cast_signed() | 1
}

fn unreadable(root: &Path) -> Failure {
    Failure::new("no-git", format!("git cannot compare the files in `{}`", root.display()))
        .hint("`git status` says why; without `--affected` all tests run")
}

/// What a command of git prints; `None` where it fails or there is no git.
fn git(folder: &Path, words: &[&str]) -> Option<String> {
    let output = Command::new("git")
        .arg("-C")
        .arg(folder)
        .args(words)
        // Looking must not take the lock that the user's own git may need.
        .env("GIT_OPTIONAL_LOCKS", "0")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}
