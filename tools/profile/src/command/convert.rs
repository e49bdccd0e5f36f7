//! `naja convert`: turns a recording into the formats of other programs.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use naja_recording::Reader;
use naja_system::{Failure, Replacement};

use crate::export::{self, ExportFormat, ExportOptions};

/// Turn a recording into a page, or into a format of another program
#[derive(Clone, Debug, clap::Args)]
#[command(
    override_usage = "naja convert [OPTIONS] FILE.naja -o OUTPUT",
    before_long_help = "Example:

  naja convert app.naja -o app.json --idle      then open app.json on speedscope.app"
)]
pub struct ConvertArguments {
    /// The recording
    #[arg(value_name = "FILE.naja")]
    pub file: PathBuf,
    /// The file to write; `-` is stdout. A file that is there is replaced
    #[arg(short, long, value_name = "OUTPUT")]
    pub output: PathBuf,
    /// The format, where the name of OUTPUT does not say it
    #[arg(short, long, value_enum)]
    pub format: Option<ExportFormat>,
    /// What is exported, and how.
    #[command(flatten)]
    pub export: ExportOptions,
}

/// Runs `naja convert`. The output appears whole or not at all; a reader of `screen` that goes away ends it.
pub fn convert(arguments: &ConvertArguments, screen: &mut dyn Write) -> Result<(), Failure> {
    let to_screen = arguments.output == Path::new("-");
    let format = match arguments.format {
        Some(format) => format,
        None => ExportFormat::of_output(&arguments.output)?,
    };
    let reader = Reader::open(&arguments.file)?;
    if !to_screen && is_same_file(&arguments.file, &arguments.output) {
        return Err(Failure::new("output-is-the-recording", "the output would replace the recording itself")
            .hint("`-o FILE` with another name keeps both"));
    }
    if to_screen {
        return export::write(&reader, format, &arguments.export, &mut UntilItIsGone::new(screen));
    }
    write_file(&reader, format, &arguments.export, &arguments.output)
}

fn is_same_file(one: &Path, other: &Path) -> bool {
    let place = |path: &Path| path.canonicalize().ok();
    place(one).is_some_and(|path| place(other) == Some(path))
}

/// Writes an export into a file: all of it, or the file is as it was.
///
/// Errors: those of [`export::write`]; `cannot-write` with the file's name.
pub fn write_file(
    reader: &Reader<'_>,
    format: ExportFormat,
    options: &ExportOptions,
    path: &Path,
) -> Result<(), Failure> {
    let failed = |error: io::Error| {
        Failure::new("cannot-write", format!("failed to write `{}`", path.display()))
            .caused_by(&error)
            .hint("`-o FILE` writes it somewhere else")
    };
    let mut file = Replacement::begin(path).map_err(failed)?;
    export::write(reader, format, options, &mut file)?;
    file.finish().map_err(failed)
}

/// Passes on what is written until nobody reads it any more, as in `naja convert … | head`.
struct UntilItIsGone<'w> {
    out: &'w mut dyn Write,
    gone: bool,
}

impl<'w> UntilItIsGone<'w> {
    fn new(out: &'w mut dyn Write) -> UntilItIsGone<'w> {
        UntilItIsGone { out, gone: false }
    }

    fn unless_gone<T>(&mut self, result: io::Result<T>, instead: T) -> io::Result<T> {
        match result {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.gone = true;
                Ok(instead)
            }
            other => other,
        }
    }
}

impl Write for UntilItIsGone<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.gone {
            return Ok(bytes.len());
        }
        let written = self.out.write(bytes);
        self.unless_gone(written, bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.gone {
            return Ok(());
        }
        let flushed = self.out.flush();
        self.unless_gone(flushed, ())
    }
}
