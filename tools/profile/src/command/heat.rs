//! `naja heat`: the lines in which the time goes, as text or JSON.

use std::io::Write;
use std::path::PathBuf;

use naja_recording::Reader;
use naja_report::text::Style;
use naja_system::Failure;
use serde_json::json;

use super::print;
use crate::export::{ExportOptions, Mode, PartOptions, StackOptions};
use crate::heat::{Heat, target, text};

/// Show the hot lines of a recording, with their callers and callees
#[derive(Clone, Debug, clap::Args)]
#[command(
    override_usage = "naja heat [OPTIONS] FILE.naja [PATH | PATH:LINE | FUNCTION]",
    before_long_help = "Examples:

  naja heat app.naja                  the files, hottest first
  naja heat app.naja app.py           the lines of a file
  naja heat app.naja app.py:120       who calls this line, and what it calls
  naja heat app.naja Shop.open        the lines of a function"
)]
pub struct HeatArguments {
    /// The recording
    #[arg(value_name = "FILE.naja")]
    pub file: PathBuf,
    /// A file (the end of its path is enough), a line of it, or a function
    #[arg(value_name = "PATH|FUNCTION")]
    pub target: Option<String>,
    /// Which samples count: all time, time on a processor, or time with the GIL
    #[arg(long, value_enum, default_value_t = Mode::Wall)]
    pub mode: Mode,
    /// Count threads that wait, too (with --mode wall)
    #[arg(short, long)]
    pub idle: bool,
    /// Which part of the recording.
    #[command(flatten)]
    pub part: PartOptions,
    /// How the answer is printed
    #[arg(long, value_enum, default_value_t = HeatFormat::Text)]
    pub format: HeatFormat,
    /// The same as --format json
    #[arg(long, conflicts_with = "format")]
    pub json: bool,
}

/// How the heat is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum HeatFormat {
    /// For people
    #[default]
    Text,
    /// For programs
    Json,
}

/// Runs `naja heat`.
///
/// Errors: those of the recording; `no-such-heat`, `ambiguous-heat`.
pub fn heat(arguments: &HeatArguments, screen: &mut dyn Write, style: Style) -> Result<(), Failure> {
    let reader = Reader::open(&arguments.file)?;
    let stacks = StackOptions { mode: arguments.mode, idle: arguments.idle, ..StackOptions::default() };
    let heat = Heat::of(&reader, &ExportOptions { stacks, part: arguments.part.clone() })?;
    let found = arguments.target.as_deref().map(|name| target::find(&heat, name)).transpose()?;
    let json = arguments.json || arguments.format == HeatFormat::Json;
    let shown = match found {
        None if json => as_json(&heat, None),
        None => text::files(&heat, style),
        Some(found) if json => as_json(&heat, Some(found)),
        Some(found) => text::target(&heat, &found, style),
    };
    print(screen, &shown)
}

/// Files without their lines, or one file with those that were asked for.
fn as_json(heat: &Heat, found: Option<target::Target<'_>>) -> String {
    let file = |file: &crate::heat::FileHeat| {
        json!({
            "file": file.file, "short": file.short, "own": file.own, "total": file.total,
            "functions": file.functions,
        })
    };
    let mut answer = json!({"command": heat.command, "seconds": heat.seconds, "samples": heat.samples});
    match found {
        None => answer["files"] = heat.files.iter().map(file).collect(),
        Some(found) => {
            let shown = |line: u32| found.lines.is_none_or(|(first, last)| (first..=last).contains(&line));
            let source = |line: u32| {
                let text = found.file.text.as_ref()?;
                text.lines().nth(line.checked_sub(1)? as usize)
            };
            answer["file"] = file(found.file);
            answer["lines"] = (found.file.lines.iter().filter(|line| shown(line.line)))
                .map(|line| {
                    json!({
                        "line": line.line, "function": line.function, "own": line.own, "total": line.total,
                        "source": source(line.line), "callers": line.callers, "callees": line.callees,
                    })
                })
                .collect();
        }
    }
    format!("{answer:#}\n")
}
