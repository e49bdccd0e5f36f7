//! A program that runs beside naja, not in its place: what it writes is kept for a look, not shown as it comes.
//!
//! It has a process group of its own, so that keys and stops of naja's terminal do not reach it, and reads nothing.
//! Start at [`Background::start`].

use std::io::{self, PipeReader, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::process::Launch;
use crate::session::{Ended, Status};

/// What is kept of a program's output: its end.
const OUTPUT_BYTES_MAX: usize = 256 * 1024;

/// How long a program that is asked to end may take before it is made to.
const END_PATIENCE: Duration = Duration::from_secs(2);

/// A program that was started, and the last of what it has written.
#[derive(Debug)]
pub struct Background {
    child: Child,
    output: Arc<Mutex<Output>>,
    started: Instant,
    status: Option<ExitStatus>,
}

#[derive(Debug, Default)]
struct Output {
    bytes: Vec<u8>,
    forgotten: u64,
}

impl Background {
    /// Starts the program with nothing to read. What it writes to both its streams is kept together, the last 256 KiB;
    /// with `pass_on` it goes to naja's own standard error instead.
    ///
    /// Errors: what `execve` said, or no descriptor left.
    pub fn start(launch: &Launch, pass_on: bool) -> io::Result<Background> {
        let mut command = Command::new(&launch.executable);
        if let Some((name, arguments)) = launch.arguments.split_first() {
            command.arg0(name).args(arguments);
        }
        command.envs(launch.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).process_group(0);
        let output = Arc::default();
        let started = Instant::now();
        if pass_on {
            let stderr =
                || io::Result::Ok(Stdio::from(std::os::fd::AsFd::as_fd(&io::stderr()).try_clone_to_owned()?));
            let child = command.stdout(stderr()?).stderr(stderr()?).spawn()?;
            return Ok(Background { child, output, started, status: None });
        }
        let (reader, writer) = io::pipe()?;
        let child = command.stdout(writer.try_clone()?).stderr(writer).spawn()?;
        // The command holds the pipe's other end, which must close when the program ends.
        drop(command);
        let kept = Arc::clone(&output);
        std::thread::spawn(move || keep(reader, &kept));
        Ok(Background { child, output, started, status: None })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended; `None` while it runs. Never waits.
    pub fn ended(&mut self) -> Option<Ended> {
        if self.status.is_none() {
            self.status = self.child.try_wait().ok().flatten();
        }
        let status = self.status?;
        let status = match (status.code(), status.signal()) {
            (Some(code), _) => Status::Exited(u8::try_from(code).unwrap_or(u8::MAX)),
            (None, signal) => {
                Status::Killed { signal: signal.unwrap_or(libc::SIGKILL), core_dumped: status.core_dumped() }
            }
        };
        let wall_ns = self.started.elapsed().as_nanos() as u64;
        Some(Ended { status, wall_ns, user_ns: 0, system_ns: 0, max_rss_bytes: 0, stopped_ns: 0 })
    }

    /// The last of what it has written, and how many bytes before that were forgotten.
    pub fn output(&self) -> (Vec<u8>, u64) {
        let output = self.output.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        (output.bytes.clone(), output.forgotten)
    }

    /// Asks it and its group to end (SIGTERM), and makes them (SIGKILL) when it has not ended two seconds later.
    pub fn end(&mut self) {
        if self.ended().is_some() {
            return;
        }
        self.signal_group(libc::SIGTERM);
        // A stopped program hears of it only when it goes on.
        self.signal_group(libc::SIGCONT);
        let asked = Instant::now();
        while self.ended().is_none() {
            if asked.elapsed() > END_PATIENCE {
                self.signal_group(libc::SIGKILL);
                self.status = self.child.wait().ok();
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn signal_group(&self, signal: libc::c_int) {
        let pid = libc::pid_t::try_from(self.child.id()).expect("a process id fits");
        // SAFETY: numbers only; the child is not reaped yet, so that the number of its group is not given again.
        unsafe { libc::kill(-pid, signal) };
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.end();
    }
}

fn keep(mut from: PipeReader, output: &Mutex<Output>) {
    let mut bytes = [0; 16 * 1024];
    loop {
        match from.read(&mut bytes) {
            Ok(0) => return,
            Ok(count) => {
                let mut output = output.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                output.bytes.extend_from_slice(&bytes[..count]);
                // Only now and then, so that a talkative program costs no more than its own writing does.
                if output.bytes.len() > 2 * OUTPUT_BYTES_MAX {
                    let surplus = output.bytes.len() - OUTPUT_BYTES_MAX;
                    output.bytes.drain(..surplus);
                    output.forgotten += surplus as u64;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(script: &str) -> Background {
        let arguments = ["sh", "-c", script].map(Into::into).to_vec();
        let launch = Launch { executable: "/bin/sh".into(), arguments, ..Launch::default() };
        Background::start(&launch, false).expect("there is a shell")
    }

    fn wait_until(mut done: impl FnMut() -> bool) {
        for _ in 0..15_000 {
            if done() {
                return;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        panic!("it does not happen");
    }

    #[test]
    fn both_streams_are_kept_together_and_the_ending_is_told() {
        let mut program = start("echo one; echo two >&2; cat; exit 3");
        wait_until(|| program.ended().is_some());
        assert_eq!(program.ended().map(|ended| ended.status), Some(Status::Exited(3)));
        wait_until(|| program.output().0 == b"one\ntwo\n");
    }

    #[test]
    fn of_much_output_the_end_is_kept() {
        let mut program = start("head -c 3000000 /dev/zero | tr '\\0' x; printf end");
        wait_until(|| program.ended().is_some() && program.output().0.ends_with(b"end"));
        let (bytes, forgotten) = program.output();
        assert!(bytes.len() <= 2 * OUTPUT_BYTES_MAX, "{}", bytes.len());
        assert_eq!(bytes.len() as u64 + forgotten, 3_000_003);
    }

    #[test]
    fn a_program_that_ignores_the_request_is_ended_all_the_same() {
        let mut program = start("trap '' TERM; echo ready; while :; do sleep 0.05; done");
        wait_until(|| program.output().0 == b"ready\n");
        program.end();
        assert!(matches!(program.ended().map(|ended| ended.status), Some(Status::Killed { signal: 9, .. })));
    }
}
