//! How much of an offset is daylight saving time: a TZif file says only whether it is.
//!
//! The standard time before and after a stretch of daylight saving time each give an answer. Where the two differ,
//! because the standard time itself changed meanwhile, what holds near by in the same zone decides.

use super::tzif::TzifData;

/// How far away in time another stretch of daylight saving time still counts as near.
const NEAR_S: u64 = 10 * 365 * 86_400;

/// Nobody has put clocks ahead by more.
const PLAUSIBLE_S: i32 = 2 * 3600;

/// The part of the offset that is daylight saving time, in seconds, after each transition.
pub(super) fn amounts(data: &TzifData) -> Vec<i32> {
    let count = data.transitions_s.len();
    let kind = |index: usize| &data.types[usize::from(data.type_indices[index])];
    let mut amounts: Vec<Option<i32>> = vec![None; count];
    let mut open: Vec<(usize, Option<i32>, Option<i32>)> = Vec::new();
    let mut standard_before: Option<i32> =
        data.types.iter().find(|kind| !kind.is_dst).map(|kind| kind.offset_s);
    let mut index = 0;
    while index < count {
        if !kind(index).is_dst {
            standard_before = Some(kind(index).offset_s);
            amounts[index] = Some(0);
            index += 1;
            continue;
        }
        let end = (index..count).find(|&next| !kind(next).is_dst);
        let standard_after = end.map(|end| kind(end).offset_s);
        for inside in index..end.unwrap_or(count) {
            let offset = kind(inside).offset_s;
            let by_before = standard_before.map(|standard| offset - standard);
            let by_after = standard_after.map(|standard| offset - standard);
            match (by_before, by_after) {
                // An amount of nothing is never the answer, even where both say so.
                (Some(before), Some(after)) if before == after && before != 0 => {
                    amounts[inside] = Some(before)
                }
                (before, after) => open.push((inside, before, after)),
            }
        }
        index = end.unwrap_or(count);
    }
    let settled: Vec<(i64, i32)> = (0..count)
        .filter(|&index| kind(index).is_dst)
        .filter_map(|index| Some((data.transitions_s[index], amounts[index]?)))
        .collect();
    for (index, before, after) in open {
        amounts[index] = Some(decide(data.transitions_s[index], before, after, &settled));
    }
    amounts.into_iter().map(|amount| amount.unwrap_or(0)).collect()
}

/// Chooses between what the standard time before and after says.
fn decide(time_s: i64, before: Option<i32>, after: Option<i32>, settled: &[(i64, i32)]) -> i32 {
    let candidates: Vec<i32> = before.into_iter().chain(after).filter(|amount| *amount != 0).collect();
    let near = settled
        .iter()
        .filter(|(other, amount)| other.abs_diff(time_s) <= NEAR_S && candidates.contains(amount))
        .min_by_key(|(other, _)| other.abs_diff(time_s));
    if let Some((_, amount)) = near {
        return *amount;
    }
    let plausible = |amount: &&i32| (1..=PLAUSIBLE_S).contains(*amount) && **amount % 900 == 0;
    let choice = candidates.iter().find(plausible).or_else(|| candidates.iter().find(|amount| **amount > 0));
    choice.copied().unwrap_or(3600)
}
