//! `naja top`: a live view of a running Python program.

mod plain;
mod screen;

use std::ffi::OsString;
use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::JoinHandle;

use clap::ValueEnum;
use naja_recording::{Batch, Ending};
use naja_report::screen::plain_line;
use naja_system::terminal::Terminal;
use naja_system::{Background, Ended, Failure, Launch, Status, timer};

use crate::attach;
use crate::observation::Observation;
use crate::sampler::{Control, Sampler, SamplerOptions};
use crate::sink::{Finished, Sink};
use crate::task_lanes::Tasks;
use crate::top::counts::Mode;
use crate::top::model::Model;
use crate::top::ui::{Page, Sort, Ui};

/// "Now" is at least as long.
const WINDOW_NS: u64 = 2_000_000_000;

/// Watch where the time of a running Python program goes
#[derive(Clone, Debug, clap::Args)]
#[command(
    override_usage = "naja top [OPTIONS] PID\n       naja top [OPTIONS] -- PROGRAM [ARGUMENTS]...",
    before_long_help = "    naja top 4211                   watch a running process, without restarting it\n    \
        naja top -- app.py --port 8000  start a program and watch it; `o` shows its output\n    \
        naja top --json 4211            one line of JSON a second",
    long_about = "Watch where the time of a running Python program goes, function by function.\n\n\
        The program is neither stopped nor changed. `?` shows the keys. Where stdout is no terminal, a table is \
        printed every --delay seconds. A program that is started has no input; it ends when the view is quit."
)]
pub struct TopArguments {
    /// The process to watch
    #[arg(value_name = "PID", value_parser = process_id, conflicts_with = "pid_option")]
    pub pid: Option<u32>,
    /// The process to watch, as an option
    #[arg(short = 'p', long = "pid", value_name = "PID", value_parser = process_id)]
    pub pid_option: Option<u32>,
    /// Samples per second
    #[arg(short, long, value_name = "HZ", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    pub rate: u32,
    /// Seconds between two pictures
    #[arg(short, long, value_name = "SECONDS", default_value = "1", value_parser = delay_s)]
    pub delay: f64,
    /// Watch its child processes too
    #[arg(short, long)]
    pub subprocesses: bool,
    /// Show the functions of C, C++ and Rust between those of Python
    ///
    /// Each thread is paused for that when it is sampled, for some 10 to 40 microseconds, unless it is blocked.
    #[arg(short, long)]
    pub native: bool,
    /// Count time running, time running and waiting, or time holding the GIL
    #[arg(long, value_name = "MODE", default_value = "cpu", conflicts_with_all = ["gil", "idle"])]
    pub mode: TopMode,
    /// The same as --mode gil
    #[arg(short, long, conflicts_with = "idle")]
    pub gil: bool,
    /// The same as --mode wall: time waiting counts too
    #[arg(short, long)]
    pub idle: bool,
    /// Tell asyncio's tasks apart, in place of the event loop that runs them
    #[arg(long = "async", value_enum, value_name = "TASKS")]
    pub tasks: Option<Tasks>,
    /// What naja does always unless --native is asked for; here for those who know it from elsewhere
    #[arg(long, hide = true, conflicts_with = "native")]
    pub nonblocking: bool,
    /// Begin with the list of threads
    #[arg(short, long)]
    pub threads: bool,
    /// What rows are ordered by
    #[arg(long, value_name = "ORDER", default_value = "own", value_parser = ["own", "total", "own-all", "total-all", "name"])]
    pub sort: String,
    /// Whole file names instead of their last parts
    #[arg(long)]
    pub full_filenames: bool,
    /// Print tables or lines of JSON instead of the screen
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<TopFormat>,
    /// The same as --format json
    #[arg(long, conflicts_with = "format")]
    pub json: bool,
    /// Print so many tables or lines, then end
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
    /// The program to start, and its arguments
    #[arg(last = true, value_name = "PROGRAM", conflicts_with_all = ["pid", "pid_option"])]
    pub program: Vec<OsString>,
}

/// Which samples count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TopMode {
    /// Those on a processor.
    Cpu,
    /// All, those that wait too.
    Wall,
    /// Those that hold the GIL.
    Gil,
}

/// What is printed where there is no screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TopFormat {
    /// Tables, for people.
    Text,
    /// Lines of JSON, for programs.
    Json,
}

fn process_id(text: &str) -> Result<u32, String> {
    text.parse()
        .map_err(|_| format!("the number of a process is needed; `naja top -- {text}` would start a program"))
}

fn delay_s(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.1..=3600.0).contains(&seconds) => Ok(seconds),
        _ => Err("a number of seconds from 0.1 to 3600 is needed".to_owned()),
    }
}

/// Watches a process, or `program`, until the person quits or, without a screen, until it has ended.
///
/// Gives how the program ended, where it was started here and ended by itself.
///
/// Errors: `usage` without a process, those of a process that cannot be read, `cannot-start`, `cannot-write`,
/// `no-terminal`.
pub fn top(args: &TopArguments, program: Option<&Launch>) -> Result<Option<Ended>, Failure> {
    let format = if args.json { Some(TopFormat::Json) } else { args.format };
    let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb" || term.is_empty());
    let wants_screen =
        format.is_none() && args.count.is_none() && !is_dumb && std::io::stdout().is_terminal();
    let pid = args.pid.or(args.pid_option);
    if let Some(pid) = pid {
        // Says at once what is wrong with a process that can never be watched.
        attach::open(pid)?;
    }
    // Before any thread starts: they inherit which signals are held back.
    let terminal = if wants_screen { Terminal::open().ok() } else { None };
    let mut watched = Watched::start(args, pid, program, terminal.is_none())?;
    let shown = match terminal {
        Some(terminal) => screen::run(args, &mut watched, terminal),
        None => plain::run(args, format.unwrap_or(TopFormat::Text), &mut watched),
    };
    let ended = watched.finish();
    shown?;
    Ok(ended)
}

/// Hands batches to the thread that draws.
struct Channel(Sender<Batch>);

impl Sink for Channel {
    fn give(&mut self, batch: Batch) {
        // Whoever draws may have ended a moment before.
        let _ = self.0.send(batch);
    }

    fn finish(self: Box<Self>) -> Finished {
        Finished::default()
    }
}

/// A process that is sampled, what is known of it, and the program, where it was started here.
struct Watched {
    pid: u32,
    model: Model,
    batches: Receiver<Batch>,
    control: Arc<Control>,
    sampler: Option<JoinHandle<Observation>>,
    program: Option<Background>,
    /// What there is to say of the end, once nothing more comes.
    ended: Option<String>,
    window_ns: u64,
}

impl Watched {
    fn start(
        args: &TopArguments,
        pid: Option<u32>,
        program: Option<&Launch>,
        pass_output_on: bool,
    ) -> Result<Watched, Failure> {
        let start_ns = timer::now_ns();
        let program = match program {
            Some(launch) => Some(Background::start(launch, pass_output_on).map_err(|error| {
                let executable = launch.executable.display();
                Failure::new("cannot-start", format!("cannot start `{executable}`")).caused_by(&error)
            })?),
            None => None,
        };
        let pid = program.as_ref().map(Background::pid).or(pid).ok_or_else(|| {
            Failure::new("usage", "`naja top` needs a process or a program")
                .hint("`naja top PID` watches a process, `naja top -- app.py` starts a program")
        })?;
        let interval_ns = 1_000_000_000 / u64::from(args.rate);
        let window_ns = WINDOW_NS.max((args.delay * 1e9) as u64);
        let options = SamplerOptions {
            subprocesses: args.subprocesses,
            attached: true,
            native: args.native,
            tasks: args.tasks.unwrap_or_default(),
            ..SamplerOptions::of_program(pid, start_ns, interval_ns)
        };
        let (sender, batches) = channel();
        let control = Arc::new(Control::default());
        let sampler_control = Arc::clone(&control);
        let sampler = std::thread::Builder::new()
            .name("sampler".to_owned())
            .spawn(move || Sampler::new(options, Box::new(Channel(sender))).run(&sampler_control))
            .map_err(|error| Failure::new("cannot-sample", "no thread can be started").caused_by(&error))?;
        Ok(Watched {
            pid,
            model: Model::new(interval_ns, window_ns),
            batches,
            control,
            sampler: Some(sampler),
            program,
            ended: None,
            window_ns,
        })
    }

    /// Takes over what has come. Says whether anything has.
    fn take_batches(&mut self) -> bool {
        let mut any = false;
        if self.program.as_mut().is_some_and(|program| program.ended().is_some()) {
            self.control.ended.store(true, Ordering::Release);
        }
        loop {
            match self.batches.try_recv() {
                Ok(batch) => {
                    self.model.take(&batch);
                    any = true;
                }
                Err(TryRecvError::Empty) => return any,
                Err(TryRecvError::Disconnected) => {
                    any |= self.ended.is_none();
                    self.note_end();
                    return any;
                }
            }
        }
    }

    /// The sampler has nothing more to tell.
    fn note_end(&mut self) {
        if self.ended.is_some() {
            return;
        }
        let failed = self.sampler.take().is_some_and(|sampler| sampler.join().is_err());
        let program = self.program.as_mut().and_then(Background::ended).map(|ended| match ended.status {
            Status::Exited(code) => format!("ended: exit code {code}"),
            Status::Killed { signal, .. } => format!("ended: signal {signal}"),
        });
        let ending = self.model.program().map(|figures| figures.process.ending);
        let seen = match ending {
            _ if failed => "the sampler failed".to_owned(),
            Some(Ending::Exited(code)) => format!("ended: exit code {code}"),
            Some(Ending::Killed(signal)) => format!("ended: signal {signal}"),
            _ => "ended".to_owned(),
        };
        self.ended = Some(program.unwrap_or(seen));
    }

    /// Ends the sampling, and the program where it was started here; gives how that ended, if it did so by itself.
    fn finish(mut self) -> Option<Ended> {
        self.control.ended.store(true, Ordering::Release);
        if let Some(sampler) = self.sampler.take() {
            let _ = sampler.join();
        }
        let ended = self.program.as_mut().and_then(Background::ended);
        if let Some(program) = &mut self.program {
            program.end();
        }
        ended
    }

    /// What the program has written, as lines without anything that controls a terminal.
    fn output(&self) -> Option<Vec<String>> {
        let (bytes, forgotten) = self.program.as_ref()?.output();
        let text = String::from_utf8_lossy(&bytes);
        let mut lines: Vec<String> = text.lines().map(plain_line).collect();
        if forgotten > 0 {
            // The first one is cut somewhere.
            if let Some(first) = lines.first_mut() {
                "… (what came before is not kept)".clone_into(first);
            }
        }
        Some(lines)
    }
}

/// The choices that the command line has made.
fn choices(args: &TopArguments, watched: &Watched) -> Ui {
    let mode = match (args.gil, args.idle, args.mode) {
        (true, _, _) | (_, _, TopMode::Gil) => Mode::Gil,
        (_, true, _) | (_, _, TopMode::Wall) => Mode::Wall,
        (false, false, TopMode::Cpu) => Mode::Cpu,
    };
    Ui {
        page: if args.threads { Page::Threads } else { Page::Functions },
        mode,
        sort: Sort::of_word(&args.sort).unwrap_or_default(),
        full_filenames: args.full_filenames,
        has_output: watched.program.is_some(),
        ..Ui::default()
    }
}
