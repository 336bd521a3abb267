//! Reports of `verify` in files, and the form that test viewers read.

use std::fs;

use serde_json::Value;

use super::harness::{Project, Run};

fn sealed() -> Project {
    let project = Project::new();
    project.seal();
    project
}

/// `verify` with reports of every form into files outside of the project.
fn verify_with_reports(project: &Project, more: &[&str]) -> (Run, [String; 3]) {
    let files = ["text", "json", "junit"].map(|form| (form, project.outside(&format!("report.{form}"))));
    let reports = files.each_ref().map(|(form, file)| format!("--report={form}={}", file.display()));
    let mut arguments = vec!["verify", "deps", "--gate", "any", "--trust-checkout"];
    arguments.extend(reports.iter().map(String::as_str));
    arguments.extend(more);
    let run = project.run(&arguments);
    (run, files.map(|(_, file)| fs::read_to_string(file).unwrap_or_default()))
}

#[test]
fn every_form_says_the_same() {
    let project = sealed();
    let (run, [text, json, junit]) = verify_with_reports(&project, &[]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert_eq!(text, run.stdout);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["verdict"], &json["exit"]), (&"trusted".into(), &0.into()));
    assert!(junit.contains("tests=\"1\" failures=\"0\" errors=\"0\" skipped=\"0\""), "{junit}");
    assert!(junit.contains("<testcase classname=\"cacheseal.deps\" name=\"gate any\">"), "{junit}");

    project.write("deps/a<b>&\"c\"", "");
    project.write("deps/pkg/zero", "not any more");
    let (run, [text, json, junit]) = verify_with_reports(&project, &[]);
    assert_eq!(run.code, Some(11));
    assert_eq!(text, run.stdout);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["verdict"], &json["exit"]), (&"refused".into(), &11.into()));
    assert!(junit.contains("tests=\"1\" failures=\"1\" errors=\"0\" skipped=\"0\""), "{junit}");
    for code in ["extra-entry", "digest-mismatch"] {
        assert!(junit.contains(&format!("<failure type=\"{code}\" message=\"1 {code}\">refused[{code}]: ")), "{junit}");
    }
    assert!(junit.contains("deps/a&lt;b&gt;&amp;&quot;c&quot;&#10;"), "{junit}");
}

#[test]
fn stdout_can_be_junit_too() {
    let project = sealed();
    let (run, [_, _, junit]) = verify_with_reports(&project, &["--format", "junit"]);
    assert_eq!((run.code, run.stdout), (Some(0), junit));
    let run = project.run(&["verify", "deps", "--gate", "none", "--trust-checkout", "--format", "junit"]);
    assert_eq!(run.code, Some(5));
    assert!(run.stdout.contains("<error type=\"unknown-gate\" message=\""), "{}", run.stdout);
    assert!(run.stderr.starts_with("error[unknown-gate]: "), "{}", run.stderr);
    for arguments in [&["policy", "check"][..], &["guard", "check"], &["inspect", ".cacheseal/deps"], &["drill"]] {
        let run = project.run(&[arguments, &["--format", "junit"]].concat());
        assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(run.stderr.starts_with("error[usage]: "), "{}", run.stderr);
    }
}

#[test]
fn a_miss_is_a_failure_or_skipped() {
    let project = Project::empty(super::harness::POLICY);
    let (run, [_, _, junit]) = verify_with_reports(&project, &[]);
    assert_eq!(run.code, Some(3));
    assert!(junit.contains("<failure type=\"nothing-restored\""), "{junit}");
    let (run, [_, json, junit]) = verify_with_reports(&project, &["--allow-miss"]);
    assert_eq!(run.code, Some(0));
    assert!(junit.contains("failures=\"0\" errors=\"0\" skipped=\"1\""), "{junit}");
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap()["verdict"], "miss");
}

#[test]
fn what_could_not_be_decided_is_an_error() {
    let project = sealed();
    let (run, [text, json, junit]) = verify_with_reports(&project, &["--policy", "none.toml"]);
    assert_eq!(run.code, Some(5));
    assert_eq!(text, run.stderr);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["verdict"], &json["error"]["code"]), (&"error".into(), &"no-policy".into()));
    assert!(junit.contains("failures=\"0\" errors=\"1\" skipped=\"0\""), "{junit}");
    assert!(junit.contains("<error type=\"no-policy\" message=\"expected a policy at `none.toml`"), "{junit}");
}

#[test]
fn a_report_that_cannot_be_written_makes_nothing_better() {
    let project = sealed();
    let nowhere = format!("--report=junit={}", project.outside("none/report.xml").display());
    let good = project.outside("good.json");
    let good_report = format!("--report=json={}", good.display());
    let verify = |more: &[&str]| {
        project.run(&[&["verify", "deps", "--gate", "any", "--trust-checkout", &nowhere, &good_report], more].concat())
    };
    let run = verify(&[]);
    assert_eq!(run.code, Some(4));
    assert!(run.stdout.contains("\nerror[unwritable]: could not write the report `"), "{}", run.stdout);
    let verdict = verify(&["--format", "json"]).verdict();
    verdict.expect(4, &[]);
    assert_eq!(verdict.json["verdict"], "trusted");
    assert_eq!(verdict.json["unwritten"].as_array().unwrap().len(), 1);
    // The other report tells what was found, whatever became of this one.
    assert_eq!(serde_json::from_slice::<Value>(&fs::read(good).unwrap()).unwrap()["exit"], 0);

    project.write("deps/extra", "");
    verify(&["--format", "json"]).verdict().expect(11, &["extra-entry"]);
    let run = project.run(&["verify", "deps", "--gate", "none", "--trust-checkout", &nowhere]);
    assert_eq!(run.code, Some(5));
    assert!(run.stderr.contains("\nhint: could not write the report"), "{}", run.stderr);

    let empty = Project::empty(super::harness::POLICY);
    let miss = ["verify", "deps", "--gate", "any", "--trust-checkout", &nowhere];
    empty.json(&miss).expect(3, &["nothing-restored"]);
    empty.json(&[&miss[..], &["--allow-miss"]].concat()).expect(4, &["nothing-restored"]);
}

#[test]
fn a_report_takes_the_place_of_an_older_one_whole() {
    let project = sealed();
    let file = project.outside("report.text");
    fs::write(&file, "x".repeat(100_000)).unwrap();
    let before = fs::File::open(&file).unwrap();
    let (run, [text, ..]) = verify_with_reports(&project, &[]);
    assert_eq!(text, run.stdout);
    // Whoever has the old one open goes on reading the old one.
    assert_eq!(std::io::read_to_string(before).unwrap().len(), 100_000);
    for report in ["xml=/x", "text=", "text", "=x"] {
        let arguments = ["verify", "deps", "--gate", "any", "--trust-checkout", "--report", report];
        project.json(&arguments).expect_error_of(report, 2, "usage");
    }
}

#[test]
fn a_guard_reports_in_every_form() {
    let project = sealed();
    let file = project.outside("report.xml");
    let report = format!("--report=junit={}", file.display());
    let verdict = project.json(&["verify", "deps", "--gate", "any", "--guard", &report]);
    verdict.expect(15, &["guard-gone"]);
    let junit = fs::read_to_string(file).unwrap();
    assert!(junit.contains("<failure type=\"guard-gone\" message=\"1 guard-gone\">"), "{junit}");
}

#[test]
fn an_archive_has_reports_too() {
    let project = sealed();
    let archive = project.outside("deps.tar");
    let archive = archive.to_str().unwrap();
    project.json(&["pack", "deps", "-o", archive]).expect(0, &[]);
    let file = project.outside("report.xml");
    let report = format!("--report=junit={}", file.display());
    let verify =
        |more: &[&str]| project.run(&[&["verify", "--archive", archive, "--cache", "deps", &report], more].concat());
    assert_eq!(verify(&["--gate", "any"]).code, Some(0));
    assert!(fs::read_to_string(&file).unwrap().contains("<testcase classname=\"cacheseal.deps\" name=\"gate any\">"));
    assert_eq!(verify(&["--gate", "none"]).code, Some(5));
    assert!(fs::read_to_string(&file).unwrap().contains("<error type=\"unknown-gate\""));
    project.json(&["verify", "--archive", archive, "--gate", "any", "--guard"]).expect_error(2, "usage");
}

/// A restore can bring a link where reports go: nothing is written through it, whatever the verdict.
#[test]
fn no_report_is_written_through_a_link_that_a_restore_brought() {
    let project = sealed();
    let keys = project.home().join(".ssh");
    fs::create_dir(&keys).unwrap();
    std::os::unix::fs::symlink(&keys, project.path("reports")).unwrap();
    fs::create_dir_all(project.path("build/reports")).unwrap();
    std::os::unix::fs::symlink("../../../home/.ssh", project.path("build/reports/deps")).unwrap();
    let absolute = project.path("reports/authorized_keys").into_os_string().into_string().unwrap();
    let pin = project.run(&["policy", "digest"]).stdout;
    for file in ["reports/authorized_keys", "./build/reports/deps/authorized_keys", &absolute] {
        let report = format!("--report=junit={file}");
        for trust in [&["--trust-checkout"][..], &["--policy-sha256", pin.trim_end()]] {
            let verified = project.json(&[&["verify", "deps", "--gate", "any", &report], trust].concat());
            verified.expect(4, &[]);
            let unwritten = verified.json["unwritten"][0].as_str().unwrap();
            assert!(
                unwritten.contains("is a symlink to `") && unwritten.contains("name the place itself"),
                "{unwritten}"
            );
        }
    }
    for archive in ["reports/x.tar", "build/reports/deps/x.tar.zst"] {
        project.json(&["pack", "deps", "--out", archive]).expect_error(4, "unwritable");
    }
    assert_eq!(fs::read_dir(&keys).unwrap().count(), 0);
    // The name itself may be a link: it is replaced, and what it led to stays.
    fs::create_dir(project.path("honest")).unwrap();
    fs::write(keys.join("config"), "mine").unwrap();
    std::os::unix::fs::symlink(keys.join("config"), project.path("honest/x.json")).unwrap();
    project
        .json(&["verify", "deps", "--gate", "any", "--trust-checkout", "--report=json=honest/x.json"])
        .expect(0, &[]);
    assert_eq!(fs::read(keys.join("config")).unwrap(), b"mine");
    assert!(fs::symlink_metadata(project.path("honest/x.json")).unwrap().is_file());
}

/// Under a guard the verdict is that of the link, and nothing is written either.
#[test]
fn no_report_under_a_guard_is_written_through_a_planted_link() {
    let guarded = super::guard::Guarded::new();
    guarded.start(&[]);
    guarded.restore();
    let keys = guarded.home().join(".ssh");
    std::os::unix::fs::symlink(&keys, guarded.path("reports")).unwrap();
    fs::create_dir(&keys).unwrap();
    let verified = guarded.verify_guarded(&["--report=junit=reports/authorized_keys"]);
    verified.expect(15, &["stray-write"]);
    assert_eq!(verified.json["unwritten"].as_array().unwrap().len(), 1);
    assert_eq!(fs::read_dir(&keys).unwrap().count(), 0);
}

/// A home that is reached by a link, a system's link above, a directory of root's: reports are written there.
#[test]
fn reports_go_where_people_have_them() {
    let project = sealed();
    fs::create_dir_all(project.home().join("reports")).unwrap();
    fs::create_dir_all(project.path("reports/sub")).unwrap();
    let linked = project.outside("linked-home");
    std::os::unix::fs::symlink(project.home(), &linked).unwrap();
    let at_home = linked.join("reports/x.json");
    for file in ["reports/x.json", "reports/sub/../x.json", "./x.json", at_home.to_str().unwrap()] {
        let mut command = project.command();
        command.env("HOME", &linked).args(["verify", "deps", "--gate", "any", "--trust-checkout", "--format", "json"]);
        Run::of(command.arg(format!("--report=json={file}")).output().unwrap()).verdict().expect(0, &[]);
        let written = fs::read(project.root().join(file)).unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&written).unwrap()["exit"], 0, "{file}");
        fs::remove_file(project.root().join(file)).unwrap();
    }
}
