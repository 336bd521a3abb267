//! A packed cache, its members one by one, and what `unpack` makes of it.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use cacheseal::archive::Writer;

use super::harness::{POLICY, Project, Run, Verdict};

pub(crate) type Listed = BTreeMap<PathBuf, (char, u32, Vec<u8>)>;

/// Every entry below a directory: its path, what it is, its permission bits and its contents.
pub(crate) fn listed(directory: &Path) -> Listed {
    let mut found = BTreeMap::new();
    let mut waiting = vec![directory.to_owned()];
    while let Some(next) = waiting.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            let metadata = fs::symlink_metadata(&path).unwrap();
            let (kind, contents) = if metadata.is_dir() {
                waiting.push(path.clone());
                ('d', Vec::new())
            } else if metadata.is_symlink() {
                ('l', fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes())
            } else {
                ('f', fs::read(&path).unwrap())
            };
            found.insert(path.strip_prefix(directory).unwrap().to_owned(), (kind, metadata.mode() & 0o7777, contents));
        }
    }
    found
}

/// A project whose roots and seal lie in an archive, and are gone.
pub(crate) struct Packed {
    pub(crate) project: Project,
    pub(crate) archive: Vec<u8>,
}

impl Packed {
    pub(crate) fn new() -> Self {
        Self::with(POLICY, Project::seal)
    }

    pub(crate) fn with(policy: &str, seal: impl FnOnce(&Project)) -> Self {
        let project = Project::empty(policy);
        project.fill();
        fs::create_dir_all(project.home().join("a/b/c")).unwrap();
        fs::write(project.home().join("a/b/c/deep"), "deep").unwrap();
        seal(&project);
        let packed = Self { archive: pack(&project), project };
        packed.clear();
        packed
    }

    /// Takes roots and seal away.
    pub(crate) fn clear(&self) {
        for path in [self.path("deps"), self.path(".cacheseal"), self.home("store"), self.home("a")] {
            if path.exists() {
                fs::remove_dir_all(path).unwrap();
            }
        }
    }

    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.project.path(below)
    }

    pub(crate) fn home(&self, below: &str) -> PathBuf {
        self.project.home().join(below)
    }

    pub(crate) fn everything(&self) -> Listed {
        listed(&self.project.outside(""))
    }

    pub(crate) fn unpack(&self, archive: &[u8], more: &[&str]) -> Verdict {
        self.unpack_at("any", archive, more)
    }

    pub(crate) fn unpack_at(&self, gate: &str, archive: &[u8], more: &[&str]) -> Verdict {
        let arguments = [&["unpack", "-", "--gate", gate, "--format", "json"], more].concat();
        let mut child = self.project.command();
        let mut child = child.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        // It does not read on when it has seen enough.
        let _: std::io::Result<()> = child.stdin.take().unwrap().write_all(archive);
        Run::of(child.wait_with_output().unwrap()).verdict()
    }

    /// Unpacks what must not be: nothing of it may be left, wherever.
    #[track_caller]
    pub(crate) fn refuses(&self, row: &str, archive: &[u8], exit: i32, codes: &[&str]) {
        for more in [&[][..], &["--replace"]] {
            let before = self.everything();
            let verdict = self.unpack(archive, more);
            verdict.expect_of(row, exit, codes);
            assert_eq!(verdict.json["unpacked"]["inPlace"], false, "{row}");
            assert!(self.everything() == before, "{row}");
        }
    }

    pub(crate) fn is_in_place(&self) {
        self.project.verify("exact").expect(0, &[]);
        let litter: Vec<_> =
            self.everything().into_keys().filter(|path| path.to_string_lossy().contains("-unpack-")).collect();
        assert!(litter.is_empty(), "{litter:?}");
    }
}

/// An uncompressed archive of a sealed project.
pub(crate) fn pack(project: &Project) -> Vec<u8> {
    let output = project.command().args(["pack", "deps", "-o", "-"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    zstd::decode_all(&*output.stdout).unwrap()
}

/// The members of an archive of `pack`, headers and contents together, by their names.
pub(crate) fn split(archive: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut members = Vec::new();
    let mut rest = &archive[..archive.len() - 1024];
    while !rest.is_empty() {
        let name = rest[..100].split(|byte| *byte == 0).next().unwrap();
        let size = usize::from_str_radix(std::str::from_utf8(&rest[124..135]).unwrap(), 8).unwrap();
        let (member, after) = rest.split_at(512 + size.next_multiple_of(512));
        members.push((String::from_utf8(name.to_vec()).unwrap(), member.to_vec()));
        rest = after;
    }
    members
}

pub(crate) fn join<'a>(members: impl IntoIterator<Item = &'a (String, Vec<u8>)>) -> Vec<u8> {
    let mut archive: Vec<u8> = members.into_iter().flat_map(|(_, member)| member.clone()).collect();
    archive.extend([0; 1024]);
    archive
}

/// One member more.
pub(crate) fn member(write: impl FnOnce(&mut Writer<Vec<u8>>)) -> (String, Vec<u8>) {
    let mut tar = Writer::new(Vec::new(), 0);
    write(&mut tar);
    let mut bytes = tar.finish().unwrap();
    bytes.truncate(bytes.len() - 1024);
    (String::new(), bytes)
}

pub(crate) fn file(name: &str, contents: &str) -> (String, Vec<u8>) {
    member(|tar| {
        tar.file(name.as_bytes(), contents.len() as u64, false).unwrap();
        tar.content(contents.as_bytes()).unwrap();
    })
}

/// A hard link, which we do not write ourselves.
pub(crate) fn hard_link(name: &str, target: &str) -> (String, Vec<u8>) {
    let (name, mut bytes) = member(|tar| tar.link(name.as_bytes(), target.as_bytes()).unwrap());
    bytes[156] = b'1';
    bytes[100..107].copy_from_slice(b"0000644");
    bytes[148..156].fill(b' ');
    let sum: u32 = bytes[..512].iter().map(|byte| u32::from(*byte)).sum();
    bytes[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    (name, bytes)
}
