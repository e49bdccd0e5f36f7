//! `--swap`: naja's modules in the place of the packages that they replace.
//!
//! The program gets variables that make Python's `site` find naja's `sitecustomize`, and a file in memory into which
//! its processes write what they swapped. Nothing is installed; what is not active is told, and the program then runs
//! as it is. docs/design/swap.md says what exactly the program sees. Start at [`Swap::prepare`].

use std::ffi::{OsStr, OsString};
use std::path::Path;

use naja_profile::report::{Replaceable, SwapInactive, SwapNote, SwapReport};
use naja_system::{Notes, Result, python_package};

use crate::swap::dropins;

/// Names the originals to be swapped, by import name, with commas between them.
const NAMES: &str = "NAJA_SWAP";

/// Names the file that processes tell what they swapped.
const REPORT: &str = "NAJA_SWAP_REPORT";

/// Names what Python searches beside its own path; `-I` and `-E` make it not look.
const PATH: &str = "PYTHONPATH";

/// What is to be swapped in a run, and how the program's processes tell about it.
pub(crate) struct Swap {
    names: Vec<String>,
    environment: Vec<(OsString, OsString)>,
    /// `None` where memory gave no file: the swap works, but nobody tells of it.
    notes: Option<Notes>,
}

impl Swap {
    /// What was asked for: the option, else the variable, else the setting. `None` for nothing.
    pub(crate) fn asked(option: Option<&str>, setting: Option<&str>) -> Option<String> {
        let variable = std::env::var(NAMES).ok();
        let asked = option.or(variable.as_deref()).or(setting)?.trim();
        (!asked.is_empty() && asked != "none").then(|| asked.to_owned())
    }

    /// The variables of a program for which nothing is to be swapped: a naja around this one may have set others.
    pub(crate) fn environment_without() -> Vec<(OsString, OsString)> {
        let is_set = std::env::var_os(NAMES).is_some_and(|names| !names.is_empty());
        if is_set { vec![(NAMES.into(), OsString::new())] } else { Vec::new() }
    }

    /// Finds the drop-ins for what was asked for: `all`, or names with commas between them, import names or those of
    /// the package index.
    ///
    /// Errors: `no-such-drop-in`, and `package-not-found` where this program lies without its package.
    pub(crate) fn prepare(asked: &str) -> Result<Swap> {
        let package = python_package()?;
        let names = dropins::choose(&dropins::of_package(&package)?, asked)?;
        let notes = Notes::new().ok();
        let mut environment = vec![
            (OsString::from(NAMES), OsString::from(names.join(","))),
            (OsString::from(PATH), python_path(&package, std::env::var_os(PATH).as_deref())),
        ];
        environment.extend(notes.iter().map(|notes| (REPORT.into(), notes.path().into_os_string())));
        Ok(Swap { names, environment, notes })
    }

    /// The variables that the program gets.
    pub(crate) fn environment(&self) -> Vec<(OsString, OsString)> {
        self.environment.clone()
    }

    /// What came of it, after the program has ended.
    pub(crate) fn report(mut self, interpreter_options: &[OsString]) -> SwapReport {
        let text = self.notes.as_mut().and_then(|notes| notes.read().ok()).unwrap_or_default();
        let is_silent = text.is_empty();
        let mut report = read(&text, self.names);
        if is_silent {
            let why = why_silent(interpreter_options);
            report.inactive.push(SwapInactive { why, processes: 1 });
        }
        report
    }
}

/// naja's folder before what the user has set; where nothing is set, naja's alone.
fn python_path(package: &Path, own: Option<&OsStr>) -> OsString {
    let mut path = package.join("swap/site").into_os_string();
    if let Some(own) = own.filter(|own| !own.is_empty()) {
        path.push(":");
        path.push(own);
    }
    path
}

/// Sums up what the processes wrote: `PID`, kind, name and reason in each line, with tabs between them.
fn read(text: &str, asked: Vec<String>) -> SwapReport {
    let mut report = SwapReport { asked, ..SwapReport::default() };
    let add = |list: &mut Vec<SwapNote>, name: &str, why: &str| {
        if !list.iter().any(|known| known.name == name && known.why == why) {
            list.push(SwapNote { name: name.to_owned(), why: why.to_owned() });
        }
    };
    for line in text.lines() {
        let mut words = line.splitn(4, '\t').skip(1);
        let (kind, name, why) =
            (words.next(), words.next().unwrap_or_default(), words.next().unwrap_or_default());
        match kind {
            Some("swapped") if !report.swapped.iter().any(|known| known == name) => {
                report.swapped.push(name.to_owned());
            }
            Some("fell-back") => add(&mut report.fell_back, name, why),
            Some("other-version") => add(&mut report.other_versions, name, why),
            Some("kept") => add(&mut report.kept, name, why),
            Some("inactive") => match report.inactive.iter_mut().find(|known| known.why == why) {
                Some(known) => known.processes += 1,
                None => report.inactive.push(SwapInactive { why: why.to_owned(), processes: 1 }),
            },
            _ => {}
        }
    }
    report
}

/// Why no process has told anything, as far as the command line says it.
fn why_silent(interpreter_options: &[OsString]) -> String {
    let letters = interpreter_options
        .iter()
        .filter_map(|option| option.to_str())
        .filter(|option| option.starts_with('-') && !option.starts_with("--"))
        // What follows these two letters is a value.
        .flat_map(|option| option[1..].chars().take_while(|letter| !matches!(letter, 'W' | 'X')));
    let found = letters.into_iter().find(|letter| matches!(letter, 'I' | 'E' | 'S'));
    match found {
        Some('S') => "Python was started with -S, which leaves out `site`".to_owned(),
        Some(letter) => format!("Python was started with -{letter}, which ignores PYTHONPATH"),
        None => {
            "no Python of the program has looked at PYTHONPATH; a first line (`#!`) with -I, -E or -S, or an \
                 environment made anew, keeps it from that"
                .to_owned()
        }
    }
}

/// The drop-ins that could be asked for in another run of a program under this interpreter (`CPython 3.11.7`).
pub(crate) fn replaceable(interpreter: &str) -> Vec<Replaceable> {
    let Ok(package) = python_package() else { return Vec::new() };
    if !has_extension(&package, interpreter) {
        return Vec::new();
    }
    let dropins = dropins::of_package(&package).unwrap_or_default();
    dropins.into_iter().map(|one| Replaceable { module: one.import.clone(), swap: one.import }).collect()
}

/// Whether naja's package carries an extension for this version.
fn has_extension(package: &Path, interpreter: &str) -> bool {
    let version = interpreter.strip_prefix("CPython ").unwrap_or_default();
    let mut numbers = version.split('.');
    let (Some(major), Some(minor)) = (numbers.next(), numbers.next()) else { return false };
    let start = format!("_native.cpython-{major}{minor}-");
    let mut files = std::fs::read_dir(package).into_iter().flatten().flatten();
    files.any(|file| file.file_name().to_string_lossy().starts_with(&start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn naja_comes_before_what_the_user_has_set() {
        let path = |own: Option<&str>| python_path(Path::new("/n"), own.map(OsStr::new));
        assert_eq!(path(None), "/n/swap/site");
        assert_eq!(path(Some("")), "/n/swap/site");
        assert_eq!(path(Some("/a:/b")), "/n/swap/site:/a:/b");
    }

    #[test]
    fn what_many_processes_wrote_is_summed_up() {
        let text = "1\tactive\t\t\n1\tswapped\tdateutil\t\n2\tswapped\tdateutil\t\n2\tfell-back\tdateutil.x\twhy so\n\
                    3\tinactive\t\tno extension\n4\tinactive\t\tno extension\n5\tkept\tdatefinder\timported\n\
                    1\tother-version\tdateutil\t2 is installed\n2\tother-version\tdateutil\t2 is installed\nhalf";
        let report = read(text, vec!["dateutil".into()]);
        assert_eq!(report.swapped, ["dateutil"]);
        assert_eq!(report.fell_back, [SwapNote { name: "dateutil.x".into(), why: "why so".into() }]);
        assert_eq!(
            report.other_versions,
            [SwapNote { name: "dateutil".into(), why: "2 is installed".into() }]
        );
        assert_eq!(report.kept, [SwapNote { name: "datefinder".into(), why: "imported".into() }]);
        assert_eq!(report.inactive, [SwapInactive { why: "no extension".into(), processes: 2 }]);
    }

    #[test]
    fn options_that_keep_the_swap_away_are_named() {
        let why = |options: &[&str]| why_silent(&options.iter().map(OsString::from).collect::<Vec<_>>());
        assert!(why(&["-uI"]).contains("with -I"));
        assert!(why(&["-B", "-S"]).contains("with -S"));
        assert!(why(&["-WIgnore"]).contains("PYTHONPATH;"));
    }
}
