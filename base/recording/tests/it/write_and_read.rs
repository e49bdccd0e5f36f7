//! What goes in comes out.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use naja_recording::*;

use crate::samples::{Numbers, busy, header, idle, program};

/// Every sample, tick by tick.
type Ticks = BTreeMap<(ThreadId, Tick), Run>;

fn ticks_of(all: &[ThreadRuns]) -> Ticks {
    let mut ticks = Ticks::new();
    for runs in all {
        let mut tick = runs.first_tick;
        for run in &runs.runs {
            for _ in 0..run.ticks {
                let old = ticks.insert((runs.thread, tick), Run { ticks: 1, ..*run });
                assert_eq!(old, None, "tick {tick} of thread {} twice", runs.thread);
                tick += 1;
            }
        }
    }
    ticks
}

fn read_ticks(reader: &Reader<'_>) -> Ticks {
    let mut all = Vec::new();
    reader.runs(&mut |runs| all.push(runs)).unwrap();
    let order: Vec<_> = all.iter().map(|runs| (runs.thread, runs.first_tick)).collect();
    assert!(order.is_sorted());
    ticks_of(&all)
}

/// Twenty seconds: a busy thread, an idle one, one that comes and goes.
fn write_all(writer: &mut Writer) -> (Batch, Ticks) {
    let mut numbers = Numbers::new(7);
    let mut everything = program(3, 1000);
    let mut runs = Vec::new();
    for step in 0..80u64 {
        let first_tick = step * 250;
        let mut batch = Batch {
            until_tick: first_tick + 250,
            metrics: vec![Metric { tick: first_tick, process: 1, cpu_ns: step * 1_000, rss_bytes: 1 << 20 }],
            ..Batch::default()
        };
        if step == 0 {
            let first = program(3, 500);
            batch.processes = first.processes;
            batch.threads = first.threads;
            batch.functions = first.functions;
            batch.nodes = first.nodes;
        } else if step == 40 {
            batch.nodes = everything.nodes[500..].to_vec();
        }
        let nodes = if step < 40 { 500 } else { 1000 };
        batch.runs.push(ThreadRuns { thread: 1, first_tick, runs: busy(&mut numbers, 250, nodes) });
        batch.runs.push(ThreadRuns {
            thread: 2,
            first_tick,
            runs: idle(250, if step == 60 { 4 } else { 3 }),
        });
        if step % 7 < 3 {
            batch.runs.push(ThreadRuns {
                thread: 3,
                first_tick: first_tick + 10,
                runs: idle(240 - (step % 2) as u32, 0),
            });
        }
        writer.write(&batch).unwrap();
        runs.extend(batch.runs);
        everything.metrics.extend(batch.metrics);
    }
    let sources =
        vec![Source { file: "/srv/file1.py".to_owned(), text: "def f1():\n    return 'ä'\n".repeat(100) }];
    writer.write(&Batch { sources: sources.clone(), until_tick: 20_000, ..Batch::default() }).unwrap();
    everything.sources = sources;
    (everything, ticks_of(&runs))
}

#[track_caller]
fn check_content(reader: &Reader<'_>, everything: &Batch, ticks: &Ticks) {
    assert_eq!(reader.header(), &header());
    assert_eq!(reader.until_tick(), 20_000);
    assert_eq!(reader.processes().unwrap(), everything.processes);
    assert_eq!(reader.threads().unwrap(), everything.threads);
    assert_eq!(reader.functions().unwrap(), everything.functions);
    assert_eq!(reader.nodes().unwrap(), everything.nodes);
    assert_eq!(reader.metrics().unwrap(), everything.metrics);
    assert_eq!(reader.sources().unwrap(), everything.sources);
    assert_eq!(reader.dropped(), Dropped::default());
    assert!(read_ticks(reader) == *ticks, "samples differ");
}

fn files_in(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn what_is_written_is_read_and_one_private_file_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.naja");
    let mut writer = Writer::create(&path, &header()).unwrap();
    let (everything, ticks) = write_all(&mut writer);

    let live = Reader::open(&path).unwrap();
    assert!(live.is_live() && !live.is_complete());
    check_content(&live, &everything, &ticks);
    check_content(&writer.reader().unwrap(), &everything, &ticks);

    writer.complete().unwrap();
    writer.set_report("{\"wall_s\":1}").unwrap();
    writer.set_report("{\"wall_s\":20}").unwrap();
    writer.finish().unwrap();
    let reader = Reader::open(&path).unwrap();
    assert!(!reader.is_live() && reader.is_complete());
    assert_eq!(reader.report().unwrap().as_deref(), Some("{\"wall_s\":20}"));
    check_content(&reader, &everything, &ticks);
    assert_eq!(files_in(folder.path()), ["a.naja"]);
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_recording_in_memory_is_the_same() {
    let mut writer = Writer::in_memory(&header()).unwrap();
    let (everything, ticks) = write_all(&mut writer);
    check_content(&writer.reader().unwrap(), &everything, &ticks);
    writer.complete().unwrap();
    let reader = writer.reader().unwrap();
    assert!(reader.is_complete());
    check_content(&reader, &everything, &ticks);
}

#[test]
fn going_on_in_memory_keeps_everything() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.naja");
    let mut writer = Writer::create(&path, &header()).unwrap();
    let (everything, ticks) = write_all(&mut writer);
    writer.go_on_in_memory().unwrap();
    writer.write(&Batch { until_tick: 20_000, ..Batch::default() }).unwrap();
    check_content(&writer.reader().unwrap(), &everything, &ticks);
    assert!(!Reader::open(&path).unwrap().is_live());
}
