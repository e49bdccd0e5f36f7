//! A database server that an original's tests need: started by the testkit's program, gone when this is dropped.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};

use serde::Deserialize;

use crate::checkout::Checkout;
use crate::step::{Outcome, Problem, say};

/// The program ends with this code where the machine has no such server.
const NOT_INSTALLED: i32 = 3;

/// A running server.
pub(crate) struct DatabaseServer {
    program: Child,
    place: Place,
}

/// The line that the program says when the server is ready.
#[derive(Deserialize)]
struct Place {
    scheme: String,
    user: String,
    socket: String,
    port: u16,
}

impl DatabaseServer {
    /// Starts one; nothing where there is none on this machine.
    pub(crate) fn start(checkout: &Checkout, engine: &str) -> Outcome<Option<DatabaseServer>> {
        say(&format!("starting a server: {engine}"));
        let mut command = checkout.cargo(&[
            "run",
            "--quiet",
            "--release",
            "--locked",
            "--package",
            "naja-testkit",
            "--bin",
            "naja-database-server",
            "--",
            engine,
        ]);
        command.arg(checkout.at(".cache/servers")).stdin(Stdio::piped()).stdout(Stdio::piped());
        let failed = |why: &str| Problem::new(format!("the server `{engine}` does not start: {why}"));
        let mut program = command.spawn().map_err(|error| failed(&error.to_string()))?;
        let mut line = String::new();
        let answers = program.stdout.take().ok_or_else(|| failed("it says nothing"))?;
        BufReader::new(answers).read_line(&mut line).map_err(|error| failed(&error.to_string()))?;
        match serde_json::from_str::<Place>(&line) {
            Ok(place) => Ok(Some(DatabaseServer { program, place })),
            Err(_) => match program.wait() {
                Ok(status) if status.code() == Some(NOT_INSTALLED) => Ok(None),
                Ok(status) => Err(failed(&status.to_string())),
                Err(error) => Err(failed(&error.to_string())),
            },
        }
    }

    /// Where it listens, as its clients look for it in their environment.
    pub(crate) fn variables(&self) -> BTreeMap<String, String> {
        let Place { scheme, user, socket, port } = &self.place;
        let named = |name: &str, text: &dyn ToString| (name.to_owned(), text.to_string());
        match scheme.as_str() {
            "postgresql" => [named("PGHOST", socket), named("PGPORT", port), named("PGUSER", user)].into(),
            _ => [named("MYSQL_UNIX_PORT", socket), named("MYSQL_TCP_PORT", port)].into(),
        }
    }
}

impl Drop for DatabaseServer {
    fn drop(&mut self) {
        // The program ends the server when it hears nothing more.
        drop(self.program.stdin.take());
        let _ = self.program.wait();
    }
}
