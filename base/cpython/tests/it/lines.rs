//! Line tables: every instruction of many modules, against what the interpreter says.

use naja_cpython::code::read_code;
use naja_testkit::interpreters::interpreters;
use naja_testkit::target::Target;
use serde_json::Value;

use crate::{find, skip};

/// Prints, for each code object of some modules: its address, names, and the runs of units of one line.
///
/// `PyCode_Addr2Line` is what `frame.f_lineno` and tracebacks go by.
const PROGRAM: &str = r#"
import ctypes, json, sys, types
import argparse, ast, asyncio.tasks, dataclasses, difflib, email.message, fractions, heapq, json.decoder, typing
addr2line = ctypes.pythonapi.PyCode_Addr2Line
addr2line.argtypes = [ctypes.py_object, ctypes.c_int]
addr2line.restype = ctypes.c_int
LONG = "def long(a):\n" + "".join("    a = [a,\n" + "\n" * (i % 300) + "      %d]\n" % i for i in range(400)) + "    return a\n"
BACK = "def back(f, a):\n    return f(\n        a,\n        [x\n         for x in a],\n        a)(\n    1)\n"
seen, queue = {}, [compile(LONG, "long.py", "exec"), compile(BACK, "back.py", "exec")]
for module in list(sys.modules.values()):
    file = getattr(module, "__file__", None) or ""
    if file.endswith(".py") and file != __file__:
        for value in list(vars(module).values()):
            members = list(vars(value).values()) if isinstance(value, type) else [value]
            queue += [m.__code__ for m in members if isinstance(m, types.FunctionType)]
del queue[2:-400:4], queue[2:-400:3]  # a good half is enough
while queue:
    code = queue.pop()
    if id(code) not in seen:
        seen[id(code)] = code
        queue += [c for c in code.co_consts if isinstance(c, types.CodeType)]
def runs(code):
    out = []
    for unit in range(len(code.co_code) // 2):
        line = max(addr2line(code, unit * 2), 0)
        if out and out[-1][1] == line:
            out[-1][0] += 1
        else:
            out.append([1, line])
    return out
print(json.dumps([
    {"address": id(c), "name": c.co_name, "qualified": getattr(c, "co_qualname", c.co_name),
     "file": c.co_filename, "first": c.co_firstlineno, "runs": runs(c)} for c in seen.values()
]), flush=True)
sys.stdin.read()
"#;

#[test]
fn every_instruction_has_the_line_that_a_traceback_would_show() {
    for interpreter in interpreters() {
        if interpreter.command().args(["-c", "import ctypes"]).output().is_ok_and(|out| !out.status.success())
        {
            skip(&format!("{interpreter} has no ctypes to ask for its lines"));
            continue;
        }
        let target = Target::start(interpreter, PROGRAM);
        let (memory, located) = find(&target);
        let codes = target.ready().as_array().expect("a list of code objects");
        assert!(codes.len() > 500, "{interpreter}: only {} code objects", codes.len());
        let mut instructions = 0;
        for expected in codes {
            let code = read_code(&memory, &located, expected["address"].as_u64().unwrap())
                .unwrap_or_else(|error| panic!("{interpreter}: {expected}: {error}"));
            assert_eq!(code.name, expected["name"], "{interpreter}");
            assert_eq!(code.qualified_name, expected["qualified"], "{interpreter}");
            assert_eq!(code.file, expected["file"], "{interpreter}");
            assert_eq!(u64::from(code.first_line), expected["first"], "{interpreter}");
            let raw = |unit: u64| match interpreter.minor() {
                ..=9 => unit * 2,
                10 => unit,
                _ => code.instructions + unit * 2,
            };
            let mut unit = 0;
            for run in expected["runs"].as_array().unwrap() {
                let number = |i: usize| run.get(i).and_then(Value::as_u64).unwrap();
                for _ in 0..number(0) {
                    let line = u64::from(code.line_at(raw(unit)));
                    assert_eq!(line, number(1), "{interpreter}: {} at unit {unit}", code.qualified_name);
                    unit += 1;
                }
            }
            assert_eq!(code.line_at(raw(unit)), 0, "{interpreter}: behind the end of {}", code.name);
            assert_eq!(code.line_at(raw(0).wrapping_sub(2)), code.first_line, "{interpreter}: not begun");
            instructions += unit;
        }
        assert!(instructions > 20_000, "{interpreter}: only {instructions} units");
    }
}
