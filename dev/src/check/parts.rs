//! Whether every tool's folder looks like every other's, and whether no test file was forgotten.

use std::fs;
use std::path::Path;

use super::workspace::Workspace;
use crate::checkout::Checkout;
use crate::stamp;
use crate::step::{self, Outcome, Problem};

/// The parts that every tool has.
const REQUIRED: [&str; 4] = ["README.md", "Cargo.toml", "src/lib.rs", "tests/it/main.rs"];

/// The parts of a tool's sources that have a name of their own: what shows that a file holds such a part, and the
/// files where it belongs.
const ROLES: [(&str, &[&str]); 3] = [
    ("impl std::error::Error for", &["error.rs"]),
    ("clap::Args", &["command.rs", "options.rs"]),
    ("clap::Parser", &["command.rs", "options.rs"]),
];

/// The parts that a tool may have beside them: `assets` holds files that the crate embeds, `agent` is a library that is
/// loaded into other programs.
const OPTIONAL: [&str; 8] = ["src", "tests", "py", "agent", "conformance", "bench", "assets", "examples"];

/// Names that say nothing about what a file holds.
const EMPTY_NAMES: [&str; 6] = ["utils.rs", "util.rs", "helpers.rs", "helper.rs", "common.rs", "misc.rs"];

/// The same role has the same name in every tool's folder, and every tool has its page.
pub(crate) fn tools_have_the_same_parts(checkout: &Checkout, workspace: &Workspace) -> Outcome<Vec<String>> {
    let mut complaints = Vec::new();
    for member in workspace.members.iter().filter(|member| member.folder.matches('/').count() == 1) {
        let Some(tool) = member.tool() else { continue };
        let folder = checkout.at(&member.folder);
        if member.name != format!("naja-{tool}") {
            complaints
                .push(format!("{}: its crate is called `naja-{tool}`, not `{}`", member.folder, member.name));
        }
        let page = format!("docs/tools/{tool}.md");
        let missing = REQUIRED.iter().filter(|part| !folder.join(part).is_file());
        complaints.extend(missing.map(|part| {
            format!(
                "{}: lacks `{part}`, which every tool has; `cargo dev new-tool` shows its shape",
                member.folder
            )
        }));
        if !checkout.at(&page).is_file() {
            complaints.push(format!(
                "{}: lacks its page `{page}`: what it is for, a first example, the reference",
                member.folder
            ));
        }
        for name in names(&folder)? {
            if !REQUIRED.contains(&name.as_str()) && !OPTIONAL.contains(&name.as_str()) {
                complaints.push(format!(
                    "{}: `{name}` is no part that a tool has (those are {}); give it the name of its role",
                    member.folder,
                    OPTIONAL.join(", ")
                ));
            }
        }
    }
    complaints.extend(roles_have_their_files(checkout, workspace)?);
    for member in &workspace.members {
        for name in names(&checkout.at(&member.folder).join("src"))? {
            if EMPTY_NAMES.contains(&name.as_str()) {
                complaints.push(format!("{}/src/{name}: call the file what it holds", member.folder));
            }
        }
    }
    Ok(complaints)
}

/// What a tool has, it keeps under the name that it has in every tool.
fn roles_have_their_files(checkout: &Checkout, workspace: &Workspace) -> Outcome<Vec<String>> {
    let mut complaints = Vec::new();
    for member in workspace.members.iter().filter(|member| member.tool().is_some()) {
        for file in stamp::files_under(&checkout.at(&member.folder).join("src"))? {
            let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if !name.ends_with(".rs") {
                continue;
            }
            let source = step::read(&file)?;
            // A tool with several commands keeps one file for each in `command/`.
            let is_command = file.parent().is_some_and(|folder| folder.ends_with("src/command"));
            let misplaced = ROLES.iter().filter(|(sign, files)| {
                let fits = files.contains(&&*name) || (is_command && files.contains(&"command.rs"));
                source.contains(sign) && !fits
            });
            complaints.extend(misplaced.map(|(sign, files)| {
                let inside = file.strip_prefix(&checkout.root).unwrap_or(&file);
                format!("{}: `{sign}` belongs in {}, as in every tool", inside.display(), files.join(" or "))
            }));
        }
    }
    Ok(complaints)
}

/// Every file in `tests/it` is a module of the one test binary: a forgotten file is a test that never runs.
pub(crate) fn test_files_are_included(checkout: &Checkout, workspace: &Workspace) -> Outcome<Vec<String>> {
    let mut complaints = Vec::new();
    for member in &workspace.members {
        let tests = checkout.at(&member.folder).join("tests");
        for name in names(&tests)? {
            if name.ends_with(".rs") {
                complaints.push(format!(
                    "{}/tests/{name}: one test binary per crate; make it a module of tests/it/main.rs",
                    member.folder
                ));
            }
        }
        let main = tests.join("it/main.rs");
        if !main.is_file() {
            continue;
        }
        let modules = modules_of(&step::read(&main)?);
        for name in names(&tests.join("it"))? {
            let module = name.trim_end_matches(".rs");
            let is_module = name.ends_with(".rs") || tests.join("it").join(&name).join("mod.rs").is_file();
            if is_module && module != "main" && !modules.iter().any(|known| known == module) {
                complaints.push(format!(
                    "{}/tests/it/{name}: never runs; add `mod {module};` to main.rs beside it",
                    member.folder
                ));
            }
        }
    }
    Ok(complaints)
}

fn modules_of(source: &str) -> Vec<String> {
    let lines = source.lines().map(str::trim);
    let names = lines.filter_map(|line| {
        let line = line.strip_prefix("pub ").or_else(|| line.strip_prefix("pub(crate) ")).unwrap_or(line);
        line.strip_prefix("mod ")?.split([';', ' ', '{']).next()
    });
    names.map(str::to_owned).collect()
}

/// The names in a folder, sorted; none where the folder is not there.
fn names(folder: &Path) -> Outcome<Vec<String>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(folder).map_err(|error| Problem::path("read", folder, &error))?;
    let mut names: Vec<String> =
        entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::modules_of;

    #[test]
    fn modules_are_read_from_their_lines() {
        let source =
            "//! mod not;\nmod run;\n#[cfg(x)]\npub(crate) mod wheel;\nmod inline {\n}\nuse mod_x;\n";
        assert_eq!(modules_of(source), ["run", "wheel", "inline"]);
    }
}
