//! What refuses, where a setting of the system forbids to read another process.
//!
//! A kernel without Yama cannot refuse as Yama does. What naja sees of it is the file with its setting, and
//! EPERM from the calls that read another process; so here a file lies at that place, in a mount namespace of its own, and a
//! filter of the kernel gives that error, to naja alone.

use std::path::Path;
use std::process::Command;

use naja_testkit::naja::block;
use naja_testkit::not_tested;
use naja_testkit::target::Target;
use rustix::process::geteuid;

use crate::{make_executable, naja, python};

const NOBODY: u32 = 65534;
const AS_NOBODY: [&str; 4] = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];

/// Becomes another program, for which `process_vm_readv`, `ptrace` and `pidfd_getfd` give EPERM.
const REFUSE: &str = "
import ctypes, os, struct, sys
libc = ctypes.CDLL(None)
LOAD, EQUAL, RETURN, ALLOW, EPERM = 0x20, 0x15, 0x06, 0x7fff0000, 0x00050001
calls = [310, 101, 438]
program = [(LOAD, 0, 0, 0)]
for place, call in enumerate(calls):
    program.append((EQUAL, len(calls) - place, 0, call))
program += [(RETURN, 0, 0, ALLOW), (RETURN, 0, 0, EPERM)]
code = ctypes.create_string_buffer(b''.join(struct.pack('HBBI', *one) for one in program))
header = ctypes.create_string_buffer(struct.pack('HxxxxxxQ', len(program), ctypes.addressof(code)))
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, header, 0, 0) == 0
os.execvp(sys.argv[1], sys.argv[1:])
";

/// Whether a file can be laid where the kernel has Yama's setting.
fn lays_a_setting() -> bool {
    let words =
        ["--mount", "sh", "-c", "mount -t tmpfs none /proc/sys/kernel && mkdir /proc/sys/kernel/yama"];
    geteuid().is_root()
        && cfg!(target_arch = "x86_64")
        && Command::new("unshare").args(words).output().is_ok_and(|output| output.status.success())
}

/// What `naja` says of its own user's process, where Yama's setting is `scope`.
fn refused(program: &Path, filter: &Path, scope: &str, words: &[&str]) -> String {
    let python = python().expect("asked for before");
    let script = "mount -t tmpfs none /proc/sys/kernel && mkdir /proc/sys/kernel/yama && \
                  echo \"$0\" > /proc/sys/kernel/yama/ptrace_scope && \
                  exec \"$@\"";
    let mut command = naja().command_of(&["unshare", "--mount", "sh", "-c", script, scope]);
    command
        .arg(&python.path)
        .arg(filter)
        .args(AS_NOBODY)
        .arg(program)
        .args(words)
        .env("HOME", "/nonexistent")
        .current_dir("/");
    block(&command.output().expect("it starts"), &[])
}

#[test]
fn yama_s_setting_is_named_with_the_capability_and_what_works_instead() {
    let Some(python) = python() else { return };
    if !lays_a_setting() {
        return not_tested("a refusal by Yama: only root can imitate it, on x86-64");
    }
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let (program, filter) = (folder.path().join("naja"), folder.path().join("refuse.py"));
    std::fs::copy(naja().program(), &program).expect("it can be copied");
    std::fs::write(&filter, REFUSE).expect("the folder is ours");
    for path in [folder.path(), &program, &filter] {
        make_executable(path);
    }
    // A process of the same user that any process of that user may read, but for the setting. Having had another
    // user makes it one that may not be dumped, until it says otherwise.
    let target = Target::start(
        python,
        &format!(
            "import ctypes, os, sys\nos.setgroups([])\nos.setgid({NOBODY})\nos.setuid({NOBODY})\n\
             ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)\nprint('{{}}', flush=True)\nsys.stdin.read()\n"
        ),
    );
    let pid = target.pid().to_string();
    let readable = Command::new(AS_NOBODY[0])
        .args(&AS_NOBODY[1..])
        .arg(&program)
        .args(["dump", "-p", &pid])
        .current_dir("/")
        .output();
    let readable = readable.expect("it starts");
    if !readable.status.success() {
        return not_tested("a refusal by Yama: this system refuses already without it");
    }
    let commands: [&[&str]; 3] =
        [&["dump", "-p", &pid], &["record", "-d", "1", "-p", &pid], &["top", "--count", "1", "-p", &pid]];
    for words in commands {
        let shown = refused(&program, &filter, "1", words);
        assert!(shown.contains("error[reading-forbidden]"), "{words:?}: {shown}");
        assert!(shown.contains("kernel.yama.ptrace_scope is 1"), "{words:?}: {shown}");
        let named = [
            "CAP_SYS_PTRACE",
            "`naja record -- python app.py`",
            "sudo naja",
            "sysctl kernel.yama.ptrace_scope=0",
        ];
        for instead in named {
            assert!(shown.replace('\n', " ").contains(instead), "{words:?}: {instead}: {shown}");
        }
    }
    let shown = refused(&program, &filter, "2", &["dump", "-p", &pid]);
    assert!(shown.contains("ptrace_scope is 2") && shown.contains("CAP_SYS_PTRACE"), "{shown}");
    assert!(shown.contains("sudo naja"), "{shown}");
    let shown = refused(&program, &filter, "3", &["dump", "-p", &pid]);
    assert!(shown.contains("ptrace_scope is 3, which lets nobody read another process"), "{shown}");
    // Without the setting, the filter is what is named.
    let shown = refused(&program, &filter, "0", &["dump", "-p", &pid]);
    assert!(shown.contains("seccomp"), "{shown}");
}
