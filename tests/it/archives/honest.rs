//! Archives that honest jobs make, in every layout, form, order and compression: all trusted.

use std::process::Stdio;

use super::codec::{Frame, Gzip, gzip, header_crc, packed_zstd, skippable, window, zstd, zstd_with};
use super::sample::{Draft, Form, Layout};
use super::stage::{Stage, fill, policy, text};
use super::tar::{BLOCK, FLAG, GID, Item, MAJOR, MINOR, MTIME, NAME, SIZE, UID, dir, global, gnu_long, pax};
use crate::harness::{Project, Run};
use crate::rows::some;

fn trusted(stage: &Stage, row: &str, archive: &[u8]) {
    stage.verify(archive, &[]).expect_of(row, 0, &[]);
    stage.assert_untouched(row);
}

/// A change that honest programs make to an archive.
pub(super) struct Variant {
    pub(super) name: &'static str,
    pub(super) edit: fn(&mut Draft),
}

const fn variant(name: &'static str, edit: fn(&mut Draft)) -> Variant {
    Variant { name, edit }
}

pub(super) const VARIANTS: &[Variant] = &[
    variant("top directory", |d| d.begin([dir("./")])),
    variant("top directory without slash", |d| d.begin([dir(".")])),
    variant("directories above", |d| d.begin([dir(".cacheseal/")])),
    variant("directories without slash", |d| d.edit("deps/empty", |item| item.with(NAME, "deps/empty"))),
    variant("no directory but the empty one", |d| {
        let unneeded = ["deps", "deps/pkg", "deps/pkg/lib", "store", ".cacheseal/deps"];
        d.tar.items.retain(|item| !unneeded.contains(&item.label.as_str()));
    }),
    variant("children before their directories", |d| {
        let at = d.at("deps/pkg");
        let directory = d.tar.items.remove(at);
        d.add([directory]);
    }),
    variant("hard link", |d| d.relink("deps/pkg/twin.js", "deps/pkg/index.js")),
    variant("hard link with dot slash", |d| d.relink("deps/pkg/twin.js", "./deps/pkg/index.js")),
    variant("read-only directory before what is in it", |d| d.edit("deps/pkg", |item| item.mode(0o555))),
    variant("other permissions of the group", |d| {
        d.edit("deps/pkg/index.js", |item| item.mode(0o600));
        d.edit("deps/tool", |item| item.mode(0o750));
        d.edit("deps/empty", |item| item.mode(0o2775));
    }),
    variant("another owner", |d| d.edit("deps/tool", |item| item.number(UID, 0).number(GID, 0))),
    variant("a comment for all members", |d| d.begin([global(&[("comment", b"0123456789abcdef")])])),
    variant("modes that repeat the type", |d| {
        d.edit("deps/pkg/index.js", |item| item.mode(0o100_644));
        d.edit("deps/tool", |item| item.mode(0o100_755));
        d.edit("deps/empty", |item| item.mode(0o040_755));
        d.edit("deps/link", |item| item.mode(0o120_777));
        d.relink("deps/pkg/twin.js", "deps/pkg/index.js");
        d.edit("deps/pkg/twin.js", |item| item.mode(0o100_644));
        d.before("deps/tool", [pax(&[("mtime", b"1")]).mode(0o100_644)]);
    }),
    variant("times before 1970", |d| {
        d.edit("deps/tool", |item| item.gnu().with(MTIME, b"\xff\xff\xff\xff\xff\xff\xff\xff\xed\x30\x09\x80"));
        d.edit("deps/big", |item| item.with(MTIME, b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"));
    }),
    variant("lists that say what the mode says", |d| {
        d.before("deps/tool", [pax(&[("SCHILY.acl.access", b"user::rwx,group::r-x,other::r-x")])]);
        let named = b"user::rw-\nuser:daemon:r--\ngroup::r--\nmask::r--\nother::r--\n";
        d.before("deps/big", [pax(&[("SCHILY.acl.access", named)])]);
        d.before("deps/empty", [pax(&[("SCHILY.acl.default", b"user::rwx,group::r-x,other::r-x")])]);
    }),
    variant("an owner beyond octal digits", |d| d.edit("deps/tool", |item| item.gnu().base256(UID, 3_000_000_000))),
    variant("a time beyond octal digits", |d| {
        d.edit("deps/tool", |item| item.gnu().base256(MTIME, 1 << 40));
    }),
    variant("a size in PAX as in the header", |d| d.before("deps/big", [pax(&[("size", b"3200")])])),
    variant("numbers that end in spaces", |d| d.edit("deps/big", |item| item.with(SIZE, "      6200 "))),
    variant("old headers with devices", |d| {
        d.edit("deps/tool", |item| item.v7().with(MAJOR, "0000000").with(MINOR, "0000000"));
    }),
    variant("old type of a file", |d| d.edit("deps/tool", |item| item.with(FLAG, b"\0"))),
    variant("records of no concern", |d| {
        let records: [(&str, &[u8]); 19] = [
            ("mtime", b"1700000000.987654321"),
            ("atime", b"-1.5"),
            ("ctime", b"1700000000"),
            ("uid", b"3000000000"),
            ("gid", b"3000000000"),
            ("uname", "ü".as_bytes()),
            ("gname", b"g=h"),
            ("LIBARCHIVE.creationtime", b"1.5"),
            ("LIBARCHIVE.symlinktype", b"file"),
            ("comment", b"x"),
            ("charset", b"ISO-IR 10646 2000 UTF-8"),
            ("hdrcharset", b"BINARY"),
            ("SCHILY.dev", b"64513"),
            ("SCHILY.ino", b"18446744073709551615"),
            ("SCHILY.nlink", b"2"),
            ("SCHILY.devmajor", b"0"),
            ("SCHILY.devminor", b"0"),
            ("SCHILY.fflags", b"nodump"),
            ("RHT.security.selinux", b"unconfined_u:object_r:user_home_t:s0"),
        ];
        d.before("deps/tool", [pax(&records)]);
    }),
    variant("attributes of the user", |d| {
        let records: [(&str, &[u8]); 6] = [
            ("SCHILY.xattr.user.comment", b"a\0b\n"),
            ("SCHILY.xattr.user.empty", b""),
            ("SCHILY.xattr.security.selinux", b"unconfined_u:object_r:user_home_t:s0\0"),
            ("SCHILY.xattr.com.apple.provenance", b"\x01\0\0"),
            ("LIBARCHIVE.xattr.com.apple.provenance", b"AQAA"),
            ("LIBARCHIVE.xattr.user.a%3Db", b"AQAA"),
        ];
        d.before("deps/tool", [pax(&records)]);
    }),
    variant("path in PAX as in the header", |d| d.before("deps/tool", [pax(&[("path", b"deps/tool")])])),
    variant("link in PAX as in the header", |d| d.before("deps/link", [pax(&[("linkpath", b"pkg/index.js")])])),
    variant("GNU long name that is short", |d| {
        d.edit("deps/tool", Item::gnu);
        d.before("deps/tool", [gnu_long(b'L', "deps/tool")]);
    }),
    variant("GNU long name and link", |d| {
        d.edit("deps/link", Item::gnu);
        d.before("deps/link", [gnu_long(b'K', "pkg/index.js"), gnu_long(b'L', "deps/link")]);
    }),
    variant("a record of ten thousand bytes", |d| d.tar.end = vec![0; 20 * BLOCK]),
    variant("a mebibyte of zeros at the end", |d| d.tar.end = vec![0; 1 << 20]),
];

#[test]
fn every_layout_form_and_order_is_trusted() {
    let stage = Stage::new();
    for layout in Layout::ALL {
        for form in Form::ALL {
            for seal_first in [true, false] {
                let tar = stage.sample.draft(layout, form, seal_first).tar.bytes();
                let row = format!("{layout:?} {form:?} seal first: {seal_first}");
                trusted(&stage, &row, &tar);
                if cfg!(feature = "judges") {
                    trusted(&stage, &(row.clone() + " gz"), &gzip(&tar));
                    trusted(&stage, &(row + " zst"), &zstd(&tar));
                }
            }
        }
    }
}

#[test]
fn what_honest_programs_vary_is_trusted() {
    let stage = Stage::new();
    for Variant { name, edit } in some(VARIANTS) {
        for seal_first in [true, false] {
            let mut draft = stage.sample.draft(Layout::Plain, Form::Ustar, seal_first);
            edit(&mut draft);
            trusted(&stage, name, &draft.tar.bytes());
        }
    }
}

#[test]
fn directories_above_roots_are_tolerated() {
    let stage = Stage::new();
    let mut draft = stage.sample.draft(Layout::Circle, Form::Gnu, true);
    draft.begin(["home/", "home/circleci/", "home/circleci/project/"].map(dir));
    trusted(&stage, "above", &draft.tar.bytes());
}

/// A runner or a volume had made the directory before the archive was.
#[test]
fn an_empty_directory_for_a_root_that_was_absent_is_nothing() {
    for seal_first in [true, false] {
        let stage = Stage::new();
        let mut draft = stage.sample.draft(Layout::Circle, Form::Gnu, seal_first);
        draft.add([dir("home/circleci/never/")]);
        trusted(&stage, "empty", &draft.tar.bytes());
    }
}

#[test]
fn every_compression_is_trusted() {
    let stage = Stage::new();
    for seal_first in [true, false] {
        let tar = stage.sample.draft(Layout::Circle, Form::Pax, seal_first).tar.bytes();
        for (row, archive) in compressed(&tar) {
            trusted(&stage, row, &archive);
        }
    }
}

/// The same stream as every honest compressor may write it.
fn compressed(tar: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let (one, other) = tar.split_at(tar.len() / 2 + 77);
    let parts = |compress: fn(&[u8]) -> Vec<u8>| tar.chunks(1_000).flat_map(compress).collect::<Vec<_>>();
    let length = u64::try_from(tar.len()).unwrap().to_le_bytes();
    vec![
        ("gz of two members", [gzip(one), gzip(other)].concat()),
        ("gz of many members", parts(gzip)),
        ("gz with an empty member first", [gzip(b""), gzip(tar)].concat()),
        ("gz with an empty member last", [gzip(tar), gzip(b"")].concat()),
        ("gz with a name", Gzip { flags: 8, fields: b"cache.tar\0".to_vec(), ..Gzip::new(tar) }.bytes()),
        ("gz with every field", gzip_with_all_fields(tar)),
        ("zst of two frames", [zstd(one), zstd(other)].concat()),
        ("zst of many frames", parts(zstd)),
        ("zst as it is packed", packed_zstd(tar)),
        ("zst as it is packed, of two frames", [packed_zstd(one), packed_zstd(other)].concat()),
        ("zst without checksum", zstd_with(tar, 3, false, None)),
        ("zst of the highest level", zstd_with(tar, 19, true, None)),
        ("zst with a long window", zstd_with(tar, 3, true, Some(27))),
        ("zst skippable frame first", [skippable(b"pzstd"), zstd(tar)].concat()),
        ("zst skippable frame between", [zstd(one), skippable(b""), zstd(other)].concat()),
        ("zst skippable frame last", [zstd(tar), skippable(&[0; 100])].concat()),
        ("zst with an empty frame first", [zstd(b""), zstd(tar)].concat()),
        ("zst with an empty frame last", [zstd(tar), zstd(b"")].concat()),
        ("zst stored", Frame::new(tar).bytes()),
        ("zst with the largest window", Frame::headed(tar, &[&[0, window(27)]]).bytes()),
        ("zst with the smallest window", zstd_blocks(tar)),
        ("zst with its length", Frame::headed(tar, &[&[0xc0, window(17)], &length]).bytes()),
    ]
}

fn gzip_with_all_fields(tar: &[u8]) -> Vec<u8> {
    let mut member = Gzip { flags: 0x1f, ..Gzip::new(tar) };
    member.fields = [&b"\x05\0extra"[..], b"name\0", b"comment\0"].concat();
    let crc = header_crc(&member.head());
    member.fields.extend_from_slice(&crc);
    member.bytes()
}

/// Blocks of a kibibyte, as the window allows.
fn zstd_blocks(tar: &[u8]) -> Vec<u8> {
    let blocks = tar.chunks(1 << 10).map(|chunk| (super::codec::RAW, chunk.len(), chunk.to_vec())).collect();
    Frame { head: vec![0, window(10)], blocks, tail: Vec::new() }.bytes()
}

#[test]
fn a_larger_window_is_read_where_it_is_allowed() {
    let stage = Stage::new();
    let tar = stage.sample.draft(Layout::Plain, Form::Pax, true).tar.bytes();
    let archive = Frame::headed(&tar, &[&[0, window(30)]]).bytes();
    stage.verify(&archive, &["--window-log-max", "30"]).expect(0, &[]);
    stage.verify(&archive, &["--window-log-max", "27"]).expect(13, &["window-too-large"]);
}

#[test]
fn the_compression_is_told_by_the_bytes_and_an_archive_is_read_from_standard_input() {
    let stage = Stage::new();
    let tar = stage.sample.draft(Layout::Plain, Form::Gnu, false).tar.bytes();
    for archive in [tar.clone(), gzip(&tar), zstd(&tar)] {
        let file = stage.project.outside("archives/cache.tar.gz");
        std::fs::write(&file, &archive).unwrap();
        stage.run(&["verify", "--archive", text(&file)], &[]).verdict().expect(0, &[]);
        let mut command = stage.project.command();
        command.args(["verify", "--archive", "-", "--gate", "any", "--format", "json"]);
        command.stdin(Stdio::from(std::fs::File::open(&file).unwrap()));
        Run::of(command.output().unwrap()).verdict().expect(0, &[]);
    }
}

#[test]
fn a_lockfile_of_the_checkout_is_compared() {
    let stage = Stage::new();
    let tar = stage.sample.draft(Layout::Plain, Form::Gnu, true).tar.bytes();
    stage.verify(&tar, &["--gate", "exact"]).expect(0, &[]);
    stage.project.write("deps.lock", "left-pad 1.3.1\n");
    stage.verify(&tar, &["--gate", "exact"]).expect(10, &["stale-lockfile"]);
}

/// Names and targets beyond what a header holds, and bytes that are no text or that logs mistake for commands.
fn awkward() -> Stage {
    let project = Project::empty(&policy());
    fill(&project);
    let long = "directory-with-a-long-name/".repeat(5);
    project.write(&format!("deps/{long}file"), "long\n");
    project.write(&format!("deps/{}", "x".repeat(200)), "one long name\n");
    project.relink("deps/to-far-away", long.clone() + "file");
    for name in
        ["a b", "#", "\\", "C:\\x", "x\n::set-env name=PATH::/tmp", "\u{fb01}le", "file", "\u{202e}txt", "\x1b[2J"]
    {
        project.write(&format!("deps/names/{name}"), name);
    }
    project.seal();
    Stage::of(project)
}

#[test]
fn long_and_awkward_names_are_trusted() {
    let stage = awkward();
    for form in [Form::Gnu, Form::Pax] {
        for seal_first in [true, false] {
            let draft = stage.sample.draft(Layout::Circle, form, seal_first);
            trusted(&stage, &format!("{form:?}"), &draft.tar.bytes());
        }
    }
}

#[test]
fn names_in_both_fields_of_ustar_are_trusted() {
    let project = Project::empty(&policy());
    fill(&project);
    let long = "p".repeat(60) + "/" + &"q".repeat(60);
    project.write(&format!("deps/{long}/file"), "long\n");
    project.seal();
    let stage = Stage::of(project);
    trusted(&stage, "prefix", &stage.sample.draft(Layout::Plain, Form::Ustar, true).tar.bytes());
}

#[test]
fn an_archive_without_its_seal_is_held_against_a_seal_that_is_given() {
    let stage = Stage::new();
    let seal = stage.project.outside("archives/given");
    std::fs::create_dir_all(&seal).unwrap();
    for member in &stage.sample.seal {
        if let super::sample::Node::File { contents, .. } = &member.node {
            std::fs::write(seal.join(member.label.rsplit('/').next().unwrap()), contents).unwrap();
        }
    }
    let mut draft = stage.sample.draft(Layout::Circle, Form::Gnu, false);
    draft.remove_all(".cacheseal/deps");
    stage.verify(&draft.tar.bytes(), &[]).expect(10, &["no-seal"]);
    stage.verify(&draft.tar.bytes(), &["--seal", text(&seal)]).expect(0, &[]);
    draft.refill("deps/tool", "#!/bin/sh\necho evil\n");
    stage.verify(&draft.tar.bytes(), &["--seal", text(&seal)]).expect(11, &["digest-mismatch"]);
    for seal_first in [true, false] {
        let whole = stage.sample.draft(Layout::Circle, Form::Gnu, seal_first).tar.bytes();
        stage.verify(&whole, &["--seal", text(&seal)]).expect(12, &["ambiguous-layout"]);
    }
    stage.assert_untouched("given");
}
