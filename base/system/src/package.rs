//! Where the `naja` Python package lies that belongs to this very program.
//!
//! One wheel holds both, so the program's own path leads to its package; nothing is read from the environment,
//! because the environment belongs to the program that naja runs. Start at [`python_package`].

use std::fs;
use std::path::{Path, PathBuf};

use crate::{Failure, Result};

/// The folder of the `naja` Python package installed together with this program.
///
/// The program's real path is used, so the links that pipx and `uv tool` put on the path do not matter. A program
/// that was built in a checkout and runs from its build folder finds the checkout's `python/naja`.
///
/// Errors: `package-not-found` where the program was copied away from its package.
/// Cost: a few directory reads; call it once.
pub fn python_package() -> Result<PathBuf> {
    let program = std::env::current_exe().map_err(|error| {
        Failure::new("package-not-found", "cannot tell this program's own path")
            .caused_by(&error)
            .hint("naja reads the link /proc/self/exe: is /proc mounted?")
    })?;
    package_of(&without_deleted_mark(&program))
}

/// A library that comes with this program: beside it, where it was built, or in `lib/naja` of the environment whose `bin`
/// holds it.
///
/// Errors: `library-not-found` where the program was copied away from it.
/// Cost: a few looks at files.
pub fn shipped_library(name: &str) -> Result<PathBuf> {
    let program = std::env::current_exe().map(|program| without_deleted_mark(&program)).unwrap_or_default();
    let program = fs::canonicalize(&program).unwrap_or(program);
    let folder = program.parent().unwrap_or(Path::new(""));
    let beside = folder.join(name);
    let installed = folder.parent().map(|prefix| prefix.join("lib/naja").join(name));
    [Some(beside), installed].into_iter().flatten().find(|path| path.is_file()).ok_or_else(|| {
        Failure::new("library-not-found", format!("cannot find `{name}`, which belongs to `{}`", program.display()))
            .hint("the program and its library come in one wheel: install it again with `pip install naja`, and link to the program instead of copying it")
    })
}

/// A program that was upgraded while it runs is named "PATH (deleted)" by the kernel.
fn without_deleted_mark(program: &Path) -> PathBuf {
    match program.to_str().and_then(|path| path.strip_suffix(" (deleted)")) {
        Some(path) => PathBuf::from(path),
        None => program.to_path_buf(),
    }
}

fn package_of(program: &Path) -> Result<PathBuf> {
    let program = fs::canonicalize(program).unwrap_or_else(|_| program.to_path_buf());
    let installed = program.parent().and_then(Path::parent).and_then(installed_under);
    installed.or_else(|| in_checkout(&program)).ok_or_else(|| {
        Failure::new(
            "package-not-found",
            format!("cannot find the Python package that belongs to `{}`", program.display()),
        )
        .hint("the program and the package come in one wheel: install it again with `pip install naja`, and link to the program instead of copying it")
    })
}

/// The package in the environment whose `bin` holds the program; the newest Python's where there are several.
fn installed_under(prefix: &Path) -> Option<PathBuf> {
    let mut found = Vec::new();
    for library in ["lib", "lib64"] {
        let Ok(entries) = fs::read_dir(prefix.join(library)) else {
            continue;
        };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let minor = name
                .to_str()
                .and_then(|name| name.strip_prefix("python3."))
                .and_then(|minor| minor.trim_end_matches('t').parse::<u32>().ok());
            // Debian's own Python keeps what pip installs in `dist-packages`.
            for packages in ["site-packages", "dist-packages"] {
                let package = entry.path().join(packages).join("naja");
                if let (Some(minor), true) = (minor, is_package(&package)) {
                    found.push((minor, package));
                }
            }
        }
    }
    let newest = found.into_iter().max_by_key(|(minor, _)| *minor);
    // `pip install --target FOLDER` puts the package directly beside `bin`.
    newest
        .map(|(_, package)| package)
        .or_else(|| Some(prefix.join("naja")).filter(|package| is_package(package)))
}

fn in_checkout(program: &Path) -> Option<PathBuf> {
    program
        .ancestors()
        .filter(|folder| folder.join("Cargo.lock").is_file())
        .map(|checkout| checkout.join("python/naja"))
        .find(|package| is_package(package))
}

fn is_package(folder: &Path) -> bool {
    folder.join("__init__.py").is_file()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// Makes empty files in a fresh folder, asks for the package of `program`, answers relative to the folder.
    fn check(files: &[&str], links: &[(&str, &str)], program: &str, expected: Option<&str>) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let root = fs::canonicalize(folder.path()).expect("the folder exists");
        for file in files {
            let path = root.join(file);
            fs::create_dir_all(path.parent().expect("inside the folder")).expect("made");
            fs::write(path, "").expect("written");
        }
        for (link, target) in links {
            let path = root.join(link);
            fs::create_dir_all(path.parent().expect("inside the folder")).expect("made");
            symlink(root.join(target), path).expect("linked");
        }
        let found = package_of(&root.join(program));
        match expected {
            Some(expected) => assert_eq!(found.expect("found"), root.join(expected)),
            None => assert_eq!(found.expect_err("not found").name(), "package-not-found"),
        }
    }

    #[test]
    fn package_lies_in_the_environment_of_the_program() {
        let files = ["env/bin/naja", "env/lib/python3.11/site-packages/naja/__init__.py"];
        check(&files, &[], "env/bin/naja", Some("env/lib/python3.11/site-packages/naja"));
    }

    #[test]
    fn links_to_the_program_are_followed() {
        let files = ["venvs/naja/bin/naja", "venvs/naja/lib/python3.12/site-packages/naja/__init__.py"];
        let links = [("share/naja", "venvs/naja/bin/naja"), ("bin/naja", "share/naja")];
        check(&files, &links, "bin/naja", Some("venvs/naja/lib/python3.12/site-packages/naja"));
    }

    #[test]
    fn newest_python_wins_and_other_folders_do_not_confuse() {
        let files = [
            "usr/bin/naja",
            "usr/lib/python3/dist-packages/naja/__init__.py",
            "usr/lib/python3.9/site-packages/naja/__init__.py",
            "usr/lib/python3.12/dist-packages/naja/__init__.py",
            "usr/lib/python3.13/site-packages/naja/other.py",
        ];
        check(&files, &[], "usr/bin/naja", Some("usr/lib/python3.12/dist-packages/naja"));
    }

    #[test]
    fn package_beside_bin_is_found() {
        check(&["t/bin/naja", "t/naja/__init__.py"], &[], "t/bin/naja", Some("t/naja"));
    }

    #[test]
    fn program_in_a_build_folder_finds_the_checkout() {
        let files = ["c/Cargo.lock", "c/python/naja/__init__.py", "c/target/release/naja"];
        check(&files, &[], "c/target/release/naja", Some("c/python/naja"));
    }

    #[test]
    fn program_without_a_package_is_an_error_with_a_name() {
        check(&["opt/bin/naja"], &[], "opt/bin/naja", None);
    }

    #[test]
    fn mark_of_a_replaced_program_is_no_part_of_its_path() {
        assert_eq!(without_deleted_mark(Path::new("/e/bin/naja (deleted)")), Path::new("/e/bin/naja"));
    }
}
