//! A source file's path without the folders that say nothing.

/// The path without the environment's folders and without `folder`, the program's working directory.
///
/// `…/site-packages/flask/app.py` is `flask/app.py`, `…/lib/python3.12/json/decoder.py` is `json/decoder.py`,
/// `<frozen importlib._bootstrap>` is `importlib._bootstrap`.
pub fn short_path<'p>(path: &'p str, folder: &str) -> &'p str {
    if let Some(module) = path.strip_prefix("<frozen ").and_then(|rest| rest.strip_suffix('>')) {
        return module;
    }
    for marker in ["/site-packages/", "/dist-packages/"] {
        if let Some((_, rest)) = path.rsplit_once(marker) {
            return rest;
        }
    }
    let library = path
        .find("/lib/python3.")
        .and_then(|at| path[at + 5..].find('/').map(|end| &path[at + 5 + end + 1..]));
    if let Some(rest) = library {
        return rest;
    }
    let folder = folder.trim_end_matches('/');
    if folder.is_empty() {
        return path;
    }
    let below = path.strip_prefix(folder).and_then(|rest| rest.strip_prefix('/'));
    below.unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::short_path;

    #[test]
    fn folders_that_say_nothing_are_left_out() {
        let check = |path, short| assert_eq!(short_path(path, "/home/ada/shop"), short);
        check("/home/ada/shop/app.py", "app.py");
        check("/home/ada/shopping/app.py", "/home/ada/shopping/app.py");
        check("/opt/venv/lib/python3.12/site-packages/flask/app.py", "flask/app.py");
        check("/usr/lib/python3.12/json/decoder.py", "json/decoder.py");
        check("<frozen importlib._bootstrap>", "importlib._bootstrap");
        check("<string>", "<string>");
        assert_eq!(short_path("/srv/app.py", ""), "/srv/app.py");
        assert_eq!(short_path("/srv/app.py", "/"), "/srv/app.py");
    }
}
