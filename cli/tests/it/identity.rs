//! What a program can find out about itself is the same under naja.

use std::process::Stdio;

use crate::{check_same, folder_with, naja, python};

/// Prints all that a process inherits, except what is new for each process anyway.
const SELF_PORTRAIT: &str = r#"
import json, os, resource, stat, sys
status = dict(line.split(":\t", 1) for line in open("/proc/self/status") if ":\t" in line)
def descriptor(number):
    info = os.fstat(number)
    path = os.readlink(f"/proc/self/fd/{number}")
    flags = [line for line in open(f"/proc/self/fdinfo/{number}") if line.startswith(("flags", "pos"))]
    return stat.S_IFMT(info.st_mode), path, flags
descriptors = {}
for name in os.listdir("/proc/self/fd"):
    try:
        path = os.readlink(f"/proc/self/fd/{name}")
        if not path.startswith("/proc/") and not path.startswith("pipe:"):
            descriptors[name] = descriptor(int(name))
        elif path.startswith("pipe:"):
            descriptors[name] = "pipe"
    except OSError:
        pass
print(json.dumps({
    "argv": [os.fsencode(word).hex() for word in sys.argv],
    "orig_argv": [os.fsencode(word).hex() for word in getattr(sys, "orig_argv", [])],
    "flags": str(sys.flags), "warnoptions": sys.warnoptions, "xoptions": sys._xoptions,
    "executable": sys.executable, "prefix": sys.prefix, "path": sys.path,
    "command line": open("/proc/self/cmdline", "rb").read().hex(),
    "environment": open("/proc/self/environ", "rb").read().hex(),
    "folder": os.getcwd(), "descriptors": descriptors,
    "terminal": [os.isatty(number) if str(number) in descriptors else None for number in range(3)],
    "group": os.getpgrp(), "session": os.getsid(0), "umask": status["Umask"], "nice": os.nice(0),
    "limits": {name: resource.getrlimit(getattr(resource, name)) for name in dir(resource) if name.startswith("RLIMIT")},
    "signals": {name: status[name] for name in ("SigBlk", "SigIgn", "SigCgt", "SigPnd", "ShdPnd")},
    "rights": {name: status[name] for name in ("Uid", "Gid", "Groups", "NoNewPrivs", "Seccomp", "CapEff")},
    "cores": sorted(os.sched_getaffinity(0)), "slack": open("/proc/self/timerslack_ns").read(),
    "oom": open("/proc/self/oom_score_adj").read(), "tracer": status["TracerPid"],
}, indent=1, sort_keys=True))
"#;

fn check_portrait(prefix: &[&str], words: &[&str]) -> Option<String> {
    let folder = folder_with(&[("portrait.py", SELF_PORTRAIT)]);
    let output = check_same(folder.path(), prefix, words)?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("command line"), "{}", String::from_utf8_lossy(&output.stderr));
    Some(text)
}

#[test]
fn a_program_inherits_what_it_would_inherit() {
    check_portrait(&[], &["portrait.py", "--help", "-o", "--", ""]);
}

#[test]
fn the_interpreters_options_arrive_as_written() {
    check_portrait(&[], &["-X", "dev", "-OO", "-Wignore", "-Bu", "-I", "portrait.py", "-X"]);
}

#[test]
fn limits_niceness_mask_of_files_and_open_descriptors_are_inherited() {
    let prefix = [
        "sh",
        "-c",
        "ulimit -n 200 -c 0; umask 027; exec 7</dev/zero 8>>/dev/null; exec nice -n 3 \"$@\"",
        "sh",
    ];
    if let Some(text) = check_portrait(&prefix, &["portrait.py"]) {
        // The tests may run at a low priority themselves.
        let own = std::process::Command::new("nice").output().expect("sh has found it as well").stdout;
        let own: i32 = String::from_utf8_lossy(&own).trim().parse().expect("it prints a number");
        let expected = format!("\"nice\": {},", (own + 3).min(19));
        assert!(text.contains(&expected) && text.contains("/dev/zero"), "{text}");
    }
}

#[test]
fn an_ignored_hangup_stays_ignored_and_a_default_broken_pipe_stays_default() {
    let text = check_portrait(&["sh", "-c", "trap '' HUP USR1; exec \"$@\"", "sh"], &["portrait.py"]);
    // SIGHUP is 1, SIGUSR1 is 10; Python itself ignores SIGPIPE (13).
    if let Some(text) = text {
        let ignored = text.lines().find(|line| line.contains("SigIgn")).expect("it is printed");
        assert!(ignored.ends_with("1201\\n\","), "{ignored}");
    }
}

#[test]
fn an_ignored_broken_pipe_and_an_ignored_end_of_children_are_inherited() {
    // A shell does not reset what it did not set, so that a native program shows what is inherited.
    let script = "trap '' PIPE CHLD; exec \"$@\"";
    let naja = naja();
    let ask = ["grep", "^Sig[BI]", "/proc/self/status"];
    for script in [script, "exec \"$@\""] {
        let outputs = [vec![], vec![naja.program().to_str().expect("text"), "run", "-q"]].map(|way| {
            let words = ["bash", "-c", script, "sh"].into_iter().chain(way).chain(ask);
            naja.command_of(&words.collect::<Vec<_>>()).output().expect("it starts")
        });
        assert_eq!(outputs[1], outputs[0], "{script}");
    }
}

#[test]
fn closed_standard_streams_stay_closed() {
    let folder = folder_with(&[(
        "streams.py",
        "import os, sys\nout = open('result', 'w')\nprint(out.fileno(), sys.stdin, sys.stdout, sys.stderr, file=out)\n",
    )]);
    for script in ["exec \"$@\" <&-", "exec \"$@\" >&-", "exec \"$@\" 2>&-", "exec \"$@\" <&- >&- 2>&-"] {
        let Some(python) = python() else { return };
        let naja = naja();
        let results = naja.with_and_without(python).map(|way| {
            let words = ["sh", "-c", script, "sh"].map(Into::into).into_iter().chain(way);
            let words: Vec<std::ffi::OsString> = words.chain(["streams.py".into()]).collect();
            let status = naja.command_of(&words).current_dir(folder.path()).status().expect("it starts");
            let result = std::fs::read_to_string(folder.path().join("result")).expect("it was written");
            std::fs::remove_file(folder.path().join("result")).expect("it was written");
            (status, result)
        });
        assert_eq!(results[1], results[0], "{script}");
    }
}

#[test]
fn arguments_that_are_not_text_arrive_byte_for_byte() {
    use std::os::unix::ffi::OsStringExt;
    let Some(python) = python() else { return };
    let folder = folder_with(&[("portrait.py", SELF_PORTRAIT)]);
    let naja = naja();
    let outputs = naja.with_and_without(python).map(|way| {
        let odd = std::ffi::OsString::from_vec(b"\xff\xfe caf\xc3\xa9 \n".to_vec());
        let mut command = naja.command_of(&way);
        command.arg("portrait.py").arg(odd).current_dir(folder.path()).stdin(Stdio::null());
        command.output().expect("it starts").stdout
    });
    let [plain, observed] = outputs.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert_eq!(observed, plain);
    assert!(observed.contains("fffe20636166c3a9200a"));
}

#[test]
fn the_environment_arrives_byte_for_byte_even_where_it_is_odd() {
    // Entries without `=`, twice the same name, an empty name, bytes that are not text.
    let odd_start = r#"
import ctypes, os, sys
words = [os.fsencode(word) for word in sys.argv[1:]]
odd = [b"TWICE=1", b"TWICE=2", b"NO_EQUALS", b"=empty", b"BYTES=\xff\xfe", b"_=/somewhere", b"PATH=" + os.environb[b"PATH"]]
array = lambda items: (ctypes.c_char_p * (len(items) + 1))(*items, None)
ctypes.CDLL(None).execve(words[0], array(words), array(odd))
"#;
    let Some(python) = python() else { return };
    let folder = folder_with(&[
        ("start.py", odd_start),
        ("show.py", "import sys\nsys.stdout.write(open('/proc/self/environ', 'rb').read().hex())\n"),
    ]);
    let python_path = python.path.to_str().expect("a plain path");
    if let Some(output) = check_same(folder.path(), &[python_path, "start.py"], &["show.py"]) {
        assert!(output.stdout.starts_with(b"54574943453d31"), "{output:?}");
    }
}

#[test]
fn a_pipe_ends_when_the_program_closes_it_and_not_when_naja_ends() {
    // The program closes its output, then waits until the reader has seen the end of it.
    let program = "
import os, sys
os.close(1)
sys.exit(0 if sys.stdin.read() == 'seen' else 1)
";
    let Some(python) = python() else { return };
    let folder = folder_with(&[("close.py", program)]);
    let naja = naja();
    for way in naja.with_and_without(python) {
        let mut command = naja.command_of(&way);
        let mut child = command
            .arg("close.py")
            .current_dir(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut text = String::new();
        std::io::Read::read_to_string(&mut child.stdout.take().expect("a pipe"), &mut text)
            .expect("it is read");
        std::io::Write::write_all(&mut child.stdin.take().expect("a pipe"), b"seen").expect("it is written");
        assert!(child.wait().expect("it ends").success());
    }
}

#[test]
fn a_writer_learns_when_the_program_closes_its_input() {
    let folder = folder_with(&[("deaf.py", "import os, time\nos.close(0)\nprint(open('gone').read())\n")]);
    // `yes` ends by a broken pipe although the program goes on; only then the pipe `gone` is opened.
    let script = "mkfifo gone; { yes; echo \"yes is gone\" >gone; } | \"$@\"; rm gone";
    check_same(folder.path(), &["bash", "-c", script, "bash"], &["deaf.py"]);
}
