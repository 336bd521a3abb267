//! Zips that were changed in their structure, read by several versions of Go: whatever is proven, each of them reads
//! with the same names and bytes, or refuses.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cacheseal::base::Digest;

use super::super::{fed, judge, must, text, told};
use crate::harness::share;
use crate::lockfile::Locked;
use crate::lockfile::zips::{GoMember, go_zip_of};

/// The versions of Go that read: the one of the system, and two that `.ci/run` installs.
pub(super) const GOES: [&str; 3] = ["go", "go1.25.0", "go1.27.3"];

/// Where Go keeps what it has compiled, from run to run: its own library takes most of the time.
pub(super) const BUILT: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/go-build");

/// Says of each zip whose path it is given what `archive/zip` reads: names and digests, in the order of the directory.
const READER: &str = r#"package main

import (
	"archive/zip"
	"bufio"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
)

func read(path string) string {
	archive, err := zip.OpenReader(path)
	if err != nil {
		return "refused"
	}
	defer archive.Close()
	said := ""
	for _, file := range archive.File {
		contents, err := file.Open()
		if err != nil {
			return "refused"
		}
		hash := sha256.New()
		if _, err := io.Copy(hash, contents); err != nil {
			return "refused"
		}
		contents.Close()
		said += fmt.Sprintf("%x %q,", hash.Sum(nil), file.Name)
	}
	return said
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		fmt.Println(read(lines.Text()))
	}
}
"#;

/// Numbers that look random and are the same on every run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % end.max(1)
    }

    fn of<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }

    fn word(&mut self) -> u32 {
        match self.below(3) {
            0 => self.of(&[0, 1, 0xffff, 0x1_0000, u32::MAX, u32::MAX - 1, 30, 46]),
            1 => u32::try_from(self.below(600)).unwrap(),
            _ => u32::try_from(self.below(1 << 31)).unwrap(),
        }
    }
}

fn files(index: usize) -> Vec<(String, Vec<u8>)> {
    let prefix = format!("example.com/m{index}@v1.0.0");
    vec![
        (format!("{prefix}/go.mod"), format!("module example.com/m{index}\n").into_bytes()),
        (format!("{prefix}/a.go"), b"package m\n\n// honest honest honest\n".to_vec()),
        (format!("{prefix}/b.go"), format!("package m\n\nconst Index = {index}\n").into_bytes()),
    ]
}

fn h1(files: &[(String, Vec<u8>)]) -> String {
    let sorted: BTreeMap<_, _> = files.iter().map(|(name, contents)| (name, contents)).collect();
    let mut lines = String::new();
    for (name, contents) in sorted {
        let _ = writeln!(lines, "{}  {name}", Digest::sha256(contents));
    }
    format!("h1:{}", STANDARD.encode(Digest::sha256(lines.as_bytes()).0))
}

/// What [`READER`] says of these files.
fn said(files: &[(String, Vec<u8>)]) -> String {
    let mut said = String::new();
    for (name, contents) in files {
        let _ = write!(said, "{} \"{name}\",", Digest::sha256(contents));
    }
    said
}

fn zip64_extra(words: &[u64]) -> Vec<u8> {
    let mut extra = vec![1, 0];
    extra.extend(u16::try_from(words.len() * 8).unwrap().to_le_bytes());
    extra.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    extra
}

fn members(files: &[(String, Vec<u8>)]) -> Vec<GoMember> {
    files.iter().map(|(name, contents)| GoMember::new(name, contents)).collect()
}

/// The files in one directory, others in a second one, which Go up to 1.25 looks for where the size of the first is
/// 0xffff: behind a mark of large zips in the comment of the last record.
pub(super) fn two_directories(honest: &[(String, Vec<u8>)], evil: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut members = members(honest);
    let hidden = go_zip_of(&self::members(evil), [None; 3]);
    let end = hidden.len() - 22;
    let number = |at: usize| u64::from(u32::from_le_bytes(hidden[end + at..end + at + 4].try_into().unwrap()));
    let (size, start) = (number(12), number(16));
    let plain = go_zip_of(&members, [None; 3]);
    let own =
        usize::try_from(u32::from_le_bytes(plain[plain.len() - 10..plain.len() - 6].try_into().unwrap())).unwrap();
    let before = u64::try_from(plain.len() - 22 - own).unwrap();
    // Offsets of the hidden zip count from the first byte of the whole.
    let mut moved = hidden[..end].to_vec();
    let mut at = usize::try_from(start).unwrap();
    while at < end {
        let offset = u32::from_le_bytes(moved[at + 42..at + 46].try_into().unwrap());
        moved[at + 42..at + 46].copy_from_slice(&(offset + u32::try_from(before).unwrap()).to_le_bytes());
        at += 46 + usize::from(u16::from_le_bytes(moved[at + 28..at + 30].try_into().unwrap()));
    }
    let end_64 = before + end as u64;
    let count = evil.len() as u64;
    moved.extend(0x0606_4b50_u32.to_le_bytes());
    moved.extend(44_u64.to_le_bytes());
    moved.extend([45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    moved.extend([count, count, size, before + start].into_iter().flat_map(u64::to_le_bytes));
    let mut locator = 0x0706_4b50_u32.to_le_bytes().to_vec();
    locator.extend(0_u32.to_le_bytes());
    locator.extend(end_64.to_le_bytes());
    locator.extend(1_u32.to_le_bytes());
    let last = members.last_mut().unwrap();
    last.gap = moved;
    last.comment = vec![b' '; 0xffff - own - locator.len()];
    last.comment.extend(locator);
    go_zip_of(&members, [None; 3])
}

/// A zip of the files with one to three lies in its structure; an honest one now and then.
fn lie(random: &mut Random, files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut members = members(files);
    let mut end = [None; 3];
    if random.below(16) == 0 {
        let evil: Vec<_> = files.iter().map(|(name, _)| (name.clone(), b"package evil\n".to_vec())).collect();
        return two_directories(files, &evil);
    }
    let lies = random.below(4);
    for _ in 0..lies {
        let which = random.below(members.len());
        let member = &mut members[which];
        match random.below(16) {
            0 => member.flags = random.of(&[0, 8, 0x800, 0x808, 9, 0x2008]),
            1 => member.method = random.of(&[0, 8, 12, 93]),
            2 => member.local = [random.word(), random.word(), random.word()],
            3 => member.local_extra = vec![0; random.below(12)],
            4 => member.extra = zip64_extra(&[random.word().into(), random.word().into(), 0]),
            5 => member.extra = b"up\x06\0\x01\0\0\0\0x".to_vec(),
            6 => member.comment = vec![b' '; random.below(64)],
            7 => member.gap = GoMember::new("evil", b"package evil\n").packed,
            8 => member.descriptor = member.descriptor[4..].to_vec(),
            9 => member.packed.extend(b"evil"),
            10 => member.size = random.word(),
            11 => member.crc = random.word(),
            12 => end[random.below(3)] = Some(random.word() & 0xffff),
            13 => end[1 + random.below(2)] = Some(random.word()),
            14 => {
                // The same contents, stored, or with a descriptor that is right for them.
                member.packed = files[which].1.clone();
                member.method = 0;
                member.describe();
            }
            _ => members.swap(which, 0),
        }
        if random.below(3) == 0 {
            members.iter_mut().for_each(GoMember::describe);
        }
    }
    let mut bytes = go_zip_of(&members, end);
    match random.below(8) {
        0 => {
            let at = random.below(bytes.len());
            bytes[at] = u8::try_from(random.below(256)).unwrap();
        }
        1 => {
            let at = bytes.len() - 1 - random.below(200);
            bytes[at] ^= 1 << random.below(8);
        }
        _ => {}
    }
    bytes
}

fn zip_path(index: usize) -> String {
    format!("~/go/pkg/mod/cache/download/example.com/m{index}/@v/v1.0.0.zip")
}

/// Which of `count` zips are proven, by their numbers.
fn proven(locked: &Locked, count: usize) -> Vec<bool> {
    let verdict = locked.verify("lock");
    let refusals = verdict.json["refusals"].as_array().unwrap();
    let refused: Vec<&str> = refusals.iter().map(|refusal| refusal["place"].as_str().unwrap()).collect();
    let total: u64 = verdict.json["counts"].as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum();
    assert_eq!(total, refused.len() as u64, "{:#}", verdict.json["counts"]);
    (0..count).map(|index| !refused.contains(&zip_path(index).as_str())).collect()
}

fn compiled(locked: &Locked, go: &str) -> PathBuf {
    let (source, program) = (locked.project.outside("reader.go"), locked.project.outside(&format!("reader-{go}")));
    fs::write(&source, READER).unwrap();
    let mut command = judge(go);
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", locked.project.home());
    command.envs([("GOTOOLCHAIN", "local"), ("CGO_ENABLED", "0"), ("GOFLAGS", ""), ("GOCACHE", BUILT)]);
    must(command.current_dir(locked.project.outside("")).args(["build", "-o", text(&program), text(&source)]));
    program
}

#[test]
fn whatever_zip_is_proven_every_go_reads_alike_or_refuses() {
    let count = usize::try_from(share(2_000)).unwrap();
    let mut random = Random(7);
    let (mut proven_all, mut refused_by_us) = (0, 0);
    for batch in (0..count).step_by(400) {
        let locked = Locked::new(&["~/go/pkg/mod"], "go.sum");
        let batch: Vec<usize> = (batch..count.min(batch + 400)).collect();
        let mut sums = String::new();
        let mut paths = String::new();
        for (place, index) in batch.iter().enumerate() {
            let files = files(place);
            let _ = writeln!(sums, "example.com/m{place} v1.0.0 {}", h1(&files));
            // The first is honest.
            let bytes = if *index == 0 { go_zip_of(&members(&files), [None; 3]) } else { lie(&mut random, &files) };
            locked.write(&zip_path(place), bytes);
            let _ = writeln!(paths, "{}", text(&locked.path(&zip_path(place))));
        }
        locked.write("go.sum", sums);
        let proven = proven(&locked, batch.len());
        assert!(proven[0] || batch[0] != 0, "the honest one is proven");
        for go in GOES {
            let program = compiled(&locked, go);
            let output = fed(&mut Command::new(program), paths.as_bytes());
            assert!(output.status.success(), "{}", told(&output));
            let read = String::from_utf8(output.stdout).unwrap();
            assert_eq!(read.lines().count(), batch.len());
            for (place, found) in read.lines().enumerate().filter(|(place, _)| proven[*place]) {
                let expected = said(&files(place));
                // Go itself writes members in the order that it was given.
                let sorted = |text: &str| {
                    let mut parts: Vec<_> = text.split(',').map(str::to_owned).collect();
                    parts.sort();
                    parts
                };
                let is_same = found == "refused" || sorted(found) == sorted(&expected);
                assert!(is_same, "{go} reads zip {} otherwise:\n{found}\n{expected}", batch[place]);
            }
            let read_honest = read.lines().next() == Some(said(&files(0)).as_str());
            assert!(read_honest || batch[0] != 0, "{go}: {read}");
        }
        let of_us = proven.iter().filter(|proven| **proven).count();
        proven_all += of_us;
        refused_by_us += proven.len() - of_us;
    }
    println!("{proven_all} zips proven, {refused_by_us} not; all read alike by {GOES:?}");
    assert!(proven_all * 20 > count && refused_by_us * 4 > count, "{proven_all} {refused_by_us} of {count}");
}
