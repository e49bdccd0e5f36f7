//! What a file imports, by its text: import statements wherever they stand, and names in strings.
//!
//! A string may be an import too: `import_module("a.b")`, `patch("a.b.c")`, `["python", "-m", "a"]`, code for another
//! process, a doctest. So names in strings are [`Imports::mentions`]; whether one is a module of the project is for
//! [`crate::layout`] to find out. Start at [`imports`].

use ruff_python_ast::visitor::{Visitor, walk_expr, walk_interpolated_string_element, walk_stmt};
use ruff_python_ast::{Expr, ExprCall, InterpolatedStringElement, Stmt};
use ruff_python_parser::{Mode, ParseOptions, Parsed, parse_unchecked};

/// How deep the tree of a file is followed. Python itself reads no more than 200 brackets and 100 blocks in each other.
const DEEPEST: usize = 400;

/// Longer strings are data, not code and not names, unless they import something. In bytes.
const LONGEST_NAME: usize = 200;

/// Functions that import what their first argument names, or run it as a program.
const IMPORTERS: &[&str] = &[
    "__import__",
    "entry_points",
    "exec",
    "exec_module",
    "execfile",
    "find_spec",
    "import_module",
    "import_object",
    "import_string",
    "importorskip",
    "iter_modules",
    "load_module",
    "load_object",
    "resolve_name",
    "run_module",
    "run_path",
    "spec_from_file_location",
    "SourceFileLoader",
    "walk_packages",
];

/// One imported name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Import {
    /// How many dots stand before the name: 0 for an absolute import.
    pub level: u32,
    /// The module, dotted; empty in `from . import name`.
    pub module: String,
    /// What `from` takes out of it, which may be a module as well; `*` for everything.
    pub name: Option<String>,
}

/// What the text of a file says of its imports.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Imports {
    /// Import statements, wherever in the file they stand.
    pub imports: Vec<Import>,
    /// Dotted names in strings, which may or may not be modules.
    pub mentions: Vec<String>,
    /// Names of Python files in strings, with or without folders.
    pub files: Vec<String>,
    /// First words of strings, which may be commands that the project installs.
    pub commands: Vec<String>,
    /// Whether something is imported by a name that the text does not hold.
    pub is_computed: bool,
    /// Whether all of the file was understood; else imports may be missing.
    pub is_whole: bool,
}

/// The imports of a file with this text.
///
/// Errors: none; a file that is not Python gives what could be understood, and is not whole. Cost: one parse of the file.
pub fn imports(text: &str) -> Imports {
    let mut found = Finder { imports: Imports::default(), depth: 0, is_cut: false };
    find_in(text, &mut found);
    let Finder { mut imports, is_cut, .. } = found;
    imports.is_whole &= !is_cut;
    sort(&mut imports.imports);
    sort(&mut imports.mentions);
    sort(&mut imports.files);
    sort(&mut imports.commands);
    imports
}

fn sort<T: Ord>(list: &mut Vec<T>) {
    list.sort_unstable();
    list.dedup();
}

fn find_in(text: &str, finder: &mut Finder) {
    let parsed: Parsed<_> = parse_unchecked(text, ParseOptions::from(Mode::Module));
    finder.imports.is_whole = parsed.errors().is_empty();
    if let Some(module) = parsed.syntax().as_module() {
        finder.visit_body(&module.body);
    }
    if finder.is_cut {
        // To give such a tree back would go as deep as following it.
        std::mem::forget(parsed);
    }
}

struct Finder {
    imports: Imports,
    depth: usize,
    is_cut: bool,
}

impl Finder {
    /// Follows a part of the tree, unless it lies too deep.
    fn deeper(&mut self, walk: impl FnOnce(&mut Self)) {
        if self.depth == DEEPEST {
            self.is_cut = true;
            return;
        }
        self.depth += 1;
        walk(self);
        self.depth -= 1;
    }

    fn add(&mut self, level: u32, module: &str, name: Option<&str>) {
        self.imports.imports.push(Import { level, module: module.to_owned(), name: name.map(str::to_owned) });
    }

    /// Looks for names in a string of the file.
    fn string(&mut self, text: &str) {
        let text = text.trim();
        if text.len() <= LONGEST_NAME {
            self.imports.commands.extend(text.split_whitespace().next().map(str::to_owned));
        }
        if text.ends_with(".py") && text.len() <= LONGEST_NAME && !text.contains(char::is_whitespace) {
            self.imports.files.push(text.to_owned());
        }
        if text.starts_with('.') && is_dotted(text.trim_start_matches('.')) {
            let name = text.trim_start_matches('.');
            self.add(u32::try_from(text.len() - name.len()).unwrap_or(u32::MAX), name, None);
        } else if let Some(name) = entry_point(text) {
            self.imports.mentions.push(name.to_owned());
        } else if is_like_code(text) {
            self.imports.mentions.extend(dotted_names(text).map(str::to_owned));
            self.imports.files.extend(words(text).filter(|word| word.ends_with(".py")).map(str::to_owned));
        } else if text.len() <= LONGEST_NAME {
            self.imports
                .mentions
                .extend(dotted_names(text).filter(|name| name.contains('.')).map(str::to_owned));
        }
    }

    fn doctest(&mut self, text: &str) {
        for line in text.lines().map(str::trim_start) {
            if line.starts_with(">>>") || line.starts_with("...") {
                self.string(line);
            }
        }
    }

    fn call(&mut self, call: &ExprCall) {
        let name = match call.func.as_ref() {
            Expr::Name(name) => name.id.as_str(),
            Expr::Attribute(attribute) => attribute.attr.as_str(),
            _ => return,
        };
        if IMPORTERS.contains(&name) {
            let is_plain = call.arguments.args.first().is_some_and(|first| first.is_string_literal_expr());
            self.imports.is_computed |= !is_plain;
        }
    }
}

impl<'a> Visitor<'a> for Finder {
    fn visit_stmt(&mut self, statement: &'a Stmt) {
        match statement {
            Stmt::Import(import) => {
                for alias in &import.names {
                    self.add(0, alias.name.as_str(), None);
                }
            }
            Stmt::ImportFrom(from) => {
                let module = from.module.as_ref().map_or("", |module| module.as_str());
                for alias in &from.names {
                    self.add(from.level, module, Some(alias.name.as_str()));
                }
            }
            Stmt::Expr(expression) if expression.value.is_string_literal_expr() => {
                if let Expr::StringLiteral(string) = expression.value.as_ref() {
                    self.doctest(string.value.to_str());
                }
            }
            _ => self.deeper(|finder| walk_stmt(finder, statement)),
        }
    }

    fn visit_expr(&mut self, expression: &'a Expr) {
        match expression {
            Expr::StringLiteral(string) => self.string(string.value.to_str()),
            Expr::Call(call) => {
                self.call(call);
                self.deeper(|finder| walk_expr(finder, expression));
            }
            _ => self.deeper(|finder| walk_expr(finder, expression)),
        }
    }

    fn visit_interpolated_string_element(&mut self, element: &'a InterpolatedStringElement) {
        match element {
            InterpolatedStringElement::Literal(literal) => self.string(&literal.value),
            InterpolatedStringElement::Interpolation(_) => {
                self.deeper(|finder| walk_interpolated_string_element(finder, element));
            }
        }
    }
}

/// Whether a text may be code, a command or a setting of several names: then each word of it may be a module.
fn is_like_code(text: &str) -> bool {
    ["import ", "-m ", "-p ", "runpy", "__import__"].iter().any(|part| text.contains(part))
}

/// The module in a text that is one name and nothing else: `a`, `a.b`, and `a.b` in `a.b:c`.
fn entry_point(text: &str) -> Option<&str> {
    let (module, object) = text.split_once(':').unwrap_or((text, "main"));
    (is_dotted(module) && is_dotted(object)).then_some(module)
}

/// Whether a text is one name, dotted or not.
fn is_dotted(text: &str) -> bool {
    text.len() <= LONGEST_NAME && !text.is_empty() && text.split('.').all(is_identifier)
}

fn is_identifier(text: &str) -> bool {
    let mut characters = text.chars();
    characters.next().is_some_and(|first| first == '_' || first.is_alphabetic())
        && characters.all(|one| one == '_' || one.is_alphanumeric())
}

/// The dotted names in a text.
fn dotted_names(text: &str) -> impl Iterator<Item = &str> {
    words(text).map(|word| word.trim_matches('.')).filter(|word| is_dotted(word))
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|one: char| !(one == '_' || one == '.' || one == '/' || one == '-' || one.is_alphanumeric()))
        .filter(|word| !word.is_empty())
}
