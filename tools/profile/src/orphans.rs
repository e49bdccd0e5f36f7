//! Finds processes of the program whose parents are gone, where the system does not tell of births: daemons.
//!
//! A daemon is made by two forks in a row, and what is between them lives for a millisecond or two: searching for
//! children of children mostly comes too late. But a fork copies its parent's address space, and the system
//! chooses the places of code, stack and heap at random for each program that is executed. So a stranger
//! with exactly the places of a known process was forked from it, or from one of its forks. What executed another
//! program before it was seen is not found. Start at [`Orphans::look`].

use rustc_hash::{FxHashMap, FxHashSet};

/// So long after a birth strangers are looked at, and so long after that again: a daemon lives long, and its
/// parents are gone by then.
const AFTER_NS: u64 = 20_000_000;
const GAP_NS: u64 = 100_000_000;

/// Places of programs that are kept; a program that starts so many kinds of others makes no daemon of each.
const PLACES_MAX: usize = 4096;

/// Where a program's code, stack, heap, arguments and environment lie.
type Places = [u64; 5];

/// Looks for forks of known processes among all processes of the system.
#[derive(Debug, Default)]
pub(crate) struct Orphans {
    due_ns: Option<u64>,
    looked_ns: u64,
    /// Places of every process that was ever seen to be of the tree, and its number.
    places: FxHashMap<Places, u32>,
    /// Processes that are known by their places, or known to be strangers.
    seen: FxHashSet<u32>,
}

impl Orphans {
    /// The system has made a process: strangers are to be looked at soon.
    pub(crate) fn look_soon(&mut self, now_ns: u64) {
        let soon = now_ns.saturating_add(AFTER_NS).max(self.looked_ns.saturating_add(GAP_NS));
        self.due_ns.get_or_insert(soon);
    }

    /// Processes that were forked from members of the tree and are none yet, each with the member.
    ///
    /// Cost: nothing until it is due; then one look at each process of the system that is new, some 10 µs.
    pub(crate) fn look(&mut self, now_ns: u64, members: &mut dyn Iterator<Item = u32>) -> Vec<(u32, u32)> {
        if self.due_ns.is_none_or(|due| now_ns < due) || !places_are_random() {
            return Vec::new();
        }
        self.due_ns = None;
        self.looked_ns = now_ns;
        let members: FxHashSet<u32> = members.collect();
        for &member in &members {
            if self.places.len() < PLACES_MAX
                && let Some(places) = places(member)
            {
                self.places.entry(places).or_insert(member);
            }
        }
        let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let living: FxHashSet<u32> =
            entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
        self.seen.retain(|pid| living.contains(pid));
        let mut found = Vec::new();
        for pid in living.difference(&members) {
            if self.seen.insert(*pid)
                && let Some(places) = places(*pid)
                && let Some(member) = self.places.get(&places)
            {
                found.push((*pid, *member));
            }
        }
        found
    }
}

/// Whether the system chooses places at random for each program; else those of strangers are equal too.
fn places_are_random() -> bool {
    const ADDR_NO_RANDOMIZE: u32 = 0x0040_0000;
    let system = std::fs::read_to_string("/proc/sys/kernel/randomize_va_space").unwrap_or_default();
    let own = std::fs::read_to_string("/proc/self/personality").unwrap_or_default();
    let own = u32::from_str_radix(own.trim(), 16);
    system.trim() == "2" && own.is_ok_and(|own| own & ADDR_NO_RANDOMIZE == 0)
}

/// Of a process that may be read; `None` of all others, whose places the system tells as 0 or 1.
fn places(pid: u32) -> Option<Places> {
    let stat = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    let stat = String::from_utf8_lossy(&stat);
    // The name may hold any character. Fields are counted from 1, the first one after it is the third.
    let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split_ascii_whitespace().collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    let places = [field(26)?, field(28)?, field(47)?, field(48)?, field(50)?];
    places.iter().all(|place| *place > 1).then_some(places)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_daemon_is_found_by_the_places_it_has_in_common_with_its_maker() {
        let Some(python) = naja_testkit::interpreters::interpreters().last() else {
            return naja_testkit::not_tested("daemons: there is no CPython from 3.8 on");
        };
        // Two forks in a row; the daemon ends when the program does, which closes the pipe.
        let target = naja_testkit::target::Target::start(
            python,
            "
import os, sys
life, alive = os.pipe()
told, tell = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.close(alive)
        os.write(tell, str(os.getpid()).encode())
        os.read(life, 1)
    os._exit(0)
os.wait()
print(os.read(told, 20).decode(), flush=True)
sys.stdin.read()
",
        );
        let daemon = u32::try_from(target.ready().as_u64().expect("a number")).expect("a process's number");
        let mut orphans = Orphans::default();
        let members = [target.pid()];
        let look = |orphans: &mut Orphans, now_ns| orphans.look(now_ns, &mut members.into_iter());
        assert_eq!(look(&mut orphans, 0), [], "nothing was born");
        orphans.look_soon(0);
        assert_eq!(look(&mut orphans, AFTER_NS - 1), [], "it is not due yet");
        let expected = if places_are_random() { vec![(daemon, target.pid())] } else { Vec::new() };
        assert_eq!(look(&mut orphans, u64::MAX), expected);
        orphans.look_soon(u64::MAX);
        assert_eq!(look(&mut orphans, u64::MAX), [], "it is found once");
    }

    #[test]
    fn a_program_of_its_own_is_a_stranger() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().expect("sleep is there");
        let mut orphans = Orphans::default();
        orphans.look_soon(0);
        let found = orphans.look(u64::MAX, &mut [std::process::id()].into_iter());
        assert!(found.iter().all(|(pid, _)| *pid != child.id()), "{found:?}");
        child.kill().expect("it lives");
        child.wait().expect("it ends");
    }
}
