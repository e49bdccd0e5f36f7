//! `cargo dev bench`: the measurements that stand in the results beside them.

use std::fs;

use crate::checkout::Checkout;
use crate::package;
use crate::step::{self, Outcome, Problem, say};

/// The folders in which a part may have measurements.
const PLACES: [&str; 2] = ["tools", "base"];

/// Builds everything and starts `bench/against.py` of one part, with the remaining words as its arguments.
pub(crate) fn run(checkout: &Checkout, words: &[String]) -> Outcome<()> {
    let script = |part: &str| {
        PLACES
            .iter()
            .map(|place| checkout.at(place).join(part).join("bench/against.py"))
            .find(|script| script.is_file())
    };
    let Some((part, arguments)) = words.split_first() else {
        return Err(Problem::new("which part is to be measured?").hint(known_parts(checkout)));
    };
    let Some(script) = script(part) else {
        return Err(Problem::new(format!("`{part}` has no `bench/against.py`")).hint(known_parts(checkout)));
    };
    package::build(checkout, &[])?;
    say(&format!("measuring {part}; the figures are good when nothing else runs"));
    step::run(checkout.command(checkout.python()).arg(script).args(arguments))
}

fn known_parts(checkout: &Checkout) -> String {
    let mut parts: Vec<String> = PLACES
        .iter()
        .filter_map(|place| fs::read_dir(checkout.at(place)).ok())
        .flat_map(|folder| folder.filter_map(Result::ok))
        .filter(|part| part.path().join("bench/against.py").is_file())
        .map(|part| part.file_name().to_string_lossy().into_owned())
        .collect();
    parts.sort();
    format!("cargo dev bench {}", parts.join(" | "))
}
