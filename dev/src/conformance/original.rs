//! What `tools/WORD/conformance/original.toml` and `expected.toml` say.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::checkout::Checkout;
use crate::step::{self, Outcome, Problem};

/// The originals of one tool.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Originals {
    /// For [`budget_minutes`].
    #[serde(rename = "budget-minutes")]
    _budget_minutes: f64,
    #[serde(rename = "original")]
    pub(crate) originals: Vec<Original>,
}

/// A package that a drop-in replaces, and how its own tests are run.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Original {
    /// Its name on the package index.
    pub(crate) name: String,
    /// The version that is replaced and whose tests are run.
    pub(crate) version: String,
    /// The name it is imported by; naja's is the same below `naja.`.
    pub(crate) import: String,
    /// The checksum of its sdist, where the package index serves the tests.
    pub(crate) sha256: Option<String>,
    /// The commit of its repository, where only that holds the tests: a checkout is given with `--source`.
    pub(crate) commit: Option<String>,
    /// With a commit: the original itself is the package index's, since building it needs libraries of the system's.
    #[serde(default)]
    pub(crate) built: bool,
    /// A folder beside this file, for an original that was made up.
    pub(crate) folder: Option<PathBuf>,
    /// What pytest is given, from the root of the original's sources.
    #[serde(default)]
    pub(crate) tests: Vec<String>,
    /// What the tests need beside the original, each pinned.
    #[serde(default)]
    pub(crate) requirements: Vec<String>,
    /// What the original needs besides, each pinned: for one that works with no current version of it.
    #[serde(default)]
    pub(crate) original_requirements: Vec<String>,
    /// What the tests need besides where naja stands for the original, each pinned.
    #[serde(default)]
    pub(crate) naja_requirements: Vec<String>,
    /// Variables that the tests read, as the URL of a database; both sides get the same.
    #[serde(default)]
    pub(crate) environment: BTreeMap<String, String>,
    /// Where the same tests are run once more.
    #[serde(default)]
    pub(crate) on: Vec<On>,
    /// Servers that the tests need, started for each run of them: `postgresql`, `mariadb`. Where they listen, the
    /// variables say that their clients read, so that the tests' URLs are the same at every run.
    #[serde(default)]
    pub(crate) servers: Vec<String>,
    /// Variables instead of those of `environment`, for a machine without these servers. Only a quick run goes on
    /// without them: the full one writes the score.
    #[serde(default)]
    pub(crate) environment_without_servers: BTreeMap<String, String>,
    /// The share of the tests that the quick run takes.
    #[serde(default = "whole")]
    pub(crate) quick: f64,
    /// By module: functions and constants that may come from the installed original where naja lacks them.
    #[serde(default)]
    pub(crate) safe_names: BTreeMap<String, Vec<String>>,
}

/// Servers with which the tests of an original are run once more.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct On {
    /// What this is called in scores and exceptions: `dataset on PostgreSQL`.
    pub(crate) name: String,
    /// As those of the original.
    pub(crate) servers: Vec<String>,
    /// Variables beside those of the original, or in their place. `{MYSQL_UNIX_PORT}` in one stands for what that variable of
    /// a server says, for clients that do not read it.
    pub(crate) environment: BTreeMap<String, String>,
}

fn whole() -> f64 {
    1.0
}

/// Where an original's sources and tests come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// The package index, with this checksum.
    Index(String),
    /// A checkout, at this commit.
    Commit(String),
    /// A folder of this repository.
    Folder(PathBuf),
}

impl Original {
    /// Where its sources come from.
    pub(crate) fn source(&self) -> Outcome<Source> {
        match (&self.sha256, &self.commit, &self.folder) {
            (Some(sum), None, None) => Ok(Source::Index(sum.clone())),
            (None, Some(commit), None) => Ok(Source::Commit(commit.clone())),
            (None, None, Some(folder)) => Ok(Source::Folder(folder.clone())),
            _ => {
                Err(Problem::new(format!("{}: one of `sha256`, `commit` and `folder` is needed", self.name)))
            }
        }
    }

    /// What its scores and exceptions are called, on a server or without one.
    pub(crate) fn label(&self, on: Option<&On>) -> String {
        on.map_or_else(|| self.name.clone(), |on| format!("{} on {}", self.name, on.name))
    }

    /// Its name as package indexes and `dist-info` folders spell it.
    pub(crate) fn normal_name(&self) -> String {
        self.name.to_lowercase().replace(['-', '.'], "_")
    }
}

/// A test that the original passes and naja does not, or the other way round.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Exception {
    /// The name of the original; on a server, `NAME on SERVER`.
    pub(crate) original: String,
    /// The test as pytest names it; without its last parts it stands for all tests in it.
    pub(crate) test: String,
    /// Why it counts as it does.
    pub(crate) verdict: Verdict,
    /// The reason, as a sentence.
    pub(crate) reason: String,
}

impl Exception {
    /// Whether it stands for this test.
    pub(crate) fn is_about(&self, id: &str) -> bool {
        id.strip_prefix(&self.test)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('[') || rest.starts_with("::"))
    }
}

/// The kinds of exceptions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Verdict {
    /// naja answers differently on purpose, or does not yet do this.
    Differs,
    /// The test reads what is private to the original.
    WhiteBox,
    /// The test cannot pass where the original is not installed, or on this machine.
    Environment,
    /// A known bug of the original, marked as such in its tests, that naja does not have. Outside of the total.
    UpstreamXfail,
}

impl Verdict {
    /// As it is written in files.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Verdict::Differs => "differs",
            Verdict::WhiteBox => "white-box",
            Verdict::Environment => "environment",
            Verdict::UpstreamXfail => "upstream-xfail",
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    #[serde(default)]
    exception: Vec<Exception>,
}

/// The originals of the tool in this folder.
pub(crate) fn originals(tool: &Path) -> Outcome<Originals> {
    let originals: Originals = parse(&tool.join("conformance/original.toml"))?;
    let bad = originals.originals.iter().find(|one| !(one.quick > 0.0 && one.quick <= 1.0));
    match bad {
        Some(one) => Err(Problem::new(format!("{}: `quick` is a share, above 0 and up to 1", one.name))),
        None => Ok(originals),
    }
}

/// The exceptions of the tool in this folder; none where it has no `expected.toml`.
pub(crate) fn exceptions(tool: &Path) -> Outcome<Vec<Exception>> {
    let path = tool.join("conformance/expected.toml");
    if !path.is_file() {
        return Ok(Vec::new());
    }
    let exceptions = parse::<Expected>(&path)?.exception;
    match exceptions.iter().find(|one| one.reason.trim().is_empty()) {
        Some(one) => Err(Problem::new(format!("{}: `{}` lacks its reason", path.display(), one.test))),
        None => Ok(exceptions),
    }
}

fn parse<T: serde::de::DeserializeOwned>(path: &Path) -> Outcome<T> {
    toml::from_str(&step::read(path)?)
        .map_err(|error| Problem::new(format!("`{}` cannot be understood: {error}", path.display())))
}

/// What runs the tests of an original that is a program: beside the tool's `original.toml`, which is this script's own.
pub(crate) const SCRIPT: &str = "conformance/run.py";

/// The tools that have a drop-in, by their word, sorted.
pub(crate) fn tools(checkout: &Checkout) -> Outcome<Vec<String>> {
    let all = measured_tools(checkout)?;
    Ok(all.into_iter().filter(|tool| !has_script(checkout, tool)).collect())
}

/// The tools whose originals are programs, which naja's commands replace, by their word, sorted.
pub(crate) fn program_tools(checkout: &Checkout) -> Outcome<Vec<String>> {
    let all = measured_tools(checkout)?;
    Ok(all.into_iter().filter(|tool| has_script(checkout, tool)).collect())
}

fn has_script(checkout: &Checkout, tool: &str) -> bool {
    checkout.at("tools").join(tool).join(SCRIPT).is_file()
}

/// What the quick run of a tool in `make test` may take, minutes.
pub(crate) fn budget_minutes(tool: &Path) -> Outcome<f64> {
    #[derive(Deserialize)]
    #[serde(rename_all = "kebab-case")]
    struct Budget {
        budget_minutes: f64,
    }
    Ok(parse::<Budget>(&tool.join("conformance/original.toml"))?.budget_minutes)
}

fn measured_tools(checkout: &Checkout) -> Outcome<Vec<String>> {
    let folder = checkout.at("tools");
    let entries = std::fs::read_dir(&folder).map_err(|error| Problem::path("read", &folder, &error))?;
    let mut words: Vec<String> = entries
        .flatten()
        .filter(|entry| entry.path().join("conformance/original.toml").is_file())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    words.sort();
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_s_original_is_no_drop_in() {
        let checkout = Checkout::find().expect("tests run in the checkout");
        let (dropins, programs) = (tools(&checkout), program_tools(&checkout));
        let (dropins, programs) = (dropins.expect("they are there"), programs.expect("they are there"));
        assert!(dropins.contains(&"dates".to_owned()) && !dropins.contains(&"profile".to_owned()));
        assert_eq!(programs, ["profile", "test"]);
        let budget = budget_minutes(&checkout.at("tools/profile")).expect("it has one");
        assert!(budget > 0.0);
    }
}
