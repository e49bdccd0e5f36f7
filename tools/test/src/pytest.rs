//! Starts pytest with naja's plugin, and carries events and orders between the two.
//!
//! pytest keeps this program's terminal, process group and environment, but for the variables that name the
//! line to it, which it removes before the first test. Start at [`Pytest::start`].

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use naja_system::{Failure, Result};
use rustix::process::Signal;

use crate::bundle;
use crate::event::{Event, Order};
use crate::view::terminal::{self, Pseudoterminal};

/// What to start.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// The interpreter of the project's environment.
    pub python: PathBuf,
    /// The words for pytest.
    pub arguments: Vec<OsString>,
    /// How many workers there are where neither the command line nor the project's settings say.
    pub default_workers: Option<String>,
    /// Whether pytest's output comes as messages, from a terminal of its own, and leaves single tests to this program.
    pub is_live: bool,
    /// Whether pytest writes to standard error alone, since standard output is for data.
    pub leaves_stdout: bool,
    /// The longest that a test may take, so that it must run where it can be ended.
    pub timeout: Option<Duration>,
    /// The project's root, whose modules are told of.
    pub project: PathBuf,
    /// Which files pytest leaves out, as `choosing.py` reads it.
    pub choice: Option<serde_json::Value>,
    /// Whether pytest waits for orders to run, and is kept between runs.
    pub watches: bool,
    /// Expected durations of tests in seconds, by node id.
    pub durations: HashMap<String, f64>,
}

/// What comes from a running pytest.
#[derive(Debug)]
pub enum Message {
    /// Events that came together, in their order.
    Events(Vec<Event>),
    /// Bytes that pytest, or a program that it started, has written to its terminal.
    Output(Vec<u8>),
    /// Nothing more will come: pytest has closed its end, or has ended.
    End,
}

/// A running pytest.
pub struct Pytest {
    child: std::process::Child,
    orders: File,
    /// Held open for as long as this program lives: the kernel tells pytest when it is closed.
    _life: OwnedFd,
    outer: Option<File>,
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
        let (events, events_end) = rustix::pipe::pipe().map_err(|error| failed(error.into()))?;
        let (orders_end, orders) = rustix::pipe::pipe().map_err(|error| failed(error.into()))?;
        let (life_end, life) = rustix::pipe::pipe().map_err(|error| failed(error.into()))?;
        // A child that held this program's ends too would never learn that this program has gone.
        for ours in [&events, &orders, &life] {
            rustix::io::fcntl_setfd(ours, rustix::io::FdFlags::CLOEXEC)
                .map_err(|error| failed(error.into()))?;
        }
        let durations = file_of(&plan.durations).map_err(failed)?;
        let choice = plan.choice.as_ref().map(file_of).transpose().map_err(failed)?;
        let mut command = Command::new(&plan.python);
        command
            .arg(folder.join("run_pytest.py"))
            .args(&plan.arguments)
            .env("NAJA_TEST_EVENTS", events_end.as_raw_fd().to_string())
            .env("NAJA_TEST_ORDERS", orders_end.as_raw_fd().to_string())
            .env("NAJA_TEST_LIFE", life_end.as_raw_fd().to_string())
            .env("NAJA_TEST_DURATIONS", durations.as_raw_fd().to_string());
        command.env("NAJA_TEST_PROJECT", &plan.project);
        if plan.watches {
            // Keys are this program's.
            command.env("NAJA_TEST_WATCH", "warm").stdin(Stdio::null());
        }
        if let Some(choice) = &choice {
            command.env("NAJA_TEST_CHOICE", choice.as_raw_fd().to_string());
        }
        if let Some(workers) = &plan.default_workers {
            command.env("NAJA_TEST_WORKERS", workers);
        }
        if let Some(timeout) = plan.timeout {
            command.env("NAJA_TEST_TIMEOUT", timeout.as_secs_f64().to_string());
        }
        let terminal = plan.is_live.then(Pseudoterminal::new).transpose().map_err(failed)?;
        if let Some(terminal) = &terminal {
            let output = || terminal.inner.try_clone().map(Stdio::from).map_err(failed);
            command.stdout(output()?).stderr(output()?).env("NAJA_TEST_VIEW", "live");
        }
        if plan.leaves_stdout {
            let stderr = io::stderr().as_fd().try_clone_to_owned().map_err(failed)?;
            command.stdout(Stdio::from(stderr));
        }
        let child = command.spawn().map_err(failed)?;
        // What the command holds of the terminal must be closed: its end is the end of pytest's output.
        drop((command, events_end, orders_end, life_end));
        let (sender, messages) = channel();
        let outer = terminal.map(|terminal| terminal.outer);
        if let Some(outer) = &outer {
            let outer = outer.try_clone().map_err(failed)?;
            let sender = sender.clone();
            std::thread::spawn(move || read_output(outer, &sender));
        }
        std::thread::spawn(move || read_events(events, &sender));
        Ok(Pytest { child, orders: File::from(orders), _life: life, messages, outer })
    }

    /// Gives pytest's terminal the size of this program's.
    pub fn follow_size(&self) {
        if let Some(outer) = &self.outer {
            // A size that can't be asked for or set stays as it is.
            let _ = terminal::follow_size(outer);
        }
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

    /// Sends it a signal. One that has ended gets none.
    pub fn send_signal(&self, signal: Signal) {
        if let Ok(process) = i32::try_from(self.child.id())
            && let Some(process) = rustix::process::Pid::from_raw(process)
        {
            // Not waited for yet, so that the number is still its own.
            let _ = rustix::process::kill_process(process, signal);
        }
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

/// Passes on events until there are no more.
fn read_events(events: OwnedFd, sender: &Sender<Message>) {
    let mut events = BufReader::with_capacity(1 << 16, File::from(events));
    let mut line = Vec::new();
    // A line that is longer than the buffer, or is still being written, is taken up to its end.
    while matches!(events.read_until(b'\n', &mut line), Ok(1..)) {
        let mut together = vec![event_of(&line)];
        line.clear();
        // Each message wakes the receiver, so that what is there already goes along.
        while let Some(end) = events.buffer().iter().position(|byte| *byte == b'\n') {
            together.push(event_of(&events.buffer()[..end]));
            events.consume(end + 1);
        }
        if sender.send(Message::Events(together)).is_err() {
            return;
        }
    }
    // Whoever received the messages may be gone, and needs no end then.
    let _ = sender.send(Message::End);
}

/// The event of one line.
fn event_of(line: &[u8]) -> Event {
    serde_json::from_slice(line).unwrap_or(Event::Unknown)
}

/// Passes on what is written to the terminal until nobody has it open any more.
fn read_output(mut outer: File, sender: &Sender<Message>) {
    let mut bytes = vec![0; 1 << 16];
    while let Ok(count @ 1..) = outer.read(&mut bytes) {
        if sender.send(Message::Output(bytes[..count].to_vec())).is_err() {
            return;
        }
    }
}

/// Data as JSON in a file without a name that the child inherits.
fn file_of(data: &impl serde::Serialize) -> io::Result<File> {
    let mut file = tempfile::tempfile()?;
    // Written at once: the writer of JSON makes a write of every word.
    file.write_all(&serde_json::to_vec(data)?)?;
    file.rewind()?;
    rustix::io::fcntl_setfd(&file, rustix::io::FdFlags::empty())?;
    Ok(file)
}
