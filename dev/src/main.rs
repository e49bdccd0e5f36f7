//! `cargo dev`: the project's own chores, and what `make` calls.
//!
//! It depends on nothing of naja, so that it still works while naja does not compile, and is itself built in
//! seconds. Start at [`COMMANDS`].
#![expect(clippy::print_stderr, reason = "a program for the terminal")]

mod bench;
mod check;
mod checkout;
mod conformance;
mod dropins;
mod example;
mod generate;
mod new_tool;
mod other_platform;
mod package;
mod packages;
mod python;
mod stamp;
mod step;
mod test_run;

use std::process::ExitCode;

use checkout::Checkout;
use step::{Outcome, Problem};

type Chore = fn(&Checkout, &[String]) -> Outcome<()>;

/// Every command: its name, its arguments, what it does, the function.
const COMMANDS: [(&str, &str, &str, Chore); 10] = [
    ("build", "", "build the program and the package, and install both into .venv", package::build),
    ("py", "", "the same as `build`: the package as users get it, in .venv", package::build),
    ("wheel", "", "build the wheel into dist/", package::wheel_command),
    ("run", "", "run the example under naja", example::run),
    ("test", "", "run all tests, with a table of minutes at the end", test_run::run),
    (
        "check",
        "",
        "test the facts that keep the parts independent, and that generated files are up to date",
        check::run,
    ),
    (
        "gen",
        "[--check]",
        "write what is generated: docs/reference, the table of drop-ins, measured figures",
        generate::run,
    ),
    (
        "bench",
        "PART",
        "measure a part (profile, cpython) and write the results beside its script",
        bench::run,
    ),
    (
        "conformance",
        "WORD [--quick]",
        "run the originals' own tests against a tool's drop-ins, and write the score",
        conformance::run,
    ),
    ("new-tool", "WORD", "make a tool's folder that compiles and passes `cargo dev check`", new_tool::run),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let name = arguments.first().map_or("help", String::as_str);
    let Some((_, _, _, chore)) = COMMANDS.iter().find(|(command, ..)| *command == name) else {
        help();
        return ExitCode::from(if matches!(name, "help" | "-h" | "--help") { 0 } else { 2 });
    };
    let outcome = Checkout::find().and_then(|checkout| chore(&checkout, &arguments[1..]));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(Problem { message, hint, code }) => {
            eprintln!("error: {message}");
            if let Some(hint) = hint {
                eprintln!("  hint: {hint}");
            }
            ExitCode::from(code)
        }
    }
}

fn help() {
    eprintln!("cargo dev COMMAND\n");
    for (name, arguments, what, _) in COMMANDS {
        eprintln!("  {:<22} {what}", format!("{name} {arguments}"));
    }
}
