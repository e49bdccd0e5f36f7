//! `naja record -- PROGRAM`: started as `naja run` starts it, and ended when the time is over.

use std::ffi::OsString;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use naja_profile::{Control, SamplerOptions};
use naja_system::{Child, Failure, Observer, Result, Session, timer};

use super::{Plan, finish};
use crate::ExitCode;
use crate::memory::beside::MemoryBeside;
use crate::run::observer::SamplingObserver;
use crate::run::target::{Target, Words};
use crate::run::{cannot_start, interpreter, report};

/// Starts a program and samples it. Ends as the program ends, unless that was naja's doing.
pub(super) fn record(program: Vec<OsString>, plan: Plan) -> Result<ExitCode> {
    if plan.output.as_ref().is_some_and(super::Output::is_stdout) {
        return Err(Failure::new("usage", "standard output is the program's")
            .hint("`-o FILE`, or `-p PID` for a process that was started before"));
    }
    let interpreter = interpreter::find(plan.python.as_deref());
    let mut words = Words { module: None, code: None, rest: program };
    let target = Target::resolve(&mut words, interpreter.as_ref().ok(), false)?;
    let program_name = target.name();
    let mut launch = target.launch(interpreter, Vec::new(), words.rest)?;
    let memory = plan.memory.then(MemoryBeside::prepare).transpose()?;
    let memory = memory.map(|(memory, environment)| {
        launch.environment.extend(environment);
        memory
    });
    let command: Vec<String> =
        launch.arguments.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let header = report::header(&command, plan.interval_ns);
    let open = report::opener(plan.recording_path(), plan.recordings.as_deref(), &program_name, header);

    let session = Session::prepare().map_err(|error| cannot_start(&launch, &error))?;
    let (interval_ns, subprocesses, duration_ns) = (plan.interval_ns, plan.subprocesses, plan.duration_ns);
    let (native, tasks) = (plan.native, plan.tasks);
    let inner = SamplingObserver::new(open, move |child| SamplerOptions {
        subprocesses,
        native,
        tasks,
        until_ns: duration_ns.map(|duration_ns| timer::now_ns().saturating_add(duration_ns)),
        ..SamplerOptions::of_program(child.pid, child.started_ns, interval_ns)
    })
    .with_memory(memory);
    let mut observer = Timed { control: inner.control(), inner, ended_by_itself: false };
    let ended = session.run(&launch, &mut observer).map_err(|error| cannot_start(&launch, &error))?;

    let ended_by_itself = observer.ended_by_itself;
    finish(observer.inner.into_observation(), report::facts(&ended, command, None), &plan)?;
    if ended_by_itself {
        ended.end_alike();
    }
    Ok(ExitCode::Done)
}

/// Notes whether the program ended before the sampler did.
struct Timed {
    inner: SamplingObserver,
    control: Arc<Control>,
    ended_by_itself: bool,
}

impl Observer for Timed {
    fn started(&mut self, child: &Child) {
        self.inner.started(child);
    }

    fn stopped(&mut self) {
        self.inner.stopped();
    }

    fn continued(&mut self) {
        self.inner.continued();
    }

    fn ended(&mut self) {
        self.ended_by_itself = !self.control.time_over.load(Ordering::Acquire);
        self.inner.ended();
    }
}
