//! The two environments in which an original's tests run: with the original, and with naja in its place.
//!
//! The invariant: in the second nothing of the original can be imported. Only its metadata is there, so that other
//! packages do not bring it, and `importlib.metadata` finds the version.

use std::fs;
use std::path::{Path, PathBuf};

use super::original::{Original, Source};
use crate::checkout::Checkout;
use crate::python;
use crate::stamp::Stamp;
use crate::step::{self, Outcome, Problem, say};

/// The plugin that writes down what became of each test.
const RECORDER: &str = include_str!("recorder.py");

/// Where the parts of one conformance run lie.
#[derive(Debug)]
pub(crate) struct Places<'a> {
    pub(crate) checkout: &'a Checkout,
    /// The interpreter that the environments are made from.
    pub(crate) python: PathBuf,
    /// naja's package, as it is installed.
    pub(crate) package: PathBuf,
    /// The tool's folder.
    pub(crate) tool: PathBuf,
    /// The folder for what is fetched and made.
    pub(crate) cache: PathBuf,
    /// A folder whose packages both environments see beside their own; only the runner's own test has one.
    pub(crate) packages_from: Option<PathBuf>,
}

/// An environment: its interpreter and the folder of its packages.
#[derive(Debug)]
pub(crate) struct Environment {
    pub(crate) python: PathBuf,
    pub(crate) packages: PathBuf,
}

impl Places<'_> {
    /// The folder for one original.
    pub(crate) fn of(&self, original: &Original) -> PathBuf {
        self.cache.join(&original.name)
    }

    /// The environment that holds the original; `sources` are those of the original.
    pub(crate) fn with_original(&self, original: &Original, sources: &Path) -> Outcome<Environment> {
        let exact = format!("{}=={}", original.name, original.version);
        let (install, folder): (Vec<String>, _) = match original.source()? {
            Source::Index(_) => (vec!["--no-deps".into(), exact], None),
            Source::Commit(_) if original.built => (vec!["--no-deps".into(), exact], None),
            Source::Commit(_) => (vec!["--no-deps".into(), sources.display().to_string()], None),
            Source::Folder(_) => (Vec::new(), Some(sources)),
        };
        self.environment(original, "original", |environment| {
            if !install.is_empty() {
                let words: Vec<&str> = install.iter().map(String::as_str).collect();
                python::install(self.checkout, &environment.python, &words)?;
            }
            if let Some(folder) = folder {
                write_metadata(environment, original)?;
                write_path_file(environment, "original", &folder.display().to_string())?;
            }
            self.install_requirements(original, &original.original_requirements, environment)
        })
    }

    /// The environment in which naja stands for every original of the tool.
    pub(crate) fn with_naja(&self, original: &Original, all: &[Original]) -> Outcome<Environment> {
        let names: Vec<&str> = all.iter().map(|one| one.import.as_str()).collect();
        let environment = self.environment(original, "naja", |environment| {
            // First, so that no requirement brings an original along.
            all.iter().try_for_each(|one| write_metadata(environment, one))?;
            self.install_requirements(original, &original.naja_requirements, environment)
        })?;
        all.iter().try_for_each(|one| assert_absent(self.checkout, &environment, one))?;
        let package = python_string(&self.package);
        let line = format!(
            "import sys; s = {{'__name__': 'naja_swap_start'}}; \
             exec(open({package} + '/swap/start.py').read(), s); s['start']({package}, '{}')",
            names.join(",")
        );
        write_path_file(&environment, "naja_swap", &line)?;
        Ok(environment)
    }

    fn install_requirements(
        &self,
        original: &Original,
        of_side: &[String],
        environment: &Environment,
    ) -> Outcome<()> {
        let words: Vec<&str> = original.requirements.iter().chain(of_side).map(String::as_str).collect();
        if words.is_empty() {
            return Ok(());
        }
        python::install(self.checkout, &environment.python, &words)
    }

    /// Makes an environment where it is not there as it would be made now.
    fn environment(
        &self,
        original: &Original,
        side: &str,
        fill: impl FnOnce(&Environment) -> Outcome<()>,
    ) -> Outcome<Environment> {
        let folder = self.of(original).join(side);
        let mut stamp = Stamp::new();
        stamp.add(step::run_quietly(self.checkout.command(&self.python).arg("-VV"))?.as_bytes());
        stamp.add(format!("{original:?}").as_bytes());
        let mark = folder.join("made-from");
        let python = folder.join("bin/python");
        let is_made = fs::read_to_string(&mark).is_ok_and(|text| text == stamp.text());
        if !is_made {
            say(&format!("making the environment for {} ({side})", original.name));
            let mut venv = self.checkout.command(&self.python);
            venv.args(["-m", "venv", "--clear"]).arg(&folder);
            if original.requirements.is_empty() && matches!(original.source()?, Source::Folder(_)) {
                venv.arg("--without-pip");
            }
            step::run_quietly(&mut venv)?;
        }
        let ask = "import sysconfig; print(sysconfig.get_path('purelib'))";
        let packages = step::run_quietly(self.checkout.command(&python).args(["-I", "-c", ask]))?;
        let environment = Environment { python, packages: PathBuf::from(packages.trim()) };
        step::write(&environment.packages.join("naja_conformance_recorder.py"), RECORDER)?;
        if !is_made {
            if let Some(others) = &self.packages_from {
                write_path_file(&environment, "others", &others.display().to_string())?;
            }
            fill(&environment)?;
            step::write(&mark, &stamp.text())?;
        }
        Ok(environment)
    }
}

/// A `dist-info` without files: the package counts as installed.
fn write_metadata(environment: &Environment, original: &Original) -> Outcome<()> {
    let folder =
        environment.packages.join(format!("{}-{}.dist-info", original.normal_name(), original.version));
    let metadata = format!("Metadata-Version: 2.1\nName: {}\nVersion: {}\n", original.name, original.version);
    step::write(&folder.join("METADATA"), &metadata)?;
    step::write(&folder.join("INSTALLER"), "cargo dev conformance\n")?;
    step::write(&folder.join("RECORD"), "")
}

fn write_path_file(environment: &Environment, name: &str, line: &str) -> Outcome<()> {
    step::write(&environment.packages.join(format!("{name}.pth")), &format!("{line}\n"))
}

/// Asked without the swap, the environment must not know the original.
fn assert_absent(checkout: &Checkout, environment: &Environment, original: &Original) -> Outcome<()> {
    // The finder of the path is asked by itself, since naja's hook may be there already.
    let question = format!(
        "import sys\nfrom importlib.machinery import PathFinder\nsys.exit(PathFinder.find_spec({:?}) is not None)",
        original.import
    );
    if step::succeeds(checkout.command(&environment.python).args(["-I", "-c", &question])) {
        return Ok(());
    }
    Err(Problem::new(format!("the environment for naja holds the original `{}`", original.import))
        .hint("a requirement has brought it: pin one that does not, and remove .cache/conformance"))
}

/// A path as Python source.
fn python_string(path: &Path) -> String {
    format!("{:?}", path.display().to_string())
}
