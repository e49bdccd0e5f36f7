//! Writes a recording in the formats of other programs.
//!
//! What is counted and how a stack becomes frames is decided once (`content`, `stacks`), so that every format shows
//! the same; each format has a file. Nothing here is larger in memory than the recording's tree of stacks and one
//! thread's runs. Start at [`write`].

mod chrome;
mod collapsed;
pub(crate) mod content;
mod firefox;
mod format;
mod html;
mod options;
mod pprof;
mod speedscope;
pub(crate) mod stacks;
mod svg;
mod time_line;

use std::io::{self, Write};

use naja_recording::Reader;
use naja_report::text::Style;
use naja_system::Failure;

pub use format::ExportFormat;
pub use options::{ExportOptions, Mode, PartOptions, StackOptions};

use content::Content;

/// Writes the recording to `out`.
///
/// Mode, `idle` and `threads` are what a page opens with; its reader can choose others.
///
/// Errors: those of the recording; `nothing-to-export` when the options leave out everything that there is;
/// `cannot-write` when `out` fails.
/// Cost:   one pass over the samples.
pub fn write(
    reader: &Reader<'_>,
    format: ExportFormat,
    options: &ExportOptions,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let mut out = io::BufWriter::with_capacity(1 << 16, out);
    match format {
        ExportFormat::Naja => {
            return Err(Failure::new("already-a-recording", "the recording is in this format already")
                .hint("copy the file, or choose another format"));
        }
        ExportFormat::Html => {
            html::write(reader, &Content::new(reader, options)?, &mut out)?;
        }
        ExportFormat::Svg => svg::write(&Content::new(reader, options)?, &mut out)?,
        ExportFormat::Collapsed => collapsed::write(&Content::new(reader, options)?, &mut out)?,
        ExportFormat::Speedscope => speedscope::write(&Content::new(reader, options)?, &mut out)?,
        ExportFormat::Chrome => chrome::write(&Content::new(reader, options)?, &mut out)?,
        ExportFormat::Firefox => firefox::write(&Content::new(reader, options)?, &mut out)?,
        ExportFormat::Heat => {
            let heat = crate::heat::Heat::of(reader, options)?;
            out.write_all(crate::heat::text::whole(&heat, Style::PLAIN).as_bytes()).map_err(cannot_write)?;
        }
        ExportFormat::Pprof => pprof::write(&Content::new(reader, options)?, &mut out)?,
    }
    out.flush().map_err(cannot_write)
}

fn cannot_write(error: io::Error) -> Failure {
    Failure::new("cannot-write", "the output could not be written").caused_by(&error)
}
