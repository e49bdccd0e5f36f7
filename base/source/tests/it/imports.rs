//! What a file imports.

use naja_source::imports::imports;

fn check(text: &str, expected: &[&str]) {
    let found = imports(text);
    let shown: Vec<String> = found
        .imports
        .iter()
        .map(|one| {
            let dots = ".".repeat(one.level as usize);
            let name = one.name.as_ref().map_or(String::new(), |name| format!(" {name}"));
            format!("{dots}{}{name}", one.module)
        })
        .chain(found.mentions.iter().map(|name| format!("?{name}")))
        .chain(found.files.iter().map(|name| format!("@{name}")))
        .chain(found.is_computed.then(|| "computed".to_owned()))
        .chain((!found.is_whole).then(|| "broken".to_owned()))
        .collect();
    assert_eq!(shown, expected, "{text}");
}

#[test]
fn every_statement_that_imports_is_found_wherever_it_stands() {
    check("import a, b.c as d", &["a", "b.c"]);
    check("from a import b, c", &["a b", "a c"]);
    check("from . import b\nfrom ..c.d import *", &[". b", "..c.d *"]);
    check("def f():\n    import a\n    class C:\n        from b import c", &["a", "b c"]);
    check("if TYPE_CHECKING:\n    import a\nelse:\n    import b", &["a", "b"]);
    check("try:\n    import a\nexcept ImportError:\n    import b\nfinally:\n    import c", &["a", "b", "c"]);
    check("match x:\n    case 1:\n        import a\nwith y:\n    import b", &["a", "b"]);
}

#[test]
fn names_in_strings_are_mentioned() {
    check("importlib.import_module('a.b')", &["?a.b"]);
    check("import_module('.b', __package__)", &[".b"]);
    check("__import__('a')", &["?a"]);
    check("app = 'a.b:c'\nother = 'd:e'", &["?a.b", "?d"]);
    check("pytest_plugins = ['a.b', 'c']", &["?a.b", "?c"]);
    check("@patch('a.b.c')\ndef f(): pass", &["?a.b.c"]);
    check("run([sys.executable, '-m', 'a', 'tools/b.py'])", &["?a", "@tools/b.py"]);
    check("run('python -m a b.py')", &["?a", "?b.py", "?python", "@b.py"]);
    check("code = f'import a.b; {x}'", &["?a.b", "?import"]);
    check("name = 'some words, and a.b'", &["?a.b"]);
}

#[test]
fn prose_is_no_import_but_a_doctest_is() {
    check("'''See a.b.'''\nimport c", &["c"]);
    check("def f():\n    '''Does.\n\n    >>> from a import b\n    '''", &["?a", "?b", "?from", "?import"]);
}

#[test]
fn a_name_that_the_text_does_not_hold_is_told() {
    check("import_module(name)", &["computed"]);
    check("__import__(f'a.{name}')", &["computed"]);
    check("pkgutil.walk_packages(a.__path__)", &["computed"]);
    check("exec(text)", &["computed"]);
}

#[test]
fn a_broken_file_gives_what_can_be_understood() {
    check("import a\ndef f(:\n    pass\nimport b\n", &["a", "b", "broken"]);
    check("", &[]);
}
