//! Random trees: honest ones are trusted, whatever the order of the walk; with one tampering, whichever, they are not.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use cacheseal::base::{Algorithm, Limits};
use cacheseal::seal::manifest::Manifest;
use cacheseal::tree::{Directory, Expectation, Memory, Options, compare, snapshot};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::forge::{chmod, fifo, remove};
use crate::harness::share;

/// What an entry is; directories come from the paths of what is in them.
#[derive(Debug, Clone)]
enum Kind {
    File(Vec<u8>, bool),
    Link(String),
    Directory,
}

type Tree = BTreeMap<String, Kind>;

/// One thing that an attacker does to one entry.
#[derive(Debug, Clone, Copy)]
enum Tampering {
    Change,
    Add,
    Remove,
    Rename,
    Mode,
    ToLink,
    ToFifo,
}

/// Names that sort unlike their paths, and one that is a line of its own.
fn name() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["a", "a-", "a.b", "b", "A", "\u{e9}", "x\ny", "#", "\\", " "])
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        4 => (prop::collection::vec(any::<u8>(), 0..40), any::<bool>()).prop_map(|(bytes, run)| Kind::File(bytes, run)),
        1 => "[a-c./]{1,6}".prop_map(Kind::Link),
        1 => Just(Kind::Directory),
    ]
}

/// Entries of which none stands where another has its directory.
fn tree() -> impl Strategy<Value = Tree> {
    let path = prop::collection::vec(name(), 1..5).prop_map(|names| names.join("/"));
    prop::collection::btree_map(path, kind(), 1..25).prop_map(|mut tree| {
        let parents: BTreeSet<String> = tree.keys().flat_map(|path| above(path).map(str::to_owned)).collect();
        tree.retain(|path, _| !parents.contains(path));
        tree
    })
}

fn above(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(at, _)| &path[..at])
}

fn build<'t>(root: &Path, tree: impl Iterator<Item = (&'t String, &'t Kind)>) {
    for (path, kind) in tree {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        match kind {
            Kind::File(bytes, executable) => {
                fs::write(&path, bytes).unwrap();
                chmod(&path, if *executable { 0o755 } else { 0o644 });
            }
            Kind::Link(target) => symlink(target, &path).unwrap(),
            Kind::Directory => fs::create_dir(&path).unwrap(),
        }
    }
}

fn options(threads: usize) -> Options<'static> {
    Options { threads, processors: 2, limits: &Limits::STANDARD, differences: None }
}

fn sealed(root: &Path, threads: usize) -> Vec<u8> {
    let taken = snapshot(Directory::open(root).unwrap(), "r", Algorithm::Blake3, &options(threads));
    assert!(taken.refusals.is_empty(), "{:?}", taken.refusals);
    taken.manifest.encode()
}

/// As a verifier meets it: from the bytes of the manifest.
fn refused(root: &Path, manifest: &[u8], threads: usize) -> bool {
    let manifest = Manifest::parse(manifest, Algorithm::Blake3, &Limits::STANDARD).unwrap();
    let expected = Expectation { spelling: "r", manifest: &manifest, links_inside: false, memory: Memory::Nothing };
    !compare(Directory::open(root).unwrap(), &expected, &options(threads)).refusals.is_empty()
}

fn tamper(tampering: Tampering, path: &Path) {
    let metadata = fs::symlink_metadata(path).unwrap();
    match tampering {
        Tampering::Change if metadata.is_file() => {
            let mut bytes = fs::read(path).unwrap();
            match bytes.last_mut() {
                Some(last) => *last ^= 1,
                None => bytes.push(0),
            }
            fs::write(path, bytes).unwrap();
        }
        Tampering::Change if metadata.is_symlink() => {
            let target = fs::read_link(path).unwrap();
            remove(path);
            symlink(format!("{}x", target.to_str().unwrap()), path).unwrap();
        }
        Tampering::Change | Tampering::Add => fs::write(path.parent().unwrap().join("added"), "").unwrap(),
        Tampering::Remove => remove(path),
        Tampering::Rename => fs::rename(path, path.with_file_name("renamed")).unwrap(),
        Tampering::Mode if metadata.is_file() => chmod(path, metadata.permissions().mode() ^ 0o100),
        Tampering::Mode if metadata.is_dir() => chmod(path, 0o777),
        Tampering::Mode | Tampering::ToLink => {
            remove(path);
            symlink("no link of these trees", path).unwrap();
        }
        Tampering::ToFifo => fifo(path),
    }
}

fn tampering() -> impl Strategy<Value = Tampering> {
    use Tampering::{Add, Change, Mode, Remove, Rename, ToFifo, ToLink};
    prop::sample::select(vec![Change, Add, Remove, Rename, Mode, ToLink, ToFifo])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: share(640), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn honest_trees_are_trusted_whatever_the_order(tree in tree()) {
        let directory = tempfile::tempdir().unwrap();
        let (one, other) = (directory.path().join("one"), directory.path().join("other"));
        for root in [&one, &other] {
            fs::create_dir(root).unwrap();
        }
        build(&one, tree.iter());
        build(&other, tree.iter().rev());
        let manifest = sealed(&one, 1);
        prop_assert_eq!(&sealed(&one, 4), &manifest);
        prop_assert_eq!(&sealed(&other, 3), &manifest);
        for threads in [1, 4] {
            prop_assert!(!refused(&other, &manifest, threads));
        }
    }

    #[test]
    fn one_tampering_is_enough(tree in tree(), tampering in tampering(), at in any::<Index>()) {
        let root = tempfile::tempdir().unwrap();
        build(root.path(), tree.iter());
        let manifest = sealed(root.path(), 2);
        let mut paths: BTreeSet<&str> = tree.keys().map(String::as_str).collect();
        paths.extend(tree.keys().flat_map(|path| above(path)));
        let paths: Vec<_> = paths.into_iter().collect();
        tamper(tampering, &root.path().join(at.get(&paths)));
        for threads in [1, 4] {
            prop_assert!(refused(root.path(), &manifest, threads));
        }
    }

    /// Two random trees are the same only where their manifests are.
    #[test]
    fn another_tree_is_refused(one in tree(), other in tree()) {
        let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        build(a.path(), one.iter());
        build(b.path(), other.iter());
        let (sealed_a, sealed_b) = (sealed(a.path(), 2), sealed(b.path(), 2));
        prop_assert_eq!(refused(b.path(), &sealed_a, 2), sealed_a != sealed_b);
        prop_assert_eq!(refused(a.path(), &sealed_b, 2), sealed_a != sealed_b);
    }
}
