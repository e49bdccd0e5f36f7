//! Where the interpreter lies, and which one it is.

use naja_cpython::code::read_code;
use naja_cpython::locate::locate;
use naja_cpython::memory::{LiveProcess, Memory};
use naja_cpython::objects::{read_string, thread_names};
use naja_testkit::interpreters::interpreters;
use naja_testkit::target::Target;

const PROGRAM: &str = r#"
import json, sys, threading, time
def work(a):
    b = a + 1
    time.sleep(1000)
    return b
names = ["worker", "прядильщик", "糸", "🐍 snake", "caf\u00e9"]
for name in names:
    threading.Thread(target=work, args=(1,), name=name, daemon=True).start()
texts = names + ["", "x" * 1000, "ж" * 500]
ids = {str(id(t)): t for t in texts}
code = work.__code__
print(json.dumps({
    "strings": ids, "names": names, "code": id(code), "file": code.co_filename, "first": code.co_firstlineno,
    "threads": {str(t.ident): t.name for t in threading.enumerate()},
}), flush=True)
time.sleep(1000)
"#;

#[test]
fn every_interpreter_is_found_with_its_version() {
    for interpreter in interpreters() {
        let target = Target::start(interpreter, PROGRAM);
        let memory = LiveProcess::new(target.pid());
        let located = locate(target.pid(), &memory).unwrap_or_else(|error| panic!("{interpreter}: {error}"));
        let version = located.version;
        assert_eq!((version.major, version.minor), (3, interpreter.minor()), "{interpreter}");
        assert_eq!(located.free_threaded, interpreter.free_threaded, "{interpreter}");
        let ready = target.ready();
        for (address, text) in ready["strings"].as_object().unwrap() {
            let read = read_string(&memory, &located, address.parse().unwrap());
            assert_eq!(read.as_deref(), Ok(text.as_str().unwrap()), "{interpreter}");
        }
        let code = read_code(&memory, &located, ready["code"].as_u64().unwrap()).unwrap();
        assert_eq!(code.name, "work");
        assert_eq!(code.file, ready["file"].as_str().unwrap());
        assert_eq!(u64::from(code.first_line), ready["first"].as_u64().unwrap());
        let head = u64::from(located.offsets.runtime.interpreters_head);
        let main = memory.read_u64(located.runtime + head).unwrap();
        let names = thread_names(&memory, &located, main);
        let expected = ready["threads"].as_object().unwrap();
        assert_eq!(names.len(), expected.len(), "{interpreter}: {names:?}");
        for (ident, name) in expected {
            assert_eq!(names[&ident.parse().unwrap()], name.as_str().unwrap(), "{interpreter}");
        }
    }
}
