//! `naja record -p PID`: a process that runs already, and that nothing here starts or ends.

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use naja_profile::report::Facts;
use naja_profile::{Control, Observation, Recorder, Sampler, SamplerOptions, Sink, attach};
use naja_report::text;
use naja_system::{Failure, Interrupts, Result, machine, timer};

use super::{Plan, finish};
use crate::memory::beside::MemoryBeside;
use crate::run::report;
use crate::{ExitCode, print};

/// How often progress is shown and the end is looked for.
const LOOK_MS: u32 = 100;

/// The same until the first sample was taken, where somebody waits for it.
const LOOK_EARLY_MS: u32 = 1;

/// Samples a process until it ends, the time is over, or Ctrl-C.
pub(super) fn record(pid: u32, plan: &Plan) -> Result<ExitCode> {
    let attached = attach::open(pid)?;
    let mut interrupts = Interrupts::hold()
        .map_err(|error| Failure::new("cannot-attach", "cannot wait for Ctrl-C").caused_by(&error))?;
    let header = report::header(&attached.command, plan.interval_ns);
    let open = report::opener(
        plan.recording_path(),
        plan.recordings.as_deref(),
        &program_name(&attached.command),
        header,
    );
    let start_ns = timer::now_ns();
    let options = SamplerOptions {
        pid,
        start_ns,
        interval_ns: plan.interval_ns,
        subprocesses: plan.subprocesses,
        until_ns: plan.duration_ns.map(|duration_ns| start_ns.saturating_add(duration_ns)),
        attached: true,
        native: plan.native,
        tasks: plan.tasks,
    };
    let memory =
        plan.memory.then(|| MemoryBeside::attach(pid, plan.subprocesses, start_ns, plan.interval_ns));
    let mut memory = memory.transpose()?;
    let control = Arc::new(Control::default());
    let sampler = {
        let control = Arc::clone(&control);
        let thread = std::thread::Builder::new().name("sampler".to_owned());
        let mut sink: Box<dyn Sink> = Box::new(Recorder::start(open));
        if let Some(memory) = &mut memory {
            sink = memory.join(sink);
        }
        thread
            .spawn(move || Sampler::new(options, sink).run(&control))
            .map_err(|error| Failure::new("sampler-failed", "cannot start the sampler").caused_by(&error))?
    };
    let mut progress = Progress::new(plan, start_ns);
    let is_ready = AtomicBool::new(plan.ready.is_none());
    while !sampler.is_finished() {
        let look_ms = if is_ready.load(Ordering::Relaxed) { LOOK_MS } else { LOOK_EARLY_MS };
        if interrupts.wait(look_ms) {
            control.ended.store(true, Ordering::Release);
            break;
        }
        let sampled = control.ticks_sampled.load(Ordering::Acquire);
        if sampled > 0 && !is_ready.swap(true, Ordering::Relaxed) {
            tell_ready(plan);
        }
        progress.show(sampled);
    }
    let observation = sampler.join().ok();
    let wall_ns = timer::now_ns() - start_ns;
    progress.clear();
    if let Some(memory) = &mut memory {
        memory.end();
        memory.warnings().iter().for_each(|warning| print::line(&format!("warning: {warning}")));
    }
    let facts = facts(observation.as_ref(), attached.command, wall_ns);
    finish(observation, facts, plan)?;
    Ok(ExitCode::Done)
}

/// Who waits for the first sample may be gone: that is no reason to stop.
fn tell_ready(plan: &Plan) {
    if let Some(mut ready) = plan.ready.as_ref() {
        let _ = ready.write_all(b"1");
    }
}

fn facts(observation: Option<&Observation>, command: Vec<String>, wall_ns: u64) -> Facts {
    let processes = observation.map(|seen| seen.processes.as_slice()).unwrap_or_default();
    Facts {
        command,
        wall_ns,
        user_ns: processes.iter().map(|one| one.process.user_ns).sum(),
        system_ns: processes.iter().map(|one| one.process.system_ns).sum(),
        naja_cpu_ns: timer::own_cpu_ns(),
        cpu_count: machine::cpu_count(),
        memory_limit_bytes: machine::memory_limit_bytes(),
        ..Facts::default()
    }
}

/// What a person would call the program, for the name of its recording.
fn program_name(command: &[String]) -> String {
    let script = command.iter().skip(1).find(|word| !word.starts_with('-'));
    let word = script.or(command.first()).map_or("process", String::as_str);
    Path::new(word).file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// A line that is written over again and again, where somebody looks.
struct Progress {
    shown: bool,
    wanted: bool,
    start_ns: u64,
    duration_ns: Option<u64>,
    next_ns: u64,
}

/// The line changes this often.
const SHOW_NS: u64 = 500_000_000;

impl Progress {
    fn new(plan: &Plan, start_ns: u64) -> Progress {
        let wanted = !plan.quiet && !plan.json && io::stderr().is_terminal();
        Progress { shown: false, wanted, start_ns, duration_ns: plan.duration_ns, next_ns: start_ns }
    }

    fn show(&mut self, sampled: u64) {
        let now_ns = timer::now_ns();
        if !self.wanted || now_ns < self.next_ns {
            return;
        }
        self.next_ns = now_ns + SHOW_NS;
        self.shown = true;
        let seconds = (now_ns - self.start_ns) / 1_000_000_000;
        let end = match self.duration_ns {
            Some(duration_ns) if duration_ns < u64::MAX >> 1 => {
                format!(" of {} s", duration_ns.div_ceil(1_000_000_000))
            }
            _ => " s".to_owned(),
        };
        let line =
            format!("\rnaja  {seconds}{end}, {} samples; Ctrl-C ends and writes ", text::count(sampled));
        print::unfinished_line(&line);
    }

    /// The place of the line is what follows.
    fn clear(&self) {
        if self.shown {
            print::unfinished_line("\r\x1b[K");
        }
    }
}
