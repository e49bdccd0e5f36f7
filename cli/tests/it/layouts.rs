//! Pythons that lie somewhere else: in a container, a virtual environment, a conda-like tree, stripped.
//!
//! How each is found is tested in `base/cpython/tests/it/finding.rs`; here the commands are run on them.

use std::path::Path;
use std::process::Command;

use naja_testkit::interpreters::{Interpreter, interpreters};
use naja_testkit::naja::block;
use naja_testkit::not_tested;
use naja_testkit::target::Target;

use crate::naja;

/// Says its own number, then works in `spin` for good.
const PROGRAM: &str = "
import json, os
def spin():
    while True: sum(range(1000))
print(json.dumps(os.getpid()), flush=True)
spin()
";

/// Asserts that both commands see the program, by the number that it has here.
fn assert_is_read(pid: u32, what: &str) {
    let (naja, folder) = (naja(), tempfile::tempdir().expect("there is room"));
    let pid = pid.to_string();
    let output = folder.path().join("out.collapsed");
    let mut record = naja.command();
    record.args(["record", "-q", "-d", "0.3", "-p", &pid, "-o"]).arg(&output);
    let recorded = record.output().expect("naja starts");
    assert!(recorded.status.success(), "{what}: {}", block(&recorded, &[]));
    let text = std::fs::read_to_string(&output).expect("it was written");
    assert!(text.lines().any(|line| line.contains("spin (")), "{what}: {text}");
    let dumped = naja.command().args(["dump", "-p", &pid]).output().expect("naja starts");
    assert!(dumped.status.success(), "{what}: {}", block(&dumped, &[]));
    assert!(String::from_utf8_lossy(&dumped.stdout).contains("spin"), "{what}: {}", block(&dumped, &[]));
}

/// Runs [`PROGRAM`] with a command that behaves like `python`.
fn start(mut command: Command) -> Target {
    command.args(["-B", "-c", PROGRAM]);
    Target::spawn(command, tempfile::tempdir().expect("there is room"))
}

#[test]
fn a_python_in_a_container_is_read_by_its_number_outside() {
    let new_namespaces = ["--pid", "--mount", "--fork", "--mount-proc", "--kill-child"];
    let allowed = Command::new("unshare").args(new_namespaces).arg("true").output();
    if !allowed.is_ok_and(|output| output.status.success()) {
        return not_tested("a Python in a container: `unshare --pid --mount` is not allowed here");
    }
    for interpreter in interpreters() {
        // In there, its files lie where nothing lies outside.
        let script = "mount -t tmpfs none /mnt && mkdir /mnt/bin && cp \"$0\" /mnt/bin/python && \
                      exec /mnt/bin/python \"$@\"";
        let mut command = Command::new("unshare");
        command.args(new_namespaces).args(["sh", "-c", script]).arg(&interpreter.path);
        command.env("PYTHONHOME", answer(interpreter, "import sys; print(sys.base_prefix)"));
        let target = start(command);
        assert_eq!(target.ready(), 1, "{interpreter}: it is the first process of its own world");
        let children = format!("/proc/{0}/task/{0}/children", target.pid());
        let children = std::fs::read_to_string(children).expect("it lives");
        let pid = children.split_whitespace().next().and_then(|pid| pid.parse().ok()).expect("one child");
        assert_is_read(pid, &format!("{interpreter} in a container"));
    }
}

#[test]
fn a_virtual_environment_s_python_is_read() {
    for interpreter in interpreters() {
        let folder = tempfile::tempdir().expect("there is room");
        let root = folder.path().join("env");
        let made = interpreter.command().args(["-m", "venv", "--without-pip"]).arg(&root).output();
        if !made.is_ok_and(|output| output.status.success()) {
            not_tested(&format!("{interpreter} makes no virtual environment"));
            continue;
        }
        let target = start(Command::new(root.join("bin/python")));
        assert_is_read(target.pid(), &format!("{interpreter} in a virtual environment"));
    }
}

#[test]
fn a_tree_that_was_moved_with_its_library_is_read() {
    for interpreter in interpreters() {
        let folder = tempfile::tempdir().expect("there is room");
        if let Err(why) = conda_like(interpreter, folder.path()) {
            not_tested(&format!("{interpreter} in a tree as conda lays it out: {why}"));
            continue;
        }
        for strip in [false, true] {
            if strip && !strips(&folder.path().join("bin/python"), &folder.path().join("lib")) {
                not_tested("a stripped interpreter: there is no `strip`");
                continue;
            }
            let mut command = Command::new(folder.path().join("bin/python"));
            command.env("PYTHONHOME", answer(interpreter, "import sys; print(sys.base_prefix)"));
            let target = start(command);
            let maps = std::fs::read_to_string(format!("/proc/{}/maps", target.pid())).expect("it lives");
            let library = folder.path().join("lib/libpython");
            assert!(maps.contains(&*library.to_string_lossy()), "{interpreter}: it is another library");
            assert_is_read(target.pid(), &format!("{interpreter} as conda lays it out, stripped: {strip}"));
        }
    }
}

/// Lays out `bin/python` and `lib/libpython…`, the one finding the other by its own place, as conda does.
fn conda_like(interpreter: &Interpreter, root: &Path) -> Result<(), String> {
    let ask = "import sysconfig as s; v = s.get_config_var; print(v('LIBDIR')); print(v('INSTSONAME')); \
               print(v('LDVERSION')); print(s.get_paths()['include'])";
    let text = answer(interpreter, ask);
    let words: Vec<&str> = text.lines().collect();
    let [folder, library, version, include] = words.as_slice() else {
        return Err("it does not say how".into());
    };
    let shared = Path::new(folder).join(library);
    if !library.contains(".so") || !shared.is_file() {
        return Err("it has no shared library".to_owned());
    }
    for name in ["bin", "lib"] {
        std::fs::create_dir_all(root.join(name)).map_err(|error| error.to_string())?;
    }
    std::fs::copy(&shared, root.join("lib").join(library)).map_err(|error| error.to_string())?;
    std::os::unix::fs::symlink(library, root.join(format!("lib/libpython{version}.so")))
        .or_else(|error| if error.kind() == std::io::ErrorKind::AlreadyExists { Ok(()) } else { Err(error) })
        .map_err(|error| error.to_string())?;
    let main = "#include <Python.h>\nint main(int n, char **words) { return Py_BytesMain(n, words); }\n";
    std::fs::write(root.join("main.c"), main).map_err(|error| error.to_string())?;
    let mut cc = Command::new("cc");
    cc.args(["-w", "-o", "bin/python", "main.c", "-I", include, "-Llib"]).current_dir(root);
    cc.args([format!("-lpython{version}"), "-Wl,-rpath,$ORIGIN/../lib".to_owned()]);
    match cc.output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            Err(String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or_default().to_owned())
        }
        Err(error) => Err(format!("no C compiler: {error}")),
    }
}

/// Strips a program and the libraries in a folder of all that is not needed to run.
fn strips(program: &Path, libraries: &Path) -> bool {
    let entries = std::fs::read_dir(libraries).expect("it is there").flatten().map(|entry| entry.path());
    let files = entries.filter(|path| !path.is_symlink()).chain([program.to_owned()]);
    Command::new("strip").args(files).output().is_ok_and(|output| output.status.success())
}

fn answer(interpreter: &Interpreter, question: &str) -> String {
    let output = interpreter.command().args(["-c", question]).output().expect("it runs");
    String::from_utf8(output.stdout).expect("it is text").trim_end().to_owned()
}
