//! `naja test --affected`: which tests run, said in one line.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::Path;

use naja_system::Result;

use crate::affected::changes::{self, Changes};
use crate::affected::project::{Texts, walk};
use crate::affected::seen::Seen;
use crate::affected::sight::Sight;
use crate::affected::{Choice, choose};
use crate::command::TestArguments;
use crate::history::History;
use crate::progress::Progress;

/// pytest's exit code for a run without tests.
pub(crate) const NO_TESTS: u8 = 5;

/// Options of pytest that leave no test out, and whether a value follows as a word of its own.
const KEEP_ALL: &[(&str, bool)] = &[
    ("-v", false),
    ("-q", false),
    ("-r", false),
    ("-n", true),
    ("-p", true),
    ("--verbose", false),
    ("--quiet", false),
    ("--numprocesses", false),
    ("--dist=", false),
    ("--tb=", false),
    ("--color=", false),
    ("--durations=", false),
    ("--junitxml=", false),
    ("--maxprocesses=", false),
];

/// What `--affected` and `--since` choose; `None` without them. Says so on standard error.
///
/// Errors: `no-git`, `no-such-commit`, `no-test-history`.
pub(crate) fn choice(
    options: &TestArguments,
    project: &Path,
    history: Option<&History>,
) -> Result<Option<Choice>> {
    if !options.affected && options.since.is_none() {
        return Ok(None);
    }
    let seen = history.map(History::seen).transpose()?.unwrap_or_default();
    let mut everything = None;
    let changes = match changes::by_git(project, options.since.as_deref())? {
        Some(mut changes) => {
            changes.ignored = ignored(project, &seen);
            changes
        }
        None => {
            let green = history.map(History::green).transpose()?.unwrap_or_default();
            if green.is_empty() {
                everything =
                    Some("there is no git repository, and no run is known in which all tests passed");
            }
            let files = changes::between(&green, &contents(project));
            Changes { files, since: "all tests last passed".to_owned(), ..Changes::default() }
        }
    };
    let mut choice = choose(project, &changes, &seen, &mut Texts::default());
    if let Some(reason) = everything {
        choice.everything = Some(reason.to_owned());
        choice.left_out.clear();
    }
    let durations = history.map(History::durations).transpose()?.unwrap_or_default();
    tell(&choice, &durations, is_verbose(&options.pytest));
    Ok(Some(choice))
}

/// Whether the words for pytest ask for more words.
pub(crate) fn is_verbose(words: &[OsString]) -> bool {
    words.iter().any(|word| word == "--verbose" || word.to_string_lossy().starts_with("-v"))
}

#[expect(clippy::print_stderr, reason = "a command says what it has chosen")]
pub(crate) fn tell(choice: &Choice, durations: &HashMap<String, f64>, is_verbose: bool) {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for test in durations.keys() {
        *counts.entry(test.split("::").next().unwrap_or_default()).or_default() += 1;
    }
    eprintln!("{}", choice.line(|file| counts.get(file).copied().unwrap_or(0), durations.len()));
    if is_verbose && choice.everything.is_none() {
        for (file, reason) in &choice.chosen {
            eprintln!("  {file}: {reason}");
        }
    }
}

/// A choice as pytest's side reads it.
pub(crate) fn order(choice: &Choice, project: &Path) -> serde_json::Value {
    let real = std::fs::canonicalize(project).unwrap_or_else(|_| project.to_path_buf());
    serde_json::json!({ "left_out": whole(&choice.left_out, &real) })
}

/// The whole, real paths of files below a folder.
pub(crate) fn whole(files: &[String], folder: &Path) -> Vec<String> {
    let of_file = |path: &String| {
        let path = folder.join(path);
        std::fs::canonicalize(&path).unwrap_or(path).to_string_lossy().into_owned()
    };
    files.iter().map(of_file).collect()
}

/// The exit code of a run: that there was no test is no failure where the others were left out on purpose.
pub(crate) fn exit_code(code: u8, choice: Option<&Choice>) -> u8 {
    match choice {
        Some(choice) if code == NO_TESTS && !choice.left_out.is_empty() => 0,
        _ => code,
    }
}

/// Keeps what the run has shown for the next choice.
pub(crate) fn keep(
    history: &mut History,
    options: &TestArguments,
    progress: &Progress,
    sight: &mut Sight,
    project: &Path,
    code: u8,
) -> Result<()> {
    let is_whole = runs_all(&options.pytest);
    sight.end(progress, is_whole);
    history.keep_seen(sight)?;
    // Where git tells what has changed, nothing else has to.
    if is_whole && code == 0 && options.since.is_none() && changes::by_git(project, None)?.is_none() {
        history.keep_green(&contents(project))?;
    }
    Ok(())
}

/// Whether these words for pytest leave no test out.
fn runs_all(words: &[OsString]) -> bool {
    let mut words = words.iter().map(|word| word.to_string_lossy());
    while let Some(word) = words.next() {
        let Some((name, takes_word)) = KEEP_ALL.iter().find(|(name, _)| word.starts_with(name)) else {
            return false;
        };
        if *takes_word && word == *name {
            words.next();
        }
    }
    true
}

/// The Python files that git is told to ignore, and that are not as they were when they were last loaded.
fn ignored(project: &Path, seen: &Seen) -> Vec<String> {
    let known: HashMap<&String, &i64> =
        seen.files.values().flat_map(|record| record.contents.iter()).collect();
    let mut files = changes::ignored_by_git(project);
    files.retain(|path| {
        let is_source = Path::new(path).ancestors().skip(1).all(|folder| {
            folder.as_os_str().is_empty() || crate::affected::project::is_source_folder(&project.join(folder))
        });
        is_source && known.get(path) != Some(&&changes::content_hash(&project.join(path)))
    });
    files
}

/// The hashes of all files of the project.
fn contents(project: &Path) -> HashMap<String, i64> {
    let mut contents = HashMap::new();
    walk(project, &mut |path, _| {
        if let Some(name) = path.strip_prefix(project).ok().and_then(Path::to_str) {
            contents.insert(name.to_owned(), changes::content_hash(path));
        }
    });
    contents
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_options_that_are_known_to_leave_nothing_out_count_as_all() {
        let check = |words: &[&str]| runs_all(&words.iter().map(OsString::from).collect::<Vec<_>>());
        assert!(check(&[]) && check(&["-q", "-n", "4", "--tb=short", "-n2"]));
        for words in [&["tests"][..], &["-k", "a"], &["-x"], &["-n", "2", "a"], &["--lf"], &["--deselect=a"]]
        {
            assert!(!check(words), "{words:?}");
        }
    }
}
