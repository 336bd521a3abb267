//! Which name somebody may have meant.

use strsim::osa_distance;

/// Longest name that is compared. Names of the policy are no longer, and the cost is quadratic.
const NAME_BYTES_MAX: usize = 64;

/// Most edits between a name and the one that was meant.
const EDITS_MAX: usize = 2;

/// The name with the fewest edits to `wanted`, if that is a slip and not another word.
pub(crate) fn closest<'n>(wanted: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    if wanted.len() > NAME_BYTES_MAX {
        return None;
    }
    let near = |name: &&str| osa_distance(wanted, name) <= EDITS_MAX.min(name.len() / 2);
    names
        .into_iter()
        .filter(|name| name.len() <= NAME_BYTES_MAX)
        .filter(near)
        .min_by_key(|name| osa_distance(wanted, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_slip_is_suggested() {
        let names = ["cargo", "npm", "go"];
        assert_eq!(closest("crgo", names), Some("cargo"));
        // Two letters in the wrong order are one slip.
        assert_eq!(closest("nmp", names), Some("npm"));
        assert_eq!(closest("og", names), Some("go"));
        assert_eq!(closest("npx", names), Some("npm"));
        assert_eq!(closest("xx", names), None);
        assert_eq!(closest("gradle", names), None);
        assert_eq!(closest(&"c".repeat(100_000), names), None);
    }
}
