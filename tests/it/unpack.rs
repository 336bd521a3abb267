//! `unpack`: all of a trusted archive in its places, or everything as it was.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use cacheseal::base::Digest;
use cacheseal::tree::confine;
use rustix::fs::FlockOperation;
use rustix::process::{Pid, Signal, kill_process};

use super::archives::codec::packed_zstd;
use super::harness::{POLICY, Project, Run, SealAs};
use super::packed::{Packed, file, hard_link, join, pack, split};
use super::rows::some;

/// Roots in directories that are not there yet, beside the two of [`POLICY`]; the first was absent when it was sealed.
const DEEP: &str = "roots = [\"deps\", \"~/store\", \"~/a/top\", \"~/a/b/c\"]";

/// Puts something in the way.
type Prepare = fn(&Packed);

#[test]
fn an_archive_of_many_frames_is_unpacked() {
    let count: u32 = if cfg!(feature = "judges") { 5_000_000 } else { 2_500_000 };
    let large: Vec<u8> = (0..count).flat_map(|n| ((n / 5) ^ (n >> 2)).to_le_bytes()).collect();
    let packed = Packed::with(POLICY, |project| {
        project.write("deps/large", &large);
        project.seal();
    });
    let archive = packed_zstd(&packed.archive);
    let mut damaged = archive.clone();
    *damaged.last_mut().unwrap() ^= 1;
    packed.refuses("the checksum of the last frame", &damaged, 12, &["damaged-archive"]);
    packed.unpack(&archive, &[]).expect(0, &[]);
    packed.is_in_place();
}

#[test]
fn what_was_packed_comes_back() {
    let packed = Packed::with(&POLICY.replace("roots = [\"deps\", \"~/store\"]", DEEP), Project::seal);
    for (archive, more) in [
        (packed.archive.clone(), &[][..]),
        (zstd::encode_all(&*packed.archive, 1).unwrap(), &["--cache", "deps"]),
        (packed.archive.clone(), &["--explain"]),
    ] {
        packed.clear();
        let verdict = packed.unpack_at("exact", &archive, more);
        verdict.expect(0, &[]);
        assert_eq!((&verdict.json["command"], &verdict.json["unpacked"]["inPlace"]), (&"unpack".into(), &true.into()));
        packed.is_in_place();
        assert_eq!(pack(&packed.project), packed.archive);
        assert_eq!(fs::read_link(packed.path("deps/link")).unwrap(), Path::new("pkg/index.js"));
    }
    let file = packed.project.outside("a.tar");
    fs::write(&file, &packed.archive).unwrap();
    packed.clear();
    // Empty directories are as good as none, and take no rights from what comes.
    for root in [packed.path("deps"), packed.home("store"), packed.path(".cacheseal/deps")] {
        fs::create_dir_all(root).unwrap();
    }
    packed.project.json(&["unpack", file.to_str().unwrap(), "--gate", "any"]).expect(0, &[]);
    packed.is_in_place();
}

#[test]
fn the_reader_is_confined_where_it_can_be() {
    let packed = Packed::new();
    let verdict = packed.unpack(&packed.archive, &[]);
    // What this kernel can is asked of it in a thread that needs its rights no more.
    let possible = std::thread::spawn(|| confine(&[])).join().unwrap();
    assert_eq!(verdict.json["unpacked"]["confinement"], possible.as_str());
}

#[test]
fn modes_are_those_of_new_files() {
    let packed = Packed::new();
    let archive = packed.project.outside("a.tar");
    fs::write(&archive, &packed.archive).unwrap();
    for (umask, plain, executable) in [("000", 0o644, 0o755), ("022", 0o644, 0o755), ("077", 0o600, 0o700)] {
        packed.clear();
        let mut shell = Command::new("bash");
        let script = format!("umask {umask}; exec \"$0\" unpack \"$1\" --gate any");
        shell.args(["-c", &script, env!("CARGO_BIN_EXE_cacheseal")]).arg(&archive);
        let output = shell.current_dir(packed.project.root()).env("HOME", packed.project.home()).output().unwrap();
        assert!(output.status.success(), "{umask}: {}", Run::of(output).stderr);
        let mode = |path: &str| fs::metadata(packed.path(path)).unwrap().mode() & 0o7777;
        assert_eq!((mode("deps/pkg/zero"), mode("deps/tool"), mode("deps/pkg")), (plain, executable, executable));
        assert_eq!(
            (mode(".cacheseal/deps/seal.json"), mode(".cacheseal/deps"), mode("deps")),
            (plain, executable, executable)
        );
        packed.is_in_place();
    }
    packed.clear();
    let before = packed.everything();
    let mut shell = Command::new("bash");
    shell
        .args(["-c", "umask 700; exec \"$0\" unpack \"$1\" --gate any", env!("CARGO_BIN_EXE_cacheseal")])
        .arg(&archive);
    let output = shell.current_dir(packed.project.root()).env("HOME", packed.project.home()).output().unwrap();
    let run = Run::of(output);
    assert!(run.code == Some(4) && run.stderr.starts_with("error[unwritable]"), "{}", run.stderr);
    assert!(packed.everything() == before);
}

#[test]
fn whatever_is_refused_leaves_all_as_it_was() {
    type Change = fn(Vec<(String, Vec<u8>)>) -> Vec<u8>;
    let changes: &[(&str, i32, &[&str], Change)] = &[
        ("not an archive", 12, &["not-an-archive"], |_| b"<html>".to_vec()),
        ("nothing", 12, &["not-an-archive"], |_| Vec::new()),
        ("an archive of nothing", 3, &["nothing-restored"], |_| vec![0; 1024]),
        ("cut off", 12, &["truncated-archive"], |m| join(&m)[..4096].to_vec()),
        ("cut off at the very end", 12, &["missing-end"], |m| {
            let archive = join(&m);
            archive[..archive.len() - 512].to_vec()
        }),
        ("more after the end", 12, &["trailing-data"], |m| [join(&m), b"x".repeat(512)].concat()),
        ("a changed byte", 11, &["digest-mismatch"], |mut m| {
            let last = m.len() - 1;
            m[last].1[600] ^= 1;
            join(&m)
        }),
        ("another first file", 11, &["digest-mismatch"], |mut m| {
            let index = m.iter().position(|m| m.0 == "checkout/deps/pkg/index.js").unwrap();
            m[index].1[512] = b'M';
            join(&m)
        }),
        ("one more at the end", 11, &["extra-entry"], |mut m| {
            m.push(file("home/store/more", "more"));
            join(&m)
        }),
        ("one less", 11, &["missing-entry"], |mut m| {
            m.retain(|m| m.0 != "checkout/deps/pkg/zero");
            join(&m)
        }),
        ("one twice", 12, &["duplicate-entry"], |mut m| {
            m.push(m.last().unwrap().clone());
            join(&m)
        }),
        ("a stray at the end", 15, &["stray-entry"], |mut m| {
            m.push(file("home/.npmrc", "registry=http://evil.example"));
            join(&m)
        }),
        ("a stray in the seal, after it", 10, &["malformed-seal"], |mut m| {
            m.push(file("checkout/.cacheseal/deps/x", ""));
            join(&m)
        }),
        ("a name that leads out", 12, &["unsafe-path"], |mut m| {
            m.push(file("checkout/deps/../../evil", "evil"));
            join(&m)
        }),
        ("a file through a link", 12, &["entry-below-link"], |mut m| {
            m.push(file("checkout/deps/link/evil", "evil"));
            join(&m)
        }),
        ("a hard link that leads out", 12, &["unsafe-hardlink"], |mut m| {
            m.retain(|m| m.0 != "checkout/deps/pkg/zero");
            m.push(hard_link("checkout/deps/pkg/zero", "etc/passwd"));
            join(&m)
        }),
        ("the roots first", 12, &["seal-not-first"], |mut m| {
            m.rotate_left(3);
            join(&m)
        }),
        ("a manifest last", 12, &["seal-not-first"], |mut m| {
            let manifest = m.remove(1);
            m.push(manifest);
            join(&m)
        }),
        ("no seal", 12, &["seal-not-first"], |mut m| {
            m.drain(..3);
            join(&m)
        }),
        ("a manifest of another", 10, &["manifest-mismatch"], |mut m| {
            m[1].1[520] ^= 1;
            join(&m)
        }),
        ("a seal that nobody signed", 10, &["signature-mismatch"], |mut m| {
            // In the signature, which comes after its name; still base64.
            let at = m[0].1.windows(7).position(|bytes| bytes == b"\"sig\": ").unwrap();
            let character = &mut m[0].1[at + 9];
            *character = if *character == b'A' { b'B' } else { b'A' };
            join(&m)
        }),
    ];
    let packed = Packed::new();
    let places: [(&str, Prepare); 3] = [
        ("nothing there", |_| ()),
        ("empty roots", |packed| {
            fs::create_dir(packed.path("deps")).unwrap();
            fs::create_dir(packed.home("store")).unwrap();
        }),
        ("siblings", |packed| {
            packed.project.write(".cacheseal/other/seal.json", "{}");
            packed.project.write("deps2/x", "x");
            fs::write(packed.home(".npmrc"), "mine").unwrap();
        }),
    ];
    for (what, prepare) in some(places) {
        packed.clear();
        prepare(&packed);
        for (row, exit, codes, change) in changes {
            packed.refuses(&format!("{row}, {what}"), &change(split(&packed.archive)), *exit, codes);
        }
    }
}

#[test]
fn the_gate_decides_as_for_directories() {
    let stranger = Packed::with(POLICY, |project| project.seal_as(SealAs { key: "other", ..SealAs::default() }));
    stranger.refuses("a stranger's", &stranger.archive, 10, &["signer-not-accepted"]);
    let packed = Packed::new();
    packed.project.write("deps.lock", "left-pad 1.3.1\n");
    let before = packed.everything();
    packed.unpack_at("exact", &packed.archive, &[]).expect(10, &["stale-lockfile"]);
    assert!(packed.everything() == before);
    packed.unpack_at("any", &packed.archive, &[]).expect(0, &[]);
    packed.clear();
    let list = packed.project.outside("revoked.toml");
    let id = super::harness::key("job").public().id();
    fs::write(&list, format!("version = 1\n[[revoked]]\nkeyid = \"{id}\"\nreason = \"leaked\"\n")).unwrap();
    let before = packed.everything();
    packed.unpack(&packed.archive, &["--revocations", list.to_str().unwrap()]).expect(10, &["revoked"]);
    assert!(packed.everything() == before);
    packed.project.json(&["unpack", "-"]).expect_error(2, "usage");
    packed.project.json(&["unpack", "none.tar", "--gate", "any"]).expect_error(4, "unreadable");
}

#[test]
fn a_second_name_becomes_a_file_of_its_own() {
    let packed = Packed::with(POLICY, |project| {
        project.write("deps/pkg/zz", "exports.a = 1\n");
        fs::write(project.home().join("store/zz"), "exports.a = 1\n").unwrap();
        project.seal();
    });
    let mut members = split(&packed.archive);
    members.retain(|member| !member.0.ends_with("/zz"));
    members.push(hard_link("checkout/deps/pkg/zz", "checkout/deps/pkg/lib/a.js"));
    members.push(hard_link("home/store/zz", "checkout/deps/pkg/zz"));
    packed.unpack(&join(&members), &[]).expect(0, &[]);
    for path in [packed.path("deps/pkg/zz"), packed.home("store/zz"), packed.path("deps/pkg/lib/a.js")] {
        assert_eq!(fs::metadata(&path).unwrap().nlink(), 1, "{path:?}");
    }
    packed.is_in_place();
}

#[test]
fn directories_may_come_late_or_not_at_all() {
    let packed = Packed::new();
    let (mut late, rest): (Vec<_>, Vec<_>) =
        split(&packed.archive).into_iter().partition(|member| member.0.ends_with('/'));
    late.reverse();
    packed.unpack(&join(rest.iter().chain(&late)), &[]).expect(0, &[]);
    packed.is_in_place();
    packed.clear();
    late.retain(|member| member.0.ends_with("empty/"));
    packed.unpack(&join(rest.iter().chain(&late)), &[]).expect(0, &[]);
    packed.is_in_place();
}

#[test]
fn a_place_that_is_taken_is_left_alone_or_replaced() {
    let packed = Packed::new();
    let takers: [(&str, Prepare); 3] = [
        ("deps", |packed| packed.project.write("deps/mine", "mine")),
        ("~/store", |packed| {
            fs::create_dir(packed.home("store")).unwrap();
            fs::write(packed.home("store/blob"), "mine").unwrap();
        }),
        (".cacheseal/deps", |packed| packed.project.write(".cacheseal/deps/seal.json", "{}")),
    ];
    for (place, take) in takers {
        packed.clear();
        take(&packed);
        let before = packed.everything();
        let verdict = packed.unpack(&packed.archive, &[]);
        verdict.expect_error_of(place, 5, "root-not-empty");
        assert!(verdict.json["error"]["message"].as_str().unwrap().contains(place), "{:#}", verdict.json);
        assert!(packed.everything() == before, "{place}");
    }
    // All of them at once, the old trees with what is hard to remove.
    for (_, take) in takers {
        if !packed.path(".cacheseal").exists() {
            take(&packed);
        }
    }
    let old = packed.path("deps/closed/below");
    fs::create_dir_all(&old).unwrap();
    symlink("/", old.join("link")).unwrap();
    fs::set_permissions(packed.path("deps/closed"), fs::Permissions::from_mode(0o500)).unwrap();
    fs::set_permissions(packed.path("deps"), fs::Permissions::from_mode(0o500)).unwrap();
    packed.unpack(&packed.archive, &["--replace"]).expect(0, &[]);
    packed.is_in_place();
    packed.unpack(&packed.archive, &["--replace"]).expect(0, &[]);
    packed.is_in_place();
}

#[test]
fn a_root_that_was_absent_is_taken_away() {
    let packed = Packed::with(POLICY, |project| {
        fs::remove_dir_all(project.home().join("store")).unwrap();
        project.seal();
    });
    fs::create_dir(packed.home("store")).unwrap();
    packed.unpack(&packed.archive, &[]).expect(0, &[]);
    assert!(!packed.home("store").exists());
    packed.is_in_place();
    fs::create_dir(packed.home("store")).unwrap();
    fs::write(packed.home("store/old"), "").unwrap();
    packed.unpack(&packed.archive, &["--replace"]).expect(0, &[]);
    assert!(!packed.home("store").exists());
    packed.is_in_place();
}

#[test]
fn nothing_is_reached_through_a_link() {
    let packed = Packed::with(&POLICY.replace("roots = [\"deps\", \"~/store\"]", DEEP), Project::seal);
    let elsewhere = packed.project.outside("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let in_the_way: [(&str, PathBuf, bool); 6] = [
        ("a link for a root", packed.path("deps"), true),
        ("a link above a root", packed.home("a"), true),
        ("a link for the seals", packed.path(".cacheseal"), true),
        ("a file for a root", packed.home("store"), false),
        ("a file above a root", packed.home("a"), false),
        ("a file for the seals", packed.path(".cacheseal"), false),
    ];
    for (row, path, is_link) in in_the_way {
        packed.clear();
        if is_link {
            symlink(&elsewhere, &path).unwrap();
        } else {
            fs::write(&path, "mine").unwrap();
        }
        for more in [&[][..], &["--replace"]] {
            let before = packed.everything();
            packed.unpack(&packed.archive, more).expect_of(row, 11, &["unsafe-root"]);
            assert!(packed.everything() == before, "{row}");
        }
        fs::remove_file(path).unwrap();
    }
}

#[test]
fn directories_that_were_made_for_it_go_with_it() {
    let packed = Packed::with(&POLICY.replace("roots = [\"deps\", \"~/store\"]", DEEP), Project::seal);
    let mut archive = packed.archive.clone();
    let len = archive.len();
    archive[len - 1] = 1;
    packed.refuses("after all was written", &archive, 12, &["missing-end"]);
    assert!(!packed.home("a").exists() && !packed.path(".cacheseal").exists());
    // One that somebody else has begun to use stays.
    fs::create_dir_all(packed.home("a/other")).unwrap();
    packed.refuses("after all was written", &archive, 12, &["missing-end"]);
    assert!(packed.home("a/other").exists());
}

/// A place where not even root can make a directory.
#[test]
#[cfg(target_os = "linux")]
fn a_place_that_cannot_be_written_is_an_error() {
    let packed = Packed::new();
    packed.project.write("cacheseal.toml", POLICY.replace("\"~/store\"]", "\"~/store\", \"/proc/cacheseal/x\"]"));
    let before = packed.everything();
    packed.unpack(&packed.archive, &[]).expect_error(4, "unwritable");
    assert!(packed.everything() == before);
}

/// Where a root is written before it is in its place.
fn staging(root: &Path) -> PathBuf {
    let name = root.file_name().unwrap().as_encoded_bytes();
    root.with_file_name(format!(".cacheseal-unpack-{}", Digest::sha256(name).short()))
}

#[test]
fn what_a_killed_run_has_left_goes_with_the_next() {
    let packed = Packed::new();
    for place in [packed.path("deps"), packed.home("store"), packed.path(".cacheseal/deps")] {
        fs::create_dir_all(staging(&place).join("tree/half")).unwrap();
        fs::create_dir_all(staging(&place).join("old")).unwrap();
        fs::write(staging(&place).join("tree/half/file"), "half").unwrap();
        symlink("/", staging(&place).join("tree/link")).unwrap();
    }
    packed.unpack(&packed.archive, &[]).expect(0, &[]);
    packed.is_in_place();
    // What is no directory of ours is not touched.
    packed.clear();
    fs::create_dir(packed.project.outside("precious")).unwrap();
    fs::write(packed.project.outside("precious/file"), "precious").unwrap();
    symlink(packed.project.outside("precious"), staging(&packed.path("deps"))).unwrap();
    let before = packed.everything();
    packed.unpack(&packed.archive, &[]).expect_error(4, "unwritable");
    assert!(packed.everything() == before);
}

#[test]
fn two_runs_do_not_mix() {
    let packed = Packed::new();
    let held = staging(&packed.path("deps"));
    fs::create_dir(&held).unwrap();
    fs::write(held.join("file"), "of the other").unwrap();
    let other = fs::File::open(&held).unwrap();
    rustix::fs::flock(&other, FlockOperation::LockExclusive).unwrap();
    let before = packed.everything();
    packed.unpack(&packed.archive, &[]).expect_error(4, "unwritable");
    assert!(packed.everything() == before);
    drop(other);
    fs::remove_dir_all(held).unwrap();

    let archive = packed.project.outside("a.tar");
    fs::write(&archive, &packed.archive).unwrap();
    for round in 0..10 {
        packed.clear();
        let more: &[&str] = if round % 2 == 0 { &[] } else { &["--replace"] };
        let runs = [(); 4].map(|()| {
            let mut command = packed.project.command();
            command.args(["unpack", archive.to_str().unwrap(), "--gate", "any"]).args(more);
            command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
        });
        let runs = runs.map(|run| Run::of(run.wait_with_output().unwrap()));
        assert!(runs.iter().any(|run| run.code == Some(0)), "round {round}");
        for run in runs {
            let told = ["error[root-not-empty]", "error[unwritable]"].iter().any(|told| run.stderr.starts_with(told));
            assert!(run.code == Some(0) || told, "round {round}: {:?} {}", run.code, run.stderr);
        }
        packed.is_in_place();
    }
}

/// A run that has begun to read, and waits for the end of its archive.
fn waiting(packed: &Packed) -> (Child, ChildStdin) {
    let plain = packed.project.command();
    // What the tests were started to ignore, the program would ignore too.
    let mut command = Command::new("env");
    command.arg("--default-signal=HUP,INT,TERM").arg(plain.get_program()).args(["unpack", "-", "--gate", "any"]);
    command.current_dir(packed.project.root()).env_clear().env("HOME", packed.project.home());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // More than a pipe holds: when it is written, the other side has begun to read.
    stdin.write_all(&packed.archive[..packed.archive.len() - 1024]).unwrap();
    (child, stdin)
}

#[test]
fn a_place_that_fills_up_meanwhile_is_left_alone() {
    for there_before in [false, true] {
        for place in ["deps", "../home/store", ".cacheseal/deps"] {
            let packed = Packed::new();
            let place = packed.path(place);
            if there_before {
                fs::create_dir_all(&place).unwrap();
            }
            let (child, mut stdin) = waiting(&packed);
            fs::create_dir_all(&place).unwrap();
            fs::write(place.join("mine"), "mine").unwrap();
            stdin.write_all(&[0; 1024]).unwrap();
            drop(stdin);
            let run = Run::of(child.wait_with_output().unwrap());
            assert!(run.code == Some(5) && run.stderr.starts_with("error[root-not-empty]"), "{}", run.stderr);
            assert_eq!(fs::read(place.join("mine")).unwrap(), b"mine");
            fs::remove_dir_all(&place).unwrap();
            // Nothing else is there, not even what was placed before it.
            for other in [packed.path("deps"), packed.home("store"), packed.path(".cacheseal/deps")] {
                assert!(!other.exists(), "{place:?}: {other:?}");
            }
            let litter = |path: &PathBuf| path.to_string_lossy().contains("-unpack-");
            assert!(!packed.everything().keys().any(litter), "{place:?}");
        }
    }
}

#[test]
fn a_signal_ends_it_even_while_nothing_comes() {
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let packed = Packed::new();
        let before = packed.everything();
        let (child, stdin) = waiting(&packed);
        kill_process(Pid::from_child(&child), signal).unwrap();
        let run = Run::of(child.wait_with_output().unwrap());
        drop(stdin);
        assert_eq!(run.code, Some(4), "{}", run.stderr);
        assert!(run.stderr.starts_with("error[interrupted]"), "{}", run.stderr);
        assert!(packed.everything() == before);
    }
}
