//! What is asked of an entry, wherever it comes from: a directory, or an archive.

use super::Node;
use crate::base::{Code, Escaped, Refusal};

/// What is expected where a symlink leads out of its root.
pub const LINK_INSIDE: &str = "a link that stays inside the root";

impl Node {
    /// What it is, for people, with its article.
    #[must_use]
    pub fn describe(self) -> String {
        match self {
            Self::File { size, .. } => format!("a file of {size} bytes"),
            Self::Directory(_) => "a directory".to_owned(),
            Self::Link(_) => "a symlink".to_owned(),
        }
    }
}

/// Mode bits that no sealed entry has, named; `None` if there are none of them. Directories may be sticky or
/// setgid, as shared ones are.
#[must_use]
pub fn forbidden_bits(mode: u32, file: bool) -> Option<String> {
    let special = if file { mode & 0o7000 } else { 0 };
    ((special | mode & 0o002) != 0).then(|| format!("mode {:04o}", mode & 0o7777))
}

/// Whether a link at `depth` directories below its root may lead out of it. `..` after a name goes through
/// whatever that name is, so it counts as leaving.
#[must_use]
pub fn leaves_root(target: &[u8], depth: usize) -> bool {
    let components: Vec<_> = target.split(|byte| *byte == b'/').filter(|name| !matches!(*name, b"" | b".")).collect();
    let up = components.iter().take_while(|name| **name == b"..").count();
    target.first() == Some(&b'/') || up > depth || components.iter().skip(up).any(|name| *name == b"..")
}

/// A link, for people.
#[must_use]
pub fn link_text(target: &[u8]) -> String {
    format!("a link to `{}`", Escaped(target))
}

/// The refusal of an entry that was sealed and is not there.
#[must_use]
pub fn missing(place: Vec<u8>, node: Node) -> Refusal {
    Refusal::new(Code::MissingEntry, place, node.describe(), "nothing")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_followed_on_paper_only() {
        for (target, depth, leaves) in [
            ("b", 0, false),
            ("../b", 0, true),
            ("../b", 1, false),
            ("../../b", 1, true),
            ("./../b", 1, false),
            ("b/../c", 3, true),
            ("/etc/passwd", 9, true),
            ("..", 1, false),
            ("...", 0, false),
        ] {
            assert_eq!(leaves_root(target.as_bytes(), depth), leaves, "{target} at {depth}");
        }
    }
}
