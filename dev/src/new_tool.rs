//! `cargo dev new-tool WORD`: the folder of a new tool with a drop-in, which compiles and passes `cargo dev check` at
//! once. Its original is made up, so that the conformance run and the measurements work before there is a real one.

use crate::checkout::Checkout;
use crate::dropins;
use crate::generate;
use crate::step::{self, Outcome, Problem, say};

/// Where each file of the template goes; `WORD` and `Word` stand for the tool's name in both.
const FILES: [(&str, &str); 17] = [
    ("tools/WORD/README.md", include_str!("../templates/tool/README.md")),
    ("tools/WORD/Cargo.toml", include_str!("../templates/tool/Cargo.toml.in")),
    ("tools/WORD/src/lib.rs", include_str!("../templates/tool/lib.rs.in")),
    ("tools/WORD/src/error.rs", include_str!("../templates/tool/error.rs.in")),
    ("tools/WORD/src/command.rs", include_str!("../templates/tool/command.rs.in")),
    ("tools/WORD/tests/it/main.rs", include_str!("../templates/tool/it.rs.in")),
    ("tools/WORD/py/Cargo.toml", include_str!("../templates/tool/py_Cargo.toml.in")),
    ("tools/WORD/py/src/lib.rs", include_str!("../templates/tool/py_lib.rs.in")),
    ("tools/WORD/conformance/original.toml", include_str!("../templates/tool/original.toml")),
    ("tools/WORD/conformance/expected.toml", include_str!("../templates/tool/expected.toml")),
    (
        "tools/WORD/conformance/example/example_WORD/__init__.py",
        include_str!("../templates/tool/example_original.py"),
    ),
    (
        "tools/WORD/conformance/example/tests/test_lines.py",
        include_str!("../templates/tool/example_tests.py"),
    ),
    ("tools/WORD/bench/against.py", include_str!("../templates/tool/against.py")),
    ("python/naja/example_WORD/__init__.py", include_str!("../templates/tool/package.py")),
    ("python/naja/example_WORD/__init__.pyi", include_str!("../templates/tool/package.pyi")),
    ("python/naja/example_WORD/py.typed", ""),
    ("docs/tools/WORD.md", include_str!("../templates/tool/page.md")),
];

/// The line in the workspace's manifest after which the new crate is listed.
const LIST_START: &str = "[workspace.dependencies]\n";

/// Writes the files and lists the crate in the workspace.
pub(crate) fn run(checkout: &Checkout, arguments: &[String]) -> Outcome<()> {
    let [word] = arguments else {
        return Err(Problem::new("which tool?").hint("cargo dev new-tool WORD"));
    };
    if !is_word(word) {
        return Err(Problem::new(format!("`{word}` is no name for a tool"))
            .hint("a tool is one short English word in small letters, such as `dates`"));
    }
    if checkout.at("tools").join(word).exists() {
        return Err(Problem::new(format!("tools/{word} is already there")));
    }
    let changed = [
        ("Cargo.toml", list_crate as fn(&str, &str) -> Option<String>),
        ("python/extension/Cargo.toml", list_feature),
        ("python/extension/src/lib.rs", list_registration),
    ];
    let mut changes = Vec::new();
    for (path, change) in changed {
        let text = step::read(&checkout.at(path))?;
        let text = change(&text, word)
            .ok_or_else(|| Problem::new(format!("`{path}` has not the form that a tool can be added to")))?;
        changes.push((path, text));
    }
    for (path, template) in FILES {
        step::write(&checkout.at(fill(path, word)), &fill(template, word))?;
    }
    for (path, text) in changes {
        step::write(&checkout.at(path), &text)?;
    }
    // Writes the new member into Cargo.lock, which every other command then takes as it is.
    step::run_quietly(&mut checkout.cargo(&["metadata", "--format-version", "1", "--offline"]))?;
    generate::write_errors(checkout)?;
    for (path, text) in dropins::files(checkout)? {
        step::write(&checkout.at(path), &text)?;
    }
    say(&format!("made tools/{word}, python/naja/example_{word} and docs/tools/{word}.md; next:"));
    say(&format!("  cargo test -p naja-{word}            passes already"));
    say(&format!("  cargo dev conformance {word}         runs the tests of a made-up original"));
    say(&format!("  cargo dev bench {word}               measures beside it; then `cargo dev gen`"));
    say(&format!("  cli/src: add `naja_{word}::command` to the argument tree"));
    Ok(())
}

fn is_word(word: &str) -> bool {
    (2..=16).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_lowercase())
}

fn list_crate(manifest: &str, word: &str) -> Option<String> {
    let (before, after) = manifest.split_once(LIST_START)?;
    let line = format!(
        "naja-{word} = {{ path = \"tools/{word}\" }}\nnaja-{word}-py = {{ path = \"tools/{word}/py\" }}\n"
    );
    // After the other crates of this repository, which come first in the list.
    let own: usize =
        after.split_inclusive('\n').take_while(|line| line.starts_with("naja-")).map(str::len).sum();
    Some(format!("{before}{LIST_START}{}{line}{}", &after[..own], &after[own..]))
}

/// One feature per tool, on by default.
fn list_feature(manifest: &str, word: &str) -> Option<String> {
    let (before, rest) = manifest.split_once("default = [")?;
    let (names, after) = rest.split_once("]\n")?;
    let separator = if names.trim().is_empty() { "" } else { ", " };
    let features = format!("default = [{names}{separator}\"{word}\"]\n{word} = [\"dep:naja-{word}-py\"]\n");
    let (between, after) = after.split_once("pyo3 = ")?;
    let crates = format!("naja-{word}-py = {{ workspace = true, optional = true }}\n");
    Some(format!("{before}{features}{between}{crates}pyo3 = {after}"))
}

fn list_registration(source: &str, word: &str) -> Option<String> {
    const LAST: &str = "    module.add(\"__version__\"";
    let (before, after) = source.split_once(LAST)?;
    Some(format!(
        "{before}    #[cfg(feature = \"{word}\")]\n    naja_{word}_py::register(module)?;\n{LAST}{after}"
    ))
}

fn fill(template: &str, word: &str) -> String {
    let capital = word[..1].to_ascii_uppercase() + &word[1..];
    template.replace("WORD", word).replace("Word", &capital)
}

#[cfg(test)]
mod tests {
    use super::{is_word, list_crate, list_feature, list_registration};

    #[test]
    fn a_tool_is_one_word_in_small_letters() {
        assert_eq!(
            ["dates", "db", "Dates", "date-time", "x", ""].map(is_word),
            [true, true, false, false, false, false]
        );
    }

    #[test]
    fn the_crate_is_listed_after_its_like() {
        let manifest = "[workspace.dependencies]\nnaja-a = { path = \"a\" }\n\nclap = \"4\"\n";
        let listed = list_crate(manifest, "dates").expect("the section is there");
        assert_eq!(
            listed,
            "[workspace.dependencies]\nnaja-a = { path = \"a\" }\nnaja-dates = { path = \"tools/dates\" }\nnaja-dates-py = { path = \"tools/dates/py\" }\n\nclap = \"4\"\n"
        );
    }

    #[test]
    fn the_bindings_are_a_feature_of_the_extension() {
        let manifest =
            "[features]\ndefault = [\"a\"]\na = [\"dep:naja-a-py\"]\n\n[dependencies]\npyo3 = \"1\"\n";
        assert_eq!(
            list_feature(manifest, "b").expect("it has the form"),
            "[features]\ndefault = [\"a\", \"b\"]\nb = [\"dep:naja-b-py\"]\na = [\"dep:naja-a-py\"]\n\n[dependencies]\n\
             naja-b-py = { workspace = true, optional = true }\npyo3 = \"1\"\n"
        );
        let source = "fn f() {\n    module.add(\"__version__\", V)\n}\n";
        assert_eq!(
            list_registration(source, "b").expect("it has the form"),
            "fn f() {\n    #[cfg(feature = \"b\")]\n    naja_b_py::register(module)?;\n    module.add(\"__version__\", V)\n}\n"
        );
        assert_eq!(list_registration("fn f() {}", "b"), None);
    }
}
