//! Real trees as every program archives them: trusted, until a byte, a member or a name is not as it was.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::super::realtrees::installed;
use super::super::{judge, must, text};
use super::{Listed, ours};
use crate::archives::tar::{BLOCK, FLAG, NAME, PREFIX, fix_checksum};
use crate::harness::{Project, Verdict, copy_tree};

const POLICY: &str = r#"version = 1
project = "github.com/acme/app"

[cache.all]
roots = ["node_modules", "~/.cargo/registry", "~/lib/python3/site-packages"]
digest = "blake3"

[signer.job]
keys = [{ file = "keys/job.pub" }]

[gate.ci]
require = ["signature"]
signers = ["job"]
max_age = "7d"
lockfile = "any"
"#;

/// Every program and format, and how it is told.
const WRITERS: [(&str, &str); 9] = [
    ("tar", "gnu"),
    ("tar", "ustar"),
    ("tar", "posix"),
    ("bsdtar", "ustar"),
    ("bsdtar", "pax"),
    ("bsdtar", "gnutar"),
    ("python3", "USTAR"),
    ("python3", "GNU"),
    ("python3", "PAX"),
];

const PACK: &str = "import sys, tarfile
with tarfile.open(sys.argv[2], 'w:', format=getattr(tarfile, sys.argv[1] + '_FORMAT')) as tar:
    for name in sys.argv[3:]:
        tar.add(name)
";

/// A sealed project whose roots are a `node_modules`, a Cargo registry and packages of Python.
fn sealed() -> Project {
    let project = Project::empty(POLICY);
    copy_tree(&installed().join("node_modules"), &project.path("node_modules"));
    cargo_registry(&project.home().join(".cargo/registry"));
    python_packages(&project.home().join("lib/python3/site-packages"));
    fs::hard_link(project.path("node_modules/.package-lock.json"), project.path("node_modules/twin.json")).unwrap();
    let run = project.run(&["seal", "all", "--key", text(&project.private_key("job"))]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    project
}

/// What this machine's registry has of the crates whose names begin with `s`, packed and unpacked.
fn cargo_registry(to: &Path) {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.unwrap_or_else(|| PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cargo"));
    for part in ["cache", "src"] {
        for index in fs::read_dir(home.join("registry").join(part)).unwrap() {
            let index = index.unwrap();
            let to = to.join(part).join(index.file_name());
            fs::create_dir_all(&to).unwrap();
            for one in fs::read_dir(index.path()).unwrap() {
                let one = one.unwrap();
                let name = one.file_name();
                match name.as_encoded_bytes().first() {
                    Some(b's') if one.path().is_dir() => copy_tree(&one.path(), &to.join(name)),
                    Some(b's') => drop(fs::copy(one.path(), to.join(name)).unwrap()),
                    _ => {}
                }
            }
        }
    }
}

/// Packages of Python's own library, byte code included.
fn python_packages(to: &Path) {
    let library = must(judge("python3").args(["-c", "import sysconfig; print(sysconfig.get_path('stdlib'))"]));
    let library = PathBuf::from(String::from_utf8(library).unwrap().trim());
    for package in ["asyncio", "collections", "concurrent", "email", "encodings", "http", "importlib", "json", "xml"] {
        copy_tree(&library.join(package), &to.join(package));
    }
}

/// Archives the roots and the seal; the seal first or last.
fn archive(project: &Project, program: &str, format: &str, seal_first: bool) -> PathBuf {
    let to = project.outside("archive.tar");
    let roots = ["app/node_modules", "home/.cargo/registry", "home/lib/python3/site-packages"];
    let seal = ["app/.cacheseal/all"];
    let names: Vec<&str> = if seal_first { [&seal[..], &roots].concat() } else { [&roots[..], &seal].concat() };
    let mut command: Command = judge(program);
    match program {
        "python3" => command.args(["-c", PACK, format]).arg(&to),
        _ => command.arg(format!("--format={format}")).arg("-cf").arg(&to),
    };
    must(command.args(names).current_dir(project.outside("")));
    to
}

fn verify(project: &Project, archive: &Path) -> Verdict {
    project.json(&["verify", "--archive", text(archive)])
}

#[test]
fn real_trees_are_trusted_as_every_program_archives_them() {
    let project = sealed();
    for (at, (program, format)) in WRITERS.into_iter().enumerate() {
        let plain = archive(&project, program, format, at % 2 == 0);
        println!("{program} {format}: {} bytes", fs::metadata(&plain).unwrap().len());
        for (compress, extension) in [("gzip", "gz"), ("zstd", "zst")] {
            must(judge(compress).args(["-1", "-k", "-f", "-q"]).arg(&plain));
            verify(&project, &plain.with_extension(format!("tar.{extension}"))).expect_of(
                format!("{program} {format} {extension}"),
                0,
                &[],
            );
        }
        verify(&project, &plain).expect_of(format!("{program} {format}"), 0, &[]);
    }
}

/// A member in a tar: where its extension headers begin, its own header, and the next member.
#[derive(Clone, Copy)]
struct Span {
    start: usize,
    header: usize,
    end: usize,
}

/// A file with contents and a name that its header holds, in the middle of the archive.
fn victim(tar: &[u8]) -> Span {
    let (mut at, mut start) = (0, 0);
    let mut found = Vec::new();
    let mut is_named_elsewhere = false;
    while let Some(block) = tar.get(at..at + BLOCK).filter(|block| block.iter().any(|byte| *byte != 0)) {
        let digits = std::str::from_utf8(&block[124..135]).unwrap();
        let size = usize::from_str_radix(digits, 8).unwrap();
        let end = at + BLOCK + size.next_multiple_of(BLOCK);
        if matches!(block[FLAG.range()], [b'x' | b'L' | b'K']) {
            is_named_elsewhere |=
                block[FLAG.range()] != *b"x" || tar[at..end].windows(6).any(|bytes| bytes == b" path=");
        } else {
            let name = &block[NAME.range()];
            let is_file = block[FLAG.range()] == *b"0" && size > 0;
            let has_room = name[99] == 0 && block[PREFIX.range()][0] == 0;
            // A hard link leads to one of the files that are JSON.
            let is_alone = name.starts_with(b"app/node_modules/") && !name.windows(5).any(|bytes| bytes == b".json");
            if is_file && has_room && is_alone && !is_named_elsewhere {
                found.push(Span { start, header: at, end });
            }
            start = end;
            is_named_elsewhere = false;
        }
        at = end;
    }
    found[found.len() / 2]
}

/// Where the end marker begins.
fn end(tar: &[u8]) -> usize {
    tar.len() - tar.rchunks(BLOCK).take_while(|block| block.iter().all(|byte| *byte == 0)).count() * BLOCK
}

type Tampering = (&'static str, &'static [&'static str], fn(&mut Vec<u8>));

const TAMPERINGS: [Tampering; 4] = [
    ("a byte changed", &["digest-mismatch"], |tar| {
        let at = victim(tar).header + BLOCK;
        tar[at] ^= 1;
    }),
    ("a member added at the end", &["extra-entry"], |tar| {
        let victim = victim(tar);
        let mut member = tar[victim.start..victim.end].to_vec();
        rename(&mut member[victim.header - victim.start..], b"app/node_modules/evil.js");
        let at = end(tar);
        tar.splice(at..at, member);
    }),
    ("a member duplicated", &["duplicate-entry"], |tar| {
        let victim = victim(tar);
        let member = tar[victim.start..victim.end].to_vec();
        let at = end(tar);
        tar.splice(at..at, member);
    }),
    ("a member renamed", &["extra-entry", "missing-entry"], |tar| {
        let header = victim(tar).header;
        let name = tar[header..header + BLOCK][NAME.range()].to_vec();
        let length = name.iter().position(|byte| *byte == 0).unwrap();
        rename(&mut tar[header..], &[&name[..length], b"x"].concat());
    }),
];

fn rename(member: &mut [u8], name: &[u8]) {
    let field = &mut member[NAME.range()];
    field.fill(0);
    field[..name.len()].copy_from_slice(name);
    fix_checksum(&mut member[..BLOCK]);
}

#[test]
fn real_trees_are_refused_once_tampered_with() {
    let project = sealed();
    for (at, (program, format)) in WRITERS.into_iter().enumerate() {
        let plain = archive(&project, program, format, at % 2 == 1);
        let tar = fs::read(&plain).unwrap();
        for (number, (what, codes, tamper)) in TAMPERINGS.into_iter().enumerate() {
            let mut tampered = tar.clone();
            tamper(&mut tampered);
            fs::write(&plain, tampered).unwrap();
            let exit = if codes == ["duplicate-entry"] { 12 } else { 11 };
            verify(&project, &plain).expect_of(format!("{program} {format}: {what}"), exit, codes);
            // Each tampering in each compression, with some of the programs.
            let compress = [("gzip", "tar.gz"), ("zstd", "tar.zst")].get((at + number) % 4);
            if let Some((compress, extension)) = compress {
                must(judge(compress).args(["-1", "-k", "-f", "-q"]).arg(&plain));
                let compressed = verify(&project, &plain.with_extension(extension));
                compressed.expect_of(format!("{program} {format} {extension}: {what}"), exit, codes);
            }
        }
    }
}

#[test]
fn every_member_of_a_real_tree_is_read_alike() {
    let project = sealed();
    for (program, format) in WRITERS {
        let tar = fs::read(archive(&project, program, format, true)).unwrap();
        let listing: Vec<Listed> = ours(&tar).unwrap();
        assert!(listing.len() > 1_000, "{}", listing.len());
        let found = super::disagreements(&[(format!("{program}-{format}"), tar)]);
        assert!(found.is_empty(), "{found:#?}");
    }
}
