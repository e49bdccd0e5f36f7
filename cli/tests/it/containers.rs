//! Pythons in containers of real engines, read from outside by the number that they have there.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use naja_testkit::interpreters::{Interpreter, all_interpreters};
use naja_testkit::naja::block;
use naja_testkit::not_tested;
use rustix::process::geteuid;

use crate::naja;

/// Works in `spin` for good.
const PROGRAM: &str = "
def spin():
    while True: sum(range(1000))
spin()
";

/// How long an engine may take: it is a test of naja, and a busy machine starts a container slowly.
const START_MAX: Duration = Duration::from_secs(60);

/// A container that ends with the test.
struct Container {
    engine: Child,
    /// The engine is asked to end it; where there is no such command, its process is killed.
    end: Option<Command>,
    pid: u32,
}

impl Container {
    /// Starts an engine and waits until a process runs the program in it. `None`: the engine cannot work here.
    fn start(mut engine: Command, end: Option<Command>, program: &Path) -> Option<Container> {
        let mut child = engine.stdin(Stdio::null()).stdout(Stdio::null()).spawn().ok()?;
        let started = Instant::now();
        loop {
            if child.try_wait().expect("it can be waited for").is_some() || started.elapsed() > START_MAX {
                let _ = child.kill();
                let _ = child.wait();
                return None;
            }
            if let Some(pid) = running(program) {
                return Some(Container { engine: child, end, pid });
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if let Some(end) = &mut self.end {
            let _ = end.output();
        }
        if let Some(pid) = rustix::process::Pid::from_raw(self.pid.cast_signed()) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
        let _ = self.engine.kill();
        let _ = self.engine.wait();
    }
}

/// The process whose own program is this file of its root folder, in whatever namespace it is.
fn running(program: &Path) -> Option<u32> {
    use std::os::unix::fs::MetadataExt;
    let wanted = std::fs::metadata(program).expect("it was copied");
    let processes = std::fs::read_dir("/proc").expect("there is a /proc").flatten();
    let mut pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.find(|pid| {
        let exe = std::fs::metadata(format!("/proc/{pid}/exe"));
        exe.is_ok_and(|exe| (exe.dev(), exe.ino()) == (wanted.dev(), wanted.ino()))
    })
}

/// Lays out a root folder that holds an interpreter, its standard library and the libraries that it needs. Gives
/// the interpreter's place in there.
fn lay_out(interpreter: &Interpreter, root: &Path) -> Option<PathBuf> {
    let ask = "import os, sys; print(os.path.dirname(os.__file__)); print(os.path.realpath(sys.executable))";
    let answer = interpreter.command().args(["-S", "-c", ask]).output().ok()?;
    let answer = String::from_utf8(answer.stdout).ok()?;
    let (library, program) = answer.trim().split_once('\n')?;
    let copy = |from: &str, follow: &str| {
        let to = root.join(Path::new(from).strip_prefix("/").ok()?);
        std::fs::create_dir_all(to.parent()?).ok()?;
        Command::new("cp").arg(follow).arg(from).arg(&to).status().ok().filter(|status| status.success())
    };
    copy(library, "-a")?;
    copy(program, "-L")?;
    let needed = Command::new("ldd").arg(program).output().ok()?;
    for word in
        String::from_utf8_lossy(&needed.stdout).split_whitespace().filter(|word| word.starts_with('/'))
    {
        copy(word, "-L")?;
    }
    for folder in ["proc", "dev", "sys", "tmp", "etc"] {
        std::fs::create_dir_all(root.join(folder)).ok()?;
    }
    Some(PathBuf::from(program))
}

/// The bundle that `runc` and `crun` take.
fn write_bundle(engine: &str, folder: &Path, program: &Path) -> Option<()> {
    let spec = Command::new(engine).arg("spec").current_dir(folder).output().ok()?;
    if !spec.status.success() {
        return None;
    }
    let path = folder.join("config.json");
    let mut config: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).ok()?).ok()?;
    config["process"]["args"] = serde_json::json!([program, "-B", "-c", PROGRAM]);
    config["process"]["terminal"] = false.into();
    config["root"] = serde_json::json!({"path": "rootfs", "readonly": true});
    std::fs::write(path, config.to_string()).ok()
}

fn assert_is_read(pid: u32, engine: &str) {
    let (naja, folder) = (naja(), tempfile::tempdir().expect("there is room"));
    let pid = pid.to_string();
    let output = folder.path().join("out.collapsed");
    // A container's Python begins like every other one: until then it has no stack.
    let started = Instant::now();
    let dumped = loop {
        let dumped = naja.command().args(["dump", "-p", &pid]).output().expect("naja starts");
        let is_there = String::from_utf8_lossy(&dumped.stdout).contains("spin");
        if is_there || started.elapsed() > START_MAX {
            break dumped;
        }
    };
    assert!(dumped.status.success(), "{engine}: {}", block(&dumped, &[]));
    assert!(String::from_utf8_lossy(&dumped.stdout).contains("spin"), "{engine}: {}", block(&dumped, &[]));
    for native in [false, true] {
        let mut record = naja.command();
        record.args(["record", "-q", "-d", "0.5", "-p", &pid, "-o"]).arg(&output);
        let recorded = record.args(native.then_some("--native")).output().expect("naja starts");
        assert!(recorded.status.success(), "{engine}: {}", block(&recorded, &[]));
        let text = std::fs::read_to_string(&output).expect("it was written");
        assert!(text.lines().any(|line| line.contains("spin (")), "{engine}: {text}");
    }
}

#[test]
fn a_python_in_a_container_of_a_real_engine_is_read_from_the_host() {
    if !geteuid().is_root() {
        return not_tested("containers of real engines: only root is sure to be allowed to start one");
    }
    let Some(python) = all_interpreters().iter().rfind(|one| one.path.starts_with("/usr/bin")) else {
        return not_tested("containers of real engines: there is no Python in /usr/bin to lay out");
    };
    let folder = tempfile::tempdir().expect("there is room");
    let root = folder.path().join("rootfs");
    let Some(program) = lay_out(python, &root) else {
        return not_tested("containers of real engines: a root folder cannot be laid out");
    };
    let inside = root.join(program.strip_prefix("/").expect("it is absolute"));
    let name = format!("naja-test-{}", std::process::id());
    for engine in ["bwrap", "runc", "crun", "podman"] {
        let (mut command, mut end) = (Command::new(engine), None);
        match engine {
            "bwrap" => {
                command.args(["--unshare-all", "--die-with-parent", "--ro-bind"]).arg(&root).arg("/");
                command.args(["--proc", "/proc", "--dev", "/dev"]).arg(&program).args(["-B", "-c", PROGRAM]);
            }
            "podman" => {
                command.args(["run", "--rm", "--cgroups=disabled", "--network=none", "--ulimit=host"]);
                command.args(["--name", &name]);
                command.arg("--rootfs").arg(&root).arg(&program).args(["-B", "-c", PROGRAM]);
                end = Some(Command::new(engine));
            }
            _ => {
                // Cgroups, where they are managed by hand, are no matter of this test.
                command.args((engine == "crun").then_some("--cgroup-manager=disabled"));
                command.args(["run", &name]).current_dir(folder.path());
                end = Some(Command::new(engine));
                if write_bundle(engine, folder.path(), &program).is_none() {
                    not_tested(&format!("a Python in a container of {engine}: it is not installed"));
                    continue;
                }
            }
        }
        if let Some(end) = &mut end {
            end.args(if engine == "podman" { ["rm", "-f"] } else { ["delete", "--force"] }).arg(&name);
        }
        match Container::start(command, end, &inside) {
            Some(container) => assert_is_read(container.pid, engine),
            None => not_tested(&format!("a Python in a container of {engine}: it cannot start one here")),
        }
        let _ = std::fs::remove_file(folder.path().join("config.json"));
    }
}
