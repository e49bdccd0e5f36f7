//! `cargo dev conformance WORD`: the original's own tests, run against naja in its place.
//!
//! Where the original is a program, the tool's own script runs its tests: [`run_program`]. For a package:
//!
//! They run twice on this machine: with the original, which gives the total, and in an environment without it, where
//! its import name is naja's. Everything is compared with `expected.toml`; the score goes into `score.json`.
//! Start at [`run`]; what counts as what is [`score::compare`].

pub(crate) mod environment;
pub(crate) mod original;
pub(crate) mod score;
mod server;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::checkout::Checkout;
use crate::package;
use crate::python;
use crate::step::{self, Outcome, Problem, say};

use environment::{Environment, Places};
use original::{Exception, Original, Source};
use score::{Comparison, Score};
use server::PostgresServer;

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
        let of_original: Vec<Exception> =
            exceptions.iter().filter(|one| one.original == original.name).cloned().collect();
        match run_original(places, request, original, &originals, &of_original)? {
            Some(comparison) => is_as_expected &= comparison.is_as_expected(),
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

/// Runs the tests of one original twice; nothing where its sources are not at hand.
fn run_original(
    places: &Places,
    request: &Request,
    original: &Original,
    all: &[Original],
    exceptions: &[Exception],
) -> Outcome<Option<Comparison>> {
    let Some((sources, origin)) = sources(places, request, original)? else { return Ok(None) };
    let with_original = places.with_original(original, &sources)?;
    let with_naja = places.with_naja(original, all)?;
    let tests = tests_alone(places, original, &sources)?;
    let share = request.is_quick.then_some(original.quick);
    let theirs = run_tests(places, original, &with_original, &tests, share, ORIGINAL)?;
    let ours = run_tests(places, original, &with_naja, &tests, share, "naja")?;
    let comparison = score::compare(&theirs, &ours, exceptions, !request.is_quick);
    let slice = if request.is_quick { " of a fixed slice" } else { "" };
    tell(places, original, &comparison, slice)?;
    if comparison.total == 0 {
        return Err(Problem::new(format!(
            "the original {} passes none of its own tests here",
            original.name
        )));
    }
    if !request.is_quick {
        let score = Score {
            version: original.version.clone(),
            source: origin,
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
        score::write(&places.tool, &original.name, score)?;
    }
    Ok(Some(comparison))
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

/// Runs the tests in an environment, a share of them or all, as often as they are to be run, and reads what became of
/// them.
fn run_tests(
    places: &Places,
    original: &Original,
    environment: &Environment,
    tests: &Path,
    share: Option<f64>,
    side: &str,
) -> Outcome<score::Run> {
    let (servers, variables) = servers(original, share.is_none())?;
    if original.runs.is_empty() {
        return run_once(places, original, environment, tests, share, side, &variables);
    }
    let mut all = score::Run::new();
    for (name, more) in &original.runs {
        if servers.is_empty() && original.servers.contains(name) {
            continue;
        }
        let mut variables = variables.clone();
        variables.extend(more.clone());
        let side = format!("{side}-{name}");
        let run = run_once(places, original, environment, tests, share, &side, &variables)?;
        all.extend(run.into_values().map(|line| {
            let test = format!("{name}: {}", line.test);
            (test.clone(), score::Line { test, ..line })
        }));
    }
    Ok(all)
}

fn run_once(
    places: &Places,
    original: &Original,
    environment: &Environment,
    tests: &Path,
    share: Option<f64>,
    side: &str,
    variables: &BTreeMap<String, String>,
) -> Outcome<score::Run> {
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
        .args([
            "-p",
            "naja_conformance_recorder",
            "--naja-share",
            &share.unwrap_or(1.0).to_string(),
            "--naja-record",
        ])
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

/// The servers that an original's tests need, running as long as they are held, and all variables of the tests.
///
/// Each run has servers of its own, so that nothing of one is found by the next. Where one is not installed, a full run
/// is an error.
fn servers(original: &Original, is_full: bool) -> Outcome<(Vec<PostgresServer>, BTreeMap<String, String>)> {
    let mut running = Vec::new();
    let mut variables = original.environment.clone();
    for name in &original.servers {
        if name != "postgresql" {
            return Err(Problem::new(format!("{}: there is no server `{name}`", original.name)));
        }
        let Some(server) = PostgresServer::start()? else {
            let missing = format!("{}: no server of PostgreSQL is installed", original.name);
            if is_full {
                return Err(Problem::new(missing).hint("Debian's package is `postgresql`"));
            }
            say(&format!("{missing}: its tests with one are not run"));
            variables.extend(original.environment_without_servers.clone());
            return Ok((Vec::new(), variables));
        };
        variables.extend(server.variables().map(|(name, value)| (name.to_owned(), value)));
        running.push(server);
    }
    Ok((running, variables))
}

/// Prints the score, and writes every failure beside the environments.
fn tell(places: &Places, original: &Original, comparison: &Comparison, slice: &str) -> Outcome<()> {
    let Comparison { passed, total, unexpected, stale, .. } = comparison;
    say(&format!(
        "{} {}: {passed} of {total}{slice} pass, {} excepted",
        original.name,
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
