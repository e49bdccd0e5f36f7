//! What the project's settings say of its tests and modules: those that decide what an import may mean.
//!
//! Every file that may hold them is read, also where pytest would take the first alone: a root too many does no harm.
//! Start at [`Settings::read`].

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// Patterns of the names of test files.
    pub test_files: BTreeSet<String>,
    /// Folders below the project's root that pytest puts on the search path.
    pub roots: BTreeSet<String>,
    /// Modules that pytest loads as plugins for every test.
    pub plugins: BTreeSet<String>,
    /// Commands that the project installs, with the module that each runs.
    pub commands: BTreeMap<String, String>,
}

/// Files whose change may change everything.
pub const FILES: &[&str] = &[
    "pytest.ini",
    ".pytest.ini",
    "pytest.toml",
    ".pytest.toml",
    "pyproject.toml",
    "tox.ini",
    "setup.cfg",
    "setup.py",
];

impl Settings {
    /// Reads the settings of the project in this folder. What is not there, or broken, says nothing.
    pub fn read(root: &Path) -> Settings {
        let mut settings = Settings::default();
        settings.test_files.extend(["test_*.py", "*_test.py"].map(str::to_owned));
        for name in FILES {
            let Ok(text) = std::fs::read_to_string(root.join(name)) else { continue };
            if name.ends_with(".toml") {
                settings.take_toml(&text);
            } else {
                settings.take_ini(&text);
            }
        }
        settings
    }

    /// Whether pytest takes a file of this name for one with tests.
    pub fn is_test_file(&self, path: &str) -> bool {
        let name = path.rsplit('/').next().unwrap_or(path);
        self.test_files.iter().any(|pattern| {
            let text = if pattern.contains('/') { path } else { name };
            matches(pattern.trim_start_matches("./"), text)
        })
    }

    fn take_toml(&mut self, text: &str) {
        let Ok(table) = text.parse::<toml::Table>() else { return };
        let at = |path: &[&str]| {
            path.iter().try_fold(None, |found: Option<&toml::Value>, key| {
                let next = found.map_or_else(|| table.get(*key), |value| value.get(key));
                next.map(Some)
            })
        };
        for place in [&["tool", "pytest", "ini_options"][..], &["tool", "pytest"], &["pytest"]] {
            if let Some(Some(options)) = at(place) {
                for key in ["python_files", "pythonpath", "addopts"] {
                    self.take(key, &strings(options.get(key)));
                }
            }
        }
        for place in [&["project", "scripts"], &["project", "gui-scripts"]] {
            for (name, target) in at(place).flatten().and_then(toml::Value::as_table).into_iter().flatten() {
                self.command(name, target.as_str().unwrap_or_default());
            }
        }
        let plugins = at(&["project", "entry-points", "pytest11"]).flatten().and_then(toml::Value::as_table);
        self.plugins.extend(
            plugins.into_iter().flatten().filter_map(|(_, module)| Some(module.as_str()?.to_owned())),
        );
    }

    fn take_ini(&mut self, text: &str) {
        let mut section = "";
        let mut key = String::new();
        for line in text.lines() {
            let is_more = line.starts_with([' ', '\t']);
            let line = line.split(['#', ';']).next().unwrap_or_default().trim();
            if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
                section = name;
                key.clear();
                continue;
            }
            let value = if is_more {
                line
            } else {
                let Some((name, value)) = line.split_once('=') else { continue };
                key = name.trim().to_owned();
                value.trim()
            };
            match (section, key.as_str()) {
                ("pytest" | "tool:pytest", _) => self.take(&key, &[value.to_owned()]),
                ("options.entry_points", "console_scripts" | "gui_scripts") => {
                    if let Some((name, target)) = value.split_once('=') {
                        self.command(name.trim(), target.trim());
                    }
                }
                ("options.entry_points", "pytest11") => {
                    self.plugins.extend(value.split_once('=').map(|(_, module)| module.trim().to_owned()));
                }
                _ => {}
            }
        }
    }

    fn take(&mut self, key: &str, values: &[String]) {
        let words: Vec<&str> = values.iter().flat_map(|value| value.split_whitespace()).collect();
        match key {
            "python_files" => self.test_files.extend(words.iter().map(|&word| word.to_owned())),
            "pythonpath" | "python_paths" => {
                self.roots.extend(
                    words
                        .iter()
                        .map(|word| word.trim_start_matches("./").trim_matches(['/', '.']).to_owned()),
                );
            }
            "addopts" => {
                for (index, word) in words.iter().enumerate() {
                    let name =
                        if *word == "-p" { words.get(index + 1).copied() } else { word.strip_prefix("-p") };
                    self.plugins.extend(name.filter(|name| !name.starts_with("no:")).map(str::to_owned));
                }
            }
            _ => {}
        }
    }

    fn command(&mut self, name: &str, target: &str) {
        let module = target.split(':').next().unwrap_or(target).trim();
        self.commands.insert(name.to_owned(), module.to_owned());
    }
}

fn strings(value: Option<&toml::Value>) -> Vec<String> {
    match value {
        Some(toml::Value::String(text)) => vec![text.clone()],
        Some(toml::Value::Array(list)) => {
            list.iter().filter_map(|one| Some(one.as_str()?.to_owned())).collect()
        }
        _ => Vec::new(),
    }
}

/// Whether a name is as a pattern says: `*` is any text, `?` any character; `[` stands for any one character, too.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut place) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while place < text.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, place));
                at += 1;
            }
            Some('[') => {
                at = pattern[at..]
                    .iter()
                    .position(|&one| one == ']')
                    .map_or(pattern.len(), |end| at + end + 1);
                place += 1;
            }
            Some(&one) if one == '?' || one == text[place] => {
                at += 1;
                place += 1;
            }
            _ => {
                let Some((after, from)) = star else { return false };
                star = Some((after, from + 1));
                at = after + 1;
                place = from + 1;
            }
        }
    }
    pattern[at..].iter().all(|&one| one == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_those_of_a_shell() {
        let is_test = |path| Settings::read(Path::new("/nowhere")).is_test_file(path);
        assert!(is_test("a/test_b.py") && is_test("b_test.py"));
        assert!(!is_test("a/tests.py") && !is_test("conftest.py") && !is_test("test_b.pyc"));
        assert!(matches("check_?*.py", "check_ab.py") && matches("t[ab]*.py", "ta.py"));
    }

    #[test]
    fn settings_are_read_from_every_file_that_may_hold_them() {
        let mut settings = Settings::default();
        settings.take_ini(
            "[tox]\npythonpath = no\n[pytest]\npythonpath = lib\n    ./other/ # why\naddopts = -q -p a.b -pc -p no:d\n\
             [options.entry_points]\nconsole_scripts =\n    run-it = a.cli:main\n",
        );
        settings.take_toml(
            "[tool.pytest.ini_options]\npython_files = ['check_*.py']\npythonpath = '.'\n\
             [project.scripts]\nit = 'e.f:main'\n[project.entry-points.pytest11]\np = 'g'\n",
        );
        let set = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<BTreeSet<_>>();
        assert_eq!(settings.roots, set(&["", "lib", "other"]));
        assert_eq!(settings.plugins, set(&["a.b", "c", "g"]));
        assert_eq!(settings.test_files, set(&["check_*.py"]));
        assert_eq!(settings.commands.get("run-it").map(String::as_str), Some("a.cli"));
        assert_eq!(settings.commands.get("it").map(String::as_str), Some("e.f"));
    }
}
