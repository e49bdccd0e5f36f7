//! The runner itself, with a made-up original of a few lines and made-up stand-ins for it.

use std::fs;
use std::path::{Path, PathBuf};

use super::environment::Places;
use super::{Request, parse, run_in, score};
use crate::checkout::Checkout;
use crate::step;

const ORIGINAL: &str = r#"
class Bag:
    def __init__(self, *items):
        self.items = items

    def __reduce__(self):
        return Bag, self.items

    def _secret(self):
        return 42


def double(number):
    return 2 * number


def half(number):
    return number / 2
"#;

const TESTS: &str = r#"
import importlib.metadata
import pickle
import subprocess
import sys

import pytest
import tiny
from tiny import parts


def test_double():
    assert tiny.double(2) == 4


@pytest.mark.parametrize("number", [2, 3])
def test_half(number):
    assert tiny.half(number) == number / 2


def test_secret():
    assert tiny.Bag()._secret() == 42


def test_pickle():
    assert pickle.loads(pickle.dumps(tiny.Bag(1))).items == (1,)
    assert tiny.Bag.__module__ == "tiny"


def test_in_a_child():
    code = "import tiny; print(tiny.double(4), tiny.__name__)"
    assert subprocess.check_output([sys.executable, "-c", code]).split() == [b"8", b"tiny"]


def test_version():
    assert importlib.metadata.version("tiny-thing") == "1.5"


def test_parts():
    assert parts.Bag is tiny.Bag


@pytest.mark.xfail(strict=True, reason="what the conformance run must tell from a failure; no test of naja's")
def test_known_bug():
    assert tiny.double("a") == ["a", "a"]


@pytest.mark.skip(reason="what the conformance run must not count as passed; no test of naja's")
def test_never():
    raise AssertionError


def test_broken_everywhere():
    raise AssertionError
"#;

const DESCRIPTION: &str = r#"
budget-minutes = 1

[[original]]
name = "tiny-thing"
version = "1.5"
import = "tiny"
folder = "example"
tests = ["tests"]
quick = 0.5
"#;

/// A tool with a made-up original, and a naja whose stand-in is `ours`.
struct MadeUp {
    folder: tempfile::TempDir,
    checkout: Checkout,
}

impl MadeUp {
    fn new(ours: &str, expected: &str) -> MadeUp {
        let made_up = MadeUp {
            folder: tempfile::tempdir().expect("a temporary folder"),
            checkout: Checkout::find().expect("tests run in a checkout"),
        };
        let parts = "from . import Bag\n";
        made_up.write("tool/conformance/original.toml", DESCRIPTION);
        made_up.write("tool/conformance/expected.toml", expected);
        made_up.write("tool/conformance/example/tiny/__init__.py", ORIGINAL);
        made_up.write("tool/conformance/example/tiny/parts.py", parts);
        made_up.write("tool/conformance/example/tests/test_tiny.py", TESTS);
        made_up.write("naja/__init__.py", "");
        made_up.write("naja/tiny/__init__.py", ours);
        made_up.write("naja/tiny/parts.py", parts);
        made_up.write("naja/swap/dropins.json", r#"{"dropins": [{"import": "tiny"}]}"#);
        for file in ["hook.py", "start.py"] {
            let text = step::read(&made_up.checkout.at("python/naja/swap").join(file)).expect("it is there");
            made_up.write(&format!("naja/swap/{file}"), &text);
        }
        let suffix = made_up.ask("import importlib.machinery as m; print(m.EXTENSION_SUFFIXES[0])");
        made_up.write(&format!("naja/_native{suffix}"), "");
        made_up
    }

    fn write(&self, path: &str, text: &str) {
        step::write(&self.folder.path().join(path), text).expect("a temporary folder can be written");
    }

    fn ask(&self, code: &str) -> String {
        let mut python = self.checkout.command(self.checkout.python());
        let answer = step::run_quietly(python.args(["-I", "-c", code]));
        answer.expect("`cargo dev build` has made .venv").trim().to_owned()
    }

    fn run(&self, words: &[&str]) -> Result<(), (String, u8)> {
        let at = |path: &str| self.folder.path().join(path);
        let places = Places {
            checkout: &self.checkout,
            python: self.checkout.python(),
            package: at("naja"),
            tool: at("tool"),
            cache: at("cache"),
            packages_from: Some(PathBuf::from(
                self.ask("import sysconfig; print(sysconfig.get_path('purelib'))"),
            )),
        };
        let words: Vec<String> = ["made-up"].iter().chain(words).map(|word| (*word).to_owned()).collect();
        let request: Request = parse(&words).expect("the words are right");
        run_in(&places, &request).map_err(|problem| (problem.message, problem.code))
    }

    fn failures(&self) -> String {
        step::read(&self.folder.path().join("cache/tiny-thing/failures.txt")).expect("a run leaves it")
    }

    fn score(&self) -> Option<(usize, usize, usize)> {
        let scores = score::read(&self.folder.path().join("tool")).expect("it can be read");
        scores.scores.get("tiny-thing").map(|one| (one.passed, one.total, one.excepted))
    }

    fn has(&self, path: &str) -> bool {
        Path::new(&self.folder.path().join(path)).exists()
    }
}

#[test]
fn a_whole_stand_in_passes_what_the_original_passes() {
    let made_up = MadeUp::new(ORIGINAL, "");
    assert_eq!(made_up.run(&[]), Ok(()), "{}", made_up.failures());
    assert_eq!(made_up.score(), Some((8, 8, 0)));
    assert!(!made_up.has("cache/tiny-thing/tests/tiny"), "the original lies beside its tests");
    // A second run takes the environments as they are.
    let mark = made_up.folder.path().join("cache/tiny-thing/naja/made-from");
    let before = fs::metadata(&mark).and_then(|data| data.modified()).expect("it is there");
    assert_eq!(made_up.run(&["--quick"]), Ok(()));
    assert_eq!(fs::metadata(&mark).and_then(|data| data.modified()).expect("it is there"), before);
}

#[test]
fn what_fails_must_be_listed_and_what_is_listed_must_fail() {
    let ours = ORIGINAL.replace("def _secret", "def _other").replace("number / 2", "number // 2");
    let listed = "[[exception]]\noriginal = \"tiny-thing\"\ntest = \"tests/test_tiny.py::test_secret\"\n\
                  verdict = \"white-box\"\nreason = \"It calls `_secret`.\"\n";
    let made_up = MadeUp::new(&ours, listed);
    assert_eq!(made_up.run(&[]), Err(("the tests did not go as expected.toml says".to_owned(), 1)));
    assert_eq!(made_up.score(), Some((6, 8, 1)));
    let failures = made_up.failures();
    assert!(failures.contains("test_half[3]"), "{failures}");
    assert_eq!(failures.lines().count(), 1, "{failures}");
    let too_much = format!(
        "{listed}[[exception]]\noriginal = \"tiny-thing\"\ntest = \"tests/test_tiny.py::test_half\"\n\
         verdict = \"differs\"\nreason = \"It rounds.\"\n"
    );
    made_up.write("tool/conformance/expected.toml", &too_much);
    assert!(made_up.run(&[]).is_err());
    let failures = made_up.failures();
    assert!(failures.contains("test_half[2]: it passes: take it off the list"), "{failures}");
    made_up.write("tool/conformance/expected.toml", &too_much.replace("test_half\"", "test_half[3]\""));
    assert_eq!(made_up.run(&[]), Ok(()), "{}", made_up.failures());
    assert_eq!(made_up.score(), Some((6, 8, 2)));
}

#[test]
fn a_stand_in_without_a_module_fails_as_if_the_original_had_none() {
    let made_up = MadeUp::new(ORIGINAL, "");
    fs::remove_file(made_up.folder.path().join("naja/tiny/parts.py")).expect("it is there");
    assert!(made_up.run(&[]).is_err());
    let failures = made_up.failures();
    assert!(failures.contains("cannot import name 'parts' from 'tiny'"), "{failures}");
    assert_eq!(made_up.score(), Some((0, 8, 0)));
}

#[test]
fn words_are_understood_or_refused_with_a_reason() {
    let check = |words: &[&str]| parse(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
    let request = check(&["dates", "--quick", "--only", "a", "--source", "b=/c"]).expect("all right");
    assert!(request.is_quick && request.tool == "dates" && request.only.as_deref() == Some("a"));
    assert_eq!(request.checkouts.get("b"), Some(&PathBuf::from("/c")));
    for wrong in [&[][..], &["a", "b"], &["a", "--fast"], &["a", "--source", "b"], &["a", "--only"]] {
        assert!(check(wrong).is_err(), "{wrong:?}");
    }
}
