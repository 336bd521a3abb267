//! What GNU tar, bsdtar and Python read from archives, beside what we read.

mod mutations;
mod opened;
mod realtrees;
mod unpacked;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::Output;
use std::{fmt, fs};

use cacheseal::archive::{ArchiveError, CodecOptions, MemberKind, Reader, unwrapped};
use cacheseal::base::{Digest, EntryPath, Escaped, Limits};
use serde_json::Value;

use super::{judge, must, text, told};

const LISTING: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/reference/tar_listing.py");

/// A member as any program understands it.
#[derive(Clone, PartialEq, Eq)]
struct Listed {
    name: Vec<u8>,
    kind: &'static str,
    size: u64,
    executable: bool,
    target: Vec<u8>,
    digest: String,
}

impl fmt::Debug for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, kind, size, executable, target, digest } = self;
        let digest = digest.get(..8).unwrap_or_default();
        write!(f, "{kind} `{}` of {size} bytes {digest}, {executable}, `{}`", Escaped(name), Escaped(target))
    }
}

const KINDS: [&str; 4] = ["file", "directory", "symlink", "hard link"];

/// What our reader makes of an archive.
fn ours(archive: &[u8]) -> Result<Vec<Listed>, ArchiveError> {
    let options = CodecOptions::new(27, 2, &Limits::STANDARD);
    unwrapped(archive, &options, |stream| {
        let mut reader = Reader::new(stream);
        let mut found = Vec::new();
        while let Some(member) = reader.next_member()? {
            let mut contents = Vec::new();
            reader.contents(|piece| {
                contents.extend_from_slice(piece);
                Ok(())
            })?;
            let (kind, size, target) = match member.kind {
                MemberKind::File { size } => ("file", size, Vec::new()),
                MemberKind::Directory => ("directory", 0, Vec::new()),
                MemberKind::Link(target) => ("symlink", 0, target),
                MemberKind::HardLink(target) => ("hard link", 0, target),
                MemberKind::Special(noun) => (noun, 0, Vec::new()),
            };
            let digest = if kind == "file" { Digest::sha256(&contents).to_string() } else { String::new() };
            let (name, executable) = (member.unverified_name, member.mode & 0o100 != 0);
            found.push(Listed { name, kind, size, executable, target, digest });
        }
        Ok(found)
    })
}

/// Whether all members can be in a cache: names that lead elsewhere and devices are refused one by one.
fn could_be_trusted(listing: &[Listed]) -> bool {
    listing.iter().all(|member| {
        let name = member.name.strip_prefix(b"./").unwrap_or(&member.name);
        let is_top = member.kind == "directory" && name == b".";
        let is_name = !name.is_empty() && EntryPath::new(name).is_ok();
        let is_link = matches!(member.kind, "symlink" | "hard link");
        KINDS.contains(&member.kind) && (is_top || is_name) && is_link != member.target.is_empty()
    })
}

/// What GNU tar makes of it: its verbose listing, and all contents in one piece.
fn gnu_tar(archive: &Path) -> Result<Vec<Listed>, String> {
    let mut command = judge("tar");
    command.args(["-xvvO", "-P", "--quoting-style=c", "--full-time", "--numeric-owner"]);
    command.arg("--warning=no-unknown-keyword").arg("-f").arg(archive);
    let output = command.output().unwrap();
    if !output.status.success() {
        return Err(told(&output));
    }
    let mut contents = &output.stdout[..];
    let listing = String::from_utf8(output.stderr).map_err(|error| error.to_string())?;
    let members = listing.lines().map(|line| gnu_line(line, &mut contents).ok_or_else(|| line.to_owned()));
    let members = members.collect::<Result<Vec<_>, _>>()?;
    if contents.is_empty() { Ok(members) } else { Err("more contents than sizes".to_owned()) }
}

/// `-rw-r--r-- 1/2  3 2026-01-02 03:04:05 "name"`, and ` -> "target"` or ` link to "target"`.
fn gnu_line(line: &str, contents: &mut &[u8]) -> Option<Listed> {
    let mut fields = line.splitn(2, '"');
    let (facts, names) = (fields.next()?, fields.next()?);
    let mut facts = facts.split_whitespace();
    let (mode, size) = (facts.next()?, facts.nth(1)?.parse::<u64>().ok()?);
    let (name, rest) = unquoted(names)?;
    let kind = match mode.as_bytes().first()? {
        b'-' => "file",
        b'd' => "directory",
        b'l' => "symlink",
        b'h' => "hard link",
        _ => "another type",
    };
    let target = match rest.strip_prefix(" -> \"").or_else(|| rest.strip_prefix(" link to \"")) {
        Some(quoted) => unquoted(quoted).filter(|(_, rest)| rest.is_empty())?.0,
        None if rest.is_empty() => Vec::new(),
        None => return None,
    };
    let mut digest = String::new();
    if kind == "file" {
        let (own, others) = contents.split_at_checked(usize::try_from(size).ok()?)?;
        digest = Digest::sha256(own).to_string();
        *contents = others;
    }
    let is_directory = kind == "directory";
    let name = if is_directory { name.strip_suffix(b"/").unwrap_or(&name).to_vec() } else { name };
    let executable = matches!(mode.as_bytes().get(3)?, b'x' | b's');
    Some(Listed { name, kind, size: if kind == "file" { size } else { 0 }, executable, target, digest })
}

/// The bytes of a C string up to its closing quote, and what follows that.
fn unquoted(text: &str) -> Option<(Vec<u8>, &str)> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    loop {
        let (first, after) = rest.split_first()?;
        rest = after;
        match first {
            b'"' => return Some((bytes, std::str::from_utf8(rest).ok()?)),
            b'\\' => {
                let (escaped, after) = rest.split_first()?;
                let plain = match escaped {
                    b'a' => 7,
                    b'b' => 8,
                    b't' => b'\t',
                    b'n' => b'\n',
                    b'v' => 11,
                    b'f' => 12,
                    b'r' => b'\r',
                    b'0'..=b'7' => {
                        let digits = std::str::from_utf8(rest.get(..3)?).ok()?;
                        bytes.push(u8::from_str_radix(digits, 8).ok()?);
                        rest = rest.get(3..)?;
                        continue;
                    }
                    other => *other,
                };
                bytes.push(plain);
                rest = after;
            }
            other => bytes.push(*other),
        }
    }
}

/// What bsdtar makes of it.
enum ByBsdtar {
    /// It wrote it anew, in a form that all read alike.
    Rewritten,
    /// It wants names in PAX records to be UTF-8, takes others as they are, and writes none of them anew: what it lists,
    /// with types and targets as we read them.
    Listed(Vec<Listed>),
}

fn bsdtar(archive: &Path, to: &Path, ours: &[Listed]) -> Result<ByBsdtar, String> {
    let run = |arguments: &[&str], last: OsString| {
        judge("bsdtar").env("LC_ALL", "C.UTF-8").args(arguments).arg(last).output().unwrap()
    };
    let from = [OsStr::new("@"), archive.as_os_str()].into_iter().collect();
    let output = run(&["-P", "--format=pax", "--options=pax:hdrcharset=BINARY", "-cf", text(to)], from);
    if output.status.success() && output.stderr.is_empty() {
        return Ok(ByBsdtar::Rewritten);
    }
    let names = run(&["-Ptf"], archive.into());
    let contents = run(&["-PxOf"], archive.into());
    for output in [&output, &names, &contents] {
        if !complains_of_names_alone(output) {
            return Err(told(output));
        }
    }
    let names = String::from_utf8(names.stdout).map_err(|error| error.to_string())?;
    let (mut lines, mut contents) = (names.lines(), &contents.stdout[..]);
    let listed = ours.iter().map(|member| with_name(member, lines.next()?, &mut contents)).collect::<Option<_>>();
    match listed {
        Some(listed) if lines.next().is_none() && contents.is_empty() => Ok(ByBsdtar::Listed(listed)),
        _ => Err(format!("other members or contents: {names}")),
    }
}

fn complains_of_names_alone(output: &Output) -> bool {
    let messages = String::from_utf8_lossy(&output.stderr).into_owned();
    let is_of_names = |line: &str| {
        let end = "bsdtar: Error exit delayed from previous errors.";
        line.ends_with("can't be converted from UTF-8 to current locale.") || line == end || line.is_empty()
    };
    !messages.is_empty() && messages.lines().all(is_of_names)
}

/// A member with the name and the contents that bsdtar has for it.
fn with_name(member: &Listed, line: &str, contents: &mut &[u8]) -> Option<Listed> {
    let (name, _) = unquoted(&(line.replace('"', "\\\"") + "\""))?;
    let mut digest = String::new();
    if member.kind == "file" {
        let (own, others) = contents.split_at_checked(usize::try_from(member.size).ok()?)?;
        digest = Digest::sha256(own).to_string();
        *contents = others;
    }
    let name = if member.kind == "directory" { name.strip_suffix(b"/").unwrap_or(&name).to_vec() } else { name };
    Some(Listed { name, digest, ..member.clone() })
}

/// What Python makes of every archive of a directory, by their names.
fn python(directory: &Path) -> BTreeMap<String, Result<Vec<Listed>, String>> {
    let output = String::from_utf8(must(judge("python3").arg(LISTING).arg(directory))).unwrap();
    let lines = output.lines().map(|line| line.split_once('\t').unwrap());
    lines.map(|(name, json)| (name.to_owned(), listing_of(&serde_json::from_str(json).unwrap()))).collect()
}

fn listing_of(json: &Value) -> Result<Vec<Listed>, String> {
    let members = json.as_array().ok_or_else(|| json.to_string())?;
    members.iter().map(|member| listed(member).ok_or_else(|| member.to_string())).collect()
}

fn listed(json: &Value) -> Option<Listed> {
    let bytes = |at: usize| hex::decode(json[at].as_str()?).ok();
    Some(Listed {
        name: bytes(0)?,
        kind: KINDS.into_iter().find(|kind| json[1] == *kind)?,
        size: json[2].as_u64()?,
        executable: json[3].as_bool()?,
        target: bytes(4)?,
        digest: json[5].as_str()?.to_owned(),
    })
}

/// Holds what the others read from each archive of `accepted` against ours. Tells where they differ.
fn disagreements(accepted: &[(String, Vec<u8>)]) -> Vec<String> {
    let directory = tempfile::tempdir().unwrap();
    let (plain, rewritten) = (directory.path().join("plain"), directory.path().join("rewritten"));
    fs::create_dir(&plain).unwrap();
    fs::create_dir(&rewritten).unwrap();
    let judge_one = &|(name, archive): &(String, Vec<u8>)| {
        let path = plain.join(name);
        fs::write(&path, archive).unwrap();
        let ours = ours(archive).unwrap();
        let (gnu, bsd) = (gnu_tar(&path), bsdtar(&path, &rewritten.join(name), &ours));
        (name.clone(), ours, gnu, bsd)
    };
    let half = accepted.len().div_ceil(2).max(1);
    let judged = std::thread::scope(|scope| {
        let work = |half| scope.spawn(move || <[_]>::iter(half).map(judge_one).collect::<Vec<_>>());
        let workers: Vec<_> = accepted.chunks(half).map(work).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect::<Vec<_>>()
    });
    let (by_python, by_bsdtar) = (python(&plain), python(&rewritten));
    let mut found = Vec::new();
    for (name, ours, gnu, bsd) in judged {
        let bsd = bsd.and_then(|how| match how {
            ByBsdtar::Rewritten => by_bsdtar[&name].clone(),
            ByBsdtar::Listed(listed) => Ok(listed),
        });
        for (program, theirs) in [("GNU tar", gnu), ("bsdtar", bsd), ("Python", by_python[&name].clone())] {
            if theirs.as_ref() != Ok(&ours) {
                found.push(format!("{name}: {program} {}", difference(&ours, &theirs)));
            }
        }
    }
    found
}

/// The first difference, short enough to read.
fn difference(ours: &[Listed], theirs: &Result<Vec<Listed>, String>) -> String {
    match theirs {
        Ok(theirs) => {
            let at = ours.iter().zip(theirs).position(|(ours, theirs)| ours != theirs);
            let at = at.unwrap_or(ours.len().min(theirs.len()));
            format!("reads {:?} where we read {:?}", theirs.get(at), ours.get(at))
        }
        Err(error) => format!("refuses ({}) what we read as {} members", error.trim(), ours.len()),
    }
}

#[test]
fn quoted_names_are_read_back() {
    assert_eq!(unquoted(r#"a\n\"b\\\303\251" -> x"#), Some(("a\n\"b\\é".as_bytes().to_vec(), " -> x")));
    let mut contents = &b"hello!"[..];
    let line = r#"-rwxr-xr-x 1/2               5 2026-11-24 09:22:25 "d/ g""#;
    let listed = gnu_line(line, &mut contents).unwrap();
    assert_eq!((listed.name.as_slice(), listed.kind, listed.size, listed.executable), (&b"d/ g"[..], "file", 5, true));
    assert_eq!(contents, b"!");
}
