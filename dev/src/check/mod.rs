//! `cargo dev check`: the facts that keep the parts independent, as tests with a message that says what to do.
//!
//! Each rule is a function from plain data to complaints, so that its own tests need no workspace. Nothing is
//! policed by counting. Start at [`run`].

mod arrows;
mod licences;
mod parts;
mod workspace;

use crate::checkout::Checkout;
use crate::generate;
use crate::step::{self, Outcome, Problem, say};

use workspace::Workspace;

/// Runs every rule and shows all complaints at once.
pub(crate) fn run(checkout: &Checkout, _: &[String]) -> Outcome<()> {
    say("checking the house: dependencies, tools, licences, generated pages");
    let workspace = Workspace::load(checkout)?;
    let architecture = step::read(&checkout.at("ARCHITECTURE.md"))?;
    let mut complaints = Vec::new();
    complaints.extend(arrows::tools_are_independent(&workspace));
    complaints.extend(arrows::pyo3_stays_at_the_border(&workspace));
    complaints.extend(arrows::base_arrows_are_listed(&workspace, &architecture));
    complaints.extend(parts::tools_have_the_same_parts(checkout, &workspace)?);
    complaints.extend(parts::test_files_are_included(checkout, &workspace)?);
    complaints.extend(licences::are_allowed(&workspace, &step::read(&checkout.at("deny.toml"))?));
    complaints.extend(generate::stale(checkout)?);
    for complaint in &complaints {
        eprintln!("  {complaint}");
    }
    match complaints.len() {
        0 => Ok(()),
        count => Err(Problem::answer_is_no(format!("cargo dev check has {count} complaints"))),
    }
}
