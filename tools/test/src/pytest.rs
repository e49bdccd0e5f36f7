//! Starts pytest with naja's plugin, and carries events and orders between the two.
//!
//! pytest keeps this program's terminal, process group and environment, but for the three variables that name the
//! line to it, which it removes before the first test. Start at [`Pytest::start`].

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};

use naja_system::{Failure, Result};

use crate::bundle;
use crate::event::{Event, Order};

/// What to start.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// The interpreter of the project's environment.
    pub python: PathBuf,
    /// The words for pytest.
    pub arguments: Vec<OsString>,
    /// How many workers there are where neither the command line nor the project's settings say.
    pub default_workers: Option<String>,
    /// Where pytest writes; its own terminal where this is `None`.
    pub terminal: Option<std::sync::Arc<OwnedFd>>,
}

/// What comes from a running pytest.
#[derive(Debug)]
pub enum Message {
    /// An event.
    Event(Event),
    /// Nothing more will come: pytest has closed its end, or has ended.
    End,
}

/// A running pytest.
pub struct Pytest {
    child: std::process::Child,
    orders: File,
    /// What it tells.
    pub messages: Receiver<Message>,
}

impl Pytest {
    /// Starts pytest.
    ///
    /// Errors: those of [`bundle::lay_out`], and `cannot-start` with the system's reason.
    pub fn start(plan: &Plan) -> Result<Pytest> {
        let folder = bundle::lay_out()?;
        let failed = |error: io::Error| {
            Failure::new("cannot-start", format!("cannot start `{}`", plan.python.display()))
                .caused_by(&error)
        };
        let (events, events_end) = pipe().map_err(failed)?;
        let (orders_end, orders) = pipe().map_err(failed)?;
        let mut command = Command::new(&plan.python);
        command
            .arg(folder.join("run_pytest.py"))
            .args(&plan.arguments)
            .env("NAJA_TEST_EVENTS", events_end.as_raw_fd().to_string())
            .env("NAJA_TEST_ORDERS", orders_end.as_raw_fd().to_string());
        if let Some(workers) = &plan.default_workers {
            command.env("NAJA_TEST_WORKERS", workers);
        }
        if let Some(terminal) = &plan.terminal {
            let output = || terminal.try_clone().map(Stdio::from).map_err(failed);
            command.stdout(output()?).stderr(output()?);
        }
        let child = command.spawn().map_err(failed)?;
        drop((events_end, orders_end));
        let (sender, messages) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(File::from(events)).split(b'\n') {
                let Ok(line) = line else { break };
                let event = serde_json::from_slice(&line).unwrap_or(Event::Unknown);
                if sender.send(Message::Event(event)).is_err() {
                    return;
                }
            }
            // Whoever received the messages may be gone, and needs no end then.
            let _ = sender.send(Message::End);
        });
        Ok(Pytest { child, orders: File::from(orders), messages })
    }

    /// Its process id.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Tells it what to do. One that has ended is told nothing.
    pub fn order(&mut self, order: &Order) {
        let mut line = serde_json::to_vec(order).expect("an order is plain data");
        line.push(b'\n');
        // A pytest that has ended has no use for it, and its end is noticed elsewhere.
        let _ = self.orders.write_all(&line);
    }

    /// How it ended, once it has.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> io::Result<ExitStatus> {
        self.child.wait()
    }
}

/// A pipe whose ends: this program's closes on `exec`, the other one does not. Reading end first.
fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(rustix::pipe::pipe()?)
}
