//! Strings and thread names, in every alphabet.

use std::collections::BTreeMap;

use naja_cpython::code::read_code;
use naja_cpython::memory::Memory;
use naja_cpython::native::os_thread_id;
use naja_cpython::objects::{read_string, thread_names};
use naja_testkit::interpreters::interpreters;
use naja_testkit::target::Target;

use crate::find;

const PROGRAM: &str = r#"
import json, sys, threading
def wait(): threading.Event().wait()
class Named(threading.Thread):
    def __init__(self, name):
        threading.Thread.__init__(self, target=wait, name=name, daemon=True)
        self.extra = 1
class Slotted(Named):
    __slots__ = ("one", "two")
names = ["worker", "прядильщик", "糸", "🐍 snake", "café", "", "x" * 300]
for name in names:
    Named(name).start()
Slotted("slotted").start()
patched = Named("before"); patched.start(); patched.__dict__["a"] = 1; patched.name = "after"
many = Named("many"); many.start()
for i in range(100): setattr(many, "attribute%d" % i, i)
texts = names + ["\x7f\x80\xff", "x" * 65536, "ж" * 5000, "𝒳" * 100, "\ud800|", "a\0b"]
long = "y" * 65537
print(json.dumps({
    "texts": [[id(t), t.replace("\ud800", "\ufffd")] for t in texts], "long": id(long),
    "not_a_string": [id(texts), id(1.5), id(sys), id(Named)],
    "code": id(wait.__code__), "file": wait.__code__.co_filename,
    "threads": {str(t.ident): t.name for t in threading.enumerate()},
}), flush=True)
sys.stdin.read()
"#;

#[test]
fn strings_of_every_kind_are_read() {
    for interpreter in interpreters() {
        let target = Target::start(interpreter, PROGRAM);
        let (memory, located) = find(&target);
        for pair in target.ready()["texts"].as_array().unwrap() {
            let read = read_string(&memory, &located, pair[0].as_u64().unwrap());
            assert_eq!(read.as_deref(), Ok(pair[1].as_str().unwrap()), "{interpreter}");
        }
        let long = target.ready()["long"].as_u64().unwrap();
        assert!(read_string(&memory, &located, long).is_err(), "{interpreter}: longer than any name");
        // An object of another type may by chance look like a string; it must only not do harm.
        for address in target.ready()["not_a_string"].as_array().unwrap() {
            let _ = read_string(&memory, &located, address.as_u64().unwrap());
        }
        assert!(read_string(&memory, &located, 8).is_err());
    }
}

#[test]
fn threads_have_the_names_that_python_gives_them() {
    for interpreter in interpreters() {
        let target = Target::start_as(interpreter, "Програма 蛇 🐍.py", PROGRAM);
        let (memory, located) = find(&target);
        let head = located.runtime + u64::from(located.offsets.runtime.interpreters_head);
        let names = thread_names(&memory, &located, memory.read_u64(head).unwrap());
        let expected = target.ready()["threads"].as_object().unwrap();
        assert_eq!(names.len(), expected.len(), "{interpreter}: {names:?}");
        for (ident, name) in expected {
            assert_eq!(names.get(&ident.parse().unwrap()).unwrap(), name, "{interpreter}");
        }
        let code = read_code(&memory, &located, target.ready()["code"].as_u64().unwrap()).unwrap();
        assert_eq!(code.file, target.ready()["file"].as_str().unwrap(), "{interpreter}");
        assert!(code.file.ends_with("Програма 蛇 🐍.py"), "{interpreter}: {}", code.file);
    }
}

#[test]
fn threads_are_known_by_the_system_s_numbers() {
    const PROGRAM: &str = r#"
import json, sys, threading
started = threading.Barrier(6)
def wait():
    started.wait()
    threading.Event().wait()
for _ in range(5): threading.Thread(target=wait, daemon=True).start()
started.wait()
print(json.dumps({str(t.ident): t.native_id for t in threading.enumerate()}), flush=True)
sys.stdin.read()
"#;
    for interpreter in interpreters() {
        let target = Target::start(interpreter, PROGRAM);
        let (memory, located) = find(&target);
        let field = |address: u64, offset: u32| memory.read_u64(address + u64::from(offset)).unwrap();
        let main = field(located.runtime, located.offsets.runtime.interpreters_head);
        let mut state = field(main, located.offsets.interpreter.threads_head);
        let mut found = BTreeMap::new();
        while state != 0 {
            let ident = field(state, located.offsets.thread.ident);
            found.insert(ident.to_string(), os_thread_id(&memory, &located, state));
            state = field(state, located.offsets.thread.next);
        }
        let expected = target.ready().as_object().unwrap();
        let expected: BTreeMap<String, Option<u32>> =
            expected.iter().map(|(ident, id)| (ident.clone(), Some(id.as_u64().unwrap() as u32))).collect();
        assert_eq!(found, expected, "{interpreter}");
        assert_eq!(found.len(), 6, "{interpreter}");
    }
}

#[test]
fn a_program_without_threading_has_no_thread_names() {
    let program = "import sys\nsys.modules.pop('threading', None)\nprint(1, flush=True)\nsys.stdin.read()";
    for interpreter in interpreters() {
        let target = Target::start(interpreter, program);
        let (memory, located) = find(&target);
        let head = located.runtime + u64::from(located.offsets.runtime.interpreters_head);
        assert!(thread_names(&memory, &located, memory.read_u64(head).unwrap()).is_empty(), "{interpreter}");
    }
}
