//! What a person means by the name of a file, of a line or of a function.

use naja_system::Failure;

use super::{FileHeat, Heat};

/// The part of a file that is shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target<'h> {
    pub(crate) file: &'h FileHeat,
    /// First and last line, both shown; all where there is none.
    pub(crate) lines: Option<(u32, u32)>,
    /// The one line that was asked for.
    pub(crate) line: Option<u32>,
}

/// Finds `PATH`, `PATH:LINE` or a function's name.
///
/// A path may be the end of one, a function's name the last part of the qualified one.
///
/// Errors: `no-such-heat` where nothing has that name and samples; `ambiguous-heat` where several have.
pub(crate) fn find<'h>(heat: &'h Heat, name: &str) -> Result<Target<'h>, Failure> {
    if let Some((path, line)) = name.rsplit_once(':')
        && let Ok(line) = line.parse::<u32>()
        && let Some(file) = file_called(heat, path)?
    {
        return match file.lines.iter().any(|one| one.line == line) {
            true => Ok(Target { file, lines: Some((line, line)), line: Some(line) }),
            false => {
                Err(Failure::new("no-such-heat", format!("no sample is in line {line} of `{}`", file.short))
                    .hint(format!("`naja heat FILE.naja {path}` shows the lines that have some")))
            }
        };
    }
    if let Some(file) = file_called(heat, name)? {
        return Ok(Target { file, lines: None, line: None });
    }
    let called =
        |wanted: &str| wanted == name || wanted.rsplit_once('.').is_some_and(|(_, last)| last == name);
    let found: Vec<_> = heat
        .files
        .iter()
        .flat_map(|file| file.functions.iter().map(move |function| (file, function)))
        .filter(|(_, function)| called(&function.name))
        .collect();
    match found.as_slice() {
        [(file, function)] => {
            let lines = Some((function.first_line, function.last_line));
            Ok(Target { file, lines, line: None })
        }
        [] => {
            let hottest: Vec<&str> = heat.files.iter().take(5).map(|file| file.short.as_str()).collect();
            Err(Failure::new("no-such-heat", format!("no file or function with samples is called `{name}`"))
                .hint(format!("the hottest files are {}", hottest.join(", "))))
        }
        several => Err(ambiguous(
            name,
            several.iter().map(|(file, function)| format!("{}:{}", file.short, function.first_line)),
        )),
    }
}

fn file_called<'h>(heat: &'h Heat, path: &str) -> Result<Option<&'h FileHeat>, Failure> {
    if let Some(file) = heat.files.iter().find(|file| file.file == path || file.short == path) {
        return Ok(Some(file));
    }
    let end = format!("/{}", path.trim_start_matches("./"));
    let found: Vec<&FileHeat> = heat.files.iter().filter(|file| file.file.ends_with(&end)).collect();
    match found.as_slice() {
        [] => Ok(None),
        [file] => Ok(Some(file)),
        several => Err(ambiguous(path, several.iter().map(|file| file.short.clone()))),
    }
}

fn ambiguous(name: &str, found: impl Iterator<Item = String>) -> Failure {
    let mut found: Vec<String> = found.take(10).collect();
    found.dedup();
    Failure::new("ambiguous-heat", format!("several files or functions are called `{name}`"))
        .hint(format!("one of {}", found.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::super::{FunctionHeat, LineHeat};
    use super::*;

    fn heat() -> Heat {
        let function = |name: &str, first_line, last_line| FunctionHeat {
            name: name.into(),
            first_line,
            last_line,
            ..FunctionHeat::default()
        };
        let file = |short: &str, functions| FileHeat {
            file: format!("/srv/shop/{short}"),
            short: short.into(),
            functions,
            lines: vec![LineHeat { line: 5, ..LineHeat::default() }],
            ..FileHeat::default()
        };
        Heat {
            files: vec![
                file("app/main.py", vec![function("Shop.open", 4, 9), function("run", 11, 12)]),
                file("lib/main.py", vec![function("run", 3, 5)]),
            ],
            ..Heat::default()
        }
    }

    type Lines = Option<(u32, u32)>;

    fn check(name: &str, expected: Result<(&str, Lines), &str>) {
        let heat = heat();
        let found = find(&heat, name);
        let found =
            found.as_ref().map(|target| (target.file.short.as_str(), target.lines)).map_err(Failure::name);
        assert_eq!(found, expected, "{name}");
    }

    #[test]
    fn names_are_those_of_files_lines_and_functions() {
        check("/srv/shop/app/main.py", Ok(("app/main.py", None)));
        check("app/main.py", Ok(("app/main.py", None)));
        check("./app/main.py:5", Ok(("app/main.py", Some((5, 5)))));
        check("app/main.py:6", Err("no-such-heat"));
        check("main.py", Err("ambiguous-heat"));
        check("Shop.open", Ok(("app/main.py", Some((4, 9)))));
        check("open", Ok(("app/main.py", Some((4, 9)))));
        check("run", Err("ambiguous-heat"));
        check("close", Err("no-such-heat"));
    }
}
