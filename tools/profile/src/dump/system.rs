//! The threads of a process as the system lists them, with what each is doing.

use naja_cpython::core_file::CoreFile;

use crate::os_thread::{Activity, OsThread};
use crate::process_status::{ProcessStatus, inner_number, read_line};

/// A thread as the system has it.
#[derive(Clone, Debug)]
pub(super) struct SystemThread {
    /// Its number as seen from here.
    pub(super) outer_tid: u32,
    /// Its number as the process itself sees it, which differs in a container.
    pub(super) inner_tid: u32,
    /// The system's name for it.
    pub(super) name: String,
    pub(super) activity: Activity,
    pub(super) stopped: bool,
    /// The signal that ended the process in it.
    pub(super) signal: Option<u32>,
}

/// All threads of a process, the main one first; none when it is gone.
pub(super) fn threads(pid: u32) -> Vec<SystemThread> {
    let entries = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let mut tids: Vec<u32> = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    tids.sort_by_key(|tid| (*tid != pid, *tid));
    let contained = ProcessStatus::of(pid).is_some_and(|status| status.is_contained);
    tids.into_iter().filter_map(|tid| thread(pid, tid, contained)).collect()
}

/// Signals that stop a process without an end: what a debugger notes when it writes a core of a living one.
const STOPPING: [u32; 3] = [0, 5, 19];

/// The threads that a core file lists, the main one first. What they were doing is not in it.
pub(super) fn threads_of_core(core: &CoreFile) -> Vec<SystemThread> {
    let mut threads: Vec<SystemThread> = core
        .threads()
        .iter()
        .enumerate()
        .map(|(index, thread)| SystemThread {
            outer_tid: thread.tid,
            inner_tid: thread.tid,
            name: String::new(),
            activity: Activity::Unknown,
            stopped: false,
            // All carry the signal; the first is the one that got it.
            signal: (index == 0 && !STOPPING.contains(&thread.signal)).then_some(thread.signal),
        })
        .collect();
    threads.sort_by_key(|thread| thread.outer_tid != core.pid());
    threads
}

fn thread(pid: u32, tid: u32, contained: bool) -> Option<SystemThread> {
    let activity = OsThread::open(pid, tid)?.look();
    let folder = format!("/proc/{pid}/task/{tid}");
    let letter = state_letter(&format!("{folder}/stat"));
    let inner_tid = if contained { inner_number(pid, tid).unwrap_or(tid) } else { tid };
    Some(SystemThread {
        outer_tid: tid,
        inner_tid,
        name: read_line(&format!("{folder}/comm")),
        activity: match (activity, letter) {
            // Where the call is kept from this user, whether it runs is still told.
            (Activity::Unknown, 'R') => Activity::Running,
            (activity, _) => activity,
        },
        stopped: matches!(letter, 'T' | 't'),
        signal: None,
    })
}

fn state_letter(path: &str) -> char {
    let stat = std::fs::read(path).unwrap_or_default();
    let after_name = stat.iter().rposition(|byte| *byte == b')').and_then(|end| stat.get(end + 2));
    after_name.map_or('?', |letter| char::from(*letter))
}
