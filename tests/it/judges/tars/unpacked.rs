//! Thousands of archives of one sealed cache, changed in their structure and with right checksums: whatever we trust,
//! GNU tar, bsdtar, Python and Go unpack as sealed, and give nobody a right beyond.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use cacheseal::archive::Expected;
use cacheseal::base::Limits;
use cacheseal::cache::{ArchiveRequest, ArchiveVerification, Workspace, verify_archive};
use cacheseal::policy::{PlacedRoot, Policy};

use super::super::{judge, must, text, told};
use super::mutations::{MUTATIONS, Numbers, headers};
use crate::archives::codec::{gzip, packed_zstd, zstd};
use crate::archives::sample::{Draft, Form, Layout, Node, Sample};
use crate::archives::stage::fill;
use crate::archives::tar::{FLAG, Item, LINK, MAGIC, MTIME, NAME, VERSION, dir, file, global, gnu_long, hardlink, pax};
use crate::harness::{POLICY, Project, now, platform, share};

/// Archives that are tried, at most.
const ROUNDS: u32 = 5_000;

/// Every key in the sources of libarchive 3.7 and GNU tar 1.35, some of other vendors, and some that nobody has.
const KEYS: &[&str] = &[
    "path",
    "linkpath",
    "size",
    "mtime",
    "atime",
    "ctime",
    "uid",
    "gid",
    "uname",
    "gname",
    "comment",
    "charset",
    "hdrcharset",
    "realtime.x",
    "security.x",
    "GNU.sparse.major",
    "GNU.sparse.minor",
    "GNU.sparse.name",
    "GNU.sparse.realsize",
    "GNU.sparse.size",
    "GNU.sparse.numblocks",
    "GNU.sparse.offset",
    "GNU.sparse.numbytes",
    "GNU.sparse.map",
    "GNU.volume.label",
    "GNU.volume.filename",
    "GNU.volume.size",
    "GNU.volume.offset",
    "GNU.dumpdir",
    "LIBARCHIVE.creationtime",
    "LIBARCHIVE.symlinktype",
    "LIBARCHIVE.xattr.user.k",
    "LIBARCHIVE.xattr.user%2Ek",
    "LIBARCHIVE.xattr.security.capability",
    "LIBARCHIVE.xattr.security%2Ecapability",
    "LIBARCHIVE.xattr.security.selinux",
    "LIBARCHIVE.xattr.com.apple.provenance",
    "RHT.security.selinux",
    "SCHILY.acl.access",
    "SCHILY.acl.default",
    "SCHILY.acl.ace",
    "SCHILY.dev",
    "SCHILY.ino",
    "SCHILY.nlink",
    "SCHILY.devmajor",
    "SCHILY.devminor",
    "SCHILY.fflags",
    "SCHILY.realsize",
    "SCHILY.filetype",
    "SCHILY.offset",
    "SCHILY.dir",
    "SCHILY.xattr.user.k",
    "SCHILY.xattr.security.capability",
    "SCHILY.xattr.trusted.k",
    "SCHILY.xattr.system.posix_acl_access",
    "SUN.holesdata",
    "SUN.devmajor",
    "ACME.key",
    "key",
];
/// Values that mean something for one key or the other.
const VALUES: &[&[u8]] = &[
    b"",
    b"0",
    b"1",
    b"5",
    b"19",
    b"-1.5",
    b"1700000000.25",
    b"x",
    b"a/b",
    b"deps/tool",
    b"\0",
    b"a\0b",
    b"\n",
    b"file",
    b"dir",
    b"BINARY",
    b"ISO-IR 10646 2000 UTF-8",
    b"UTF-16",
    b" 0 19",
    b"0,5",
    b"nodump",
    b"schg",
    b"user::rw-,group::r--,other::r--",
    b"user::rwx,group::r-x,other::r-x",
    b"user::rwx,group::rwx,other::rwx",
    b"user::rwx\nuser:daemon:rwx\ngroup::r-x\nmask::rwx\nother::r-x\n",
    b"user::rw-\nuser:daemon:r--\ngroup::r--\nmask::r--\nother::r--\n",
    b"AQAAAoAAAAAAAAAAAAAAAAAAAAA",
    b"%2e%2e",
    b"\xff\xfe",
    b"root",
    b"9223372036854775807",
];
/// Names on the way, before a control character is put in.
const WAYS: &[&str] = &["home/ci/project/", "home/ci/", "usr/lib/", "builds/a/b/", "C:/", "\\\\srv\\a/", "x/", "root/"];
/// How files of other formats begin.
const OTHERS: &[&[u8]] = &[
    b"begin 644 x\n#<`IN\n`\nend\n",
    b"begin-base64 644 x\n",
    b"!<arch>\n",
    b"#mtree\n",
    b"BZh91AY&SY",
    b"PK\x03\x04",
    b"LZIP\x01",
    b"070701",
    b"\x1f\x9d\x90",
    b"\x1f\x8b\x08",
    b"xar!",
    b"MSCF",
    b"Rar!\x1a\x07",
    b"WARC/1.0\r\n",
    b"7z\xbc\xaf\x27\x1c",
];

type Change = fn(&mut Draft, &mut Numbers);

const CHANGES: &[Change] = &[
    // Nothing.
    |_, _| {},
    // Records before a member, and for all that follow.
    |draft, numbers| {
        let count = 1 + numbers.below(2);
        let records: Vec<_> = (0..count).map(|_| (*numbers.of(KEYS), *numbers.of(VALUES))).collect();
        insert(draft, numbers, pax(&records));
    },
    |draft, numbers| {
        let records = [(*numbers.of(KEYS), *numbers.of(VALUES))];
        insert(draft, numbers, pax(&records));
    },
    |draft, numbers| {
        let key = if numbers.below(2) == 0 { "comment" } else { *numbers.of(KEYS) };
        let records = [(key, *numbers.of(VALUES))];
        insert(draft, numbers, global(&records));
    },
    |draft, numbers| {
        let item = gnu_long(*numbers.of(b"LK"), *numbers.of(VALUES));
        insert(draft, numbers, item);
    },
    // Another format of one header.
    |draft, numbers| {
        let form = numbers.below(3);
        edit(draft, numbers, |item, _| match form {
            0 => item.gnu(),
            1 => item.v7(),
            _ => item.with(MAGIC, b"ustar\0").with(VERSION, b"00"),
        });
    },
    // Another way to everything, with a control character in it or not.
    |draft, numbers| {
        let mut way = numbers.of(WAYS).as_bytes().to_vec();
        if numbers.below(3) > 0 {
            let byte = u8::try_from(1 + numbers.below(33)).unwrap();
            way.insert(1, if byte == 33 { 0x7f } else { byte });
        }
        for item in draft.tar.items.iter_mut().filter(|item| !b"xgLK".contains(&item.get(FLAG)[0])) {
            rename(item, |name| [&way, name].concat());
        }
    },
    // A file of two formats.
    |draft, numbers| {
        let name = *numbers.of(OTHERS);
        let item = match numbers.below(4) {
            0 => dir(name),
            1 => pax(&[("mtime", b"1")]).with(NAME, name),
            2 => global(&[("comment", b"1")]).with(NAME, name),
            _ => file(name, "").v7(),
        };
        draft.begin([item]);
    },
    // Modes and times.
    |draft, numbers| {
        const MODES: [u64; 9] = [0o100_644, 0o100_755, 0o040_755, 0o120_777, 0o4755, 0o2755, 0o777, 0o664, 0o200_644];
        let mode = *numbers.of(&MODES);
        edit(draft, numbers, |item, _| item.mode(mode));
    },
    |draft, numbers| {
        let mut time = [0xff; 12];
        time[8] = 0xff - u8::try_from(numbers.below(20)).unwrap();
        edit(draft, numbers, |item, _| item.with(MTIME, time));
    },
    // One file as one more name of another.
    |draft, numbers| {
        let [from, to] = *numbers.of(&[
            ["deps/pkg/twin.js", "deps/pkg/index.js"],
            ["deps/pkg/index.js", "deps/pkg/twin.js"],
            ["deps/tool", "deps/pkg/index.js"],
        ]);
        let item = |label: &str| draft.tar.items.iter().find(|item| item.label == label && item.get(FLAG) == b"0");
        if let (Some(from), Some(to)) = (item(from), item(to)) {
            let link = hardlink(trimmed(from), trimmed(to));
            let label = from.label.clone();
            draft.replace(&label, [link]);
        }
    },
    // A name with a drive, a backslash or a slash before it.
    |draft, numbers| {
        let front = *numbers.of(&[&b"C:"[..], b"c:/", b"\\", b"./", b"/", b"././"]);
        edit(draft, numbers, |mut item, _| {
            rename(&mut item, |name| [front, name].concat());
            item
        });
    },
    // The members in another order, or one of them twice or not at all.
    |draft, numbers| {
        let (from, to) = (numbers.below(draft.tar.items.len()), numbers.below(draft.tar.items.len()));
        draft.tar.items.swap(from, to);
    },
    |draft, numbers| {
        let item = numbers.of(&draft.tar.items).clone();
        insert(draft, numbers, item);
    },
    |draft, numbers| {
        let at = numbers.below(draft.tar.items.len());
        draft.tar.items.remove(at);
    },
];

fn insert(draft: &mut Draft, numbers: &mut Numbers, item: Item) {
    let at = numbers.below(draft.tar.items.len());
    draft.tar.items.insert(at, item);
}

fn edit(draft: &mut Draft, numbers: &mut Numbers, change: impl FnOnce(Item, &mut Numbers) -> Item) {
    let at = numbers.below(draft.tar.items.len());
    let item = draft.tar.items[at].clone();
    draft.tar.items[at] = change(item, numbers);
}

fn trimmed(item: &Item) -> Vec<u8> {
    item.get(NAME).iter().copied().take_while(|byte| *byte != 0).collect()
}

/// Gives a member another name, if it fits; the target of a hard link is a name too.
fn rename(item: &mut Item, change: impl Fn(&[u8]) -> Vec<u8>) {
    let name = change(&trimmed(item));
    let target: Vec<u8> = item.get(LINK).iter().copied().take_while(|byte| *byte != 0).collect();
    let target = if item.get(FLAG) == b"1" { change(&target) } else { target };
    if name.len() <= 100 && target.len() <= 100 {
        item.set(NAME, name);
        item.set(LINK, target);
    }
}

/// A sealed project, and what decides about archives of it.
struct Court {
    sample: Sample,
    policy: Policy,
    places: BTreeMap<String, Vec<PlacedRoot>>,
    workspace: Workspace,
    /// Holds the directories that the workspace has open.
    _project: Project,
}

impl Court {
    fn new() -> Self {
        let project = Project::empty(POLICY);
        fill(&project);
        project.seal();
        let policy = project.policy();
        let (root, home) = (project.canonical_root(), project.canonical_home());
        let places = policy.place(Some(&home), &root, "cacheseal.toml").unwrap();
        let workspace = Workspace::open(&root, Some(home)).unwrap();
        Self { sample: Sample::read(&project), policy, places, workspace, _project: project }
    }

    fn judge(&self, archive: &[u8]) -> ArchiveVerification {
        let edge = self.policy.edge("deps", "any").unwrap();
        let request = ArchiveRequest {
            workspace: &self.workspace,
            edge: &edge,
            roots: &self.places["deps"],
            name: "mutated",
            seal: None,
            mapped: &[],
            expected: Expected::default(),
            now: now(),
            platform: platform(),
            window_log_max: 27,
            processors: 1,
            limits: &Limits::STANDARD,
            differences: None,
        };
        verify_archive(&request, archive)
    }

    /// What an archive must unpack to, by the path in it.
    fn tree(&self, found: &ArchiveVerification) -> BTreeMap<PathBuf, &Node> {
        let members = self.sample.seal.iter().chain(&self.sample.roots);
        let below = |label: &str| {
            let base = if label.starts_with("store") { &found.home } else { &found.checkout };
            Path::new(base.as_deref().unwrap_or_default()).join(label)
        };
        members.map(|member| (below(&member.label), &member.node)).collect()
    }
}

/// How an unpacked tree differs from what was sealed.
fn difference(directory: &Path, sealed: &BTreeMap<PathBuf, &Node>) -> Option<String> {
    let mut waiting = vec![PathBuf::new()];
    let mut left = sealed.clone();
    while let Some(path) = waiting.pop() {
        let on_disk = directory.join(&path);
        let metadata = fs::symlink_metadata(&on_disk).unwrap();
        let mode = metadata.permissions().mode();
        let rights = if metadata.is_file() { mode & 0o7002 } else { mode & 0o002 };
        if !metadata.is_symlink() && rights != 0 {
            return Some(format!("{} has mode {mode:o}", path.display()));
        }
        let mut names = [0; 4_096];
        let len = rustix::fs::llistxattr(&on_disk, &mut names[..]).unwrap_or(0);
        if let Some(name) = names[..len].split(|byte| *byte == 0).find(|name| {
            [&b"security.capability"[..], b"security.ima", b"trusted."].iter().any(|right| name.starts_with(right))
        }) {
            return Some(format!("{} has {}", path.display(), String::from_utf8_lossy(name)));
        }
        if metadata.is_dir() {
            waiting.extend(fs::read_dir(&on_disk).unwrap().map(|entry| path.join(entry.unwrap().file_name())));
        }
        let is_same = match left.remove(&path) {
            Some(Node::Directory) => metadata.is_dir(),
            Some(Node::File { executable, contents }) => {
                // No seal says whether its own files can be executed.
                let is_of_seal = path.components().any(|name| name.as_os_str() == ".cacheseal");
                let is_executable = is_of_seal || (mode & 0o100 != 0) == *executable;
                metadata.is_file() && is_executable && fs::read(&on_disk).unwrap() == *contents
            }
            Some(Node::Link(target)) => fs::read_link(&on_disk).is_ok_and(|found| found == Path::new(target)),
            // A directory on the way.
            None => metadata.is_dir() && sealed.keys().any(|sealed| sealed.starts_with(&path)),
        };
        if !is_same {
            return Some(format!("{} is not as sealed", path.display()));
        }
    }
    left.keys().next().map(|path| format!("{} is missing", path.display()))
}

/// Programs that take lines of an archive, a tab and a directory, and unpack the one into the other.
const PYTHON: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/reference/unpack.py");
const GO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/reference/unpack.go");

/// Has a program unpack every plain archive, and gives what it says of those that it does not.
fn in_batch(command: &mut Command, lines: &str) -> String {
    let output = super::super::fed(command, lines.as_bytes());
    assert!(output.status.success(), "{}", told(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn go_program(directory: &Path) -> PathBuf {
    let program = directory.join("unpack");
    let mut build = judge("go");
    build.envs([("GO111MODULE", "off"), ("CGO_ENABLED", "0"), ("GOTOOLCHAIN", "local")]);
    build.env("GOCACHE", directory.join("go-cache")).env("GOPATH", directory.join("go"));
    must(build.args(["build", "-o"]).arg(&program).arg(GO).current_dir(directory));
    program
}

/// An archive that is trusted, as a file with its wrapping and without.
struct Trusted {
    name: String,
    wrapped: PathBuf,
    plain: PathBuf,
    found: ArchiveVerification,
}

/// The next mutated archive: the tar, and what it is wrapped in.
fn mutated(court: &Court, numbers: &mut Numbers) -> (Vec<u8>, Vec<u8>) {
    let form = *numbers.of(&Form::ALL);
    let mut draft = court.sample.draft(*numbers.of(&Layout::ALL), form, numbers.below(2) == 0);
    for _ in 0..=numbers.below(2) {
        numbers.of(CHANGES)(&mut draft, numbers);
    }
    let mut tar = draft.tar.bytes();
    if numbers.below(4) == 0 && !headers(&tar).is_empty() {
        numbers.of(MUTATIONS)(&mut tar, numbers);
    }
    let (one, other) = tar.split_at(tar.len() / 3);
    let wrapped = match numbers.below(6) {
        0 => gzip(&tar),
        1 => [gzip(one), gzip(other)].concat(),
        2 => zstd(&tar),
        3 => [packed_zstd(one), zstd(other)].concat(),
        _ => tar.clone(),
    };
    (tar, wrapped)
}

#[test]
fn whatever_is_trusted_is_unpacked_as_sealed_by_every_program() {
    let court = Court::new();
    let work = tempfile::tempdir().unwrap();
    let mut numbers = Numbers(0x0A5C_EA1E);
    let (mut trusted, mut refused) = (Vec::new(), BTreeMap::new());
    for round in 0..share(ROUNDS) {
        let (tar, wrapped) = mutated(&court, &mut numbers);
        let found = court.judge(&wrapped);
        if let Some(worst) = found.verification.refusals.iter().next() {
            *refused.entry(worst.code).or_insert(0) += 1;
            continue;
        }
        let name = format!("{round}");
        let paths = ["wrapped", "plain"].map(|form| work.path().join(format!("{round}.{form}")));
        fs::write(&paths[0], &wrapped).unwrap();
        fs::write(&paths[1], &tar).unwrap();
        let [wrapped, plain] = paths;
        trusted.push(Trusted { name, wrapped, plain, found });
    }
    println!("{} of {} are trusted, the others refused: {refused:?}", trusted.len(), share(ROUNDS));
    assert!(trusted.len() * 10 >= usize::try_from(share(ROUNDS)).unwrap(), "too few are trusted to show anything");
    let wrong = unpacked_by_all(&court, work.path(), &trusted);
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

/// Whether bsdtar has unpacked all, but for attributes that this file system does not take.
fn complains_of_attributes_alone(output: &Output) -> bool {
    let messages = String::from_utf8_lossy(&output.stderr).into_owned();
    let is_of_attributes = |line: &str| {
        line.contains(": Cannot restore extended attributes")
            || line.starts_with("bsdtar: Error exit delayed")
            || line.is_empty()
    };
    !messages.is_empty() && messages.lines().all(is_of_attributes)
}

/// Where a program unpacks something else than what was sealed.
fn unpacked_by_all(court: &Court, work: &Path, trusted: &[Trusted]) -> Vec<String> {
    let into = |program: &str, one: &Trusted| {
        let directory = work.join(program).join(&one.name);
        fs::create_dir_all(&directory).unwrap();
        directory
    };
    let mut wrong = Vec::new();
    let alone: [(&str, &str, &[&str]); 2] = [
        ("GNU tar", "tar", &["--acls", "--xattrs", "--xattrs-include=*", "--warning=no-unknown-keyword", "-xpf"]),
        ("bsdtar", "bsdtar", &["-xpf"]),
    ];
    for (program, command, arguments) in alone {
        for one in trusted {
            let mut unpack = judge(command);
            unpack.env("LC_ALL", "C.UTF-8").args(arguments).arg(&one.wrapped).arg("-C").arg(into(program, one));
            let output = unpack.output().unwrap();
            if !output.status.success() && !complains_of_attributes_alone(&output) {
                wrong.push(format!("{}: {program} refuses: {}", one.name, told(&output)));
            }
        }
    }
    let lines = |program: &str| {
        let line = |one: &Trusted| format!("{}\t{}\n", text(&one.plain), text(&into(program, one)));
        trusted.iter().map(line).collect::<String>()
    };
    let python = in_batch(judge("python3").arg(PYTHON), &lines("Python"));
    let go = in_batch(&mut Command::new(go_program(work)), &lines("Go"));
    wrong.extend([python, go].iter().flat_map(|said| said.lines()).map(str::to_owned));
    for one in trusted {
        let sealed = court.tree(&one.found);
        for program in ["GNU tar", "bsdtar", "Python", "Go"] {
            if let Some(difference) = difference(&work.join(program).join(&one.name), &sealed) {
                wrong.push(format!("{}: {program}: {difference}", one.name));
            }
        }
    }
    wrong
}
