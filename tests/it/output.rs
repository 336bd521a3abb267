//! What is shown (row 51): hostile text never as it is, one JSON object whatever happens, and a verdict that stands
//! whether or not anyone listens.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::process::Stdio;

use cacheseal::base::Code;
use cacheseal::seal::statement::Source;

use crate::forge::{fifo, remove};
use crate::harness::{POLICY, Project, Run, SealAs, key};
use crate::rows::some;

/// Text that would be a command to a terminal, a log viewer or a CI system.
const HOSTILE: [&str; 9] = [
    "\n::set-env name=PATH::evil",
    "\r\n##[error]x",
    "\u{1b}[2J\u{1b}]0;x\u{7}",
    "\u{9b}31m",
    "\u{202e}gpj.exe",
    "\u{2066}\u{2069}\u{200b}\u{feff}",
    "\u{2028}\u{2029}",
    "\u{7f}\u{8}\u{0b}",
    "\u{e0041}\u{fe0f}",
];

/// Whether a character could do more than be shown.
fn is_hazard(character: char) -> bool {
    (character.is_control() && character != '\n')
        || HOSTILE.iter().any(|text| !character.is_ascii() && text.contains(character))
}

#[track_caller]
fn expect_harmless(run: &Run, what: &str) {
    for text in [&run.stdout, &run.stderr] {
        assert!(!text.contains(is_hazard), "{what}: {text:?}");
        assert!(!text.lines().any(|line| line.starts_with("::") || line.starts_with("##")), "{what}: {text:?}");
    }
}

/// Runs a command in both formats; the JSON is one line of printable ASCII.
#[track_caller]
fn expect_harmless_in_both(project: &Project, arguments: &[&str], exit: i32) {
    let what = arguments.join(" ");
    let text = project.run(arguments);
    assert_eq!(text.code, Some(exit), "{what}: {}{}", text.stdout, text.stderr);
    expect_harmless(&text, &what);
    let json = project.run(&[arguments, &["--format", "json"]].concat());
    assert_eq!(json.code, Some(exit), "{what}");
    json.verdict();
    expect_harmless(&json, &what);
    let line = json.stdout.strip_suffix('\n').unwrap();
    assert!(line.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()), "{what}: {line}");
}

const VERIFY: [&str; 5] = ["verify", "deps", "--gate", "any", "--trust-checkout"];

#[test]
fn hostile_names_are_shown_harmless() {
    let project = Project::new();
    project.seal();
    for name in HOSTILE {
        fs::write(project.path("deps/pkg").join(name), "").unwrap();
    }
    fs::write(project.path("deps").join(OsStr::from_bytes(b"\xff\x1b[0m")), "").unwrap();
    expect_harmless_in_both(&project, &VERIFY, 11);
    // The name can still be told exactly.
    let places = project.verify("any").json["refusals"].to_string();
    assert!(places.contains(r"deps/\\377\\033[0m"), "{places}");
    for (index, name) in HOSTILE.iter().enumerate() {
        fifo(&project.path("deps/empty").join(format!("{index}{name}")));
    }
    expect_harmless_in_both(&project, &["seal", "deps", "--key", project.private_key("job").to_str().unwrap()], 11);
    expect_harmless_in_both(&project, &["diff", "deps", ".cacheseal/deps", "--root", "deps"], 11);
}

#[test]
fn hostile_names_that_are_sealed_are_shown_harmless() {
    let project = Project::new();
    for name in HOSTILE {
        fs::write(project.path("deps/pkg").join(name), "").unwrap();
        symlink(format!("../..{name}"), project.path("deps/empty").join(name)).unwrap();
    }
    project.seal();
    expect_harmless_in_both(&project, &VERIFY, 0);
    expect_harmless_in_both(&project, &["export", ".cacheseal/deps", "--as", "mtree", "--root", "deps"], 0);
    for name in HOSTILE {
        project.relink(&format!("deps/empty/{name}"), format!("..{name}"));
        remove(&project.path("deps/pkg").join(name));
    }
    expect_harmless_in_both(&project, &VERIFY, 11);
    expect_harmless_in_both(&project, &["diff", ".cacheseal/deps", "deps", "--root", "deps"], 11);
}

/// A branch is named by whoever can push one; the rest is by whoever can write the cache.
#[test]
fn hostile_seals_are_shown_harmless() {
    for text in some(HOSTILE) {
        let project = Project::new();
        let source =
            Source { ref_: Some(text.into()), job: Some(text.into()), run: Some(text.into()), ..Source::default() };
        project.seal_as(SealAs { source, ..SealAs::default() });
        expect_harmless_in_both(&project, &VERIFY, 0);
        expect_harmless_in_both(&project, &["inspect", ".cacheseal/deps"], 0);
        project.resign(|statement| statement["predicate"]["project"] = text.into());
        expect_harmless_in_both(&project, &VERIFY, 10);
        project.resign(|statement| statement["predicateType"] = text.into());
        expect_harmless_in_both(&project, &VERIFY, 10);
        expect_harmless_in_both(&project, &["inspect", ".cacheseal/deps"], 10);
        project.seal();
        project.resign(|statement| statement["predicate"][text] = text.into());
        expect_harmless_in_both(&project, &VERIFY, 10);
        project.seal();
        project.edit_envelope(|envelope| envelope["signatures"][0]["keyid"] = text.into());
        expect_harmless_in_both(&project, &VERIFY, 10);
        expect_harmless_in_both(&project, &["inspect", ".cacheseal/deps"], 0);
        project.seal();
        fs::write(project.seal_path().join(text), "").unwrap();
        expect_harmless_in_both(&project, &VERIFY, 10);
    }
}

#[test]
fn hostile_policies_and_keys_are_shown_harmless() {
    for text in some(HOSTILE) {
        let project = Project::new();
        project.seal();
        let quoted = serde_json::to_string(text).unwrap().replace("\\u007f", "\u{7f}");
        for (from, to) in [
            ("\"7d\"", quoted.clone()),
            ("max_age", quoted.clone()),
            ("\"deps\"", quoted.clone()),
            ("[gate.any]", format!("[gate.{quoted}]")),
            ("\"keys/job.pub\"", quoted.clone()),
            ("version = 1", format!("version = {text}")),
        ] {
            project.write("cacheseal.toml", POLICY.replacen(from, &to, 1));
            expect_harmless_in_both(&project, &VERIFY, 5);
        }
        project.write("cacheseal.toml", POLICY);
        let pem = key("job").public().to_pem();
        project.write("keys/job.pub", pem.replace("PUBLIC", text));
        expect_harmless_in_both(&project, &VERIFY, 5);
        expect_harmless_in_both(&project, &["key", "show", "keys/job.pub"], 5);
    }
}

#[test]
fn refusals_come_worst_first_and_all_are_counted() {
    let project = Project::new();
    project.seal();
    for index in 0..1_005 {
        fs::write(project.path(&format!("deps/empty/{index}")), "").unwrap();
    }
    project.write("deps/pkg/index.js", "x");
    project.chmod("deps/tool", 0o4644);
    remove(&project.path("deps/link"));
    fs::write(project.seal_path().join("x"), "").unwrap();
    let verdict = project.verify("any");
    verdict.expect(
        10,
        &["malformed-seal", "forbidden-mode", "extra-entry", "digest-mismatch", "mode-mismatch", "missing-entry"],
    );
    let listed = verdict.json["refusals"].as_array().unwrap();
    assert_eq!((listed.len(), verdict.json["counts"]["extra-entry"].as_u64()), (1_005, Some(1_005)));
    let severity = |word: &str| Code::ALL.iter().position(|code| code.as_str() == word).unwrap();
    let order: Vec<_> = listed.iter().map(|refusal| severity(refusal["code"].as_str().unwrap())).collect();
    assert!(order.is_sorted() && order[0] == severity("malformed-seal"), "{order:?}");
    let text = project.run(&VERIFY).stdout;
    assert!(text.starts_with("refused: cache `deps` at gate `any`\n"), "{text}");
    assert_eq!(text.matches("refused[").count(), 50);
    assert!(text.contains("\nand 960 more\n") && text.contains("1005 extra-entry"), "{text}");
}

/// A full disk, a closed pipe, a closed descriptor: the verdict was fixed before.
#[test]
fn the_exit_status_stands_whether_or_not_anyone_listens() {
    let honest = Project::new();
    honest.seal();
    let poisoned = Project::new();
    poisoned.seal();
    poisoned.write("deps/tool", "x");
    let missing = Project::empty(POLICY);
    for (project, exit) in [(&honest, 0), (&poisoned, 11), (&missing, 3)] {
        for format in ["text", "json"] {
            let command = || {
                let mut command = project.command();
                command.args(VERIFY).args(["--format", format]).stderr(Stdio::null());
                command
            };
            let full = File::options().write(true).open("/dev/full").unwrap();
            let status = command().stdout(full).status().unwrap();
            assert_eq!(status.code(), Some(exit), "full, {format}");
            let mut child = command().stdout(Stdio::piped()).spawn().unwrap();
            drop(child.stdout.take());
            assert_eq!(child.wait().unwrap().code(), Some(exit), "pipe, {format}");
        }
    }
    let full = || Stdio::from(File::options().write(true).open("/dev/full").unwrap());
    let status = honest.command().args(["verify", "deps", "--gate", "any"]).stderr(full()).status().unwrap();
    assert_eq!(status.code(), Some(5));
    assert_eq!(honest.command().arg("--nosuch").stderr(full()).status().unwrap().code(), Some(2));
}

#[test]
fn json_is_one_object_for_every_command_and_every_error() {
    let project = Project::new();
    project.seal();
    let job = project.private_key("job");
    let job = job.to_str().unwrap();
    let cases: &[(&[&str], i32)] = &[
        (&VERIFY, 0),
        (&["seal", "deps", "--key", job], 0),
        (&["inspect", ".cacheseal/deps"], 0),
        (&["diff", "deps", "deps"], 0),
        (&["diff", "deps", "keys"], 11),
        (&["export", ".cacheseal/deps", "--as", "mtree", "--root", "deps"], 0),
        (&["export", ".cacheseal/deps", "--as", "b3sum", "--root", "deps"], 0),
        (&["export", ".cacheseal/deps", "--as", "sigstore-bundle"], 0),
        (&["export", ".cacheseal/deps", "--as", "sha256sum", "--root", "deps"], 5),
        (&["export", ".cacheseal/deps", "--as", "mtree"], 2),
        (&["policy", "digest"], 0),
        (&["policy", "roots", "deps"], 0),
        (&["key", "show", "keys/job.pub"], 0),
        (&["key", "new", "n", "--out", "../n.key"], 0),
        (&["key", "new", "n", "--out", "../m.key"], 5),
        (&["key", "new", "line", "--out", "-"], 0),
        (&["init"], 5),
        (&["inspect", "nosuch"], 4),
        (&["inspect", "deps"], 10),
        (&["diff", "nosuch", "deps"], 4),
        (&["verify", "deps", "--gate", "any"], 5),
        (&["verify", "deps"], 2),
        (&["verify", "deps", "--gate", "any", "--nosuch"], 2),
        (&["verify", "deps", "--gate", "any", "--threads", "0"], 2),
        (&["seal", "deps"], 2),
        (&["nosuch"], 2),
        (&[], 2),
    ];
    for (arguments, exit) in cases {
        let verdict = project.json(arguments);
        assert_eq!(verdict.code, Some(*exit), "{arguments:?}: {:#}", verdict.json);
        assert_eq!(verdict.json["version"], 1, "{arguments:?}: {:#}", verdict.json);
        let error = &verdict.json["error"]["code"];
        assert_eq!(error == "usage", *exit == 2, "{arguments:?}: {error}");
    }
}

#[test]
fn the_place_in_an_error_is_escaped_once() {
    let project = Project::new();
    fs::create_dir(project.path("line\nbreak")).unwrap();
    let run = project.run(&["inspect", "line\nbreak"]);
    assert_eq!(run.code, Some(10), "{}", run.stderr);
    assert!(run.stderr.contains(r"`line\nbreak"), "{}", run.stderr);
}

#[test]
fn errors_go_to_stderr_and_data_to_stdout() {
    let project = Project::new();
    project.seal();
    for (arguments, exit) in
        [(&["verify", "deps", "--gate", "any"][..], 5), (&["nosuch"], 2), (&["inspect", "nosuch"], 4), (&[], 2)]
    {
        let run = project.run(arguments);
        assert_eq!((run.code, run.stdout.as_str()), (Some(exit), ""), "{arguments:?}");
        assert!(!run.stderr.is_empty(), "{arguments:?}");
    }
    let run = project.run(&VERIFY);
    assert!(run.stdout.starts_with("trusted: cache `deps` at gate `any`\n") && run.stderr.is_empty());
}

/// A seal holds one kind of digest, and a form that needs the other is not made up.
#[test]
fn a_form_that_the_seal_cannot_give_is_an_error() {
    let project = Project::new();
    project.seal();
    let export = |form| project.json(&["export", ".cacheseal/deps", "--root", "deps", "--as", form]);
    export("sha256sum").expect_error(5, "unsupported-export");
    assert_eq!(export("b3sum").code, Some(0));
    project.edit_envelope(|envelope| {
        let first = envelope["signatures"][0].clone();
        envelope["signatures"].as_array_mut().unwrap().push(first);
    });
    export("sigstore-bundle").expect_error(5, "unsupported-export");
}
