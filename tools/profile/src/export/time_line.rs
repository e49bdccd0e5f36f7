//! What the formats with a time line share: a thread's samples as segments of time, those that wait among them.

use naja_recording::{Run, State, Thread, Tick};
use naja_system::Failure;

use super::content::Content;
use super::options::Mode;

/// A gap of so few ticks is a missed sample, and what was there before is taken to have gone on.
const BRIDGED_TICKS: Tick = 5;

/// A stretch of time in which a thread did one thing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment {
    pub(super) from: Tick,
    pub(super) until: Tick,
    pub(super) run: Run,
}

impl Segment {
    pub(super) fn ticks(&self) -> Tick {
        self.until - self.from
    }
}

/// What [`threads`] gives each thread to.
pub(super) type EachThread<'e> = dyn FnMut(&Thread, &[Segment]) -> Result<(), Failure> + 'e;

/// Gives each thread that has segments with all of them, in order of time.
///
/// By mode: all states; those on a processor; those with the GIL.
pub(super) fn threads(content: &Content<'_>, each: &mut EachThread<'_>) -> Result<(), Failure> {
    let mut now: Option<(Thread, Vec<Segment>)> = None;
    content.stretches(&mut |thread, stretch| {
        if !is_shown(content, &stretch.run) {
            return Ok(());
        }
        let done = match &now {
            Some((before, segments)) if before.id != thread.id => each(before, segments),
            _ => Ok(()),
        };
        if now.as_ref().is_none_or(|(before, _)| before.id != thread.id) {
            now = Some((thread.clone(), Vec::new()));
        }
        let until = stretch.first_tick + Tick::from(stretch.run.ticks);
        let segment = Segment { from: stretch.first_tick, until, run: stretch.run };
        if let Some((_, segments)) = &mut now {
            segments.push(segment);
        }
        done
    })?;
    now.map_or(Ok(()), |(thread, segments)| each(&thread, &segments))
}

fn is_shown(content: &Content<'_>, run: &Run) -> bool {
    match content.options.stacks.mode() {
        _ if run.state == State::Lost => false,
        Mode::Wall => run.node != 0 || is_running(run),
        Mode::Cpu => is_running(run),
        Mode::Gil => run.gil,
    }
}

/// On a processor.
pub(super) fn is_running(run: &Run) -> bool {
    matches!(run.state, State::Python | State::Native)
}

/// The same segments, each prolonged over missed samples to the one after it.
pub(super) fn bridged(segments: &[Segment]) -> Vec<Segment> {
    let mut bridged = segments.to_vec();
    for index in 1..bridged.len() {
        let next = bridged[index].from;
        let before = &mut bridged[index - 1];
        if next - before.until <= BRIDGED_TICKS {
            before.until = next;
        }
    }
    bridged
}

/// From when until when something held, neighbours joined.
pub(super) fn spans(segments: &[Segment], holds: impl Fn(&Run) -> bool) -> Vec<(Tick, Tick)> {
    let mut spans: Vec<(Tick, Tick)> = Vec::new();
    for segment in segments.iter().filter(|segment| holds(&segment.run)) {
        match spans.last_mut() {
            Some((_, until)) if *until == segment.from => *until = segment.until,
            _ => spans.push((segment.from, segment.until)),
        }
    }
    spans
}

/// What a thread that does not run does; `None` while it runs.
pub(super) fn waiting(state: State) -> Option<&'static str> {
    match state {
        State::Lost | State::Python | State::Native => None,
        State::GilWait => Some("waiting for the GIL"),
        State::IoWait => Some("waiting for input or output"),
        State::LockWait => Some("waiting for a lock"),
        State::Sleep => Some("asleep"),
        State::ChildWait => Some("waiting for a child process"),
        State::Stopped => Some("stopped"),
    }
}
