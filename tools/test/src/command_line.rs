//! Which words of `naja test` are naja's and which are pytest's.
//!
//! Options of naja may stand anywhere; every other word is pytest's, in its order. What follows `--` is pytest's, too.
//! Start at [`arrange`].

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

/// Puts naja's options first and pytest's words behind `--`, so that the argument tree can parse them.
///
/// `test` is the command's own tree; `words` are what followed its name.
pub fn arrange(test: &clap::Command, words: Vec<OsString>) -> Vec<OsString> {
    let mut for_naja = Vec::new();
    let mut for_pytest = Vec::new();
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        if word == "--" {
            for_pytest.extend(words);
            break;
        }
        if word == "--help" || word == "-h" {
            return vec![word];
        }
        let known = option_of(test, word.as_bytes());
        let Some((option, has_value)) = known else {
            for_pytest.push(word);
            continue;
        };
        for_naja.push(word);
        let takes_value = option.get_action().takes_values() && !option.is_require_equals_set();
        if takes_value && !has_value {
            for_naja.extend(words.next());
        }
    }
    for_naja.push("--".into());
    for_naja.extend(for_pytest);
    for_naja
}

/// The option of naja that a word names, and whether its value stands in the same word.
fn option_of<'tree>(test: &'tree clap::Command, word: &[u8]) -> Option<(&'tree clap::Arg, bool)> {
    let long = word.strip_prefix(b"--")?;
    let name = long.split(|&byte| byte == b'=').next().unwrap_or_default();
    let option =
        test.get_arguments().find(|one| one.get_long().is_some_and(|long| long.as_bytes() == name))?;
    Some((option, long.contains(&b'=')))
}

#[cfg(test)]
mod tests {
    use clap::{Arg, ArgAction, Command};

    use super::*;

    fn check(words: &[&str], expected: &[&str]) {
        let tree = Command::new("test")
            .arg(Arg::new("python").long("python"))
            .arg(Arg::new("watch").long("watch").action(ArgAction::SetTrue));
        let found = arrange(&tree, words.iter().map(OsString::from).collect());
        assert_eq!(found, expected.iter().map(OsString::from).collect::<Vec<_>>());
    }

    #[test]
    fn options_of_naja_may_stand_anywhere() {
        check(
            &["-k", "a or b", "tests", "--watch", "-x", "--python", "3.12"],
            &["--watch", "--python", "3.12", "--", "-k", "a or b", "tests", "-x"],
        );
        check(&["--python=3.12", "-n4"], &["--python=3.12", "--", "-n4"]);
    }

    #[test]
    fn help_is_naja_s_unless_it_follows_two_dashes() {
        check(&["tests", "--help"], &["--help"]);
        check(&["--", "--help"], &["--", "--help"]);
    }

    #[test]
    fn what_follows_two_dashes_is_pytest_s() {
        check(&["a", "--", "--watch"], &["--", "a", "--watch"]);
    }
}
