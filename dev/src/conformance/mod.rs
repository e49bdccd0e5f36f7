//! `cargo dev conformance WORD`: the original's own tests, run against naja in its place.
//!
//! Where the original is a program, the tool's own script runs its tests: [`run_program`]. For a package:
//!
//! They run twice on this machine: with the original, which gives the total, and in an environment without it, where
//! its import name is naja's. Everything is compared with `expected.toml`; the score goes into `score.json`.
//! Start at [`run`]; what counts as what is [`score::compare`].

mod database_server;
pub(crate) mod environment;
pub(crate) mod original;
pub(crate) mod score;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::checkout::Checkout;
use crate::package;
use crate::python;
use crate::step::{self, Outcome, Problem, say};

use database_server::DatabaseServer;
use environment::{Environment, Places};
use original::{Exception, On, Original, Source};
use score::{Comparison, Score};

/// The side of a run that gives the total.
const ORIGINAL: &str = "original";

/// Failures that are shown; the file beside the environments has all.
const SHOWN: usize = 40;

/// What is asked for on the command line.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Request {
    /// The tool.
    pub(crate) tool: String,
    /// A fixed slice of the tests, and nothing is written.
    pub(crate) is_quick: bool,
    /// One original alone.
    pub(crate) only: Option<String>,
    /// Checkouts by the name of their original.
    pub(crate) checkouts: BTreeMap<String, PathBuf>,
}

/// Builds naja and runs the tests of a tool's originals.
pub(crate) fn run(checkout: &Checkout, words: &[String]) -> Outcome<()> {
    let request = parse(words).map_err(|message| {
        let words = [original::tools(checkout), original::program_tools(checkout)];
        let tools = words.into_iter().flat_map(Result::unwrap_or_default).collect::<Vec<_>>().join(" | ");
        Problem::new(message).hint(format!(
            "cargo dev conformance {tools} [--quick] [--only ORIGINAL] [--source ORIGINAL=CHECKOUT]"
        ))
    })?;
    package::build(checkout, &[])?;
    if original::program_tools(checkout)?.contains(&request.tool) {
        return run_program(checkout, &request);
    }
    run_request(checkout, &request)
}

/// Runs the tests of a program's own script against the commands of naja, which is already built.
pub(crate) fn run_program(checkout: &Checkout, request: &Request) -> Outcome<()> {
    /// The script ends with this code where the index that has the tests cannot be reached.
    const UNREACHABLE: i32 = 3;
    let script = checkout.at("tools").join(&request.tool).join(original::SCRIPT);
    let mut command = checkout.command(checkout.python());
    command.arg(&script).env("PYTHONDONTWRITEBYTECODE", "1");
    if request.is_quick {
        command.arg("--quick");
    }
    let status = command.status().map_err(|error| Problem::path("start", &script, &error))?;
    match status.code() {
        Some(0) => Ok(()),
        Some(UNREACHABLE) => Err(Problem::new(python::NO_INDEX)),
        _ => Err(Problem::answer_is_no("the tests did not go as expected.toml says")),
    }
}

/// The same with naja already built.
pub(crate) fn run_request(checkout: &Checkout, request: &Request) -> Outcome<()> {
    let ask = "import importlib.util as u; print(u.find_spec('naja').submodule_search_locations[0])";
    let package = step::run_quietly(checkout.command(checkout.python()).args(["-I", "-c", ask]))?;
    let places = Places {
        checkout,
        python: checkout.python(),
        package: PathBuf::from(package.trim()),
        tool: checkout.at("tools").join(&request.tool),
        cache: checkout.at(".cache/conformance").join(&request.tool),
        packages_from: None,
    };
    run_in(&places, request)
}

fn run_in(places: &Places, request: &Request) -> Outcome<()> {
    let originals = original::originals(&places.tool)?.originals;
    let exceptions = original::exceptions(&places.tool)?;
    let is_wanted = |one: &&Original| request.only.as_ref().is_none_or(|name| *name == one.name);
    let mut is_as_expected = true;
    let mut count = 0;
    for original in originals.iter().filter(is_wanted) {
        count += 1;
        match run_original(places, request, original, &originals, &exceptions)? {
            Some(comparisons) => is_as_expected &= comparisons.iter().all(Comparison::is_as_expected),
            None => say(&format!(
                "{}: not run, since only its repository holds the tests; --source {}=CHECKOUT gives one",
                original.name, original.name
            )),
        }
    }
    match (count, is_as_expected) {
        (0, _) => Err(Problem::new("there is no such original")),
        (_, true) => Ok(()),
        (_, false) => Err(Problem::answer_is_no("the tests did not go as expected.toml says")),
    }
}

fn parse(words: &[String]) -> Result<Request, String> {
    let mut request = Request::default();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--quick" => request.is_quick = true,
            "--only" => {
                request.only = Some(words.next().ok_or("--only needs the name of an original")?.clone())
            }
            "--source" => {
                let pair = words.next().and_then(|pair| pair.split_once('='));
                let (name, path) = pair.ok_or("--source needs ORIGINAL=CHECKOUT")?;
                request.checkouts.insert(name.to_owned(), PathBuf::from(path));
            }
            word if word.starts_with('-') => return Err(format!("there is no option `{word}`")),
            word if request.tool.is_empty() => word.clone_into(&mut request.tool),
            word => return Err(format!("one tool at a time, not `{word}` too")),
        }
    }
    if request.tool.is_empty() { Err("which tool?".to_owned()) } else { Ok(request) }
}

/// Runs the tests of one original twice, and twice on each server that it names; nothing where its sources are not at hand.
fn run_original(
    places: &Places,
    request: &Request,
    original: &Original,
    all: &[Original],
    exceptions: &[Exception],
) -> Outcome<Option<Vec<Comparison>>> {
    let Some((sources, origin)) = sources(places, request, original)? else { return Ok(None) };
    let run = Run {
        places,
        original,
        with_original: places.with_original(original, &sources)?,
        with_naja: places.with_naja(original, all)?,
        tests: tests_alone(places, original, &sources)?,
        origin,
        is_quick: request.is_quick,
    };
    let mut comparisons = Vec::new();
    for on in std::iter::once(None).chain(original.on.iter().map(Some)) {
        let label = original.label(on);
        let of_original: Vec<Exception> =
            exceptions.iter().filter(|one| one.original == label).cloned().collect();
        comparisons.extend(run.compare(on, &of_original)?);
    }
    Ok(Some(comparisons))
}

/// What the runs of an original's tests have in common.
struct Run<'a> {
    places: &'a Places<'a>,
    original: &'a Original,
    with_original: Environment,
    with_naja: Environment,
    tests: PathBuf,
    /// What the sources are recorded by.
    origin: String,
    is_quick: bool,
}

impl Run<'_> {
    /// Runs the tests on both sides, and keeps the score of a whole run; nothing where a quick run lacks the server.
    fn compare(&self, on: Option<&On>, exceptions: &[Exception]) -> Outcome<Option<Comparison>> {
        let Run { places, original, .. } = self;
        let label = original.label(on);
        let Some(theirs) = self.tests(on, &self.with_original, ORIGINAL)? else { return Ok(None) };
        let ours = self.tests(on, &self.with_naja, "naja")?.unwrap_or_default();
        let comparison = score::compare(&theirs, &ours, exceptions, !self.is_quick);
        let slice = if self.is_quick { " of a fixed slice" } else { "" };
        tell(places, original, &label, &comparison, slice)?;
        if comparison.total == 0 {
            return Err(Problem::new(format!("the original {label} passes none of its own tests here")));
        }
        if !self.is_quick {
            let score = Score {
                version: original.version.clone(),
                source: self.origin.clone(),
                passed: comparison.passed,
                total: comparison.total,
                excepted: comparison.excepted(),
                verdicts: comparison
                    .excepted
                    .iter()
                    .map(|(one, count)| (one.name().to_owned(), *count))
                    .collect(),
                python: python_version(places)?,
            };
            score::write(&places.tool, &label, score)?;
        }
        Ok(Some(comparison))
    }

    /// Runs the tests on one side, with servers of their own so that nothing of one run is found by the next; nothing where
    /// a server is not installed on which a quick run would be done once more.
    fn tests(&self, on: Option<&On>, environment: &Environment, side: &str) -> Outcome<Option<score::Run>> {
        let original = self.original;
        let mut variables = original.environment.clone();
        let mut running = Vec::new();
        for name in original.servers.iter().chain(on.iter().flat_map(|on| &on.servers)) {
            let Some(server) = DatabaseServer::start(self.places.checkout, name)? else {
                let missing = format!("{}: no server `{name}` is installed", original.label(on));
                if !self.is_quick {
                    return Err(Problem::new(missing).hint("Debian has a package of this name"));
                }
                say(&format!("{missing}: the tests with one are not run"));
                if on.is_some() {
                    return Ok(None);
                }
                variables.extend(original.environment_without_servers.clone());
                running.clear();
                break;
            };
            variables.extend(server.variables());
            running.push(server);
        }
        variables.extend(on.iter().flat_map(|on| on.environment.clone()));
        let places: Vec<(String, String)> = running.iter().flat_map(DatabaseServer::variables).collect();
        for (name, place) in &places {
            variables.values_mut().for_each(|value| *value = value.replace(&format!("{{{name}}}"), place));
        }
        let share = if self.is_quick { original.quick } else { 1.0 };
        let side = on.map_or_else(|| side.to_owned(), |on| format!("{side} on {}", on.name));
        let run = run_tests(self, environment, &variables, share, &side)?;
        // A test may be named after its URL, which has to be the same at every run.
        let without_places = |test: String| {
            places.iter().fold(test, |test, (name, place)| test.replace(place, &format!("{{{name}}}")))
        };
        Ok(Some(run.into_iter().map(|(test, line)| (without_places(test), line)).collect()))
    }
}

fn python_version(places: &Places) -> Outcome<String> {
    let ask = "import platform as p; print(p.python_implementation(), p.python_version())";
    let text = step::run_quietly(places.checkout.command(&places.python).args(["-c", ask]))?;
    Ok(text.trim().to_owned())
}

/// The folder with the original's sources, and what they are recorded by.
fn sources(places: &Places, request: &Request, original: &Original) -> Outcome<Option<(PathBuf, String)>> {
    let folder = places.of(original).join("sources");
    match original.source()? {
        Source::Index(sum) => fetch(places, original, &sum, &folder).map(Some),
        Source::Folder(inside) => {
            Ok(Some((places.tool.join("conformance").join(inside), "made up".to_owned())))
        }
        Source::Commit(commit) => match request.checkouts.get(&original.name) {
            None => Ok(None),
            Some(path) => take_commit(places, path, &commit, &folder).map(Some),
        },
    }
}

/// The pinned sdist from the package index, its checksum tested, unpacked.
fn fetch(places: &Places, original: &Original, sum: &str, folder: &Path) -> Outcome<(PathBuf, String)> {
    let origin = format!("sha256:{sum}");
    let mark = folder.join("made-from");
    let unpacked = || {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).find(|path| path.is_dir())
    };
    if let (true, Some(path)) = (fs::read_to_string(&mark).is_ok_and(|text| text == origin), unpacked()) {
        return Ok((path, origin));
    }
    say(&format!("fetching the sources of {} {}", original.name, original.version));
    let downloads = places.of(original).join("download");
    empty(&downloads)?;
    empty(folder)?;
    let exact = format!("{}=={}", original.name, original.version);
    let mut pip = places.checkout.command(&places.python);
    pip.args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input", "--no-deps"])
        .args(["--no-binary", &original.name, &exact, "--dest"])
        .arg(&downloads);
    step::run_quietly(&mut pip)
        .map_err(|problem| python::without_index(places.checkout, &places.python, problem))?;
    let files: Vec<PathBuf> = fs::read_dir(&downloads)
        .map_err(|error| Problem::path("read", &downloads, &error))?
        .flatten()
        .map(|entry| entry.path())
        .collect();
    let [archive] = files.as_slice() else {
        return Err(Problem::new(format!("the package index gave {} files for {exact}", files.len())));
    };
    let ask = "import hashlib, sys; print(hashlib.sha256(open(sys.argv[1], 'rb').read()).hexdigest())";
    let found = step::run_quietly(places.checkout.command(&places.python).args(["-c", ask]).arg(archive))?;
    if found.trim() != sum {
        return Err(Problem::new(format!("{exact} has the checksum {}, not {sum}", found.trim())));
    }
    let unpack = "import shutil, sys; shutil.unpack_archive(sys.argv[1], sys.argv[2])";
    step::run_quietly(
        places.checkout.command(&places.python).args(["-W", "ignore", "-c", unpack]).arg(archive).arg(folder),
    )?;
    let path = unpacked()
        .ok_or_else(|| Problem::new(format!("the sources of {exact} have no folder of their own")))?;
    step::write(&mark, &origin)?;
    Ok((path, origin))
}

/// The files of a checkout as they are at a commit, whatever its work tree holds.
fn take_commit(places: &Places, path: &Path, commit: &str, folder: &Path) -> Outcome<(PathBuf, String)> {
    empty(folder)?;
    let archive = folder.with_extension("tar");
    let mut git = places.checkout.command("git");
    git.arg("-C").arg(path).args(["archive", "--format=tar", "-o"]).arg(&archive).arg(commit);
    step::run_quietly(&mut git).map_err(|problem| {
        problem.hint(format!("is `{}` a checkout that has this commit?", path.display()))
    })?;
    let unpack = "import shutil, sys; shutil.unpack_archive(sys.argv[1], sys.argv[2])";
    step::run_quietly(
        places
            .checkout
            .command(&places.python)
            .args(["-W", "ignore", "-c", unpack])
            .arg(&archive)
            .arg(folder),
    )?;
    Ok((folder.to_path_buf(), format!("commit:{commit}")))
}

/// A copy of the sources without the original's own package, which pytest would else find beside the tests.
fn tests_alone(places: &Places, original: &Original, sources: &Path) -> Outcome<PathBuf> {
    let folder = places.of(original).join("tests");
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(|error| Problem::path("remove", &folder, &error))?;
    }
    let copy = "import shutil, sys; shutil.copytree(sys.argv[1], sys.argv[2], symlinks=True, \
                ignore=shutil.ignore_patterns('.git', '__pycache__'))";
    step::run_quietly(places.checkout.command(&places.python).args(["-c", copy]).arg(sources).arg(&folder))?;
    for place in ["", "src", "lib"] {
        let package = folder.join(place).join(&original.import);
        let module = folder.join(place).join(format!("{}.py", original.import));
        if package.is_dir() {
            fs::remove_dir_all(&package).map_err(|error| Problem::path("remove", &package, &error))?;
        }
        if module.is_file() {
            fs::remove_file(&module).map_err(|error| Problem::path("remove", &module, &error))?;
        }
    }
    Ok(folder)
}

/// Runs a share of the tests in an environment, and reads what became of them.
fn run_tests(
    run: &Run<'_>,
    environment: &Environment,
    variables: &BTreeMap<String, String>,
    share: f64,
    side: &str,
) -> Outcome<score::Run> {
    let Run { places, original, tests, .. } = run;
    say(&format!("running the tests of {} {} ({side})", original.name, original.version));
    let folder = places.of(original);
    let record = folder.join(format!("{side}.jsonl"));
    let output = folder.join(format!("{side}.txt"));
    if record.is_file() {
        fs::remove_file(&record).map_err(|error| Problem::path("remove", &record, &error))?;
    }
    let mut pytest = places.checkout.command(&environment.python);
    pytest
        .args([
            "-m",
            "pytest",
            "-q",
            "--tb=short",
            "-p",
            "no:cacheprovider",
            "--continue-on-collection-errors",
        ])
        .args(["-p", "naja_conformance_recorder", "--naja-share", &share.to_string(), "--naja-record"])
        .arg(&record)
        // Else the names of tests would depend on which files lie in the folders above.
        .arg("--rootdir")
        .arg(tests)
        .args(&original.tests)
        .current_dir(tests)
        .env_remove("PYTHONPATH")
        .env_remove("NAJA_SWAP")
        .envs(variables)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(std::process::Stdio::null());
    let done = pytest.output().map_err(|error| Problem::path("start", &environment.python, &error))?;
    let text = [done.stdout, done.stderr].concat();
    step::write(&output, &String::from_utf8_lossy(&text))?;
    // 0: all passed, 1: some failed, 2: a file could not be read. All else says that pytest itself did not get to its
    // end; naja may be why (a conftest.py that imports what it lacks, a crash), the original may not.
    let has_ended = matches!(done.status.code(), Some(0..=2));
    if !has_ended {
        let problem = Problem::new(format!("pytest ended with {} ({side})", done.status))
            .hint(format!("`{}` has its output", output.display()));
        if side.starts_with(ORIGINAL) {
            return Err(problem);
        }
        say(&format!("{}; {}", problem.message, problem.hint.unwrap_or_default()));
    }
    if record.is_file() { score::read_run(&record) } else { Ok(score::Run::new()) }
}

/// Prints the score, and writes every failure beside the environments.
fn tell(
    places: &Places,
    original: &Original,
    label: &str,
    comparison: &Comparison,
    slice: &str,
) -> Outcome<()> {
    let Comparison { passed, total, unexpected, stale, .. } = comparison;
    say(&format!(
        "{label} {}: {passed} of {total}{slice} pass, {} excepted",
        original.version,
        comparison.excepted()
    ));
    let failures = unexpected.iter().map(|(test, message)| {
        let message = message.split_whitespace().collect::<Vec<_>>().join(" ");
        format!("{test}: {message}")
    });
    let others = stale.iter().map(|(test, why)| format!("expected.toml: {test}: {why}"));
    let lines: Vec<String> = failures.chain(others).collect();
    let file = places.of(original).join("failures.txt");
    step::write(&file, &(lines.join("\n") + "\n"))?;
    for line in lines.iter().take(SHOWN) {
        let short: String = line.chars().take(240).collect();
        eprintln!("  {short}");
    }
    if lines.len() > SHOWN {
        eprintln!("  … and {} more, in {}", lines.len() - SHOWN, file.display());
    }
    Ok(())
}

/// Makes an empty folder.
fn empty(folder: &Path) -> Outcome<()> {
    let gone = if folder.exists() { fs::remove_dir_all(folder) } else { Ok(()) };
    gone.and_then(|()| fs::create_dir_all(folder)).map_err(|error| Problem::path("empty", folder, &error))
}
