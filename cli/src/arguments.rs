//! The argument tree: the one source of parsing, help, manual page, completions and reference.
//!
//! What stands after the program of `naja run` is the program's own and never reaches this tree: see
//! [`crate::run::command_line`].

use clap::{Args, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use naja_dates::command::DatesArguments;
use naja_db::command::DbArguments;
use naja_memory::command::MemoryArguments;
use naja_profile::command::dump::DumpArguments;
use naja_profile::command::heat::HeatArguments;
use naja_profile::command::top::TopArguments;
use naja_profile::convert::ConvertArguments;
use naja_profile::query::SqlArguments;
use naja_profile::view::ViewArguments;
use naja_test::command::TestArguments;

use crate::record::arguments::RecordArguments;
use crate::run::arguments::RunArguments;
use crate::run::command_line;
use crate::swap::SwapArguments;

/// The whole command line of `naja`.
#[derive(Debug, Parser)]
#[command(
    name = "naja",
    bin_name = "naja",
    version,
    about = "The all-in-one toolkit for Python",
    long_about = "The all-in-one toolkit for Python, for the CPython that you already have.\n\n    \
        naja run app.py        run a program and see where its time goes\n",
    // Without the empty line after the first, so that all commands fit on one screen.
    help_template = "{before-help}{about-with-newline}{usage-heading} {usage}\n\n{all-args}{after-help}",
    max_term_width = 100,
    subcommand_required = true,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    infer_subcommands = true
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Run(RunArguments),
    Record(Box<RecordArguments>),
    Top(TopArguments),
    Dump(DumpArguments),
    View(ViewArguments),
    Sql(SqlArguments),
    Convert(ConvertArguments),
    Heat(HeatArguments),
    Memory(MemoryArguments),
    Test(TestArguments),
    Swap(SwapArguments),
    Db(DbArguments),
    Dates(DatesArguments),
    Completions(CompletionsArguments),
    Man(ManArguments),
    /// Print which naja this is, and where its program and its package lie
    About,
}

/// Print the completions of a shell
#[derive(Debug, Args)]
#[command(
    after_long_help = "Example: naja completions bash > ~/.local/share/bash-completion/completions/naja"
)]
pub(crate) struct CompletionsArguments {
    /// The shell to complete for
    pub(crate) shell: Shell,
}

/// Print the manual page of naja or of one of its commands
#[derive(Debug, Args)]
#[command(after_long_help = "Example: naja man run | man -l -")]
pub(crate) struct ManArguments {
    /// The command; without it, the page of `naja` itself
    pub(crate) command: Option<String>,
}

/// The argument tree of `naja` with all its commands.
pub fn command() -> clap::Command {
    Arguments::command().mut_subcommand("run", command_line::add_interpreter_options)
}
