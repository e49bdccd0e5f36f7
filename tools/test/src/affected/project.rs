//! The project's Python files and which of them may load which, by their text and by what earlier runs saw.
//!
//! The one invariant: an edge too many costs a test that need not have run, an edge too few a missed failure. So
//! whatever may be an import is one. Start at [`Project::read`].

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use naja_source::imports::{Imports, imports};
use naja_source::layout::{FileIndex, Layout, below, split_path};

use super::changes::hash_of;
use super::seen::Seen;
use super::settings::Settings;

/// Folders that hold no sources of the project.
const NOT_SOURCES: &[&str] = &["__pycache__", "node_modules"];

/// A project as its files say.
pub struct Project {
    /// Its Python files, those that are gone and asked for too.
    pub layout: Layout,
    /// Its settings.
    pub settings: Settings,
    /// What each file may load, or be changed by.
    edges: Vec<Vec<FileIndex>>,
    /// The same, the other way round.
    loaders: Vec<Vec<FileIndex>>,
    /// Files that import something by a name which their text does not hold, or that could not be understood.
    computed: Vec<bool>,
    /// Files which every test may load, for a reason that no text tells.
    for_all: HashSet<FileIndex>,
    /// Test files that are known to load no more than their edges say.
    known: Vec<bool>,
}

/// Why a file is affected: the file that it loads, and so on to one that has changed.
pub type Reasons = HashMap<FileIndex, Option<FileIndex>>;

impl Project {
    /// Reads all Python files below `root`; `gone` are files that were there and count as if they still were.
    ///
    /// Cost: reads each file, and parses those that `texts` does not know as they are now, on all cores.
    pub fn read(root: &Path, gone: &[String], seen: &Seen, texts: &mut Texts) -> Project {
        let settings = Settings::read(root);
        let (mut paths, links) = python_files(root);
        paths.extend(gone.iter().filter(|path| path.ends_with(".py")).cloned());
        paths.sort_unstable();
        paths.dedup();
        let roots = roots(root, &paths, &settings, seen);
        let texts = texts.read(root, &paths);
        let layout = Layout::new(paths, &roots);
        let mut project = Project {
            edges: Vec::new(),
            loaders: Vec::new(),
            computed: texts.iter().map(|one| one.is_computed || !one.is_whole).collect(),
            for_all: HashSet::new(),
            known: vec![false; texts.len()],
            layout,
            settings,
        };
        project.edges = texts.iter().enumerate().map(|(file, one)| project.edges_of(file, one)).collect();
        for (link, target) in links {
            if let (Some(link), Some(target)) = (project.layout.file(&link), project.layout.file(&target)) {
                project.edges[link].push(target);
            }
        }
        for plugin in &project.settings.plugins {
            project.for_all.extend(project.layout.of_mention(plugin));
        }
        project.join(root, seen);
        project.loaders = vec![Vec::new(); project.edges.len()];
        for (file, edges) in project.edges.iter().enumerate() {
            for &loaded in edges {
                project.loaders[loaded].push(file);
            }
        }
        project
    }

    /// The test files.
    pub fn tests(&self) -> Vec<FileIndex> {
        (0..self.layout.paths().len()).filter(|&file| self.is_test(file)).collect()
    }

    /// Whether a file is one with tests, by its name.
    pub fn is_test(&self, file: FileIndex) -> bool {
        self.layout.paths().get(file).is_some_and(|path| self.settings.is_test_file(path))
    }

    /// Every file that may behave differently when one of `changed` does, with the reason.
    pub fn reached_by(&self, changed: &[FileIndex]) -> Reasons {
        let mut reasons: Reasons = changed.iter().map(|&file| (file, None)).collect();
        let mut queue: VecDeque<FileIndex> = changed.iter().copied().collect();
        while let Some(file) = queue.pop_front() {
            for &loader in &self.loaders[file] {
                reasons.entry(loader).or_insert_with(|| {
                    queue.push_back(loader);
                    Some(file)
                });
            }
            if self.for_all.contains(&file) {
                for test in self.tests() {
                    reasons.entry(test).or_insert(Some(file));
                }
            }
        }
        reasons
    }

    /// Test files of which nobody knows what they load: they reach a computed import, and have not been seen running.
    pub fn unknown(&self) -> Vec<(FileIndex, FileIndex)> {
        let is_unknown = |&test: &FileIndex| !self.known[test];
        let tests = self.tests().into_iter().filter(is_unknown);
        tests
            .filter_map(|test| Some((test, *self.reach(test).iter().find(|&&file| self.computed[file])?)))
            .collect()
    }

    /// What a file may load, itself too.
    fn reach(&self, file: FileIndex) -> HashSet<FileIndex> {
        let mut found = HashSet::from([file]);
        let mut queue = vec![file];
        while let Some(file) = queue.pop() {
            queue.extend(self.edges[file].iter().filter(|&&loaded| found.insert(loaded)));
        }
        found
    }

    fn edges_of(&self, file: FileIndex, imports: &Imports) -> Vec<FileIndex> {
        let layout = &self.layout;
        let mut edges = layout.packages_of(file);
        for import in &imports.imports {
            edges.extend(layout.of_import(file, import));
        }
        for name in &imports.mentions {
            edges.extend(layout.of_mention(name));
        }
        for name in &imports.files {
            edges.extend(layout.of_file_name(name));
        }
        for command in &imports.commands {
            if let Some(module) = self.settings.commands.get(command) {
                edges.extend(layout.of_mention(module));
            }
        }
        // A conftest counts for the tests below its folder; which files have doctests, only pytest knows.
        let mut folder = Some(split_path(&layout.paths()[file]).0);
        while let Some(one) = folder {
            let name = if one.is_empty() { "conftest.py".to_owned() } else { format!("{one}/conftest.py") };
            edges.extend(layout.file(&name));
            folder = (!one.is_empty()).then(|| split_path(one).0);
        }
        edges.sort_unstable();
        edges.dedup();
        edges.retain(|&one| one != file);
        edges
    }

    /// Adds what earlier runs saw and no text tells.
    fn join(&mut self, root: &Path, seen: &Seen) {
        let mut current: HashMap<FileIndex, i64> = HashMap::new();
        for (test, record) in &seen.files {
            let from = self.layout.file(test);
            let reach = match from {
                Some(file) => self.reach(file),
                // What was loaded before the first test file: by the root's conftest and the like.
                None if test.is_empty() => {
                    let conftests = (0..self.edges.len())
                        .filter(|&file| split_path(&self.layout.paths()[file]).1 == "conftest.py");
                    conftests.flat_map(|file| self.reach(file)).collect()
                }
                None => continue,
            };
            let computed: Vec<FileIndex> =
                reach.iter().copied().filter(|&file| self.computed[file]).collect();
            for module in record.modules.iter().filter_map(|path| self.layout.file(path)) {
                if reach.contains(&module) {
                    continue;
                }
                for &loader in &computed {
                    self.edges[loader].push(module);
                }
                if computed.is_empty() {
                    self.for_all.insert(module);
                }
            }
            let Some(file) = from else { continue };
            // A record is worth something as long as what computes names is what it was then.
            self.known[file] = computed.iter().all(|&one| {
                let path = &self.layout.paths()[one];
                let now =
                    *current.entry(one).or_insert_with(|| super::changes::content_hash(&root.join(path)));
                record.contents.get(path) == Some(&now)
            });
        }
    }
}

/// The folders from which modules may be imported.
fn roots(root: &Path, paths: &[String], settings: &Settings, seen: &Seen) -> BTreeSet<String> {
    let mut roots = BTreeSet::from([String::new()]);
    roots.extend(settings.roots.iter().cloned());
    roots.extend(seen.roots.iter().cloned());
    let bare = Layout::new(paths.to_vec(), &BTreeSet::new());
    let mut folders = BTreeSet::new();
    for path in paths {
        let (folder, name) = split_path(path);
        if name == "conftest.py" || settings.is_test_file(path) {
            roots.insert(bare.base_of(path));
        }
        folders.insert(folder);
    }
    // `src`, wherever it is, and whatever has a project file of its own.
    for folder in folders {
        let mut folder = folder;
        while !folder.is_empty() && !roots.contains(folder) {
            let (above, name) = split_path(folder);
            let is_project = ["pyproject.toml", "setup.py", "setup.cfg"]
                .iter()
                .any(|one| root.join(folder).join(one).exists());
            if is_project || ["src", "lib", "python"].contains(&name) {
                roots.insert(folder.to_owned());
            }
            folder = above;
        }
    }
    roots
}

/// The Python files below a folder, and which of them are others under another name.
fn python_files(root: &Path) -> (Vec<String>, Vec<(String, String)>) {
    let (mut files, mut links) = (Vec::new(), Vec::new());
    let real_root = std::fs::canonicalize(root).unwrap_or_else(|_| root.to_path_buf());
    walk(root, &mut |path, is_link| {
        let Some(name) = path.strip_prefix(root).ok().and_then(Path::to_str) else { return };
        if !name.ends_with(".py") {
            return;
        }
        if is_link && let Ok(real) = std::fs::canonicalize(path) {
            let target = real.strip_prefix(&real_root).ok().and_then(Path::to_str);
            links.extend(target.map(|target| (name.to_owned(), target.to_owned())));
        }
        files.push(name.to_owned());
    });
    (files, links)
}

/// Gives every file below a folder that may be a source, and whether a symbolic link leads to it. Hidden folders and
/// environments are left out.
pub fn walk(root: &Path, give: &mut impl FnMut(&Path, bool)) {
    walk_folder(root, false, &mut Vec::new(), give);
}

fn walk_folder(folder: &Path, is_linked: bool, above: &mut Vec<PathBuf>, give: &mut impl FnMut(&Path, bool)) {
    // A link to a folder above would never end.
    let Ok(real) = std::fs::canonicalize(folder) else { return };
    if above.contains(&real) {
        return;
    }
    above.push(real);
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let Ok(kind) = entry.file_type() else { continue };
        let path = entry.path();
        let is_linked = is_linked || kind.is_symlink();
        if kind.is_dir() || (kind.is_symlink() && path.is_dir()) {
            if is_source_folder(&path) {
                walk_folder(&path, is_linked, above, give);
            }
        } else {
            give(&path, is_linked);
        }
    }
    above.pop();
}

/// Whether a folder may hold sources of the project.
pub fn is_source_folder(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    !name.starts_with('.') && !NOT_SOURCES.contains(&&*name) && !path.join("pyvenv.cfg").exists()
}

/// The imports of files as they were last read, by the contents from which they were parsed.
#[derive(Debug, Default)]
pub struct Texts(HashMap<String, (i64, Arc<Imports>)>);

impl Texts {
    /// The imports of all files, parsed on all cores. A file that cannot be read may import anything.
    fn read(&mut self, root: &Path, paths: &[String]) -> Vec<Arc<Imports>> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let part = paths.len().div_ceil(cores).max(1);
        let read = |path: &String| match std::fs::read(root.join(path)) {
            Ok(bytes) => {
                let hash = hash_of(&bytes);
                let known = self.0.get(path).filter(|(before, _)| *before == hash);
                let parsed = || Arc::new(imports(&String::from_utf8_lossy(&bytes)));
                (hash, known.map_or_else(parsed, |(_, imports)| Arc::clone(imports)))
            }
            // One that is gone imports nothing.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                (0, Arc::new(Imports { is_whole: true, ..Imports::default() }))
            }
            Err(_) => (0, Arc::default()),
        };
        let found: Vec<(i64, Arc<Imports>)> = std::thread::scope(|scope| {
            let parts: Vec<_> = paths
                .chunks(part)
                .map(|paths| scope.spawn(move || paths.iter().map(read).collect::<Vec<_>>()))
                .collect();
            parts.into_iter().flat_map(|part| part.join().expect("reading text does not panic")).collect()
        });
        let imports = found.iter().map(|(_, imports)| Arc::clone(imports)).collect();
        self.0 = paths.iter().cloned().zip(found).filter(|(_, (hash, _))| *hash != 0).collect();
        imports
    }
}

/// The nearest folder upward from a file that holds Python files, and these: what may read the file.
pub fn neighbours(layout: &Layout, path: &str) -> Vec<FileIndex> {
    let mut folder = split_path(path).0;
    loop {
        let found: Vec<FileIndex> = (0..layout.paths().len())
            .filter(|&file| below(folder, &layout.paths()[file]).is_some())
            .collect();
        if !found.is_empty() || folder.is_empty() {
            return found;
        }
        folder = split_path(folder).0;
    }
}
