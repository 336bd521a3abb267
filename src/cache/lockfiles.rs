//! Judging a cache by its lockfiles.

use std::ops::Range;

use super::links::{judge_hardlinks, links_rule};
use super::proving::{Proof, ProvenRoot, prove};
use crate::base::{Code, Refusal, Refusals};
use crate::lockfile::{EntryId, Finding, LockedSet, RootTree};
use crate::policy::{Edge, LinkRule};
use crate::seal::manifest::{LINK_INSIDE, leaves_root, link_text};
use crate::tree::{Kind, Options, Outline};
use crate::verify::{Coverage, Judge, Judged, Rule};

/// What is to be judged, and what is known already.
pub(super) struct Question<'a> {
    pub(super) edge: &'a Edge<'a>,
    /// What the lockfiles ask for; nothing if they cannot be believed.
    pub(super) locked: Option<&'a LockedSet>,
    pub(super) roots: &'a [ProvenRoot<'a>],
    pub(super) options: &'a Options<'a>,
    /// What a comparison of the roots with a trusted seal came to: it has told of everything that is wrong with them
    /// as trees. Nothing where there was no such comparison.
    pub(super) told: Option<&'a Refusals>,
    /// Whether that seal names every entry as it is.
    pub(super) signed: bool,
}

/// What a lockfile proof came to.
pub(super) struct Answer {
    pub(super) coverage: Option<Coverage>,
    pub(super) refusals: Refusals,
    pub(super) rules: Vec<Rule>,
}

/// Proves what can be proven, and judges the rest by the gate.
pub(super) fn judge(question: &Question<'_>) -> Answer {
    let edge = question.edge;
    let mut answer = Answer { coverage: None, refusals: question.options.refusals(), rules: Vec::new() };
    let Some(locked) = question.locked else {
        let rule = Rule {
            code: Code::UnpinnedLockfile,
            expected: "lockfiles that something vouches for".to_owned(),
            found: "only the policy is pinned: the restore may have written the lockfiles too".to_owned(),
            met: false,
            origin: edge.policy.origin(&edge.gate.require),
        };
        let place = edge.cache.lockfiles.join(", ");
        answer.refusals.push(Refusal::new(rule.code, place, rule.expected.as_str(), rule.found.as_str()));
        answer.rules.push(rule);
        return answer;
    };
    // What of a tree that was compared the proof refuses once more is told of below, if at all.
    let differences = question.options.differences.filter(|_| question.told.is_none());
    let options = Options { differences, ..question.options.clone() };
    let proof = match prove(question.roots, locked, &edge.cache.installed, &options) {
        Ok(proof) => proof,
        Err(error) => {
            let place = edge.cache.name.as_str();
            answer.refusals.push(Refusal::new(Code::Unreadable, place, "roots that can be read", error.to_string()));
            return answer;
        }
    };
    judge_entries(question, locked, &proof, &mut answer);
    if let Some(told) = question.told {
        // Only what the comparison with the seal has not told of: a file may fail to be read the second time.
        for refusal in proof.refusals.iter().filter(|refusal| !told.has(refusal.code)) {
            answer.refusals.push(refusal.clone());
        }
    } else {
        judge_tree(edge, proof, &mut answer);
    }
    answer
}

fn judge_entries(question: &Question<'_>, locked: &LockedSet, proof: &Proof, answer: &mut Answer) {
    let nobody = Finding::Unproven("no package of the lockfile has it".into());
    let mut judge = Judge::new(question.edge, locked.packages(), question.options.limits, question.options.refusals());
    let roots = proof.forest.roots.iter().zip(&proof.facts).zip(&proof.findings).enumerate();
    for (root, ((tree, facts), findings)) in roots {
        let held = held_before(tree, findings);
        // The end of the last directory that was told of: what is in it is told of with it.
        let mut told = 0;
        for (node, finding) in (0_u32..).zip(findings) {
            let place = || proof.forest.place(EntryId { root, node });
            let finding = finding.as_ref().unwrap_or(&nobody);
            let (kind, is_copy) = (tree.outline.kind(node), proof.copies.contains(&EntryId { root, node }));
            let name = tree.outline.name(node);
            judge.entry(&Judged { name, place: &place, kind, facts: facts.get(node), finding, is_copy });
            let below = tree.outline.below(node);
            let is_hollow = kind == Kind::Directory && node != Outline::ROOT && held_in(&held, node, &below) == 0;
            if is_hollow && node >= told && !matches!(finding, Finding::Mismatch { .. }) {
                told = below.end;
                judge.hollow(place(), finding);
            }
        }
    }
    for (place, expected) in &proof.missing {
        judge.missing(place.clone(), expected);
    }
    let judgement = judge.finish(question.signed);
    answer.coverage = Some(judgement.coverage);
    answer.refusals.append(judgement.refusals);
    answer.rules.extend(judgement.rules);
}

/// How many entries before each one hold a directory: files, links, and directories that are proven themselves.
fn held_before(tree: &RootTree, findings: &[Option<Finding>]) -> Vec<usize> {
    let mut sums = vec![0];
    let mut sum = 0;
    for (node, finding) in (0_u32..).zip(findings) {
        let holds = tree.outline.kind(node) != Kind::Directory || *finding == Some(Finding::Proven);
        sum += usize::from(holds);
        sums.push(sum);
    }
    sums
}

/// How many of them are in a directory, itself included.
#[expect(clippy::indexing_slicing, reason = "one sum before each entry and one behind the last; a panic is a refusal")]
fn held_in(held: &[usize], node: u32, below: &Range<u32>) -> usize {
    held[below.end.max(node + 1) as usize] - held[node as usize]
}

/// What no cache may have, whatever the lockfile says: modes, links and hard links that the gate does not want.
fn judge_tree(edge: &Edge<'_>, proof: Proof, answer: &mut Answer) {
    let Proof { forest, refusals, hardlinks, .. } = proof;
    answer.refusals.append(refusals);
    let escaping = if edge.gate.links == LinkRule::Inside { escaping(&forest) } else { Vec::new() };
    answer.rules.extend(links_rule(edge, escaping.len() as u64));
    for refusal in escaping {
        answer.refusals.push(refusal);
    }
    answer.rules.extend(judge_hardlinks(edge, hardlinks, &mut answer.refusals));
}

/// The symlinks whose text leads out of their root.
fn escaping(forest: &crate::lockfile::Forest) -> Vec<Refusal> {
    let mut escaping = Vec::new();
    for (root, tree) in forest.roots() {
        for entry in forest.below(root) {
            let Some(target) = tree.outline.link(entry.node) else { continue };
            let depth = tree.outline.depth(entry.node);
            if leaves_root(target, depth) {
                let found = link_text(target);
                escaping.push(Refusal::new(Code::LinkEscapes, forest.place(entry), LINK_INSIDE, found));
            }
        }
    }
    escaping
}
