//! Which name somebody may have meant.

/// Longest name that is compared. Names of the policy are no longer, and the cost is quadratic.
const NAME_BYTES_MAX: usize = 64;

/// Most edits between a name and the one that was meant.
const EDITS_MAX: usize = 2;

/// The name with the fewest edits to `wanted`, if that is a slip and not another word.
pub(super) fn closest<'n>(wanted: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    if wanted.len() > NAME_BYTES_MAX {
        return None;
    }
    let near = |name: &&str| edits(wanted, name) <= EDITS_MAX.min(name.len() / 2);
    names.into_iter().filter(|name| name.len() <= NAME_BYTES_MAX).filter(near).min_by_key(|name| edits(wanted, name))
}

/// The Levenshtein distance: insertions, deletions and substitutions of bytes from `a` to `b`.
fn edits(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (y, above) in b.bytes().zip(row.iter_mut().skip(1)) {
            let cost = (diagonal + usize::from(x != y)).min(left + 1).min(*above + 1);
            diagonal = std::mem::replace(above, cost);
            left = cost;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_counted() {
        for (a, b, count) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("cargo", "cargo", 0),
            ("crgo", "cargo", 1),
            ("cargoo", "cargo", 1),
            ("npm", "pnpm", 1),
            ("kitten", "sitting", 3),
            ("ab", "ba", 2),
        ] {
            assert_eq!(edits(a, b), count, "{a} {b}");
        }
    }

    #[test]
    fn only_a_slip_is_suggested() {
        let names = ["cargo", "npm", "go"];
        assert_eq!(closest("crgo", names), Some("cargo"));
        assert_eq!(closest("nmp", names), None);
        assert_eq!(closest("npx", names), Some("npm"));
        assert_eq!(closest("xx", names), None);
        assert_eq!(closest("gradle", names), None);
        assert_eq!(closest(&"c".repeat(100_000), names), None);
    }
}
