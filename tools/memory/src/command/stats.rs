//! `naja memory stats`.

use std::path::PathBuf;

use naja_report::text::Style;
use naja_system::Failure;
use serde_json::json;

use super::{as_line, open};
use crate::conditions::{self, Condition};
use crate::report::Allocations;
use crate::report_text;

/// Show the figures of a recording: sums, functions, sizes
#[derive(Debug, clap::Args)]
pub struct StatsArguments {
    /// The recording
    #[arg(value_name = "FILE.naja")]
    pub file: PathBuf,
    /// How many lines of each kind
    #[arg(short = 'n', long, value_name = "N", default_value_t = 5)]
    pub top: usize,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// End with code 1 where this is so; may be given several times, as in 'peak > 1GB' or 'leaked > 1MB'
    #[arg(long, value_name = "CONDITION")]
    pub fail_if: Vec<Condition>,
}

impl StatsArguments {
    /// The report, and a sentence for each condition that holds.
    ///
    /// Errors: those of the recording; `no-allocations`, `figure-not-known`
    pub(super) fn show(&self, style: Style) -> Result<(String, Vec<String>), Failure> {
        let reader = open(&self.file)?;
        let allocations = Allocations::read(&reader, 1)?;
        let figures = allocations.statistics(&reader, self.top)?;
        let met = conditions::failures(&self.fail_if, &allocations)?;
        let text =
            if self.json { as_line(&json!(figures)) } else { report_text::statistics(&figures, style) };
        Ok((text, met))
    }
}
