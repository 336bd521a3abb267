//! The policy at work: why it may be believed, what pins it, what is wrong with it (rows 34, 37, 75).

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::forge::{fifo, remove};
use crate::harness::{POLICY, Project};
use crate::rows::{each, some};

fn digest(project: &Project) -> String {
    let run = project.run(&["policy", "digest"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    run.stdout.trim_end().to_owned()
}

#[test]
fn nothing_is_verified_against_a_policy_that_nobody_vouches_for() {
    let project = Project::new();
    project.seal();
    project.json(&["verify", "deps", "--gate", "any"]).expect_error(5, "unpinned-policy");
    // Nor is it looked at: the answer is the same without one.
    remove(&project.path("cacheseal.toml"));
    project.json(&["verify", "deps", "--gate", "any"]).expect_error(5, "unpinned-policy");
}

#[test]
fn a_pinned_policy_is_believed_and_vouches_for_no_lockfile() {
    let project = Project::new();
    project.seal();
    let pin = digest(&project);
    let verify = |gate: &str| project.json(&["verify", "deps", "--gate", gate, "--policy-sha256", &pin]);
    verify("any").expect(0, &[]);
    verify("exact").expect(10, &["unpinned-lockfile"]);
}

/// A restore that writes over the checkout, row 75.
#[test]
fn a_changed_policy_or_key_is_refused_whatever_it_says() {
    type Tamper = fn(&Project);
    let cases: &[(&str, Tamper)] = &[
        ("a comment more", |p| p.write("cacheseal.toml", format!("{POLICY}# x\n"))),
        ("a looser gate", |p| p.write("cacheseal.toml", POLICY.replace("7d", "3650d"))),
        ("another signer", |p| p.write("cacheseal.toml", POLICY.replace("keys/job.pub", "keys/third.pub"))),
        ("no policy", |p| remove(&p.path("cacheseal.toml"))),
        ("garbage for a policy", |p| p.write("cacheseal.toml", [0xff, 0, 0x1b])),
        ("an empty policy", |p| p.write("cacheseal.toml", "")),
        ("a link to the same policy", |p| {
            p.rename("cacheseal.toml", "other.toml");
            p.relink("cacheseal.toml", "other.toml");
        }),
        ("a fifo for a policy", |p| fifo(&p.path("cacheseal.toml"))),
        ("a directory for a policy", |p| {
            remove(&p.path("cacheseal.toml"));
            p.write("cacheseal.toml/x", "");
        }),
        ("another key", |p| {
            let key = fs::read(p.path("keys/other.pub")).unwrap();
            p.write("keys/job.pub", key);
        }),
        ("the key of a stranger", |p| p.write("keys/job.pub", crate::harness::key("stranger").public().to_pem())),
        ("the same key in other bytes", |p| {
            let key = fs::read_to_string(p.path("keys/job.pub")).unwrap();
            p.write("keys/job.pub", key.replace('\n', "\r\n"));
        }),
        ("no key", |p| remove(&p.path("keys/job.pub"))),
        ("no keys", |p| remove(&p.path("keys"))),
        ("a key that no gate of this run needs", |p| remove(&p.path("keys/other.pub"))),
        ("garbage for a key", |p| p.write("keys/job.pub", "x")),
        ("a fifo for a key", |p| fifo(&p.path("keys/job.pub"))),
        ("a link to the same keys", |p| {
            p.rename("keys", "keys2");
            p.relink("keys", "keys2");
        }),
    ];
    each(some(cases), |(what, tamper)| {
        let project = Project::new();
        project.seal();
        let pin = digest(&project);
        tamper(&project);
        for gate in ["any", "exact", "nosuch"] {
            let verify = ["verify", "deps", "--gate", gate, "--policy-sha256", &pin];
            project.json(&verify).expect_of(what, 15, &["policy-changed"]);
        }
    });
}

/// Another policy file that pins itself is not the one that was pinned.
#[test]
fn a_pin_holds_for_the_name_of_the_policy_too() {
    let project = Project::new();
    project.seal();
    let pin = digest(&project);
    fs::copy(project.path("cacheseal.toml"), project.path("other.toml")).unwrap();
    let verify = ["verify", "deps", "--gate", "any", "--policy", "other.toml", "--policy-sha256", &pin];
    project.json(&verify).expect(15, &["policy-changed"]);
}

/// The check that a job without this program can make.
#[test]
fn stock_tools_print_the_digest_too() {
    let project = Project::new();
    let lines = Command::new("sha256sum")
        .args(["cacheseal.toml", "keys/job.pub", "keys/other.pub"])
        .current_dir(project.root())
        .output()
        .unwrap();
    assert!(lines.status.success());
    let mut outer = Command::new("sha256sum").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    outer.stdin.take().unwrap().write_all(&lines.stdout).unwrap();
    let printed = String::from_utf8(outer.wait_with_output().unwrap().stdout).unwrap();
    assert_eq!(printed.split(' ').next(), Some(digest(&project).as_str()));
}

#[test]
fn a_pin_is_64_lower_case_hex_digits() {
    let project = Project::new();
    project.seal();
    let pin = digest(&project);
    for wrong in ["", "0", &pin[..63], &format!("{pin}0"), &pin.to_uppercase(), &format!(" {pin}")] {
        let run = project.run(&["verify", "deps", "--gate", "any", "--policy-sha256", wrong]);
        assert_eq!(run.code, Some(2), "{wrong}: {}", run.stdout);
    }
    let both = ["verify", "deps", "--gate", "any", "--policy-sha256", &pin, "--trust-checkout"];
    assert_eq!(project.run(&both).code, Some(2));
}

#[test]
fn a_policy_that_means_nothing_is_an_error_with_its_place() {
    let cases: &[(&str, &str, &str, &str, &str)] = &[
        (
            "a misspelt field",
            "max_age = \"7d\"\nlockfile",
            "max_age = \"7d\"\nlockfil",
            "malformed-policy",
            "cacheseal.toml:23:1",
        ),
        ("a misspelt table", "[gate.any]", "[gates.any]", "malformed-policy", "cacheseal.toml:19:2"),
        ("a gate without age", "max_age = \"7d\"\n\n", "\n", "gate-without-evidence", "cacheseal.toml:14:"),
        (
            "a gate without signers",
            "signers = [\"job\"]\n",
            "signers = []\n",
            "gate-without-evidence",
            "cacheseal.toml:16:",
        ),
        (
            "a gate that requires nothing",
            "require = [\"signature\"]",
            "require = []",
            "gate-without-evidence",
            "cacheseal.toml:15:",
        ),
        ("overlapping roots", "\"deps\", ", "\"deps\", \"deps/pkg\", ", "overlapping-roots", "cacheseal.toml:5:"),
        ("a root twice", "\"deps\", ", "\"deps\", \"deps\", ", "overlapping-roots", "cacheseal.toml:5:"),
        ("a root with `..`", "\"deps\", ", "\"deps/../x\", ", "forbidden-root", "cacheseal.toml:5:"),
        ("the checkout as a root", "\"deps\", ", "\".\", ", "forbidden-root", "cacheseal.toml:5:"),
        ("home as a root", "\"~/store\"", "\"~/\"", "malformed-policy", "cacheseal.toml:5:"),
        ("the seals as a root", "\"deps\", ", "\".cacheseal\", ", "forbidden-root", "cacheseal.toml:5:"),
        ("the repository as a root", "\"deps\", ", "\".git\", ", "forbidden-root", "cacheseal.toml:5:"),
        ("the keys as a root", "\"deps\", ", "\"keys\", ", "forbidden-root", "cacheseal.toml:5:"),
        ("a key under two signers", "keys/other.pub", "keys/job.pub", "shared-key", "cacheseal.toml:"),
        ("a later version", "version = 1", "version = 2", "malformed-policy", "cacheseal.toml:1:"),
        ("no key", "keys/job.pub", "keys/nosuch.pub", "no-key", "keys/nosuch.pub"),
    ];
    each(some(cases), |(what, from, to, code, place)| {
        let project = Project::new();
        project.seal();
        assert!(POLICY.contains(from), "{what}");
        project.write("cacheseal.toml", POLICY.replacen(from, to, 1));
        let verdict = project.verify("any");
        verdict.expect_error_of(what, 5, code);
        let message = verdict.json["error"]["message"].as_str().unwrap();
        assert!(message.contains(place), "{what}: {message}");
        project.try_seal().expect_error_of(what, 5, code);
    });
}

/// Rows 34 and 37: keys for which anybody can sign, keys of another kind, keys that should not be here.
#[test]
fn a_key_that_proves_nothing_is_an_error() {
    let vector = |name: &str| fs::read(format!("{}/tests/vectors/keys/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let private = crate::harness::key("job").to_pem().as_bytes().to_vec();
    let job = crate::harness::key("job").public().to_pem().into_bytes();
    each(
        [
            ("small order", vector("pub-weak-0-order1.pem"), "weak-key"),
            ("small order", vector("pub-weak-3-order8.pem"), "weak-key"),
            ("another spelling of a point", vector("pub-noncanon-full-order.pem"), "weak-key"),
            ("another algorithm", vector("pub-x25519.pem"), "wrong-key-type"),
            ("a private key", private, "wrong-key-type"),
            ("two keys", [job.clone(), job].concat(), "malformed-key"),
            ("nothing", Vec::new(), "malformed-key"),
            ("too much", vec![b'\n'; 2 << 20], "malformed-key"),
        ],
        |(what, bytes, code)| {
            let project = Project::new();
            project.seal();
            project.write("keys/job.pub", bytes);
            project.verify("any").expect_error_of(what, 5, code);
            project.try_seal().expect_error_of(what, 5, code);
            project.json(&["policy", "digest"]).expect_error_of(what, 5, code);
        },
    );
}

#[test]
fn names_that_the_policy_does_not_have_are_errors() {
    let project = Project::new();
    project.seal();
    project.json(&["verify", "dep", "--gate", "any", "--trust-checkout"]).expect_error(5, "unknown-cache");
    project.json(&["verify", "../deps", "--gate", "any", "--trust-checkout"]).expect_error(5, "unknown-cache");
    project.json(&["verify", "", "--gate", "any", "--trust-checkout"]).expect_error(5, "unknown-cache");
    project.verify("anny").expect_error(5, "unknown-gate");
    project.verify("").expect_error(5, "unknown-gate");
    let elsewhere = ["--policy", "nosuch.toml"];
    project.verify_with(&elsewhere).expect_error(5, "no-policy");
    project.verify_with(&["--policy", "no/such/directory/cacheseal.toml"]).expect_error(5, "no-policy");
}

/// The policy is where it was said to be: never above, never in home, never in the environment.
#[test]
fn no_policy_is_looked_for_elsewhere() {
    let project = Project::new();
    project.seal();
    fs::create_dir(project.path("below")).unwrap();
    fs::copy(project.path("cacheseal.toml"), project.home().join("cacheseal.toml")).unwrap();
    let mut command = project.command();
    command.current_dir(project.path("below")).env("CACHESEAL_POLICY", project.path("cacheseal.toml"));
    let run = command.args(["verify", "deps", "--gate", "any", "--trust-checkout"]).output().unwrap();
    assert_eq!(run.status.code(), Some(5));
    assert!(String::from_utf8(run.stderr).unwrap().starts_with("error[no-policy]"));
}

/// A root in home is nowhere without one.
#[test]
fn home_is_an_absolute_path_or_none() {
    let project = Project::new();
    project.seal();
    for home in [None, Some(""), Some("home"), Some("../home"), Some(".")] {
        let mut command = project.command();
        command.env_remove("HOME").args(["verify", "deps", "--gate", "any", "--trust-checkout", "--format", "json"]);
        if let Some(home) = home {
            command.env("HOME", home);
        }
        crate::harness::Run::of(command.output().unwrap()).verdict().expect_error_of(
            format_args!("{home:?}"),
            5,
            "no-home",
        );
    }
}

/// Scripts take the roots from here, so that nobody has to write them twice.
#[test]
fn the_roots_of_a_cache_are_listed_as_the_policy_writes_them() {
    let project = Project::new();
    project.write("cacheseal.toml", POLICY.replace("\"~/store\"", "\"~/.cache/tool\", \"/opt/tools\""));
    let run = project.run(&["policy", "roots", "deps"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), "deps\n~/.cache/tool\n/opt/tools\n"), "{}", run.stderr);
    let listed = project.json(&["policy", "roots", "deps"]).json["roots"].clone();
    let paths: Vec<_> = listed.as_array().unwrap().iter().map(|root| root["path"].as_str().unwrap()).collect();
    assert!(paths[0].ends_with("/deps") && paths[1].ends_with("/.cache/tool") && paths[2] == "/opt/tools", "{paths:?}");
    project.json(&["policy", "roots", "dep"]).expect_error(5, "unknown-cache");
    project.json(&["policy", "roots"]).expect_error(2, "usage");
    remove(&project.path("cacheseal.toml"));
    project.json(&["policy", "roots", "deps"]).expect_error(5, "no-policy");
}
