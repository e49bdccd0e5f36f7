//! `naja top`: finds the program that is to be started, where one is; the view itself is the tool's.

use std::ffi::OsString;

use naja_profile::command::top::{TopArguments, top};
use naja_system::{Launch, Result};

use crate::ExitCode;
use crate::run::interpreter;
use crate::run::target::{Target, Words};

/// Shows the view. A program that was started for it and has ended by itself is ended alike.
///
/// Errors: those of [`Target::resolve`], [`interpreter::find`] and [`top`].
pub(crate) fn run(mut arguments: TopArguments) -> Result<ExitCode> {
    let words = std::mem::take(&mut arguments.program);
    let launch = if words.is_empty() { None } else { Some(launch(words)?) };
    match top(&arguments, launch.as_ref())? {
        Some(ended) => ended.end_alike(),
        None => Ok(ExitCode::Done),
    }
}

/// The words after `--` are those of `naja run`: a file, a folder, `-m MODULE`, `-c CODE` or a command.
fn launch(mut rest: Vec<OsString>) -> Result<Launch> {
    let option = rest.first().filter(|word| *word == "-m" || *word == "-c").cloned();
    let mut words = Words { module: None, code: None, rest: Vec::new() };
    if let Some(option) = option
        && rest.len() > 1
    {
        let value = Some(rest.remove(1));
        rest.remove(0);
        *(if option == "-m" { &mut words.module } else { &mut words.code }) = value;
    }
    words.rest = rest;
    let interpreter = interpreter::find(None);
    let target = Target::resolve(&mut words, interpreter.as_ref().ok(), false)?;
    target.launch(interpreter, Vec::new(), words.rest)
}
