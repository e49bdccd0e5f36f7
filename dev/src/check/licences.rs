//! Whether everything that is compiled in may be: the list is `deny.toml`'s, so that cargo-deny says the same.

use super::workspace::Workspace;

/// Every foreign crate offers a licence that `deny.toml` allows.
pub(crate) fn are_allowed(workspace: &Workspace, deny: &str) -> Vec<String> {
    let allowed = allowed_in(deny);
    if allowed.is_empty() {
        return vec!["deny.toml: no list `allow = [` under [licenses]".to_owned()];
    }
    let mut complaints = Vec::new();
    for package in &workspace.foreign {
        let licence = package.licence.as_deref().unwrap_or("none");
        if !satisfied(licence, &allowed) {
            complaints.push(format!(
                "{}: its licence is {licence}, which deny.toml does not allow; use another crate, or add the licence in a commit that says why",
                package.name
            ));
        }
    }
    complaints
}

/// The strings of the array `allow` in the section `[licenses]`.
fn allowed_in(deny: &str) -> Vec<&str> {
    let section = deny.split_once("[licenses]").map_or("", |(_, rest)| rest);
    let array = section.split_once("allow = [").map_or("", |(_, rest)| rest);
    let array = array.split_once(']').map_or("", |(inside, _)| inside);
    let lines = array.lines().filter_map(|line| line.split('#').next());
    lines.flat_map(|line| line.split('"').skip(1).step_by(2)).collect()
}

/// Evaluates an SPDX expression: `AND` binds more tightly than `OR`; an old `/` means `OR`.
fn satisfied(expression: &str, allowed: &[&str]) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    let answer = either(&words, &mut at, allowed);
    answer && at == words.len()
}

fn either(words: &[&str], at: &mut usize, allowed: &[&str]) -> bool {
    let mut answer = both(words, at, allowed);
    while words.get(*at) == Some(&"OR") {
        *at += 1;
        answer |= both(words, at, allowed);
    }
    answer
}

fn both(words: &[&str], at: &mut usize, allowed: &[&str]) -> bool {
    let mut answer = one(words, at, allowed);
    while words.get(*at) == Some(&"AND") {
        *at += 1;
        answer &= one(words, at, allowed);
    }
    answer
}

fn one(words: &[&str], at: &mut usize, allowed: &[&str]) -> bool {
    let word = words.get(*at).copied().unwrap_or_default();
    *at += 1;
    if word == "(" {
        let answer = either(words, at, allowed);
        *at += 1;
        return answer;
    }
    // An exception only takes conditions away, so the licence alone decides, unless the list names both.
    if words.get(*at) == Some(&"WITH") {
        let exception = words.get(*at + 1).copied().unwrap_or_default();
        *at += 2;
        return allowed.contains(&word) || allowed.contains(&format!("{word} WITH {exception}").as_str());
    }
    allowed.contains(&word)
}

#[cfg(test)]
mod tests {
    use super::{allowed_in, are_allowed, satisfied};
    use crate::check::workspace::{Foreign, Workspace};

    #[test]
    fn expressions_are_understood() {
        let allowed = ["MIT", "Apache-2.0", "Unicode-3.0"];
        for (expression, expected) in [
            ("MIT", true),
            ("GPL-3.0", false),
            ("GPL-3.0 OR MIT", true),
            ("Unlicense/MIT", true),
            ("MIT AND GPL-3.0", false),
            ("(MIT OR GPL-3.0) AND Unicode-3.0", true),
            ("GPL-3.0 AND (MIT OR Apache-2.0)", false),
            ("Apache-2.0 WITH LLVM-exception OR GPL-3.0", true),
            ("GPL-2.0 WITH Classpath-exception-2.0", false),
            ("MIT OR", false),
            ("MIT MIT", false),
            ("none", false),
        ] {
            assert_eq!(satisfied(expression, &allowed), expected, "{expression}");
        }
    }

    #[test]
    fn the_list_is_read_from_its_section() {
        let deny = "[bans]\nallow = [\"x\"]\n[licenses]\nallow = [\n  \"MIT\", # why\n  \"ISC\",\n]\n";
        assert_eq!(allowed_in(deny), ["MIT", "ISC"]);
    }

    #[test]
    fn a_crate_without_a_licence_is_named() {
        let foreign = vec![Foreign { name: "mystery".into(), licence: None }];
        let workspace = Workspace { members: Vec::new(), foreign };
        let complaints = are_allowed(&workspace, "[licenses]\nallow = [\"MIT\"]\n");
        assert!(complaints[0].starts_with("mystery: its licence is none"), "{complaints:?}");
    }
}
