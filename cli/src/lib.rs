//! The `naja` program as a library: its argument tree, its commands, its exit codes.
//!
//! Tools meet here and nowhere else. Every command prints in its own module, and [`main`] alone prints errors.
//! Start at [`command`] for the tree and at [`run`] for `naja run`.

mod about;
mod arguments;
mod exit_code;
mod memory;
mod print;
pub mod record;
pub mod run;
mod swap;
mod test;
mod top;

use std::ffi::OsString;

use clap::FromArgMatches;
use naja_system::{Failure, Result};

pub use arguments::command;
pub use exit_code::ExitCode;

use arguments::{Arguments, Command};
use run::command_line::Split;

/// Runs `naja` with its arguments, the name of the program first.
///
/// `naja run` does not return when the program was started: it ends as the program ended.
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    let tree = command();
    let split = run::command_line::split(&tree, arguments);
    let json = run::command_line::asks_for_json(&split);
    match parse_and_run(tree, split, json) {
        Ok(code) => code,
        Err(failure) => {
            print::failure(&failure, json);
            ExitCode::CouldNotRun
        }
    }
}

fn parse_and_run(mut tree: clap::Command, split: Split, json: bool) -> Result<ExitCode> {
    match parse(&mut tree, &split.for_naja) {
        Ok(Arguments { command: Command::Run(options) }) => {
            run::run(options, split.for_interpreter, split.program).map(|never| match never {})
        }
        Ok(Arguments { command: Command::Record(options) }) => record::record(*options),
        Ok(Arguments { command: Command::Top(options) }) => top::run(options),
        Ok(Arguments { command: Command::Dump(options) }) => {
            let screens = (&mut std::io::stdout(), &mut std::io::stderr());
            naja_profile::command::dump::dump(&options, screens.0, screens.1).map(|()| ExitCode::Done)
        }
        Ok(Arguments { command: Command::View(options) }) => {
            naja_profile::view::view(&options, &mut std::io::stdout()).map(|()| ExitCode::Done)
        }
        Ok(Arguments { command: Command::Sql(options) }) => {
            naja_profile::query::sql(&options, &mut std::io::stdout()).map(|()| ExitCode::Done)
        }
        Ok(Arguments { command: Command::Convert(options) }) => {
            naja_profile::convert::convert(&options, &mut std::io::stdout()).map(|()| ExitCode::Done)
        }
        Ok(Arguments { command: Command::Heat(options) }) => {
            let columns =
                terminal_size::terminal_size_of(std::io::stdout()).map(|(width, _)| usize::from(width.0));
            let style = naja_report::text::Style::of_stdout(columns);
            naja_profile::command::heat::heat(&options, &mut std::io::stdout(), style)
                .map(|()| ExitCode::Done)
        }
        Ok(Arguments { command: Command::Memory(options) }) => memory::memory(&options),
        Ok(Arguments { command: Command::Test(options) }) => test::test(&options),
        Ok(Arguments { command: Command::Swap(options) }) => {
            swap::run(&options).map(|text| print::data(text.as_bytes()))
        }
        Ok(Arguments { command: Command::Db(options) }) => {
            let mut streams = naja_db::command::Streams {
                input: &mut std::io::stdin().lock(),
                out: &mut std::io::stdout(),
                err: &mut std::io::stderr(),
            };
            let drivers = naja_db::database::Drivers {
                sqlite: naja_sqlite::library(),
                tls: Some(naja_tls::provider()),
            };
            naja_db::command::db(&options, &drivers, &mut streams).map(|()| ExitCode::Done)
        }
        Ok(Arguments { command: Command::Dates(options) }) => {
            naja_dates::command::dates(&options, &mut std::io::stdout()).map(|()| ExitCode::Done)
        }
        Ok(Arguments { command: Command::Completions(options) }) => {
            let mut text = Vec::new();
            clap_complete::generate(options.shell, &mut tree, "naja", &mut text);
            Ok(print::data(&text))
        }
        Ok(Arguments { command: Command::About }) => Ok(print::data(about::about()?.as_bytes())),
        Ok(Arguments { command: Command::Man(options) }) => manual_page(&tree, options.command.as_deref()),
        Err(error) if !error.use_stderr() => {
            print::help(&error);
            Ok(ExitCode::Done)
        }
        Err(error) if json => Err(usage_failure(&error)),
        Err(error) => {
            print::usage_error(&error);
            Ok(ExitCode::CouldNotRun)
        }
    }
}

fn parse(tree: &mut clap::Command, words: &[OsString]) -> std::result::Result<Arguments, clap::Error> {
    let mut read = |words: &[OsString]| {
        let matches = tree.try_get_matches_from_mut(words)?;
        Arguments::from_arg_matches(&matches)
    };
    let arguments = read(words)?;
    if let Command::Record(options) = &arguments.command
        && let Some(words) = options.with_process_as_option(words)
    {
        return read(&words);
    }
    Ok(arguments)
}

fn usage_failure(error: &clap::Error) -> Failure {
    let text = error.to_string();
    let first = text.lines().next().unwrap_or_default();
    Failure::new("usage", first.trim_start_matches("error: "))
        .hint("`naja --help` lists commands and options")
}

fn manual_page(tree: &clap::Command, name: Option<&str>) -> Result<ExitCode> {
    let page = match name {
        None => tree.clone(),
        Some(name) => {
            let known = tree.find_subcommand(name).ok_or_else(|| {
                let names: Vec<_> =
                    tree.get_subcommands().map(|one| format!("`{}`", one.get_name())).collect();
                Failure::new("no-such-page", format!("naja has no command `{name}`"))
                    .hint(format!("its commands are {}", names.join(", ")))
            })?;
            known.clone().display_name(format!("naja-{name}")).bin_name(format!("naja {name}"))
        }
    };
    let mut text = Vec::new();
    clap_mangen::Man::new(page).render(&mut text).expect("memory can be written");
    Ok(print::data(&text))
}
