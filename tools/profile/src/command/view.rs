//! `naja view`: shows a recording as a page in the browser.

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use naja_recording::Reader;
use naja_system::Failure;

use super::print;
use crate::page;

/// An opener that has not ended by then is the browser itself.
const OPENER_PATIENCE: Duration = Duration::from_millis(1_500);

/// Shows a recording in the browser: flame graph, time line, source.
#[derive(Clone, Debug, clap::Args)]
#[command(after_long_help = "Example: naja view app.naja --html app.html")]
pub struct ViewArguments {
    /// The recording that `naja run` wrote
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Write the page to this file instead of opening it; `-` writes it to stdout
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Write the page to a temporary file and print its name, but open no browser
    #[arg(long, conflicts_with = "html")]
    pub no_open: bool,
}

/// Writes the page, opens it unless told otherwise, and tells on `screen` where it is.
///
/// The page is a file that its owner alone can read, as the recording is: arguments, paths and source can hold
/// secrets. A temporary page stays, because the browser reads it again at every reload.
pub fn view(args: &ViewArguments, screen: &mut dyn Write) -> Result<(), Failure> {
    let html = page::html(page::input(&Reader::open(&args.file)?)?);
    if args.html.as_deref() == Some(Path::new("-")) {
        return print(screen, &html);
    }
    if let Some(path) = &args.html {
        naja_system::replace_file(path, html.as_bytes()).map_err(|error| cannot_write(path, &error))?;
        return print(screen, &format!("wrote {} ({} kB)\n", path.display(), html.len() / 1000));
    }
    let path =
        keep_temporary(&args.file, &html).map_err(|error| cannot_write(&std::env::temp_dir(), &error))?;
    print(screen, &format!("{}\n", path.display()))?;
    if args.no_open {
        return Ok(());
    }
    match Desktop::of_environment().open(&path) {
        Ok(()) => Ok(()),
        Err(reason) => print(screen, &format!("{reason}: open the file above in any browser\n")),
    }
}

fn cannot_write(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new("cannot-write", format!("failed to write the page to `{}`", path.display()))
        .caused_by(error)
        .hint("`--html FILE` writes it somewhere else")
}

/// Writes beside `path` and renames, so that a reader sees the old page or the whole new one.
fn keep_temporary(recording: &Path, html: &str) -> std::io::Result<PathBuf> {
    let stem = recording.file_stem().unwrap_or_default().to_string_lossy();
    let mut file = tempfile::Builder::new().prefix(&format!("naja-{stem}-")).suffix(".html").tempfile()?;
    file.write_all(html.as_bytes())?;
    let (_, path) = file.keep().map_err(|failed| failed.error)?;
    Ok(path)
}

/// What the environment says about browsers.
#[derive(Debug, Default)]
struct Desktop {
    /// `$BROWSER`: commands separated by colons, `%s` standing for the page.
    browser: Option<OsString>,
    /// There is a screen to show a browser on.
    display: bool,
}

impl Desktop {
    fn of_environment() -> Desktop {
        let value = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let displays = ["DISPLAY", "WAYLAND_DISPLAY", "WSL_DISTRO_NAME"];
        Desktop {
            browser: value("BROWSER"),
            display: cfg!(target_os = "macos") || displays.into_iter().any(|name| value(name).is_some()),
        }
    }

    /// Command lines to try in turn.
    fn commands(&self, page: &str) -> Vec<Vec<String>> {
        let mut commands = Vec::new();
        let chosen = self.browser.as_ref().map(|browser| browser.to_string_lossy()).unwrap_or_default();
        for command in chosen.split(':').filter(|command| !command.trim().is_empty()) {
            let mut words: Vec<String> =
                command.split_whitespace().map(|word| word.replace("%s", page)).collect();
            if !command.contains("%s") {
                words.push(page.to_owned());
            }
            commands.push(words);
        }
        if self.display {
            for opener in ["xdg-open", "open", "wslview", "sensible-browser", "firefox", "chromium"] {
                commands.push(vec![opener.to_owned(), page.to_owned()]);
            }
        }
        commands
    }

    /// Opens a page with the first command that takes it; the error says why none did.
    fn open(&self, page: &Path) -> Result<(), &'static str> {
        let commands = self.commands(&page.to_string_lossy());
        if commands.is_empty() {
            return Err("there is no display here and no $BROWSER is set");
        }
        if commands.iter().any(|words| takes(words)) { Ok(()) } else { Err("no browser could be started") }
    }
}

/// Starts a command; an opener that ends at once with an error has found no browser.
fn takes(words: &[String]) -> bool {
    let [program, arguments @ ..] = words else { return false };
    let started = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut child) = started else { return false };
    let start = Instant::now();
    while start.elapsed() < OPENER_PATIENCE {
        match child.try_wait() {
            Ok(Some(status)) => return status.success(),
            Ok(None) => std::thread::sleep(Duration::from_millis(10)),
            Err(_) => return true,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn desktop(browser: &str) -> Desktop {
        Desktop { browser: Some(browser.into()), display: false }
    }

    #[test]
    fn browser_commands_are_split_at_colons_and_take_the_page() {
        let commands = desktop("first --new %s:second").commands("/p.html");
        assert_eq!(commands, [vec!["first", "--new", "/p.html"], vec!["second", "/p.html"]]);
    }

    #[test]
    fn a_browser_that_fails_gives_way_to_the_next() {
        let page = Path::new("/p.html");
        assert_eq!(desktop("/nonexistent/browser:false:true").open(page), Ok(()));
        assert_eq!(desktop("false").open(page), Err("no browser could be started"));
    }

    #[test]
    fn without_display_and_browser_nothing_is_tried() {
        let reason = Desktop::default().open(Path::new("/p.html"));
        assert_eq!(reason, Err("there is no display here and no $BROWSER is set"));
    }
}
