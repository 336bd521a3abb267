//! Vendored packages: what `cargo vendor` writes, `<name>/` or `<name>-<version>/` with a `.cargo-checksum.json`.
//! Cargo compares the files with that list, and its `package` with `Cargo.lock`; but nothing ties the one to the other,
//! so whoever rewrites both is not found out. Only the `.crate` does, where the cache has it too.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::home;
use super::lock::{CargoLock, Package};
use crate::lockfile::{
    Checksum, Claim, EntryId, Expected, Files, Findings, Forest, HashAlgorithm, Held, ManyHasher, Member, MemberKind,
    Plan, UnpackError, Unpacked, hold, tar_gz,
};
use crate::tree::{Kind, Unread};

const LIST: &[u8] = b".cargo-checksum.json";

/// The largest list that is read: one of 100,000 files has some 12 MiB.
const LIST_BYTES_MAX: u64 = 32 << 20;

/// Locked packages whose `.crate` is in the cache, by name.
type Archives<'a> = BTreeMap<&'a str, Vec<(&'a Package, EntryId)>>;

pub(super) fn plan<'a>(lock: &'a CargoLock, archives: &Archives<'a>, plan: &mut Plan<'a>) {
    let forest = plan.forest;
    for (root, tree) in forest.roots() {
        if home::is_part(&tree.components) {
            continue;
        }
        let mut vendored = Vec::new();
        for directory in forest.children(root) {
            let list = forest.find(directory, LIST).filter(|list| forest.kind(*list) == Kind::File);
            let (Some(list), Ok(name)) = (list, std::str::from_utf8(forest.name(directory))) else { continue };
            vendored.push((name, list));
            let is_named = |package: &&Package| name == package.name || name == package.id();
            if !lock.packages().iter().any(|package| is_named(&package)) {
                plan.unproven(directory, "vendored, and not a package of Cargo.lock");
                continue;
            }
            let with_archive = archives.values().flatten().filter(|(package, _)| is_named(package));
            let candidates: Vec<_> = with_archive.copied().collect();
            if candidates.is_empty() {
                let reason =
                    "vendored, and its .crate is not in the cache: .cargo-checksum.json is only the cache's own word";
                plan.unproven(directory, reason);
            } else {
                plan.claim(Vendored { forest, directory, list, candidates });
            }
        }
        if !vendored.is_empty() {
            plan.claim(Whole { forest, root, lock, vendored });
        }
    }
}

/// A directory of vendored packages, which has all that Cargo would fetch: `cargo vendor` leaves none out.
#[derive(Debug)]
struct Whole<'a> {
    forest: &'a Forest,
    root: EntryId,
    lock: &'a CargoLock,
    /// Names of directories and their lists.
    vendored: Vec<(&'a str, EntryId)>,
}

impl Claim for Whole<'_> {
    fn prove(&self, files: &mut dyn Files, findings: &mut Findings) {
        // By name and checksum; a list that says something else than its directory is contradicted by its files.
        let mut there = BTreeSet::new();
        for (name, list) in &self.vendored {
            let Ok(bytes) = files.bytes(*list, LIST_BYTES_MAX) else { return };
            let said = bytes.and_then(|bytes| package_of(&bytes));
            there.insert((*name, said));
        }
        for package in self.lock.packages() {
            let checksum = package.checksum.as_ref().map(Checksum::hex);
            let id = package.id();
            let names = [package.name.as_str(), id.as_str()];
            if !names.into_iter().any(|name| there.contains(&(name, checksum.clone()))) {
                let place = [&self.forest.place(self.root)[..], b"/", package.name.as_bytes()].concat();
                let expected = format!("{}, which is locked and which `cargo vendor` writes", package.shown());
                findings.missing(place, expected);
            }
        }
    }
}

/// What a list of checksums says of its package.
fn package_of(list: &[u8]) -> Option<String> {
    serde_json::from_slice(list).ok().and_then(|list: Value| Some(list["package"].as_str()?.to_owned()))
}

/// A vendored directory, and the archives of the packages that it may be by its name.
#[derive(Debug)]
struct Vendored<'a> {
    forest: &'a Forest,
    directory: EntryId,
    list: EntryId,
    candidates: Vec<(&'a Package, EntryId)>,
}

impl Claim for Vendored<'_> {
    fn archive(&self) -> Option<EntryId> {
        self.candidates.first().map(|(_, archive)| *archive)
    }

    fn prove(&self, files: &mut dyn Files, findings: &mut Findings) {
        let Ok(list) = files.bytes(self.list, LIST_BYTES_MAX) else { return };
        let Some(list) = list else {
            return findings.unproven(self.list, "a list of checksums that is too long");
        };
        // What the list says of itself only chooses what it is held against.
        let said = package_of(&list);
        let is_said = |package: &Package| said.is_some() && package.checksum.as_ref().map(Checksum::hex) == said;
        let chosen = self.candidates.iter().find(|(package, _)| is_said(package)).or(self.candidates.first());
        let Some((package, archive)) = chosen else { return };
        let Some(checksum) = &package.checksum else { return };
        match hold(files, *archive, &Expected::any_of([checksum.clone()])) {
            Ok(Held::Proven(bytes)) => {
                self.compare(package, &bytes, &list, files, findings);
                files.give_back(bytes);
            }
            Ok(_) => {
                for entry in self.forest.below(self.directory) {
                    findings.unproven(entry, "vendored from a .crate that is not the locked one");
                }
            }
            Err(Unread) => {}
        }
    }
}

impl Vendored<'_> {
    fn compare(&self, package: &Package, bytes: &[u8], list: &[u8], files: &mut dyn Files, findings: &mut Findings) {
        let (id, shown) = (package.id(), package.shown());
        let mut unpacked = Unpacked::new(self.forest, self.directory, &shown);
        unpacked.leave(self.list);
        let mut sums = Map::new();
        let result = tar_gz(bytes, &files.scratch(), &mut |member| {
            let below = member.path.strip_prefix(id.as_bytes()).and_then(|rest| rest.strip_prefix(b"/"));
            let Some(path) = below.map(<[u8]>::to_vec) else { return Ok(()) };
            let is_there = self.forest.find(self.directory, &path).is_some();
            if !is_there && may_be_left_out(&path) {
                return Ok(());
            }
            let MemberKind::File { executable } = member.kind else { return Ok(()) };
            let mut content = Vec::new();
            member.content.read_to_end(&mut content)?;
            let mut hasher = ManyHasher::new([HashAlgorithm::Sha256]);
            hasher.update(&content);
            let sum: String = hasher.finish().iter().map(Checksum::hex).collect();
            let name = String::from_utf8(path.clone()).map_err(|_| UnpackError::new("a name that is not UTF-8"))?;
            sums.insert(name, sum.into());
            let mut copy = Member {
                path: &path,
                kind: member.kind,
                is_mode_clear: true,
                size: member.size,
                content: &mut content.as_slice(),
            };
            unpacked.member(&path, &mut copy, Some(executable), files);
            Ok(())
        });
        if let Err(error) = result {
            for entry in self.forest.below(self.directory) {
                findings.unproven(entry, format!("vendored from {shown}: {error}"));
            }
            return;
        }
        unpacked.finish(findings);
        let derived = json!({ "files": sums, "package": package.checksum.as_ref().map(Checksum::hex) }).to_string();
        if list == derived.as_bytes() {
            findings.proven(self.list);
        } else {
            findings.mismatch(self.list, format!("the checksums of the files of {shown}"), "another list");
        }
    }
}

/// Files of a package that some versions of `cargo vendor` do not write.
fn may_be_left_out(path: &[u8]) -> bool {
    let name = path.rsplit(|byte| *byte == b'/').next();
    matches!(name, Some(b".gitattributes" | b".gitignore" | b".git" | b".cargo-ok"))
        || path.ends_with(b".orig")
        || path.ends_with(b".rej")
}
