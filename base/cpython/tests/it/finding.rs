//! Where the interpreter lies, and which one it is.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use naja_cpython::locate::{FoundBy, LocateError, Located, Locator, locate};
use naja_cpython::memory::{LiveProcess, Memory, MemoryError};
use naja_testkit::interpreters::{Interpreter, all_interpreters, interpreters};
use naja_testkit::target::Target;

use crate::{find, skip};

const PROGRAM: &str = "import sys; print('1', flush=True); sys.stdin.read()";

#[test]
fn every_interpreter_is_found_with_its_version() {
    let mut locator = Locator::default();
    for interpreter in interpreters() {
        for _ in 0..2 {
            // The second of the same kind is found by what the first has taught.
            let target = Target::start(interpreter, PROGRAM);
            let located = locator.locate(target.pid(), &LiveProcess::new(target.pid()));
            let located = located.unwrap_or_else(|error| panic!("{interpreter}: {error}"));
            assert_is(&located, interpreter);
            assert_eq!(located.found_by, FoundBy::Symbol, "{interpreter}");
            assert!(located.binary.exists(), "{interpreter}: {}", located.binary.display());
        }
    }
}

#[test]
fn an_interpreter_that_is_starting_is_not_ready_and_then_found() {
    for interpreter in interpreters() {
        let mut command = interpreter.command();
        command.args(["-c", "import sys; sys.stdin.read()"]).stdin(Stdio::piped());
        let child = Ended(command.spawn().unwrap());
        let pid = child.0.id();
        let mut locator = Locator::default();
        let located = loop {
            match locator.locate(pid, &LiveProcess::new(pid)) {
                Ok(located) => break located,
                // Between fork and exec it is still this test's program, and for an instant nothing at all.
                Err(LocateError::NotReady | LocateError::NotPython) => {}
                Err(LocateError::Memory(MemoryError::Gone | MemoryError::Unmapped)) => {}
                Err(error) => panic!("{interpreter}: {error}"),
            }
        };
        assert_is(&located, interpreter);
    }
}

#[test]
fn a_virtual_environment_s_python_is_found() {
    for interpreter in interpreters() {
        for how in ["--symlinks", "--copies"] {
            let folder = tempfile::tempdir().unwrap();
            let root = folder.path().join("env");
            let made = interpreter.command().args(["-m", "venv", "--without-pip", how]).arg(&root).output();
            if !made.is_ok_and(|output| output.status.success()) {
                skip(&format!("{interpreter} makes no virtual environment with {how}"));
                continue;
            }
            let target = target(Command::new(root.join("bin/python")), folder);
            assert_is(&find(&target).1, interpreter);
        }
    }
}

#[test]
fn replaced_and_deleted_files_do_not_matter() {
    for interpreter in interpreters() {
        let folder = tempfile::tempdir().unwrap();
        let copy = copy_of(interpreter, folder.path());
        let target = target(copy, folder);
        for entry in std::fs::read_dir(target.folder()).unwrap() {
            let path = entry.unwrap().path();
            std::fs::remove_file(&path).unwrap();
            if path.extension().is_some() {
                std::fs::write(&path, "no ELF file").unwrap();
            }
        }
        let (_, located) = find(&target);
        assert_is(&located, interpreter);
        assert!(located.binary.to_string_lossy().ends_with("(deleted)"), "{interpreter}");
    }
}

#[test]
fn another_mount_namespace_does_not_matter() {
    let allowed = Command::new("unshare").args(["-m", "true"]).output().is_ok_and(|out| out.status.success());
    if !allowed {
        return skip("a new mount namespace takes root");
    }
    for interpreter in interpreters() {
        let folder = tempfile::tempdir().unwrap();
        let copy = copy_of(interpreter, folder.path());
        // What the process runs is visible to nobody else.
        let inside = folder.path().join("inside");
        std::fs::create_dir(&inside).unwrap();
        let script = "mount -t tmpfs none inside && cp app lib* inside/ 2>/dev/null; \
                      LD_LIBRARY_PATH=$PWD/inside; export LD_LIBRARY_PATH; exec \"$PWD/inside/app\" \"$@\"";
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-c", script, "sh"]).current_dir(folder.path());
        command.envs(copy.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let target = target(command, folder);
        let (_, located) = find(&target);
        assert_is(&located, interpreter);
        assert!(!located.binary.exists(), "{interpreter}: {}", located.binary.display());
    }
}

#[test]
fn an_embedding_program_is_found_whatever_was_stripped_from_it() {
    for interpreter in interpreters() {
        let folder = tempfile::tempdir().unwrap();
        if let Err(why) = embed(interpreter, folder.path()) {
            skip(&format!("{interpreter} cannot be embedded: {why}"));
            continue;
        }
        let has_section = interpreter.minor() >= 10;
        let mut kinds = vec![("app", if has_section { FoundBy::Section } else { FoundBy::LocalSymbol })];
        if tool("strip", &["-o", "bare", "app"], folder.path()) {
            kinds.push(("bare", if has_section { FoundBy::Section } else { FoundBy::Scan }));
        }
        let rename = ["--rename-section", ".PyRuntime=.other", "bare", "nameless"];
        if has_section && tool("objcopy", &rename, folder.path()) {
            kinds.push(("nameless", FoundBy::Scan));
        }
        for (name, found_by) in kinds {
            let own = tempfile::tempdir().unwrap();
            std::fs::rename(folder.path().join(name), own.path().join(name)).unwrap();
            let mut command = Command::new(own.path().join(name));
            command.env("PYTHONHOME", prefix(interpreter));
            let target = target(command, own);
            let mut locator = Locator::default();
            for _ in 0..2 {
                let located = locator.locate(target.pid(), &LiveProcess::new(target.pid()));
                let located = located.unwrap_or_else(|error| panic!("{interpreter}, {name}: {error}"));
                assert_is(&located, interpreter);
                assert_eq!(located.found_by, found_by, "{interpreter}, {name}");
            }
        }
    }
}

/// Stands in for a version to come: a copy of the interpreter that says of itself that it is 3.99.
pub(crate) fn version_to_come(interpreter: &Interpreter, folder: &Path) -> Command {
    let copy = copy_of(interpreter, folder);
    let (major, minor, patch) = interpreter.version;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let mut bytes = std::fs::read(&path).unwrap();
        let states = [&b"xdebugpy"[..], &[0xf0, patch, minor, major]].concat();
        if let Some(place) = bytes.windows(states.len()).position(|window| window == states) {
            bytes[place + 10] = 99;
            std::fs::write(&path, bytes).unwrap();
        }
    }
    copy
}

#[test]
fn an_unknown_version_is_read_if_it_kept_its_layout_and_refused_by_name_if_not() {
    for interpreter in interpreters().iter().filter(|one| one.minor() >= 13) {
        let folder = tempfile::tempdir().unwrap();
        let copy = version_to_come(interpreter, folder.path());
        let target = target(copy, folder);
        let found = locate(target.pid(), &LiveProcess::new(target.pid()));
        match (interpreter.minor(), found) {
            (13 | 14, Err(error @ LocateError::Unknown { .. })) => {
                assert!(error.to_string().contains("3.99."), "{interpreter}: {error}");
            }
            (15.., Ok(located)) => {
                assert_eq!(located.version.minor, 99, "{interpreter}");
                let head = located.runtime + u64::from(located.offsets.runtime.interpreters_head);
                assert_ne!(LiveProcess::new(target.pid()).read_u64(head), Ok(0), "{interpreter}");
            }
            (_, other) => panic!("{interpreter}: {other:?}"),
        }
    }
}

#[test]
fn an_interpreter_that_is_too_old_is_named() {
    for interpreter in all_interpreters().iter().filter(|one| one.version < (3, 8, 0)) {
        let mut command = Command::new(&interpreter.path);
        command.args(["-c", "import sys; sys.stdout.write('1\\n'); sys.stdout.flush(); sys.stdin.read()"]);
        let target = Target::spawn(command, tempfile::tempdir().unwrap());
        match locate(target.pid(), &LiveProcess::new(target.pid())) {
            Err(LocateError::TooOld(version)) => {
                assert_eq!((version.major, version.minor), (interpreter.version.0, interpreter.version.1));
            }
            other => panic!("{interpreter}: {other:?}"),
        }
    }
}

#[test]
fn a_program_that_is_no_python_is_none() {
    let child = Ended(Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap());
    let pid = child.0.id();
    // Until it has become `cat` it is this program, which is no Python either.
    let error = locate(pid, &LiveProcess::new(pid)).unwrap_err();
    assert!(matches!(error, LocateError::NotPython), "{error:?}");
}

#[test]
fn a_process_that_has_ended_is_gone() {
    let mut child = Command::new("true").spawn().unwrap();
    let pid = child.id();
    child.wait().unwrap();
    let error = locate(pid, &LiveProcess::new(pid)).unwrap_err();
    assert!(matches!(error, LocateError::Memory(MemoryError::Gone)), "{error:?}");
}

#[test]
fn interpreters_within_an_interpreter_are_listed() {
    const SUB: &str = "
import sys
try:
    import _interpreters as i
except ImportError:
    import _xxsubinterpreters as i
made = [i.create() for _ in range(3)]
print([int(one) if not isinstance(one, tuple) else one[0] for one in i.list_all()], flush=True)
sys.stdin.read()
";
    for interpreter in interpreters() {
        let target = Target::start(interpreter, SUB);
        let (memory, located) = find(&target);
        let field = |address: u64, offset: u32| memory.read_u64(address + u64::from(offset)).unwrap();
        let mut ids = Vec::new();
        let mut next = field(located.runtime, located.offsets.runtime.interpreters_head);
        while next != 0 {
            ids.push(field(next, located.offsets.interpreter.id));
            next = field(next, located.offsets.interpreter.next);
        }
        ids.sort_unstable();
        let mut expected: Vec<u64> =
            target.ready().as_array().unwrap().iter().map(|id| id.as_u64().unwrap()).collect();
        expected.sort_unstable();
        assert_eq!(ids, expected, "{interpreter}");
        assert_eq!(ids.len(), 4, "{interpreter}");
    }
}

fn assert_is(located: &Located, interpreter: &Interpreter) {
    let version = located.version;
    assert_eq!((version.major, version.minor, version.patch), interpreter.version, "{interpreter}");
    assert_eq!(located.free_threaded, interpreter.free_threaded, "{interpreter}");
}

/// Runs [`PROGRAM`] with a command that behaves like `python`.
fn target(mut command: Command, folder: tempfile::TempDir) -> Target {
    command.args(["-B", "-c", PROGRAM]);
    Target::spawn(command, folder)
}

/// A child that does not outlive its test.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Copies the interpreter and its library into `folder`, as `app` and `lib…`; gives a command that runs them.
fn copy_of(interpreter: &Interpreter, folder: &Path) -> Command {
    let app = folder.join("app");
    std::fs::copy(&interpreter.path, &app).unwrap();
    let ask =
        "import sysconfig as s; print(s.get_config_var('LIBDIR') + '/' + s.get_config_var('INSTSONAME'))";
    let library = PathBuf::from(answer(interpreter, ask));
    if library.extension().is_some_and(|extension| extension != "a") && library.exists() {
        std::fs::copy(&library, folder.join(library.file_name().unwrap())).unwrap();
    }
    let mut command = Command::new(app);
    command.env("LD_LIBRARY_PATH", folder).env("PYTHONHOME", prefix(interpreter));
    command
}

/// Links a program named `app` with the interpreter's static library, exporting nothing.
fn embed(interpreter: &Interpreter, folder: &Path) -> Result<(), String> {
    let ask = "import sysconfig as s; v = s.get_config_var; import os; \
               print(os.path.join(v('LIBPL'), 'libpython' + v('LDVERSION') + '.a')); \
               print(s.get_paths()['include']); print(v('LIBS'), v('SYSLIBS'), v('MODLIBS') or '')";
    let text = answer(interpreter, ask);
    let mut lines = text.lines();
    let (Some(library), Some(include), Some(libraries)) = (lines.next(), lines.next(), lines.next()) else {
        return Err("it does not say how".to_owned());
    };
    if !Path::new(library).exists() {
        return Err("it has no static library".to_owned());
    }
    let main = "#include <Python.h>\nint main(int n, char **words) { return Py_BytesMain(n, words); }\n";
    std::fs::write(folder.join("main.c"), main).unwrap();
    let mut command = Command::new("cc");
    command.args(["-w", "-o", "app", "main.c", "-I", include, "-Wl,--strip-debug", library]);
    command.args(libraries.split_whitespace()).current_dir(folder);
    match command.output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            Err(String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or_default().to_owned())
        }
        Err(error) => Err(format!("no C compiler: {error}")),
    }
}

fn tool(name: &str, arguments: &[&str], folder: &Path) -> bool {
    Command::new(name)
        .args(arguments)
        .current_dir(folder)
        .output()
        .is_ok_and(|output| output.status.success())
}

fn prefix(interpreter: &Interpreter) -> String {
    answer(interpreter, "import sys; print(sys.base_prefix)")
}

fn answer(interpreter: &Interpreter, question: &str) -> String {
    let output = interpreter.command().args(["-c", question]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}
