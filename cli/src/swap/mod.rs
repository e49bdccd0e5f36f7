//! `naja swap`: the drop-ins, what they replace, and how they compare with it.

pub(crate) mod dropins;

use clap::{Args, Subcommand};
use naja_report::text::Columns;
use naja_system::Result;

use crate::run::arguments::Format;
use dropins::DropIn;

/// Show what `naja run --swap` can replace
#[derive(Debug, Args)]
#[command(
    before_long_help = "    naja swap list                  every drop-in, its score and its ratios\n    \
        naja run --swap app.py          use them all in a run\n    \
        naja run --swap=dateutil app.py use one",
    subcommand_required = true,
    arg_required_else_help = true
)]
pub(crate) struct SwapArguments {
    #[command(subcommand)]
    command: SwapCommand,
}

#[derive(Debug, Subcommand)]
enum SwapCommand {
    List(ListArguments),
}

/// List every drop-in: the original and its version, the original's own tests, measured ratios
#[derive(Debug, Args)]
#[command(
    long_about = "List every drop-in: the original and its version, the original's own tests, measured ratios.\n\n\
        The tests are those that the original passes itself on the same machine. A ratio of 8 means: takes an eighth \
        of the original's time."
)]
struct ListArguments {
    /// How the list is written
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,

    /// The same as --format json
    #[arg(long, conflicts_with = "format")]
    json: bool,
}

/// Runs the command, and gives what it prints.
///
/// Errors: none today; a command that finds nothing says so in its text.
pub(crate) fn run(arguments: &SwapArguments) -> Result<String> {
    let SwapCommand::List(list) = &arguments.command;
    let dropins = dropins::built_in();
    if list.json || list.format == Format::Json {
        let text = serde_json::to_string_pretty(&serde_json::json!({ "dropins": dropins }));
        return Ok(text.expect("drop-ins are plain data") + "\n");
    }
    Ok(table(&dropins))
}

fn table(dropins: &[DropIn]) -> String {
    if dropins.is_empty() {
        return "this naja has no drop-ins\n".to_owned();
    }
    let mut columns = Columns::default();
    columns.row(["--swap=", "replaces", "its own tests", "times as fast: median (range)"].map(str::to_owned));
    for one in dropins {
        let tests = one.score.as_ref().map_or("not measured".to_owned(), |score| {
            format!("{} of {} pass, {} excepted", score.passed, score.total, score.excepted)
        });
        columns.row([
            one.import.clone(),
            format!("{} {}", one.original, one.version),
            tests,
            one.speed().unwrap_or_else(|| "not measured".to_owned()),
        ]);
    }
    columns.lines("").iter().map(|line| format!("{}\n", line.trim_end())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use dropins::{Case, Score};

    #[test]
    fn what_was_not_measured_is_said_so() {
        let measured = DropIn {
            import: "dateutil".into(),
            original: "python-dateutil".into(),
            version: "4.0.0".into(),
            score: Some(Score { passed: 9, total: 10, excepted: 1, ..Score::default() }),
            cases: [3.0, 21.0, 8.0].map(|ratio| Case { case: "c".into(), ratio }).to_vec(),
            ..DropIn::default()
        };
        let plain =
            DropIn { import: "x".into(), original: "x".into(), version: "1".into(), ..DropIn::default() };
        let text = table(&[measured, plain]);
        let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        let lines: Vec<String> = text.lines().map(words).collect();
        assert_eq!(lines[1], "dateutil python-dateutil 4.0.0 9 of 10 pass, 1 excepted 8 (3 to 21)");
        assert_eq!(lines[2], "x x 1 not measured not measured");
    }
}
