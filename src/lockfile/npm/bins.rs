//! `node_modules/.bin`: the links that npm makes for the commands of packages.

use std::collections::BTreeMap;

use super::lock::Package;
use crate::base::Escaped;
use crate::lockfile::{EntryId, Forest, Plan};
use crate::tree::Kind;

/// The directory in `node_modules` that holds the links to commands.
pub(super) const BIN: &[u8] = b".bin";

/// The commands of the packages in one `node_modules`: the name of each, and the texts that its link may have. Of
/// packages that have a command of one name, npm links to any.
#[derive(Debug, Default)]
pub(super) struct Commands(BTreeMap<String, Vec<String>>);

impl Commands {
    /// Adds the commands of a package that lies in `directory`, `a` or `@scope/a`.
    pub(super) fn add(&mut self, directory: &str, package: &Package) {
        for (name, target) in &package.bins {
            self.0.entry(name.clone()).or_default().push(format!("../{directory}/{target}"));
        }
    }

    /// Says of each entry of `.bin` in `modules` whether npm makes it.
    pub(super) fn judge(&self, modules: EntryId, plan: &mut Plan<'_>) {
        let Some(directory) = plan.forest.find(modules, BIN) else { return };
        for entry in plan.forest.children(directory) {
            let name = std::str::from_utf8(plan.forest.name(entry)).unwrap_or_default();
            match self.0.get(name) {
                None => plan.unproven(entry, "no package of the lockfile has a command of this name"),
                Some(texts) => judge_link(plan, entry, texts),
            }
        }
    }
}

fn judge_link(plan: &mut Plan<'_>, entry: EntryId, texts: &[String]) {
    let link = plan.forest.link(entry);
    if texts.iter().any(|text| link == Some(text.as_bytes())) {
        plan.findings.proven(entry);
        return;
    }
    let texts: Vec<_> = texts.iter().map(|text| format!("`{}`", Escaped(text.as_bytes()))).collect();
    plan.findings.mismatch(entry, format!("a link to {}", texts.join(" or ")), shown(plan.forest, entry));
}

/// An entry's kind, and the text of a link.
pub(super) fn shown(forest: &Forest, entry: EntryId) -> String {
    match (forest.kind(entry), forest.link(entry)) {
        (Kind::Link, Some(text)) => format!("a link to `{}`", Escaped(text)),
        (kind, _) => kind.noun().to_owned(),
    }
}
