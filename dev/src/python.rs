//! The checkout's own Python environment, `.venv`.

use std::env;
use std::path::Path;

use crate::checkout::Checkout;
use crate::packages;
use crate::stamp::Stamp;
use crate::step::{self, Outcome, Problem, say};

/// What an interpreter must be, as Python says it.
const NEW_ENOUGH: &str = "import sys; sys.exit(sys.version_info < (3, 11))";

/// Makes `.venv` and installs `dev/requirements.txt` into it, where that is not done yet.
pub(crate) fn environment(checkout: &Checkout) -> Outcome<()> {
    let python = checkout.python();
    if !step::succeeds(checkout.command(&python).args(["-c", NEW_ENOUGH])) {
        let interpreter = find(checkout)?;
        let version = step::run_quietly(checkout.command(&interpreter).arg("--version"))?;
        say(&format!("making the environment .venv with {} ({interpreter})", version.trim()));
        make_environment(checkout, &interpreter)?;
    }
    let mut stamp = Stamp::new();
    stamp.add(
        step::run_quietly(checkout.command(&python).args(["-c", "import sys; print(sys.version)"]))?
            .as_bytes(),
    );
    stamp.add_path(&checkout.at("dev/requirements.txt"))?;
    if !stamp.is_stored(checkout, "requirements") {
        say("installing maturin, pytest and uv into .venv");
        install(checkout, &python, &["-r", "dev/requirements.txt"])?;
        stamp.store(checkout, "requirements")?;
    }
    Ok(())
}

/// Installs packages with the pip of an environment.
pub(crate) fn install(checkout: &Checkout, python: &Path, packages: &[&str]) -> Outcome<()> {
    let mut command = checkout.command(python);
    command
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"])
        .args(packages);
    step::run_quietly(&mut command).map(|_| ()).map_err(|problem| without_index(checkout, python, problem))
}

/// What is said where the package index gives no answer to anything.
pub(crate) const NO_INDEX: &str = "the package index cannot be reached";

/// Tells whether pip has failed for want of the package index, or for what it was asked.
pub(crate) fn without_index(checkout: &Checkout, python: &Path, problem: Problem) -> Problem {
    let mut ask = checkout.command(python);
    ask.args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input", "--no-deps"])
        .args(["--retries", "1", "pip", "--dest"])
        .arg(checkout.at("target/index-answers"));
    if step::succeeds(&mut ask) {
        return problem;
    }
    Problem::new(NO_INDEX).hint("is this machine connected, and is its proxy set?")
}

/// Makes an environment; where Debian keeps the module `venv` in a package of its own, installs that first.
pub(crate) fn make_environment(checkout: &Checkout, interpreter: &str) -> Outcome<()> {
    let has_venv = |checkout: &Checkout| {
        step::succeeds(checkout.command(interpreter).args(["-c", "import venv, ensurepip"]))
    };
    if !has_venv(checkout) {
        let package = step::run_quietly(
            checkout
                .command(interpreter)
                .args(["-c", "import sys; print('python%d.%d-venv' % sys.version_info[:2])"]),
        )?;
        let package = package.trim();
        packages::install(checkout, &[package])?;
        if !has_venv(checkout) {
            return Err(Problem::new(format!(
                "{interpreter} cannot make environments: it lacks the module `venv`"
            ))
            .hint(format!(
                "install it: apt-get install {package}, or the package of that name of your system"
            )));
        }
    }
    step::run_quietly(checkout.command(interpreter).args(["-m", "venv", "--clear", ".venv"])).map(|_| ())
}

/// The interpreter that the environment is made from. `dev/prerequisites.sh` looks in the same order.
fn find(checkout: &Checkout) -> Outcome<String> {
    let chosen = env::var("PYTHON").ok().filter(|python| !python.is_empty());
    let usual = ["python3.11", "python3", "python3.12", "python3.13", "python3.14"].map(String::from);
    chosen
        .into_iter()
        .chain(usual)
        .find(|python| step::succeeds(checkout.command(python).args(["-c", NEW_ENOUGH])))
        .ok_or_else(|| {
            Problem::new("no Python 3.11 or newer was found")
                .hint("install it, or say where it is: make PYTHON=/path/to/python3.11")
        })
}
