//! What `naja record` says when the output is written: how much was seen, how well, and where it is.

use std::path::Path;

use naja_profile::report::Report;
use naja_report::text;

/// One or two lines for a person.
pub(crate) fn lines(report: &Report, output: &Path, recording: Option<&Path>) -> String {
    let samples = &report.samples;
    let mut text = format!(
        "naja  {} stacks in {:.1} s of {}",
        text::count(samples.taken),
        report.wall_s,
        processes(report)
    );
    let share = |part: u64, whole: u64| part as f64 * 100.0 / whole.max(1) as f64;
    text.push_str(&format!(
        "; {:.1} % of the moments were missed, {:.1} % of the stacks could not be read; naja used {:.1} % of a core",
        share(samples.ticks_missed, samples.ticks),
        share(samples.lost, samples.taken + samples.lost),
        report.naja.share_of_core * 100.0
    ));
    if let Some(native) = &report.native {
        text.push_str(&format!("\n{}", native.sentence()));
    }
    for warning in &report.warnings {
        text.push_str(&format!("\nwarning: {warning}"));
    }
    text.push_str(&format!("\nwrote {}", output.display()));
    match recording {
        Some(path) if path == output => text.push_str(&format!("; `naja view {}` shows it", path.display())),
        Some(path) => text.push_str(&format!("; the recording itself is {}", path.display())),
        None => {}
    }
    text
}

fn processes(report: &Report) -> String {
    match report.processes.as_slice() {
        [] => "nothing".to_owned(),
        [only] if only.interpreter.is_empty() => format!("process {}", only.pid),
        [only] => format!("process {} ({})", only.pid, only.interpreter),
        [first, rest @ ..] => format!("process {} and {} others", first.pid, rest.len()),
    }
}
