//! Pauses, unwinds and names real programs, compiled for the purpose.
#![allow(clippy::unwrap_used)] // a test that finds nothing where something must be has failed

mod hostile;
mod moved;
mod pausing;
mod unwinding;
mod visiting;

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::OnceLock;

/// The compiled programs: with debugging information, and stripped of all but what the loader needs.
struct Programs {
    _folder: tempfile::TempDir,
    full: PathBuf,
    stripped: PathBuf,
}

fn programs() -> &'static Programs {
    static PROGRAMS: OnceLock<Programs> = OnceLock::new();
    PROGRAMS.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
        let at = |name: &str| folder.path().join(name);
        let run = |program: &str, words: &[&std::ffi::OsStr]| {
            assert!(Command::new(program).args(words).status().unwrap().success(), "{program} {words:?}");
        };
        let (source, library) = (data.join("chain.c"), data.join("library.cpp"));
        let os = |text: &'static str| std::ffi::OsStr::new(text);
        run(
            "c++",
            &[
                os("-O2"),
                os("-g"),
                os("-fPIC"),
                os("-shared"),
                os("-fomit-frame-pointer"),
                library.as_os_str(),
                os("-o"),
                at("libzoo.so").as_os_str(),
            ],
        );
        run(
            "cc",
            &[
                os("-O2"),
                os("-g"),
                os("-fomit-frame-pointer"),
                os("-fno-optimize-sibling-calls"),
                source.as_os_str(),
                at("libzoo.so").as_os_str(),
                os("-Wl,-rpath,$ORIGIN"),
                os("-lpthread"),
                os("-o"),
                at("full").as_os_str(),
            ],
        );
        run("strip", &[at("full").as_os_str(), os("-o"), at("stripped").as_os_str()]);
        Programs { full: at("full"), stripped: at("stripped"), _folder: folder }
    })
}

/// A running program that is killed when the test ends.
struct Running {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Running {
    fn start(program: &Path, words: &[&str]) -> Running {
        let mut child = Command::new(program).args(words).stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Running { child, output }
    }

    /// Starts it and waits until it says that it is ready.
    fn ready(program: &Path, words: &[&str]) -> Running {
        let mut running = Running::start(program, words);
        let mut line = String::new();
        running.output.read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
        running
    }

    fn pid(&self) -> u32 {
        self.child.id()
    }

    fn read_byte(&mut self) -> u8 {
        let mut byte = [0];
        self.output.read_exact(&mut byte).unwrap();
        byte[0]
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
