//! Which name may have been meant by one that is not there.

/// Of the names, the one that is written most alike; none where none is near.
///
/// Cost: O(names × length²)
///
/// ```
/// use naja_db::orm::near::nearest;
/// assert_eq!(nearest("nmae", ["id", "name", "language"]), Some("name"));
/// assert_eq!(nearest("name", ["id", "rating"]), None);
/// ```
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name: Vec<char> = name.chars().take(64).flat_map(char::to_lowercase).collect();
    let limit = 1 + name.len() / 4;
    known
        .into_iter()
        .map(|one| (distance(&name, one), one))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, one)| one)
}

/// How many letters have to be put in, taken out, changed, or swapped with their neighbour.
fn distance(name: &[char], other: &str) -> usize {
    let other: Vec<char> = other.chars().take(64).flat_map(char::to_lowercase).collect();
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=other.len()).collect();
    for (row, letter) in name.iter().enumerate() {
        let mut next = vec![row + 1];
        for (column, against) in other.iter().enumerate() {
            let changed = last[column] + usize::from(letter != against);
            let mut best = changed.min(last[column + 1] + 1).min(next[column] + 1);
            if row > 0 && column > 0 && *letter == other[column - 1] && name[row - 1] == *against {
                best = best.min(before[column - 1] + 1);
            }
            next.push(best);
        }
        before = std::mem::replace(&mut last, next);
    }
    last.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn of_two_names_the_nearer_one_is_meant() {
        assert_eq!(nearest("titel", ["title", "titles"]), Some("title"));
        assert_eq!(nearest("Title", ["position", "title"]), Some("title"));
        assert_eq!(nearest("x", ["y", "position"]), Some("y"));
        assert_eq!(nearest("", []), None);
        assert_eq!(nearest(&"ä".repeat(500), ["a"]), None);
    }
}
