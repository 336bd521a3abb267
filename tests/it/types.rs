//! Types, links and modes, rows 14 to 24; and what must not alarm.

use std::ffi::CString;
use std::fs::{self, File, FileTimes};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, lchown, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};

use cacheseal::drill::tampering;
use rustix::fs::{CWD, FileType, Mode, XattrFlags, makedev, mknodat};

use crate::forge::{chmod, fifo, remove};
use crate::harness::{POLICY, Project, copy_tree};
use crate::rows::{each, some};
use crate::tree::each_is_refused;

#[test]
fn another_type_in_the_place_of_an_entry_is_refused() {
    each_is_refused(&[
        ("row 14: file to link, a twin inside", |p| p.relink("deps/pkg/lib/a.js", "b.js"), &["type-mismatch"]),
        ("row 14: file to link, an equal copy outside", |p| p.link_away("deps/pkg/lib/a.js"), &["type-mismatch"]),
        (
            "row 14: file to directory",
            |p| tampering::file_to_directory(&p.path("deps/tool")).unwrap(),
            &["type-mismatch"],
        ),
        (
            "row 14: directory to file",
            |p| {
                remove(&p.path("deps/empty"));
                p.write("deps/empty", "");
            },
            &["type-mismatch"],
        ),
        (
            "row 14: link to the file it led to",
            |p| tampering::link_to_file(&p.path("deps/link")).unwrap(),
            &["type-mismatch"],
        ),
        ("row 15: retargeted", |p| p.relink("deps/link", "pkg/lib/a.js"), &["link-mismatch"]),
        ("row 15: another text for the same file", |p| p.relink("deps/link", "./pkg/index.js"), &["link-mismatch"]),
        ("row 15: out of the root", |p| p.relink("deps/link", "/etc/passwd"), &["link-mismatch"]),
        ("row 16: directory to link, an equal copy outside", |p| p.link_away("deps/pkg"), &["type-mismatch"]),
        ("row 16: directory to link, inside", |p| directory_to_inside_link(p), &["type-mismatch", "extra-entry"]),
        ("row 17: fifo for a file", |p| fifo(&p.path("deps/pkg/lib/a.js")), &["special-file"]),
        ("row 17: fifo added", |p| fifo(&p.path("deps/pkg/fifo")), &["special-file"]),
        ("row 17: fifo for a directory", |p| fifo(&p.path("deps/pkg")), &["special-file"]),
        ("row 17: fifo for a link", |p| fifo(&p.path("deps/link")), &["special-file"]),
        ("row 17: socket for a file", |p| socket(&p.path("deps/tool")), &["special-file"]),
        ("row 17: socket added", |p| socket(&p.path("deps/socket")), &["special-file"]),
    ]);
}

/// Row 17. Only root can make a device; the runs of others stop at the fifo and the socket above.
#[test]
fn a_device_is_refused_and_not_read() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    each_is_refused(&[
        ("for a file", |p| device(&p.path("deps/tool")), &["special-file"]),
        ("added", |p| device(&p.path("deps/null")), &["special-file"]),
    ]);
}

#[test]
fn changed_modes_are_refused() {
    each_is_refused(&[
        ("row 20: executable", |p| p.chmod("deps/pkg/index.js", 0o755), &["mode-mismatch"]),
        ("row 20: executable by its owner alone", |p| p.chmod("deps/pkg/index.js", 0o744), &["mode-mismatch"]),
        ("row 20: no longer executable", |p| p.chmod("deps/tool", 0o644), &["mode-mismatch"]),
        ("row 20: executable by others only", |p| p.chmod("deps/tool", 0o655), &["mode-mismatch"]),
        ("row 21: setuid", |p| p.chmod("deps/tool", 0o4755), &["forbidden-mode"]),
        ("row 21: setgid", |p| p.chmod("deps/tool", 0o2755), &["forbidden-mode"]),
        ("row 21: sticky file", |p| p.chmod("deps/tool", 0o1755), &["forbidden-mode"]),
        ("row 21: a file that others may write", |p| p.chmod("deps/pkg/index.js", 0o666), &["forbidden-mode"]),
        ("row 21: a directory that others may write", |p| p.chmod("deps/pkg", 0o777), &["forbidden-mode"]),
        ("row 21: such a directory, sticky", |p| p.chmod("deps/pkg", 0o1777), &["forbidden-mode"]),
        ("row 21: a root that others may write", |p| p.chmod("deps", 0o777), &["forbidden-mode"]),
        (
            "rows 1, 20, 21: all at once",
            |p| {
                p.write("deps/tool", "x");
                p.chmod("deps/tool", 0o4646);
            },
            &["forbidden-mode", "mode-mismatch", "digest-mismatch"],
        ),
    ]);
}

/// Who can replace the seal, or rename the directory it lies in, decides what is found there.
#[test]
fn a_seal_that_others_may_write_is_refused() {
    each_is_refused(&[
        ("`.cacheseal`", |p| p.chmod(".cacheseal", 0o777), &["forbidden-mode"]),
        ("`.cacheseal`, sticky", |p| p.chmod(".cacheseal", 0o1777), &["forbidden-mode"]),
        ("the seal's directory", |p| p.chmod(".cacheseal/deps", 0o757), &["forbidden-mode"]),
        ("the envelope", |p| p.chmod(".cacheseal/deps/seal.json", 0o666), &["forbidden-mode"]),
        ("the envelope, setuid", |p| p.chmod(".cacheseal/deps/seal.json", 0o4644), &["forbidden-mode"]),
        ("a manifest", |p| p.chmod(".cacheseal/deps/1.mtree", 0o646), &["forbidden-mode"]),
        ("a manifest, setgid", |p| p.chmod(".cacheseal/deps/0.mtree", 0o2755), &["forbidden-mode"]),
    ]);
    // What a umask or an archive makes of them is not looked at any closer.
    let project = Project::new();
    project.seal();
    for (place, mode) in [(".cacheseal", 0o2775), (".cacheseal/deps", 0o700), (".cacheseal/deps/seal.json", 0o775)] {
        project.chmod(place, mode);
        project.verify("exact").expect_of(place, 0, &[]);
    }
    project.chmod(".cacheseal", 0o777);
    let refused = project.verify("exact");
    refused.expect(11, &["forbidden-mode"]);
    assert_eq!(refused.json["refusals"][0]["place"], ".cacheseal");
}

/// Rows 17 and 21: what is never trusted is never sealed.
#[test]
fn what_is_never_trusted_is_never_sealed() {
    type Tamper = fn(&Project);
    let cases: &[(&str, Tamper, &[&str])] = &[
        ("fifo", |p| fifo(&p.path("deps/fifo")), &["special-file"]),
        ("socket", |p| socket(&p.path("deps/socket")), &["special-file"]),
        ("setuid", |p| p.chmod("deps/tool", 0o4755), &["forbidden-mode"]),
        ("setgid, and others may write", |p| p.chmod("deps/tool", 0o2757), &["forbidden-mode"]),
        (
            "both",
            |p| {
                fifo(&p.path("deps/fifo"));
                p.chmod("deps/tool", 0o2755);
            },
            &["special-file", "forbidden-mode"],
        ),
    ];
    each(some(cases), |(what, spoil, codes)| {
        let project = Project::new();
        spoil(&project);
        project.try_seal().expect_of(what, 11, codes);
        assert!(!project.seal_path().exists(), "{what}");
        project.verify("any").expect_of(what, 10, &["no-seal"]);
    });
}

/// Row 21: who may write to an entry can change it after the verdict. The job that seals it can end that.
#[test]
fn seal_takes_the_permission_of_others_to_write() {
    let project = Project::new();
    let places = [("deps", 0o777), ("deps/pkg", 0o1777), ("deps/tool", 0o757), ("deps/pkg/index.js", 0o666)];
    for (place, mode) in places {
        project.chmod(place, mode);
    }
    let sealed = project.try_seal();
    sealed.expect(0, &[]);
    assert_eq!(sealed.json["closedToOthers"], 4, "{:#}", sealed.json);
    for (place, mode) in places {
        assert_eq!(fs::metadata(project.path(place)).unwrap().mode() & 0o7777, mode & !0o002, "{place}");
    }
    project.verify("any").expect(0, &[]);
    // Nothing is taken twice, and what is not in the roots keeps its mode.
    project.chmod("deps/tool", 0o757);
    project.chmod("cacheseal.toml", 0o666);
    let run = project.run(&["seal", "deps", "--key", "../job.key"]);
    assert!(run.stdout.contains("took the permission of others to write from 1 of these entries"), "{}", run.stdout);
    assert_eq!(fs::metadata(project.path("cacheseal.toml")).unwrap().mode() & 0o777, 0o666);
    // Neither does a verifier change anything.
    project.chmod("deps/tool", 0o757);
    project.verify("any").expect(11, &["forbidden-mode"]);
    assert_eq!(fs::metadata(project.path("deps/tool")).unwrap().mode() & 0o777, 0o757);
}

/// A mode belongs to the file and not to the name: the other name may be somebody else's.
#[test]
fn seal_does_not_touch_a_file_with_names_elsewhere() {
    let project = Project::new();
    fs::hard_link(project.path("deps/tool"), project.outside("tool")).unwrap();
    project.chmod("deps/tool", 0o757);
    project.try_seal().expect(11, &["forbidden-mode"]);
    assert_eq!(fs::metadata(project.outside("tool")).unwrap().mode() & 0o777, 0o757);
    // Nor the target of a link.
    remove(&project.path("deps/tool"));
    fs::remove_file(project.path("deps/link")).unwrap();
    project.relink("deps/link", project.outside("tool").to_str().unwrap());
    project.try_seal().expect(0, &[]);
    assert_eq!(fs::metadata(project.outside("tool")).unwrap().mode() & 0o777, 0o757);
}

/// Row 18: whoever has the other name can change the file after it was verified.
#[test]
fn a_hard_link_to_a_file_outside_is_refused_unless_the_gate_allows_it() {
    let project = Project::new();
    project.seal();
    fs::rename(project.path("deps/tool"), project.outside("tool")).unwrap();
    fs::hard_link(project.outside("tool"), project.path("deps/tool")).unwrap();
    project.verify("any").expect(11, &["hardlink-outside"]);
    // Sealing anew does not help: contents are sealed, not names.
    project.seal();
    project.verify("any").expect(11, &["hardlink-outside"]);
    project.write("cacheseal.toml", format!("{POLICY}hardlinks = \"any\"\n"));
    project.verify("any").expect(0, &[]);
}

/// Row 18: an added name is an added entry, and makes two files of one suspicious.
#[test]
fn a_second_name_outside_is_refused_wherever_it_lies() {
    each([("beside the roots", "tool"), ("in home", "home/tool"), ("in the checkout", "app/tool")], |(what, name)| {
        let project = Project::new();
        project.seal();
        fs::hard_link(project.path("deps/tool"), project.outside(name)).unwrap();
        project.verify("any").expect_of(what, 11, &["hardlink-outside"]);
    });
}

/// Row 19: names of one file that all lie inside are files with the same contents.
#[test]
fn hard_links_inside_may_be_split_and_joined() {
    let project = Project::new();
    fs::hard_link(project.path("deps/tool"), project.path("deps/pkg/tool")).unwrap();
    fs::hard_link(project.path("deps/tool"), project.home().join("store/tool")).unwrap();
    project.write("deps/same", "#!/bin/sh\necho tool\n");
    chmod(&project.path("deps/same"), 0o755);
    project.seal();
    project.verify("any").expect(0, &[]);
    // Split.
    let store = project.home().join("store/tool");
    remove(&store);
    fs::copy(project.path("deps/tool"), &store).unwrap();
    project.verify("any").expect(0, &[]);
    // Joined.
    remove(&project.path("deps/same"));
    fs::hard_link(project.path("deps/tool"), project.path("deps/same")).unwrap();
    project.verify("any").expect(0, &[]);
}

/// Rows 15 and 16: links are counted, and refused where the gate wants them inside.
#[test]
fn links_that_leave_are_refused_where_the_gate_says_so() {
    for (target, leaves) in [
        ("/etc/passwd", true),
        ("../cacheseal.toml", true),
        ("pkg/../../x", true),
        ("../../../../../../etc/passwd", true),
        ("pkg/index.js", false),
        ("./pkg//index.js", false),
        ("nowhere", false),
    ] {
        let project = Project::new();
        project.relink("deps/link", target);
        project.seal();
        let open = project.verify("any");
        open.expect(0, &[]);
        assert_eq!(open.json["seal"]["linksLeaving"], u64::from(leaves), "{target}");
        project.write("cacheseal.toml", format!("{POLICY}links = \"inside\"\n"));
        if leaves {
            project.verify("any").expect_of(target, 11, &["link-escapes"]);
        } else {
            project.verify("any").expect_of(target, 0, &[]);
        }
    }
}

/// Rows 22 to 24: what a restore changes by itself, and what is not sealed.
#[test]
fn what_a_restore_changes_by_itself_does_not_alarm() {
    type Change = fn(&Project);
    let cases: &[(&str, Change)] = &[
        ("row 22: another umask", |p| {
            p.chmod("deps/pkg/index.js", 0o600);
            p.chmod("deps/tool", 0o700);
        }),
        ("row 22: a group that may write", |p| {
            p.chmod("deps/pkg/index.js", 0o664);
            p.chmod("deps/pkg", 0o775);
        }),
        ("row 22: read-only", |p| {
            p.chmod("deps/pkg/index.js", 0o444);
            p.chmod("deps/pkg", 0o555);
        }),
        ("row 22: a group that may execute", |p| p.chmod("deps/pkg/index.js", 0o654)),
        ("row 22: a shared directory", |p| p.chmod("deps/pkg", 0o3755)),
        ("row 23: another owner", |p| other_owner(p)),
        ("row 23: an extended attribute", |p| attribute(p)),
        ("row 24: times", |p| old_times(p)),
        ("row 24: a copy, entry by entry", |p| {
            p.rename("deps", "before");
            copy_tree(&p.path("before"), &p.path("deps"));
        }),
        ("row 24: holes", |p| {
            let path = p.home().join("store/blob");
            remove(&path);
            File::create(path).unwrap().set_len(200_000).unwrap();
        }),
    ];
    each(some(cases), |(what, change)| {
        let project = Project::new();
        project.seal();
        change(&project);
        project.verify("exact").expect_of(what, 0, &[]);
    });
}

fn directory_to_inside_link(project: &Project) {
    project.rename("deps/pkg", "deps/pkg-1.3.0");
    symlink("pkg-1.3.0", project.path("deps/pkg")).unwrap();
}

fn socket(path: &Path) {
    remove(path);
    mknodat(CWD, path, FileType::Socket, Mode::from_raw_mode(0o644), 0).unwrap();
}

/// `/dev/null`: harmless, and endless for who reads it as a file.
fn device(path: &Path) {
    remove(path);
    mknodat(CWD, path, FileType::CharacterDevice, Mode::from_raw_mode(0o644), makedev(1, 3)).unwrap();
}

/// As another user restores it; only root can give files away.
fn other_owner(project: &Project) {
    if rustix::process::geteuid().is_root() {
        for below in ["deps", "deps/tool", "deps/link", "deps/pkg/index.js"] {
            lchown(project.path(below), Some(4_711), Some(4_711)).unwrap();
        }
    }
}

/// Where the file system has none, there is nothing to accept.
fn attribute(project: &Project) {
    let path = CString::new(project.path("deps/tool").as_os_str().as_bytes()).unwrap();
    match rustix::fs::setxattr(&path, c"user.origin", b"elsewhere", XattrFlags::empty()) {
        Ok(()) | Err(rustix::io::Errno::OPNOTSUPP) => {}
        Err(error) => panic!("{error}"),
    }
}

fn old_times(project: &Project) {
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1);
    for below in ["deps/tool", "deps/pkg/index.js"] {
        let file = File::options().write(true).open(project.path(below)).unwrap();
        file.set_times(FileTimes::new().set_modified(time)).unwrap();
    }
}
