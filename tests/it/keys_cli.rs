//! `key new` and `key show`, and the keys that `seal` takes: row 37, and what keeps a private key private.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cacheseal::identity::SecretKey;

use crate::forge::{chmod, fifo};
use crate::harness::{Project, Run, key};
use crate::rows::each;

fn new(project: &Project, name: &str, out: &Path) -> Run {
    project.run(&["key", "new", name, "--out", out.to_str().unwrap()])
}

/// The error that `seal` ends with when its key is at this path.
#[track_caller]
fn expect_no_seal(what: &str, project: &Project, path: &Path, exit: i32, code: &str) {
    project.json(&["seal", "deps", "--key", path.to_str().unwrap()]).expect_error_of(what, exit, code);
    assert!(!project.path(".cacheseal").exists(), "{what}");
}

#[test]
fn a_new_key_seals_once_the_policy_names_it() {
    let project = Project::new();
    let out = project.outside("new.key");
    let run = new(&project, "new-1", &out);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let public = SecretKey::from_pem(&fs::read(&out).unwrap()).unwrap().public();
    assert_eq!(fs::read_to_string(project.path("keys/new-1.pub")).unwrap(), public.to_pem());
    assert!(run.stdout.contains(&public.id().to_string()) && !run.stdout.contains("PRIVATE"), "{}", run.stdout);
    // Not yet: nobody would accept the seal.
    project.json(&["seal", "deps", "--key", out.to_str().unwrap()]).expect_error(10, "unknown-signer");
    project.write("cacheseal.toml", crate::harness::POLICY.replace("keys/job.pub", "keys/new-1.pub"));
    project.json(&["seal", "deps", "--key", out.to_str().unwrap()]).expect(0, &[]);
    project.verify("any").expect(0, &[]);
}

#[test]
fn a_private_key_is_for_its_owner_alone_whatever_the_umask() {
    for umask in ["0000", "0022", "0077"] {
        let project = Project::new();
        let script = format!("umask {umask}; exec \"$0\" key new a --out ../a.key");
        let mut shell = Command::new("bash");
        shell.args(["-c", &script, env!("CARGO_BIN_EXE_cacheseal")]).current_dir(project.root()).env_clear();
        assert!(shell.output().unwrap().status.success());
        assert_eq!(mode(&project.outside("a.key")), 0o600, "{umask}");
        let public = mode(&project.path("keys/a.pub"));
        assert_eq!(public, 0o644 & !u32::from_str_radix(umask, 8).unwrap(), "{umask}");
    }
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn neither_half_of_a_key_is_overwritten() {
    let project = Project::new();
    let (job, before) = (project.private_key("job"), fs::read(project.private_key("job")).unwrap());
    let refuse = |name: &str, out: &Path| {
        let out = out.to_str().unwrap();
        project.json(&["key", "new", name, "--out", out]).expect_error(5, "file-exists");
    };
    refuse("a", &job);
    assert_eq!(fs::read(&job).unwrap(), before);
    assert!(!project.path("keys/a.pub").exists());
    // A link that leads nowhere is something too, and nothing is written through it.
    let link = project.outside("link.key");
    std::os::unix::fs::symlink("elsewhere", &link).unwrap();
    refuse("a", &link);
    assert!(!project.outside("elsewhere").exists());
    let public = fs::read(project.path("keys/job.pub")).unwrap();
    refuse("job", &project.outside("b.key"));
    assert_eq!(fs::read(project.path("keys/job.pub")).unwrap(), public);
    assert!(!project.outside("b.key").exists());
    project.relink("keys/c.pub", "nowhere");
    refuse("c", &project.outside("c.key"));
    assert!(!project.outside("c.key").exists());
}

#[test]
fn a_key_is_not_made_where_it_does_not_belong() {
    let project = Project::new();
    for name in ["", "A", "a.b", "a/b", "..", "a b", "a\nb", "\u{e9}", &"a".repeat(65)] {
        project.json(&["key", "new", name, "--out", "../x.key"]).expect_error(2, "usage");
    }
    project.rename("keys", "real-keys");
    project.relink("keys", "real-keys");
    project.json(&["key", "new", "a", "--out", "../x.key"]).expect_error(4, "unwritable");
    assert!(!project.outside("x.key").exists() && !project.path("real-keys/a.pub").exists());
}

#[test]
fn a_key_on_stdout_is_one_line_that_the_environment_takes() {
    let project = Project::new();
    let run = new(&project, "line", Path::new("-"));
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let line = run.stdout.strip_suffix('\n').unwrap();
    assert!(!line.contains(char::is_whitespace) && !run.stderr.contains(line));
    project.write("cacheseal.toml", crate::harness::POLICY.replace("keys/job.pub", "keys/line.pub"));
    seal_with_variable(&project, line).verdict().expect(0, &[]);
    project.verify("any").expect(0, &[]);
    // Consoles add white space, and PEM is taken as it is.
    seal_with_variable(&project, &format!("\n {line}\r\n")).verdict().expect(0, &[]);
    let pem = SecretKey::from_line(line).unwrap().to_pem();
    seal_with_variable(&project, &pem).verdict().expect(0, &[]);
}

fn seal_with_variable(project: &Project, value: &str) -> Run {
    let mut command = project.command();
    command.env("SEAL_KEY", value).args(["seal", "deps", "--key-env", "SEAL_KEY", "--format", "json"]);
    Run::of(command.output().unwrap())
}

#[test]
fn a_variable_that_holds_no_key_is_an_error_that_does_not_show_it() {
    let project = Project::new();
    let line = key("job").to_line();
    let halved = &line[..line.len() / 2];
    each(
        [
            ("empty", "", "no-key"),
            ("half a key", halved, "malformed-key"),
            ("a key and a half", &format!("{}{halved}", *line), "malformed-key"),
            ("a public key", &STANDARD.encode(key("job").public().spki_der()), "wrong-key-type"),
            ("a PEM in one line", &key("job").to_pem().replace('\n', " "), "malformed-key"),
        ],
        |(what, value, code)| {
            let run = seal_with_variable(&project, value);
            run.verdict().expect_error_of(what, 5, code);
            assert!(!run.stdout.contains(&line[24..32]) && !run.stderr.contains(&line[24..32]), "{what}");
        },
    );
    project.json(&["seal", "deps", "--key-env", "NOT_SET"]).expect_error(5, "no-key");
    let said = project.run(&["seal", "deps", "--key-env", "NOT_SET"]).stderr;
    assert!(said.contains("`NOT_SET`") && said.contains("and look at the name"), "{said}");
}

#[test]
fn a_private_key_that_others_can_read_is_not_used() {
    let project = Project::new();
    let path = project.private_key("job");
    for mode in [0o640, 0o604, 0o620, 0o660, 0o644, 0o610] {
        chmod(&path, mode);
        expect_no_seal("mode", &project, &path, 5, "exposed-key");
    }
    for mode in [0o600, 0o400, 0o700] {
        chmod(&path, mode);
        project.seal();
    }
}

#[test]
fn what_is_no_private_key_file_is_an_error_and_never_blocks() {
    let project = Project::new();
    let path = |name: &str| project.outside(name);
    fifo(&path("fifo"));
    std::os::unix::fs::symlink("loop", path("loop")).unwrap();
    fs::create_dir(path("directory")).unwrap();
    let cases: &[(&str, PathBuf, i32, &str)] = &[
        ("a fifo", path("fifo"), 5, "malformed-key"),
        ("a directory", path("directory"), 5, "malformed-key"),
        ("a device", PathBuf::from("/dev/zero"), 5, "malformed-key"),
        ("a link to itself", path("loop"), 4, "unreadable"),
        ("nothing", path("nosuch"), 5, "no-key"),
        ("below a file", path("job.key").join("x"), 4, "unreadable"),
        ("a public key", project.path("keys/job.pub"), 5, "wrong-key-type"),
        ("the policy", project.path("cacheseal.toml"), 5, "malformed-key"),
    ];
    each(cases, |(what, path, exit, code)| {
        expect_no_seal(what, &project, path, *exit, code);
    });
}

/// Row 37. Made here, because no private key lies in the repository.
#[test]
fn a_private_key_in_another_form_is_an_error() {
    let seed = [7; 32];
    let ed25519: &[u8] = &[0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70];
    let x25519: &[u8] = &[0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x6e];
    let pbes2: &[u8] = &[0x30, 0x0b, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0d];
    let inner = tlv(0x04, &tlv(0x04, &seed));
    let zero: &[u8] = &[0x02, 0x01, 0x00];
    let one: &[u8] = &[0x02, 0x01, 0x01];
    let public = tlv(0x81, &[&[0], &[1; 32][..]].concat());
    let pkcs8 = tlv(0x30, &[zero, ed25519, &inner].concat());
    each(
        [
            ("encrypted", "ENCRYPTED PRIVATE KEY", tlv(0x30, &[pbes2, &tlv(0x04, &seed)].concat()), "encrypted-key"),
            ("encrypted, by content", "PRIVATE KEY", tlv(0x30, &[pbes2, &tlv(0x04, &seed)].concat()), "encrypted-key"),
            ("version 2", "PRIVATE KEY", tlv(0x30, &[one, ed25519, &inner, &public].concat()), "malformed-key"),
            ("X25519", "PRIVATE KEY", tlv(0x30, &[zero, x25519, &inner].concat()), "wrong-key-type"),
            (
                "31 bytes",
                "PRIVATE KEY",
                tlv(0x30, &[zero, ed25519, &tlv(0x04, &tlv(0x04, &seed[1..]))].concat()),
                "malformed-key",
            ),
            ("bytes after it", "PRIVATE KEY", [pkcs8.clone(), vec![0]].concat(), "malformed-key"),
            ("the label of openssh", "OPENSSH PRIVATE KEY", pkcs8.clone(), "malformed-key"),
            ("the label of a public key", "PUBLIC KEY", pkcs8.clone(), "wrong-key-type"),
        ],
        |(what, label, der, code)| {
            let project = Project::new();
            let path = project.outside("x.key");
            fs::write(&path, pem(label, &der)).unwrap();
            chmod(&path, 0o600);
            expect_no_seal(what, &project, &path, 5, code);
        },
    );
    // The form itself is right: only what was changed above was wrong.
    assert!(SecretKey::from_pem(pem("PRIVATE KEY", &pkcs8).as_bytes()).is_ok());
}

fn tlv(tag: u8, value: &[u8]) -> Vec<u8> {
    [&[tag, u8::try_from(value.len()).unwrap()], value].concat()
}

fn pem(label: &str, der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    let lines: Vec<_> = body.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

#[test]
fn a_shown_key_is_the_public_half() {
    let project = Project::new();
    let (private, public) = (project.private_key("job"), project.path("keys/job.pub"));
    let job = key("job").public();
    for path in [&private, &public] {
        let shown = project.json(&["key", "show", path.to_str().unwrap()]);
        assert_eq!(shown.code, Some(0));
        assert_eq!(shown.json["keyid"], job.id().to_string());
        assert_eq!(shown.json["public"], job.to_pem());
        assert_eq!(shown.json["signer"], "job");
        let text = project.run(&["key", "show", path.to_str().unwrap()]);
        assert!(!text.stdout.contains(&key("job").to_line()[24..]) && !text.stdout.contains("PRIVATE"));
    }
    let stranger = project.outside("stranger.pub");
    fs::write(&stranger, key("stranger").public().to_pem()).unwrap();
    assert!(project.json(&["key", "show", stranger.to_str().unwrap()]).json["signer"].is_null());
    let show = |path: &Path| project.json(&["key", "show", path.to_str().unwrap()]);
    show(&project.outside("nosuch")).expect_error(5, "no-key");
    fifo(&project.outside("fifo"));
    show(&project.outside("fifo")).expect_error(5, "malformed-key");
    show(&project.root()).expect_error(5, "malformed-key");
    show(&project.path("deps.lock")).expect_error(5, "malformed-key");
}

#[test]
fn a_job_seals_only_with_its_own_key() {
    let project = Project::new();
    project.json(&["seal", "deps", "--key", project.private_key("other").to_str().unwrap()]).expect(0, &[]);
    project.verify("any").expect(10, &["signer-not-accepted"]);
    let stranger = project.outside("stranger.key");
    fs::write(&stranger, key("stranger").to_pem().as_bytes()).unwrap();
    chmod(&stranger, 0o600);
    project.json(&["seal", "deps", "--key", stranger.to_str().unwrap()]).expect_error(10, "unknown-signer");
    // The seal that was there is still there.
    project.verify("any").expect(10, &["signer-not-accepted"]);
}

/// A line for the secrets of a CI system, and nothing else: what signs by the file signs by the line.
#[test]
fn the_private_line_of_a_file_is_the_key() {
    let project = Project::new();
    let run = project.run(&["key", "show", "--private-line", "../job.key"]);
    assert_eq!(
        (run.code, run.stdout.as_str(), run.stderr.as_str()),
        (Some(0), &*format!("{}\n", *key("job").to_line()), "")
    );
    seal_with_variable(&project, &run.stdout).verdict().expect(0, &[]);
    let json = project.json(&["key", "show", "--private-line", "../job.key"]);
    assert_eq!(json.json["private"], run.stdout.trim_end());
}

#[test]
fn standard_input_is_a_key_too() {
    let project = Project::new();
    for text in [key("job").to_line().to_string(), key("job").to_pem().to_string()] {
        let mut child = project.command();
        child.args(["seal", "deps", "--key", "-"]).stdin(Stdio::piped()).stdout(Stdio::null());
        let mut child = child.spawn().unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success());
    }
}

/// Whatever the key is given for, it is not in what anybody reads.
#[test]
fn a_key_in_the_wrong_place_is_not_shown() {
    let project = Project::new();
    project.seal();
    let (line, pem) = (key("job").to_line().to_string(), key("job").to_pem().to_string());
    let secret = &line[24..60];
    for key in [&line, &pem, &format!("\"{line}\""), &format!("KEY={line}"), &STANDARD.encode(&pem)] {
        for arguments in [
            &["seal", "deps", "--key-env", key][..],
            &["seal", "deps", "--key", key],
            &["seal", key, "--key", "../job.key"],
            &["key", "show", key],
            &["key", "revoke", "--key", key, "--reason", "x"],
            &["key", "revoke", "--signer", key, "--before", "2026-11-22T12:00:00Z", "--reason", "x"],
            &["key", "new", key, "--out", "../n.key"],
            &["verify", key, "--gate", "any", "--trust-checkout"],
            &["verify", "deps", "--gate", key, "--trust-checkout"],
            &["verify", "deps", "--gate", "any", "--policy-sha256", key],
            &["verify", "deps", "--gate", "any", "--trust-checkout", "--policy", key],
            &["verify", "deps", "--gate", "none", "--trust-checkout", "--report", &format!("json={key}")],
            &["explain", key],
            &["inspect", key],
            &["drill", key],
            &[key],
        ] {
            for format in ["text", "json"] {
                let run = project.run(&[arguments, &["--format", format]].concat());
                assert_ne!(run.code, Some(0), "{arguments:?}");
                let said = run.stdout + &run.stderr;
                assert!(!said.contains(secret) && !said.contains(&STANDARD.encode(&pem)[60..90]), "{said}");
            }
        }
    }
}

/// A command whose output nobody gets has made nothing.
#[test]
fn a_key_that_cannot_be_shown_is_not_made() {
    let project = Project::new();
    let full = || File::options().write(true).open("/dev/full").unwrap();
    for arguments in [
        &["key", "new", "lost", "--out", "-"][..],
        &["key", "show", "--private-line", "../job.key"],
        &["policy", "digest"],
    ] {
        for format in ["text", "json"] {
            let mut command = project.command();
            let output = command.args(arguments).args(["--format", format]).stdout(full()).output().unwrap();
            let said = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(4), "{arguments:?}: {said}");
            assert!(said.contains("error[unwritable]: could not write to standard output"), "{said}");
            assert!(!project.path("keys/lost.pub").exists());
        }
    }
}

/// `.gitignore` does not know it, and a commit cannot be taken back.
#[test]
fn a_private_key_in_the_checkout_is_warned_of() {
    let project = Project::new();
    let warns = |arguments: &[&str]| {
        let run = project.run(arguments);
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        run.stderr.contains("lies in the checkout, where somebody will commit it")
    };
    assert!(warns(&["key", "new", "one", "--out", "keys/one.key"]));
    assert!(!warns(&["key", "new", "two", "--out", "../two.key"]));
    assert!(!warns(&["key", "new", "three", "--out", "-"]));
    // The checkout is that of git, wherever in it the policy is.
    fs::create_dir(project.outside(".git")).unwrap();
    assert!(warns(&["key", "new", "four", "--out", "../four.key"]));
    fs::remove_file(project.path("cacheseal.toml")).unwrap();
    fs::remove_dir_all(project.path("keys")).unwrap();
    project.write("Cargo.lock", "version = 4\n");
    assert!(warns(&["init", "--project", "p", "--key-out", "k"]));
}

/// What it was called before, `.two.key.new`, may be a file of somebody.
#[test]
fn a_new_key_takes_no_file_away() {
    let project = Project::new();
    let theirs = project.outside(".two.key.new");
    fs::write(&theirs, "mine").unwrap();
    assert_eq!(project.run(&["key", "new", "two", "--out", "../two.key"]).code, Some(0));
    assert_eq!(fs::read_to_string(theirs).unwrap(), "mine");
}

/// A file in a cache is named by an attacker: its name takes nothing out of the report.
#[test]
fn no_file_name_hides_a_refusal() {
    let project = Project::new();
    project.seal();
    for name in ["0 PRIVATE KEY-----x", "-----BEGIN PRIVATE KEY-----", "MC4CAQAwBQYDK2Vw"] {
        project.write(&format!("deps/{name}"), "");
    }
    project.write("deps/zz-evil", "");
    for format in ["text", "json", "junit"] {
        let run = project.run(&["verify", "deps", "--gate", "any", "--trust-checkout", "--format", format]);
        assert_eq!(run.code, Some(11));
        let (evil, end) = (run.stdout.find("zz-evil"), if format == "text" { "says more\n" } else { "" });
        assert!(evil.is_some() && run.stdout.ends_with(end), "{}", run.stdout);
    }
}

/// Variables may have long names; what is left of a key has small letters too.
#[test]
fn a_long_name_of_a_variable_is_one_and_a_part_of_a_key_is_none() {
    let project = Project::new();
    let long = "CACHESEAL_KEY_OF_THE_JOB_THAT_SEALS_DEPENDENCIES_OF_MAIN";
    let line = key("job").to_line().to_string();
    let mut command = project.command();
    command.args(["seal", "deps", "--key-env", long]).env(long, &line);
    assert!(command.output().unwrap().status.success());
    for name in [&line[5..], &line[..41]] {
        let run = project.run(&["seal", "deps", "--key-env", name]);
        assert_eq!(run.code, Some(2), "{}", run.stderr);
        assert!(!run.stderr.contains(&name[25..]), "{}", run.stderr);
    }
}
