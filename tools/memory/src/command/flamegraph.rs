//! `naja memory flamegraph`, and how a page is written.

use std::io;
use std::path::{Path, PathBuf};

use naja_recording::Reader;
use naja_system::Failure;

use super::{ShownOptions, open};
use crate::page::{self, PageStart};
use crate::report::Allocations;

/// Write a page with a flame graph and a time line
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Example: naja memory flamegraph --leaks app.naja -o leaks.html")]
pub struct FlamegraphArguments {
    /// The recording
    #[arg(value_name = "FILE.naja")]
    pub file: PathBuf,
    /// Where to write the page; without it, beside the recording; `-` is stdout
    #[arg(short, long, value_name = "OUT.html")]
    pub output: Option<PathBuf>,
    /// Which memory is shown.
    #[command(flatten)]
    pub shown: ShownOptions,
    /// From the line that was given memory to its callers
    #[arg(long)]
    pub inverted: bool,
    /// A part for each thread
    #[arg(long)]
    pub split_threads: bool,
}

impl FlamegraphArguments {
    /// Writes the page; gives what is said about it, or the page itself for stdout.
    ///
    /// Errors: those of the recording; `no-allocations`, `only-sums`, `cannot-write`
    pub(super) fn show(&self) -> Result<String, Failure> {
        let start = PageStart {
            shown: self.shown.shown(),
            temporary_within: self.shown.temporary_within,
            is_inverted: self.inverted,
            by_thread: self.split_threads,
            is_table: false,
        };
        write_page(&self.file, self.output.as_deref(), start)
    }
}

/// Writes the page of a recording.
pub(super) fn write_page(file: &Path, output: Option<&Path>, start: PageStart) -> Result<String, Failure> {
    let reader: Reader<'static> = open(file)?;
    let allocations = Allocations::read(&reader, start.temporary_within)?;
    let html = page::html(&reader, &allocations, start)?;
    if output == Some(Path::new("-")) {
        return Ok(html);
    }
    let output = output.map_or_else(|| file.with_extension("html"), Path::to_path_buf);
    naja_system::replace_file(&output, html.as_bytes()).map_err(|error| cannot_write(&output, &error))?;
    Ok(format!("wrote {} ({} kB)\n", output.display(), html.len() / 1000))
}

/// That a file could not be written.
pub(super) fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    Failure::new("cannot-write", format!("failed to write `{}`", path.display()))
        .caused_by(error)
        .hint("`-o FILE` writes it somewhere else")
}
