//! What two runs of the same tests come to: the score, and what does not agree with `expected.toml`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::original::{Exception, Verdict};
use crate::step::{self, Outcome, Problem};

/// What became of a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Ending {
    Passed,
    Failed,
    Skipped,
    /// It failed as its author expects.
    Xfailed,
    /// It passed although its author expects otherwise, and that is allowed.
    Xpassed,
    /// Its file could not be read by pytest.
    Error,
}

/// One line of the recorder.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Line {
    pub(crate) test: String,
    pub(crate) outcome: Ending,
    #[serde(default)]
    pub(crate) message: String,
}

/// What became of every test, by pytest's name for it.
pub(crate) type Run = BTreeMap<String, Line>;

/// Reads the recorder's file.
pub(crate) fn read_run(path: &Path) -> Outcome<Run> {
    let text = step::read(path)?;
    text.lines()
        .map(|line| {
            let line: Line = serde_json::from_str(line)
                .map_err(|error| Problem::new(format!("`{}`: {error}", path.display())))?;
            Ok((line.test.clone(), line))
        })
        .collect()
}

/// How naja's run compares with the original's.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Comparison {
    /// Tests that the original passes here: the total.
    pub(crate) total: usize,
    /// Those of them that naja passes.
    pub(crate) passed: usize,
    /// Those of them that naja fails as listed, by verdict.
    pub(crate) excepted: BTreeMap<Verdict, usize>,
    /// Those of them that naja fails unlisted, and bugs of the original that naja lacks unlisted: name, message.
    pub(crate) unexpected: Vec<(String, String)>,
    /// Exceptions that are none: which, why.
    pub(crate) stale: Vec<(String, &'static str)>,
}

/// Compares the two runs. `is_whole` is false when a slice of the tests was run: an exception may then concern none.
pub(crate) fn compare(original: &Run, naja: &Run, exceptions: &[Exception], is_whole: bool) -> Comparison {
    let mut comparison = Comparison::default();
    let mut is_used = vec![false; exceptions.len()];
    for (id, theirs) in original {
        let ours = naja.get(id);
        let result = ours.map_or(Ending::Error, |line| line.outcome);
        let listed = exceptions.iter().position(|one| one.is_about(id));
        let verdict = listed.map(|at| exceptions[at].verdict);
        if let Some(at) = listed {
            is_used[at] = true;
        }
        let message = || ours.map_or_else(|| "was not run".to_owned(), |line| line.message.clone());
        let mut stale = |why| comparison.stale.push((id.clone(), why));
        match (theirs.outcome, result, verdict) {
            (Ending::Passed, _, Some(Verdict::UpstreamXfail)) => stale("the original passes it"),
            (Ending::Passed, Ending::Passed, Some(_)) => stale("it passes: take it off the list"),
            (Ending::Passed, _, _) => {}
            (Ending::Xfailed, Ending::Failed | Ending::Xpassed, Some(Verdict::UpstreamXfail)) => {}
            (Ending::Xfailed, Ending::Failed | Ending::Xpassed, _) => {
                let text =
                    "a bug that the original is known to have, and naja has not: list it as upstream-xfail";
                comparison.unexpected.push((id.clone(), text.to_owned()));
            }
            (_, _, Some(_)) => stale("the original does not pass it either"),
            _ => {}
        }
        if theirs.outcome == Ending::Passed {
            comparison.total += 1;
            match (result, verdict) {
                (Ending::Passed, _) => comparison.passed += 1,
                (_, Some(verdict)) => *comparison.excepted.entry(verdict).or_default() += 1,
                (_, None) => comparison.unexpected.push((id.clone(), message())),
            }
        }
    }
    for (line, _) in naja.values().filter(|line| line.outcome == Ending::Error).map(|line| (line, ())) {
        comparison.unexpected.push((line.test.clone(), line.message.clone()));
    }
    if is_whole {
        let unused = exceptions.iter().zip(&is_used).filter(|(_, is_used)| !**is_used);
        comparison.stale.extend(unused.map(|(one, _)| (one.test.clone(), "there is no such test")));
    }
    comparison
}

impl Comparison {
    /// Tests that count and fail as listed.
    pub(crate) fn excepted(&self) -> usize {
        self.excepted.values().sum()
    }

    /// Whether everything is as the list says.
    pub(crate) fn is_as_expected(&self) -> bool {
        self.unexpected.is_empty() && self.stale.is_empty()
    }
}

/// `score.json`: what the last whole runs gave.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Scores {
    /// One for each original, by its name.
    pub(crate) scores: BTreeMap<String, Score>,
}

/// The score of one drop-in: "python-dateutil 4.0.0: 5,059 of 5,059 pass, 0 excepted".
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Score {
    /// The original's version.
    pub(crate) version: String,
    /// Where its tests came from: `sha256:…` of the sdist, or `commit:…`.
    pub(crate) source: String,
    /// Tests that naja passes, of `total`.
    pub(crate) passed: usize,
    /// Tests that the original passes on the same machine.
    pub(crate) total: usize,
    /// Tests among `total` that fail as listed, with reasons.
    pub(crate) excepted: usize,
    /// The same by verdict.
    pub(crate) verdicts: BTreeMap<String, usize>,
    /// The interpreter that both ran on.
    pub(crate) python: String,
}

/// Where a tool's scores stand.
pub(crate) fn place(tool: &Path) -> PathBuf {
    tool.join("conformance/score.json")
}

/// The scores of a tool; none where nothing was measured yet.
pub(crate) fn read(tool: &Path) -> Outcome<Scores> {
    let path = place(tool);
    if !path.is_file() {
        return Ok(Scores::default());
    }
    serde_json::from_str(&step::read(&path)?)
        .map_err(|error| Problem::new(format!("`{}` cannot be understood: {error}", path.display())))
}

/// Replaces one score of a tool.
pub(crate) fn write(tool: &Path, name: &str, score: Score) -> Outcome<()> {
    let mut scores = read(tool)?;
    scores.scores.insert(name.to_owned(), score);
    let text = serde_json::to_string_pretty(&scores).expect("scores are plain data");
    step::write(&place(tool), &format!("{text}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(lines: &[(&str, Ending)]) -> Run {
        let line = |(test, outcome): &(&str, Ending)| {
            let line = Line { test: (*test).to_owned(), outcome: *outcome, message: "no".to_owned() };
            (line.test.clone(), line)
        };
        lines.iter().map(line).collect()
    }

    fn exception(test: &str, verdict: Verdict) -> Exception {
        Exception { original: "x".into(), test: test.into(), verdict, reason: "because".into() }
    }

    #[test]
    fn the_total_is_what_the_original_passes() {
        use Ending::{Failed, Passed, Skipped, Xfailed};
        let original = run(&[("a", Passed), ("b", Failed), ("c", Skipped), ("d", Xfailed), ("e", Passed)]);
        let naja = run(&[("a", Passed), ("b", Failed), ("c", Passed), ("d", Xfailed), ("e", Failed)]);
        let comparison = compare(&original, &naja, &[], true);
        assert_eq!((comparison.passed, comparison.total, comparison.excepted()), (1, 2, 0));
        assert_eq!(comparison.unexpected, [("e".to_owned(), "no".to_owned())]);
        let comparison = compare(&original, &naja, &[exception("e", Verdict::WhiteBox)], true);
        assert_eq!((comparison.passed, comparison.total, comparison.excepted()), (1, 2, 1));
        assert!(comparison.is_as_expected());
    }

    #[test]
    fn an_exception_that_passes_is_a_failure() {
        let both = run(&[("t.py::a[1]", Ending::Passed), ("t.py::a[2]", Ending::Passed)]);
        let mut naja = both.clone();
        naja.insert(
            "t.py::a[1]".into(),
            Line { test: "t.py::a[1]".into(), outcome: Ending::Failed, message: String::new() },
        );
        let comparison = compare(&both, &naja, &[exception("t.py::a", Verdict::Differs)], true);
        assert_eq!(comparison.stale, [("t.py::a[2]".to_owned(), "it passes: take it off the list")]);
        assert!(compare(&both, &naja, &[exception("t.py::a[1]", Verdict::Differs)], true).is_as_expected());
    }

    #[test]
    fn an_exception_for_no_test_is_a_failure_only_where_all_tests_ran() {
        let both = run(&[("t.py::a", Ending::Passed)]);
        let list = [exception("t.py::b", Verdict::Differs)];
        assert!(!compare(&both, &both, &list, true).is_as_expected());
        assert!(compare(&both, &both, &list, false).is_as_expected());
    }

    #[test]
    fn a_test_that_naja_did_not_run_has_failed() {
        let original = run(&[("a", Ending::Passed)]);
        assert_eq!(compare(&original, &Run::new(), &[], true).unexpected.len(), 1);
    }

    #[test]
    fn a_bug_that_only_the_original_has_is_listed_outside_of_the_total() {
        let original = run(&[("a", Ending::Xfailed)]);
        let fixed = run(&[("a", Ending::Failed)]);
        let list = [exception("a", Verdict::UpstreamXfail)];
        assert!(!compare(&original, &fixed, &[], true).is_as_expected());
        let comparison = compare(&original, &fixed, &list, true);
        assert!(comparison.is_as_expected());
        assert_eq!((comparison.total, comparison.excepted()), (0, 0));
        assert!(!compare(&original, &original, &list, true).is_as_expected(), "it fails as in the original");
    }
}
