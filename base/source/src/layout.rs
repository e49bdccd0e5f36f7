//! Which files of a project a name in an import may be.
//!
//! Python asks one folder of its search path after the other, and the path is known only once a program runs. So every
//! root in which a module is found counts: an answer may hold a file too many, never one too few of those below the
//! roots. Start at [`Layout::new`].

use std::collections::{BTreeSet, HashMap};

use crate::imports::Import;

/// A file of the project, as an index into the list that [`Layout::new`] was given.
pub type FileIndex = usize;

/// The Python files of a project, under the names by which they can be imported.
#[derive(Debug, Default)]
pub struct Layout {
    paths: Vec<String>,
    by_path: HashMap<String, FileIndex>,
    by_name: HashMap<String, Vec<FileIndex>>,
    by_file_name: HashMap<String, Vec<FileIndex>>,
    children: HashMap<String, Vec<FileIndex>>,
}

impl Layout {
    /// Lays out files by the roots of the search path, both below one folder and with `/` between their parts; the
    /// folder itself is the root `""`.
    ///
    /// Cost: files × roots.
    pub fn new(paths: Vec<String>, roots: &BTreeSet<String>) -> Layout {
        let mut layout = Layout::default();
        for (index, path) in paths.iter().enumerate() {
            layout.by_path.insert(path.clone(), index);
            let (_, name) = split_path(path);
            layout.by_file_name.entry(name.to_owned()).or_default().push(index);
            for root in roots {
                let Some(name) = below(root, path).and_then(dotted_name) else { continue };
                if let Some((package, _)) = name.rsplit_once('.') {
                    layout.children.entry(package.to_owned()).or_default().push(index);
                }
                let files = layout.by_name.entry(name).or_default();
                if !files.contains(&index) {
                    files.push(index);
                }
            }
        }
        layout.paths = paths;
        layout
    }

    /// The files of the project.
    pub fn paths(&self) -> &[String] {
        &self.paths
    }

    /// The file with this path.
    pub fn file(&self, path: &str) -> Option<FileIndex> {
        self.by_path.get(path).copied()
    }

    /// What an import in `file` may load: the module, the packages around it, and what `from` names if it is a module.
    pub fn of_import(&self, file: FileIndex, import: &Import) -> Vec<FileIndex> {
        let mut found = Vec::new();
        let own = self.paths.get(file).map_or("", String::as_str);
        if import.level > 0 {
            let mut folder = Some(split_path(own).0);
            for _ in 1..import.level {
                folder = folder.filter(|folder| !folder.is_empty()).map(|folder| split_path(folder).0);
            }
            if let Some(folder) = folder {
                self.below_folder(folder, import, &mut found);
            }
            return found;
        }
        self.dotted(&import.module, &mut found);
        match import.name.as_deref() {
            Some("*") => found.extend(self.children.get(&import.module).into_iter().flatten()),
            Some(name) => {
                found.extend(self.by_name.get(&format!("{}.{name}", import.module)).into_iter().flatten())
            }
            None => {}
        }
        // A program finds what lies beside it, and a test what lies at the root of its packages.
        self.below_folder(split_path(own).0, import, &mut found);
        found
    }

    /// The modules that a dotted name may stand for, where it names one or something inside of one.
    pub fn of_mention(&self, name: &str) -> Vec<FileIndex> {
        let mut found = Vec::new();
        self.dotted(name, &mut found);
        found
    }

    /// The files that a text such as `tools/run.py` may stand for, wherever it is counted from.
    pub fn of_file_name(&self, text: &str) -> Vec<FileIndex> {
        let text = text.trim_start_matches("./").trim_start_matches("../");
        let named = self.by_file_name.get(split_path(text).1).into_iter().flatten().copied();
        named
            .filter(|&index| {
                self.paths[index]
                    .strip_suffix(text)
                    .is_some_and(|rest| rest.is_empty() || rest.ends_with('/'))
            })
            .collect()
    }

    /// The `__init__.py` of the packages that a file lies in, which run before it.
    pub fn packages_of(&self, file: FileIndex) -> Vec<FileIndex> {
        let mut found = Vec::new();
        let mut folder = split_path(self.paths.get(file).map_or("", String::as_str)).0;
        while let Some(init) = self.file(&join(folder, "__init__.py")) {
            if init != file {
                found.push(init);
            }
            if folder.is_empty() {
                break;
            }
            folder = split_path(folder).0;
        }
        found
    }

    /// The folder that pytest puts on the search path for a test file or a conftest: the first one upward that is no package.
    pub fn base_of(&self, path: &str) -> String {
        let mut folder = split_path(path).0;
        while !folder.is_empty() && self.file(&join(folder, "__init__.py")).is_some() {
            folder = split_path(folder).0;
        }
        folder.to_owned()
    }

    fn dotted(&self, name: &str, found: &mut Vec<FileIndex>) {
        for (end, _) in name.match_indices('.').chain([(name.len(), "")]) {
            found.extend(self.by_name.get(&name[..end]).into_iter().flatten());
        }
    }

    /// The same, for a name that is looked for in one folder.
    fn below_folder(&self, folder: &str, import: &Import, found: &mut Vec<FileIndex>) {
        let mut place = folder.to_owned();
        let parts = import.module.split('.').filter(|part| !part.is_empty());
        if import.level > 0 {
            found.extend(self.file(&join(&place, "__init__.py")));
        }
        for part in parts.chain(import.name.as_deref().filter(|name| *name != "*")) {
            place = join(&place, part);
            found.extend(self.file(&format!("{place}.py")));
            found.extend(self.file(&join(&place, "__init__.py")));
        }
        if import.name.as_deref() == Some("*") {
            let prefix = format!("{place}/");
            let inside = |path: &String| {
                path.strip_prefix(&prefix)
                    .is_some_and(|rest| !rest.contains('/') || rest.ends_with("/__init__.py"))
            };
            found.extend(
                self.paths.iter().enumerate().filter(|(_, path)| inside(path)).map(|(index, _)| index),
            );
        }
    }
}

/// A path's folder, `""` for none, and its last part.
pub fn split_path(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

/// The rest of a path below a folder; the folder `""` holds everything.
pub fn below<'path>(folder: &str, path: &'path str) -> Option<&'path str> {
    if folder.is_empty() { Some(path) } else { path.strip_prefix(folder)?.strip_prefix('/') }
}

/// `a/b/__init__.py` is `a.b`; a path with a part that is no name has none.
fn dotted_name(path: &str) -> Option<String> {
    let path = path.strip_suffix(".py")?;
    let path = path.strip_suffix("/__init__").unwrap_or(path);
    let is_name = |part: &str| !part.is_empty() && !part.contains(['.', '-', ' ']);
    path.split('/').all(is_name).then(|| path.replace('/', "."))
}
