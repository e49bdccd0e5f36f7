//! `make run`: the main job on a real program, as it is and with naja's modules in place of its own.

use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use crate::checkout::Checkout;
use crate::package;
use crate::python;
use crate::stamp::Stamp;
use crate::step::{self, Outcome, Problem, say};

/// The program, from the checkout's root.
const EXAMPLE: &str = "examples/flights/main.py";

/// Builds everything, makes the example's own environment, and runs the example under naja, twice.
pub(crate) fn run(checkout: &Checkout, _: &[String]) -> Outcome<()> {
    package::build(checkout, &[])?;
    let requirements = checkout.at("examples/flights/requirements.txt");
    let python = example_environment(checkout, &requirements)?;
    let (output, wall_s) = run_example(checkout, &python, &["--swap=none"])?;
    let (swapped_output, swapped_wall_s) = run_example(checkout, &python, &["--swap=all"])?;
    if swapped_output != output {
        return Err(Problem::answer_is_no("the example's output is not the same with --swap=all"));
    }
    say(&format!(
        "the same output, as it is in {wall_s:.1} s and with --swap=all in {swapped_wall_s:.1} s; one run each, so \
         that other work on this machine shows in it"
    ));
    Ok(())
}

/// Runs the example; gives what it wrote, which is shown too, and the seconds that naja measured.
fn run_example(checkout: &Checkout, python: &Path, options: &[&str]) -> Outcome<(Vec<u8>, f64)> {
    say(&format!("running the example: naja run {} {EXAMPLE}", options.join(" ")));
    let report = checkout.at(".cache/examples/report.json");
    let mut naja = checkout.command(checkout.at(".venv/bin/naja"));
    naja.arg("run").args(options).arg("--report").arg(&report).arg("--python").arg(python).arg(EXAMPLE);
    let done = naja.stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let done = done.map_err(|error| Problem::new(format!("cannot start naja: {error}")))?;
    // Whoever does not read it any more has seen enough.
    let _ = std::io::stdout().write_all(&done.stdout);
    if !done.status.success() {
        return Err(Problem::answer_is_no(format!("the example ended with {}", done.status)));
    }
    let text = step::read(&report)?;
    let report: serde_json::Value = serde_json::from_str(&text)
        .map_err(|error| Problem::new(format!("the report cannot be understood: {error}")))?;
    Ok((done.stdout, report["wall_s"].as_f64().unwrap_or_default()))
}

/// An environment for the example alone: the program's packages are not naja's.
fn example_environment(checkout: &Checkout, requirements: &Path) -> Outcome<std::path::PathBuf> {
    let folder = checkout.at(".cache/examples/flights");
    let python = folder.join("bin/python");
    let mut stamp = Stamp::new();
    stamp.add_path(requirements)?;
    stamp.add(step::run_quietly(checkout.command(checkout.python()).arg("-VV"))?.as_bytes());
    if python.is_file() && stamp.is_stored(checkout, "example-flights") {
        return Ok(python);
    }
    say("installing the example's packages into .cache/examples/flights");
    step::run_quietly(checkout.command(checkout.python()).args(["-m", "venv", "--clear"]).arg(&folder))?;
    python::install(checkout, &python, &["-r", &requirements.to_string_lossy()])?;
    stamp.store(checkout, "example-flights")?;
    Ok(python)
}
