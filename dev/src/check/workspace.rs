//! What `cargo metadata` tells, reduced to what the rules ask about.

use std::collections::HashSet;

use serde_json::Value;

use crate::checkout::Checkout;
use crate::step::{self, Outcome, Problem};

/// The workspace's members and every package that they are built from.
#[derive(Debug, Default)]
pub(crate) struct Workspace {
    pub(crate) members: Vec<Member>,
    pub(crate) foreign: Vec<Foreign>,
}

/// A crate of this repository.
#[derive(Debug, Default)]
pub(crate) struct Member {
    pub(crate) name: String,
    /// Its folder, relative to the checkout: `tools/profile`.
    pub(crate) folder: String,
    /// The names of the crates that it needs to be built, tests aside.
    pub(crate) needs: Vec<String>,
    /// The names of the crates that only its tests need.
    pub(crate) tests_need: Vec<String>,
}

/// A crate of somebody else's that is compiled on this platform.
#[derive(Debug)]
pub(crate) struct Foreign {
    pub(crate) name: String,
    pub(crate) licence: Option<String>,
}

impl Member {
    /// The word of the tool that this crate belongs to, as core or as binding.
    pub(crate) fn tool(&self) -> Option<&str> {
        self.folder.strip_prefix("tools/")?.split('/').next()
    }

    /// The word of a crate under `base/`.
    pub(crate) fn base(&self) -> Option<&str> {
        self.folder.strip_prefix("base/")
    }
}

impl Workspace {
    /// Asks cargo. The platform is this one: what is never compiled needs no licence.
    pub(crate) fn load(checkout: &Checkout) -> Outcome<Workspace> {
        let rustc = step::run_quietly(checkout.command("rustc").arg("-vV"))?;
        let host = rustc.lines().find_map(|line| line.strip_prefix("host: ")).unwrap_or_default();
        let text = step::run_quietly(&mut checkout.cargo(&[
            "metadata",
            "--format-version",
            "1",
            "--locked",
            "--filter-platform",
            host,
        ]))
        .map_err(|problem| problem.hint("`cargo update --workspace` brings Cargo.lock up to date"))?;
        let metadata: Value = serde_json::from_str(&text)
            .map_err(|error| Problem::new(format!("cargo metadata is not understood: {error}")))?;
        Ok(Workspace::from_metadata(&metadata, &checkout.root.to_string_lossy()))
    }

    pub(crate) fn member(&self, name: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.name == name)
    }

    fn from_metadata(metadata: &Value, root: &str) -> Workspace {
        let ids: HashSet<&str> = list(&metadata["workspace_members"]).filter_map(Value::as_str).collect();
        let compiled: HashSet<&str> =
            list(&metadata["resolve"]["nodes"]).filter_map(|node| node["id"].as_str()).collect();
        let mut workspace = Workspace::default();
        for package in list(&metadata["packages"]) {
            let id = package["id"].as_str().unwrap_or_default();
            if ids.contains(id) {
                workspace.members.push(member(package, root));
            } else if compiled.contains(id) {
                let licence = package["license"].as_str().map(str::to_owned);
                workspace.foreign.push(Foreign { name: text(&package["name"]), licence });
            }
        }
        workspace
    }
}

fn member(package: &Value, root: &str) -> Member {
    let manifest = text(&package["manifest_path"]);
    let folder = manifest.trim_start_matches(root).trim_start_matches('/').trim_end_matches("/Cargo.toml");
    let mut member = Member { name: text(&package["name"]), folder: folder.to_owned(), ..Member::default() };
    for dependency in list(&package["dependencies"]) {
        let for_tests = dependency["kind"] == "dev";
        let needs = if for_tests { &mut member.tests_need } else { &mut member.needs };
        needs.push(text(&dependency["name"]));
    }
    member
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::{Member, Workspace};

    /// A workspace from lines such as `base/report: system serde`; the crate's name follows from its folder.
    pub(crate) fn workspace(lines: &[&str]) -> Workspace {
        let name = |word: &str| match word {
            "pyo3" | "serde" => word.to_owned(),
            "cli" => "naja".to_owned(),
            _ => format!("naja-{}", word.rsplit_once('/').map_or(word, |(_, last)| last)),
        };
        let members = lines.iter().map(|line| {
            let (folder, needs) = line.split_once(':').expect("a folder and a colon");
            let needs = needs.split_whitespace().map(name).collect();
            let own =
                folder.strip_suffix("/py").map_or_else(|| name(folder), |tool| format!("{}-py", name(tool)));
            Member { name: own, folder: folder.to_owned(), needs, tests_need: Vec::new() }
        });
        Workspace { members: members.collect(), foreign: Vec::new() }
    }

    #[test]
    fn members_and_foreign_packages_are_told_apart() {
        let metadata = serde_json::json!({
            "workspace_members": ["a"],
            "resolve": { "nodes": [{ "id": "a" }, { "id": "b" }] },
            "packages": [
                { "id": "a", "name": "naja-report", "manifest_path": "/c/base/report/Cargo.toml", "dependencies": [
                    { "name": "serde", "kind": null }, { "name": "tempfile", "kind": "dev" } ] },
                { "id": "b", "name": "serde", "license": "MIT OR Apache-2.0" },
                { "id": "c", "name": "windows", "license": "MIT" },
            ],
        });
        let workspace = Workspace::from_metadata(&metadata, "/c");
        let member = workspace.member("naja-report").expect("it is a member");
        assert_eq!(member.base(), Some("report"));
        assert_eq!(
            (member.needs.join(" "), member.tests_need.join(" ")),
            ("serde".into(), "tempfile".into())
        );
        let foreign: Vec<_> = workspace.foreign.iter().map(|package| package.name.as_str()).collect();
        assert_eq!(foreign, ["serde"]);
    }
}
