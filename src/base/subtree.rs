//! One BLAKE3 digest by several hands: the input is cut into subtrees of BLAKE3's own tree (section 2.1 of its paper),
//! which may be hashed in any order. The digest is the one that [`Algorithm::Blake3`](super::Algorithm) gives.

use blake3::hazmat::{ChainingValue, HasherExt as _, Mode, merge_subtrees_non_root, merge_subtrees_root};

use super::Digest;

/// Bytes of a subtree, but for very large inputs.
const SUBTREE_BYTES: u64 = 1 << 20;

/// Most subtrees of one input; above it they get larger instead, so that what is kept of them stays small.
const COUNT_MAX: u64 = 4096;

/// An input cut into subtrees of one length, a power of two; the last may be shorter.
#[derive(Debug, Clone, Copy)]
pub struct Subtrees {
    input_bytes: u64,
    subtree_bytes: u64,
}

impl Subtrees {
    /// Cuts an input of `input_bytes`; `None` if it is too short to be cut in two.
    #[must_use]
    pub fn of(input_bytes: u64) -> Option<Self> {
        let subtree_bytes = input_bytes.div_ceil(COUNT_MAX).checked_next_power_of_two()?.max(SUBTREE_BYTES);
        (input_bytes > subtree_bytes).then_some(Self { input_bytes, subtree_bytes })
    }

    /// How many there are, at least two.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.input_bytes.div_ceil(self.subtree_bytes)
    }

    /// Where in the input one begins and ends, in bytes. They count from 0.
    #[must_use]
    pub fn range(&self, index: u64) -> std::ops::Range<u64> {
        let start = index.saturating_mul(self.subtree_bytes).min(self.input_bytes);
        start..start.saturating_add(self.subtree_bytes).min(self.input_bytes)
    }

    /// A hasher for one of them, which must be given exactly the bytes of its range.
    #[must_use]
    pub fn hasher(&self, index: u64) -> SubtreeHasher {
        let mut hasher = Box::<blake3::Hasher>::default();
        hasher.set_input_offset(self.range(index).start);
        SubtreeHasher(hasher)
    }

    /// The digest of the input, from all its subtrees in order; `None` if there are fewer than two.
    #[must_use]
    pub fn digest(hashed: &[Subtree]) -> Option<Digest> {
        let (left, right) = halves(hashed)?;
        let root = merge_subtrees_root(&chaining_value(left)?, &chaining_value(right)?, Mode::Hash);
        Some(Digest(*root.as_bytes()))
    }
}

/// Hashes one subtree.
#[derive(Debug)]
pub struct SubtreeHasher(Box<blake3::Hasher>);

impl SubtreeHasher {
    /// Reads the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// What the digest of the whole needs of this subtree.
    #[must_use]
    pub fn finish(self) -> Subtree {
        Subtree(self.0.finalize_non_root())
    }
}

/// A subtree that was hashed.
#[derive(Debug, Clone, Copy)]
pub struct Subtree(ChainingValue);

fn chaining_value(subtrees: &[Subtree]) -> Option<ChainingValue> {
    if let [one] = subtrees {
        return Some(one.0);
    }
    let (left, right) = halves(subtrees)?;
    Some(merge_subtrees_non_root(&chaining_value(left)?, &chaining_value(right)?, Mode::Hash))
}

/// The left child takes the largest power of two that leaves something for the right one.
fn halves(subtrees: &[Subtree]) -> Option<(&[Subtree], &[Subtree])> {
    let left = subtrees.len().div_ceil(2).checked_next_power_of_two()?;
    if subtrees.len() < 2 { None } else { subtrees.split_at_checked(left) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Algorithm;

    fn in_parts(bytes: &[u8]) -> Option<Digest> {
        let cut = Subtrees::of(bytes.len() as u64)?;
        let hashed = (0..cut.count()).map(|index| {
            let range = cut.range(index);
            let mut hasher = cut.hasher(index);
            // In pieces that end at no boundary of the tree.
            for piece in
                bytes[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()].chunks(99_999)
            {
                hasher.update(piece);
            }
            hasher.finish()
        });
        Subtrees::digest(&hashed.collect::<Vec<_>>())
    }

    #[test]
    fn the_digest_is_that_of_the_whole() {
        let mebibyte = 1 << 20;
        let bytes: Vec<u8> = (0..251_u8).cycle().take(9 * mebibyte + 1).collect();
        for whole in 1..=9 {
            for len in [whole * mebibyte - 1, whole * mebibyte, whole * mebibyte + 1] {
                let expected = (len > mebibyte).then(|| Algorithm::Blake3.digest(&bytes[..len]));
                assert_eq!(in_parts(&bytes[..len]), expected, "{len}");
            }
        }
    }

    #[test]
    fn large_inputs_have_large_subtrees() {
        for (bytes, count, longest) in
            [(4096 << 20, 4096, 1 << 20), ((4096 << 20) + 1, 2049, 2 << 20), (u64::MAX, 4096, 1 << 52)]
        {
            let cut = Subtrees::of(bytes).unwrap();
            assert_eq!((cut.count(), cut.range(0)), (count, 0..longest), "{bytes}");
            assert_eq!(cut.range(count - 1).end, bytes);
        }
    }
}
