//! Where the interpreter lies, and which one it is.

use naja_testkit::interpreters::interpreters;
use naja_testkit::target::Target;

use crate::find;

const PROGRAM: &str = "import sys; print('1', flush=True); sys.stdin.read()";

#[test]
fn every_interpreter_is_found_with_its_version() {
    for interpreter in interpreters() {
        let target = Target::start(interpreter, PROGRAM);
        let (_, located) = find(&target);
        let version = located.version;
        assert_eq!((version.major, version.minor), (3, interpreter.minor()), "{interpreter}");
        assert_eq!(located.free_threaded, interpreter.free_threaded, "{interpreter}");
    }
}
