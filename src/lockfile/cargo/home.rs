//! Where the parts of a Cargo home lie, whichever of its directories are roots.

use crate::lockfile::{EntryId, Forest};

/// What a root is of a Cargo home, by the end of its path: the components from home to it. `None` for a root that
/// is none of its directories.
fn prefix_of(components: &[String]) -> Option<Vec<&str>> {
    let names: Vec<&str> = components.iter().map(String::as_str).collect();
    match names.as_slice() {
        [.., "registry", area @ ("cache" | "src" | "index"), registry] => Some(vec!["registry", area, registry]),
        [.., top @ "registry", area @ ("cache" | "src" | "index")] | [.., top @ "git", area @ ("db" | "checkouts")] => {
            Some(vec![top, area])
        }
        [.., "git", area @ ("db" | "checkouts"), repository] => Some(vec!["git", area, repository]),
        [.., top @ ("registry" | "git")] => Some(vec![top]),
        [.., ".cargo"] => Some(Vec::new()),
        _ => None,
    }
}

/// Whether a root is one of the directories of a Cargo home.
pub(super) fn is_part(components: &[String]) -> bool {
    prefix_of(components).is_some()
}

/// The entries at a path below a Cargo home, in whichever roots it lies.
pub(super) fn find(forest: &Forest, path: &[&str]) -> Vec<EntryId> {
    let mut found = Vec::new();
    for (root, tree) in forest.roots() {
        let Some(rest) = prefix_of(&tree.components).and_then(|prefix| path.strip_prefix(prefix.as_slice())) else {
            continue;
        };
        found.extend(forest.find(root, rest.join("/").as_bytes()));
    }
    found
}

/// The registries, or git repositories, in `registry/cache`, `registry/src`, `git/db`, …: the name of each and where it is.
pub(super) fn members<'f>(forest: &'f Forest, top: &str, area: &str) -> Vec<(&'f [u8], EntryId)> {
    let mut found = Vec::new();
    for entry in find(forest, &[top, area]) {
        found.extend(forest.children(entry).map(|child| (forest.name(child), child)));
    }
    for (root, tree) in forest.roots() {
        if let Some([root_top, root_area, _]) = prefix_of(&tree.components).as_deref()
            && (*root_top, *root_area) == (top, area)
            && let Some(name) = tree.components.last()
        {
            found.push((name.as_bytes(), root));
        }
    }
    found
}
