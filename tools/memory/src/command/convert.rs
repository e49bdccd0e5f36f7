//! `naja memory convert`.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use naja_system::{Failure, Replacement};

use super::flamegraph::cannot_write;
use super::{ShownOptions, open};
use crate::export::{self, MemoryFormat};
use crate::report::Allocations;

/// Write a recording in the format of another program
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Example: naja memory convert --leaks app.naja -f gprof2dot -o leaks.json")]
pub struct ConvertMemoryArguments {
    /// The recording
    #[arg(value_name = "FILE.naja")]
    pub file: PathBuf,
    /// The file to write; `-` is stdout. A file that is there is replaced
    #[arg(short, long, value_name = "OUTPUT")]
    pub output: PathBuf,
    /// The format, where the name of OUTPUT does not say it
    #[arg(short, long, value_enum)]
    pub format: Option<MemoryFormat>,
    /// Which memory is written.
    #[command(flatten)]
    pub shown: ShownOptions,
}

impl ConvertMemoryArguments {
    /// Writes the file: all of it, or it is as it was.
    ///
    /// Errors: those of the recording; `no-allocations`, `only-sums`, `unknown-format`, `output-is-the-recording`,
    /// `cannot-write`
    pub(super) fn convert(&self, screen: &mut dyn Write) -> Result<(), Failure> {
        let format = match self.format {
            Some(format) => format,
            None => MemoryFormat::of_output(&self.output)?,
        };
        let reader = open(&self.file)?;
        let place = |path: &Path| path.canonicalize().ok();
        if place(&self.file).is_some_and(|path| place(&self.output) == Some(path)) {
            return Err(Failure::new(
                "output-is-the-recording",
                "the output would replace the recording itself",
            )
            .hint("`-o FILE` with another name keeps both"));
        }
        let allocations = Allocations::read(&reader, self.shown.temporary_within)?;
        let shown = self.shown.shown();
        if self.output == Path::new("-") {
            // Whoever reads may have read enough.
            let mut text = Vec::new();
            export::write(&allocations, reader.header(), shown, format, &mut text)?;
            return match screen.write_all(&text) {
                Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                    Err(cannot_write(&self.output, &error))
                }
                _ => Ok(()),
            };
        }
        let failed = |error: io::Error| cannot_write(&self.output, &error);
        let mut file = Replacement::begin(&self.output).map_err(failed)?;
        export::write(&allocations, reader.header(), shown, format, &mut file)?;
        file.finish().map_err(failed)
    }
}
