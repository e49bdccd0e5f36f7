//! Which files a name is.

use std::collections::BTreeSet;

use naja_source::imports::imports;
use naja_source::layout::Layout;

/// The files that `text`, standing in the first file, may load, with the roots of their project.
fn check(roots: &[&str], files: &[&str], text: &str, expected: &[&str]) {
    let roots: BTreeSet<String> = roots.iter().map(|&root| root.to_owned()).collect();
    let layout = Layout::new(files.iter().map(|&path| path.to_owned()).collect(), &roots);
    let found = imports(text);
    let mut loaded: Vec<&str> = found
        .imports
        .iter()
        .flat_map(|import| layout.of_import(0, import))
        .chain(found.mentions.iter().flat_map(|name| layout.of_mention(name)))
        .chain(found.files.iter().flat_map(|name| layout.of_file_name(name)))
        .map(|index| layout.paths()[index].as_str())
        .collect();
    loaded.sort_unstable();
    loaded.dedup();
    assert_eq!(loaded, expected, "{text}");
}

#[test]
fn a_module_comes_with_the_packages_around_it() {
    let files = ["tests/test_a.py", "src/a/__init__.py", "src/a/b/__init__.py", "src/a/b/c.py", "src/a/d.py"];
    let whole = ["src/a/__init__.py", "src/a/b/__init__.py", "src/a/b/c.py"];
    check(&["", "src"], &files, "import a.b.c", &whole);
    check(&["", "src"], &files, "from a.b import c", &whole);
    check(&["", "src"], &files, "from a.b.c import name", &whole);
    check(&["", "src"], &files, "patch('a.b.c.name.more')", &whole);
    check(&["", "src"], &files, "import src.a", &["src/a/__init__.py"]);
    check(&["", "src"], &files, "import json", &[]);
}

#[test]
fn everything_of_a_package_is_what_lies_in_it() {
    let files = ["test_a.py", "a/__init__.py", "a/b.py", "a/c/__init__.py", "a/c/d.py"];
    check(&[""], &files, "from a import *", &["a/__init__.py", "a/b.py", "a/c/__init__.py"]);
}

#[test]
fn a_package_without_an_init_file_is_one_too() {
    check(&[""], &["test_a.py", "a/b/c.py"], "import a.b.c", &["a/b/c.py"]);
}

#[test]
fn relative_names_are_counted_from_the_file() {
    let files = ["a/b/test_c.py", "a/__init__.py", "a/b/__init__.py", "a/d.py", "a/b/e.py", "d.py"];
    check(&[""], &files, "from ..d import x", &["a/__init__.py", "a/d.py"]);
    check(&[""], &files, "from . import e", &["a/b/__init__.py", "a/b/e.py"]);
    check(&[""], &files, "from ..... import e", &[]);
}

#[test]
fn every_root_that_has_the_name_counts() {
    let files = ["tests/test_a.py", "helper.py", "tests/helper.py", "lib/helper.py"];
    check(&["", "lib"], &files, "import helper", &["helper.py", "lib/helper.py", "tests/helper.py"]);
}

#[test]
fn a_path_in_a_string_is_found_from_wherever_it_is_counted() {
    let files = ["tests/test_a.py", "tools/run.py", "other/run.py"];
    check(&[""], &files, "open('tools/run.py')", &["tools/run.py"]);
    check(&[""], &files, "open('../tools/run.py')", &["tools/run.py"]);
    check(&[""], &files, "open('run.py')", &["other/run.py", "tools/run.py"]);
}

#[test]
fn a_test_s_base_is_the_first_folder_that_is_no_package() {
    let files =
        ["tests/__init__.py", "tests/a/__init__.py", "tests/a/test_b.py", "more/test_c.py", "test_d.py"];
    let layout = Layout::new(files.map(str::to_owned).to_vec(), &BTreeSet::new());
    assert_eq!(layout.base_of("tests/a/test_b.py"), "");
    assert_eq!(layout.base_of("more/test_c.py"), "more");
    assert_eq!(layout.base_of("test_d.py"), "");
}
