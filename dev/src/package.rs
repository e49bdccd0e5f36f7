//! The program, the extension and the Python package as one wheel, and that wheel in `.venv`.
//!
//! Cargo builds the program, maturin builds the extension and packs both; the program travels in the wheel's
//! `data/scripts`, so that installing gives the native program itself and no Python script in front of it.

use std::fs;
use std::path::PathBuf;

use crate::checkout::Checkout;
use crate::generate;
use crate::python;
use crate::stamp::{self, Stamp};
use crate::step::{self, Outcome, Problem, say};

/// What the wheel is made from.
const SOURCES: [&str; 13] = [
    "Cargo.toml",
    "Cargo.lock",
    "rust-toolchain.toml",
    ".cargo/config.toml",
    "pyproject.toml",
    "README.md",
    "LICENSE-MIT",
    "LICENSE-APACHE",
    "base",
    "tools",
    "cli",
    "python/extension",
    "python/naja",
];

/// The library that the program loads into others, as cargo calls it.
const AGENT: &str = "libnaja_memory_agent.so";

/// `cargo dev build`: the wheel, installed into `.venv`.
pub(crate) fn build(checkout: &Checkout, _: &[String]) -> Outcome<()> {
    let wheel = wheel(checkout)?;
    let stamp = wheel_stamp(checkout)?;
    let program = checkout.at(".venv/bin/naja");
    if program.is_file() && stamp.is_stored(checkout, "installed") {
        say("the command .venv/bin/naja is up to date");
        return Ok(());
    }
    say("installing the wheel into .venv");
    let wheel = wheel.to_string_lossy();
    python::install(checkout, &checkout.python(), &["--force-reinstall", "--no-deps", "--no-index", &wheel])?;
    stamp.store(checkout, "installed")?;
    say("built: the command is .venv/bin/naja");
    Ok(())
}

/// `cargo dev wheel`: the wheel alone.
pub(crate) fn wheel_command(checkout: &Checkout, _: &[String]) -> Outcome<()> {
    let wheel = wheel(checkout)?;
    say(&format!("the wheel is {}", wheel.strip_prefix(&checkout.root).unwrap_or(&wheel).display()));
    Ok(())
}

/// Builds the wheel where what it is made from has changed, and gives its path.
pub(crate) fn wheel(checkout: &Checkout) -> Outcome<PathBuf> {
    python::environment(checkout)?;
    let stamp = wheel_stamp(checkout)?;
    if let (true, Ok(wheel)) = (stamp.is_stored(checkout, "wheel"), built_wheel(checkout)) {
        return Ok(wheel);
    }
    program(checkout)?;
    carry_program(checkout)?;
    remove_old_wheels(checkout)?;
    say("building the extension and packing the wheel");
    let mut maturin = checkout.command(checkout.at(".venv/bin/maturin"));
    // The absolute path, because that is what the setting in .cargo/config.toml comes to.
    maturin
        .args(["build", "--quiet", "--release", "--locked", "--out", "dist", "--interpreter"])
        .arg(checkout.python());
    step::run_quietly(&mut maturin)?;
    stamp.store(checkout, "wheel")?;
    built_wheel(checkout)
}

/// Builds the program with cargo, which itself knows best what has changed.
pub(crate) fn program(checkout: &Checkout) -> Outcome<()> {
    let first = !checkout.release.join("naja").is_file();
    say(if first { "building the program (some minutes, once)" } else { "building the program" });
    step::run(checkout.cargo(&["build", "--locked"]).args(Checkout::TOGETHER))
}

/// Puts the program where `pyproject.toml` tells maturin to look for it, and beside it what the program itself
/// writes for shells and for `man`.
fn carry_program(checkout: &Checkout) -> Outcome<()> {
    let data = checkout.at("target/wheel-data");
    if data.exists() {
        fs::remove_dir_all(&data).map_err(|error| Problem::path("remove", &data, &error))?;
    }
    let program = checkout.release.join("naja");
    let scripts = data.join("scripts");
    fs::create_dir_all(&scripts)
        .and_then(|()| fs::copy(&program, scripts.join("naja")))
        .map_err(|error| Problem::path("copy", &program, &error))?;
    // Where the program looks for it: `lib/naja` beside the `bin` that it is installed in.
    let agent = checkout.release.join(AGENT);
    let library = data.join("data/lib/naja");
    fs::create_dir_all(&library)
        .and_then(|()| fs::copy(&agent, library.join(AGENT)))
        .map_err(|error| Problem::path("copy", &agent, &error))?;
    let say = |words: &[&str]| step::run_quietly(checkout.command(&program).args(words));
    let mut shared = vec![
        ("bash-completion/completions/naja".to_owned(), say(&["completions", "bash"])?),
        ("zsh/site-functions/_naja".to_owned(), say(&["completions", "zsh"])?),
        ("fish/vendor_completions.d/naja.fish".to_owned(), say(&["completions", "fish"])?),
        ("man/man1/naja.1".to_owned(), say(&["man"])?),
    ];
    for command in generate::commands_in(&say(&["--help"])?) {
        shared.push((format!("man/man1/naja-{command}.1"), say(&["man", &command])?));
    }
    for (path, text) in shared {
        step::write(&data.join("data/share").join(path), &text)?;
    }
    Ok(())
}

fn remove_old_wheels(checkout: &Checkout) -> Outcome<()> {
    for wheel in wheels(checkout)? {
        fs::remove_file(&wheel).map_err(|error| Problem::path("remove", &wheel, &error))?;
    }
    Ok(())
}

fn built_wheel(checkout: &Checkout) -> Outcome<PathBuf> {
    wheels(checkout)?.pop().ok_or_else(|| Problem::new("maturin has left no wheel in dist/"))
}

fn wheels(checkout: &Checkout) -> Outcome<Vec<PathBuf>> {
    let mut files = stamp::files_under(&checkout.at("dist"))?;
    files.retain(|file| {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("naja-") && name.ends_with(".whl")
    });
    Ok(files)
}

/// Tests and benchmarks of a crate, and the crate for tests, are no part of the wheel; of what they came to, the table of
/// drop-ins is, which `cargo dev gen` writes.
fn wheel_stamp(checkout: &Checkout) -> Outcome<Stamp> {
    let mut stamp = Stamp::new();
    stamp.add(step::run_quietly(checkout.command(checkout.python()).arg("-VV"))?.as_bytes());
    for source in SOURCES {
        for file in stamp::files_under(&checkout.at(source))? {
            let inside = file.strip_prefix(&checkout.root).unwrap_or(&file);
            if !inside.components().any(|part| {
                matches!(
                    part.as_os_str().to_str(),
                    Some("tests" | "bench" | "conformance" | "examples" | "testkit")
                )
            }) {
                stamp.add_path(&file)?;
            }
        }
    }
    Ok(stamp)
}
