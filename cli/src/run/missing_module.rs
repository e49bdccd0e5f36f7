//! After `naja run -m MODULE` has failed: was it that there is no such module?
//!
//! Python says so itself, but not what to do. The interpreter is asked only now, so that a run that goes well
//! costs nothing, and it is asked without importing anything of the program.

use std::ffi::{OsStr, OsString};
use std::process::{Command, Stdio};

use naja_system::Failure;

use super::interpreter::Interpreter;

/// Ends with 3 when the module cannot be found, after a line for each similar name.
const QUESTION: &str = "
import sys
from importlib.machinery import PathFinder
name, path = '', None
for part in sys.argv[1].split('.'):
    name = name + '.' + part if name else part
    if name in sys.builtin_module_names:
        sys.exit(0)
    spec = PathFinder.find_spec(name, path)
    if spec is None:
        break
    path = spec.submodule_search_locations or []
else:
    sys.exit(0)
import difflib, pkgutil
names = [prefix for prefix in [name.rpartition('.')[0]] if prefix]
found = [m.name for m in pkgutil.iter_modules(path)]
for close in difflib.get_close_matches(part, found, 1):
    print('.'.join(names + [close]))
sys.exit(3)
";

/// The failure to show when the interpreter does not have the module; `None` when it has.
pub(crate) fn explain(interpreter: &Interpreter, options: &[OsString], module: &OsStr) -> Option<Failure> {
    // These two would keep the interpreter from ending, or fill the screen.
    let options = options.iter().filter(|option| *option != "-i" && *option != "-v");
    let answer = Command::new(&interpreter.path)
        .args(options)
        .arg("-c")
        .arg(QUESTION)
        .arg(module)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    if answer.status.code() != Some(3) {
        return None;
    }
    let python = interpreter.path.display();
    let failure = Failure::new(
        "no-such-module",
        format!("the Python `{python}` (found {}) has no module `{}`", interpreter.reason, module.display()),
    );
    let similar = String::from_utf8_lossy(&answer.stdout);
    Some(match similar.lines().next() {
        Some(name) => failure.hint(format!("there is `{name}`")),
        None => failure
            .hint("`--python` chooses another interpreter; a virtual environment may have to be activated"),
    })
}
