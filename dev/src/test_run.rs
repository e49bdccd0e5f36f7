//! `make test`: every test, one after the other, and a table of what each part took.

use std::fs;
use std::time::{Duration, Instant};

use crate::checkout::Checkout;
use crate::conformance::original::{self, Source};
use crate::conformance::{self, Request};
use crate::step::{self, Outcome, Problem, say};
use crate::{check, other_platform, package, packages, python};

/// The variable that names the file where tests note what they could not look at (see `naja_testkit::not_tested`).
const NOT_TESTED: &str = "NAJA_NOT_TESTED";

/// One part of the run, as the table at its end shows it.
struct Part {
    name: String,
    took: Duration,
    /// What it may take, minutes, where that is written down.
    budget_minutes: Option<f64>,
    passed: bool,
}

/// Runs every part even where one has failed, except that nothing is tested which cannot be built.
pub(crate) fn run(checkout: &Checkout, _: &[String]) -> Outcome<()> {
    let notes = checkout.at("target/not-tested.txt");
    step::write(&notes, "")?;
    let mut missing = packages::install_missing(checkout)?;
    let mut parts = Vec::new();
    let built = part(&mut parts, "build", || {
        python::environment(checkout)?;
        package::build(checkout, &[])
    });
    part(&mut parts, "format", || {
        say("looking at the format of the sources: cargo fmt --check");
        step::run(&mut checkout.cargo(&["fmt", "--all", "--check"]))
            .map_err(|problem| problem.hint("`cargo fmt` puts it right"))
    });
    if built {
        part(&mut parts, "check", || check::run(checkout, &[]));
        part(&mut parts, "lints", || {
            say("looking for lints: cargo clippy");
            let arguments = [
                "clippy",
                "--locked",
                "--quiet",
                "--release",
                "--workspace",
                "--all-targets",
                "--keep-going",
                "--",
                "-D",
                "warnings",
            ];
            step::run(&mut checkout.cargo(&arguments))
        });
        part(&mut parts, "aarch64", || {
            let compiled = other_platform::check_aarch64(checkout)?;
            if !compiled {
                missing.push("compiling for aarch64: its standard library is not installed".to_owned());
            }
            Ok(())
        });
        part(&mut parts, "rust tests", || rust_tests(checkout));
        part(&mut parts, "doc tests", || {
            say("running the examples in the documentation");
            step::run(checkout.cargo(&["test", "--locked", "--quiet", "--doc"]).args(Checkout::TOGETHER))
        });
        part(&mut parts, "dev tests", || {
            say("running the tests of cargo dev");
            step::run(&mut checkout.cargo(&[
                "test",
                "--locked",
                "--quiet",
                "--release",
                "--package",
                "naja-dev",
            ]))
        });
        part(&mut parts, "python tests", || {
            say("running the Python tests");
            step::run(checkout.command(checkout.python()).args(["-m", "pytest", "-q", "python/tests"]))
        });
        conformance(checkout, &mut parts, &mut missing);
    }
    report(&parts, &not_tested(&missing, &fs::read_to_string(&notes).unwrap_or_default()));
    match parts.iter().find(|part| !part.passed) {
        None => Ok(()),
        Some(part) => Err(Problem::answer_is_no(format!("failed: {}", part.name))),
    }
}

/// A fixed slice of every original's own tests, each tool within its budget.
fn conformance(checkout: &Checkout, parts: &mut Vec<Part>, missing: &mut Vec<String>) {
    let programs = original::program_tools(checkout).unwrap_or_default();
    let packages = original::tools(checkout).unwrap_or_default();
    for tool in packages.iter().chain(&programs) {
        let request = Request { tool: tool.clone(), is_quick: true, ..Request::default() };
        let start = Instant::now();
        let is_program = programs.contains(tool);
        let outcome = if is_program {
            conformance::run_program(checkout, &request)
        } else {
            conformance::run_request(checkout, &request)
        };
        if let Err(problem) = &outcome
            && problem.message == python::NO_INDEX
        {
            missing.push(format!("the originals' own tests of {tool}: {}", python::NO_INDEX));
            continue;
        }
        note(parts, &format!("tests of {tool}"), start, outcome);
        let folder = checkout.at("tools").join(tool);
        if let (Some(part), Ok(budget)) = (parts.last_mut(), original::budget_minutes(&folder)) {
            part.budget_minutes = Some(budget);
        }
        if let (false, Ok(originals)) = (is_program, original::originals(&folder)) {
            let without =
                originals.originals.iter().filter(|one| matches!(one.source(), Ok(Source::Commit(_))));
            for one in without {
                missing.push(format!("{}'s own tests: only its repository holds them", one.name));
            }
        }
    }
}

/// The programs under test are started from `.venv`, so that a test sees what a user has.
fn rust_tests(checkout: &Checkout) -> Outcome<()> {
    let nextest = step::succeeds(&mut checkout.cargo(&["nextest", "--version"]));
    let arguments: &[&str] = if nextest {
        say("running the Rust tests: cargo nextest");
        &["nextest", "run", "--locked", "--no-fail-fast"]
    } else {
        say("running the Rust tests: cargo test (cargo-nextest is not installed; it would be quicker)");
        &["test", "--locked", "--no-fail-fast", "--lib", "--bins", "--tests", "--examples"]
    };
    let wheel = package::wheel(checkout)?;
    let mut command = checkout.cargo(arguments);
    command
        .args(Checkout::TOGETHER)
        .env("NAJA_WHEEL", wheel)
        .env(NOT_TESTED, checkout.at("target/not-tested.txt"));
    step::run(&mut command)
}

/// Runs one part, notes what it took, and tells whether it passed.
fn part(parts: &mut Vec<Part>, name: &str, run: impl FnOnce() -> Outcome<()>) -> bool {
    let start = Instant::now();
    let outcome = run();
    note(parts, name, start, outcome)
}

/// Notes what came of a part that began at `start`.
fn note(parts: &mut Vec<Part>, name: &str, start: Instant, outcome: Outcome<()>) -> bool {
    if let Err(problem) = &outcome {
        eprintln!("error: {}", problem.message);
        if let Some(hint) = &problem.hint {
            eprintln!("  hint: {hint}");
        }
    }
    let passed = outcome.is_ok();
    parts.push(Part { name: name.to_owned(), took: start.elapsed(), budget_minutes: None, passed });
    outcome.is_ok()
}

/// Each thing once, in the order in which it was met.
fn not_tested(missing: &[String], notes: &str) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for note in missing.iter().map(String::as_str).chain(notes.lines()) {
        if !note.is_empty() && !all.iter().any(|known| known == note) {
            all.push(note.to_owned());
        }
    }
    all
}

fn report(parts: &[Part], not_tested: &[String]) {
    eprintln!("\n  {:<14} {:>8}", "part", "minutes");
    for part in parts {
        let failed = if part.passed { "" } else { "   failed" };
        let minutes = part.took.as_secs_f64() / 60.0;
        let budget = match part.budget_minutes {
            Some(budget) if minutes > budget => format!("   over its budget of {budget:.1}"),
            Some(budget) => format!("   of {budget:.1}"),
            None => String::new(),
        };
        eprintln!("  {:<14} {minutes:>8.1}{budget}{failed}", part.name);
    }
    let total: Duration = parts.iter().map(|part| part.took).sum();
    eprintln!("  {:<14} {:>8.1}\n", "all", total.as_secs_f64() / 60.0);
    if not_tested.is_empty() {
        say("nothing was left untested for want of a program or a package");
    }
    for note in not_tested {
        say(&format!("not tested: {note}"));
    }
    let failed = parts.iter().filter(|part| !part.passed).count();
    if failed == 0 {
        say("all parts passed");
    }
}

#[cfg(test)]
mod tests {
    use super::not_tested;

    #[test]
    fn what_many_tests_lacked_is_told_once() {
        let told = not_tested(&["the page".into()], "CPython 3.9\n\nCPython 3.9\nthe page\n");
        assert_eq!(told, ["the page", "CPython 3.9"]);
    }
}
