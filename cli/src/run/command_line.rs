//! Where naja's own arguments end and the program's begin.
//!
//! The invariant: from the program on, every argument is the program's, unchanged, whatever it looks like. So the
//! line is split before the argument tree sees it, by what the tree says about which options take a value.
//! Start at [`split`].

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use clap::{Arg, ArgAction, Command};

/// The options that are the interpreter's stand below this heading of the tree.
const INTERPRETER_HEADING: &str = "Python";

/// A command line, taken apart.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Split {
    /// What the argument tree parses.
    pub(crate) for_naja: Vec<OsString>,
    /// Options of `naja run` that are passed to the interpreter, as they were written.
    pub(crate) for_interpreter: Vec<OsString>,
    /// The program (except after `-m` and `-c`) and its arguments.
    pub(crate) program: Vec<OsString>,
}

/// Adds CPython's own options to `naja run`, hidden: the help has one line for all of them.
pub(crate) fn add_interpreter_options(run: Command) -> Command {
    // Each is known by its own letter in the tree as well.
    let new = |letter: &'static str| Arg::new(letter).short(letter.chars().next());
    let flags = ["b", "B", "d", "E", "i", "I", "O", "P", "s", "S", "u", "v", "x"];
    let flags = flags.into_iter().map(|letter| new(letter).action(ArgAction::Count));
    let options = ["W", "X"].into_iter().map(|letter| new(letter).action(ArgAction::Append));
    let check = Arg::new("check-hash-based-pycs").long("check-hash-based-pycs").action(ArgAction::Append);
    let all = flags.chain(options).chain([check]);
    run.args(all.map(|one| one.help_heading(INTERPRETER_HEADING).hide(true)))
}

/// Splits the arguments of `naja`; those of other commands than `run` are all naja's.
pub(crate) fn split(tree: &Command, arguments: Vec<OsString>) -> Split {
    let mut split = Split::default();
    let mut rest = arguments.into_iter();
    split.for_naja.extend(rest.next());
    let Some(name) = rest.next() else { return split };
    // The tree takes the beginning of a command's name for it, where it is that of no other.
    let begins = |one: &&Command| one.get_name().as_bytes().starts_with(name.as_bytes());
    let is_run = name == "run"
        || name == "test"
        || (name.len() > 1 && tree.get_subcommands().filter(begins).count() == 1);
    let is_named = |named: &&Command| is_run && begins(named);
    if let Some(test) = tree.find_subcommand("test").filter(is_named) {
        split.for_naja.push(name);
        split.for_naja.extend(naja_test::command_line::arrange(test, rest.collect()));
        return split;
    }
    let run = tree.find_subcommand("run").filter(is_named);
    split.for_naja.push(name);
    let Some(run) = run else {
        split.for_naja.extend(rest);
        return split;
    };
    while let Some(argument) = rest.next() {
        let bytes = argument.as_bytes();
        if bytes == b"--" {
            split.program.extend(rest);
            return split;
        }
        if bytes == b"-" || !bytes.starts_with(b"-") {
            split.program.push(argument);
            split.program.extend(rest);
            return split;
        }
        let ends_here = if bytes.starts_with(b"--") {
            split.take_long(run, argument, &mut rest);
            false
        } else {
            split.take_letters(run, &bytes[1..], &mut rest)
        };
        if ends_here {
            split.program.extend(rest);
            return split;
        }
    }
    split
}

impl Split {
    /// Takes `--name`, `--name=value` or `--name value`.
    fn take_long(&mut self, run: &Command, argument: OsString, rest: &mut impl Iterator<Item = OsString>) {
        let text = argument.as_bytes()[2..].to_vec();
        let name = text.split(|&byte| byte == b'=').next().unwrap_or_default();
        let known =
            run.get_arguments().find(|one| one.get_long().is_some_and(|long| long.as_bytes() == name));
        let value_follows = known.is_some_and(|one| takes_value(one) && !one.is_require_equals_set())
            && !text.contains(&b'=');
        let list = self.list_for(known);
        list.push(argument);
        if value_follows {
            list.extend(rest.next());
        }
    }

    /// Takes a group of letters such as `-qBX dev` or `-Im`; says whether it named the program (`-m`, `-c`).
    fn take_letters(
        &mut self,
        run: &Command,
        letters: &[u8],
        rest: &mut impl Iterator<Item = OsString>,
    ) -> bool {
        // The letters of each side stay together, as they were written.
        let mut own = b"-".to_vec();
        let mut interpreters = b"-".to_vec();
        let mut value_of = None;
        for (index, &letter) in letters.iter().enumerate() {
            let known = run.get_arguments().find(|one| one.get_short() == Some(char::from(letter)));
            let group = if is_interpreters(known) { &mut interpreters } else { &mut own };
            if known.is_some_and(takes_value) {
                // The rest of the group is the value, else the next argument is.
                group.extend(&letters[index..]);
                let value = if index + 1 == letters.len() { rest.next() } else { None };
                value_of = Some((letter, is_interpreters(known), value));
                break;
            }
            group.push(letter);
        }
        for (list, group) in [(&mut self.for_naja, own), (&mut self.for_interpreter, interpreters)] {
            if group.len() > 1 {
                list.push(OsString::from_vec(group));
            }
        }
        let Some((letter, is_interpreters, value)) = value_of else { return false };
        if is_interpreters { &mut self.for_interpreter } else { &mut self.for_naja }.extend(value);
        matches!(letter, b'm' | b'c')
    }

    fn list_for(&mut self, known: Option<&Arg>) -> &mut Vec<OsString> {
        if is_interpreters(known) { &mut self.for_interpreter } else { &mut self.for_naja }
    }
}

fn is_interpreters(known: Option<&Arg>) -> bool {
    known.is_some_and(|one| one.get_help_heading() == Some(INTERPRETER_HEADING))
}

fn takes_value(argument: &Arg) -> bool {
    matches!(argument.get_action(), ArgAction::Set | ArgAction::Append)
}

/// Whether errors are wanted as JSON; asked before parsing, since parsing may fail itself.
pub(crate) fn asks_for_json(split: &Split) -> bool {
    let mut own = split.for_naja.iter().map(OsString::as_os_str);
    while let Some(argument) = own.next() {
        if argument == "--json" || argument == "--format=json" {
            return true;
        }
        if argument == "--format" {
            return own.next() == Some(OsStr::new("json"));
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, naja: &str, interpreter: &str, program: &str) {
        let words = |text: &str| text.split_whitespace().map(OsString::from).collect::<Vec<_>>();
        let split = split(&crate::command(), words(&format!("naja {line}")));
        assert_eq!(split.for_naja, words(&format!("naja {naja}")), "naja's part of `{line}`");
        assert_eq!(split.for_interpreter, words(interpreter), "the interpreter's part of `{line}`");
        assert_eq!(split.program, words(program), "the program's part of `{line}`");
    }

    #[test]
    fn everything_after_the_program_is_its_own() {
        check("run app.py --help -o x --", "run", "", "app.py --help -o x --");
        check("run --rate 10 app.py --rate 20", "run --rate 10", "", "app.py --rate 20");
        check("run --rate=10 -q - -q", "run --rate=10 -q", "", "- -q");
        check("run --swap app.py", "run --swap", "", "app.py");
        check("run --swap=a,b app.py", "run --swap=a,b", "", "app.py");
        check("run -- -odd.py -x", "run", "", "-odd.py -x");
    }

    #[test]
    fn the_beginning_of_its_name_is_enough() {
        check("ru app.py --help", "ru", "", "app.py --help");
    }

    #[test]
    fn everything_after_a_module_or_code_is_the_programs() {
        check("run -m http.server --bind x -q", "run -m http.server", "", "--bind x -q");
        check("run -mhttp.server --help", "run -mhttp.server", "", "--help");
        check("run -c pass -- -h", "run -c pass", "", "-- -h");
        check("run -qm pip -q", "run -qm pip", "", "-q");
    }

    #[test]
    fn the_interpreters_options_go_to_it_as_written() {
        check("run -u -X dev -Wignore app.py -u", "run", "-u -X dev -Wignore", "app.py -u");
        check("run -OOBq app.py", "run -q", "-OOB", "app.py");
        check("run -Im pip -I", "run -m pip", "-I", "-I");
        check("run -uX dev -BWignore app.py", "run", "-uX dev -BWignore", "app.py");
        check("run --check-hash-based-pycs always a", "run", "--check-hash-based-pycs always", "a");
    }

    #[test]
    fn an_unknown_option_is_left_for_the_tree_to_refuse() {
        check("run --wrong app.py", "run --wrong", "", "app.py");
        check("run -Z app.py", "run -Z", "", "app.py");
    }

    #[test]
    fn other_commands_are_not_split() {
        check("man run -- x", "man run -- x", "", "");
        check("rec -- x -y", "rec -- x -y", "", "");
        check("r app.py", "r app.py", "", "");
        check("", "", "", "");
    }
}
