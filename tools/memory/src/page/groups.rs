//! Places with equal thread, stack and allocator; and fewer of them, where they are too many.
//!
//! Invariant: sums are those of the places. Of what was given little, only what lies below its last caller with more is
//! given up. Start at [`Groups::of`].

use naja_recording::{AllocationTally, Amount};
use rustc_hash::FxHashMap;

use crate::lives::Found;
use crate::report::Allocations;

/// More groups than this say nothing more: each has a share of some hundred-thousandths.
const GROUPS_MAX: usize = 60_000;

/// Places that are shown as one.
#[derive(Clone, Debug, Default)]
pub(super) struct Group {
    pub(super) process: u32,
    pub(super) thread: u32,
    pub(super) node: u32,
    pub(super) allocator: u8,
    pub(super) tally: AllocationTally,
}

/// All places.
#[derive(Debug, Default)]
pub(super) struct Groups {
    pub(super) all: Vec<Group>,
    /// For each place, from 1 on, its group.
    of_places: Vec<u32>,
    /// Calls that have no larger share of anything are counted at their callers; 0 where none are.
    pub(super) folded_share: f64,
}

impl Groups {
    /// Of the places of a recording: no more than are good for a page.
    pub(super) fn of(allocations: &Allocations) -> Groups {
        let mut groups = Groups::default();
        let mut of_places = vec![0; allocations.places.len() + 1];
        for place in &allocations.places {
            of_places[place.id as usize] = groups.all.len() as u32;
            groups.all.push(Group {
                process: place.process,
                thread: place.thread,
                node: place.node,
                allocator: place.allocator,
                tally: AllocationTally::default(),
            });
        }
        for tally in &allocations.tallies {
            if let Some(group) = groups.all.get_mut((tally.place as usize).wrapping_sub(1)) {
                group.tally = *tally;
            }
        }
        groups.of_places = of_places;
        while groups.all.len() > GROUPS_MAX && groups.fold(allocations, GROUPS_MAX, None) {}
        groups
    }

    /// For each place, by its number, its group.
    pub(super) fn of_places(&self) -> Vec<u32> {
        self.of_places.clone()
    }

    /// Counts more of what has little at its callers, until there are about so many groups; whether there was any.
    pub(super) fn fold(
        &mut self,
        allocations: &Allocations,
        wanted: usize,
        found: Option<&mut Found>,
    ) -> bool {
        let shares = self.shares(allocations);
        let first = allocations.nodes.first().map_or(1, |node| node.id);
        let share_of =
            |node: u32| node.checked_sub(first).and_then(|node| shares.get(node as usize).copied());
        let mut all: Vec<f64> = self.all.iter().filter_map(|group| share_of(group.node)).collect();
        if all.is_empty() || self.folded_share >= 1.0 {
            return false;
        }
        let place = all.len().saturating_sub(wanted).min(all.len() - 1);
        let (_, limit, _) = all.select_nth_unstable_by(place, f64::total_cmp);
        // It grows each time, so that this ends.
        let limit = limit.max(self.folded_share * 2.0).max(1e-9);
        self.folded_share = limit;
        // Callers come before what they call, so that a caller's own is known.
        let mut kept: Vec<u32> = Vec::with_capacity(allocations.nodes.len());
        for (index, node) in allocations.nodes.iter().enumerate() {
            let caller = node.parent.checked_sub(first).and_then(|caller| kept.get(caller as usize).copied());
            let is_small = shares.get(index).is_none_or(|share| *share <= limit);
            kept.push(match caller {
                // A stack's lowest node stays: below it is nothing to count it at.
                Some(caller) if is_small => caller,
                _ => node.id,
            });
        }
        let mut index_of: FxHashMap<(u32, u32, u8), u32> = FxHashMap::default();
        let mut all: Vec<Group> = Vec::new();
        let mut of: Vec<u32> = Vec::with_capacity(self.all.len());
        for group in &self.all {
            let node = group.node.checked_sub(first).and_then(|node| kept.get(node as usize).copied());
            let node = node.unwrap_or(group.node);
            let index = *index_of.entry((group.thread, node, group.allocator)).or_insert(all.len() as u32);
            of.push(index);
            match all.get_mut(index as usize) {
                Some(known) => add(&mut known.tally, &group.tally),
                None => all.push(Group { node, ..group.clone() }),
            }
        }
        self.all = all;
        self.of_places.iter_mut().for_each(|group| *group = of.get(*group as usize).copied().unwrap_or(0));
        if let Some(found) = found {
            found.regroup(&of);
        }
        true
    }

    /// For each node the largest of its shares: of what was in use at the peak, was left, was given, was temporary.
    fn shares(&self, allocations: &Allocations) -> Vec<f64> {
        let first = allocations.nodes.first().map_or(1, |node| node.id);
        let mut shares = vec![0.0_f64; allocations.nodes.len()];
        let parts: [fn(&AllocationTally) -> u64; 4] = [
            |tally| tally.at_peak.bytes,
            |tally| tally.now.bytes,
            |tally| tally.given.bytes,
            |tally| tally.temporary.bytes,
        ];
        for part in parts {
            let mut totals = vec![0_u64; allocations.nodes.len()];
            let mut whole = 0_u64;
            for group in &self.all {
                let bytes = part(&group.tally);
                whole = whole.saturating_add(bytes);
                if let Some(total) =
                    group.node.checked_sub(first).and_then(|node| totals.get_mut(node as usize))
                {
                    *total = total.saturating_add(bytes);
                }
            }
            for index in (0..totals.len()).rev() {
                let (total, parent) = (totals[index], allocations.nodes[index].parent);
                if let Some(caller) =
                    parent.checked_sub(first).and_then(|caller| totals.get_mut(caller as usize))
                {
                    *caller = caller.saturating_add(total);
                }
                shares[index] = shares[index].max(total as f64 / whole.max(1) as f64);
            }
        }
        shares
    }
}

fn add(to: &mut AllocationTally, what: &AllocationTally) {
    let plus = |to: &mut Amount, what: Amount| {
        to.blocks += what.blocks;
        to.bytes = to.bytes.saturating_add(what.bytes);
    };
    plus(&mut to.given, what.given);
    plus(&mut to.now, what.now);
    plus(&mut to.at_peak, what.at_peak);
    plus(&mut to.temporary, what.temporary);
}
