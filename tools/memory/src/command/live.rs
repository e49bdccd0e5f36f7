//! The arguments of `naja memory live`; what it does is in the program, which starts and finds programs.

use clap::builder::ValueParser;

use super::RunMemoryArguments;

/// Watch a program's memory while it runs
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "naja memory live [OPTIONS] PROGRAM [ARGUMENTS]...\n       naja memory live [OPTIONS] FILE.naja\n       naja memory live [OPTIONS] PID",
    before_long_help = "Examples:

  naja memory live app.py          start it and watch it; `o` shows its output, `?` the keys
  naja memory live app.naja        watch what another naja records
  naja memory live 4211            the same, of the process that is recorded",
    long_about = "Watch a program's memory while it runs, line by line.\n\n\
        A program that is started has no input; it ends when the view is quit. Of a process, the recording is found \
        that another naja (`naja memory run`) writes now. Where stdout is no terminal, a table is printed every \
        --delay seconds."
)]
pub struct LiveMemoryArguments {
    /// Seconds between two pictures
    #[arg(short, long, value_name = "SECONDS", default_value = "1", value_parser = ValueParser::from(delay_s))]
    pub delay: f64,
    /// Print so many tables or lines, then end
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
    /// How it is recorded, and what: the program, a recording, or the number of a process.
    #[command(flatten)]
    pub run: RunMemoryArguments,
}

fn delay_s(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.1..=3600.0).contains(&seconds) => Ok(seconds),
        _ => Err("a number of seconds from 0.1 to 3600 is needed".to_owned()),
    }
}
