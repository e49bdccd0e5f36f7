//! The formats of an export, and which one a file's name asks for.

use std::path::Path;

use clap::ValueEnum;
use naja_system::Failure;

/// A format that a recording can be written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// The recording itself
    Naja,
    /// A page with flame graph, time line and source
    #[value(alias = "flamegraph")]
    Html,
    /// A flame graph as a picture
    Svg,
    /// One line for each stack, with its count
    #[value(alias = "raw", alias = "folded")]
    Collapsed,
    /// For speedscope.app
    Speedscope,
    /// Trace events, for Perfetto and chrome://tracing
    #[value(alias = "chrometrace")]
    Chrome,
    /// For profiler.firefox.com
    #[value(alias = "gecko")]
    Firefox,
    /// For `go tool pprof` and what else reads profile.proto
    Pprof,
    /// Text: hot lines of the source with their callers and callees, as `naja heat` shows them
    Heat,
}

/// Ends of file names. The first that fits decides, so that longer ends come before shorter ones.
const ENDS: &[(&str, ExportFormat)] = &[
    (".naja", ExportFormat::Naja),
    (".html", ExportFormat::Html),
    (".htm", ExportFormat::Html),
    (".svg", ExportFormat::Svg),
    (".collapsed", ExportFormat::Collapsed),
    (".folded", ExportFormat::Collapsed),
    (".txt", ExportFormat::Collapsed),
    (".speedscope.json", ExportFormat::Speedscope),
    (".trace.json", ExportFormat::Chrome),
    (".gecko.json", ExportFormat::Firefox),
    (".profile.json", ExportFormat::Firefox),
    (".firefox.json", ExportFormat::Firefox),
    (".json", ExportFormat::Speedscope),
    (".pprof", ExportFormat::Pprof),
    (".pb.gz", ExportFormat::Pprof),
    (".heat", ExportFormat::Heat),
];

impl ExportFormat {
    /// The format that a file's name asks for; `None` where it asks for none.
    ///
    /// | end of the name | format |
    /// |---|---|
    /// | `.naja` | the recording |
    /// | `.html`, `.htm` | page |
    /// | `.svg` | picture |
    /// | `.collapsed`, `.folded`, `.txt` | collapsed stacks |
    /// | `.trace.json` | Chrome trace |
    /// | `.firefox.json`, `.gecko.json`, `.profile.json` | Firefox Profiler |
    /// | `.speedscope.json`, `.json` | speedscope |
    /// | `.pprof`, `.pb.gz` | pprof |
    /// | `.heat` | hot lines as text |
    pub fn from_path(path: &Path) -> Option<ExportFormat> {
        let name = path.file_name()?.to_string_lossy().to_ascii_lowercase();
        ENDS.iter().find(|(end, _)| name.ends_with(end)).map(|(_, format)| *format)
    }

    /// As [`ExportFormat::from_path`], with an error that says which ends there are.
    ///
    /// Errors: `unknown-format`.
    pub fn of_output(path: &Path) -> Result<ExportFormat, Failure> {
        ExportFormat::from_path(path).ok_or_else(|| {
            let ends: Vec<&str> = ENDS.iter().map(|(end, _)| *end).collect();
            Failure::new(
                "unknown-format",
                format!("the name `{}` does not say which format is meant", path.display()),
            )
            .hint(format!("`--format FORMAT` says it, or one of the ends {}", ends.join(", ")))
        })
    }

    /// The word of the command line.
    pub fn word(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }
}
