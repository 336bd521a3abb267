//! Gathers the places to look at, each with the rule that watches it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use super::mounts::{Mounts, Origin};
use super::rule::Rule;
use crate::tree::{Reach, Sight, resolve, trace};

/// Most entries of a place that is only named by a variable, a link or a program: what is larger is watched by the names
/// directly in it, and said.
const PART_MAX: u64 = 200_000;

/// The system's own directories, which count as an entry wherever they are named; those that begin with `lib` as well.
const SHALLOW: [&str; 9] = ["/", "/usr", "/var", "/bin", "/sbin", "/run", "/proc", "/sys", "/dev"];

/// What is the same for all places.
#[derive(Debug, Default)]
pub(super) struct Ground {
    mounts: Mounts,
    shallow: BTreeSet<PathBuf>,
    pub(super) homes: Vec<PathBuf>,
    /// Homes, checkout, working directory, and where the policy is.
    pub(super) vital: Vec<PathBuf>,
    /// Roots and seals of the guarded caches: what lies in them is for the verification to judge.
    guarded: Vec<PathBuf>,
}

impl Ground {
    pub(super) fn new(homes: Vec<PathBuf>, mut vital: Vec<PathBuf>, guarded: Vec<PathBuf>) -> Self {
        vital.extend(homes.iter().cloned());
        let names = std::fs::read_dir("/").into_iter().flatten().flatten().map(|entry| entry.path());
        let libraries =
            names.filter(|path| path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"lib")));
        let shallow = SHALLOW.iter().map(PathBuf::from).chain(libraries);
        let shallow = shallow.flat_map(|path| [resolve(&path), path]).collect();
        Self { mounts: Mounts::of_process(), shallow, homes, vital, guarded }
    }

    /// Whether a place counts as an entry wherever it is named.
    pub(super) fn is_shallow(&self, path: &Path) -> bool {
        self.shallow.contains(path)
    }

    /// Whether a place is the kernel's, or one of the system's own directories.
    pub(super) fn is_of_system(&self, path: &Path) -> bool {
        self.is_shallow(path) || matches!(self.mounts.of(path).1, Origin::Kernel)
    }

    /// Whether a home is a place or lies below it.
    pub(super) fn holds_home(&self, path: &Path) -> bool {
        self.homes.iter().any(|home| home.starts_with(path))
    }

    /// Whether home, the checkout or the like is a place or lies below it.
    pub(super) fn holds_vital(&self, path: &Path) -> bool {
        self.vital.iter().any(|vital| vital.starts_with(path))
    }

    fn is_guarded(&self, path: &Path) -> bool {
        self.guarded.iter().any(|root| path.starts_with(root))
    }

    /// Whether one of `trees` holds a path, with nothing mounted between.
    pub(super) fn is_within(&self, path: &Path, trees: &[&Path]) -> bool {
        trees.iter().any(|tree| path.starts_with(tree)) && !self.is_mounted(path, trees)
    }

    /// Whether something is mounted between one of `trees` and a path in it.
    fn is_mounted(&self, path: &Path, trees: &[&Path]) -> bool {
        let (mount, _) = self.mounts.of(path);
        trees.iter().any(|tree| path.starts_with(tree) && mount != **tree && mount.starts_with(tree))
    }

    /// How much of a place is looked at that is only named somewhere; nothing of what is the kernel's.
    fn part(&self, path: &Path) -> Option<Reach> {
        let (mount, origin) = self.mounts.of(path);
        match origin {
            Origin::Kernel if mount != path => None,
            Origin::Kernel => Some(Reach::Boundary),
            Origin::Remote if !self.holds_vital(&mount) => Some(Reach::Boundary),
            _ if self.is_shallow(path) => Some(Reach::Entry),
            _ => Some(Reach::Part(PART_MAX)),
        }
    }

    /// The same, but no more than `most` of what holds home, the checkout or a mount.
    fn narrow(&self, path: &Path, most: Reach) -> Option<Reach> {
        let wide = self.holds_vital(path) || self.mounts.below(path).next().is_some();
        self.part(path).map(|reach| if wide { reach.min(most) } else { reach })
    }
}

/// A path without `..`, by its text alone.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => {
                normal.pop();
            }
            component => normal.push(component),
        }
    }
    normal
}

/// Places to look at.
#[derive(Debug)]
pub(super) struct Places<'g> {
    ground: &'g Ground,
    sights: BTreeSet<Sight>,
    pub(super) rules: BTreeMap<PathBuf, Rule>,
}

impl<'g> Places<'g> {
    pub(super) fn new(ground: &'g Ground) -> Self {
        Self { ground, sights: BTreeSet::new(), rules: BTreeMap::new() }
    }

    /// A place with all below it; of the whole file system, what is directly in it. Gives back where it leads.
    pub(super) fn tree(&mut self, path: &Path, rule: &Rule) -> PathBuf {
        let end = self.add(path, rule, |_, end| Some(if end.parent().is_none() { Reach::Names } else { Reach::Tree }));
        if end.parent().is_some() {
            self.mounted(&end, rule);
        }
        end
    }

    /// What is mounted below a place that is watched as a whole, such as a volume of a container, is a part of it; not
    /// what lies in a directory of the system below that place.
    fn mounted(&mut self, tree: &Path, rule: &Rule) {
        let ground = self.ground;
        for mount in ground.mounts.below(tree) {
            let mut between = mount.ancestors().skip(1).take_while(|above| *above != tree);
            if !between.any(|above| ground.is_shallow(above)) {
                self.part(mount, rule);
            }
        }
    }

    /// A home. One that is the file system itself has everything but the system's own directories.
    pub(super) fn home(&mut self, path: &Path, rule: &Rule) {
        if path.parent().is_some() {
            self.tree(path, rule);
            return;
        }
        self.add(path, rule, |_, _| Some(Reach::Tree));
        for path in self.ground.shallow.iter().filter(|path| path.parent().is_some()) {
            self.boundary(path);
        }
        self.mounted(path, rule);
    }

    /// A place that is only named somewhere.
    pub(super) fn part(&mut self, path: &Path, rule: &Rule) -> PathBuf {
        self.add(path, rule, Ground::part)
    }

    /// What is directly in a directory.
    pub(super) fn names(&mut self, path: &Path, rule: &Rule) -> PathBuf {
        self.add(path, rule, |_, _| Some(Reach::Names))
    }

    /// What lies around something that is only named; of what holds home, the checkout or a mount, what is directly in
    /// it.
    pub(super) fn around(&mut self, path: &Path, rule: &Rule) {
        self.add(path, rule, |ground, end| ground.narrow(end, Reach::Names));
    }

    /// An entry alone.
    pub(super) fn entry(&mut self, path: &Path, rule: &Rule) -> PathBuf {
        self.add(path, rule, |_, _| Some(Reach::Entry))
    }

    /// Where a link leads that was met in what is watched: as a part, and as an entry if that holds what is watched
    /// anyway or a mount. `trees` are watched as a whole: what stays in them is followed there. Gives back where a link
    /// of home or the checkout leads to a file outside of them.
    pub(super) fn target(&mut self, link: &Path, watched: &[Sight], trees: &[&Path]) -> Option<PathBuf> {
        let Ok(target) = std::fs::read_link(link) else { return None };
        if link.parent().is_some_and(|above| self.ground.is_within(&normal(&above.join(target)), trees)) {
            return None;
        }
        let rule = Rule::Link(link.to_path_buf());
        let end = self.add(link, &rule, |ground, end| {
            let held = watched.iter().any(|sight| sight.reach > Reach::Boundary && sight.path.starts_with(end));
            let entry = held || ground.is_within(end, trees);
            ground.narrow(end, Reach::Entry).map(|reach| if entry { reach.min(Reach::Entry) } else { reach })
        });
        let is_vital = self.ground.vital.iter().any(|vital| link.starts_with(vital));
        (is_vital && !self.ground.is_within(&end, trees) && end.is_file()).then_some(end)
    }

    /// What a link leads to; of what holds home, the checkout or a mount, the entry alone.
    pub(super) fn linked(&mut self, link: &Path, rule: &Rule) {
        self.add(link, rule, |ground, end| ground.narrow(end, Reach::Entry));
    }

    /// A directory that no look at what is above goes into.
    fn boundary(&mut self, path: &Path) {
        self.sights.insert(Sight { path: path.to_path_buf(), reach: Reach::Boundary });
    }

    fn add(&mut self, path: &Path, rule: &Rule, reach: impl Fn(&Ground, &Path) -> Option<Reach>) -> PathBuf {
        let lead = trace(path);
        let end = lead.end;
        // What lies in a guarded cache is watched with it, but not the links that lead there from outside.
        let is_guarded = self.ground.is_guarded(&end) || self.ground.is_guarded(path);
        let reach = reach(self.ground, &end).filter(|_| !is_guarded);
        if reach.is_none() && !is_guarded {
            return end;
        }
        for link in lead.links.into_iter().filter(|link| !self.ground.is_guarded(link)) {
            self.rules.entry(link.clone()).or_insert_with(|| rule.clone());
            self.sights.insert(Sight { path: link, reach: Reach::Entry });
        }
        let Some(reach) = reach else { return end };
        self.rules.insert(end.clone(), rule.clone());
        self.sights.insert(Sight { path: path.to_path_buf(), reach: Reach::Lead });
        self.sights.insert(Sight { path: end.clone(), reach });
        end
    }

    /// Each place once, with the mount points below it, which are entered only where they are named themselves.
    pub(super) fn finish(mut self) -> (Vec<Sight>, BTreeMap<PathBuf, Rule>) {
        let deep = self.sights.iter().filter(|sight| sight.reach > Reach::Names);
        let mounts: BTreeSet<_> = deep.flat_map(|sight| self.ground.mounts.below(&sight.path)).cloned().collect();
        for path in &mounts {
            self.boundary(path);
        }
        let mut sights: Vec<Sight> = Vec::new();
        // What a tree holds has no limit of its own, unless something else is mounted between.
        let mut tree: Option<PathBuf> = None;
        // By components, so that what a directory holds follows it; of one place the most of it comes last.
        for mut sight in self.sights {
            let held = tree.as_ref().filter(|tree| sight.path.starts_with(tree));
            let between = |tree: &PathBuf| {
                mounts.iter().any(|mount| sight.path.starts_with(mount) && mount.starts_with(tree) && mount != tree)
            };
            if matches!(sight.reach, Reach::Part(_)) && held.is_some_and(|tree| !between(tree)) {
                sight.reach = Reach::Tree;
            }
            if sight.reach == Reach::Tree && held.is_none() {
                tree = Some(sight.path.clone());
            }
            // The names in a mount are looked at, and nothing above goes into it.
            let goes = |last: &Sight| match (last.reach, sight.reach) {
                (Reach::Lead, _) | (Reach::Boundary, Reach::Names) => false,
                _ => last.path == sight.path,
            };
            sights.pop_if(|last| goes(last));
            sights.push(sight);
        }
        (sights, self.rules)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_mounted_in_a_named_tree_is_a_part_of_it_unless_it_is_remote_or_the_kernels() {
        let mounts = b"1 0 8:1 / /none/home/volume rw - ext4 a rw\n2 0 8:1 / /none/home/far rw - nfs4 a rw\n\
            3 0 8:1 / /none/home/proc rw - proc a rw\n4 0 8:1 / /none/named/volume rw - ext4 a rw\n";
        let ground = Ground { mounts: Mounts::parse(mounts), ..Ground::default() };
        let mut places = Places::new(&ground);
        places.tree(Path::new("/none/home"), &Rule::Home);
        places.part(Path::new("/none/named"), &Rule::Path);
        let (sights, rules) = places.finish();
        for (path, reach) in [
            ("/none/home", Reach::Tree),
            ("/none/home/volume", Reach::Part(PART_MAX)),
            ("/none/home/far", Reach::Boundary),
            ("/none/home/proc", Reach::Boundary),
            ("/none/named/volume", Reach::Boundary),
        ] {
            let found = sights.iter().filter(|sight| sight.path == Path::new(path) && sight.reach != Reach::Lead);
            assert_eq!(found.map(|sight| sight.reach).collect::<Vec<_>>(), [reach], "{path}");
        }
        assert_eq!(rules[Path::new("/none/home/volume")], Rule::Home);
    }
}
