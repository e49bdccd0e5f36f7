//! The drop-ins, as `cargo dev gen` has found them in the tools' folders and measured results.

use std::path::Path;

use naja_system::{Failure, Result};
use serde::{Deserialize, Serialize};

/// The table of the checkout that this program was built from.
const BUILT_IN: &str = include_str!("../../../python/naja/swap/dropins.json");

/// Where the same table lies in the package.
const IN_PACKAGE: &str = "swap/dropins.json";

#[derive(Debug, Deserialize)]
struct Table {
    dropins: Vec<DropIn>,
}

/// A module of naja's that stands for another package.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct DropIn {
    /// The name that the original is imported by.
    pub(crate) import: String,
    /// naja's name for it.
    pub(crate) module: String,
    /// The tool that it belongs to.
    pub(crate) tool: String,
    /// The original's name on the package index.
    pub(crate) original: String,
    /// The original's version.
    pub(crate) version: String,
    /// How the original's own tests went; `None` before the first whole run.
    pub(crate) score: Option<Score>,
    /// What was measured.
    pub(crate) cases: Vec<Case>,
}

/// How the original's own tests went.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Score {
    /// Tests that naja passes.
    pub(crate) passed: u64,
    /// Tests that the original passes on the same machine.
    pub(crate) total: u64,
    /// Tests that fail as listed, with reasons.
    pub(crate) excepted: u64,
    /// Where the tests came from: a checksum or a commit.
    pub(crate) source: String,
    /// The interpreter.
    pub(crate) python: String,
}

/// A measured case.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Case {
    /// What was measured.
    pub(crate) case: String,
    /// The original's time divided by naja's.
    pub(crate) ratio: f64,
}

impl DropIn {
    /// The median of the measured ratios and the range: `8 (3 to 21)`.
    pub(crate) fn speed(&self) -> Option<String> {
        let mut ratios: Vec<f64> = self.cases.iter().map(|case| case.ratio).collect();
        ratios.sort_by(f64::total_cmp);
        let (first, last) = (ratios.first()?, ratios.last()?);
        let median = ratios[(ratios.len() - 1) / 2];
        let text =
            |ratio: f64| if ratio < 9.95 { trim(&format!("{ratio:.1}")) } else { format!("{ratio:.0}") };
        Some(if ratios.len() == 1 {
            text(median)
        } else {
            format!("{} ({} to {})", text(median), text(*first), text(*last))
        })
    }
}

fn trim(number: &str) -> String {
    number.strip_suffix(".0").unwrap_or(number).to_owned()
}

/// The drop-ins of the checkout that this program was built from, with what was measured there.
pub(crate) fn built_in() -> Vec<DropIn> {
    let table: Table = serde_json::from_str(BUILT_IN).expect("`cargo dev gen` wrote it, and a test reads it");
    table.dropins
}

/// The drop-ins of naja's package in this folder.
///
/// Errors: `package-not-found` where the table is missing or is none.
pub(crate) fn of_package(package: &Path) -> Result<Vec<DropIn>> {
    let path = package.join(IN_PACKAGE);
    let failed = |why: &dyn std::error::Error| {
        Failure::new("package-not-found", format!("cannot read the list of drop-ins `{}`", path.display()))
            .caused_by(why)
            .hint("the program and the package come in one wheel: install it again with `pip install naja`")
    };
    let text = std::fs::read_to_string(&path).map_err(|error| failed(&error))?;
    let table: Table = serde_json::from_str(&text).map_err(|error| failed(&error))?;
    Ok(table.dropins)
}

/// The import names of the drop-ins that were asked for: `all`, or names with commas between them.
///
/// Errors: `no-such-drop-in`.
pub(crate) fn choose(dropins: &[DropIn], asked: &str) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for word in asked.split(',').map(str::trim).filter(|word| !word.is_empty()) {
        let found: Vec<&DropIn> = dropins
            .iter()
            .filter(|one| word == "all" || one.import == word || one.original.eq_ignore_ascii_case(word))
            .collect();
        if found.is_empty() && word != "all" {
            let known: Vec<&str> = dropins.iter().map(|one| one.import.as_str()).collect();
            let failure = Failure::new("no-such-drop-in", format!("naja has nothing to swap for `{word}`"));
            return Err(if known.is_empty() {
                failure.hint("this naja has no drop-ins")
            } else {
                failure.hint(format!("it has {}; `naja swap list` tells more", known.join(", ")))
            });
        }
        for one in found {
            if !names.contains(&one.import) {
                names.push(one.import.clone());
            }
        }
    }
    if names.is_empty() {
        return Err(
            Failure::new("no-such-drop-in", "there is nothing to swap").hint("this naja has no drop-ins")
        );
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dropin(import: &str, original: &str) -> DropIn {
        DropIn { import: import.into(), original: original.into(), ..DropIn::default() }
    }

    #[test]
    fn both_names_of_an_original_are_known() {
        let all = [dropin("dateutil", "python-dateutil"), dropin("datefinder", "datefinder")];
        let check = |asked: &str| choose(&all, asked).map_err(|failure| failure.name().to_owned());
        assert_eq!(check("all"), Ok(vec!["dateutil".into(), "datefinder".into()]));
        assert_eq!(check("python-dateutil"), Ok(vec!["dateutil".into()]));
        assert_eq!(check("datefinder, dateutil,all"), Ok(vec!["datefinder".into(), "dateutil".into()]));
        assert_eq!(check("pandas"), Err("no-such-drop-in".into()));
        assert_eq!(check(","), Err("no-such-drop-in".into()));
    }

    #[test]
    fn the_built_in_table_can_be_read() {
        for one in built_in() {
            assert_eq!(one.module, format!("naja.{}", one.import));
        }
    }
}
