//! `naja memory leaks`.

use std::path::PathBuf;

use naja_report::text::Style;
use naja_system::Failure;
use serde_json::json;

use super::{as_line, open};
use crate::report::{Allocations, Shown};
use crate::report_text;

/// Show what was in use at the end: lines with their callers
#[derive(Debug, clap::Args)]
pub struct LeaksArguments {
    /// The recording
    #[arg(value_name = "FILE.naja")]
    pub file: PathBuf,
    /// How many lines
    #[arg(short = 'n', long, value_name = "N", default_value_t = 10)]
    pub rows: usize,
    /// How many callers of each; 0 for all
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub callers: usize,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

impl LeaksArguments {
    /// The report.
    ///
    /// Errors: those of the recording; `no-allocations`
    pub(super) fn show(&self, style: Style) -> Result<String, Failure> {
        let reader = open(&self.file)?;
        let allocations = Allocations::read(&reader, 1)?;
        let callers = if self.callers == 0 { usize::MAX } else { self.callers };
        let leaks = allocations.leaks(self.rows, callers);
        if self.json {
            return Ok(as_line(&json!({ "sum": allocations.sum(Shown::Leaks), "lines": leaks })));
        }
        Ok(report_text::leaks(&allocations, &leaks, style))
    }
}
