//! Which crate may need which.

use super::workspace::{Member, Workspace};

/// The heading in ARCHITECTURE.md under which the arrows between base crates are listed.
const HEADING: &str = "## Allowed arrows";

/// No tool needs another tool, not even in its tests.
pub(crate) fn tools_are_independent(workspace: &Workspace) -> Vec<String> {
    let mut complaints = Vec::new();
    for member in &workspace.members {
        let Some(tool) = member.tool() else { continue };
        for needed in member.needs.iter().chain(&member.tests_need) {
            let other = workspace.member(needed).and_then(Member::tool);
            if other.is_some_and(|other| other != tool) {
                complaints.push(format!(
                    "{}: a tool must not need a tool, and this one needs `{needed}`; move what both use down into base/",
                    member.folder
                ));
            }
        }
    }
    complaints
}

/// Only the crates at the border to Python link it; the program never does.
pub(crate) fn pyo3_stays_at_the_border(workspace: &Workspace) -> Vec<String> {
    let is_border = |folder: &str| {
        folder == "base/glue"
            || folder == "python/extension"
            || folder.strip_prefix("tools/").is_some_and(|rest| rest.split('/').nth(1) == Some("py"))
    };
    let needs_pyo3 = |member: &&Member| {
        let needs = member.needs.iter().chain(&member.tests_need);
        needs.into_iter().any(|name| name == "pyo3" || name.starts_with("pyo3-"))
    };
    let wrong = workspace.members.iter().filter(needs_pyo3).filter(|member| !is_border(&member.folder));
    wrong
        .map(|member| {
            format!(
                "{}: pyo3 belongs in base/glue, tools/*/py and python/extension alone; take plain data here and convert it there",
                member.folder
            )
        })
        .collect()
}

/// A base crate needs only the base crates that ARCHITECTURE.md lists for it, and never a tool or the program.
pub(crate) fn base_arrows_are_listed(workspace: &Workspace, architecture: &str) -> Vec<String> {
    let allowed = match listed(architecture) {
        Ok(allowed) => allowed,
        Err(complaint) => return vec![complaint],
    };
    let mut complaints = Vec::new();
    for member in &workspace.members {
        let Some(base) = member.base() else { continue };
        // A crate for tests may use any other: nothing that ships needs it (see the second half).
        if base == "testkit" {
            continue;
        }
        for needed in member.needs.iter().filter_map(|name| workspace.member(name)) {
            let listed = needed
                .base()
                .is_some_and(|to| allowed.iter().any(|arrow| *arrow == (base.to_owned(), to.to_owned())));
            if !listed {
                complaints.push(format!(
                    "{}: needs {}, which is no allowed arrow; turn it round, move the shared part down, or add it to ARCHITECTURE.md (\"{HEADING}\") in a commit that says why",
                    member.folder, needed.folder
                ));
            }
        }
    }
    let shipped = workspace.members.iter().filter(|member| member.base() != Some("testkit"));
    for member in shipped.filter(|member| member.needs.iter().any(|name| name == "naja-testkit")) {
        complaints.push(format!("{}: testkit is for tests; put it under [dev-dependencies]", member.folder));
    }
    for (from, to) in &allowed {
        let used = workspace
            .members
            .iter()
            .any(|member| member.base() == Some(from) && member.needs.contains(&format!("naja-{to}")));
        if !used {
            complaints.push(format!(
                "ARCHITECTURE.md: no crate uses the arrow `{from} -> {to}` any more; take it out of \"{HEADING}\""
            ));
        }
    }
    complaints
}

/// The lines `from -> to to` in the first code block under the heading.
fn listed(architecture: &str) -> Result<Vec<(String, String)>, String> {
    let block = architecture
        .split_once(HEADING)
        .and_then(|(_, rest)| rest.split_once("```text\n"))
        .and_then(|(_, rest)| rest.split_once("```"))
        .map(|(block, _)| block)
        .ok_or_else(|| format!("ARCHITECTURE.md: no block of arrows (```text) under \"{HEADING}\""))?;
    let mut arrows = Vec::new();
    for line in block.lines().filter(|line| !line.trim().is_empty()) {
        let (from, to) = line
            .split_once("->")
            .ok_or_else(|| format!("ARCHITECTURE.md: `{line}` is no arrow; write `from -> to`"))?;
        arrows.extend(to.split_whitespace().map(|to| (from.trim().to_owned(), to.to_owned())));
    }
    Ok(arrows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::workspace::tests::workspace;

    const ARROWS: &str = "# A\n\n## Allowed arrows\n\nwords\n\n```text\nreport -> system\n```\n";

    fn check(complaints: &[String], expected: &[&str]) {
        let folders: Vec<&str> =
            complaints.iter().map(|one| one.split(':').next().unwrap_or_default()).collect();
        assert_eq!(folders, expected, "{complaints:#?}");
    }

    #[test]
    fn a_tool_that_needs_a_tool_is_named() {
        let lines =
            ["tools/dates:", "tools/dates/py: dates pyo3", "tools/frames: dates", "cli: dates frames"];
        check(&tools_are_independent(&workspace(&lines)), &["tools/frames"]);
    }

    #[test]
    fn pyo3_outside_the_border_is_named() {
        let lines = [
            "base/glue: pyo3",
            "tools/dates/py: pyo3",
            "python/extension: pyo3",
            "tools/dates: pyo3",
            "cli: pyo3",
        ];
        check(&pyo3_stays_at_the_border(&workspace(&lines)), &["tools/dates", "cli"]);
    }

    #[test]
    fn a_listed_arrow_is_allowed() {
        check(
            &base_arrows_are_listed(&workspace(&["base/system: serde", "base/report: system"]), ARROWS),
            &[],
        );
    }

    #[test]
    fn an_arrow_that_is_not_listed_is_named() {
        let lines = ["base/system: report", "base/report: system"];
        check(&base_arrows_are_listed(&workspace(&lines), ARROWS), &["base/system"]);
    }

    #[test]
    fn a_base_crate_never_needs_a_tool() {
        let lines = ["base/system:", "base/report: system dates", "tools/dates:"];
        check(&base_arrows_are_listed(&workspace(&lines), ARROWS), &["base/report"]);
    }

    #[test]
    fn an_arrow_that_nobody_uses_is_named() {
        check(
            &base_arrows_are_listed(&workspace(&["base/system:", "base/report:"]), ARROWS),
            &["ARCHITECTURE.md"],
        );
    }

    #[test]
    fn testkit_is_no_part_of_what_ships() {
        let lines = ["base/system:", "base/report: system", "base/testkit: report", "tools/dates: testkit"];
        check(&base_arrows_are_listed(&workspace(&lines), ARROWS), &["tools/dates"]);
    }

    #[test]
    fn a_page_without_arrows_is_named() {
        check(&base_arrows_are_listed(&workspace(&[]), "# A"), &["ARCHITECTURE.md"]);
    }
}
