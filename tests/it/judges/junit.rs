//! Python's XML parser reads our `JUnit` reports, hostile names and all, as what they say.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;

use serde_json::{Value, json};

use super::{fed, judge, told};
use crate::harness::{POLICY, Project};

/// Checks what test viewers rely on, and prints what is left to compare as JSON.
const READER: &str = r#"
import json, sys, xml.etree.ElementTree as tree
suites = tree.fromstring(sys.stdin.buffer.read())
assert suites.tag == "testsuites" and [s.tag for s in suites] == ["testsuite"], suites
suite = suites[0]
assert [c.tag for c in suite] == ["testcase"] and suite.get("name") == "cacheseal verify"
case = suite[0]
counts = {k: int(suite.get(k)) for k in ("tests", "failures", "errors", "skipped")}
assert counts == {k: int(suites.get(k)) for k in counts} and counts["tests"] == 1
assert {e.tag for e in case} <= {"failure", "error", "skipped", "system-out"}
inside = [e for e in case if e.tag != "system-out"]
worst = [t for t in ("failure", "error", "skipped") if any(e.tag == t for e in inside)][:1]
names = {"failure": "failures", "error": "errors", "skipped": "skipped"}
assert counts == {"tests": 1, **{n: int([t] == worst) for t, n in names.items()}}, counts
print(json.dumps({
    "case": [case.get("classname"), case.get("name")],
    "inside": [[e.tag, e.get("type"), e.get("message"), e.text or ""] for e in inside],
    "out": "".join(e.text or "" for e in case if e.tag == "system-out"),
}))
"#;

fn read(junit: &str) -> Value {
    let output = fed(judge("python3").args(["-c", READER]), junit.as_bytes());
    assert!(output.status.success(), "{}\n{junit}", told(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn verify(project: &Project, gate: &str, more: &[&str]) -> (Value, Value) {
    let arguments = [&["verify", "deps", "--gate", gate, "--trust-checkout"], more].concat();
    let json = project.json(&arguments).json;
    (read(&project.run(&[&arguments[..], &["--format", "junit"]].concat()).stdout), json)
}

#[test]
fn a_test_viewer_sees_every_verdict() {
    let project = Project::empty(POLICY);
    let (miss, _) = verify(&project, "any", &[]);
    assert_eq!(miss["case"], json!(["cacheseal.deps", "gate any"]));
    assert_eq!(miss["inside"][0].as_array().unwrap()[..2], [json!("failure"), json!("nothing-restored")]);
    let (allowed, _) = verify(&project, "any", &["--allow-miss"]);
    assert_eq!(allowed["inside"][0][0], "skipped");
    project.fill();
    project.seal();
    let (trusted, _) = verify(&project, "any", &[]);
    assert_eq!(trusted["inside"], json!([]));
    assert!(trusted["out"].as_str().unwrap().starts_with("trusted: cache `deps` at gate `any`\n"));
    let (unknown, json) = verify(&project, "<&\"'>", &[]);
    assert_eq!(unknown["case"][1], "gate <&\"'>");
    assert_eq!(
        unknown["inside"],
        json!([["error", "unknown-gate", json["error"]["message"], json["error"]["message"]]])
    );
}

#[test]
fn hostile_names_stay_text() {
    let project = Project::new();
    project.seal();
    let names: [&[u8]; 9] = [
        b"<failure type=\"x\">",
        b"]]>",
        b"&amp;&#0;&lol;",
        b"<![CDATA[<!-- <?xml",
        b"\x01\x02\x0b\x1f\x7f",
        b"\xff\xfe\xed\xa0\x80",
        "\u{fffe}\u{ffff}\u{85}\u{2028}".as_bytes(),
        "\u{1f980}\u{e9}".as_bytes(),
        b"line\nfeed\ttab\rreturn",
    ];
    for name in names {
        fs::write(project.path("deps").join(OsStr::from_bytes(name)), "").unwrap();
    }
    let (report, _) = verify(&project, "any", &[]);
    let inside = report["inside"].as_array().unwrap();
    assert_eq!(inside.len(), 1, "{report:#}");
    assert_eq!(inside[0].as_array().unwrap()[..3], [json!("failure"), json!("extra-entry"), json!("9 extra-entry")]);
    // The text is the text report's, character for character, but for two that XML has no spelling for.
    let text = project.run(&["verify", "deps", "--gate", "any", "--trust-checkout"]).stdout;
    let text = text.replace('\u{fffe}', "\\u{fffe}").replace('\u{ffff}', "\\u{ffff}");
    assert!(text.contains(inside[0][3].as_str().unwrap()), "{report:#}\n{text}");
    assert_eq!(report["out"], text.as_str());
}
