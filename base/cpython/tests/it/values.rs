//! Values of every kind, against what Python itself writes.

use naja_cpython::reader::{Outcome, StackReader};
use naja_cpython::values::{Describer, Limits, Local};
use naja_testkit::interpreters::interpreters;
use naja_testkit::target::Target;

use crate::find;

/// The local variables of the innermost frame that runs a function of this name.
fn locals_of(target: &Target, function: &str, limits: Limits) -> Vec<Local> {
    let (memory, located) = find(target);
    let mut reader = StackReader::new((&located).into());
    reader.keep_addresses();
    loop {
        reader.sample(&memory, &mut |_| false).expect("it can be read");
        let Some(thread) = reader.threads().iter().find(|thread| thread.outcome == Outcome::Valid) else {
            continue;
        };
        assert_eq!(thread.frames.len(), thread.addresses.len());
        for (frame, address) in thread.frames.iter().zip(&thread.addresses).rev() {
            let code = naja_cpython::code::read_code(&memory, &located, frame.code).expect("code");
            if code.name == function {
                return Describer::new(&memory, &located, limits)
                    .locals(*address, frame.code)
                    .expect("locals");
            }
        }
    }
}

#[test]
fn values_read_as_python_writes_them() {
    for interpreter in interpreters() {
        let target = Target::start_as(interpreter, "values.py", include_str!("values.py"));
        let expected = target.ready().as_object().expect("names and texts");
        let locals = locals_of(&target, "holds", Limits::LONG);
        let mut wrong = Vec::new();
        for (name, text) in expected {
            let found = locals.iter().find(|local| local.name == *name);
            let found = found.map_or("(not there)".to_owned(), |local| local.value.to_string());
            if found != text.as_str().expect("a text") {
                wrong.push(format!("{name}: {found}, not {text}"));
            }
        }
        assert!(wrong.is_empty(), "{interpreter}: {wrong:#?}");
        assert!(expected.len() > 80, "many kinds: {}", expected.len());
        assert!(locals.iter().all(|local| local.name != "unset" && local.name != "absent"), "no unset ones");
        let arguments: Vec<&str> =
            locals.iter().filter(|local| local.is_argument).map(|local| local.name.as_str()).collect();
        assert_eq!(arguments, ["argument", "second", "only", "rest", "named"], "{interpreter}");
    }
}

#[test]
fn what_is_free_in_a_function_is_among_its_variables() {
    let program = "import sys, threading\n\
        def outer(first):\n\
        \x20   second = [first]\n\
        \x20   def inner(third):\n\
        \x20       fourth = lambda: third\n\
        \x20       print('{}', flush=True)\n\
        \x20       sys.stdin.read()\n\
        \x20       return first, second, fourth\n\
        \x20   inner(3)\n\
        outer(1)\n";
    for interpreter in interpreters() {
        let target = Target::start(interpreter, program);
        let show = |locals: &[Local]| -> Vec<String> {
            let shown = locals.iter().filter(|local| local.name != "fourth" && local.name != "inner");
            shown.map(|local| format!("{}={}", local.name, local.value)).collect()
        };
        assert_eq!(
            show(&locals_of(&target, "inner", Limits::SHORT)),
            ["third=3", "first=1", "second=[1]"],
            "{interpreter}"
        );
        assert_eq!(
            show(&locals_of(&target, "outer", Limits::SHORT)),
            ["first=1", "second=[1]"],
            "{interpreter}"
        );
    }
}

#[test]
fn a_value_that_is_deep_or_long_is_cut_and_says_so() {
    let program = "import sys\n\
        def f():\n\
        \x20   deep = [1, [2, [3, [4, []]]]]\n\
        \x20   long = list(range(100))\n\
        \x20   text = 'x' * 1000\n\
        \x20   broad = [[[0] * 20] * 20] * 20\n\
        \x20   print('{}', flush=True)\n\
        \x20   sys.stdin.read()\n\
        f()\n";
    for interpreter in interpreters() {
        let target = Target::start(interpreter, program);
        let locals = locals_of(&target, "f", Limits::SHORT);
        let text = |name: &str| locals.iter().find(|local| local.name == name).expect(name).value.to_string();
        assert_eq!(text("deep"), "[1, [2, [3, …]]]", "{interpreter}");
        assert_eq!(text("long"), "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, …<90 more>]");
        assert!(text("text").ends_with("xxx'…<1000 characters>"));
        assert!(text("broad").len() < 4000, "so many objects and no more");
    }
}

#[test]
fn torn_memory_is_unreadable_and_no_more() {
    for input in [&[0u8; 64][..], &[0xff; 300], &[3; 5000], b"\x02\x10\x00\x20\x00\x00\x00\x00\x00\x00"] {
        naja_cpython::hostile::values(input);
    }
}
