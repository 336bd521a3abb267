//! Thousands of archives that are a little wrong: whatever we still read, every other program must read alike.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use super::super::{judge, must};
use super::{could_be_trusted, disagreements, ours};
use crate::archives::tar::{
    BLOCK, FLAG, Field, GID, GNAME, Item, LINK, MAGIC, MAJOR, MINOR, MODE, MTIME, NAME, PREFIX, SIZE, Tar, UID, UNAME,
    VERSION, dir, file, fix_checksum, gnu_long, hardlink, pax, symlink as link,
};
use crate::harness::share;

/// Mutated archives that are tried, at most.
const ROUNDS: u32 = 12_000;
/// One in so many is still read: fewer would show little.
const READ_ONE_IN: u32 = 6;

/// A generator of numbers, always the same ones (xorshift64*).
pub(super) struct Numbers(pub(super) u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    pub(super) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() >> 11).unwrap() % end.max(1)
    }

    pub(super) fn of<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

const FIELDS: [Field; 15] =
    [NAME, MODE, UID, GID, SIZE, MTIME, FLAG, LINK, MAGIC, VERSION, UNAME, GNAME, MAJOR, MINOR, PREFIX];

/// Values that mean something in one field or the other.
const VALUES: &[&[u8]] = &[
    b"",
    b"\0",
    b" ",
    b"0",
    b"1",
    b"2",
    b"5",
    b"7",
    b"x",
    b"g",
    b"L",
    b"K",
    b"S",
    b"00",
    b" \0",
    b"ustar\0",
    b"ustar ",
    b"ustar",
    b"0000644\0",
    b"000644 \0",
    b"  644 \0 ",
    b"0000755",
    b"0100644\0",
    b"00000000000\0",
    b"00000000005\0",
    b"000000000005",
    b"         5 \0",
    b"5          \0",
    b"5\0\0\0\0\0\0\0\0\0\0\0",
    b"5 6        \0",
    b"00000001000\0",
    b"-0000000005\0",
    b"\x80\0\0\0\0\0\0\0\0\0\0\x05",
    b"\x80\0\0\0\0\0\0\x05",
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfb",
    b"\xff\xff\xff\xff\xff\xff\xff\xff",
    b"a",
    b"a/",
    b"./a",
    b"a/b",
    b"a/b/",
    b"tree/file",
    b"tree/file/",
    b"tree/link",
    b"caf\xc3\xa9",
    b"\xff\xfe",
    b"a\nb",
    b"a\0b",
    b"a b",
];

const RECORDS: &[&[u8]] = &[
    b"8 size=5\n",
    b"9 size=05\n",
    b"11 size=512\n",
    b"10 size= 5\n",
    b"9 path=a\n",
    b"10 path=a/\n",
    b"12 path=a\nb\n",
    b"10 path=\xff\xfe\n",
    b"18 path=a\n9 path=b\n",
    b"13 linkpath=a\n",
    b"16 mtime=1.5e300\n",
    b"13 mtime=-1.5\n",
    b"9 uid=0x1\n",
    b"18 uid=4294967294\n",
    b"13 comment=x\n",
    b"6 a=b\n",
    b"21 hdrcharset=BINARY\n",
    b"15 VENDOR.key=x\n",
    b"15 SCHILY.ino=4\n",
    b"24 SCHILY.fflags=nodump\n",
    b"26 SCHILY.xattr.user.k=\0\n\xff\n",
    b"21 GNU.sparse.major=1\n",
    b"7 path=\n",
    b"\0",
    b"\n",
];

/// Where the headers are, found as a plain reader finds them.
pub(super) fn headers(tar: &[u8]) -> Vec<usize> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(block) = tar.get(at..at + BLOCK).filter(|block| block.iter().any(|byte| *byte != 0)) {
        found.push(at);
        let digits: String =
            block[124..136].iter().filter(|byte| byte.is_ascii_digit()).map(|byte| char::from(*byte)).collect();
        let size = usize::from_str_radix(&digits, 8).unwrap_or(0);
        at = at.saturating_add(BLOCK).saturating_add(size.next_multiple_of(BLOCK));
    }
    found
}

fn header(tar: &[u8], numbers: &mut Numbers) -> usize {
    *numbers.of(&headers(tar))
}

fn fix(tar: &mut [u8], at: usize) {
    if let Some(block) = tar.get_mut(at..at + BLOCK) {
        fix_checksum(block);
    }
}

/// The first byte of a random block.
fn block(tar: &[u8], numbers: &mut Numbers) -> usize {
    numbers.below(tar.len() / BLOCK) * BLOCK
}

pub(super) type Mutation = fn(&mut Vec<u8>, &mut Numbers);

pub(super) const MUTATIONS: &[Mutation] = &[
    // Any byte of a header becomes any other.
    |tar, numbers| {
        let at = header(tar, numbers);
        let byte = at + numbers.below(BLOCK);
        tar[byte] = u8::try_from(numbers.below(256)).unwrap();
        fix(tar, at);
    },
    // One bit of it.
    |tar, numbers| {
        let at = header(tar, numbers);
        let byte = at + numbers.below(BLOCK);
        tar[byte] ^= 1 << numbers.below(8);
        fix(tar, at);
    },
    // A field begins with something that means something, and keeps its end or not.
    |tar, numbers| {
        let at = header(tar, numbers);
        let (field, value) = (*numbers.of(&FIELDS), *numbers.of(VALUES));
        let place = &mut tar[at..at + BLOCK][field.range()];
        let length = value.len().min(place.len());
        if numbers.below(2) == 0 {
            place.fill(0);
        }
        place[..length].copy_from_slice(&value[..length]);
        fix(tar, at);
    },
    // The field of another member, or of the same one.
    |tar, numbers| {
        let (from, to) = (header(tar, numbers), header(tar, numbers));
        let field = *numbers.of(&FIELDS);
        let value = tar[from..from + BLOCK][field.range()].to_vec();
        tar[to..to + BLOCK][field.range()].copy_from_slice(&value);
        fix(tar, to);
    },
    // A byte of an extension's data or of contents.
    |tar, numbers| {
        let byte = (header(tar, numbers) + BLOCK + numbers.below(60)).min(tar.len() - 1);
        tar[byte] = *numbers.of(b"\0\n =/0129aA\xff");
    },
    // Other records in a PAX header, whose length is right or not.
    |tar, numbers| {
        let at = header(tar, numbers);
        let records = [*numbers.of(RECORDS), *numbers.of(RECORDS)][..=numbers.below(2)].concat();
        let extension = pax(&[]).holding(&records).block();
        let mut data = records;
        data.resize(BLOCK, 0);
        tar.splice(at..at, [&extension[..], &data].concat());
    },
    // An extension between members.
    |tar, numbers| {
        let at = header(tar, numbers);
        let item = match numbers.below(4) {
            0 => gnu_long(b'L', "tree/other"),
            1 => gnu_long(b'K', "tree/other"),
            2 => pax(&[("path", b"tree/other")]),
            _ => pax(&[("mtime", b"1"), ("size", b"5")]),
        };
        let bytes = Tar { items: vec![item], end: Vec::new() }.bytes();
        tar.splice(at..at, bytes);
    },
    // Blocks.
    |tar, numbers| {
        let at = block(tar, numbers);
        tar.drain(at..at + BLOCK);
    },
    |tar, numbers| {
        let at = block(tar, numbers);
        let copy = tar[at..at + BLOCK].to_vec();
        let to = block(tar, numbers);
        tar.splice(to..to, copy);
    },
    |tar, numbers| {
        let (one, other) = (block(tar, numbers), block(tar, numbers));
        for byte in 0..BLOCK {
            tar.swap(one + byte, other + byte);
        }
    },
    |tar, numbers| {
        let at = block(tar, numbers);
        tar.splice(at..at, [0; BLOCK]);
    },
    // Members.
    |tar, numbers| {
        let found = headers(tar);
        let from = numbers.below(found.len());
        let end = found.get(from + 1).copied().unwrap_or(found[from] + BLOCK);
        let member = tar[found[from]..end.min(tar.len())].to_vec();
        let to = *numbers.of(&found);
        tar.splice(to..to, member);
    },
    |tar, numbers| {
        let found = headers(tar);
        let from = numbers.below(found.len());
        let end = found.get(from + 1).copied().unwrap_or(found[from] + BLOCK);
        tar.drain(found[from]..end.min(tar.len()));
    },
    // The end.
    |tar, numbers| {
        let length = tar.len() - numbers.below(4 * BLOCK);
        tar.truncate(length);
    },
    |tar, numbers| tar.resize(tar.len() + numbers.below(4) * BLOCK, 0),
    |tar, numbers| {
        let byte = tar.len() - 1 - numbers.below(3 * BLOCK);
        tar[byte] = 1;
    },
];

/// A tree with one of everything.
fn tree() -> tempfile::TempDir {
    let tree = tempfile::tempdir().unwrap();
    let top = tree.path().join("tree");
    fs::create_dir_all(top.join("empty")).unwrap();
    fs::create_dir_all(top.join("d".repeat(90)).join("e".repeat(80))).unwrap();
    fs::write(top.join("file"), "five\n").unwrap();
    fs::write(top.join("tool"), vec![b'x'; 1_025]).unwrap();
    fs::set_permissions(top.join("tool"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(top.join("d".repeat(90)).join("e".repeat(80)).join("long"), "long\n").unwrap();
    fs::write(top.join("n".repeat(150)), "").unwrap();
    fs::write(top.join("caf\u{e9}"), "x").unwrap();
    symlink("file", top.join("link")).unwrap();
    symlink("t".repeat(140), top.join("long-link")).unwrap();
    fs::hard_link(top.join("file"), top.join("twin")).unwrap();
    tree
}

/// Archives that each program writes of one tree, and some by hand with all that only hands write. Always the same
/// bytes, whenever and by whomever they are made.
fn bases() -> Vec<Vec<u8>> {
    let tree = tree();
    let mut bases = vec![by_hand(|item| item), by_hand(Item::gnu), by_hand(Item::v7)];
    for format in ["gnu", "ustar", "posix", "v7"] {
        bases.push(by_gnu_tar(format, tree.path()));
    }
    for format in ["ustar", "pax", "gnutar"] {
        let from = tree.path().join("from.tar");
        fs::write(&from, by_gnu_tar(if format == "ustar" { "ustar" } else { "posix" }, tree.path())).unwrap();
        let mut rewrite = judge("bsdtar");
        rewrite.env("LC_ALL", "C.UTF-8").arg(format!("--format={format}")).args(["-b2", "-cf", "-", "@from.tar"]);
        bases.push(must(rewrite.current_dir(tree.path())));
    }
    for format in ["USTAR", "GNU", "PAX"] {
        bases.push(by_python(format, tree.path()));
    }
    // A first header without a magic is refused.
    for base in &mut bases {
        if base[MAGIC.range()] == [0; 6] {
            base[MAGIC.range()].copy_from_slice(b"ustar\0");
            base[VERSION.range()].copy_from_slice(b"00");
            fix(base, 0);
        }
    }
    bases
}

fn by_gnu_tar(format: &str, tree: &Path) -> Vec<u8> {
    let mut pack = judge("tar");
    pack.arg(format!("--format={format}")).args(["--sort=name", "--mtime=@1700000000.25", "--mode=u=rwX,go=rX"]);
    pack.args(["--owner=root:0", "--group=root:0", "-b2"]);
    match format {
        "posix" => pack.arg("--pax-option=delete=atime,delete=ctime"),
        // What it cannot hold.
        "v7" => pack.args(["--exclude=*dddd*", "--exclude=*nnnn*", "--exclude=long-link"]),
        "ustar" => pack.args(["--exclude=*nnnn*", "--exclude=long-link"]),
        _ => &mut pack,
    };
    must(pack.arg("-C").arg(tree).args(["-cf", "-", "tree"]))
}

fn by_python(format: &str, tree: &Path) -> Vec<u8> {
    const PACK: &str = "import sys, tarfile
def same(member):
    if sys.argv[1] == 'USTAR' and ('nnnn' in member.name or len(member.linkname) > 99):
        return None
    member.mode = 0o755 if member.mode & 0o100 else 0o644
    member.uid = member.gid = 0
    member.uname = member.gname = 'root'
    member.mtime = 1700000000.25 if sys.argv[1] == 'PAX' else 1700000000
    return member
form = getattr(tarfile, sys.argv[1] + '_FORMAT')
with tarfile.open(fileobj=sys.stdout.buffer, mode='w|', format=form, bufsize=512) as tar:
    tar.add('tree', filter=same)
";
    must(judge("python3").args(["-c", PACK, format]).current_dir(tree))
}

/// Small, with one of each type.
fn by_hand(form: fn(Item) -> Item) -> Vec<u8> {
    let items = vec![
        dir("tree/"),
        file("tree/file", "five\n"),
        file("tree/tool", vec![b'x'; 600]).mode(0o755),
        link("tree/link", "file"),
        hardlink("tree/twin", "tree/file"),
        file("tree/zero", ""),
    ];
    Tar::new(items.into_iter().map(form).collect()).bytes()
}

#[test]
fn whatever_is_read_is_read_alike_by_every_program() {
    let bases = bases();
    for (at, base) in bases.iter().enumerate() {
        assert!(ours(base).is_ok(), "archive {at} is not read: {:?}", ours(base));
    }
    let mut numbers = Numbers(0x5EED_CA5E);
    let mut accepted: Vec<_> =
        bases.iter().enumerate().map(|(at, base)| (format!("base-{at}"), base.clone())).collect();
    let mut refused: BTreeMap<&str, usize> = BTreeMap::new();
    for round in 0..share(ROUNDS) {
        let mut tar = numbers.of(&bases).clone();
        for _ in 0..=numbers.below(2) {
            // What has no header left cannot be mutated further.
            if !headers(&tar).is_empty() {
                numbers.of(MUTATIONS)(&mut tar, &mut numbers);
            }
        }
        match ours(&tar) {
            Ok(listing) if could_be_trusted(&listing) => accepted.push((format!("mutant-{round}"), tar)),
            Ok(_) => *refused.entry("a member").or_default() += 1,
            Err(error) => *refused.entry(error.code().as_str()).or_default() += 1,
        }
    }
    let read = accepted.len() - bases.len();
    println!("{read} of {} are read, {refused:?} refuse the others", share(ROUNDS));
    assert!(read >= usize::try_from(share(ROUNDS) / READ_ONE_IN).unwrap(), "{read}");
    let found = disagreements(&accepted);
    assert!(found.is_empty(), "{} disagree:\n{}", found.len(), found.join("\n"));
}
