//! The rules about links and hard links, for caches that a seal vouches for and for those that lockfiles prove.

use crate::base::{Code, Refusals, plural};
use crate::policy::{Edge, LinkRule};
use crate::tree::HardLinks;
use crate::verify::Rule;

/// The rule that no symlink leads out of its root, of which `escaping` do; nothing where the gate lets them.
pub(super) fn links_rule(edge: &Edge<'_>, escaping: u64) -> Option<Rule> {
    (edge.gate.links == LinkRule::Inside).then(|| Rule {
        code: Code::LinkEscapes,
        expected: "no symlink that leads out of its root".to_owned(),
        found: plural(escaping, "such symlink", "such symlinks"),
        met: escaping == 0,
        origin: edge.policy.origin(&edge.gate.links),
    })
}

/// Refuses files that can be changed through a name outside the roots, and gives the rule; nothing where the gate lets
/// them.
pub(super) fn judge_hardlinks(edge: &Edge<'_>, hardlinks: HardLinks, refusals: &mut Refusals) -> Option<Rule> {
    if edge.gate.hardlinks == LinkRule::Any {
        return None;
    }
    let before = refusals.total();
    for refusal in hardlinks.outside() {
        refusals.push(refusal);
    }
    let outside = refusals.total() - before;
    Some(Rule {
        code: Code::HardlinkOutside,
        expected: "no file with a name outside the roots".to_owned(),
        found: plural(outside, "name of such a file", "names of such files"),
        met: outside == 0,
        origin: edge.policy.origin(&edge.gate.hardlinks),
    })
}
