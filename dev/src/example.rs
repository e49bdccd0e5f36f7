//! `make run`: the main job on a real program.

use std::path::Path;

use crate::checkout::Checkout;
use crate::package;
use crate::python;
use crate::stamp::Stamp;
use crate::step::{self, Outcome, say};

/// Builds everything, makes the example's own environment, and runs the example under naja.
pub(crate) fn run(checkout: &Checkout, _: &[String]) -> Outcome<()> {
    package::build(checkout, &[])?;
    let requirements = checkout.at("examples/flights/requirements.txt");
    let mut naja = checkout.command(checkout.at(".venv/bin/naja"));
    naja.arg("run");
    if requirements.is_file() {
        let python = example_environment(checkout, &requirements)?;
        say("running the example: naja run examples/flights/main.py");
        naja.arg("--python").arg(python).arg("examples/flights/main.py");
    } else {
        say("running a small program: naja run -m calendar");
        naja.args(["-m", "calendar"]);
    }
    step::run(&mut naja)
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
