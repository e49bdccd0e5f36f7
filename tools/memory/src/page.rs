//! The page of `naja memory flamegraph`: one self-contained HTML file, that is small whatever the recording's size.
//!
//! Places are summed into groups (a thread's stack, an allocator), and these over buckets of time (`lives`). Where that is
//! too much, what was given little is counted at its callers, and buckets are wider; the page says so. The scripts beside
//! this file and those of [`naja_report::flame`] compute what is shown. Start at [`html`].

mod groups;

use naja_recording::{AllocationEvent, Function, Reader, Source, Thread, Tick};
use naja_report::Columns;
use naja_report::flame::{FlamePage, PageFunction, PageNode, PageTree, assemble};
use naja_report::sources;
use naja_system::Failure;
use rustc_hash::FxHashMap;
use serde_json::{Value, json};

use crate::events::{Events, each_event};
use crate::lives::{Found, Life, Lives, NEVER};
use crate::report::{Allocations, Shown, Sizes, Statistics};
use crate::wire::Allocator;
use groups::{Group, Groups};

/// Version of the form; the page refuses another.
const FORMAT: u32 = 1;
/// No page is larger.
const PAGE_BYTES_MAX: usize = 9_500_000;
/// So much of what was given when and taken when: some five bytes each.
const LIVES_MAX: usize = 1_000_000;
/// While there are more groups, fewer of them make a page small before wider buckets do.
const GROUPS_ENOUGH: usize = 10_000;
/// With less, a page is not smaller.
const LIVES_MIN: usize = 1_000;

/// The page's own scripts, in the order in which they build on each other.
const SCRIPTS: &[&str] = &[
    include_str!("page/model.js"),
    include_str!("page/choices.js"),
    include_str!("page/summary.js"),
    include_str!("page/figures.js"),
    include_str!("page/timeline.js"),
    include_str!("page/main.js"),
];

/// What a page opens with.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PageStart {
    pub(crate) shown: Shown,
    pub(crate) temporary_within: u64,
    pub(crate) is_inverted: bool,
    pub(crate) by_thread: bool,
    pub(crate) is_table: bool,
}

/// Both of what the events are read for.
struct Both {
    lives: Lives,
    sizes: Sizes,
}

impl Events for Both {
    fn time(&mut self, tick: Tick) {
        self.lives.time(tick);
    }

    #[inline]
    fn event(&mut self, event: AllocationEvent) {
        self.lives.event(event);
        self.sizes.event(event);
    }
}

/// The whole page.
///
/// Errors: those of the recording
/// Cost:   some 20 ns an event, on two threads; memory for what is in use at once, for the places, and up to 100 MB
pub(crate) fn html(
    reader: &Reader<'_>,
    allocations: &Allocations,
    start: PageStart,
) -> Result<String, Failure> {
    let mut groups = Groups::of(allocations);
    let mut both = Both {
        lives: Lives::new(groups.of_places(), reader.until_tick(), LIVES_MAX),
        sizes: Sizes::default(),
    };
    if allocations.is_exact {
        each_event(reader, &mut both)?;
    }
    let mut found = both.lives.finish();
    let sizes = if allocations.is_exact { both.sizes.finish() } else { Vec::new() };
    let parts = Parts {
        reader,
        allocations,
        start,
        figures: allocations.statistics_of(sizes, 0),
        metrics: metrics(reader)?,
        sources: reader.sources()?,
    };
    let mut lives_max = LIVES_MAX;
    loop {
        while found.lives.len() > lives_max {
            // What has little goes to its callers first; then buckets become wider, then the rest goes.
            let half = groups.all.len() / 2;
            let has_many =
                groups.all.len() > GROUPS_ENOUGH && groups.fold(allocations, half, Some(&mut found));
            if !has_many && !found.widen() && !groups.fold(allocations, half, Some(&mut found)) {
                break;
            }
        }
        let html = parts.render(&groups, &found);
        if html.len() <= PAGE_BYTES_MAX || lives_max <= LIVES_MIN {
            return Ok(html);
        }
        lives_max = (found.lives.len() / 2).max(LIVES_MIN);
        let half = groups.all.len() / 2;
        groups.fold(allocations, half, Some(&mut found));
    }
}

/// What a page is made of, however small it has to be.
struct Parts<'r> {
    reader: &'r Reader<'r>,
    allocations: &'r Allocations,
    start: PageStart,
    figures: Statistics,
    metrics: Vec<(u32, Tick, u64)>,
    sources: Vec<Source>,
}

impl Parts<'_> {
    fn render(&self, groups: &Groups, found: &Found) -> String {
        let header = self.reader.header();
        let title = format!("memory of {} · naja", header.command.join(" "));
        let data = self.encode(groups, found);
        FlamePage {
            title: &title,
            style: include_str!("page/style.css"),
            filters: include_str!("page/filters.html"),
            scripts: SCRIPTS,
            data: &data,
        }
        .render()
    }

    fn encode(&self, groups: &Groups, found: &Found) -> Vec<u8> {
        let Parts { allocations, reader, start, .. } = self;
        let (threads, index_of_thread) = self.threads(groups);
        let mut order: Vec<u32> = (0..groups.all.len() as u32).collect();
        order.sort_by_key(|index| {
            let group = &groups.all[*index as usize];
            (index_of_thread[&group.thread], group.node, group.allocator)
        });
        let mut place_of = vec![0_u32; groups.all.len()];
        (0..).zip(&order).for_each(|(place, index)| place_of[*index as usize] = place);
        let sorted: Vec<&Group> = order.iter().map(|index| &groups.all[*index as usize]).collect();

        let used = sorted.iter().map(|group| group.node);
        let nodes: Vec<PageNode> = allocations.nodes.iter().map(page_node).collect();
        let function = |id| allocations.function(id).map(page_function);
        let tree = PageTree::of_used(&nodes, used, "outside of Python", &function);
        let mut columns = Columns::default();
        tree.write(&mut columns);
        write_groups(&mut columns, &sorted, &index_of_thread, &tree);
        write_lives(&mut columns, &found.lives, &place_of);
        write_levels(&mut columns, found);
        self.write_metrics(&mut columns, found);

        let header = reader.header();
        let json = json!({
            "format": FORMAT,
            "header": header,
            "complete": reader.is_complete(),
            "until_tick": reader.until_tick(),
            "bucket_ticks": found.bucket_ticks,
            "bucket_count": found.levels.len(),
            "exact": allocations.is_exact,
            "peak_tick": found.peak_tick,
            "folded_share": groups.folded_share,
            "processes": allocations.processes,
            "threads": threads,
            "allocators": (0..=u8::MAX).map_while(|number| match number {
                0 => Some("unknown"),
                number => Allocator::of_number(number).map(Allocator::word),
            }).collect::<Vec<_>>(),
            "files": tree.files(),
            "functions": tree.functions_json(),
            "sources": self.texts(&sorted, &tree),
            "figures": self.figures,
            "start": {
                "shown": start.shown,
                "temporary_within": start.temporary_within,
                "invert": start.is_inverted,
                "by_thread": start.by_thread,
                "table": start.is_table,
                "lines": true,
                "whole_paths": false,
            },
        });
        assemble(json, columns)
    }

    /// The threads that groups are of, process by process, and where each is among them. One that the recording does not
    /// know (its record was lost with the last batch) is there under its number, so that no memory vanishes.
    fn threads(&self, groups: &Groups) -> (Vec<Thread>, FxHashMap<u32, u32>) {
        let mut process_of: FxHashMap<u32, u32> = FxHashMap::default();
        groups.all.iter().for_each(|group| {
            process_of.insert(group.thread, group.process);
        });
        let known: FxHashMap<u32, &Thread> =
            self.allocations.threads.iter().map(|thread| (thread.id, thread)).collect();
        let thread = |(id, process): (u32, u32)| match known.get(&id) {
            Some(thread) => (*thread).clone(),
            None => Thread { id, process, ..Thread::default() },
        };
        let mut threads: Vec<Thread> = process_of.into_iter().map(thread).collect();
        threads.sort_by_key(|thread| (thread.process, thread.id));
        let index = (0..).zip(&threads).map(|(index, thread)| (thread.id, index)).collect();
        (threads, index)
    }

    fn texts(&self, sorted: &[&Group], tree: &PageTree) -> Vec<Value> {
        let mut heat = vec![0_u64; tree.files().len()];
        for group in sorted {
            if let Some(file) = tree.file_of(tree.page_id(group.node)) {
                let tally = &group.tally;
                heat[file] = heat[file].saturating_add(tally.given.bytes).saturating_add(tally.at_peak.bytes);
            }
        }
        let header = self.reader.header();
        let recorded: Vec<(&str, &str)> =
            self.sources.iter().map(|source| (source.file.as_str(), source.text.as_str())).collect();
        sources::json(tree.files(), &heat, &recorded, &header.working_directory, header.start_unix_ns)
    }

    /// One point for each process and bucket: the most that was resident.
    fn write_metrics(&self, columns: &mut Columns, found: &Found) {
        let index_of: FxHashMap<u32, u32> =
            (0..).zip(&self.allocations.processes).map(|(index, process)| (process.id, index)).collect();
        let mut points: Vec<(u32, u64, u64)> = self
            .metrics
            .iter()
            .filter_map(|(process, tick, bytes)| {
                let last = (found.levels.len() as u64).saturating_sub(1);
                Some((*index_of.get(process)?, (tick / found.bucket_ticks.max(1)).min(last), *bytes))
            })
            .collect();
        points.sort_unstable();
        points.dedup_by(|next, kept| {
            let is_same = (next.0, next.1) == (kept.0, kept.1);
            if is_same {
                kept.2 = kept.2.max(next.2);
            }
            is_same
        });
        columns.write_deltas("metric_process", points.iter().map(|point| i64::from(point.0)));
        columns.write_deltas("metric_bucket", points.iter().map(|point| point.1 as i64));
        columns.write_wide_deltas("metric_rss_kib", points.iter().map(|point| (point.2 >> 10) as i64));
    }
}

fn metrics(reader: &Reader<'_>) -> Result<Vec<(u32, Tick, u64)>, Failure> {
    let metrics = reader.metrics()?;
    Ok(metrics.iter().map(|metric| (metric.process, metric.tick, metric.rss_bytes)).collect())
}

fn page_function(function: &Function) -> PageFunction {
    let name = if function.qualified_name.is_empty() { &function.name } else { &function.qualified_name };
    PageFunction {
        name: name.clone(),
        file: function.file.clone(),
        first_line: function.first_line,
        kind: function.kind.word(),
    }
}

fn page_node(node: &naja_recording::StackNode) -> PageNode {
    PageNode { id: node.id, parent: node.parent, function: node.function, line: node.line }
}

fn write_groups(
    columns: &mut Columns,
    sorted: &[&Group],
    index_of_thread: &FxHashMap<u32, u32>,
    tree: &PageTree,
) {
    columns.write_deltas("row_thread", sorted.iter().map(|group| i64::from(index_of_thread[&group.thread])));
    columns.write_deltas("row_node", sorted.iter().map(|group| i64::from(tree.page_id(group.node))));
    columns.write("row_allocator", sorted.iter().map(|group| u64::from(group.allocator)));
    for (shown, word) in [
        (Shown::Peak, "peak"),
        (Shown::Leaks, "left"),
        (Shown::Given, "given"),
        (Shown::Temporary, "temporary"),
    ] {
        let amounts = || sorted.iter().map(|group| shown.of(&group.tally));
        columns.write_wide(&format!("{word}_blocks"), amounts().map(|amount| amount.blocks));
        columns.write_wide(&format!("{word}_bytes"), amounts().map(|amount| amount.bytes));
    }
}

/// Of what was given and taken: whose, when, and for how many buckets; 0 stands for what was not taken.
fn write_lives(columns: &mut Columns, lives: &[Life], place_of: &[u32]) {
    let mut lives: Vec<&Life> = lives.iter().collect();
    lives.sort_by_key(|life| (place_of[life.group as usize], life.given, life.taken));
    columns.write_deltas("life_row", lives.iter().map(|life| i64::from(place_of[life.group as usize])));
    columns.write_deltas("life_given", lives.iter().map(|life| i64::from(life.given)));
    let length = |life: &&&Life| match life.taken {
        NEVER => 0,
        taken => u64::from(taken.saturating_sub(life.given)) + 1,
    };
    columns.write("life_length", lives.iter().map(|life| length(&life)));
    columns.write_wide("life_blocks", lives.iter().map(|life| life.amount.blocks));
    columns.write_wide("life_bytes", lives.iter().map(|life| life.amount.bytes));
}

fn write_levels(columns: &mut Columns, found: &Found) {
    columns.write_wide_deltas("level_end", found.levels.iter().map(|level| level.end_bytes as i64));
    columns.write_wide_deltas("level_most", found.levels.iter().map(|level| level.most_bytes as i64));
}
