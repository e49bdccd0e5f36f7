//! `cargo dev new-tool WORD`: the folder of a new tool, which compiles and passes `cargo dev check` at once.

use crate::checkout::Checkout;
use crate::generate;
use crate::step::{self, Outcome, Problem, say};

/// Where each file of the template goes; `WORD` and `Word` stand for the tool's name in both.
const FILES: [(&str, &str); 8] = [
    ("tools/WORD/README.md", include_str!("../templates/tool/README.md")),
    ("tools/WORD/Cargo.toml", include_str!("../templates/tool/Cargo.toml.in")),
    ("tools/WORD/src/lib.rs", include_str!("../templates/tool/lib.rs.in")),
    ("tools/WORD/src/error.rs", include_str!("../templates/tool/error.rs.in")),
    ("tools/WORD/src/command.rs", include_str!("../templates/tool/command.rs.in")),
    ("tools/WORD/tests/it/main.rs", include_str!("../templates/tool/it.rs.in")),
    ("tools/WORD/bench/README.md", include_str!("../templates/tool/bench.md")),
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
    let manifest_path = checkout.at("Cargo.toml");
    let manifest = step::read(&manifest_path)?;
    let listed = list_crate(&manifest, word)
        .ok_or_else(|| Problem::new("Cargo.toml has no section [workspace.dependencies]"))?;
    for (path, template) in FILES {
        step::write(&checkout.at(fill(path, word)), &fill(template, word))?;
    }
    step::write(&manifest_path, &listed)?;
    // Writes the new member into Cargo.lock, which every other command then takes as it is.
    step::run_quietly(&mut checkout.cargo(&["metadata", "--format-version", "1", "--offline"]))?;
    generate::write_errors(checkout)?;
    say(&format!("made tools/{word} and docs/tools/{word}.md; next:"));
    say(&format!("  cargo test -p naja-{word}      passes already"));
    say(&format!("  cli/src: add `naja_{word}::command` to the argument tree"));
    Ok(())
}

fn is_word(word: &str) -> bool {
    (2..=16).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_lowercase())
}

fn list_crate(manifest: &str, word: &str) -> Option<String> {
    let (before, after) = manifest.split_once(LIST_START)?;
    let line = format!("naja-{word} = {{ path = \"tools/{word}\" }}\n");
    // After the other crates of this repository, which come first in the list.
    let own: usize =
        after.split_inclusive('\n').take_while(|line| line.starts_with("naja-")).map(str::len).sum();
    Some(format!("{before}{LIST_START}{}{line}{}", &after[..own], &after[own..]))
}

fn fill(template: &str, word: &str) -> String {
    let capital = word[..1].to_ascii_uppercase() + &word[1..];
    template.replace("WORD", word).replace("Word", &capital)
}

#[cfg(test)]
mod tests {
    use super::{is_word, list_crate};

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
            "[workspace.dependencies]\nnaja-a = { path = \"a\" }\nnaja-dates = { path = \"tools/dates\" }\n\nclap = \"4\"\n"
        );
    }
}
