//! Offsets and opcodes, against the headers that came with each interpreter.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use naja_cpython::offsets::{ABSENT, Offsets};
use naja_cpython::opcodes::opcode_is_native_call;
use naja_testkit::interpreters::{Interpreter, interpreters};
use naja_testkit::target::Target;
use serde_json::Value;

use crate::{find, skip};

#[test]
fn offsets_and_opcodes_are_those_of_the_headers() {
    for interpreter in interpreters() {
        let Some(measured) = measure(interpreter) else {
            skip(&format!("{interpreter} has no headers, or there is no C compiler"));
            continue;
        };
        let target = Target::start(interpreter, "import sys; print('1', flush=True); sys.stdin.read()");
        let (_, located) = find(&target);
        let expected = measured["offsets"].as_object().unwrap();
        for (field, offset) in numbers(&located.offsets) {
            if field == "thread.libc_tid" {
                continue; // the C library's, which is in no header
            }
            // What a version lacks is not in the list of what its headers say.
            let wanted = expected
                .get(&field)
                .map_or(u64::from(ABSENT), |text| text.as_str().unwrap().parse().unwrap());
            assert_eq!(u64::from(offset), wanted, "{interpreter}: {field}");
        }
        let calls: Vec<u64> =
            measured["native_calls"].as_array().unwrap().iter().filter_map(Value::as_u64).collect();
        let ours: Vec<u64> = (0..=255u8)
            .filter(|opcode| opcode_is_native_call(located.version, *opcode))
            .map(u64::from)
            .collect();
        assert_eq!(ours, calls, "{interpreter}");
    }
}

/// What `derive.py` says for this interpreter's own headers.
fn measure(interpreter: &Interpreter) -> Option<Value> {
    let python = interpreters().last()?; // the newest one runs the script
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("derive.py");
    let mut command = Command::new(&python.path);
    command.arg(script).arg("--json").arg(&interpreter.path);
    if interpreter.free_threaded {
        command.arg("--free-threaded");
    }
    let output = command.output().ok().filter(|output| output.status.success())?;
    serde_json::from_slice(&output.stdout).ok()
}

/// `group.field` and its number, from the structure's own debug form.
fn numbers(offsets: &Offsets) -> BTreeMap<String, u32> {
    let text = format!("{offsets:?}");
    let mut numbers = BTreeMap::new();
    let mut group = "";
    for part in text.split([',', '{', '}']) {
        let Some((name, value)) = part.split_once(':') else { continue };
        match value.trim().parse() {
            Ok(number) => {
                numbers.insert(format!("{group}.{}", name.trim()), number);
            }
            Err(_) => group = name.trim(),
        }
    }
    numbers
}
