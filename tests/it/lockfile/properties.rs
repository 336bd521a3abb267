//! Random packages, and random changes to them: what is as locked is trusted, and whatever is not is refused.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use proptest::prelude::*;

use super::cargo::{CACHE, CRATES_IO, SRC, lockfile};
use super::{Locked, tgz};
use crate::harness::share;

/// Files of a package: contents and whether they are executable, by their path.
type Files = BTreeMap<String, (Vec<u8>, bool)>;

fn files() -> impl Strategy<Value = Files> {
    let path = ("[a-c]{1,2}", proptest::option::of("[a-c]{1,2}")).prop_map(|(first, second)| match second {
        // A name is a directory or a file, never both.
        Some(second) => format!("{first}.d/{second}"),
        None => first,
    });
    let contents = prop_oneof![Just(Vec::new()), proptest::collection::vec(any::<u8>(), 1..64), Just(vec![7; 200_000])];
    proptest::collection::btree_map(path, (contents, any::<bool>()), 1..8)
}

/// What is changed on disk after an honest unpacking.
#[derive(Debug, Clone, Copy)]
enum Change {
    Nothing,
    FlipByte(usize),
    Append,
    Truncate(usize),
    FlipMode(usize),
    Remove(usize),
    Add,
    AddDirectory,
    RenameFile(usize),
    EmptyArchive,
    FlipArchive(usize),
}

fn changes() -> impl Strategy<Value = Change> {
    prop_oneof![
        2 => Just(Change::Nothing),
        1 => any::<usize>().prop_map(Change::FlipByte),
        1 => Just(Change::Append),
        1 => any::<usize>().prop_map(Change::Truncate),
        1 => any::<usize>().prop_map(Change::FlipMode),
        1 => any::<usize>().prop_map(Change::Remove),
        1 => Just(Change::Add),
        1 => Just(Change::AddDirectory),
        1 => any::<usize>().prop_map(Change::RenameFile),
        1 => Just(Change::EmptyArchive),
        1 => any::<usize>().prop_map(Change::FlipArchive),
    ]
}

/// Makes the change, and says whether the cache is another one now.
fn make(change: Change, locked: &Locked, files: &Files) -> bool {
    let source = locked.path(&format!("{SRC}/p-1.0.0"));
    let archive = locked.path(&format!("{CACHE}/p-1.0.0.crate"));
    let pick = |at: usize| {
        let (path, (contents, executable)) = files.iter().nth(at % files.len()).unwrap();
        (source.join(path), contents.clone(), *executable)
    };
    let write = |path: &PathBuf, contents: &[u8]| fs::write(path, contents).unwrap();
    match change {
        Change::Nothing => return false,
        Change::FlipByte(at) => {
            let (path, mut contents, _) = pick(at);
            let Some(len) = std::num::NonZeroUsize::new(contents.len()) else { return false };
            contents[at % len] ^= 1;
            write(&path, &contents);
        }
        Change::Append => write(&pick(0).0, &[pick(0).1, vec![0]].concat()),
        Change::Truncate(at) => {
            let (path, contents, _) = pick(at);
            let Some((_, rest)) = contents.split_last() else { return false };
            write(&path, rest);
        }
        Change::FlipMode(at) => {
            let (path, _, executable) = pick(at);
            fs::set_permissions(path, fs::Permissions::from_mode(if executable { 0o644 } else { 0o755 })).unwrap();
        }
        Change::Remove(at) => fs::remove_file(pick(at).0).unwrap(),
        Change::Add => write(&source.join("zz"), b""),
        Change::AddDirectory => fs::create_dir(source.join("zz")).unwrap(),
        Change::RenameFile(at) => fs::rename(pick(at).0, source.join("zz")).unwrap(),
        Change::EmptyArchive => write(&archive, b""),
        Change::FlipArchive(at) => {
            let mut bytes = fs::read(&archive).unwrap();
            let at = at % bytes.len();
            bytes[at] ^= 1;
            write(&archive, &bytes);
        }
    }
    true
}

proptest! {
    #![proptest_config(ProptestConfig { cases: share(160), ..ProptestConfig::default() })]

    #[test]
    fn what_is_as_locked_is_trusted_and_nothing_else(files in files(), change in changes()) {
        let locked = Locked::new(&["~/.cargo/registry/cache", "~/.cargo/registry/src"], "Cargo.lock");
        let members: Vec<_> = files
            .iter()
            .map(|(path, (contents, executable))| {
                (format!("p-1.0.0/{path}"), contents.as_slice(), if *executable { 0o755 } else { 0o644 })
            })
            .collect();
        let members: Vec<_> = members.iter().map(|(path, contents, mode)| (path.as_str(), *contents, *mode)).collect();
        let archive = tgz(&members);
        locked.write("Cargo.lock", lockfile(&[("p", "1.0.0", CRATES_IO, &archive)]));
        locked.write(&format!("{CACHE}/p-1.0.0.crate"), &archive);
        for (path, (contents, executable)) in &files {
            locked.write_mode(&format!("{SRC}/p-1.0.0/{path}"), contents, if *executable { 0o755 } else { 0o644 });
        }
        let is_other = make(change, &locked, &files);
        let verdict = locked.verify("lock");
        prop_assert_eq!(verdict.code, Some(if is_other { 14 } else { 0 }), "{:?}: {:#}", change, verdict.json);
        // Allowing what is unproven never lets a contradiction through.
        let has_mismatch = verdict.codes().contains("lockfile-mismatch");
        prop_assert_eq!(has_mismatch, is_other, "{:?}: {:#}", change, verdict.json);
        prop_assert_eq!(locked.verify("allow").codes().contains("lockfile-mismatch"), has_mismatch);
    }
}
