//! Which processes and threads the program has made, which became another program, and which ended.
//!
//! The kernel tells exactly where it may ([`ProcessEvents`]); elsewhere `/proc` is searched whenever the system
//! has made any process or thread, at most every two milliseconds. Either way a child becomes a process of the
//! recording only when it has lived for some milliseconds: a program that starts thousands of short commands
//! pays for counting them, not for looking at each. Start at [`Births::look`].

use std::fs::File;
use std::os::unix::fs::FileExt;

use naja_recording::{Ending, ProcessId};
use naja_system::process_events::{ProcessEvent, ProcessEvents};
use rustc_hash::FxHashMap;

use crate::orphans::Orphans;

/// New processes and threads are looked for at most this often: the kernel keeps its events meanwhile.
const EVENTS_NS: u64 = 4_000_000;

/// The same where `/proc` must be searched.
const SEARCH_NS: u64 = 2_000_000;

/// A child that lives this long becomes a process of the recording. Most children that execute a command have
/// done so by then, so that it is named as what it is.
const NAMED_AFTER_NS: u64 = 3_000_000;

/// What has happened since the last look, in an order in which it can be applied.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// Children that have lived for some milliseconds, parents before their children. Each is to be given a
    /// place ([`Births::named`]) below its [`Births::parent`], or to be let go ([`Births::forget`]).
    pub(crate) born: Vec<u32>,
    /// Processes that have new threads.
    pub(crate) with_threads: Vec<u32>,
    /// Processes that may have ended, and how.
    pub(crate) ended: Vec<(u32, Ending)>,
    /// Processes that became another program.
    pub(crate) executed: Vec<u32>,
    /// `/proc` must be searched: every process, also those that wait, for its
    /// children ([`Births::found`]) and threads.
    pub(crate) search: bool,
}

/// Follows the program's tree of processes.
#[derive(Debug)]
pub(crate) struct Births {
    events: Option<ProcessEvents>,
    newest: Newest,
    orphans: Orphans,
    again_at_ns: u64,
    /// Every process of the tree that lives.
    members: FxHashMap<u32, Member>,
    /// The members that have no place in the recording yet, in the order of their births.
    waiting: Vec<u32>,
    unnamed: u64,
    search: bool,
}

#[derive(Clone, Copy, Debug)]
enum Member {
    /// A process of the recording.
    Named(ProcessId),
    /// A child since `born_ns` of the process `parent`; `above` is the nearest process of the recording above it
    /// when it was born, for when `parent` never becomes one.
    Waiting { born_ns: u64, parent: u32, above: ProcessId },
}

impl Births {
    /// Follows the program in process `root`, which is process `id` of the recording.
    pub(crate) fn new(root: u32, id: ProcessId) -> Births {
        Births::with(ProcessEvents::listen().ok(), root, id)
    }

    fn with(events: Option<ProcessEvents>, root: u32, id: ProcessId) -> Births {
        Births {
            events,
            newest: Newest::new(),
            orphans: Orphans::default(),
            again_at_ns: 0,
            members: FxHashMap::from_iter([(root, Member::Named(id))]),
            waiting: Vec::new(),
            unnamed: 0,
            // What was born before the events began is searched for once.
            search: true,
        }
    }

    /// Whether [`Changes::executed`] is told; where it is not, the caller has to look.
    pub(crate) fn tells_of_execution(&self) -> bool {
        self.events.is_some()
    }

    /// Children that ended before they had a place in the recording.
    pub(crate) fn unnamed(&self) -> u64 {
        self.unnamed
    }

    /// What has happened since this was last asked. Cost: some 0.5 µs when nothing has.
    pub(crate) fn look(&mut self, now_ns: u64) -> Changes {
        let mut changes = Changes::default();
        if now_ns < self.again_at_ns {
            return changes;
        }
        match self.events.take() {
            Some(mut events) => {
                self.again_at_ns = now_ns.saturating_add(EVENTS_NS);
                self.search |= !events.drain(&mut |event| self.note(event, &mut changes));
                self.events = Some(events);
            }
            None => {
                self.search |= self.newest.has_changed();
                if self.search {
                    self.again_at_ns = now_ns.saturating_add(SEARCH_NS);
                    self.orphans.look_soon(now_ns);
                }
                for (orphan, maker) in self.orphans.look(now_ns, &mut self.members.keys().copied()) {
                    self.begin(orphan, maker, now_ns);
                }
            }
        }
        changes.search = std::mem::take(&mut self.search);
        self.name_waiting(now_ns, &mut changes);
        changes
    }

    /// What has happened up to the program's end: every child that lives now is told, however young.
    pub(crate) fn look_at_the_end(&mut self) -> Changes {
        self.again_at_ns = 0;
        self.look(u64::MAX)
    }

    /// Notes a child of a member that a search has found; it comes with a later look. Returns whether it is new.
    pub(crate) fn found(&mut self, child: u32, parent: u32, now_ns: u64) -> bool {
        let is_new = !self.members.contains_key(&child);
        if is_new {
            self.begin(child, parent, now_ns);
        }
        is_new
    }

    /// The process of the recording that a child which waits stands below: its parent, or who started that.
    pub(crate) fn parent(&self, child: u32) -> ProcessId {
        match self.members.get(&child) {
            Some(Member::Waiting { parent, above, .. }) => match self.members.get(parent) {
                Some(Member::Named(id)) => *id,
                _ => *above,
            },
            _ => 0,
        }
    }

    /// A child has its place in the recording.
    pub(crate) fn named(&mut self, child: u32, id: ProcessId) {
        self.members.insert(child, Member::Named(id));
    }

    /// A child that waits gets no place.
    pub(crate) fn forget(&mut self, child: u32) {
        self.members.remove(&child);
    }

    /// A process of the recording has ended; its number in the system may be another's by now.
    pub(crate) fn forget_ended(&mut self, pid: u32, id: ProcessId) {
        if matches!(self.members.get(&pid), Some(Member::Named(other)) if *other == id) {
            self.members.remove(&pid);
        }
    }

    /// Whether a child waits for its place in the recording.
    pub(crate) fn any_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// The members that wait for their place, to be searched for children too.
    pub(crate) fn waiting(&self) -> &[u32] {
        &self.waiting
    }

    fn note(&mut self, event: ProcessEvent, changes: &mut Changes) {
        match event {
            ProcessEvent::Forked { parent, child, at_ns } => self.begin(child, parent, at_ns),
            ProcessEvent::ThreadStarted { process } => {
                if self.is_named(process) && !changes.with_threads.contains(&process) {
                    changes.with_threads.push(process);
                }
            }
            ProcessEvent::Executed { process } => {
                if self.is_named(process) && !changes.executed.contains(&process) {
                    changes.executed.push(process);
                }
            }
            ProcessEvent::Ended { process, status, .. } => match self.members.get(&process) {
                Some(Member::Named(_)) => changes.ended.push((process, ending(status))),
                Some(Member::Waiting { .. }) => self.miss(process),
                None => {}
            },
        }
    }

    fn begin(&mut self, child: u32, parent: u32, born_ns: u64) {
        let above = match self.members.get(&parent) {
            Some(Member::Named(id)) => *id,
            Some(Member::Waiting { above, .. }) => *above,
            None => return,
        };
        self.members.insert(child, Member::Waiting { born_ns, parent, above });
        self.waiting.push(child);
    }

    fn is_named(&self, process: u32) -> bool {
        matches!(self.members.get(&process), Some(Member::Named(_)))
    }

    /// A child has ended before it had a place.
    fn miss(&mut self, process: u32) {
        self.members.remove(&process);
        self.waiting.retain(|other| *other != process);
        self.unnamed += 1;
    }

    fn name_waiting(&mut self, now_ns: u64, changes: &mut Changes) {
        let waiting = std::mem::take(&mut self.waiting);
        for pid in waiting {
            let Some(Member::Waiting { born_ns, .. }) = self.members.get(&pid) else { continue };
            if now_ns.saturating_sub(*born_ns) < NAMED_AFTER_NS {
                self.waiting.push(pid);
            } else if is_alive(pid) {
                changes.born.push(pid);
            } else {
                self.members.remove(&pid);
                self.unnamed += 1;
            }
        }
    }
}

fn ending(status: i32) -> Ending {
    match status & 0x7f {
        0 => Ending::Exited(status >> 8 & 0xff),
        signal => Ending::Killed(signal),
    }
}

/// Whether a process is there and no zombie.
fn is_alive(pid: u32) -> bool {
    let stat = std::fs::read(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name before the state is in parentheses and may hold any byte.
    let state = stat.iter().rposition(|byte| *byte == b')').and_then(|end| stat.get(end + 2));
    !matches!(state, None | Some(b'Z' | b'X'))
}

/// The children of a process, of all its threads.
pub(crate) fn children(pid: u32) -> impl Iterator<Item = u32> {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    threads.flat_map(|thread| {
        let text = std::fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        let pids = text.split_ascii_whitespace().filter_map(|pid| pid.parse().ok());
        // A program that has itself profiled is naja's parent.
        pids.filter(|pid| *pid != std::process::id()).collect::<Vec<u32>>()
    })
}

/// Notices that the system has made a process or a thread: the newest number it has given has changed.
#[derive(Debug)]
struct Newest {
    loadavg: Option<File>,
    number: [u8; 12],
}

impl Newest {
    fn new() -> Newest {
        Newest { loadavg: File::open("/proc/loadavg").ok(), number: [0; 12] }
    }

    fn has_changed(&mut self) -> bool {
        let mut text = [0; 128];
        let Some(Ok(len)) = self.loadavg.as_ref().map(|file| file.read_at(&mut text, 0)) else {
            return true;
        };
        // Load averages, running/all, and last the newest number.
        let mut number = [0; 12];
        let word = text[..len].rsplit(|byte| *byte == b' ').next().unwrap_or_default();
        let len = word.len().min(number.len());
        number[..len].copy_from_slice(&word[..len]);
        let changed = number != self.number;
        self.number = number;
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: u32 = u32::MAX;

    /// Applies events to the tree of process `ROOT`, then looks at `now_ns`.
    fn after(events: &[ProcessEvent], now_ns: u64) -> (Births, Changes) {
        let mut births = Births::with(None, ROOT, 1);
        let mut changes = Changes::default();
        for event in events {
            births.note(*event, &mut changes);
        }
        births.name_waiting(now_ns, &mut changes);
        (births, changes)
    }

    fn forked(parent: u32, child: u32) -> ProcessEvent {
        ProcessEvent::Forked { parent, child, at_ns: 0 }
    }

    fn ended(process: u32) -> ProcessEvent {
        ProcessEvent::Ended { process, status: 0, at_ns: 0 }
    }

    #[test]
    fn a_child_whose_parent_is_gone_belongs_to_the_tree() {
        let own = std::process::id();
        let daemon = [forked(ROOT, ROOT - 1), forked(ROOT - 1, own), ended(ROOT - 1)];
        let (births, changes) = after(&daemon, NAMED_AFTER_NS);
        assert_eq!((changes.born, births.parent(own), births.unnamed()), (vec![own], 1, 1));
    }

    #[test]
    fn short_children_are_counted_and_strangers_are_not() {
        let short: Vec<ProcessEvent> =
            (2..502).flat_map(|number| [forked(ROOT, ROOT - number), ended(ROOT - number)]).collect();
        let strangers = [forked(7, ROOT - 1), ended(ROOT - 1), ProcessEvent::Executed { process: 7 }];
        let (births, changes) = after(&[short, strangers.to_vec()].concat(), u64::MAX);
        assert_eq!(births.unnamed(), 500);
        assert!(changes.born.is_empty() && changes.executed.is_empty());
        assert_eq!(births.members.len(), 1, "nothing is kept of what has ended");
    }

    #[test]
    fn a_young_child_waits_and_one_that_vanished_is_counted() {
        let (births, changes) = after(&[forked(ROOT, ROOT - 1)], NAMED_AFTER_NS - 1);
        assert_eq!((changes.born.len(), births.waiting(), births.unnamed()), (0, &[ROOT - 1][..], 0));
        let (births, changes) = after(&[forked(ROOT, ROOT - 1)], NAMED_AFTER_NS);
        assert_eq!((changes.born.len(), births.waiting().len(), births.unnamed()), (0, 0, 1));
    }

    #[test]
    fn endings_are_told_as_wait_tells_them() {
        assert_eq!(ending(0), Ending::Exited(0));
        assert_eq!(ending(3 << 8), Ending::Exited(3));
        assert_eq!(ending(9), Ending::Killed(9));
        assert_eq!(ending(0x80 | 11), Ending::Killed(11));
    }

    #[test]
    fn a_child_is_found_in_proc() {
        let mut newest = Newest::new();
        newest.has_changed();
        let mut child = std::process::Command::new("sleep").arg("60").spawn().expect("sleep is there");
        assert!(newest.has_changed());
        assert!(children(std::process::id()).any(|pid| pid == child.id()));
        assert!(is_alive(child.id()));
        child.kill().expect("it lives");
        while is_alive(child.id()) {}
        child.wait().expect("it ends");
        assert!(!is_alive(child.id()));
    }
}
