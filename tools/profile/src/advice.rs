//! What follows from the figures of a run; nothing where nothing follows.
//!
//! Each rule has its threshold beside it and names the figure that it rests on. No rule looks at anything
//! but the report.

use naja_report::text::{bytes, duration, percent};
use serde::{Deserialize, Serialize};

use crate::observation::Observation;
use crate::report::{Facts, HotReport, ProcessReport, Report, Shares, ThreadReport};

/// One line of advice.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Advice {
    /// The rule's stable name.
    pub name: String,
    /// The sentence, with the figure that it rests on.
    pub text: String,
}

/// Runs shorter than this say little about what holds a program up.
const WALL_MIN_S: f64 = 0.3;

pub(crate) fn advise(report: &Report, observation: &Observation, facts: &Facts) -> Vec<Advice> {
    let mut advice = Vec::new();
    if report.wall_s >= WALL_MIN_S
        && let Some(program) = report.processes.first()
    {
        let enough = observation.processes[0].ticks.iter().sum::<u64>() >= 100;
        if enough && !program.interpreter.is_empty() {
            advice.extend(waiting(report, program));
            advice.extend(gil(program));
            advice.extend(python(report, program, facts));
            advice.extend(imports(report));
            advice.extend(collector(program));
        }
    }
    advice.extend(cores(report, facts));
    advice.extend(memory(report, facts));
    advice
}

fn line(name: &str, text: String) -> Option<Advice> {
    Some(Advice { name: name.to_owned(), text })
}

fn place(hot: &HotReport) -> String {
    let file = hot.file.rsplit('/').next().unwrap_or(&hot.file);
    format!("`{}` ({file}:{})", hot.function, hot.line)
}

/// Waiting for most of the time.
fn waiting(report: &Report, program: &ProcessReport) -> Option<Advice> {
    const SHARE_MIN: f64 = 0.5;
    let shares = &program.shares;
    if shares.io_wait >= SHARE_MIN {
        let text = format!(
            "bound by waiting: {} of the time nothing ran and I/O was awaited{}. Threads or asyncio let \
             such waits overlap",
            percent(shares.io_wait),
            longest(report, |shares| shares.io_wait)
        );
        return line("bound-by-io", text);
    }
    if shares.sleep >= SHARE_MIN {
        let longest = longest(report, |shares| shares.sleep);
        let text = format!("asleep for {} of the time{longest}", percent(shares.sleep));
        return line("bound-by-sleep", text);
    }
    if shares.child_wait >= SHARE_MIN {
        let text = format!(
            "bound by its children: {} of the time the program waited for one to end; their own lines say where \
             theirs goes",
            percent(shares.child_wait)
        );
        return line("bound-by-children", text);
    }
    if shares.lock_wait >= SHARE_MIN {
        let text = format!(
            "bound by locks: {} of the time every thread waited for one{}",
            percent(shares.lock_wait),
            longest(report, |shares| shares.lock_wait)
        );
        return line("bound-by-locks", text);
    }
    None
}

/// The line that most of the waiting of one kind is sure to be in; else nothing.
///
/// Of a line's waiting the report does not say the kind. So much of it as exceeds all waiting of the other kinds is
/// of this one.
fn longest(report: &Report, kind: fn(&Shares) -> f64) -> String {
    let threads = || report.processes.iter().flat_map(|process| &process.threads);
    let waited = |thread: &ThreadReport| {
        let shares = &thread.shares;
        shares.gil_wait + shares.io_wait + shares.lock_wait + shares.sleep + shares.child_wait
    };
    let of_kind: f64 = threads().map(|thread| kind(&thread.shares) * thread.wall_s).sum();
    let all: f64 = threads().map(|thread| waited(thread) * thread.wall_s).sum();
    let sure = |hot: &&HotReport| hot.own_s - (all - of_kind) > 0.5 * of_kind;
    report.waits.first().filter(sure).map(|hot| format!("; most of it in {}", place(hot))).unwrap_or_default()
}

/// Threads that stand in each other's way.
fn gil(program: &ProcessReport) -> Option<Advice> {
    /// Of the time in which threads could have run, this much was spent waiting for the GIL.
    const SHARE_MIN: f64 = 0.2;
    let seconds = |part: fn(&crate::report::Shares) -> f64| -> f64 {
        program.threads.iter().map(|thread| part(&thread.shares) * thread.wall_s).sum()
    };
    let waited = seconds(|shares| shares.gil_wait);
    let ran = seconds(|shares| shares.python + shares.native);
    let share = waited / (waited + ran).max(f64::MIN_POSITIVE);
    if share < SHARE_MIN || program.wall_s < WALL_MIN_S {
        return None;
    }
    let text = format!(
        "bound by the GIL: threads spent {} waiting for it, {} of the time in which they had work. Processes, or \
         native code that releases the GIL, would run side by side",
        duration((waited * 1e9) as u64),
        percent(share)
    );
    line("bound-by-gil", text)
}

/// One core's worth of bytecode.
fn python(report: &Report, program: &ProcessReport, facts: &Facts) -> Option<Advice> {
    const SHARE_MIN: f64 = 0.6;
    /// Bytecode that calls many small C functions: seldom at rest, and not in any one of them for long.
    const MIXED_SHARE_MIN: f64 = 0.4;
    const RUNNING_MIN: f64 = 0.8;
    const CORES_MAX: f64 = 1.2;
    let cores = (report.user_s + report.system_s) / report.wall_s.max(f64::MIN_POSITIVE);
    let shares = &program.shares;
    let is_mixed = shares.python >= MIXED_SHARE_MIN && shares.running() >= RUNNING_MIN;
    if !(is_mixed || shares.python >= SHARE_MIN) || cores > CORES_MAX {
        return None;
    }
    let hottest = report.functions.iter().find(|hot| hot.own_share >= 0.1);
    let where_to = match hottest {
        Some(hot) => {
            format!("a native module pays most for {}: {} of the work", place(hot), percent(hot.own_share))
        }
        None => match largest_part(report) {
            Some(part) => {
                let share = percent(part.total_share);
                format!("no single function stands out; {} with all that it calls takes {share}", place(part))
            }
            None => "no single function stands out".to_owned(),
        },
    };
    // What has no core of its own gains nothing from asking for more.
    let remedy = match self::cores(report, facts) {
        None => "Processes use the other cores; ",
        Some(_) => "Here ",
    };
    let text = format!(
        "bound by Python on one core: {} of the time it ran bytecode, with {} of {} busy. {remedy}{where_to}",
        percent(program.shares.python),
        format_args!("{cores:.1}"),
        core_count(facts.cpu_count)
    );
    line("bound-by-python", text)
}

/// The function that, with what it calls, takes most of the time but not nearly all of it.
fn largest_part(report: &Report) -> Option<&HotReport> {
    let parts = report.functions.iter().filter(|hot| (0.2..0.8).contains(&hot.total_share));
    parts.max_by(|a, b| a.total_share.total_cmp(&b.total_share))
}

/// A machine that is busy with other things.
fn cores(report: &Report, facts: &Facts) -> Option<Advice> {
    /// Of the time in which the program could have run, this much it had no core.
    const SHARE_MIN: f64 = 0.2;
    let threads = || report.processes.iter().flat_map(|process| &process.threads);
    let ready: f64 = threads().map(|thread| thread.ready_s).sum();
    let ran: f64 = threads().map(|thread| thread.cpu_s).sum();
    let share = ready / (ready + ran).max(f64::MIN_POSITIVE);
    if share < SHARE_MIN || report.wall_s < WALL_MIN_S {
        return None;
    }
    let text = format!(
        "short of cores: the program was ready to run but had no core for {}, {} of the time in which it could \
         have run on this machine of {}",
        duration((ready * 1e9) as u64),
        percent(share),
        core_count(facts.cpu_count)
    );
    line("short-of-cores", text)
}

fn core_count(count: u32) -> String {
    if count == 1 { "1 core".to_owned() } else { format!("{count} cores") }
}

/// Imports that take long.
fn imports(report: &Report) -> Option<Advice> {
    const SHARE_MIN: f64 = 0.25;
    const SECONDS_MIN: f64 = 0.1;
    let import = report.imports_s;
    let share = import / report.wall_s.max(f64::MIN_POSITIVE);
    if share < SHARE_MIN || import < SECONDS_MIN {
        return None;
    }
    let text = format!(
        "bound by imports: {} of {} went into loading modules. Importing inside the functions that need them \
         puts it off; `python -X importtime` lists them",
        duration((import * 1e9) as u64),
        duration((report.wall_s * 1e9) as u64)
    );
    line("bound-by-imports", text)
}

/// A collector that works too much.
fn collector(program: &ProcessReport) -> Option<Advice> {
    const SHARE_MIN: f64 = 0.1;
    let thread = program.threads.iter().max_by(|a, b| (a.gc * a.wall_s).total_cmp(&(b.gc * b.wall_s)))?;
    if thread.gc < SHARE_MIN {
        return None;
    }
    let text = format!(
        "the collector ran for {} of the time of `{}`. `gc.freeze()` after start-up, or a higher \
         `gc.set_threshold`, makes it run less often",
        percent(thread.gc),
        thread.name
    );
    line("bound-by-collector", text)
}

/// Memory that nears what there is.
fn memory(report: &Report, facts: &Facts) -> Option<Advice> {
    const SHARE_MIN: f64 = 0.7;
    let highest = report.memory_course_bytes.iter().copied().max().unwrap_or(0).max(report.peak_rss_bytes);
    let share = highest as f64 / facts.memory_limit_bytes as f64;
    if facts.memory_limit_bytes == 0 || share < SHARE_MIN {
        return None;
    }
    let text = format!(
        "near the end of memory: at its peak it held {}, {} of the {} there are. Working through the data in \
         pieces keeps it below",
        bytes(highest),
        percent(share),
        bytes(facts.memory_limit_bytes)
    );
    line("bound-by-memory", text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_named_only_where_most_of_the_waiting_is_sure_to_be_in_it() {
        let check = |own_s: f64, sleep: f64, gil_wait: f64, expected: &str| {
            let thread = ThreadReport {
                wall_s: 10.0,
                shares: Shares { sleep, gil_wait, ..Shares::default() },
                ..Default::default()
            };
            let report = Report {
                processes: vec![ProcessReport { threads: vec![thread], ..Default::default() }],
                waits: vec![HotReport { function: "nap".to_owned(), line: 7, own_s, ..Default::default() }],
                ..Report::default()
            };
            assert_eq!(longest(&report, |shares| shares.sleep), expected);
        };
        check(3.0, 0.4, 0.0, "; most of it in `nap` (:7)");
        check(3.0, 0.4, 0.2, "");
        check(3.0, 0.8, 0.0, "");
    }
}
